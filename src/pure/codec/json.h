/* json.h: the one JSON reader of the house (RFC 8259, strict), a writer, and the canonical form.
 * Refuses: invalid UTF-8, lone surrogates, a byte order mark, duplicate keys at any depth (compared after
 * unescaping), anything behind the value, and what exceeds depth, bytes or nodes. Never repairs.
 * Numbers keep their lexeme; nothing here goes through a double unless it asks for jcs_number.
 * Owns: nothing. A tree lives in the caller's arena and borrows from the input text, which must outlive
 * it. Threads: any; a tree never changes. Limits: limits.h. */
#ifndef ATTORN_CODEC_JSON_H
#define ATTORN_CODEC_JSON_H

#include "pure/base/base.h"

typedef enum {
	JSON_NONE = 0, /* the kind of NULL: no such node */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
} json_kind_t;

/* One node. A tree is an array of nodes in preorder: the first child stands right behind its parent, the
 * next sibling `skip` nodes further. Members are private to codec; use the functions. */
typedef struct json {
	const char *raw_p, *text_p, *key_p;
	uint32_t raw_n, text_n, key_n;
	uint32_t count; /* members or elements */
	uint32_t skip; /* nodes in this subtree, itself included */
	uint8_t kind;
	bool last; /* no sibling behind it */
} json_t;

/* A member left 0 means its default. */
typedef struct {
	uint32_t depth_max; /* nested containers; JSON_DEPTH_DEFAULT */
	uint32_t nodes_max; /* JSON_NODES_DEFAULT */
	size_t bytes_max; /* JSON_BYTES_DEFAULT */
	bool allow_nul; /* else \u0000 in a string or key is ERR_VALUE */
	bool object_only; /* the top value must be an object, else ERR_VALUE */
} json_opts_t;

/* Parses `text`; opts may be NULL. ERR_SYNTAX, ERR_UTF8, ERR_DUPLICATE, ERR_LIMIT, ERR_VALUE; diag gets
 * line and column (in bytes) of the first fault. */
MUST err_t json_parse(arena_t *a, str_t text, const json_opts_t *opts, const json_t **out, diag_t *diag);
/* The usual case: defaults, top value an object. */
MUST err_t json_parse_object(arena_t *a, str_t text, const json_t **out, diag_t *diag);

/* --- looking: every function takes NULL as "no such node" ----------------------------------------- */

static inline json_kind_t json_kind(const json_t *n)
{
	return n ? (json_kind_t)n->kind : JSON_NONE;
}
/* Members of an object or elements of an array; 0 for all else. */
static inline uint32_t json_count(const json_t *n)
{
	return n ? n->count : 0;
}
/* Exact bytes of the value in the input: what a proxy forwards. For a string with its quotes. */
static inline str_t json_raw(const json_t *n)
{
	return n ? (str_t){ n->raw_p, n->raw_n } : STR_NULL;
}
/* Decoded name of a member; STR_NULL for an element and for the top. */
static inline str_t json_key(const json_t *n)
{
	return n ? (str_t){ n->key_p, n->key_n } : STR_NULL;
}
/* First child, then the others: for (const json_t *c = json_first(n); c; c = json_next(c)). */
static inline const json_t *json_first(const json_t *n)
{
	return n && n->count ? n + 1 : NULL;
}
static inline const json_t *json_next(const json_t *n)
{
	return n->last ? NULL : n + n->skip;
}
/* Member of an object by decoded name; NULL if absent or if `obj` is no object. */
const json_t *json_get(const json_t *obj, str_t key);
/* RFC 6901: "" is the root; NULL if nothing is there or the pointer is malformed. */
const json_t *json_pointer(const json_t *root, str_t pointer);
bool json_is_null(const json_t *n); /* JSON null, not absence */
bool json_is_str(const json_t *n, str_t value); /* a string equal to value */

/* --- taking one value: ERR_MISSING_MEMBER for NULL, ERR_VALUE for another kind --------------------- */

enum { JSON_UNBOUNDED = 0 }; /* as max_bytes: bounded by the document only */
static const uint64_t JSON_SAFE_INT_MAX = 9007199254740991ull; /* 2^53 - 1 */

/* Decoded text; borrows from input or arena. */
MUST err_t json_str(const json_t *n, str_t *out);
/* Lexeme as sent. */
MUST err_t json_number(const json_t *n, str_t *out);
/* Integers in plain form; a fraction, an exponent, -0 or a value out of range is ERR_NUMBER. */
MUST err_t json_u64(const json_t *n, uint64_t max, uint64_t *out);
MUST err_t json_i64(const json_t *n, int64_t *out); /* |n| <= 2^53 - 1 */
MUST err_t json_bool(const json_t *n, bool *out);
/* NumericDate (RFC 7519 2) as seconds, a fraction cut off, resp. milliseconds; 0 to year 9999, else
 * ERR_NUMBER. Fraction and exponent are read exactly. */
MUST err_t json_date_s(const json_t *n, int64_t *out_s);
MUST err_t json_date_ms(const json_t *n, int64_t *out_ms);

/* --- members of an object, one line each ----------------------------------------------------------- */

/* need: ERR_MISSING_MEMBER when absent. want: absent is OK and gives the fallback (STR_NULL, NULL).
 * JSON null is a value, of the wrong kind. Strings longer than max_bytes are ERR_LIMIT; need_str also
 * refuses "" (ERR_VALUE). */
