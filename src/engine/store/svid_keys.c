/* svid_keys.c: the authority keys of SVIDs: public halves, states, numbers of signatures. */
#include "engine/store/store_int.h"

#define COLUMNS "kid, kind, alg, state, spki, cert, created_s, not_after_s"

static err_t key_row(query_t *q, arena_t *a, void *out)
{
	store_svid_key_t *x = out;

	TRY(query_get(q, a, &x->kid));
	TRY(query_get(q, a, &x->kind));
	TRY(query_get(q, a, &x->alg));
	TRY(query_get(q, a, &x->state));
	TRY(query_get(q, a, &x->spki));
	TRY(query_get(q, a, &x->cert));
	x->created_s = query_get_int(q);
	x->not_after_s = query_get_int(q);
	return OK;
}

err_t store_svid_key_insert(store_txn_t *t, const store_svid_key_t *key)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO svid_key (" COLUMNS ", next_n) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)", &q));
	query_text(&q, key->kid);
	query_text(&q, key->kind);
	query_text(&q, key->alg);
	query_text(&q, key->state);
	query_blob(&q, key->spki);
	query_blob(&q, or_empty(key->cert));
	query_int(&q, key->created_s);
	query_int(&q, key->not_after_s);
	return query_run(&q);
}

err_t store_svid_key_get(store_txn_t *t, arena_t *a, str_t kid, store_svid_key_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " COLUMNS " FROM svid_key WHERE kid = ?", &q));
	query_text(&q, kid);
	return query_one(&q, a, sizeof(*out), key_row, out);
}

err_t store_svid_key_list(store_txn_t *t, arena_t *a, str_t kind, store_svid_key_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " COLUMNS " FROM svid_key WHERE (?1 = '' OR kind = ?1)"
			  " ORDER BY created_s, kid LIMIT ?2", &q));
	query_text(&q, or_empty(kind));
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, key_row, out, out_n);
}

err_t store_svid_key_state_set(store_txn_t *t, str_t kid, str_t state)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE svid_key SET state = ? WHERE kid = ?", &q));
	query_text(&q, state);
	query_text(&q, kid);
	return query_run_one(&q, ERR_NOT_FOUND);
}

err_t store_svid_key_cert_set(store_txn_t *t, str_t kid, str_t cert)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE svid_key SET cert = ? WHERE kid = ?", &q));
	query_blob(&q, cert);
	query_text(&q, kid);
	return query_run_one(&q, ERR_NOT_FOUND);
}

err_t store_svid_key_next_n(store_txn_t *t, str_t kid, int64_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE svid_key SET next_n = next_n + 1 WHERE kid = ? RETURNING next_n - 1", &q));
	query_text(&q, kid);
	return query_one_int(&q, out_n);
}

err_t store_svid_key_prune(store_txn_t *t, int64_t before_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM svid_key WHERE not_after_s < ? AND state <> 'active'", &q));
	query_int(&q, before_s);
	return query_run(&q);
}
