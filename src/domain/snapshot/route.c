/* route.c: one route document (docs/wire.md 8), in and out. Members that do not fit the kind refuse. */
#include "domain/snapshot/int.h"

static const str_t effect_names[] = { [SNAPSHOT_READONLY] = STR_INIT("readonly"),
	[SNAPSHOT_MUTATING] = STR_INIT("mutating"),
	[SNAPSHOT_IRREVERSIBLE] = STR_INIT("irreversible") };
static const str_t kind_names[] = { [SNAPSHOT_MCP_STDIO] = STR_INIT("mcp-stdio"),
	[SNAPSHOT_MCP_HTTP] = STR_INIT("mcp-http"),
	[SNAPSHOT_HTTP] = STR_INIT("http") };

str_t effect_name(snapshot_effect_t effect)
{
	CHECK(effect >= SNAPSHOT_READONLY && effect <= SNAPSHOT_IRREVERSIBLE);
	return effect_names[effect];
}

/* Says which member was meant, unless something closer to the fault did. */
static err_t about(err_t e, diag_t *diag, const char *member, const char *wanted)
{
	if (e != OK && diag && !diag->text[0]) {
		diag_set(diag, 0, 0, "%s: %s", member, wanted);
	}
	return e;
}

static err_t effect_parse(const json_t *node, snapshot_effect_t *out)
{
	str_t name;

	TRY(json_need_str(node, STR("effect"), DELEGATION_NAME_BYTES_MAX, &name));
	for (size_t i = SNAPSHOT_READONLY; i <= SNAPSHOT_IRREVERSIBLE; i++) {
		if (str_eq(effect_names[i], name)) {
			*out = (snapshot_effect_t)i;
			return OK;
		}
	}
	return ERR_VALUE;
}

/* Exactly one scope word. */
static err_t scope_parse(const json_t *node, str_t key, str_t *out)
{
	TRY(json_need_str(node, key, DELEGATION_SCOPE_BYTES_MAX, out));
	ENSURE(delegation_scope_permits(*out, *out) == OK, ERR_VALUE);
	return OK;
}

/* --- tools and rules -------------------------------------------------------------------------- */

static err_t tool_parse(const json_t *node, snapshot_tool_t *out, diag_t *diag)
{
	out->name = json_key(node);
	ENSURE(out->name.n <= DELEGATION_TOOL_BYTES_MAX && str_is_visible(out->name), ERR_VALUE);
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("scope"), STR("effect")));
	TRY(about(scope_parse(node, STR("scope"), &out->scope), diag, "scope of a tool", "one scope, RESOURCE:ACTION"));
	return about(effect_parse(node, &out->effect), diag, "effect of a tool", "readonly, mutating or irreversible");
}

static err_t tools_parse(arena_t *a, const json_t *doc, snapshot_route_t *r, diag_t *diag)
{
	const json_t *tools, *scope = json_get(doc, STR("default_scope"));
	snapshot_tool_t *list;
	size_t n = 0;

	TRY(json_want_obj(doc, STR("tools"), &tools));
	ENSURE(json_count(tools) <= SNAPSHOT_TOOLS_MAX, ERR_LIMIT);
	TRY(arena_try_array(a, snapshot_tool_t, json_count(tools) + 1, &list));
	for (const json_t *t = json_first(tools); t; t = json_next(t)) {
		TRY(tool_parse(t, &list[n++], diag));
	}
	TRY(sort_unique(list, n, sizeof(list[0]), tool_order));
	r->tools = list;
	r->n_tools = n;
	if (scope && !json_is_null(scope)) {
		TRY(scope_parse(doc, STR("default_scope"), &r->default_scope));
	}
	return OK;
}

static bool is_template_name(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) {
			return false;
		}
	}
	return s.n > 0;
}

/* "{x}" for a whole segment; the rest must be a path in normal form. */
static err_t template_check(str_t path)
{
	AUTO(buf_done) buf_t plain;
	str_t rest = path, seg;
	bool is_first = true;

	buf_init(&plain, DELEGATION_TARGET_BYTES_MAX);
	while (str_split(&rest, '/', &seg)) {
		bool is_open = seg.n > 2 && seg.p[0] == '{' && seg.p[seg.n - 1] == '}';
		ENSURE(!is_open || is_template_name(str_sub(seg, 1, seg.n - 2)), ERR_VALUE);
		buf_add(&plain, is_first ? STR("") : STR("/"));
		buf_add(&plain, is_open ? STR("x") : seg);
		is_first = false;
	}
	TRY(buf_err(&plain));
	ENSURE(str_find(path, '?') == path.n, ERR_VALUE);
	return delegation_target_check(buf_str(&plain));
}

