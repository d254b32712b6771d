/* metadata.c: what a client may read about us: RFC 8414 document and public token keys. */
#include "service/broker/broker_int.h"

static void strings(jw_t *w, const char *key, const char *const list[], size_t n)
{
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++) {
		jw_str(w, str_of(list[i]));
	}
	jw_end(w);
}
#define STRINGS(w, key, ...)                                                                       \
	strings((w), (key), (const char *const[]){ __VA_ARGS__ },                                  \
		ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

static void kurl(jw_t *w, arena_t *a, const char *key, str_t issuer, const char *path)
{
	jw_kstr(w, key, arena_cat(a, issuer, str_of(path)));
}

static void scopes_write(jw_t *w, const snapshot_t *s)
{
	str_t list, word;

	jw_karray(w, "scopes_supported");
	for (size_t i = 0; i < s->c.n_roles; i++) {
		list = s->c.roles[i].permissions;
		while (list.n && str_split(&list, ' ', &word)) {
			jw_str(w, word);
		}
	}
	jw_end(w);
}

static void document_write(jw_t *w, arena_t *a, const broker_t *b, const snapshot_t *s)
{
	str_t issuer = b->deps.issuer;

	jw_object(w);
	jw_kstr(w, "issuer", issuer);
	kurl(w, a, "token_endpoint", issuer, "/oauth/token");
	kurl(w, a, "jwks_uri", issuer, "/keys");
	kurl(w, a, "introspection_endpoint", issuer, "/oauth/introspect");
	kurl(w, a, "revocation_endpoint", issuer, "/oauth/revoke");
	STRINGS(w, "grant_types_supported", "urn:ietf:params:oauth:grant-type:token-exchange", "client_credentials");
	STRINGS(w, "response_types_supported", "none"); /* REQUIRED by RFC 8414 2; there is no authorization endpoint yet */
	STRINGS(w, "token_endpoint_auth_methods_supported", "private_key_jwt");
	STRINGS(w, "token_endpoint_auth_signing_alg_values_supported", "EdDSA", "ES256");
	STRINGS(w, "introspection_endpoint_auth_methods_supported", "private_key_jwt");
	STRINGS(w, "revocation_endpoint_auth_methods_supported", "private_key_jwt");
	STRINGS(w, "dpop_signing_alg_values_supported", "EdDSA", "ES256");
	STRINGS(w, "authorization_details_types_supported", "mcp_tool_call", "http_request");
	scopes_write(w, s);
	jw_end(w);
}

static void reply_json(net_exchange_t *x, jw_t *w, buf_t *body)
{
	const net_header_t headers[] = {
		{ STR("Content-Type"), STR("application/json") },
		{ STR("Cache-Control"), STR("public, max-age=60") },
	};

	if (jw_finish(w) == OK) {
		net_reply(x, 200, (net_headers_t){ headers, ARRAY_LEN(headers) }, buf_str(body));
	} else {
		net_reply_error(x, ERR_INTERNAL);
	}
}

void broker_metadata_handle(broker_t *b, net_exchange_t *x)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(feed_view_unref) const feed_view_t *view = feed_pin(b->deps.feed);
	AUTO(buf_done) buf_t body;
	jw_t w;

	buf_init(&body, BROKER_DOCUMENT_BYTES_MAX);
	if (!str_eq(net_method(x), STR("GET"))) {
		net_reply_error(x, ERR_METHOD);
		return;
	}
	jw_init(&w, &body);
	document_write(&w, a, b, view->snapshot);
	reply_json(x, &w, &body);
}

void broker_keys_handle(broker_t *b, net_exchange_t *x)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(feed_view_unref) const feed_view_t *view = feed_pin(b->deps.feed);
	str_t json;

	if (!str_eq(net_method(x), STR("GET"))) {
		net_reply_error(x, ERR_METHOD);
		return;
	}
	if (jose_jwks_write(a, &view->snapshot->c.token_keys, &json) != OK) {
		net_reply_error(x, ERR_INTERNAL);
		return;
	}
	const net_header_t headers[] = {
		{ STR("Content-Type"), STR("application/jwk-set+json") },
		{ STR("Cache-Control"), STR("public, max-age=60") },
	};
	net_reply(x, 200, (net_headers_t){ headers, ARRAY_LEN(headers) }, json);
}
