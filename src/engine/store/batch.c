/* batch.c: group commit. One transaction for all that is queued, a savepoint each, one sync; then
 * the checkpoint, by the writer alone and where its errors are seen (reference ledger 9.2). */
#include "engine/store/store_int.h"

enum { WARY_BATCHES = 64 }; /* after a failure: about a tenth of a second of load */

bool store_is_full(const store_t *s)
{
	return atomic_load(&s->full);
}

/* Notices a disk that is nearly full before a transaction dies of it, and one that has room again. At every
 * batch: what is given away only when a transaction has died is not there at once for the next one. */
static void fullness_update(store_t *s)
{
	uint64_t room, wanted = STORE_LOW_BYTES;

	if (s->reserve_bytes == 0 || disk_free(s->path, &room) != OK) {
		return;
	}
	if (!atomic_load(&s->full)) {
		atomic_store(&s->full, room < wanted);
		return;
	}
	/* all of it: a reserve that still stands needs no new room, and asking for a little more than
	 * necessary keeps us from flapping */
	if (room >= 2 * wanted + s->reserve_bytes && reserve_keep(s) == OK) {
		atomic_store(&s->full, false);
	}
}

static void all_fail(store_closure_t *const closures[], size_t n, err_t err)
{
	for (size_t i = 0; i < n; i++) {
		closures[i]->err = err;
	}
}

static void rollback(store_txn_t *t)
{
	if (sqlite3_get_autocommit(t->db) == 0) {
		(void)sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
	}
}

static err_t exec_cached(store_txn_t *t, const char *sql)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, sql, &q));
	return query_run(&q);
}

/* How a transaction is run. Savepoints cost a copy of each page they change, and closures that fail
 * are rare (a denial is a record, not a failure): the first try goes without, and when one fails
 * everything is undone and run again with them. */
typedef struct {
	bool essential_only; /* the disk is full */
	bool savepoints;
} way_t;

/* True when nothing of the transaction can stand: a full disk, or SQLite ended it by itself. */
static err_t broken(store_txn_t *t)
{
	ENSURE(!t->full, ERR_DISK_FULL);
	ENSURE(sqlite3_get_autocommit(t->db) == 0, ERR_STORE);
	return OK;
}

/* One closure. An error returned here is the transaction's, not the closure's. */
static err_t run_one(store_txn_t *t, store_closure_t *c)
{
	size_t mark = used_index_mark(t->used);

	TRY(exec_cached(t, "SAVEPOINT closure"));
	c->err = c->run(t, c->self);
	TRY(broken(t));
	if (c->err != OK) {
		TRY(exec_cached(t, "ROLLBACK TO closure"));
		used_index_undo(t->used, mark);
	}
	return exec_cached(t, "RELEASE closure");
}

/* ERR_CONFLICT: one failed, so that all must run again with savepoints. */
static err_t run_plain(store_txn_t *t, store_closure_t *c)
{
	c->err = c->run(t, c->self);
	TRY(broken(t));
	return c->err == OK ? OK : ERR_CONFLICT;
}

static err_t run_each(store_txn_t *t, store_closure_t *const closures[], size_t n, way_t way)
{
	for (size_t i = 0; i < n; i++) {
		if (way.essential_only && !closures[i]->essential) {
			closures[i]->err = ERR_DISK_FULL;
			continue;
		}
		TRY(way.savepoints ? run_one(t, closures[i]) : run_plain(t, closures[i]));
	}
	return exec_cached(t, "COMMIT");
}

static err_t run_all(store_t *s, store_closure_t *const closures[], size_t n, way_t way)
{
	store_txn_t *t = s->writer;
	int64_t used_from = t->used_from;
	err_t err;

	t->full = false;
	TRY(exec_cached(t, "BEGIN IMMEDIATE"));
	err = used_refresh(t);
	if (err == OK) {
		err = run_each(t, closures, n, way);
	}
	if (err != OK) {
		rollback(t);
		used_index_undo(t->used, 0);
		t->used_from = used_from;
		return err;
	}
	used_index_commit(t->used);
	return OK;
}

/* Chooses the way. After a failure the next batches go with savepoints at once, so that somebody who
 * makes closures fail on purpose does not double our work. */
static err_t run_batch(store_t *s, store_closure_t *const closures[], size_t n, bool essential_only)
{
	way_t way = { essential_only, s->wary > 0 && n > 1 };
	err_t err = run_all(s, closures, n, way);

	if (s->wary > 0) {
		s->wary--;
	}
	if (err != ERR_CONFLICT || way.savepoints) {
		return err;
	}
	if (n == 1) {
		return OK; /* it failed alone and is undone; its error is told */
	}
	s->wary = WARY_BATCHES;
	way.savepoints = true;
	return run_all(s, closures, n, way);
}

static void checkpoint(store_t *s)
{
	int rc;

	if (s->wal_pages < STORE_CHECKPOINT_PAGES) {
		return;
	}
	rc = sqlite3_wal_checkpoint_v2(s->writer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	/* busy: a reader is in the way; full: the log stays where it is. An I/O error ends us. */
	if (rc != SQLITE_OK && connection_err(s->writer, sqlite3_extended_errcode(s->writer->db)) != OK) {
		s->writer->full = false;
	}
}

void store_batch_run(store_t *s, store_closure_t *const closures[], size_t n)
{
	bool gave = true;
	err_t err;

	CHECK(n > 0 && n <= STORE_BATCH_MAX);
	fullness_update(s);
	err = run_batch(s, closures, n, atomic_load(&s->full));
	while (err == ERR_DISK_FULL && gave) {
		/* nothing is committed: give some of the reserve away and keep what must not be lost */
		gave = reserve_give(s);
		atomic_store(&s->full, true);
		err = run_batch(s, closures, n, true);
	}
	if (err != OK) {
		all_fail(closures, n, err);
		return;
	}
	checkpoint(s);
}

err_t store_write(store_t *s, store_fn_t *run, void *self)
{
	store_closure_t c = { .run = run, .self = self };
	store_closure_t *const one[] = { &c };

	store_batch_run(s, one, 1);
	return c.err;
}

static unsigned reader_take(store_t *s)
{
	unsigned i;

	(void)pthread_mutex_lock(&s->readers_lock);
	for (;;) {
		for (i = 0; i < s->n_readers && s->reader_busy[i]; i++) {
		}
		if (i < s->n_readers) {
			break;
		}
		(void)pthread_cond_wait(&s->readers_free, &s->readers_lock);
	}
	s->reader_busy[i] = true;
	(void)pthread_mutex_unlock(&s->readers_lock);
	return i;
}

static void reader_give(store_t *s, unsigned i)
{
	(void)pthread_mutex_lock(&s->readers_lock);
	s->reader_busy[i] = false;
	(void)pthread_cond_signal(&s->readers_free);
	(void)pthread_mutex_unlock(&s->readers_lock);
}

err_t store_read(store_t *s, store_fn_t *run, void *self)
{
	unsigned i = reader_take(s);
	store_txn_t *t = s->reader[i];
	err_t err = exec_cached(t, "BEGIN");

	if (err == OK) {
		err = run(t, self);
	}
	rollback(t); /* ends the snapshot; there is nothing to undo */
	reader_give(s, i);
	return err;
}
