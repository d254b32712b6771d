/* entries.c: producers, records in table order, and their places in the tree. */
#include "engine/store/store_int.h"

#define ENTRY_COLUMNS "e.seq, i.idx, e.rid, e.src, e.n, e.kind, e.of, e.leaf, e.leaf_hash, e.at_us"
#define ENTRY_FROM " FROM entry e LEFT JOIN entry_index i ON i.seq = e.seq "

static err_t entry_row(query_t *q, arena_t *a, void *out)
{
	store_entry_t *x = out;

	x->seq = query_get_int(q);
	x->idx = query_get_int(q);
	TRY(query_get(q, a, &x->rid));
	x->src = query_get_int(q);
	x->n = query_get_int(q);
	TRY(query_get(q, a, &x->kind));
	TRY(query_get(q, a, &x->of));
	TRY(query_get(q, a, &x->leaf));
	TRY(query_get(q, a, &x->leaf_hash));
	x->at_us = query_get_int(q);
	return OK;
}

static err_t source_add(store_txn_t *t, str_t id)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO source (id, n) VALUES (?, 0) ON CONFLICT (id) DO NOTHING", &q));
	query_text(&q, id);
	return query_run(&q);
}

err_t store_source_open(store_txn_t *t, str_t id, int64_t *out_src)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(source_add(t, id));
	TRY(query_open(t, "SELECT src FROM source WHERE id = ?", &q));
	query_text(&q, id);
	return query_one_int(&q, out_src);
}

err_t store_source_next(store_txn_t *t, int64_t src, int64_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	/* two statements: RETURNING would build a table of its own for the one number */
	TRY(query_open(t, "UPDATE source SET n = n + 1 WHERE src = ?", &q));
	query_int(&q, src);
	TRY(query_run_one(&q, ERR_NOT_FOUND));
	return store_source_last(t, src, out_n);
}

err_t store_source_last(store_txn_t *t, int64_t src, int64_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT n FROM source WHERE src = ?", &q));
	query_int(&q, src);
	return query_one_int(&q, out_n);
}

err_t store_source_gapless(store_txn_t *t, bool *out)
{
	AUTO(query_close) query_t q = { 0 };
	bool gap;

	TRY(query_open(t, "SELECT 1 FROM source s WHERE s.n <>"
			  " (SELECT count(*) FROM entry e WHERE e.src = s.src) LIMIT 1", &q));
	TRY(query_step(&q, &gap));
	*out = !gap;
	return OK;
}

err_t store_entry_append(store_txn_t *t, const store_entry_t *e)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO entry (rid, src, n, kind, of, leaf, leaf_hash, at_us)"
			  " VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &q));
	query_text(&q, e->rid);
	query_int(&q, e->src);
	query_int(&q, e->n);
	query_text(&q, e->kind);
	query_text_or_null(&q, e->of);
	query_blob(&q, e->leaf);
	query_blob(&q, e->leaf_hash);
	query_int(&q, e->at_us);
	return query_run(&q);
}

err_t store_entry_by_rid(store_txn_t *t, arena_t *a, str_t rid, store_entry_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " ENTRY_COLUMNS ENTRY_FROM "WHERE e.rid = ?", &q));
	query_text(&q, rid);
	return query_one(&q, a, sizeof(*out), entry_row, out);
}

err_t store_entry_about(store_txn_t *t, arena_t *a, str_t rid, store_entry_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " ENTRY_COLUMNS ENTRY_FROM "WHERE e.of = ? ORDER BY e.seq LIMIT ?", &q));
	query_text(&q, rid);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, entry_row, out, out_n);
}

err_t store_entry_range(store_txn_t *t, arena_t *a, int64_t from, int64_t limit,
			store_entry_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " ENTRY_COLUMNS " FROM entry_index i JOIN entry e ON e.seq = i.seq"
			  " WHERE i.idx >= ? ORDER BY i.idx LIMIT ?", &q));
	query_int(&q, from);
	query_int(&q, limit);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, entry_row, out, out_n);
}

/* seq of the newest entry with an index, 0 when there is none. */
static err_t last_indexed_seq(store_txn_t *t, int64_t *out)
{
	AUTO(query_close) query_t q = { 0 };
	err_t err;

	TRY(query_open(t, "SELECT seq FROM entry_index ORDER BY idx DESC LIMIT 1", &q));
	err = query_one_int(&q, out);
	if (err == ERR_NOT_FOUND) {
		*out = 0;
		return OK;
	}
	return err;
}

err_t store_entry_waiting(store_txn_t *t, arena_t *a, int64_t limit, store_entry_t **out,
			  size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };
	int64_t last;

	TRY(last_indexed_seq(t, &last));
	TRY(query_open(t, "SELECT e.seq, NULL, e.rid, e.src, e.n, e.kind, e.of, e.leaf, e.leaf_hash,"
			  " e.at_us"
			  " FROM entry e WHERE e.seq > ? ORDER BY e.seq LIMIT ?", &q));
	query_int(&q, last);
	query_int(&q, limit);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, entry_row, out, out_n);
}

err_t store_entry_index_add(store_txn_t *t, int64_t idx, int64_t seq)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO entry_index (idx, seq) VALUES (?, ?)", &q));
	query_int(&q, idx);
	query_int(&q, seq);
	return query_run(&q);
}

static err_t count(store_txn_t *t, const char *sql, int64_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, sql, &q));
	return query_one_int(&q, out);
}

err_t store_entry_count(store_txn_t *t, int64_t *out_entries, int64_t *out_indexed)
{
	int64_t entries;

	TRY(count(t, "SELECT count(*) FROM entry", &entries));
	TRY(count(t, "SELECT count(*) FROM entry_index", out_indexed));
	*out_entries = entries;
	return OK;
}

err_t store_entry_recent(store_txn_t *t, arena_t *a, str_t kind, int64_t before_seq, int64_t limit,
			 store_entry_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " ENTRY_COLUMNS ENTRY_FROM "WHERE (?1 IS NULL OR e.kind = ?1)"
			  " AND (?2 IS NULL OR e.seq < ?2) ORDER BY e.seq DESC LIMIT ?3", &q));
	query_text_or_null(&q, kind);
	query_int_or_null(&q, before_seq);
	query_int(&q, limit);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, entry_row, out, out_n);
}
