/* agent_side.c: the client half of wire.md 4, in the simplest way that is right: one key, one nonce for each
 * peer, one delegated token per route, a fresh capability per call. */
#include "app/cli/agent_side.h"
#include "app/cli/workload.h"
#include "domain/spiffe/spiffe.h"

#include <stdlib.h>
#include <time.h>

enum { TOKEN_BYTES_MAX = 16 << 10, REFRESH_BEFORE_S = 30, ASSERTION_LIFE_S = 60 };

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec;
}

/* --- who and where ------------------------------------------------------------------------------------- */

static bool is_url(str_t route)
{
	return str_contains(route, STR("://"));
}

static bool is_full_name(str_t name)
{
	return str_starts(name, STR("spiffe://"));
}

/* A key in the wrong hands reads what goes over the wire: TLS, or this machine. */
static int url_usable(arena_t *a, const char *what, str_t url)
{
	url_t u;

	if (url_parse(a, url, 0, &u) != OK || !url_is_secure(&u)) {
		return cli_fail(EXIT_USAGE, "%s: expected https://... or http://127.0.0.1...: %.*s", what,
			STR_ARG(cli_safe(a, url)));
	}
	return EXIT_DONE;
}

static int place_ask(agent_t *g)
{
	const cli_place_t *place;
	cli_t *c = g->c;
	str_t route = str_of(g->route);
	int status = cli_place(c, &place);

	if (status) {
		return status;
	}
	g->issuer = place->issuer;
	g->resource = is_url(route) ? route : arena_cat(c->a, place->gateway_url, STR("/r/"), route);
	if (!g->workload && !is_full_name(g->client_id)) {
		g->client_id = arena_cat(c->a, STR("spiffe://"), place->trust_domain,
			g->grant.n ? STR("/agent/") : STR("/auto/"), g->client_id);
	}
	return EXIT_DONE;
}

/* The agent that the node says we are: what stands before the run's part of the ID. */
static int agent_learn(agent_t *g)
{
	diag_t diag = { 0 };
	str_t token, id, base, run;
	spiffe_id_t parsed;

	if (!g->workload) {
		return EXIT_DONE;
	}
	err_t e = workload_jwt(g->c->a, g->workload, g->issuer, &token, &id, &diag);
	e = e == OK ? spiffe_id_parse_workload(id, &parsed) : e;
	if (e != OK) {
		return cli_fail_err(EXIT_AWAY, "identity", e, &diag);
	}
	g->client_id = spiffe_instance_split(&parsed, &base, &run) ? base : id;
	return EXIT_DONE;
}

static int place_find(agent_t *g)
{
	cli_t *c = g->c;
	bool told = c->issuer && is_url(str_of(g->route));

	if (told && !g->workload && !is_full_name(g->client_id)) {
		return cli_fail(EXIT_USAGE, "with --issuer give the agent's full name: spiffe://TRUST-DOMAIN/agent/NAME");
	}
	if (told) {
		g->issuer = str_of(c->issuer);
		g->resource = str_of(g->route);
	}
	int status = told ? EXIT_DONE : place_ask(g);
	status = status ? status : url_usable(c->a, "issuer", g->issuer);
	status = status ? status : url_usable(c->a, "route", g->resource);
	status = status ? status : agent_learn(g);
	if (status) {
		return status;
	}
	g->token_url = arena_cat(c->a, g->issuer, STR("/oauth/token"));
	g->placed = true;
	return EXIT_DONE;
}

int agent_place(agent_t *g)
{
	pthread_mutex_lock(&g->token_lock);
	int status = g->placed ? EXIT_DONE : place_find(g);
	pthread_mutex_unlock(&g->token_lock);
	return status;
}

/* The key file; or, where the node vouches for this process, a key that never leaves it. */
static int key_open(agent_t *g)
{
	const cli_t *c = g->c;
	const char *key = c->key ? c->key : getenv("ATTORN_AGENT_KEY");

	g->workload = key ? NULL : workload_address();
	if (g->workload) {
		g->client_id = STR_NULL; /* the node says it */
		return crypto_key_generate(CRYPTO_KEY_ED25519, &g->key) == OK ? EXIT_DONE : cli_fail(EXIT_HERE, "no key could be made");
	}
	if (!key || !c->agent) {
		return cli_fail(EXIT_USAGE,
			"which agent? give --agent NAME and --key FILE (or $ATTORN_AGENT and $ATTORN_AGENT_KEY)");
	}
	return cli_agent_key(g->c, key, &g->key);
}

int agent_open(cli_t *c, const char *route, agent_t *out)
{
	agent_t g = { .c = c, .route = route, .grant = str_of(c->grant), .client_id = str_of(c->agent) };
	int status = key_open(&g);

	if (status) {
		return status;
	}
	buf_init(&g.token, TOKEN_BYTES_MAX);
	*out = g;
	pthread_mutex_init(&out->token_lock, NULL);
	pthread_mutex_init(&out->nonce_lock, NULL);
	return EXIT_DONE;
}

void agent_close(agent_t *g)
{
	crypto_key_free(g->key);
	buf_wipe(&g->token);
	pthread_mutex_destroy(&g->token_lock);
	pthread_mutex_destroy(&g->nonce_lock);
}

