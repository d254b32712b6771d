/* api.h: the admin API (wire.md 7): reads, and the verbs a person signs. docs/openapi.json describes it.
 * Owns: nothing durable. Threads: the loop's, save api_bootstrap. Limits: limits.h.
 * Forbidden: a widening verb without a signature, on any door; believing a file permission. */
#ifndef ATTORN_API_H
#define ATTORN_API_H

#include "engine/net/net.h"
#include "engine/store/store.h"
#include "service/admit/admit.h"
#include "service/feed/feed.h"
#include "service/ledger/ledger.h"
#include "service/vault/vault.h"

typedef struct api api_t;

typedef struct {
	loop_t *loop;
	lane_t *write, *read, *cpu;
	store_t *store;
	vault_t *vault;
	signer_client_t *signer; /* NULL: status does not tell */
	uint32_t signer_ahead; /* keys that were used behind the authority's back before this start */
	const ledger_t *ledger;
	feed_t *feed;
	admit_t *admit; /* counts and budgets of refusals */
	str_t issuer, trust_domain, gateway_url; /* outlive the api */
	str_t data_dir; /* whose disk `status` tells about; empty: not told */
	bool shared_uid; /* agents and authority share a uid here: assurance says so */
	void (*appended)(void *owner); /* after a commit with records: wakes the sequencer */
	void *owner;
} api_deps_t;

MUST err_t api_new(const api_deps_t *deps, api_t **out);
void api_free(api_t *p); /* accepts NULL */

/* /api/v1/... ; `trusted_socket`: the exchange came over the admin socket, whose peer's uid is ours. */
void api_handle(api_t *p, net_exchange_t *x, bool trusted_socket);

/* First start, inside one store closure: our keys, the operator with this public key and role admin,
 * the starter policy, each with its record. ERR_EXISTS when the store has a user already. */
typedef struct {
	vault_t *vault;
	const ledger_t *ledger;
	str_t operator_name;
	crypto_pub_t operator_key;
	int64_t now_us;
} api_bootstrap_t;
MUST err_t api_bootstrap(store_txn_t *txn, void *self);

#endif
