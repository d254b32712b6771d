/* flow.c: the engine that turns flows. Everything a flow does passes through flow_go, on the loop. */
#include <stdatomic.h>

#include "engine/flow/flow_int.h"

static const char flow_id_kind[] = "flow";

static flow_full_t *full(const flow_t *f)
{
	return (flow_full_t *)f;
}

static flow_full_t *flow_peek(loop_t *loop, flow_id_t id)
{
	return ids_peek(&loop->ids, flow_id_kind, id);
}

static bool is_waiting(const flow_full_t *f)
{
	return f->op != NULL && !f->in_step;
}

/* failure, cancel, deadline */

/* The first failure sticks. After a cancel its reason is the cancel's: the hurried operation's own
 * word would only say that it was hurried. */
static void flow_fail(flow_full_t *f, err_t err)
{
	CHECK(err != OK);
	if (f->failed != OK) {
		f->also = err;
		return;
	}
	f->failed = f->cancelled != OK ? f->cancelled : err;
	f->failed_row = f->table->steps[f->at].name;
}

static void flow_mark(flow_full_t *f, err_t err)
{
	if (f->cancelled == OK) {
		f->cancelled = err;
	}
}

static void flow_late(void *arg)
{
	flow_full_t *f = arg;

	flow_mark(f, ERR_TIMEOUT);
	if (is_waiting(f)) {
		op_hurry(f->op); /* also a last word: this is its own limit */
	}
}

static void deadline_set(flow_full_t *f, uint64_t at_us)
{
	f->pub.deadline_us = at_us;
	loop_timer_at(f->pub.loop, &f->timer, at_us, flow_late, f);
}

/* F5: an outcome has its own deadline. */
static void deadline_for_row(flow_full_t *f, const flow_step_t *s)
{
	if (s->sees_failure) {
		uint64_t own_us = loop_in_ms(f->pub.loop, FLOW_LAST_WORD_MS);
		deadline_set(f, own_us > f->deadline_us ? own_us : f->deadline_us);
	} else if (f->last_word) {
		deadline_set(f, f->deadline_us);
	}
	f->last_word = s->sees_failure;
}

/* figures */

static void stat_add(flow_stat_t *s, uint64_t us, err_t err)
{
	s->count++;
	s->failed += err != OK;
	s->us_total += us;
	s->us_max = us > s->us_max ? us : s->us_max;
}

static void table_check(const flow_table_t *t)
{
	CHECK(t->name && t->finish && t->n_steps >= 1 && t->n_steps <= FLOW_ROWS_MAX);
	for (size_t i = 0; i < t->n_steps; i++) {
		CHECK(t->steps[i].name && t->steps[i].fn);
		for (size_t j = 0; j < i; j++) {
			CHECK(strcmp(t->steps[i].name, t->steps[j].name) != 0);
		}
	}
}

static flow_stats_t *stats_of(loop_t *loop, const flow_table_t *table)
{
	for (size_t i = 0; i < loop->n_stats; i++) {
		if (loop->stats[i]->table == table) {
			return loop->stats[i];
		}
	}
	table_check(table);
	CHECK(loop->n_stats < FLOW_TABLES_MAX);
	flow_stats_t *s = heap_new(flow_stats_t);
	s->table = table;
	loop->stats[loop->n_stats++] = s;
	return s;
}

const flow_stats_t *flow_stats(const loop_t *loop, size_t i)
{
	return i < loop->n_stats ? loop->stats[i] : NULL;
}

/* the end */

static void flow_log(const flow_full_t *f, uint64_t us)
{
	log_pair_t pairs[7 + FLOW_NOTES_MAX] = {
		kv_c("flow", f->table->name),
		kv_u("id", f->pub.id),
		kv_err("result", f->failed),
		kv_u("us", us),
	};
	size_t n = 4;

	if (f->failed != OK) {
		pairs[n++] = kv_c("step", f->failed_row);
	}
	if (f->also != OK) {
		pairs[n++] = kv_err("also", f->also);
	}
	for (size_t i = 0; i < f->n_notes; i++) {
		pairs[n++] = f->notes[i];
	}
	log_line(f->also != OK ? LVL_WARN : f->table->quiet ? LVL_DEBUG : LVL_INFO, "flow", pairs, n);
}

