/* agent_side.h: what an agent does with its key: delegated tokens, capabilities, proofs (wire.md 4). Shared
 * by attorn token, attorn http and attorn mcp.
 * Owns: the key, the delegated token, the nonces. Threads: any; one agent_t is shared by the calls of one
 * shim. Locks are held for an exchange of the delegated token and for copying, never for a call.
 * Forbidden: a token, a proof or a key on stdout or stderr (attorn token get and capability excepted). */
#ifndef ATTORN_CLI_AGENT_SIDE_H
#define ATTORN_CLI_AGENT_SIDE_H

#include <pthread.h>

#include "app/cli/cli_int.h"

enum { AGENT_NONCE_BYTES_MAX = 128 };

typedef struct {
	cli_t *c;
	const char *route;
	crypto_key_t *key; /* registered; or of this process alone when the node vouches for it */
	const char *workload; /* the node's socket; NULL: the key is registered */
	str_t grant;
	pthread_mutex_t token_lock; /* place and token: who needs them waits for who fetches them */
	bool placed;
	str_t client_id, issuer, token_url, resource; /* resource: URL of the route */
	buf_t token; /* the delegated token */
	int64_t token_until_s;
	pthread_mutex_t nonce_lock;
	char nonce[AGENT_NONCE_BYTES_MAX], route_nonce[AGENT_NONCE_BYTES_MAX]; /* of authority and gateway */
} agent_t;

/* From --key, --agent, --grant, --issuer; without a key, inside a run, the node says who we are. `route` is a
 * name or a route URL. Reads the key file and speaks to nobody. An exit status. */
int agent_open(cli_t *c, const char *route, agent_t *out);
void agent_close(agent_t *g);
/* Finds out where authority and route are, asking the working directory's authority unless both were given
 * as URLs. Prints what is wrong; an exit status. The others below call it when nobody has. */
int agent_place(agent_t *g);

/* The delegated token, fetched or still fresh, copied into the arena. */
MUST err_t agent_token(agent_t *g, arena_t *a, str_t *out, diag_t *diag);
/* The same only if it is there: ERR_NO_TOKEN. Asks nobody. */
MUST err_t agent_token_held(agent_t *g, arena_t *a, str_t *out);
/* Forgets the delegated token: somebody refused it. */
void agent_token_drop(agent_t *g);
/* A capability for one item in digest form (JSON object). */
MUST err_t agent_capability(agent_t *g, arena_t *a, str_t item, str_t *out, diag_t *diag);
/* A DPoP proof for a request to the route with this token, or to the authority (token STR_NULL). */
MUST err_t agent_proof(agent_t *g, arena_t *a, str_t method, str_t url, str_t token, str_t *out);
/* Keeps the DPoP-Nonce of a gateway's answer, if it has one; false when it has not. */
bool agent_route_nonce(agent_t *g, net_headers_t headers);
/* POSTs `token` to an endpoint of the authority ("/oauth/introspect", "/oauth/revoke"). */
MUST err_t agent_ask(agent_t *g, arena_t *a, str_t endpoint, str_t token, net_response_t *out, diag_t *diag);

/* authorization_details item in digest form for one MCP tool call. */
MUST err_t agent_item_mcp(agent_t *g, arena_t *a, str_t tool, const json_t *args, str_t *out);

#endif
