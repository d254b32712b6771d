/* x509.h: certificate requests, certificates to be signed elsewhere, certificates parsed and verified.
 * Owns: nothing but x509_roots_t; results live in the caller's arena or borrow from the caller's bytes,
 * which must outlive them. Threads: any; roots are immutable and may be used by many at once.
 * Time and randomness are arguments. Limits: limits.h; size, key and count caps hold before any signature
 * is checked. Accepted keys: RSA 2048..4096, P-256, P-384, P-521; Ed25519 never stands in a certificate.
 * Forbidden: a private key of a CA (what is to be signed goes out as bytes, the signature comes back);
 * believing anything of a certificate but its facts after x509_verify. */
#ifndef ATTORN_X509_H
#define ATTORN_X509_H

#include "pure/base/base.h"
#include "pure/crypto/crypto.h"
#include "pure/x509/limits.h"

/* --- certificate requests (RFC 2986) ------------------------------------------------------------- */

/* Parses a PKCS#10 request and checks its signature, which proves possession of the key. Nothing of a
 * request is used but the key: subject and attributes are what the sender wants to be. ERR_CSR. */
MUST err_t x509_csr_verify(str_t der, crypto_pub_t *out_pub);
/* Makes a request with empty subject for `key` (P-256 or RSA). */
MUST err_t x509_csr_make(arena_t *a, const crypto_key_t *key, str_t *out_der);

/* --- certificates to be signed (RFC 5280 4) ------------------------------------------------------ */

enum { X509_KEY_ID_BYTES = 20, X509_NEW_SERIAL_BYTES = 16 };
/* Who signs. From x509_issuer_of(), or for a self-signed CA from x509_issuer_self(). */
typedef struct {
	str_t name; /* DER Name */
	str_t key_id;
	crypto_alg_t alg; /* what the key signs with: ES256 or RS256 */
	int64_t not_after_unix_s; /* nothing it signs lives longer */
	bool self;
} x509_issuer_t;

typedef struct {
	bool ca; /* the CA profile: cA, keyCertSign and cRLSign critical, no EKU */
	const crypto_pub_t *pub;
	uint8_t serial[X509_NEW_SERIAL_BYTES]; /* random; the top bit is cleared, a zero is refused */
	int64_t not_before_unix_s, not_after_unix_s;
	str_t uri; /* the SPIFFE ID: with a path for a leaf, without for a CA; checked by domain/spiffe */
	const str_t *dns_names; /* leaf only */
	size_t n_dns_names;
	str_t cn; /* leaf only: STR_NULL is the empty Subject with a critical SAN */
} x509_tbs_t;

/* The subject of a CA is made of its key ("attorn-ca-<key id>"), so that two never share a name. */
MUST err_t x509_issuer_self(arena_t *a, const crypto_pub_t *pub, int64_t not_after_unix_s,
	x509_issuer_t *out);
/* SubjectKeyIdentifier: the first 160 bits of SHA-256 over the key's BIT STRING (RFC 7093 2 (1)). */
void x509_key_id(const crypto_pub_t *pub, uint8_t out[X509_KEY_ID_BYTES]);
/* Writes the TBSCertificate: what the signer signs with issuer->alg. ERR_VALUE for a serial of zero, times
 * that do not fit, a life beyond the issuer's, a name that is none; ERR_KEY for a key of no certificate. */
MUST err_t x509_tbs(arena_t *a, const x509_tbs_t *t, const x509_issuer_t *issuer, str_t *out_tbs);
/* Puts the signature (ECDSA as r||s, RSA as it is) behind the bytes x509_tbs wrote. The signature is not
 * checked: whoever publishes the result verifies it against the CA first. ERR_SIGNATURE, ERR_ALGORITHM. */
MUST err_t x509_seal(arena_t *a, str_t tbs, crypto_alg_t alg, str_t signature, str_t *out_der);
/* A host name for a DNS SAN: lower-case labels of letters, digits and '-'; no '*'. */
bool x509_dns_name_is(str_t name);
/* True for a DER TBSCertificate of version 3 whose SubjectPublicKeyInfo, issuer and validity stand where
 * they belong: what a signer may sign with a CA key. */
bool x509_tbs_is(str_t der);

/* --- certificates ------------------------------------------------------------------------------- */

