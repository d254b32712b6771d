/* answer.c: what the client hears. A denial is an answer the model can act on; what broke is said without
 * detail; what a stranger did wrong gets the same words whatever it was (mcp.md 7, oauth 17). */
#include "service/gateway/visit.h"

enum {
	HEADERS_OF_OURS_MAX = ORIGIN_HEADERS_MAX + 2,
	TEXT_BYTES_MAX = 8 << 10,
	CODE_DENIED = -33010, CODE_THROTTLED = -33011, CODE_UPSTREAM = -33013, /* mcp.md 1 */
	CODE_PARSE = -32700, CODE_MESSAGE = -32600, CODE_METHOD = -32601, CODE_PARAMS = -32602,
};

static net_headers_t headers_with(const visit_t *v, net_headers_t h, str_t content_type)
{
	net_header_t *all = arena_array(v->a, net_header_t, h.n + HEADERS_OF_OURS_MAX);
	size_t n = 0;

	if (content_type.n) {
		all[n++] = (net_header_t){ STR("Content-Type"), content_type };
	}
	for (size_t i = 0; i < h.n; i++) {
		all[n++] = h.v[i];
	}
	n += origin_headers(v->origin, all + n);
	return (net_headers_t){ all, n };
}

void visit_reply(visit_t *v, int status, net_headers_t headers, str_t content_type, str_t body)
{
	CHECK(!v->answered);
	v->answered = true;
	v->said = status;
	if (v->x) {
		net_reply(v->x, status, headers_with(v, headers, content_type), body);
	}
}

void visit_reply_json(visit_t *v, str_t body)
{
	visit_reply(v, 200, NET_NO_HEADERS, STR("application/json"), body);
}

void visit_begin(visit_t *v, int status, net_headers_t headers)
{
	CHECK(!v->answered);
	v->answered = v->streaming = true;
	v->said = status;
	if (v->x) {
		net_reply_begin(v->x, status, headers_with(v, headers, STR_NULL));
	}
}

void visit_begin_sse(visit_t *v)
{
	CHECK(!v->answered);
	v->answered = v->streaming = true;
	v->said = 200;
	if (v->x) {
		net_sse_begin(v->x, headers_with(v, NET_NO_HEADERS, STR_NULL));
	}
}

err_t visit_event(visit_t *v, str_t json)
{
	CHECK(v->streaming);
	return v->x ? net_sse_event(v->x, STR("message"), STR_NULL, json) : OK;
}

void visit_end(visit_t *v)
{
	CHECK(v->streaming);
	v->streaming = false;
	if (v->x) {
		net_reply_end(v->x);
	}
}

void visit_cut(visit_t *v)
{
	CHECK(v->streaming);
	v->streaming = false;
	if (v->x) {
		net_reply_abort(v->x);
	}
}

void visit_say_nothing(visit_t *v)
{
	if (!v->answered) {
		visit_begin_sse(v);
	}
	if (v->streaming) {
		visit_end(v);
	}
}

/* --- refusals ------------------------------------------------------------------------------------------- */

/* Text and fix of the table; where a rule of the operator speaks for itself, its words. */
static str_t refusal_text(const visit_t *v, err_t e)
{
	const err_info_t *row = err_info(e);
	bool by_rule = e == ERR_DENIED && v->decision.fix.n > 0;
	str_t fix = by_rule ? v->decision.fix : str_of(row->fix);

	return arena_cat(v->a, STR("Refused: "), str_of(row->text), fix.n ? STR("; ") : STR(""), fix,
		STR(" (call "), v->rid, STR(")"));
}

static str_t error_body(const visit_t *v, err_t e)
{
	AUTO(buf_done) buf_t b = { 0 };
	const err_info_t *row = err_info(e);
	bool by_rule = e == ERR_DENIED && v->decision.fix.n > 0;
	jw_t w;

	buf_init(&b, TEXT_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "type", STR("about:blank"));
	jw_kstr(&w, "title", str_of(row->text));
	jw_ki64(&w, "status", row->http);
	jw_kstr(&w, "error", str_of(row->name));
	jw_kstr(&w, "fix", by_rule ? v->decision.fix : str_of(row->fix));
	jw_kstr_if(&w, "call", v->rid);
	jw_end(&w);
	return jw_finish(&w) == OK ? arena_str(v->a, buf_str(&b)) : STR("{}");
}

/* 401: constant bytes whatever the reason, which only the ledger knows (oauth 17). */
static void refuse_401(visit_t *v, err_t e)
{
	bool is_proof = str_eq(str_of(err_info(e)->oauth), STR("invalid_dpop_proof"));
	str_t error = e == ERR_NO_TOKEN ? STR("") : is_proof ? STR("invalid_dpop_proof") : STR("invalid_token");
	str_t body = e == ERR_NO_TOKEN
		? STR("{\"error\":\"no_token\",\"message\":\"no token\",\"fix\":\"see resource_metadata\"}")
		: STR("{\"error\":\"invalid_token\",\"message\":\"token or proof not valid here\","
		      "\"fix\":\"ask for a new token\"}");
	str_t challenge = metadata_challenge(v->a, v->g, v->route, error);

	visit_reply(v, 401, NET_HEADERS({ STR("WWW-Authenticate"), challenge }), STR("application/json"), body);
}