/* --- proofs and forms ------------------------------------------------------------------------------------ */

static str_t nonce_copy(agent_t *g, arena_t *a, const char nonce[AGENT_NONCE_BYTES_MAX])
{
	pthread_mutex_lock(&g->nonce_lock);
	str_t s = nonce[0] ? arena_str(a, str_of(nonce)) : STR_NULL;
	pthread_mutex_unlock(&g->nonce_lock);
	return s;
}

static bool nonce_keep(agent_t *g, char nonce[AGENT_NONCE_BYTES_MAX], net_headers_t headers)
{
	str_t got;

	if (net_headers_get(headers, STR("DPoP-Nonce"), &got) != OK || got.n >= AGENT_NONCE_BYTES_MAX || !str_is_visible(got)) {
		return false;
	}
	pthread_mutex_lock(&g->nonce_lock);
	memcpy(nonce, got.p, got.n);
	nonce[got.n] = '\0';
	pthread_mutex_unlock(&g->nonce_lock);
	return true;
}

bool agent_route_nonce(agent_t *g, net_headers_t headers)
{
	return nonce_keep(g, g->route_nonce, headers);
}

err_t agent_proof(agent_t *g, arena_t *a, str_t method, str_t url, str_t token, str_t *out)
{
	jose_dpop_make_t m = { .method = method, .htu = url, .now_unix_s = now_s() };

	m.access_token = token.n ? token : STR_NULL;
	m.nonce = nonce_copy(g, a, token.n ? g->route_nonce : g->nonce);
	crypto_random(m.random, sizeof(m.random));
	return jose_dpop_make(a, g->key, &m, out);
}

