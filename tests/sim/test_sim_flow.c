/* The simulated world itself: a flow of the shape of `call` (admit, forward, outcome) under faults,
 * cancels and crashes drawn from seeds. The ledger is a list in memory behind the real batch lane; the
 * upstream is a stand-in. `--seed N` or ATTORN_SEED=N replays one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "engine/flow/flow.h"
#include "engine/flow/sim.h"

enum { CALLS = 8, SEEDS = 400 };
static uint64_t seed_first, seed_count;

typedef struct desk desk_t;
typedef struct {
	desk_t *desk;
	unsigned n;
	bool admitted, forwarded, closed; /* what ledger and upstream saw */
	bool admit_known, finished, outcome_refused;
	unsigned finishes, ticks;
	uint64_t signal_id;
	err_t result;
	flow_id_t id;
} call_t;

/* Everything that outlives a crash: the far side and the disk. */
struct desk {
	sim_t *sim;
	lane_t *write, *read;
	call_t calls[CALLS];
	unsigned violations, batches, finished, failed, events;
	loop_timer_t approver;
	uint64_t trace; /* digest of what happened in which order */
};

static void saw(desk_t *d, unsigned what, unsigned n)
{
	d->trace = (d->trace ^ (what * 64 + n + 1)) * 0x100000001b3u;
}

/* lane store-write */
static err_t job_admit(void *arg)
{
	call_t *c = arg;

	c->desk->violations += c->admitted; /* one attempt each */
	c->admitted = true;
	saw(c->desk, 1, c->n);
	return OK;
}

static err_t job_outcome(void *arg)
{
	call_t *c = arg;

	c->desk->violations += c->admitted ? 0 : 1;
	c->closed = true;
	saw(c->desk, 2, c->n);
	return OK;
}

static err_t job_read(void *arg)
{
	((call_t *)arg)->ticks++;
	return OK;
}

static void write_batch(void *arg, lane_job_t *const jobs[], size_t n)
{
	((desk_t *)arg)->batches++;
	for (size_t i = 0; i < n; i++) {
		jobs[i]->err = jobs[i]->run(jobs[i]->arg);
	}
}

/* the upstream; its kind's own start must never run here */
typedef struct {
	op_t op;
	call_t *call;
} forward_t;
static void no_wire(op_t *op) { CHECK(op == NULL); }
static const op_kind_t forward_kind = { "test.forward", no_wire, no_wire, false };

static err_t upstream(void *arg, op_t *op)
{
	call_t *c = ((forward_t *)op)->call;
	desk_t *d = arg;

	d->violations += c->admitted ? 0 : 1; /* F9: no byte without an admit */
	d->violations += c->forwarded;
	d->violations += c->finishes; /* F4: no operation outlives its flow */
	c->forwarded = true;
	saw(d, 3, c->n);
	return OK;
}

static op_t *forward(flow_t *f, call_t *c)
{
	forward_t *o = arena_new(f->arena, forward_t);

	op_init(&o->op, &forward_kind);
	o->call = c;
	return &o->op;
}

static err_t preview(void *arg)
{
	((call_t *)arg)->ticks++;
	return OK;
}

/* the table */
static err_t call_facts(flow_t *f) /* waits for all of them: two reads, a preview, a nap */
{
	call_t *c = f->state;
	op_t *parts[] = { lane_op(f->arena, c->desk->read, job_read, c), op_sleep(f->arena, 1),
		sim_exchange(f->arena, "preview", preview, c),
		lane_op(f->arena, c->desk->read, job_read, c) };

	return flow_wait(f, op_gather(f->arena, parts, ARRAY_LEN(parts)));
}

static err_t call_hold(flow_t *f)
{
	call_t *c = f->state;
	op_t *op;

	TRY(signal_open(f->loop, f->arena, &op, &c->signal_id));
	return flow_wait(f, op);
}

static err_t call_admit(flow_t *f)
{
	call_t *c = f->state;

	return flow_wait(f, lane_op(f->arena, c->desk->write, job_admit, c));
}

static err_t call_forward(flow_t *f)
{
	call_t *c = f->state;

	c->admit_known = true;
	return flow_wait(f, forward(f, c));
}

static err_t call_outcome(flow_t *f)
{
	call_t *c = f->state;

	ENSURE(c->admitted, OK); /* the admit may have passed though we never heard: ask the ledger */
	c->outcome_refused = true; /* until it comes back */
	return flow_wait(f, lane_op(f->arena, c->desk->write, job_outcome, c));
}

