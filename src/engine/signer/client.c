/* client.c: the authority's end of the socket. Requests wait for their answers in a table by id; who reads
 * the socket is the caller itself until a loop is attached, then the loop.
 * The mutex guards the table and the bytes that wait to go: the loop and lane threads share them. */
#include "engine/signer/client_int.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct waiting waiting_t;
struct waiting {
	uint32_t id;
	void (*answered)(waiting_t *w, err_t err, str_t body); /* with the mutex held */
};

struct signer_client {
	int fd; /* -1: local */
	signer_ask_t *ask;
	void *self;
	pthread_mutex_t lock;
	waiting_t *pending[SIGNER_PENDING_MAX]; /* by id */
	size_t n_pending;
	uint32_t last_id;
	buf_t out; /* frames that wait to go */
	bool gone;
	char in[SIGNER_DATAGRAM_BYTES_MAX]; /* of whoever reads */
	/* with a loop */
	loop_t *loop;
	loop_watch_t *watch;
	pthread_t loop_thread;
	posted_t flush;
	void (*lost)(void *owner);
	void *owner;
};

static signer_client_t *client_new(void)
{
	signer_client_t *c = heap_new(signer_client_t);

	c->fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	buf_init(&c->out, SIGNER_BACKLOG_BYTES_MAX);
	return c;
}

signer_client_t *signer_client_new(int fd)
{
	signer_client_t *c = client_new();

	c->fd = fd;
	return c;
}

signer_client_t *signer_client_local(signer_ask_t *ask, void *self)
{
	signer_client_t *c = client_new();

	c->ask = ask;
	c->self = self;
	return c;
}

void signer_client_free(signer_client_t *c)
{
	if (!c) {
		return;
	}
	CHECK(c->n_pending == 0 && !c->watch && !c->flush.waiting);
	if (c->fd >= 0) {
		close(c->fd);
	}
	buf_wipe(&c->out);
	pthread_mutex_destroy(&c->lock);
	heap_free(c);
}

/* ---- the table of those who wait; with the mutex ---- */

static err_t waiting_add(signer_client_t *c, waiting_t *w)
{
	ENSURE(!c->gone && c->n_pending < SIGNER_PENDING_MAX, ERR_UNAVAILABLE);
	do {
		c->last_id++;
	} while (c->pending[c->last_id % SIGNER_PENDING_MAX]);
	w->id = c->last_id;
	c->pending[w->id % SIGNER_PENDING_MAX] = w;
	c->n_pending++;
	return OK;
}

static void waiting_end(signer_client_t *c, waiting_t *w, err_t err, str_t body)
{
	c->pending[w->id % SIGNER_PENDING_MAX] = NULL;
	c->n_pending--;
	w->answered(w, err, body);
}

static void all_end(signer_client_t *c)
{
	c->gone = true;
	buf_clear(&c->out);
	for (size_t i = 0; i < SIGNER_PENDING_MAX; i++) {
		if (c->pending[i]) {
			waiting_end(c, c->pending[i], ERR_UNAVAILABLE, STR(""));
		}
	}
}

/* Both ends are one build: a frame that is not one means that the other is not ours. */
static void answers_take(void *self, str_t datagram)
{
	signer_client_t *c = self;
	rd_t r = rd_of(datagram);
	wire_frame_t f;

	while (!rd_empty(&r)) {
		if (wire_frame_read(&r, &f) != OK) {
			all_end(c);
			return;
		}
		waiting_t *w = c->pending[f.id % SIGNER_PENDING_MAX];
		if (w && w->id == f.id) {
			waiting_end(c, w, f.what < ERR_COUNT_ ? (err_t)f.what : ERR_INTERNAL, f.body);
		}
	}
}

/* ---- sending; with the mutex ---- */

/* As many whole frames as one datagram holds. */
static str_t datagram_cut(const buf_t *out)
{
	rd_t r = rd_of(buf_str(out));
	const char *begin = r.p;
	wire_frame_t f;

	for (size_t n = 0; n < SIGNER_FRAMES_MAX && !rd_empty(&r); n++) {
		rd_t before = r;
		CHECK(wire_frame_read(&r, &f) == OK);
		if (r.p - begin > SIGNER_DATAGRAM_BYTES_MAX) {
			return str_bytes(begin, (size_t)(before.p - begin));
		}
	}
	return str_bytes(begin, (size_t)(r.p - begin));
}

