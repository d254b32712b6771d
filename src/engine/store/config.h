/* config.h: routes, secrets, policy texts and our own keys. Part of store.h. */
#ifndef ATTORN_STORE_CONFIG_H
#define ATTORN_STORE_CONFIG_H

/* ---- routes.c ---- */
typedef struct {
	str_t name;
	int64_t rev; /* grows with each change, also across removal */
	str_t doc; /* JSON */
} store_route_t;
MUST err_t store_route_put(store_txn_t *t, str_t name, str_t doc, int64_t *out_rev);
MUST err_t store_route_get(store_txn_t *t, arena_t *a, str_t name, store_route_t *out);
MUST err_t store_route_list(store_txn_t *t, arena_t *a, str_t after_name, store_route_t **out,
			    size_t *out_n);
MUST err_t store_route_remove(store_txn_t *t, str_t name); /* ERR_NOT_FOUND */

/* ---- secrets.c ---- */
typedef struct {
	str_t name;
	str_t sealed; /* by service/vault; empty in lists */
	int64_t rev;
	int64_t updated_s;
} store_secret_t;
MUST err_t store_secret_put(store_txn_t *t, str_t name, str_t sealed, int64_t now_s,
			    int64_t *out_rev);
MUST err_t store_secret_get(store_txn_t *t, arena_t *a, str_t name, store_secret_t *out);
MUST err_t store_secret_list(store_txn_t *t, arena_t *a, str_t after_name, store_secret_t **out,
			     size_t *out_n);
MUST err_t store_secret_remove(store_txn_t *t, str_t name); /* ERR_NOT_FOUND */

/* ---- policy.c ---- */
typedef struct {
	int64_t ver;
	str_t digest; /* sha-256:<hex> of text */
	str_t text; /* exact bytes of the pushed document */
	bool active;
	int64_t created_s;
} store_policy_t;
/* Stores a new version and makes it the only active one. */
MUST err_t store_policy_push(store_txn_t *t, str_t digest, str_t text, int64_t now_s,
			     int64_t *out_ver);
MUST err_t store_policy_active(store_txn_t *t, arena_t *a, store_policy_t *out); /* ERR_NOT_FOUND */
MUST err_t store_policy_by_digest(store_txn_t *t, arena_t *a, str_t digest, store_policy_t *out);

/* ---- keys.c ---- */
typedef struct {
	str_t kid;
	str_t use; /* token | ledger | nonce | session | ... */
	str_t alg;
	str_t jwk; /* public half, "" for symmetric keys */
	str_t sealed; /* private half under the KEK */
	str_t state; /* active | retired: verifies, signs no more | removed */
	int64_t next_n; /* number of the next signature */
	int64_t created_s;
} store_key_t;
MUST err_t store_key_insert(store_txn_t *t, const store_key_t *key); /* ERR_EXISTS */
/* Newest active key of a use; ERR_NOT_FOUND. */
MUST err_t store_key_active(store_txn_t *t, arena_t *a, str_t use, store_key_t *out);
/* Keys of a use in any state, newest first. */
MUST err_t store_key_list(store_txn_t *t, arena_t *a, str_t use, store_key_t **out, size_t *out_n);
MUST err_t store_key_state_set(store_txn_t *t, str_t kid, str_t state); /* ERR_NOT_FOUND */
/* Draws the number of the next signature, first 1; gapless, undone with the transaction. */
MUST err_t store_key_next_n(store_txn_t *t, str_t kid, int64_t *out_n);
/* The highest number given to a signature of this key, be it a row here or of svid_key; ERR_NOT_FOUND. */
MUST err_t store_key_last_n(store_txn_t *t, str_t kid, int64_t *out_n);
/* Passes over numbers that were used without us: none up to `n` will be given. */
MUST err_t store_key_pass_n(store_txn_t *t, str_t kid, int64_t n);

#endif
