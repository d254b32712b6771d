/* snapshot.h: everything a decision reads, as one immutable value: routes, roles, agents, users, public
 * keys, policy text. The authority builds and writes it, gateways parse what the feed brings.
 * It carries the policy as text; compiling is its holder's (domain/policy).
 *
 * Owns: a snapshot owns all it points to; it is counted, and goes with the last unref.
 * Threads: never changes after snapshot_parse; ref and unref are atomic.
 * Limits: limits.h. Forbidden: grants, uses, jti and approvals (admit knows those, exactly), upstream
 * secrets (a credential is a name here), I/O, clock. */
#ifndef ATTORN_SNAPSHOT_H
#define ATTORN_SNAPSHOT_H

#include "domain/delegation/delegation.h"
#include "domain/snapshot/limits.h"
#include "pure/jose/jose.h"

typedef enum {
	SNAPSHOT_READONLY = 1,
	SNAPSHOT_MUTATING,
	SNAPSHOT_IRREVERSIBLE,
} snapshot_effect_t;

typedef enum {
	SNAPSHOT_MCP_STDIO = 1, /* "mcp-stdio": command */
	SNAPSHOT_MCP_HTTP, /* "mcp-http": upstream */
	SNAPSHOT_HTTP, /* "http": upstream and rules */
} snapshot_route_kind_t;

typedef struct {
	str_t name; /* tool; sorted by it */
	str_t scope; /* what an agent needs */
	snapshot_effect_t effect;
} snapshot_tool_t;

typedef struct {
	str_t method, path; /* path may hold {x} for exactly one segment */
	str_t scope;
	snapshot_effect_t effect;
} snapshot_rule_t;

typedef struct {
	str_t key, value;
} snapshot_env_t;

/* One route: the document an operator puts (docs/wire.md 8) plus name, revision and URL. */
typedef struct {
	str_t name;
	uint64_t rev; /* grows with each change of the route */
	str_t url; /* public resource URL: aud of its tokens */
	snapshot_route_kind_t kind;
	str_t upstream; /* http kinds */
	const str_t *command; /* mcp-stdio: argv */
	size_t n_command;
	str_t cwd; /* or empty */
	const snapshot_env_t *env;
	size_t n_env;
	str_t environment;
	const str_t *data_classes;
	size_t n_data_classes;
	bool has_credential;
	str_t credential_secret, credential_header, credential_prefix;
	const snapshot_tool_t *tools;
	size_t n_tools;
	str_t default_scope; /* scope of tools that are not listed; empty: they do not exist */
	const snapshot_rule_t *rules;
	size_t n_rules;
	uint32_t timeout_ms, concurrent;
} snapshot_route_t;

typedef enum {
	SNAPSHOT_ACTIVE = 1,
	SNAPSHOT_QUARANTINED,
	SNAPSHOT_RETIRED,
} snapshot_agent_state_t;

typedef struct {
	str_t id; /* SPIFFE ID; sorted by it */
	str_t name;
	delegation_id_kind_t kind; /* delegated or autonomous */
	str_t owner; /* user id */
	const str_t *roles;
	size_t n_roles;
	str_t scopes; /* blank-separated */
	snapshot_agent_state_t state;
	uint32_t max_depth; /* 1..DELEGATION_DEPTH_MAX */
	const str_t *jkts; /* thumbprints of its registered keys */
	size_t n_jkts;
} snapshot_agent_t;

typedef struct {
	str_t id; /* u:<uuid>; sorted by it */
	str_t name;
	bool active;
	const str_t *roles;
	size_t n_roles;
	str_t permissions; /* blank-separated union over its roles */
} snapshot_user_t;

typedef struct {
	str_t name; /* sorted by it */
	str_t permissions; /* blank-separated */
} snapshot_role_t;

typedef struct {
	str_t name, text;
} snapshot_policy_file_t;

