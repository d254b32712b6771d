/* text.h: bytes as text: base64url, base64, hex, PEM. Decoders accept one spelling of each value and
 * refuse the others (ERR_SYNTAX); more than `max` decoded bytes is ERR_LIMIT. Decoding and encoding take
 * no branch and no table index from the bytes, so key material may pass through.
 * Owns: nothing; results live in the arena, secrets in their slot. Threads: any. */
#ifndef ATTORN_CODEC_TEXT_H
#define ATTORN_CODEC_TEXT_H

#include "pure/base/base.h"

/* base64url without padding (RFC 4648 5, RFC 7515 2). Encoders that return a str_t take at most
 * TEXT_ENC_BYTES_MAX bytes (CHECK): digests, keys, signatures, headers; the _add forms take any size and
 * leave overflow to buf_err. */
str_t b64url_enc(arena_t *a, str_t bytes);
void b64url_add(buf_t *b, str_t bytes);
/* No padding, no white space, trailing bits zero. */
MUST err_t b64url_dec(arena_t *a, str_t text, size_t max, str_t *out);
/* Exactly n bytes into `out` (ERR_VALUE for another length): digests, keys, nonces. */
MUST err_t b64url_dec_exact(str_t text, void *out, size_t n);
MUST err_t b64url_dec_secret(str_t text, secret_t *out);

/* base64 with padding (RFC 4648 4), strict likewise. */
str_t b64_enc(arena_t *a, str_t bytes);
void b64_add(buf_t *b, str_t bytes);
MUST err_t b64_dec(arena_t *a, str_t text, size_t max, str_t *out);
MUST err_t b64_dec_secret(str_t text, secret_t *out);

/* Lower-case hex; upper case is refused. */
str_t hex_enc(arena_t *a, str_t bytes);
void hex_add(buf_t *b, str_t bytes);
MUST err_t hex_dec(arena_t *a, str_t text, size_t max, str_t *out);
MUST err_t hex_dec_exact(str_t text, void *out, size_t n);
MUST err_t hex_dec_secret(str_t text, secret_t *out);

/* One PEM block with this label (RFC 7468, strict form: lines of 64, no headers, nothing around it but
 * white space). Another label is ERR_VALUE. */
MUST err_t pem_dec(arena_t *a, str_t text, str_t label, size_t max, str_t *out_der);
MUST err_t pem_dec_secret(str_t text, str_t label, secret_t *out_der);
/* Appends a block; for a private key give a buffer that ends in buf_wipe. */
void pem_add(buf_t *b, str_t label, str_t der);

#endif
