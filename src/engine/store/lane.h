/* lane.h: store closures as jobs of flow's lanes. Part of store.h.
 * On the write lane the job's `arg` is its store_closure_t; its `run` is not used. */
#ifndef ATTORN_STORE_LANE_H
#define ATTORN_STORE_LANE_H

#include "engine/flow/flow.h"
#include "engine/store/store.h"

/* lane_spec_t.batch_run of the write lane; batch_arg is the store_t. */
void store_lane_batch(void *store, lane_job_t *const jobs[], size_t n);

/* A closure as an operation of a flow: on the write lane, or on a read connection. */
op_t *store_write_op(arena_t *a, lane_t *write, store_fn_t *run, void *self, bool essential);
op_t *store_read_op(arena_t *a, lane_t *lane, store_t *s, store_fn_t *run, void *self);

#endif
