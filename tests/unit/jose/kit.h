/* kit.h: what the tests of jose share: keys, a clock, and tokens made to order. */
#ifndef ATTORN_TEST_JOSE_KIT_H
#define ATTORN_TEST_JOSE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pure/jose/jose.h"

enum { NOW = 1795000000 }; /* 2026 */

extern arena_t *arena;
extern crypto_key_t *ed, *ed2, *p256; /* Ed25519 twice, P-256 */

int kit_setup(void **state);
int kit_teardown(void **state);

/* A JWS with exactly these header and payload bytes, truly signed by `key` (alg is whatever the header
 * says: the signature itself is key's own). */
str_t kit_jws(const crypto_key_t *key, str_t header, str_t payload);
/* Replaces `from`, which must occur, by `to`. */
str_t kit_swap(str_t text, const char *from, const char *to);
/* Adds `seconds` to the clock. */
str_t kit_time(int64_t seconds);

#endif