static err_t rule_parse(const json_t *node, snapshot_rule_t *out, diag_t *diag)
{
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("method"), STR("path"), STR("scope"), STR("effect")));
	TRY(json_need_str(node, STR("method"), DELEGATION_METHOD_BYTES_MAX, &out->method));
	TRY(delegation_method_check(out->method));
	TRY(json_need_str(node, STR("path"), DELEGATION_TARGET_BYTES_MAX, &out->path));
	TRY(about(template_check(out->path), diag, "path of a rule", "a path in normal form, {x} for a segment"));
	TRY(about(scope_parse(node, STR("scope"), &out->scope), diag, "scope of a rule", "one scope, RESOURCE:ACTION"));
	return about(effect_parse(node, &out->effect), diag, "effect of a rule", "readonly, mutating or irreversible");
}

static err_t rules_parse(arena_t *a, const json_t *doc, snapshot_route_t *r, diag_t *diag)
{
	const json_t *rules;
	snapshot_rule_t *list;
	size_t n = 0;

	TRY(json_want_arr(doc, STR("http"), SNAPSHOT_RULES_MAX, &rules));
	TRY(arena_try_array(a, snapshot_rule_t, json_count(rules) + 1, &list));
	for (const json_t *e = json_first(rules); e; e = json_next(e)) {
		TRY(rule_parse(e, &list[n], diag));
		for (size_t i = 0; i < n; i++) {
			ENSURE(!str_eq(list[i].method, list[n].method)
					|| !str_eq(list[i].path, list[n].path),
				ERR_DUPLICATE);
		}
		n++;
	}
	r->rules = list;
	r->n_rules = n;
	return OK;
}

/* --- upstream --------------------------------------------------------------------------------- */

static bool is_header_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
		|| c == '_';
}

/* A header that carries a credential; not one that frames or routes the message. */
static err_t header_check(str_t name)
{
	static const str_t framing[] = { STR_INIT("host"), STR_INIT("content-length"),
		STR_INIT("transfer-encoding"), STR_INIT("connection"), STR_INIT("upgrade"),
		STR_INIT("te"), STR_INIT("trailer"), STR_INIT("keep-alive"), STR_INIT("expect"),
		STR_INIT("content-type"), STR_INIT("content-encoding") };

	ENSURE(name.n > 0 && name.n <= DELEGATION_NAME_BYTES_MAX, ERR_VALUE);
	for (size_t i = 0; i < name.n; i++) {
		ENSURE(is_header_byte(name.p[i]), ERR_VALUE);
	}
	for (size_t i = 0; i < ARRAY_LEN(framing); i++) {
		ENSURE(!str_eq_nocase(framing[i], name), ERR_VALUE);
	}
	return OK;
}

static err_t prefix_check(str_t prefix)
{
	for (size_t i = 0; i < prefix.n; i++) {
		ENSURE(prefix.p[i] >= 0x20 && prefix.p[i] < 0x7f, ERR_VALUE);
	}
	return OK;
}

static err_t credential_parse(const json_t *doc, snapshot_route_t *r, diag_t *diag)
{
	const json_t *node = json_get(doc, STR("credential"));

	if (node == NULL || json_is_null(node)) {
		return OK;
	}
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("secret"), STR("header"), STR("prefix")));
	TRY(json_need_str(node, STR("secret"), DELEGATION_NAME_BYTES_MAX, &r->credential_secret));
	TRY(delegation_name_check(r->credential_secret));
	TRY(json_need_str(node, STR("header"), DELEGATION_NAME_BYTES_MAX, &r->credential_header));
	TRY(header_check(r->credential_header));
	TRY(json_want_str(node, STR("prefix"), DELEGATION_NAME_BYTES_MAX, &r->credential_prefix));
	TRY(prefix_check(r->credential_prefix));
	r->has_credential = true;
	return OK;
}

/* http on loopback or https anywhere: a credential travels there. */
static err_t upstream_parse(arena_t *a, const json_t *doc, snapshot_route_t *r)
{
	url_t u;

	TRY(json_need_str(doc, STR("upstream"), DELEGATION_URL_BYTES_MAX, &r->upstream));
	ENSURE(url_parse(a, r->upstream, 0, &u) == OK, ERR_VALUE);
	ENSURE(url_is_secure(&u) && u.query.p == NULL, ERR_VALUE);
	ENSURE(u.path.n == 0 || delegation_target_check(u.path) == OK, ERR_VALUE); /* one spelling, no ".." */
	return OK;
}

static err_t word_check(str_t s)
{
	return s.n <= SNAPSHOT_STRING_BYTES_MAX ? OK : ERR_LIMIT;
}

