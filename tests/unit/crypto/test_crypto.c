/* crypto: known answers, and the negative space of keys, signatures and seals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "pure/crypto/crypto.h"

static arena_t *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_open();
	return crypto_init() == OK && crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static const uint8_t *unhex(const char *hex, uint8_t *out)
{
	for (size_t i = 0; hex[2 * i]; i++) {
		unsigned int v = 0;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return out;
}

#define ASSERT_HEX(bytes, n, hex)                                                                  \
	do {                                                                                       \
		uint8_t want_[128];                                                                \
		assert_memory_equal((bytes), unhex((hex), want_), (n));                            \
	} while (0)

/* FIPS 180-4: "abc", "", and a million a's, in one piece and in many. */
static void sha256_known_answers(void **state)
{
	static const char million[] =
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
	uint8_t h[32], again[32];
	crypto_sha256_t inc;

	(void)state;
	crypto_sha256(STR("abc"), h);
	ASSERT_HEX(h, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_sha256(STR_NULL, h);
	ASSERT_HEX(h, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

	char *a = heap_alloc(1000000);
	memset(a, 'a', 1000000);
	crypto_sha256(str_bytes(a, 1000000), h);
	ASSERT_HEX(h, 32, million);
	crypto_sha256_start(&inc);
	for (size_t at = 0, step = 1; at < 1000000; at += step, step = step % 97 + 1) {
		crypto_sha256_add(&inc, str_sub(str_bytes(a, 1000000), at, step));
	}
	crypto_sha256_end(&inc, again);
	assert_memory_equal(h, again, 32);
	heap_free(a);
}

static void sha256_two_implementations_agree(void **state)
{
	uint8_t bytes[600], one[32], two[32];
	crypto_sha256_t inc;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (uint8_t)(i * 7);
	}
	for (size_t n = 0; n <= sizeof bytes; n++) {
		crypto_sha256(str_bytes(bytes, n), one);
		crypto_sha256_start(&inc);
		crypto_sha256_add(&inc, str_bytes(bytes, n));
		crypto_sha256_end(&inc, two);
		assert_memory_equal(one, two, 32);
		const str_t parts[] = { str_bytes(bytes, n / 3), STR_NULL, str_bytes(bytes + n / 3, n - n / 3) };
		crypto_sha256_parts(parts, ARRAY_LEN(parts), two);
		assert_memory_equal(one, two, 32);
	}
}

static void label_is_separated_by_one_zero(void **state)
{
	uint8_t one[32], two[32];

	(void)state;
	crypto_sha256_label(STR("attorn-grant/1"), STR("{}"), one);
	crypto_sha256(STR("attorn-grant/1\0{}"), two);
	assert_memory_equal(one, two, 32);
	crypto_sha256_label(STR("attorn-grant/1{"), STR("}"), two);
	assert_memory_not_equal(one, two, 32);
}

static void hmac_rfc4231(void **state)
{
	const str_t parts[] = { STR("what do ya want "), STR("for nothing?") };
	uint8_t mac[32];

	(void)state;
	crypto_hmac_sha256(STR("Jefe"), parts, 2, mac); /* test case 2 */
	ASSERT_HEX(mac, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* --- Ed25519 ------------------------------------------------------------------------------------ */

static crypto_key_t *key_of(crypto_kind_t kind, uint8_t fill)
{
	uint8_t secret[32];
	crypto_key_t *k = NULL;

	memset(secret, fill, sizeof secret);
	assert_int_equal(crypto_key_from_secret(kind, str_bytes(secret, 32), &k), OK);
	return k;
}

/* RFC 8032 7.1, test 2. */
static void ed25519_rfc8032(void **state)
{
	uint8_t seed[32], sig[64];
	crypto_key_t *k = NULL;

	(void)state;
	unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", seed);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(seed, 32), &k), OK);
	ASSERT_HEX(crypto_key_pub(k)->raw, 32,
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
	assert_int_equal(crypto_key_sign(k, STR("\x72"), sig), OK);
	ASSERT_HEX(sig, 64, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
			    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
	assert_int_equal(crypto_verify(crypto_key_pub(k), CRYPTO_ED25519, STR("\x72"),
				 str_bytes(sig, 64)), OK);
	assert_true(str_eq(crypto_key_peek_secret(k), str_bytes(seed, 32)));
	crypto_key_free(k);
}

static void every_flipped_bit_is_refused(void **state)
{
	static const crypto_kind_t kinds[] = { CRYPTO_KEY_ED25519, CRYPTO_KEY_P256 };
	const str_t msg = STR("the exact action");

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		crypto_key_t *key = key_of(kinds[k], 7);
		crypto_verifier_t *v = NULL;
		uint8_t sig[64];
		crypto_alg_t alg = crypto_key_alg(key);

		assert_int_equal(crypto_key_sign(key, msg, sig), OK);
		assert_int_equal(crypto_verifier_new(crypto_key_pub(key), &v), OK);
		assert_int_equal(crypto_verifier_check(v, alg, msg, str_bytes(sig, 64)), OK);
		for (size_t bit = 0; bit < 512; bit++) {
			sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(crypto_verifier_check(v, alg, msg, str_bytes(sig, 64)), ERR_SIGNATURE);
			sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(crypto_verifier_check(v, alg, STR("the exact actioN"), str_bytes(sig, 64)),
			ERR_SIGNATURE);
		assert_int_equal(crypto_verifier_check(v, alg, STR_NULL, str_bytes(sig, 64)), ERR_SIGNATURE);
		assert_int_equal(crypto_verifier_check(v, alg, msg, str_bytes(sig, 63)), ERR_SIGNATURE);
		assert_int_equal(crypto_verifier_check(v, alg, msg, STR_NULL), ERR_SIGNATURE);
		crypto_key_t *other = key_of(kinds[k], 8);
		assert_int_equal(crypto_verify(crypto_key_pub(other), alg, msg, str_bytes(sig, 64)),
			ERR_SIGNATURE);
		crypto_key_free(other);
		crypto_verifier_free(v);
		crypto_key_free(key);
	}
}

/* An all-zero key, a small-order key with an all-zero S: libsodium refuses both. */
static void ed25519_small_order_refused(void **state)
{
	uint8_t zero[64] = { 0 };
	crypto_pub_t pub;

	(void)state;
	zero[0] = 1; /* the neutral element as R and as key */
	assert_int_equal(crypto_pub_ed25519(str_bytes(zero, 32), &pub), OK);
	assert_int_equal(crypto_pub_check(&pub), ERR_KEY);
	assert_int_equal(crypto_verify(&pub, CRYPTO_ED25519, STR("x"), str_bytes(zero, 64)),
		ERR_SIGNATURE);
	assert_int_equal(crypto_pub_ed25519(str_bytes(zero, 31), &pub), ERR_KEY);
	assert_int_equal(crypto_pub_ed25519(str_bytes(zero, 33), &pub), ERR_KEY);
}

/* --- ECDSA (oauth P76) -------------------------------------------------------------------------- */

static void p76_der_and_wrong_widths_are_refused(void **state)
{
	crypto_key_t *k = key_of(CRYPTO_KEY_P256, 9);
	uint8_t sig[66] = { 0 };
	uint8_t der[80] = { 0x30, 0x44, 0x02, 0x20 };

	(void)state;
	assert_int_equal(crypto_key_sign(k, STR("m"), sig), OK);
	memcpy(der + 4, sig, 32);
	der[36] = 0x02;
	der[37] = 0x20;
	memcpy(der + 38, sig + 32, 32);
	const crypto_pub_t *pub = crypto_key_pub(k);
	assert_int_equal(crypto_verify(pub, CRYPTO_ES256, STR("m"), str_bytes(sig, 64)), OK);
	assert_int_equal(crypto_verify(pub, CRYPTO_ES256, STR("m"), str_bytes(der, 70)), ERR_SIGNATURE);
	assert_int_equal(crypto_verify(pub, CRYPTO_ES256, STR("m"), str_bytes(sig, 65)), ERR_SIGNATURE);
	assert_int_equal(crypto_verify(pub, CRYPTO_ES384, STR("m"), str_bytes(sig, 64)), ERR_ALGORITHM);
	assert_int_equal(crypto_verify(pub, CRYPTO_ED25519, STR("m"), str_bytes(sig, 64)), ERR_ALGORITHM);
	assert_int_equal(crypto_verify(pub, CRYPTO_RS256, STR("m"), str_bytes(sig, 64)), ERR_ALGORITHM);
	uint8_t zeros[64] = { 0 };
	assert_int_equal(crypto_verify(pub, CRYPTO_ES256, STR("m"), str_bytes(zeros, 64)), ERR_SIGNATURE);
	crypto_key_free(k);
}

/* A signature whose r has leading zero bytes must stay 64 bytes wide and verify. */
static void p76_leading_zeros_are_part_of_it(void **state)
{
	crypto_key_t *k = key_of(CRYPTO_KEY_P256, 3);
	uint8_t sig[64];
	bool seen_r = false, seen_s = false;

	(void)state;
	for (int i = 0; i < 20000 && !(seen_r && seen_s); i++) {
		str_t msg = str_bytes(&i, sizeof i);
		assert_int_equal(crypto_key_sign(k, msg, sig), OK);
		if (sig[0] != 0 && sig[32] != 0) {
			continue;
		}
		seen_r = seen_r || sig[0] == 0;
		seen_s = seen_s || sig[32] == 0;
		assert_int_equal(crypto_verify(crypto_key_pub(k), CRYPTO_ES256, msg, str_bytes(sig, 64)), OK);
	}
	assert_true(seen_r && seen_s);
	crypto_key_free(k);
}

static void p76_points_off_the_curve_are_refused(void **state)
{
	crypto_key_t *k = key_of(CRYPTO_KEY_P256, 5);
	crypto_pub_t pub = *crypto_key_pub(k), out;
	str_t raw = crypto_pub_raw(&pub);
	str_t x = str_sub(raw, 0, 32), y = str_sub(raw, 32, 32);
	uint8_t bad[66] = { 0 };

	(void)state;
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_P256, x, y, &out), OK);
	assert_true(crypto_pub_eq(&pub, &out));
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_P256, y, x, &out), ERR_KEY);
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_P384, x, y, &out), ERR_KEY);
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_ED25519, x, y, &out), ERR_KEY);
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_P256, str_bytes(bad, 32), str_bytes(bad, 32), &out),
		ERR_KEY); /* (0, 0): the usual disguise of infinity */
	memset(bad, 0xff, sizeof bad);
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_P256, str_bytes(bad, 32), y, &out), ERR_KEY); /* >= p */
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_P256, str_sub(x, 0, 31), y, &out), ERR_KEY);
	assert_int_equal(crypto_pub_ec(CRYPTO_KEY_P521, str_bytes(bad, 66), str_bytes(bad, 66), &out),
		ERR_KEY);
	crypto_key_free(k);
}

