/* node_int.h: what the files of node share, bottom up: entries and trust, SVIDs, runs, callers. */
#ifndef ATTORN_NODE_INT_H
#define ATTORN_NODE_INT_H

#include "engine/grpc/grpc.h"
#include "pure/codec/codec.h"
#include "service/node/attest.h"
#include "service/node/node.h"

typedef struct upstream upstream_t;
typedef struct run run_t;
typedef struct caller caller_t;

/* --- entries.c: what the authority told this node ------------------------------------------------------ */

typedef struct node_entry {
	struct node_entry *next; /* in its bucket */
	arena_t *a;
	str_t key, agent, doc;
	int64_t created_s;
	spiffe_entry_t e;
	attest_families_t needs;
	bool stale; /* not heard of since the feed began anew */
	bool gone; /* out of the table: only what was made of it still names it */
	uint32_t refs; /* SVIDs that name it, and the table */
} node_entry_t;

typedef struct {
	node_entry_t *buckets[NODE_BUCKETS];
	size_t n;
	attest_families_t needs; /* of all entries and their runners */
} entries_t;
/* Takes one feed line's entry; *out_changed false when it was known as it is. */
MUST err_t entries_put(entries_t *t, const json_t *line, str_t td, bool *out_changed);
bool entries_remove(entries_t *t, str_t key);
void entries_stale(entries_t *t); /* a new feed begins */
bool entries_sweep(entries_t *t); /* it is complete: what it did not name is gone; true when something was */
void entries_done(entries_t *t);
node_entry_t *entries_ref(node_entry_t *e);
void entries_unref(node_entry_t *e); /* accepts NULL */
/* The entry for `attorn run --as WHO`: an agent's SPIFFE ID or its last segment, and perhaps an entry's id.
 * ERR_NOT_FOUND, ERR_VALUE when several answer. */
MUST err_t entries_for_run(entries_t *t, str_t who, str_t entry, node_entry_t **out);

/* What a caller is known by. */
typedef struct {
	const spiffe_selectors_t *selectors;
	attest_families_t unknown;
	const run_t *run; /* NULL: none */
	int64_t now_s;
} match_facts_t;
typedef struct {
	node_entry_t *v[NODE_MATCHES_MAX]; /* default identity first */
	size_t n;
	bool maybe; /* an entry might match if a family were not unknown */
} match_t;
void entries_match(const entries_t *t, const match_facts_t *f, match_t *out);

/* --- trust.c: bundles ------------------------------------------------------------------------------------ */

typedef struct {
	arena_t *a;
	spiffe_bundle_t bundle;
	spiffe_trust_t *trust;
	bool stale;
} node_bundle_t;
typedef struct {
	node_bundle_t *v[NODE_BUNDLES_MAX]; /* our own first, when it is known */
	size_t n;
} trust_t;
MUST err_t trust_put(trust_t *t, const json_t *line, str_t own_td, bool *out_changed);
bool trust_remove(trust_t *t, str_t td);
void trust_stale(trust_t *t);
bool trust_sweep(trust_t *t);
void trust_done(trust_t *t);
const node_bundle_t *trust_own(const trust_t *t, str_t own_td); /* NULL: not told yet */
const node_bundle_t *trust_find(const trust_t *t, str_t td);

/* --- svid.c: X509-SVIDs, one per entry and instance -------------------------------------------------------- */

typedef enum { SVID_ASKED, SVID_READY, SVID_FAILED } svid_state_t;
typedef struct svid {
	struct svid *next;
	node_t *node;
	char *name; /* entry key, run, facts: equal names are one identity */
	node_entry_t *entry;
	char *run; /* run id, NULL: none */
	char *facts; /* JSON, as the authority gets it */
	uint32_t refs; /* callers */
	/* what stands, and what is being asked for */
	secret_t key, next_key;
	char *id; /* SPIFFE ID, NULL before the first */
	buf_t chain;
	int64_t exp_s, renew_s;
	svid_state_t state;
	err_t why; /* FAILED: what the authority said */
	bool asking, removed;
	uint32_t again_ms;
	loop_timer_t timer;
} svid_t;
/* The identity of this entry for these facts; asks for it when it is new. ERR_LIMIT. */
MUST err_t svid_get(node_t *n, node_entry_t *e, const spiffe_selectors_t *facts, const run_t *run, svid_t **out);
void svid_drop(svid_t *s); /* a caller does not need it any more; accepts NULL */
bool svid_alive(const svid_t *s, int64_t now_s); /* may be handed out */
void svids_of_run_end(node_t *n, const char *run);
void svids_renew_all(node_t *n); /* tainted: every one is replaced now */
void svids_done(node_t *n);

/* --- jwt.c: JWT-SVIDs, kept by identity and audiences ------------------------------------------------------- */

typedef struct jwt_wait jwt_wait_t;
/* Calls done(owner, err, token) from the loop, or at once inside when the token is kept: token is borrowed. */
typedef void (*jwt_done_fn)(void *owner, err_t e, str_t id, str_t token);
/* NULL: answered already. */
jwt_wait_t *jwt_get(node_t *n, svid_t *s, const str_t *aud, size_t n_aud, jwt_done_fn done, void *owner);
void jwt_wait_cancel(jwt_wait_t *w); /* done is not called any more; accepts NULL */
void jwts_done(node_t *n);
void jwts_forget(node_t *n); /* tainted, or a bundle changed */
void jwts_of_svid_end(node_t *n, const svid_t *s);

