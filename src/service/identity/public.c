/* public.c: what anybody may read: the bundle (SPIFFE Federation 5), and OIDC discovery of JWT-SVIDs with
 * their keys (spiffe.md 12). Never a token key: those are at /keys of the OAuth issuer. */
#include "service/identity/identity_int.h"

static const str_t no_cache = STR_INIT("no-cache");

static void reply_json(net_exchange_t *x, str_t json)
{
	net_reply_begin(x, 200, NET_HEADERS({ STR("Content-Type"), STR("application/json") },
		{ STR("Access-Control-Allow-Origin"), STR("*") }, { STR("Cache-Control"), no_cache }));
	if (net_reply_chunk(x, json) != OK) {
		net_reply_abort(x);
		return;
	}
	net_reply_end(x);
}

static err_t discovery_write(arena_t *a, str_t issuer, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, 4096);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "authorization_endpoint", STR(""));
	jw_karray(&w, "id_token_signing_alg_values_supported");
	jw_str(&w, STR("ES256"));
	jw_str(&w, STR("RS256"));
	jw_end(&w);
	jw_kstr(&w, "issuer", issuer);
	jw_kstr(&w, "jwks_uri", arena_cat(a, issuer, STR("/keys")));
	jw_karray(&w, "response_types_supported");
	jw_str(&w, STR("id_token"));
	jw_end(&w);
	jw_karray(&w, "subject_types_supported");
	jw_str(&w, STR("public"));
	jw_end(&w);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

typedef enum { NOTHING = 0, BUNDLE, DISCOVERY, KEYS } what_t;

static what_t what_of(const identity_t *p, str_t path)
{
	if (str_eq(path, STR("/bundle"))) {
		return BUNDLE;
	}
	if (p->deps.jwt_issuer.n && str_eq(path, STR("/svid/.well-known/openid-configuration"))) {
		return DISCOVERY;
	}
	return str_eq(path, STR("/svid/keys")) ? KEYS : NOTHING;
}

bool identity_public_handle(identity_t *p, net_exchange_t *x)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(IDENTITY_LINE_BYTES_MAX);
	const spiffe_bundle_t *own = &p->view->bundles[0];
	what_t what = what_of(p, net_path(x));
	str_t text = STR("");

	if (what == NOTHING) {
		return false;
	}
	if (!str_eq(net_method(x), STR("GET"))) {
		net_reply_error(x, ERR_METHOD);
		return true;
	}
	err_t e = what == BUNDLE      ? spiffe_bundle_write(a, own, &text)
		  : what == DISCOVERY ? discovery_write(a, p->deps.jwt_issuer, &text)
				      : spiffe_bundle_jwt_write(a, own, &text);
	if (e == OK) {
		reply_json(x, text);
	} else {
		net_reply_error(x, e);
	}
	return true;
}
