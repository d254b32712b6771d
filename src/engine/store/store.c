/* store.c: opening, closing, copying; the small facts about the store itself. */
#include <stdio.h>

#include "engine/store/store_int.h"

static int wal_grew(void *self, sqlite3 *db, const char *name, int pages)
{
	store_t *s = self;

	(void)db;
	(void)name;
	s->wal_pages = pages;
	return SQLITE_OK;
}

static err_t paths_set(store_t *s, str_t path)
{
	size_t slash = str_find_last(path, '/');
	int dir_n = slash == path.n ? 0 : (int)slash + 1;

	ENSURE(path.n > 0 && path.n < STORE_PATH_BYTES_MAX - 16 && !str_has_nul(path), ERR_VALUE);
	(void)snprintf(s->path, sizeof(s->path), "%.*s", STR_ARG(path));
	(void)snprintf(s->reserve_path, sizeof(s->reserve_path), "%.*sreserve", dir_n, path.p);
	return OK;
}

/* A disk that is full leaves SQLite no room for the files it opens with: then the reserve is given away
 * before, and we start in the state in which only what must be written is. */
static bool starts_full(store_t *s)
{
	uint64_t room;

	if (s->reserve_bytes == 0 || disk_free(s->path, &room) != OK || room >= STORE_LOW_BYTES) {
		return false;
	}
	while (reserve_give(s)) {
	}
	return true;
}

static err_t open_all(store_t *s, unsigned readers, diag_t *diag)
{
	bool full = starts_full(s);

	TRY(connection_open(s->path, true, &s->writer, diag));
	TRY(connection_migrate(s->writer, diag));
	s->writer->armed = true;
	(void)sqlite3_wal_hook(s->writer->db, wal_grew, s);
	for (unsigned i = 0; i < readers; i++) {
		TRY(connection_open(s->path, false, &s->reader[i], diag));
		s->n_readers++;
	}
	if (full || reserve_keep(s) != OK) {
		atomic_store(&s->full, true); /* fullness_update takes it back when there is room for both */
	}
	return OK;
}

err_t store_open(str_t path, const store_options_t *options, store_t **out, diag_t *diag)
{
	static const store_options_t defaults = { 0 };
	const store_options_t *o = options ? options : &defaults;
	AUTO(store_close) store_t *s = heap_new(store_t);

	CHECK(o->readers <= STORE_READERS_MAX);
	/* no figures of memory, and so no lock around each allocation; for the first store of a process */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)pthread_mutex_init(&s->readers_lock, NULL);
	(void)pthread_cond_init(&s->readers_free, NULL);
	TRY(paths_set(s, path));
	if (!o->no_reserve) {
		s->reserve_bytes = o->reserve_bytes ? o->reserve_bytes : STORE_RESERVE_BYTES;
	}
	TRY(open_all(s, o->readers ? o->readers : STORE_READERS_DEFAULT, diag));
	*out = TAKE(s);
	return OK;
}

void store_close(store_t *s)
{
	if (!s) {
		return;
	}
	for (unsigned i = 0; i < s->n_readers; i++) {
		CHECK(!s->reader_busy[i]);
		connection_close(s->reader[i]);
	}
	if (s->writer) {
		connection_close(s->writer); /* last: it checkpoints and removes the log */
	}
	(void)pthread_cond_destroy(&s->readers_free);
	(void)pthread_mutex_destroy(&s->readers_lock);
	heap_free(s);
}

static err_t copy_to(store_txn_t *t, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", t->db, "main");
	int rc;

	ENSURE(b, ERR_STORE);
	rc = sqlite3_backup_step(b, -1);
	(void)sqlite3_backup_finish(b);
	return rc == SQLITE_DONE ? OK : ERR_STORE;
}

static err_t copy_run(store_txn_t *t, void *self)
{
	const char *path = self;
	sqlite3 *to = NULL;
	err_t err = ERR_STORE;

	if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK) {
		err = copy_to(t, to);
	}
	return sqlite3_close(to) == SQLITE_OK ? err : ERR_STORE;
}

err_t store_backup(store_t *s, str_t path)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const char *cpath;

	TRY(arena_cstr(a, path, &cpath));
	return store_read(s, copy_run, (void *)cpath);
}

err_t store_meta_get(store_txn_t *t, arena_t *a, str_t name, str_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT value FROM meta WHERE name = ?", &q));
	query_text(&q, name);
	return query_one(&q, a, sizeof(*out), query_row_str, out);
}

err_t store_meta_put(store_txn_t *t, str_t name, str_t value)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO meta (name, value) VALUES (?, ?)"
			  " ON CONFLICT (name) DO UPDATE SET value = excluded.value", &q));
	query_text(&q, name);
	query_text(&q, value);
	return query_run(&q);
}
