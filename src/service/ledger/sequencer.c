/* sequencer.c: the flow that turns records into signed heads, one round at a time. A round that fails is
 * repeated from where it stood: a number that was drawn is used for the head it was drawn for. */
#include "service/ledger/ledger_int.h"

struct ledger_sequencer {
	ledger_sequencer_deps_t deps;
	ledger_sequence_t s;
	loop_timer_t timer;
	bool wanted, running, over;
	uint64_t look_at_us;
	/* the lists as the last head left them, its own signature included */
	signer_head_t told[SIGNER_KEYS_USABLE_MAX];
	size_t n_told;
	err_t result; /* of the last round: a failure is logged once */
	void (*stopped)(void *owner);
	void *stopped_owner;
};

static err_t sequence_ask(flow_t *f); /* waits: how far the signer's lists are */
static err_t sequence_look(flow_t *f); /* is there anything to do */
static err_t sequence_index(flow_t *f); /* waits: indices, tree, the record of the head's number */
static err_t sequence_sign(flow_t *f); /* waits: the signer */
static err_t sequence_publish(flow_t *f); /* waits: only now the head is known */
static err_t sequence_end(flow_t *f);

static const flow_step_t sequence_steps[] = {
	{ "ask", sequence_ask },
	{ "look", sequence_look },
	{ "index", sequence_index },
	{ "sign", sequence_sign },
	{ "publish", sequence_publish },
	{ "end", sequence_end },
};

static void sequence_finish(flow_t *f, err_t result);

static const flow_table_t sequence_table = { .name = "sequence", .steps = sequence_steps,
	.n_steps = ARRAY_LEN(sequence_steps), .finish = sequence_finish, .quiet = true };

static err_t ask_run(void *arg)
{
	return ledger_sequence_ask(arg);
}

static err_t sign_run(void *arg)
{
	return ledger_sequence_sign(arg);
}

static err_t sequence_ask(flow_t *f)
{
	ledger_sequencer_t *q = f->state;

	if (q->s.to_sign) {
		return flow_skip_to(f, "sign"); /* the round before did not end */
	}
	q->s.now_us = (int64_t)loop_unix_us(f->loop);
	return flow_wait(f, lane_op(f->arena, q->deps.slow, ask_run, &q->s));
}

static bool lists_moved(const ledger_sequencer_t *q)
{
	bool moved = q->s.n_lists != q->n_told;

	for (size_t i = 0; i < q->n_told && !moved; i++) {
		moved = q->s.lists[i].count != q->told[i].count ||
			!str_eq(str_of(q->s.lists[i].kid), str_of(q->told[i].kid));
	}
	return moved;
}

static err_t sequence_look(flow_t *f)
{
	ledger_sequencer_t *q = f->state;

	q->s.forced = lists_moved(q);
	q->look_at_us = loop_in_ms(f->loop, LEDGER_LOOK_MS);
	return q->wanted || q->s.forced ? OK : flow_done(f);
}

static op_t *write_op(flow_t *f, const ledger_sequencer_t *q, store_fn_t *run, void *self)
{
	return lane_op_patient(store_write_op(f->arena, q->deps.write, run, self, true));
}

static err_t sequence_index(flow_t *f)
{
	ledger_sequencer_t *q = f->state;

	q->wanted = false;
	return flow_wait(f, write_op(f, q, ledger_sequence_index, &q->s));
}

static err_t sequence_sign(flow_t *f)
{
	ledger_sequencer_t *q = f->state;

	POINT("authority.sequence.after_index");
	return flow_wait(f, lane_op(f->arena, q->deps.slow, sign_run, &q->s));
}

static err_t sequence_publish(flow_t *f)
{
	ledger_sequencer_t *q = f->state;

	POINT("authority.sequence.after_sign");
	return flow_wait(f, write_op(f, q, ledger_sequence_publish, &q->s));
}

static err_t sequence_end(flow_t *f)
{
	ledger_sequencer_t *q = f->state;

	POINT("authority.sequence.after_commit");
	if (q->s.to_sign) {
		memcpy(q->told, q->s.lists, sizeof(q->told));
		q->n_told = q->s.n_lists;
		for (size_t i = 0; i < q->n_told; i++) {
			q->told[i].count += str_eq(str_of(q->told[i].kid), str_of(q->deps.ledger->kid));
		}
	}
	q->s.to_sign = false;
	q->wanted = q->wanted || q->s.more;
	return OK;
}

static void tick(void *arg);

static void sequence_finish(flow_t *f, err_t result)
{
	ledger_sequencer_t *q = f->state;

	q->running = false;
	if (q->stopped) {
		loop_post(f->loop, q->stopped, q->stopped_owner);
		return;
	}
	if (result == ERR_LEDGER_DAMAGED || result == ERR_CONFLICT) {
		q->over = true; /* a rotten row or a second authority: sign nothing more */
		loop_timer_stop(f->loop, &q->timer);
		q->deps.failed(q->deps.owner, result);
		return;
	}
	if (result != OK && result != q->result) {
		log_kv(LVL_WARN, "ledger.sequence", kv_err("result", result)); /* once, not ten times a second */
	}
	q->result = result;
	q->wanted = q->wanted || result != OK; /* what waits for its index is tried again */
	if (q->s.more && result == OK) {
		loop_timer_start(f->loop, &q->timer, 0, tick, q);
	}
}

static void round_begin(ledger_sequencer_t *q)
{
	arena_t *a = arena_open();
	flow_id_t id;

	q->running = flow_start(q->deps.loop, &sequence_table, a, q, loop_in_ms(q->deps.loop, LEDGER_SEQUENCE_DEADLINE_MS),
		&id) == OK;
	if (!q->running) {
		arena_free(a);
	}
}

static void tick(void *arg)
{
	ledger_sequencer_t *q = arg;
	bool look = loop_mono_us(q->deps.loop) >= q->look_at_us;

	if ((q->wanted || look) && !q->running && !q->over) {
		round_begin(q);
	}
	loop_timer_start(q->deps.loop, &q->timer, LEDGER_SEQUENCE_MS, tick, q);
}

ledger_sequencer_t *ledger_sequencer_new(const ledger_sequencer_deps_t *deps)
{
	ledger_sequencer_t *q = heap_new(ledger_sequencer_t);

	q->deps = *deps;
	q->s.ledger = deps->ledger;
	q->wanted = true; /* what a process before left waiting */
	tick(q);
	return q;
}

void ledger_sequencer_wake(ledger_sequencer_t *q)
{
	q->wanted = true;
}

void ledger_sequencer_stop(ledger_sequencer_t *q, void (*stopped)(void *owner), void *owner)
{
	q->over = true;
	loop_timer_stop(q->deps.loop, &q->timer);
	q->stopped = stopped;
	q->stopped_owner = owner;
	if (!q->running) {
		loop_post(q->deps.loop, stopped, owner);
	}
}

void ledger_sequencer_free(ledger_sequencer_t *q)
{
	if (!q) {
		return;
	}
	CHECK(!q->running);
	loop_timer_stop(q->deps.loop, &q->timer);
	heap_free(q);
}