/* --- upstream.c: the authority --------------------------------------------------------------------------------- */

MUST err_t upstream_open(node_t *n, upstream_t **out);
void upstream_close(upstream_t *u, void (*closed)(void *), void *owner);
/* Queues a request for a certificate; svid_issued answers, from the loop. */
void upstream_ask_svid(upstream_t *u, svid_t *s);
void svid_issued(svid_t *s, err_t e, const json_t *item);
/* One POST; done(owner, err, body) from the loop: an answer that is an error comes as that error. */
typedef void (*upstream_done_fn)(void *owner, err_t e, const json_t *body);
MUST err_t upstream_post(upstream_t *u, const char *path, str_t body, upstream_done_fn done, void *owner);
bool upstream_synced(const upstream_t *u); /* entries and bundles are known */

/* --- runs.c ------------------------------------------------------------------------------------------------------ */
struct run {
	struct run *next;
	node_t *node;
	char id[NODE_RUN_ID_BYTES + 1];
	peer_t child; /* the leader: what the run is */
	node_entry_t *entry;
	arena_t *a; /* facts */
	spiffe_selectors_t selectors, runner;
	str_t code, spiffe_id;
	int64_t exp_s;
	bool tree, over, told;
	char *cgroup; /* path of its own in the tree that `unified` says, NULL: none could be made */
	bool unified;
	loop_watch_t *watch;
	loop_timer_t timer;
};
/* Makes the folder of our cgroups in each tree, while all capabilities are there: its root is 0555. */
void runs_prepare(void);
/* The run a process belongs to: it is the leader, or sits in its cgroup where the entry says tree. */
run_t *runs_find(node_t *n, const peer_t *p);
/* Takes the child; makes the cgroup and moves the child in. */
MUST err_t runs_add(node_t *n, run_t *r);
void runs_over(node_t *n, str_t id, const char *why);
void run_free(run_t *r);
void runs_done(node_t *n);

/* --- control.c ------------------------------------------------------------------------------------------------- */
typedef struct control control_t;
MUST err_t control_open(node_t *n, control_t **out, diag_t *diag);
void control_close(control_t *c);

/* --- caller.c: one connection to the Workload API ---------------------------------------------------------- */
/* A request: waits until it is known who asks, then is served, perhaps for ever. */
typedef struct call {
	struct call *next;
	caller_t *caller;
	grpc_stream_t *stream;
	void (*serve)(struct call *c); /* again after every change; ends by call_free */
	uint8_t last[32]; /* digest of the last message */
	bool sent;
	bool late; /* its first wait is over */
	loop_timer_t timer;
	arena_t *a; /* of a unary request */
	void *request; /* and what it asked, in the arena */
} call_t;

typedef enum { CALLER_PROVING, CALLER_ATTESTING, CALLER_KNOWN } caller_state_t;
struct caller {
	struct caller *next;
	node_t *node;
	grpc_conn_t *conn; /* NULL: gone, only a job on the lane keeps this */
	peer_t peer;
	loop_watch_t *watch;
	loop_timer_t recheck;
	caller_state_t state;
	bool job, again;
	uint32_t generation;
	spiffe_selectors_t selectors; /* one heap block */
	attest_families_t asked, unknown;
	const run_t *run;
	match_t match;
	svid_t *svids[NODE_MATCHES_MAX]; /* of match, same order; NULL: none to be had */
	call_t *calls;
};
MUST err_t caller_connect(grpc_conn_t *c, int fd, const struct ucred *peer, void *node);
void caller_gone(grpc_conn_t *c, void *node);
/* Facts read again, equal: OK. Else the caller is attested anew (ERR_UNAVAILABLE) or cut (ERR_CLIENT). */
MUST err_t caller_recheck(caller_t *k);
/* Entries, bundles, SVIDs or runs changed: everybody is matched again in the next round, once. */
void callers_changed(node_t *n);
void callers_of_run_end(node_t *n, const run_t *r);
/* `serve` is called now or when it is known who asks, and after every change. */
call_t *call_new(caller_t *k, grpc_stream_t *s, void (*serve)(call_t *c));
void call_serve(call_t *c);
void call_free(call_t *c);

/* --- workload.c ---------------------------------------------------------------------------------------------- */
extern const grpc_method_t workload_methods[];
extern const size_t workload_n_methods;
/* claims.c: the claims of a token as google.protobuf.Struct, in the arena. `only`: sub, aud and exp. */
struct Google__Protobuf__Struct;
MUST err_t claims_struct(arena_t *a, const json_t *claims, bool only, struct Google__Protobuf__Struct **out);
grpc_code_t workload_guard(grpc_stream_t *s, void *node, const char **out_text);

struct node {
	node_options_t o;
	loop_t *loop;
	peer_kernel_t kernel;
	attest_means_t means;
	lane_t *lane;
	entries_t entries;
	trust_t trust;
	svid_t *svids;
	size_t n_svids;
	struct jwt_kept *jwts; /* jwt.c's */
	size_t n_jwts;
	run_t *runs;
	size_t n_runs;
	caller_t *callers;
	upstream_t *upstream;
	grpc_server_t *server;
	control_t *control;
	loop_timer_t changed;
	struct {
		uid_t uid;
		uint64_t due_us;
	} pace[NODE_CONNECT_UIDS]; /* caller.c */
	bool closing;
	void (*closed)(void *owner);
	void *closed_owner;
};
static inline int64_t node_now_s(node_t *n)
{
	return (int64_t)loop_unix_s(n->loop);
}

#endif
