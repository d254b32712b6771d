/* jose.h: JWK, JWS, JWT, client assertions and DPoP proofs; strict on every byte.
 * Owns: nothing; results live in the caller's arena or point into the caller's text.
 * Threads: any. Time and randomness are arguments. Limits: limits.h.
 * Forbidden: reading a claim before the signature verified (jose_assertion_peek_client is the one
 * exception and says so); taking a key from a header, except in a DPoP proof. */
#ifndef ATTORN_JOSE_H
#define ATTORN_JOSE_H

#include "pure/base/base.h"
#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"
#include "pure/jose/limits.h"

/* --- JWK (RFC 7517, 7518, 8037) ---------------------------------------------------------------- */

typedef struct {
	crypto_pub_t pub;
	str_t kid; /* p == NULL when absent, as in all optional members here */
	str_t use;
	crypto_alg_t alg; /* CRYPTO_ALG_NONE when absent */
	const crypto_verifier_t *verifier; /* optional, borrowed: a prepared form of pub */
} jose_jwk_t;

typedef struct {
	jose_jwk_t *keys;
	size_t n;
} jose_jwks_t;

/* Parses one public JWK: OKP Ed25519, EC P-256 P-384 P-521, RSA. Unknown members are ignored (RFC 7517
 * 4); private members (d, p, q, dp, dq, qi, oth, k) and duplicates are refused. ERR_KEY, ERR_SYNTAX,
 * ERR_DUPLICATE, ERR_LIMIT. */
MUST err_t jose_jwk_parse(arena_t *a, str_t text, jose_jwk_t *out, diag_t *diag);
/* The same from a parsed object. */
MUST err_t jose_jwk_read(const json_t *jwk, jose_jwk_t *out, diag_t *diag);
/* Writes the members kty, crv, x, y or kty, n, e into the open object of w. */
void jose_jwk_members(jw_t *w, const crypto_pub_t *pub);
/* Writes the public JWK as compact JSON; kid and use may be STR_NULL. */
MUST err_t jose_jwk_write(arena_t *a, const crypto_pub_t *pub, str_t kid, str_t use, str_t *out_json);
/* Parses {"keys":[...]}; a key that cannot be used here (unknown kty, curve, size) is skipped alone
 * (RFC 7517 5); private members anywhere are refused. An empty result is an empty set, not an error. */
MUST err_t jose_jwks_parse(arena_t *a, str_t text, jose_jwks_t *out, diag_t *diag);
MUST err_t jose_jwks_write(arena_t *a, const jose_jwks_t *set, str_t *out_json);
/* Finds by kid, exact; NULL when absent. */
const jose_jwk_t *jose_jwks_find(const jose_jwks_t *set, str_t kid);

/* RFC 7638 SHA-256 thumbprint as base64url text. */
enum { JOSE_JKT_BYTES = 43 };
str_t jose_jkt(arena_t *a, const crypto_pub_t *pub);
/* True for 43 base64url characters that decode to 32 bytes. */
bool jose_jkt_is(str_t text);

/* Reads a private key file: JWK JSON with "d" (OKP Ed25519, EC P-256) or PEM PKCS#8 of the same. The
 * public members of a JWK must match d. ERR_KEY, ERR_SYNTAX. */
MUST err_t jose_key_read(str_t text, crypto_key_t **out, diag_t *diag);
/* Writes the private key as JWK JSON into a secret slot. */
MUST err_t jose_key_write(const crypto_key_t *key, secret_t *out_json);
/* Reads a public key file: JWK JSON or PEM "PUBLIC KEY". A private key is refused. */
MUST err_t jose_pub_read(arena_t *a, str_t text, crypto_pub_t *out, diag_t *diag);

/* --- JWS compact (RFC 7515 3.1, 5) -------------------------------------------------------------- */

typedef struct {
	crypto_alg_t alg;
	str_t typ, kid;
	const crypto_pub_t *jwk; /* NULL when absent; whoever does not expect one refuses it */
	const json_t *header; /* all members, for whoever allows only some (JWT-SVID) */
	str_t payload; /* decoded bytes */
	str_t signing_input; /* the part of the text that is signed */
	str_t signature; /* decoded */
} jose_jws_t;

