/* policy.h: may this happen? Facts in, permit or deny out, by the operator's rules (Cedar).
 *
 *   policy_bundle_compile(files)  ->  bundle       once per policy change, on a lane
 *   policy_decide(bundle, request) -> decision     per call, in the loop; never fails, says deny
 *
 * The vocabulary of rules is schema.cedarschema, built in. Everything in a request comes from what the
 * caller of this room verified; the one exception, arguments, is marked as such.
 *
 * Owns: a bundle is counted and immutable; a decision borrows its texts from the bundle.
 * Threads: any, on shared bundles. A thread that decides has a stack of 4 MiB or more (less costs
 * 9 us per decision); compile and the last unref take milliseconds to seconds: never in a loop.
 * Limits: limits.h. Forbidden: I/O, clock (time is a fact), treating what is missing as harmless. */
#ifndef ATTORN_POLICY_H
#define ATTORN_POLICY_H

#include "domain/delegation/delegation.h"
#include "domain/policy/limits.h"

/* Prepares the engine and asks it three questions with known answers; once per process, before
 * anything else here. ERR_INTERNAL when an answer is wrong: do not start. */
MUST err_t policy_init(void);

/* --- bundles ---------------------------------------------------------------------------------- */

typedef struct policy_bundle policy_bundle_t;

/* A file of rules: its name is for people, its text may come from anyone who may push policy. */
typedef struct {
	str_t name, text;
} policy_file_t;

/* Compiles `files` into a new bundle with one reference, the caller's. Every rule must have an @id of
 * its own and pass strict validation; else ERR_POLICY, the first fault in `diag` ("file: what", with
 * line and column) and all of them, one a line, in `report` (may be NULL; initialised by the caller),
 * which on success holds warnings. No file at all is a bundle that denies everything. */
MUST err_t policy_bundle_compile(const policy_file_t *files, size_t n, policy_bundle_t **out,
	buf_t *report, diag_t *diag);
policy_bundle_t *policy_bundle_ref(policy_bundle_t *b); /* returns b */
void policy_bundle_unref(policy_bundle_t *b); /* accepts NULL */
DEFINE_AUTO(policy_bundle_t *, policy_bundle_unref);

/* SHA-256 of the texts one after the other, in the order given, with a line feed put between two files
 * where the first lacks one: `cat *.cedar | sha256sum`. Two bundles with one digest say the same. */
void policy_digest(const policy_file_t *files, size_t n, uint8_t out[32]);
const uint8_t *policy_bundle_digest(const policy_bundle_t *b); /* 32 bytes */
size_t policy_bundle_count(const policy_bundle_t *b); /* rules */
/* The @id of rule `i` below the count, in the order of the files, borrowed from the bundle; whether it forbids. */
str_t policy_bundle_rule(const policy_bundle_t *b, size_t i, bool *out_forbids);

/* The rules a new authority starts with (packaging/policy/starter.cedar). */
policy_file_t policy_starter(void);

/* --- facts -------------------------------------------------------------------------------------- */

typedef enum {
	POLICY_NONE = 0, /* denied: bad_request */
	POLICY_CALL, /* one tools/call */
	POLICY_HTTP, /* one request on an HTTP route */
	POLICY_LIST, /* sessions and lists of a route */
	POLICY_EXCHANGE, /* a token for a route */
	POLICY_DELEGATE, /* lend to an agent */
	POLICY_APPROVE, /* answer for actions on a route */
	POLICY_REVOKE, /* end a grant that is not one's own */
	POLICY_ADMINISTER, /* change what `object` names */
} policy_action_t;
str_t policy_action_name(policy_action_t action); /* "call", "http.request", ...; "" for none */

typedef enum {
	POLICY_EFFECT_NONE = 0, /* denied: bad_request */
	POLICY_READONLY,
	POLICY_MUTATING,
	POLICY_IRREVERSIBLE,
} policy_effect_t;

/* Names by pointer and count. */
typedef struct {
	const str_t *v;
	size_t n;
} policy_names_t;

/* Absent when id is empty. Scopes and permissions are blank-separated lists. */
typedef struct {
	str_t id; /* SPIFFE id */
	str_t name;
	delegation_id_kind_t kind; /* delegated or autonomous */
	bool active; /* neither quarantined nor retired */
	str_t owner; /* user id, or empty */
	bool owner_active;
	policy_names_t roles;
	str_t scopes;
	uint32_t max_depth;
} policy_agent_t;

/* Absent when id is empty: an autonomous agent acts for itself. */
typedef struct {
	str_t id;
	bool active;
	policy_names_t roles;
	str_t permissions;
} policy_user_t;