static void flow_unlink(flow_full_t *f)
{
	loop_t *loop = f->pub.loop;

	if (f->prev) {
		f->prev->next = f->next;
	} else {
		loop->flows = f->next;
	}
	if (f->next) {
		f->next->prev = f->prev;
	}
	loop->n_flows--;
}

static void flow_finish(flow_full_t *f)
{
	loop_t *loop = f->pub.loop;

	CHECK(!f->finished && !f->op); /* F6, F4 */
	f->finished = true;
	loop_timer_stop(loop, &f->timer);
	f->table->finish(&f->pub, f->failed);
	uint64_t us = loop_mono_us(loop) - f->started_us;
	stat_add(&f->stats->whole, us, f->failed);
	flow_log(f, us);
	flow_unlink(f);
	ids_give_back(&loop->ids, f->pub.id);
	arena_free(f->pub.arena); /* f lies in it */
}

/* turning */

static void flow_go(flow_full_t *f);

static void flow_op_done(op_t *op, err_t err)
{
	flow_full_t *f = op->owner;

	CHECK(f->op == op && !f->in_step && !f->finished); /* F3 */
	f->op = NULL;
	stat_add(&f->stats->wait[f->at], loop_mono_us(f->pub.loop) - f->wait_us, err);
	if (err != OK) {
		flow_fail(f, err);
	}
	flow_go(f);
}

static void watchdog(const flow_full_t *f, uint64_t us)
{
	if (us > FLOW_STEP_SLOW_US) {
		log_kv(LVL_WARN, "slow_step", kv_c("flow", f->table->name),
			kv_c("step", f->table->steps[f->at].name), kv_u("us", us));
	}
}

static void step_run(flow_full_t *f)
{
	const flow_step_t *s = &f->table->steps[f->row];

	f->at = f->row++;
	f->moved = false;
	deadline_for_row(f, s);
	uint64_t before_us = loop_mono_us(f->pub.loop);
	f->in_step = true;
	err_t err = s->fn(&f->pub);
	f->in_step = false;
	f->wait_us = loop_mono_us(f->pub.loop);
	stat_add(&f->stats->cpu[f->at], f->wait_us - before_us, err);
	watchdog(f, f->wait_us - before_us);
	if (err != OK) {
		CHECK(!f->op); /* `flow_wait` without `return` */
		f->row = f->at + 1;
		flow_fail(f, err);
	}
}

/* Chooses the row to run, if any: a failed flow skips down to one that sees failure. */
static bool row_find(flow_full_t *f)
{
	if (f->row == f->table->n_steps) {
		return false;
	}
	if (f->failed == OK && f->cancelled != OK) {
		flow_fail(f, f->cancelled);
	}
	if (f->failed == OK && f->turns++ == FLOW_TURNS_MAX) {
		f->overrun = true;
		flow_fail(f, ERR_INTERNAL);
	}
	while (f->failed != OK && f->row < f->table->n_steps && !f->table->steps[f->row].sees_failure) {
		f->row++;
	}
	return f->row < f->table->n_steps;
}

static void wait_begin(flow_full_t *f)
{
	op_start(f->op, f->pub.loop, f->pub.deadline_us, flow_op_done, f);
	if (f->cancelled != OK && !f->last_word) {
		op_hurry(f->op); /* cancelled from inside its own step */
	}
}

static void flow_go(flow_full_t *f)
{
	CHECK(loop_is_ours(f->pub.loop) && !f->in_step && !f->op); /* F1 */
	while (row_find(f)) {
		step_run(f);
		if (f->op) {
			wait_begin(f);
			return;
		}
	}
	flow_finish(f);
}

static void flow_begin(void *arg)
{
	flow_go(arg);
}

