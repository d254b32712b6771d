/* svid.h: X509-SVIDs and JWT-SVIDs, made and validated. Part of spiffe.h. */
#ifndef ATTORN_SPIFFE_SVID_H
#define ATTORN_SPIFFE_SVID_H

#include "domain/spiffe/bundle.h"

/* --- X509-SVID (spiffe.md 3) -------------------------------------------------------------------- */

typedef struct {
	spiffe_id_t id;
	const x509_cert_t *leaf;
	uint8_t x5t_s256[32];
	int64_t exp_unix_s; /* the leaf's notAfter */
	str_t root; /* DER of the root it ends at; owned by the trust */
} spiffe_x509_svid_t;

/* Validates against the bundle of the leaf's own trust domain and nothing else. ERR_SVID, ERR_EXPIRED,
 * ERR_NOT_YET, ERR_TRUST_DOMAIN (not among trusts). */
MUST err_t spiffe_x509_validate(const x509_chain_t *chain, const spiffe_trusts_t *trusts, int64_t now_unix_s,
	spiffe_x509_svid_t *out, diag_t *diag);
/* The shape rules of a leaf alone: one URI SAN with path, no CA, keyUsage right. ERR_SVID. */
MUST err_t spiffe_leaf_check(const x509_cert_t *leaf, spiffe_id_t *out_id, diag_t *diag);

typedef struct {
	const spiffe_id_t *id;
	const crypto_pub_t *pub; /* of the verified CSR */
	const str_t *dns_names;
	size_t n_dns_names;
	uint32_t ttl_s; /* 0: default */
	int64_t now_unix_s;
	uint8_t serial[X509_NEW_SERIAL_BYTES]; /* crypto_random() by the caller */
} spiffe_leaf_t;
/* Writes the TBSCertificate of a leaf: notBefore = now - 10 s, notAfter no later than the CA's. */
MUST err_t spiffe_leaf_tbs(arena_t *a, const spiffe_leaf_t *leaf, const x509_issuer_t *issuer,
	str_t *out_tbs, int64_t *out_exp_unix_s);
/* Writes the TBSCertificate of a self-signed CA of this trust domain. */
MUST err_t spiffe_ca_tbs(arena_t *a, str_t td, const crypto_pub_t *pub, int64_t now_unix_s, int64_t life_s,
	const uint8_t serial[X509_NEW_SERIAL_BYTES], str_t *out_tbs);

/* --- JWT-SVID (spiffe.md 4) --------------------------------------------------------------------- */

typedef struct {
	const spiffe_trusts_t *trusts;
	str_t audience; /* must be in aud */
	bool audience_sole; /* ... and alone there (OAuth client assertions) */
	bool kid_optional; /* else a token without kid is refused */
	int64_t now_unix_s;
	int32_t leeway_s; /* <= SPIFFE_LEEWAY_S_MAX */
} spiffe_jwt_expect_t;

typedef struct {
	spiffe_id_t id;
	const str_t *aud;
	size_t n_aud;
	int64_t exp_unix_s, iat_unix_s; /* iat 0: absent */
	str_t iss, jti; /* STR_NULL: absent */
	str_t kid;
	const json_t *claims; /* all of them */
	str_t payload;
	bool own; /* of our own trust domain (trusts->v[0]) */
} spiffe_jwt_svid_t;

/* Validates (J7): header members within alg, kid, typ; nine algorithms; sub, aud, exp; key set of sub's trust
 * domain. ERR_SVID, ERR_EXPIRED, ERR_AUDIENCE, ERR_TRUST_DOMAIN, ERR_ALGORITHM, ERR_SIGNATURE ... */
MUST err_t spiffe_jwt_validate(arena_t *a, str_t token, const spiffe_jwt_expect_t *expect,
	spiffe_jwt_svid_t *out, diag_t *diag);

typedef struct {
	const spiffe_id_t *id;
	const str_t *aud;
	size_t n_aud; /* 1..SPIFFE_AUDIENCES_MAX, written as a list, in order */
	int64_t now_unix_s;
	uint32_t ttl_s; /* 0: default */
	int64_t not_after_unix_s; /* of the key: exp is no later; 0: no bound */
	str_t iss; /* STR_NULL: left out */
	str_t jti; /* STR_NULL: left out */
	str_t kid;
	crypto_alg_t alg; /* ES256 or RS256: what the key signs with */
} spiffe_jwt_t;
/* Writes the JWS signing input; jose_jws_seal joins it with the signature. */
MUST err_t spiffe_jwt_input(arena_t *a, const spiffe_jwt_t *j, str_t *out_input, int64_t *out_exp_unix_s);

#endif