enum { /* bits of key_usage (RFC 5280 4.2.1.3) */
	X509_USE_DIGITAL_SIGNATURE = 1 << 0,
	X509_USE_KEY_ENCIPHERMENT = 1 << 2,
	X509_USE_KEY_AGREEMENT = 1 << 4,
	X509_USE_CERT_SIGN = 1 << 5,
	X509_USE_CRL_SIGN = 1 << 6,
};

/* What one certificate says. Facts, not yet trust. */
typedef struct {
	str_t der; /* borrowed */
	str_t spki; /* DER, borrowed from der */
	crypto_pub_t pub;
	str_t serial; /* big-endian, no leading zeros */
	str_t subject, issuer; /* DER Names */
	bool subject_empty;
	str_t cn; /* of the subject, the last one; STR_NULL: none. Never an identity, only a selector */
	int64_t not_before_unix_s, not_after_unix_s;
	bool ca;
	int32_t path_len; /* -1: not limited */
	bool has_key_usage, key_usage_critical;
	uint32_t key_usage; /* X509_USE_... ; 0 when absent */
	bool has_eku, eku_server, eku_client;
	str_t ski, aki; /* STR_NULL: absent */
	bool san_critical;
	const str_t *uris, *dns_names; /* of the SAN, as they stand there */
	size_t n_uris, n_dns_names, n_sans; /* n_sans: names of every type */
	struct x509_st *handle; /* OpenSSL's parse of the same bytes; freed with the arena */
} x509_cert_t;

typedef struct {
	const x509_cert_t *certs; /* leaf first */
	size_t n;
} x509_chain_t;

/* Parses one certificate: exactly these bytes, DER, version 3, known key. ERR_CERTIFICATE, ERR_LIMIT. */
MUST err_t x509_cert_parse(arena_t *a, str_t der, x509_cert_t *out);
/* Parses certificates standing one behind the other (the Workload API's form). Count and sizes are looked
 * at first: with one certificate too many none is parsed. ERR_CERTIFICATE, ERR_LIMIT. */
MUST err_t x509_chain_parse(arena_t *a, str_t ders, x509_chain_t *out);
/* The same from single DERs (TLS, x5c, the internal door). */
MUST err_t x509_chain_of(arena_t *a, const str_t *ders, size_t n, x509_chain_t *out);
/* Cuts DERs apart without looking into them; ERR_LIMIT above max or X509_DER_BYTES_MAX, ERR_CERTIFICATE. */
MUST err_t x509_split(arena_t *a, str_t ders, size_t max, str_t **out, size_t *out_n);
/* What a CA certificate says to those who have it sign; ERR_CERTIFICATE unless it is a CA with a key id and a
 * key we sign with (P-256, RSA). */
MUST err_t x509_issuer_of(const x509_cert_t *ca, x509_issuer_t *out);

/* SHA-256 of the DER: x5t#S256 (RFC 8705 3.1); of the SPKI: a pin. SHA-1 only names things (spiffe.md 13.1). */
void x509_sha256(const x509_cert_t *c, uint8_t out[32]);
void x509_spki_sha256(const x509_cert_t *c, uint8_t out[32]);
void x509_sha1(const x509_cert_t *c, uint8_t out[20]);

/* --- trust -------------------------------------------------------------------------------------- */

/* The roots of ONE trust domain, or of one configured CA, and of nothing else. */
typedef struct x509_roots x509_roots_t;
/* Every DER must be a certificate with caps kept, else ERR_CERTIFICATE, ERR_LIMIT; none at all is allowed
 * and trusts nobody. */
MUST err_t x509_roots_new(const str_t *ders, size_t n, x509_roots_t **out);
void x509_roots_free(x509_roots_t *r);
DEFINE_AUTO(x509_roots_t *, x509_roots_free);
size_t x509_roots_count(const x509_roots_t *r);

/* Builds and checks the path from the leaf through the rest of the chain to a root (RFC 5280 6; a root need
 * not be self-signed), every certificate of the chain in its place: each one signed by the next, each but
 * the leaf a CA with keyCertSign, the last one signed by a root (or a root itself). Times against now.
 * out_root (may be NULL) gets the root's DER, owned by roots. ERR_EXPIRED, ERR_NOT_YET, ERR_CERTIFICATE;
 * diag says why. */
MUST err_t x509_verify(const x509_chain_t *chain, const x509_roots_t *roots, int64_t now_unix_s,
	str_t *out_root, diag_t *diag);

#endif
