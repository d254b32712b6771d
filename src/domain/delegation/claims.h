/* claims.h: the claims of our tokens (at+jwt, reference oauth 9): one family, one reader, one writer.
 * A delegated token lives minutes and is used often; a capability has action_digest, lives 60 s and is
 * used once. The broker writes, the gateway reads; signing and header are jose's. */
#ifndef ATTORN_DELEGATION_CLAIMS_H
#define ATTORN_DELEGATION_CLAIMS_H

#include "domain/delegation/bounds.h"
#include "domain/delegation/direction.h"

typedef struct {
	str_t iss, aud; /* aud: URL of one route; never an array (P12) */
	str_t sub, sub_profile; /* user ("user"), or the agent itself ("ai_agent") when autonomous */
	str_t client_id; /* the agent's SPIFFE ID */
	str_t inst; /* SPIFFE ID of the SVID that authenticated it, ending in /i/RUN for a run; empty: by a
			 registered key */
	delegation_chain_t act; /* n == 0 iff sub == client_id (P6); act.actors[0].sub == client_id */
	int64_t iat, exp;
	str_t jti, txn;
	str_t scope;
	const delegation_item_t *items; /* authorization_details */
	size_t n_items;
	/* cnf: one of the two; both empty only with assurance bearer */
	str_t jkt; /* the key of its DPoP proofs (RFC 9449 6.1) */
	str_t x5t; /* "x5t#S256": the certificate of its connections (RFC 8705 3.1), b64url */
	delegation_direction_t direction;
	delegation_assurance_t assurance;
	str_t grant; /* grant id; empty iff autonomous */
	str_t parent; /* b64url SHA-256 of the subject token, or empty */
	bool is_capability;
	uint8_t action_digest[DELEGATION_DIGEST_BYTES];
} delegation_claims_t;

/* Writes canonical claims JSON. ERR_VALUE when the struct breaks a rule that
 * delegation_claims_read would refuse, so that nothing unreadable is ever minted. */
MUST err_t delegation_claims_write(arena_t *a, const delegation_claims_t *c, str_t *out_json);
/* Reads claims whose signature is verified. Strict: unknown, missing or repeated members, an aud array,
 * act without iss, exp - iat above the limits, items for another server than aud, a capability whose
 * items do not all bind the same digest: all refuse with ERR_TOKEN and the reason in diag. Does not look
 * at the clock, issuer or audience: that is the caller's (jose), once. */
MUST err_t delegation_claims_read(arena_t *a, str_t json, delegation_claims_t *out, diag_t *diag);
/* Checks a token minted from another one: iss, sub, client_id, txn, grant, aud, cnf the same, actors the
 * same (P4), exp not later, scope a subset, items narrower, direction and assurance not higher.
 * ERR_BOUNDS, with what is wider in diag. An autonomous agent has no grant and so no items to compare:
 * scope and policy alone bind it. */
MUST err_t delegation_claims_narrow(const delegation_claims_t *parent, const delegation_claims_t *child,
	diag_t *diag);

#endif
