/* refusals.c: strangers are counted, not recorded one by one (DESIGN 11). */
#include "engine/store/store_int.h"

static err_t refusal_row(query_t *q, arena_t *a, void *out)
{
	store_refusal_t *x = out;

	TRY(query_get(q, a, &x->door));
	TRY(query_get(q, a, &x->code));
	x->count = query_get_int(q);
	x->since_s = query_get_int(q);
	return OK;
}

err_t store_refusal_count(store_txn_t *t, str_t door, str_t code, int64_t n, int64_t now_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO refusal (door, code, count, since_s) VALUES (?, ?, ?, ?)"
			  " ON CONFLICT (door, code) DO UPDATE SET count = refusal.count + excluded.count",
		       &q));
	query_text(&q, door);
	query_text(&q, code);
	query_int(&q, n);
	query_int(&q, now_s);
	return query_run(&q);
}

err_t store_refusal_take(store_txn_t *t, arena_t *a, str_t door, store_refusal_t **out,
			 size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM refusal WHERE door = ? RETURNING door, code, count, since_s", &q));
	query_text(&q, door);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, refusal_row, out, out_n);
}
