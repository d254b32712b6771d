/* grant, render, verb, direction, ids, chain, claims. */
#include "helpers.h"
#include "pure/jose/jose.h"

#define USER "u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11"
#define ISS "https://auth.example"
#define GRANT_ID "01KAQW7V0000000000000000AA"
#define CHILD_ID "01KAQW7V0000000000000000AB"

static crypto_key_t *key_of(const char *seed32)
{
	crypto_key_t *k;

	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(seed32, 32), &k), OK);
	return k;
}
#define ALICE key_of("alice-alice-alice-alice-alice-ab")
#define MALLORY key_of("mallory-mallory-mallory-mallory-")

static delegation_grant_t grant_of(arena_t *a, str_t jkt)
{
	delegation_grant_t g = { .id = STR(GRANT_ID),
		.iss = STR(ISS),
		.delegator_sub = STR(USER),
		.delegator_key = jkt,
		.agent = STR(AGENT),
		.iat = 1795330120,
		.exp = 1795333720 };

	assert_int_equal(
		delegation_bounds_parse(a,
			STR(BOUNDS_OF(TOOL_OF("[" C1("/path", "path_under", "\"/srv/invoices\"") "]"))),
			&g.bounds, NULL),
		OK);
	return g;
}

static str_t replaced(arena_t *a, str_t text, const char *from, const char *to)
{
	str_t f = str_of(from);

	for (size_t i = 0; i + f.n <= text.n; i++) {
		if (str_eq(str_sub(text, i, f.n), f)) {
			return arena_cat(a, str_sub(text, 0, i), str_of(to),
				str_sub(text, i + f.n, text.n));
		}
	}
	fail_msg("not found: %s in %.*s", from, STR_ARG(text));
	return text;
}

static void grants_are_signed_by_their_delegator(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *alice = ALICE;
	AUTO(crypto_key_free) crypto_key_t *mallory = MALLORY;
	delegation_grant_t g = grant_of(a, jose_jkt(a, crypto_key_pub(alice))), back;
	str_t doc, sig, other, verb_sig;
	uint8_t digest[32];

	(void)state;
	assert_int_equal(delegation_grant_build(a, &g, &doc), OK);
	assert_true(jcs_s_canonical(a, doc));
	assert_int_equal(delegation_grant_parse(a, doc, &back, NULL), OK);
	assert_true(str_eq(back.agent, STR(AGENT)));
	assert_int_equal(back.bounds.uses, 20);
	assert_int_equal(delegation_grant_sign(a, alice, doc, &sig), OK);
	assert_int_equal(delegation_grant_verify(a, doc, &back, crypto_key_pub(alice), sig), OK);
	/* P99: another's key, even with a good signature of its own */
	assert_int_equal(delegation_grant_sign(a, mallory, doc, &other), OK);
	assert_int_equal(delegation_grant_verify(a, doc, &back, crypto_key_pub(mallory), other),
		ERR_GRANT_SIGNATURE);
	assert_int_equal(delegation_grant_verify(a, doc, &back, crypto_key_pub(alice), other),
		ERR_GRANT_SIGNATURE);
	assert_int_equal(delegation_grant_verify(a, doc, &back, crypto_key_pub(alice), STR_NULL),
		ERR_GRANT_SIGNATURE);
	/* P100: another label, and every single changed byte */
	assert_int_equal(delegation_verb_sign(a, alice, doc, &verb_sig), OK);
	assert_int_equal(delegation_grant_verify(a, doc, &back, crypto_key_pub(alice), verb_sig),
		ERR_GRANT_SIGNATURE);
	for (size_t i = 0; i < doc.n; i += 7) {
		str_t bad = arena_str(a, doc);
		((char *)bad.p)[i] ^= 1;
		assert_int_equal(delegation_grant_verify(a, bad, &back, crypto_key_pub(alice), sig),
			ERR_GRANT_SIGNATURE);
	}
	delegation_grant_digest(doc, digest);
	uint8_t again[32];
	crypto_sha256(arena_cat(a, STR("attorn-grant/1"), str_bytes("", 1), doc), again);
	assert_memory_equal(digest, again, 32);
	AUTO(arena_free) arena_t *big = arena_open();
	void *p;
	assert_int_equal(arena_try(big, DELEGATION_DOCUMENT_BYTES_MAX + 1, &p), OK);
	assert_int_equal(delegation_grant_parse(big, str_bytes(p, DELEGATION_DOCUMENT_BYTES_MAX + 1), &back,
				 NULL),
		ERR_LIMIT);
	assert_int_equal(
		delegation_grant_sign(big, alice, str_bytes(p, DELEGATION_DOCUMENT_BYTES_MAX + 1), &sig),
		ERR_LIMIT);
}

