/* claims: one grammar, checked when written and when read; narrowing from token to token. */
#include "helpers.h"
#include "pure/crypto/crypto.h"

#define USER "u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11"
#define AUTO_ID "spiffe://td.example/auto/nightly"
#define JKT "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
#define GRANT_ID "01KAQW7V0000000000000000AA"

static delegation_claims_t delegated(arena_t *a)
{
	delegation_claims_t c = { .iss = STR("https://auth.example"), .aud = STR(ROUTE), .sub = STR(USER),
		.sub_profile = STR("user"), .client_id = STR(AGENT), .iat = 100, .exp = 700,
		.jti = STR("AAAAAAAAAAAAAAAAAAAAAA"), .txn = STR("t1"), .scope = STR("invoices:read tickets:create"),
		.jkt = STR(JKT), .assurance = DELEGATION_KEY, .grant = STR(GRANT_ID) };

	c.act.n = 1;
	c.act.actors[0] = (delegation_actor_t){ STR("spiffe://td.example"), STR(AGENT), STR("ai_agent") };
	delegation_direction_of_grant(c.grant, c.iss, 90, false, &c.direction);
	assert_int_equal(delegation_items_parse(a,
				 STR(TOOL_OF("[" C1("/path", "path_under", "\"/srv/invoices\"") "]")), &c.items,
				 &c.n_items, NULL),
		OK);
	return c;
}

/* The capability of one call under a delegated token, as the broker makes it. */
static delegation_claims_t capability(arena_t *a, const delegation_claims_t *token, const char *args)
{
	delegation_claims_t c = *token;
	delegation_item_t asked = token->items[0];
	delegation_call_t call;

	assert_int_equal(delegation_call_mcp(a, token->client_id, token->aud, STR("read_text_file"),
				 parsed(a, args), &call),
		OK);
	asked.has_digest = true;
	asked.has_constraints = false;
	memcpy(asked.digest, call.args_digest, 32);
	assert_int_equal(delegation_items_bind(a, token->items, token->n_items, &asked, &c.items, &c.n_items), OK);
	c.is_capability = true;
	memcpy(c.action_digest, call.digest, 32);
	c.exp = c.iat + 60;
	c.scope = STR("invoices:read");
	c.parent = STR(JKT);
	return c;
}

static delegation_claims_t autonomous(arena_t *a)
{
	delegation_claims_t c = delegated(a);

	c.sub = c.client_id = STR(AUTO_ID);
	c.sub_profile = STR("ai_agent");
	c.act.n = 0;
	c.grant = STR_NULL;
	c.n_items = 0;
	delegation_direction_autonomous(c.iss, DELEGATION_INIT_SCHEDULE, &c.direction);
	return c;
}

static void tokens_go_round(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_claims_t t = delegated(a), list[3] = { t, capability(a, &t, "{\"path\":\"/srv/invoices/1\"}"),
		autonomous(a) };
	delegation_claims_t back;
	str_t text, again;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		diag_t d = { 0 };
		assert_int_equal(delegation_claims_write(a, &list[i], &text), OK);
		assert_true(jcs_s_canonical(a, text));
		if (delegation_claims_read(a, text, &back, &d) != OK) {
			fail_msg("%zu: %s", i, d.text);
		}
		assert_int_equal(delegation_claims_write(a, &back, &again), OK);
		assert_true(str_eq(text, again));
		assert_int_equal(back.is_capability, i == 1);
		assert_int_equal(back.assurance, DELEGATION_KEY);
	}
}