/* False when the socket is full: the rest waits. */
static bool out_send(signer_client_t *c, int flags)
{
	while (c->out.n && !c->gone) {
		str_t datagram = datagram_cut(&c->out);
		ssize_t n = c->ask ? (ssize_t)datagram.n : send(c->fd, datagram.p, datagram.n, flags | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			return false;
		}
		if (n < 0) {
			all_end(c);
			return true;
		}
		if (c->ask) {
			c->ask(c->self, datagram, answers_take, c);
		}
		buf_drop(&c->out, datagram.n);
	}
	return true;
}

static err_t out_add(signer_client_t *c, waiting_t *w, wire_op_t op, str_t body)
{
	ENSURE(c->out.n + WIRE_HEAD_BYTES + body.n <= SIGNER_BACKLOG_BYTES_MAX, ERR_UNAVAILABLE);
	TRY(waiting_add(c, w));
	wire_frame_write(&c->out, w->id, (uint8_t)op, body);
	CHECK(buf_err(&c->out) == OK);
	return OK;
}

/* ---- the loop's side ---- */

static void flush_run(void *arg)
{
	signer_client_t *c = arg;

	pthread_mutex_lock(&c->lock);
	bool sent = out_send(c, MSG_DONTWAIT);
	if (c->watch) {
		loop_watch_set(c->watch, sent ? LOOP_READABLE : LOOP_READABLE | LOOP_WRITABLE);
	}
	pthread_mutex_unlock(&c->lock);
}

/* With the mutex. One message serves all that is added until it runs. */
static void flush_soon(signer_client_t *c)
{
	if (!c->flush.waiting) {
		loop_post_own(c->loop, &c->flush, flush_run, c);
	}
}

static void socket_ready(void *owner, int events)
{
	signer_client_t *c = owner;
	ssize_t n = 1;

	pthread_mutex_lock(&c->lock);
	while ((events & LOOP_READABLE) && !c->gone && n > 0) {
		n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);
		if (n > 0) {
			answers_take(c, str_bytes(c->in, (size_t)n));
		}
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			all_end(c);
		}
		if (c->n_pending == 0) {
			break; /* nothing can follow: spare the call that says so */
		}
	}
	bool gone = c->gone, sent = out_send(c, MSG_DONTWAIT);
	loop_watch_set(c->watch, gone ? 0 : sent ? LOOP_READABLE : LOOP_READABLE | LOOP_WRITABLE);
	pthread_mutex_unlock(&c->lock);
	if (gone) {
		c->lost(c->owner);
	}
}

err_t signer_client_attach(signer_client_t *c, loop_t *loop, void (*lost)(void *owner), void *owner)
{
	c->loop = loop;
	c->loop_thread = pthread_self();
	c->lost = lost;
	c->owner = owner;
	if (c->ask) {
		return OK;
	}
	TRY(loop_watch_open(loop, c->fd, socket_ready, c, &c->watch));
	loop_watch_set(c->watch, LOOP_READABLE);
	return OK;
}

void signer_client_detach(signer_client_t *c)
{
	loop_watch_close(c->watch);
	pthread_mutex_lock(&c->lock);
	c->watch = NULL;
	all_end(c);
	pthread_mutex_unlock(&c->lock);
}

/* ---- a signature as an operation ---- */

typedef struct {
	op_t op;
	waiting_t w;
	signer_client_t *c;
	str_t kid, message;
	uint64_t number;
	uint8_t *out;
} sign_op_t;

static void sign_answered(waiting_t *w, err_t err, str_t body)
{
	sign_op_t *s = (sign_op_t *)((char *)w - offsetof(sign_op_t, w));

	if (err == OK && body.n != SIGNER_SIGNATURE_BYTES) {
		err = ERR_INTERNAL;
	}
	if (err == OK) {
		memcpy(s->out, body.p, body.n);
	}
	op_complete(&s->op, err);
}

