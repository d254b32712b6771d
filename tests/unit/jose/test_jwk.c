/* JWK, thumbprints, sets and key files: what is read, what is refused. */
#include "kit.h"

#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define OKP(rest) "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"" rest "}"
#define EC(rest) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"" rest "}"

typedef struct {
	str_t jwk;
	err_t expected;
} jwk_case_t;

static void jwk_table(void **state)
{
	static const jwk_case_t cases[] = {
		{ STR_INIT(OKP("")), OK },
		{ STR_INIT(OKP(",\"kid\":\"k\",\"use\":\"sig\",\"alg\":\"EdDSA\"")), OK },
		{ STR_INIT(OKP(",\"alg\":\"Ed25519\",\"ext\":true,\"key_ops\":[\"verify\"]")), OK },
		{ STR_INIT(OKP(",\"unknown\":{\"a\":[1]}")), OK }, /* RFC 7517 4 */
		{ STR_INIT(EC("")), OK },
		{ STR_INIT(EC(",\"alg\":\"ES256\"")), OK },
		/* private members (oauth P26) */
		{ STR_INIT(OKP(",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"")), ERR_KEY },
		{ STR_INIT(OKP(",\"d\":\"\"")), ERR_KEY },
		{ STR_INIT(OKP(",\"d\":null")), ERR_KEY },
		{ STR_INIT(EC(",\"k\":\"AAAA\"")), ERR_KEY },
		{ STR_INIT(EC(",\"p\":\"AAAA\"")), ERR_KEY },
		{ STR_INIT(EC(",\"oth\":[]")), ERR_KEY },
		{ STR_INIT("{\"kty\":\"oct\",\"k\":\"AAAA\"}"), ERR_KEY },
		/* alg that does not fit, key that may not verify */
		{ STR_INIT(OKP(",\"alg\":\"ES256\"")), ERR_KEY },
		{ STR_INIT(OKP(",\"alg\":\"none\"")), ERR_KEY },
		{ STR_INIT(EC(",\"alg\":\"ES384\"")), ERR_KEY },
		{ STR_INIT(OKP(",\"key_ops\":[\"sign\"]")), ERR_KEY },
		{ STR_INIT(OKP(",\"key_ops\":[]")), ERR_KEY },
		{ STR_INIT(OKP(",\"key_ops\":\"verify\"")), ERR_VALUE },
		{ STR_INIT(OKP(",\"kid\":7")), ERR_VALUE },
		/* duplicates (P65) */
		{ STR_INIT(OKP(",\"x\":\"" ED_X "\"")), ERR_DUPLICATE },
		{ STR_INIT(OKP(",\"a\":{\"b\":1,\"b\":1}")), ERR_DUPLICATE },
		{ STR_INIT(OKP(",\"\\u0078\":\"" ED_X "\"")), ERR_DUPLICATE },
		/* shapes */
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}"), ERR_MISSING_MEMBER },
		{ STR_INIT("{\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"}"), ERR_MISSING_MEMBER },
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X "\"}"), ERR_KEY },
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"ed25519\",\"x\":\"" ED_X "\"}"), ERR_KEY },
		{ STR_INIT("{\"kty\":\"okp\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"}"), ERR_KEY },
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "=\"}"), ERR_KEY }, /* P68 */
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMl"
			   "rwIaaPcHURo\"}"), ERR_KEY },
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMl"
			   "rwIaaPcHURp\"}"), ERR_KEY }, /* trailing bits */
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg\"}"), ERR_KEY },
		{ STR_INIT("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}"), ERR_MISSING_MEMBER },
		{ STR_INIT("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_Y "\",\"y\":\"" EC_X "\"}"),
			ERR_KEY }, /* off the curve */
		{ STR_INIT("{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}"),
			ERR_KEY },
		{ STR_INIT("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"), ERR_KEY },
		{ STR_INIT("{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}"), ERR_VALUE },
		{ STR_INIT("[]"), ERR_VALUE },
		{ STR_INIT("{}"), ERR_MISSING_MEMBER },
		{ STR_INIT(""), ERR_SYNTAX },
		{ STR_INIT(OKP("") " x"), ERR_SYNTAX },
		{ STR_INIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\\u0000\"}"), ERR_VALUE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		jose_jwk_t key;
		err_t e = jose_jwk_parse(arena, cases[i].jwk, &key, NULL);
		if (e != cases[i].expected) {
			fail_msg("%.*s: %s", STR_ARG(cases[i].jwk), err_info(e)->name);
		}
	}
}

