/* constraint.c: one constraint: parse it, write it, hold one value against it. */
#include "domain/delegation/int.h"

static const str_t kind_names[] = {
	[DELEGATION_EQUALS] = STR_INIT("equals"),
	[DELEGATION_ONE_OF] = STR_INIT("one_of"),
	[DELEGATION_RANGE] = STR_INIT("range"),
	[DELEGATION_PATH_UNDER] = STR_INIT("path_under"),
	[DELEGATION_URL_IN] = STR_INIT("url_in"),
	[DELEGATION_HOST_IS] = STR_INIT("host_is"),
	[DELEGATION_MATCHES] = STR_INIT("matches"),
};

static err_t kind_parse(str_t name, delegation_kind_t *out)
{
	for (size_t i = DELEGATION_EQUALS; i <= DELEGATION_MATCHES; i++) {
		if (str_eq(kind_names[i], name)) {
			*out = (delegation_kind_t)i;
			return OK;
		}
	}
	return ERR_VALUE;
}

/* "~1" is '/', "~0" is '~'; any other '~' is malformed (RFC 6901 3). */
static err_t unescape_segment(arena_t *a, str_t raw, str_t *out)
{
	char *p = arena_array(a, char, raw.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < raw.n; i++) {
		p[n++] = raw.p[i];
		if (raw.p[i] != '~') {
			continue;
		}
		ENSURE(i + 1 < raw.n && (raw.p[i + 1] == '0' || raw.p[i + 1] == '1'), ERR_VALUE);
		p[n - 1] = raw.p[++i] == '1' ? '/' : '~';
	}
	*out = str_bytes(p, n);
	return OK;
}

static err_t pointer_parse(arena_t *a, delegation_constraint_t *c)
{
	str_t *segments = arena_array(a, str_t, DELEGATION_SEGMENTS_MAX);
	str_t rest = str_sub(c->arg, 1, c->arg.n), seg;

	c->segments = segments;
	c->n_segments = 0;
	if (c->arg.n == 0) {
		return OK; /* the arguments as a whole */
	}
	ENSURE(c->arg.p[0] == '/', ERR_VALUE);
	rest = rest.n ? rest : STR("");
	while (str_split(&rest, '/', &seg)) {
		ENSURE(c->n_segments < DELEGATION_SEGMENTS_MAX, ERR_LIMIT);
		TRY(unescape_segment(a, seg, &segments[c->n_segments]));
		c->n_segments++;
	}
	return OK;
}

static err_t range_parse(const json_t *v, delegation_constraint_t *c, diag_t *diag)
{
	ENSURE(json_kind(v) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(v, diag, STR("max"), STR("min")));
	TRY(json_need_i64(v, STR("min"), &c->min));
	TRY(json_need_i64(v, STR("max"), &c->max));
	ENSURE(c->min <= c->max, ERR_VALUE);
	return OK;
}

static err_t text_parse(const json_t *v, delegation_constraint_t *c)
{
	TRY(json_str(v, &c->text));
	if (c->kind == DELEGATION_MATCHES) {
		return delegation_pattern_check(c->text);
	}
	return path_base_check(c->text);
}

static err_t value_parse(arena_t *a, const json_t *v, delegation_kind_t kind, str_t *out)
{
	if (kind == DELEGATION_EQUALS || kind == DELEGATION_ONE_OF) {
		return jcs_write(a, v, out);
	}
	TRY(json_str(v, out));
	return kind == DELEGATION_URL_IN ? url_base_check(*out) : host_base_check(*out);
}

static err_t values_parse(arena_t *a, const json_t *v, delegation_constraint_t *c)
{
	bool is_list = c->kind != DELEGATION_EQUALS;
	size_t n = is_list ? json_count(v) : 1, i = 0;
	str_t *values;

	ENSURE(!is_list || json_kind(v) == JSON_ARRAY, ERR_VALUE);
	ENSURE(n > 0, ERR_VALUE);
	ENSURE(n <= DELEGATION_VALUES_MAX, ERR_LIMIT);
	values = arena_array(a, str_t, n);
	for (const json_t *e = is_list ? json_first(v) : v; i < n; e = i < n ? json_next(e) : NULL) {
		TRY(value_parse(a, e, c->kind, &values[i++]));
	}
	c->values = values;
	c->n_values = n;
	return OK;
}

