/* mcp.c: an MCP request of somebody known: one message, its session, and the flow that it wants. */
#include "service/gateway/call.h"
#include "service/gateway/mcp.h"
#include "service/gateway/mcp_http.h"
#include "service/gateway/talk.h"

err_t mcp_version_check(const visit_t *v)
{
	str_t version = STR_NULL;

	err_t e = net_headers_get(v->headers, STR("MCP-Protocol-Version"), &version);
	if (e == ERR_NOT_FOUND) {
		return OK; /* 2025-03-26, which did not know the header */
	}
	ENSURE(e == OK && session_version_is_known(version), ERR_PROTOCOL);
	return OK;
}

err_t mcp_session_find(visit_t *v)
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

/* What a call needs of its session, before its own flow begins. */
static err_t call_check(visit_t *v)
{
	TRY(mcp_version_check(v));
	return mcp_session_find(v);
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
