/* feed: a view is built from the store whole; a policy that does not load leaves the old one; the set of
 * ended grants remembers and forgets. */
#include "authority.h"
#include "service/feed/revoked.h"

static void a_view_holds_what_the_store_holds(void **state)
{
	authority_t *t = *state;
	const snapshot_t *s = t->view->snapshot;
	const snapshot_route_t *r = snapshot_route(s, STR("invoices"));
	const snapshot_user_t *u = snapshot_user(s, STR(USER_ID));
	const snapshot_agent_t *g = snapshot_agent(s, STR(AGENT_ID));

	assert_non_null(r);
	assert_true(str_eq(r->url, STR(GATEWAY "/r/invoices")));
	assert_true(str_list_has(u->permissions, STR("tickets:create")));
	assert_true(snapshot_agent_has_key(g, jose_jkt(t->a, crypto_key_pub(t->agent_key))));
	assert_int_equal(g->state, SNAPSHOT_ACTIVE);
	assert_true(policy_bundle_count(t->view->policy) > 3);
	assert_ptr_equal(snapshot_route_by_url(s, STR(GATEWAY "/r/invoices")), r);
}

static void a_new_view_shares_the_policy_it_had(void **state)
{
	authority_t *t = *state;
	const policy_bundle_t *before = t->view->policy;
	uint64_t version = t->view->version;

	authority_fence(t);
	authority_view(t);
	assert_true(t->view->version > version);
	assert_ptr_equal(t->view->policy, before);
}

static err_t broken_run(store_txn_t *txn, void *self)
{
	int64_t ver;

	(void)self;
	return store_policy_push(txn,
		STR("sha-256:0000000000000000000000000000000000000000000000000000000000000000"),
		STR("{\"files\":[{\"name\":\"x.cedar\",\"text\":\"permit (nonsense\"}]}"), NOW_S, &ver);
}

typedef struct {
	authority_t *t;
	buf_t *text;
} view_args_t;

static err_t build_run(store_txn_t *txn, void *self)
{
	view_args_t *args = self;

	buf_clear(args->text);
	return feed_build(&args->t->feed_deps, txn, args->text);
}

static void a_policy_that_does_not_load_is_no_view(void **state)
{
	authority_t *t = *state;
	AUTO(buf_wipe) buf_t text = { 0 };
	view_args_t args = { t, &text };
	const feed_view_t *made = NULL;
	diag_t diag = { 0 };

	buf_init(&text, 8 << 20);
	authority_write(t, broken_run, NULL);
	assert_int_equal(store_read(t->store, build_run, &args), OK);
	assert_int_equal(feed_view_make(buf_str(&text), t->view, &made, &diag), ERR_POLICY);
	assert_null(made);
	assert_non_null(strstr(diag.text, "x.cedar"));
}

static void ended_grants_are_remembered_for_the_life_of_a_token(void **state)
{
	revoked_t r = { 0 };
	char id[27];

	(void)state;
	assert_false(revoked_has(&r, STR("01KAQW7V000000000000000001")));
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "01KAQW7V0000000000000%05d", i);
		revoked_add(&r, str_of(id), 1000);
	}
	assert_int_equal(r.n, 1000);
	assert_true(revoked_has(&r, STR("01KAQW7V000000000000000999")));
	assert_false(revoked_has(&r, STR("01KAQW7V000000000000001000")));
	revoked_add(&r, STR("too short"), 1000);
	assert_int_equal(r.n, 1000);
	/* an hour later the old ones go when room is needed */
	for (int i = 0; i < 3000; i++) {
		snprintf(id, sizeof(id), "01KAQW7W0000000000000%05d", i);
		revoked_add(&r, str_of(id), 1000 + FEED_REVOKED_REMEMBER_S + 1);
	}
	assert_false(revoked_has(&r, STR("01KAQW7V000000000000000999")));
	assert_true(revoked_has(&r, STR("01KAQW7W000000000000002999")));
	revoked_done(&r);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, authority_open, authority_close)
	const struct CMUnitTest tests[] = {
		CASE(a_view_holds_what_the_store_holds),
		CASE(a_new_view_shares_the_policy_it_had),
		CASE(a_policy_that_does_not_load_is_no_view),
		cmocka_unit_test(ended_grants_are_remembered_for_the_life_of_a_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
