/* mcp_http.c: tools/call on an MCP server over HTTP. */
#include "service/gateway/call.h"
#include "service/gateway/mcp_http.h"

enum { HEADERS_MAX = 6, SCRATCH_BYTES_MAX = 24 << 20 };

/* --- messages to upstream ---------------------------------------------------------------------------- */

err_t mcp_http_request(const visit_t *v, str_t method, str_t body, net_request_t *out)
{
	net_header_t *h = arena_array(v->a, net_header_t, HEADERS_MAX);
	str_t sid = v->has_session ? mcp_sessions_upstream(v->g->sessions, &v->session) : STR_NULL;
	size_t n = 0;

	h[n++] = (net_header_t){ STR("Accept"), STR("application/json, text/event-stream") };
	if (body.p) {
		h[n++] = (net_header_t){ STR("Content-Type"), STR("application/json") };
	}
	if (v->has_session) {
		h[n++] = (net_header_t){ STR("MCP-Protocol-Version"), v->session.version };
	}
	if (sid.n) {
		h[n++] = (net_header_t){ STR("Mcp-Session-Id"), arena_str(v->a, sid) };
	}
	if (v->credential.name.n) {
		h[n++] = v->credential;
	}
	*out = (net_request_t){
		.method = method,
		.url = v->route->upstream,
		.headers = { h, n },
		.body = body,
		.total_timeout_ms = v->route->timeout_ms,
		.response_bytes_max = GATEWAY_ANSWER_BYTES_MAX,
	};
	return OK;
}

static void tell_data(net_call_t *call, str_t bytes, void *owner)
{
	(void)call, (void)bytes, (void)owner;
}

static void tell_done(err_t e, void *owner)
{
	(void)owner;
	if (e != OK) {
		log_kv(LVL_DEBUG, "gateway.tell", kv_err("result", e));
	}
}

void mcp_http_tell(const visit_t *v, str_t body)
{
	static const net_call_fns_t fns = { NULL, tell_data, tell_done };
	net_request_t r;
	net_call_t *call;

	err_t e = mcp_http_request(v, STR("POST"), body, &r);
	r.copy_body = true;
	r.total_timeout_ms = GATEWAY_SESSION_TIMEOUT_MS;
	if (e == OK) {
		e = net_call_start(v->g->deps.net, &r, &fns, NULL, &call);
	}
	if (e != OK) {
		tell_done(e, NULL);
	}
}

/* --- answers of upstream -------------------------------------------------------------------------------- */

err_t mcp_http_session_id(net_headers_t headers, str_t *out)
{
	str_t sid = STR_NULL;

	err_t e = net_headers_get(headers, STR("Mcp-Session-Id"), &sid);
	ENSURE(e == OK || e == ERR_NOT_FOUND, ERR_UPSTREAM);
	ENSURE(!sid.n || (sid.n <= GATEWAY_UPSTREAM_SID_BYTES_MAX && str_is_visible(sid)), ERR_UPSTREAM);
	*out = sid;
	return OK;
}

static bool type_is(net_headers_t headers, str_t type)
{
	str_t value;

	return net_headers_get(headers, STR("Content-Type"), &value) == OK && net_content_type_is(value, type);
}

typedef struct {
	arena_t *a;
	str_t id;
	message_t *out;
	str_t text;
	bool found;
} search_t;

static err_t search_event(void *owner, str_t raw, str_t data)
{
	search_t *s = owner;
	message_t m;
	str_t text;

	if (s->found || !data.n || !sse_is_message(raw)) {
		return OK;
	}
	TRY(arena_dup(s->a, data, &text));
	if (message_read(s->a, text, MESSAGE_FROM_UPSTREAM, &m, NULL) != OK || m.kind != MESSAGE_RESPONSE
		|| !message_id_eq(m.id, s->id)) {
		return OK;
	}
	*s->out = m;
	s->text = text;
	s->found = true;
	return OK;
}

