/* flow: what a step table does. Every test runs twice: on the real loop and in the simulated world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/flow/flow.h"
#include "engine/flow/sim.h"

typedef enum {
	GO_ON,
	FAIL,
	SLEEP, /* waits, comes back OK */
	FAIL_LATER, /* waits, comes back failed */
	HOLD, /* waits for a signal */
	SKIP, /* to `target`, the first time */
	RECOVER_SKIP, /* forgives, then skips to `target` */
	RECOVER,
	DONE,
	SPIN, /* skips to itself for ever */
} act_t;

typedef struct {
	loop_t *loop;
	sim_t *sim; /* NULL: the real world */
	arena_t *arena;
	flow_id_t id;
	act_t act[4];
	const char *target;
	char trace[64];
	err_t result, seen, recover;
	uint64_t signal_id;
	unsigned finished;
	uint64_t last_waits_failed;
	bool skipped, freed_after_finish;
} play_t;

static void never(op_t *op) { (void)op; }
static void fail_start(op_t *op) { op_complete(op, ERR_UPSTREAM); } /* inside start: still not inline */
static const op_kind_t failing_kind = { "failing", fail_start, never, false };

static err_t wait_act(flow_t *f, play_t *p, act_t act)
{
	op_t *op;

	if (act == SLEEP) {
		return flow_wait(f, op_sleep(f->arena, 1));
	}
	if (act == HOLD) {
		TRY(signal_open(f->loop, f->arena, &op, &p->signal_id));
		return flow_wait(f, op);
	}
	op = arena_new(f->arena, op_t);
	op_init(op, &failing_kind);
	return flow_wait(f, op);
}

static err_t step(flow_t *f, unsigned row)
{
	play_t *p = f->state;
	char name[2] = { (char)('a' + row), 0 };
	size_t n = strlen(p->trace);

	if (n < sizeof(p->trace) - 1) {
		p->trace[n] = name[0];
	}
	if (flow_result(f) != OK) {
		p->seen = flow_result(f);
	}
	switch (p->act[row]) {
	case GO_ON:
		return OK;
	case FAIL:
		return ERR_VALUE;
	case SLEEP:
	case HOLD:
	case FAIL_LATER:
		return wait_act(f, p, p->act[row]);
	case SKIP:
		ENSURE(!p->skipped, OK);
		p->skipped = true;
		return flow_skip_to(f, p->target);
	case RECOVER_SKIP:
		ENSURE(flow_result(f) != OK, OK);
		p->recover = flow_recover(f);
		TRY(p->recover);
		p->act[1] = GO_ON;
		return flow_skip_to(f, p->target);
	case RECOVER:
		p->recover = flow_recover(f);
		return p->recover;
	case DONE:
		return flow_done(f);
	case SPIN:
		return flow_skip_to(f, name);
	}
	return ERR_INTERNAL;
}

static err_t step_a(flow_t *f) { return step(f, 0); }
static err_t step_b(flow_t *f) { return step(f, 1); }
static err_t step_c(flow_t *f) { return step(f, 2); }
static err_t step_d(flow_t *f) { return step(f, 3); }

static void arena_gone(void *arg)
{
	play_t *p = arg;

	p->freed_after_finish = p->finished == 1;
}

static void finish(flow_t *f, err_t result)
{
	play_t *p = f->state;

	p->finished++;
	p->result = result;
	p->last_waits_failed = flow_stats(f->loop, 0)->wait[3].failed;
	flow_note(f, kv_s("agent", STR("evil\nlevel=error")));
	if (!p->sim) {
		loop_stop(f->loop);
	}
}

static const flow_step_t plain_steps[] = {
	{ "a", step_a, false }, { "b", step_b, false }, { "c", step_c, false }, { "d", step_d, false },
};
static const flow_table_t plain = FLOW_TABLE("plain", plain_steps, finish);

