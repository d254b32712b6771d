/* fetch.c: a whole response as an operation of a flow. */
#include "engine/net/op_int.h"
#include "engine/net/tls_int.h"

typedef struct {
	net_op_t base; /* first */
	net_response_t *out_response;
	net_response_t response;
	buf_t *body; /* heap, freed with the arena */
} fetch_t;

static void body_free(void *arg)
{
	buf_wipe(arg);
	heap_free(arg);
}

buf_t *net_op_body(arena_t *a, size_t max)
{
	buf_t *b = heap_new(buf_t);

	buf_init(b, max);
	arena_defer(a, body_free, b);
	return b;
}

err_t net_headers_dup(arena_t *a, net_headers_t h, net_headers_t *out)
{
	net_header_t *v;

	TRY(arena_try_array(a, net_header_t, h.n, &v));
	for (size_t i = 0; i < h.n; i++) {
		TRY(arena_dup(a, h.v[i].name, &v[i].name));
		TRY(arena_dup(a, h.v[i].value, &v[i].value));
	}
	*out = (net_headers_t){ v, h.n };
	return OK;
}

err_t net_op_request(const net_op_t *o, net_request_t *out)
{
	net_request_t r = o->request;
	uint64_t now_us = loop_mono_us(o->op.loop);
	uint32_t total = r.total_timeout_ms ? r.total_timeout_ms : NET_TOTAL_TIMEOUT_MS;

	ENSURE(o->op.deadline_us > now_us, ERR_TIMEOUT);
	uint64_t left_ms = (o->op.deadline_us - now_us + 999) / 1000;
	r.total_timeout_ms = left_ms < total ? (uint32_t)left_ms : total;
	*out = r;
	return OK;
}

static void peer_free(void *arg)
{
	tls_peer_free(arg);
}

static void on_head(net_call_t *call, int status, net_headers_t headers, void *owner)
{
	fetch_t *f = owner;

	f->response.status = status;
	if (net_call_tls(call)) {
		f->response.tls = tls_peer_hold(net_call_tls(call));
		arena_defer(f->base.arena, peer_free, (void *)(uintptr_t)f->response.tls);
	}
	f->base.err = net_headers_dup(f->base.arena, headers, &f->response.headers);
	if (f->base.err) {
		net_call_cancel(call);
	}
}

static void on_data(net_call_t *call, str_t bytes, void *owner)
{
	fetch_t *f = owner;

	buf_add(f->body, bytes);
	if (f->body->overflow) {
		f->base.err = ERR_LIMIT;
		net_call_cancel(call);
	}
}

static void on_done(err_t e, void *owner)
{
	fetch_t *f = owner;

	f->base.call = NULL;
	e = f->base.err ? f->base.err : e;
	if (e == OK) {
		f->response.body = buf_str(f->body);
		*f->out_response = f->response;
	}
	op_complete(&f->base.op, e);
}

static void fetch_start(op_t *op)
{
	static const net_call_fns_t fns = { on_head, on_data, on_done };
	fetch_t *f = (fetch_t *)op;
	net_request_t r = { 0 };

	err_t e = net_op_request(&f->base, &r);
	size_t max = r.response_bytes_max ? r.response_bytes_max : NET_RESPONSE_BYTES_DEFAULT;
	if (e == OK) {
		f->body = net_op_body(f->base.arena, max < NET_RESPONSE_BYTES_MAX ? max : NET_RESPONSE_BYTES_MAX);
		e = net_call_start(f->base.client, &r, &fns, f, &f->base.call);
	}
	if (e != OK) {
		op_complete(op, e);
	}
}

void net_op_hurry(op_t *op)
{
	net_op_t *o = (net_op_t *)op;

	if (o->call) {
		net_call_cancel(o->call);
	}
}

op_t *net_fetch(net_client_t *c, arena_t *a, const net_request_t *r, net_response_t *out_response)
{
	static const op_kind_t kind = { .name = "net.fetch", .start = fetch_start, .hurry = net_op_hurry };
	fetch_t *f = arena_new(a, fetch_t);

	op_init(&f->base.op, &kind);
	f->base.client = c;
	f->base.arena = a;
	f->base.request = *r;
	f->out_response = out_response;
	return &f->base.op;
}