static err_t env_key_check(str_t key)
{
	ENSURE(key.n > 0 && key.n <= DELEGATION_NAME_BYTES_MAX, ERR_VALUE);
	ENSURE(!(key.p[0] >= '0' && key.p[0] <= '9'), ERR_VALUE);
	for (size_t i = 0; i < key.n; i++) {
		ENSURE(is_header_byte(key.p[i]) && key.p[i] != '-', ERR_VALUE);
	}
	return OK;
}

static err_t env_parse(arena_t *a, const json_t *doc, snapshot_route_t *r)
{
	const json_t *env;
	snapshot_env_t *list;
	size_t n = 0;

	TRY(json_want_obj(doc, STR("env"), &env));
	ENSURE(json_count(env) <= SNAPSHOT_ENV_MAX, ERR_LIMIT);
	list = arena_array(a, snapshot_env_t, json_count(env) + 1);
	for (const json_t *e = json_first(env); e; e = json_next(e)) {
		list[n].key = json_key(e);
		TRY(env_key_check(list[n].key));
		TRY(json_str(e, &list[n].value));
		TRY(word_check(list[n].value));
		n++;
	}
	r->env = list;
	r->n_env = n;
	return OK;
}

static err_t command_parse(arena_t *a, const json_t *doc, snapshot_route_t *r)
{
	TRY(strings_parse(a, doc, STR("command"), SNAPSHOT_ARGV_MAX, word_check, &r->command,
		&r->n_command));
	ENSURE(r->n_command > 0 && r->command[0].n > 0, ERR_VALUE);
	TRY(json_want_str(doc, STR("cwd"), SNAPSHOT_STRING_BYTES_MAX, &r->cwd));
	ENSURE(r->cwd.n == 0 || r->cwd.p[0] == '/', ERR_VALUE);
	return env_parse(a, doc, r);
}

/* --- the whole -------------------------------------------------------------------------------- */

static err_t kind_parse(const json_t *doc, snapshot_route_kind_t *out)
{
	str_t name;

	TRY(json_need_str(doc, STR("kind"), DELEGATION_NAME_BYTES_MAX, &name));
	for (size_t i = SNAPSHOT_MCP_STDIO; i <= SNAPSHOT_HTTP; i++) {
		if (str_eq(kind_names[i], name)) {
			*out = (snapshot_route_kind_t)i;
			return OK;
		}
	}
	return ERR_VALUE;
}

#define OF_ALL STR("kind"), STR("environment"), STR("data_classes"), STR("limits")

static err_t kind_members_parse(arena_t *a, const json_t *doc, snapshot_route_t *r, diag_t *diag)
{
	switch (r->kind) {
	case SNAPSHOT_MCP_STDIO:
		TRY(JSON_ONLY(doc, diag, OF_ALL, STR("command"), STR("cwd"), STR("env"), STR("tools"),
			STR("default_scope")));
		TRY(about(tools_parse(a, doc, r, diag), diag, "tools", "{NAME: {scope, effect}, ...}"));
		return about(command_parse(a, doc, r), diag, "command, cwd, env",
			"a list of words, an absolute path, {NAME: text}");
	case SNAPSHOT_MCP_HTTP:
		TRY(JSON_ONLY(doc, diag, OF_ALL, STR("upstream"), STR("credential"), STR("tools"),
			STR("default_scope")));
		TRY(about(tools_parse(a, doc, r, diag), diag, "tools", "{NAME: {scope, effect}, ...}"));
		break;
	case SNAPSHOT_HTTP:
		TRY(JSON_ONLY(doc, diag, OF_ALL, STR("upstream"), STR("credential"), STR("http")));
		TRY(about(rules_parse(a, doc, r, diag), diag, "http", "[{method, path, scope, effect}, ...], each once"));
		break;
	}
	TRY(about(upstream_parse(a, doc, r), diag, "upstream", "https, or http on loopback; no query"));
	return about(credential_parse(doc, r, diag), diag, "credential", "{secret, header, prefix}");
}

static err_t environment_parse(const json_t *doc, str_t *out)
{
	TRY(json_need_str(doc, STR("environment"), DELEGATION_NAME_BYTES_MAX, out));
	return delegation_name_check(*out);
}

