/* sim.c: the simulated world. One list of events in virtual time; everything that arrives from
 * elsewhere (completions, lane threads, the far side) arrives after a delay drawn from the seed. */
#include <stdlib.h>

#include "engine/flow/flow_int.h"
#include "engine/flow/sim.h"

enum {
	DELAY_US_DEFAULT = 20000,
	MONO_START_US = 1000000,
};
#define UNIX_START_US 1750000000000000u

/* One thing that will happen: exactly one of the three is set. */
typedef struct {
	uint64_t at_us, order;
	posted_t *posted;
	lane_t *lane;
	op_t *far; /* a stand-in is to answer */
	bool lose_answer; /* of `far`: it acts, and we hear nothing of it */
} event_t;

typedef struct {
	const char *kind;
	err_t (*answer)(void *arg, op_t *op);
	void *arg;
} stand_in_t;

struct sim {
	loop_t loop; /* first */
	sim_plan_t plan;
	uint64_t random, now_us, order, n_ops, n_events;
	event_t *events;
	size_t n, cap;
	stand_in_t stand_ins[SIM_STAND_INS_MAX];
	size_t n_stand_ins;
	bool crashed;
	void (*check)(void *arg);
	void *check_arg;
};

static sim_t *sim_of(loop_t *loop)
{
	return (sim_t *)loop;
}

/* splitmix64: small, seedable from any number, good enough to shuffle with */
static uint64_t next_random(sim_t *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t sim_draw(sim_t *s, uint64_t n)
{
	return n ? next_random(s) % n : 0;
}

static bool chance(sim_t *s, unsigned percent)
{
	return percent && sim_draw(s, 100) < percent;
}

static void event_add(sim_t *s, event_t e, bool delayed)
{
	uint64_t delay_us = s->plan.delay_us_max ? s->plan.delay_us_max : DELAY_US_DEFAULT;

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->events = heap_realloc(s->events, s->cap * sizeof(*s->events));
	}
	e.at_us = s->now_us + (delayed ? 1 + sim_draw(s, delay_us) : 0);
	e.order = s->order++;
	s->events[s->n++] = e;
}

static event_t event_remove(sim_t *s, size_t i)
{
	event_t e = s->events[i];

	s->events[i] = s->events[--s->n];
	return e;
}

/* the world's table */

static uint64_t sim_mono_us(loop_t *loop)
{
	return sim_of(loop)->now_us;
}

static uint64_t sim_unix_us(loop_t *loop)
{
	return UNIX_START_US + sim_of(loop)->now_us;
}

static void sim_random(loop_t *loop, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		((uint8_t *)p)[i] = (uint8_t)next_random(sim_of(loop));
	}
}

static void sim_post(loop_t *loop, posted_t *m)
{
	event_add(sim_of(loop), (event_t){ .posted = m }, false);
}

static void sim_deliver(loop_t *loop, posted_t *m)
{
	event_add(sim_of(loop), (event_t){ .posted = m }, true);
}

static const stand_in_t *stand_in_for(const sim_t *s, const char *kind)
{
	for (size_t i = 0; i < s->n_stand_ins; i++) {
		if (strcmp(s->stand_ins[i].kind, kind) == 0) {
			return &s->stand_ins[i];
		}
	}
	return NULL;
}

/* an outbound exchange of no particular protocol: brings its own stand-in */

typedef struct {
	op_t op; /* first */
	op_kind_t kind;
	err_t (*answer)(void *arg);
	void *arg;
} exchange_op_t;

static void exchange_start(op_t *op)
{
	CHECK(!"sim_exchange outside a simulation");
}

op_t *sim_exchange(arena_t *a, const char *name, err_t (*answer)(void *arg), void *arg)
{
	exchange_op_t *x = arena_new(a, exchange_op_t);

	x->kind = (op_kind_t){ .name = name, .start = exchange_start };
	op_init(&x->op, &x->kind);
	x->answer = answer;
	x->arg = arg;
	return &x->op;
}

static bool is_exchange(const op_t *op)
{
	return op->kind->start == exchange_start;
}

static bool is_far(const sim_t *s, const op_t *op)
{
	return is_exchange(op) || stand_in_for(s, op->kind->name) != NULL;
}

static err_t far_answer(const sim_t *s, op_t *op)
{
	if (is_exchange(op)) {
		const exchange_op_t *x = (const exchange_op_t *)op;
		return x->answer(x->arg);
	}
	const stand_in_t *side = stand_in_for(s, op->kind->name);
	return side->answer(side->arg, op);
}

/* starting and hurrying, with faults */

