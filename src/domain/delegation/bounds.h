/* bounds.h: how far a grant or token reaches, and the one narrowing function (reference oauth 8).
 *
 * In JSON every member is always present; absent never means all, and an empty list means none:
 *   {"authorization_details":[ITEM...],"budget":null,"data_classes":[..],"depth":1..4,"device":null,
 *    "environments":[..],"scope":"a:b c:d","uses":1..,"window":null|{"days":[1..7],"from":"HH:MM",
 *    "to":"HH:MM"}}
 * data_classes and environments: ["*"] alone is any. window is UTC, days 1 = Monday, from < to <=
 * "24:00", `to` itself is outside. budget and device are not built: only null is accepted.
 *
 * ITEM, constraint form: what a person grants
 *   {"type":"mcp_tool_call","server":URL,"tool":NAME,"constraints":[C...]}
 *   {"type":"http_request","server":URL,"method":M,"path":TARGET,"constraints":[C...]}
 * digest form: what a client asks for
 *   {"type":"mcp_tool_call","server":URL,"tool":NAME,"args_digest":B64URL}
 *   {"type":"http_request","server":URL,"method":M,"target":TARGET,"body_digest":B64URL}
 * bound form: what a capability carries: the digest form plus "constraints" of the grant's item. A
 * digest hides the arguments from who issues, so the grant's constraints travel on to who sees them.
 *
 * C: {"arg":POINTER,"kind":KIND,"value":V}; POINTER is RFC 6901 into the arguments; the segment "*"
 * stands for every element of an array. Every constraint must match at least one place and hold at
 * all of them; every leaf (scalar or empty container) must be named by some constraint, itself or by
 * a container above it. An argument that no constraint names refuses the call, and so does a
 * constraint whose argument is absent: an optional argument is a second item.
 *   equals      V any JSON value                        one_of   V array of JSON values
 *   range       V {"max":N,"min":N}, integers           matches  V pattern (below), whole string
 *   path_under  V path; whole segments                  url_in   V array of URLs; scheme, host, port,
 *   host_is     V array of host names                            whole path segments; no query
 *
 * Pattern: literals, . (any character, line ends too), [a-z] [^..], |, (groups), * + ? {m} {m,n} {m,},
 * \d \w \s \D \W \S (ASCII), \n \r \t, escaped punctuation. Always the whole string (^ and $ are refused
 * as superfluous), linear time, no back references. */
#ifndef ATTORN_DELEGATION_BOUNDS_H
#define ATTORN_DELEGATION_BOUNDS_H

#include "domain/delegation/action.h"

typedef enum {
	DELEGATION_EQUALS = 1,
	DELEGATION_ONE_OF,
	DELEGATION_RANGE,
	DELEGATION_PATH_UNDER,
	DELEGATION_URL_IN,
	DELEGATION_HOST_IS,
	DELEGATION_MATCHES,
} delegation_kind_t;

typedef struct {
	str_t arg; /* RFC 6901 pointer */
	const str_t *segments; /* of the pointer, unescaped */
	size_t n_segments;
	delegation_kind_t kind;
	str_t text; /* path_under: path; matches: pattern */
	const str_t *values; /* equals, one_of: RFC 8785 forms; url_in, host_is: strings */
	size_t n_values;
	int64_t min, max; /* range */
	str_t canonical; /* RFC 8785 form of V */
} delegation_constraint_t;

typedef struct {
	delegation_type_t type;
	str_t server; /* URL of the route */
	str_t op; /* "tools/call", or the HTTP method */
	str_t target; /* tool name, or path[?query] */
	bool has_digest, has_constraints; /* at least one */
	uint8_t digest[DELEGATION_DIGEST_BYTES]; /* args digest */
	const delegation_constraint_t *constraints;
	size_t n_constraints;
} delegation_item_t;

typedef struct {
	bool is_set;
	uint8_t days; /* bit 1 << day, Monday = 1 */
	uint16_t from_min, to_min; /* minutes of the UTC day */
} delegation_window_t;

typedef struct {
	str_t scope; /* single blanks, no repeats; empty: none */
	const delegation_item_t *items;
	size_t n_items;
	const str_t *data_classes; /* one element "*": any */
	size_t n_data_classes;
	const str_t *environments;
	size_t n_environments;
	uint32_t uses;
	delegation_window_t window;
	uint32_t depth; /* 1: the agent itself and nobody below it */
} delegation_bounds_t;

/* Parses bounds, or an authorization_details array, from JSON text (need not be canonical). Unknown,
 * missing or repeated members, types and kinds refuse. ERR_DETAILS for a bad item, else
 * ERR_UNKNOWN_MEMBER, ERR_MISSING_MEMBER, ERR_VALUE, ERR_NOT_BUILT (budget, device), ERR_LIMIT. */
