/* agents.c: agents and their registered keys. */
#include "engine/store/store_int.h"

#define AGENT_COLUMNS "id, name, kind, owner, scopes, roles, state, max_depth, rev, created_s"
#define KEY_COLUMNS "jkt, agent, jwk, state, created_s"

static err_t agent_row(query_t *q, arena_t *a, void *out)
{
	store_agent_t *x = out;

	TRY(query_get(q, a, &x->id));
	TRY(query_get(q, a, &x->name));
	TRY(query_get(q, a, &x->kind));
	TRY(query_get(q, a, &x->owner));
	TRY(query_get(q, a, &x->scopes));
	TRY(query_get(q, a, &x->roles));
	TRY(query_get(q, a, &x->state));
	x->max_depth = query_get_int(q);
	x->rev = query_get_int(q);
	x->created_s = query_get_int(q);
	return OK;
}

static err_t key_row(query_t *q, arena_t *a, void *out)
{
	store_agent_key_t *x = out;

	TRY(query_get(q, a, &x->jkt));
	TRY(query_get(q, a, &x->agent));
	TRY(query_get(q, a, &x->jwk));
	TRY(query_get(q, a, &x->state));
	x->created_s = query_get_int(q);
	return OK;
}

err_t store_agent_insert(store_txn_t *t, const store_agent_t *agent)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO agent (" AGENT_COLUMNS ")"
			  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?)", &q));
	query_text(&q, agent->id);
	query_text(&q, agent->name);
	query_text(&q, agent->kind);
	query_text(&q, agent->owner);
	query_text(&q, agent->scopes);
	query_text(&q, agent->roles);
	query_text(&q, agent->state);
	query_int(&q, agent->max_depth);
	query_int(&q, agent->created_s);
	return query_run(&q);
}

err_t store_agent_get(store_txn_t *t, arena_t *a, str_t id, store_agent_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " AGENT_COLUMNS " FROM agent WHERE id = ?", &q));
	query_text(&q, id);
	return query_one(&q, a, sizeof(*out), agent_row, out);
}

err_t store_agent_by_name(store_txn_t *t, arena_t *a, str_t name, store_agent_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " AGENT_COLUMNS " FROM agent WHERE name = ?", &q));
	query_text(&q, name);
	return query_one(&q, a, sizeof(*out), agent_row, out);
}

err_t store_agent_list(store_txn_t *t, arena_t *a, str_t after_id, store_agent_t **out,
		       size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " AGENT_COLUMNS " FROM agent WHERE id > ? ORDER BY id LIMIT ?", &q));
	query_text(&q, after_id);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, agent_row, out, out_n);
}

err_t store_agent_update(store_txn_t *t, const store_agent_t *agent)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE agent SET owner = ?, scopes = ?, roles = ?, max_depth = ?,"
			  " rev = rev + 1 WHERE id = ? AND rev = ?", &q));
	query_text(&q, agent->owner);
	query_text(&q, agent->scopes);
	query_text(&q, agent->roles);
	query_int(&q, agent->max_depth);
	query_text(&q, agent->id);
	query_int(&q, agent->rev);
	return query_run_one(&q, ERR_CONFLICT);
}

err_t store_agent_state_set(store_txn_t *t, str_t id, str_t state)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE agent SET state = ?, rev = rev + 1 WHERE id = ?", &q));
	query_text(&q, state);
	query_text(&q, id);
	return query_run_one(&q, ERR_NOT_FOUND);
}

err_t store_agent_key_insert(store_txn_t *t, const store_agent_key_t *key)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO agent_key (" KEY_COLUMNS ") VALUES (?, ?, ?, ?, ?)", &q));
	query_text(&q, key->jkt);
	query_text(&q, key->agent);
	query_text(&q, key->jwk);
	query_text(&q, key->state);
	query_int(&q, key->created_s);
	return query_run(&q);
}

err_t store_agent_key_get(store_txn_t *t, arena_t *a, str_t jkt, store_agent_key_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " KEY_COLUMNS " FROM agent_key WHERE jkt = ?", &q));
	query_text(&q, jkt);
	return query_one(&q, a, sizeof(*out), key_row, out);
}

err_t store_agent_key_list(store_txn_t *t, arena_t *a, str_t agent, store_agent_key_t **out,
			   size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " KEY_COLUMNS " FROM agent_key WHERE agent = ? ORDER BY jkt LIMIT ?",
		       &q));
	query_text(&q, agent);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, key_row, out, out_n);
}

err_t store_agent_key_state_set(store_txn_t *t, str_t jkt, str_t state)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE agent_key SET state = ? WHERE jkt = ?", &q));
	query_text(&q, state);
	query_text(&q, jkt);
	return query_run_one(&q, ERR_NOT_FOUND);
}