static void p256_scalars_out_of_range_are_refused(void **state)
{
	uint8_t s[32] = { 0 };
	crypto_key_t *k = NULL;

	(void)state;
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_P256, str_bytes(s, 32), &k), ERR_KEY);
	unhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", s); /* the order n */
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_P256, str_bytes(s, 32), &k), ERR_KEY);
	s[31]--; /* n - 1 */
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_P256, str_bytes(s, 32), &k), OK);
	crypto_key_free(k);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_P256, str_bytes(s, 31), &k), ERR_KEY);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_P384, str_bytes(s, 32), &k), ERR_KEY);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_RSA, str_bytes(s, 32), &k), ERR_KEY);
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_RSA, &k), ERR_KEY);
}

/* --- RSA (oauth P77) ---------------------------------------------------------------------------- */

static void p77_rsa_shapes(void **state)
{
	uint8_t n[513];
	crypto_pub_t pub;

	(void)state;
	memset(n, 0xff, sizeof n);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR("\x01\x00\x01"), &pub), OK);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 512), STR("\x03"), &pub), OK);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 513), STR("\x03"), &pub), ERR_KEY);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 255), STR("\x03"), &pub), ERR_KEY);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR("\x02"), &pub), ERR_KEY);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR("\x01"), &pub), ERR_KEY);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR(""), &pub), ERR_KEY);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR("\x00\x03"), &pub), ERR_KEY);
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR("\x01\x00\x00\x00\x01"), &pub), ERR_KEY);
	n[0] = 0x7f; /* 2047 bits */
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR("\x03"), &pub), ERR_KEY);
	n[0] = 0; /* a padded modulus */
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 257), STR("\x03"), &pub), ERR_KEY);
	n[0] = 0xff;
	n[255] = 0xfe;
	assert_int_equal(crypto_pub_rsa(str_bytes(n, 256), STR("\x03"), &pub), ERR_KEY);
}

