/* bounds.c: bounds and items, from JSON and to it. Every member is always present. */
#include "domain/delegation/int.h"

shown_t shown(str_t s)
{
	shown_t out;
	size_t n = s.n < sizeof(out.text) ? s.n : sizeof(out.text) - 1;

	for (size_t i = 0; i < n; i++) {
		out.text[i] = s.p[i] > 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
	}
	out.text[n] = '\0';
	return out;
}

bool is_set_name(str_t s)
{
	return delegation_name_check(s) == OK;
}

/* --- items ------------------------------------------------------------------------------------ */

static err_t constraints_parse(arena_t *a, const json_t *node, delegation_item_t *item, diag_t *diag)
{
	const json_t *list = json_get(node, STR("constraints"));
	delegation_constraint_t *c;
	size_t i = 0;

	if (list == NULL) {
		return OK;
	}
	ENSURE(json_kind(list) == JSON_ARRAY, ERR_VALUE);
	ENSURE(json_count(list) <= DELEGATION_CONSTRAINTS_MAX, ERR_LIMIT);
	c = arena_array(a, delegation_constraint_t, json_count(list) + 1);
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(constraint_from_node(a, e, &c[i++], diag));
	}
	item->constraints = c;
	item->n_constraints = i;
	item->has_constraints = true;
	return OK;
}

static err_t digest_parse(const json_t *node, str_t key, delegation_item_t *item)
{
	str_t text;

	if (json_get(node, key) == NULL) {
		return OK;
	}
	TRY(json_need_str(node, key, 64, &text));
	TRY(b64url_dec_exact(text, item->digest, sizeof(item->digest)));
	item->has_digest = true;
	return OK;
}

static err_t mcp_item_parse(arena_t *a, const json_t *node, delegation_item_t *item, diag_t *diag)
{
	TRY(JSON_ONLY(node, diag, STR("type"), STR("server"), STR("tool"), STR("constraints"),
		STR("args_digest")));
	item->op = STR("tools/call");
	TRY(json_need_str(node, STR("tool"), DELEGATION_TOOL_BYTES_MAX, &item->target));
	ENSURE(str_is_visible(item->target), ERR_VALUE);
	return digest_parse(node, STR("args_digest"), item);
}

/* "path" with constraints is what people grant, "target" with body_digest is what clients ask for. */
static err_t http_item_parse(arena_t *a, const json_t *node, delegation_item_t *item, diag_t *diag)
{
	bool has_path = json_get(node, STR("path")) != NULL;

	TRY(JSON_ONLY(node, diag, STR("type"), STR("server"), STR("method"), STR("path"), STR("target"),
		STR("constraints"), STR("body_digest")));
	ENSURE(has_path != (json_get(node, STR("target")) != NULL), ERR_VALUE);
	TRY(json_need_str(node, STR("method"), DELEGATION_METHOD_BYTES_MAX, &item->op));
	TRY(delegation_method_check(item->op));
	TRY(json_need_str(node, has_path ? STR("path") : STR("target"), DELEGATION_TARGET_BYTES_MAX,
		&item->target));
	TRY(delegation_target_check(item->target));
	TRY(digest_parse(node, STR("body_digest"), item));
	ENSURE(has_path != item->has_digest, ERR_VALUE);
	return OK;
}

static err_t item_parse(arena_t *a, const json_t *node, delegation_item_t *out, diag_t *diag)
{
	delegation_item_t item = { 0 };
	const json_t *type = json_get(node, STR("type"));

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	if (json_is_str(type, STR("mcp_tool_call"))) {
		item.type = DELEGATION_MCP_TOOL_CALL;
		TRY(mcp_item_parse(a, node, &item, diag));
	} else if (json_is_str(type, STR("http_request"))) {
		item.type = DELEGATION_HTTP_REQUEST;
		TRY(http_item_parse(a, node, &item, diag));
	} else {
		diag_set(diag, 0, 0, "unknown type");
		return ERR_VALUE;
	}
	TRY(json_need_str(node, STR("server"), DELEGATION_URL_BYTES_MAX, &item.server));
	TRY(route_url_check(item.server));
	TRY(constraints_parse(a, node, &item, diag));
	ENSURE(item.has_digest || item.has_constraints, ERR_VALUE); /* oauth P32 */
	*out = item;
	return OK;
}

