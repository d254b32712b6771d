/* mcp_send.c: one message of the client, told in order: credential, request, answer. */
#include "app/cli/mcp_int.h"

#include "engine/net/client.h"

typedef struct {
	mcp_t *m;
	arena_t *a;
	const mcp_message_t *message;
	const mcp_call_t *call; /* NULL: no request of the client */
	mcp_reply_t *quiet; /* not NULL: the client hears nothing of it */
	bool is_initialize, had_session;
	uint64_t turn; /* session it was sent in */
	/* the answer */
	int status;
	str_t session, version;
	bool is_stream, answered, has_result;
	buf_t body;
	mcp_events_t events;
} send_t;

/* --- what comes back ----------------------------------------------------------------------------------- */

/* An answer to our request, a request of the server's or a notification; its line goes out as it came. */
static err_t message_take(send_t *s, str_t json)
{
	static const json_opts_t opts = { .bytes_max = CLI_LINE_BYTES_MAX, .nodes_max = CLI_ANSWER_NODES_MAX,
		.object_only = true, .allow_nul = true };
	AUTO(arena_free) arena_t *a = arena_new_capped(CLI_MCP_ARENA_BYTES_MAX);
	const json_t *root;

	TRY(json_parse(a, json, &opts, &root, NULL));
	if (!json_get(root, STR("method"))) {
		ENSURE(mcp_id_same(a, json_raw(json_get(root, STR("id"))), s->message->id), ERR_VALUE);
		s->answered = true;
		s->has_result = json_get(root, STR("result")) != NULL;
	}
	if (s->is_initialize && s->has_result) {
		str_t version = STR_NULL;
		if (json_str(json_pointer(root, STR("/result/protocolVersion")), &version) == OK && str_is_visible(version)) {
			s->version = arena_str(s->a, str_sub(version, 0, 64)); /* it becomes a header */
		}
		if (!s->quiet) { /* before the client hears of it and goes on */
			mcp_session_begin(&s->m->session, s->message->line, s->session, s->version);
		}
	}
	if (!s->quiet) {
		mcp_out(s->m, s->call, json);
	}
	return OK;
}

static err_t event_take(str_t data, void *owner)
{
	err_t e = message_take(owner, data);

	if (e != OK) { /* mcp.md W2: what is no message is dropped and noted */
		mcp_note("dropped an event of the gateway that is no message of this request (%s)", err_info(e)->name);
	}
	return OK;
}

static err_t on_head(int status, net_headers_t headers, void *owner)
{
	send_t *s = owner;
	str_t type = STR_NULL, session = STR_NULL;

	s->status = status;
	if (net_headers_get(headers, STR("Content-Type"), &type) == OK) {
		s->is_stream = status == 200 && net_content_type_is(type, STR("text/event-stream"));
	}
	if (net_headers_get(headers, STR("Mcp-Session-Id"), &session) == OK && str_is_visible(session)) {
		s->session = session;
	}
	agent_route_nonce(&s->m->agent, headers);
	return OK;
}

static err_t on_data(str_t bytes, void *owner)
{
	send_t *s = owner;

	if (s->is_stream) {
		return mcp_events_take(&s->events, bytes);
	}
	buf_add(&s->body, bytes);
	return buf_err(&s->body);
}

static bool on_stop(void *owner)
{
	send_t *s = owner;

	return atomic_load(&s->m->stopping) || (s->call && atomic_load(&s->call->stop));
}

/* --- what goes out ------------------------------------------------------------------------------------- */

/* A call takes a capability for exactly its arguments; all else the delegated token (wire.md 5). */
static err_t credential(send_t *s, str_t *out, diag_t *diag)
{
	agent_t *g = &s->m->agent;
	str_t item;

	ENSURE(agent_place(g) == EXIT_DONE, ERR_AUTHORITY_AWAY);
	if (!s->message->is_call) {
		return agent_token(g, s->a, out, diag);
	}
	TRY(agent_item_mcp(g, s->a, s->message->tool, s->message->args, &item));
	return agent_capability(g, s->a, item, out, diag);
}

static err_t request(send_t *s, str_t token, str_t proof, diag_t *diag)
{
	net_header_t headers[8];
	size_t n = 0;

	headers[n++] = (net_header_t){ STR("Authorization"), arena_cat(s->a, STR("DPoP "), token) };
	headers[n++] = (net_header_t){ STR("DPoP"), proof };
	headers[n++] = (net_header_t){ STR("Content-Type"), STR("application/json") };
	headers[n++] = (net_header_t){ STR("Accept"), STR("application/json, text/event-stream") };
	if (!s->is_initialize) {
		size_t more = mcp_session_headers(&s->m->session, s->a, headers + n, &s->turn);
		s->had_session = more > 0;
		n += more;
	}
	net_request_t r = {
		.method = STR("POST"),
		.url = s->m->agent.resource,
		.headers = { headers, n },
		.body = s->message->line,
		.total_timeout_ms = s->call ? CLI_MCP_CALL_MS : CLI_MCP_NOTIFY_MS,
	};
	net_sync_fns_t fns = { on_head, on_data, on_stop, s };
	return net_sync_stream(s->a, &r, &fns, diag);
}