static void jwk_too_large(void **state)
{
	char big[JOSE_JWK_BYTES_MAX + 1];
	jose_jwk_t key;

	(void)state;
	memset(big, ' ', sizeof big);
	memcpy(big, OKP(""), sizeof OKP("") - 1);
	assert_int_equal(jose_jwk_parse(arena, str_bytes(big, sizeof big - 1), &key, NULL), OK);
	assert_int_equal(jose_jwk_parse(arena, str_bytes(big, sizeof big), &key, NULL), ERR_LIMIT);
}

static void written_is_read_again(void **state)
{
	const crypto_key_t *keys[] = { ed, p256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		jose_jwk_t key;
		str_t json;
		const crypto_pub_t *pub = crypto_key_pub(keys[i]);

		assert_int_equal(jose_jwk_write(arena, pub, STR("k\"1"), STR("sig"), &json), OK);
		assert_int_equal(jose_jwk_parse(arena, json, &key, NULL), OK);
		assert_true(crypto_pub_eq(&key.pub, pub));
		assert_true(str_eq(key.kid, STR("k\"1")));
		assert_true(str_eq(key.use, STR("sig")));
		assert_int_equal(key.alg, crypto_key_alg(keys[i]));
		assert_true(jose_jkt_is(jose_jkt(arena, pub)));
	}
}

/* P78: EC too; RSA and OKP are in tests/vectors. The value is RFC 9449's. */
static void p78_ec_thumbprint(void **state)
{
	jose_jwk_t key;

	(void)state;
	assert_int_equal(jose_jwk_parse(arena,
				 STR("{\"kty\":\"EC\",\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","
				     "\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\",\"crv\":\"P-256\"}"),
				 &key, NULL), OK);
	assert_true(str_eq(jose_jkt(arena, &key.pub), STR("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")));
}

static void jkt_shape(void **state)
{
	(void)state;
	assert_true(jose_jkt_is(STR("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")));
	assert_false(jose_jkt_is(STR("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J"))); /* trailing bits */
	assert_false(jose_jkt_is(STR("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4")));
	assert_false(jose_jkt_is(STR("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I=")));
	assert_false(jose_jkt_is(STR_NULL));
}

static void sets(void **state)
{
	jose_jwk_t keys[2] = { { .pub = *crypto_key_pub(ed), .kid = STR("a") },
		{ .pub = *crypto_key_pub(p256), .kid = STR("b"), .use = STR("sig") } };
	jose_jwks_t set = { keys, 2 }, back;
	str_t json;

	(void)state;
	assert_int_equal(jose_jwks_write(arena, &set, &json), OK);
	assert_int_equal(jose_jwks_parse(arena, json, &back, NULL), OK);
	assert_int_equal(back.n, 2);
	assert_true(crypto_pub_eq(&jose_jwks_find(&back, STR("b"))->pub, crypto_key_pub(p256)));
	assert_null(jose_jwks_find(&back, STR("B")));
	assert_null(jose_jwks_find(&back, STR("")));

	/* P18: an unknown key skips itself alone */
	assert_int_equal(jose_jwks_parse(arena,
				 STR("{\"keys\":[{\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\",\"pub\":\"AA\"},"
				     "{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"AA\"},{\"kty\":3}," OKP("") "]}"),
				 &back, NULL), OK);
	assert_int_equal(back.n, 1);
	assert_int_equal(jose_jwks_parse(arena, STR("{\"keys\":[]}"), &back, NULL), OK);
	assert_int_equal(back.n, 0);
	/* a private or symmetric key spoils all of it */
	assert_int_equal(jose_jwks_parse(arena,
				 STR("{\"keys\":[" OKP("") ",{\"kty\":\"oct\",\"k\":\"AA\"}]}"), &back, NULL),
		ERR_KEY);
	assert_int_equal(jose_jwks_parse(arena, STR("{\"keys\":[1]}"), &back, NULL), ERR_VALUE);
	assert_int_equal(jose_jwks_parse(arena, STR("{\"keys\":{}}"), &back, NULL), ERR_VALUE);
	assert_int_equal(jose_jwks_parse(arena, STR("{}"), &back, NULL), ERR_MISSING_MEMBER);
	assert_int_equal(jose_jwks_parse(arena, STR("{\"keys\":[],\"keys\":[]}"), &back, NULL),
		ERR_DUPLICATE);
}

static void too_many_keys(void **state)
{
	AUTO(buf_done) buf_t b;
	jose_jwks_t set;

	(void)state;
	buf_init(&b, 64 * 1024);
	buf_add(&b, STR("{\"keys\":["));
	for (int i = 0; i <= JOSE_JWKS_KEYS_MAX; i++) {
		buf_add(&b, i ? STR("," OKP("")) : STR(OKP("")));
	}
	buf_add(&b, STR("]}"));
	assert_int_equal(buf_err(&b), OK);
	assert_int_equal(jose_jwks_parse(arena, buf_str(&b), &set, NULL), ERR_LIMIT);
}