static err_t kind_value_parse(arena_t *a, const json_t *v, delegation_constraint_t *c, diag_t *diag)
{
	switch (c->kind) {
	case DELEGATION_RANGE:
		return range_parse(v, c, diag);
	case DELEGATION_PATH_UNDER:
	case DELEGATION_MATCHES:
		return text_parse(v, c);
	case DELEGATION_EQUALS:
	case DELEGATION_ONE_OF:
	case DELEGATION_URL_IN:
	case DELEGATION_HOST_IS:
		return values_parse(a, v, c);
	}
	return ERR_VALUE;
}

err_t constraint_from_node(arena_t *a, const json_t *node, delegation_constraint_t *out, diag_t *diag)
{
	delegation_constraint_t c = { 0 };
	const json_t *v = json_get(node, STR("value"));
	str_t kind;
	err_t e;

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("arg"), STR("kind"), STR("value")));
	TRY(json_want_str(node, STR("arg"), DELEGATION_POINTER_BYTES_MAX, &c.arg));
	ENSURE(json_get(node, STR("arg")) && v, ERR_MISSING_MEMBER);
	TRY(json_need_str(node, STR("kind"), DELEGATION_NAME_BYTES_MAX, &kind));
	TRY(kind_parse(kind, &c.kind));
	TRY(pointer_parse(a, &c));
	TRY(jcs_write(a, v, &c.canonical));
	e = kind_value_parse(a, v, &c, diag);
	if (e != OK) {
		diag_set(diag, 0, 0, "constraint on %s: value does not fit kind %.*s", shown(c.arg).text,
			STR_ARG(kind_names[c.kind]));
		return e;
	}
	*out = c;
	return OK;
}

void constraint_emit(jw_t *w, const delegation_constraint_t *c)
{
	jw_object(w);
	jw_kstr(w, "arg", c->arg);
	jw_kstr(w, "kind", kind_names[c->kind]);
	jw_kraw(w, "value", c->canonical);
	jw_end(w);
}

static bool values_hold(arena_t *scratch, const delegation_constraint_t *c, const json_t *node)
{
	str_t canonical;

	if (jcs_write(scratch, node, &canonical) != OK) {
		return false;
	}
	for (size_t i = 0; i < c->n_values; i++) {
		if (str_eq(c->values[i], canonical)) {
			return true;
		}
	}
	return false;
}

static bool place_holds(delegation_kind_t kind, str_t bound, str_t s)
{
	return kind == DELEGATION_URL_IN ? delegation_url_is_in(bound, s) : delegation_host_is(bound, s);
}

static bool places_hold(const delegation_constraint_t *c, str_t s)
{
	for (size_t i = 0; i < c->n_values; i++) {
		if (place_holds(c->kind, c->values[i], s)) {
			return true;
		}
	}
	return false;
}

static bool range_holds(const delegation_constraint_t *c, const json_t *node)
{
	int64_t v;

	return json_i64(node, &v) == OK && v >= c->min && v <= c->max;
}

bool constraint_holds(arena_t *scratch, const delegation_constraint_t *c, const json_t *node)
{
	str_t s;

	switch (c->kind) {
	case DELEGATION_EQUALS:
	case DELEGATION_ONE_OF:
		return values_hold(scratch, c, node);
	case DELEGATION_RANGE:
		return range_holds(c, node);
	case DELEGATION_PATH_UNDER:
		return json_str(node, &s) == OK && delegation_path_is_under(c->text, s);
	case DELEGATION_MATCHES:
		return json_str(node, &s) == OK && delegation_pattern_matches(c->text, s);
	case DELEGATION_URL_IN:
	case DELEGATION_HOST_IS:
		return json_str(node, &s) == OK && places_hold(c, s);
	}
	return false;
}

bool constraint_holds_for(arena_t *scratch, const delegation_constraint_t *c, str_t canonical)
{
	const json_t *node;

	return json_parse(scratch, canonical, NULL, &node, NULL) == OK
		&& constraint_holds(scratch, c, node);
}
