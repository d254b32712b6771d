/* stdio_call.c: tools/call on a stdio upstream. Progress, if the client asked for it, turns the answer into
 * a stream; without it the answer is one JSON message. */
#include "service/gateway/call.h"
#include "service/gateway/stdio.h"

static bool accepts_sse(const visit_t *v)
{
	size_t i = 0;
	str_t value;

	while (net_headers_next(v->headers, STR("Accept"), &i, &value)) {
		if (str_contains(value, STR("text/event-stream"))) {
			return true;
		}
	}
	return false;
}

static void stdio_progress(void *owner, str_t message)
{
	call_t *c = owner;
	visit_t *v = c->v;

	if (call_thins_progress(c) || !accepts_sse(v)) {
		return;
	}
	if (!v->answered) {
		visit_begin_sse(v);
	}
	if (visit_event(v, message) != OK) {
		log_kv(LVL_DEBUG, "gateway.progress_lost", kv_s("rid", v->rid)); /* the call goes on */
	}
}

static err_t stdio_forward(call_t *c, op_t **out)
{
	visit_t *v = c->v;
	stdio_t *s = stdio_find(v->g, v->route->name);
	const stdio_ask_t ask = { .request = &v->msg, .progress = stdio_progress, .owner = c };

	ENSURE(s, ERR_UPSTREAM);
	*out = stdio_ask(v->a, s, &ask, &c->stdio);
	return OK;
}

static err_t stdio_judge(call_t *c)
{
	crypto_sha256_add(&c->hash, c->stdio.text);
	call_verdict(c, c->stdio.verdict);
	return OK;
}

static void stdio_answer(call_t *c)
{
	visit_t *v = c->v;

	if (!v->answered) {
		visit_reply_json(v, c->stdio.text);
		return;
	}
	if (visit_event(v, c->stdio.text) == OK) {
		visit_end(v);
	} else {
		visit_cut(v);
	}
}

const upstream_t upstream_stdio = { .forward = stdio_forward, .judge = stdio_judge, .answer = stdio_answer };
