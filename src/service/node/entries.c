/* entries.c: the entries this node may serve, found by their first selector: of an entry that matches, that one
 * is among the caller's. */
#include "service/node/node_int.h"

enum { ENTRY_ARENA_BYTES_MAX = 256 << 10 };

static node_entry_t **bucket(entries_t *t, str_t selector)
{
	uint64_t h = 1469598103934665603ull; /* FNV-1a: where things lie, never whether they are equal */

	for (size_t i = 0; i < selector.n; i++) {
		h = (h ^ (uint8_t)selector.p[i]) * 1099511628211ull;
	}
	return &t->buckets[h % NODE_BUCKETS];
}

node_entry_t *entries_ref(node_entry_t *e)
{
	e->refs++;
	return e;
}

void entries_unref(node_entry_t *e)
{
	if (e && --e->refs == 0) {
		arena_free(e->a); /* it lies in it */
	}
}

static void needs_count(entries_t *t)
{
	t->needs = 0;
	for (size_t i = 0; i < NODE_BUCKETS; i++) {
		for (const node_entry_t *e = t->buckets[i]; e; e = e->next) {
			t->needs |= e->needs;
		}
	}
}

static node_entry_t **place_of(entries_t *t, str_t key)
{
	for (size_t i = 0; i < NODE_BUCKETS; i++) {
		for (node_entry_t **p = &t->buckets[i]; *p; p = &(*p)->next) {
			if (str_eq((*p)->key, key)) {
				return p;
			}
		}
	}
	return NULL;
}

static void take_out(entries_t *t, node_entry_t **p)
{
	node_entry_t *e = *p;

	*p = e->next;
	e->next = NULL;
	e->gone = true;
	t->n--;
	entries_unref(e);
}

bool entries_remove(entries_t *t, str_t key)
{
	node_entry_t **p = place_of(t, key);

	if (!p) {
		return false;
	}
	take_out(t, p);
	needs_count(t);
	return true;
}

static err_t entry_read(arena_t *a, const json_t *line, str_t td, node_entry_t *e)
{
	const json_t *doc;

	TRY(json_need_str(line, STR("key"), SPIFFE_ID_BYTES_MAX + SPIFFE_ENTRY_ID_BYTES_MAX + 1, &e->key));
	TRY(json_need_str(line, STR("agent"), SPIFFE_ID_BYTES_MAX, &e->agent));
	TRY(json_need_i64(line, STR("created"), &e->created_s));
	TRY(json_need_obj(line, STR("entry"), &doc));
	TRY(arena_dup(a, e->key, &e->key));
	TRY(arena_dup(a, e->agent, &e->agent));
	TRY(arena_dup(a, json_raw(doc), &e->doc));
	TRY(json_parse_object(a, e->doc, &doc, NULL)); /* borrows from the arena, no longer from the line */
	TRY(spiffe_entry_read(a, doc, td, &e->e, NULL));
	ENSURE(e->e.selectors.n > 0, ERR_VALUE);
	e->needs = attest_families_of(&e->e.selectors) | (e->e.has_runner ? attest_families_of(&e->e.runner) : 0);
	return OK;
}

err_t entries_put(entries_t *t, const json_t *line, str_t td, bool *out_changed)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(ENTRY_ARENA_BYTES_MAX);
	node_entry_t *e = arena_new(a, node_entry_t);

	e->a = a;
	TRY(entry_read(a, line, td, e));
	node_entry_t **had = place_of(t, e->key);
	if (had && str_eq((*had)->doc, e->doc) && (*had)->created_s == e->created_s) {
		(*had)->stale = false;
		*out_changed = false;
		return OK;
	}
	if (had) {
		take_out(t, had);
	}
	ENSURE(t->n < NODE_ENTRIES_MAX, ERR_LIMIT);
	node_entry_t **to = bucket(t, e->e.selectors.v[0]);
	e->refs = 1;
	e->next = *to;
	*to = e;
	t->n++;
	(void)TAKE(a);
	needs_count(t);
	*out_changed = true;
	return OK;
}

