/* contract.c: every answer of every test is held against docs/openapi.json: members that are missing, of
 * another type, or not described fail the test. A plain walk; recursion is over our own document. */
#include "bench.h"

static const json_t *spec;
static arena_t *spec_arena;

static void spec_free(void)
{
	arena_free(spec_arena);
}

static void spec_load(void)
{
	static char text[512 << 10];
	char path[512];

	if (spec) {
		return;
	}
	const char *root = getenv("ATTORN_ROOT");
	snprintf(path, sizeof(path), "%s/docs/openapi.json", root ? root : "..");
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	assert_true(n > 0 && n < sizeof(text));
	spec_arena = arena_new_capped(16u << 20);
	assert_int_equal(atexit(spec_free), 0);
	assert_int_equal(json_parse_object(spec_arena, str_bytes(text, n), &spec, NULL), OK);
}

static const json_t *resolve(const json_t *schema)
{
	str_t to;

	while (json_str(json_get(schema, STR("$ref")), &to) == OK) {
		assert_true(str_starts(to, STR("#")));
		schema = json_pointer(spec, str_sub(to, 1, SIZE_MAX));
		assert_non_null(schema);
	}
	return schema;
}

static bool type_fits(const json_t *v, str_t type)
{
	str_t lexeme;

	switch (json_kind(v)) {
	case JSON_NULL:
		return str_eq(type, STR("null"));
	case JSON_BOOL:
		return str_eq(type, STR("boolean"));
	case JSON_STRING:
		return str_eq(type, STR("string"));
	case JSON_ARRAY:
		return str_eq(type, STR("array"));
	case JSON_OBJECT:
		return str_eq(type, STR("object"));
	case JSON_NUMBER:
		return str_eq(type, STR("number")) || (str_eq(type, STR("integer")) && json_number(v, &lexeme) == OK &&
			str_find(lexeme, '.') == lexeme.n);
	case JSON_NONE:
		break;
	}
	return false;
}

static bool fits(const json_t *v, const json_t *schema, char why[256]);

/* Finds the schema of a member in properties, also in the parts of an allOf. */
static const json_t *member_schema(const json_t *schema, str_t key, bool *described)
{
	const json_t *props = json_get(schema, STR("properties"));

	*described = *described || props;
	if (json_get(props, key)) {
		return json_get(props, key);
	}
	for (const json_t *part = json_first(json_get(schema, STR("allOf"))); part; part = json_next(part)) {
		const json_t *found = member_schema(resolve(part), key, described);
		if (found) {
			return found;
		}
	}
	const json_t *more = json_get(schema, STR("additionalProperties"));
	return json_kind(more) == JSON_OBJECT ? more : NULL;
}

static bool required_are_there(const json_t *v, const json_t *schema, char why[256])
{
	for (const json_t *r = json_first(json_get(schema, STR("required"))); r; r = json_next(r)) {
		str_t key;
		assert_int_equal(json_str(r, &key), OK);
		if (!json_get(v, key)) {
			snprintf(why, 256, "%.*s is missing", STR_ARG(key));
			return false;
		}
	}
	for (const json_t *part = json_first(json_get(schema, STR("allOf"))); part; part = json_next(part)) {
		if (!required_are_there(v, resolve(part), why)) {
			return false;
		}
	}
	return true;
}

static bool object_fits(const json_t *v, const json_t *schema, char why[256])
{
	if (!required_are_there(v, schema, why)) {
		return false;
	}
	for (const json_t *m = json_first(v); m; m = json_next(m)) {
		bool described = false;
		const json_t *s = member_schema(schema, json_key(m), &described);
		if (!s && described) {
			snprintf(why, 256, "%.*s is not described", STR_ARG(json_key(m)));
			return false;
		}
		if (s && !fits(m, s, why)) {
			return false;
		}
	}
	return true;
}

static bool one_fits(const json_t *v, const json_t *list, char why[256])
{
	for (const json_t *s = json_first(list); s; s = json_next(s)) {
		if (fits(v, s, why)) {
			return true;
		}
	}
	return false;
}