/* Splits and decodes without verifying: exactly three parts, strict base64url, a header of strict JSON
 * without duplicates. Refused: alg none, HS* or unknown (ERR_ALGORITHM), crit, b64, zip (ERR_CRIT),
 * jku and x5u (no key is ever fetched, oauth P15). */
MUST err_t jose_jws_split(arena_t *a, str_t text, jose_jws_t *out, diag_t *diag);
/* Verifies what jose_jws_split returned. */
MUST err_t jose_jws_check(const jose_jws_t *jws, const crypto_pub_t *pub);
/* The same under a key of the set: by kid; a token without kid tries every key that fits. The list of
 * algorithms is the caller's. ERR_ALGORITHM, ERR_SIGNATURE. */
MUST err_t jose_jws_check_set(const jose_jws_t *jws, crypto_algs_t algs, const jose_jwks_t *set,
	const crypto_pub_t **out_key);

typedef struct {
	str_t typ, kid; /* STR_NULL: left out */
	bool with_jwk; /* put the public key into the header (DPoP) */
} jose_sign_t;
/* Signs payload (any bytes) with crypto_key_alg(key). */
MUST err_t jose_jws_sign(arena_t *a, const crypto_key_t *key, const jose_sign_t *header, str_t payload,
	str_t *out_text);

/* The same in two halves, for keys that another process holds: the signing input (header->with_jwk is not for
 * these), then the token. The signature is as crypto_key_sign_as gives it. */
MUST err_t jose_jws_input(arena_t *a, crypto_alg_t alg, const jose_sign_t *header, str_t payload,
	str_t *out_input);
MUST err_t jose_jws_seal(arena_t *a, str_t input, str_t signature, str_t *out_text);

/* --- JWT (RFC 7519, 8725) ----------------------------------------------------------------------- */

typedef struct {
	str_t typ; /* required type, without "application/" (which is tolerated in front) */
	bool typ_optional; /* an absent typ or "JWT" passes too */
	str_t issuer; /* required iss; STR_NULL: not looked at */
	str_t audience; /* required aud, one string, never an array (oauth P12); STR_NULL: not looked at */
	crypto_algs_t algs; /* what may sign */
	int64_t now_unix_s;
	int32_t leeway_s; /* <= JOSE_LEEWAY_S_MAX */
	/* exactly one of: */
	const crypto_pub_t *key;
	const crypto_verifier_t *verifier;
	const jose_jwks_t *jwks; /* by kid; without kid every key that fits is tried */
} jose_expect_t;

typedef struct {
	str_t typ, kid;
	crypto_alg_t alg;
	const crypto_pub_t *key; /* the one that verified */
	str_t payload; /* strict JSON object, no duplicate members at any depth */
	const json_t *claims; /* the same, parsed: json_need_str(jwt.claims, STR("scope"), ...) */
	str_t iss, sub, aud, jti; /* STR_NULL when absent; aud only if it is one string */
	int64_t exp_unix_s, iat_unix_s; /* exp is always there; iat 0 when absent */
} jose_jwt_t;

/* Verifies signature, typ, iss, aud, exp, nbf, iat. Errors: ERR_SIGNATURE ERR_ALGORITHM ERR_TYPE
 * ERR_ISSUER ERR_AUDIENCE ERR_EXPIRED ERR_NOT_YET ERR_SYNTAX ERR_DUPLICATE ERR_CRIT ERR_LIMIT
 * ERR_NUMBER ERR_MISSING_MEMBER. A door that must not tell them apart maps them to ERR_TOKEN. */
MUST err_t jose_jwt_verify(arena_t *a, str_t text, const jose_expect_t *expect, jose_jwt_t *out,
	diag_t *diag);

/* --- server nonces (RFC 9449 8, 9) -------------------------------------------------------------- */

