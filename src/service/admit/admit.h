/* admit.h: the one commit point (DESIGN 4.3, ledger.md 9.6, wire.md 9). One transaction checks that
 * every grant above is alive, uses are left, the jti is new and the decision not older than the fence,
 * and inserts the attempt record; only its success releases the route's credential.
 *
 * Owns: the counts of refusals until they are recorded, the sweeper of overdue attempts.
 * Threads: the loop's, save admit_run and admit_outcome_run, which run in a store closure.
 * Limits: limits.h. Forbidden: a credential outside the answer to a durable attempt. */
#ifndef ATTORN_ADMIT_H
#define ATTORN_ADMIT_H

#include "engine/net/net.h"
#include "engine/store/store.h"
#include "service/admit/tally.h"
#include "service/feed/feed.h"
#include "service/ledger/ledger.h"
#include "service/vault/vault.h"

typedef struct admit admit_t;

typedef struct admit_docs admit_docs_t; /* documents of grants, parsed once */
/* For a caller of admit_run that has no admit_t. */
admit_docs_t *admit_docs_new(void);
void admit_docs_free(admit_docs_t *docs); /* accepts NULL */

typedef struct {
	loop_t *loop;
	lane_t *write; /* batch lane over store_batch_run */
	store_t *store;
	const vault_t *vault;
	const ledger_t *ledger;
	feed_t *feed;
	uint32_t denials_per_minute; /* of one agent recorded one by one */
	void (*appended)(void *owner); /* after a commit with records: wakes the sequencer */
	void *owner;
	admit_docs_t *docs; /* admit_new makes it; the write lane's alone */
} admit_deps_t;

MUST err_t admit_new(const admit_deps_t *deps, admit_t **out);
void admit_free(admit_t *m); /* accepts NULL */

/* POST /internal/v1/{admit,decision,outcome,refusals} on the internal socket. */
void admit_handle(admit_t *m, net_exchange_t *x);

/* True while this principal (an agent's id or a key's thumbprint) may have another denial recorded one
 * by one in this minute. */
bool admit_budget_take(admit_t *m, str_t who, uint64_t now_s);
/* Counts n refusals at a door; one record a minute. */
void admit_count(admit_t *m, str_t door, err_t code, uint64_t n);
/* Records what was counted now and not at the end of the minute: before the process ends. */
void admit_flush(admit_t *m);
/* What this process refused strangers since it began, for its metrics. */
const tally_t *admit_tally(const admit_t *m);

/* Closes the open attempts of a gateway instance that is gone, as outcome unknown. */
void admit_instance_gone(admit_t *m, str_t instance);

/* One request as parsed from the wire. All strings outlive the closure. */
typedef struct {
	str_t rid; /* ULID, made by the gateway; repeating it repeats the answer */
	bool has_once;
	str_t once_space, once_id;
	int64_t once_until_s;
	str_t grant; /* STR_NULL: autonomous */
	uint64_t fence; /* view version decided on */
	str_t instance, route;
	int64_t deadline_ms;
	int64_t answer_by_ms; /* Unix time: after it nobody waits, and nothing new is admitted */
	str_t token_hash; /* "sha-256:<hex>" of the presented token: a revoked one is refused; may be empty */
	str_t run; /* id of the run it was made in: one that ended is refused; may be empty */
	str_t record; /* JSON object: members of ledger.md 11.2 that the gateway knows */
	bool is_session; /* the record names no action (initialize, a list): no use of the grant is counted */
	uint8_t req_digest[32]; /* SHA-256 of the exact body: tells a repeat from a splice */
} admit_request_t;

typedef struct {
	bool admitted;
	err_t code; /* why not, else OK */
	vault_credential_t credential;
	merkle_hash_t leaf_hash;
} admit_answer_t;

/* Steps 1-7 of ledger.md 9.6 inside the caller's closure. Returns an error only for failures of the
 * store (undone by the caller's savepoint); a refusal is an answer, and recorded but for ERR_FENCE and
 * ERR_CLOSED. */
MUST err_t admit_run(const admit_deps_t *deps, store_txn_t *txn, arena_t *a, const feed_view_t *view,
	const admit_request_t *request, int64_t now_us, admit_answer_t *out);

#endif
