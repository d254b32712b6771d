/* claims.c: JSON as google.protobuf.Struct. A tree of json_t is an array in preorder, so one pass over it makes
 * a value for each node: no recursion, however deep the token nests. */
#include "google/protobuf/struct.pb-c.h"
#include "service/node/node_int.h"

#include <stdlib.h>

enum { CLAIMS_NODES_MAX = 4096 }; /* of one token; a claim list of that size is nobody's identity */

typedef Google__Protobuf__Value value_t;
typedef Google__Protobuf__Struct struct_t;
typedef Google__Protobuf__Struct__FieldsEntry field_t;

static err_t text_of(arena_t *a, str_t s, char **out)
{
	const char *c;

	TRY(arena_cstr(a, s, &c));
	*out = (char *)c;
	return OK;
}

static value_t *value_of(const json_t *root, value_t *values, const json_t *node)
{
	return &values[node - root];
}

static err_t fields_make(arena_t *a, const json_t *root, value_t *values, const json_t *obj, struct_t *out)
{
	google__protobuf__struct__init(out);
	out->fields = arena_array(a, field_t *, json_count(obj) + 1);
	for (const json_t *c = json_first(obj); c; c = json_next(c)) {
		field_t *f = arena_new(a, field_t);
		google__protobuf__struct__fields_entry__init(f);
		TRY(text_of(a, json_key(c), &f->key));
		f->value = value_of(root, values, c);
		out->fields[out->n_fields++] = f;
	}
	return OK;
}

static err_t list_make(arena_t *a, const json_t *root, value_t *values, const json_t *array, value_t *v)
{
	Google__Protobuf__ListValue *list = arena_new(a, Google__Protobuf__ListValue);

	google__protobuf__list_value__init(list);
	list->values = arena_array(a, value_t *, json_count(array) + 1);
	for (const json_t *c = json_first(array); c; c = json_next(c)) {
		list->values[list->n_values++] = value_of(root, values, c);
	}
	v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
	v->list_value = list;
	return OK;
}

static err_t number_make(arena_t *a, const json_t *node, value_t *v)
{
	const char *text;
	str_t lexeme;

	TRY(json_number(node, &lexeme));
	TRY(arena_cstr(a, lexeme, &text));
	v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
	v->number_value = strtod(text, NULL); /* a double is all that Struct knows */
	return OK;
}

static err_t value_make(arena_t *a, const json_t *root, value_t *values, const json_t *node)
{
	value_t *v = value_of(root, values, node);
	bool truth = false;
	str_t text;

	google__protobuf__value__init(v);
	switch (json_kind(node)) {
	case JSON_OBJECT:
		v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
		v->struct_value = arena_new(a, struct_t);
		return fields_make(a, root, values, node, v->struct_value);
	case JSON_ARRAY:
		return list_make(a, root, values, node, v);
	case JSON_NUMBER:
		return number_make(a, node, v);
	case JSON_STRING:
		TRY(json_str(node, &text));
		v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
		return text_of(a, text, &v->string_value);
	case JSON_BOOL:
		TRY(json_bool(node, &truth));
		v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
		v->bool_value = truth;
		return OK;
	case JSON_NULL:
	case JSON_NONE:
		v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
		return OK;
	}
	return ERR_INTERNAL;
}

static bool kept(str_t name)
{
	return str_eq(name, STR("sub")) || str_eq(name, STR("aud")) || str_eq(name, STR("exp"));
}

err_t claims_struct(arena_t *a, const json_t *claims, bool only, struct_t **out)
{
	value_t *values;

	ENSURE(json_kind(claims) == JSON_OBJECT && claims->skip <= CLAIMS_NODES_MAX, ERR_LIMIT);
	TRY(arena_try_array(a, value_t, claims->skip, &values));
	for (size_t i = 0; i < claims->skip; i++) {
		TRY(value_make(a, claims, values, claims + i));
	}
	struct_t *s = values[0].struct_value;
	for (size_t i = s->n_fields; only && i-- > 0;) {
		if (!kept(str_of(s->fields[i]->key))) {
			s->fields[i] = s->fields[--s->n_fields];
		}
	}
	*out = s;
	return OK;
}
