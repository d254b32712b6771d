/* log.h: the tables of the ledger and of the feed. Part of store.h. Only service/ledger writes the
 * first group; rows of `entry` are never updated. */
#ifndef ATTORN_STORE_LOG_H
#define ATTORN_STORE_LOG_H

/* ---- entries.c ---- */
typedef struct {
	int64_t seq; /* table order = commit order */
	int64_t idx; /* place in the tree, STORE_NONE while it waits for the sequencer */
	str_t rid;
	int64_t src, n; /* producer and its gapless number */
	str_t kind; /* the record's type */
	str_t of; /* the record it speaks of (an outcome's attempt), else STR_NULL */
	str_t leaf; /* exact bytes */
	str_t leaf_hash; /* 32 bytes, from the producer's memory */
	int64_t at_us;
} store_entry_t;

/* Returns the small number of a producer, creating it with n = 0. */
MUST err_t store_source_open(store_txn_t *t, str_t id, int64_t *out_src);
/* Draws the next number of a producer, first 1; undone with the transaction, so gapless. */
MUST err_t store_source_next(store_txn_t *t, int64_t src, int64_t *out_n);
/* False when some producer has numbers without a record: rows were taken away. */
MUST err_t store_source_gapless(store_txn_t *t, bool *out);
MUST err_t store_source_last(store_txn_t *t, int64_t src, int64_t *out_n);
/* Appends; seq and idx are ignored. ERR_EXISTS when the rid is known. */
MUST err_t store_entry_append(store_txn_t *t, const store_entry_t *entry);
MUST err_t store_entry_by_rid(store_txn_t *t, arena_t *a, str_t rid, store_entry_t *out);
/* All records that speak of `rid`, in the order of seq. */
MUST err_t store_entry_about(store_txn_t *t, arena_t *a, str_t rid, store_entry_t **out,
			     size_t *out_n);
/* Entries with index >= from, in order. */
MUST err_t store_entry_range(store_txn_t *t, arena_t *a, int64_t from, int64_t limit,
			     store_entry_t **out, size_t *out_n);
/* Entries without an index, in the order of seq. */
MUST err_t store_entry_waiting(store_txn_t *t, arena_t *a, int64_t limit, store_entry_t **out,
			       size_t *out_n);
MUST err_t store_entry_index_add(store_txn_t *t, int64_t idx, int64_t seq);
MUST err_t store_entry_count(store_txn_t *t, int64_t *out_entries, int64_t *out_indexed);
/* Newest first, for people: `kind` STR_NULL = any, `before_seq` STORE_NONE = from the end. */
MUST err_t store_entry_recent(store_txn_t *t, arena_t *a, str_t kind, int64_t before_seq,
			      int64_t limit, store_entry_t **out, size_t *out_n);

/* ---- heads.c ---- */
typedef struct {
	int64_t size;
	str_t frontier;
	str_t root; /* 32 bytes */
} store_tree_head_t;
typedef struct {
	int64_t fence;
	int64_t size;
	str_t root; /* 32 bytes */
	str_t checkpoint; /* the signed note */
} store_log_lock_t;

MUST err_t store_tree_head_get(store_txn_t *t, arena_t *a, store_tree_head_t *out);
MUST err_t store_tree_head_put(store_txn_t *t, const store_tree_head_t *head);
/* ERR_NOT_FOUND before the first signature. */
MUST err_t store_log_lock_get(store_txn_t *t, arena_t *a, store_log_lock_t *out);
/* Writes the first lock; ERR_EXISTS. */
MUST err_t store_log_lock_init(store_txn_t *t, const store_log_lock_t *first);
/* Compare-and-swap on fence, size and root; ERR_CONFLICT when it is not `old` any more. */
MUST err_t store_log_lock_swap(store_txn_t *t, const store_log_lock_t *old,
			       const store_log_lock_t *new_);

/* ---- openings.c: what the commitments in a leaf hide, sealed by service/ledger ---- */
MUST err_t store_opening_put(store_txn_t *t, str_t rid, str_t sealed);
MUST err_t store_opening_get(store_txn_t *t, arena_t *a, str_t rid, str_t *out_sealed);

/* ---- changes.c: the feed ---- */
typedef struct {
	int64_t seq;
	str_t kind;
	str_t id;
	str_t body; /* JSON, "" when the id says all */
	bool snapshot; /* a decision reads it: raises the snapshot's version */
} store_change_t;

/* Appends in the caller's transaction; returns its number. */
MUST err_t store_change_add(store_txn_t *t, const store_change_t *change, int64_t *out_seq);
MUST err_t store_change_since(store_txn_t *t, arena_t *a, int64_t after_seq, int64_t limit,
			      store_change_t **out, size_t *out_n);
/* Newest change of anything, 0 when there is none. */
MUST err_t store_change_last(store_txn_t *t, int64_t *out_seq);
/* Newest change that a decision reads: the snapshot's version and the fence; 0 when none. */
MUST err_t store_snapshot_version(store_txn_t *t, int64_t *out_seq);

#endif