/* OpenSSL signs with a foreign key, we read its SPKI and verify. */
static void rsa_signatures_of_another_hand(void **state)
{
	EVP_PKEY *pkey = EVP_RSA_gen(2048);
	unsigned char *der = NULL;
	uint8_t sig[512];
	size_t sig_n = sizeof sig;
	crypto_pub_t pub;
	str_t again;

	(void)state;
	int der_n = i2d_PUBKEY(pkey, &der);
	assert_true(der_n > 0);
	assert_int_equal(crypto_pub_from_spki(str_bytes(der, (size_t)der_n), &pub), OK);
	assert_int_equal(crypto_pub_to_spki(arena, &pub, &again), OK);
	assert_true(str_eq(again, str_bytes(der, (size_t)der_n)));

	EVP_MD_CTX *md = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, pkey), 1);
	assert_int_equal(EVP_DigestSign(md, sig, &sig_n, (const unsigned char *)"msg", 3), 1);
	assert_int_equal(crypto_verify(&pub, CRYPTO_RS256, STR("msg"), str_bytes(sig, sig_n)), OK);
	assert_int_equal(crypto_verify(&pub, CRYPTO_RS384, STR("msg"), str_bytes(sig, sig_n)),
		ERR_SIGNATURE);
	assert_int_equal(crypto_verify(&pub, CRYPTO_PS256, STR("msg"), str_bytes(sig, sig_n)),
		ERR_SIGNATURE);
	assert_int_equal(crypto_verify(&pub, CRYPTO_RS256, STR("msg"), str_bytes(sig, sig_n - 1)),
		ERR_SIGNATURE);
	assert_int_equal(crypto_verify(&pub, CRYPTO_ES256, STR("msg"), str_bytes(sig, 64)),
		ERR_ALGORITHM);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(pkey);
	OPENSSL_free(der);
}