void entries_stale(entries_t *t)
{
	for (size_t i = 0; i < NODE_BUCKETS; i++) {
		for (node_entry_t *e = t->buckets[i]; e; e = e->next) {
			e->stale = true;
		}
	}
}

bool entries_sweep(entries_t *t)
{
	bool any = false;

	for (size_t i = 0; i < NODE_BUCKETS; i++) {
		for (node_entry_t **p = &t->buckets[i]; *p;) {
			if ((*p)->stale) {
				take_out(t, p);
				any = true;
			} else {
				p = &(*p)->next;
			}
		}
	}
	if (any) {
		needs_count(t);
	}
	return any;
}

void entries_done(entries_t *t)
{
	entries_stale(t);
	(void)entries_sweep(t);
}

err_t entries_for_run(entries_t *t, str_t who, str_t entry, node_entry_t **out)
{
	node_entry_t *found = NULL;

	for (size_t i = 0; i < NODE_BUCKETS; i++) {
		for (node_entry_t *e = t->buckets[i]; e; e = e->next) {
			str_t name = str_sub(e->agent, str_find_last(e->agent, '/') + 1, e->agent.n);
			bool named = str_eq(e->agent, who) || str_eq(name, who);
			if (!e->e.has_runner || !named || (entry.n && !str_eq(e->e.id, entry))) {
				continue;
			}
			ENSURE(!found, ERR_VALUE);
			found = e;
		}
	}
	ENSURE(found, ERR_NOT_FOUND);
	*out = found;
	return OK;
}

/* --- matching -------------------------------------------------------------------------------------------- */

/* All of the entry's selectors are the caller's, but for those of families nobody could tell. */
static bool might_match(const node_entry_t *e, const match_facts_t *f)
{
	for (size_t i = 0; i < e->e.selectors.n; i++) {
		str_t s = e->e.selectors.v[i];
		if (!(attest_family_of(s) & f->unknown) && !spiffe_selectors_has(f->selectors, s)) {
			return false;
		}
	}
	return true;
}

/* An entry for runs is for the run that began under it, and a run has no other. */
static bool is_for(const node_entry_t *e, const match_facts_t *f)
{
	bool expired = e->e.expires_at_unix_s && e->e.expires_at_unix_s <= f->now_s;

	return !expired && (f->run ? str_eq(f->run->entry->key, e->key) : !e->e.has_runner);
}

static void match_add(match_t *m, node_entry_t *e)
{
	size_t at = m->n;

	if (m->n == NODE_MATCHES_MAX) {
		log_kv(LVL_WARN, "node.identities_over", kv_s("left_out", e->key));
		return;
	}
	while (at > 0 && spiffe_entry_order(m->v[at - 1]->e.priority, m->v[at - 1]->created_s, m->v[at - 1]->key,
				 e->e.priority, e->created_s, e->key) > 0) {
		m->v[at] = m->v[at - 1];
		at--;
	}
	m->v[at] = e;
	m->n++;
}

static void match_bucket(node_entry_t *e, str_t first, const match_facts_t *f, match_t *m)
{
	for (; e; e = e->next) {
		bool ours = str_eq(e->e.selectors.v[0], first) && is_for(e, f);
		if (ours && spiffe_selectors_match(&e->e.selectors, f->selectors)) {
			match_add(m, e);
		}
	}
}

void entries_match(const entries_t *t, const match_facts_t *f, match_t *out)
{
	*out = (match_t){ 0 };
	for (size_t i = 0; i < f->selectors->n; i++) {
		str_t s = f->selectors->v[i];
		match_bucket(*bucket((entries_t *)t, s), s, f, out);
	}
	for (size_t i = 0; f->unknown && i < NODE_BUCKETS && !out->maybe; i++) {
		for (const node_entry_t *e = t->buckets[i]; e && !out->maybe; e = e->next) {
			out->maybe = is_for(e, f) && !spiffe_selectors_match(&e->e.selectors, f->selectors) && might_match(e, f);
		}
	}
}