static err_t call_close(flow_t *f)
{
	call_t *c = f->state;

	if (c->closed) {
		c->outcome_refused = false;
	}
	return OK;
}

static void call_finish(flow_t *f, err_t result)
{
	call_t *c = f->state;

	c->finishes++;
	c->result = result;
	c->desk->finished++;
	c->desk->failed += result != OK;
	c->desk->violations += c->admitted && !c->closed && !c->outcome_refused;
	c->desk->violations += result == OK && !c->closed;
	saw(c->desk, 4 + (unsigned)result, c->n);
}

static const flow_step_t call_steps[] = {
	{ "facts", call_facts, false },
	{ "hold", call_hold, false },
	{ "admit", call_admit, false },
	{ "forward", call_forward, false },
	{ "outcome", call_outcome, true },
	{ "close", call_close, true },
};
static const flow_table_t call_table = FLOW_TABLE("call", call_steps, call_finish);

/* the same with a planted bug: forward before admit */
static const flow_step_t wrong_steps[] = {
	{ "facts", call_facts, false },
	{ "forward", call_forward, false },
	{ "admit", call_admit, false },
	{ "outcome", call_outcome, true },
	{ "close", call_close, true },
};
static const flow_table_t wrong_table = FLOW_TABLE("wrong", wrong_steps, call_finish);

/* somebody decides what is held, sooner or later */
static void approver(void *arg)
{
	desk_t *d = arg;
	call_t *c = &d->calls[sim_draw(d->sim, CALLS)];

	if (c->signal_id && signal_fire(sim_loop(d->sim), c->signal_id, OK)) {
		saw(d, 60, c->n);
	}
	if (d->finished < CALLS) {
		loop_timer_start(sim_loop(d->sim), &d->approver, 3, approver, d);
	}
}

static void count_event(void *arg)
{
	((desk_t *)arg)->events++;
}

static void desk_open(desk_t *d, const sim_plan_t *plan, const flow_table_t *table)
{
	*d = (desk_t){ .sim = sim_new(plan) };
	loop_t *loop = sim_loop(d->sim);

	d->write = lane_new(loop, &(lane_spec_t){ "store-write", 1, 64, write_batch, d, 16 });
	d->read = lane_new(loop, &(lane_spec_t){ "store-read", .threads = 2, .queue_max = 64 });
	sim_stand_in(d->sim, "test.forward", upstream, d);
	sim_after_each(d->sim, count_event, d);
	loop_timer_start(loop, &d->approver, 3, approver, d);
	for (unsigned i = 0; i < CALLS; i++) {
		call_t *c = &d->calls[i];
		*c = (call_t){ .desk = d, .n = i };
		assert_int_equal(flow_start(loop, table, arena_open(), c, loop_in_ms(loop, 30000), &c->id), OK);
	}
}

static void desk_close(desk_t *d)
{
	lane_free(d->write);
	lane_free(d->read);
	sim_free(d->sim);
}

static bool desk_run(desk_t *d, const sim_plan_t *plan, const flow_table_t *table)
{
	desk_open(d, plan, table);
	bool drained = sim_run(d->sim);
	for (unsigned i = 0; i < CALLS; i++) {
		assert_true(d->calls[i].finishes <= 1);
		assert_true(!drained || d->calls[i].finishes == 1); /* F6 */
	}
	if (d->violations) {
		printf("# seed %llu nth %llu cancel %llu: %u violations\n", (unsigned long long)plan->seed,
			(unsigned long long)plan->fail_nth, (unsigned long long)plan->cancel_at, d->violations);
	}
	return drained;
}

static void without_faults_all_pass(void **state)
{
	desk_t d;

	(void)state;
	for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
		assert_true(desk_run(&d, &(sim_plan_t){ .seed = seed }, &call_table));
		assert_int_equal(d.violations, 0);
		assert_int_equal(d.finished, CALLS);
		assert_int_equal(d.failed, 0);
		assert_int_equal(d.events, sim_events(d.sim));
		assert_true(d.batches <= CALLS * 2);
		desk_close(&d);
	}
}

static void with_faults_nothing_is_half_done(void **state)
{
	unsigned failed = 0, passed = 0, lone = 0;
	desk_t d;

	(void)state;
	for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
		sim_plan_t plan = { .seed = seed, .fail_percent = 8, .cancel_percent = 2 };
		assert_true(desk_run(&d, &plan, &call_table));
		assert_int_equal(d.violations, 0);
		failed += d.failed;
		passed += d.finished - d.failed;
		for (unsigned i = 0; i < CALLS; i++) {
			lone += d.calls[i].admitted && !d.calls[i].admit_known;
		}
		desk_close(&d);
	}
	printf("# %u calls passed, %u failed, %u admitted unheard\n", passed, failed, lone);
	if (seed_count > 1) { /* the run meets what it is for */
		assert_true(failed > seed_count && passed > seed_count && lone > 0);
	}
}