/* --- names, SPKI, PKCS#8 ------------------------------------------------------------------------ */

static void names_are_case_exact(void **state)
{
	static const str_t no[] = { STR_INIT("none"), STR_INIT("None"), STR_INIT("HS256"),
		STR_INIT("es256"), STR_INIT("ES256 "), STR_INIT(""), STR_INIT("eddsa"), STR_INIT("EDDSA"),
		STR_INIT("ES256K"), STR_INIT("Ed448"), STR_INIT("RS1"), STR_INIT("ES256\0") };
	crypto_alg_t alg;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		assert_int_equal(crypto_alg_from_name(no[i], &alg), ERR_ALGORITHM);
	}
	for (int i = CRYPTO_ED25519; i < CRYPTO_ALG_COUNT_; i++) {
		assert_int_equal(crypto_alg_from_name(crypto_alg_name((crypto_alg_t)i), &alg), OK);
		assert_int_equal(alg, i);
	}
	assert_int_equal(crypto_alg_from_name(STR("Ed25519"), &alg), OK);
	assert_int_equal(alg, CRYPTO_ED25519);
}

static void spki_has_one_spelling(void **state)
{
	static const crypto_kind_t kinds[] = { CRYPTO_KEY_ED25519, CRYPTO_KEY_P256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		crypto_key_t *k = key_of(kinds[i], 1);
		crypto_pub_t pub;
		str_t der;

		assert_int_equal(crypto_pub_to_spki(arena, crypto_key_pub(k), &der), OK);
		assert_int_equal(crypto_pub_from_spki(der, &pub), OK);
		assert_true(crypto_pub_eq(&pub, crypto_key_pub(k)));
		str_t longer = arena_cat(arena, der, STR("\0"));
		assert_int_equal(crypto_pub_from_spki(longer, &pub), ERR_KEY);
		for (size_t n = 0; n < der.n; n++) {
			assert_int_equal(crypto_pub_from_spki(str_sub(der, 0, n), &pub), ERR_KEY);
		}
		crypto_key_free(k);
	}
}

