#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "pure/crypto/crypto_int.h"

DEFINE_AUTO(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free);
DEFINE_AUTO(OSSL_PARAM *, OSSL_PARAM_free);

/* RFC 8410 4: the 12 bytes in front of every Ed25519 SubjectPublicKeyInfo. */
static const uint8_t ed25519_spki_head[12] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
	0x03, 0x21, 0x00 };

size_t crypto_coord_bytes(crypto_kind_t kind)
{
	switch (kind) {
	case CRYPTO_KEY_P256:
		return 32;
	case CRYPTO_KEY_P384:
		return 48;
	case CRYPTO_KEY_P521:
		return 66;
	case CRYPTO_KEY_NONE:
	case CRYPTO_KEY_ED25519:
	case CRYPTO_KEY_RSA:
		break;
	}
	return 0;
}

const EC_GROUP *crypto_group(crypto_kind_t kind)
{
	CHECK(crypto_coord_bytes(kind) != 0);
	if (kind == CRYPTO_KEY_P256) {
		return crypto_lib()->p256;
	}
	return kind == CRYPTO_KEY_P384 ? crypto_lib()->p384 : crypto_lib()->p521;
}

const char *crypto_group_name(crypto_kind_t kind)
{
	if (kind == CRYPTO_KEY_P256) {
		return "P-256";
	}
	return kind == CRYPTO_KEY_P384 ? "P-384" : "P-521";
}

bool crypto_pub_eq(const crypto_pub_t *x, const crypto_pub_t *y)
{
	return x->kind == y->kind && x->rsa_e == y->rsa_e &&
		str_eq(crypto_pub_raw(x), crypto_pub_raw(y));
}

static crypto_pub_t pub_make(crypto_kind_t kind, str_t first, str_t second)
{
	crypto_pub_t pub = { .kind = kind, .n = (uint32_t)(first.n + second.n) };

	CHECK(pub.n <= sizeof pub.raw);
	memcpy(pub.raw, first.p, first.n);
	if (second.n) {
		memcpy(pub.raw + first.n, second.p, second.n);
	}
	return pub;
}

MUST err_t crypto_pub_ed25519(str_t raw32, crypto_pub_t *out)
{
	ENSURE(raw32.n == CRYPTO_ED25519_PUB_BYTES, ERR_KEY);
	*out = pub_make(CRYPTO_KEY_ED25519, raw32, STR_NULL);
	return OK;
}

/* 04 || x || y, the only point form we speak (SEC 1 2.3.3). */
typedef struct {
	uint8_t bytes[1 + 2 * CRYPTO_COORD_BYTES_MAX];
	size_t n;
} point_t;

static point_t pub_point(const crypto_pub_t *pub)
{
	point_t p = { .bytes = { 0x04 }, .n = 1 + pub->n };

	CHECK(p.n <= sizeof p.bytes);
	memcpy(p.bytes + 1, pub->raw, pub->n);
	return p;
}

MUST err_t crypto_pub_ec(crypto_kind_t curve, str_t x, str_t y, crypto_pub_t *out)
{
	size_t width = crypto_coord_bytes(curve);
	ENSURE(width != 0 && x.n == width && y.n == width, ERR_KEY);

	crypto_pub_t pub = pub_make(curve, x, y);
	point_t p = pub_point(&pub);
	AUTO(EC_POINT_free) EC_POINT *point = EC_POINT_new(crypto_group(curve));
	CHECK(point != NULL);
	/* refuses coordinates >= p and points off the curve (oauth P76); infinity has no such form */
	if (EC_POINT_oct2point(crypto_group(curve), point, p.bytes, p.n, NULL) != 1) {
		ERR_clear_error();
		return ERR_KEY;
	}
	*out = pub;
	return OK;
}

static unsigned int bit_length(str_t be)
{
	unsigned int top = (unsigned char)be.p[0];

	CHECK(top != 0);
	return (unsigned int)(be.n * 8) - (unsigned int)__builtin_clz(top) + 24;
}

