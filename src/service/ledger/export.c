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
	signer_head_t *ends; /* of lists, as the records named them last */
	size_t n_ends;
} export_t;

static signer_head_t *end_of(export_t *x, str_t kid)
{
	size_t i = 0;

	while (i < x->n_ends && !str_eq(str_of(x->ends[i].kid), kid)) {
		i++;
	}
	if (i == x->n_ends && i < LEDGER_LISTS_MAX) {
		memcpy(x->ends[i].kid, kid.p, kid.n);
		x->n_ends++;
	}
	return i < LEDGER_LISTS_MAX ? &x->ends[i] : NULL;
}

/* A signer.head record: how far each list is. */
static err_t ends_take(export_t *x, arena_t *a, str_t leaf)
{
	const json_t *root;

	TRY(json_parse_object(a, leaf, &root, NULL));
	for (const json_t *i = json_first(json_get(root, STR("lists"))); i; i = json_next(i)) {
		str_t kid;
		uint64_t count;

		TRY(json_need_str(i, STR("kid"), SIGNER_KID_BYTES, &kid));
		TRY(json_need_u64(i, STR("count"), JSON_SAFE_INT_MAX, &count));
		signer_head_t *end = end_of(x, kid);
		ENSURE(end, ERR_LIMIT);
		end->count = count;
	}
	return OK;
}

static err_t record_emit(export_t *x, arena_t *a, const store_entry_t *e, uint64_t index)
{
	merkle_source_t src = { tree_at, (void *)x->tree };
	merkle_proof_t proof;
	merkle_hash_t hash;

	ENSURE(e->idx == (int64_t)index, ERR_LEDGER_DAMAGED);
	TRY(merkle_hash_from(e->leaf_hash, &hash));
	if (!x->tree && str_eq(e->kind, STR("signer.head"))) {
		TRY(ends_take(x, a, e->leaf));
	}
	if (x->tree) {
		TRY(merkle_inclusion_prove(&src, index, x->tree->n, &proof));
	}
	return x->line(x->self, line_record(a, index, e->leaf, &hash, x->tree ? &proof : NULL));
}

static err_t records_emit(export_t *x, store_txn_t *t, uint64_t from)
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

/* ---- the signer's lists, as far as the records name them ---- */

static err_t list_emit(const export_t *x, const ledger_t *l, const signer_head_t *end)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(1u << 20);
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, LEDGER_LIST_LINE_ENTRIES * LINE_ENTRY_BYTES);
	for (uint64_t at = 0; at < end->count;) {
		signer_entry_t *e;
		size_t n;

		arena_reset(a);
		buf_clear(&b);
		TRY(signer_client_list(l->signer, a, str_of(end->kid), at, &e, &n));
		if (n == 0) {
			return OK; /* shorter than it was: whoever verifies says so */
		}
		n = n < LEDGER_LIST_LINE_ENTRIES ? n : LEDGER_LIST_LINE_ENTRIES;
		n = n < end->count - at ? n : (size_t)(end->count - at);
		for (size_t i = 0; i < n; i++) {
			wr_u64be(&b, e[i].number);
			buf_add(&b, str_bytes(e[i].digest, sizeof(e[i].digest)));
		}
		TRY(x->line(x->self, line_list(a, str_of(end->kid), at, buf_str(&b))));
		at += n;
	}
	return OK;
}

static err_t lists_emit(const export_t *x, const ledger_t *l)
{
	for (size_t i = 0; i < x->n_ends; i++) {
		TRY(list_emit(x, l, &x->ends[i]));
	}
	return OK;
}

err_t ledger_export(const ledger_t *l, store_txn_t *t, uint64_t from, uint64_t to, ledger_line_fn_t *line, void *self)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(4u << 20);
	AUTO(tree_done) tree_t tree = { .n = 0 };
	export_t x = { .line = line, .self = self };
	merkle_checkpoint_t head;
	str_t note;

	TRY(arena_try_array(a, signer_head_t, LEDGER_LISTS_MAX, &x.ends));
	TRY(ledger_head(t, a, &note, &head));
	x.to = to < head.size ? to : head.size;
	ENSURE(from < x.to || head.size == 0, ERR_VALUE);
	if (from > 0 || x.to < head.size) {
		TRY(tree_load(t, head.size, &tree));
		x.tree = &tree;
	}
	TRY(records_emit(&x, t, from));
	if (!x.tree) {
		TRY(lists_emit(&x, l));
	}
	return line(self, line_head(a, note));
}
