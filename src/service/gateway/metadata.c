/* metadata.c: what a route says of itself to clients that have no token (RFC 9728, RFC 6750 3). */
#include "service/gateway/gateway_int.h"

enum { SCOPES_BYTES_MAX = 8 << 10, METADATA_BYTES_MAX = 16 << 10 };

static const str_t well_known = STR_INIT("/.well-known/oauth-protected-resource");

static void scope_add(buf_t *b, str_t scope)
{
	if (!scope.n || str_list_has(buf_str(b), scope)) {
		return;
	}
	if (b->n) {
		buf_byte(b, ' ');
	}
	buf_add(b, scope);
}

str_t metadata_scopes(arena_t *a, const snapshot_route_t *r)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, SCOPES_BYTES_MAX); /* what does not fit is left out: it is a hint */
	for (size_t i = 0; i < r->n_tools; i++) {
		scope_add(&b, r->tools[i].scope);
	}
	for (size_t i = 0; i < r->n_rules; i++) {
		scope_add(&b, r->rules[i].scope);
	}
	scope_add(&b, r->default_scope);
	return arena_str(a, buf_str(&b));
}

str_t metadata_challenge(arena_t *a, const gateway_t *g, const snapshot_route_t *route, str_t error)
{
	str_t url = arena_cat(a, g->deps.url, well_known, STR("/r/"), route->name);
	str_t scopes = metadata_scopes(a, route);
	str_t scope = scopes.n && scopes.n < 1024 ? arena_cat(a, STR(", scope=\""), scopes, STR("\"")) : STR("");
	str_t why = error.n ? arena_cat(a, STR(", error=\""), error, STR("\"")) : STR("");

	/* first scheme Bearer, or some clients see none (mcp.md 5.2) */
	return arena_cat(a, STR("Bearer resource_metadata=\""), url, STR("\""), scope, why,
		STR(", DPoP algs=\"EdDSA ES256\""), why);
}

static err_t metadata_write(arena_t *a, const gateway_t *g, const snapshot_route_t *r, buf_t *out)
{
	str_t scopes = metadata_scopes(a, r), scope;
	jw_t w;

	jw_init(&w, out);
	jw_object(&w);
	jw_kstr(&w, "resource", r->url);
	jw_karray(&w, "authorization_servers");
	jw_str(&w, g->deps.issuer);
	jw_end(&w);
	jw_karray(&w, "scopes_supported");
	while (scopes.n && str_split(&scopes, ' ', &scope)) {
		jw_str(&w, scope);
	}
	jw_end(&w);
	jw_karray(&w, "bearer_methods_supported");
	jw_str(&w, STR("header"));
	jw_end(&w);
	jw_karray(&w, "dpop_signing_alg_values_supported");
	jw_str(&w, STR("EdDSA"));
	jw_str(&w, STR("ES256"));
	jw_end(&w);
	jw_kbool(&w, "dpop_bound_access_tokens_required", g->deps.mtls_host.n == 0);
	if (g->deps.mtls_host.n) {
		jw_kbool(&w, "tls_client_certificate_bound_access_tokens", true); /* RFC 9728 2 */
	}
	jw_kstr(&w, "resource_name", r->name);
	jw_end(&w);
	return jw_finish(&w);
}

static void metadata_reply(gateway_t *g, net_exchange_t *x, str_t origin, const snapshot_route_t *r)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_done) buf_t b = { 0 };
	net_header_t h[ORIGIN_HEADERS_MAX + 1] = { { STR("Content-Type"), STR("application/json") } };
	size_t n = 1 + origin_headers(origin, h + 1);

	buf_init(&b, METADATA_BYTES_MAX);
	err_t e = metadata_write(a, g, r, &b);
	if (e != OK) {
		net_reply_error(x, e);
		return;
	}
	net_reply(x, 200, (net_headers_t){ h, n }, buf_str(&b));
}

void metadata_handle(gateway_t *g, net_exchange_t *x, str_t origin)
{
	str_t path = str_sub(net_path(x), well_known.n, net_path(x).n);
	const feed_view_t *view;

	if (!str_eq(net_method(x), STR("GET"))) {
		net_reply_error(x, ERR_METHOD);
		return;
	}
	view = feed_client_pin(g->deps.feed);
	const snapshot_route_t *r =
		view && str_starts(path, STR("/r/")) ? snapshot_route(view->snapshot, str_sub(path, 3, path.n)) : NULL;
	if (r) {
		metadata_reply(g, x, origin, r);
	} else {
		net_reply_error(x, ERR_NOT_FOUND);
	}
	feed_view_unref(view);
}
