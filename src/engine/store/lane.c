/* lane.c: the store behind flow's batch lane: one transaction and one disk sync for all that queued. */
#include "engine/store/store.h"

_Static_assert((int)LANE_BATCH_MAX <= (int)STORE_BATCH_MAX, "a lane's batch is one transaction");

void store_lane_batch(void *store, lane_job_t *const jobs[], size_t n)
{
	store_closure_t *closures[LANE_BATCH_MAX] = { NULL };

	CHECK(n <= LANE_BATCH_MAX);
	for (size_t i = 0; i < n; i++) {
		closures[i] = jobs[i]->arg;
	}
	store_batch_run(store, closures, n);
	for (size_t i = 0; i < n; i++) {
		jobs[i]->err = closures[i]->err;
	}
}

/* A lane wants a function for each job; on the write lane the batch runs the closure instead. */
static err_t never_run(void *closure)
{
	(void)closure;
	CHECK(!"a closure ran outside the write lane");
	return ERR_INTERNAL;
}

op_t *store_write_op(arena_t *a, lane_t *write, store_fn_t *run, void *self, bool essential)
{
	store_closure_t *c = arena_new(a, store_closure_t);

	*c = (store_closure_t){ .run = run, .self = self, .essential = essential };
	return lane_op(a, write, never_run, c);
}

typedef struct {
	store_t *store;
	store_fn_t *run;
	void *self;
} read_job_t;

static err_t read_job_run(void *arg)
{
	read_job_t *job = arg;

	return store_read(job->store, job->run, job->self);
}

op_t *store_read_op(arena_t *a, lane_t *lane, store_t *s, store_fn_t *run, void *self)
{
	read_job_t *job = arena_new(a, read_job_t);

	*job = (read_job_t){ s, run, self };
	return lane_op(a, lane, read_job_run, job);
}
