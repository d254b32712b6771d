/* broker.h: the OAuth server (wire.md 4; RFC 8693, 7523, 9449, 7662, 7009, 8414). One flow, exchange,
 * told in exchange.c; everything else is a job.
 *
 * Owns: nothing durable. Threads: the loop's. Limits: limits.h.
 * Forbidden: a token without its record; a token wider than grant, agent, user and request; one word in
 * an answer that tells a bad subject from a bad actor. */
#ifndef ATTORN_BROKER_H
#define ATTORN_BROKER_H

#include "engine/net/net.h"
#include "engine/store/store.h"
#include "service/admit/admit.h"
#include "service/feed/feed.h"
#include "service/identity/identity.h"
#include "service/ledger/ledger.h"
#include "service/vault/vault.h"

typedef struct broker broker_t;

typedef struct {
	loop_t *loop;
	lane_t *write, *read; /* batch lane over store_batch_run; readers */
	store_t *store;
	const vault_t *vault;
	signer_client_t *signer;
	str_t token_kid; /* of the key that signs tokens; outlives the broker */
	const ledger_t *ledger;
	feed_t *feed;
	identity_t *identity; /* NULL: no SVID authenticates anybody */
	admit_t *admit; /* counts and budgets of refusals */
	str_t issuer, trust_domain; /* outlive the broker */
	uint32_t delegated_ttl_s, capability_ttl_s;
	bool shared_uid; /* agents and authority share a uid here: assurance says so */
	void (*appended)(void *owner); /* after a commit with records: wakes the sequencer */
	void *owner;
} broker_deps_t;

MUST err_t broker_new(const broker_deps_t *deps, broker_t **out);
void broker_free(broker_t *b); /* accepts NULL */

/* /oauth/token, /oauth/introspect, /oauth/revoke, /keys, /.well-known/oauth-authorization-server. */
void broker_handle(broker_t *b, net_exchange_t *x);

#endif
