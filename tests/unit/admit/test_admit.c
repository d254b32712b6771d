/* admit: the commit point against a real store: what passes once, what is refused, what is spent and
 * recorded by it (oauth P55, P59, P84, P103-P106). */
#include "authority.h"

typedef struct {
	authority_t *t;
	admit_deps_t deps;
	admit_request_t q;
	admit_answer_t out;
	int64_t now_us;
} ask_t;

static ask_t ask_of(authority_t *t, const char *rid, const char *jti)
{
	ask_t k = { .t = t, .now_us = NOW_US };

	k.deps = (admit_deps_t){ .store = t->store, .vault = t->vault, .ledger = t->ledger };
	k.q = (admit_request_t){
		.rid = str_of(rid),
		.has_once = true,
		.once_space = STR(ISSUER),
		.once_id = str_of(jti),
		.once_until_s = NOW_S + 60,
		.grant = t->grant,
		.fence = t->view->version,
		.instance = STR("00112233445566778899aabbccddeeff"),
		.route = STR("invoices"),
		.deadline_ms = NOW_S * 1000 + 60000,
		.answer_by_ms = NOW_S * 1000 + 5000,
		.record = STR("{\"act\":{\"args\":\"sha-256:"
			      "0000000000000000000000000000000000000000000000000000000000000000\",\"digest\":\"sha-256:"
			      "1111111111111111111111111111111111111111111111111111111111111111\",\"op\":\"tools/call\","
			      "\"tool\":\"read\"},\"assurance\":\"key\",\"chain\":[{\"role\":\"user\",\"sub\":\"" USER_ID
			      "\"}]}"),
	};
	crypto_sha256(k.q.rid, k.q.req_digest);
	return k;
}

static err_t ask_run(store_txn_t *txn, void *self)
{
	static admit_docs_t *docs; /* one for all, as in a process */
	ask_t *k = self;

	docs = docs ? docs : admit_docs_new();
	k->deps.docs = docs;
	return admit_run(&k->deps, txn, k->t->a, k->t->view, &k->q, k->now_us, &k->out);
}

static admit_answer_t ask(ask_t *k)
{
	authority_write(k->t, ask_run, k);
	return k->out;
}

static void refused_with(ask_t k, err_t code)
{
	admit_answer_t a = ask(&k);

	assert_false(a.admitted);
	assert_string_equal(err_info(a.code)->name, err_info(code)->name);
	assert_int_equal(a.credential.value.n, 0);
}

static store_grant_t grant_row(authority_t *t);

#define RID(n) "01KAQW7W00000000000000000" n

static void admits_once_per_jti(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("1"), "jti-1");

	assert_true(ask(&k).admitted);
	assert_int_equal(authority_entries(t, "attempt"), 1);
	assert_int_equal(grant_row(t).uses_left, 2);
	refused_with(ask_of(t, RID("2"), "jti-1"), ERR_REPLAY);
	assert_int_equal(authority_entries(t, "decision"), 1); /* the refusal is on record */
	assert_int_equal(grant_row(t).uses_left, 2); /* and spent nothing */
}

static void repeats_the_answer_of_one_rid(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("3"), "jti-3"), other;

	k.q.route = STR("tickets");
	assert_true(ask(&k).admitted);
	assert_true(str_eq(k.out.credential.header, STR("X-Api-Key")));
	assert_true(str_eq(k.out.credential.value, STR("k-s3cret")));
	assert_true(ask(&k).admitted); /* the answer was lost: the same again, credential included */
	assert_true(str_eq(k.out.credential.value, STR("k-s3cret")));
	assert_int_equal(authority_entries(t, "attempt"), 1);
	assert_int_equal(grant_row(t).uses_left, 2);
	other = k;
	other.q.req_digest[0] ^= 1; /* another body under the same rid */
	refused_with(other, ERR_CONFLICT);
	assert_int_equal(authority_entries(t, "decision"), 0);
}

/* An authority that stood still reads a question whose asker has given up: nothing is spent for it, and a
 * question that was answered in time keeps its answer. */
static void a_late_question_spends_nothing(void **state)
{
	authority_t *t = *state;
	ask_t late = ask_of(t, RID("4"), "jti-4"), again = ask_of(t, RID("5"), "jti-5");

	late.now_us = (NOW_S + 5) * 1000000 + 1000;
	refused_with(late, ERR_CLOSED);
	assert_int_equal(grant_row(t).uses_left, 3);
	assert_int_equal(authority_entries(t, "attempt") + authority_entries(t, "decision"), 0);
	late.now_us = (NOW_S + 5) * 1000000;
	assert_true(ask(&late).admitted);
	assert_true(ask(&again).admitted);
	again.now_us = (NOW_S + 9) * 1000000;
	assert_true(ask(&again).admitted);
	assert_int_equal(grant_row(t).uses_left, 1);
}

