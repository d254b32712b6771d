/* Every document of this room with every value replaced, every member renamed, repeated or removed, and in
 * arenas of every size. */
#include "helpers.h"
#include "mutate.h"
#include "pure/crypto/crypto.h"
#include "pure/jose/jose.h"

#define USER "u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11"
#define JKT "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
#define GRANT_ID "01KAQW7V0000000000000000AA"
#define ALL_KINDS                                                                                  \
	"[{\"constraints\":[" C1("/a", "one_of", "[1,\"x\"]") "," C1("/b", "range", "{\"max\":5,\"min\":-5}") "," \
	C1("/c", "matches", "\"[a-z]+(x|\\\\d{2,3})?\"") "," C1("/d", "url_in", "[\"https://a.example/x\"]") ","     \
	C1("/e", "host_is", "[\"a.example\"]") "," C1("/f/*/~1", "equals", "{\"a\":[1]}") "],\"server\":\"" ROUTE \
	"\",\"tool\":\"t\",\"type\":\"mcp_tool_call\"},{\"constraints\":[],\"method\":\"POST\",\"path\":\"/tickets\"," \
	"\"server\":\"" ROUTE "\",\"type\":\"http_request\"},{\"body_digest\":\"" JKT                        \
	"\",\"constraints\":[" C1("/p", "path_under", "\"/srv\"") "],\"method\":\"GET\",\"server\":\"" ROUTE    \
	"\",\"target\":\"/t?q\",\"type\":\"http_request\"}]"

static err_t bounds_mutant(str_t text)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_bounds_t b, back;
	diag_t d = { 0 };
	str_t again;

	TRY(delegation_bounds_parse(a, text, &b, &d));
	assert_int_equal(delegation_bounds_write(a, &b, &again), OK);
	assert_int_equal(delegation_bounds_parse(a, again, &back, NULL), OK);
	assert_int_equal(delegation_narrow(&b, &back, NULL), OK);
	return OK;
}

static err_t grant_mutant(str_t text)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_grant_t g;
	str_t rendered;
	diag_t d = { 0 };

	/* with the digest left as it was, no change of content may pass */
	if (delegation_grant_parse(a, text, &g, &d) == OK) {
		return OK;
	}
	if (delegation_grant_parse_stored(a, text, &g) == OK) {
		assert_int_equal(delegation_grant_render(a, &g, &rendered), OK);
	}
	return ERR_VALUE;
}

static err_t verb_mutant(str_t text)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_verb_t v;
	str_t again;

	TRY(delegation_verb_parse(a, text, &v, NULL));
	assert_int_equal(delegation_verb_build(a, &v, &again), OK);
	assert_true(str_eq(again, text));
	return OK;
}

static err_t claims_mutant(str_t text)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_claims_t c;
	diag_t d = { 0 };
	str_t again;

	TRY(delegation_claims_read(a, text, &c, &d));
	assert_int_equal(delegation_claims_write(a, &c, &again), OK);
	return OK;
}

static str_t grant_text(arena_t *a, bool is_child)
{
	delegation_grant_t g = { .id = STR(GRANT_ID), .iss = STR("https://auth.example"), .delegator_sub = STR(USER),
		.delegator_key = STR(JKT), .agent = STR(AGENT), .iat = 1795330120, .exp = 1795333720 };
	str_t doc;

	if (is_child) {
		g.has_parent = true;
		g.parent_id = STR(GRANT_ID);
		g.delegator_sub = STR("spiffe://td.example/agent/planner");
	}
	assert_int_equal(delegation_bounds_parse(a, STR(BOUNDS_OF(ALL_KINDS)), &g.bounds, NULL), OK);
	assert_int_equal(delegation_grant_build(a, &g, &doc), OK);
	return doc;
}

static str_t verb_text(arena_t *a)
{
	delegation_verb_t v = { .verb = STR("agent.register"), .by = STR(JKT), .iss = STR("https://auth.example"),
		.nonce = STR("AAAAAAAAAAAAAAAAAAAAAA"), .iat = 100, .exp = 160 };
	str_t doc;

	assert_int_equal(delegation_verb_build(a, &v, &doc), OK);
	return doc;
}