MUST err_t crypto_pub_rsa(str_t n, str_t e, crypto_pub_t *out)
{
	ENSURE(n.n > 0 && n.n <= CRYPTO_RSA_BYTES_MAX && n.p[0] != 0, ERR_KEY); /* RFC 7518 6.3.1.1 */
	ENSURE(e.n > 0 && e.n <= sizeof(uint32_t) && e.p[0] != 0, ERR_KEY);
	ENSURE(bit_length(n) >= CRYPTO_RSA_BITS_MIN, ERR_KEY);
	ENSURE(bit_length(n) <= CRYPTO_RSA_BITS_MAX, ERR_KEY);
	ENSURE(n.p[n.n - 1] & 1, ERR_KEY);

	uint32_t exponent = 0;
	for (size_t i = 0; i < e.n; i++) {
		exponent = exponent << 8 | (unsigned char)e.p[i];
	}
	ENSURE(exponent >= 3 && (exponent & 1), ERR_KEY);
	*out = pub_make(CRYPTO_KEY_RSA, n, STR_NULL);
	out->rsa_e = exponent;
	return OK;
}

MUST err_t crypto_pub_check(const crypto_pub_t *pub)
{
	ENSURE(pub->kind != CRYPTO_KEY_NONE, ERR_KEY);
	if (pub->kind == CRYPTO_KEY_ED25519) {
		ENSURE(crypto_core_ed25519_is_valid_point(pub->raw) == 1, ERR_KEY);
	}
	return OK;
}

/* --- OpenSSL's form ---------------------------------------------------------------------------- */

static err_t evp_fromdata(const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **out)
{
	AUTO(OSSL_PARAM_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	ENSURE(params && maker, ERR_CRYPTO);
	ENSURE(EVP_PKEY_fromdata_init(maker) == 1, ERR_CRYPTO);
	if (EVP_PKEY_fromdata(maker, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ERR_clear_error();
		return ERR_KEY;
	}
	*out = pkey;
	return OK;
}

static err_t evp_from_ec(const crypto_pub_t *pub, EVP_PKEY **out)
{
	AUTO(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	point_t p = pub_point(pub);

	ENSURE(bld, ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
		       crypto_group_name(pub->kind), 0) == 1, ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, p.bytes, p.n) == 1,
		ERR_CRYPTO);
	return evp_fromdata("EC", bld, out);
}

static err_t evp_from_rsa(const crypto_pub_t *pub, EVP_PKEY **out)
{
	AUTO(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	AUTO(BN_clear_free) BIGNUM *n = BN_bin2bn(pub->raw, (int)pub->n, NULL);

	ENSURE(bld && n, ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1, ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_uint32(bld, OSSL_PKEY_PARAM_RSA_E, pub->rsa_e) == 1, ERR_CRYPTO);
	return evp_fromdata("RSA", bld, out);
}

MUST err_t crypto_evp_from_pub(const crypto_pub_t *pub, EVP_PKEY **out)
{
	if (crypto_coord_bytes(pub->kind)) {
		return evp_from_ec(pub, out);
	}
	ENSURE(pub->kind == CRYPTO_KEY_RSA, ERR_KEY);
	return evp_from_rsa(pub, out);
}

static err_t bn_param(const EVP_PKEY *pkey, const char *name, size_t width, uint8_t *out, size_t *out_n)
{
	AUTO(BN_clear_free) BIGNUM *bn = NULL;

	ENSURE(EVP_PKEY_get_bn_param(pkey, name, &bn) == 1, ERR_KEY);
	size_t n = (size_t)BN_num_bytes(bn);
	ENSURE(n <= CRYPTO_PUB_BYTES_MAX, ERR_KEY);
	if (width) {
		ENSURE(BN_bn2binpad(bn, out, (int)width) == (int)width, ERR_KEY);
		n = width;
	} else {
		BN_bn2bin(bn, out);
	}
	*out_n = n;
	return OK;
}

static err_t pub_from_evp_ec(const EVP_PKEY *pkey, crypto_pub_t *out)
{
	static const crypto_kind_t kinds[] = { CRYPTO_KEY_P256, CRYPTO_KEY_P384, CRYPTO_KEY_P521 };
	static const char *const names[] = { "prime256v1", "secp384r1", "secp521r1" };
	char group[64];
	size_t group_n = 0;

	ENSURE(EVP_PKEY_get_group_name(pkey, group, sizeof group, &group_n) == 1, ERR_KEY);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_eq(str_of(names[i]), str_bytes(group, group_n))) {
			continue;
		}
		uint8_t x[CRYPTO_PUB_BYTES_MAX], y[CRYPTO_PUB_BYTES_MAX];
		size_t x_n = 0, y_n = 0;
		size_t width = crypto_coord_bytes(kinds[i]);
		TRY(bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, width, x, &x_n));
		TRY(bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, width, y, &y_n));
		return crypto_pub_ec(kinds[i], str_bytes(x, x_n), str_bytes(y, y_n), out);
	}
	return ERR_KEY;
}

