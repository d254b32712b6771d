/* used: the index of spent ids in memory always says what the rows in the file say, whatever is undone,
 * forgotten, reopened, or written by somebody else. */
#include <sqlite3.h>

#include "engine/store/store_int.h"
#include "harness.h"

typedef struct {
	const char *id;
	int64_t until_s;
	err_t result; /* of the closure, after it has spent */
	err_t told; /* by the spending */
} spend_t;

static err_t spend_run(store_txn_t *t, void *self)
{
	spend_t *s = self;

	s->told = store_used_insert(t, STR("space"), str_of(s->id), s->until_s);
	TRY(s->told);
	return s->result;
}

static err_t spend(store_t *store, const char *id)
{
	spend_t s = { .id = id, .until_s = 100 };

	return store_write(store, spend_run, &s);
}

static void batch(store_t *store, spend_t *s, size_t n)
{
	store_closure_t c[8], *all[8];

	for (size_t i = 0; i < n; i++) {
		c[i] = (store_closure_t){ .run = spend_run, .self = &s[i] };
		all[i] = &c[i];
	}
	store_batch_run(store, all, n);
}

static void what_is_undone_is_not_spent(void **state)
{
	world_t *w = *state;
	spend_t s[] = { { "a", 100, OK }, { "b", 100, ERR_DENIED }, { "a", 100, OK }, { "c", 100, OK } };

	batch(w->store, s, ARRAY_LEN(s));
	assert_int_equal(s[0].told, OK);
	assert_int_equal(s[1].told, OK); /* and taken back */
	assert_int_equal(s[2].told, ERR_REPLAY);
	assert_int_equal(s[3].told, OK);
	assert_int_equal(spend(w->store, "a"), ERR_REPLAY);
	assert_int_equal(spend(w->store, "b"), OK);
	assert_int_equal(spend(w->store, "c"), ERR_REPLAY);
	spend_t alone = { "d", 100, ERR_DENIED };
	assert_int_equal(store_write(w->store, spend_run, &alone), ERR_DENIED); /* the whole transaction */
	assert_int_equal(spend(w->store, "d"), OK);
}

static void a_new_process_knows(void **state)
{
	world_t *w = *state;

	assert_int_equal(spend(w->store, "a"), OK);
	world_reopen(w);
	assert_int_equal(spend(w->store, "a"), ERR_REPLAY);
	assert_int_equal(spend(w->store, "b"), OK);
}

static void what_others_write_is_seen(void **state)
{
	world_t *w = *state;
	store_t *other = NULL;
	sqlite3 *db;

	assert_int_equal(spend(w->store, "a"), OK);
	assert_int_equal(store_open(str_of(w->path), &(store_options_t){ .no_reserve = true }, &other, NULL), OK);
	assert_int_equal(spend(other, "a"), ERR_REPLAY);
	assert_int_equal(spend(other, "b"), OK);
	assert_int_equal(spend(w->store, "b"), ERR_REPLAY);
	assert_int_equal(spend(w->store, "c"), OK);
	assert_int_equal(spend(other, "c"), ERR_REPLAY);
	store_close(other);

	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DELETE FROM used WHERE id = 'a'", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(spend(w->store, "a"), OK);
	assert_int_equal(spend(w->store, "b"), ERR_REPLAY);
}

static err_t neighbours_run(store_txn_t *t, void *self)
{
	(void)self;
	TRY(store_used_insert(t, STR("ab"), STR("c"), 100));
	TRY(store_used_insert(t, STR("a"), STR("bc"), 100));
	TRY(store_used_insert(t, STR("abc"), STR(""), 100));
	return store_used_insert(t, STR(""), STR("abc"), 100);
}

static void space_and_id_do_not_run_together(void **state)
{
	world_t *w = *state;

	assert_int_equal(store_write(w->store, neighbours_run, NULL), OK);
	assert_int_equal(store_write(w->store, neighbours_run, NULL), ERR_REPLAY);
}

/* ---- forgetting ---- */

typedef struct {
	int first, last; /* ids */
	int64_t until_s;
	err_t result;
} many_t;

static str_t id_of(char buf[16], int i)
{
	return str_bytes(buf, (size_t)snprintf(buf, 16, "%d", i));
}

static err_t many_run(store_txn_t *t, void *self)
{
	const many_t *m = self;
	char buf[16];

	for (int i = m->first; i <= m->last; i++) {
		TRY(store_used_insert(t, STR("space"), id_of(buf, i), m->until_s));
	}
	return m->result;
}

static void many(world_t *w, int first, int last, int64_t until_s)
{
	assert_int_equal(store_write(w->store, many_run, &(many_t){ first, last, until_s, OK }), OK);
}

typedef struct {
	int64_t now_s, limit, removed;
	err_t result;
} purge_t;

static err_t purge_run(store_txn_t *t, void *self)
{
	purge_t *p = self;

	TRY(store_used_purge(t, p->now_s, p->limit, &p->removed));
	return p->result;
}

static int64_t purge(world_t *w, int64_t now_s, int64_t limit)
{
	purge_t p = { .now_s = now_s, .limit = limit };

	assert_int_equal(store_write(w->store, purge_run, &p), OK);
	return p.removed;
}

typedef struct {
	int first, last, found;
} look_t;

