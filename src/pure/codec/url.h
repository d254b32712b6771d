/* url.h: absolute URLs, percent-encoding, paths that bounds speak of, and forms. One spelling is read,
 * the doubtful ones are refused: userinfo, non-ASCII, backslash, control bytes, bad or %00 escapes, odd
 * forms of IPv4, a trailing dot.
 * Owns: nothing; results live in the arena or borrow from the input. Threads: any. Limits: limits.h. */
#ifndef ATTORN_CODEC_URL_H
#define ATTORN_CODEC_URL_H

#include "pure/base/base.h"

typedef struct {
	str_t scheme; /* lower case */
	str_t host; /* lower case; IPv6 in its RFC 5952 form without brackets */
	bool host_is_ipv6;
	uint16_t port; /* given, or the default of http 80, https 443, ws, wss; else 0 */
	str_t path; /* as sent, still escaped; "" or begins with '/' */
	str_t query; /* as sent, without '?'; p == NULL when there is none */
	str_t fragment; /* likewise, without '#' */
} url_t;

enum { URL_FRAGMENT = 1 }; /* flag: a fragment is allowed */

/* Parses scheme://host[:port][/path][?query][#fragment] after RFC 3986. ERR_SYNTAX, ERR_LIMIT. */
MUST err_t url_parse(arena_t *a, str_t text, unsigned flags, url_t *out);
/* True for http on a loopback host (127.0.0.0/8, ::1, localhost) and for https anywhere. */
bool url_is_secure(const url_t *u);
bool url_is_loopback(const url_t *u);
/* "https://host[:port]", port only when it is not the default; IPv6 in brackets. */
str_t url_origin(arena_t *a, const url_t *u);
bool url_same_origin(const url_t *x, const url_t *y);
/* The form in which two htu values are equal (RFC 9449 4.3, RFC 3986 6.2.2-3): scheme and host lower case,
 * default port gone, empty path "/", escapes upper case and none of unreserved bytes, no query, no
 * fragment. A path with a dot segment is ERR_VALUE. */
MUST err_t url_normalize_htu(arena_t *a, str_t text, str_t *out);
/* Splits the target of a request in origin form (RFC 9112 3.2.1) into path and query (p == NULL: none),
 * both still escaped, their bytes checked as in url_parse. */
MUST err_t url_target_split(str_t target, str_t *out_path, str_t *out_query);
/* Decodes the escapes of a path. ERR_SYNTAX for a bad one or %00, ERR_VALUE for an escaped slash or
 * backslash (they would change the segments), ERR_UTF8 if the result is none. '+' stays. */
MUST err_t url_path_decode(arena_t *a, str_t path, str_t *out);

/* Refuses (ERR_VALUE) every path that two readers could take for two places: empty, "." or ".." as a
 * segment, "//", percent, backslash, NUL and other controls, text that is not in Unicode NFC or has a double of '.', '/', '\\', '%'; ERR_UTF8,
 * ERR_LIMIT. A decoded path goes in, absolute or relative; a trailing '/' is fine. (oauth.md P107) */
MUST err_t path_check(str_t path);
/* True when `path` is `dir` or lies below it, by whole segments; both must have passed path_check. */
bool path_is_under(str_t path, str_t dir);
/* True when `s`, valid UTF-8, is in Unicode normalization form C. */
bool text_is_nfc(str_t s);

/* Percent-encoding of everything but the unreserved bytes of RFC 3986 2.3. */
str_t pct_enc(arena_t *a, str_t s); /* at most TEXT_ENC_BYTES_MAX / 2 bytes (CHECK) */
void pct_add(buf_t *b, str_t s);

/* --- application/x-www-form-urlencoded ------------------------------------------------------------ */

typedef struct {
	str_t name, value; /* decoded */
} form_pair_t;
typedef struct {
	const form_pair_t *pairs;
	size_t n;
} form_t;
/* Reads a body or a query. '+' is a blank. ERR_SYNTAX: bad escape, %00, a raw byte outside visible ASCII,
 * an empty pair or name; ERR_UTF8; ERR_LIMIT above max_pairs. (oauth.md P69) */
MUST err_t form_parse(arena_t *a, str_t body, size_t max_pairs, form_t *out);
/* A single-valued parameter: ERR_DUPLICATE if it is repeated, even with the same value. A parameter
 * without a value counts as absent (RFC 6749 3.1). Then out is STR_NULL. A value
 * longer than max_bytes is ERR_LIMIT. */
MUST err_t form_want(const form_t *f, str_t name, size_t max_bytes, str_t *out);
size_t form_count(const form_t *f, str_t name);
/* Appends name=value, with '&' if the buffer holds something. */
void form_add(buf_t *b, str_t name, str_t value);

#endif
