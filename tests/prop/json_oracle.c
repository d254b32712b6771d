/* json_oracle.c: what jansson makes of a text. */
#include "json_oracle.h"

#include <jansson.h>

static void dump(buf_t *out, json_t *v)
{
	const char *key;
	json_t *child;
	size_t i;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		buf_printf(out, "{%zu ", json_object_size(v));
		json_object_foreach(v, key, child) {
			buf_printf(out, "k%zu:%s ", strlen(key), key);
			dump(out, child);
		}
		break;
	case JSON_ARRAY:
		buf_printf(out, "[%zu ", json_array_size(v));
		json_array_foreach(v, i, child) {
			dump(out, child);
		}
		break;
	case JSON_STRING:
		buf_printf(out, "s%zu:", json_string_length(v));
		buf_add(out, (str_t){ json_string_value(v), json_string_length(v) });
		break;
	case JSON_INTEGER:
		buf_printf(out, "i%lld ", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		buf_printf(out, "r%a ", json_real_value(v));
		break;
	case JSON_TRUE:
		buf_add(out, STR("t "));
		break;
	case JSON_FALSE:
		buf_add(out, STR("f "));
		break;
	case JSON_NULL:
		buf_add(out, STR("n "));
		break;
	}
}

oracle_t oracle_read(str_t text, buf_t *out)
{
	json_error_t error;
	json_t *root = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

	if (!root) {
		return json_error_code(&error) == json_error_numeric_overflow ? ORACLE_NUMBER : ORACLE_REFUSED;
	}
	dump(out, root);
	json_decref(root);
	return ORACLE_ACCEPTED;
}