/* as `call`: the last row puts the outcome on record */
static const flow_step_t seeing_steps[] = {
	{ "a", step_a, false }, { "b", step_b, false }, { "c", step_c, false }, { "d", step_d, true },
};
static const flow_table_t seeing = FLOW_TABLE("seeing", seeing_steps, finish);

/* a row in the middle that sees failure */
static const flow_step_t middle_steps[] = {
	{ "a", step_a, false }, { "b", step_b, true }, { "c", step_c, false }, { "d", step_d, true },
};
static const flow_table_t middle = FLOW_TABLE("middle", middle_steps, finish);

static void play_open(play_t *p, void **state, uint64_t seed)
{
	bool real = *(const bool *)*state;

	log_setup(LVL_ERROR, 2);
	p->sim = real ? NULL : sim_new(&(sim_plan_t){ .seed = seed });
	p->loop = real ? loop_new() : sim_loop(p->sim);
}

static void play_start(play_t *p, const flow_table_t *t, uint64_t deadline_ms)
{
	arena_t *a = arena_open();

	arena_defer(a, arena_gone, p);
	assert_int_equal(flow_start(p->loop, t, a, p, loop_in_ms(p->loop, deadline_ms), &p->id), OK);
	assert_string_equal(p->trace, ""); /* never inside flow_start */
}

static void play_end(play_t *p)
{
	if (p->sim) {
		assert_true(sim_run(p->sim));
	} else if (!p->finished) {
		loop_run(p->loop);
	}
	assert_int_equal(p->finished, 1); /* F6 */
	assert_true(p->freed_after_finish);
	assert_int_equal(flow_count(p->loop), 0);
	assert_false(flow_cancel(p->loop, p->id, ERR_CANCELLED)); /* cancel after the end */
	if (p->sim) {
		sim_free(p->sim);
	} else {
		loop_free(p->loop);
	}
}

static void played(void **state, play_t *p, const flow_table_t *t, const char *trace, err_t result)
{
	play_open(p, state, 7);
	play_start(p, t, 60000);
	play_end(p);
	assert_string_equal(p->trace, trace);
	assert_int_equal(p->result, result);
}

static void rows_run_in_order(void **state)
{
	played(state, &(play_t){ 0 }, &plain, "abcd", OK);
	played(state, &(play_t){ .act = { SLEEP, GO_ON, SLEEP, SLEEP } }, &plain, "abcd", OK);
}

static void skips_and_done(void **state)
{
	played(state, &(play_t){ .act = { SKIP }, .target = "c" }, &plain, "acd", OK);
	played(state, &(play_t){ .act = { GO_ON, GO_ON, SKIP }, .target = "a" }, &plain, "abcabcd", OK);
	played(state, &(play_t){ .act = { GO_ON, DONE } }, &plain, "ab", OK);
}

static void a_failed_step_ends_the_flow(void **state)
{
	played(state, &(play_t){ .act = { GO_ON, FAIL } }, &plain, "ab", ERR_VALUE);
	played(state, &(play_t){ .act = { GO_ON, GO_ON, GO_ON, FAIL } }, &plain, "abcd", ERR_VALUE);
}

static void a_failed_wait_ends_the_flow(void **state)
{
	played(state, &(play_t){ .act = { FAIL_LATER } }, &plain, "a", ERR_UPSTREAM);
	played(state, &(play_t){ .act = { SLEEP, SLEEP, SLEEP, FAIL_LATER } }, &plain, "abcd", ERR_UPSTREAM);
}

static void a_failure_skips_down_to_the_row_that_sees_it(void **state)
{
	play_t step_fails = { .act = { FAIL } }, wait_fails = { .act = { GO_ON, FAIL_LATER, GO_ON, SLEEP } };

	played(state, &step_fails, &seeing, "ad", ERR_VALUE);
	assert_int_equal(step_fails.seen, ERR_VALUE);
	played(state, &wait_fails, &seeing, "abd", ERR_UPSTREAM); /* d waited, and OK did not clear it */
	assert_int_equal(wait_fails.seen, ERR_UPSTREAM);
}