static void grant_documents_are_strict(void **state)
{
	static const char *const changes[][2] = {
		{ "\"v\":\"attorn-grant/1\"", "\"v\":\"attorn-grant/2\"" },
		{ "\"v\":\"attorn-grant/1\"", "\"v\":\"attorn-grant/1\",\"w\":1" },
		{ ",\"v\":\"attorn-grant/1\"", "" },
		{ "\"parent\":null,", "" },
		{ "\"parent\":null", "\"parent\":{}" },
		{ "\"parent\":null", "\"parent\":1" },
		{ "\"parent\":null", "\"parent\":{\"digest\":\"sha-256:00\",\"id\":\"" CHILD_ID "\"}" },
		{ "{\"agent\"", "{ \"agent\"" },
		{ "\"exp\":1795333720", "\"exp\":1795330120" },
		{ "\"exp\":1795333720", "\"exp\":1995333720" },
		{ "\"iat\":1795330120", "\"iat\":-1" },
		{ "\"iat\":1795330120", "\"iat\":1.5" },
		{ "\"exp\":1795333720,\"iat\":1795330120", "\"iat\":1795330120,\"exp\":1795333720" },
		{ GRANT_ID, "01KAQW7V0000000000000000A" },
		{ GRANT_ID, "01KAQW7V0000000000000000AU" },
		{ GRANT_ID, "01kaqw7v0000000000000000aa" },
		{ GRANT_ID, "81KAQW7V0000000000000000AA" },
		{ "/agent/scout", "/attorn/gateway" },
		{ "/agent/scout", "/agent/" },
		{ "/agent/scout", "/agent/a/b" },
		{ "\"sub\":\"u:2b", "\"sub\":\"x:2b" },
		{ USER, AGENT },
		{ ISS, "ftp:x" },
		{ ISS, "https://auth.example/" },
		{ "\"delegator\":{\"key\":", "\"delegator\":{\"kez\":" },
		{ "\"delegator\":{\"key\":\"", "\"delegator\":{\"key\":\"A" },
		{ "\"render_digest\":\"sha-256:", "\"render_digest\":\"sha-256:0" },
		{ "\"render_digest\":\"sha-256:", "\"render_digest\":\"SHA-256:" },
		{ "\"uses\":20", "\"uses\":21" }, /* the text shown said 20 */
		{ "/srv/invoices", "/srv/invoice" },
		{ "\"budget\":null", "\"budget\":1" },
	};
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *alice = ALICE;
	delegation_grant_t g = grant_of(a, jose_jkt(a, crypto_key_pub(alice))), back;
	str_t doc;
	diag_t d = { 0 };

	(void)state;
	assert_int_equal(delegation_grant_build(a, &g, &doc), OK);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		if (delegation_grant_parse(a, replaced(a, doc, changes[i][0], changes[i][1]), &back, &d)
			== OK) {
			fail_msg("accepted: %s -> %s", changes[i][0], changes[i][1]);
		}
	}
	assert_int_equal(delegation_grant_parse(a, STR("[]"), &back, NULL), ERR_VALUE);
	/* what was checked once stays readable when the wording of the text changes */
	str_t reworded = replaced(a, doc, "\"uses\":20", "\"uses\":21");
	assert_int_equal(delegation_grant_parse_stored(a, reworded, &back), OK);
	assert_int_equal(back.bounds.uses, 21);
	g.exp = g.iat;
	assert_int_equal(delegation_grant_build(a, &g, &doc), ERR_VALUE);
	g.exp = 253402300800; /* beyond year 9999 */
	g.iat = g.exp - 10;
	assert_int_equal(delegation_grant_build(a, &g, &doc), ERR_VALUE);
	g.iat = -1;
	assert_int_equal(delegation_grant_build(a, &g, &doc), ERR_VALUE);
}

