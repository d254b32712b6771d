/* crypto.h: hash, mac, sealing, keys, sign and verify (libsodium; OpenSSL EVP for ECDSA and RSA).
 * Owns: nothing but the algorithm handles that crypto_init() fetches once and nobody changes after.
 * Threads: any, after crypto_init(). A crypto_key_t and a crypto_verifier_t may be used by many
 * threads at once; only the owner frees it.
 * Limits: limits.h. Forbidden: comparing secrets with anything but ct_eq (base); DER signatures, but for
 * x509. */
#ifndef ATTORN_CRYPTO_H
#define ATTORN_CRYPTO_H

#include "pure/base/base.h"
#include "pure/crypto/limits.h"

/* Prepares both libraries; call once in main() (and in each test's setup) before anything else
 * here. Repeating it is harmless. */
MUST err_t crypto_init(void);

/* Fills p with n bytes of the kernel's generator. The one door to randomness: pure rooms take random
 * bytes as arguments, upper storeys call this. Never fails (aborts). */
void crypto_random(void *p, size_t n);

/* --- hash and mac ------------------------------------------------------------------------------ */

enum { CRYPTO_SHA256_BYTES = 32 };
void crypto_sha256(str_t bytes, uint8_t out[32]);
/* The same over the concatenation of `parts`. */
void crypto_sha256_parts(const str_t *parts, size_t n_parts, uint8_t out[32]);
/* Domain-separated hash of this house: SHA-256(label || 00 || bytes) (reference ledger 11.3). */
void crypto_sha256_label(str_t label, str_t bytes, uint8_t out[32]);

/* Incremental SHA-256; a value, needs no freeing. */
typedef struct {
	_Alignas(16) uint8_t opaque[128];
} crypto_sha256_t;
void crypto_sha256_start(crypto_sha256_t *h);
void crypto_sha256_add(crypto_sha256_t *h, str_t bytes);
void crypto_sha256_end(crypto_sha256_t *h, uint8_t out[32]);

/* HMAC-SHA-256 over the concatenation of `parts`. Compare results with ct_eq. */
void crypto_hmac_sha256(str_t key, const str_t *parts, size_t n_parts, uint8_t out[32]);

/* --- public keys and verification -------------------------------------------------------------- */

typedef enum {
	CRYPTO_KEY_NONE = 0,
	CRYPTO_KEY_ED25519,
	CRYPTO_KEY_P256,
	CRYPTO_KEY_P384,
	CRYPTO_KEY_P521,
	CRYPTO_KEY_RSA,
} crypto_kind_t;

typedef enum {
	CRYPTO_ALG_NONE = 0,
	CRYPTO_ED25519, /* JOSE "EdDSA" or "Ed25519" (RFC 8037, RFC 9864) */
	CRYPTO_ES256,
	CRYPTO_ES384,
	CRYPTO_ES512,
	CRYPTO_RS256,
	CRYPTO_RS384,
	CRYPTO_RS512,
	CRYPTO_PS256,
	CRYPTO_PS384,
	CRYPTO_PS512,
	CRYPTO_ALG_COUNT_,
} crypto_alg_t;

/* A set of algorithms, one bit each: CRYPTO_ALG_BIT(CRYPTO_ES256) | ... */
typedef uint32_t crypto_algs_t;
#define CRYPTO_ALG_BIT(alg) ((crypto_algs_t)1 << (alg))
/* What agents and our own tokens use (reference oauth 4, 9). */
#define CRYPTO_ALGS_OURS (CRYPTO_ALG_BIT(CRYPTO_ED25519) | CRYPTO_ALG_BIT(CRYPTO_ES256))

/* A public key: a plain value without pointers; copy it freely. */
typedef struct {
	crypto_kind_t kind;
	uint32_t n; /* bytes used in raw */
	uint32_t rsa_e; /* public exponent, RSA only */
	uint8_t raw[CRYPTO_PUB_BYTES_MAX]; /* Ed25519: 32; EC: x||y; RSA: modulus, big-endian, no zeros */
} crypto_pub_t;

