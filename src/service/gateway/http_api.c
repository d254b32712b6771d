/* http_api.c: a plain HTTP API behind the gateway (mcp.md 8): method and target as judged, the exact body,
 * the route's credential; the answer streams back. */
#include "service/gateway/call.h"
#include "service/gateway/headers.h"

/* Upstream's challenge is about our credential and never the client's business (mcp.md 4). */
static bool is_challenge(int status)
{
	return status == 401 || status == 407;
}

static err_t http_head(net_exchange_t *x, int status, net_headers_t headers, void *owner,
	net_pump_mode_t *out_mode)
{
	call_t *c = owner;
	net_headers_t pass;

	(void)x;
	ENSURE(!is_challenge(status), ERR_UPSTREAM);
	ENSURE(headers_to_client(c->v->a, headers, c->v->credential.name, &pass) == OK, ERR_UPSTREAM);
	visit_begin(c->v, status, pass);
	*out_mode = NET_PUMP_STREAM;
	return OK;
}

static err_t http_filter(str_t in, bool last, buf_t *out, void *owner)
{
	call_t *c = owner;

	(void)last;
	crypto_sha256_add(&c->hash, in);
	buf_add(out, in);
	return OK;
}

static err_t http_forward(call_t *c, op_t **out)
{
	visit_t *v = c->v;
	str_t base = v->route->upstream;
	net_request_t r = { .method = v->method, .response_bytes_max = SIZE_MAX };
	const net_pump_options_t o = {
		.head = http_head,
		.filter = http_filter,
		.owner = c,
		.outlives_peer = true, /* so that the outcome is known */
	};

	if (str_ends(base, STR("/"))) {
		base.n--;
	}
	r.url = arena_cat(v->a, base, v->target);
	r.body = v->body.n ? v->body : STR_NULL;
	r.total_timeout_ms = v->route->timeout_ms;
	TRY(headers_to_upstream(v->a, v->headers, v->credential, &r.headers));
	*out = net_pump(v->g->deps.net, v->a, &r, v->x, &o, &c->pump);
	return OK;
}

static err_t http_judge(call_t *c)
{
	int status = c->pump.response.status;

	ENSURE(!is_challenge(status), ERR_UPSTREAM);
	c->status = status < 400 ? ADMIT_SUCCESS : ADMIT_ERROR;
	c->code = arena_printf(c->v->a, "http_%d", status);
	return OK;
}

static void http_answer(call_t *c)
{
	visit_end(c->v);
}

const upstream_t upstream_http = { .forward = http_forward, .judge = http_judge, .answer = http_answer };