MUST err_t delegation_bounds_parse(arena_t *a, str_t json, delegation_bounds_t *out, diag_t *diag);
MUST err_t delegation_items_parse(arena_t *a, str_t json, const delegation_item_t **out, size_t *out_n,
	diag_t *diag);
/* Write canonical JSON (JCS-S). ERR_LIMIT above DELEGATION_DOCUMENT_BYTES_MAX. */
MUST err_t delegation_bounds_write(arena_t *a, const delegation_bounds_t *b, str_t *out);
MUST err_t delegation_items_write(arena_t *a, const delegation_item_t *items, size_t n, str_t *out);

/* Compares: OK when the child permits nothing that the parent denies, else ERR_BOUNDS with the wider
 * thing in diag. Pure and total; sound, not complete: unknown means no. Same kinds compare by meaning
 * (range in range, path under path, ...), equals and one_of against every kind by their values,
 * matches only if equal. An item needs one item of the parent that covers it. */
MUST err_t delegation_narrow(const delegation_bounds_t *parent, const delegation_bounds_t *child,
	diag_t *diag);
/* The same for what a token carries of the bounds. */
MUST err_t delegation_items_narrow(const delegation_item_t *parent, size_t n_parent,
	const delegation_item_t *child, size_t n_child, diag_t *diag);

/* What a capability carries: for the one item in digest form that a client asks for, each item of the
 * parent for the same server and thing, with that digest and the parent's constraints (bound form).
 * ERR_DETAILS when the parent has none, or another digest, or `asked` is not in digest form. */
MUST err_t delegation_items_bind(arena_t *a, const delegation_item_t *parent, size_t n_parent,
	const delegation_item_t *asked, const delegation_item_t **out, size_t *out_n);
/* The items for one server, in order (what a delegated token for that route carries); may be none. */
void delegation_items_for(arena_t *a, const delegation_item_t *items, size_t n, str_t server,
	const delegation_item_t **out, size_t *out_n);

/* Where a call goes, as the route says. */
typedef struct {
	str_t scope; /* what the tool needs; empty refuses */
	str_t environment;
	const str_t *data_classes;
	size_t n_data_classes;
} delegation_place_t;

/* Does any item permit this call? OK, or why not: ERR_TARGET (no item for this server), ERR_TOOL (none
 * for this tool or method and path), ERR_ACTION (another digest), ERR_ARGUMENT (diag names it; that of
 * the item that came closest). */
MUST err_t delegation_items_permit(const delegation_item_t *items, size_t n,
	const delegation_call_t *call, diag_t *diag);
/* Is any item about this tool (or method and path) at all? For filtered lists. */
bool delegation_items_name(const delegation_item_t *items, size_t n, str_t server, str_t op, str_t target);
/* Scope alone, blank-separated list against one needed scope: ERR_SCOPE. */
MUST err_t delegation_scope_permits(str_t scope, str_t needed);
/* Everything in bounds that a call can be held against (uses and depth are counted elsewhere): the
 * above, then ERR_GRANT for environment or data class, ERR_GRANT_EXPIRED outside the window. */
MUST err_t delegation_permits(const delegation_bounds_t *b, const delegation_call_t *call,
	const delegation_place_t *place, int64_t now_unix_s, diag_t *diag);
/* What needs no arguments of it, for issuing and for admit: environment, data classes, window. */
MUST err_t delegation_place_permits(const delegation_bounds_t *b, const delegation_place_t *place,
	int64_t now_unix_s, diag_t *diag);

/* Scope tokens in all four lists, in the order requested, without repeats. A list that is empty,
 * missing or malformed allows nothing; nothing left is ERR_SCOPE (oauth P31). */
MUST err_t delegation_intersect_scope(arena_t *a, str_t requested, str_t grant, str_t agent, str_t user,
	str_t *out);
/* Scope syntax: RFC 6749 3.3 tokens, single blanks, no repeats; empty is allowed. */
MUST err_t delegation_scope_check(str_t scope);

/* A pattern of kind `matches` alone: checks it (ERR_VALUE, ERR_LIMIT), and matches a whole string. */
MUST err_t delegation_pattern_check(str_t pattern);
bool delegation_pattern_matches(str_t pattern, str_t text);
/* The three place tests alone (P107): is `value` under `base`, in `url`, on `host`? */
bool delegation_path_is_under(str_t base, str_t value);
bool delegation_url_is_in(str_t url, str_t value);
bool delegation_host_is(str_t host, str_t value);

#endif