static err_t pub_from_evp_rsa(const EVP_PKEY *pkey, crypto_pub_t *out)
{
	uint8_t n[CRYPTO_PUB_BYTES_MAX], e[CRYPTO_PUB_BYTES_MAX];
	size_t n_n = 0, e_n = 0;

	TRY(bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, 0, n, &n_n));
	TRY(bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, 0, e, &e_n));
	return crypto_pub_rsa(str_bytes(n, n_n), str_bytes(e, e_n), out);
}

MUST err_t crypto_pub_from_evp(const EVP_PKEY *pkey, crypto_pub_t *out)
{
	uint8_t raw[CRYPTO_ED25519_PUB_BYTES];
	size_t n = sizeof raw;

	if (EVP_PKEY_is_a(pkey, "EC")) {
		return pub_from_evp_ec(pkey, out);
	}
	if (EVP_PKEY_is_a(pkey, "RSA")) {
		return pub_from_evp_rsa(pkey, out);
	}
	ENSURE(EVP_PKEY_is_a(pkey, "ED25519"), ERR_KEY);
	ENSURE(EVP_PKEY_get_raw_public_key(pkey, raw, &n) == 1, ERR_KEY);
	return crypto_pub_ed25519(str_bytes(raw, n), out);
}

/* --- SubjectPublicKeyInfo ----------------------------------------------------------------------- */

static err_t spki_write(const crypto_pub_t *pub, uint8_t out[CRYPTO_DER_BYTES_MAX], size_t *out_n)
{
	if (pub->kind == CRYPTO_KEY_ED25519) {
		memcpy(out, ed25519_spki_head, sizeof ed25519_spki_head);
		memcpy(out + sizeof ed25519_spki_head, pub->raw, pub->n);
		*out_n = sizeof ed25519_spki_head + pub->n;
		return OK;
	}
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = NULL;
	unsigned char *p = out;
	TRY(crypto_evp_from_pub(pub, &pkey));
	int n = i2d_PUBKEY(pkey, NULL);
	ENSURE(n > 0 && n <= CRYPTO_DER_BYTES_MAX, ERR_CRYPTO);
	ENSURE(i2d_PUBKEY(pkey, &p) == n, ERR_CRYPTO);
	*out_n = (size_t)n;
	return OK;
}

MUST err_t crypto_pub_to_spki(arena_t *a, const crypto_pub_t *pub, str_t *out_der)
{
	uint8_t der[CRYPTO_DER_BYTES_MAX];
	size_t n = 0;

	TRY(spki_write(pub, der, &n));
	*out_der = arena_str(a, str_bytes(der, n));
	return OK;
}

static err_t spki_read(str_t der, crypto_pub_t *out)
{
	const unsigned char *p = str_u8(der);
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)der.n);

	ENSURE(pkey, ERR_KEY);
	return crypto_pub_from_evp(pkey, out);
}

MUST err_t crypto_pub_from_spki(str_t der, crypto_pub_t *out)
{
	crypto_pub_t pub;
	uint8_t again[CRYPTO_DER_BYTES_MAX];
	size_t n = 0;

	ENSURE(der.n > 0 && der.n <= CRYPTO_DER_BYTES_MAX, ERR_KEY);
	err_t e = spki_read(der, &pub);
	ERR_clear_error();
	TRY(e);
	/* one key, one spelling: compressed points, odd parameters and trailing bytes end here */
	TRY(spki_write(&pub, again, &n));
	ENSURE(str_eq(der, str_bytes(again, n)), ERR_KEY);
	*out = pub;
	return OK;
}
