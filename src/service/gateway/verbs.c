/* verbs.c: everything of MCP that is no tools/call: a session begins and ends, tools are listed, notices
 * pass. Whatever is not named here does not exist (mcp.md G27). */
#include "service/gateway/call.h"
#include "service/gateway/list.h"
#include "service/gateway/mcp_http.h"
#include "service/gateway/talk.h"

static bool is_stdio(const talk_t *t)
{
	return t->v->route->kind == SNAPSHOT_MCP_STDIO;
}

/* --- asking upstream ------------------------------------------------------------------------------------- */

static err_t ask_http(talk_t *t, str_t method, str_t body, op_t **out)
{
	visit_t *v = t->v;
	net_request_t r;

	TRY(mcp_http_request(v, method, body, &r));
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
	version = session_version_is_known(version) ? version : session_version_newest;
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
const verb_t verb_delete = { STR_INIT("DELETE"), 0, true, false, delete_ask, nothing_read };
/* A notice that nobody here wants is taken and goes nowhere. */
static const verb_t verb_unknown_notice = { STR_INIT(""), MESSAGE_NOTIFICATION, true, false, NULL, nothing_read };

const verb_t *verb_of(const message_t *m)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (verbs[i].kind == m->kind && str_eq(verbs[i].method, m->method)) {
			return &verbs[i];
		}
	}
	return m->kind == MESSAGE_NOTIFICATION ? &verb_unknown_notice : NULL;
}