static err_t look_run(store_txn_t *t, void *self)
{
	look_t *l = self;
	char buf[16];
	bool has;

	for (int i = l->first; i <= l->last; i++) {
		TRY(store_used_has(t, STR("space"), id_of(buf, i), &has));
		l->found += has;
	}
	return OK;
}

static int spent_among(world_t *w, int first, int last)
{
	look_t l = { first, last, 0 };

	assert_int_equal(store_write(w->store, look_run, &l), OK);
	return l.found;
}

static void what_stays_for_longer_holds_up_nothing(void **state)
{
	world_t *w = *state;

	many(w, 1, 50, 10);
	many(w, 51, 60, 1000); /* revoked tokens, say */
	many(w, 61, 3000, 10);
	many(w, 3001, 3010, 20);
	assert_int_equal(purge(w, 10, 100), 0); /* not before its time */
	assert_int_equal(purge(w, 11, 100), 90);
	assert_int_equal(purge(w, 11, 10000), 2900);
	assert_int_equal(spent_among(w, 1, 3010), 20);
	assert_int_equal(spent_among(w, 51, 60), 10);
	assert_int_equal(purge(w, 21, 10000), 10);
	many(w, 4001, 4010, 30);
	assert_int_equal(purge(w, 31, 10000), 10);
	world_reopen(w);
	assert_int_equal(spent_among(w, 1, 4010), 10);
	assert_int_equal(purge(w, 1001, 10000), 10);
	assert_int_equal(spent_among(w, 1, 4010), 0);
}

static void many_that_stay_hold_up_for_a_round(void **state)
{
	world_t *w = *state;
	int64_t removed = 0;

	many(w, 1, 2500, 1000);
	many(w, 2501, 2600, 10);
	for (int i = 0; i < 700; i++) {
		removed += purge(w, 11, 10000);
	}
	assert_int_equal(removed, 0); /* behind a wall of the living; only a peer's own revokes build one */
	for (int i = 0; i < 700; i++) {
		removed += purge(w, 1001, 10000);
	}
	assert_int_equal(removed, 2600);
}

static void a_purge_that_is_undone_forgets_nothing(void **state)
{
	world_t *w = *state;
	purge_t p = { .now_s = 11, .limit = 1000, .result = ERR_STORE };
	many_t m = { 201, 300, 20, OK };
	store_closure_t c[] = { { .run = purge_run, .self = &p }, { .run = many_run, .self = &m } };
	store_closure_t *all[] = { &c[0], &c[1] };

	many(w, 1, 100, 10);
	store_batch_run(w->store, all, 2);
	assert_int_equal(c[0].err, ERR_STORE);
	assert_int_equal(c[1].err, OK);
	assert_int_equal(p.removed, 100);
	assert_int_equal(spent_among(w, 1, 300), 200);
	world_reopen(w);
	assert_int_equal(spent_among(w, 1, 300), 200);
}

/* ---- the table itself, beside one that cannot be wrong ---- */

enum { KEYS = 3000, TURNS = 200000 };

typedef struct {
	bool now[KEYS], at_mark[KEYS], at_start[KEYS];
	size_t mark;
} model_t;

static used_key_t key_of(uint64_t i)
{
	return (used_key_t){ i % 7 ? i * 5 : 1020 + i, i + 1 }; /* many for one place, some at the edge */
}

static uint64_t draw(uint64_t *state, uint64_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % n;
}

static void turn(used_index_t *x, model_t *m, uint64_t what, uint64_t i)
{
	if (what < 60 && !m->now[i]) {
		used_index_add(x, key_of(i));
		m->now[i] = true;
	} else if (what < 96) {
		used_index_remove(x, key_of(i));
		m->now[i] = false;
	} else if (what == 96) {
		m->mark = used_index_mark(x);
		memcpy(m->at_mark, m->now, sizeof(m->now));
	} else if (what == 97) {
		used_index_undo(x, m->mark);
		memcpy(m->now, m->at_mark, sizeof(m->now));
	} else {
		if (what == 98) {
			used_index_undo(x, 0);
			memcpy(m->now, m->at_start, sizeof(m->now));
		}
		used_index_commit(x);
		memcpy(m->at_start, m->now, sizeof(m->now));
		memcpy(m->at_mark, m->now, sizeof(m->now));
		m->mark = 0;
	}
}

static void the_table_is_a_set_that_can_go_back(void **state)
{
	used_index_t *x = used_index_new();
	model_t *m = heap_new(model_t);
	uint64_t seed = 20261124;

	(void)state;
	for (int i = 0; i < TURNS; i++) {
		turn(x, m, draw(&seed, 100), draw(&seed, KEYS));
		if (i % 1000 == 0) {
			for (uint64_t k = 0; k < KEYS; k++) {
				assert_int_equal(used_index_has(x, key_of(k)), m->now[k]);
			}
		}
	}
	used_index_free(x);
	heap_free(m);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
	const struct CMUnitTest tests[] = {
		T(what_is_undone_is_not_spent), T(a_new_process_knows), T(what_others_write_is_seen),
		T(space_and_id_do_not_run_together), T(what_stays_for_longer_holds_up_nothing),
		T(many_that_stay_hold_up_for_a_round), T(a_purge_that_is_undone_forgets_nothing),
		cmocka_unit_test(the_table_is_a_set_that_can_go_back),
	};

	return cmocka_run_group_tests_name("store_used", tests, NULL, NULL);
}
