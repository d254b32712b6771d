/* rsa.c: RSA key pairs: made, read, signed with (RFC 8017). Only CAs and JWT-SVIDs use them. */
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "pure/crypto/crypto_int.h"

static err_t rsa_sign(EVP_PKEY *pkey, crypto_alg_t alg, str_t msg, uint8_t out[CRYPTO_SIG_BYTES_MAX],
	size_t *out_n)
{
	const crypto_alg_info_t *info = crypto_alg_info(alg);
	uint8_t hash[CRYPTO_HASH_BYTES_MAX];
	unsigned int hash_n = 0;
	size_t n = CRYPTO_SIG_BYTES_MAX;

	ENSURE(EVP_Digest(msg.p, msg.n, hash, &hash_n, crypto_md(info->hash_bits), NULL) == 1, ERR_CRYPTO);
	AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *signer = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	ENSURE(signer && EVP_PKEY_sign_init(signer) == 1, ERR_CRYPTO);
	TRY(crypto_evp_padding(signer, info));
	ENSURE(EVP_PKEY_sign(signer, out, &n, hash, hash_n) == 1, ERR_CRYPTO);
	*out_n = n;
	return OK;
}

MUST err_t crypto_rsa_sign(EVP_PKEY *pkey, crypto_alg_t alg, str_t msg, uint8_t out[CRYPTO_SIG_BYTES_MAX],
	size_t *out_n)
{
	err_t e = rsa_sign(pkey, alg, msg, out, out_n);

	if (e != OK) {
		ERR_clear_error();
	}
	return e;
}

/* One signature that verifies: halves that do not belong together end here. */
static err_t rsa_try(const crypto_key_t *k)
{
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	size_t n = 0;

	ENSURE(crypto_rsa_sign(k->pkey, CRYPTO_RS256, STR("attorn"), sig, &n) == OK, ERR_KEY);
	ENSURE(crypto_verify(&k->pub, CRYPTO_RS256, STR("attorn"), str_bytes(sig, n)) == OK, ERR_KEY);
	return OK;
}

MUST err_t crypto_rsa_key(EVP_PKEY *pkey, crypto_key_t **out)
{
	AUTO(crypto_key_free) crypto_key_t *k = heap_new(crypto_key_t);

	TRY(crypto_pub_from_rsa(pkey, &k->pub)); /* 2048..4096 bits, before anything costs time */
	ENSURE(EVP_PKEY_up_ref(pkey) == 1, ERR_CRYPTO);
	k->pkey = pkey;
	TRY(rsa_try(k));
	TRY(crypto_pkcs8_write(pkey, &k->secret));
	*out = TAKE(k);
	return OK;
}

MUST err_t crypto_key_generate_rsa(int bits, crypto_key_t **out)
{
	ENSURE(bits == 2048 || bits == 3072 || bits == 4096, ERR_KEY);

	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = EVP_RSA_gen((unsigned int)bits); /* e = 65537 */
	ENSURE(pkey, ERR_CRYPTO);
	return crypto_rsa_key(pkey, out);
}
