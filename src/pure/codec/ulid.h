/* ulid.h: identifiers that sort by time: 48 bits of milliseconds, 80 bits given by the caller, 26
 * characters of Crockford's base32, upper case. Part of codec.h. */
#ifndef ATTORN_CODEC_ULID_H
#define ATTORN_CODEC_ULID_H

#include "pure/base/base.h"

enum { ULID_BYTES = 26, ULID_RANDOM_BYTES = 10 };

/* Makes one from Unix milliseconds and 10 random bytes. */
str_t ulid_make(arena_t *a, int64_t unix_ms, const uint8_t random[ULID_RANDOM_BYTES]);
/* One with the time of `like` (a valid ULID) and other bytes behind it: for records derived from one. */
MUST err_t ulid_like(arena_t *a, str_t like, const uint8_t bytes[ULID_RANDOM_BYTES], str_t *out);
/* 26 characters of the alphabet, the first at most 7 (128 bits). */
bool ulid_is(str_t s);

#endif
