/* broker_int.h: what the files of broker share. */
#ifndef ATTORN_BROKER_INT_H
#define ATTORN_BROKER_INT_H

#include "pure/codec/codec.h"
#include "service/broker/broker.h"
#include "service/broker/limits.h"

/* What is final of a grant and those above it: the grant itself first, the root last. */
typedef struct {
	arena_t *a;
	str_t id;
	store_grant_t *grants;
	delegation_grant_t *docs;
	size_t n;
	unsigned refs;
} broker_chain_t;

struct broker {
	broker_deps_t deps;
	str_t token_url, introspect_url, revoke_url; /* configured, never from Host (oauth P24) */
	snapshot_tokens_t *tokens; /* subject tokens, on the loop */
	broker_chain_t *chains[BROKER_CHAINS_MAX]; /* by hash of the id; a collision drops the older one */
};

typedef enum {
	ASK_DELEGATED = 1, /* subject: a grant */
	ASK_CAPABILITY, /* subject: a delegated token */
	ASK_AUTONOMOUS, /* client_credentials */
} broker_ask_t;

/* What the form says, checked for shape only. */
typedef struct {
	broker_ask_t ask;
	bool svid; /* the assertion is a JWT-SVID (spiffe-client-auth 3.1) */
	str_t assertion, client_id;
	str_t subject_token; /* grant id or token */
	str_t resource, scope, details;
} broker_form_t;

/* The authenticated client. */
typedef struct {
	const snapshot_agent_t *agent;
	str_t jti; /* of the assertion, to spend; empty: an SVID may be shown again */
	int64_t jti_until_s;
	str_t inst; /* SPIFFE ID of the SVID; empty: a registered key signed */
} broker_client_t;

/* Reads the form of /oauth/token (RFC 8693 2.1, RFC 6749 4.4.2, RFC 7521 4.2). */
MUST err_t broker_form_read(arena_t *a, const net_exchange_t *x, broker_form_t *out);
/* Takes the one DPoP header and verifies it for this URL. ERR_NONCE, ERR_PROOF. */
MUST err_t broker_proof(broker_t *b, arena_t *a, const net_exchange_t *x, str_t url, int64_t now_s,
	jose_dpop_t *out);
/* Spends its jti for as long as it could be shown again; ERR_PROOF_REPLAY. */
MUST err_t broker_proof_spend(store_txn_t *txn, const jose_dpop_t *proof);
/* Agent record of an assertion by its unverified iss. ERR_CLIENT. */
MUST err_t broker_client_find(arena_t *a, const feed_view_t *view, str_t assertion, str_t client_id,
	const snapshot_agent_t **out);

/* An empty chain with its own memory, one reference, not kept. */
broker_chain_t *broker_chain_new(str_t id);
/* One that is kept, with a reference more, or NULL. */
broker_chain_t *broker_chain_find(broker_t *b, str_t id);
void broker_chain_keep(broker_t *b, broker_chain_t *c);
void broker_chain_forget(broker_t *b, str_t id);
void broker_chain_unref(broker_chain_t *c); /* accepts NULL */
void broker_chains_done(broker_t *b);

/* Keys of one agent from the store, as a closure on a read connection. */
typedef struct {
	arena_t *a;
	str_t agent;
	crypto_pub_t *keys;
	size_t n_keys;
} broker_keys_t;
MUST err_t broker_keys_closure(store_txn_t *txn, void *self);
/* Verifies a JWT-SVID whose only audience is the issuer, and finds the agent whose instance its subject is.
 * The key that proves is any: the process was attested, not the key. ERR_CLIENT. */
MUST err_t broker_svid_check(broker_t *b, arena_t *a, const feed_view_t *view, const broker_form_t *form,
	int64_t now_s, broker_client_t *out);
/* Verifies the assertion under those keys, and its nonce if it carries one. ERR_CLIENT. Whether the agent
 * is active is for the caller to look at, who then knows whom it refuses. */
MUST err_t broker_client_check(broker_t *b, arena_t *a, str_t assertion, const snapshot_agent_t *agent,
	const broker_keys_t *keys, int64_t now_s, broker_client_t *out);

/* One of our own tokens, verified, on any thread; ERR_TOKEN for everything that is wrong with it. */
MUST err_t broker_token_read(broker_t *b, arena_t *a, const feed_view_t *view, str_t text, int64_t now_s,
	delegation_claims_t *out);

/* "sha-256:<hex>" of a token's text: its name in the space "revoked" of `used`, and in records. */
str_t broker_token_hash(arena_t *a, str_t token);

/* Answers in OAuth's form (RFC 6749 5.2), with a fresh nonce and no-store. `token_endpoint` maps what a
 * token's failure means there (oauth.md 17). */
void broker_reply_error(broker_t *b, net_exchange_t *x, err_t e);
void broker_reply_json(broker_t *b, net_exchange_t *x, int status, str_t json);
int64_t broker_now_s(const broker_t *b);

void broker_exchange_handle(broker_t *b, net_exchange_t *x);
void broker_introspect_handle(broker_t *b, net_exchange_t *x);
void broker_revoke_handle(broker_t *b, net_exchange_t *x);
void broker_metadata_handle(broker_t *b, net_exchange_t *x);
void broker_keys_handle(broker_t *b, net_exchange_t *x);

#endif
