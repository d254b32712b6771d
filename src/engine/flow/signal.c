/* signal.c: an operation that somebody else completes, by id: what a hold waits on. */
#include "engine/flow/flow_int.h"

typedef struct {
	op_t op; /* first */
	loop_t *loop;
	uint64_t id; /* 0 once fired or hurried */
	bool started;
	err_t err;
} signal_op_t;

static const char signal_id_kind[] = "signal";

static void signal_close(signal_op_t *s)
{
	ids_give_back(&s->loop->ids, s->id);
	s->id = 0;
}

static void signal_start(op_t *op)
{
	signal_op_t *s = (signal_op_t *)op;

	s->started = true;
	if (s->id == 0) {
		op_complete(op, s->err); /* fired before anyone waited */
	}
}

static void signal_hurry(op_t *op)
{
	signal_close((signal_op_t *)op);
	op_complete(op, ERR_CANCELLED);
}

static const op_kind_t signal_kind = { "signal", signal_start, signal_hurry, .never_fails = true };

static void signal_arena_gone(void *arg)
{
	signal_op_t *s = arg;

	if (s->id != 0) {
		signal_close(s);
	}
}

err_t signal_open(loop_t *loop, arena_t *a, op_t **out_op, uint64_t *out_id)
{
	signal_op_t *s = arena_new(a, signal_op_t);

	CHECK(loop_is_ours(loop));
	op_init(&s->op, &signal_kind);
	s->loop = loop;
	TRY(ids_take(&loop->ids, signal_id_kind, s, &s->id));
	arena_defer(a, signal_arena_gone, s);
	*out_op = &s->op;
	*out_id = s->id;
	return OK;
}

bool signal_fire(loop_t *loop, uint64_t id, err_t err)
{
	CHECK(loop_is_ours(loop));
	signal_op_t *s = ids_peek(&loop->ids, signal_id_kind, id);

	if (!s) {
		return false;
	}
	signal_close(s);
	s->err = err;
	if (s->started) {
		op_complete(&s->op, err);
	}
	return true;
}
