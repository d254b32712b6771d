/* lane.c: bounded queues with threads. One mutex per lane guards its queue and figures; it is held
 * for a few pointer moves, never while a job runs. */
#include "engine/flow/flow_int.h"

/* What a round of the loop brings to a batch lane is one batch: its thread is woken when the round is over.
 * Not a part of the lane, which may go while this is posted. */
typedef struct {
	posted_t posted;
	lane_t *lane; /* NULL: it is gone */
} wake_t;

struct lane {
	loop_t *loop;
	lane_spec_t spec;
	wake_t *wake;
	pthread_mutex_t lock; /* guards all below: the loop queues, the threads take */
	pthread_cond_t more;
	lane_job_t *first, *last;
	size_t queued, urgent; /* urgent: of the queued ones those that are not patient */
	bool stopping;
	uint64_t taken, refused, batches, waited_us_total, waited_us_max;
	pthread_t threads[LANE_THREADS_MAX];
	unsigned n_started;
};

static __thread unsigned thread_number;

unsigned lane_thread(void)
{
	return thread_number;
}

loop_t *lane_loop(lane_t *lane)
{
	return lane->loop;
}

/* the queue; the lock is held */

static void queue_add(lane_t *l, lane_job_t *job)
{
	job->next = NULL;
	job->prev = l->last;
	if (l->last) {
		l->last->next = job;
	} else {
		l->first = job;
	}
	l->last = job;
	job->queued = true;
	l->queued++;
	l->urgent += !job->patient;
}

static void queue_remove(lane_t *l, lane_job_t *job)
{
	if (job->prev) {
		job->prev->next = job->next;
	} else {
		l->first = job->next;
	}
	if (job->next) {
		job->next->prev = job->prev;
	} else {
		l->last = job->prev;
	}
	job->queued = false;
	l->queued--;
	l->urgent -= !job->patient;
}

static size_t queue_take(lane_t *l, lane_job_t *jobs[], size_t max)
{
	uint64_t now_us = loop_mono_us(l->loop);
	size_t n = 0;

	for (; n < max && l->first; n++) {
		jobs[n] = l->first;
		queue_remove(l, jobs[n]);
		uint64_t waited_us = now_us - jobs[n]->queued_us;
		l->waited_us_total += waited_us;
		l->waited_us_max = waited_us > l->waited_us_max ? waited_us : l->waited_us_max;
	}
	l->taken += n;
	l->batches++;
	return n;
}

/* running; the lock is not held */

static void job_delivered(void *arg)
{
	lane_job_t *job = arg;

	job->done(job, job->err);
}

/* The job may be gone, with its flow, as soon as it is announced. */
static void job_announce(lane_t *l, lane_job_t *job)
{
	if (job->op) {
		op_complete(job->op, job->err);
		return;
	}
	job->posted = (posted_t){ .fn = job_delivered, .arg = job, .waiting = true };
	l->loop->world->deliver(l->loop, &job->posted);
}

static void batch_run(lane_t *l, lane_job_t *jobs[], size_t n)
{
	if (l->spec.batch_run) {
		l->spec.batch_run(l->spec.batch_arg, jobs, n);
	} else {
		CHECK(n == 1);
		jobs[0]->err = jobs[0]->run(jobs[0]->arg);
	}
	for (size_t i = 0; i < n; i++) {
		job_announce(l, jobs[i]);
	}
}

static size_t batch_max(const lane_t *l)
{
	return l->spec.batch_run ? l->spec.batch_max : 1;
}

/* Somebody waits, the batch is full, or the oldest has waited for company long enough. */
static bool is_time(const lane_t *l)
{
	if (l->stopping || l->urgent || l->queued >= batch_max(l)) {
		return true;
	}
	return l->first && loop_mono_us(l->loop) >= l->first->queued_us + LANE_PATIENCE_MS * 1000;
}

static void more_await(lane_t *l)
{
	struct timespec until;

	if (!l->first) {
		pthread_cond_wait(&l->more, &l->lock);
		return;
	}
	CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_nsec += LANE_PATIENCE_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&l->more, &l->lock, &until);
}

static size_t wait_for_jobs(lane_t *l, lane_job_t *jobs[])
{
	pthread_mutex_lock(&l->lock);
	while (!is_time(l)) {
		more_await(l);
	}
	size_t n = l->first ? queue_take(l, jobs, batch_max(l)) : 0;
	pthread_mutex_unlock(&l->lock);
	return n;
}

static void *thread_main(void *arg)
{
	lane_t *l = arg;
	lane_job_t *jobs[LANE_BATCH_MAX];

	pthread_mutex_lock(&l->lock);
	thread_number = l->n_started++;
	pthread_mutex_unlock(&l->lock);
	for (;;) {
		size_t n = wait_for_jobs(l, jobs);
		if (n == 0) {
			return NULL; /* stopping, and nothing left */
		}
		batch_run(l, jobs, n);
	}
}

bool lane_turn(lane_t *l)
{
	lane_job_t *jobs[LANE_BATCH_MAX];

	if (l->first) {
		batch_run(l, jobs, queue_take(l, jobs, batch_max(l)));
	}
	return l->first != NULL;
}

/* the loop's side */