err_t items_from_node(arena_t *a, const json_t *node, const delegation_item_t **out, size_t *out_n,
	diag_t *diag)
{
	delegation_item_t *items;
	size_t n = 0;

	if (json_kind(node) != JSON_ARRAY) {
		diag_set(diag, 0, 0, "authorization_details is no array");
		return ERR_DETAILS;
	}
	ENSURE(json_count(node) <= DELEGATION_ITEMS_MAX, ERR_LIMIT);
	items = arena_array(a, delegation_item_t, json_count(node) + 1);
	for (const json_t *e = json_first(node); e; e = json_next(e)) {
		if (item_parse(a, e, &items[n], diag) != OK) {
			if (diag && diag->text[0] == '\0') {
				diag_set(diag, 0, 0, "authorization_details[%zu] is malformed", n);
			}
			return ERR_DETAILS;
		}
		n++;
	}
	*out = items;
	*out_n = n;
	return OK;
}

static void item_emit(jw_t *w, const delegation_item_t *item)
{
	bool is_mcp = item->type == DELEGATION_MCP_TOOL_CALL;
	char digest[64];
	buf_t b;

	jw_object(w);
	if (item->has_digest) {
		buf_init(&b, sizeof(digest));
		b64url_add(&b, str_bytes(item->digest, sizeof(item->digest)));
		jw_kstr(w, is_mcp ? "args_digest" : "body_digest", buf_str(&b));
		buf_done(&b);
	}
	if (item->has_constraints) {
		jw_karray(w, "constraints");
		for (size_t i = 0; i < item->n_constraints; i++) {
			constraint_emit(w, &item->constraints[i]);
		}
		jw_end(w);
	}
	if (!is_mcp) {
		jw_kstr(w, "method", item->op);
	}
	if (!is_mcp && !item->has_digest) {
		jw_kstr(w, "path", item->target);
	}
	jw_kstr(w, "server", item->server);
	if (is_mcp) {
		jw_kstr(w, "tool", item->target);
	} else if (item->has_digest) {
		jw_kstr(w, "target", item->target);
	}
	jw_kstr(w, "type", is_mcp ? STR("mcp_tool_call") : STR("http_request"));
	jw_end(w);
}

void items_emit(jw_t *w, const delegation_item_t *items, size_t n)
{
	jw_array(w);
	for (size_t i = 0; i < n; i++) {
		item_emit(w, &items[i]);
	}
	jw_end(w);
}

/* --- bounds ----------------------------------------------------------------------------------- */

/* ["*"], or names without repeats. */
static err_t names_parse(arena_t *a, const json_t *obj, str_t key, const str_t **out, size_t *out_n)
{
	const json_t *list;
	str_t *names;
	size_t n = 0;

	TRY(json_need_arr(obj, key, DELEGATION_NAMES_MAX, &list));
	names = arena_array(a, str_t, json_count(list) + 1);
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(json_str(e, &names[n]));
		ENSURE(is_set_name(names[n]) || (json_count(list) == 1 && str_eq(names[n], STR("*"))),
			ERR_VALUE);
		for (size_t i = 0; i < n; i++) {
			ENSURE(!str_eq(names[i], names[n]), ERR_DUPLICATE);
		}
		n++;
	}
	*out = names;
	*out_n = n;
	return OK;
}