static void the_text_says_what_is_signed(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *alice = ALICE;
	str_t jkt = jose_jkt(a, crypto_key_pub(alice)), text;
	delegation_grant_t g = grant_of(a, jkt);

	(void)state;
	assert_int_equal(delegation_grant_render(a, &g, &text), OK);
	str_t want = arena_cat(a,
		STR("Grant " GRANT_ID " at " ISS "\nThe agent " AGENT " may act for " USER " (key "), jkt,
		STR(").\nIt may:\n"
		    "   1. use the tool \"read_text_file\" at \"" ROUTE "\", with exactly these arguments:\n"
		    "       \"/path\" is a path at or under \"/srv/invoices\"\n"
		    "Permissions: invoices:read tickets:create\n"
		    "Data classes: finance, pii\n"
		    "Environments: prod\n"
		    "At most 20 calls.\n"
		    "From 2026-11-22 06:48:40 UTC until 2026-11-22 07:48:40 UTC.\n"
		    "Only on Monday, Tuesday, Wednesday, Thursday, Friday from 08:00 to 18:30 UTC.\n"
		    "It may pass this on, through at most 1 more agent.\n"));
	if (!str_eq(text, want)) {
		fail_msg("%.*s", STR_ARG(text));
	}
}

static void every_kind_has_its_words(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *alice = ALICE;
	delegation_grant_t g = grant_of(a, jose_jkt(a, crypto_key_pub(alice)));
	str_t text;
	static const char *const want[] = { "is 1 or \"x\\u001b\"", "\"\\\"\\n\\xc3\\xa9\"", "from -5 to 5", "text that matches \"[a-z]+\"",
		"URL at or under \"https://a.example\"", "on the host \"a.example\" or \"b.example\"",
		"send POST \"/tickets\"", "without any argument", "digest is e3b0c442", "Data classes: none",
		"Environments: any", "At most 1 call.", "It may not pass this on.", "Permissions: none",
		"It rests on grant " CHILD_ID, "from 00:00 to 24:00" };
	const char *items =
		"[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE "\",\"tool\":\"t\",\"constraints\":["
		C1("/a", "one_of", "[1,\"x\\u001b\"]") "," C1("/b", "range", "{\"max\":5,\"min\":-5}") ","
		C1("/c", "matches", "\"[a-z]+\"") "," C1("/d", "url_in", "[\"https://a.example\"]") ","
		C1("/e", "host_is", "[\"a.example\",\"b.example\"]") "," C1("/f", "equals", "\"\\\"\\n\\u00e9\"")
		"]},{\"type\":\"http_request\",\"server\":\"" ROUTE
		"\",\"method\":\"POST\",\"path\":\"/tickets\",\"constraints\":[]},"
		"{\"type\":\"http_request\",\"server\":\"" ROUTE
		"\",\"method\":\"GET\",\"target\":\"/t\",\"body_digest\":"
		"\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}]";

	(void)state;
	assert_int_equal(delegation_items_parse(a, str_of(items), &g.bounds.items, &g.bounds.n_items, NULL),
		OK);
	const str_t any[] = { STR("*") };
	g.bounds.environments = any;
	g.bounds.n_data_classes = 0;
	g.bounds.uses = g.bounds.depth = 1;
	g.bounds.scope = STR_NULL;
	g.bounds.window = (delegation_window_t){ true, 0x80, 0, 1440 };
	g.has_parent = true;
	g.parent_id = STR(CHILD_ID);
	g.delegator_sub = STR("spiffe://td.example/agent/planner");
	assert_int_equal(delegation_grant_render(a, &g, &text), OK);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		if (!str_contains(text, str_of(want[i]))) {
			fail_msg("missing: %s in\n%.*s", want[i], STR_ARG(text));
		}
	}
	for (size_t i = 0; i < text.n; i++) { /* P73: printable ASCII and our own line ends */
		assert_true(text.p[i] == '\n' || (text.p[i] >= 0x20 && text.p[i] < 0x7f));
	}
	str_t doc;
	delegation_grant_t back;
	assert_int_equal(delegation_grant_build(a, &g, &doc), OK);
	assert_int_equal(delegation_grant_parse(a, doc, &back, NULL), OK);
	g.bounds.n_items = 0;
	g.bounds.depth = 3;
	assert_int_equal(delegation_grant_render(a, &g, &text), OK);
	assert_true(str_contains(text, STR("It may do nothing.")));
	assert_true(str_contains(text, STR("at most 2 more agents")));
}

