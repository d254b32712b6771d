/* mcp.c: everything of MCP that is no tools/call: a session begins and ends, tools are listed, notices
 * pass. Whatever is not named here does not exist (mcp.md G27). */
#include "service/gateway/call.h"
#include "service/gateway/list.h"
#include "service/gateway/mcp.h"
#include "service/gateway/mcp_http.h"
#include "service/gateway/stdio.h"

struct talk;
typedef struct {
	str_t method;
	message_kind_t kind;
	bool needs_session, asks_rules;
	/* What upstream is asked; *out stays NULL when nothing is. */
	err_t (*ask)(struct talk *t, op_t **out);
	/* What came back, made the answer. */
	err_t (*read)(struct talk *t);
} verb_t;

typedef struct talk {
	visit_t *v;
	const verb_t *verb;
	bool asked_http;
	net_response_t response; /* HTTP upstream */
	stdio_answer_t stdio; /* stdio upstream */
	str_t answer; /* JSON for 200; empty: 202 */
	str_t session_id; /* to be named in the answer */
} talk_t;

static bool is_stdio(const talk_t *t)
{
	return t->v->route->kind == SNAPSHOT_MCP_STDIO;
}

/* --- asking upstream ------------------------------------------------------------------------------------- */

static err_t ask_http(talk_t *t, str_t method, str_t body, op_t **out)
{
	visit_t *v = t->v;
	net_request_t r;

	TRY(mcp_http_request(v, method, body, (net_header_t){ STR_NULL, STR_NULL }, &r));
	r.total_timeout_ms = GATEWAY_SESSION_TIMEOUT_MS;
	t->asked_http = true;
	*out = net_fetch(v->g->deps.net, v->a, &r, &t->response);
	return OK;
}

static err_t ask_stdio(talk_t *t, const message_t *request, op_t **out)
{
	visit_t *v = t->v;
	stdio_t *s = stdio_find(v->g, v->route->name);
	const stdio_ask_t ask = { .request = request };

	ENSURE(s, ERR_UPSTREAM);
	*out = stdio_ask(v->a, s, &ask, &t->stdio);
	return OK;
}

/* The response of either kind of upstream. */
static err_t response_of(talk_t *t, message_t *m, str_t *text)
{
	visit_t *v = t->v;

	if (!is_stdio(t)) {
		return mcp_http_response(v->a, &t->response, v->msg.id, m, text);
	}
	*text = t->stdio.text;
	ENSURE(message_read(v->a, t->stdio.text, MESSAGE_FROM_UPSTREAM, m, NULL) == OK, ERR_UPSTREAM);
	return OK;
}

/* --- initialize ------------------------------------------------------------------------------------------ */

static err_t initialize_ask(talk_t *t, op_t **out)
{
	AUTO(buf_done) buf_t b = { 0 };
	visit_t *v = t->v;
	str_t body, version;

	TRY(json_need_str(v->msg.params, STR("protocolVersion"), 64, &version));
	if (is_stdio(t)) {
		return ask_stdio(t, NULL, out); /* it was initialized once, for all */
	}
	buf_init(&b, v->msg.text.n + 4096);
	buf_add(&b, STR("{\"jsonrpc\":\"2.0\",\"id\":"));
	buf_add(&b, v->msg.id);
	buf_add(&b, STR(",\"method\":\"initialize\",\"params\":"));
	TRY(list_initialize_params(v->msg.params, version, v->msg.text.n, &b));
	buf_byte(&b, '}');
	TRY(buf_err(&b));
	TRY(arena_dup(v->a, buf_str(&b), &body));
	return ask_http(t, STR("POST"), body, out);
}

static err_t initialize_result(talk_t *t, const json_t **out, str_t *out_sid)
{
	visit_t *v = t->v;
	message_t m;
	str_t text;

	if (is_stdio(t)) {
		stdio_t *s = stdio_find(v->g, v->route->name);
		ENSURE(s, ERR_UPSTREAM);
		TRY(stdio_init_result(s, v->a, &text));
		TRY(json_parse_object(v->a, text, out, NULL));
		return OK;
	}
	TRY(response_of(t, &m, &text));
	ENSURE(m.result, ERR_UPSTREAM);
	TRY(mcp_http_session_id(t->response.headers, out_sid));
	*out = m.result;
	return OK;
}

/* An HTTP upstream answered this client; a shared child answered us: the older of its version and the
 * client's is one that both speak. */
