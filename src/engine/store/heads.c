/* heads.c: what has been integrated, and what was signed. One row each. */
#include "engine/store/store_int.h"

static err_t head_row(query_t *q, arena_t *a, void *out)
{
	store_tree_head_t *x = out;

	x->size = query_get_int(q);
	TRY(query_get(q, a, &x->frontier));
	TRY(query_get(q, a, &x->root));
	return OK;
}

static err_t lock_row(query_t *q, arena_t *a, void *out)
{
	store_log_lock_t *x = out;

	x->fence = query_get_int(q);
	x->size = query_get_int(q);
	TRY(query_get(q, a, &x->root));
	TRY(query_get(q, a, &x->checkpoint));
	return OK;
}

err_t store_tree_head_get(store_txn_t *t, arena_t *a, store_tree_head_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT size, frontier, root FROM tree_head WHERE one = 1", &q));
	return query_one(&q, a, sizeof(*out), head_row, out);
}

err_t store_tree_head_put(store_txn_t *t, const store_tree_head_t *head)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO tree_head (one, size, frontier, root) VALUES (1, ?, ?, ?)"
			  " ON CONFLICT (one) DO UPDATE SET size = excluded.size,"
			  " frontier = excluded.frontier, root = excluded.root", &q));
	query_int(&q, head->size);
	query_blob(&q, head->frontier);
	query_blob(&q, head->root);
	return query_run(&q);
}

err_t store_log_lock_get(store_txn_t *t, arena_t *a, store_log_lock_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT fence, size, root, checkpoint FROM log_lock WHERE one = 1", &q));
	return query_one(&q, a, sizeof(*out), lock_row, out);
}

err_t store_log_lock_init(store_txn_t *t, const store_log_lock_t *first)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO log_lock (one, fence, size, root, checkpoint)"
			  " VALUES (1, ?, ?, ?, ?)", &q));
	query_int(&q, first->fence);
	query_int(&q, first->size);
	query_blob(&q, first->root);
	query_text(&q, first->checkpoint);
	return query_run(&q);
}

err_t store_log_lock_swap(store_txn_t *t, const store_log_lock_t *old, const store_log_lock_t *new_)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE log_lock SET fence = ?, size = ?, root = ?, checkpoint = ?"
			  " WHERE one = 1 AND fence = ? AND size = ? AND root = ?", &q));
	query_int(&q, new_->fence);
	query_int(&q, new_->size);
	query_blob(&q, new_->root);
	query_text(&q, new_->checkpoint);
	query_int(&q, old->fence);
	query_int(&q, old->size);
	query_blob(&q, old->root);
	return query_run_one(&q, ERR_CONFLICT);
}