static void child_grants_live_inside_their_parent(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *alice = ALICE;
	str_t jkt = jose_jkt(a, crypto_key_pub(alice)), doc;
	delegation_grant_t parent = grant_of(a, jkt), good = grant_of(a, jkt), c;

	(void)state;
	assert_int_equal(delegation_grant_build(a, &parent, &doc), OK);
	good.id = STR(CHILD_ID);
	good.has_parent = true;
	good.parent_id = parent.id;
	delegation_grant_digest(doc, good.parent_digest);
	good.delegator_sub = parent.agent;
	good.agent = STR("spiffe://td.example/agent/helper");
	good.bounds.depth = 1;
	assert_int_equal(delegation_grant_child_check(&parent, doc, &good, NULL), OK);
	c = good, c.has_parent = false;
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.parent_id = STR(CHILD_ID);
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.parent_digest[31] ^= 1;
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.delegator_sub = STR("spiffe://td.example/agent/other");
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.iss = STR("https://other.example");
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.exp++;
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.iat--;
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.bounds.depth = 2;
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_DEPTH);
	c = good, c.bounds.uses++;
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
	c = good, c.bounds.scope = STR("invoices:write");
	assert_int_equal(delegation_grant_child_check(&parent, doc, &c, NULL), ERR_BOUNDS);
}

