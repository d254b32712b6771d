/* crypto_int.h: what the files of this room share. */
#ifndef ATTORN_CRYPTO_INT_H
#define ATTORN_CRYPTO_INT_H

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "pure/crypto/crypto.h"

/* Handles that cost a table search each time they are fetched. Written by crypto_init() alone, before
 * any other thread exists; read-only afterwards, and therefore the one permitted global. */
typedef struct {
	EVP_MD *sha256, *sha384, *sha512;
	EC_GROUP *p256, *p384, *p521;
	EVP_PKEY *any256, *any384, *any521; /* a public key of each curve, to be copied and never used */
} crypto_lib_t;
const crypto_lib_t *crypto_lib(void);

enum { CRYPTO_HASH_BYTES_MAX = 64 };
enum { CRYPTO_ED25519_PUB_BYTES = 32, CRYPTO_SECRET_BYTES = 32 };
enum { CRYPTO_COORD_BYTES_MAX = 66 };

typedef enum { CRYPTO_PAD_NONE, CRYPTO_PAD_PKCS1, CRYPTO_PAD_PSS } crypto_pad_t;
/* One row per algorithm: everything the code needs to know about it. */
typedef struct {
	str_t name;
	crypto_kind_t kind;
	int hash_bits; /* 0: Ed25519 hashes inside */
	crypto_pad_t pad;
} crypto_alg_info_t;
const crypto_alg_info_t *crypto_alg_info(crypto_alg_t alg);
const EVP_MD *crypto_md(int hash_bits);

const EC_GROUP *crypto_group(crypto_kind_t kind);
const char *crypto_group_name(crypto_kind_t kind);
EVP_PKEY *crypto_curve_any(crypto_kind_t kind);
/* Builds the public key whose point is the generator: what crypto_curve_any() then gives. */
MUST err_t crypto_curve_key(crypto_kind_t curve, const EC_GROUP *group, EVP_PKEY **out);
/* Builds an OpenSSL public key; ERR_KEY. */
MUST err_t crypto_evp_from_pub(const crypto_pub_t *pub, EVP_PKEY **out);
/* Reads modulus and exponent out of an OpenSSL key; ERR_KEY. */
MUST err_t crypto_pub_from_rsa(const EVP_PKEY *pkey, crypto_pub_t *out);

struct crypto_key {
	crypto_pub_t pub;
	secret_t secret; /* Ed25519: seed||public, libsodium's form; P-256: the scalar; RSA: PKCS#8 DER */
	EVP_PKEY *pkey; /* NULL for Ed25519 */
};
/* RSA (rsa.c). From an OpenSSL key pair, which is taken over; sizes checked. ERR_KEY. */
MUST err_t crypto_rsa_key(EVP_PKEY *pkey, crypto_key_t **out);
MUST err_t crypto_rsa_sign(EVP_PKEY *pkey, crypto_alg_t alg, str_t msg, uint8_t out[CRYPTO_SIG_BYTES_MAX],
	size_t *out_n);
/* Sets padding, salt and digest of `alg` on a context prepared to sign or verify. */
MUST err_t crypto_evp_padding(EVP_PKEY_CTX *c, const crypto_alg_info_t *info);
MUST err_t crypto_pkcs8_write(EVP_PKEY *pkey, secret_t *out_der);

DEFINE_AUTO(EVP_PKEY *, EVP_PKEY_free);
DEFINE_AUTO(EVP_PKEY_CTX *, EVP_PKEY_CTX_free);
DEFINE_AUTO(BIGNUM *, BN_clear_free);
DEFINE_AUTO(EC_POINT *, EC_POINT_free);

static inline const unsigned char *str_u8(str_t s)
{
	return (const unsigned char *)(s.p ? s.p : "");
}

#endif
