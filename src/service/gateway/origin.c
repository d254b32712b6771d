/* origin.c: who may talk to this door from a browser: nobody, unless the operator named its origin. */
#include "service/gateway/gateway_int.h"

static bool origin_is_allowed(const gateway_t *g, str_t origin)
{
	if (str_eq(origin, g->origin)) {
		return true;
	}
	for (size_t i = 0; i < g->deps.n_allow_origins; i++) {
		if (str_eq(origin, str_of(g->deps.allow_origins[i]))) {
			return true;
		}
	}
	return false;
}

/* A page that had a name of its own resolved to us shows itself by its Host (DNS rebinding). */
err_t origin_check(const gateway_t *g, net_exchange_t *x, str_t *out_origin)
{
	str_t origin = STR_NULL;

	str_t host = net_peer(x)->tls ? g->deps.mtls_host : g->host;

	ENSURE(host.n && str_eq_nocase(net_host(x), host), ERR_HOST);
	err_t e = net_header(x, STR("Origin"), &origin);
	ENSURE(e == OK || e == ERR_NOT_FOUND, ERR_HOST);
	ENSURE(e == ERR_NOT_FOUND || origin_is_allowed(g, origin), ERR_HOST);
	*out_origin = origin;
	return OK;
}

bool origin_is_preflight(net_exchange_t *x)
{
	str_t method;

	return str_eq(net_method(x), STR("OPTIONS"))
		&& net_header(x, STR("Access-Control-Request-Method"), &method) == OK;
}

size_t origin_headers(str_t origin, net_header_t out[ORIGIN_HEADERS_MAX])
{
	if (!origin.n) {
		return 0;
	}
	out[0] = (net_header_t){ STR("Access-Control-Allow-Origin"), origin };
	out[1] = (net_header_t){ STR("Access-Control-Expose-Headers"),
		STR("Mcp-Session-Id, WWW-Authenticate, Mcp-Protocol-Version") };
	out[2] = (net_header_t){ STR("Vary"), STR("Origin") };
	return 3;
}

/* Without authorization: browsers send none (mcp.md 5.3). */
void origin_preflight(net_exchange_t *x, str_t origin)
{
	net_header_t h[ORIGIN_HEADERS_MAX + 2];
	size_t n = origin_headers(origin, h);

	if (n > 0) {
		h[n++] = (net_header_t){ STR("Access-Control-Allow-Methods"), STR("GET, POST, DELETE, OPTIONS") };
		h[n++] = (net_header_t){ STR("Access-Control-Allow-Headers"),
			STR("authorization, dpop, content-type, accept, mcp-protocol-version, mcp-session-id, "
			    "last-event-id, mcp-method, mcp-name") };
	}
	net_reply(x, 204, (net_headers_t){ h, n }, STR_NULL);
}
