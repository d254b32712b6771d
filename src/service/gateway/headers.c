/* headers.c: two lists, each with its reason in headers.h. */
#include "service/gateway/headers.h"

static const str_t upstream_takes[] = {
	STR_INIT("Accept"), STR_INIT("Accept-Language"), STR_INIT("Accept-Encoding"), STR_INIT("Content-Type"),
	STR_INIT("Content-Encoding"), STR_INIT("Content-Language"), STR_INIT("If-Match"), STR_INIT("If-None-Match"),
	STR_INIT("If-Modified-Since"), STR_INIT("If-Unmodified-Since"), STR_INIT("Range"), STR_INIT("If-Range"),
	STR_INIT("Prefer"), STR_INIT("Idempotency-Key"), STR_INIT("User-Agent"), STR_INIT("Traceparent"),
	STR_INIT("Tracestate"),
};

/* Upstream's own authentication, sessions and caching speak to the gateway; CORS here is the door's. */
static const str_t client_misses[] = {
	STR_INIT("Set-Cookie"), STR_INIT("Set-Cookie2"), STR_INIT("WWW-Authenticate"),
	STR_INIT("Authentication-Info"), STR_INIT("Authorization"), STR_INIT("Alt-Svc"),
	STR_INIT("Strict-Transport-Security"), STR_INIT("Public-Key-Pins"), STR_INIT("Cache-Control"),
	STR_INIT("Expires"), STR_INIT("Age"), STR_INIT("Pragma"), STR_INIT("Mcp-Session-Id"), STR_INIT("Server"),
	STR_INIT("Date"), STR_INIT("Via"), STR_INIT("X-Powered-By"), STR_INIT("X-Content-Type-Options"),
	STR_INIT("Clear-Site-Data"), STR_INIT("Vary"), STR_INIT("Refresh"), STR_INIT("DPoP-Nonce"),
};

static bool is_among(const str_t *names, size_t n, str_t name)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq_nocase(names[i], name)) {
			return true;
		}
	}
	return false;
}

err_t headers_to_upstream(arena_t *a, net_headers_t in, net_header_t credential, net_headers_t *out)
{
	net_header_t *v = arena_array(a, net_header_t, HEADERS_PASS_MAX);
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		str_t name = in.v[i].name, value;
		if (!is_among(upstream_takes, ARRAY_LEN(upstream_takes), name)
			|| str_eq_nocase(name, credential.name) || net_header_is_hop(in, name)) {
			continue;
		}
		if (!str_eq_nocase(name, STR("Accept"))) {
			TRY(net_headers_get(in, name, &value)); /* a list may stand in lines, the rest only once */
		}
		ENSURE(n < HEADERS_PASS_MAX - 1, ERR_LIMIT);
		v[n++] = in.v[i];
	}
	if (credential.name.n) {
		v[n++] = credential;
	}
	*out = (net_headers_t){ v, n };
	return OK;
}

static bool is_for_us(net_headers_t in, str_t name, str_t credential_name)
{
	static const str_t cors = STR_INIT("Access-Control-");

	return net_header_is_hop(in, name) || is_among(client_misses, ARRAY_LEN(client_misses), name)
		|| str_eq_nocase(name, credential_name) || str_eq_nocase(str_sub(name, 0, cors.n), cors);
}

err_t headers_to_client(arena_t *a, net_headers_t in, str_t credential_name, net_headers_t *out)
{
	net_header_t *v = arena_array(a, net_header_t, HEADERS_PASS_MAX);
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (is_for_us(in, in.v[i].name, credential_name)) {
			continue;
		}
		ENSURE(n < HEADERS_PASS_MAX, ERR_LIMIT);
		v[n++] = in.v[i];
	}
	*out = (net_headers_t){ v, n };
	return OK;
}