static void broken_claims_are_neither_written_nor_read(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_claims_t good = delegated(a), cap = capability(a, &good, "{\"path\":\"/srv/invoices/1\"}"),
			    alone = autonomous(a), c;
	str_t text;

	(void)state;
#define BROKEN(base, ...)                                                                          \
	do {                                                                                       \
		c = (base);                                                                        \
		__VA_ARGS__;                                                                       \
		assert_int_equal(delegation_claims_write(a, &c, &text), ERR_VALUE);                \
	} while (0)
	BROKEN(good, c.iss = STR_NULL);
	BROKEN(good, c.aud = STR("x"));
	BROKEN(good, c.aud = STR(ROUTE "?x"));
	BROKEN(good, c.sub = STR("alice"));
	BROKEN(good, c.sub = STR(AGENT)); /* P6: sub is the client, yet somebody acts */
	BROKEN(good, c.sub_profile = STR("ai_agent"));
	BROKEN(good, c.client_id = STR("spiffe://td.example/agent/other"));
	BROKEN(good, c.client_id = STR("spiffe://td.example/attorn/x"));
	BROKEN(good, c.client_id = STR("scout"));
	BROKEN(good, c.act.n = 0); /* impersonation */
	BROKEN(good, c.act.actors[0].iss = STR("spiffe://other.example"));
	BROKEN(good, c.act.actors[0].sub = STR("spiffe://td.example/agent/other"));
	BROKEN(good, c.grant = STR_NULL);
	BROKEN(good, c.grant = STR("g1"));
	BROKEN(good, c.iat = -1);
	BROKEN(good, c.exp = c.iat);
	BROKEN(good, c.exp = c.iat + DELEGATION_TOKEN_S_MAX + 1);
	BROKEN(good, c.jti = STR_NULL);
	BROKEN(good, c.jti = STR("a b"));
	BROKEN(good, c.txn = STR_NULL);
	BROKEN(good, c.parent = STR("x"));
	BROKEN(good, c.jkt = STR("x"));
	BROKEN(good, c.jkt = STR_NULL); /* no key: not more than a bearer (P98) */
	BROKEN(good, c.x5t = STR(JKT)); /* one key, not two */
	BROKEN(good, c.jkt = STR_NULL, c.x5t = STR("x"));
	BROKEN(good, c.scope = STR("a  b"));
	BROKEN(good, c.direction.by = STR_NULL);
	delegation_item_t other = good.items[0];
	other.server = STR("https://gw.example/r/other");
	BROKEN(good, c.items = &other);
	BROKEN(cap, c.exp = c.iat + DELEGATION_CAPABILITY_S_MAX + 1);
	BROKEN(cap, c.n_items = 0);
	BROKEN(cap, c.items = good.items); /* not bound to a content */
	delegation_item_t two[2] = { cap.items[0], cap.items[0] };
	two[1].digest[0] ^= 1;
	BROKEN(cap, c.items = two, c.n_items = 2);
	BROKEN(alone, c.sub_profile = STR("user"));
	BROKEN(alone, c.grant = STR(GRANT_ID));
	BROKEN(alone, c.act = good.act);
	BROKEN(alone, c.sub = c.client_id = STR(AGENT)); /* not under /auto/ */
	BROKEN(alone, c.sub = STR(USER), c.act = good.act, c.act.actors[0].sub = STR(AUTO_ID),
		c.grant = STR(GRANT_ID), c.sub_profile = STR("user")); /* /auto/ acts for nobody */
	c = good, c.jkt = STR_NULL, c.assurance = DELEGATION_BEARER;
	assert_int_equal(delegation_claims_write(a, &c, &text), OK);
	c.assurance = DELEGATION_SHARED_UID;
	assert_int_equal(delegation_claims_write(a, &c, &text), OK);
	delegation_claims_t back;
	assert_int_equal(delegation_claims_read(a, text, &back, NULL), OK);
	assert_int_equal(back.jkt.n, 0);
	c.assurance = DELEGATION_KEY, c.x5t = STR(JKT); /* RFC 8705 3.1 */
	assert_int_equal(delegation_claims_write(a, &c, &text), OK);
	assert_true(str_contains(text, STR("\"cnf\":{\"x5t#S256\":\"" JKT "\"}")));
	assert_int_equal(delegation_claims_read(a, text, &back, NULL), OK);
	assert_true(str_eq(back.x5t, STR(JKT)) && back.jkt.n == 0);
}