static void verbs(void **state)
{
	static const char *const changes[][2] = { { "\"verb\":", "\"verbs\":" }, { "\"nonce\":\"A", "\"nonce\":\"" },
		{ "\"exp\":160", "\"exp\":221" }, { "\"exp\":160", "\"exp\":100" }, { "\"by\":\"", "\"by\":\"A" },
		{ "agent.register", "Agent" }, { "agent.register", "" }, { "{\"body", "{ \"body" },
		{ "\"iss\":\"" ISS, "\"iss\":\"x" }, { "sha-256:", "sha-512:" }, { "\"iat\":100", "\"iat\":null" } };
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *alice = ALICE;
	AUTO(crypto_key_free) crypto_key_t *mallory = MALLORY;
	delegation_verb_t v = { .verb = STR("agent.register"),
		.by = jose_jkt(a, crypto_key_pub(alice)),
		.iss = STR(ISS),
		.nonce = STR("AAAAAAAAAAAAAAAAAAAAAA"),
		.iat = 100,
		.exp = 160 };
	delegation_verb_t back;
	str_t doc, sig;

	(void)state;
	crypto_sha256(STR("body"), v.body_digest);
	assert_int_equal(delegation_verb_build(a, &v, &doc), OK);
	assert_int_equal(delegation_verb_parse(a, doc, &back, NULL), OK);
	assert_int_equal(delegation_verb_sign(a, alice, doc, &sig), OK);
	assert_int_equal(delegation_verb_verify(a, doc, &back, crypto_key_pub(alice), sig), OK);
	assert_int_equal(delegation_verb_verify(a, doc, &back, crypto_key_pub(mallory), sig), ERR_LOGIN);
	assert_int_equal(delegation_verb_verify(a, STR("{}"), &back, crypto_key_pub(alice), sig), ERR_LOGIN);
	assert_int_equal(delegation_verb_check(&back, STR(ISS), v.verb, STR("body"), 130, 5), OK);
	assert_int_equal(delegation_verb_check(&back, STR(ISS), v.verb, STR("body"), 95, 5), OK);
	assert_int_equal(delegation_verb_check(&back, STR(ISS), v.verb, STR("body"), 94, 5), ERR_LOGIN);
	assert_int_equal(delegation_verb_check(&back, STR(ISS), v.verb, STR("body"), 164, 5), OK);
	assert_int_equal(delegation_verb_check(&back, STR(ISS), v.verb, STR("body"), 165, 5), ERR_LOGIN);
	assert_int_equal(delegation_verb_check(&back, STR(ISS), v.verb, STR("bodz"), 130, 5), ERR_LOGIN);
	assert_int_equal(delegation_verb_check(&back, STR(ISS), STR("x"), STR("body"), 130, 5), ERR_LOGIN);
	assert_int_equal(delegation_verb_check(&back, STR("x"), v.verb, STR("body"), 130, 5), ERR_LOGIN);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		if (delegation_verb_parse(a, replaced(a, doc, changes[i][0], changes[i][1]), &back, NULL)
			== OK) {
			fail_msg("accepted: %s", changes[i][1]);
		}
	}
	assert_int_equal(delegation_verb_parse(a, STR("[]"), &back, NULL), ERR_VALUE);
	v.verb = STR_NULL;
	assert_int_equal(delegation_verb_build(a, &v, &doc), ERR_VALUE);
}

static void ids(void **state)
{
	static const char *const bad[] = { "", "spiffe://", "spiffe://td", "spiffe://td/", "spiffe:///agent/a",
		"spiffe://td/agent", "spiffe://td/agent/", "spiffe://td/agent/a/", "spiffe://td/agent//a",
		"spiffe://td/agent/A", "spiffe://td/agent/-a", "spiffe://td/agent/a%20", "spiffe://TD/agent/a",
		"SPIFFE://td/agent/a", "spiffe://td:80/agent/a", "spiffe://u@td/agent/a", "spiffe://td/agents/a",
		"spiffe://td/attorn", "spiffe://td/attorn/", "spiffe://td/attorn/../agent/a", "https://td/agent/a",
		"spiffe://td/agent/a?x", "spiffe://td/agent/a#x", "spiffe://td/agent/\xc3\xa9" };
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_id_kind_t kind;
	str_t td, name;
	char long_name[70];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (delegation_id_parse(str_of(bad[i]), &kind, &td, &name) == OK) {
			fail_msg("accepted: %s", bad[i]);
		}
	}
	assert_int_equal(delegation_id_parse(STR("spiffe://td/auto/n.1_-"), &kind, &td, &name), OK);
	assert_int_equal(kind, DELEGATION_AGENT_AUTONOMOUS);
	assert_true(str_eq(td, STR("td")) && str_eq(name, STR("n.1_-")));
	assert_int_equal(delegation_id_parse(STR("spiffe://td/attorn/gateway/1"), &kind, &td, &name), OK);
	assert_int_equal(kind, DELEGATION_INFRASTRUCTURE);
	assert_int_equal(delegation_agent_id_check(STR("spiffe://td/attorn/gateway/1"), STR("td")), ERR_VALUE);
	assert_int_equal(delegation_agent_id_check(STR("spiffe://td/agent/a"), STR("td")), OK);
	assert_int_equal(delegation_agent_id_check(STR("spiffe://td/agent/a"), STR("tx")), ERR_VALUE);
	assert_int_equal(delegation_agent_id_check(STR("x"), STR("tx")), ERR_VALUE);
	assert_true(str_eq(delegation_agent_id(a, STR("td"), DELEGATION_AGENT_DELEGATED, STR("a")),
		STR("spiffe://td/agent/a")));
	assert_true(str_eq(delegation_agent_id(a, STR("td"), DELEGATION_AGENT_AUTONOMOUS, STR("a")),
		STR("spiffe://td/auto/a")));
	memset(long_name, 'a', sizeof(long_name));
	assert_int_equal(delegation_name_check(str_bytes(long_name, 63)), OK);
	assert_int_equal(delegation_name_check(str_bytes(long_name, 64)), ERR_VALUE);
	assert_int_equal(delegation_user_id_check(STR(USER)), OK);
	assert_int_equal(delegation_user_id_check(STR("u:2B0F6F2E-1b1c-4c36-9a43-6f1f6f0a9b11")), ERR_VALUE);
	assert_int_equal(delegation_user_id_check(STR("u:2b0f6f2e01b1c-4c36-9a43-6f1f6f0a9b11")), ERR_VALUE);
	assert_int_equal(delegation_user_id_check(STR("alice")), ERR_VALUE);
}