/* Make a public key from its parts; ERR_KEY for a wrong length, a coordinate outside the field, a
 * point off the curve or at infinity, an RSA modulus outside 2048..4096 bits or an even or tiny e. */
MUST err_t crypto_pub_ed25519(str_t raw32, crypto_pub_t *out);
MUST err_t crypto_pub_ec(crypto_kind_t curve, str_t x, str_t y, crypto_pub_t *out);
MUST err_t crypto_pub_rsa(str_t n, str_t e, crypto_pub_t *out);
/* SubjectPublicKeyInfo DER, exactly one and nothing behind it; ERR_KEY. */
MUST err_t crypto_pub_from_spki(str_t der, crypto_pub_t *out);
MUST err_t crypto_pub_to_spki(arena_t *a, const crypto_pub_t *pub, str_t *out_der);
static inline str_t crypto_pub_raw(const crypto_pub_t *p) { return str_bytes(p->raw, p->n); }
bool crypto_pub_eq(const crypto_pub_t *x, const crypto_pub_t *y);
/* Checks what parsing leaves out because it costs as much as a signature: an Ed25519 key must be a
 * canonical point of the prime-order subgroup. For the moment a key is enrolled. ERR_KEY. */
MUST err_t crypto_pub_check(const crypto_pub_t *pub);
/* Bytes of one coordinate (32, 48, 66), or 0 for other kinds. */
size_t crypto_coord_bytes(crypto_kind_t kind);

/* True when `alg` may be used with a key of this kind. */
bool crypto_alg_fits(crypto_alg_t alg, crypto_kind_t kind);
/* JOSE names, case-exact; "EdDSA" and "Ed25519" are the same algorithm. ERR_ALGORITHM for others:
 * there is no "none" and no HMAC here. */
MUST err_t crypto_alg_from_name(str_t name, crypto_alg_t *out);
str_t crypto_alg_name(crypto_alg_t alg); /* "EdDSA", "ES256", ... */
/* The algorithm we sign with: EdDSA for Ed25519, ES256 for P-256, else CRYPTO_ALG_NONE. */
crypto_alg_t crypto_alg_for(crypto_kind_t kind);

/* Verifies. ECDSA signatures are r||s of fixed width (64, 96, 132 bytes; leading zeros are part of
 * it; oauth P76), PSS salt length is the hash length (P77), Ed25519 as libsodium does: canonical S and
 * key, no small-order points. ERR_ALGORITHM when alg does not fit the key, else ERR_SIGNATURE. */
MUST err_t crypto_verify(const crypto_pub_t *pub, crypto_alg_t alg, str_t msg, str_t sig);

/* Verifies as requests and certificates are signed (RFC 5280 4.1.1.3): ECDSA in DER over a hash of 256, 384
 * or 512 bits whatever the curve, RSA PKCS#1 v1.5. For x509 alone: no token has such signatures. */
MUST err_t crypto_verify_x509(const crypto_pub_t *pub, int hash_bits, str_t msg, str_t sig);

/* A key prepared for many verifications (EC and RSA parse once; Ed25519 has nothing to prepare). */
typedef struct crypto_verifier crypto_verifier_t;
MUST err_t crypto_verifier_new(const crypto_pub_t *pub, crypto_verifier_t **out);
void crypto_verifier_free(crypto_verifier_t *v);
DEFINE_AUTO(crypto_verifier_t *, crypto_verifier_free);
MUST err_t crypto_verifier_check(const crypto_verifier_t *v, crypto_alg_t alg, str_t msg, str_t sig);
const crypto_pub_t *crypto_verifier_pub(const crypto_verifier_t *v);

/* --- private keys ------------------------------------------------------------------------------ */

/* A private key, prepared for signing: Ed25519, P-256 or RSA. The secret half lies in a slot of the
 * guarded slab (P-256 and RSA also inside OpenSSL, which wipes its copy when freed). RSA is for CAs and
 * JWT-SVIDs of those who ask for it: agents and our own tokens never use it. */
