/* template.c: IDs with placeholders, filled from attested facts alone (spiffe.md 15). */
#include "domain/spiffe/spiffe.h"

/* Placeholders whose value is what stands behind a selector prefix. */
static const struct {
	str_t name, prefix;
} from_selectors[] = {
	{ STR_INIT("unix.uid"), STR_INIT("unix:uid:") },
	{ STR_INIT("unix.user"), STR_INIT("unix:user:") },
	{ STR_INIT("unix.gid"), STR_INIT("unix:gid:") },
	{ STR_INIT("unix.group"), STR_INIT("unix:group:") },
	{ STR_INIT("systemd.id"), STR_INIT("systemd:id:") },
	{ STR_INIT("systemd.invocation_id"), STR_INIT("systemd:invocation_id:") },
	{ STR_INIT("docker.container_id"), STR_INIT("docker:container_id:") },
	{ STR_INIT("docker.image_id"), STR_INIT("docker:image_id:") },
};
static const str_t label = STR_INIT("docker.label."), label_prefix = STR_INIT("docker:label:");

bool spiffe_template_is(str_t text)
{
	return str_find(text, '{') < text.n;
}

str_t spiffe_template_prefix(str_t text)
{
	return str_sub(text, 0, str_find(text, '{'));
}

/* Cuts `rest` into literal text and the name of the placeholder behind it (STR_NULL: none left). */
static err_t part_next(str_t *rest, str_t *out_literal, str_t *out_name)
{
	size_t open = str_find(*rest, '{');
	str_t literal = str_sub(*rest, 0, open);

	ENSURE(str_find(literal, '}') == literal.n, ERR_SPIFFE_ID);
	*out_literal = literal;
	*out_name = STR_NULL;
	if (open == rest->n) {
		*rest = STR_NULL;
		return OK;
	}
	str_t behind = str_sub(*rest, open + 1, rest->n);
	size_t close = str_find(behind, '}');
	ENSURE(close < behind.n && close > 0, ERR_SPIFFE_ID);
	*out_name = str_sub(behind, 0, close);
	*rest = str_sub(behind, close + 1, behind.n);
	return OK;
}

static bool name_is(str_t name)
{
	for (size_t i = 0; i < ARRAY_LEN(from_selectors); i++) {
		if (str_eq(name, from_selectors[i].name)) {
			return true;
		}
	}
	if (str_starts(name, label)) {
		return spiffe_segment_is(str_sub(name, label.n, name.n));
	}
	return str_eq(name, STR("run.id")) || str_eq(name, STR("node.id"));
}

/* Puts `fill` in every place; what comes out must then be an ID. */
static err_t check_with(arena_t *a, str_t text, str_t fill)
{
	str_t rest = text, literal, name;
	AUTO(buf_done) buf_t b;
	spiffe_id_t id;

	buf_init(&b, SPIFFE_ID_BYTES_MAX);
	for (size_t parts = 0; rest.p && parts <= SPIFFE_TEMPLATE_PARTS_MAX; parts++) {
		TRY(part_next(&rest, &literal, &name));
		ENSURE(parts < SPIFFE_TEMPLATE_PARTS_MAX || !name.p, ERR_SPIFFE_ID);
		buf_add(&b, literal);
		if (name.p) {
			ENSURE(name_is(name), ERR_SPIFFE_ID);
			buf_add(&b, fill);
		}
	}
	ENSURE(buf_err(&b) == OK, ERR_SPIFFE_ID);
	TRY(spiffe_id_parse_workload(buf_str(&b), &id));
	ENSURE(!spiffe_path_reserved(id.path), ERR_SPIFFE_ID);
	return OK;
}

MUST err_t spiffe_template_check(str_t text)
{
	static const str_t scheme = STR_INIT("spiffe://");
	AUTO(arena_free) arena_t *a = arena_open();

	ENSURE(text.n <= SPIFFE_ID_BYTES_MAX && str_starts(text, scheme), ERR_SPIFFE_ID);
	/* the trust domain ends before the first placeholder */
	str_t prefix = spiffe_template_prefix(text);
	ENSURE(str_find(str_sub(prefix, scheme.n, prefix.n), '/') < prefix.n - scheme.n, ERR_SPIFFE_ID);
	return check_with(a, text, STR("x"));
}

/* The one value behind `prefix`; two are none. */
static err_t value_behind(const spiffe_selectors_t *facts, str_t prefix, str_t *out)
{
	str_t found = STR_NULL;

	for (size_t i = 0; i < facts->n; i++) {
		if (!str_starts(facts->v[i], prefix)) {
			continue;
		}
		ENSURE(!found.p, ERR_ENTRY_MATCH);
		found = str_sub(facts->v[i], prefix.n, facts->v[i].n);
	}
	ENSURE(found.p, ERR_ENTRY_MATCH);
	*out = found;
	return OK;
}

static err_t value_of(arena_t *a, str_t name, const spiffe_facts_t *facts, str_t *out)
{
	if (str_eq(name, STR("run.id"))) {
		*out = facts->run_id;
		return OK;
	}
	if (str_eq(name, STR("node.id"))) {
		*out = facts->node;
		return OK;
	}
	if (str_starts(name, label)) {
		str_t prefix = arena_cat(a, label_prefix, str_sub(name, label.n, name.n), STR(":"));
		return value_behind(&facts->selectors, prefix, out);
	}
	for (size_t i = 0; i < ARRAY_LEN(from_selectors); i++) {
		if (str_eq(name, from_selectors[i].name)) {
			return value_behind(&facts->selectors, from_selectors[i].prefix, out);
		}
	}
	return ERR_ENTRY_MATCH;
}

static err_t expand(arena_t *a, str_t text, const spiffe_facts_t *facts, buf_t *b)
{
	str_t rest = text, literal, name, value;

	for (size_t parts = 0; rest.p; parts++) {
		ENSURE(parts <= SPIFFE_TEMPLATE_PARTS_MAX, ERR_ENTRY_MATCH);
		ENSURE(part_next(&rest, &literal, &name) == OK, ERR_ENTRY_MATCH);
		buf_add(b, literal);
		if (!name.p) {
			continue;
		}
		TRY(value_of(a, name, facts, &value));
		/* as it is or not at all: no escaping, no truncation, no lower-casing */
		ENSURE(spiffe_segment_is(value), ERR_ENTRY_MATCH);
		buf_add(b, value);
	}
	return buf_err(b) == OK ? OK : ERR_ENTRY_MATCH;
}

MUST err_t spiffe_template_expand(arena_t *a, str_t text, const spiffe_facts_t *facts, spiffe_id_t *out)
{
	AUTO(buf_done) buf_t b;
	spiffe_id_t id;

	buf_init(&b, SPIFFE_ID_BYTES_MAX);
	TRY(expand(a, text, facts, &b));
	ENSURE(spiffe_id_parse_workload(arena_str(a, buf_str(&b)), &id) == OK, ERR_ENTRY_MATCH);
	ENSURE(!spiffe_path_reserved(id.path), ERR_ENTRY_MATCH);
	*out = id;
	return OK;
}
