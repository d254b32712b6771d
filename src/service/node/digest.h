/* digest.h: SHA-256 of executables, remembered by what changes when the file does (spiffe.md 13.4 step 4).
 * Hashing is bounded per file and per uid and minute, so that nobody's new binaries starve others.
 * Owns: its memory. Threads: any; locked inside, since several lane threads hash. Limits: limits.h. */
#ifndef ATTORN_NODE_DIGEST_H
#define ATTORN_NODE_DIGEST_H

#include "pure/base/base.h"

typedef struct digest digest_t;
digest_t *digest_new(void);
void digest_free(digest_t *d);
DEFINE_AUTO(digest_t *, digest_free);
/* Digest of the file behind `pinned` (O_PATH is enough); the file read is the one pinned. ERR_LIMIT: too large,
 * ERR_THROTTLED: `uid`'s budget is spent, ERR_CONFLICT: it changed while being read, ERR_IO. */
MUST err_t digest_of(digest_t *d, int pinned, uint32_t uid, uint64_t now_us, uint8_t out[32]);

typedef struct {
	uint64_t hashed, remembered, throttled;
} digest_stat_t;
digest_stat_t digest_stat(digest_t *d);

#endif
