/* op.h: operations, all that a flow can wait for. An operation is made (nothing happens), started
 * once, perhaps hurried once, and completes exactly once (F3), always through the loop's queue.
 * A room offers a kind of its own so: struct whose first member is `op_t op`, a maker that takes the
 * arena first and calls op_init, and a static op_kind_t.
 * Owns: nothing; an operation lies in its flow's arena, which outlives its completion (F4).
 * Threads: loop; op_complete: any. Forbidden: starting work in a maker; keeping `op` after completing. */
#ifndef ATTORN_FLOW_OP_H
#define ATTORN_FLOW_OP_H

#include "engine/flow/loop.h"

typedef struct op op_t;

typedef struct {
	const char *name; /* "net.fetch": log, simulator line, sim_stand_in */
	/* Begins; must lead to one op_complete, inside the call or later. On the loop. */
	void (*start)(op_t *op);
	/* Makes the completion come soon, normally as ERR_CANCELLED; may be NULL if it is soon anyway.
	 * At most once, on the loop, after start. If another thread completes this kind, the completion
	 * may be on its way: then do nothing. */
	void (*hurry)(op_t *op);
	bool never_fails; /* of itself: the simulator plants no fault (timer, signal, gather) */
} op_kind_t;

struct op {
	const op_kind_t *kind;
	loop_t *loop; /* set by op_start */
	uint64_t deadline_us; /* loop_mono_us; set by op_start (F5) */
	/* the rest belongs to op.c */
	void (*done)(op_t *op, err_t err);
	void *owner;
	err_t err;
	_Atomic int phase;
	bool hurried;
	posted_t posted;
};

/* Prepares the first member of a kind's struct. */
void op_init(op_t *op, const op_kind_t *kind);
/* Starts; done(op, err) runs later on the loop, never inside. Flows do this for what they wait for;
 * others may for operations outside a flow. */
void op_start(op_t *op, loop_t *loop, uint64_t deadline_us, void (*done)(op_t *, err_t), void *owner);
/* Hurries a started operation once; later calls, and those after completion, do nothing. */
void op_hurry(op_t *op);
/* Completes; exactly once (checked). Any thread, also inside kind->start. */
void op_complete(op_t *op, err_t err);
/* The result of one that completed (for the parts of a gather). */
err_t op_result(const op_t *op);

/* Completes OK after `ms`. */
op_t *op_sleep(arena_t *a, uint64_t ms);
/* Starts all n and completes when the last has (F8). The first failure hurries the others and is the
 * result; each part keeps its own (op_result). `parts` is copied, n <= OP_GATHER_MAX. */
op_t *op_gather(arena_t *a, op_t *const parts[], size_t n);

/* A signal: an operation completed from outside, by id; what a hold waits on. The id is known before
 * the wait, and firing it early is remembered. Hurrying completes it ERR_CANCELLED. ERR_LIMIT when
 * too many are open. It is closed with the arena, waited for or not. */
MUST err_t signal_open(loop_t *loop, arena_t *a, op_t **out_op, uint64_t *out_id);
/* Completes the signal with `err`; false when it is gone or was fired before. */
bool signal_fire(loop_t *loop, uint64_t id, err_t err);

#endif
