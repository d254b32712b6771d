/* jose_int.h: what the files of this room share. */
#ifndef ATTORN_JOSE_INT_H
#define ATTORN_JOSE_INT_H

#include "pure/jose/jose.h"

/* Parses the small strict JSON objects of this room: bounded depth and size, no NUL in strings. */
MUST err_t jose_json(arena_t *a, str_t text, size_t bytes_max, const json_t **out, diag_t *diag);

/* ERR_KEY if `jwk` has a member that only private or symmetric keys have. */
MUST err_t jose_jwk_is_public(const json_t *jwk, diag_t *diag);
/* Reads the public half of a parsed JWK, whatever else it holds. */
MUST err_t jose_jwk_read_pub(const json_t *jwk, crypto_pub_t *out, diag_t *diag);

/* The typ of one slot: equal, or equal behind "application/" (RFC 7515 4.1.9); with `optional` also absent
 * or "JWT". Case-exact: we see no honest sender who plays with it. */
bool jose_typ_fits(str_t typ, str_t expected, bool optional);

/* Random bytes as jti text. */
str_t jose_jti(arena_t *a, const uint8_t random[16]);
/* jti of a proof or assertion: required, JOSE_JTI_BYTES_MIN..MAX visible characters. */
MUST err_t jose_jti_read(const json_t *claims, str_t *out, diag_t *diag);

/* Finishes `w`, takes the text out of `b` into the arena. */
MUST err_t jose_take(arena_t *a, jw_t *w, buf_t *b, str_t *out);

/* Says what would be wrong if the next check failed; a diag is read after a failure only. */
#define jose_say(diag, ...) diag_set((diag), 0, 0, __VA_ARGS__)

#endif
