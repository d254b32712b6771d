/* export.c: GET /ledger/export: JSON lines of any length through a buffer of fixed size. A thread of the read
 * lane reads inside one transaction (one head for all lines) and waits while the buffer is full; the loop
 * empties it as fast as the client takes bytes.
 * The mutex guards the buffer and the two flags, which are all that the two threads share. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "app/api/api_int.h"

typedef struct {
	api_call_t *c;
	uint64_t from, to;
	pthread_mutex_t lock;
	pthread_cond_t room;
	buf_t ready; /* written by the lane, taken by the loop */
	bool posted; /* the loop was told that there is something */
	bool over; /* client gone or too slow: the lane ends */
	/* the loop's alone */
	buf_t sending;
	bool begun, waiting; /* head sent; waits for the client to take bytes */
	posted_t message;
} export_t;

static const char type[] = "application/jsonl";

err_t api_ledger_export_parse(api_call_t *c)
{
	static const str_t names[] = { STR_INIT("from"), STR_INIT("to") };
	export_t *x = arena_new(c->a, export_t);
	str_t from, to;

	TRY(api_query(c, names, ARRAY_LEN(names)));
	from = api_query_get(c, names[0]);
	to = api_query_get(c, names[1]);
	x->to = UINT64_MAX;
	bool ok = (!from.p || str_to_u64(from, JSON_SAFE_INT_MAX, &x->from) == OK) &&
		(!to.p || str_to_u64(to, JSON_SAFE_INT_MAX, &x->to) == OK) && x->from <= x->to;
	ENSURE(ok, api_say(c, ERR_VALUE, "from and to: indices of records, from inclusive, to exclusive"));
	c->in = x;
	return OK;
}

/* --- the loop's side ----------------------------------------------------------------------------------- */

static void export_stop(export_t *x)
{
	pthread_mutex_lock(&x->lock);
	x->over = true;
	pthread_cond_signal(&x->room);
	pthread_mutex_unlock(&x->lock);
}

static void export_lost(net_exchange_t *e, void *owner)
{
	(void)e;
	export_stop(owner);
}

static void export_drained(net_exchange_t *e, void *owner);

/* Takes what is ready and gives the lane its room back. */
static void export_take(export_t *x)
{
	pthread_mutex_lock(&x->lock);
	buf_t taken = x->ready;
	x->ready = x->sending;
	x->sending = taken;
	buf_clear(&x->ready);
	x->posted = false;
	pthread_cond_signal(&x->room);
	pthread_mutex_unlock(&x->lock);
}

static void export_send(export_t *x)
{
	net_exchange_t *e = x->c->x;

	if (!x->begun) {
		x->begun = true;
		net_reply_begin(e, 200, NET_HEADERS({ STR("Content-Type"), str_of(type) }));
	}
	export_take(x);
	if (net_reply_chunk(e, buf_str(&x->sending)) != OK) {
		export_stop(x);
	}
}

static void export_ready(void *arg)
{
	export_t *x = arg;

	if (x->waiting) {
		return; /* drained will look */
	}
	if (net_reply_pending_bytes(x->c->x) > NET_REPLY_HIGH_BYTES) {
		x->waiting = true;
		net_reply_on_drained(x->c->x, export_drained, x);
		return;
	}
	export_send(x);
}

static void export_drained(net_exchange_t *e, void *owner)
{
	export_t *x = owner;

	(void)e;
	x->waiting = false;
	export_send(x);
}

/* --- the lane's side ------------------------------------------------------------------------------------ */

/* Waits for room, a little at a time: the deadline of the call is checked here too. */
static err_t room_wait(export_t *x, size_t n, uint64_t until_us)
{
	struct timespec t;

	while (x->ready.n + n > API_EXPORT_BYTES_MAX && !x->over) {
		ENSURE(loop_mono_us(x->c->p->deps.loop) < until_us, ERR_TIMEOUT);
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_sec++;
		(void)pthread_cond_timedwait(&x->room, &x->lock, &t);
	}
	return x->over ? ERR_CANCELLED : OK;
}