static err_t limits_parse(const json_t *doc, snapshot_route_t *r, diag_t *diag)
{
	const json_t *node;
	uint64_t timeout_ms, concurrent;

	r->timeout_ms = SNAPSHOT_TIMEOUT_MS_DEFAULT;
	r->concurrent = SNAPSHOT_CONCURRENT_DEFAULT;
	TRY(json_want_obj(doc, STR("limits"), &node));
	if (node == NULL) {
		return OK;
	}
	TRY(JSON_ONLY(node, diag, STR("timeout_ms"), STR("concurrent")));
	TRY(json_want_u64(node, STR("timeout_ms"), SNAPSHOT_TIMEOUT_MS_MAX, SNAPSHOT_TIMEOUT_MS_DEFAULT,
		&timeout_ms));
	TRY(json_want_u64(node, STR("concurrent"), SNAPSHOT_CONCURRENT_MAX, SNAPSHOT_CONCURRENT_DEFAULT,
		&concurrent));
	ENSURE(timeout_ms > 0 && concurrent > 0, ERR_VALUE);
	r->timeout_ms = (uint32_t)timeout_ms;
	r->concurrent = (uint32_t)concurrent;
	return OK;
}

err_t snapshot_route_parse(arena_t *a, str_t document, snapshot_route_t *out, diag_t *diag)
{
	snapshot_route_t r = { 0 };
	const json_t *doc;
	str_t copy;

	TRY(arena_dup(a, document, &copy));
	TRY(json_parse_object(a, copy, &doc, diag));
	TRY(about(kind_parse(doc, &r.kind), diag, "kind", "mcp-stdio, mcp-http or http"));
	TRY(about(environment_parse(doc, &r.environment), diag, "environment", "one name, such as prod"));
	TRY(about(strings_parse(a, doc, STR("data_classes"), DELEGATION_NAMES_MAX, delegation_name_check,
			  &r.data_classes, &r.n_data_classes),
		diag, "data_classes", "a list of names"));
	TRY(about(limits_parse(doc, &r, diag), diag, "limits", "{timeout_ms, concurrent}, within their bounds"));
	TRY(kind_members_parse(a, doc, &r, diag));
	*out = r;
	return OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void strings_emit(jw_t *w, const char *key, const str_t *list, size_t n)
{
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++) {
		jw_str(w, list[i]);
	}
	jw_end(w);
}

static void command_emit(jw_t *w, const snapshot_route_t *r)
{
	strings_emit(w, "command", r->command, r->n_command);
	jw_kstr_if(w, "cwd", r->cwd);
	jw_kobject(w, "env");
	for (size_t i = 0; i < r->n_env; i++) {
		jw_key_str(w, r->env[i].key);
		jw_str(w, r->env[i].value);
	}
	jw_end(w);
}

static void upstream_emit(jw_t *w, const snapshot_route_t *r)
{
	jw_kstr(w, "upstream", r->upstream);
	if (!r->has_credential) {
		return;
	}
	jw_kobject(w, "credential");
	jw_kstr(w, "secret", r->credential_secret);
	jw_kstr(w, "header", r->credential_header);
	jw_kstr(w, "prefix", r->credential_prefix);
	jw_end(w);
}

static void tools_emit(jw_t *w, const snapshot_route_t *r)
{
	jw_kobject(w, "tools");
	for (size_t i = 0; i < r->n_tools; i++) {
		jw_key_str(w, r->tools[i].name);
		jw_object(w);
		jw_kstr(w, "scope", r->tools[i].scope);
		jw_kstr(w, "effect", effect_name(r->tools[i].effect));
		jw_end(w);
	}
	jw_end(w);
	jw_kstr_if(w, "default_scope", r->default_scope);
}

static void rules_emit(jw_t *w, const snapshot_route_t *r)
{
	jw_karray(w, "http");
	for (size_t i = 0; i < r->n_rules; i++) {
		jw_object(w);
		jw_kstr(w, "method", r->rules[i].method);
		jw_kstr(w, "path", r->rules[i].path);
		jw_kstr(w, "scope", r->rules[i].scope);
		jw_kstr(w, "effect", effect_name(r->rules[i].effect));
		jw_end(w);
	}
	jw_end(w);
}

void route_emit(jw_t *w, const snapshot_route_t *r)
{
	CHECK(r->kind >= SNAPSHOT_MCP_STDIO && r->kind <= SNAPSHOT_HTTP);
	jw_object(w);
	jw_kstr(w, "kind", kind_names[r->kind]);
	jw_kstr(w, "environment", r->environment);
	strings_emit(w, "data_classes", r->data_classes, r->n_data_classes);
	jw_kobject(w, "limits");
	jw_ku64(w, "timeout_ms", r->timeout_ms);
	jw_ku64(w, "concurrent", r->concurrent);
	jw_end(w);
	if (r->kind == SNAPSHOT_MCP_STDIO) {
		command_emit(w, r);
	} else {
		upstream_emit(w, r);
	}
	if (r->kind == SNAPSHOT_HTTP) {
		rules_emit(w, r);
	} else {
		tools_emit(w, r);
	}
	jw_end(w);
}
