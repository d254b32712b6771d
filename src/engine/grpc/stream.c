/* stream.c: the request: from its head to the call of its method. */
#include "engine/flow/flow.h"
#include "engine/grpc/grpc_int.h"

grpc_stream_t *stream_new(grpc_conn_t *c, int32_t id)
{
	grpc_stream_t *s = heap_new(grpc_stream_t);

	s->conn = c;
	s->id = id;
	s->deadline_us = UINT64_MAX;
	s->head = heap_new(head_t);
	head_init(s->head);
	frame_init(&s->in, GRPC_MESSAGE_IN_BYTES_MAX);
	s->next = c->streams;
	if (c->streams) {
		c->streams->prev = s;
	}
	c->streams = s;
	c->n_streams++;
	c->server->counts.streams++;
	c->server->counts.streams_now++;
	return s;
}

static void in_count(grpc_stream_t *s)
{
	size_t now = s->in.body.n;

	s->conn->in_bytes = s->conn->in_bytes + now - s->in_held;
	s->conn->server->in_bytes = s->conn->server->in_bytes + now - s->in_held;
	s->in_held = now;
}

static void in_forget(grpc_stream_t *s)
{
	frame_next(&s->in);
	in_count(s);
}

static void head_forget(grpc_stream_t *s)
{
	if (s->head) {
		head_done(s->head);
		heap_free(s->head);
		s->head = NULL;
	}
}

void stream_lost(grpc_stream_t *s)
{
	if (s->called && !s->ended) {
		s->ended = true;
		s->method->gone(s, s->service->owner);
	}
}

void stream_free(grpc_stream_t *s)
{
	grpc_conn_t *c = s->conn;

	loop_timer_stop(c->server->loop, &s->timer);
	stream_lost(s);
	in_forget(s);
	head_forget(s);
	stream_drop_out(s, true);
	if (s->prev) {
		s->prev->next = s->next;
	} else {
		c->streams = s->next;
	}
	if (s->next) {
		s->next->prev = s->prev;
	}
	c->n_streams--;
	c->server->counts.streams_now--;
	heap_free(s->path);
	heap_free(s->text);
	heap_free(s);
}

/* ---- time ---------------------------------------------------------------------------------------- */

