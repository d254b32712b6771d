/* workload.h: what a program inside a run asks the node: its identity, over the SPIFFE Workload API.
 * Owns: nothing. Threads: any. Forbidden: keeping a token longer than a request; the admin socket. */
#ifndef ATTORN_CLI_WORKLOAD_H
#define ATTORN_CLI_WORKLOAD_H

#include "pure/base/base.h"

/* The socket of this machine's node, as the environment says (Workload Endpoint 4); NULL: none. */
const char *workload_address(void);
/* A JWT-SVID of the default identity for one audience. ERR_UNAVAILABLE, ERR_CONFIG, ERR_CLIENT (the node
 * knows no identity for this process); diag says why. */
MUST err_t workload_jwt(arena_t *a, const char *address, str_t audience, str_t *out_token, str_t *out_id, diag_t *diag);

#endif