static void a_forgotten_check_does_not_let_it_walk_on(void **state)
{
	play_t p = { .act = { FAIL } }, q = { .act = { FAIL, DONE } };
	play_t twice = { .act = { FAIL, FAIL_LATER, GO_ON, GO_ON } };

	played(state, &p, &middle, "abd", ERR_VALUE);
	played(state, &q, &middle, "ab", ERR_VALUE);
	played(state, &twice, &middle, "abd", ERR_VALUE); /* the first failure is the result */
}

static void recover_goes_on(void **state)
{
	play_t again = { .act = { GO_ON, FAIL_LATER, GO_ON, RECOVER_SKIP }, .target = "b" };

	played(state, &again, &seeing, "abdbcd", OK);
	played(state, &(play_t){ .act = { FAIL, RECOVER } }, &middle, "abcd", OK);
}

static void turning_for_ever_is_stopped(void **state)
{
	play_t p = { .act = { SPIN } }, again = { .act = { SPIN, GO_ON, GO_ON, RECOVER } };

	play_open(&p, state, 1);
	play_start(&p, &plain, 60000);
	play_end(&p);
	assert_int_equal(p.result, ERR_INTERNAL);
	play_open(&again, state, 1);
	play_start(&again, &seeing, 60000);
	play_end(&again);
	assert_int_equal(again.recover, ERR_INTERNAL); /* not to be forgiven */
}

static void the_deadline_is_final(void **state)
{
	play_t p = { .act = { GO_ON, HOLD } }, q = { .act = { HOLD, GO_ON, GO_ON, RECOVER } };
	play_t word = { .act = { HOLD, GO_ON, GO_ON, SLEEP } };

	play_open(&p, state, 1);
	play_start(&p, &plain, 5);
	play_end(&p);
	assert_string_equal(p.trace, "ab");
	assert_int_equal(p.result, ERR_TIMEOUT);
	play_open(&q, state, 1);
	play_start(&q, &seeing, 5);
	play_end(&q);
	assert_string_equal(q.trace, "ad");
	assert_int_equal(q.recover, ERR_TIMEOUT);
	play_open(&word, state, 1);
	play_start(&word, &seeing, 5);
	play_end(&word); /* d could still wait: an outcome has its own deadline */
	assert_string_equal(word.trace, "ad");
	assert_int_equal(word.result, ERR_TIMEOUT);
	assert_int_equal(word.last_waits_failed, 0);
}

static void cancel_before_the_first_step(void **state)
{
	play_t p = { 0 }, q = { 0 };

	play_open(&p, state, 1);
	play_start(&p, &plain, 1000);
	assert_true(flow_cancel(p.loop, p.id, ERR_GRANT_REVOKED));
	assert_true(flow_cancel(p.loop, p.id, ERR_CANCELLED)); /* the first reason wins */
	assert_int_equal(p.finished, 0); /* F4: only marked */
	play_end(&p);
	assert_string_equal(p.trace, "");
	assert_int_equal(p.result, ERR_GRANT_REVOKED);
	play_open(&q, state, 1);
	play_start(&q, &seeing, 1000);
	flow_cancel_all(q.loop, ERR_CANCELLED);
	play_end(&q);
	assert_string_equal(q.trace, "d");
}

static void until_held(play_t *p)
{
	for (unsigned i = 0; i < 100 && p->signal_id == 0; i++) {
		if (p->sim) {
			assert_true(sim_run_ms(p->sim, 1));
		} else {
			loop_stop(p->loop);
			loop_run(p->loop);
		}
	}
	assert_int_not_equal(p->signal_id, 0);
}

static void cancel_while_it_waits(void **state)
{
	play_t p = { .act = { SLEEP, HOLD } };

	play_open(&p, state, 1);
	play_start(&p, &seeing, 60000);
	if (!p.sim) {
		p.act[0] = GO_ON;
	}
	until_held(&p);
	assert_ptr_equal(flow_peek_state(p.loop, p.id, &seeing), &p);
	assert_null(flow_peek_state(p.loop, p.id, &plain));
	assert_true(flow_cancel(p.loop, p.id, ERR_CANCELLED));
	assert_int_equal(p.finished, 0);
	play_end(&p);
	assert_string_equal(p.trace, "abd");
	assert_int_equal(p.result, ERR_CANCELLED);
}