/* A new token for exactly this call would do: both kinds of client learn it from the header. */
static void refuse_403_scope(visit_t *v, err_t e)
{
	str_t challenge = metadata_challenge(v->a, v->g, v->route, STR("insufficient_scope"));
	str_t type = visit_is_mcp(v) ? STR("application/json") : STR("application/problem+json");

	visit_reply(v, 403, NET_HEADERS({ STR("WWW-Authenticate"), challenge }), type, error_body(v, e));
}

static void refuse_problem(visit_t *v, err_t e)
{
	const err_info_t *row = err_info(e);
	int status = row->cls == CLASS_DENIED && row->http < 403 ? 403 : row->http;

	if (e == ERR_TOOL) {
		status = 404; /* what is not listed does not exist */
	}
	visit_reply(v, status == 499 ? 503 : status, NET_NO_HEADERS, STR("application/problem+json"), error_body(v, e));
}

static err_t mcp_text(const visit_t *v, err_t e, buf_t *out)
{
	const err_info_t *row = err_info(e);
	str_t id = v->msg.id, reason = str_of(row->name), fix = str_of(row->fix), tool = STR_NULL;

	if (e == ERR_TOOL) { /* byte-equal for hidden and absent: nothing of ours in it, no rid */
		TRY(json_want_str(v->msg.params, STR("name"), JSON_UNBOUNDED, &tool));
		return message_error(out, id, CODE_PARAMS, arena_cat(v->a, STR("Unknown tool: "), str_sub(tool, 0, 1024)),
			STR_NULL, STR_NULL);
	}
	if (e == ERR_NOT_BUILT) {
		return message_error(out, id, CODE_METHOD, STR("Method not found"), STR_NULL, STR_NULL);
	}
	if (e == ERR_THROTTLED) {
		return message_error(out, id, CODE_THROTTLED, str_of(row->text), reason, fix);
	}
	if (e == ERR_UPSTREAM || e == ERR_TIMEOUT || e == ERR_CREDENTIAL || e == ERR_CANCELLED) {
		return message_error(out, id, CODE_UPSTREAM, str_of(row->text), reason, fix);
	}
	if (!v->has_action) {
		return message_error(out, id, row->cls == CLASS_DENIED ? CODE_DENIED : CODE_PARAMS, str_of(row->text),
			reason, fix);
	}
	return message_tool_error(out, id, refusal_text(v, e));
}

static void refuse_mcp(visit_t *v, err_t e)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, TEXT_BYTES_MAX);
	if (mcp_text(v, e, &b) != OK) {
		visit_reply(v, 500, NET_NO_HEADERS, STR("application/json"), STR("{}"));
		return;
	}
	visit_reply_json(v, buf_str(&b));
}

static bool is_transport(err_t e)
{
	return e == ERR_NO_SESSION || e == ERR_PROTOCOL || e == ERR_HTTP;
}

/* What is no message has no id to answer to, and no era yet: 400 (mcp.md 1). */
static void refuse_message(visit_t *v, err_t e)
{
	AUTO(buf_done) buf_t b = { 0 };
	bool is_json = e == ERR_VALUE || e == ERR_LIMIT || e == ERR_DUPLICATE || is_transport(e);

	buf_init(&b, TEXT_BYTES_MAX);
	err_t bad = message_error(&b, STR_NULL, is_json ? CODE_MESSAGE : CODE_PARSE, str_of(err_info(e)->text),
		str_of(err_info(e)->name), str_of(err_info(e)->fix));
	visit_reply(v, err_info(e)->http == 413 ? 413 : 400, NET_NO_HEADERS, STR("application/json"),
		bad == OK ? buf_str(&b) : STR("{}"));
}

static void refuse_begun(visit_t *v, err_t e)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, TEXT_BYTES_MAX);
	if (visit_is_mcp(v) && v->msg.id.n && mcp_text(v, e, &b) == OK && visit_event(v, buf_str(&b)) == OK) {
		visit_end(v); /* mcp.md G17 */
		return;
	}
	visit_cut(v); /* so that nobody takes it for whole */
}

static bool is_401(err_t e)
{
	return err_info(e)->http == 401 || e == ERR_GRANT_REVOKED;
}

void visit_refuse(visit_t *v, err_t e)
{
	const err_info_t *row = err_info(e);

	CHECK(e != OK);
	if (v->answered) {
		if (v->streaming) {
			refuse_begun(v, e);
		}
		return;
	}
	if (is_401(e)) {
		refuse_401(v, e);
	} else if (e == ERR_ACTION) {
		refuse_403_scope(v, e);
	} else if (!visit_is_mcp(v)) {
		e == ERR_SCOPE ? refuse_403_scope(v, e) : refuse_problem(v, e);
	} else if (v->msg.kind == 0 && (row->cls == CLASS_MALFORMED || row->cls == CLASS_LIMIT)) {
		row->http == 405 || row->http == 415 ? refuse_problem(v, e) : refuse_message(v, e);
	} else if (e == ERR_NOT_BUILT && v->msg.kind == MESSAGE_REQUEST) {
		refuse_mcp(v, e); /* no such method: in band, or a probing client takes us for broken (G10) */
	} else if (e == ERR_SESSION || e == ERR_NOT_FOUND || row->http == 503 || row->cls == CLASS_INTERNAL) {
		refuse_problem(v, e);
	} else if (v->msg.kind != MESSAGE_REQUEST || is_transport(e)) { /* nothing to answer to in band */
		row->cls == CLASS_MALFORMED || row->cls == CLASS_LIMIT ? refuse_message(v, e) : refuse_problem(v, e);
	} else {
		refuse_mcp(v, e);
	}
}