/* --- key files ---------------------------------------------------------------------------------- */

static void key_file_round_trip(void **state)
{
	const crypto_key_t *keys[] = { ed, p256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		AUTO(crypto_key_free) crypto_key_t *jwk_key = NULL, *pem_key = NULL;
		AUTO(buf_wipe) buf_t pem;
		secret_t json = { 0 }, der = { 0 };
		crypto_pub_t pub;

		assert_int_equal(jose_key_write(keys[i], &json), OK);
		assert_int_equal(jose_key_read(secret_peek(&json), &jwk_key, NULL), OK);
		assert_true(crypto_pub_eq(crypto_key_pub(jwk_key), crypto_key_pub(keys[i])));
		/* where the public half belongs, the private one is refused */
		assert_int_equal(jose_pub_read(arena, secret_peek(&json), &pub, NULL), ERR_KEY);

		assert_int_equal(crypto_key_to_pkcs8(keys[i], &der), OK);
		buf_init(&pem, 4096);
		pem_add(&pem, STR("PRIVATE KEY"), secret_peek(&der));
		assert_int_equal(jose_key_read(buf_str(&pem), &pem_key, NULL), OK);
		assert_true(crypto_pub_eq(crypto_key_pub(pem_key), crypto_key_pub(keys[i])));
		assert_int_not_equal(jose_pub_read(arena, buf_str(&pem), &pub, NULL), OK);
		secret_done(&json);
		secret_done(&der);
		crypto_key_free(TAKE(pem_key));
	}
}

static void key_file_halves_must_match(void **state)
{
	crypto_key_t *k = NULL;

	(void)state;
	assert_int_equal(jose_key_read(STR("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X
					   "\",\"d\":\"AAGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}"),
				 &k, NULL), ERR_KEY);
	assert_int_equal(jose_key_read(STR(OKP("")), &k, NULL), ERR_MISSING_MEMBER);
	assert_int_equal(jose_key_read(STR(OKP(",\"d\":\"AA\"")), &k, NULL), ERR_KEY);
	assert_int_equal(jose_key_read(STR(OKP(",\"d\":1")), &k, NULL), ERR_VALUE);
	assert_int_not_equal(jose_key_read(STR("garbage"), &k, NULL), OK);
	assert_int_not_equal(jose_key_read(STR(""), &k, NULL), OK);
	assert_null(k);
}

static void pub_file(void **state)
{
	AUTO(buf_done) buf_t pem;
	crypto_pub_t pub;
	str_t der;

	(void)state;
	assert_int_equal(jose_pub_read(arena, STR(" \n" OKP("") "\n"), &pub, NULL), OK);
	assert_int_equal(crypto_pub_to_spki(arena, crypto_key_pub(ed), &der), OK);
	buf_init(&pem, 4096);
	pem_add(&pem, STR("PUBLIC KEY"), der);
	assert_int_equal(jose_pub_read(arena, buf_str(&pem), &pub, NULL), OK);
	assert_true(crypto_pub_eq(&pub, crypto_key_pub(ed)));
}

/* RSA is for CAs, whose keys lie in no file a person names. */
static void key_file_of_rsa_is_refused(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *rsa = NULL;
	AUTO(secret_done) secret_t der = { 0 };
	AUTO(buf_wipe) buf_t pem;
	crypto_key_t *key = NULL;

	(void)state;
	buf_init(&pem, 8192);
	assert_int_equal(crypto_key_generate_rsa(2048, &rsa), OK);
	assert_int_equal(crypto_key_to_pkcs8(rsa, &der), OK);
	pem_add(&pem, STR("PRIVATE KEY"), secret_peek(&der));
	assert_int_equal(jose_key_read(buf_str(&pem), &key, NULL), ERR_KEY);
	assert_null(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jwk_table),
		cmocka_unit_test(jwk_too_large),
		cmocka_unit_test(written_is_read_again),
		cmocka_unit_test(p78_ec_thumbprint),
		cmocka_unit_test(jkt_shape),
		cmocka_unit_test(sets),
		cmocka_unit_test(too_many_keys),
		cmocka_unit_test(key_file_round_trip),
		cmocka_unit_test(key_file_halves_must_match),
		cmocka_unit_test(key_file_of_rsa_is_refused),
		cmocka_unit_test(pub_file),
	};
	return cmocka_run_group_tests_name("jose_jwk", tests, kit_setup, kit_teardown);
}
