/* secrets.c: upstream credentials, sealed before they come here. */
#include "engine/store/store_int.h"

static err_t secret_row(query_t *q, arena_t *a, void *out)
{
	store_secret_t *x = out;

	TRY(query_get(q, a, &x->name));
	TRY(query_get(q, a, &x->sealed));
	x->rev = query_get_int(q);
	x->updated_s = query_get_int(q);
	return OK;
}

err_t store_secret_put(store_txn_t *t, str_t name, str_t sealed, int64_t now_s, int64_t *out_rev)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO secret (name, sealed, rev, updated_s) VALUES (?, ?, 1, ?)"
			  " ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed,"
			  " rev = secret.rev + 1, updated_s = excluded.updated_s RETURNING rev", &q));
	query_text(&q, name);
	query_blob(&q, sealed);
	query_int(&q, now_s);
	return query_one_int(&q, out_rev);
}

err_t store_secret_get(store_txn_t *t, arena_t *a, str_t name, store_secret_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT name, sealed, rev, updated_s FROM secret WHERE name = ?", &q));
	query_text(&q, name);
	return query_one(&q, a, sizeof(*out), secret_row, out);
}

err_t store_secret_list(store_txn_t *t, arena_t *a, str_t after_name, store_secret_t **out,
			size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT name, '', rev, updated_s FROM secret WHERE name > ?"
			  " ORDER BY name LIMIT ?", &q));
	query_text(&q, after_name);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, secret_row, out, out_n);
}

err_t store_secret_remove(store_txn_t *t, str_t name)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM secret WHERE name = ?", &q));
	query_text(&q, name);
	return query_run_one(&q, ERR_NOT_FOUND);
}