/* The content: filled by the authority for snapshot_write, by snapshot_parse for readers. */
typedef struct {
	uint64_t version;
	str_t issuer, trust_domain;
	jose_jwks_t token_keys;
	secret_t nonce_key, session_key; /* SNAPSHOT_KEY_BYTES each */
	uint64_t policy_version;
	uint8_t policy_digest[DELEGATION_DIGEST_BYTES]; /* of the exact bytes, by the policy room's rule */
	const snapshot_policy_file_t *policy_files;
	size_t n_policy_files;
	const snapshot_route_t *routes;
	size_t n_routes;
	const snapshot_agent_t *agents;
	size_t n_agents;
	const snapshot_user_t *users;
	size_t n_users;
	const snapshot_role_t *roles;
	size_t n_roles;
} snapshot_content_t;

typedef struct snapshot {
	snapshot_content_t c; /* every list sorted by its first member (routes by name) */
	uint8_t digest[DELEGATION_DIGEST_BYTES]; /* SHA-256 of the exact text */
	struct snapshot_private *priv;
} snapshot_t;

/* Parses the value of "snapshot" in the feed's line. Strict: every member present, none unknown, names
 * and ids in their grammar, no name twice. The caller owns one reference. */
MUST err_t snapshot_parse(str_t text, snapshot_t **out, diag_t *diag);
snapshot_t *snapshot_ref(snapshot_t *s); /* returns s */
void snapshot_unref(snapshot_t *s); /* accepts NULL */
DEFINE_AUTO(snapshot_t *, snapshot_unref);

/* Writes the text; sorts nothing and checks nothing that snapshot_parse will check. The buffer will
 * hold two keys: give one that ends in buf_wipe. ERR_LIMIT. */
MUST err_t snapshot_write(const snapshot_content_t *c, buf_t *out);

/* Find by key; NULL when absent. */
const snapshot_route_t *snapshot_route(const snapshot_t *s, str_t name);
const snapshot_route_t *snapshot_route_by_url(const snapshot_t *s, str_t url);
const snapshot_agent_t *snapshot_agent(const snapshot_t *s, str_t id);
const snapshot_user_t *snapshot_user(const snapshot_t *s, str_t id);
const snapshot_role_t *snapshot_role(const snapshot_t *s, str_t name);
bool snapshot_agent_has_key(const snapshot_agent_t *agent, str_t jkt);

/* A tool of an MCP route; the scope and effect (mutating) of default_scope for one that is not listed,
 * if the route has one. False: it does not exist. */
bool snapshot_tool(const snapshot_route_t *r, str_t tool, snapshot_tool_t *out);
/* The rule of an HTTP route for a method and a path without query (delegation_target_check passed);
 * the first that fits. NULL: it does not exist. */
const snapshot_rule_t *snapshot_rule(const snapshot_route_t *r, str_t method, str_t path);

/* ---- tokens.c: our own tokens under a snapshot's keys ---- */
typedef struct {
	str_t issuer, audience; /* STR_NULL: not looked at */
	int64_t now_unix_s;
	int32_t leeway_s;
} snapshot_token_expect_t;

/* Remembers delegated tokens that were verified; one thread's alone. */
typedef struct snapshot_tokens snapshot_tokens_t;
snapshot_tokens_t *snapshot_tokens_new(void);
void snapshot_tokens_free(snapshot_tokens_t *t); /* accepts NULL */
/* Verifies a token of ours and reads its claims, which live as long as `a`. The signature of a delegated
 * token is checked once for its very bytes and this very snapshot, issuer, audience and time at each use.
 * Errors of jose_jwt_verify and delegation_claims_read. */
MUST err_t snapshot_token_verify(snapshot_tokens_t *tokens, arena_t *a, const snapshot_t *s, str_t text,
	const snapshot_token_expect_t *x, uint8_t out_hash[CRYPTO_SHA256_BYTES], delegation_claims_t *out,
	diag_t *diag);

/* Parses and checks one route document (docs/wire.md 8; optional members may be left out), as the API
 * takes it: name, rev and url stay empty. */
MUST err_t snapshot_route_parse(arena_t *a, str_t document, snapshot_route_t *out, diag_t *diag);

#endif
