/* flow: lanes with real threads. Gates, not time, decide what happens first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "engine/flow/flow.h"

typedef struct {
	lane_job_t job; /* first */
	sem_t *running, *gate; /* NULL: does not wait */
	unsigned *order, at; /* when it ran */
	unsigned done, *all_done, stop_at;
	err_t err, result;
	loop_t *loop;
	pthread_t ran_on;
} work_t;

static err_t work_run(void *arg)
{
	work_t *w = arg;

	if (w->running) {
		sem_post(w->running);
	}
	if (w->gate) {
		sem_wait(w->gate);
	}
	if (w->order) {
		w->at = ++*w->order; /* one thread, or the lane's lock in between */
	}
	w->ran_on = pthread_self();
	return w->result;
}

static void work_done(lane_job_t *job, err_t err)
{
	work_t *w = (work_t *)job;

	w->done++;
	w->err = err;
	if (++*w->all_done == w->stop_at) {
		loop_stop(w->loop);
	}
}

static work_t work(loop_t *loop, unsigned *all_done, unsigned stop_at)
{
	work_t w = { .loop = loop, .all_done = all_done, .stop_at = stop_at };

	w.job.run = work_run;
	w.job.done = work_done;
	return w;
}

static void submit(lane_t *lane, work_t *w)
{
	w->job.arg = w;
	assert_int_equal(lane_submit(lane, &w->job), OK);
}

static void jobs_run_elsewhere_and_finish_here(void **state)
{
	AUTO(loop_free) loop_t *loop = loop_new();
	AUTO(lane_free) lane_t *lane = lane_new(loop, &(lane_spec_t){ "slow", .threads = 4, .queue_max = 64 });
	work_t w[32];
	unsigned all = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = work(loop, &all, ARRAY_LEN(w));
		w[i].result = i % 2 ? ERR_VALUE : OK;
		submit(lane, &w[i]);
	}
	assert_int_equal(all, 0); /* never inline */
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		assert_int_equal(w[i].done, 1);
		assert_int_equal(w[i].err, i % 2 ? ERR_VALUE : OK);
		assert_false(pthread_equal(w[i].ran_on, pthread_self()));
	}
	assert_int_equal(lane_stat(lane).taken, 32);
}

static void a_full_lane_says_so_at_once(void **state)
{
	AUTO(loop_free) loop_t *loop = loop_new();
	AUTO(lane_free) lane_t *lane = lane_new(loop, &(lane_spec_t){ "slow", .threads = 1, .queue_max = 2 });
	unsigned all = 0;
	work_t w[4];
	sem_t running, gate;

	(void)state;
	sem_init(&running, 0, 0);
	sem_init(&gate, 0, 0);
	for (size_t i = 0; i < 4; i++) {
		w[i] = work(loop, &all, 3);
	}
	w[0].running = &running;
	w[0].gate = &gate;
	submit(lane, &w[0]);
	sem_wait(&running); /* taken: the queue is empty */
	submit(lane, &w[1]);
	submit(lane, &w[2]);
	w[3].job.arg = &w[3];
	assert_int_equal(lane_submit(lane, &w[3].job), ERR_LANE_FULL);
	assert_int_equal(lane_stat(lane).queued, 2);
	sem_post(&gate);
	loop_run(loop);
	assert_int_equal(all, 3);
	assert_int_equal(w[3].done, 0);
	assert_int_equal(lane_stat(lane).refused, 1);
}

static void only_what_has_not_begun_can_be_withdrawn(void **state)
{
	AUTO(loop_free) loop_t *loop = loop_new();
	AUTO(lane_free) lane_t *lane = lane_new(loop, &(lane_spec_t){ "slow", .threads = 1, .queue_max = 8 });
	unsigned all = 0;
	work_t w[4];
	sem_t running, gate;

	(void)state;
	sem_init(&running, 0, 0);
	sem_init(&gate, 0, 0);
	for (size_t i = 0; i < 4; i++) {
		w[i] = work(loop, &all, 2);
	}
	w[0].running = &running;
	w[0].gate = &gate;
	submit(lane, &w[0]);
	sem_wait(&running);
	submit(lane, &w[1]);
	submit(lane, &w[2]);
	submit(lane, &w[3]);
	assert_false(lane_withdraw(&w[0].job));
	assert_true(lane_withdraw(&w[2].job)); /* from the middle */
	assert_false(lane_withdraw(&w[2].job));
	assert_true(lane_withdraw(&w[3].job)); /* from the end */
	sem_post(&gate);
	loop_run(loop);
	assert_int_equal(w[0].done + w[1].done, 2);
	assert_int_equal(w[2].done + w[3].done, 0);
	assert_false(lane_withdraw(&w[1].job)); /* long gone */
}