static void trace_op(const sim_t *s, const char *what, const op_t *op)
{
	if (s->plan.trace) {
		log_kv(LVL_ERROR, "sim", kv_u("at", s->now_us), kv_u("event", s->n_events),
			kv_c("what", what), kv_c("op", op->kind->name), kv_u("op_nth", s->n_ops));
	}
}

static bool fault_here(sim_t *s, const op_t *op)
{
	if (op->kind->never_fails) {
		return false;
	}
	s->n_ops++;
	return s->plan.fail_nth ? s->n_ops == s->plan.fail_nth : chance(s, s->plan.fail_percent);
}

static void sim_start(op_t *op)
{
	sim_t *s = sim_of(op->loop);
	bool far = is_far(s, op);
	bool fault = fault_here(s, op);
	bool lose_answer = fault && far && (s->plan.fail_nth ? s->plan.fail_answer : chance(s, 50));

	trace_op(s, !fault ? "start" : lose_answer ? "lose" : "fail", op);
	if (fault && !lose_answer) {
		op_complete(op, s->plan.fail_with ? s->plan.fail_with : ERR_UNAVAILABLE);
	} else if (far) {
		event_add(s, (event_t){ .far = op, .lose_answer = lose_answer }, true);
	} else {
		op->kind->start(op);
	}
}

/* The far side may not have heard yet, or have acted without our hearing of it, or answer anyway. */
static void hurry_far(sim_t *s, size_t i)
{
	op_t *op = s->events[i].far;

	switch (sim_draw(s, 3)) {
	case 0:
		event_remove(s, i);
		op_complete(op, ERR_CANCELLED);
		break;
	case 1:
		s->events[i].lose_answer = true;
		break;
	case 2:
		break;
	}
}

static void sim_hurry(op_t *op)
{
	sim_t *s = sim_of(op->loop);

	trace_op(s, "hurry", op);
	for (size_t i = 0; i < s->n; i++) {
		if (s->events[i].far == op) {
			hurry_far(s, i);
			return;
		}
	}
	if (op->kind->hurry) {
		op->kind->hurry(op);
	}
}

static void sim_timer_moved(loop_t *loop)
{
	/* sim_step looks at the earliest timer each time */
}

static size_t lane_event(const sim_t *s, const lane_t *lane)
{
	size_t i = 0;

	while (i < s->n && s->events[i].lane != lane) {
		i++;
	}
	return i;
}

static void sim_lane_wake(lane_t *lane)
{
	sim_t *s = sim_of(lane_loop(lane));

	if (lane_event(s, lane) == s->n) {
		event_add(s, (event_t){ .lane = lane }, true);
	}
}

static bool sim_lane_gone(lane_t *lane)
{
	sim_t *s = sim_of(lane_loop(lane));
	size_t i = lane_event(s, lane);

	if (i < s->n) {
		event_remove(s, i);
	}
	return s->crashed;
}

static const world_t world_sim = {
	.has_threads = false,
	.mono_us = sim_mono_us,
	.unix_us = sim_unix_us,
	.random = sim_random,
	.post = sim_post,
	.post_last = sim_post,
	.deliver = sim_deliver,
	.start = sim_start,
	.hurry = sim_hurry,
	.timer_moved = sim_timer_moved,
	.lane_wake = sim_lane_wake,
	.lane_gone = sim_lane_gone,
};

/* happening */

static void far_answers(sim_t *s, event_t e)
{
	err_t err = far_answer(s, e.far);

	if (e.lose_answer) {
		err = s->plan.fail_with ? s->plan.fail_with : ERR_TIMEOUT;
	}
	op_complete(e.far, err);
}

static void event_happens(sim_t *s, event_t e)
{
	if (e.posted) {
		posted_run(e.posted);
	} else if (e.far) {
		far_answers(s, e);
	} else if (lane_turn(e.lane)) {
		sim_lane_wake(e.lane);
	}
}

/* Index of the next event, s->n when there is none. */
static size_t event_first(const sim_t *s)
{
	size_t best = s->n;

	for (size_t i = 0; i < s->n; i++) {
		const event_t *e = &s->events[i], *b = &s->events[best];

		if (best == s->n || e->at_us < b->at_us || (e->at_us == b->at_us && e->order < b->order)) {
			best = i;
		}
	}
	return best;
}

static void cancel_some(sim_t *s)
{
	size_t nth = s->loop.n_flows ? (size_t)sim_draw(s, s->loop.n_flows) : 0;
	const flow_full_t *f = s->loop.flows;

	if (!f || !chance(s, s->plan.cancel_percent)) {
		return;
	}
	while (nth--) {
		f = f->next;
	}
	(void)flow_cancel(&s->loop, f->pub.id, ERR_CANCELLED);
}

