/* query.c: cached prepared statements, bound and read from left to right. */
#include "engine/store/store_int.h"

enum { ROW_BYTES_MAX = 512 };

static statement_t *slot_find(store_txn_t *t, const char *sql)
{
	size_t at = ((uintptr_t)sql >> 4) % STATEMENT_SLOTS;

	while (t->statement[at].sql && t->statement[at].sql != sql) {
		at = (at + 1) % STATEMENT_SLOTS;
	}
	return &t->statement[at];
}

err_t query_open(store_txn_t *t, const char *sql, query_t *q)
{
	statement_t *slot = slot_find(t, sql);

	if (!slot->sql) {
		sqlite3_stmt *stmt = NULL;
		int rc = sqlite3_prepare_v3(t->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);

		TRY(connection_err(t, rc));
		CHECK(t->n_statements < STORE_STATEMENTS_MAX);
		*slot = (statement_t){ .sql = sql, .stmt = stmt };
		t->n_statements++;
	}
	CHECK(!slot->busy);
	slot->busy = true;
	*q = (query_t){ .t = t, .slot = slot, .stmt = slot->stmt };
	return OK;
}

void query_close(query_t *q)
{
	if (!q->slot) {
		return;
	}
	/* reset repeats the error of the step, which the caller has had */
	(void)sqlite3_reset(q->stmt);
	(void)sqlite3_clear_bindings(q->stmt);
	q->slot->busy = false;
	q->slot = NULL;
}

static void bind_result(query_t *q, int rc)
{
	if (rc != SQLITE_OK && q->err == OK) {
		q->err = rc == SQLITE_TOOBIG ? ERR_LIMIT : ERR_STORE;
	}
}

void query_text(query_t *q, str_t s)
{
	bind_result(q, sqlite3_bind_text64(q->stmt, ++q->bound, s.p ? s.p : "", s.n, SQLITE_STATIC,
					   SQLITE_UTF8));
}

void query_text_or_null(query_t *q, str_t s)
{
	if (s.p) {
		query_text(q, s);
	} else {
		bind_result(q, sqlite3_bind_null(q->stmt, ++q->bound));
	}
}

void query_blob(query_t *q, str_t s)
{
	bind_result(q, sqlite3_bind_blob64(q->stmt, ++q->bound, s.p ? s.p : "", s.n, SQLITE_STATIC));
}

void query_int(query_t *q, int64_t v)
{
	bind_result(q, sqlite3_bind_int64(q->stmt, ++q->bound, v));
}

void query_int_or_null(query_t *q, int64_t v)
{
	if (v == STORE_NONE) {
		bind_result(q, sqlite3_bind_null(q->stmt, ++q->bound));
	} else {
		query_int(q, v);
	}
}

err_t query_step(query_t *q, bool *out_row)
{
	int rc;

	TRY(q->err);
	rc = sqlite3_step(q->stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		return connection_err(q->t, sqlite3_extended_errcode(q->t->db));
	}
	q->column = 0;
	*out_row = rc == SQLITE_ROW;
	return OK;
}

err_t query_run(query_t *q)
{
	bool row;

	do {
		TRY(query_step(q, &row));
	} while (row);
	return OK;
}

err_t query_run_one(query_t *q, err_t otherwise)
{
	TRY(query_run(q));
	ENSURE(sqlite3_changes64(q->t->db) == 1, otherwise);
	return OK;
}

err_t query_one(query_t *q, arena_t *a, size_t row_bytes, query_row_t *row, void *out)
{
	_Alignas(16) char tmp[ROW_BYTES_MAX] = { 0 };
	bool found;

	CHECK(row_bytes <= sizeof(tmp));
	TRY(query_step(q, &found));
	ENSURE(found, ERR_NOT_FOUND);
	TRY(row(q, a, tmp));
	memcpy(out, tmp, row_bytes);
	return OK;
}

err_t query_one_int(query_t *q, int64_t *out)
{
	bool found;

	TRY(query_step(q, &found));
	ENSURE(found, ERR_NOT_FOUND);
	*out = query_get_int(q);
	return OK;
}

err_t query_list(query_t *q, arena_t *a, size_t row_bytes, size_t max, query_row_t *row,
		 void *out_rows, size_t *out_n)
{
	AUTO(buf_done) buf_t rows = { 0 };
	_Alignas(16) char tmp[ROW_BYTES_MAX];
	void *copy = NULL;
	bool found;

	CHECK(row_bytes <= sizeof(tmp));
	buf_init(&rows, row_bytes * max);
	for (;;) {
		TRY(query_step(q, &found));
		if (!found) {
			break;
		}
		memset(tmp, 0, sizeof(tmp));
		TRY(row(q, a, tmp));
		buf_add(&rows, str_bytes(tmp, row_bytes));
		TRY(buf_err(&rows));
	}
	TRY(arena_try(a, rows.n ? rows.n : 1, &copy));
	if (rows.n > 0) {
		memcpy(copy, rows.p, rows.n);
	}
	*(void **)out_rows = copy;
	*out_n = rows.n / row_bytes;
	return OK;
}

err_t query_get(query_t *q, arena_t *a, str_t *out)
{
	int at = q->column++;
	const void *p;
	str_t s;

	if (sqlite3_column_type(q->stmt, at) == SQLITE_NULL) {
		*out = STR_NULL;
		return OK;
	}
	p = sqlite3_column_type(q->stmt, at) == SQLITE_TEXT ?
		    (const void *)sqlite3_column_text(q->stmt, at) :
		    sqlite3_column_blob(q->stmt, at);
	s = str_bytes(p, (size_t)sqlite3_column_bytes(q->stmt, at));
	if (s.n == 0) {
		*out = STR("");
		return OK;
	}
	ENSURE(s.p, ERR_STORE); /* out of memory inside SQLite */
	return arena_dup(a, s, out);
}

int64_t query_get_int(query_t *q)
{
	int at = q->column++;

	return sqlite3_column_type(q->stmt, at) == SQLITE_NULL ? STORE_NONE :
								  sqlite3_column_int64(q->stmt, at);
}

err_t query_row_str(query_t *q, arena_t *a, void *out)
{
	return query_get(q, a, out);
}
