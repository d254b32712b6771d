/* agent_entries.c: by which attested facts an agent's processes are known. */
#include "engine/store/store_int.h"

#define COLUMNS "e.agent, e.id, e.doc, e.created_s"

static err_t entry_row(query_t *q, arena_t *a, void *out)
{
	store_agent_entry_t *x = out;

	TRY(query_get(q, a, &x->agent));
	TRY(query_get(q, a, &x->id));
	TRY(query_get(q, a, &x->doc));
	x->created_s = query_get_int(q);
	return OK;
}

static err_t entry_insert(store_txn_t *t, str_t agent, const store_agent_entry_t *entry)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO agent_entry (agent, id, doc, created_s) VALUES (?, ?, ?, ?)", &q));
	query_text(&q, agent);
	query_text(&q, entry->id);
	query_text(&q, entry->doc);
	query_int(&q, entry->created_s);
	return query_run(&q);
}

static err_t entries_delete(store_txn_t *t, str_t agent)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM agent_entry WHERE agent = ?", &q));
	query_text(&q, agent);
	return query_run(&q);
}

err_t store_agent_entries_set(store_txn_t *t, arena_t *a, str_t agent, const store_agent_entry_t *v, size_t n)
{
	store_agent_entry_t *had;
	size_t n_had;

	TRY(store_agent_entry_list(t, a, agent, &had, &n_had));
	TRY(entries_delete(t, agent));
	for (size_t i = 0; i < n; i++) {
		store_agent_entry_t entry = v[i];
		for (size_t k = 0; k < n_had; k++) {
			entry.created_s = str_eq(had[k].id, entry.id) ? had[k].created_s : entry.created_s;
		}
		TRY(entry_insert(t, agent, &entry));
	}
	return OK;
}

err_t store_agent_entry_get(store_txn_t *t, arena_t *a, str_t agent, str_t id, store_agent_entry_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " COLUMNS " FROM agent_entry e WHERE e.agent = ? AND e.id = ?", &q));
	query_text(&q, agent);
	query_text(&q, id);
	return query_one(&q, a, sizeof(*out), entry_row, out);
}

err_t store_agent_entry_list(store_txn_t *t, arena_t *a, str_t agent, store_agent_entry_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " COLUMNS " FROM agent_entry e WHERE e.agent = ? ORDER BY e.id LIMIT ?", &q));
	query_text(&q, agent);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, entry_row, out, out_n);
}

err_t store_agent_entry_page(store_txn_t *t, arena_t *a, str_t after_agent, str_t after_id,
	store_agent_entry_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " COLUMNS " FROM agent_entry e JOIN agent g ON g.id = e.agent"
			  " WHERE (e.agent, e.id) > (?, ?) AND g.state = 'active'"
			  " ORDER BY e.agent, e.id LIMIT ?", &q));
	query_text(&q, or_empty(after_agent));
	query_text(&q, or_empty(after_id));
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, entry_row, out, out_n);
}
