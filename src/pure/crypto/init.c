#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <sodium.h>

#include "pure/crypto/crypto_int.h"

static crypto_lib_t lib;

const crypto_lib_t *crypto_lib(void)
{
	CHECK(lib.sha256 != NULL); /* somebody forgot crypto_init() */
	return &lib;
}

MUST err_t crypto_init(void)
{
	if (lib.sha256) {
		return OK;
	}
	ENSURE(sodium_init() >= 0, ERR_CRYPTO);

	crypto_lib_t l = {
		.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL),
		.sha384 = EVP_MD_fetch(NULL, "SHA384", NULL),
		.sha512 = EVP_MD_fetch(NULL, "SHA512", NULL),
		.p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1),
		.p384 = EC_GROUP_new_by_curve_name(NID_secp384r1),
		.p521 = EC_GROUP_new_by_curve_name(NID_secp521r1),
	};
	ENSURE(l.sha256 && l.sha384 && l.sha512 && l.p256 && l.p384 && l.p521, ERR_CRYPTO);
	TRY(crypto_curve_key(CRYPTO_KEY_P256, l.p256, &l.any256));
	TRY(crypto_curve_key(CRYPTO_KEY_P384, l.p384, &l.any384));
	TRY(crypto_curve_key(CRYPTO_KEY_P521, l.p521, &l.any521));
	lib = l;
	return OK;
}

void crypto_random(void *p, size_t n)
{
	randombytes_buf(p, n); /* getrandom(2); aborts when the kernel has none */
}

static const crypto_alg_info_t algs[CRYPTO_ALG_COUNT_] = {
	[CRYPTO_ALG_NONE] = { STR_INIT(""), CRYPTO_KEY_NONE, 0, CRYPTO_PAD_NONE },
	[CRYPTO_ED25519] = { STR_INIT("EdDSA"), CRYPTO_KEY_ED25519, 0, CRYPTO_PAD_NONE },
	[CRYPTO_ES256] = { STR_INIT("ES256"), CRYPTO_KEY_P256, 256, CRYPTO_PAD_NONE },
	[CRYPTO_ES384] = { STR_INIT("ES384"), CRYPTO_KEY_P384, 384, CRYPTO_PAD_NONE },
	[CRYPTO_ES512] = { STR_INIT("ES512"), CRYPTO_KEY_P521, 512, CRYPTO_PAD_NONE },
	[CRYPTO_RS256] = { STR_INIT("RS256"), CRYPTO_KEY_RSA, 256, CRYPTO_PAD_PKCS1 },
	[CRYPTO_RS384] = { STR_INIT("RS384"), CRYPTO_KEY_RSA, 384, CRYPTO_PAD_PKCS1 },
	[CRYPTO_RS512] = { STR_INIT("RS512"), CRYPTO_KEY_RSA, 512, CRYPTO_PAD_PKCS1 },
	[CRYPTO_PS256] = { STR_INIT("PS256"), CRYPTO_KEY_RSA, 256, CRYPTO_PAD_PSS },
	[CRYPTO_PS384] = { STR_INIT("PS384"), CRYPTO_KEY_RSA, 384, CRYPTO_PAD_PSS },
	[CRYPTO_PS512] = { STR_INIT("PS512"), CRYPTO_KEY_RSA, 512, CRYPTO_PAD_PSS },
};

const crypto_alg_info_t *crypto_alg_info(crypto_alg_t alg)
{
	CHECK(alg >= CRYPTO_ALG_NONE && alg < CRYPTO_ALG_COUNT_);
	return &algs[alg];
}

MUST err_t crypto_alg_from_name(str_t name, crypto_alg_t *out)
{
	crypto_alg_t found = CRYPTO_ALG_NONE;

	for (int i = CRYPTO_ED25519; i < CRYPTO_ALG_COUNT_; i++) {
		if (str_eq(algs[i].name, name)) {
			found = (crypto_alg_t)i;
		}
	}
	if (str_eq(name, STR("Ed25519"))) { /* RFC 9864 2.2 names the curve */
		found = CRYPTO_ED25519;
	}
	ENSURE(found != CRYPTO_ALG_NONE, ERR_ALGORITHM);
	*out = found;
	return OK;
}

str_t crypto_alg_name(crypto_alg_t alg)
{
	return crypto_alg_info(alg)->name;
}

bool crypto_alg_fits(crypto_alg_t alg, crypto_kind_t kind)
{
	return alg > CRYPTO_ALG_NONE && alg < CRYPTO_ALG_COUNT_ && algs[alg].kind == kind;
}

crypto_alg_t crypto_alg_for(crypto_kind_t kind)
{
	if (kind == CRYPTO_KEY_ED25519) {
		return CRYPTO_ED25519;
	}
	return kind == CRYPTO_KEY_P256 ? CRYPTO_ES256 : CRYPTO_ALG_NONE;
}

const EVP_MD *crypto_md(int hash_bits)
{
	if (hash_bits == 256) {
		return crypto_lib()->sha256;
	}
	return hash_bits == 384 ? crypto_lib()->sha384 : crypto_lib()->sha512;
}
