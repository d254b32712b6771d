#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "pure/crypto/crypto_int.h"

DEFINE_AUTO(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free);
DEFINE_AUTO(OSSL_PARAM *, OSSL_PARAM_free);
DEFINE_AUTO(ECDSA_SIG *, ECDSA_SIG_free);
DEFINE_AUTO(PKCS8_PRIV_KEY_INFO *, PKCS8_PRIV_KEY_INFO_free);

/* RFC 8410 7: the 16 bytes in front of the seed in every Ed25519 PKCS#8 without public key. */
static const uint8_t ed25519_pkcs8_head[16] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03,
	0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
/* RFC 5915 3 inside RFC 5958: what stands before the scalar, and between it and the point's x||y. */
static const uint8_t p256_pkcs8_head[36] = { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07,
	0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
	0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20 };
static const uint8_t p256_pkcs8_middle[6] = { 0xa1, 0x44, 0x03, 0x42, 0x00, 0x04 };

void crypto_key_free(crypto_key_t *k)
{
	if (!k) {
		return;
	}
	secret_done(&k->secret);
	EVP_PKEY_free(k->pkey);
	heap_free(k);
}

const crypto_pub_t *crypto_key_pub(const crypto_key_t *k)
{
	return &k->pub;
}

str_t crypto_key_peek_secret(const crypto_key_t *k)
{
	str_t whole = secret_peek(&k->secret);

	return k->pub.kind == CRYPTO_KEY_RSA ? whole : str_sub(whole, 0, CRYPTO_SECRET_BYTES);
}

static err_t key_ed25519(str_t seed, crypto_key_t *k)
{
	TRY(secret_new(crypto_sign_SECRETKEYBYTES, &k->secret));
	k->pub.kind = CRYPTO_KEY_ED25519;
	k->pub.n = CRYPTO_ED25519_PUB_BYTES;
	ENSURE(crypto_sign_seed_keypair(k->pub.raw, k->secret.p, str_u8(seed)) == 0, ERR_CRYPTO);
	return OK;
}

/* Public point of a scalar in 1..n-1. */
static err_t p256_public(const BIGNUM *d, crypto_pub_t *out)
{
	const EC_GROUP *g = crypto_group(CRYPTO_KEY_P256);
	AUTO(EC_POINT_free) EC_POINT *point = EC_POINT_new(g);
	uint8_t oct[65];

	ENSURE(!BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(g)) < 0, ERR_KEY);
	ENSURE(point && EC_POINT_mul(g, point, d, NULL, NULL, NULL) == 1, ERR_CRYPTO);
	ENSURE(EC_POINT_point2oct(g, point, POINT_CONVERSION_UNCOMPRESSED, oct, sizeof oct, NULL) ==
			sizeof oct, ERR_CRYPTO);
	str_t xy = str_bytes(oct + 1, 64);
	return crypto_pub_ec(CRYPTO_KEY_P256, str_sub(xy, 0, 32), str_sub(xy, 32, 32), out);
}