static void each_operation_fails_once(void **state)
{
	desk_t d;

	(void)state;
	assert_true(desk_run(&d, &(sim_plan_t){ .seed = 11 }, &call_table));
	uint64_t n = sim_ops(d.sim);
	desk_close(&d);
	assert_true(n >= CALLS * 3);
	for (uint64_t i = 1; i <= n * 2; i++) {
		sim_plan_t plan = { .seed = 11, .fail_nth = 1 + (i - 1) % n, .fail_answer = i > n,
			.fail_with = ERR_IO };
		unsigned hit = 0;

		assert_true(desk_run(&d, &plan, &call_table));
		assert_int_equal(d.violations, 0);
		for (unsigned k = 0; k < CALLS; k++) {
			hit += d.calls[k].result == ERR_IO;
		}
		assert_int_equal(hit, 1);
		desk_close(&d);
	}
}

static void cancelled_at_every_event(void **state)
{
	desk_t d;
	uint64_t n;

	(void)state;
	assert_true(desk_run(&d, &(sim_plan_t){ .seed = 12 }, &call_table));
	n = sim_events(d.sim);
	desk_close(&d);
	for (uint64_t i = 1; i <= n; i++) {
		assert_true(desk_run(&d, &(sim_plan_t){ .seed = 12, .cancel_at = i }, &call_table));
		assert_int_equal(d.violations, 0);
		desk_close(&d);
	}
}

static void crashed_at_every_event(void **state)
{
	desk_t d;
	uint64_t n;

	(void)state;
	assert_true(desk_run(&d, &(sim_plan_t){ .seed = 13 }, &call_table));
	n = sim_events(d.sim);
	desk_close(&d);
	for (uint64_t i = 1; i <= n; i++) {
		assert_false(desk_run(&d, &(sim_plan_t){ .seed = 13, .crash_at = i }, &call_table));
		assert_int_equal(d.violations, 0);
		uint64_t trace = d.trace;
		desk_close(&d); /* nothing runs after the crash, and nothing leaks */
		assert_true(trace == d.trace);
	}
}

static void a_seed_replays(void **state)
{
	sim_plan_t plan = { .fail_percent = 5, .cancel_percent = 2 };
	unsigned differ = 0;
	uint64_t before = 0;
	desk_t d;

	(void)state;
	for (plan.seed = 1; plan.seed <= 20; plan.seed++) {
		assert_true(desk_run(&d, &plan, &call_table));
		uint64_t first = d.trace;
		desk_close(&d);
		assert_true(desk_run(&d, &plan, &call_table));
		assert_true(d.trace == first);
		desk_close(&d);
		differ += first != before;
		before = first;
	}
	assert_int_equal(differ, 20); /* and another seed is another run */
}

static void a_planted_bug_is_seen(void **state)
{
	desk_t d;

	(void)state;
	assert_true(desk_run(&d, &(sim_plan_t){ .seed = 1 }, &wrong_table));
	assert_true(d.violations > 0);
	desk_close(&d);
}

static void time_is_virtual(void **state)
{
	AUTO(sim_free) sim_t *s = sim_new(&(sim_plan_t){ .seed = 1 });
	uint64_t before_us = loop_mono_us(sim_loop(s)), unix_us = loop_unix_us(sim_loop(s));

	(void)state;
	assert_true(sim_run_ms(s, 3600 * 1000));
	assert_int_equal(loop_mono_us(sim_loop(s)) - before_us, 3600000000);
	assert_int_equal(loop_unix_us(sim_loop(s)) - unix_us, 3600000000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_faults_all_pass),
		cmocka_unit_test(with_faults_nothing_is_half_done),
		cmocka_unit_test(each_operation_fails_once),
		cmocka_unit_test(cancelled_at_every_event),
		cmocka_unit_test(crashed_at_every_event),
		cmocka_unit_test(a_seed_replays),
		cmocka_unit_test(a_planted_bug_is_seen),
		cmocka_unit_test(time_is_virtual),
	};

	log_setup(LVL_ERROR, 2);
	sim_seeds(argc, argv, SEEDS, &seed_first, &seed_count);
	return cmocka_run_group_tests_name("sim_flow", tests, NULL, NULL);
}