static void a_refusal_brings_no_credential(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("G"), "jti-g"), again = ask_of(t, RID("H"), "jti-g");

	k.q.route = again.q.route = STR("tickets");
	assert_true(ask(&k).admitted);
	refused_with(again, ERR_REPLAY);
}

static void a_refusal_is_repeated_too(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("1"), "jti-1"), again = ask_of(t, RID("2"), "jti-1");

	assert_true(ask(&k).admitted);
	refused_with(again, ERR_REPLAY);
	refused_with(again, ERR_REPLAY);
	assert_int_equal(authority_entries(t, "decision"), 1);
}

static void refuses_decisions_on_older_rules(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("4"), "jti-4");

	authority_fence(t);
	refused_with(k, ERR_FENCE);
	assert_int_equal(authority_entries(t, "decision"), 0); /* nothing spent, nothing recorded */
	authority_view(t);
	k.q.fence = t->view->version;
	assert_true(ask(&k).admitted); /* decided anew, the same rid and jti */
}

static err_t revoke_run(store_txn_t *txn, void *self)
{
	authority_t *t = self;
	str_t *ids;
	size_t n;

	return store_grant_revoke(txn, t->a, t->grant, NOW_S, STR("test"), &ids, &n);
}

static void refuses_after_a_revoke(void **state)
{
	authority_t *t = *state;

	authority_write(t, revoke_run, t);
	refused_with(ask_of(t, RID("5"), "jti-5"), ERR_GRANT_REVOKED);
	assert_int_equal(authority_entries(t, "attempt"), 0);
}

static void counts_the_uses(void **state)
{
	authority_t *t = *state;
	ask_t k;

	for (int i = 0; i < 3; i++) {
		char rid[32], jti[16];
		snprintf(rid, sizeof(rid), "01KAQW7W0000000000000000A%d", i);
		snprintf(jti, sizeof(jti), "use-%d", i);
		k = ask_of(t, rid, jti);
		assert_true(ask(&k).admitted);
	}
	refused_with(ask_of(t, RID("6"), "jti-6"), ERR_GRANT_USES);
	assert_int_equal(authority_entries(t, "attempt"), 3);
}

static void refuses_what_is_late_or_elsewhere(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("7"), "jti-7");

	k.q.once_until_s = NOW_S;
	refused_with(k, ERR_EXPIRED);
	k = ask_of(t, RID("8"), "jti-8");
	k.now_us = (NOW_S + 3601) * 1000000;
	k.q.answer_by_ms = (NOW_S + 3602) * 1000;
	k.q.once_until_s = NOW_S + 7200;
	refused_with(k, ERR_GRANT_EXPIRED);
	k = ask_of(t, RID("9"), "jti-9");
	k.q.route = STR("no-such-route");
	refused_with(k, ERR_NOT_FOUND);
	k = ask_of(t, RID("A"), "jti-a");
	k.q.grant = STR("01KAQW7V000000000000000009");
	refused_with(k, ERR_GRANT);
	assert_int_equal(grant_row(t).uses_left, 3);
}

static err_t secret_remove_run(store_txn_t *txn, void *self)
{
	(void)self;
	return store_secret_remove(txn, STR("desk"));
}

static void without_its_credential_nothing_is_admitted(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("B"), "jti-b");

	authority_write(t, secret_remove_run, NULL);
	k.q.route = STR("tickets");
	refused_with(k, ERR_CREDENTIAL);
	assert_int_equal(grant_row(t).uses_left, 3);
}

static err_t close_run(store_txn_t *txn, void *self)
{
	(void)self;
	return store_attempt_close(txn, STR(RID("C")), STR("01KAQW7W0000000000000000ZZ"));
}

static void a_closed_call_stays_closed(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("C"), "jti-c");

	assert_true(ask(&k).admitted);
	authority_write(t, close_run, NULL);
	refused_with(k, ERR_CLOSED);
}

#define HASH "sha-256:2222222222222222222222222222222222222222222222222222222222222222"

static err_t token_revoke_run(store_txn_t *txn, void *self)
{
	(void)self;
	return store_used_insert(txn, STR("revoked"), STR(HASH), NOW_S + 600);
}

static void a_revoked_token_admits_nothing(void **state)
{
	authority_t *t = *state;
	ask_t k = ask_of(t, RID("D"), "jti-d");

	k.q.token_hash = STR(HASH);
	authority_write(t, token_revoke_run, NULL);
	refused_with(k, ERR_TOKEN);
	assert_int_equal(grant_row(t).uses_left, 3);
}

typedef struct {
	authority_t *t;
	store_grant_t row;
} row_t;

static err_t row_run(store_txn_t *txn, void *self)
{
	row_t *r = self;

	return store_grant_get(txn, r->t->a, r->t->grant, &r->row);
}

static store_grant_t grant_row(authority_t *t)
{
	row_t r = { .t = t };

	assert_int_equal(store_read(t->store, row_run, &r), OK);
	return r.row;
}