static void spki_compressed_point_refused(void **state)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	unsigned char *der = NULL;
	crypto_pub_t pub;

	(void)state;
	assert_int_equal(EVP_PKEY_set_utf8_string_param(pkey, "point-format", "compressed"), 1);
	int n = i2d_PUBKEY(pkey, &der);
	assert_true(n > 0 && n < 65);
	assert_int_equal(crypto_pub_from_spki(str_bytes(der, (size_t)n), &pub), ERR_KEY);
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	pkey = EVP_EC_gen("secp256k1");
	der = NULL;
	n = i2d_PUBKEY(pkey, &der);
	assert_int_equal(crypto_pub_from_spki(str_bytes(der, (size_t)n), &pub), ERR_KEY);
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
}

static void pkcs8_round_trip(void **state)
{
	static const crypto_kind_t kinds[] = { CRYPTO_KEY_ED25519, CRYPTO_KEY_P256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		crypto_key_t *k = NULL, *again = NULL;
		secret_t der = { 0 };

		assert_int_equal(crypto_key_generate(kinds[i], &k), OK);
		assert_int_equal(crypto_key_to_pkcs8(k, &der), OK);
		assert_int_equal(crypto_key_from_pkcs8(secret_peek(&der), &again), OK);
		assert_true(crypto_pub_eq(crypto_key_pub(k), crypto_key_pub(again)));
		crypto_key_free(again);
		for (size_t n = 0; n < der.n; n++) {
			str_t cut = str_sub(secret_peek(&der), 0, n);
			assert_int_equal(crypto_key_from_pkcs8(cut, &again), ERR_KEY);
		}
		secret_done(&der);
		crypto_key_free(k);
	}
}

/* What a workload is handed: the same bytes as OpenSSL writes. */
static void p256_pkcs8_as_openssl_writes_it(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		crypto_key_t *k = NULL;
		uint8_t der[CRYPTO_P256_PKCS8_BYTES];
		unsigned char *again = NULL;

		assert_int_equal(crypto_key_generate(CRYPTO_KEY_P256, &k), OK);
		crypto_key_p256_pkcs8(k, der);
		const unsigned char *p = der;
		PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, sizeof der);
		assert_non_null(info);
		assert_ptr_equal(p, der + sizeof der);
		EVP_PKEY *pkey = EVP_PKCS82PKEY(info);
		assert_non_null(pkey);
		PKCS8_PRIV_KEY_INFO *theirs = EVP_PKEY2PKCS8(pkey);
		int n = i2d_PKCS8_PRIV_KEY_INFO(theirs, &again);
		assert_int_equal(n, sizeof der);
		assert_memory_equal(again, der, sizeof der);
		OPENSSL_free(again);
		PKCS8_PRIV_KEY_INFO_free(info);
		PKCS8_PRIV_KEY_INFO_free(theirs);
		EVP_PKEY_free(pkey);
		crypto_key_free(k);
	}
}

