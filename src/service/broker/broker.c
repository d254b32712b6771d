/* broker.c: the room's frame: doors, answers, the error map of oauth.md 17. */
#include "service/broker/broker_int.h"

int64_t broker_now_s(const broker_t *b)
{
	return (int64_t)loop_unix_s(b->deps.loop);
}

/* One text and one code for a bad subject, a bad actor and a pair that no grant ties (oauth P74): the
 * ledger knows which. */
static err_t public_error(err_t e)
{
	switch (e) {
	case ERR_TOKEN:
	case ERR_TOKEN_KEY:
	case ERR_SIGNATURE:
	case ERR_EXPIRED:
	case ERR_NOT_YET:
	case ERR_ISSUER:
	case ERR_TYPE:
		return ERR_SUBJECT;
	case ERR_REPLAY:
		return ERR_CLIENT;
	case ERR_FENCE: /* the rules changed each time it was decided: nothing was spent */
		return ERR_UNAVAILABLE;
	default:
		return e;
	}
}

/* RFC 6749 5.2: 401 for client authentication alone, else 400; ours keeps 5xx. */
static int oauth_status(err_t e)
{
	const err_info_t *info = err_info(e);

	if (e == ERR_CLIENT || e == ERR_AGENT_STATE) {
		return 401;
	}
	return info->http >= 500 ? info->http : info->http == 405 || info->http == 413 || info->http == 415 ? info->http : 400;
}

static void error_body(jw_t *w, err_t e)
{
	const err_info_t *info = err_info(e);

	jw_object(w);
	jw_kstr(w, "error", str_of(info->oauth[0] ? info->oauth : "invalid_request"));
	jw_kstr(w, "error_description", str_of(info->text));
	jw_kobject(w, "attorn");
	jw_kstr(w, "code", str_of(info->name));
	jw_kstr_if(w, "fix", str_of(info->fix));
	jw_end(w);
	jw_end(w);
}

static void reply(broker_t *b, net_exchange_t *x, int status, str_t json)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t nonce = jose_nonce_make(a, vault_nonce_key(b->deps.vault), broker_now_s(b));
	const net_header_t headers[] = {
		{ STR("Content-Type"), STR("application/json") },
		{ STR("Cache-Control"), STR("no-store") },
		{ STR("DPoP-Nonce"), nonce },
	};

	net_reply(x, status, (net_headers_t){ headers, ARRAY_LEN(headers) }, json);
}

void broker_reply_json(broker_t *b, net_exchange_t *x, int status, str_t json)
{
	reply(b, x, status, json);
}

void broker_reply_error(broker_t *b, net_exchange_t *x, err_t e)
{
	AUTO(buf_done) buf_t body;
	jw_t w;
	err_t told = public_error(e);

	buf_init(&body, BROKER_VALUE_BYTES_MAX);
	jw_init(&w, &body);
	error_body(&w, told);
	CHECK(jw_finish(&w) == OK); /* rows of errors.def are short */
	reply(b, x, oauth_status(told), buf_str(&body));
}

static const struct {
	str_t path;
	void (*handle)(broker_t *b, net_exchange_t *x);
} doors[] = {
	{ STR_INIT("/oauth/token"), broker_exchange_handle },
	{ STR_INIT("/oauth/introspect"), broker_introspect_handle },
	{ STR_INIT("/oauth/revoke"), broker_revoke_handle },
	{ STR_INIT("/keys"), broker_keys_handle },
	{ STR_INIT("/.well-known/oauth-authorization-server"), broker_metadata_handle },
};

void broker_handle(broker_t *b, net_exchange_t *x)
{
	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		if (str_eq(net_path(x), doors[i].path)) {
			doors[i].handle(b, x);
			return;
		}
	}
	net_reply_error(x, ERR_NOT_FOUND);
}

static str_t url_below(str_t issuer, const char *path)
{
	buf_t b;

	buf_init(&b, BROKER_VALUE_BYTES_MAX);
	buf_add(&b, issuer);
	buf_add(&b, str_of(path));
	return buf_str(&b); /* kept for the life of the process */
}

err_t broker_new(const broker_deps_t *deps, broker_t **out)
{
	broker_t *b = heap_new(broker_t);

	b->deps = *deps;
	b->tokens = snapshot_tokens_new();
	b->token_url = url_below(deps->issuer, "/oauth/token");
	b->introspect_url = url_below(deps->issuer, "/oauth/introspect");
	b->revoke_url = url_below(deps->issuer, "/oauth/revoke");
	*out = b;
	return OK;
}

void broker_free(broker_t *b)
{
	if (!b) {
		return;
	}
	broker_chains_done(b);
	snapshot_tokens_free(b->tokens);
	heap_free((void *)(uintptr_t)b->token_url.p);
	heap_free((void *)(uintptr_t)b->introspect_url.p);
	heap_free((void *)(uintptr_t)b->revoke_url.p);
	heap_free(b);
}
