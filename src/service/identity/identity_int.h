/* identity_int.h: what the files of identity share. */
#ifndef ATTORN_IDENTITY_INT_H
#define ATTORN_IDENTITY_INT_H

#include "pure/codec/codec.h"
#include "service/identity/identity.h"

/* --- view.c ------------------------------------------------------------------------------------------- */

typedef struct {
	str_t key; /* <agent id>#<entry id>; the view is sorted by it */
	str_t agent;
	str_t doc; /* as stored: equal text, equal entry */
	int64_t created_s;
	spiffe_entry_t entry;
} view_entry_t;

/* A key that signs, as issuing needs it. */
typedef struct {
	str_t kid; /* empty: there is none */
	crypto_alg_t alg;
	int64_t not_after_s;
	str_t cert; /* DER, x509 */
	x509_issuer_t issuer; /* x509 */
} view_signer_t;

struct identity_view {
	_Atomic int refs;
	arena_t *a;
	int64_t seq; /* newest change it holds */
	const view_entry_t *entries;
	size_t n_entries;
	const store_svid_key_t *keys; /* of both kinds, every state */
	size_t n_keys;
	view_signer_t x509, jwt;
	spiffe_bundle_t *bundles; /* our own first */
	size_t n_bundles;
	spiffe_trust_t **trusts;
};

/* Reads the store and makes a view; any lane. */
MUST err_t view_make(const identity_deps_t *deps, int64_t now_s, identity_view_t **out);
const identity_view_t *view_ref(const identity_view_t *v);
const view_entry_t *view_entry_find(const identity_view_t *v, str_t key);
/* The rebuild as an operation; its view is taken when the flow goes on with view_take. */
typedef struct {
	const identity_deps_t *deps;
	int64_t now_s;
	identity_view_t *made;
} view_job_t;
MUST err_t view_job_run(void *job);
/* Makes it the current one and tells the nodes, unless a newer one stands; takes it either way. */
void view_take(identity_t *p, identity_view_t *made);

/* --- identity.c ---------------------------------------------------------------------------------------- */

/* Ends the object that `w` writes and appends it as a record of this type, in the caller's transaction. */
MUST err_t record_append(const identity_deps_t *d, store_txn_t *txn, arena_t *a, ledger_type_t type, int64_t now_us,
	jw_t *w);

/* --- keys.c ------------------------------------------------------------------------------------------- */

/* Does what is due to the keys of both kinds; one at a time. */
void keys_tend(identity_t *p);

/* --- stream.c ------------------------------------------------------------------------------------------ */

struct node_stream;
void streams_publish(identity_t *p, const identity_view_t *before);
void streams_ping(identity_t *p);
void streams_end(identity_t *p);
void stream_open(identity_t *p, net_exchange_t *x, str_t node);

/* --- issue.c, runs.c ------------------------------------------------------------------------------------- */

void issue_handle(identity_t *p, net_exchange_t *x, str_t node, bool jwt);
void run_begin_handle(identity_t *p, net_exchange_t *x, str_t node);
void run_over_handle(identity_t *p, net_exchange_t *x, str_t node);

typedef struct {
	spiffe_facts_t facts;
	spiffe_selectors_t runner;
} facts_t;
/* {"selectors":[..],"run":{"id":..,"runner":[..]}|null} */
MUST err_t facts_read(arena_t *a, const json_t *obj, str_t node, facts_t *out);

struct identity {
	identity_deps_t deps;
	const identity_view_t *view;
	view_job_t rebuild;
	lane_job_t rebuild_job;
	bool rebuilding, again;
	loop_timer_t ping, tend;
	struct node_stream *streams;
	size_t n_streams;
};

#endif