static void rsa_keys_are_made_kept_and_signed_with(void **state)
{
	static const crypto_alg_t algs[] = { CRYPTO_RS256, CRYPTO_RS384, CRYPTO_RS512, CRYPTO_PS256, CRYPTO_PS384,
		CRYPTO_PS512 };
	crypto_key_t *k = NULL, *again = NULL;
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	secret_t der = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(crypto_key_generate_rsa(1024, &k), ERR_KEY);
	assert_int_equal(crypto_key_generate_rsa(2049, &k), ERR_KEY);
	assert_int_equal(crypto_key_generate_rsa(8192, &k), ERR_KEY);
	assert_int_equal(crypto_key_generate_rsa(2048, &k), OK);
	assert_int_equal(crypto_key_pub(k)->kind, CRYPTO_KEY_RSA);
	assert_int_equal(crypto_key_pub(k)->rsa_e, 65537);
	assert_int_equal(crypto_key_to_pkcs8(k, &der), OK);
	assert_true(str_eq(secret_peek(&der), crypto_key_peek_secret(k)));
	assert_int_equal(crypto_key_from_pkcs8(secret_peek(&der), &again), OK);
	assert_true(crypto_pub_eq(crypto_key_pub(k), crypto_key_pub(again)));
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		assert_int_equal(crypto_key_sign_as(again, algs[i], STR("m"), sig, &n), OK);
		assert_int_equal(n, 256);
		assert_int_equal(crypto_verify(crypto_key_pub(k), algs[i], STR("m"), str_bytes(sig, n)), OK);
		assert_int_equal(crypto_verify(crypto_key_pub(k), algs[i], STR("n"), str_bytes(sig, n)), ERR_SIGNATURE);
		assert_int_equal(crypto_verify(crypto_key_pub(k), algs[(i + 1) % 6], STR("m"), str_bytes(sig, n)),
			ERR_SIGNATURE);
	}
	assert_int_equal(crypto_key_sign(k, STR("m"), sig), ERR_ALGORITHM); /* it has no one algorithm */
	assert_int_equal(crypto_key_sign_as(k, CRYPTO_ES256, STR("m"), sig, &n), ERR_ALGORITHM);
	assert_int_equal(crypto_key_sign_as(k, CRYPTO_ED25519, STR("m"), sig, &n), ERR_ALGORITHM);
	secret_done(&der);
	crypto_key_free(again);
	crypto_key_free(k);
}

/* A key whose halves do not fit is refused. What is accepted signs right: OpenSSL mends a damaged CRT part. */
static void rsa_damaged_keys_sign_nothing_wrong(void **state)
{
	crypto_key_t *k = NULL, *again = NULL;
	secret_t der = { 0 };

	(void)state;
	assert_int_equal(crypto_key_generate_rsa(2048, &k), OK);
	assert_int_equal(crypto_key_to_pkcs8(k, &der), OK);
	for (size_t at = 0; at < der.n; at += 7) {
		uint8_t sig[CRYPTO_SIG_BYTES_MAX];
		size_t n = 0;

		der.p[at] ^= 0x04;
		if (crypto_key_from_pkcs8(secret_peek(&der), &again) == OK) {
			assert_true(at > 300); /* not the modulus */
			assert_true(crypto_pub_eq(crypto_key_pub(k), crypto_key_pub(again)));
			assert_int_equal(crypto_key_sign_as(again, CRYPTO_PS256, STR("m"), sig, &n), OK);
			assert_int_equal(crypto_verify(crypto_key_pub(k), CRYPTO_PS256, STR("m"), str_bytes(sig, n)), OK);
			crypto_key_free(again);
		}
		der.p[at] ^= 0x04;
	}
	assert_int_equal(crypto_key_from_pkcs8(str_sub(secret_peek(&der), 0, der.n - 1), &again), ERR_KEY);
	assert_int_equal(crypto_key_from_pkcs8(secret_peek(&der), &again), OK);
	crypto_key_free(again);
	secret_done(&der);
	crypto_key_free(k);
}

static void p256_signs_as_asked_too(void **state)
{
	crypto_key_t *k = NULL;
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	size_t n = 0;

	(void)state;
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_P256, &k), OK);
	assert_int_equal(crypto_key_sign_as(k, CRYPTO_ES256, STR("m"), sig, &n), OK);
	assert_int_equal(n, 64);
	assert_int_equal(crypto_verify(crypto_key_pub(k), CRYPTO_ES256, STR("m"), str_bytes(sig, n)), OK);
	assert_int_equal(crypto_key_sign_as(k, CRYPTO_ES384, STR("m"), sig, &n), ERR_ALGORITHM);
	assert_int_equal(crypto_key_sign_as(k, CRYPTO_RS256, STR("m"), sig, &n), ERR_ALGORITHM);
	/* a certificate's form is not a token's */
	assert_int_equal(crypto_verify_x509(crypto_key_pub(k), 256, STR("m"), str_bytes(sig, n)), ERR_SIGNATURE);
	crypto_key_free(k);
}