static bool enum_fits(const json_t *v, const json_t *list)
{
	for (const json_t *s = json_first(list); s; s = json_next(s)) {
		if (str_eq(json_raw(s), json_raw(v))) {
			return true;
		}
	}
	return false;
}

static bool fits(const json_t *v, const json_t *schema, char why[256])
{
	str_t type;

	schema = resolve(schema);
	if (json_get(schema, STR("oneOf"))) {
		return one_fits(v, json_get(schema, STR("oneOf")), why);
	}
	if (json_str(json_get(schema, STR("type")), &type) == OK && !type_fits(v, type)) {
		snprintf(why, 256, "%.*s has another type than %.*s", STR_ARG(json_key(v)), STR_ARG(type));
		return false;
	}
	if (json_get(schema, STR("enum")) && !enum_fits(v, json_get(schema, STR("enum")))) {
		snprintf(why, 256, "%.*s has a value that is not described", STR_ARG(json_key(v)));
		return false;
	}
	if (json_kind(v) == JSON_OBJECT) {
		return object_fits(v, schema, why);
	}
	for (const json_t *e = json_kind(v) == JSON_ARRAY ? json_first(v) : NULL; e; e = json_next(e)) {
		if (!fits(e, json_get(schema, STR("items")), why)) {
			return false;
		}
	}
	return true;
}

/* "/agents/{name}/state" is "/agents/{}/state" of the table. */
static bool path_is(str_t described, str_t pattern)
{
	str_t want, have;

	while (str_split(&described, '/', &want)) {
		if (!str_split(&pattern, '/', &have)) {
			return false;
		}
		if (!str_eq(want, have) && !(str_starts(want, STR("{")) && str_eq(have, STR("{}")))) {
			return false;
		}
	}
	return pattern.p == NULL;
}

const json_t *contract_operation(const api_door_t *door)
{
	spec_load();
	for (const json_t *p = json_first(json_get(spec, STR("paths"))); p; p = json_next(p)) {
		if (!path_is(json_key(p), door->path)) {
			continue;
		}
		for (const json_t *op = json_first(p); op; op = json_next(op)) {
			if (str_eq_nocase(json_key(op), door->method)) {
				return op;
			}
		}
	}
	return NULL;
}

size_t contract_operations(void)
{
	size_t n = 0;

	spec_load();
	for (const json_t *p = json_first(json_get(spec, STR("paths"))); p; p = json_next(p)) {
		n += json_count(p);
	}
	return n;
}

/* A path with its names filled in against a pattern. */
static bool path_matches(str_t path, str_t pattern)
{
	str_t want, have;

	while (str_split(&pattern, '/', &want)) {
		if (!str_split(&path, '/', &have) || !(str_eq(want, have) || (str_eq(want, STR("{}")) && have.n))) {
			return false;
		}
	}
	return path.p == NULL;
}

void contract_check(str_t method, str_t path, int status, const json_t *answer)
{
	const api_door_t *doors;
	size_t n = api_doors(&doors);
	char code[8], why[256] = "";

	path = str_sub(path, 0, str_find(path, '?'));
	snprintf(code, sizeof(code), "%d", status);
	for (size_t i = 0; i < n; i++) {
		if (!str_eq(method, doors[i].method) || !path_matches(path, doors[i].path)) {
			continue;
		}
		const json_t *responses = json_get(contract_operation(&doors[i]), STR("responses"));
		const json_t *r = json_get(responses, str_of(code));
		r = r ? r : status >= 400 ? json_get(responses, STR("default")) : NULL;
		const json_t *schema = json_pointer(r, STR("/content/application~1json/schema"));
		if (!schema && json_pointer(r, STR("/content/application~1jsonl"))) {
			return;
		}
		if (!schema || !answer || !fits(answer, schema, why)) {
			fail_msg("%.*s %.*s %d: not as docs/openapi.json says: %s: %.*s", STR_ARG(method), STR_ARG(path), status,
				why, STR_ARG(json_raw(answer)));
		}
		return;
	}
}