static void freeing_runs_what_is_queued(void **state)
{
	loop_t *loop = loop_new();
	lane_t *lane = lane_new(loop, &(lane_spec_t){ "slow", .threads = 2, .queue_max = 64 });
	unsigned all = 0;
	work_t w[20];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = work(loop, &all, 0);
		submit(lane, &w[i]);
	}
	lane_free(lane);
	assert_int_equal(all, 0); /* their word still comes through the loop */
	loop_free(loop);
	assert_int_equal(all, 20);
}

/* a batch lane */

typedef struct {
	size_t sizes[8], n;
} batches_t;

static void batch_run(void *arg, lane_job_t *const jobs[], size_t n)
{
	batches_t *b = arg;

	b->sizes[b->n++] = n;
	for (size_t i = 0; i < n; i++) {
		jobs[i]->err = jobs[i]->run(jobs[i]->arg);
	}
}

typedef struct {
	lane_t *lane;
	work_t *w;
	size_t n;
	sem_t running, gate;
} later_t;

/* In a later round, while the first one runs. */
static void later_submit(void *arg)
{
	later_t *l = arg;

	sem_wait(&l->running);
	for (size_t i = 1; i < l->n; i++) {
		submit(l->lane, &l->w[i]);
	}
	sem_post(&l->gate);
}

static void a_batch_is_what_is_there(void **state)
{
	batches_t b = { 0 };
	AUTO(loop_free) loop_t *loop = loop_new();
	AUTO(lane_free) lane_t *lane = lane_new(loop, &(lane_spec_t){ "store-write", 1, 16, batch_run, &b, 4 });
	unsigned all = 0, order = 0;
	work_t w[7];
	later_t later = { .lane = lane, .w = w, .n = ARRAY_LEN(w) };
	loop_timer_t timer = { 0 };

	(void)state;
	sem_init(&later.running, 0, 0);
	sem_init(&later.gate, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = work(loop, &all, ARRAY_LEN(w));
		w[i].order = &order;
		w[i].result = i == 3 ? ERR_EXISTS : OK;
	}
	w[0].running = &later.running;
	w[0].gate = &later.gate;
	submit(lane, &w[0]); /* alone: no waiting for company */
	loop_timer_start(loop, &timer, 1, later_submit, &later);
	loop_run(loop);
	assert_int_equal(b.n, 3);
	assert_int_equal(b.sizes[0], 1);
	assert_int_equal(b.sizes[1], 4);
	assert_int_equal(b.sizes[2], 2);
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		assert_int_equal(w[i].at, i + 1); /* in order */
		assert_int_equal(w[i].err, i == 3 ? ERR_EXISTS : OK); /* each its own result */
	}
}

/* One round of the loop is one batch: a thread that sleeps is not woken before the round is over. One that is
 * awake takes what there is, so that only many tries show it. */
static void a_round_is_one_batch(void **state)
{
	batches_t b = { 0 };
	AUTO(loop_free) loop_t *loop = loop_new();
	lane_t *lane = lane_new(loop, &(lane_spec_t){ "store-write", 1, 16, batch_run, &b, 4 });
	unsigned whole = 0, all;
	work_t w[3];

	(void)state;
	for (int i = 0; i < 20 && !whole; i++) {
		all = 0;
		b.n = 0;
		for (size_t k = 0; k < ARRAY_LEN(w); k++) {
			usleep(1000); /* enough for a thread that was woken */
			w[k] = work(loop, &all, ARRAY_LEN(w));
			submit(lane, &w[k]);
		}
		loop_run(loop);
		whole += b.n == 1 && b.sizes[0] == ARRAY_LEN(w);
	}
	assert_int_equal(whole, 1);
	b.n = 0;
	w[0] = work(loop, &all, 99);
	submit(lane, &w[0]);
	lane_free(lane); /* before the round is over: what was accepted is done all the same */
	assert_int_equal(b.n, 1);
}

/* What nobody waits for is done together with what somebody waits for, or after a moment alone. */
static void patient_jobs_find_company(void **state)
{
	batches_t b = { 0 };
	AUTO(loop_free) loop_t *loop = loop_new();
	AUTO(lane_free) lane_t *lane = lane_new(loop, &(lane_spec_t){ "store-write", 1, 16, batch_run, &b, 4 });
	unsigned all = 0;
	work_t w[4], alone = work(loop, &all, 5), many[4];
	uint64_t began_us = loop_mono_us(loop);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = work(loop, &all, ARRAY_LEN(w));
		w[i].job.patient = i < 3;
	}
	submit(lane, &w[0]);
	submit(lane, &w[1]);
	assert_true(lane_withdraw(&w[1].job));
	submit(lane, &w[2]);
	submit(lane, &w[1]);
	submit(lane, &w[3]); /* urgent: takes all along, unless five milliseconds have passed on a busy machine */
	loop_run(loop);
	assert_int_equal(all, 4);
	assert_true(b.n == 1 || loop_mono_us(loop) - began_us >= LANE_PATIENCE_MS * 1000);
	alone.job.patient = true;
	began_us = loop_mono_us(loop);
	submit(lane, &alone);
	loop_run(loop);
	assert_int_equal(all, 5);
	assert_true(loop_mono_us(loop) - began_us >= LANE_PATIENCE_MS * 1000);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = work(loop, &all, 9);
		many[i].job.patient = true;
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		submit(lane, &many[i]); /* a whole batch waits for nobody; nor does one that is asked to end */
	}
	loop_run(loop);
	assert_int_equal(all, 9);
}

