/* gateway_int.h: what the files of gateway share: the gateway itself. */
#ifndef ATTORN_GATEWAY_INT_H
#define ATTORN_GATEWAY_INT_H

#include "service/gateway/gateway.h"
#include "service/gateway/limits.h"
#include "service/gateway/proofs.h"

typedef struct call call_t;
typedef struct stdio stdio_t;
typedef struct visit visit_t;

struct gateway {
	gateway_deps_t deps;
	arena_t *a; /* of the process: texts made once */
	str_t host, origin; /* of deps.url: "127.0.0.1:7481", "http://127.0.0.1:7481" */
	str_t via; /* SPIFFE ID in records */
	proofs_t *proofs;
	snapshot_tokens_t *tokens;
	call_t *calls; /* live, newest first */
	size_t n_calls;
	stdio_t *stdio; /* one per stdio route */
	struct mcp_sessions *sessions; /* what outlives one request of an HTTP upstream's sessions */
	size_t n_talks; /* live flows of mcp.c */
	bool closing, is_gone;
	void (*closed)(void *owner);
	void *closed_owner;
	loop_timer_t last_words; /* outcomes on their way when all else is gone */
	unsigned last_words_waits;
};

/* gateway.c */
void gateway_closed_check(gateway_t *g); /* calls `closed` when nothing is left */

/* origin.c: Host and Origin (G4), CORS (G25). */
MUST err_t origin_check(const gateway_t *g, net_exchange_t *x, str_t *out_origin);
bool origin_is_preflight(net_exchange_t *x);
void origin_preflight(net_exchange_t *x, str_t origin);
/* Adds CORS headers for an allowed origin; returns how many. */
enum { ORIGIN_HEADERS_MAX = 3 };
size_t origin_headers(str_t origin, net_header_t out[ORIGIN_HEADERS_MAX]);

/* metadata.c: RFC 9728, and the challenges that name it. */
void metadata_handle(gateway_t *g, net_exchange_t *x, str_t origin);
/* WWW-Authenticate of a 401 or 403: Bearer first (mcp.md 5.2), then DPoP. `error` may be empty. */
str_t metadata_challenge(arena_t *a, const gateway_t *g, const snapshot_route_t *route, str_t error);
/* Blank-separated scopes that the tools of a route need. */
str_t metadata_scopes(arena_t *a, const snapshot_route_t *route);

#endif
