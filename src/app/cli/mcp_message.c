/* mcp_message.c: JSON-RPC as far as a shim must understand it (mcp.md 1). */
#include "app/cli/mcp_int.h"

enum { TEXT_BYTES_MAX = 512 }; /* of our own words and of those we pass on; CLI_ANSWER_BYTES_MAX holds them escaped */

static bool id_is_valid(const json_t *id)
{
	str_t lexeme = json_raw(id);

	if (lexeme.n > CLI_ID_BYTES_MAX) {
		return false;
	}
	if (json_kind(id) == JSON_STRING) {
		return true;
	}
	for (size_t i = 0; i < lexeme.n; i++) {
		if ((lexeme.p[i] < '0' || lexeme.p[i] > '9') && !(i == 0 && lexeme.p[i] == '-')) {
			return false; /* no fraction, no exponent */
		}
	}
	return json_kind(id) == JSON_NUMBER;
}

static err_t call_read(mcp_message_t *m)
{
	ENSURE(json_kind(m->params) == JSON_OBJECT, ERR_VALUE);
	TRY(json_need_str(m->params, STR("name"), JSON_UNBOUNDED, &m->tool));
	m->args = json_get(m->params, STR("arguments"));
	return OK;
}

static err_t method_read(mcp_message_t *m, const json_t *root, const json_t *id)
{
	TRY(json_need_str(root, STR("method"), JSON_UNBOUNDED, &m->method));
	m->kind = id ? MCP_REQUEST : MCP_NOTIFICATION;
	m->params = json_get(root, STR("params"));
	m->is_call = m->kind == MCP_REQUEST && str_eq(m->method, STR("tools/call"));
	return m->is_call ? call_read(m) : OK;
}

err_t mcp_message_read(arena_t *a, str_t line, mcp_message_t *out)
{
	static const json_opts_t opts = { .bytes_max = CLI_LINE_BYTES_MAX, .object_only = true, .allow_nul = true };
	const json_t *root, *id;

	*out = (mcp_message_t){ .line = line };
	TRY(json_parse(a, line, &opts, &root, NULL));
	id = json_get(root, STR("id"));
	ENSURE(!id || id_is_valid(id), ERR_VALUE);
	out->id = id ? json_raw(id) : STR_NULL;
	ENSURE(json_is_str(json_get(root, STR("jsonrpc")), STR("2.0")), ERR_VALUE);
	if (json_get(root, STR("method"))) {
		return method_read(out, root, id);
	}
	ENSURE(id && (json_get(root, STR("result")) || json_get(root, STR("error"))), ERR_VALUE);
	out->kind = MCP_RESPONSE;
	return OK;
}

bool mcp_id_same(arena_t *a, str_t x, str_t y)
{
	static const json_opts_t opts = { .allow_nul = true };
	const json_t *nx, *ny;
	str_t sx, sy;

	if (str_eq(x, y)) {
		return x.n > 0;
	}
	if (json_parse(a, x, &opts, &nx, NULL) != OK || json_parse(a, y, &opts, &ny, NULL) != OK) {
		return false;
	}
	return json_str(nx, &sx) == OK && json_str(ny, &sy) == OK && str_eq(sx, sy);
}

/* At most max bytes, cut between two characters; empty if it is no UTF-8. */
static str_t head_of(str_t text, size_t max)
{
	str_t head = str_sub(text, 0, max);

	for (int i = 0; i < 3 && head.n < text.n && !str_is_utf8(head); i++) {
		head.n--;
	}
	return str_is_utf8(head) ? head : STR("");
}

/* --- answers of our own ------------------------------------------------------------------------------------ */

static void head_write(jw_t *w, str_t id)
{
	jw_object(w);
	jw_kstr(w, "jsonrpc", STR("2.0"));
	jw_kraw(w, "id", id.n ? id : STR("null"));
}

/* Ids and texts are bounded and valid: what does not fit is our mistake. */
static str_t written(arena_t *a, jw_t *w)
{
	str_t out;

	jw_end(w);
	CHECK(jw_finish(w) == OK && arena_dup(a, buf_str(w->b), &out) == OK);
	return out;
}

str_t mcp_error_text(arena_t *a, str_t id, int code, str_t text, str_t reason, str_t fix)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, CLI_ANSWER_BYTES_MAX);
	jw_init(&w, &b);
	head_write(&w, id);
	jw_kobject(&w, "error");
	jw_ki64(&w, "code", code);
	jw_kstr(&w, "message", head_of(text, TEXT_BYTES_MAX));
	if (reason.n) {
		jw_kobject(&w, "data");
		jw_kstr_if(&w, "fix", fix);
		jw_kstr(&w, "reason", reason);
		jw_end(&w);
	}
	jw_end(&w);
	return written(a, &w);
}

static str_t tool_error_text(arena_t *a, str_t id, str_t text)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, CLI_ANSWER_BYTES_MAX);
	jw_init(&w, &b);
	head_write(&w, id);
	jw_kobject(&w, "result");
	jw_karray(&w, "content");
	jw_object(&w);
	jw_kstr(&w, "text", head_of(text, TEXT_BYTES_MAX));
	jw_kstr(&w, "type", STR("text"));
	jw_end(&w);
	jw_end(&w);
	jw_kbool(&w, "isError", true);
	jw_end(&w);
	return written(a, &w);
}

/* The authority hides what is not granted behind one answer, and so do we: a tool outside the grant is as
 * unknown as one that is nowhere (mcp.md 7). */
static str_t unknown_tool(arena_t *a, const mcp_message_t *m)
{
	const err_info_t *row = err_info(ERR_TOOL);

	return mcp_error_text(a, m->id, MCP_BAD_PARAMS, arena_cat(a, STR("Unknown tool: "), head_of(m->tool, 256)),
		str_of(row->name), str_of("see tools/list; to use another tool, ask the user for a grant that names it"));
}

static int code_of(err_t e)
{
	switch (err_info(e)->cls) {
	case CLASS_MALFORMED:
	case CLASS_LIMIT:
		return MCP_BAD_PARAMS;
	case CLASS_UNAVAILABLE:
	case CLASS_INTERNAL:
		return e == ERR_THROTTLED ? MCP_THROTTLED : MCP_FAILED;
	default:
		return MCP_DENIED;
	}
}

str_t mcp_refusal_text(arena_t *a, const mcp_message_t *m, err_t e, str_t said)
{
	const err_info_t *row = err_info(e);
	str_t fix = str_of(row->fix), text = head_of(said, TEXT_BYTES_MAX);

	if (m->is_call && (e == ERR_DETAILS || e == ERR_TOOL)) {
		return unknown_tool(a, m);
	}
	if (!text.n) {
		text = arena_cat(a, str_of(row->text), fix.n ? STR("; fix: ") : STR(""), fix);
	}
	if (m->is_call && code_of(e) == MCP_DENIED) {
		return tool_error_text(a, m->id, arena_cat(a, STR("Refused: "), text));
	}
	return mcp_error_text(a, m->id, code_of(e), text, str_of(row->name), fix);
}
