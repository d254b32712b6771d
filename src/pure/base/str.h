/* str.h: the two string types. str_t borrows, buf_t owns and grows to a maximum it is told at birth.
 * Threads: any. Forbidden: C strings outside library calls; a str_t that outlives its bytes. */
#ifndef ATTORN_BASE_STR_H
#define ATTORN_BASE_STR_H

#include <stddef.h>
#include <string.h>

#include "pure/base/err.h"

/* Bytes by pointer and length; never owns; may hold any byte. The empty string may have p == NULL. */
typedef struct {
	const char *p;
	size_t n;
} str_t;

#define STR(lit) ((str_t){ "" lit, sizeof(lit) - 1 })
#define STR_INIT(lit) { "" lit, sizeof(lit) - 1 }
#define STR_NULL ((str_t){ NULL, 0 })
/* For printf: "%.*s", STR_ARG(s). Only for text known to be printable. */
#define STR_ARG(s) (int)(s).n, (s).p

static inline str_t str_of(const char *cstr) { return (str_t){ cstr, cstr ? strlen(cstr) : 0 }; }
static inline str_t str_bytes(const void *p, size_t n) { return (str_t){ (const char *)p, n }; }
/* Compares public bytes; not constant time. */
bool str_eq(str_t a, str_t b);
/* Compares secret bytes of equal length in constant time; different lengths are unequal at once. */
bool ct_eq(const void *a, const void *b, size_t n);
bool str_eq_nocase(str_t a, str_t b); /* ASCII only */
int str_cmp(str_t a, str_t b); /* by bytes, like memcmp then length */
bool str_starts(str_t s, str_t prefix);
bool str_ends(str_t s, str_t suffix);
/* Index of the first `c`, or s.n. */
size_t str_find(str_t s, char c);
size_t str_find_last(str_t s, char c);
bool str_contains(str_t s, str_t needle);
/* Part from `from` of at most `n` bytes; clamps to the string. */
str_t str_sub(str_t s, size_t from, size_t n);
str_t str_trim(str_t s); /* blanks: space, tab, CR, LF */
/* Cuts off the piece before the first `sep` and moves `rest` behind it; false when rest was empty
 * (rest->p == NULL). A string without `sep` is its own last piece. */
bool str_split(str_t *rest, char sep, str_t *out_piece);
/* True when a blank-separated list (OAuth scope syntax) holds `word`. */
bool str_list_has(str_t list, str_t word);
bool str_is_utf8(str_t s); /* RFC 3629: no surrogates, no overlong forms; NUL is accepted */
bool str_has_nul(str_t s);
/* Visible ASCII 0x21..0x7e only, at least one byte. */
bool str_is_visible(str_t s);
/* Decimal without sign, leading zeros, blanks; ERR_SYNTAX, ERR_LIMIT above max. */
MUST err_t str_to_u64(str_t s, uint64_t max, uint64_t *out);

/* Growable bytes with a hard maximum. Zero-initialised is not valid: buf_init first. A failed append
 * leaves the content as it was and marks the buffer: buf_err() tells, so builders may append freely
 * and check once. */
typedef struct {
	char *p;
	size_t n, cap, max;
	bool overflow;
} buf_t;
void buf_init(buf_t *b, size_t max);
void buf_done(buf_t *b);
/* buf_done that wipes first. */
void buf_wipe(buf_t *b);
static inline str_t buf_str(const buf_t *b) { return (str_t){ b->p, b->n }; }
static inline void buf_clear(buf_t *b) { b->n = 0, b->overflow = false; }
/* ERR_LIMIT when some append did not fit. */
MUST err_t buf_err(const buf_t *b);
void buf_add(buf_t *b, str_t s);
void buf_byte(buf_t *b, char c);
void buf_printf(buf_t *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes (n <= b->n). */
void buf_drop(buf_t *b, size_t n);
/* Room for n more bytes, to be filled by a library and committed by buf_grew; ERR_LIMIT. */
MUST err_t buf_room(buf_t *b, size_t n, char **out);
static inline void buf_grew(buf_t *b, size_t n) { b->n += n; }
static inline void buf_done_auto_(buf_t *b) { buf_done(b); }
static inline void buf_wipe_auto_(buf_t *b) { buf_wipe(b); }

#endif