static err_t attempt(send_t *s, diag_t *diag)
{
	str_t token, proof;

	s->status = 0;
	s->is_stream = false;
	buf_clear(&s->body);
	ENSURE(!on_stop(s), ERR_CANCELLED);
	TRY(credential(s, &token, diag));
	TRY(agent_proof(&s->m->agent, s->a, STR("POST"), s->m->agent.resource, token, &proof));
	ENSURE(!on_stop(s), ERR_CANCELLED); /* given up meanwhile: nothing goes out */
	return request(s, token, proof, diag);
}

/* Nothing was done at the other side: once more, with what it missed. */
static bool worth_another(send_t *s)
{
	if (s->status == 401) { /* expired, revoked, or it wants its nonce */
		agent_token_drop(&s->m->agent);
		return true;
	}
	return s->status == 404 && s->had_session && mcp_session_revive(s->m, s->turn) == OK;
}

static err_t attempts(send_t *s, diag_t *diag)
{
	TRY(attempt(s, diag));
	if (worth_another(s)) {
		TRY(attempt(s, diag));
	}
	return OK;
}

/* --- what it means --------------------------------------------------------------------------------------- */

static err_t by_status(int status)
{
	switch (status) {
	case 401: return ERR_TOKEN;
	case 403: return ERR_DENIED;
	case 404: return ERR_SESSION;
	case 413: return ERR_LIMIT;
	case 429: return ERR_THROTTLED;
	case 400: return ERR_VALUE;
	default: return ERR_UPSTREAM;
	}
}

/* {"error":NAME,"title"|"message":..,"fix":..}: how our doors refuse. */
static err_t problem(const json_t *root, int status, diag_t *diag)
{
	str_t name = STR_NULL, text = STR_NULL, fix = STR_NULL;
	char code[64];

	if (json_str(json_get(root, STR("error")), &name) != OK || name.n >= sizeof(code) || str_has_nul(name)) {
		return by_status(status);
	}
	memcpy(code, name.p, name.n);
	code[name.n] = '\0';
	err_t e = err_by_name(code);
	if (e == ERR_INTERNAL) {
		e = by_status(status);
	}
	if (json_str(json_get(root, STR("title")), &text) == OK || json_str(json_get(root, STR("message")), &text) == OK) {
		bool has_fix = json_str(json_get(root, STR("fix")), &fix) == OK && fix.n;
		diag_set(diag, 0, 0, "%.*s%s%.*s", STR_ARG(text), has_fix ? "; fix: " : "", STR_ARG(fix));
	}
	return e;
}

/* A JSON-RPC error under another id (null: the gateway saw no message) is told under ours. */
static err_t refusal(send_t *s, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *root;
	str_t text;
	int64_t code;

	if (message_take(s, buf_str(&s->body)) == OK) {
		return OK; /* says it under our id */
	}
	if (json_parse_object(a, buf_str(&s->body), &root, NULL) != OK) {
		return by_status(s->status);
	}
	if (json_str(json_pointer(root, STR("/error/message")), &text) == OK &&
		json_i64(json_pointer(root, STR("/error/code")), &code) == OK && code == (int)code) {
		s->answered = true;
		if (s->message->kind == MCP_REQUEST && !s->quiet) {
			mcp_out(s->m, s->call, mcp_error_text(s->a, s->message->id, (int)code, text, STR_NULL, STR_NULL));
		}
		return OK;
	}
	return problem(root, s->status, diag);
}

static err_t body_take(send_t *s, diag_t *diag)
{
	bool good = s->status >= 200 && s->status < 300;

	if (s->is_stream || (good && s->body.n == 0)) {
		return OK;
	}
	if (!good) {
		return refusal(s, diag);
	}
	return message_take(s, buf_str(&s->body)) == OK ? OK : ERR_UPSTREAM;
}

static err_t send_run(send_t *s, diag_t *diag)
{
	buf_init(&s->body, CLI_LINE_BYTES_MAX);
	mcp_events_init(&s->events, event_take, s);
	s->is_initialize = str_eq(s->message->method, STR("initialize"));
	err_t e = attempts(s, diag);
	e = e == OK ? body_take(s, diag) : e;
	mcp_events_done(&s->events);
	buf_done(&s->body);
	return e;
}

void mcp_send(mcp_t *m, arena_t *a, const mcp_message_t *message, const mcp_call_t *call)
{
	send_t s = { .m = m, .a = a, .message = message, .call = call };
	diag_t diag = { 0 };
	err_t e = send_run(&s, &diag);

	if (message->kind != MCP_REQUEST) {
		if (e != OK) {
			mcp_note("the client's %.*s did not arrive: %s", STR_ARG(cli_safe(a, str_sub(message->method, 0, 64))),
				err_info(e)->text);
		} else if (str_eq(message->method, STR("notifications/initialized"))) {
			mcp_session_initialized(&m->session);
		}
		return;
	}
	if (!s.answered && !on_stop(&s)) { /* every request ends in an answer */
		mcp_out(m, call, mcp_refusal_text(a, message, e == OK ? ERR_UPSTREAM : e, str_of(diag.text)));
	}
}

err_t mcp_send_quietly(mcp_t *m, arena_t *a, str_t line, mcp_reply_t *out)
{
	mcp_message_t message;
	send_t s = { .m = m, .a = a, .message = &message, .quiet = out };

	TRY(mcp_message_read(a, line, &message));
	TRY(send_run(&s, NULL));
	*out = (mcp_reply_t){ s.session, s.version, s.status, s.has_result };
	return OK;
}