MUST err_t json_need_str(const json_t *obj, str_t key, size_t max_bytes, str_t *out);
MUST err_t json_want_str(const json_t *obj, str_t key, size_t max_bytes, str_t *out);
MUST err_t json_need_u64(const json_t *obj, str_t key, uint64_t max, uint64_t *out);
MUST err_t json_want_u64(const json_t *obj, str_t key, uint64_t max, uint64_t fallback, uint64_t *out);
MUST err_t json_need_i64(const json_t *obj, str_t key, int64_t *out);
MUST err_t json_want_i64(const json_t *obj, str_t key, int64_t fallback, int64_t *out);
MUST err_t json_need_bool(const json_t *obj, str_t key, bool *out);
MUST err_t json_want_bool(const json_t *obj, str_t key, bool fallback, bool *out);
MUST err_t json_need_date_s(const json_t *obj, str_t key, int64_t *out_s);
MUST err_t json_want_date_s(const json_t *obj, str_t key, int64_t fallback_s, int64_t *out_s);
MUST err_t json_need_obj(const json_t *obj, str_t key, const json_t **out);
MUST err_t json_want_obj(const json_t *obj, str_t key, const json_t **out);
MUST err_t json_need_arr(const json_t *obj, str_t key, uint32_t max_count, const json_t **out);
MUST err_t json_want_arr(const json_t *obj, str_t key, uint32_t max_count, const json_t **out);
/* ERR_UNKNOWN_MEMBER, named in diag, unless every member of the object `obj` is among `names`. */
MUST err_t json_only(const json_t *obj, const str_t *names, size_t n, diag_t *diag);
#define JSON_ONLY(obj, diag, ...)                                                                  \
	json_only((obj), (const str_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const str_t[]){ __VA_ARGS__ })), \
		(diag))

/* --- writing ---------------------------------------------------------------------------------------- */

/* Writes compact JSON to a buf_t. Errors (invalid UTF-8, buffer full, too deep) are remembered and told
 * once by jw_finish; a misplaced key or end is our mistake (CHECK). Escapes as RFC 8785 3.2.2.2. */
typedef struct {
	buf_t *b;
	err_t err;
	uint32_t depth;
	bool need_comma, have_key;
	uint64_t is_object; /* one bit per level */
} jw_t;
void jw_init(jw_t *w, buf_t *b); /* appends behind what `b` already holds */
MUST err_t jw_finish(jw_t *w); /* CHECKs that every container is closed */
void jw_object(jw_t *w);
void jw_array(jw_t *w);
void jw_end(jw_t *w); /* closes the innermost of either */
void jw_key(jw_t *w, const char *key); /* our own names */
void jw_key_str(jw_t *w, str_t key); /* names from outside */
void jw_str(jw_t *w, str_t s);
void jw_i64(jw_t *w, int64_t v);
void jw_u64(jw_t *w, uint64_t v);
void jw_bool(jw_t *w, bool v);
void jw_null(jw_t *w);
/* Text that is already one JSON value, such as json_raw() of a parsed node; not checked again. */
void jw_raw(jw_t *w, str_t json);
/* Key and value in one line. jw_kstr_if leaves an empty value out. */
void jw_kstr(jw_t *w, const char *key, str_t v);
void jw_kstr_if(jw_t *w, const char *key, str_t v);
void jw_ki64(jw_t *w, const char *key, int64_t v);
void jw_ku64(jw_t *w, const char *key, uint64_t v);
void jw_kbool(jw_t *w, const char *key, bool v);
void jw_knull(jw_t *w, const char *key);
void jw_kraw(jw_t *w, const char *key, str_t json);
void jw_kobject(jw_t *w, const char *key);
void jw_karray(jw_t *w, const char *key);
/* Appends `s` as a quoted JSON string; ERR_UTF8 (nothing appended), ERR_LIMIT. */
MUST err_t json_quote(buf_t *b, str_t s);
/* Appends JSON text that was parsed as one line for every reader of lines: CR and LF between tokens become
 * blanks, and U+0085, U+2028, U+2029 inside strings, where Python's splitlines and its kind end a line too,
 * become escapes, which mean the same. At most JSON_LINE_GROWTH bytes for one. ERR_LIMIT. */
enum { JSON_LINE_GROWTH = 3 };
MUST err_t json_line(buf_t *b, str_t json);

/* --- canonical form ----------------------------------------------------------------------------------- */

/* RFC 8785 form of a parsed tree. Numbers it would round or change (integers beyond 2^53 - 1, decimals
 * that do not round-trip, -0, overflow) are ERR_NUMBER: two arguments never share a digest (ledger.md
 * 11.3). ERR_LIMIT at the arena's cap. */
MUST err_t jcs_write(arena_t *a, const json_t *node, str_t *out);
/* A finite double as ECMAScript prints it (RFC 8785 3.2.2.3); ERR_NUMBER for NaN and infinities. */
enum { JCS_NUMBER_BYTES = 32 };
MUST err_t jcs_number(double v, char out[static JCS_NUMBER_BYTES], size_t *out_n);
/* JCS-S, the subset of ledger.md 11.1: keys, integers, depth, size. ERR_VALUE, ERR_NUMBER, ERR_LIMIT. */
MUST err_t jcs_s_check(const json_t *root);
/* Parses a JCS-S document and insists that its bytes are the canonical ones (ERR_SYNTAX otherwise). */
MUST err_t jcs_s_parse(arena_t *a, str_t text, const json_t **out, diag_t *diag);
/* jcs_s_check, then the canonical bytes: what is hashed and signed. */
MUST err_t jcs_s_write(arena_t *a, const json_t *root, str_t *out);
/* True when `text` is a JCS-S document whose re-serialisation gives the same bytes. */
bool jcs_s_canonical(arena_t *a, str_t text);

#endif
