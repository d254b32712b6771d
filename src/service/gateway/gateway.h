/* gateway.h: the action proxy (wire.md 5, mcp.md, oauth.md 16): verifies, decides, asks admit, injects
 * the credential, forwards the bytes it evaluated, reports the outcome. One flow, call, told in call.c.
 *
 * Owns: stdio upstreams, upstream sessions in flight. Nothing durable, no signing key, no store.
 * Threads: the loop's. Limits: limits.h. Forbidden: a forwarded byte without an admit; the client's
 * token towards an upstream; the route's credential towards anybody else. */
#ifndef ATTORN_GATEWAY_H
#define ATTORN_GATEWAY_H

#include "engine/net/net.h"
#include "service/admit/client.h"
#include "service/feed/client.h"

typedef struct gateway gateway_t;

typedef struct {
	loop_t *loop;
	net_client_t *net; /* towards upstreams */
	lane_t *cpu; /* policy evaluation that is too long for the loop */
	feed_client_t *feed;
	admit_client_t *admit;
	str_t url; /* configured public URL, no trailing slash */
	str_t mtls_host; /* what Host says on the mTLS listener; empty: there is none */
	str_t issuer, trust_domain, instance;
	const char *const *allow_origins;
	size_t n_allow_origins;
	size_t body_bytes_max; /* of the listener; answered with 413 there */
	str_t child_path, child_home, child_lang; /* PATH, HOME, LANG of stdio children; empty: defaults */
} gateway_deps_t;

MUST err_t gateway_new(const gateway_deps_t *deps, gateway_t **out);
/* Ends stdio children (W3) and cancels calls; `done` from a later turn. */
void gateway_close(gateway_t *g, void (*done)(void *owner), void *owner);

/* /r/ROUTE[/...] and /.well-known/oauth-protected-resource[/...]. */
void gateway_handle(gateway_t *g, net_exchange_t *x);

/* For feed_client_deps_t: cuts calls and sessions under a grant that ended; takes up a new view
 * (starts, restarts or ends stdio upstreams whose route changed). */
void gateway_grant_revoked(gateway_t *g, str_t grant);
void gateway_view_changed(gateway_t *g);

#endif
