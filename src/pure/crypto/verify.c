#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <sodium.h>

#include "pure/crypto/crypto_int.h"

DEFINE_AUTO(ECDSA_SIG *, ECDSA_SIG_free);

struct crypto_verifier {
	crypto_pub_t pub;
	EVP_PKEY *pkey; /* NULL for Ed25519 */
};

MUST err_t crypto_verifier_new(const crypto_pub_t *pub, crypto_verifier_t **out)
{
	EVP_PKEY *pkey = NULL;

	ENSURE(pub->kind != CRYPTO_KEY_NONE, ERR_KEY);
	if (pub->kind != CRYPTO_KEY_ED25519) {
		TRY(crypto_evp_from_pub(pub, &pkey));
	}
	crypto_verifier_t *v = heap_new(crypto_verifier_t);
	v->pub = *pub;
	v->pkey = pkey;
	*out = v;
	return OK;
}

void crypto_verifier_free(crypto_verifier_t *v)
{
	if (!v) {
		return;
	}
	EVP_PKEY_free(v->pkey);
	heap_free(v);
}

const crypto_pub_t *crypto_verifier_pub(const crypto_verifier_t *v)
{
	return &v->pub;
}

/* r||s to the DER form that OpenSSL wants; it checks 0 < r, s < n itself. */
static err_t ecdsa_to_der(str_t sig, size_t width, uint8_t der[2 * CRYPTO_COORD_BYTES_MAX + 16],
	size_t *out_n)
{
	ENSURE(sig.n == 2 * width, ERR_SIGNATURE);

	AUTO(ECDSA_SIG_free) ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(str_u8(sig), (int)width, NULL);
	BIGNUM *s = BN_bin2bn(str_u8(sig) + width, (int)width, NULL);
	CHECK(pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1);

	unsigned char *p = der;
	int n = i2d_ECDSA_SIG(pair, &p);
	ENSURE(n > 0, ERR_SIGNATURE);
	*out_n = (size_t)n;
	return OK;
}

MUST err_t crypto_evp_padding(EVP_PKEY_CTX *c, const crypto_alg_info_t *info)
{
	if (info->pad == CRYPTO_PAD_PKCS1) {
		ENSURE(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1, ERR_CRYPTO);
	}
	if (info->pad == CRYPTO_PAD_PSS) {
		ENSURE(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1, ERR_CRYPTO);
		/* the salt is as long as the hash, nothing else (RFC 7518 3.5, oauth P77) */
		ENSURE(EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1, ERR_CRYPTO);
	}
	if (info->pad != CRYPTO_PAD_NONE) {
		ENSURE(EVP_PKEY_CTX_set_signature_md(c, crypto_md(info->hash_bits)) == 1, ERR_CRYPTO);
	}
	return OK;
}

static err_t evp_verify(EVP_PKEY *pkey, const crypto_alg_info_t *info, str_t msg, str_t sig)
{
	uint8_t hash[CRYPTO_HASH_BYTES_MAX];
	unsigned int hash_n = 0;

	ENSURE(EVP_Digest(msg.p, msg.n, hash, &hash_n, crypto_md(info->hash_bits), NULL) == 1, ERR_CRYPTO);
	AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	ENSURE(check && EVP_PKEY_verify_init(check) == 1, ERR_CRYPTO);
	TRY(crypto_evp_padding(check, info));
	ENSURE(EVP_PKEY_verify(check, str_u8(sig), sig.n, hash, hash_n) == 1, ERR_SIGNATURE);
	return OK;
}

static err_t evp_check(EVP_PKEY *pkey, const crypto_pub_t *pub, crypto_alg_t alg, str_t msg, str_t sig)
{
	const crypto_alg_info_t *info = crypto_alg_info(alg);
	uint8_t der[2 * CRYPTO_COORD_BYTES_MAX + 16];
	size_t der_n = 0;

	if (info->pad == CRYPTO_PAD_NONE) {
		TRY(ecdsa_to_der(sig, crypto_coord_bytes(pub->kind), der, &der_n));
		return evp_verify(pkey, info, msg, str_bytes(der, der_n));
	}
	ENSURE(sig.n == pub->n, ERR_SIGNATURE); /* RFC 8017 8.1.2 step 1, 8.2.2 step 1 */
	return evp_verify(pkey, info, msg, sig);
}

static err_t check(EVP_PKEY *pkey, const crypto_pub_t *pub, crypto_alg_t alg, str_t msg, str_t sig)
{
	CHECK(msg.n <= CRYPTO_MESSAGE_BYTES_MAX);
	ENSURE(crypto_alg_fits(alg, pub->kind), ERR_ALGORITHM);
	if (pub->kind == CRYPTO_KEY_ED25519) {
		ENSURE(sig.n == crypto_sign_BYTES, ERR_SIGNATURE);
		ENSURE(crypto_sign_verify_detached(str_u8(sig), str_u8(msg), msg.n, pub->raw) == 0,
			ERR_SIGNATURE);
		return OK;
	}
	err_t e = evp_check(pkey, pub, alg, msg, sig);
	if (e != OK) {
		ERR_clear_error(); /* OpenSSL's queue is per thread and would grow stale */
	}
	return e;
}

MUST err_t crypto_verifier_check(const crypto_verifier_t *v, crypto_alg_t alg, str_t msg, str_t sig)
{
	return check(v->pkey, &v->pub, alg, msg, sig);
}

MUST err_t crypto_verify(const crypto_pub_t *pub, crypto_alg_t alg, str_t msg, str_t sig)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = NULL;

	ENSURE(crypto_alg_fits(alg, pub->kind), ERR_ALGORITHM);
	if (pub->kind != CRYPTO_KEY_ED25519) {
		TRY(crypto_evp_from_pub(pub, &pkey));
	}
	return check(pkey, pub, alg, msg, sig);
}

MUST err_t crypto_verify_x509(const crypto_pub_t *pub, int hash_bits, str_t msg, str_t sig)
{
	const crypto_alg_info_t info = { .kind = pub->kind, .hash_bits = hash_bits,
		.pad = pub->kind == CRYPTO_KEY_RSA ? CRYPTO_PAD_PKCS1 : CRYPTO_PAD_NONE };
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = NULL;

	CHECK(msg.n <= CRYPTO_MESSAGE_BYTES_MAX);
	CHECK(hash_bits == 256 || hash_bits == 384 || hash_bits == 512);
	ENSURE(pub->kind == CRYPTO_KEY_RSA || crypto_coord_bytes(pub->kind), ERR_ALGORITHM);
	ENSURE(pub->kind != CRYPTO_KEY_RSA || sig.n == pub->n, ERR_SIGNATURE);
	TRY(crypto_evp_from_pub(pub, &pkey));
	err_t e = evp_verify(pkey, &info, msg, sig); /* ECDSA: OpenSSL insists on DER in shortest form */
	if (e != OK) {
		ERR_clear_error();
	}
	return e;
}
