/* exchange_int.h: the state of one exchange, and its rules (rules.c) and records (record.c). */
#ifndef ATTORN_BROKER_EXCHANGE_INT_H
#define ATTORN_BROKER_EXCHANGE_INT_H

#include "service/broker/broker_int.h"

typedef struct {
	arena_t *a;
	int64_t sign_n; /* number of the signature, drawn in the transaction of the record */
	bool done; /* the closure ran to its end */
	bool stale; /* decided on rules that have changed: it wrote nothing */
} exchange_write_t;

typedef struct {
	broker_t *b;
	net_exchange_t *x;
	const feed_view_t *view; /* pinned: one decision, one version (F7) */
	int64_t now_us, now_s;
	broker_form_t form;
	jose_dpop_t proof;
	const snapshot_agent_t *keys_of; /* claimed until client says it is */
	broker_keys_t keys;
	bool keys_read; /* from the store: the key of the proof was not enough */
	broker_client_t client;
	bool known, answered;
	const snapshot_route_t *route;
	delegation_claims_t parent; /* of a delegated token */
	str_t grant; /* id: of the request, or of the subject token */
	broker_chain_t *chain; /* NULL: an autonomous agent has none */
	delegation_claims_t claims; /* what is minted */
	str_t rid;
	str_t input; /* what is signed: header and payload of the token */
	uint8_t signature[SIGNER_SIGNATURE_BYTES];
	policy_decision_t decision;
	exchange_write_t write;
	unsigned tries; /* on newer rules */
	err_t refused;
	op_t *refusal; /* the write of its record */
	str_t token, answer;
} exchange_t;

/* Grants of the chain: 0 for an autonomous agent, and while none is read. */
static inline size_t exchange_chain_length(const exchange_t *e)
{
	return e->chain ? e->chain->n : 0;
}

/* --- rules.c: pure decisions ------------------------------------------------------------------------ */

/* Continuation (RFC 9449 10, oauth.md 7): the subject token is ours to exchange only by the client and
 * the key it was issued to. */
MUST err_t exchange_continuation_check(const exchange_t *e);
/* Client = actor = proof key holder, and the grant names it; grant chain and user alive. */
MUST err_t exchange_tie_check(const exchange_t *e);
MUST err_t exchange_claims_delegated(arena_t *a, exchange_t *e);
MUST err_t exchange_claims_capability(arena_t *a, exchange_t *e);
MUST err_t exchange_claims_autonomous(arena_t *a, exchange_t *e);
/* Ids, times, key; then the bytes that will be signed. */
MUST err_t exchange_claims_finish(arena_t *a, exchange_t *e);
void exchange_policy_ask(arena_t *a, exchange_t *e);

/* --- record.c --------------------------------------------------------------------------------------- */

MUST err_t exchange_chain_closure(store_txn_t *txn, void *self);
MUST err_t exchange_record_closure(store_txn_t *txn, void *self);
MUST err_t exchange_refusal_closure(store_txn_t *txn, void *self);
/* A refusal of somebody known is recorded, within its budget; anything else is counted. */
bool exchange_is_recorded(exchange_t *e, err_t why);
MUST err_t exchange_answer_write(arena_t *a, exchange_t *e);

#endif