static err_t p256_evp(const BIGNUM *d, const crypto_pub_t *pub, EVP_PKEY **out)
{
	AUTO(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	uint8_t point[65] = { 0x04 };

	memcpy(point + 1, pub->raw, 64);
	ENSURE(bld && maker && EVP_PKEY_fromdata_init(maker) == 1, ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1,
		ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1,
		ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_BN_pad(bld, OSSL_PKEY_PARAM_PRIV_KEY, d, 32) == 1, ERR_CRYPTO);
	AUTO(OSSL_PARAM_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	ENSURE(params, ERR_CRYPTO);
	ENSURE(EVP_PKEY_fromdata(maker, out, EVP_PKEY_KEYPAIR, params) == 1, ERR_CRYPTO);
	return OK;
}

static err_t key_p256(str_t scalar, crypto_key_t *k)
{
	AUTO(BN_clear_free) BIGNUM *d = BN_secure_new();

	ENSURE(d && BN_bin2bn(str_u8(scalar), (int)scalar.n, d), ERR_CRYPTO);
	BN_set_flags(d, BN_FLG_CONSTTIME);
	TRY(p256_public(d, &k->pub));
	TRY(p256_evp(d, &k->pub, &k->pkey));
	return secret_from(scalar, &k->secret);
}

MUST err_t crypto_key_from_secret(crypto_kind_t kind, str_t secret32, crypto_key_t **out)
{
	ENSURE(secret32.n == CRYPTO_SECRET_BYTES, ERR_KEY);
	ENSURE(crypto_alg_for(kind) != CRYPTO_ALG_NONE, ERR_KEY);

	AUTO(crypto_key_free) crypto_key_t *k = heap_new(crypto_key_t);
	if (kind == CRYPTO_KEY_ED25519) {
		TRY(key_ed25519(secret32, k));
	} else {
		TRY(key_p256(secret32, k));
	}
	*out = TAKE(k);
	return OK;
}

MUST err_t crypto_key_generate(crypto_kind_t kind, crypto_key_t **out)
{
	AUTO(secret_done) secret_t s = { 0 };

	TRY(secret_new(CRYPTO_SECRET_BYTES, &s));
	for (int tries = 0; tries < 4; tries++) { /* a scalar out of range: chance 2^-32 each time */
		crypto_random(s.p, s.n);
		err_t e = crypto_key_from_secret(kind, secret_peek(&s), out);
		if (e != ERR_KEY) {
			return e;
		}
	}
	return ERR_KEY;
}

/* --- sign --------------------------------------------------------------------------------------- */

static err_t p256_sign(EVP_PKEY *pkey, str_t msg, uint8_t out[64])
{
	uint8_t hash[32], der[80];
	size_t der_n = sizeof der;

	AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *signer = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	ENSURE(signer && EVP_PKEY_sign_init(signer) == 1, ERR_CRYPTO);
	crypto_sha256(msg, hash);
	ENSURE(EVP_PKEY_sign(signer, der, &der_n, hash, sizeof hash) == 1, ERR_CRYPTO);

	const unsigned char *p = der;
	AUTO(ECDSA_SIG_free) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &p, (long)der_n);
	ENSURE(pair, ERR_CRYPTO);
	ENSURE(BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32) == 32, ERR_CRYPTO);
	ENSURE(BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32) == 32, ERR_CRYPTO);
	return OK;
}

MUST err_t crypto_key_sign(const crypto_key_t *k, str_t msg, uint8_t out[CRYPTO_SIGN_BYTES_MAX])
{
	uint8_t sig[CRYPTO_SIGN_BYTES_MAX];

	CHECK(msg.n <= CRYPTO_MESSAGE_BYTES_MAX);
	ENSURE(k->pub.kind != CRYPTO_KEY_RSA, ERR_ALGORITHM);
	if (k->pub.kind == CRYPTO_KEY_ED25519) {
		ENSURE(crypto_sign_detached(sig, NULL, str_u8(msg), msg.n, k->secret.p) == 0, ERR_CRYPTO);
	} else {
		TRY(p256_sign(k->pkey, msg, sig));
	}
	memcpy(out, sig, sizeof sig);
	return OK;
}

MUST err_t crypto_key_sign_as(const crypto_key_t *k, crypto_alg_t alg, str_t msg,
	uint8_t out[CRYPTO_SIG_BYTES_MAX], size_t *out_n)
{
	ENSURE(crypto_alg_fits(alg, k->pub.kind), ERR_ALGORITHM);
	if (k->pub.kind == CRYPTO_KEY_RSA) {
		CHECK(msg.n <= CRYPTO_MESSAGE_BYTES_MAX);
		return crypto_rsa_sign(k->pkey, alg, msg, out, out_n);
	}
	TRY(crypto_key_sign(k, msg, out));
	*out_n = CRYPTO_SIGN_BYTES_MAX;
	return OK;
}

/* --- PKCS#8 ------------------------------------------------------------------------------------- */

static err_t pkcs8_read(str_t der, EVP_PKEY **out)
{
	const unsigned char *p = str_u8(der);
	AUTO(PKCS8_PRIV_KEY_INFO_free)
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.n);

	ENSURE(info && p == str_u8(der) + der.n, ERR_KEY);
	EVP_PKEY *pkey = EVP_PKCS82PKEY(info);
	ENSURE(pkey, ERR_KEY);
	*out = pkey;
	return OK;
}