static void chains(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_chain_t c = { 0 }, d;
	delegation_actor_t x = { STR("spiffe://td"), STR("spiffe://td/agent/a"), STR("ai_agent") };

	(void)state;
	assert_int_equal(delegation_chain_extend(&c, &x, &c), OK);
	assert_int_equal(delegation_chain_extend(&c, &x, &c), OK); /* the same again */
	assert_int_equal(c.n, 1);
	for (size_t i = 2; i <= DELEGATION_DEPTH_MAX; i++) {
		x.sub = arena_printf(a, "spiffe://td/agent/a%zu", i);
		assert_int_equal(delegation_chain_extend(&c, &x, &c), OK);
	}
	x.sub = STR("spiffe://td/agent/z");
	assert_int_equal(delegation_chain_extend(&c, &x, &d), ERR_DEPTH);
	str_t text = delegation_chain_write(a, &c);
	assert_true(jcs_s_canonical(a, text));
	assert_int_equal(delegation_chain_parse(a, text, &d, NULL), OK);
	assert_int_equal(d.n, DELEGATION_DEPTH_MAX);
	assert_true(str_eq(delegation_chain_write(a, &d), text)); /* P4 */
	text = arena_cat(a, STR("{\"act\":"), text, STR(",\"iss\":\"i\",\"sub\":\"s\"}"));
	assert_int_equal(delegation_chain_parse(a, text, &d, NULL), ERR_DEPTH); /* P7 */
	x.iss = STR("spiffe://other"), x.sub = c.actors[0].sub; /* another party: same sub, other namespace */
	assert_int_equal(delegation_chain_extend(&c, &x, &d), ERR_DEPTH);
	assert_int_equal(delegation_chain_parse(a, STR("{"), &d, NULL), ERR_SYNTAX);
	assert_int_equal(delegation_chain_parse(a, STR("{\"sub\":\"s\"}"), &d, NULL), ERR_MISSING_MEMBER);
	assert_int_equal(delegation_chain_parse(a, STR("{\"iss\":\"s\"}"), &d, NULL), ERR_MISSING_MEMBER);
	assert_int_equal(delegation_chain_parse(a, STR("{\"iss\":\"i\",\"sub\":\"s\",\"cnf\":{}}"), &d, NULL),
		ERR_UNKNOWN_MEMBER);
	assert_int_equal(
		delegation_chain_parse(a, STR("{\"act\":1,\"iss\":\"i\",\"sub\":\"s\"}"), &d, NULL), ERR_VALUE);
	assert_int_equal(
		delegation_chain_parse(a, STR("{\"act\":null,\"iss\":\"i\",\"sub\":\"s\"}"), &d, NULL),
		ERR_VALUE);
}