err_t client_sign_body(buf_t *b, str_t kid, uint64_t number, str_t message)
{
	ENSURE(kid.n == SIGNER_KID_BYTES, ERR_NOT_FOUND);
	ENSURE(message.n > 0 && message.n <= SIGNER_MESSAGE_BYTES_MAX, ERR_LIMIT);
	buf_init(b, SIGNER_KID_BYTES + 8 + message.n);
	buf_add(b, kid);
	wr_u64be(b, number);
	buf_add(b, message);
	return buf_err(b);
}

static err_t sign_ask(sign_op_t *s)
{
	AUTO(buf_done) buf_t body = { 0 };

	TRY(client_sign_body(&body, s->kid, s->number, s->message));
	return out_add(s->c, &s->w, WIRE_SIGN, buf_str(&body));
}

static void sign_start(op_t *op)
{
	sign_op_t *s = (sign_op_t *)op;
	signer_client_t *c = s->c;

	pthread_mutex_lock(&c->lock);
	err_t e = sign_ask(s);
	if (e == OK && c->ask) {
		(void)out_send(c, 0); /* in simulations: one at a time */
	} else if (e == OK) {
		flush_soon(c);
	}
	pthread_mutex_unlock(&c->lock);
	if (e != OK) {
		op_complete(op, e);
	}
}

op_t *signer_sign_op(arena_t *a, signer_client_t *c, str_t kid, uint64_t number, str_t message,
	uint8_t out[SIGNER_SIGNATURE_BYTES])
{
	static const op_kind_t kind = { .name = "signer.sign", .start = sign_start }; /* soon answered: no hurry */
	sign_op_t *s = arena_new(a, sign_op_t);

	*s = (sign_op_t){ .w = { .answered = sign_answered }, .c = c, .kid = kid, .message = message,
		.number = number, .out = out };
	op_init(&s->op, &kind);
	return &s->op;
}

/* ---- blocking calls ---- */

typedef struct {
	waiting_t w;
	bool done;
	err_t err;
	buf_t body;
	pthread_cond_t answered;
} call_t;

static void call_answered(waiting_t *w, err_t err, str_t body)
{
	call_t *call = (call_t *)w; /* its first member */

	call->err = err;
	buf_add(&call->body, body);
	call->done = true;
	pthread_cond_signal(&call->answered);
}

/* Without a loop the caller reads. */
static void call_read(signer_client_t *c, const call_t *call)
{
	while (!call->done) {
		ssize_t n = recv(c->fd, c->in, sizeof(c->in), 0);

		if (n > 0) {
			answers_take(c, str_bytes(c->in, (size_t)n));
		} else if (n == 0 || errno != EINTR) {
			all_end(c);
		}
	}
}

static void call_wait(signer_client_t *c, call_t *call)
{
	if (c->ask) {
		(void)out_send(c, 0);
		return;
	}
	if (!c->watch) {
		(void)out_send(c, 0);
		call_read(c, call);
		return;
	}
	CHECK(!pthread_equal(c->loop_thread, pthread_self())); /* the loop would wait for itself */
	if (!out_send(c, MSG_DONTWAIT)) {
		flush_soon(c);
	}
	while (!call->done) {
		pthread_cond_wait(&call->answered, &c->lock);
	}
}

err_t client_ask(signer_client_t *c, wire_op_t op, str_t body, buf_t *out_body)
{
	call_t call = { .w = { .answered = call_answered } };

	pthread_cond_init(&call.answered, NULL);
	buf_init(&call.body, SIGNER_DATAGRAM_BYTES_MAX);
	pthread_mutex_lock(&c->lock);
	err_t e = out_add(c, &call.w, op, body);
	if (e == OK) {
		call_wait(c, &call);
		e = call.done ? call.err : ERR_UNAVAILABLE;
	}
	pthread_mutex_unlock(&c->lock);
	pthread_cond_destroy(&call.answered);
	if (e != OK) {
		buf_done(&call.body);
		return e;
	}
	*out_body = call.body;
	return OK;
}
