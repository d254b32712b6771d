/* store: opening, the batch and its savepoints, every table's rules. */
#include <sqlite3.h>

#include "harness.h"

static err_t seed_run(store_txn_t *t, void *self)
{
	store_grant_t g = grant_of("G0", NULL, 3);

	(void)self;
	TRY(seed_people(t));
	return store_grant_insert(t, &g);
}

/* ---- the batch ---- */

typedef struct {
	str_t name, value;
	err_t result;
} put_t;

static err_t put_run(store_txn_t *t, void *self)
{
	put_t *p = self;

	TRY(store_meta_put(t, p->name, p->value));
	return p->result;
}

typedef struct {
	arena_t *a;
	str_t name, value;
} get_t;

static err_t get_run(store_txn_t *t, void *self)
{
	get_t *g = self;

	return store_meta_get(t, g->a, g->name, &g->value);
}

static err_t meta(world_t *w, const char *name, str_t *out)
{
	get_t g = { .a = w->a, .name = str_of(name) };
	err_t err = store_read(w->store, get_run, &g);

	*out = g.value;
	return err;
}

static void a_failing_closure_undoes_itself_alone(void **state)
{
	world_t *w = *state;
	put_t p[3] = { { STR("a"), STR("1"), OK }, { STR("b"), STR("2"), ERR_DENIED },
		{ STR("c"), STR("3"), OK } };
	store_closure_t c[3], *all[3];
	str_t v;

	for (int i = 0; i < 3; i++) {
		c[i] = (store_closure_t){ .run = put_run, .self = &p[i], .err = ERR_INTERNAL };
		all[i] = &c[i];
	}
	store_batch_run(w->store, all, 3);
	assert_int_equal(c[0].err, OK);
	assert_int_equal(c[1].err, ERR_DENIED);
	assert_int_equal(c[2].err, OK);
	world_reopen(w);
	assert_int_equal(meta(w, "a", &v), OK);
	assert_int_equal(meta(w, "b", &v), ERR_NOT_FOUND);
	assert_int_equal(meta(w, "c", &v), OK);
	assert_true(str_eq(v, STR("3")));
}

static err_t write_on_reader(store_txn_t *t, void *self)
{
	(void)self;
	return store_meta_put(t, STR("x"), STR("y"));
}

static void readers_cannot_write(void **state)
{
	world_t *w = *state;
	str_t v;

	assert_int_equal(store_read(w->store, write_on_reader, NULL), ERR_STORE);
	assert_int_equal(meta(w, "x", &v), ERR_NOT_FOUND);
}