static str_t version_for(const talk_t *t, str_t upstream)
{
	str_t asked = STR_NULL;

	bool is_given = json_need_str(t->v->msg.params, STR("protocolVersion"), 64, &asked) == OK;
	if (is_stdio(t) && is_given && session_version_is_known(asked) && str_cmp(asked, upstream) < 0) {
		return asked;
	}
	return upstream;
}

static err_t session_begin(talk_t *t, str_t version, str_t upstream_sid)
{
	AUTO(buf_done) buf_t init = { 0 };
	visit_t *v = t->v;
	const delegation_claims_t *c = &v->who.claims;

	buf_init(&init, GATEWAY_SESSION_BYTES_MAX);
	TRY(list_initialize_params(v->msg.params, version, GATEWAY_CLIENT_INFO_BYTES_MAX, &init));
	const session_t s = {
		.sub = c->sub,
		.client = c->client_id,
		.grant = c->grant,
		.route = v->route->name,
		.upstream_sid = upstream_sid,
		.version = version,
		.init = buf_str(&init),
		.iat = visit_now_s(v),
	};
	return session_seal(v->a, secret_peek(&v->view->snapshot->c.session_key), &s, &t->session_id);
}

static err_t initialize_read(talk_t *t)
{
	AUTO(buf_done) buf_t result = { 0 }, b = { 0 };
	visit_t *v = t->v;
	const json_t *theirs;
	str_t version, sid = STR_NULL;

	buf_init(&b, GATEWAY_LIST_BYTES_MAX);
	buf_init(&result, GATEWAY_LIST_BYTES_MAX);
	TRY(initialize_result(t, &theirs, &sid));
	ENSURE(json_need_str(theirs, STR("protocolVersion"), 64, &version) == OK, ERR_UPSTREAM);
	ENSURE(session_version_is_known(version), ERR_UPSTREAM);
	version = version_for(t, version);
	TRY(list_initialize_result(theirs, version, &result));
	TRY(message_result(&b, v->msg.id, buf_str(&result)));
	TRY(session_begin(t, version, sid));
	return arena_dup(v->a, buf_str(&b), &t->answer);
}

/* --- the others ------------------------------------------------------------------------------------------ */

static err_t list_ask(talk_t *t, op_t **out)
{
	return is_stdio(t) ? ask_stdio(t, &t->v->msg, out) : ask_http(t, STR("POST"), t->v->body, out);
}

static bool list_shows(const void *owner, str_t tool)
{
	return rules_shows(owner, tool);
}

static err_t list_read(talk_t *t)
{
	AUTO(buf_done) buf_t b = { 0 };
	visit_t *v = t->v;
	message_t m;
	str_t text;

	TRY(response_of(t, &m, &text));
	buf_init(&b, text.n + 2);
	TRY(list_filter(&m, list_shows, v, &b));
	return arena_dup(v->a, buf_str(&b), &t->answer);
}

static err_t ping_read(talk_t *t)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, 1024);
	TRY(message_result(&b, t->v->msg.id, STR("{}")));
	return arena_dup(t->v->a, buf_str(&b), &t->answer);
}

/* A shared child is past that; an HTTP upstream waits for it. */
static err_t initialized_ask(talk_t *t, op_t **out)
{
	return is_stdio(t) ? OK : ask_http(t, STR("POST"), t->v->body, out);
}

static err_t initialized_read(talk_t *t)
{
	if (!t->asked_http) {
		return OK;
	}
	ENSURE(t->response.status != 404, ERR_SESSION);
	ENSURE(t->response.status < 300, ERR_UPSTREAM);
	return OK;
}

/* Of this session's own call; the call's end tells upstream. One that is over is no error. */
static err_t cancelled_read(talk_t *t)
{
	visit_t *v = t->v;

	(void)call_cancel(v->g, v->session.id, json_raw(json_get(v->msg.params, STR("requestId"))));
	return OK;
}

static err_t delete_ask(talk_t *t, op_t **out)
{
	visit_t *v = t->v;

	mcp_sessions_ended(v->g->sessions, v->session.id);
	if (is_stdio(t) || !mcp_sessions_upstream(v->g->sessions, &v->session).n) {
		return OK;
	}
	return ask_http(t, STR("DELETE"), STR_NULL, out);
}

static err_t nothing_read(talk_t *t)
{
	(void)t;
	return OK; /* upstream may keep its half: nobody can reach it any more */
}

