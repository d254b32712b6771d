/* routes.c: upstreams behind the gateway. Removal keeps the row: a revision never comes back. */
#include "engine/store/store_int.h"

static err_t route_row(query_t *q, arena_t *a, void *out)
{
	store_route_t *x = out;

	TRY(query_get(q, a, &x->name));
	x->rev = query_get_int(q);
	TRY(query_get(q, a, &x->doc));
	return OK;
}

err_t store_route_put(store_txn_t *t, str_t name, str_t doc, int64_t *out_rev)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO route (name, rev, doc) VALUES (?, 1, ?)"
			  " ON CONFLICT (name) DO UPDATE SET doc = excluded.doc, rev = route.rev + 1,"
			  " removed = 0 RETURNING rev", &q));
	query_text(&q, name);
	query_text(&q, doc);
	return query_one_int(&q, out_rev);
}

err_t store_route_get(store_txn_t *t, arena_t *a, str_t name, store_route_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT name, rev, doc FROM route WHERE name = ? AND removed = 0", &q));
	query_text(&q, name);
	return query_one(&q, a, sizeof(*out), route_row, out);
}

err_t store_route_list(store_txn_t *t, arena_t *a, str_t after_name, store_route_t **out,
		       size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT name, rev, doc FROM route WHERE name > ? AND removed = 0"
			  " ORDER BY name LIMIT ?", &q));
	query_text(&q, after_name);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, route_row, out, out_n);
}

err_t store_route_remove(store_txn_t *t, str_t name)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE route SET removed = 1, doc = '{}', rev = rev + 1"
			  " WHERE name = ? AND removed = 0", &q));
	query_text(&q, name);
	return query_run_one(&q, ERR_NOT_FOUND);
}
