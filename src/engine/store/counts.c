/* counts.c: how many there are of what an operator keeps. */
#include "engine/store/store_int.h"

err_t store_counts(store_txn_t *t, store_counts_t *out)
{
	AUTO(query_close) query_t q = { 0 };
	bool found;

	TRY(query_open(t, "SELECT (SELECT count(*) FROM agent), (SELECT count(*) FROM user_),"
			  " (SELECT count(*) FROM role), (SELECT count(*) FROM route WHERE removed = 0),"
			  " (SELECT count(*) FROM secret), (SELECT count(*) FROM grant_)", &q));
	TRY(query_step(&q, &found));
	ENSURE(found, ERR_STORE);
	*out = (store_counts_t){ .agents = query_get_int(&q) };
	out->users = query_get_int(&q);
	out->roles = query_get_int(&q);
	out->routes = query_get_int(&q);
	out->secrets = query_get_int(&q);
	out->grants = query_get_int(&q);
	return OK;
}