static const verb_t verbs[] = {
	{ STR_INIT("initialize"), MESSAGE_REQUEST, false, true, initialize_ask, initialize_read },
	{ STR_INIT("ping"), MESSAGE_REQUEST, true, false, NULL, ping_read },
	{ STR_INIT("tools/list"), MESSAGE_REQUEST, true, true, list_ask, list_read },
	{ STR_INIT("notifications/initialized"), MESSAGE_NOTIFICATION, true, false, initialized_ask, initialized_read },
	{ STR_INIT("notifications/cancelled"), MESSAGE_NOTIFICATION, true, false, NULL, cancelled_read },
};
static const verb_t verb_delete = { STR_INIT("DELETE"), 0, true, false, delete_ask, nothing_read };
/* A notice that nobody here wants is taken and goes nowhere. */
static const verb_t verb_unknown_notice = { STR_INIT(""), MESSAGE_NOTIFICATION, true, false, NULL, nothing_read };

/* --- reading the message ------------------------------------------------------------------------------------ */

static err_t version_check(const visit_t *v)
{
	str_t version = STR_NULL;

	err_t e = net_headers_get(v->headers, STR("MCP-Protocol-Version"), &version);
	if (e == ERR_NOT_FOUND) {
		return OK; /* 2025-03-26, which did not know the header */
	}
	ENSURE(e == OK && session_version_is_known(version), ERR_PROTOCOL);
	return OK;
}

static err_t session_find(visit_t *v)
{
	str_t text;

	err_t e = net_headers_get(v->headers, STR("Mcp-Session-Id"), &text);
	ENSURE(e == OK && text.n, ERR_NO_SESSION); /* 400; unknown is 404 (mcp.md 2) */
	TRY(session_open(v->a, secret_peek(&v->view->snapshot->c.session_key), text, visit_now_s(v), &v->session));
	TRY(session_check(&v->session, &v->who.claims, v->route->name));
	ENSURE(!mcp_sessions_has_ended(v->g->sessions, v->session.id), ERR_SESSION);
	v->has_session = true;
	return OK;
}

static err_t message_find(visit_t *v)
{
	str_t type;

	err_t e = net_headers_get(v->headers, STR("Content-Type"), &type);
	ENSURE(e == OK && net_content_type_is(type, STR("application/json")), ERR_CONTENT_TYPE);
	TRY(message_read(v->a, v->body, MESSAGE_FROM_CLIENT, &v->msg, &v->why));
	ENSURE(v->msg.kind != MESSAGE_RESPONSE, ERR_VALUE); /* nobody asked the client anything (G14) */
	return OK;
}

static err_t verb_find(const visit_t *v, const verb_t **out)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (verbs[i].kind == v->msg.kind && str_eq(verbs[i].method, v->msg.method)) {
			*out = &verbs[i];
			return OK;
		}
	}
	ENSURE(v->msg.kind == MESSAGE_NOTIFICATION, ERR_NOT_BUILT);
	*out = &verb_unknown_notice;
	return OK;
}

/* --- the flow ------------------------------------------------------------------------------------------------- */

static err_t talk_parse(flow_t *f); /* the token opens sessions, the method exists, the session is theirs */
static err_t talk_decide(flow_t *f); /* pure: the operator's rules for lists */
static err_t talk_ask(flow_t *f); /* waits: upstream */
static err_t talk_read(flow_t *f); /* what of its answer this caller may see */
static err_t talk_record(flow_t *f); /* waits: a refusal of somebody known is on record first */
static err_t talk_answer(flow_t *f);

static const flow_step_t talk_steps[] = {
	{ "parse", talk_parse },
	{ "decide", talk_decide },
	{ "ask", talk_ask },
	{ "read", talk_read },
	{ "record", talk_record, .sees_failure = true },
	{ "answer", talk_answer, .sees_failure = true },
};

static void talk_finish(flow_t *f, err_t result);

static const flow_table_t talk_table = FLOW_TABLE("talk", talk_steps, talk_finish);

static err_t talk_parse(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;

	flow_note(f, kv_s("agent", v->who.claims.client_id));
	flow_note(f, kv_s("route", arena_str(f->arena, v->route->name)));
	TRY(v->denied); /* found before the flow began */
	flow_note(f, kv_s("method", v->msg.method.n ? v->msg.method : v->method));
	if (!t->verb) {
		TRY(verb_find(v, &t->verb));
	}
	TRY(visit_may_open(v));
	TRY(version_check(v));
	return t->verb->needs_session ? session_find(v) : OK;
}