/* The peer's deadline, or our patience with a request that does not come. */
static void stream_late(void *arg)
{
	grpc_stream_t *s = arg;
	bool stuck = s->out && s->out->begun;

	stream_lost(s);
	if (stuck) {
		stream_reset(s, NGHTTP2_CANCEL); /* half a message is out: no trailers can follow it */
		return;
	}
	stream_finish(s, GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
}

static void timer_set(grpc_stream_t *s, bool waits_for_request)
{
	loop_t *loop = s->conn->server->loop;
	uint64_t at_us = s->deadline_us;
	uint64_t patience_us = loop_in_ms(loop, GRPC_REQUEST_MS);

	if (waits_for_request && patience_us < at_us) {
		at_us = patience_us;
	}
	if (at_us == UINT64_MAX) {
		loop_timer_stop(loop, &s->timer);
		return;
	}
	loop_timer_at(loop, &s->timer, at_us, stream_late, s);
}

static void deadline_read(grpc_stream_t *s)
{
	uint64_t us = 0;

	if (head_timeout_read(head_get(s->head, STR("grpc-timeout")), &us) == OK) {
		s->deadline_us = loop_mono_us(s->conn->server->loop) + us;
	}
	timer_set(s, true);
}

/* ---- head --------------------------------------------------------------------------------------- */

/* False when it was answered: no request. */
static bool verdict_passes(grpc_stream_t *s, head_verdict_t v)
{
	switch (v) {
	case HEAD_GOOD:
		return true;
	case HEAD_MALFORMED:
		stream_reset(s, NGHTTP2_PROTOCOL_ERROR);
		break;
	case HEAD_OVER:
		stream_finish(s, GRPC_RESOURCE_EXHAUSTED, "metadata too large");
		break;
	case HEAD_METHOD:
		stream_http_status(s, 405);
		break;
	case HEAD_TYPE:
		stream_http_status(s, 415);
		break;
	case HEAD_TIMEOUT:
		stream_finish(s, GRPC_INVALID_ARGUMENT, "malformed grpc-timeout");
		break;
	}
	return false;
}

static void route(grpc_stream_t *s, str_t path)
{
	const grpc_service_t *service = NULL;
	const grpc_method_t *method = NULL;
	const char *text = NULL;

	server_route(s->conn->server, path, &service, &method);
	if (service && service->guard) {
		grpc_code_t code = service->guard(s, service->owner, &text);
		if (code != GRPC_OK) {
			stream_finish(s, code, text);
			return;
		}
	}
	if (!service || !method) {
		stream_finish(s, GRPC_UNIMPLEMENTED, service ? "unknown method" : "unknown service");
		return;
	}
	s->service = service;
	s->method = method;
}

void stream_head(grpc_stream_t *s)
{
	str_t path;

	if (!verdict_passes(s, head_judge(s->head))) {
		return;
	}
	path = head_get(s->head, STR(":path"));
	if (path.n > GRPC_PATH_BYTES_MAX) {
		stream_finish(s, GRPC_UNIMPLEMENTED, "unknown method");
		return;
	}
	s->path = heap_cstr(path); /* head.c lets no NUL pass */
	deadline_read(s);
	route(s, path);
}

/* ---- messages ------------------------------------------------------------------------------------ */

static void call(grpc_stream_t *s, str_t message)
{
	s->called = true;
	s->method->fn(s, message, s->service->owner);
	CHECK(s->ended || s->method->gone); /* held, and nobody to tell of its end */
	head_forget(s);
}

/* True when bytes of this stream still mean something. */
static bool is_open(const grpc_stream_t *s)
{
	return s->method && !s->ended && !s->reset && !s->conn->closing && !s->conn->broken;
}

/* A whole message stands in s->in. */
static void message_take(grpc_stream_t *s)
{
	if (s->in.compressed) {
		bool named = s->head && head_get(s->head, STR("grpc-encoding")).n > 0 &&
			!str_eq(head_get(s->head, STR("grpc-encoding")), STR("identity"));
		s->no_encoding = true;
		stream_lost(s);
		stream_finish(s, named ? GRPC_UNIMPLEMENTED : GRPC_INTERNAL, "compression is not supported");
		return;
	}
	if (s->method->kind != GRPC_BIDI) {
		s->whole = true; /* called when the peer has ended: a second message may come */
		return;
	}
	timer_set(s, false);
	call(s, frame_message(&s->in));
	in_forget(s);
}

static err_t bytes_take(grpc_stream_t *s, rd_t *r)
{
	grpc_conn_t *c = s->conn;

	ENSURE(!s->whole, ERR_DUPLICATE);
	TRY(frame_feed(&s->in, r));
	in_count(s);
	ENSURE(c->in_bytes <= GRPC_CONN_IN_BYTES_MAX, ERR_LIMIT);
	ENSURE(c->server->in_bytes <= GRPC_SERVER_IN_BYTES_MAX, ERR_UNAVAILABLE);
	if (s->in.whole) {
		message_take(s);
	}
	return OK;
}

static void bytes_refused(grpc_stream_t *s, err_t e)
{
	stream_lost(s);
	in_forget(s);
	switch (e) {
	case ERR_LIMIT:
		stream_finish(s, GRPC_RESOURCE_EXHAUSTED, "message too large");
		break;
	case ERR_UNAVAILABLE:
		stream_finish(s, GRPC_UNAVAILABLE, "too many unfinished requests");
		break;
	case ERR_DUPLICATE:
		stream_finish(s, GRPC_INVALID_ARGUMENT, "more than one message");
		break;
	default:
		stream_finish(s, GRPC_INTERNAL, "malformed message prefix");
		break;
	}
}

void stream_bytes(grpc_stream_t *s, str_t bytes)
{
	rd_t r = rd_of(bytes);

	while (is_open(s) && !rd_empty(&r)) {
		err_t e = bytes_take(s, &r);
		if (e != OK) {
			bytes_refused(s, e);
			return;
		}
	}
}

void stream_peer_ended(grpc_stream_t *s)
{
	s->closed_by_peer = true;
	if (!is_open(s)) {
		return;
	}
	if (s->method->kind == GRPC_BIDI && frame_is_empty(&s->in)) {
		timer_set(s, false);
		call(s, STR_NULL);
		return;
	}
	if (!s->whole) {
		stream_lost(s);
		stream_finish(s, GRPC_INVALID_ARGUMENT,
			frame_is_empty(&s->in) ? "no message" : "message cut short");
		return;
	}
	timer_set(s, false);
	call(s, frame_message(&s->in));
	in_forget(s);
}

/* ---- face ---------------------------------------------------------------------------------------- */

grpc_conn_t *grpc_stream_conn(const grpc_stream_t *s)
{
	return s->conn;
}

const char *grpc_stream_method(const grpc_stream_t *s)
{
	return s->path;
}

void grpc_stream_set_owner(grpc_stream_t *s, void *owner)
{
	s->owner = owner;
}

void *grpc_stream_owner(const grpc_stream_t *s)
{
	return s->owner;
}

loop_t *grpc_stream_loop(const grpc_stream_t *s)
{
	return s->conn->server->loop;
}

uint64_t grpc_stream_deadline_us(const grpc_stream_t *s)
{
	return s->deadline_us;
}

bool grpc_metadata_next(const grpc_stream_t *s, str_t name, size_t *i, str_t *out_value)
{
	CHECK(s->head); /* only in guard and in the first call of fn */
	return head_next(s->head, name, i, out_value);
}
