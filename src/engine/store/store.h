/* store.h: the truth of the authority, as typed blocking queries over one SQLite file.
 * Owns: the connections, the statement caches, the reserve file. Threads: store_batch_run and
 * store_write on the write lane only (one thread); store_read on any lane, it waits for a reader.
 * Limits: limits.h; a read closure must be short, an open reader keeps the log from shrinking.
 * Forbidden: a closure that has effects outside the transaction and *self: it may run twice, and
 * only its last run counts. Times in *_s are Unix seconds, in *_ms milliseconds, in *_us micro-.
 * The queries follow in identity.h, attested.h, authority.h, log.h and config.h, one noun a .c file. */
#ifndef ATTORN_STORE_H
#define ATTORN_STORE_H

#include "engine/store/limits.h"
#include "pure/base/base.h"

typedef struct store store_t;
/* What a closure is handed: a connection inside a transaction. Never outlives the closure. */
typedef struct store_txn store_txn_t;

/* Absent number: no limit, no time, no index. Absent text is STR_NULL. */
enum { STORE_NONE = -1 };

typedef struct {
	unsigned readers; /* 0: STORE_READERS_DEFAULT */
	uint64_t reserve_bytes; /* 0: STORE_RESERVE_BYTES */
	bool no_reserve; /* tools that only read */
} store_options_t;

/* Opens or creates the database at `path` (directory must exist), migrates it, and keeps a file
 * `reserve` beside it. `options` may be NULL. ERR_STORE, ERR_DISK_FULL, ERR_IO; `diag` says why. */
MUST err_t store_open(str_t path, const store_options_t *options, store_t **out, diag_t *diag);
void store_close(store_t *s); /* accepts NULL; no closure may be running */
DEFINE_AUTO(store_t *, store_close);

/* Work of one caller inside a transaction. */
typedef MUST err_t store_fn_t(store_txn_t *txn, void *self);
typedef struct {
	store_fn_t *run;
	void *self;
	bool essential; /* denials, outcomes, revokes: still written when the disk is full */
	err_t err; /* filled by store_batch_run */
} store_closure_t;

/* Runs n <= STORE_BATCH_MAX closures in order in one transaction, a savepoint each, and commits
 * once. A closure that fails is undone alone and keeps its error; the others are durable when this
 * returns. When the commit fails each gets that error. An I/O or fsync error ends the process. */
void store_batch_run(store_t *s, store_closure_t *const closures[], size_t n);
/* A batch of one. */
MUST err_t store_write(store_t *s, store_fn_t *run, void *self);
/* Runs one closure on a read connection inside a read transaction. */
MUST err_t store_read(store_t *s, store_fn_t *run, void *self);

/* True while the reserve is released: only essential closures are taken. */
bool store_is_full(const store_t *s);

/* A consistent copy of the whole database to `path` (backup API); for `attorn` tools and tests. */
MUST err_t store_backup(store_t *s, str_t path);

/* Names the file system that holds `path` ("ext4", "tmpfs", "0x..."); `*out_durable` is false where
 * a sync promises nothing (tmpfs, ramfs). ERR_IO. `*out_name` is static or in the arena. */
MUST err_t store_disk(arena_t *a, str_t path, str_t *out_name, bool *out_durable);

/* ---- meta: small facts about the store itself ---- */
MUST err_t store_meta_get(store_txn_t *t, arena_t *a, str_t name, str_t *out); /* ERR_NOT_FOUND */
MUST err_t store_meta_put(store_txn_t *t, str_t name, str_t value);

/* ---- counts.c: rows, for `status` ---- */
typedef struct {
	int64_t agents, users, roles, routes, secrets, grants;
} store_counts_t;
MUST err_t store_counts(store_txn_t *t, store_counts_t *out);

#include "engine/store/attested.h"
#include "engine/store/authority.h"
#include "engine/store/config.h"
#include "engine/store/identity.h"
#include "engine/store/lane.h"
#include "engine/store/log.h"

#endif