static void readers_are_strict(void **state)
{
	static const char *const changes[][2] = {
		{ "\"iss\":", "\"isx\":" }, { "\"aud\":\"" ROUTE "\"", "\"aud\":[\"" ROUTE "\"]" }, { "\"exp\":160", "\"exp\":\"160\"" },
		{ "\"exp\":160,", "" }, { "\"iat\":100,", "" }, { "\"iat\":100", "\"iat\":100.5" }, { "\"jti\":", "\"jtx\":" },
		{ "\"txn\":\"t1\"", "\"txn\":\"t1\",\"x\":1" }, { "\"scope\":\"invoices:read\",", "" },
		{ "\"assurance\":\"key\"", "\"assurance\":\"Key\"" }, { "\"assurance\":\"key\",", "" },
		{ "\"action_digest\":\"", "\"action_digest\":\"A" }, { "\"action_digest\":\"", "\"action_digest\":\"\",\"x\":\"" },
		{ "\"cnf\":{\"jkt\"", "\"cnf\":{\"kid\"" },
		{ "\"cnf\":{", "\"cnf\":{\"x5t#S256\":\"" JKT "\"," }, { "\"cnf\":{\"jkt\":\"" JKT "\"}", "\"cnf\":{}" },
		{ "\"cnf\":{\"jkt\":\"" JKT "\"}", "\"cnf\":{\"x5t#S256\":\"x\"}" },
		{ "\"cnf\":{\"jkt\":\"" JKT "\"}", "\"cnf\":{\"x5t#S256\":[]}" },
		{ "\"cnf\":{\"jkt\"", "\"cnf\":{\"x5t#s256\"" }, { "\"cnf\":{", "\"cnf\":{\"x\":1," }, { "\"cnf\":{", "\"cnf\":1,\"x\":{" },
		{ "\"act\":{\"iss\":\"spiffe://td.example\",", "\"act\":{" }, { "\"act\":{", "\"act\":{\"cnf\":1," },
		{ "\"act\":{", "\"act\":1,\"x\":{" }, { "\"authorization_details\":[", "\"authorization_details\":[1," },
		{ "\"authorization_details\":[", "\"authorization_detail\":[" }, { "\"direction\":{", "\"directions\":{" },
		{ "\"direction\":{", "\"direction\":1,\"x\":{" }, { "\"init\":\"unknown\"", "\"init\":\"robot\"" },
		{ "\"init\":\"unknown\",", "" }, { "\"sel\":\"agent_within_grant\"", "\"sel\":\"human\"" },
		{ ",\"sel\":\"agent_within_grant\"", "" }, { "\"by\":\"https://auth.example\",", "" },
		{ "\"by\":\"https", "\"lossy\":true,\"by\":\"https" }, { "\"ev\":[", "\"ev\":[1," }, { "\"ev\":[", "\"evx\":[" },
		{ "\"h\":null", "\"h\":\"x\"" }, { "\"h\":null,", "" }, { "\"h\":null", "\"h\":null,\"acr\":1" },
		{ "\"t\":\"grant\"", "\"t\":\"gift\"" }, { "\"t\":\"grant\"", "\"t\":1" }, { "\"iat\":90,", "" },
		{ "\"id\":\"" GRANT_ID "\",\"iss\"", "\"iss\"" }, { "\"iss\":\"https://auth.example\",\"t\"", "\"t\"" },
		{ "\"sub_profile\":\"user\"", "\"sub_profile\":\"service\"" }, { "\"grant\":\"" GRANT_ID "\",", "" },
		{ "\"parent\":\"" JKT "\"", "\"parent\":1" }, { "\"client_id\":", "\"azp\":" }, { "\"sub\":\"" USER "\",", "" },
		{ "\"sub_profile\":\"user\",", "" }, { "\"txn\":\"t1\"", "\"txn\":\"\"" }, { "\"cnf\":{\"jkt\":\"" JKT "\"},", "" },
	};
	AUTO(arena_free) arena_t *a = arena_new_capped(8 << 20);
	delegation_claims_t t = delegated(a), cap = capability(a, &t, "{\"path\":\"/srv/invoices/1\"}"), back;
	str_t text;

	(void)state;
	assert_int_equal(delegation_claims_write(a, &cap, &text), OK);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		str_t f = str_of(changes[i][0]);
		bool found = false;
		for (size_t k = 0; k + f.n <= text.n && !found; k++) {
			if (!str_eq(str_sub(text, k, f.n), f)) {
				continue;
			}
			str_t bad = arena_cat(a, str_sub(text, 0, k), str_of(changes[i][1]),
				str_sub(text, k + f.n, text.n));
			found = true;
			if (delegation_claims_read(a, bad, &back, NULL) != ERR_TOKEN) {
				fail_msg("accepted: %s -> %s", changes[i][0], changes[i][1]);
			}
		}
		if (!found) {
			fail_msg("not found: %s", changes[i][0]);
		}
	}
	assert_int_equal(delegation_claims_read(a, STR("[]"), &back, NULL), ERR_TOKEN);
	void *p;
	assert_int_equal(arena_try(a, DELEGATION_CLAIMS_BYTES_MAX + 1, &p), OK);
	assert_int_equal(delegation_claims_read(a, str_bytes(p, DELEGATION_CLAIMS_BYTES_MAX + 1), &back, NULL),
		ERR_TOKEN);
	assert_int_equal(
		delegation_chain_parse(a, str_bytes(p, DELEGATION_CLAIMS_BYTES_MAX + 1), &back.act, NULL), ERR_LIMIT);
}