static void reopening_keeps_and_foreign_files_are_refused(void **state)
{
	world_t *w = *state;
	put_t p = { STR("k"), STR(""), OK };
	char path[128];
	sqlite3 *db;
	store_t *s = NULL;
	diag_t diag = { 0 };
	str_t v;
	FILE *f;

	assert_int_equal(store_write(w->store, put_run, &p), OK);
	world_reopen(w);
	assert_int_equal(meta(w, "k", &v), OK);
	assert_int_equal(v.n, 0);
	assert_non_null(v.p); /* the empty text is not the absent one */

	/* a copy is whole; made by a newer version it is refused */
	(void)snprintf(path, sizeof(path), "%s/copy.db", w->dir);
	assert_int_equal(store_backup(w->store, str_of(path)), OK);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(store_open(str_of(path), &(store_options_t){ .no_reserve = true }, &s, &diag),
			 ERR_STORE);
	assert_null(s);
	assert_non_null(strstr(diag.text, "newer"));

	f = fopen(path, "wb");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++) {
		assert_true(fputs("this is no database ", f) >= 0);
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(store_open(str_of(path), &(store_options_t){ .no_reserve = true }, &s, &diag),
			 ERR_STORE);
	assert_int_equal(store_open(STR("no/such/dir/attorn.db"), NULL, &s, &diag), ERR_IO);
	(void)snprintf(path, sizeof(path), "%s/copy.db-wal", w->dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/copy.db-shm", w->dir);
	(void)unlink(path);
}

static void the_database_is_durable_and_private(void **state)
{
	world_t *w = *state;
	str_t fs;
	bool durable;
	sqlite3_stmt *stmt;
	sqlite3 *db;

	assert_int_equal(store_disk(w->a, str_of(w->dir), &fs, &durable), OK);
	print_message("file system: %.*s\n", STR_ARG(fs));
	assert_int_equal(store_disk(w->a, STR("/dev/shm"), &fs, &durable), OK);
	assert_true(str_eq(fs, STR("tmpfs")) && !durable);
	assert_int_equal(store_disk(w->a, STR("/no/such"), &fs, &durable), ERR_IO);
	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "wal");
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- tables: one closure per test, so that rules meet inside a transaction as in service ---- */

static err_t identity_rules(store_txn_t *t, void *self)
{
	world_t *w = self;
	store_agent_t agent, *agents;
	store_user_t user;
	store_agent_key_t key = { .jkt = STR("j1"), .agent = STR("spiffe://t/agent/scout"),
		.jwk = STR("{}"), .state = STR("active"), .created_s = 3 }, got, *keys;
	store_role_t *roles;
	const str_t names[] = { STR_INIT("reader"), STR_INIT("writer") };
	const str_t bad[] = { STR_INIT("nobody") };
	size_t n;
	int64_t rev;

	TRY(seed_people(t));
	assert_int_equal(seed_people(t), ERR_EXISTS);
	TRY(store_agent_by_name(t, w->a, STR("scout"), &agent));
	assert_int_equal(agent.rev, 1);
	assert_int_equal(agent.max_depth, 2);
	agent.scopes = STR("[\"c:d\"]");
	TRY(store_agent_update(t, &agent));
	assert_int_equal(store_agent_update(t, &agent), ERR_CONFLICT); /* an old revision */
	assert_int_equal(store_agent_state_set(t, agent.id, STR("asleep")), ERR_VALUE);
	TRY(store_agent_state_set(t, agent.id, STR("quarantined")));
	assert_int_equal(store_agent_state_set(t, STR("x"), STR("active")), ERR_NOT_FOUND);
	TRY(store_agent_get(t, w->a, agent.id, &agent));
	assert_true(str_eq(agent.state, STR("quarantined")) && str_eq(agent.scopes, STR("[\"c:d\"]")));
	assert_int_equal(agent.rev, 3);
	TRY(store_agent_list(t, w->a, STR_NULL, &agents, &n));
	assert_int_equal(n, 1);
	TRY(store_agent_list(t, w->a, agents[0].id, &agents, &n));
	assert_int_equal(n, 0);

	TRY(store_agent_key_insert(t, &key));
	assert_int_equal(store_agent_key_insert(t, &key), ERR_EXISTS);
	TRY(store_agent_key_get(t, w->a, STR("j1"), &got));
	TRY(store_agent_key_list(t, w->a, key.agent, &keys, &n));
	assert_int_equal(n, 1);
	key.jkt = STR("j2"), key.agent = STR("spiffe://t/agent/ghost");
	assert_int_equal(store_agent_key_insert(t, &key), ERR_NOT_FOUND);

	assert_int_equal(store_user_by_name(t, w->a, STR("bob"), &user), ERR_NOT_FOUND);
	TRY(store_user_active_set(t, STR("u:1"), false));
	TRY(store_user_get(t, w->a, STR("u:1"), &user));
	assert_false(user.active);
	TRY(store_role_put(t, STR("reader"), STR("[\"a:read\"]"), &rev));
	assert_int_equal(rev, 1);
	TRY(store_role_put(t, STR("reader"), STR("[\"a:read\",\"b:read\"]"), &rev));
	assert_int_equal(rev, 2);
	TRY(store_role_put(t, STR("writer"), STR("[]"), &rev));
	TRY(store_user_roles_set(t, STR("u:1"), names, 2));
	TRY(store_user_roles(t, w->a, STR("u:1"), &roles, &n));
	assert_int_equal(n, 2);
	assert_true(str_eq(roles[0].permissions, STR("[\"a:read\",\"b:read\"]")));
	assert_int_equal(store_user_roles_set(t, STR("u:1"), bad, 1), ERR_NOT_FOUND);
	return OK;
}

static err_t grant_rules(store_txn_t *t, void *self)
{
	world_t *w = self;
	store_grant_t root = grant_of("G0", NULL, 3), child = grant_of("G1", "G0", STORE_NONE), g, *list;
	store_grant_t orphan = grant_of("G2", "GX", 1);
	str_t *ids;
	size_t n;

	TRY(seed_people(t));
	TRY(store_grant_insert(t, &root));
	TRY(store_grant_insert(t, &child));
	assert_int_equal(store_grant_insert(t, &child), ERR_EXISTS);
	assert_int_equal(store_grant_insert(t, &orphan), ERR_NOT_FOUND);
	TRY(store_grant_chain(t, w->a, STR("G1"), &list, &n));
	assert_int_equal(n, 2);
	assert_true(str_eq(list[0].id, STR("G1")) && str_eq(list[1].id, STR("G0")));
	assert_int_equal(list[0].uses_left, STORE_NONE);
	assert_true(list[1].sig.n == 3 && str_eq(list[1].sig, STR("\x01\x00\x02")));

	assert_int_equal(store_grant_spend(t, w->a, STR("GX"), 150), ERR_GRANT);
	assert_int_equal(store_grant_spend(t, w->a, STR("G1"), 99), ERR_NOT_YET);
	assert_int_equal(store_grant_spend(t, w->a, STR("G1"), 200), ERR_GRANT_EXPIRED);
	TRY(store_grant_spend(t, w->a, STR("G1"), 100));
	TRY(store_grant_spend(t, w->a, STR("G1"), 150));
	TRY(store_grant_spend(t, w->a, STR("G0"), 199)); /* the parent's own use is the last one */
	TRY(store_grant_get(t, w->a, STR("G0"), &g));
	assert_int_equal(g.uses_left, 0);
	assert_int_equal(g.uses_max, 3);
	assert_int_equal(store_grant_spend(t, w->a, STR("G1"), 150), ERR_GRANT_USES);

	TRY(store_grant_list(t, w->a, STR("u:1"), STR_NULL, STR_NULL, &list, &n));
	assert_int_equal(n, 2);
	assert_true(str_eq(list[0].id, STR("G1"))); /* newest first */
	TRY(store_grant_list(t, w->a, STR_NULL, STR("other"), STR_NULL, &list, &n));
	assert_int_equal(n, 0);
	TRY(store_grant_revoke(t, w->a, STR("G0"), 160, STR("enough"), &ids, &n));
	assert_int_equal(n, 2);
	assert_true(str_eq(ids[0], STR("G0")) && str_eq(ids[1], STR("G1")));
	assert_int_equal(store_grant_revoke(t, w->a, STR("G1"), 161, STR("again"), &ids, &n), ERR_CONFLICT);
	assert_int_equal(store_grant_revoke(t, w->a, STR("GX"), 161, STR("?"), &ids, &n), ERR_NOT_FOUND);
	assert_int_equal(store_grant_spend(t, w->a, STR("G1"), 165), ERR_GRANT_REVOKED);
	TRY(store_grant_revoked_since(t, w->a, 160, &ids, &n));
	assert_int_equal(n, 2);
	TRY(store_grant_revoked_since(t, w->a, 161, &ids, &n));
	assert_int_equal(n, 0);
	return OK;
}

static err_t spent_once_rules(store_txn_t *t, void *self)
{
	world_t *w = self;
	store_attempt_t at = { .rid = STR("R1"), .req = STR("digest"), .gateway = STR("gw1"),
		.route = STR("tickets"), .deadline_ms = 1000 }, got, *list;
	int64_t removed;
	size_t n;
	bool has;

	TRY(store_used_insert(t, STR("jti"), STR("1"), 50));
	assert_int_equal(store_used_insert(t, STR("jti"), STR("1"), 60), ERR_REPLAY);
	TRY(store_used_insert(t, STR("proof"), STR("1"), 60));
	TRY(store_used_purge(t, 50, 10, &removed));
	assert_int_equal(removed, 0); /* not before its time */
	TRY(store_used_purge(t, 51, 10, &removed));
	assert_int_equal(removed, 1);
	TRY(store_used_has(t, STR("jti"), STR("1"), &has));
	assert_false(has);
	TRY(store_used_has(t, STR("proof"), STR("1"), &has));
	assert_true(has);

	TRY(store_attempt_insert(t, &at));
	assert_int_equal(store_attempt_insert(t, &at), ERR_EXISTS);
	TRY(store_attempt_get(t, w->a, STR("R1"), &got));
	assert_null(got.grant.p);
	assert_null(got.code.p);
	assert_null(got.outcome.p);
	TRY(store_attempt_overdue(t, w->a, 1000, 10, &list, &n));
	assert_int_equal(n, 0);
	TRY(store_attempt_overdue(t, w->a, 1001, 10, &list, &n));
	assert_int_equal(n, 1);
	TRY(store_attempt_open_list(t, w->a, STR("gw2"), 10, &list, &n));
	assert_int_equal(n, 0);
	TRY(store_attempt_close(t, STR("R1"), STR("R2")));
	assert_int_equal(store_attempt_close(t, STR("R1"), STR("R3")), ERR_CLOSED);
	assert_int_equal(store_attempt_close(t, STR("R9"), STR("R3")), ERR_NOT_FOUND);
	TRY(store_attempt_open_list(t, w->a, STR_NULL, 10, &list, &n));
	assert_int_equal(n, 0);
	return OK;
}

static err_t config_rules(store_txn_t *t, void *self)
{
	world_t *w = self;
	store_route_t route, *routes;
	store_secret_t secret, *secrets;
	store_policy_t policy;
	store_key_t key = { .kid = STR("k1"), .use = STR("token"), .alg = STR("EdDSA"), .jwk = STR("{}"),
		.sealed = STR("s"), .state = STR("active"), .created_s = 5 }, got;
	int64_t v;
	size_t n;

	TRY(store_route_put(t, STR("a"), STR("{}"), &v));
	TRY(store_route_remove(t, STR("a")));
	assert_int_equal(store_route_remove(t, STR("a")), ERR_NOT_FOUND);
	assert_int_equal(store_route_get(t, w->a, STR("a"), &route), ERR_NOT_FOUND);
	TRY(store_route_put(t, STR("a"), STR("{\"kind\":\"http\"}"), &v));
	assert_int_equal(v, 3); /* a revision never comes back */
	TRY(store_route_list(t, w->a, STR_NULL, &routes, &n));
	assert_int_equal(n, 1);
	TRY(store_secret_put(t, STR("s"), STR("sealed"), 9, &v));
	TRY(store_secret_list(t, w->a, STR_NULL, &secrets, &n));
	assert_true(n == 1 && secrets[0].sealed.n == 0);
	TRY(store_secret_get(t, w->a, STR("s"), &secret));
	assert_true(str_eq(secret.sealed, STR("sealed")));
	TRY(store_secret_remove(t, STR("s")));
	assert_int_equal(store_policy_active(t, w->a, &policy), ERR_NOT_FOUND);
	TRY(store_policy_push(t, STR("d1"), STR("permit"), 1, &v));
	TRY(store_policy_push(t, STR("d2"), STR("forbid"), 2, &v));
	TRY(store_policy_active(t, w->a, &policy));
	assert_true(str_eq(policy.digest, STR("d2")) && policy.ver == v);
	TRY(store_policy_by_digest(t, w->a, STR("d1"), &policy));
	assert_false(policy.active);
	TRY(store_key_insert(t, &key));
	key.kid = STR("k2"), key.created_s = 6;
	TRY(store_key_insert(t, &key));
	TRY(store_key_active(t, w->a, STR("token"), &got));
	assert_true(str_eq(got.kid, STR("k2")));
	TRY(store_key_state_set(t, STR("k2"), STR("retired")));
	TRY(store_key_active(t, w->a, STR("token"), &got));
	assert_true(str_eq(got.kid, STR("k1")));
	TRY(store_key_next_n(t, STR("k1"), &v));
	assert_int_equal(v, 1);
	TRY(store_key_next_n(t, STR("k1"), &v));
	assert_int_equal(v, 2);
	assert_int_equal(store_key_next_n(t, STR("k9"), &v), ERR_NOT_FOUND);
	return OK;
}

static err_t log_rules(store_txn_t *t, void *self)
{
	world_t *w = self;
	static const char hash[32] = { 1 };
	store_entry_t e = { .rid = STR("R1"), .kind = STR("attempt"), .leaf = STR("{\0}"),
		.leaf_hash = str_bytes(hash, 32), .at_us = 7 }, got, *list;
	store_log_lock_t lock = { 1, 0, str_bytes(hash, 32), STR("note") }, next = lock;
	store_change_t change = { .kind = STR("agent"), .id = STR("x"), .snapshot = true }, *changes;
	int64_t v, entries, indexed;
	size_t n;

	TRY(store_source_open(t, STR("spiffe://t/a"), &e.src));
	TRY(store_source_open(t, STR("spiffe://t/a"), &v));
	assert_int_equal(v, e.src);
	TRY(store_source_next(t, e.src, &e.n));
	assert_int_equal(e.n, 1);
	TRY(store_entry_append(t, &e));
	assert_int_equal(store_entry_append(t, &e), ERR_EXISTS);
	e.rid = STR("R2");
	assert_int_equal(store_entry_append(t, &e), ERR_EXISTS); /* the same number twice */
	e.n = 2, e.leaf_hash = STR("short");
	assert_int_equal(store_entry_append(t, &e), ERR_VALUE);
	TRY(store_entry_waiting(t, w->a, 10, &list, &n));
	assert_int_equal(n, 1);
	TRY(store_entry_index_add(t, 0, list[0].seq));
	TRY(store_entry_waiting(t, w->a, 10, &list, &n));
	assert_int_equal(n, 0);
	TRY(store_entry_by_rid(t, w->a, STR("R1"), &got));
	assert_true(got.idx == 0 && got.leaf.n == 3);
	TRY(store_entry_count(t, &entries, &indexed));
	assert_true(entries == 1 && indexed == 1);

	TRY(store_log_lock_init(t, &lock));
	assert_int_equal(store_log_lock_init(t, &lock), ERR_EXISTS);
	next.size = 1;
	TRY(store_log_lock_swap(t, &lock, &next));
	assert_int_equal(store_log_lock_swap(t, &lock, &next), ERR_CONFLICT);
	TRY(store_opening_put(t, STR("R1"), STR("sealed")));
	assert_int_equal(store_opening_put(t, STR("R1"), STR("x")), ERR_EXISTS);

	TRY(store_snapshot_version(t, &v));
	assert_int_equal(v, 0);
	TRY(store_change_add(t, &change, &v));
	change.snapshot = false, change.kind = STR("revoked");
	TRY(store_change_add(t, &change, &v));
	assert_int_equal(v, 2);
	TRY(store_snapshot_version(t, &v));
	assert_int_equal(v, 1);
	TRY(store_change_last(t, &v));
	assert_int_equal(v, 2);
	TRY(store_change_since(t, w->a, 1, 10, &changes, &n));
	assert_true(n == 1 && str_eq(changes[0].kind, STR("revoked")));
	return OK;
}

static void rules(void **state, store_fn_t *run)
{
	world_t *w = *state;

	assert_int_equal(store_write(w->store, run, w), OK);
}
static void identity_tables(void **state) { rules(state, identity_rules); }
static void grant_tables(void **state) { rules(state, grant_rules); }
static void spent_once_tables(void **state) { rules(state, spent_once_rules); }
static void config_tables(void **state) { rules(state, config_rules); }
static void log_tables(void **state) { rules(state, log_rules); }

/* ---- numbers without gaps, uses counted exactly ---- */

typedef struct {
	bool fails;
	int64_t n;
} number_t;

static err_t number_run(store_txn_t *t, void *self)
{
	number_t *x = self;
	int64_t src;

	TRY(store_source_open(t, STR("p"), &src));
	TRY(store_source_next(t, src, &x->n));
	return x->fails ? ERR_DENIED : OK;
}

static void numbers_have_no_gaps(void **state)
{
	world_t *w = *state;
	number_t x[64];
	store_closure_t c[64], *all[64];
	int64_t expected = 1;

	for (int i = 0; i < 64; i++) {
		x[i] = (number_t){ .fails = i % 3 == 1 };
		c[i] = (store_closure_t){ .run = number_run, .self = &x[i] };
		all[i] = &c[i];
	}
	store_batch_run(w->store, all, 64);
	for (int i = 0; i < 64; i++) {
		if (!x[i].fails) {
			assert_int_equal(x[i].n, expected++);
		}
	}
}

static err_t spend_run(store_txn_t *t, void *self)
{
	world_t *w = self;

	return store_grant_spend(t, w->a, STR("G0"), 150);
}

static void the_last_use_is_spent_once(void **state)
{
	world_t *w = *state;
	store_closure_t c[200], *all[200];
	int won = 0;

	assert_int_equal(store_write(w->store, seed_run, NULL), OK);
	for (int i = 0; i < 200; i++) {
		c[i] = (store_closure_t){ .run = spend_run, .self = w };
		all[i] = &c[i];
	}
	store_batch_run(w->store, all, 200);
	for (int i = 0; i < 200; i++) {
		won += c[i].err == OK;
		assert_true(c[i].err == OK || c[i].err == ERR_GRANT_USES);
	}
	assert_int_equal(won, 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
	const struct CMUnitTest tests[] = {
		T(a_failing_closure_undoes_itself_alone), T(readers_cannot_write),
		T(reopening_keeps_and_foreign_files_are_refused), T(the_database_is_durable_and_private),
		T(identity_tables), T(grant_tables), T(spent_once_tables), T(config_tables), T(log_tables),
		T(numbers_have_no_gaps), T(the_last_use_is_spent_once),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
