/* changes.c: one row per change, in the transaction that makes it; the feed reads them in order. */
#include "engine/store/store_int.h"

static err_t change_row(query_t *q, arena_t *a, void *out)
{
	store_change_t *x = out;

	x->seq = query_get_int(q);
	TRY(query_get(q, a, &x->kind));
	TRY(query_get(q, a, &x->id));
	TRY(query_get(q, a, &x->body));
	x->snapshot = query_get_int(q) == 1;
	return OK;
}

err_t store_change_add(store_txn_t *t, const store_change_t *change, int64_t *out_seq)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO change (kind, id, body, snapshot) VALUES (?, ?, ?, ?)"
			  " RETURNING seq", &q));
	query_text(&q, change->kind);
	query_text(&q, change->id);
	query_text(&q, change->body);
	query_int(&q, change->snapshot);
	return query_one_int(&q, out_seq);
}

err_t store_change_since(store_txn_t *t, arena_t *a, int64_t after_seq, int64_t limit,
			 store_change_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT seq, kind, id, body, snapshot FROM change WHERE seq > ?"
			  " ORDER BY seq LIMIT ?", &q));
	query_int(&q, after_seq);
	query_int(&q, limit);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, change_row, out, out_n);
}

static err_t last(store_txn_t *t, const char *sql, int64_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, sql, &q));
	return query_one_int(&q, out);
}

err_t store_change_last(store_txn_t *t, int64_t *out_seq)
{
	return last(t, "SELECT coalesce(max(seq), 0) FROM change", out_seq);
}

err_t store_snapshot_version(store_txn_t *t, int64_t *out_seq)
{
	return last(t, "SELECT coalesce(max(seq), 0) FROM change WHERE snapshot = 1", out_seq);
}
