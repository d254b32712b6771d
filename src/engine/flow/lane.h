/* lane.h: bounded queues with threads of their own, where blocking C runs (STYLE 4.4).
 * A batch lane has one thread and hands all that is queued to one function: group commit without
 * waiting for company, but for what the same round of the loop brings. In a simulation there are no threads: jobs run one by one in virtual time.
 * Owns: its threads; the job belongs to the caller, who keeps it until `done` ran.
 * Threads: all calls on the loop, except lane_thread. Limits: queue_max, LANE_BATCH_MAX.
 * Forbidden: code on a lane that touches more than what its job names. */
#ifndef ATTORN_FLOW_LANE_H
#define ATTORN_FLOW_LANE_H

#include "engine/flow/op.h"

typedef struct lane lane_t;
typedef struct lane_job lane_job_t;

struct lane_job {
	err_t (*run)(void *arg); /* on the lane's thread; plain, blocking */
	void *arg;
	void (*done)(lane_job_t *job, err_t err); /* on the loop */
	err_t err; /* result of run; a batch function sets it */
	bool patient; /* nobody waits for it: it may wait for company, LANE_PATIENCE_MS at most */
	/* the rest belongs to lane.c */
	lane_job_t *next, *prev;
	lane_t *lane;
	op_t *op; /* lane_op: completed in place of done */
	uint64_t queued_us;
	bool queued;
	posted_t posted;
};

typedef struct {
	const char *name; /* "store-write" */
	unsigned threads; /* 1 for a batch lane */
	size_t queue_max; /* jobs waiting; one more is ERR_LANE_FULL */
	/* NULL: run each job. Else one call per batch of 1..batch_max jobs in their order: calls (or not)
	 * jobs[i]->run(jobs[i]->arg) and must set jobs[i]->err. Results are announced after it returns. */
	void (*batch_run)(void *arg, lane_job_t *const jobs[], size_t n);
	void *batch_arg;
	size_t batch_max; /* <= LANE_BATCH_MAX */
} lane_spec_t;

/* Opens a lane and starts its threads (stacks of LANE_STACK_BYTES). Never fails (aborts). */
lane_t *lane_new(loop_t *loop, const lane_spec_t *spec);
/* Takes no more jobs, runs those queued, joins the threads and frees. `done` of the last jobs is
 * posted and still runs with the loop (loop_free delivers it). Accepts NULL. */
void lane_free(lane_t *lane);
DEFINE_AUTO(lane_t *, lane_free);

/* Queues a zeroed job with run, arg and done set. ERR_LANE_FULL at once when the queue is full; then
 * neither run nor done is called. */
MUST err_t lane_submit(lane_t *lane, lane_job_t *job);
/* Takes back a job that no thread has begun: true, and done will not be called. */
bool lane_withdraw(lane_job_t *job);
/* An operation that runs run(arg) on the lane; completes with its result, ERR_LANE_FULL, or, hurried
 * while still queued, ERR_CANCELLED. run may allocate from the flow's arena: the flow stands still. */
op_t *lane_op(arena_t *a, lane_t *lane, err_t (*run)(void *arg), void *arg);
/* Makes an operation of lane_op patient, like a job: nobody waits for it soon. Before it starts. */
op_t *lane_op_patient(op_t *op);

/* Number of the calling lane thread, 0..threads-1: one connection per thread. 0 elsewhere. */
unsigned lane_thread(void);

typedef struct {
	const char *name;
	uint64_t taken, refused, batches, waited_us_total, waited_us_max;
	size_t queued;
} lane_stat_t;
lane_stat_t lane_stat(lane_t *lane); /* any thread */

#endif
