/* export.c: records as JSON lines, then the signed head (docs/ledger-export.md). */
#include "service/ledger/ledger_int.h"

/* Every full subtree's root, level by level: what proofs of a part are made of. */
typedef struct {
	uint64_t n;
	merkle_hash_t *level[MERKLE_LEVELS_MAX];
} tree_t;

static void tree_done(tree_t *tree)
{
	for (size_t i = 0; i < MERKLE_LEVELS_MAX; i++) {
		heap_free(tree->level[i]);
	}
}
static inline void tree_done_auto_(tree_t *tree) { tree_done(tree); }

static err_t tree_at(void *self, unsigned level, uint64_t index, merkle_hash_t *out)
{
	const tree_t *tree = self;

	CHECK(index < tree->n >> level);
	*out = tree->level[level][index];
	return OK;
}

static err_t leaves_load(store_txn_t *t, tree_t *tree)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(8u << 20);
	uint64_t at = 0;

	tree->level[0] = heap_alloc((size_t)tree->n * sizeof(merkle_hash_t));
	while (at < tree->n) {
		store_entry_t *rows;
		size_t n;

		arena_reset(a);
		TRY(store_entry_range(t, a, (int64_t)at, LEDGER_SEQUENCE_MAX, &rows, &n));
		ENSURE(n > 0, ERR_LEDGER_DAMAGED);
		for (size_t i = 0; i < n && at < tree->n; i++, at++) {
			ENSURE(rows[i].idx == (int64_t)at, ERR_LEDGER_DAMAGED);
			TRY(merkle_hash_from(rows[i].leaf_hash, &tree->level[0][at]));
		}
	}
	return OK;
}

static err_t tree_load(store_txn_t *t, uint64_t n, tree_t *tree)
{
	ENSURE(n <= LEDGER_PART_SIZE_MAX, ERR_LIMIT);
	tree->n = n;
	TRY(leaves_load(t, tree));
	for (unsigned level = 1; n >> level > 0; level++) {
		uint64_t width = n >> level;

		tree->level[level] = heap_alloc((size_t)width * sizeof(merkle_hash_t));
		for (uint64_t i = 0; i < width; i++) {
			tree->level[level][i] = merkle_node_hash(&tree->level[level - 1][2 * i],
								 &tree->level[level - 1][2 * i + 1]);
		}
	}
	return OK;
}

typedef struct {
	ledger_line_fn_t *line;
	void *self;
	const tree_t *tree; /* NULL: no proofs */
	uint64_t to;
} export_t;

static err_t record_emit(const export_t *x, arena_t *a, const store_entry_t *e, uint64_t index)
{
	merkle_source_t src = { tree_at, (void *)x->tree };
	merkle_proof_t proof;
	merkle_hash_t hash;

	ENSURE(e->idx == (int64_t)index, ERR_LEDGER_DAMAGED);
	TRY(merkle_hash_from(e->leaf_hash, &hash));
	if (x->tree) {
		TRY(merkle_inclusion_prove(&src, index, x->tree->n, &proof));
	}
	return x->line(x->self, line_record(a, index, e->leaf, &hash, x->tree ? &proof : NULL));
}

static err_t records_emit(const export_t *x, store_txn_t *t, uint64_t from)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(32u << 20); /* a page of leaves and its lines */

	while (from < x->to) {
		uint64_t left = x->to - from;
		int64_t limit = left < LEDGER_SEQUENCE_MAX ? (int64_t)left : LEDGER_SEQUENCE_MAX;
		store_entry_t *rows;
		size_t n;

		arena_reset(a);
		TRY(store_entry_range(t, a, (int64_t)from, limit, &rows, &n));
		ENSURE(n > 0, ERR_LEDGER_DAMAGED);
		for (size_t i = 0; i < n; i++, from++) {
			TRY(record_emit(x, a, &rows[i], from));
		}
	}
	return OK;
}

err_t ledger_export(store_txn_t *t, uint64_t from, uint64_t to, ledger_line_fn_t *line, void *self)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(tree_done) tree_t tree = { .n = 0 };
	export_t x = { .line = line, .self = self };
	merkle_checkpoint_t head;
	str_t note;

	TRY(ledger_head(t, a, &note, &head));
	x.to = to < head.size ? to : head.size;
	ENSURE(from < x.to || head.size == 0, ERR_VALUE);
	if (from > 0 || x.to < head.size) {
		TRY(tree_load(t, head.size, &tree));
		x.tree = &tree;
	}
	TRY(records_emit(&x, t, from));
	return line(self, line_head(a, note));
}
