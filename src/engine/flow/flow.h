/* flow.h: a request as an ordered table of named steps (STYLE 4). The face of this room: loop.h,
 * op.h, lane.h and log.h come with it; tests also include sim.h.
 *
 *     static const flow_step_t steps[] = {
 *             { "parse", x_parse },
 *             { "record", x_record },                          // return flow_wait(f, store_write(..))
 *             { "reply", x_reply },
 *             { "outcome", x_outcome, .sees_failure = true },
 *     };
 *     static const flow_table_t table = FLOW_TABLE("exchange", steps, x_finish);
 *
 * A step returns an error, which fails the flow, or OK, and then the next row runs, unless the step
 * ended in `return flow_wait(...)`, `flow_skip_to(...)` or `flow_done(...)`.
 * A failure (of a step, of an operation, by cancel or deadline) skips all rows down to the next one
 * below with .sees_failure, else the flow ends. The failure sticks: after that row the flow again
 * skips down and ends with the first error, unless the row called flow_recover. So a forgotten check
 * costs a retry and never lets a failed flow walk on.
 * A row that sees failure has the last word: while it runs and waits, cancel only marks the flow and
 * the deadline is at least FLOW_LAST_WORD_MS away. Mid-table rows of this kind must stay short.
 *
 * Owns: the flow, its arena, the operation it waits for. Threads: the loop's only (F1).
 * Limits: limits.h. Forbidden: pointers to flows in long-lived objects: keep the id. */
#ifndef ATTORN_FLOW_H
#define ATTORN_FLOW_H

#include "engine/flow/lane.h"
#include "engine/flow/limits.h"
#include "engine/flow/log.h"
#include "engine/flow/loop.h"
#include "engine/flow/op.h"
#include "engine/flow/point.h"

typedef uint64_t flow_id_t; /* 0 is none */

typedef struct {
	loop_t *loop;
	arena_t *arena; /* the request's memory; goes after finish */
	void *state; /* what survives a wait: the service's own struct, in the arena */
	flow_id_t id;
	uint64_t deadline_us; /* absolute, loop_mono_us (F5) */
} flow_t;

typedef struct {
	const char *name; /* span, metric label, simulator line */
	err_t (*fn)(flow_t *f);
	bool sees_failure;
} flow_step_t;

typedef struct {
	const char *name;
	const flow_step_t *steps;
	size_t n_steps;
	/* Runs exactly once (F6): answers if nothing was answered yet. Cannot wait. Then the engine logs
	 * the result and releases the arena. */
	void (*finish)(flow_t *f, err_t result);
	bool quiet; /* of our own making, many a second: its end is a line of level debug */
} flow_table_t;
#define FLOW_TABLE(name_, steps_, finish_)                                                         \
	{ .name = (name_), .steps = (steps_), .n_steps = ARRAY_LEN(steps_), .finish = (finish_) }

/* Starts a flow; its first row runs in the next round of the loop, never inside. Takes the arena on
 * success. ERR_LANE_FULL when FLOW_IDS_MAX are alive: nothing was taken. */
MUST err_t flow_start(loop_t *loop, const flow_table_t *table, arena_t *arena, void *state,
	uint64_t deadline_us, flow_id_t *out_id);

/* The last call of a step: waits for `op`, which starts when the step has returned. */
MUST err_t flow_wait(flow_t *f, op_t *op);
/* The last call of a step: goes on at the row called `name`, up or down the table. */
MUST err_t flow_skip_to(flow_t *f, const char *name);
/* The last call of a step: ends the flow; its result is OK, or the failure that stuck. */
MUST err_t flow_done(flow_t *f);
/* The failure that brought a .sees_failure row to run, or OK. */
err_t flow_result(const flow_t *f);
/* Forgives the failure of an operation or step, so that the flow goes on. Refuses, with that error,
 * a flow that was cancelled or is late: those are final. */
MUST err_t flow_recover(flow_t *f);
/* Adds a pair to the line that ends the flow; its text must live in the arena. Beyond
 * FLOW_NOTES_MAX it is dropped. */
void flow_note(flow_t *f, log_pair_t pair);

/* Marks the flow and hurries what it waits for (F4): peer gone, revoked, shutdown. The first error
 * given wins. False when the flow is gone. */
bool flow_cancel(loop_t *loop, flow_id_t id, err_t err);
/* The state of a live flow whose table is `table`, else NULL: for completing a hold, for tests. */
void *flow_peek_state(loop_t *loop, flow_id_t id, const flow_table_t *table);
/* Shutdown: cancels every live flow; count of those alive. */
void flow_cancel_all(loop_t *loop, err_t err);
size_t flow_count(const loop_t *loop);

/* Figures for /metrics. */
typedef struct {
	uint64_t count, failed, us_total, us_max;
} flow_stat_t;
typedef struct {
	const flow_table_t *table;
	flow_stat_t whole; /* start to finish */
	flow_stat_t cpu[FLOW_ROWS_MAX]; /* the step's own time */
	flow_stat_t wait[FLOW_ROWS_MAX]; /* what it waited for */
} flow_stats_t;
/* The i-th table that ever ran on this loop, NULL beyond the last. */
const flow_stats_t *flow_stats(const loop_t *loop, size_t i);

#endif