/* 404 is the word for it; some servers say 400 with an error that answers no request. */
static bool session_is_lost(arena_t *a, const net_response_t *r)
{
	const json_t *root, *id;

	if (r->status != 400) {
		return r->status == 404;
	}
	if (json_parse_object(a, r->body, &root, NULL) != OK || !json_get(root, STR("error"))) {
		return false;
	}
	id = json_get(root, STR("id"));
	return !id || json_is_null(id);
}

err_t mcp_http_response(arena_t *a, const net_response_t *r, str_t id, message_t *out, str_t *out_text)
{
	search_t s = { .a = a, .id = id, .out = out };
	sse_reader_t reader;

	ENSURE(!session_is_lost(a, r), ERR_SESSION);
	if (r->status == 200 && type_is(r->headers, STR("text/event-stream"))) {
		sse_reader_init(a, &reader, GATEWAY_ANSWER_BYTES_MAX);
		ENSURE(sse_feed(&reader, r->body, search_event, &s) == OK && s.found, ERR_UPSTREAM);
		*out_text = s.text;
		return OK;
	}
	bool is_refusal = r->status >= 400 && r->status < 500 && r->status != 401 && r->status != 403;
	ENSURE(is_refusal || (r->status >= 200 && r->status < 300), ERR_UPSTREAM);
	ENSURE(type_is(r->headers, STR("application/json")), ERR_UPSTREAM);
	ENSURE(message_read(a, r->body, MESSAGE_FROM_UPSTREAM, out, NULL) == OK, ERR_UPSTREAM);
	ENSURE(out->kind == MESSAGE_RESPONSE && message_id_eq(out->id, id), ERR_UPSTREAM);
	*out_text = r->body;
	return OK;
}

/* --- a session upstream made anew (G12) -------------------------------------------------------------- */

static const str_t revive_id = STR_INIT("\"attorn-revive\"");

err_t mcp_http_revive(visit_t *v, net_response_t *response, op_t **out)
{
	str_t body = arena_cat(v->a, STR("{\"jsonrpc\":\"2.0\",\"id\":"), revive_id,
		STR(",\"method\":\"initialize\",\"params\":"), v->session.init, STR("}"));
	net_request_t r;

	v->has_session = false; /* no session headers on initialize */
	err_t e = mcp_http_request(v, STR("POST"), body, &r);
	v->has_session = true;
	TRY(e);
	*out = net_fetch(v->g->deps.net, v->a, &r, response);
	return OK;
}

