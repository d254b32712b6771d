/* identity.h: who is who: the authority keys of SVIDs and their life, entries, what nodes are told, and
 * the issuing of SVIDs (docs/identity.md 3, 4; spiffe.md 15-17).
 *
 * Owns: the current view and the nodes' streams; the private keys are the signer's.
 * Threads: the loop's; a view is immutable and may be read anywhere while it is held.
 * Limits: limits.h. Forbidden: an SVID without a durable record that drew its signature's number; a SPIFFE
 * ID taken from a node; a leaf under a key that nodes have not been told of. */
#ifndef ATTORN_IDENTITY_H
#define ATTORN_IDENTITY_H

#include "domain/spiffe/spiffe.h"
#include "engine/net/net.h"
#include "engine/signer/client.h"
#include "engine/store/store.h"
#include "service/identity/limits.h"
#include "service/ledger/ledger.h"

typedef struct identity identity_t;

typedef struct {
	loop_t *loop;
	lane_t *write, *read, *cpu; /* cpu: requests for certificates are checked there */
	store_t *store;
	const ledger_t *ledger;
	signer_client_t *signer;
	str_t trust_domain;
	str_t jwt_issuer; /* `iss` of JWT-SVIDs and of OIDC discovery; STR_NULL: none */
	uint32_t ca_life_s; /* 0: SPIFFE_CA_LIFE_S */
	void (*appended)(void *owner); /* after a commit with records */
	void *owner;
} identity_deps_t;

/* Loads the keys; makes and activates the first of each kind, or new ones in place of expired ones
 * (blocking, before the loop runs). ERR_STORE, ERR_UNAVAILABLE (signer), ERR_DISK_FULL; diag says why. */
MUST err_t identity_new(const identity_deps_t *deps, identity_t **out, diag_t *diag);
void identity_free(identity_t *p); /* accepts NULL; lanes are freed first */

/* /internal/v1/{node/feed,svid,jwt,run,run/over}: true when the path is one of them and the exchange was taken.
 * `node`: the SPIFFE ID that the door proved. */
bool identity_handle(identity_t *p, net_exchange_t *x, str_t node);
/* Entries, agents or nodes may have changed (after the commit): the view is built again and nodes are told. */
void identity_changed(identity_t *p);

/* --- what others verify with ----------------------------------------------------------------------- */

/* Everything about trust at one moment; counted. */
typedef struct identity_view identity_view_t;
const identity_view_t *identity_pin(identity_t *p);
void identity_unpin(const identity_view_t *v); /* accepts NULL */
spiffe_trusts_t identity_trusts(const identity_view_t *v); /* our own first */
/* The agent one of whose entries may give this ID: the text borrows from the view; STR_NULL: nobody's. */
str_t identity_agent_of(const identity_view_t *v, const spiffe_id_t *id);
/* True when the entry with this stored text may give this ID to its agent. */
bool identity_doc_gives(arena_t *a, str_t doc, str_t td, str_t agent, const spiffe_id_t *id);

/* GET /bundle (SPIFFE Federation 5), and OIDC discovery of JWT-SVIDs with their keys: true when the path is
 * one of them and the exchange was answered. */
bool identity_public_handle(identity_t *p, net_exchange_t *x);

#endif
