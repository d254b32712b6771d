/* grant.h: the document a person signs (reference ledger 11.3), what they saw, and signed verbs.
 *
 * Grant, JCS-S, exactly these members:
 *   {"agent":SPIFFE-ID,"bounds":{..},"delegator":{"key":JKT,"sub":"u:<uuid>"},"exp":S,"iat":S,"id":ULID,
 *    "iss":URL,"parent":null|{"digest":"sha-256:..","id":ULID},"render_digest":"sha-256:..",
 *    "v":"attorn-grant/1"}
 * Signature: Ed25519 (or ES256) by the delegator's key over "attorn-grant/1" 00 || document; the grant
 * digest is SHA-256 of the same bytes. A child grant is signed by the parent's agent: then
 * delegator.sub is that agent's SPIFFE ID and key the thumbprint of its key.
 *
 * Verb, JCS-S: {"body_digest":"sha-256:..","by":JKT,"exp":S,"iat":S,"iss":URL,"nonce":22 B64URL,
 * "verb":NAME}, signed over "attorn-verb/1" 00 || document; body_digest is plain SHA-256. */
#ifndef ATTORN_DELEGATION_GRANT_H
#define ATTORN_DELEGATION_GRANT_H

#include "domain/delegation/bounds.h"
#include "pure/crypto/crypto.h"

typedef struct {
	str_t id, iss;
	str_t delegator_sub, delegator_key; /* key: RFC 7638 thumbprint, b64url */
	str_t agent;
	bool has_parent;
	str_t parent_id;
	uint8_t parent_digest[DELEGATION_DIGEST_BYTES];
	delegation_bounds_t bounds;
	int64_t iat, exp;
	uint8_t render_digest[DELEGATION_DIGEST_BYTES];
} delegation_grant_t;

/* Writes the document; first fills g->render_digest from delegation_grant_render. The result is what
 * is signed, stored and shown; nobody re-serialises it. ERR_VALUE when a member breaks the grammar. */
MUST err_t delegation_grant_build(arena_t *a, delegation_grant_t *g, str_t *out_document);
/* Parses strictly: JCS-S only, byte for byte what delegation_grant_build would write, iat < exp within
 * DELEGATION_GRANT_S_MAX, and the render digest must be that of the text this document renders to. */
MUST err_t delegation_grant_parse(arena_t *a, str_t document, delegation_grant_t *out, diag_t *diag);
/* Reads the bounds, ids and times of a stored document whose render digest was checked when it came in
 * (the text may be worded anew by later versions). */
MUST err_t delegation_grant_parse_stored(arena_t *a, str_t document, delegation_grant_t *out);
void delegation_grant_digest(str_t document, uint8_t out[32]);
/* What a person reads before signing: plain text, one fact a line, a pure function of the document.
 * Strings that an agent or a tool could have chosen are quoted and escaped to printable ASCII (P73).
 * Digest: SHA-256("attorn-render/1" 00 || text). */
MUST err_t delegation_grant_render(arena_t *a, const delegation_grant_t *g, str_t *out_text);
void delegation_render_digest(str_t text, uint8_t out[32]);

/* Signs and verifies. sig: 64 raw bytes. The key's thumbprint must be the document's delegator.key.
 * Every mismatch is ERR_GRANT_SIGNATURE. Whose key it is, is the caller's to know (P99). */
MUST err_t delegation_grant_sign(arena_t *a, const crypto_key_t *key, str_t document, str_t *out_sig);
MUST err_t delegation_grant_verify(arena_t *a, str_t document, const delegation_grant_t *g,
	const crypto_pub_t *key, str_t sig);
/* Checks a child against its parent: names it by id and digest, delegated by the parent's agent, same
 * issuer, lives inside it, one level less deep, narrower in every bound. ERR_BOUNDS, ERR_DEPTH. */
MUST err_t delegation_grant_child_check(const delegation_grant_t *parent, str_t parent_document,
	const delegation_grant_t *child, diag_t *diag);

typedef struct {
	str_t verb; /* "agent.register" */
	str_t by; /* thumbprint of the user's key */
	str_t iss, nonce; /* 22 characters b64url: 16 bytes */
	uint8_t body_digest[DELEGATION_DIGEST_BYTES];
	int64_t iat, exp;
} delegation_verb_t;

/* Write and strictly parse the document; exp - iat in 1..DELEGATION_VERB_S_MAX. */
MUST err_t delegation_verb_build(arena_t *a, const delegation_verb_t *v, str_t *out_document);
MUST err_t delegation_verb_parse(arena_t *a, str_t document, delegation_verb_t *out, diag_t *diag);
MUST err_t delegation_verb_sign(arena_t *a, const crypto_key_t *key, str_t document, str_t *out_sig);
/* verify: signature, and that the key's thumbprint is `by`. check: content against the request at hand:
 * issuer, verb, exact body bytes, time (skew_s on both sides). All failures are ERR_LOGIN; both are
 * needed, and the nonce is the caller's to spend. */
MUST err_t delegation_verb_verify(arena_t *a, str_t document, const delegation_verb_t *v,
	const crypto_pub_t *key, str_t sig);
MUST err_t delegation_verb_check(const delegation_verb_t *v, str_t iss, str_t verb, str_t body,
	int64_t now_unix_s, int64_t skew_s);

#endif
