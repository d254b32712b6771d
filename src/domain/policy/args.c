/* args.c: a JSON arguments object into bags by type. A flat walk over the tree: no recursion. */
#include "domain/policy/policy.h"

#include "pure/codec/codec.h"

typedef struct {
	const json_t *next; /* member still to be looked at */
	str_t prefix; /* "a.b." */
} level_t;

typedef struct {
	arena_t *a;
	policy_arg_t *v;
	size_t n, cap, elements;
	level_t levels[POLICY_ARGS_DEPTH_MAX];
	size_t depth;
	diag_t *diag;
} walk_t;

/* Names are shown to who sent them, cut short. */
MUST static err_t refuse(walk_t *w, err_t e, str_t key, const char *what)
{
	str_t shown = str_sub(key, 0, 64);

	diag_set(w->diag, 0, 0, "argument %.*s: %s", STR_ARG(shown), what);
	return e;
}

MUST static err_t list_take(walk_t *w, const json_t *node, policy_arg_t *arg)
{
	size_t n = json_count(node), i = 0;
	str_t *v;

	w->elements += n;
	if (w->elements > POLICY_ARGS_MAX) {
		return refuse(w, ERR_LIMIT, arg->key, "too many values");
	}
	TRY(arena_try_array(w->a, str_t, n ? n : 1, &v));
	for (const json_t *e = json_first(node); e; e = json_next(e), i++) {
		if (json_str(e, &v[i]) != OK) {
			return refuse(w, ERR_VALUE, arg->key, "rules see lists of texts only");
		}
		if (v[i].n > POLICY_ARG_BYTES_MAX) {
			return refuse(w, ERR_LIMIT, arg->key, "text is too long");
		}
	}
	arg->kind = POLICY_ARG_LIST;
	arg->list = (policy_names_t){ v, n };
	return OK;
}

MUST static err_t text_take(walk_t *w, const json_t *node, policy_arg_t *arg)
{
	TRY(json_str(node, &arg->s));
	if (arg->s.n > POLICY_ARG_BYTES_MAX) {
		return refuse(w, ERR_LIMIT, arg->key, "text is too long");
	}
	arg->kind = POLICY_ARG_STR;
	return OK;
}

MUST static err_t number_take(walk_t *w, const json_t *node, policy_arg_t *arg)
{
	if (json_i64(node, &arg->n) != OK) {
		return refuse(w, ERR_NUMBER, arg->key, "rules see whole numbers up to 2^53 - 1 only");
	}
	arg->kind = POLICY_ARG_NUM;
	return OK;
}

MUST static err_t bool_take(const json_t *node, policy_arg_t *arg)
{
	bool v;

	TRY(json_bool(node, &v));
	arg->n = v;
	arg->kind = POLICY_ARG_BOOL;
	return OK;
}

/* An empty object has no name a rule could look for, so nothing could be said about it. */
MUST static err_t descend(walk_t *w, const json_t *node, str_t key)
{
	if (json_count(node) == 0) {
		return refuse(w, ERR_VALUE, key, "an empty object cannot be judged: leave it out");
	}
	if (w->depth == POLICY_ARGS_DEPTH_MAX) {
		return refuse(w, ERR_LIMIT, key, "nested too deeply");
	}
	w->levels[w->depth++] = (level_t){ json_first(node), arena_cat(w->a, key, STR(".")) };
	return OK;
}

/* Most calls have a handful: starts small, doubles. */
MUST static err_t arg_add(walk_t *w, const policy_arg_t *arg)
{
	enum { FIRST = 16 };

	if (w->n + w->elements >= POLICY_ARGS_MAX) {
		return refuse(w, ERR_LIMIT, arg->key, "too many values");
	}
	if (w->n == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : FIRST;
		policy_arg_t *v;

		TRY(arena_try_array(w->a, policy_arg_t, cap, &v));
		for (size_t i = 0; i < w->n; i++) {
			v[i] = w->v[i];
		}
		w->v = v;
		w->cap = cap;
	}
	w->v[w->n++] = *arg;
	return OK;
}

MUST static err_t member_take(walk_t *w, const json_t *node, str_t key)
{
	policy_arg_t arg = { .key = key };

	switch (json_kind(node)) {
	case JSON_OBJECT: return descend(w, node, key);
	case JSON_STRING: TRY(text_take(w, node, &arg)); break;
	case JSON_NUMBER: TRY(number_take(w, node, &arg)); break;
	case JSON_BOOL: TRY(bool_take(node, &arg)); break;
	case JSON_ARRAY: TRY(list_take(w, node, &arg)); break;
	case JSON_NULL: return refuse(w, ERR_VALUE, key, "null cannot be judged: leave it out");
	case JSON_NONE: return ERR_VALUE;
	}
	return arg_add(w, &arg);
}

/* "a.b" and {"a":{"b":..}} would be one name for two things. */
MUST static err_t name_check(walk_t *w, str_t name, str_t prefix)
{
	if (str_find(name, '.') < name.n) {
		return refuse(w, ERR_VALUE, name, "a name with a dot cannot be judged");
	}
	if (prefix.n + name.n > POLICY_ARG_KEY_BYTES_MAX) {
		return refuse(w, ERR_LIMIT, name, "the name is too long");
	}
	return OK;
}

MUST static err_t walk_run(walk_t *w)
{
	while (w->depth) {
		level_t *level = &w->levels[w->depth - 1];
		const json_t *node = level->next;

		if (!node) {
			w->depth--;
			continue;
		}
		str_t name = json_key(node), prefix = level->prefix;

		level->next = json_next(node);
		TRY(name_check(w, name, prefix));
		TRY(member_take(w, node, prefix.n ? arena_cat(w->a, prefix, name) : name));
	}
	return OK;
}

err_t policy_args_flatten(arena_t *a, const json_t *args, policy_args_t *out, diag_t *diag)
{
	walk_t w = { .a = a, .diag = diag };

	if (!args) {
		*out = (policy_args_t){ 0 };
		return OK;
	}
	ENSURE(json_kind(args) == JSON_OBJECT, ERR_VALUE);
	w.levels[w.depth++] = (level_t){ json_first(args), STR_NULL };
	TRY(walk_run(&w));
	*out = (policy_args_t){ w.v, w.n };
	return OK;
}
