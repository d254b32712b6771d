/* attempts.c: calls that were admitted or denied, until their outcome is known. */
#include "engine/store/store_int.h"

#define ATTEMPT_COLUMNS "rid, req, gateway, route, grant_id, deadline_ms, code, outcome"

static err_t attempt_row(query_t *q, arena_t *a, void *out)
{
	store_attempt_t *x = out;

	TRY(query_get(q, a, &x->rid));
	TRY(query_get(q, a, &x->req));
	TRY(query_get(q, a, &x->gateway));
	TRY(query_get(q, a, &x->route));
	TRY(query_get(q, a, &x->grant));
	x->deadline_ms = query_get_int(q);
	TRY(query_get(q, a, &x->code));
	TRY(query_get(q, a, &x->outcome));
	return OK;
}

err_t store_attempt_insert(store_txn_t *t, const store_attempt_t *attempt)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO attempt (" ATTEMPT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &q));
	query_text(&q, attempt->rid);
	query_blob(&q, attempt->req);
	query_text(&q, attempt->gateway);
	query_text(&q, attempt->route);
	query_text_or_null(&q, attempt->grant);
	query_int(&q, attempt->deadline_ms);
	query_text_or_null(&q, attempt->code);
	query_text_or_null(&q, attempt->outcome);
	return query_run(&q);
}

err_t store_attempt_get(store_txn_t *t, arena_t *a, str_t rid, store_attempt_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " ATTEMPT_COLUMNS " FROM attempt WHERE rid = ?", &q));
	query_text(&q, rid);
	return query_one(&q, a, sizeof(*out), attempt_row, out);
}

static err_t attempt_exists(store_txn_t *t, str_t rid, bool *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT 1 FROM attempt WHERE rid = ?", &q));
	query_text(&q, rid);
	return query_step(&q, out);
}

static err_t attempt_set_outcome(store_txn_t *t, str_t rid, str_t outcome_rid)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE attempt SET outcome = ? WHERE rid = ? AND outcome IS NULL", &q));
	query_text(&q, outcome_rid);
	query_text(&q, rid);
	return query_run_one(&q, ERR_CLOSED);
}

err_t store_attempt_close(store_txn_t *t, str_t rid, str_t outcome_rid)
{
	bool known;

	TRY(attempt_exists(t, rid, &known));
	ENSURE(known, ERR_NOT_FOUND);
	return attempt_set_outcome(t, rid, outcome_rid);
}

err_t store_attempt_overdue(store_txn_t *t, arena_t *a, int64_t now_ms, int64_t limit,
			    store_attempt_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " ATTEMPT_COLUMNS " FROM attempt WHERE outcome IS NULL"
			  " AND deadline_ms < ? ORDER BY deadline_ms LIMIT ?", &q));
	query_int(&q, now_ms);
	query_int(&q, limit);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, attempt_row, out, out_n);
}

err_t store_attempt_open_list(store_txn_t *t, arena_t *a, str_t gateway, int64_t limit,
			      store_attempt_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " ATTEMPT_COLUMNS " FROM attempt WHERE outcome IS NULL"
			  " AND (?1 IS NULL OR gateway = ?1) ORDER BY deadline_ms LIMIT ?2", &q));
	query_text_or_null(&q, gateway);
	query_int(&q, limit);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, attempt_row, out, out_n);
}
