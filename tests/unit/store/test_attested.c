/* store: what identity keeps. One-use tokens go once, sequences grow with content only, runs end once. */
#include "harness.h"

typedef struct {
	world_t *w;
	err_t (*fn)(store_txn_t *t, world_t *w);
} step_t;

static err_t step_run(store_txn_t *t, void *self)
{
	step_t *s = self;

	return s->fn(t, s->w);
}

static void does(world_t *w, err_t (*fn)(store_txn_t *t, world_t *w), err_t want)
{
	step_t s = { w, fn };

	assert_int_equal(store_write(w->store, step_run, &s), want);
}

static err_t people(store_txn_t *t, world_t *w)
{
	(void)w;
	return seed_people(t);
}

#define AGENT STR("spiffe://t/agent/scout")

/* --- entries -------------------------------------------------------------------------------------------- */

static err_t entries_twice(store_txn_t *t, world_t *w)
{
	const store_agent_entry_t one[] = { { .id = STR("a"), .doc = STR("{}"), .created_s = 1 },
		{ .id = STR("b"), .doc = STR("{}"), .created_s = 1 } };
	const store_agent_entry_t two[] = { { .id = STR("b"), .doc = STR("{\"x\":1}"), .created_s = 9 },
		{ .id = STR("c"), .doc = STR("{}"), .created_s = 9 } };
	store_agent_entry_t *rows;
	size_t n;

	TRY(store_agent_entries_set(t, w->a, AGENT, one, 2));
	TRY(store_agent_entries_set(t, w->a, AGENT, two, 2));
	TRY(store_agent_entry_list(t, w->a, AGENT, &rows, &n));
	assert_int_equal(n, 2);
	assert_true(str_eq(rows[0].id, STR("b")) && rows[0].created_s == 1);
	assert_true(str_eq(rows[0].doc, STR("{\"x\":1}")));
	assert_true(str_eq(rows[1].id, STR("c")) && rows[1].created_s == 9);
	return OK;
}

static err_t pages(store_txn_t *t, world_t *w)
{
	store_agent_entry_t *rows;
	size_t n;

	TRY(store_agent_entry_page(t, w->a, STR_NULL, STR_NULL, &rows, &n));
	assert_int_equal(n, 2);
	TRY(store_agent_entry_page(t, w->a, AGENT, STR("b"), &rows, &n));
	assert_int_equal(n, 1);
	TRY(store_agent_state_set(t, AGENT, STR("quarantined")));
	TRY(store_agent_entry_page(t, w->a, STR_NULL, STR_NULL, &rows, &n));
	assert_int_equal(n, 0); /* of active agents alone */
	return OK;
}

static void entries_are_replaced_as_one(void **state)
{
	does(*state, people, OK);
	does(*state, entries_twice, OK);
	does(*state, pages, OK);
}

/* --- keys and sequence ------------------------------------------------------------------------------------ */

static const store_svid_key_t first_key = { .kid = STR_INIT("k1"), .kind = STR_INIT("x509"), .alg = STR_INIT("ES256"),
	.state = STR_INIT("active"), .spki = STR_INIT("spki"), .cert = STR_INIT("cert"), .created_s = 1, .not_after_s = 100 };

static err_t key_one(store_txn_t *t, world_t *w)
{
	int64_t n;

	(void)w;
	TRY(store_svid_key_insert(t, &first_key));
	TRY(store_svid_key_next_n(t, STR("k1"), &n));
	assert_int_equal(n, 1);
	TRY(store_svid_key_next_n(t, STR("k1"), &n));
	assert_int_equal(n, 2);
	return store_svid_key_next_n(t, STR("k2"), &n);
}

static err_t key_two_active(store_txn_t *t, world_t *w)
{
	store_svid_key_t k = first_key;

	(void)w;
	TRY(store_svid_key_insert(t, &k));
	k.kid = STR("k2");
	return store_svid_key_insert(t, &k);
}

static err_t sequence(store_txn_t *t, world_t *w)
{
	int64_t n;
	store_foreign_bundle_t foreign = { .td = STR("example.test"), .doc = STR("{}"), .sequence = 1 };

	(void)w;
	TRY(store_bundle_sequence(t, STR("example.test"), STR("d1"), 1, &n));
	assert_int_equal(n, 1);
	TRY(store_bundle_sequence(t, STR("example.test"), STR("d1"), 2, &n));
	assert_int_equal(n, 1);
	TRY(store_bundle_sequence(t, STR("example.test"), STR("d2"), 3, &n));
	assert_int_equal(n, 2);
	return store_foreign_bundle_put(t, &foreign); /* never over our own */
}

static void numbers_have_no_gaps_and_one_key_signs(void **state)
{
	does(*state, key_one, ERR_NOT_FOUND);
	does(*state, key_two_active, ERR_EXISTS);
	does(*state, sequence, ERR_EXISTS);
}

/* --- nodes -------------------------------------------------------------------------------------------------- */

static err_t join_once(store_txn_t *t, world_t *w)
{
	str_t hash = STR("0123456789abcdef0123456789abcdef"), late = STR("0123456789abcdef0123456789abcdeX");

	(void)w;
	TRY(store_join_token_put(t, hash, 100));
	TRY(store_join_token_put(t, late, 10));
	assert_int_equal(store_join_token_take(t, late, 10), ERR_NOT_FOUND);
	TRY(store_join_token_take(t, hash, 99));
	return store_join_token_take(t, hash, 99);
}

static err_t banned(store_txn_t *t, world_t *w)
{
	const store_node_t node = { .id = STR("spiffe://example.test/attorn/node/local"), .method = STR("local"),
		.selectors = STR("[]"), .seen_s = 1, .created_s = 1 };

	(void)w;
	TRY(store_node_put(t, &node));
	TRY(store_node_put(t, &node));
	TRY(store_node_state_set(t, node.id, STR("banned")));
	return store_node_put(t, &node);
}

static err_t run_ends(store_txn_t *t, world_t *w)
{
	const store_node_t node = { .id = STR("n"), .method = STR("local"), .selectors = STR("[]") };
	const store_run_t run = { .id = STR("r1"), .agent = AGENT, .entry = STR("a"), .node = STR("n"),
		.spiffe_id = STR("spiffe://example.test/agent/scout/i/r1"), .runner = STR("[]"), .exp_s = 100 };
	store_run_t *rows;
	size_t n;

	TRY(store_node_put(t, &node));
	TRY(store_run_insert(t, &run));
	TRY(store_run_list(t, w->a, AGENT, true, &rows, &n));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].ended_s, STORE_NONE);
	TRY(store_runs_end_of_node(t, STR("n"), 50));
	TRY(store_run_list(t, w->a, AGENT, true, &rows, &n));
	assert_int_equal(n, 0);
	TRY(store_run_list(t, w->a, AGENT, false, &rows, &n));
	assert_int_equal(n, 1);
	return store_run_end(t, STR("r1"), 60);
}

static void what_ends_ends_once(void **state)
{
	does(*state, join_once, ERR_NOT_FOUND);
	does(*state, banned, ERR_AGENT_STATE);
	does(*state, people, OK);
	does(*state, run_ends, ERR_NOT_FOUND);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
	const struct CMUnitTest tests[] = {
		CASE(entries_are_replaced_as_one),
		CASE(numbers_have_no_gaps_and_one_key_signs),
		CASE(what_ends_ends_once),
	};

	return cmocka_run_group_tests_name("store_attested", tests, NULL, NULL);
}