/* --- a grant below a grant ---------------------------------------------------------------------------- */

#define CHILD "01KAQW7V000000000000000002"

static err_t child_run(store_txn_t *txn, void *self)
{
	authority_t *t = self;
	store_grant_t above = grant_row(t);
	delegation_grant_t parent, g;
	store_grant_t row = { .id = STR(CHILD), .root = above.id, .parent = above.id, .depth = 1,
		.agent = STR(AGENT_ID), .user = above.user, .iat_s = above.iat_s, .exp_s = above.exp_s,
		.uses_max = 100, .uses_left = 100, .revoked_s = STORE_NONE };

	assert_int_equal(delegation_grant_parse_stored(t->a, above.doc, &parent), OK);
	g = parent;
	g.id = row.id;
	g.delegator_sub = STR(AGENT_ID);
	g.delegator_key = row.key = jose_jkt(t->a, crypto_key_pub(t->agent_key));
	g.has_parent = true;
	g.parent_id = above.id;
	delegation_grant_digest(above.doc, g.parent_digest);
	assert_int_equal(delegation_grant_build(t->a, &g, &row.doc), OK);
	assert_int_equal(delegation_grant_sign(t->a, t->agent_key, row.doc, &row.sig), OK);
	return store_grant_insert(txn, &row);
}

static void a_child_spends_what_is_above_it(void **state)
{
	authority_t *t = *state;
	ask_t k;

	authority_write(t, child_run, t);
	for (int i = 0; i < 3; i++) { /* the child has a hundred uses, its parent three */
		k = ask_of(t, RID("D"), "x");
		k.q.rid = arena_printf(t->a, "01KAQW7W0000000000000000D%d", i);
		k.q.once_id = arena_printf(t->a, "child-%d", i);
		k.q.grant = STR(CHILD);
		assert_true(ask(&k).admitted);
	}
	assert_int_equal(grant_row(t).uses_left, 0);
	k = ask_of(t, RID("E"), "child-4");
	k.q.grant = STR(CHILD);
	refused_with(k, ERR_GRANT_USES);
}

static void a_child_ends_with_what_is_above_it(void **state)
{
	authority_t *t = *state;
	ask_t k;

	authority_write(t, child_run, t);
	authority_write(t, revoke_run, t); /* of the parent */
	k = ask_of(t, RID("F"), "child-5");
	k.q.grant = STR(CHILD);
	refused_with(k, ERR_GRANT_REVOKED);
}

/* --- a run that is over ------------------------------------------------------------------------------------- */

static err_t run_begins(store_txn_t *txn, void *self)
{
	const store_node_t node = { .id = STR("spiffe://" TD "/attorn/node/local"), .method = STR("local"),
		.selectors = STR("[]"), .seen_s = NOW_S, .created_s = NOW_S };
	const store_run_t run = { .id = STR("r1"), .agent = STR(AGENT_ID), .entry = STR("run"), .node = node.id,
		.spiffe_id = STR(AGENT_ID "/i/r1"), .runner = STR("[]"), .started_s = NOW_S, .exp_s = NOW_S + 3600 };

	(void)self;
	TRY(store_node_put(txn, &node));
	return store_run_insert(txn, &run);
}

static err_t run_ends(store_txn_t *txn, void *self)
{
	(void)self;
	return store_run_end(txn, STR("r1"), NOW_S);
}

static void a_run_that_is_over_admits_nothing(void **state)
{
	authority_t *t = *state;
	ask_t lives = ask_of(t, RID("A"), "jti-a"), over = ask_of(t, RID("B"), "jti-b"), never = ask_of(t, RID("C"), "jti-c");

	authority_write(t, run_begins, NULL);
	lives.q.run = over.q.run = STR("r1");
	never.q.run = STR("r2"); /* nobody began it */
	assert_true(ask(&lives).admitted);
	authority_write(t, run_ends, NULL);
	refused_with(over, ERR_RUN_OVER);
	refused_with(never, ERR_RUN_OVER);
	assert_int_equal(grant_row(t).uses_left, 2);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, authority_open, authority_close)
	const struct CMUnitTest tests[] = {
		CASE(a_run_that_is_over_admits_nothing),
		CASE(admits_once_per_jti),
		CASE(repeats_the_answer_of_one_rid),
		CASE(a_late_question_spends_nothing),
		CASE(a_refusal_brings_no_credential),
		CASE(a_refusal_is_repeated_too),
		CASE(refuses_decisions_on_older_rules),
		CASE(refuses_after_a_revoke),
		CASE(counts_the_uses),
		CASE(refuses_what_is_late_or_elsewhere),
		CASE(without_its_credential_nothing_is_admitted),
		CASE(a_closed_call_stays_closed),
		CASE(a_child_spends_what_is_above_it),
		CASE(a_child_ends_with_what_is_above_it),
		CASE(a_revoked_token_admits_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