/* OpenSSL writes it, we read it: another hand's PKCS#8. */
static void pkcs8_of_another_hand(void **state)
{
	static const char *const types[] = { "ED25519", "EC", "X25519" };
	static const err_t expected[] = { OK, OK, ERR_KEY };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		EVP_PKEY *pkey = i == 1 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, types[i]);
		unsigned char *der = NULL;
		crypto_key_t *k = NULL;
		int n = i2d_PrivateKey(pkey, &der);

		assert_true(n > 0);
		err_t e = crypto_key_from_pkcs8(str_bytes(der, (size_t)n), &k);
		if (i == 1) { /* i2d_PrivateKey gives SEC 1 here, which is not PKCS#8 */
			assert_int_equal(e, ERR_KEY);
		} else {
			assert_int_equal(e, expected[i]);
		}
		crypto_key_free(k);
		OPENSSL_free(der);
		EVP_PKEY_free(pkey);
	}
}

/* --- sealing ------------------------------------------------------------------------------------ */

static void seal_opens_only_unchanged(void **state)
{
	uint8_t key[32], other[32];
	str_t sealed, twice, plain;
	secret_t opened = { 0 };

	(void)state;
	memset(key, 1, 32);
	memset(other, 2, 32);
	str_t k = str_bytes(key, 32);
	assert_int_equal(crypto_seal(arena, k, STR("place"), STR("secret"), &sealed), OK);
	assert_int_equal(crypto_seal(arena, k, STR("place"), STR("secret"), &twice), OK);
	assert_false(str_eq(sealed, twice)); /* a fresh nonce each time */
	assert_int_equal(sealed.n, 6 + CRYPTO_SEAL_OVERHEAD);

	assert_int_equal(crypto_open(k, STR("place"), sealed, &opened), OK);
	assert_true(str_eq(secret_peek(&opened), STR("secret")));
	secret_done(&opened);
	assert_int_equal(crypto_open_arena(arena, k, STR("place"), sealed, &plain), OK);
	assert_true(str_eq(plain, STR("secret")));

	assert_int_equal(crypto_open(k, STR("elsewhere"), sealed, &opened), ERR_CRYPTO);
	assert_int_equal(crypto_open(str_bytes(other, 32), STR("place"), sealed, &opened), ERR_CRYPTO);
	for (size_t i = 0; i < sealed.n; i++) {
		str_t changed = arena_str(arena, sealed);
		((char *)(uintptr_t)changed.p)[i] ^= 1;
		assert_int_equal(crypto_open(k, STR("place"), changed, &opened), ERR_CRYPTO);
		assert_int_equal(crypto_open(k, STR("place"), str_sub(sealed, 0, i), &opened), ERR_CRYPTO);
	}
	assert_null(opened.p);
}

static void empty_plaintext_seals(void **state)
{
	uint8_t key[32] = { 0 };
	str_t sealed, plain;

	(void)state;
	assert_int_equal(crypto_seal(arena, str_bytes(key, 32), STR_NULL, STR_NULL, &sealed), OK);
	assert_int_equal(crypto_open_arena(arena, str_bytes(key, 32), STR_NULL, sealed, &plain), OK);
	assert_int_equal(plain.n, 0);
}

static void passphrase_seal(void **state)
{
	secret_t opened = { 0 };
	str_t sealed;

	(void)state;
	assert_int_equal(crypto_pw_seal(arena, STR("correct horse"), STR("seed"), &sealed), OK);
	assert_int_equal(crypto_pw_open(STR("correct horse"), sealed, &opened), OK);
	assert_true(str_eq(secret_peek(&opened), STR("seed")));
	secret_done(&opened);
	assert_int_equal(crypto_pw_open(STR("correct horsf"), sealed, &opened), ERR_CRYPTO);
	assert_int_equal(crypto_pw_open(STR(""), sealed, &opened), ERR_VALUE);
	assert_int_equal(crypto_pw_seal(arena, STR(""), STR("seed"), &sealed), ERR_VALUE);
	assert_null(opened.p);
}