/* "HH:MM", 24:00 allowed as an end. */
static err_t clock_parse(const json_t *obj, str_t key, uint16_t *out_min)
{
	str_t s;
	uint16_t h, m;

	TRY(json_need_str(obj, key, 5, &s));
	ENSURE(s.n == 5 && s.p[2] == ':', ERR_VALUE);
	for (size_t i = 0; i < 5; i++) {
		ENSURE(i == 2 || (s.p[i] >= '0' && s.p[i] <= '9'), ERR_VALUE);
	}
	h = (uint16_t)((s.p[0] - '0') * 10 + (s.p[1] - '0'));
	m = (uint16_t)((s.p[3] - '0') * 10 + (s.p[4] - '0'));
	ENSURE(m < 60 && (h < 24 || (h == 24 && m == 0)), ERR_VALUE);
	*out_min = (uint16_t)(h * 60 + m);
	return OK;
}

static err_t days_parse(const json_t *obj, uint8_t *out)
{
	const json_t *list;
	uint64_t day, last = 0;
	uint8_t days = 0;

	TRY(json_need_arr(obj, STR("days"), 7, &list));
	ENSURE(json_count(list) > 0, ERR_VALUE);
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(json_u64(e, 7, &day));
		ENSURE(day > last, ERR_VALUE); /* ascending, 1..7, none twice */
		days |= (uint8_t)(1u << day);
		last = day;
	}
	*out = days;
	return OK;
}

static err_t window_parse(const json_t *obj, delegation_window_t *out, diag_t *diag)
{
	const json_t *node = json_get(obj, STR("window"));
	delegation_window_t w = { .is_set = true };

	ENSURE(node != NULL, ERR_MISSING_MEMBER);
	if (json_is_null(node)) {
		*out = (delegation_window_t){ 0 };
		return OK;
	}
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("days"), STR("from"), STR("to")));
	TRY(days_parse(node, &w.days));
	TRY(clock_parse(node, STR("from"), &w.from_min));
	TRY(clock_parse(node, STR("to"), &w.to_min));
	ENSURE(w.from_min < w.to_min, ERR_VALUE);
	*out = w;
	return OK;
}

static err_t must_be_null(const json_t *obj, str_t key, diag_t *diag)
{
	const json_t *node = json_get(obj, key);

	ENSURE(node != NULL, ERR_MISSING_MEMBER);
	if (!json_is_null(node)) {
		diag_set(diag, 0, 0, "%.*s must be null: it is not built yet", STR_ARG(key));
		return ERR_NOT_BUILT;
	}
	return OK;
}

static err_t count_parse(const json_t *obj, str_t key, uint64_t max, uint32_t *out)
{
	uint64_t v;

	TRY(json_need_u64(obj, key, max, &v));
	ENSURE(v >= 1, ERR_VALUE);
	*out = (uint32_t)v;
	return OK;
}

static err_t scope_parse(const json_t *obj, str_t *out)
{
	str_t scope;

	ENSURE(json_get(obj, STR("scope")) != NULL, ERR_MISSING_MEMBER);
	TRY(json_want_str(obj, STR("scope"), DELEGATION_SCOPE_BYTES_MAX, &scope));
	TRY(delegation_scope_check(scope));
	*out = scope;
	return OK;
}

err_t bounds_from_node(arena_t *a, const json_t *node, delegation_bounds_t *out, diag_t *diag)
{
	delegation_bounds_t b = { 0 };
	const json_t *details;

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("scope"), STR("authorization_details"), STR("data_classes"),
		STR("environments"), STR("uses"), STR("budget"), STR("window"), STR("depth"),
		STR("device")));
	TRY(must_be_null(node, STR("budget"), diag));
	TRY(must_be_null(node, STR("device"), diag));
	TRY(scope_parse(node, &b.scope));
	TRY(names_parse(a, node, STR("data_classes"), &b.data_classes, &b.n_data_classes));
	TRY(names_parse(a, node, STR("environments"), &b.environments, &b.n_environments));
	TRY(count_parse(node, STR("uses"), DELEGATION_USES_MAX, &b.uses));
	TRY(count_parse(node, STR("depth"), DELEGATION_DEPTH_MAX, &b.depth));
	TRY(window_parse(node, &b.window, diag));
	TRY(json_need_arr(node, STR("authorization_details"), DELEGATION_ITEMS_MAX, &details));
	TRY(items_from_node(a, details, &b.items, &b.n_items, diag));
	*out = b;
	return OK;
}