static void directions_never_rise(void **state)
{
	delegation_direction_t d, e;
	delegation_ev_t approval = { .t = DELEGATION_EV_APPROVAL, .iss = STR(ISS), .id = STR("ap"), .iat = 2 };
	uint8_t x[32] = { 1 }, y[32] = { 2 };

	(void)state;
	delegation_direction_of_grant(STR(GRANT_ID), STR(ISS), 1, true, &d);
	assert_int_equal(d.sel, DELEGATION_SEL_UNKNOWN); /* P101 */
	delegation_direction_of_grant(STR(GRANT_ID), STR(ISS), 1, false, &d);
	assert_int_equal(d.sel, DELEGATION_SEL_AGENT_WITHIN_GRANT);
	delegation_direction_next(&d, DELEGATION_SEL_HUMAN_SPECIFIED, &e);
	assert_int_equal(e.sel, DELEGATION_SEL_AGENT_WITHIN_GRANT);
	assert_int_equal(delegation_direction_check(&d, &e), OK);
	delegation_direction_next(&d, DELEGATION_SEL_UNKNOWN, &e);
	assert_int_equal(e.sel, DELEGATION_SEL_UNKNOWN);
	assert_int_equal(delegation_direction_check(&d, &e), OK);
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	assert_int_equal(delegation_direction_approve(&e, &approval, x, y, &e), ERR_ACTION);
	approval.t = DELEGATION_EV_GRANT;
	assert_int_equal(delegation_direction_approve(&e, &approval, x, x, &e), ERR_VALUE);
	approval.t = DELEGATION_EV_APPROVAL;
	assert_int_equal(delegation_direction_approve(&e, &approval, x, x, &e), OK);
	assert_int_equal(e.sel, DELEGATION_SEL_HUMAN_APPROVED);
	assert_int_equal(e.n_ev, 2);
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS); /* evidence lost */
	e.sel = DELEGATION_SEL_HUMAN_SPECIFIED;
	while (e.n_ev < DELEGATION_EVIDENCE_MAX) {
		assert_int_equal(delegation_direction_approve(&e, &approval, x, x, &e), OK);
	}
	assert_int_equal(e.sel, DELEGATION_SEL_HUMAN_SPECIFIED);
	assert_int_equal(delegation_direction_approve(&e, &approval, x, x, &e), ERR_LIMIT);
	d = e, d.ev[3].h = STR("x");
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	d = e, d.ev[3].t = DELEGATION_EV_TRIGGER;
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	d = e, d.ev[3].iat++;
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	d = e, d.ev[3].iss = STR("x");
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	d = e, d.ev[3].id = STR("x");
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	d = e, d.init = DELEGATION_INIT_HUMAN;
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	d = e, d.by = STR("x");
	assert_int_equal(delegation_direction_check(&e, &d), ERR_BOUNDS);
	delegation_direction_autonomous(STR(ISS), DELEGATION_INIT_SCHEDULE, &d);
	assert_true(str_eq(delegation_init_name(d.init), STR("schedule")));
	assert_true(str_eq(delegation_sel_name(d.sel), STR("unknown")));
	delegation_assurance_t s;
	assert_int_equal(delegation_assurance_parse(STR("shared-uid"), &s), OK);
	assert_int_equal(delegation_assurance_min(s, DELEGATION_ATTESTED), DELEGATION_SHARED_UID);
	assert_int_equal(delegation_assurance_min(DELEGATION_ATTESTED, DELEGATION_KEY), DELEGATION_KEY);
	assert_int_equal(delegation_assurance_parse(STR("Key"), &s), ERR_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants_are_signed_by_their_delegator),
		cmocka_unit_test(grant_documents_are_strict),
		cmocka_unit_test(the_text_says_what_is_signed),
		cmocka_unit_test(every_kind_has_its_words),
		cmocka_unit_test(child_grants_live_inside_their_parent),
		cmocka_unit_test(verbs),
		cmocka_unit_test(ids),
		cmocka_unit_test(chains),
		cmocka_unit_test(directions_never_rise),
	};
	if (crypto_init() != OK) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