static err_t assertion_add(agent_t *g, arena_t *a, buf_t *form)
{
	jose_assertion_make_t m = { .client_id = g->client_id, .issuer = g->issuer, .now_unix_s = now_s(),
		.life_s = ASSERTION_LIFE_S };
	str_t assertion, id;

	if (g->workload) {
		TRY(workload_jwt(a, g->workload, g->issuer, &assertion, &id, NULL));
		form_add(form, STR("client_assertion_type"), STR("urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"));
		form_add(form, STR("client_assertion"), assertion);
		return OK;
	}
	m.nonce = nonce_copy(g, a, g->nonce);
	crypto_random(m.random, sizeof(m.random));
	TRY(jose_assertion_make(a, g->key, &m, &assertion));
	form_add(form, STR("client_assertion_type"), STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	form_add(form, STR("client_assertion"), assertion);
	return OK;
}

/* Our stable code of an OAuth error body, with its words in diag. */
static err_t error_of(arena_t *a, str_t body, diag_t *diag)
{
	const json_t *root;
	str_t description = STR_NULL, code = STR_NULL, fix = STR("");
	const char *name;

	if (json_parse_object(a, body, &root, NULL) != OK) {
		return ERR_AUTHORITY_AWAY;
	}
	err_t e = json_want_str(root, STR("error_description"), 512, &description);
	e = e == OK ? json_str(json_pointer(root, STR("/attorn/code")), &code) : e;
	if (json_str(json_pointer(root, STR("/attorn/fix")), &fix) != OK) {
		fix = STR("");
	}
	diag_set(diag, 0, 0, "%.*s%s%.*s", STR_ARG(description), fix.n ? "; fix: " : "", STR_ARG(fix));
	return e == OK && arena_cstr(a, code, &name) == OK ? err_by_name(name) : ERR_AUTHORITY_AWAY;
}

/* POSTs a form with assertion and proof; once more with the nonce that the first answer brought. */
static err_t form_post(agent_t *g, arena_t *a, str_t url, str_t fields, net_response_t *out, diag_t *diag)
{
	str_t proof;

	for (int tries = 0;; tries++) {
		AUTO(buf_wipe) buf_t form;
		buf_init(&form, TOKEN_BYTES_MAX * 3);
		buf_add(&form, fields);
		TRY(assertion_add(g, a, &form));
		TRY(buf_err(&form));
		TRY(agent_proof(g, a, STR("POST"), url, STR_NULL, &proof));
		net_request_t r = {
			.method = STR("POST"),
			.url = url,
			.headers = NET_HEADERS({ STR("Content-Type"), STR("application/x-www-form-urlencoded") },
				{ STR("DPoP"), proof }),
			.body = buf_str(&form),
		};
		if (net_sync_fetch(a, &r, out, diag) != OK) {
			return ERR_AUTHORITY_AWAY;
		}
		nonce_keep(g, g->nonce, out->headers);
		if (out->status == 200) {
			return OK;
		}
		err_t e = error_of(a, out->body, diag);
		ENSURE(e == ERR_NONCE && tries == 0, e);
	}
}

/* --- exchanges ------------------------------------------------------------------------------------------- */

static const str_t token_exchange = STR_INIT("urn:ietf:params:oauth:grant-type:token-exchange");

typedef struct {
	str_t token;
	int64_t life_s;
} answer_t;

static err_t exchange(agent_t *g, arena_t *a, str_t fields, answer_t *out, diag_t *diag)
{
	net_response_t response;
	const json_t *root;

	TRY(form_post(g, a, g->token_url, fields, &response, diag));
	TRY(json_parse_object(a, response.body, &root, NULL));
	TRY(json_need_i64(root, STR("expires_in"), &out->life_s));
	return json_need_str(root, STR("access_token"), TOKEN_BYTES_MAX, &out->token);
}

static err_t token_fetch(agent_t *g, arena_t *a, diag_t *diag)
{
	AUTO(buf_done) buf_t form;
	answer_t answer;

	buf_init(&form, TOKEN_BYTES_MAX);
	if (!g->placed && place_find(g) != EXIT_DONE) {
		return ERR_AUTHORITY_AWAY;
	}
	form_add(&form, STR("resource"), g->resource);
	form_add(&form, STR("grant_type"), g->grant.n ? token_exchange : STR("client_credentials"));
	if (g->grant.n) {
		form_add(&form, STR("subject_token"), g->grant);
		form_add(&form, STR("subject_token_type"), STR("urn:attorn:params:oauth:token-type:grant"));
	}
	TRY(buf_err(&form));
	TRY(exchange(g, a, buf_str(&form), &answer, diag));
	buf_clear(&g->token);
	buf_add(&g->token, answer.token);
	g->token_until_s = now_s() + answer.life_s;
	return buf_err(&g->token);
}

/* With the lock held. */
static bool token_fresh(const agent_t *g)
{
	return g->token.n > 0 && now_s() <= g->token_until_s - REFRESH_BEFORE_S;
}

err_t agent_token(agent_t *g, arena_t *a, str_t *out, diag_t *diag)
{
	pthread_mutex_lock(&g->token_lock);
	err_t e = token_fresh(g) ? OK : token_fetch(g, a, diag);
	e = e == OK ? arena_dup(a, buf_str(&g->token), out) : e;
	pthread_mutex_unlock(&g->token_lock);
	return e;
}

err_t agent_token_held(agent_t *g, arena_t *a, str_t *out)
{
	pthread_mutex_lock(&g->token_lock);
	err_t e = token_fresh(g) ? arena_dup(a, buf_str(&g->token), out) : ERR_NO_TOKEN;
	pthread_mutex_unlock(&g->token_lock);
	return e;
}

void agent_token_drop(agent_t *g)
{
	pthread_mutex_lock(&g->token_lock);
	buf_clear(&g->token);
	pthread_mutex_unlock(&g->token_lock);
}

static err_t capability(agent_t *g, arena_t *a, str_t item, str_t *out, diag_t *diag)
{
	AUTO(buf_wipe) buf_t form;
	answer_t answer;
	str_t token;

	buf_init(&form, TOKEN_BYTES_MAX * 2);
	TRY(agent_token(g, a, &token, diag));
	form_add(&form, STR("grant_type"), token_exchange);
	form_add(&form, STR("resource"), g->resource);
	form_add(&form, STR("subject_token"), token);
	form_add(&form, STR("subject_token_type"), STR("urn:ietf:params:oauth:token-type:access_token"));
	form_add(&form, STR("authorization_details"), arena_cat(a, STR("["), item, STR("]")));
	TRY(buf_err(&form));
	TRY(exchange(g, a, buf_str(&form), &answer, diag));
	*out = answer.token;
	return OK;
}

/* The delegated token may have died before its time (revoked, or the authority has new keys): the second
 * try is with a new one. */
err_t agent_capability(agent_t *g, arena_t *a, str_t item, str_t *out, diag_t *diag)
{
	err_t e = capability(g, a, item, out, diag);

	if (e != ERR_SUBJECT && e != ERR_TOKEN && e != ERR_EXPIRED && e != ERR_SIGNATURE) {
		return e;
	}
	agent_token_drop(g);
	return capability(g, a, item, out, diag);
}

err_t agent_ask(agent_t *g, arena_t *a, str_t endpoint, str_t token, net_response_t *out, diag_t *diag)
{
	AUTO(buf_wipe) buf_t form;

	CHECK(g->placed);
	buf_init(&form, TOKEN_BYTES_MAX * 2);
	form_add(&form, STR("token"), token);
	TRY(buf_err(&form));
	return form_post(g, a, arena_cat(a, g->issuer, endpoint), buf_str(&form), out, diag);
}

err_t agent_item_mcp(agent_t *g, arena_t *a, str_t tool, const json_t *args, str_t *out)
{
	AUTO(buf_done) buf_t b;
	delegation_call_t call;
	jw_t w;

	buf_init(&b, TOKEN_BYTES_MAX);
	TRY(delegation_call_mcp(a, g->client_id, g->resource, tool, args, &call));
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "args_digest", b64url_enc(a, str_bytes(call.args_digest, sizeof(call.args_digest))));
	jw_kstr(&w, "server", g->resource);
	jw_kstr(&w, "tool", tool);
	jw_kstr(&w, "type", STR("mcp_tool_call"));
	jw_end(&w);
	TRY(jw_finish(&w));
	*out = arena_str(a, buf_str(&b));
	return OK;
}