static str_t claims_text(arena_t *a)
{
	delegation_claims_t c = { .iss = STR("https://auth.example"), .aud = STR(ROUTE), .sub = STR(USER),
		.sub_profile = STR("user"), .client_id = STR(AGENT), .iat = 100, .exp = 160, .jti = STR("j"),
		.txn = STR("t"), .scope = STR("a:b"), .jkt = STR(JKT), .assurance = DELEGATION_KEY,
		.grant = STR(GRANT_ID), .parent = STR(JKT), .is_capability = true };
	str_t text;

	c.act.n = 2;
	c.act.actors[0] = (delegation_actor_t){ STR("spiffe://td.example"), STR(AGENT), STR("ai_agent") };
	c.act.actors[1] = (delegation_actor_t){ STR("spiffe://td.example"), STR("spiffe://td.example/agent/p"), STR_NULL };
	delegation_direction_of_grant(c.grant, c.iss, 90, false, &c.direction);
	c.direction.ev[0].h = STR(JKT);
	assert_int_equal(delegation_items_parse(a,
				 STR("[{\"args_digest\":\"" JKT "\",\"constraints\":[],\"server\":\"" ROUTE
				     "\",\"tool\":\"t\",\"type\":\"mcp_tool_call\"}]"),
				 &c.items, &c.n_items, NULL),
		OK);
	assert_int_equal(delegation_claims_write(a, &c, &text), OK);
	return text;
}

static void run_mutants(str_t text, mutant_fn fn, const char *what, size_t may_pass_percent)
{
	size_t n, refused;

	assert_int_equal(fn(text), OK);
	refused = mutate_all(text, fn, &n);
	print_message("# %s: %zu of %zu mutants refused\n", what, refused, n);
	assert_true(n > 100);
	assert_true((n - refused) * 100 <= n * may_pass_percent);
}

static void mutants_are_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();

	(void)state;
	run_mutants(STR(BOUNDS_OF(ALL_KINDS)), bounds_mutant, "bounds", 20); /* values of equals are free */
	run_mutants(grant_text(a, false), grant_mutant, "grant", 0);
	run_mutants(grant_text(a, true), grant_mutant, "child grant", 0);
	run_mutants(verb_text(a), verb_mutant, "verb", 5);
	run_mutants(claims_text(a), claims_mutant, "claims", 10);
}

/* What a full arena may end in: the limit, or what an item or a claim that does not fit is called. */
static bool is_refusal(err_t e)
{
	return e == ERR_LIMIT || e == ERR_DETAILS || e == ERR_TOKEN;
}

static void full_arenas_are_refused(void **state)
{
	AUTO(arena_free) arena_t *top = arena_open();
	str_t grant = grant_text(top, true), verb = verb_text(top), claims = claims_text(top);
	size_t limits = 0;

	(void)state;
	for (size_t cap = 0; cap < 100000; cap += 250) {
		AUTO(arena_free) arena_t *a = arena_new_capped(cap);
		AUTO(arena_free) arena_t *b = arena_new_capped(cap);
		AUTO(arena_free) arena_t *c = arena_new_capped(cap);
		AUTO(arena_free) arena_t *d = arena_new_capped(cap);
		delegation_grant_t g;
		delegation_verb_t v;
		delegation_claims_t t;
		delegation_bounds_t bounds;
		str_t text;
		err_t e = delegation_grant_parse(a, grant, &g, NULL);
		assert_true(e == OK || is_refusal(e));
		limits += e != OK;
		if (e == OK) {
			e = delegation_grant_build(a, &g, &text);
			assert_true(e == OK || is_refusal(e));
		}
		e = delegation_verb_parse(b, verb, &v, NULL);
		assert_true(e == OK || is_refusal(e));
		if (e == OK) {
			e = delegation_verb_build(b, &v, &text);
			assert_true(e == OK || is_refusal(e));
		}
		e = delegation_claims_read(c, claims, &t, NULL);
		assert_true(e == OK || is_refusal(e));
		if (e == OK) {
			e = delegation_claims_write(c, &t, &text);
			assert_true(e == OK || is_refusal(e));
		}
		e = delegation_bounds_parse(d, STR(BOUNDS_OF(ALL_KINDS)), &bounds, NULL);
		assert_true(e == OK || is_refusal(e));
		if (e == OK) {
			e = delegation_bounds_write(d, &bounds, &text);
			assert_true(e == OK || is_refusal(e));
		}
	}
	assert_true(limits > 10 && limits < 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutants_are_refused),
		cmocka_unit_test(full_arenas_are_refused),
	};
	if (crypto_init() != OK) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