/* Makes a stateless nonce: b64url(time || truncated HMAC(key32, label, time)); 32 characters. */
str_t jose_nonce_make(arena_t *a, str_t key32, int64_t now_unix_s);
/* ERR_NONCE unless made under key32 in the last max_age_s seconds. */
MUST err_t jose_nonce_check(str_t key32, str_t nonce, int64_t now_unix_s, int32_t max_age_s);

/* --- DPoP (RFC 9449 4) -------------------------------------------------------------------------- */

typedef struct {
	str_t method;
	str_t htu; /* our configured URL, never built from Host (oauth P24) */
	str_t access_token; /* STR_NULL at the token endpoint; else ath is required */
	int64_t now_unix_s;
	int32_t window_s; /* how old iat may be; <= JOSE_DPOP_WINDOW_S_MAX */
	crypto_algs_t algs;
	str_t nonce_key32; /* for jose_nonce_check; STR_NULL: we hand out no nonces */
	int32_t nonce_max_age_s;
	bool nonce_required; /* a proof without nonce is ERR_NONCE (oauth P21) */
} jose_dpop_expect_t;

typedef struct {
	crypto_pub_t pub;
	str_t jkt; /* compare with cnf.jkt: that is the caller's duty (ERR_TOKEN_KEY) */
	str_t jti; /* the caller spends it (oauth P22) ... */
	int64_t keep_until_unix_s; /* ... and remembers it until here */
	int64_t iat_unix_s;
	str_t nonce; /* STR_NULL when absent */
	str_t action_digest; /* claim of a per-call proof, 43 characters; STR_NULL when absent */
} jose_dpop_t;

/* Verifies one proof (RFC 9449 4.3). ERR_NONCE when only the nonce is missing or stale, else ERR_PROOF;
 * diag says why. */
MUST err_t jose_dpop_verify(arena_t *a, str_t proof, const jose_dpop_expect_t *expect, jose_dpop_t *out,
	diag_t *diag);

typedef struct {
	str_t method, htu;
	str_t access_token, nonce, action_digest; /* STR_NULL: left out */
	uint8_t random[16]; /* for jti: crypto_random() by the caller */
	int64_t now_unix_s;
} jose_dpop_make_t;
/* Makes a proof, as an agent does. */
MUST err_t jose_dpop_make(arena_t *a, const crypto_key_t *key, const jose_dpop_make_t *m,
	str_t *out_proof);

/* --- client assertion (RFC 7523 3, rfc7523bis) --------------------------------------------------- */

typedef struct {
	str_t client_id; /* iss and sub must both be it */
	str_t issuer; /* aud must be exactly this string (oauth P10, P11) */
	const crypto_pub_t *keys; /* the agent's registered keys; each EdDSA or ES256 */
	size_t n_keys;
	int64_t now_unix_s;
} jose_assertion_expect_t;

typedef struct {
	str_t jti; /* the caller spends it ... */
	int64_t exp_unix_s; /* ... and remembers it until here */
	int64_t iat_unix_s;
	str_t nonce; /* STR_NULL when absent; jose_nonce_check is the caller's */
	const crypto_pub_t *key; /* which of the keys signed */
} jose_assertion_t;

/* Reads iss of an assertion WITHOUT verifying anything: good for finding the agent record whose keys
 * then verify it, and for nothing else. ERR_CLIENT. */
MUST err_t jose_assertion_peek_client(arena_t *a, str_t text, str_t *out_client_id);
/* Verifies; every failure is ERR_CLIENT, diag says why. typ: "client-authentication+jwt", absent or
 * "JWT". exp at most 5 minutes ahead; iat, jti required. */
MUST err_t jose_assertion_verify(arena_t *a, str_t text, const jose_assertion_expect_t *expect,
	jose_assertion_t *out, diag_t *diag);

typedef struct {
	str_t client_id, issuer, nonce; /* nonce STR_NULL: left out */
	uint8_t random[16];
	int64_t now_unix_s;
	int32_t life_s; /* 1..JOSE_ASSERTION_LIFE_S_MAX */
} jose_assertion_make_t;
MUST err_t jose_assertion_make(arena_t *a, const crypto_key_t *key, const jose_assertion_make_t *m,
	str_t *out_text);

#endif