typedef struct crypto_key crypto_key_t;
/* Generates from the kernel's generator. kind: CRYPTO_KEY_ED25519 or CRYPTO_KEY_P256. */
MUST err_t crypto_key_generate(crypto_kind_t kind, crypto_key_t **out);
/* RSA of 2048, 3072 or 4096 bits, e = 65537; else ERR_KEY. Takes 0.1 to 3 s: never on the loop. */
MUST err_t crypto_key_generate_rsa(int bits, crypto_key_t **out);
/* From 32 secret bytes: the RFC 8032 seed, or the P-256 scalar (ERR_KEY if 0 or >= the order). */
MUST err_t crypto_key_from_secret(crypto_kind_t kind, str_t secret32, crypto_key_t **out);
/* PKCS#8 DER (RFC 5958), Ed25519, P-256 or RSA; ERR_KEY. */
MUST err_t crypto_key_from_pkcs8(str_t der, crypto_key_t **out);
MUST err_t crypto_key_to_pkcs8(const crypto_key_t *k, secret_t *out_der);
/* Writes the PKCS#8 DER of a P-256 key straight into memory of the caller, who wipes it: a node holds many
 * keys and few large slots. */
void crypto_key_p256_pkcs8(const crypto_key_t *k, uint8_t out[CRYPTO_P256_PKCS8_BYTES]);
void crypto_key_free(crypto_key_t *k);
DEFINE_AUTO(crypto_key_t *, crypto_key_free);
const crypto_pub_t *crypto_key_pub(const crypto_key_t *k);
/* Borrows the secret bytes (to seal or to write a key file): 32, or for RSA the PKCS#8 DER. */
str_t crypto_key_peek_secret(const crypto_key_t *k);
static inline crypto_alg_t crypto_key_alg(const crypto_key_t *k)
{
	return crypto_alg_for(crypto_key_pub(k)->kind);
}
/* Signs msg with crypto_key_alg(k): 64 bytes either way (Ed25519; ES256 as r||s). ERR_ALGORITHM for RSA,
 * which has no one algorithm. */
MUST err_t crypto_key_sign(const crypto_key_t *k, str_t msg, uint8_t out[CRYPTO_SIGN_BYTES_MAX]);
/* Signs with any algorithm that fits the key; out_n bytes are written. ERR_ALGORITHM. */
MUST err_t crypto_key_sign_as(const crypto_key_t *k, crypto_alg_t alg, str_t msg,
	uint8_t out[CRYPTO_SIG_BYTES_MAX], size_t *out_n);

/* --- sealing ----------------------------------------------------------------------------------- */

/* XChaCha20-Poly1305-IETF with a random 24-byte nonce in front of ciphertext and tag. */
enum { CRYPTO_AEAD_KEY_BYTES = 32, CRYPTO_SEAL_OVERHEAD = 24 + 16 };
/* Seals plain under key32 and binds aad to it. Draws the nonce itself. */
MUST err_t crypto_seal(arena_t *a, str_t key32, str_t aad, str_t plain, str_t *out_sealed);
/* Opens into a secret slot (plain <= SECRET_BYTES_MAX). ERR_CRYPTO says no more than that. */
MUST err_t crypto_open(str_t key32, str_t aad, str_t sealed, secret_t *out_plain);
/* The same into the arena (wiped when reset), for what is not a long-lived secret. */
MUST err_t crypto_open_arena(arena_t *a, str_t key32, str_t aad, str_t sealed, str_t *out_plain);

/* Seals under a passphrase: header "attorn-pw/1" with argon2id cost and salt, then crypto_seal with
 * the header as aad. Takes about 0.15 s and 64 MiB: never on the loop. */
MUST err_t crypto_pw_seal(arena_t *a, str_t passphrase, str_t plain, str_t *out_sealed);
/* ERR_CRYPTO for a wrong passphrase or changed bytes alike; ERR_LIMIT for a cost above limits.h. */
MUST err_t crypto_pw_open(str_t passphrase, str_t sealed, secret_t *out_plain);

#endif