static void cancel_does_not_cut_the_last_word(void **state)
{
	play_t p = { .act = { GO_ON, GO_ON, GO_ON, HOLD } };

	play_open(&p, state, 1);
	play_start(&p, &seeing, 60000);
	until_held(&p);
	assert_true(flow_cancel(p.loop, p.id, ERR_CANCELLED));
	assert_true(signal_fire(p.loop, p.signal_id, OK));
	play_end(&p);
	assert_string_equal(p.trace, "abcd");
	assert_int_equal(p.result, OK); /* all rows had run; there was nothing left to cancel */
}

static void a_cancel_that_loses_the_race_still_counts(void **state)
{
	play_t p = { .act = { HOLD } };

	play_open(&p, state, 1);
	play_start(&p, &seeing, 60000);
	until_held(&p);
	assert_true(signal_fire(p.loop, p.signal_id, OK));
	assert_true(flow_cancel(p.loop, p.id, ERR_GRANT_REVOKED));
	play_end(&p);
	assert_string_equal(p.trace, "ad");
	assert_int_equal(p.result, ERR_GRANT_REVOKED);
}

static void signals_are_fired_once(void **state)
{
	play_t p = { .act = { HOLD } };
	AUTO(arena_free) arena_t *a = arena_open();
	uint64_t unused, another;
	op_t *op;

	play_open(&p, state, 1);
	play_start(&p, &plain, 60000);
	until_held(&p);
	assert_false(signal_fire(p.loop, p.signal_id + (1 << 20), OK)); /* another generation */
	assert_false(signal_fire(p.loop, 0, OK));
	assert_false(signal_fire(p.loop, p.id, OK)); /* a flow is no signal */
	assert_true(signal_fire(p.loop, p.signal_id, ERR_DENIED));
	assert_false(signal_fire(p.loop, p.signal_id, OK));
	assert_int_equal(signal_open(p.loop, a, &op, &unused), OK);
	arena_reset(a);
	assert_false(signal_fire(p.loop, unused, OK)); /* went with its arena */
	assert_int_equal(signal_open(p.loop, a, &op, &another), OK);
	assert_false(signal_fire(p.loop, unused, OK)); /* nor does its place answer to the old number */
	assert_true(signal_fire(p.loop, another, OK));
	play_end(&p);
	assert_int_equal(p.result, ERR_DENIED);
}

/* operations outside a flow: gather */

typedef struct {
	unsigned done;
	err_t err;
	loop_t *stop;
} waiter_t;

static void waiter_done(op_t *op, err_t err)
{
	waiter_t *w = op->owner;

	w->done++;
	w->err = err;
	if (w->stop) {
		loop_stop(w->stop);
	}
}

static void gathered(void **state, op_t *const parts[], size_t n, err_t result)
{
	AUTO(arena_free) arena_t *a = arena_open();
	play_t p = { 0 };

	play_open(&p, state, 3);
	waiter_t w = { .stop = p.sim ? NULL : p.loop };
	op_start(op_gather(a, parts, n), p.loop, loop_in_ms(p.loop, 1000), waiter_done, &w);
	assert_int_equal(w.done, 0);
	if (p.sim) {
		assert_true(sim_run(p.sim));
		sim_free(p.sim);
	} else {
		loop_run(p.loop);
		loop_free(p.loop);
	}
	assert_int_equal(w.done, 1);
	assert_int_equal(w.err, result);
}

