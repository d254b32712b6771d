/* agent_side.h: what an agent does with its key: delegated tokens, capabilities, proofs. Shared by
 * attorn token, attorn http and attorn mcp. Threads: one agent_t per thread is not needed: agent_token
 * and agent_capability take its lock. */
#ifndef ATTORN_CLI_AGENT_SIDE_H
#define ATTORN_CLI_AGENT_SIDE_H

#include <pthread.h>

#include "app/cli/cli_int.h"

typedef struct {
	crypto_key_t *key;
	str_t client_id, issuer, token_url, grant, resource; /* resource: URL of the route */
	pthread_mutex_t lock; /* nonce and token are shared by the calls of one shim */
	char nonce[128];
	buf_t token; /* the delegated token */
	int64_t token_until_s;
} agent_t;

/* From --key, --agent, --grant, --issuer; `route` is a name or a route URL. An exit status. */
int agent_open(cli_t *c, const char *route, agent_t *out);
void agent_close(agent_t *g);

/* The delegated token, fetched or still fresh, copied into the arena. */
MUST err_t agent_token(agent_t *g, arena_t *a, str_t *out, diag_t *diag);
/* A capability for one item in digest form (JSON object). */
MUST err_t agent_capability(agent_t *g, arena_t *a, str_t item, str_t *out, diag_t *diag);
/* A DPoP proof for a request with this token; action_digest STR_NULL normally. */
MUST err_t agent_proof(agent_t *g, arena_t *a, str_t method, str_t url, str_t token, str_t *out);

#endif
