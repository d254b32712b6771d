/* mutate.h: every value of a JSON document replaced by values of every kind, every member renamed or
 * repeated: readers must answer, and what they accept they must be able to write again. */
#ifndef TEST_DELEGATION_MUTATE_H
#define TEST_DELEGATION_MUTATE_H

#include "pure/codec/codec.h"

typedef err_t (*mutant_fn)(str_t text);

/* Calls fn for each mutant of `text`; returns how many it refused, of *out_n. */
static inline size_t mutate_all(str_t text, mutant_fn fn, size_t *out_n)
{
	static const char *const others[] = { "null", "true", "-1", "0", "1.5", "99999999999999999", "\"\"", "\"x\"",
		"\" \"", "[]", "{}", "[null]", "[\"a\",\"a\"]", "{\"a\":1}" };
	AUTO(arena_free) arena_t *top = arena_new_capped(64 << 20);
	const json_t *root;
	size_t refused = 0;

	*out_n = 0;
	if (json_parse(top, text, NULL, &root, NULL) != OK) {
		return 0;
	}
	for (uint32_t i = 0; i < root->skip; i++) {
		str_t raw = json_raw(&root[i]), key = json_key(&root[i]);
		size_t at = (size_t)(raw.p - text.p);
		for (size_t k = 0; k < ARRAY_LEN(others); k++) {
			AUTO(arena_free) arena_t *a = arena_open();
			str_t mutant = arena_cat(a, str_sub(text, 0, at), str_of(others[k]),
				str_sub(text, at + raw.n, text.n));
			if (str_eq(mutant, text)) {
				continue;
			}
			refused += fn(mutant) != OK;
			++*out_n;
		}
		if (key.n == 0 || key.p < text.p || key.p >= text.p + text.n) {
			continue;
		}
		AUTO(arena_free) arena_t *a = arena_open();
		size_t key_at = (size_t)(key.p - text.p);
		str_t member = arena_cat(a, STR("\""), key, STR("\":"), raw);
		str_t renamed = arena_cat(a, str_sub(text, 0, key_at), STR("zz"),
			str_sub(text, key_at + key.n, text.n));
		str_t repeated = arena_cat(a, str_sub(text, 0, at + raw.n), STR(","), member,
			str_sub(text, at + raw.n, text.n));
		size_t end = at + raw.n, start = key_at - 1;
		bool comma_behind = end < text.n && text.p[end] == ',';
		bool comma_before = start > 0 && text.p[start - 1] == ',';
		str_t removed = arena_cat(a,
			str_sub(text, 0, !comma_behind && comma_before ? start - 1 : start),
			str_sub(text, comma_behind ? end + 1 : end, text.n));
		refused += fn(renamed) != OK;
		refused += fn(repeated) != OK;
		refused += fn(removed) != OK;
		*out_n += 3;
	}
	return refused;
}

#endif
