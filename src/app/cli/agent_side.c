/* agent_side.c: the client half of wire.md 4, in the simplest way that is right: one key, one nonce, one
 * delegated token per route, a fresh capability per call. */
#include "app/cli/agent_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TOKEN_BYTES_MAX = 16 << 10, REFRESH_BEFORE_S = 30, ASSERTION_LIFE_S = 60 };

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec;
}

/* Issuer and route URL: given as URLs, or asked of the working directory's authority. */
static int place_of(cli_t *c, const char *route, agent_t *g)
{
	const cli_place_t *place;
	bool is_url = str_starts(str_of(route), STR("http"));

	if (c->issuer && is_url) {
		g->issuer = str_of(c->issuer);
		g->resource = str_of(route);
		return EXIT_DONE;
	}
	int status = cli_place(c, &place);
	if (status) {
		return status;
	}
	g->issuer = place->issuer;
	g->resource = is_url ? str_of(route) : arena_cat(c->a, place->gateway_url, STR("/r/"), str_of(route));
	if (!str_starts(g->client_id, STR("spiffe://"))) {
		g->client_id = arena_cat(c->a, STR("spiffe://"), place->trust_domain, STR("/agent/"), g->client_id);
	}
	return EXIT_DONE;
}

int agent_open(cli_t *c, const char *route, agent_t *out)
{
	agent_t g = { .grant = str_of(c->grant), .client_id = str_of(c->agent) };
	const char *key = c->key ? c->key : getenv("ATTORN_AGENT_KEY");

	if (!key || !c->agent) {
		return cli_fail(EXIT_USAGE, "who is calling? give --agent NAME and --key FILE (or ATTORN_AGENT, ATTORN_AGENT_KEY)");
	}
	int status = place_of(c, route, &g);
	status = status ? status : cli_agent_key(c, key, &g.key);
	if (status) {
		return status;
	}
	if (!str_starts(g.client_id, STR("spiffe://"))) {
		return cli_fail(EXIT_USAGE, "with --issuer give the agent's full name: spiffe://TRUST-DOMAIN/agent/NAME");
	}
	g.token_url = arena_cat(c->a, g.issuer, STR("/oauth/token"));
	buf_init(&g.token, TOKEN_BYTES_MAX);
	*out = g;
	pthread_mutex_init(&out->lock, NULL);
	return EXIT_DONE;
}

void agent_close(agent_t *g)
{
	crypto_key_free(g->key);
	buf_wipe(&g->token);
	pthread_mutex_destroy(&g->lock);
}

err_t agent_proof(agent_t *g, arena_t *a, str_t method, str_t url, str_t token, str_t *out)
{
	jose_dpop_make_t m = { .method = method, .htu = url, .access_token = token, .now_unix_s = now_s() };

	if (!token.n) {
		m.access_token = STR_NULL;
		m.nonce = g->nonce[0] ? arena_str(a, str_of(g->nonce)) : STR_NULL;
	}
	crypto_random(m.random, sizeof(m.random));
	return jose_dpop_make(a, g->key, &m, out);
}