typedef struct {
	export_t *x;
	uint64_t until_us;
} line_to_t;

static err_t export_line(void *self, str_t line)
{
	line_to_t *to = self;
	export_t *x = to->x;

	pthread_mutex_lock(&x->lock);
	err_t e = room_wait(x, line.n, to->until_us);
	bool tell = false;
	if (e == OK) {
		buf_add(&x->ready, line);
		e = buf_err(&x->ready);
		tell = !x->posted;
		x->posted = true;
	}
	pthread_mutex_unlock(&x->lock);
	if (tell) {
		loop_post_own(x->c->p->deps.loop, &x->message, export_ready, x);
	}
	return e;
}

static err_t export_closure(store_txn_t *txn, void *self)
{
	line_to_t *to = self;

	return ledger_export(to->x->c->p->deps.ledger, txn, to->x->from, to->x->to, export_line, to);
}

static err_t export_run(void *arg)
{
	export_t *x = arg;
	line_to_t to = { x, loop_mono_us(x->c->p->deps.loop) + (uint64_t)API_EXPORT_DEADLINE_MS * 1000 };

	return store_read(x->c->p->deps.store, export_closure, &to);
}

/* --- the operation: the lane's job between a beginning and an end ----------------------------------------- */

typedef struct {
	op_t op;
	export_t *x;
	lane_job_t job;
} export_op_t;

/* What is left goes out; a broken export is cut, so that nobody takes it for whole. */
static void export_end(export_t *x, err_t err)
{
	api_call_t *c = x->c;

	net_on_lost(c->x, NULL, NULL);
	net_reply_on_drained(c->x, NULL, NULL);
	if (err == OK) {
		export_send(x);
		net_reply_end(c->x);
	} else if (x->begun) {
		net_reply_abort(c->x);
	}
	c->answered = err == OK || x->begun;
	buf_done(&x->ready);
	buf_done(&x->sending);
	pthread_cond_destroy(&x->room);
	pthread_mutex_destroy(&x->lock);
	c->p->exports--;
}

static void export_done(lane_job_t *job, err_t err)
{
	export_op_t *o = (export_op_t *)((char *)job - offsetof(export_op_t, job));

	export_end(o->x, err);
	op_complete(&o->op, err);
}

static void export_begin(export_t *x)
{
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->room, NULL);
	buf_init(&x->ready, API_EXPORT_BYTES_MAX + LEDGER_LINE_BYTES_MAX);
	buf_init(&x->sending, API_EXPORT_BYTES_MAX + LEDGER_LINE_BYTES_MAX);
	net_on_lost(x->c->x, export_lost, x);
	x->c->p->exports++;
}

static void export_start(op_t *op)
{
	export_op_t *o = (export_op_t *)op;
	api_call_t *c = o->x->c;

	if (c->p->exports >= API_EXPORTS_MAX) {
		op_complete(op, ERR_LANE_FULL);
		return;
	}
	export_begin(o->x);
	o->job = (lane_job_t){ .run = export_run, .arg = o->x, .done = export_done };
	err_t e = lane_submit(c->p->deps.read, &o->job);
	if (e != OK) {
		export_end(o->x, e);
		op_complete(op, e);
	}
}

static void export_hurry(op_t *op)
{
	export_op_t *o = (export_op_t *)op;

	if (o->job.run && lane_withdraw(&o->job)) {
		export_end(o->x, ERR_CANCELLED);
		op_complete(op, ERR_CANCELLED);
		return;
	}
	if (o->job.run) {
		export_stop(o->x);
	}
}

static const op_kind_t export_kind = { .name = "api.export", .start = export_start, .hurry = export_hurry };

op_t *api_ledger_export_stream(api_call_t *c)
{
	export_op_t *o = arena_new(c->a, export_op_t);

	op_init(&o->op, &export_kind);
	o->x = c->in;
	o->x->c = c;
	return &o->op;
}
