/* trust.c: the bundles of our own trust domain and of those it federates with; never merged. */
#include "service/node/node_int.h"

enum { BUNDLE_ARENA_BYTES_MAX = 4 << 20 };

static void bundle_free(node_bundle_t *b)
{
	spiffe_trust_free(b->trust);
	arena_free(b->a); /* it lies in it */
}

static size_t place_of(const trust_t *t, str_t td)
{
	size_t i = 0;

	while (i < t->n && !str_eq(t->v[i]->bundle.td, td)) {
		i++;
	}
	return i;
}

const node_bundle_t *trust_find(const trust_t *t, str_t td)
{
	size_t i = place_of(t, td);

	return i < t->n ? t->v[i] : NULL;
}

const node_bundle_t *trust_own(const trust_t *t, str_t own_td)
{
	return t->n && str_eq(t->v[0]->bundle.td, own_td) ? t->v[0] : NULL;
}

static void insert(trust_t *t, node_bundle_t *b, bool own)
{
	size_t at = own ? 0 : t->n;

	for (size_t i = t->n; i > at; i--) {
		t->v[i] = t->v[i - 1];
	}
	t->v[at] = b;
	t->n++;
}

static err_t bundle_make(arena_t *a, const json_t *line, node_bundle_t *b)
{
	const json_t *doc;
	str_t td, text;

	TRY(json_need_str(line, STR("td"), SPIFFE_TD_BYTES_MAX, &td));
	TRY(json_need_obj(line, STR("bundle"), &doc));
	TRY(arena_dup(a, td, &td));
	TRY(arena_dup(a, json_raw(doc), &text));
	TRY(spiffe_bundle_parse(a, td, text, &b->bundle, NULL));
	return spiffe_trust_new(&b->bundle, &b->trust);
}

err_t trust_put(trust_t *t, const json_t *line, str_t own_td, bool *out_changed)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(BUNDLE_ARENA_BYTES_MAX);
	node_bundle_t *b = arena_new(a, node_bundle_t);

	b->a = a;
	TRY(bundle_make(a, line, b));
	size_t at = place_of(t, b->bundle.td);
	*out_changed = at == t->n || !spiffe_bundle_same_keys(&t->v[at]->bundle, &b->bundle);
	if (at < t->n) {
		bundle_free(t->v[at]);
		t->v[at] = b;
	} else if (t->n < NODE_BUNDLES_MAX) {
		insert(t, b, str_eq(b->bundle.td, own_td));
	} else {
		spiffe_trust_free(b->trust);
		return ERR_LIMIT;
	}
	(void)TAKE(a);
	return OK;
}

static void remove_at(trust_t *t, size_t at)
{
	bundle_free(t->v[at]);
	t->n--;
	for (size_t i = at; i < t->n; i++) {
		t->v[i] = t->v[i + 1];
	}
}

bool trust_remove(trust_t *t, str_t td)
{
	size_t at = place_of(t, td);

	if (at == t->n) {
		return false;
	}
	remove_at(t, at);
	return true;
}

void trust_stale(trust_t *t)
{
	for (size_t i = 0; i < t->n; i++) {
		t->v[i]->stale = true;
	}
}

bool trust_sweep(trust_t *t)
{
	bool any = false;

	for (size_t i = t->n; i-- > 0;) {
		if (t->v[i]->stale) {
			remove_at(t, i);
			any = true;
		}
	}
	return any;
}

void trust_done(trust_t *t)
{
	trust_stale(t);
	(void)trust_sweep(t);
}
