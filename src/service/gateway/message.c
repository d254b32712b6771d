/* message.c: JSON-RPC messages: classified once, by the body alone. */
#include "service/gateway/limits.h"
#include "service/gateway/message.h"

static err_t no_message(diag_t *diag, const char *what)
{
	diag_set(diag, 0, 0, "%s", what);
	return ERR_VALUE;
}

/* An integer without fraction and exponent; its bytes go on as they are, so any size will do. */
static bool is_integer(str_t lexeme)
{
	for (size_t i = lexeme.n && lexeme.p[0] == '-' ? 1 : 0; i < lexeme.n; i++) {
		if (lexeme.p[i] < '0' || lexeme.p[i] > '9') {
			return false;
		}
	}
	return lexeme.n > 0;
}

static bool is_id(const json_t *id)
{
	str_t raw = json_raw(id);

	if (raw.n > GATEWAY_ID_BYTES_MAX) {
		return false;
	}
	return json_kind(id) == JSON_STRING || (json_kind(id) == JSON_NUMBER && is_integer(raw));
}

/* --- one spelling of each member ---------------------------------------------------------------------- */

/* The next letter as a reader hears it that finds members without regard to case, as Go's does: ASCII, and
 * the two letters beyond it that fold into ASCII (U+017F to s, U+212A to k). */
static char folded_next(str_t *s)
{
	size_t n = str_starts(*s, STR("\xc5\xbf")) ? 2 : str_starts(*s, STR("\xe2\x84\xaa")) ? 3 : 1;
	char c = n == 2 ? 's' : n == 3 ? 'k' : s->p[0];

	*s = str_sub(*s, n, s->n);
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool folds_to(str_t key, str_t name)
{
	while (key.n && name.n) {
		if (folded_next(&key) != folded_next(&name)) {
			return false;
		}
	}
	return !key.n && !name.n;
}

/* Is there a member that we pass over and another reader takes for one that was judged? */
static bool has_look_alike(const json_t *object)
{
	static const str_t names[] = { STR_INIT("jsonrpc"), STR_INIT("id"), STR_INIT("method"),
		STR_INIT("params"), STR_INIT("result"), STR_INIT("error"), STR_INIT("name"),
		STR_INIT("arguments"), STR_INIT("task"), STR_INIT("_meta"), STR_INIT("progressToken"),
		STR_INIT("requestId"), STR_INIT("cursor"), STR_INIT("protocolVersion"), STR_INIT("clientInfo") };

	for (const json_t *m = json_kind(object) == JSON_OBJECT ? json_first(object) : NULL; m; m = json_next(m)) {
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			if (folds_to(json_key(m), names[i]) && !str_eq(json_key(m), names[i])) {
				return true;
			}
		}
	}
	return false;
}

static bool envelope_is_plain(const json_t *root)
{
	const json_t *params = json_get(root, STR("params"));

	return !has_look_alike(root) && !has_look_alike(params) && !has_look_alike(json_get(params, STR("_meta")));
}

/* --- kinds of messages ---------------------------------------------------------------------------------- */

static err_t response_read(const json_t *root, const json_t *id, message_t *m, diag_t *diag)
{
	m->kind = MESSAGE_RESPONSE;
	m->result = json_get(root, STR("result"));
	m->error = json_get(root, STR("error"));
	if (!!m->result == !!m->error || (m->error && json_kind(m->error) != JSON_OBJECT)) {
		return no_message(diag, "neither a request nor one response");
	}
	if (!id || (!is_id(id) && !(json_is_null(id) && m->error))) {
		return no_message(diag, "id of a response");
	}
	m->id = json_raw(id);
	return OK;
}

static err_t request_read(const json_t *root, const json_t *id, message_t *m, diag_t *diag)
{
	const json_t *params = json_get(root, STR("params"));
	const json_t *token = json_pointer(params, STR("/_meta/progressToken"));

	if (json_get(root, STR("result")) || json_get(root, STR("error"))) {
		return no_message(diag, "request and response in one");
	}
	if (id && !is_id(id)) {
		return no_message(diag, "id must be a string or an integer");
	}
	if (params && json_kind(params) != JSON_OBJECT) {
		return no_message(diag, "params must be an object");
	}
	m->kind = id ? MESSAGE_REQUEST : MESSAGE_NOTIFICATION;
	m->id = id ? json_raw(id) : STR_NULL;
	m->params = params;
	if (is_id(token)) {
		m->progress_token = json_raw(token);
	}
	return OK;
}

