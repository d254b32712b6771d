/* attested.h: what identity keeps: entries of agents, the authority keys of SVIDs with their states, the
 * sequence of our bundle, bundles of others, nodes, join tokens, runs. Part of store.h. */
#ifndef ATTORN_STORE_ATTESTED_H
#define ATTORN_STORE_ATTESTED_H

/* ---- agent_entries.c: by which attested facts an agent's processes are known ---- */
typedef struct {
	str_t agent; /* its id */
	str_t id; /* name, unique within the agent */
	str_t doc; /* JSON (docs/identity.md 3) */
	int64_t created_s;
} store_agent_entry_t;
/* Replaces all entries of one agent; those whose id stays keep created_s. ERR_NOT_FOUND. */
MUST err_t store_agent_entries_set(store_txn_t *t, arena_t *a, str_t agent, const store_agent_entry_t *v, size_t n);
MUST err_t store_agent_entry_get(store_txn_t *t, arena_t *a, str_t agent, str_t id, store_agent_entry_t *out);
MUST err_t store_agent_entry_list(store_txn_t *t, arena_t *a, str_t agent, store_agent_entry_t **out, size_t *out_n);
/* Entries of all active agents in the order of (agent, id), at most STORE_LIST_MAX after the pair given. */
MUST err_t store_agent_entry_page(store_txn_t *t, arena_t *a, str_t after_agent, str_t after_id,
	store_agent_entry_t **out, size_t *out_n);

/* ---- svid_keys.c: authority keys (the private half is the signer's) ---- */
typedef struct {
	str_t kid; /* RFC 7638 thumbprint */
	str_t kind; /* x509 | jwt */
	str_t alg; /* ES256 | RS256 */
	str_t state; /* prepared | active | old | tainted | revoked */
	str_t spki; /* DER */
	str_t cert; /* DER of the CA certificate; STR_NULL for jwt */
	int64_t created_s, not_after_s;
} store_svid_key_t;
MUST err_t store_svid_key_insert(store_txn_t *t, const store_svid_key_t *key); /* ERR_EXISTS */
MUST err_t store_svid_key_get(store_txn_t *t, arena_t *a, str_t kid, store_svid_key_t *out);
/* Every key of a kind in the order of its making; STR_NULL: of both. */
MUST err_t store_svid_key_list(store_txn_t *t, arena_t *a, str_t kind, store_svid_key_t **out, size_t *out_n);
MUST err_t store_svid_key_state_set(store_txn_t *t, str_t kid, str_t state); /* ERR_NOT_FOUND */
MUST err_t store_svid_key_cert_set(store_txn_t *t, str_t kid, str_t cert); /* ERR_NOT_FOUND */
/* Draws the number of the next signature, first 1; gapless, undone with the transaction. */
MUST err_t store_svid_key_next_n(store_txn_t *t, str_t kid, int64_t *out_n);
/* Forgets keys that ended before `before_s`. */
MUST err_t store_svid_key_prune(store_txn_t *t, int64_t before_s);

/* ---- trust.c: bundles ---- */
/* The sequence of our own bundle: raised when `digest` is not the one it has. */
MUST err_t store_bundle_sequence(store_txn_t *t, str_t td, str_t digest, int64_t now_s, int64_t *out_sequence);
MUST err_t store_bundle_own(store_txn_t *t, str_t td, int64_t *out_sequence); /* 0 before the first key */
typedef struct {
	str_t td;
	str_t doc; /* SPIFFE bundle document, exactly as it came */
	int64_t sequence, updated_s;
} store_foreign_bundle_t;
MUST err_t store_foreign_bundle_put(store_txn_t *t, const store_foreign_bundle_t *b);
MUST err_t store_foreign_bundle_get(store_txn_t *t, arena_t *a, str_t td, store_foreign_bundle_t *out);
MUST err_t store_foreign_bundle_list(store_txn_t *t, arena_t *a, store_foreign_bundle_t **out, size_t *out_n);
MUST err_t store_foreign_bundle_remove(store_txn_t *t, str_t td); /* ERR_NOT_FOUND */

/* ---- nodes.c: nodes, what they join with, and what runs on them ---- */
typedef struct {
	str_t id; /* SPIFFE ID */
	str_t method; /* local | join_token | x509pop */
	str_t selectors; /* JSON array */
	str_t state; /* active | banned */
	int64_t seen_s, created_s;
} store_node_t;
/* Inserts, or refreshes selectors and seen_s; a banned one stays banned: ERR_AGENT_STATE. */
MUST err_t store_node_put(store_txn_t *t, const store_node_t *node);
MUST err_t store_node_get(store_txn_t *t, arena_t *a, str_t id, store_node_t *out);
MUST err_t store_node_list(store_txn_t *t, arena_t *a, str_t after_id, store_node_t **out, size_t *out_n);
MUST err_t store_node_state_set(store_txn_t *t, str_t id, str_t state); /* ERR_NOT_FOUND */
MUST err_t store_join_token_put(store_txn_t *t, str_t hash, int64_t exp_s);
/* Consumes: exactly one row, unexpired, goes; ERR_NOT_FOUND. */
MUST err_t store_join_token_take(store_txn_t *t, str_t hash, int64_t now_s);

typedef struct {
	str_t id; /* 128 random bits, hex */
	str_t agent, entry, node, spiffe_id;
	str_t grant_id; /* or STR_NULL */
	str_t runner; /* JSON array of selectors */
	str_t code; /* sha-256:.. as the runner stated it, or empty */
	int64_t started_s, exp_s;
	int64_t ended_s; /* STORE_NONE while it lives */
} store_run_t;
MUST err_t store_run_insert(store_txn_t *t, const store_run_t *run); /* ERR_EXISTS */
MUST err_t store_run_get(store_txn_t *t, arena_t *a, str_t id, store_run_t *out);
static inline bool store_run_lives(const store_run_t *run, int64_t now_s)
{
	return run->ended_s == STORE_NONE && run->exp_s > now_s;
}
MUST err_t store_run_alive(store_txn_t *t, arena_t *a, str_t id, int64_t now_s); /* ERR_RUN_OVER */
MUST err_t store_run_end(store_txn_t *t, str_t id, int64_t now_s); /* ERR_NOT_FOUND when it ended before */
MUST err_t store_run_list(store_txn_t *t, arena_t *a, str_t agent, bool living, store_run_t **out, size_t *out_n);
/* Ends every run of a node: it was banned, or came back without them. */
MUST err_t store_runs_end_of_node(store_txn_t *t, str_t node, int64_t now_s);

#endif
