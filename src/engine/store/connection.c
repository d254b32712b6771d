/* connection.c: one SQLite connection set up as reference ledger 9.2 asks, and what its results mean. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/store/store_int.h"

enum { APPLICATION_ID = 0x6174726e }; /* "atrn" in the file's header */

_Noreturn void store_fatal(const char *what, const char *detail)
{
	/* Linux marks pages it could not write as clean: a retry would succeed without the data. The
	 * process ends here; the next start reads what is really on the disk. */
	(void)dprintf(STDERR_FILENO, "level=error room=store event=fatal what=\"%s\" detail=\"%s\"\n",
		      what, detail);
	abort();
}

err_t connection_err(store_txn_t *t, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return OK;
	case SQLITE_FULL:
		t->full = true;
		return ERR_DISK_FULL;
	case SQLITE_CONSTRAINT:
		if (rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE ||
		    rc == SQLITE_CONSTRAINT_ROWID) {
			return ERR_EXISTS;
		}
		return rc == SQLITE_CONSTRAINT_FOREIGNKEY ? ERR_NOT_FOUND : ERR_VALUE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_UNAVAILABLE;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_SHMSIZE) {
			t->full = true; /* no room for the next piece of the WAL's index */
			return ERR_DISK_FULL;
		}
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		break;
	default:
		return ERR_STORE;
	}
	if (t->armed) {
		store_fatal("the database cannot be written", sqlite3_errstr(rc));
	}
	return ERR_STORE;
}

err_t connection_exec(store_txn_t *t, const char *sql)
{
	int rc = sqlite3_exec(t->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? OK : connection_err(t, sqlite3_extended_errcode(t->db));
}

/* The file exists with our mode before SQLite sees it: its -wal and -shm inherit it. */
static err_t file_create(const char *path, diag_t *diag)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		diag_set(diag, 0, 0, "cannot open %s", path);
		return ERR_IO;
	}
	(void)close(fd);
	return OK;
}

static err_t settings(store_txn_t *t, bool writes)
{
	int on;

	TRY(connection_err(t, sqlite3_extended_result_codes(t->db, 1)));
	TRY(connection_err(t, sqlite3_busy_timeout(t->db, STORE_BUSY_MS)));
	TRY(connection_err(t, sqlite3_db_config(t->db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on)));
	TRY(connection_err(t, sqlite3_db_config(t->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &on)));
	TRY(connection_exec(t, "PRAGMA journal_mode=WAL"));
	TRY(connection_exec(t, "PRAGMA synchronous=FULL"));
	TRY(connection_exec(t, "PRAGMA foreign_keys=ON"));
	TRY(connection_exec(t, "PRAGMA temp_store=MEMORY"));
	/* nobody checkpoints by himself: the writer does it in batch.c, where an error is seen (SQLite
	 * up to 3.51.2 may corrupt the file when two connections do) */
	TRY(connection_exec(t, "PRAGMA wal_autocheckpoint=0"));
	if (!writes) {
		TRY(connection_err(t, sqlite3_db_config(t->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &on)));
		TRY(connection_exec(t, "PRAGMA query_only=ON"));
	}
	return OK;
}

err_t connection_open(const char *path, bool writes, store_txn_t **out, diag_t *diag)
{
	store_txn_t *t;
	err_t err;

	if (writes) {
		TRY(file_create(path, diag));
	}
	t = heap_new(store_txn_t);
	if (writes) {
		t->used = used_index_new();
		t->used_version = STORE_NONE;
		crypto_random(t->used_salt, sizeof(t->used_salt));
	}
	err = connection_err(t, sqlite3_open_v2(path, &t->db,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (err == OK) {
		err = settings(t, writes);
	}
	if (err != OK) {
		diag_set(diag, 0, 0, "%s: %s", path, sqlite3_errmsg(t->db));
		connection_close(t);
		return err;
	}
	*out = t;
	return OK;
}

void connection_close(store_txn_t *t)
{
	for (size_t i = 0; i < STATEMENT_SLOTS; i++) {
		(void)sqlite3_finalize(t->statement[i].stmt);
	}
	(void)sqlite3_close(t->db);
	used_index_free(t->used);
	heap_free(t);
}

static err_t pragma_int(store_txn_t *t, const char *sql, int64_t *out)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(t->db, sql, -1, &stmt, NULL);

	TRY(connection_err(t, rc));
	rc = sqlite3_step(stmt);
	*out = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	(void)sqlite3_finalize(stmt);
	return connection_err(t, rc);
}

static err_t migrate_one(store_txn_t *t, int number)
{
	char version[64];

	for (const char *const *sql = store_migrations[number]; *sql; sql++) {
		TRY(connection_exec(t, *sql));
	}
	(void)snprintf(version, sizeof(version), "PRAGMA user_version=%d", number + 1);
	TRY(connection_exec(t, version));
	(void)snprintf(version, sizeof(version), "PRAGMA application_id=%d", APPLICATION_ID);
	return connection_exec(t, version);
}

err_t connection_migrate(store_txn_t *t, diag_t *diag)
{
	int64_t version, application;

	TRY(pragma_int(t, "PRAGMA user_version", &version));
	TRY(pragma_int(t, "PRAGMA application_id", &application));
	if (version > store_migrations_n) {
		diag_set(diag, 0, 0, "made by a newer attorn (schema %lld)", (long long)version);
		return ERR_STORE;
	}
	if (version > 0 && application != APPLICATION_ID) {
		diag_set(diag, 0, 0, "not a database of attorn");
		return ERR_STORE;
	}
	for (int number = (int)version; number < store_migrations_n; number++) {
		err_t err;

		TRY(connection_exec(t, "BEGIN IMMEDIATE"));
		err = migrate_one(t, number);
		if (err != OK) {
			diag_set(diag, 0, 0, "migration %d: %s", number + 1, sqlite3_errmsg(t->db));
			(void)sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
			return err;
		}
		TRY(connection_exec(t, "COMMIT"));
	}
	return OK;
}