static err_t form_body(agent_t *g, arena_t *a, str_t grant_type, str_t subject, str_t subject_type, str_t item,
	str_t *out)
{
	jose_assertion_make_t m = { .client_id = g->client_id, .issuer = g->issuer, .now_unix_s = now_s(),
		.life_s = ASSERTION_LIFE_S };
	AUTO(buf_done) buf_t b;
	str_t assertion;

	buf_init(&b, TOKEN_BYTES_MAX * 3);
	m.nonce = g->nonce[0] ? arena_str(a, str_of(g->nonce)) : STR_NULL;
	crypto_random(m.random, sizeof(m.random));
	TRY(jose_assertion_make(a, g->key, &m, &assertion));
	form_add(&b, STR("grant_type"), grant_type);
	form_add(&b, STR("client_assertion_type"), STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	form_add(&b, STR("client_assertion"), assertion);
	form_add(&b, STR("resource"), g->resource);
	if (subject.n) {
		form_add(&b, STR("subject_token"), subject);
		form_add(&b, STR("subject_token_type"), subject_type);
	}
	if (item.n) {
		form_add(&b, STR("authorization_details"), arena_cat(a, STR("["), item, STR("]")));
	}
	TRY(buf_err(&b));
	return arena_dup(a, buf_str(&b), out);
}

static void nonce_take(agent_t *g, net_headers_t headers)
{
	str_t nonce;

	if (net_headers_get(headers, STR("DPoP-Nonce"), &nonce) == OK && nonce.n < sizeof(g->nonce)) {
		memcpy(g->nonce, nonce.p, nonce.n);
		g->nonce[nonce.n] = '\0';
	}
}

/* Our stable code of an OAuth error body, with its words in diag. */
static err_t error_of(arena_t *a, str_t body, diag_t *diag)
{
	const json_t *root;
	str_t description = STR_NULL, code = STR_NULL, fix = STR_NULL;
	const char *name;

	if (json_parse_object(a, body, &root, NULL) != OK) {
		return ERR_UNAVAILABLE;
	}
	err_t e = json_want_str(root, STR("error_description"), 512, &description);
	e = e == OK ? json_str(json_pointer(root, STR("/attorn/code")), &code) : e;
	if (json_str(json_pointer(root, STR("/attorn/fix")), &fix) != OK) {
		fix = STR("");
	}
	diag_set(diag, 0, 0, "%.*s%s%.*s", STR_ARG(description), fix.n ? "; fix: " : "", STR_ARG(fix));
	return e == OK && arena_cstr(a, code, &name) == OK ? err_by_name(name) : ERR_UNAVAILABLE;
}

static err_t token_of(arena_t *a, str_t body, str_t *out, int64_t *out_life_s)
{
	const json_t *root;

	TRY(json_parse_object(a, body, &root, NULL));
	TRY(json_need_i64(root, STR("expires_in"), out_life_s));
	return json_need_str(root, STR("access_token"), TOKEN_BYTES_MAX, out);
}

/* One exchange; asked again once, with the nonce the first answer brought. Call with the lock held. */
static err_t exchange(agent_t *g, arena_t *a, str_t grant_type, str_t subject, str_t subject_type, str_t item,
	str_t *out, int64_t *out_life_s, diag_t *diag)
{
	net_response_t response = { 0 };
	str_t body, proof;

	for (int tries = 0; tries < 2; tries++) {
		TRY(form_body(g, a, grant_type, subject, subject_type, item, &body));
		TRY(agent_proof(g, a, STR("POST"), g->token_url, STR_NULL, &proof));
		net_request_t r = {
			.method = STR("POST"),
			.url = g->token_url,
			.headers = NET_HEADERS({ STR("Content-Type"), STR("application/x-www-form-urlencoded") },
				{ STR("DPoP"), proof }),
			.body = body,
		};
		TRY(net_sync_fetch(a, &r, &response, diag));
		nonce_take(g, response.headers);
		if (response.status == 200) {
			return token_of(a, response.body, out, out_life_s);
		}
		err_t e = error_of(a, response.body, diag);
		ENSURE(e == ERR_NONCE && tries == 0, e);
	}
	return ERR_NONCE;
}

static err_t token_fetch(agent_t *g, arena_t *a, diag_t *diag)
{
	str_t token;
	int64_t life_s;
	bool autonomous = g->grant.n == 0;

	TRY(exchange(g, a,
		autonomous ? STR("client_credentials") : STR("urn:ietf:params:oauth:grant-type:token-exchange"),
		g->grant, STR("urn:attorn:params:oauth:token-type:grant"), STR_NULL, &token, &life_s, diag));
	buf_clear(&g->token);
	buf_add(&g->token, token);
	g->token_until_s = now_s() + life_s;
	return buf_err(&g->token);
}

static err_t token_locked(agent_t *g, arena_t *a, str_t *out, diag_t *diag)
{
	if (g->token.n == 0 || now_s() > g->token_until_s - REFRESH_BEFORE_S) {
		TRY(token_fetch(g, a, diag));
	}
	return arena_dup(a, buf_str(&g->token), out);
}

err_t agent_token(agent_t *g, arena_t *a, str_t *out, diag_t *diag)
{
	pthread_mutex_lock(&g->lock);
	err_t e = token_locked(g, a, out, diag);
	pthread_mutex_unlock(&g->lock);
	return e;
}

static err_t capability_locked(agent_t *g, arena_t *a, str_t item, str_t *out, diag_t *diag)
{
	str_t token;
	int64_t life_s;

	TRY(token_locked(g, a, &token, diag));
	return exchange(g, a, STR("urn:ietf:params:oauth:grant-type:token-exchange"), token,
		STR("urn:ietf:params:oauth:token-type:access_token"), item, out, &life_s, diag);
}

err_t agent_capability(agent_t *g, arena_t *a, str_t item, str_t *out, diag_t *diag)
{
	pthread_mutex_lock(&g->lock);
	err_t e = capability_locked(g, a, item, out, diag);
	pthread_mutex_unlock(&g->lock);
	return e;
}