static void child_tokens_are_narrower(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_claims_t p = delegated(a), good = capability(a, &p, "{\"path\":\"/srv/invoices/1\"}"), c;
	diag_t d = { 0 };

	(void)state;
	assert_int_equal(delegation_claims_narrow(&p, &good, &d), OK);
	assert_int_equal(delegation_claims_narrow(&p, &p, &d), OK);
	assert_int_equal(delegation_claims_narrow(&good, &good, &d), ERR_BOUNDS); /* a capability heads nothing */
#define WIDER(...)                                                                                 \
	do {                                                                                       \
		c = good;                                                                          \
		__VA_ARGS__;                                                                       \
		assert_int_equal(delegation_claims_narrow(&p, &c, &d), ERR_BOUNDS);                \
	} while (0)
	WIDER(c.iss = STR("https://other.example"));
	WIDER(c.aud = STR("https://gw.example/r/other"));
	WIDER(c.sub = STR("u:7c1d0a52-5f0e-4a7e-8d0e-0d3a7b1f2c33"));
	WIDER(c.client_id = STR("spiffe://td.example/agent/other"));
	WIDER(c.txn = STR("t2"));
	WIDER(c.grant = STR("01KAQW7V0000000000000000AB"));
	WIDER(c.jkt = STR_NULL);
	WIDER(c.jkt = STR_NULL, c.x5t = p.jkt);
	WIDER(c.sub_profile = STR("service"));
	WIDER(c.act.n = 2, c.act.actors[1] = c.act.actors[0]);
	WIDER(c.act.actors[0].sub_profile = STR_NULL);
	WIDER(c.act.actors[0].sub = STR("spiffe://td.example/agent/other"));
	WIDER(c.exp = p.exp + 1);
	WIDER(c.iat = p.iat - 1);
	WIDER(c.assurance = DELEGATION_ATTESTED);
	WIDER(c.scope = STR("invoices:write"));
	WIDER(c.direction.sel = DELEGATION_SEL_HUMAN_APPROVED);
	WIDER(c.direction.init = DELEGATION_INIT_HUMAN);
	WIDER(c.direction.n_ev = 0);
	delegation_item_t bare = good.items[0];
	bare.has_constraints = false; /* the digest alone hides the arguments */
	WIDER(c.items = &bare);
	c = good, c.scope = STR_NULL;
	assert_int_equal(delegation_claims_narrow(&p, &c, &d), OK);
	delegation_claims_t alone = autonomous(a), alone_cap = alone;
	alone_cap.items = &bare;
	alone_cap.n_items = 1;
	alone_cap.is_capability = true;
	assert_int_equal(delegation_claims_narrow(&alone, &alone_cap, &d), OK);
	alone_cap.scope = STR("more:scope");
	assert_int_equal(delegation_claims_narrow(&alone, &alone_cap, &d), ERR_BOUNDS);
}

