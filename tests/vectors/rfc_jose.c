/* Examples printed in the RFCs: 7515 A.1-A.5, 8037 A.1-A.4, 7638 3.1, 9449 4.1, 6.1, 7.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pure/jose/jose.h"

static arena_t *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_open();
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static crypto_pub_t pub_of(str_t jwk)
{
	jose_jwk_t key;
	diag_t diag = { 0 };

	if (jose_jwk_parse(arena, jwk, &key, &diag) != OK) {
		fail_msg("%s", diag.text);
	}
	return key.pub;
}

static err_t verify(str_t text, str_t jwk, jose_jws_t *out)
{
	crypto_pub_t pub = pub_of(jwk);

	TRY(jose_jws_split(arena, text, out, NULL));
	return jose_jws_check(out, &pub);
}

#define A_PAYLOAD                                                                                  \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"

static void rfc7515_a1_hs256_is_refused(void **state)
{
	jose_jws_t jws;

	(void)state;
	assert_int_equal(jose_jws_split(arena,
				 STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." A_PAYLOAD
				     ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
				 &jws, NULL), ERR_ALGORITHM);
}

static void rfc7515_a2_rs256(void **state)
{
	static const str_t jwk = STR_INIT("{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd"
		"_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W"
		"_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
		"UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8N"
		"Aco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}");
	jose_jws_t jws;

	(void)state;
	assert_int_equal(verify(STR("eyJhbGciOiJSUzI1NiJ9." A_PAYLOAD
				    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZ"
				    "mh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbK"
				    "BYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1"
				    "L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6B"
				    "fI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhW"
				    "kWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"),
				 jwk, &jws), OK);
	assert_int_equal(jws.alg, CRYPTO_RS256);
}

static void rfc7515_a3_es256(void **state)
{
	jose_jws_t jws;

	(void)state;
	assert_int_equal(verify(STR("eyJhbGciOiJFUzI1NiJ9." A_PAYLOAD
				    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I"
				    "SlSApmWQxfKTUJqPP3-Kg6NU1Q"),
				 STR("{\"kty\":\"EC\",\"crv\":\"P-256\","
				     "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
				     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"),
				 &jws), OK);
	assert_int_equal(jws.alg, CRYPTO_ES256);
	assert_true(str_starts(jws.payload, STR("{\"iss\":\"joe\",\r\n")));
}

static void rfc7515_a4_es512(void **state)
{
	jose_jws_t jws;

	(void)state;
	assert_int_equal(verify(STR("eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA."
				    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-"
				    "mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpR"
				    "wcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"),
				 STR("{\"kty\":\"EC\",\"crv\":\"P-521\","
				     "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnY"
				     "G_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
				     "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhj"
				     "Dly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}"),
				 &jws), OK);
	assert_true(str_eq(jws.payload, STR("Payload")));
}

static void rfc7515_a5_none_is_refused(void **state)
{
	jose_jws_t jws;

	(void)state;
	assert_int_equal(jose_jws_split(arena, STR("eyJhbGciOiJub25lIn0." A_PAYLOAD "."), &jws, NULL),
		ERR_ALGORITHM);
}

static void rfc8037_a1_to_a4_ed25519(void **state)
{
	static const str_t jwk = STR_INIT(
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
		"\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
		"\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
	static const str_t jws_text = STR_INIT(
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
		"09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	jose_sign_t plain = { 0 };
	jose_jws_t jws;
	str_t text;

	(void)state;
	assert_int_equal(jose_key_read(jwk, &key, NULL), OK); /* A.1; its x is A.2 */
	assert_true(str_eq(jose_jkt(arena, crypto_key_pub(key)),
		STR("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"))); /* A.3 */
	assert_int_equal(jose_jws_sign(arena, key, &plain, STR("Example of Ed25519 signing"), &text), OK);
	assert_true(str_eq(text, jws_text)); /* A.4, byte for byte */
	assert_int_equal(jose_jws_split(arena, jws_text, &jws, NULL), OK); /* A.5 */
	assert_int_equal(jose_jws_check(&jws, crypto_key_pub(key)), OK);
}

static void rfc7638_3_1_rsa_thumbprint(void **state)
{
	crypto_pub_t pub = pub_of(STR("{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2a"
		"iAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2"
		"W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9"
		"c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksI"
		"NHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\","
		"\"kid\":\"2011-04-29\"}"));

	(void)state;
	assert_true(str_eq(jose_jkt(arena, &pub), STR("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")));
}

#define DPOP_HEAD                                                                                  \
	"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0" \
	"VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10" \
	"NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
static const str_t dpop_token_proof = STR_INIT(DPOP_HEAD
	"eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUu"
	"Y29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdL"
	"XiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg");
static const str_t dpop_resource_proof = STR_INIT(DPOP_HEAD
	"eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxl"
	"Lm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0Ji"
	"MHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyV"
	"nmcw6Fy1dqd-jfxSYoMxhAJpLjA");

static void rfc9449_4_1_token_request(void **state)
{
	jose_dpop_expect_t x = { .method = STR("POST"), .htu = STR("https://server.example.com/token"),
		.now_unix_s = 1562262616, .window_s = 60, .algs = CRYPTO_ALGS_OURS };
	jose_dpop_t dpop;

	(void)state;
	assert_int_equal(jose_dpop_verify(arena, dpop_token_proof, &x, &dpop, NULL), OK);
	assert_true(str_eq(dpop.jkt, STR("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"))); /* 6.1 */
	assert_true(str_eq(dpop.jti, STR("-BwC3ESc6acc2lTc")));
	assert_int_equal(dpop.iat_unix_s, 1562262616);
	x.htu = STR("https://server.example.com/other");
	assert_int_equal(jose_dpop_verify(arena, dpop_token_proof, &x, &dpop, NULL), ERR_PROOF);
}

static void rfc9449_7_1_resource_request(void **state)
{
	jose_dpop_expect_t x = { .method = STR("GET"),
		.htu = STR("https://resource.example.org/protectedresource"),
		.access_token = STR("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
		.now_unix_s = 1562262620, .window_s = 60, .algs = CRYPTO_ALGS_OURS };
	jose_dpop_t dpop;

	(void)state;
	assert_int_equal(jose_dpop_verify(arena, dpop_resource_proof, &x, &dpop, NULL), OK);
	x.access_token = STR("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxV");
	assert_int_equal(jose_dpop_verify(arena, dpop_resource_proof, &x, &dpop, NULL), ERR_PROOF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc7515_a1_hs256_is_refused),
		cmocka_unit_test(rfc7515_a2_rs256),
		cmocka_unit_test(rfc7515_a3_es256),
		cmocka_unit_test(rfc7515_a4_es512),
		cmocka_unit_test(rfc7515_a5_none_is_refused),
		cmocka_unit_test(rfc8037_a1_to_a4_ed25519),
		cmocka_unit_test(rfc7638_3_1_rsa_thumbprint),
		cmocka_unit_test(rfc9449_4_1_token_request),
		cmocka_unit_test(rfc9449_7_1_resource_request),
	};
	return cmocka_run_group_tests_name("vectors_jose", tests, setup, teardown);
}
