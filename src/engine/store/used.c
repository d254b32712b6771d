/* used.c: what was spent once. A row may go after its time, never before. */
#include "engine/store/store_int.h"

err_t store_used_insert(store_txn_t *t, str_t space, str_t id, int64_t until_s)
{
	AUTO(query_close) query_t q = { 0 };
	err_t err;

	TRY(query_open(t, "INSERT INTO used (space, id, until_s) VALUES (?, ?, ?)", &q));
	query_text(&q, space);
	query_text(&q, id);
	query_int(&q, until_s);
	err = query_run(&q);
	return err == ERR_EXISTS ? ERR_REPLAY : err;
}

err_t store_used_has(store_txn_t *t, str_t space, str_t id, bool *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT 1 FROM used WHERE space = ? AND id = ?", &q));
	query_text(&q, space);
	query_text(&q, id);
	return query_step(&q, out);
}

err_t store_used_purge(store_txn_t *t, int64_t now_s, int64_t limit, int64_t *out_removed)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM used WHERE (space, id) IN"
			  " (SELECT space, id FROM used WHERE until_s < ? LIMIT ?)", &q));
	query_int(&q, now_s);
	query_int(&q, limit);
	TRY(query_run(&q));
	*out_removed = sqlite3_changes64(t->db);
	return OK;
}