static void gather_waits_for_all(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	op_t *ok[] = { op_sleep(a, 2), op_sleep(a, 0), op_sleep(a, 1) };
	op_t *bad[] = { op_sleep(a, 3600000), arena_new(a, op_t), op_sleep(a, 3600000) };

	op_init(bad[1], &failing_kind);
	gathered(state, ok, 3, OK);
	gathered(state, bad, 3, ERR_UPSTREAM); /* the others are hurried, not waited for */
	assert_int_equal(op_result(bad[0]), ERR_CANCELLED);
	assert_int_equal(op_result(bad[1]), ERR_UPSTREAM);
	gathered(state, NULL, 0, OK);
}

static void figures_are_kept(void **state)
{
	play_t p = { .act = { SLEEP, FAIL } };

	play_open(&p, state, 1);
	play_start(&p, &seeing, 60000);
	if (p.sim) {
		assert_true(sim_run(p.sim));
	} else {
		loop_run(p.loop);
	}
	const flow_stats_t *s = flow_stats(p.loop, 0);
	assert_ptr_equal(s->table, &seeing);
	assert_null(flow_stats(p.loop, 1));
	assert_int_equal(s->whole.count, 1);
	assert_int_equal(s->whole.failed, 1);
	assert_int_equal(s->cpu[1].failed, 1);
	assert_int_equal(s->cpu[2].count, 0);
	assert_int_equal(s->cpu[3].count, 1);
	assert_int_equal(s->wait[0].count, 1);
	assert_true(s->wait[0].us_total >= 1000 && s->whole.us_max >= 1000);
	play_end(&p);
}

/* our own mistakes stop the process */

static void dies(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		close(2);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void twice_start(op_t *op)
{
	op_complete(op, OK);
	op_complete(op, OK);
}

static void completes_twice(void)
{
	static const op_kind_t kind = { "twice", twice_start, NULL, false };
	sim_t *s = sim_new(&(sim_plan_t){ .seed = 1 });
	op_t op;

	op_init(&op, &kind);
	op_start(&op, sim_loop(s), 1, waiter_done, NULL);
}

static err_t wait_without_return(flow_t *f)
{
	TRY(flow_wait(f, op_sleep(f->arena, 1)));
	return ERR_VALUE;
}

static err_t two_endings(flow_t *f)
{
	TRY(flow_skip_to(f, "a"));
	return flow_done(f);
}

static void run_one(err_t (*fn)(flow_t *))
{
	const flow_step_t steps[] = { { "a", fn, false } };
	const flow_table_t t = FLOW_TABLE("wrong", steps, finish);
	play_t p = { .sim = sim_new(&(sim_plan_t){ .seed = 1 }) };

	if (flow_start(sim_loop(p.sim), &t, arena_open(), &p, UINT64_MAX, &p.id) != OK || !sim_run(p.sim)) {
		_exit(1);
	}
}

static void waits_without_return(void) { run_one(wait_without_return); }
static void ends_twice(void) { run_one(two_endings); }

static void our_mistakes_stop_us(void **state)
{
	(void)state;
	dies(completes_twice);
	dies(waits_without_return);
	dies(ends_twice);
}

static bool real = true, simulated = false;
#define BOTH(f)                                                                                    \
	{ #f " (real)", f, NULL, NULL, &real }, { #f " (simulated)", f, NULL, NULL, &simulated }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(rows_run_in_order),
		BOTH(skips_and_done),
		BOTH(a_failed_step_ends_the_flow),
		BOTH(a_failed_wait_ends_the_flow),
		BOTH(a_failure_skips_down_to_the_row_that_sees_it),
		BOTH(a_forgotten_check_does_not_let_it_walk_on),
		BOTH(recover_goes_on),
		BOTH(turning_for_ever_is_stopped),
		BOTH(the_deadline_is_final),
		BOTH(cancel_before_the_first_step),
		BOTH(cancel_while_it_waits),
		BOTH(cancel_does_not_cut_the_last_word),
		BOTH(a_cancel_that_loses_the_race_still_counts),
		BOTH(signals_are_fired_once),
		BOTH(gather_waits_for_all),
		BOTH(figures_are_kept),
		cmocka_unit_test(our_mistakes_stop_us),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
