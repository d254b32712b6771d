/* used_index.c: which ids are spent, in memory: a hash table with linear probing, and what the running
 * transaction changed in it, so that a rollback can take it back. The keys are salted hashes: nobody can
 * choose ids that fall into one place, and two ids that share a key do not exist. */
#include "engine/store/store_int.h"

enum { SLOTS_MIN = 1024, CHANGES_MIN = 256 };

typedef struct {
	used_key_t key;
	bool added; /* else removed */
} change_t;

struct used_index {
	used_key_t *slots; /* a power of two; all zero: free */
	size_t n_slots, n;
	change_t *changes; /* of the running transaction, oldest first */
	size_t n_changes, cap_changes;
};

used_index_t *used_index_new(void)
{
	used_index_t *x = heap_new(used_index_t);

	x->n_slots = SLOTS_MIN;
	x->slots = heap_alloc(x->n_slots * sizeof(*x->slots));
	x->cap_changes = CHANGES_MIN;
	x->changes = heap_alloc(x->cap_changes * sizeof(*x->changes));
	return x;
}

void used_index_free(used_index_t *x)
{
	if (!x) {
		return;
	}
	heap_free(x->slots);
	heap_free(x->changes);
	heap_free(x);
}

static bool is_free(used_key_t key)
{
	return key.a == 0 && key.b == 0;
}

/* Where `key` stands, or would. */
static size_t place_of(const used_index_t *x, used_key_t key)
{
	size_t at = key.a & (x->n_slots - 1);

	while (!is_free(x->slots[at]) && (x->slots[at].a != key.a || x->slots[at].b != key.b)) {
		at = (at + 1) & (x->n_slots - 1);
	}
	return at;
}

bool used_index_has(const used_index_t *x, used_key_t key)
{
	return !is_free(x->slots[place_of(x, key)]);
}

static void grow(used_index_t *x)
{
	used_key_t *old = x->slots;
	size_t n_old = x->n_slots;

	x->n_slots *= 2;
	x->slots = heap_alloc(x->n_slots * sizeof(*x->slots));
	for (size_t i = 0; i < n_old; i++) {
		if (!is_free(old[i])) {
			x->slots[place_of(x, old[i])] = old[i];
		}
	}
	heap_free(old);
}

static void put(used_index_t *x, used_key_t key)
{
	CHECK(!is_free(key));
	if (4 * (x->n + 1) > 3 * x->n_slots) {
		grow(x);
	}
	size_t at = place_of(x, key);
	x->n += is_free(x->slots[at]);
	x->slots[at] = key;
}

/* What stands behind the hole and would no longer be found moves into it, again and again (Knuth 6.4 R). */
static void take(used_index_t *x, used_key_t key)
{
	size_t mask = x->n_slots - 1, hole = place_of(x, key);

	CHECK(!is_free(x->slots[hole]));
	for (size_t at = (hole + 1) & mask; !is_free(x->slots[at]); at = (at + 1) & mask) {
		size_t home = x->slots[at].a & mask;
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			x->slots[hole] = x->slots[at];
			hole = at;
		}
	}
	x->slots[hole] = (used_key_t){ 0 };
	x->n--;
}

static void change_note(used_index_t *x, used_key_t key, bool added)
{
	if (x->n_changes == x->cap_changes) {
		x->cap_changes *= 2;
		x->changes = heap_realloc(x->changes, x->cap_changes * sizeof(*x->changes));
	}
	x->changes[x->n_changes++] = (change_t){ key, added };
}

void used_index_load(used_index_t *x, used_key_t key)
{
	put(x, key);
}

void used_index_add(used_index_t *x, used_key_t key)
{
	CHECK(!used_index_has(x, key));
	put(x, key);
	change_note(x, key, true);
}

void used_index_remove(used_index_t *x, used_key_t key)
{
	if (used_index_has(x, key)) {
		take(x, key);
		change_note(x, key, false);
	}
}

void used_index_clear(used_index_t *x)
{
	CHECK(x->n_changes == 0);
	memset(x->slots, 0, x->n_slots * sizeof(*x->slots));
	x->n = 0;
}

size_t used_index_mark(const used_index_t *x)
{
	return x->n_changes;
}

void used_index_undo(used_index_t *x, size_t mark)
{
	CHECK(mark <= x->n_changes);
	while (x->n_changes > mark) {
		const change_t *c = &x->changes[--x->n_changes];

		if (c->added) {
			take(x, c->key);
		} else {
			put(x, c->key);
		}
	}
}

void used_index_commit(used_index_t *x)
{
	x->n_changes = 0;
}