/* The cost in the header is bound as aad, and bounded before it is paid. */
static void passphrase_seal_header(void **state)
{
	secret_t opened = { 0 };
	str_t sealed;

	(void)state;
	assert_int_equal(crypto_pw_seal(arena, STR("pw"), STR("seed"), &sealed), OK);
	char *p = (char *)(uintptr_t)sealed.p;
	p[11] = 1; /* ops + 2^24 */
	assert_int_equal(crypto_pw_open(STR("pw"), sealed, &opened), ERR_LIMIT);
	p[11] = 0;
	p[15] = 0x7f; /* 2 TiB */
	assert_int_equal(crypto_pw_open(STR("pw"), sealed, &opened), ERR_LIMIT);
	p[15] = 0;
	p[14] = 1; /* cheaper: another key, and another aad */
	assert_int_equal(crypto_pw_open(STR("pw"), sealed, &opened), ERR_CRYPTO);
	p[14] = CRYPTO_PW_OPS;
	p[0] = 'A';
	assert_int_equal(crypto_pw_open(STR("pw"), sealed, &opened), ERR_CRYPTO);
	p[0] = 'a';
	for (size_t n = 0; n < 35; n++) {
		assert_int_equal(crypto_pw_open(STR("pw"), str_sub(sealed, 0, n), &opened), ERR_CRYPTO);
	}
	assert_int_equal(crypto_pw_open(STR("pw"), sealed, &opened), OK);
	secret_done(&opened);
}

/* --- threads ------------------------------------------------------------------------------------ */

typedef struct {
	const crypto_key_t *key;
	const crypto_verifier_t *verifier;
	int failures;
} shared_t;

static void *sign_and_verify(void *p)
{
	shared_t *s = p;
	uint8_t sig[64];

	for (int i = 0; i < 200; i++) {
		str_t msg = str_bytes(&i, sizeof i);
		bool good = crypto_key_sign(s->key, msg, sig) == OK &&
			crypto_verifier_check(s->verifier, crypto_key_alg(s->key), msg,
				str_bytes(sig, 64)) == OK;
		s->failures += !good;
	}
	return NULL;
}

static void one_key_in_many_threads(void **state)
{
	static const crypto_kind_t kinds[] = { CRYPTO_KEY_ED25519, CRYPTO_KEY_P256 };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		crypto_key_t *key = key_of(kinds[k], 2);
		crypto_verifier_t *v = NULL;
		pthread_t threads[4];
		shared_t shared[4];

		assert_int_equal(crypto_verifier_new(crypto_key_pub(key), &v), OK);
		for (int i = 0; i < 4; i++) {
			shared[i] = (shared_t){ key, v, 0 };
			assert_int_equal(pthread_create(&threads[i], NULL, sign_and_verify, &shared[i]), 0);
		}
		for (int i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(shared[i].failures, 0);
		}
		crypto_verifier_free(v);
		crypto_key_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_known_answers),
		cmocka_unit_test(sha256_two_implementations_agree),
		cmocka_unit_test(label_is_separated_by_one_zero),
		cmocka_unit_test(hmac_rfc4231),
		cmocka_unit_test(ed25519_rfc8032),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(ed25519_small_order_refused),
		cmocka_unit_test(p76_der_and_wrong_widths_are_refused),
		cmocka_unit_test(p76_leading_zeros_are_part_of_it),
		cmocka_unit_test(p76_points_off_the_curve_are_refused),
		cmocka_unit_test(p256_scalars_out_of_range_are_refused),
		cmocka_unit_test(p77_rsa_shapes),
		cmocka_unit_test(rsa_signatures_of_another_hand),
		cmocka_unit_test(names_are_case_exact),
		cmocka_unit_test(spki_has_one_spelling),
		cmocka_unit_test(spki_compressed_point_refused),
		cmocka_unit_test(pkcs8_round_trip),
		cmocka_unit_test(p256_pkcs8_as_openssl_writes_it),
		cmocka_unit_test(rsa_keys_are_made_kept_and_signed_with),
		cmocka_unit_test(rsa_damaged_keys_sign_nothing_wrong),
		cmocka_unit_test(p256_signs_as_asked_too),
		cmocka_unit_test(pkcs8_of_another_hand),
		cmocka_unit_test(seal_opens_only_unchanged),
		cmocka_unit_test(empty_plaintext_seals),
		cmocka_unit_test(passphrase_seal),
		cmocka_unit_test(passphrase_seal_header),
		cmocka_unit_test(one_key_in_many_threads),
	};
	return cmocka_run_group_tests_name("crypto", tests, setup, teardown);
}