static void calls_are_canonical_or_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_call_t call;
	uint8_t digest[32];
	char long_tool[DELEGATION_TOOL_BYTES_MAX + 1];

	(void)state;
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("a b"), NULL, &call), ERR_TOOL);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR(""), NULL, &call), ERR_TOOL);
	memset(long_tool, 'a', sizeof(long_tool));
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), str_bytes(long_tool, sizeof(long_tool)),
				 NULL, &call),
		ERR_TOOL);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("t"), parsed(a, "[1]"), &call),
		ERR_VALUE);
	assert_int_equal(
		delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("t"), parsed(a, "{\"a\":9007199254740993}"), &call),
		ERR_NUMBER);
	assert_int_equal(delegation_call_mcp(a, STR("\xff"), STR(ROUTE), STR("t"), NULL, &call), ERR_UTF8);
	assert_int_equal(delegation_call_http(STR(AGENT), STR(ROUTE), STR("get"), STR("/"), STR_NULL, NULL, &call),
		ERR_VALUE);
	assert_int_equal(delegation_call_http(STR(AGENT), STR(ROUTE), STR("GET"), STR("/.."), STR_NULL, NULL, &call),
		ERR_VALUE);
	assert_int_equal(delegation_digest_parse(STR("sha-256:"), digest), ERR_VALUE);
	assert_int_equal(
		delegation_digest_parse(
			STR("sha-256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"), digest),
		ERR_VALUE);
}

static void http_requests_are_held(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const delegation_item_t *items;
	size_t n;
	delegation_call_t call;
	str_t body = STR("{\"title\":\"x\"}");
	const json_t *json = parsed(a, "{\"title\":\"x\"}");
	diag_t d = { 0 };

	(void)state;
	assert_int_equal(delegation_items_parse(a,
				 STR("[{\"type\":\"http_request\",\"server\":\"" ROUTE
				     "\",\"method\":\"POST\",\"path\":\"/tickets\",\"constraints\":["
				     C1("/title", "matches", "\".{1,80}\"") "]},{\"type\":\"http_request\",\"server\":\"" ROUTE
				     "\",\"method\":\"GET\",\"path\":\"/tickets?open=1\",\"constraints\":[]}]"),
				 &items, &n, NULL),
		OK);
	assert_int_equal(delegation_call_http(STR(AGENT), STR(ROUTE), STR("POST"), STR("/tickets"), body, json, &call), OK);
	assert_int_equal(delegation_items_permit(items, n, &call, &d), OK);
	assert_int_equal(delegation_call_http(STR(AGENT), STR(ROUTE), STR("POST"), STR("/tickets"), body, NULL, &call), OK);
	assert_int_equal(delegation_items_permit(items, n, &call, &d), ERR_ARGUMENT); /* not JSON */
	assert_int_equal(
		delegation_call_http(STR(AGENT), STR(ROUTE), STR("POST"), STR("/tickets"), STR_NULL, NULL, &call), OK);
	assert_int_equal(delegation_items_permit(items, n, &call, &d), ERR_ARGUMENT); /* no title */
	assert_int_equal(
		delegation_call_http(STR(AGENT), STR(ROUTE), STR("POST"), STR("/tickets?x=1"), body, json, &call), OK);
	assert_int_equal(delegation_items_permit(items, n, &call, &d), ERR_TOOL);
	assert_int_equal(
		delegation_call_http(STR(AGENT), STR(ROUTE), STR("GET"), STR("/tickets?open=1"), STR_NULL, NULL, &call), OK);
	assert_int_equal(delegation_items_permit(items, n, &call, &d), OK);
	assert_int_equal(
		delegation_call_http(STR(AGENT), STR(ROUTE), STR("GET"), STR("/tickets"), STR_NULL, NULL, &call), OK);
	assert_int_equal(delegation_items_permit(items, n, &call, &d), ERR_TOOL);
	assert_int_equal(
		delegation_call_http(STR(AGENT), STR(ROUTE), STR("GET"), STR("/tickets?open=1"), body, json, &call), OK);
	assert_int_equal(delegation_items_permit(items, n, &call, &d), ERR_ARGUMENT); /* a body nobody named */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_go_round),
		cmocka_unit_test(broken_claims_are_neither_written_nor_read),
		cmocka_unit_test(readers_are_strict),
		cmocka_unit_test(child_tokens_are_narrower),
		cmocka_unit_test(calls_are_canonical_or_refused),
		cmocka_unit_test(http_requests_are_held),
	};
	if (crypto_init() != OK) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
