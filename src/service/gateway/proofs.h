/* proofs.h: proofs of session and list requests seen lately (oauth 5): one proof opens one of them in
 * this process. Calls are spent by admit instead. Full means no: an entry is never pushed out early.
 * Owns: its table. Threads: the loop's. */
#ifndef ATTORN_GATEWAY_PROOFS_H
#define ATTORN_GATEWAY_PROOFS_H

#include "pure/base/base.h"

typedef struct proofs proofs_t;

/* Remembers each proof for at least window_s and less than twice that. */
proofs_t *proofs_new(int64_t window_s, size_t count_max);
void proofs_free(proofs_t *p); /* accepts NULL */
/* ERR_REPLAY when (jkt, jti) was taken before, ERR_THROTTLED when the memory is full. */
MUST err_t proofs_take(proofs_t *p, str_t jkt, str_t jti, int64_t now_unix_s);

#endif