/* flows over lanes: many at once, cancelled at random moments, under TSan */

typedef struct {
	lane_t *lane;
	loop_t *loop;
	_Atomic unsigned ran;
	unsigned finished, ok, cancelled, full, flows;
} crowd_t;

static err_t crowd_job(void *arg)
{
	crowd_t *c = arg;

	CHECK(lane_thread() < 3);
	atomic_fetch_add(&c->ran, 1);
	return OK;
}

static err_t crowd_wait(flow_t *f)
{
	crowd_t *c = f->state;

	return flow_wait(f, lane_op(f->arena, c->lane, crowd_job, c));
}

static err_t crowd_gather(flow_t *f)
{
	crowd_t *c = f->state;
	op_t *parts[] = { lane_op(f->arena, c->lane, crowd_job, c), op_sleep(f->arena, 1),
		lane_op(f->arena, c->lane, crowd_job, c) };

	return flow_wait(f, op_gather(f->arena, parts, 3));
}

static void crowd_finish(flow_t *f, err_t result)
{
	crowd_t *c = f->state;

	c->ok += result == OK;
	c->cancelled += result == ERR_CANCELLED;
	c->full += result == ERR_LANE_FULL;
	if (++c->finished == c->flows) {
		loop_stop(c->loop);
	}
}

static const flow_step_t crowd_steps[] = {
	{ "wait", crowd_wait, false }, { "gather", crowd_gather, false }, { "again", crowd_wait, false },
};
static const flow_table_t crowd_table = FLOW_TABLE("crowd", crowd_steps, crowd_finish);

static void many_flows_at_once(void **state)
{
	crowd_t c = { .flows = 2000, .loop = loop_new() };
	flow_id_t id;

	(void)state;
	log_setup(LVL_WARN, 2);
	c.lane = lane_new(c.loop, &(lane_spec_t){ "store-read", .threads = 3, .queue_max = 1500 });
	for (unsigned i = 0; i < c.flows; i++) {
		uint64_t at_us = loop_in_ms(c.loop, 60000);
		assert_int_equal(flow_start(c.loop, &crowd_table, arena_open(), &c, at_us, &id), OK);
		if (i % 7 == 0) {
			assert_true(flow_cancel(c.loop, id, ERR_CANCELLED));
		}
	}
	loop_run(c.loop);
	assert_int_equal(c.finished, c.flows);
	assert_int_equal(c.cancelled, 286);
	assert_int_equal(c.ok + c.full, c.flows - c.cancelled);
	assert_true(c.ok > 0); /* how many met a full lane is the scheduler's affair */
	lane_free(c.lane);
	loop_free(c.loop);
}

/* cancel and completion race for real; F3 and F6 are checked inside */
static void cancel_races_with_completion(void **state)
{
	crowd_t c = { .flows = 3000, .loop = loop_new() };
	flow_id_t id;

	(void)state;
	c.lane = lane_new(c.loop, &(lane_spec_t){ "store-read", .threads = 2, .queue_max = 4096 });
	for (unsigned i = 0; i < c.flows; i++) {
		uint64_t at_us = loop_in_ms(c.loop, 60000);
		assert_int_equal(flow_start(c.loop, &crowd_table, arena_open(), &c, at_us, &id), OK);
		if (i % 3 == 0) {
			loop_stop(c.loop);
			loop_run(c.loop); /* one round: the last ones are on the lane now */
		}
		if (i % 5 == 0) {
			flow_cancel_all(c.loop, ERR_CANCELLED);
		}
	}
	while (c.finished < c.flows) {
		loop_run(c.loop);
	}
	assert_int_equal(c.ok + c.cancelled, c.flows);
	lane_free(c.lane);
	loop_free(c.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_elsewhere_and_finish_here),
		cmocka_unit_test(a_full_lane_says_so_at_once),
		cmocka_unit_test(only_what_has_not_begun_can_be_withdrawn),
		cmocka_unit_test(freeing_runs_what_is_queued),
		cmocka_unit_test(a_batch_is_what_is_there), cmocka_unit_test(a_round_is_one_batch),
		cmocka_unit_test(patient_jobs_find_company),
		cmocka_unit_test(many_flows_at_once),
		cmocka_unit_test(cancel_races_with_completion),
	};

	return cmocka_run_group_tests_name("flow_lane", tests, NULL, NULL);
}
