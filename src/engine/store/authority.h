/* authority.h: grants, what was spent, attempts: the tables of `admit`. Part of store.h. */
#ifndef ATTORN_STORE_AUTHORITY_H
#define ATTORN_STORE_AUTHORITY_H

/* ---- grants.c ---- */
typedef struct {
	str_t id; /* ULID, the rid of its record */
	str_t root; /* id of the top of its tree; its own id for a root */
	str_t parent; /* STR_NULL for a root */
	int64_t depth; /* 0 for a root */
	str_t agent; /* who may use it */
	str_t user; /* whose authority it is */
	str_t doc; /* JCS-S text exactly as signed */
	str_t sig; /* signature bytes */
	str_t key; /* jkt of the key that signed */
	bool admin_made;
	int64_t iat_s, exp_s;
	int64_t uses_max, uses_left; /* STORE_NONE: not counted */
	int64_t revoked_s; /* STORE_NONE: alive */
	str_t reason; /* of the revoke */
} store_grant_t;

/* Fills every column but revoked_s and reason; uses_left starts at uses_max. ERR_EXISTS;
 * ERR_NOT_FOUND when agent, user or parent does not exist. */
MUST err_t store_grant_insert(store_txn_t *t, const store_grant_t *grant);
MUST err_t store_grant_get(store_txn_t *t, arena_t *a, str_t id, store_grant_t *out);
/* `user`, `agent`: STR_NULL = any. Newest first; `before_id` is the last id seen. */
MUST err_t store_grant_list(store_txn_t *t, arena_t *a, str_t user, str_t agent, str_t before_id,
			    store_grant_t **out, size_t *out_n);
/* The grant and its ancestors, the grant itself first, the root last; ERR_NOT_FOUND, ERR_DEPTH. */
MUST err_t store_grant_chain(store_txn_t *t, arena_t *a, str_t id, store_grant_t **out,
			     size_t *out_n);
/* One grant as of now: ERR_GRANT_REVOKED, ERR_NOT_YET, ERR_GRANT_EXPIRED, ERR_GRANT_USES. */
MUST err_t store_grant_alive(const store_grant_t *grant, int64_t now_s);
/* The same of a grant and all above it; ERR_GRANT when `id` is unknown. */
MUST err_t store_grant_chain_alive(store_txn_t *t, arena_t *a, str_t id, int64_t now_s);
/* admit, steps 3 and 4: every grant up to the root is alive and loses one use, or none does (the
 * caller's savepoint undoes). Errors of store_grant_alive; ERR_GRANT when `id` is unknown. */
MUST err_t store_grant_spend(store_txn_t *t, arena_t *a, str_t id, int64_t now_s);
/* Ends a grant and all below it; returns the ids that ended now, the grant first. ERR_NOT_FOUND;
 * ERR_CONFLICT when it had ended before. */
MUST err_t store_grant_revoke(store_txn_t *t, arena_t *a, str_t id, int64_t now_s, str_t reason,
			      str_t **out_ids, size_t *out_n);
/* Ids revoked at or after since_s, for a feed's first lines. */
MUST err_t store_grant_revoked_since(store_txn_t *t, arena_t *a, int64_t since_s, str_t **out_ids,
				     size_t *out_n);

/* ---- used.c: on the write lane alone ---- */
/* Spends (space, id) for ever until `until_s`; ERR_REPLAY when it was spent before. */
MUST err_t store_used_insert(store_txn_t *t, str_t space, str_t id, int64_t until_s);
MUST err_t store_used_has(store_txn_t *t, str_t space, str_t id, bool *out);
/* Removes rows whose time is before now_s, of `limit` rows it looks at: call it every second or so. */
MUST err_t store_used_purge(store_txn_t *t, int64_t now_s, int64_t limit, int64_t *out_removed);

/* ---- attempts.c ---- */
typedef struct {
	str_t rid;
	str_t req; /* 32 bytes: digest of the admit body, to know a repeat */
	str_t gateway; /* its instance */
	str_t route; /* "" when none */
	str_t grant; /* STR_NULL for an autonomous agent */
	int64_t deadline_ms;
	str_t code; /* STR_NULL: admitted; else the stable error name of the denial */
	str_t outcome; /* rid of the closing record, STR_NULL while open; a denial closes itself */
} store_attempt_t;

MUST err_t store_attempt_insert(store_txn_t *t, const store_attempt_t *attempt); /* ERR_EXISTS */
MUST err_t store_attempt_get(store_txn_t *t, arena_t *a, str_t rid, store_attempt_t *out);
/* Sets the outcome of an open attempt; ERR_CLOSED when it has one, ERR_NOT_FOUND. */
MUST err_t store_attempt_close(store_txn_t *t, str_t rid, str_t outcome_rid);
/* Open attempts past their deadline, oldest first. */
MUST err_t store_attempt_overdue(store_txn_t *t, arena_t *a, int64_t now_ms, int64_t limit,
				 store_attempt_t **out, size_t *out_n);
/* Open attempts of one gateway instance, or of all for STR_NULL. */
MUST err_t store_attempt_open_list(store_txn_t *t, arena_t *a, str_t gateway, int64_t limit,
				   store_attempt_t **out, size_t *out_n);

#endif
