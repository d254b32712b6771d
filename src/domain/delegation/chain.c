/* chain.c: who acts for whom: the nested `act` object (RFC 8693 4.1, actor profile), flat in memory. */
#include "domain/delegation/int.h"

static err_t actor_parse(const json_t *node, delegation_actor_t *out, diag_t *diag)
{
	delegation_actor_t x = { 0 };

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("act"), STR("iss"), STR("sub"), STR("sub_profile")));
	TRY(json_need_str(node, STR("iss"), DELEGATION_URL_BYTES_MAX, &x.iss));
	TRY(json_need_str(node, STR("sub"), DELEGATION_SUBJECT_BYTES_MAX, &x.sub));
	TRY(json_want_str(node, STR("sub_profile"), DELEGATION_NAME_BYTES_MAX, &x.sub_profile));
	*out = x;
	return OK;
}

err_t chain_from_node(const json_t *node, delegation_chain_t *out, diag_t *diag)
{
	delegation_chain_t c = { 0 };

	for (const json_t *at = node; at; at = json_get(at, STR("act"))) {
		ENSURE(c.n < DELEGATION_DEPTH_MAX, ERR_DEPTH);
		TRY(actor_parse(at, &c.actors[c.n], diag));
		c.n++;
	}
	*out = c;
	return OK;
}

err_t delegation_chain_parse(arena_t *a, str_t json, delegation_chain_t *out, diag_t *diag)
{
	str_t copy;
	const json_t *root;

	ENSURE(json.n <= DELEGATION_CLAIMS_BYTES_MAX, ERR_LIMIT);
	TRY(arena_dup(a, json, &copy));
	TRY(json_parse_object(a, copy, &root, diag));
	return chain_from_node(root, out, diag);
}

static bool actor_eq(const delegation_actor_t *x, const delegation_actor_t *y)
{
	return str_eq(x->iss, y->iss) && str_eq(x->sub, y->sub);
}

err_t delegation_chain_extend(const delegation_chain_t *in, const delegation_actor_t *actor,
	delegation_chain_t *out)
{
	delegation_chain_t c = { .n = in->n + 1, .actors = { *actor } };

	if (in->n > 0 && actor_eq(&in->actors[0], actor)) {
		*out = *in; /* the same party again: preserve */
		return OK;
	}
	ENSURE(in->n < DELEGATION_DEPTH_MAX, ERR_DEPTH);
	memcpy(&c.actors[1], in->actors, in->n * sizeof(c.actors[0]));
	*out = c;
	return OK;
}

bool chain_eq(const delegation_chain_t *x, const delegation_chain_t *y)
{
	if (x->n != y->n) {
		return false;
	}
	for (size_t i = 0; i < x->n; i++) {
		if (!actor_eq(&x->actors[i], &y->actors[i])
			|| !str_eq(x->actors[i].sub_profile, y->actors[i].sub_profile)) {
			return false;
		}
	}
	return true;
}

/* "act" sorts first: open every level, then fill them from the inside. */
void chain_emit(jw_t *w, const delegation_chain_t *c)
{
	CHECK(c->n > 0);
	for (size_t i = 0; i < c->n; i++) {
		jw_object(w);
		if (i + 1 < c->n) {
			jw_key(w, "act");
		}
	}
	for (size_t i = c->n; i-- > 0;) {
		jw_kstr(w, "iss", c->actors[i].iss);
		jw_kstr(w, "sub", c->actors[i].sub);
		jw_kstr_if(w, "sub_profile", c->actors[i].sub_profile);
		jw_end(w);
	}
}

str_t delegation_chain_write(arena_t *a, const delegation_chain_t *c)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, DELEGATION_CLAIMS_BYTES_MAX);
	jw_init(&w, &b);
	chain_emit(&w, c);
	CHECK(jw_finish(&w) == OK); /* four actors of bounded strings fit; they were UTF-8 when parsed */
	return arena_str(a, buf_str(&b));
}
