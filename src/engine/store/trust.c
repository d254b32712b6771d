/* trust.c: the sequence of our own bundle, and the bundles of other trust domains. */
#include "engine/store/store_int.h"

err_t store_bundle_sequence(store_txn_t *t, str_t td, str_t digest, int64_t now_s, int64_t *out_sequence)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO bundle (td, own, doc, digest, sequence, updated_s) VALUES (?1, 1, '', ?2, 1, ?3)"
			  " ON CONFLICT (td) DO UPDATE SET sequence = sequence + (digest <> ?2),"
			  " updated_s = iif(digest <> ?2, ?3, updated_s), digest = ?2 WHERE own = 1"
			  " RETURNING sequence", &q));
	query_text(&q, td);
	query_text(&q, digest);
	query_int(&q, now_s);
	return query_one_int(&q, out_sequence);
}

err_t store_bundle_own(store_txn_t *t, str_t td, int64_t *out_sequence)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT coalesce(max(sequence), 0) FROM bundle WHERE td = ? AND own = 1", &q));
	query_text(&q, td);
	return query_one_int(&q, out_sequence);
}

static err_t bundle_row(query_t *q, arena_t *a, void *out)
{
	store_foreign_bundle_t *x = out;

	TRY(query_get(q, a, &x->td));
	TRY(query_get(q, a, &x->doc));
	x->sequence = query_get_int(q);
	x->updated_s = query_get_int(q);
	return OK;
}

err_t store_foreign_bundle_put(store_txn_t *t, const store_foreign_bundle_t *b)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO bundle (td, own, doc, digest, sequence, updated_s) VALUES (?, 0, ?, '', ?, ?)"
			  " ON CONFLICT (td) DO UPDATE SET doc = excluded.doc, sequence = excluded.sequence,"
			  " updated_s = excluded.updated_s WHERE own = 0", &q));
	query_text(&q, b->td);
	query_text(&q, b->doc);
	query_int(&q, b->sequence);
	query_int(&q, b->updated_s);
	return query_run_one(&q, ERR_EXISTS); /* our own trust domain is not foreign */
}

err_t store_foreign_bundle_get(store_txn_t *t, arena_t *a, str_t td, store_foreign_bundle_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT td, doc, sequence, updated_s FROM bundle WHERE td = ? AND own = 0", &q));
	query_text(&q, td);
	return query_one(&q, a, sizeof(*out), bundle_row, out);
}

err_t store_foreign_bundle_list(store_txn_t *t, arena_t *a, store_foreign_bundle_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT td, doc, sequence, updated_s FROM bundle WHERE own = 0 ORDER BY td LIMIT ?", &q));
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, bundle_row, out, out_n);
}

err_t store_foreign_bundle_remove(store_txn_t *t, str_t td)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM bundle WHERE td = ? AND own = 0", &q));
	query_text(&q, td);
	return query_run_one(&q, ERR_NOT_FOUND);
}