typedef struct {
	str_t name;
	str_t environment;
	policy_names_t data_classes;
} policy_route_t;

/* On an HTTP route the name is "METHOD /path" as the operator listed it. */
typedef struct {
	str_t name;
	policy_effect_t effect;
	str_t scopes; /* required */
} policy_tool_t;

typedef struct {
	str_t scopes;
	bool sender_bound; /* has cnf, and the proof was verified */
	str_t grant; /* or empty */
	uint32_t depth, max_depth; /* actors in the chain; what the grant allows */
	delegation_init_t init;
	delegation_sel_t sel;
} policy_token_t;

typedef struct {
	int64_t now_unix_s;
	uint32_t weekday; /* 1 is Monday, 7 Sunday */
	uint32_t minute_of_day; /* 0..1439 */
} policy_clock_t;
/* The clock at a time in a zone `offset_min` minutes east of UTC. */
policy_clock_t policy_clock(int64_t now_unix_s, int32_t offset_min);

/* One argument of a call: the agent's word. */
typedef enum {
	POLICY_ARG_STR = 1,
	POLICY_ARG_NUM,
	POLICY_ARG_BOOL,
	POLICY_ARG_LIST, /* of texts; order and repetition are lost */
} policy_arg_kind_t;
typedef struct {
	str_t key; /* nested names joined with "." */
	policy_arg_kind_t kind;
	str_t s;
	int64_t n; /* number, or 0 and 1 */
	policy_names_t list;
} policy_arg_t;
typedef struct {
	const policy_arg_t *v;
	size_t n;
} policy_args_t;

/* Flattens a parsed arguments object (NULL: no arguments). A value that fits no bag refuses the call
 * with its name in `diag`: null, fractions, numbers beyond 2^53 - 1, empty objects, lists of anything
 * but texts, names with a dot (ERR_VALUE, ERR_NUMBER); too many, too deep, too long (ERR_LIMIT).
 * The result lives in `a` and borrows from the tree. */
MUST err_t policy_args_flatten(arena_t *a, const json_t *args, policy_args_t *out, diag_t *diag);

typedef struct {
	str_t method, host, path;
	bool opaque; /* a body that is not JSON */
} policy_http_t;

/* One question. Which members count:
 *   call, http           agent, user (unless autonomous), route, tool, token, assurance, clock, args, http
 *   list, exchange       agent, user (unless autonomous), route, token, assurance, clock
 *   delegate and others  principal: `agent` if present, else `user`; resource: `on_agent`, else `route`,
 *                        else the authority itself; object, assurance, clock */
typedef struct {
	policy_action_t action;
	policy_agent_t agent;
	policy_user_t user;
	policy_route_t route;
	policy_tool_t tool;
	policy_token_t token;
	delegation_assurance_t assurance;
	policy_clock_t clock;
	policy_args_t args;
	policy_http_t http;
	policy_agent_t on_agent;
	str_t object; /* "policy", "role", "user", "agent", "route", "secret", ... */
} policy_request_t;

/* --- decisions ----------------------------------------------------------------------------------- */

typedef enum {
	POLICY_DENY = 0,
	POLICY_PERMIT,
} policy_verdict_t;

/* Why; in this order, the first that applies. */
typedef enum {
	POLICY_WHY_NO_POLICY = 0, /* no bundle is loaded */
	POLICY_WHY_BAD_REQUEST, /* a fact is malformed, too large or not one of the schema's */
	POLICY_WHY_MISSING_ENTITY, /* a fact that must be there is not */
	POLICY_WHY_POLICY_ERROR, /* a rule failed; which ones is in `failed` */
	POLICY_WHY_INTERNAL,
	POLICY_WHY_DENIED, /* a rule forbids it (in `rules`), or no rule permits it (`rules` empty) */
	POLICY_WHY_PERMITTED,
} policy_why_t;
str_t policy_why_name(policy_why_t why); /* "no_policy", ... */

/* Zero is a deny. Texts borrow from the bundle. */
typedef struct {
	policy_verdict_t verdict;
	policy_why_t why;
	size_t n_rules, n_failed; /* listed; `truncated` when there were more */
	str_t rules[POLICY_RULES_MAX]; /* ids of the rules that decided, in the order of the files */
	str_t failed[POLICY_RULES_MAX];
	bool truncated;
	str_t deny_code, fix; /* @deny_code and @fix of the first rule that forbids and has them */
} policy_decision_t;

/* Decides. Always fills *out; whatever goes wrong is a deny. `a` is scratch. */
void policy_decide(arena_t *a, const policy_bundle_t *b, const policy_request_t *q,
	policy_decision_t *out);

#endif
