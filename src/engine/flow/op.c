/* op.c: the life of an operation, and the two kinds that need nobody else: sleep and gather. */
#include <stdatomic.h>

#include "engine/flow/flow_int.h"

void op_init(op_t *op, const op_kind_t *kind)
{
	*op = (op_t){ .kind = kind };
}

void op_start(op_t *op, loop_t *loop, uint64_t deadline_us, void (*done)(op_t *, err_t), void *owner)
{
	CHECK(loop_is_ours(loop) && done);
	CHECK(atomic_load(&op->phase) == OP_MADE);
	op->loop = loop;
	op->deadline_us = deadline_us;
	op->done = done;
	op->owner = owner;
	atomic_store(&op->phase, OP_STARTED);
	loop->world->start(op);
}

void op_hurry(op_t *op)
{
	if (op->hurried || atomic_load(&op->phase) != OP_STARTED) {
		return;
	}
	CHECK(loop_is_ours(op->loop));
	op->hurried = true;
	op->loop->world->hurry(op);
}

static void op_deliver(void *arg)
{
	op_t *op = arg;

	CHECK(atomic_load(&op->phase) == OP_COMPLETED);
	atomic_store(&op->phase, OP_DELIVERED);
	op->done(op, op->err); /* op may be gone after this */
}

void op_complete(op_t *op, err_t err)
{
	int started = OP_STARTED;
	loop_t *loop = op->loop;

	CHECK(atomic_compare_exchange_strong(&op->phase, &started, OP_COMPLETED)); /* F3 */
	op->err = err;
	op->posted = (posted_t){ .fn = op_deliver, .arg = op, .waiting = true };
	loop->world->deliver(loop, &op->posted);
}

err_t op_result(const op_t *op)
{
	CHECK(atomic_load(&op->phase) == OP_DELIVERED);
	return op->err;
}

/* sleep */

typedef struct {
	op_t op; /* first */
	uint64_t ms;
	loop_timer_t timer;
} sleep_t;

static void sleep_over(void *arg)
{
	op_complete(arg, OK);
}

static void sleep_start(op_t *op)
{
	sleep_t *s = (sleep_t *)op;

	loop_timer_start(op->loop, &s->timer, s->ms, sleep_over, s);
}

static void sleep_hurry(op_t *op)
{
	loop_timer_stop(op->loop, &((sleep_t *)op)->timer);
	op_complete(op, ERR_CANCELLED);
}

static const op_kind_t sleep_kind = { "sleep", sleep_start, sleep_hurry, .never_fails = true };

op_t *op_sleep(arena_t *a, uint64_t ms)
{
	sleep_t *s = arena_new(a, sleep_t);

	op_init(&s->op, &sleep_kind);
	s->ms = ms;
	return &s->op;
}

/* gather */

typedef struct {
	op_t op; /* first */
	op_t *parts[OP_GATHER_MAX];
	size_t n, open;
	err_t first_err;
} gather_t;

static void gather_hurry(op_t *op)
{
	gather_t *g = (gather_t *)op;

	for (size_t i = 0; i < g->n; i++) {
		op_hurry(g->parts[i]);
	}
}

static void gather_part_done(op_t *part, err_t err)
{
	gather_t *g = part->owner;

	CHECK(g->open > 0);
	g->open--;
	if (err != OK && g->first_err == OK) {
		g->first_err = err;
		gather_hurry(&g->op);
	}
	if (g->open == 0) {
		op_complete(&g->op, g->first_err);
	}
}

static void gather_start(op_t *op)
{
	gather_t *g = (gather_t *)op;

	g->open = g->n;
	for (size_t i = 0; i < g->n; i++) {
		op_start(g->parts[i], op->loop, op->deadline_us, gather_part_done, g);
	}
	if (g->n == 0) {
		op_complete(op, OK);
	}
}

static const op_kind_t gather_kind = { "gather", gather_start, gather_hurry, .never_fails = true };

op_t *op_gather(arena_t *a, op_t *const parts[], size_t n)
{
	gather_t *g = arena_new(a, gather_t);

	CHECK(n <= OP_GATHER_MAX);
	op_init(&g->op, &gather_kind);
	g->n = n;
	for (size_t i = 0; i < n; i++) {
		g->parts[i] = parts[i];
	}
	return &g->op;
}
