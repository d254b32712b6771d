/* revoked.c: a hash set with an expiry. ULIDs are made by the authority, so nobody outside chooses
 * where they fall. */
#include "service/feed/revoked.h"

static size_t place_of(const revoked_t *r, str_t id)
{
	uint64_t h = 1469598103934665603ull; /* FNV-1a */

	for (size_t i = 0; i < id.n; i++) {
		h = (h ^ (uint8_t)id.p[i]) * 1099511628211ull;
	}
	return (size_t)h & (r->places - 1);
}

/* The entry of `id`, or the empty place where it would go. */
static revoked_entry_t *entry_for(const revoked_t *r, str_t id)
{
	size_t at = place_of(r, id);

	while (r->table[at].id[0] && !str_eq(id, str_bytes(r->table[at].id, REVOKED_ID_BYTES))) {
		at = (at + 1) & (r->places - 1);
	}
	return &r->table[at];
}

/* Moves what is still young into a table twice as large as needed. */
static void grow(revoked_t *r, uint64_t now_s)
{
	revoked_t old = *r;
	size_t alive = 0;

	for (size_t i = 0; i < old.places; i++) {
		alive += old.table[i].id[0] && old.table[i].until_s > now_s;
	}
	r->places = 64;
	while (r->places < 4 * (alive + 1)) {
		r->places *= 2;
	}
	r->table = heap_alloc(r->places * sizeof(*r->table));
	r->n = alive;
	for (size_t i = 0; i < old.places; i++) {
		if (old.table[i].id[0] && old.table[i].until_s > now_s) {
			*entry_for(r, str_bytes(old.table[i].id, REVOKED_ID_BYTES)) = old.table[i];
		}
	}
	heap_free(old.table);
}

void revoked_add(revoked_t *r, str_t id, uint64_t now_s)
{
	if (id.n != REVOKED_ID_BYTES || id.p[0] == 0) {
		return;
	}
	if (2 * (r->n + 1) > r->places) {
		grow(r, now_s);
	}
	if (r->n >= FEED_REVOKED_MAX) {
		return; /* admit refuses it all the same */
	}
	revoked_entry_t *e = entry_for(r, id);
	r->n += e->id[0] == 0;
	memcpy(e->id, id.p, REVOKED_ID_BYTES);
	e->until_s = now_s + FEED_REVOKED_REMEMBER_S;
}

bool revoked_has(const revoked_t *r, str_t id)
{
	return r->places && id.n == REVOKED_ID_BYTES && entry_for(r, id)->id[0] != 0;
}

void revoked_done(revoked_t *r)
{
	heap_free(r->table);
	*r = (revoked_t){ 0 };
}
