/* entry.h: entries, which say who may be whom: selectors, templates, lives. Part of spiffe.h. */
#ifndef ATTORN_SPIFFE_ENTRY_H
#define ATTORN_SPIFFE_ENTRY_H

#include "pure/codec/codec.h"
#include "domain/spiffe/id.h"

/* --- selectors (spiffe.md 13.3) ------------------------------------------------------------------ */

/* "family:key:value" each: family [a-z0-9_-]+, behind it any UTF-8 text without control bytes, at least one.
 * Sorted by bytes and unique. */
typedef struct {
	const str_t *v;
	size_t n;
} spiffe_selectors_t;

/* ERR_SELECTOR. The family need not be known: other attestors have their own. */
MUST err_t spiffe_selector_check(str_t selector);
/* Checks, sorts, drops twins; ERR_SELECTOR, ERR_LIMIT above max. The texts stay borrowed. */
MUST err_t spiffe_selectors_make(arena_t *a, const str_t *texts, size_t n, size_t max,
	spiffe_selectors_t *out);
/* From a JSON array of strings; ERR_VALUE for another shape. */
MUST err_t spiffe_selectors_read(arena_t *a, const json_t *array, size_t max, spiffe_selectors_t *out);
void spiffe_selectors_write(jw_t *w, const spiffe_selectors_t *s); /* as a JSON array */
bool spiffe_selectors_has(const spiffe_selectors_t *s, str_t selector);
/* True when all of `wanted`, which is not empty, are among `facts`. */
bool spiffe_selectors_match(const spiffe_selectors_t *wanted, const spiffe_selectors_t *facts);

/* --- templates (spiffe.md 15) --------------------------------------------------------------------- */

/* What a node attested. */
typedef struct {
	spiffe_selectors_t selectors;
	str_t run_id; /* STR_NULL: no run */
	str_t node; /* last segment of the node's ID; STR_NULL where it does not matter */
} spiffe_facts_t;

/* True when `text` has a placeholder. */
bool spiffe_template_is(str_t text);
/* ERR_SPIFFE_ID unless `text` is a workload ID, not reserved, whose path may hold placeholders: {unix.uid}
 * {unix.user} {unix.gid} {unix.group} {systemd.id} {systemd.invocation_id} {docker.container_id}
 * {docker.image_id} {docker.label.NAME} {run.id} {node.id}; not in the trust domain. */
MUST err_t spiffe_template_check(str_t text);
/* The text before the first placeholder ("spiffe://td/ci/"); all of it when there is none. */
str_t spiffe_template_prefix(str_t text);
/* Expands; ERR_ENTRY_MATCH when a fact is absent, has two values or is no segment as it is, or when the
 * outcome is reserved or no ID. */
MUST err_t spiffe_template_expand(arena_t *a, str_t text, const spiffe_facts_t *facts, spiffe_id_t *out);

/* --- entries (docs/identity.md 3) ------------------------------------------------------------------ */

typedef enum { SPIFFE_SCOPE_PROCESS = 0, SPIFFE_SCOPE_TREE } spiffe_scope_t;
typedef enum { SPIFFE_GRANT_NONE = 0, SPIFFE_GRANT_OPTIONAL, SPIFFE_GRANT_REQUIRED } spiffe_run_grant_t;

typedef struct {
	str_t id; /* unique within its agent */
	spiffe_selectors_t selectors;
	str_t spiffe_id; /* literal or template; STR_NULL: the agent's own */
	str_t parent; /* node ID; STR_NULL: any node */
	uint32_t x509_ttl_s, jwt_ttl_s; /* 0: default */
	str_t hint;
	int64_t priority;
	const str_t *dns_names;
	size_t n_dns_names;
	int64_t expires_at_unix_s; /* 0: never */
	bool jwt_jti;
	const str_t *federates_with; /* bare trust domain names */
	size_t n_federates_with;
	spiffe_scope_t scope;
	bool has_runner; /* for `attorn run` */
	spiffe_selectors_t runner;
	spiffe_run_grant_t runner_grant;
} spiffe_entry_t;

/* Reads one entry document, unknown members refused. td is the authority's: spiffe_id must lie in it. */
MUST err_t spiffe_entry_read(arena_t *a, const json_t *obj, str_t td, spiffe_entry_t *out, diag_t *diag);
/* Reads the array `entries` of an agent: at most SPIFFE_ENTRIES_MAX, ids unique. */
MUST err_t spiffe_entries_read(arena_t *a, const json_t *array, str_t td, spiffe_entry_t **out,
	size_t *out_n, diag_t *diag);
/* Writes every member that is not default, in one fixed order. */
void spiffe_entry_write(jw_t *w, const spiffe_entry_t *e);
/* Decides what ID the entry gives to what was attested: selectors match, template expands, an entry with a
 * runner needs facts->run_id and its runner among runner_facts, not expired, parent right. agent_id stands in
 * when the entry has no spiffe_id. ERR_ENTRY_MATCH, ERR_EXPIRED. */
MUST err_t spiffe_entry_apply(arena_t *a, const spiffe_entry_t *e, str_t agent_id, str_t node_id,
	const spiffe_facts_t *facts, const spiffe_selectors_t *runner_facts, int64_t now_unix_s,
	spiffe_id_t *out);
/* The default identity comes first: priority descending, then older, then key. For qsort-like use. */
int spiffe_entry_order(int64_t priority_x, int64_t created_x, str_t key_x, int64_t priority_y,
	int64_t created_y, str_t key_y);

#endif
