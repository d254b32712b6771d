/* nodes.c: nodes, the one-use tokens they join with, and the runs they report. */
#include "engine/store/store_int.h"

#define NODE_COLUMNS "id, method, selectors, state, seen_s, created_s"
#define RUN_COLUMNS "id, agent, entry, node, spiffe_id, grant_id, runner, code, started_s, exp_s, ended_s"

static err_t node_row(query_t *q, arena_t *a, void *out)
{
	store_node_t *x = out;

	TRY(query_get(q, a, &x->id));
	TRY(query_get(q, a, &x->method));
	TRY(query_get(q, a, &x->selectors));
	TRY(query_get(q, a, &x->state));
	x->seen_s = query_get_int(q);
	x->created_s = query_get_int(q);
	return OK;
}

err_t store_node_put(store_txn_t *t, const store_node_t *node)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO node (" NODE_COLUMNS ") VALUES (?, ?, ?, 'active', ?, ?)"
			  " ON CONFLICT (id) DO UPDATE SET selectors = excluded.selectors, seen_s = excluded.seen_s"
			  " WHERE state = 'active'", &q));
	query_text(&q, node->id);
	query_text(&q, node->method);
	query_text(&q, node->selectors);
	query_int(&q, node->seen_s);
	query_int(&q, node->created_s);
	return query_run_one(&q, ERR_AGENT_STATE);
}

err_t store_node_get(store_txn_t *t, arena_t *a, str_t id, store_node_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " NODE_COLUMNS " FROM node WHERE id = ?", &q));
	query_text(&q, id);
	return query_one(&q, a, sizeof(*out), node_row, out);
}

err_t store_node_list(store_txn_t *t, arena_t *a, str_t after_id, store_node_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " NODE_COLUMNS " FROM node WHERE id > ? ORDER BY id LIMIT ?", &q));
	query_text(&q, or_empty(after_id));
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, node_row, out, out_n);
}

err_t store_node_state_set(store_txn_t *t, str_t id, str_t state)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE node SET state = ? WHERE id = ?", &q));
	query_text(&q, state);
	query_text(&q, id);
	return query_run_one(&q, ERR_NOT_FOUND);
}

err_t store_join_token_put(store_txn_t *t, str_t hash, int64_t exp_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO join_token (hash, exp_s) VALUES (?, ?)", &q));
	query_blob(&q, hash);
	query_int(&q, exp_s);
	return query_run(&q);
}

static err_t join_tokens_prune(store_txn_t *t, int64_t now_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM join_token WHERE exp_s <= ?", &q));
	query_int(&q, now_s);
	return query_run(&q);
}

err_t store_join_token_take(store_txn_t *t, str_t hash, int64_t now_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(join_tokens_prune(t, now_s));
	TRY(query_open(t, "DELETE FROM join_token WHERE hash = ?", &q));
	query_blob(&q, hash);
	return query_run_one(&q, ERR_NOT_FOUND);
}

/* --- runs --------------------------------------------------------------------------------------------- */

static err_t run_row(query_t *q, arena_t *a, void *out)
{
	store_run_t *x = out;

	TRY(query_get(q, a, &x->id));
	TRY(query_get(q, a, &x->agent));
	TRY(query_get(q, a, &x->entry));
	TRY(query_get(q, a, &x->node));
	TRY(query_get(q, a, &x->spiffe_id));
	TRY(query_get(q, a, &x->grant_id));
	TRY(query_get(q, a, &x->runner));
	TRY(query_get(q, a, &x->code));
	x->started_s = query_get_int(q);
	x->exp_s = query_get_int(q);
	x->ended_s = query_get_int(q);
	return OK;
}

err_t store_run_insert(store_txn_t *t, const store_run_t *run)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO run (" RUN_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", &q));
	query_text(&q, run->id);
	query_text(&q, run->agent);
	query_text(&q, run->entry);
	query_text(&q, run->node);
	query_text(&q, run->spiffe_id);
	query_text_or_null(&q, run->grant_id);
	query_text(&q, run->runner);
	query_text(&q, or_empty(run->code));
	query_int(&q, run->started_s);
	query_int(&q, run->exp_s);
	return query_run(&q);
}

err_t store_run_get(store_txn_t *t, arena_t *a, str_t id, store_run_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " RUN_COLUMNS " FROM run WHERE id = ?", &q));
	query_text(&q, id);
	return query_one(&q, a, sizeof(*out), run_row, out);
}

err_t store_run_alive(store_txn_t *t, arena_t *a, str_t id, int64_t now_s)
{
	store_run_t run;
	err_t e = store_run_get(t, a, id, &run);

	ENSURE(e != ERR_NOT_FOUND, ERR_RUN_OVER);
	TRY(e);
	return store_run_lives(&run, now_s) ? OK : ERR_RUN_OVER;
}

err_t store_run_end(store_txn_t *t, str_t id, int64_t now_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE run SET ended_s = ? WHERE id = ? AND ended_s IS NULL", &q));
	query_int(&q, now_s);
	query_text(&q, id);
	return query_run_one(&q, ERR_NOT_FOUND);
}

err_t store_run_list(store_txn_t *t, arena_t *a, str_t agent, bool living, store_run_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " RUN_COLUMNS " FROM run WHERE agent = ? AND (NOT ? OR ended_s IS NULL)"
			  " ORDER BY started_s DESC, id LIMIT ?", &q));
	query_text(&q, agent);
	query_int(&q, living);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, run_row, out, out_n);
}

err_t store_runs_end_of_node(store_txn_t *t, str_t node, int64_t now_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE run SET ended_s = ? WHERE node = ? AND ended_s IS NULL", &q));
	query_int(&q, now_s);
	query_text(&q, node);
	return query_run(&q);
}
