/* policy.c: every policy that was ever in force, by version and digest. */
#include "engine/store/store_int.h"

#define POLICY_COLUMNS "ver, digest, text, active, created_s"

static err_t policy_row(query_t *q, arena_t *a, void *out)
{
	store_policy_t *x = out;

	x->ver = query_get_int(q);
	TRY(query_get(q, a, &x->digest));
	TRY(query_get(q, a, &x->text));
	x->active = query_get_int(q) == 1;
	x->created_s = query_get_int(q);
	return OK;
}

static err_t policy_deactivate(store_txn_t *t)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE policy SET active = 0 WHERE active = 1", &q));
	return query_run(&q);
}

err_t store_policy_push(store_txn_t *t, str_t digest, str_t text, int64_t now_s, int64_t *out_ver)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(policy_deactivate(t));
	TRY(query_open(t, "INSERT INTO policy (digest, text, active, created_s) VALUES (?, ?, 1, ?)"
			  " RETURNING ver", &q));
	query_text(&q, digest);
	query_text(&q, text);
	query_int(&q, now_s);
	return query_one_int(&q, out_ver);
}

err_t store_policy_active(store_txn_t *t, arena_t *a, store_policy_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " POLICY_COLUMNS " FROM policy WHERE active = 1", &q));
	return query_one(&q, a, sizeof(*out), policy_row, out);
}

err_t store_policy_by_digest(store_txn_t *t, arena_t *a, str_t digest, store_policy_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " POLICY_COLUMNS " FROM policy WHERE digest = ?"
			  " ORDER BY ver DESC LIMIT 1", &q));
	query_text(&q, digest);
	return query_one(&q, a, sizeof(*out), policy_row, out);
}
