/* pump.c: upstream's response into the reply of an exchange, through a bounded buffer. Blind to policy:
 * head() decides, filter() rewrites, the owner of the exchange ends the reply. */
#include "engine/net/op_int.h"

typedef struct {
	net_op_t base; /* first */
	net_exchange_t *x;
	net_pump_options_t o;
	net_pump_result_t *result;
	net_pump_mode_t mode;
	buf_t *body; /* collected, or what the filter wrote */
} pump_t;

static void fail(pump_t *p, err_t e)
{
	if (p->base.err == OK) {
		p->base.err = e;
	}
	if (p->base.call) {
		net_call_cancel(p->base.call);
	}
}

static void on_lost(net_exchange_t *x, void *owner)
{
	pump_t *p = owner;

	if (!p->o.outlives_peer) {
		fail(p, ERR_CANCELLED);
	} else {
		net_call_resume(p->base.call); /* perhaps it waited for this peer */
	}
}

static void on_drained(net_exchange_t *x, void *owner)
{
	pump_t *p = owner;

	net_call_resume(p->base.call);
}

static void on_head(net_call_t *call, int status, net_headers_t headers, void *owner)
{
	pump_t *p = owner;
	net_response_t *r = &p->result->response;
	err_t e = net_headers_dup(p->base.arena, headers, &r->headers);

	if (e == OK) {
		r->status = status;
		e = p->o.head(p->x, status, r->headers, p->o.owner, &p->mode);
	}
	if (e != OK) {
		fail(p, e);
		return;
	}
	p->result->streamed = p->mode == NET_PUMP_STREAM;
	CHECK(!p->result->streamed || net_reply_has_begun(p->x));
}

/* Passes bytes on and stops upstream when the client is slow. */
static void forward(pump_t *p, str_t bytes)
{
	err_t e = net_reply_chunk(p->x, bytes);

	if (e == ERR_CANCELLED && p->o.outlives_peer) {
		return; /* dropped; upstream goes on to its end */
	}
	if (e != OK) {
		fail(p, e);
		return;
	}
	if (p->base.call && net_reply_pending_bytes(p->x) > NET_REPLY_HIGH_BYTES) {
		net_call_pause(p->base.call);
		net_reply_on_drained(p->x, on_drained, p);
	}
}

static void stream(pump_t *p, str_t in, bool last)
{
	if (!p->o.filter) {
		forward(p, in);
		return;
	}
	buf_clear(p->body);
	err_t e = p->o.filter(in, last, p->body, p->o.owner);
	if (e == OK) {
		e = buf_err(p->body);
	}
	if (e != OK) {
		fail(p, e);
		return;
	}
	forward(p, buf_str(p->body));
}

static void on_data(net_call_t *call, str_t bytes, void *owner)
{
	pump_t *p = owner;

	p->result->bytes += bytes.n;
	if (p->base.err) {
		return; /* on its way out */
	}
	if (p->mode == NET_PUMP_STREAM) {
		stream(p, bytes, false);
		return;
	}
	buf_add(p->body, bytes);
	if (p->body->overflow) {
		fail(p, ERR_LIMIT);
	}
}

static void on_done(err_t e, void *owner)
{
	pump_t *p = owner;

	p->base.call = NULL;
	net_on_lost(p->x, NULL, NULL);
	net_reply_on_drained(p->x, NULL, NULL);
	if (e == OK && p->base.err == OK && p->mode == NET_PUMP_STREAM) {
		stream(p, STR_NULL, true);
	}
	if (e == OK && p->mode == NET_PUMP_COLLECT) {
		p->result->response.body = buf_str(p->body);
	}
	op_complete(&p->base.op, p->base.err ? p->base.err : e);
}

static size_t collect_max(const net_request_t *r)
{
	size_t max = r->response_bytes_max ? r->response_bytes_max : NET_RESPONSE_BYTES_DEFAULT;

	return max < NET_RESPONSE_BYTES_MAX ? max : NET_RESPONSE_BYTES_MAX;
}

static void pump_start(op_t *op)
{
	static const net_call_fns_t fns = { on_head, on_data, on_done };
	pump_t *p = (pump_t *)op;
	net_request_t r = { 0 };

	err_t e = net_op_request(&p->base, &r);
	if (e == OK && net_is_lost(p->x) && !p->o.outlives_peer) {
		e = ERR_CANCELLED;
	}
	if (e == OK) {
		size_t max = collect_max(&r);

		p->body = net_op_body(p->base.arena, max > NET_PUMP_FILTER_BYTES_MAX ? max : NET_PUMP_FILTER_BYTES_MAX);
		e = net_call_start(p->base.client, &r, &fns, p, &p->base.call);
	}
	if (e != OK) {
		op_complete(op, e);
		return;
	}
	net_on_lost(p->x, on_lost, p);
}

op_t *net_pump(net_client_t *c, arena_t *a, const net_request_t *r, net_exchange_t *x,
	const net_pump_options_t *o, net_pump_result_t *out_result)
{
	static const op_kind_t kind = { .name = "net.pump", .start = pump_start, .hurry = net_op_hurry };
	pump_t *p = arena_new(a, pump_t);

	CHECK(o->head);
	op_init(&p->base.op, &kind);
	p->base.client = c;
	p->base.arena = a;
	p->base.request = *r;
	p->x = x;
	p->o = *o;
	p->result = out_result;
	*out_result = (net_pump_result_t){ 0 };
	return &p->base.op;
}
