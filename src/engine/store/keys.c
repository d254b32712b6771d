/* keys.c: our own keys, sealed, and the gapless numbers of what they sign. */
#include "engine/store/store_int.h"

#define KEY_COLUMNS "kid, use, alg, jwk, sealed, state, next_n, created_s"

static err_t key_row(query_t *q, arena_t *a, void *out)
{
	store_key_t *x = out;

	TRY(query_get(q, a, &x->kid));
	TRY(query_get(q, a, &x->use));
	TRY(query_get(q, a, &x->alg));
	TRY(query_get(q, a, &x->jwk));
	TRY(query_get(q, a, &x->sealed));
	TRY(query_get(q, a, &x->state));
	x->next_n = query_get_int(q);
	x->created_s = query_get_int(q);
	return OK;
}

err_t store_key_insert(store_txn_t *t, const store_key_t *key)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO key (" KEY_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, 1, ?)", &q));
	query_text(&q, key->kid);
	query_text(&q, key->use);
	query_text(&q, key->alg);
	query_text(&q, key->jwk);
	query_blob(&q, key->sealed);
	query_text(&q, key->state);
	query_int(&q, key->created_s);
	return query_run(&q);
}

err_t store_key_active(store_txn_t *t, arena_t *a, str_t use, store_key_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " KEY_COLUMNS " FROM key WHERE use = ? AND state = 'active'"
			  " ORDER BY created_s DESC, rowid DESC LIMIT 1", &q));
	query_text(&q, use);
	return query_one(&q, a, sizeof(*out), key_row, out);
}

err_t store_key_list(store_txn_t *t, arena_t *a, str_t use, store_key_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " KEY_COLUMNS " FROM key WHERE use = ?"
			  " ORDER BY created_s DESC, rowid DESC LIMIT ?", &q));
	query_text(&q, use);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, key_row, out, out_n);
}

err_t store_key_state_set(store_txn_t *t, str_t kid, str_t state)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE key SET state = ? WHERE kid = ?", &q));
	query_text(&q, state);
	query_text(&q, kid);
	return query_run_one(&q, ERR_NOT_FOUND);
}

err_t store_key_next_n(store_txn_t *t, str_t kid, int64_t *out_n)
{
	AUTO(query_close) query_t q = { 0 }, last = { 0 };

	/* two statements: RETURNING would build a table of its own for the one number */
	TRY(query_open(t, "UPDATE key SET next_n = next_n + 1 WHERE kid = ?", &q));
	query_text(&q, kid);
	TRY(query_run_one(&q, ERR_NOT_FOUND));
	TRY(query_open(t, "SELECT next_n - 1 FROM key WHERE kid = ?", &last));
	query_text(&last, kid);
	return query_one_int(&last, out_n);
}

err_t store_key_last_n(store_txn_t *t, str_t kid, int64_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT next_n - 1 FROM key WHERE kid = ?1 UNION ALL"
			  " SELECT next_n - 1 FROM svid_key WHERE kid = ?1", &q));
	query_text(&q, kid);
	return query_one_int(&q, out_n);
}

static err_t pass_n(store_txn_t *t, const char *sql, str_t kid, int64_t n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, sql, &q));
	query_int(&q, n + 1);
	query_text(&q, kid);
	return query_run(&q);
}

err_t store_key_pass_n(store_txn_t *t, str_t kid, int64_t n)
{
	TRY(pass_n(t, "UPDATE key SET next_n = max(next_n, ?) WHERE kid = ?", kid, n));
	return pass_n(t, "UPDATE svid_key SET next_n = max(next_n, ?) WHERE kid = ?", kid, n);
}
