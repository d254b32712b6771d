/* scope.c: blank-separated scope lists (RFC 6749 3.3), as sets. */
#include "domain/delegation/int.h"

static bool is_scope_byte(unsigned char c)
{
	return c >= 0x21 && c <= 0x7e && c != '"' && c != '\\';
}

static err_t word_check(str_t word)
{
	ENSURE(word.n > 0, ERR_VALUE);
	for (size_t i = 0; i < word.n; i++) {
		ENSURE(is_scope_byte((unsigned char)word.p[i]), ERR_VALUE);
	}
	return OK;
}

err_t delegation_scope_check(str_t scope)
{
	str_t rest = scope, word;
	str_t seen[DELEGATION_SCOPES_MAX];
	size_t n = 0;

	ENSURE(scope.n <= DELEGATION_SCOPE_BYTES_MAX, ERR_LIMIT);
	if (scope.n == 0) {
		return OK;
	}
	while (str_split(&rest, ' ', &word)) {
		TRY(word_check(word));
		ENSURE(n < DELEGATION_SCOPES_MAX, ERR_LIMIT);
		for (size_t i = 0; i < n; i++) {
			ENSURE(!str_eq(seen[i], word), ERR_DUPLICATE);
		}
		seen[n++] = word;
	}
	return OK;
}

/* A list that is malformed holds nothing. */
static bool list_has(str_t list, str_t word)
{
	return delegation_scope_check(list) == OK && str_list_has(list, word);
}

err_t delegation_scope_permits(str_t scope, str_t needed)
{
	ENSURE(word_check(needed) == OK, ERR_SCOPE);
	ENSURE(list_has(scope, needed), ERR_SCOPE);
	return OK;
}

err_t delegation_intersect_scope(arena_t *a, str_t requested, str_t grant, str_t agent, str_t user,
	str_t *out)
{
	str_t rest = requested, word, all = STR_NULL;

	ENSURE(requested.n > 0 && delegation_scope_check(requested) == OK, ERR_SCOPE);
	ENSURE(delegation_scope_check(grant) == OK && delegation_scope_check(agent) == OK
			&& delegation_scope_check(user) == OK,
		ERR_SCOPE);
	while (str_split(&rest, ' ', &word)) {
		if (!str_list_has(grant, word) || !str_list_has(agent, word)
			|| !str_list_has(user, word)) {
			continue;
		}
		all = all.n ? arena_cat(a, all, STR(" "), word) : word;
	}
	ENSURE(all.n > 0, ERR_SCOPE);
	*out = arena_str(a, all);
	return OK;
}