static void threads_start(lane_t *l)
{
	pthread_attr_t attr;

	CHECK(pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setstacksize(&attr, LANE_STACK_BYTES) == 0);
	for (unsigned i = 0; i < l->spec.threads; i++) {
		CHECK(pthread_create(&l->threads[i], &attr, thread_main, l) == 0);
		pthread_setname_np(l->threads[i], l->spec.name); /* for top; too long a name stays unset */
	}
	pthread_attr_destroy(&attr);
}

/* On the clock that nobody sets. */
static void condition_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	CHECK(pthread_condattr_init(&attr) == 0 && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(c, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

lane_t *lane_new(loop_t *loop, const lane_spec_t *spec)
{
	lane_t *l = heap_new(lane_t);

	CHECK(spec->name && spec->threads >= 1 && spec->threads <= LANE_THREADS_MAX);
	CHECK(spec->queue_max >= 1 && spec->queue_max <= LANE_QUEUE_MAX);
	CHECK(!spec->batch_run || (spec->threads == 1 && spec->batch_max >= 1));
	CHECK(spec->batch_max <= LANE_BATCH_MAX);
	l->loop = loop;
	l->spec = *spec;
	CHECK(pthread_mutex_init(&l->lock, NULL) == 0);
	condition_init(&l->more);
	l->wake = heap_new(wake_t);
	l->wake->lane = l;
	if (loop->world->has_threads) {
		threads_start(l);
	}
	return l;
}

static void wake_run(void *arg)
{
	wake_t *w = arg;

	if (w->lane) {
		pthread_cond_signal(&w->lane->more);
	} else {
		heap_free(w);
	}
}

static void threads_wake(lane_t *l)
{
	if (!l->spec.batch_run) {
		pthread_cond_signal(&l->more);
	} else if (!l->wake->posted.waiting) {
		loop_post_last(l->loop, &l->wake->posted, wake_run, l->wake);
	}
}

void lane_free(lane_t *l)
{
	if (!l) {
		return;
	}
	l->wake->lane = NULL;
	if (!l->wake->posted.waiting) {
		heap_free(l->wake);
	}
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	pthread_cond_broadcast(&l->more);
	pthread_mutex_unlock(&l->lock);
	if (l->loop->world->has_threads) {
		for (unsigned i = 0; i < l->spec.threads; i++) {
			CHECK(pthread_join(l->threads[i], NULL) == 0);
		}
	} else if (!l->loop->world->lane_gone(l)) {
		while (lane_turn(l)) {
		}
	}
	pthread_cond_destroy(&l->more);
	pthread_mutex_destroy(&l->lock);
	heap_free(l);
}

err_t lane_submit(lane_t *l, lane_job_t *job)
{
	CHECK(loop_is_ours(l->loop) && !job->queued && (job->op || job->done));
	CHECK(job->run || l->spec.batch_run); /* a batch may know what to do by `arg` alone */
	job->lane = l;
	job->queued_us = loop_mono_us(l->loop);
	pthread_mutex_lock(&l->lock);
	bool room = !l->stopping && l->queued < l->spec.queue_max;
	if (room) {
		queue_add(l, job);
	} else {
		l->refused++;
	}
	pthread_mutex_unlock(&l->lock);
	ENSURE(room, ERR_LANE_FULL);
	if (l->loop->world->has_threads) {
		threads_wake(l); /* after unlocking: the woken thread finds the lock free */
	} else {
		l->loop->world->lane_wake(l);
	}
	return OK;
}

bool lane_withdraw(lane_job_t *job)
{
	lane_t *l = job->lane;

	CHECK(l && loop_is_ours(l->loop));
	pthread_mutex_lock(&l->lock);
	bool still_ours = job->queued;
	if (still_ours) {
		queue_remove(l, job);
	}
	pthread_mutex_unlock(&l->lock);
	return still_ours;
}

lane_stat_t lane_stat(lane_t *l)
{
	pthread_mutex_lock(&l->lock);
	lane_stat_t s = { l->spec.name, l->taken, l->refused, l->batches, l->waited_us_total,
		l->waited_us_max, l->queued };
	pthread_mutex_unlock(&l->lock);
	return s;
}

/* the operation */

typedef struct {
	op_t op; /* first */
	lane_t *lane;
	lane_job_t job;
} lane_op_t;

static void lane_op_start(op_t *op)
{
	lane_op_t *o = (lane_op_t *)op;
	err_t err = lane_submit(o->lane, &o->job);

	if (err != OK) {
		op_complete(op, err);
	}
}

static void lane_op_hurry(op_t *op)
{
	lane_op_t *o = (lane_op_t *)op;

	if (lane_withdraw(&o->job)) {
		op_complete(op, ERR_CANCELLED);
	}
}

static const op_kind_t lane_op_kind = { "lane", lane_op_start, lane_op_hurry, false };

op_t *lane_op(arena_t *a, lane_t *lane, err_t (*run)(void *arg), void *arg)
{
	lane_op_t *o = arena_new(a, lane_op_t);

	op_init(&o->op, &lane_op_kind);
	o->lane = lane;
	o->job = (lane_job_t){ .run = run, .arg = arg, .op = &o->op };
	return &o->op;
}

op_t *lane_op_patient(op_t *op)
{
	CHECK(op->kind == &lane_op_kind);
	((lane_op_t *)op)->job.patient = true;
	return op;
}