/* Parses a copy, so that the result depends on nothing but the arena. */
static err_t parse_copy(arena_t *a, str_t json, const json_t **out, diag_t *diag)
{
	const json_opts_t opts = { .depth_max = DELEGATION_DOCUMENT_DEPTH_MAX,
		.bytes_max = DELEGATION_DOCUMENT_BYTES_MAX };
	str_t copy;
	const json_t *root;

	ENSURE(json.n <= DELEGATION_DOCUMENT_BYTES_MAX, ERR_LIMIT);
	TRY(arena_dup(a, json, &copy));
	TRY(json_parse(a, copy, &opts, &root, diag));
	TRY(jcs_s_check(root));
	*out = root;
	return OK;
}

err_t delegation_bounds_parse(arena_t *a, str_t json, delegation_bounds_t *out, diag_t *diag)
{
	const json_t *root;

	TRY(parse_copy(a, json, &root, diag));
	return bounds_from_node(a, root, out, diag);
}

err_t delegation_items_parse(arena_t *a, str_t json, const delegation_item_t **out, size_t *out_n,
	diag_t *diag)
{
	const json_t *root;

	TRY(parse_copy(a, json, &root, diag));
	return items_from_node(a, root, out, out_n, diag);
}

static void names_emit(jw_t *w, const char *key, const str_t *names, size_t n)
{
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++) {
		jw_str(w, names[i]);
	}
	jw_end(w);
}

static void clock_emit(jw_t *w, const char *key, uint16_t min)
{
	char text[8] = { (char)('0' + min / 600), (char)('0' + min / 60 % 10), ':',
		(char)('0' + min % 60 / 10), (char)('0' + min % 10) };

	jw_kstr(w, key, str_bytes(text, 5));
}

static void window_emit(jw_t *w, const delegation_window_t *window)
{
	if (!window->is_set) {
		jw_knull(w, "window");
		return;
	}
	jw_kobject(w, "window");
	jw_karray(w, "days");
	for (unsigned day = 1; day <= 7; day++) {
		if ((window->days >> day & 1) != 0) {
			jw_u64(w, day);
		}
	}
	jw_end(w);
	clock_emit(w, "from", window->from_min);
	clock_emit(w, "to", window->to_min);
	jw_end(w);
}

void bounds_emit(jw_t *w, const delegation_bounds_t *b)
{
	jw_object(w);
	jw_key(w, "authorization_details");
	items_emit(w, b->items, b->n_items);
	jw_knull(w, "budget");
	names_emit(w, "data_classes", b->data_classes, b->n_data_classes);
	jw_ku64(w, "depth", b->depth);
	jw_knull(w, "device");
	names_emit(w, "environments", b->environments, b->n_environments);
	jw_kstr(w, "scope", b->scope);
	jw_ku64(w, "uses", b->uses);
	window_emit(w, &b->window);
	jw_end(w);
}

err_t delegation_bounds_write(arena_t *a, const delegation_bounds_t *b, str_t *out)
{
	AUTO(buf_done) buf_t text;
	jw_t w;

	buf_init(&text, DELEGATION_DOCUMENT_BYTES_MAX);
	jw_init(&w, &text);
	bounds_emit(&w, b);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&text), out);
}

err_t delegation_items_write(arena_t *a, const delegation_item_t *items, size_t n, str_t *out)
{
	AUTO(buf_done) buf_t text;
	jw_t w;

	buf_init(&text, DELEGATION_DOCUMENT_BYTES_MAX);
	jw_init(&w, &text);
	items_emit(&w, items, n);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&text), out);
}