err_t mcp_http_revived(visit_t *v, net_response_t *response, op_t **out)
{
	message_t m;
	str_t text, sid;
	net_request_t r;

	ENSURE(mcp_http_response(v->a, response, revive_id, &m, &text) == OK && m.result, ERR_SESSION);
	TRY(mcp_http_session_id(response->headers, &sid));
	mcp_sessions_moved(v->g->sessions, v->session.id, sid);
	log_kv(LVL_INFO, "gateway.session_revived", kv_s("route", v->route->name), kv_s("session", v->session.id));
	TRY(mcp_http_request(v, STR("POST"), STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"), &r));
	*out = net_fetch(v->g->deps.net, v->a, &r, response);
	return OK;
}

/* --- tools/call ------------------------------------------------------------------------------------------ */

static err_t relay_head(net_exchange_t *x, int status, net_headers_t headers, void *owner,
	net_pump_mode_t *out_mode)
{
	call_t *c = owner;

	(void)x;
	if (status != 200 || !type_is(headers, STR("text/event-stream"))) {
		*out_mode = NET_PUMP_COLLECT;
		return OK;
	}
	visit_begin_sse(c->v);
	sse_reader_init(c->v->a, &c->sse, GATEWAY_EVENT_BYTES_MAX);
	*out_mode = NET_PUMP_STREAM;
	return OK;
}

typedef struct {
	call_t *c;
	buf_t *out;
} relay_t;

static bool is_progress_of(const call_t *c, const message_t *m)
{
	return m->kind == MESSAGE_NOTIFICATION && str_eq(m->method, STR("notifications/progress"))
		&& message_id_eq(c->v->msg.progress_token, json_raw(json_get(m->params, STR("progressToken"))));
}

/* What an upstream may say in the stream of a call: progress of it, and its response, once. Requests to the
 * client are not relayed: nobody told upstream that it may ask (G30). */
static bool event_passes(call_t *c, const message_t *m)
{
	if (m->kind == MESSAGE_RESPONSE && message_id_eq(m->id, c->v->msg.id) && !c->sse_final) {
		c->sse_final = true;
		call_verdict(c, message_verdict(m));
		return true;
	}
	return is_progress_of(c, m) && !c->sse_final && !call_thins_progress(c);
}

static err_t relay_event(void *owner, str_t raw, str_t data)
{
	AUTO(arena_free) arena_t *scratch = arena_new_capped(SCRATCH_BYTES_MAX);
	relay_t *r = owner;
	message_t m;

	if (data.n && (!sse_is_message(raw) || message_read(scratch, data, MESSAGE_FROM_UPSTREAM, &m, NULL) != OK
			|| !event_passes(r->c, &m))) {
		log_kv(LVL_INFO, "gateway.event_dropped", kv_s("rid", r->c->v->rid));
		return OK;
	}
	return sse_write(raw, data, r->out);
}

static err_t relay_filter(str_t in, bool last, buf_t *out, void *owner)
{
	call_t *c = owner;
	relay_t r = { c, out };

	(void)last;
	crypto_sha256_add(&c->hash, in);
	return sse_feed(&c->sse, in, relay_event, &r);
}

static err_t mcp_forward(call_t *c, op_t **out)
{
	visit_t *v = c->v;
	net_request_t r;
	const net_pump_options_t o = {
		.head = relay_head,
		.filter = relay_filter,
		.owner = c,
		.outlives_peer = true, /* a disconnect is no cancel (mcp.md 2) */
	};

	TRY(mcp_http_request(v, STR("POST"), v->body, &r));
	r.response_bytes_max = GATEWAY_STREAM_BYTES_MAX;
	*out = net_pump(v->g->deps.net, v->a, &r, v->x, &o, &c->pump);
	return OK;
}

static err_t mcp_judge(call_t *c)
{
	message_t m;

	if (c->pump.streamed) {
		ENSURE(c->sse_final, ERR_UPSTREAM); /* it ended without a response */
		return OK;
	}
	crypto_sha256_add(&c->hash, c->pump.response.body);
	err_t e = mcp_http_response(c->v->a, &c->pump.response, c->v->msg.id, &m, &c->json);
	ENSURE(e != ERR_SESSION || c->v->session.upstream_sid.n, ERR_UPSTREAM);
	c->revived = c->revived || (e == ERR_SESSION && !call_is_alone(c->v)); /* never half alive */
	TRY(e);
	call_verdict(c, message_verdict(&m));
	return OK;
}

static void mcp_answer(call_t *c)
{
	if (c->pump.streamed) {
		visit_end(c->v);
		return;
	}
	visit_reply(c->v, c->pump.response.status, NET_NO_HEADERS, STR("application/json"), c->json);
}

/* In this era a closed connection cancels nothing: say it (mcp.md 2). */
static void mcp_cut(call_t *c)
{
	str_t body = arena_cat(c->v->a,
		STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":"),
		c->v->msg.id, STR(",\"reason\":\"cancelled\"}}"));

	if (!c->sse_final) {
		mcp_http_tell(c->v, body);
	}
}

const upstream_t upstream_mcp_http = {
	.forward = mcp_forward,
	.judge = mcp_judge,
	.answer = mcp_answer,
	.cut = mcp_cut,
};
