/* openings.c: sealed keys and values behind the commitments of a record. */
#include "engine/store/store_int.h"

err_t store_opening_put(store_txn_t *t, str_t rid, str_t sealed)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO opening (rid, sealed) VALUES (?, ?)", &q));
	query_text(&q, rid);
	query_blob(&q, sealed);
	return query_run(&q);
}

err_t store_opening_get(store_txn_t *t, arena_t *a, str_t rid, str_t *out_sealed)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT sealed FROM opening WHERE rid = ?", &q));
	query_text(&q, rid);
	return query_one(&q, a, sizeof(*out_sealed), query_row_str, out_sealed);
}