typedef enum { STEP_DONE, STEP_NOTHING_LEFT, STEP_CRASH } sim_step_t;

static void step_deliver(sim_t *s, size_t next)
{
	const loop_timer_t *t = loop_timer_first(&s->loop);

	if (t && (next == s->n || t->at_us < s->events[next].at_us)) {
		s->now_us = t->at_us > s->now_us ? t->at_us : s->now_us;
		loop_timers_run(&s->loop, s->now_us);
		return;
	}
	event_t e = event_remove(s, next);
	s->now_us = e.at_us > s->now_us ? e.at_us : s->now_us;
	event_happens(s, e);
}

static sim_step_t sim_step(sim_t *s, uint64_t until_us)
{
	size_t next = event_first(s);
	const loop_timer_t *t = loop_timer_first(&s->loop);
	uint64_t event_us = next < s->n ? s->events[next].at_us : UINT64_MAX;
	uint64_t first_us = t && t->at_us < event_us ? t->at_us : event_us;

	if (first_us == UINT64_MAX || first_us > until_us) {
		return STEP_NOTHING_LEFT;
	}
	CHECK(s->n_events++ < SIM_EVENTS_MAX); /* something turns for ever */
	if (s->n_events == s->plan.crash_at) {
		s->crashed = true;
	}
	if (s->crashed) {
		return STEP_CRASH;
	}
	if (s->n_events == s->plan.cancel_at) {
		flow_cancel_all(&s->loop, ERR_CANCELLED);
	}
	cancel_some(s);
	step_deliver(s, event_first(s)); /* a cancel may have changed what is next */
	flow_check_all(&s->loop);
	if (s->check) {
		s->check(s->check_arg);
	}
	return STEP_DONE;
}

static bool run_until(sim_t *s, uint64_t until_us)
{
	sim_step_t r;

	do {
		r = sim_step(s, until_us);
	} while (r == STEP_DONE);
	return r == STEP_NOTHING_LEFT;
}

bool sim_run(sim_t *s)
{
	if (!run_until(s, UINT64_MAX - 1)) {
		return false;
	}
	CHECK(s->loop.n_flows == 0); /* a flow has a deadline, so it ends */
	return true;
}

bool sim_run_ms(sim_t *s, uint64_t ms)
{
	uint64_t until_us = s->now_us + ms * 1000;

	if (!run_until(s, until_us)) {
		return false;
	}
	s->now_us = until_us;
	return true;
}

/* life */

sim_t *sim_new(const sim_plan_t *plan)
{
	sim_t *s = heap_new(sim_t);

	loop_init(&s->loop, &world_sim);
	s->plan = *plan;
	s->random = plan->seed;
	s->now_us = MONO_START_US;
	return s;
}

void sim_free(sim_t *s)
{
	if (!s) {
		return;
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->events[i].posted) {
			posted_drop(s->events[i].posted);
		}
	}
	while (s->loop.flows) {
		flow_full_t *f = s->loop.flows;
		s->loop.flows = f->next;
		arena_free(f->pub.arena);
	}
	loop_done(&s->loop);
	heap_free(s->events);
	heap_free(s);
}

loop_t *sim_loop(sim_t *s)
{
	return &s->loop;
}

uint64_t sim_ops(const sim_t *s)
{
	return s->n_ops;
}

uint64_t sim_events(const sim_t *s)
{
	return s->n_events;
}

void sim_after_each(sim_t *s, void (*check)(void *arg), void *arg)
{
	s->check = check;
	s->check_arg = arg;
}

void sim_stand_in(sim_t *s, const char *kind, err_t (*answer)(void *arg, op_t *op), void *arg)
{
	CHECK(s->n_stand_ins < SIM_STAND_INS_MAX && !stand_in_for(s, kind));
	s->stand_ins[s->n_stand_ins++] = (stand_in_t){ kind, answer, arg };
}

void sim_seeds(int argc, char **argv, uint64_t count, uint64_t *out_first, uint64_t *out_count)
{
	const char *one = getenv("ATTORN_SEED");

	for (int i = 1; i + 1 < argc; i++) {
		one = strcmp(argv[i], "--seed") == 0 ? argv[i + 1] : one;
	}
	if (!one) {
		*out_first = 1;
		*out_count = count;
		return;
	}
	CHECK(str_to_u64(str_of(one), UINT64_MAX - 1, out_first) == OK);
	*out_count = 1;
}
