/* ledger: kill -9 between appends, sequencing and signing. What was acknowledged is there, the log
 * verifies at every start, and every head that was ever acknowledged is a prefix of the last. */
#include <signal.h>
#include <sys/wait.h>

#include "harness.h"

enum { KILL_ROUNDS = 12, KILL_BATCH = 8 };

typedef struct {
	uint64_t appended; /* records acknowledged in this round */
	uint64_t size; /* head acknowledged */
	merkle_hash_t root;
} ack_t;

static err_t head_run(store_txn_t *t, void *self)
{
	AUTO(arena_free) arena_t *a = arena_open();
	ack_t *ack = self;
	merkle_checkpoint_t c;
	str_t note;

	TRY(ledger_head(t, a, &note, &c));
	ack->size = c.size;
	ack->root = c.root;
	return OK;
}

static void child_batch(log_t *g)
{
	append_t x[KILL_BATCH];
	store_closure_t c[KILL_BATCH], *all[KILL_BATCH];
	arena_t *a = arena_open();

	for (int i = 0; i < KILL_BATCH; i++) {
		x[i] = (append_t){ .g = g, .record = { LEDGER_ATTEMPT, rid_of(a, g->made++),
			STR(ATTEMPT_BODY), 1795328512123456 } };
		c[i] = (store_closure_t){ .run = append_run, .self = &x[i] };
		all[i] = &c[i];
	}
	store_batch_run(g->w->store, all, KILL_BATCH);
	for (int i = 0; i < KILL_BATCH; i++) {
		if (c[i].err != OK) {
			_exit(3);
		}
	}
	arena_free(a);
}

static _Noreturn void killed_child(log_t *g, int out)
{
	ack_t ack = { 0 };
	uint64_t before = g->made;

	signing_start(&g->signing);
	if (store_open(str_of(g->w->path), NULL, &g->w->store, NULL) != OK || log_try_open(g, NULL) != OK) {
		_exit(2);
	}
	for (;;) {
		child_batch(g);
		ack.appended = g->made - before;
		if (write(out, &ack, sizeof(ack)) != sizeof(ack)) {
			_exit(3);
		}
		if (ledger_sequence_all(g->l, g->w->store, 1795328512123456) != OK ||
		    store_read(g->w->store, head_run, &ack) != OK ||
		    write(out, &ack, sizeof(ack)) != sizeof(ack)) {
			_exit(4);
		}
	}
}

typedef struct {
	int64_t entries, indexed;
} count_t;

static err_t count_run(store_txn_t *t, void *self)
{
	count_t *c = self;

	return store_entry_count(t, &c->entries, &c->indexed);
}

/* Every head we were told of is the root of a prefix of what is there now. */
static void prefix_check(log_t *g, const ack_t *ack)
{
	merkle_frontier_t f;
	merkle_hash_t root;
	ledger_report_t r;
	buf_t text;
	str_t rest;

	assert_int_equal(log_text(g, 0, UINT64_MAX, &text), OK);
	assert_int_equal(text_verify(ledger_vkey(g->l), buf_str(&text), &r), OK);
	merkle_frontier_init(&f);
	rest = buf_str(&text);
	for (uint64_t i = 0; i < ack->size; i++) {
		AUTO(arena_free) arena_t *a = arena_open();
		const json_t *row;
		str_t line, leaf;
		merkle_hash_t h;

		assert_true(str_split(&rest, '\n', &line));
		assert_int_equal(json_parse_object(a, line, &row, NULL), OK);
		assert_int_equal(json_need_str(row, STR("leaf"), 60000, &leaf), OK);
		assert_int_equal(b64_dec(a, leaf, 40000, &leaf), OK);
		h = merkle_leaf_hash(leaf);
		merkle_frontier_append(&f, &h);
	}
	root = merkle_frontier_root(&f);
	assert_true(merkle_hash_eq(&root, &ack->root));
	buf_done(&text);
}

static void kill_9_at_any_moment(void **state)
{
	log_t *g = *state;
	ack_t ack = { 0 };

	for (int round = 0; round < KILL_ROUNDS; round++) {
		ack_t heard;
		count_t n, before;
		verify_t v;
		int pipe_fd[2], status;
		pid_t pid;

		assert_int_equal(store_read(g->w->store, count_run, &before), OK);
		ack.appended = 0;
		ledger_close(g->l);
		store_close(g->w->store);
		signing_stop(&g->signing); /* one fate: the child has its own, which dies with it */
		g->l = NULL;
		g->w->store = NULL;
		assert_int_equal(pipe(pipe_fd), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			killed_child(g, pipe_fd[1]);
		}
		assert_int_equal(close(pipe_fd[1]), 0);
		for (int i = 0; i < 3 + 5 * round; i++) {
			assert_int_equal(read(pipe_fd[0], &heard, sizeof(heard)), sizeof(heard));
			ack = heard;
		}
		(void)usleep((useconds_t)(round * 137 % 1000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (read(pipe_fd[0], &heard, sizeof(heard)) == sizeof(heard)) {
			ack = heard;
		}
		assert_int_equal(close(pipe_fd[0]), 0);
		signing_start(&g->signing);
		assert_int_equal(store_open(str_of(g->w->path), NULL, &g->w->store, NULL), OK);
		assert_int_equal(log_try_open(g, NULL), OK); /* the start verifies everything */
		assert_int_equal(store_read(g->w->store, count_run, &n), OK);
		assert_true(n.entries >= before.entries + (int64_t)ack.appended && n.indexed >= (int64_t)ack.size);
		prefix_check(g, &ack);
		g->made += ack.appended + KILL_BATCH; /* or fewer: no id is used twice */
		log_fill(g, 1); /* the next process carries on */
		assert_int_equal(store_read(g->w->store, count_run, &n), OK);
		v.log = ledger_vkey(g->l);
		assert_int_equal(store_read(g->w->store, verify_run, &v), OK);
		assert_int_equal(v.report.records, (uint64_t)n.entries);
	}
	print_message("%d kills, %llu records\n", KILL_ROUNDS, (unsigned long long)g->made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kill_9_at_any_moment, log_open, log_close),
	};

	return cmocka_run_group_tests_name("ledger_crash", tests, NULL, NULL);
}
