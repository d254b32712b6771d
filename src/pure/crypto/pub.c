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

/* RFC 5480 2: what stands before x||y of an uncompressed point, by curve. */
typedef struct {
	crypto_kind_t kind;
	str_t head;
} ec_spki_t;
#define EC_OID "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
static const ec_spki_t ec_spki[] = {
	{ CRYPTO_KEY_P256, STR_INIT("\x30\x59\x30\x13" EC_OID "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\0\x04") },
	{ CRYPTO_KEY_P384, STR_INIT("\x30\x76\x30\x10" EC_OID "\x06\x05\x2b\x81\x04\0\x22\x03\x62\0\x04") },
	{ CRYPTO_KEY_P521, STR_INIT("\x30\x81\x9b\x30\x10" EC_OID "\x06\x05\x2b\x81\x04\0\x23\x03\x81\x86\0\x04") },
};

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

EVP_PKEY *crypto_curve_any(crypto_kind_t kind)
{
	CHECK(crypto_coord_bytes(kind) != 0);
	if (kind == CRYPTO_KEY_P256) {
		return crypto_lib()->any256;
	}
	return kind == CRYPTO_KEY_P384 ? crypto_lib()->any384 : crypto_lib()->any521;
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

static err_t evp_from_point(crypto_kind_t curve, str_t point, EVP_PKEY **out)
{
	AUTO(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();

	ENSURE(bld, ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, crypto_group_name(curve), 0) == 1,
		ERR_CRYPTO);
	ENSURE(OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n) == 1, ERR_CRYPTO);
	return evp_fromdata("EC", bld, out);
}

MUST err_t crypto_curve_key(crypto_kind_t curve, const EC_GROUP *group, EVP_PKEY **out)
{
	uint8_t oct[1 + 2 * CRYPTO_COORD_BYTES_MAX];
	size_t n = EC_POINT_point2oct(group, EC_GROUP_get0_generator(group), POINT_CONVERSION_UNCOMPRESSED, oct,
		sizeof oct, NULL);

	ENSURE(n == 1 + 2 * crypto_coord_bytes(curve), ERR_CRYPTO);
	return evp_from_point(curve, str_bytes(oct, n), out);
}

/* A copy of a key of the curve with another point: a third of what building one from its parts costs. */
static err_t evp_from_ec(const crypto_pub_t *pub, EVP_PKEY **out)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = EVP_PKEY_dup(crypto_curve_any(pub->kind));
	point_t p = pub_point(pub);

	ENSURE(pkey, ERR_CRYPTO);
	if (EVP_PKEY_set1_encoded_public_key(pkey, p.bytes, p.n) != 1) { /* checks that it is on the curve */
		ERR_clear_error();
		return ERR_KEY;
	}
	*out = TAKE(pkey);
	return OK;
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

static err_t bn_param(const EVP_PKEY *pkey, const char *name, uint8_t *out, size_t *out_n)
{
	AUTO(BN_clear_free) BIGNUM *bn = NULL;

	ENSURE(EVP_PKEY_get_bn_param(pkey, name, &bn) == 1, ERR_KEY);
	size_t n = (size_t)BN_num_bytes(bn);
	ENSURE(n > 0 && n <= CRYPTO_PUB_BYTES_MAX, ERR_KEY);
	BN_bn2bin(bn, out);
	*out_n = n;
	return OK;
}

MUST err_t crypto_pub_from_rsa(const EVP_PKEY *pkey, crypto_pub_t *out)
{
	uint8_t n[CRYPTO_PUB_BYTES_MAX], e[CRYPTO_PUB_BYTES_MAX];
	size_t n_n = 0, e_n = 0;

	ENSURE(EVP_PKEY_is_a(pkey, "RSA"), ERR_KEY); /* and not RSA-PSS, whose parameters we do not read */
	TRY(bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, n, &n_n));
	TRY(bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, e, &e_n));
	return crypto_pub_rsa(str_bytes(n, n_n), str_bytes(e, e_n), out);
}

/* --- SubjectPublicKeyInfo ----------------------------------------------------------------------- */

/* Ed25519 and the curves: a fixed head, then the raw key. */
static str_t spki_head(crypto_kind_t kind)
{
	if (kind == CRYPTO_KEY_ED25519) {
		return str_bytes(ed25519_spki_head, sizeof ed25519_spki_head);
	}
	for (size_t i = 0; i < ARRAY_LEN(ec_spki); i++) {
		if (ec_spki[i].kind == kind) {
			return ec_spki[i].head;
		}
	}
	return STR_NULL;
}

static err_t spki_write(const crypto_pub_t *pub, uint8_t out[CRYPTO_DER_BYTES_MAX], size_t *out_n)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = NULL;
	str_t head = spki_head(pub->kind);
	unsigned char *p = out;

	if (head.p) {
		memcpy(out, head.p, head.n);
		memcpy(out + head.n, pub->raw, pub->n);
		*out_n = head.n + pub->n;
		return OK;
	}
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

static err_t spki_read_rsa(str_t der, crypto_pub_t *out)
{
	const unsigned char *p = str_u8(der);
	AUTO(EVP_PKEY_free) EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)der.n);

	ENSURE(pkey, ERR_KEY);
	return crypto_pub_from_rsa(pkey, out);
}

/* One key, one spelling: compressed points, other parameters and trailing bytes end here. */
MUST err_t crypto_pub_from_spki(str_t der, crypto_pub_t *out)
{
	static const str_t ed25519 = { (const char *)ed25519_spki_head, sizeof ed25519_spki_head };
	crypto_pub_t pub;
	uint8_t again[CRYPTO_DER_BYTES_MAX];
	size_t n = 0;

	ENSURE(der.n > 0 && der.n <= CRYPTO_DER_BYTES_MAX, ERR_KEY);
	if (str_starts(der, ed25519)) {
		return crypto_pub_ed25519(str_sub(der, ed25519.n, der.n), out);
	}
	for (size_t i = 0; i < ARRAY_LEN(ec_spki); i++) {
		size_t head = ec_spki[i].head.n, width = crypto_coord_bytes(ec_spki[i].kind);
		if (str_starts(der, ec_spki[i].head)) {
			str_t x = str_sub(der, head, width), y = str_sub(der, head + width, der.n);
			return crypto_pub_ec(ec_spki[i].kind, x, y, out);
		}
	}
	err_t e = spki_read_rsa(der, &pub);
	ERR_clear_error();
	TRY(e);
	TRY(spki_write(&pub, again, &n));
	ENSURE(str_eq(der, str_bytes(again, n)), ERR_KEY);
	*out = pub;
	return OK;
}