err_t flow_start(loop_t *loop, const flow_table_t *table, arena_t *arena, void *state,
	uint64_t deadline_us, flow_id_t *out_id)
{
	CHECK(loop_is_ours(loop) && deadline_us > 0);
	flow_full_t *f = arena_new(arena, flow_full_t);
	flow_id_t id;

	ENSURE(ids_take(&loop->ids, flow_id_kind, f, &id) == OK, ERR_LANE_FULL);
	f->pub = (flow_t){ .loop = loop, .arena = arena, .state = state, .id = id };
	f->table = table;
	f->stats = stats_of(loop, table);
	f->failed_row = "";
	f->started_us = loop_mono_us(loop);
	f->deadline_us = deadline_us;
	deadline_set(f, deadline_us);
	f->next = loop->flows;
	if (f->next) {
		f->next->prev = f;
	}
	loop->flows = f;
	loop->n_flows++;
	loop_post_own(loop, &f->posted, flow_begin, f);
	*out_id = id;
	return OK;
}

/* what steps call */

static flow_full_t *step_ends(flow_t *pub)
{
	flow_full_t *f = full(pub);

	CHECK(f->in_step && !f->moved); /* one of wait, skip_to, done, once */
	f->moved = true;
	return f;
}

err_t flow_wait(flow_t *pub, op_t *op)
{
	flow_full_t *f = step_ends(pub);

	CHECK(op != NULL);
	f->op = op;
	return OK;
}

err_t flow_skip_to(flow_t *pub, const char *name)
{
	flow_full_t *f = step_ends(pub);
	size_t row = 0;

	CHECK(f->failed == OK); /* flow_recover first: a failed flow does not walk on */
	while (row < f->table->n_steps && strcmp(f->table->steps[row].name, name) != 0) {
		row++;
	}
	CHECK(row < f->table->n_steps);
	f->row = row;
	return OK;
}

err_t flow_done(flow_t *pub)
{
	flow_full_t *f = step_ends(pub);

	f->row = f->table->n_steps;
	return OK;
}

err_t flow_result(const flow_t *pub)
{
	return full(pub)->failed;
}

err_t flow_recover(flow_t *pub)
{
	flow_full_t *f = full(pub);

	CHECK(f->in_step && f->last_word);
	ENSURE(f->cancelled == OK, f->cancelled);
	ENSURE(!f->overrun, f->failed);
	f->failed = OK;
	f->also = OK;
	f->failed_row = "";
	return OK;
}

void flow_note(flow_t *pub, log_pair_t pair)
{
	flow_full_t *f = full(pub);

	if (f->n_notes < FLOW_NOTES_MAX) {
		f->notes[f->n_notes++] = pair;
	}
}

/* what others call, by id */

static void cancel(flow_full_t *f, err_t err)
{
	flow_mark(f, err);
	if (is_waiting(f) && !f->last_word) {
		op_hurry(f->op);
	}
}

bool flow_cancel(loop_t *loop, flow_id_t id, err_t err)
{
	flow_full_t *f = flow_peek(loop, id);

	CHECK(loop_is_ours(loop) && err != OK);
	if (!f) {
		return false;
	}
	cancel(f, err);
	return true;
}

void flow_cancel_all(loop_t *loop, err_t err)
{
	CHECK(loop_is_ours(loop) && err != OK);
	for (flow_full_t *f = loop->flows; f; f = f->next) {
		cancel(f, err);
	}
}

void *flow_peek_state(loop_t *loop, flow_id_t id, const flow_table_t *table)
{
	const flow_full_t *f = flow_peek(loop, id);

	return f && f->table == table ? f->pub.state : NULL;
}

size_t flow_count(const loop_t *loop)
{
	return loop->n_flows;
}

void flow_check_all(const loop_t *loop)
{
	size_t n = 0;

	for (const flow_full_t *f = loop->flows; f; f = f->next, n++) {
		CHECK(!f->in_step && !f->finished);
		CHECK(f->posted.waiting != (f->op != NULL));
		CHECK(f->failed == OK || f->posted.waiting || f->last_word);
		if (f->op) {
			int phase = atomic_load(&f->op->phase);
			CHECK(phase == OP_STARTED || phase == OP_COMPLETED);
			CHECK(f->cancelled == OK || f->last_word || f->op->hurried || phase == OP_COMPLETED);
		}
	}
	CHECK(n == loop->n_flows);
}