static err_t talk_decide(flow_t *f)
{
	talk_t *t = f->state;

	return t->verb->asks_rules ? rules_list(t->v) : OK;
}

static err_t talk_ask(flow_t *f)
{
	talk_t *t = f->state;
	op_t *op = NULL;

	if (!t->verb->ask) {
		return OK;
	}
	TRY(t->verb->ask(t, &op));
	return op ? flow_wait(f, op) : OK;
}

static err_t talk_read(flow_t *f)
{
	talk_t *t = f->state;

	return t->verb->read(t);
}

/* A refusal that was an authorisation, or bytes that were an attack on the parser (mcp.md 13.6). */
static bool is_recorded_kind(const visit_t *v, err_t e)
{
	err_class_t cls = err_info(e)->cls;
	bool is_no_message = v->msg.kind == 0 && str_eq(v->method, STR("POST"));

	return cls == CLASS_DENIED || cls == CLASS_UNAUTHENTICATED || e == ERR_SESSION
		|| (cls == CLASS_MALFORMED && is_no_message) || (cls == CLASS_LIMIT && is_no_message);
}

static err_t talk_record(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;
	err_t failure = flow_result(f);
	op_t *op;

	if (failure == OK || !is_recorded_kind(v, failure)) {
		return OK;
	}
	v->denied = failure;
	TRY(record_denial(v, &op));
	return flow_wait(f, op);
}

static void answer_write(talk_t *t)
{
	visit_t *v = t->v;
	bool is_list = t->verb->asks_rules && !t->session_id.n;
	net_header_t h[2];
	size_t n = 0;

	if (t->session_id.n) {
		h[n++] = (net_header_t){ STR("Mcp-Session-Id"), t->session_id };
	}
	if (is_list) {
		h[n++] = (net_header_t){ STR("Cache-Control"), STR("private, no-store") }; /* G3 */
	}
	if (t->answer.n) {
		visit_reply(v, 200, (net_headers_t){ h, n }, STR("application/json"), t->answer);
	} else {
		visit_reply(v, t->verb == &verb_delete ? 204 : 202, NET_NO_HEADERS, STR_NULL, STR_NULL);
	}
}

static err_t talk_answer(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;
	err_t failure = flow_result(f);

	if (failure == OK) {
		answer_write(t);
	} else if (is_recorded_kind(v, failure) && (!v->recording || op_result(v->recording) != OK)) {
		visit_refuse(v, ERR_AUTHORITY_AWAY);
	} else {
		visit_refuse(v, failure);
	}
	return OK;
}

static void talk_finish(flow_t *f, err_t result)
{
	talk_t *t = f->state;
	gateway_t *g = t->v->g;

	if (!t->v->answered) {
		visit_refuse(t->v, result == OK ? ERR_INTERNAL : result);
	}
	visit_done(t->v);
	g->n_talks--;
	gateway_closed_check(g);
}

static void talk_start(visit_t *v, const verb_t *verb)
{
	talk_t *t = arena_new(v->a, talk_t);
	flow_id_t id;

	t->v = v;
	t->verb = verb;
	err_t e = flow_start(v->g->deps.loop, &talk_table, v->a, t,
		loop_in_ms(v->g->deps.loop, GATEWAY_SESSION_TIMEOUT_MS), &id);
	if (e != OK) {
		visit_refuse(v, e);
		visit_free(v);
		return;
	}
	v->g->n_talks++;
}

/* What a call needs of its session, before its own flow begins. */
static err_t call_check(visit_t *v)
{
	TRY(version_check(v));
	return session_find(v);
}

void mcp_handle(visit_t *v)
{
	if (str_eq(v->method, STR("DELETE"))) {
		talk_start(v, &verb_delete);
		return;
	}
	if (!str_eq(v->method, STR("POST"))) { /* GET: no stream of notices yet; 405 is legal, 404 is not */
		visit_reply(v, 405, NET_HEADERS({ STR("Allow"), STR("POST, DELETE, OPTIONS") }), STR_NULL, STR_NULL);
		visit_free(v);
		return;
	}
	err_t known = v->denied, e = message_find(v);
	v->denied = known != OK ? known : e; /* the door's word goes first */
	bool is_call = v->denied == OK && v->msg.kind == MESSAGE_REQUEST && str_eq(v->msg.method, STR("tools/call"));
	if (is_call) {
		v->denied = call_check(v);
	}
	if (is_call && v->denied == OK) {
		call_start(v);
	} else {
		talk_start(v, NULL);
	}
}