err_t message_read(arena_t *a, str_t text, message_from_t from, message_t *out, diag_t *diag)
{
	static const json_opts_t opts_of[] = {
		[MESSAGE_FROM_CLIENT] = { .bytes_max = GATEWAY_REQUEST_BYTES_CAP,
			.nodes_max = GATEWAY_JSON_NODES_MAX, .depth_max = GATEWAY_JSON_DEPTH_MAX },
		[MESSAGE_FROM_UPSTREAM] = { .bytes_max = GATEWAY_ANSWER_BYTES_MAX, .allow_nul = true,
			.nodes_max = GATEWAY_ANSWER_NODES_MAX, .depth_max = GATEWAY_JSON_DEPTH_MAX },
	};
	message_t m = { .text = text };
	const json_t *root;

	TRY(json_parse(a, text, &opts_of[from], &root, diag));
	if (json_kind(root) != JSON_OBJECT) {
		return no_message(diag, "one message, not a batch"); /* mcp.md 1 */
	}
	if (from == MESSAGE_FROM_CLIENT && !envelope_is_plain(root)) {
		return no_message(diag, "a member is spelled in upper or lower case"); /* mcp.md 13.14 */
	}
	if (!json_is_str(json_get(root, STR("jsonrpc")), STR("2.0"))) {
		return no_message(diag, "jsonrpc must be \"2.0\"");
	}
	const json_t *method = json_get(root, STR("method")), *id = json_get(root, STR("id"));
	if (!method) {
		TRY(response_read(root, id, &m, diag));
		*out = m;
		return OK;
	}
	if (json_need_str(root, STR("method"), GATEWAY_METHOD_BYTES_MAX, &m.method) != OK) {
		return no_message(diag, "method");
	}
	TRY(request_read(root, id, &m, diag));
	*out = m;
	return OK;
}

bool message_id_eq(str_t x, str_t y)
{
	return x.n > 0 && str_eq(x, y);
}

message_verdict_t message_verdict(const message_t *m)
{
	message_verdict_t v = { .is_error = m->error != NULL };

	if (m->error) {
		v.has_code = json_i64(json_get(m->error, STR("code")), &v.code) == OK;
		return v;
	}
	if (json_bool(json_get(m->result, STR("isError")), &v.is_error) != OK) {
		v.is_error = false;
	}
	return v;
}

static void edits_sort(message_edit_t *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		for (size_t j = i; j > 0 && v[j].old.p < v[j - 1].old.p; j--) {
			message_edit_t t = v[j];
			v[j] = v[j - 1];
			v[j - 1] = t;
		}
	}
}

err_t message_splice(buf_t *out, str_t text, message_edit_t *edits, size_t n)
{
	size_t at = 0;

	edits_sort(edits, n);
	for (size_t i = 0; i < n; i++) {
		str_t old = edits[i].old;
		CHECK(old.p >= text.p + at && old.p + old.n <= text.p + text.n);
		size_t from = (size_t)(old.p - text.p);
		buf_add(out, str_sub(text, at, from - at));
		buf_add(out, edits[i].with);
		at = from + old.n;
	}
	buf_add(out, str_sub(text, at, text.n - at));
	return buf_err(out);
}

static void head_write(jw_t *w, str_t id)
{
	jw_object(w);
	jw_kstr(w, "jsonrpc", STR("2.0"));
	if (id.n) {
		jw_kraw(w, "id", id);
	} else {
		jw_knull(w, "id");
	}
}

err_t message_error(buf_t *out, str_t id, int code, str_t text, str_t reason, str_t fix)
{
	jw_t w;

	jw_init(&w, out);
	head_write(&w, id);
	jw_kobject(&w, "error");
	jw_ki64(&w, "code", code);
	jw_kstr(&w, "message", text);
	if (reason.n) {
		jw_kobject(&w, "data");
		jw_kstr(&w, "reason", reason);
		jw_kstr_if(&w, "fix", fix);
		jw_end(&w);
	}
	jw_end(&w);
	jw_end(&w);
	return jw_finish(&w);
}

err_t message_tool_error(buf_t *out, str_t id, str_t text)
{
	jw_t w;

	jw_init(&w, out);
	head_write(&w, id);
	jw_kobject(&w, "result");
	jw_karray(&w, "content");
	jw_object(&w);
	jw_kstr(&w, "type", STR("text"));
	jw_kstr(&w, "text", text);
	jw_end(&w);
	jw_end(&w);
	jw_kbool(&w, "isError", true);
	jw_end(&w);
	jw_end(&w);
	return jw_finish(&w);
}

err_t message_result(buf_t *out, str_t id, str_t result)
{
	jw_t w;

	jw_init(&w, out);
	head_write(&w, id);
	jw_kraw(&w, "result", result);
	jw_end(&w);
	return jw_finish(&w);
}
