/* store_int.h: what the files of this room share: the connection, prepared statements, binding. */
#ifndef ATTORN_STORE_INT_H
#define ATTORN_STORE_INT_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "engine/store/store.h"
#include "pure/crypto/crypto.h"

/* One connection and its statements. The key is the address of a static SQL text. */
enum { STATEMENT_SLOTS = 2 * STORE_STATEMENTS_MAX };
typedef struct used_index used_index_t;
typedef struct {
	const char *sql;
	sqlite3_stmt *stmt;
	bool busy;
} statement_t;
struct store_txn {
	sqlite3 *db;
	bool armed; /* the write connection, once open: an I/O error there ends the process */
	bool full; /* the running transaction met a full disk */
	used_index_t *used; /* of the write connection, else NULL */
	int64_t used_version; /* of the file as `used` knows it; STORE_NONE: it knows nothing */
	int64_t used_from, used_purges; /* where the next purge begins, and how many there were */
	uint8_t used_salt[16];
	size_t n_statements;
	statement_t statement[STATEMENT_SLOTS];
};

struct store {
	char path[STORE_PATH_BYTES_MAX], reserve_path[STORE_PATH_BYTES_MAX];
	uint64_t reserve_bytes; /* 0: none is kept */
	store_txn_t *writer;
	int wal_pages; /* of the last commit */
	int wary; /* batches to run with savepoints from the start */
	atomic_bool full;
	/* Readers come from several lane threads and are few: a mutex and a condition hand them out. */
	pthread_mutex_t readers_lock;
	pthread_cond_t readers_free;
	store_txn_t *reader[STORE_READERS_MAX];
	bool reader_busy[STORE_READERS_MAX];
	unsigned n_readers;
};

/* ---- schema.c: texts of each version, NULL-terminated ---- */
extern const char *const *const store_migrations[];
extern const int store_migrations_n;

/* ---- connection.c ---- */
MUST err_t connection_open(const char *path, bool writes, store_txn_t **out, diag_t *diag);
void connection_close(store_txn_t *t);
/* Runs SQL without parameters, such as BEGIN or a PRAGMA. */
MUST err_t connection_exec(store_txn_t *t, const char *sql);
MUST err_t connection_migrate(store_txn_t *t, diag_t *diag);
/* What an SQLite result means; ends the process for an I/O error of an armed connection. */
MUST err_t connection_err(store_txn_t *t, int rc);
_Noreturn void store_fatal(const char *what, const char *detail);

/* ---- used.c, in a transaction: makes the index of spent ids anew when others wrote to the file ---- */
MUST err_t used_refresh(store_txn_t *t);

/* ---- used_index.c: spent ids in memory. Owned by the write connection, bounded by the rows of `used` ---- */
typedef struct {
	uint64_t a, b; /* a salted hash of space and id; never zero */
} used_key_t;
used_index_t *used_index_new(void);
void used_index_free(used_index_t *x); /* accepts NULL */
bool used_index_has(const used_index_t *x, used_key_t key);
void used_index_load(used_index_t *x, used_key_t key); /* one that is in the file */
void used_index_clear(used_index_t *x);
/* Changes of the running transaction: a savepoint is a mark, a rollback goes back to it. */
void used_index_add(used_index_t *x, used_key_t key); /* one that is not there */
void used_index_remove(used_index_t *x, used_key_t key);
size_t used_index_mark(const used_index_t *x);
void used_index_undo(used_index_t *x, size_t mark);
void used_index_commit(used_index_t *x);

/* ---- disk.c ---- */
MUST err_t reserve_keep(store_t *s); /* creates or completes the file; ERR_DISK_FULL, ERR_IO */
/* Gives a slice of it back to the disk; false when there was none left. Not all at once: what fills the disk
 * is still writing, and would have it. */
bool reserve_give(store_t *s);
/* Bytes a process without privileges may still write beside the database. */
MUST err_t disk_free(const char *path, uint64_t *out);

/* ---- query.c: one use of a cached statement; binding and columns go from left to right ---- */
typedef struct {
	store_txn_t *t;
	statement_t *slot;
	sqlite3_stmt *stmt;
	int bound, column;
	err_t err; /* a failed binding, told by the first step */
} query_t;
typedef err_t query_row_t(query_t *q, arena_t *a, void *out);

MUST err_t query_open(store_txn_t *t, const char *sql, query_t *q);
void query_close(query_t *q); /* accepts a zeroed one */
static inline void query_close_auto_(query_t *q) { query_close(q); }

/* The bytes must live until the last step. */
void query_text(query_t *q, str_t s);
void query_text_or_null(query_t *q, str_t s); /* STR_NULL is NULL */
void query_blob(query_t *q, str_t s);
void query_int(query_t *q, int64_t v);
void query_int_or_null(query_t *q, int64_t v); /* STORE_NONE is NULL */

MUST err_t query_step(query_t *q, bool *out_row);
MUST err_t query_run(query_t *q); /* to its end, no row expected */
MUST err_t query_run_one(query_t *q, err_t otherwise); /* exactly one row changed, or that error */
/* The only row, or ERR_NOT_FOUND. `out` is written on success only. */
MUST err_t query_one(query_t *q, arena_t *a, size_t row_bytes, query_row_t *row, void *out);
MUST err_t query_one_int(query_t *q, int64_t *out); /* ERR_NOT_FOUND; NULL is STORE_NONE */
MUST err_t query_list(query_t *q, arena_t *a, size_t row_bytes, size_t max, query_row_t *row,
		      void *out_rows, size_t *out_n);

/* The next column; text and blob are copied, NULL is STR_NULL resp. STORE_NONE. */
MUST err_t query_get(query_t *q, arena_t *a, str_t *out);
int64_t query_get_int(query_t *q);
MUST err_t query_row_str(query_t *q, arena_t *a, void *out); /* a row of one text */

static inline str_t or_empty(str_t s) { return s.p ? s : STR(""); }

#endif
