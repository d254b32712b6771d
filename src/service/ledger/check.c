/* check.c: the whole store against its last signed head (reference ledger 9.4). */
#include <stdio.h>

#include "service/ledger/ledger_int.h"

typedef struct {
	arena_t *a; /* reset for each page */
	ledger_report_t r;
	merkle_frontier_t f;
	int64_t last_seq;
	uint64_t signed_size, tree_size; /* the tree may be ahead of its signature */
	merkle_hash_t signed_root, tree_root; /* recomputed; as the tree's state says */
} check_t;

static err_t bad(check_t *c, const char *why)
{
	(void)snprintf(c->r.why, sizeof(c->r.why), "%s", why);
	return ERR_LEDGER_DAMAGED;
}

static err_t bad_record(check_t *c, uint64_t index, str_t rid, const char *why)
{
	c->r.bad = true;
	c->r.bad_index = index;
	(void)snprintf(c->r.bad_rid, sizeof(c->r.bad_rid), "%.*s", (int)(rid.n < 31 ? rid.n : 31), rid.p);
	return bad(c, why);
}

/* Hash as recorded, and the columns people search by say what the leaf says. */
static err_t entry_check(check_t *c, const store_entry_t *e, uint64_t index, merkle_hash_t *out)
{
	str_t rid = arena_cat(c->a, STR("\"rid\":\""), e->rid, STR("\""));
	str_t type = arena_cat(c->a, STR("\"type\":\""), e->kind, STR("\""));
	merkle_hash_t h = merkle_leaf_hash(e->leaf);

	if (!str_eq(merkle_hash_str(&h), e->leaf_hash)) {
		return bad_record(c, index, e->rid, "leaf hash differs");
	}
	if (!str_contains(e->leaf, rid) || !str_contains(e->leaf, type)) {
		return bad_record(c, index, e->rid, "the row names another record than its leaf");
	}
	*out = h;
	return OK;
}

static err_t indexed_check(check_t *c, const store_entry_t *e)
{
	merkle_hash_t h;

	if (e->idx != (int64_t)c->f.size || e->seq <= c->last_seq) {
		return bad_record(c, c->f.size, e->rid, "a record is missing or out of order");
	}
	TRY(entry_check(c, e, c->f.size, &h));
	merkle_frontier_append(&c->f, &h);
	if (c->f.size == c->signed_size) {
		c->signed_root = merkle_frontier_root(&c->f);
	}
	c->last_seq = e->seq;
	return OK;
}

static err_t indexed_walk(check_t *c, store_txn_t *t)
{
	store_entry_t *rows;
	size_t n;

	do {
		arena_reset(c->a);
		TRY(store_entry_range(t, c->a, (int64_t)c->f.size, LEDGER_SEQUENCE_MAX, &rows, &n));
		for (size_t i = 0; i < n; i++) {
			TRY(indexed_check(c, &rows[i]));
		}
	} while (n > 0);
	c->r.records = c->f.size;
	return OK;
}

/* Records that wait for their index: at most a second's worth, but after a crash perhaps more. The
 * sequencer hashes each again; here the first page must do for the start. */
static err_t waiting_check(check_t *c, store_txn_t *t)
{
	store_entry_t *rows;
	merkle_hash_t h;
	size_t n;

	arena_reset(c->a);
	TRY(store_entry_waiting(t, c->a, LEDGER_SEQUENCE_MAX, &rows, &n));
	for (size_t i = 0; i < n; i++) {
		TRY(entry_check(c, &rows[i], c->f.size + i, &h));
	}
	return OK;
}

static err_t head_check(check_t *c, store_txn_t *t, const merkle_vkey_t *log)
{
	store_log_lock_t lock;
	store_tree_head_t tree;
	merkle_checkpoint_t head;
	err_t err;

	arena_reset(c->a);
	err = store_log_lock_get(t, c->a, &lock);
	ENSURE(err == OK, err == ERR_NOT_FOUND ? bad(c, "no head was ever signed") : err);
	err = store_tree_head_get(t, c->a, &tree);
	ENSURE(err == OK, err == ERR_NOT_FOUND ? bad(c, "the tree's state is missing") : err);
	if (merkle_checkpoint_open(c->a, lock.checkpoint, log, &head) != OK) {
		return bad(c, "the head is not signed by the given key");
	}
	bool tree_ok = tree.size > lock.size || (tree.size == lock.size && str_eq(tree.root, lock.root));
	if (head.size != (uint64_t)lock.size || !str_eq(merkle_hash_str(&head.root), lock.root) || !tree_ok) {
		return bad(c, "head, lock and tree differ");
	}
	c->tree_size = (uint64_t)tree.size;
	TRY(merkle_hash_from(tree.root, &c->tree_root));
	c->r.head = head;
	c->r.head.origin = log->name;
	c->r.head_ok = true;
	c->signed_size = head.size;
	return OK;
}

static err_t root_check(check_t *c)
{
	merkle_hash_t root = merkle_frontier_root(&c->f);

	if (c->f.size < c->signed_size) {
		return bad(c, "records below the signed head are missing");
	}
	if (!merkle_hash_eq(&c->signed_root, &c->r.head.root)) {
		return bad(c, "the root of the records is not the signed one");
	}
	if (c->f.size != c->tree_size || !merkle_hash_eq(&root, &c->tree_root)) {
		return bad(c, "records have an index the tree does not cover");
	}
	c->r.whole = true;
	return OK;
}

static err_t check_all(check_t *c, store_txn_t *t, const merkle_vkey_t *log)
{
	bool gapless;

	TRY(head_check(c, t, log));
	TRY(indexed_walk(c, t));
	TRY(root_check(c));
	TRY(waiting_check(c, t));
	TRY(store_source_gapless(t, &gapless));
	return gapless ? OK : bad(c, "a producer's numbers have a gap");
}

err_t ledger_verify_store(store_txn_t *t, const merkle_vkey_t *log, ledger_report_t *report)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(8u << 20); /* a page of 256 full leaves */
	check_t c = { .a = a };
	err_t err;

	merkle_frontier_init(&c.f);
	c.signed_root = merkle_empty_root();
	err = check_all(&c, t, log);
	*report = c.r;
	return err;
}