static err_t pkcs8_secret(const EVP_PKEY *pkey, crypto_kind_t *out_kind, uint8_t out[32])
{
	char group[64];
	size_t n = 32, group_n = 0;
	AUTO(BN_clear_free) BIGNUM *d = NULL;

	if (EVP_PKEY_is_a(pkey, "ED25519")) {
		ENSURE(EVP_PKEY_get_raw_private_key(pkey, out, &n) == 1 && n == 32, ERR_KEY);
		*out_kind = CRYPTO_KEY_ED25519;
		return OK;
	}
	ENSURE(EVP_PKEY_is_a(pkey, "EC"), ERR_KEY);
	ENSURE(EVP_PKEY_get_group_name(pkey, group, sizeof group, &group_n) == 1, ERR_KEY);
	ENSURE(str_eq(str_bytes(group, group_n), STR("prime256v1")), ERR_KEY);
	ENSURE(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1, ERR_KEY);
	ENSURE(BN_bn2binpad(d, out, 32) == 32, ERR_KEY);
	*out_kind = CRYPTO_KEY_P256;
	return OK;
}

static err_t key_from_evp(EVP_PKEY *pkey, crypto_key_t **out)
{
	AUTO(secret_done) secret_t s = { 0 };
	crypto_kind_t kind = CRYPTO_KEY_NONE;

	if (EVP_PKEY_is_a(pkey, "RSA")) {
		return crypto_rsa_key(pkey, out);
	}
	TRY(secret_new(CRYPTO_SECRET_BYTES, &s));
	TRY(pkcs8_secret(pkey, &kind, s.p));
	return crypto_key_from_secret(kind, secret_peek(&s), out);
}

MUST err_t crypto_key_from_pkcs8(str_t der, crypto_key_t **out)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = NULL;

	ENSURE(der.n > 0 && der.n <= CRYPTO_PKCS8_BYTES_MAX, ERR_KEY);
	err_t e = pkcs8_read(der, &pkey);
	if (e == OK) {
		e = key_from_evp(pkey, out);
	}
	ERR_clear_error();
	return e;
}

MUST err_t crypto_pkcs8_write(EVP_PKEY *pkey, secret_t *out_der)
{
	AUTO(PKCS8_PRIV_KEY_INFO_free) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	AUTO(secret_done) secret_t der = { 0 };

	ENSURE(info, ERR_CRYPTO);
	int n = i2d_PKCS8_PRIV_KEY_INFO(info, NULL);
	ENSURE(n > 0 && n <= CRYPTO_PKCS8_BYTES_MAX, ERR_CRYPTO);
	TRY(secret_new((size_t)n, &der));
	unsigned char *p = der.p;
	ENSURE(i2d_PKCS8_PRIV_KEY_INFO(info, &p) == n, ERR_CRYPTO);
	*out_der = der;
	der = (secret_t){ 0 };
	return OK;
}

void crypto_key_p256_pkcs8(const crypto_key_t *k, uint8_t out[CRYPTO_P256_PKCS8_BYTES])
{
	uint8_t *p = out;

	CHECK(k->pub.kind == CRYPTO_KEY_P256 && k->secret.n == CRYPTO_SECRET_BYTES);
	memcpy(p, p256_pkcs8_head, sizeof p256_pkcs8_head);
	p += sizeof p256_pkcs8_head;
	memcpy(p, k->secret.p, CRYPTO_SECRET_BYTES);
	p += CRYPTO_SECRET_BYTES;
	memcpy(p, p256_pkcs8_middle, sizeof p256_pkcs8_middle);
	memcpy(p + sizeof p256_pkcs8_middle, k->pub.raw, k->pub.n);
}

MUST err_t crypto_key_to_pkcs8(const crypto_key_t *k, secret_t *out_der)
{
	secret_t der = { 0 };

	if (k->pub.kind == CRYPTO_KEY_RSA) {
		return secret_from(secret_peek(&k->secret), out_der);
	}
	if (k->pub.kind == CRYPTO_KEY_P256) {
		TRY(secret_new(CRYPTO_P256_PKCS8_BYTES, &der));
		crypto_key_p256_pkcs8(k, der.p);
		*out_der = der;
		return OK;
	}
	TRY(secret_new(sizeof ed25519_pkcs8_head + CRYPTO_SECRET_BYTES, &der));
	memcpy(der.p, ed25519_pkcs8_head, sizeof ed25519_pkcs8_head);
	memcpy(der.p + sizeof ed25519_pkcs8_head, k->secret.p, CRYPTO_SECRET_BYTES);
	*out_der = der;
	return OK;
}
