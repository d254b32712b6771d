/* JWS and JWT: the compact form, the header, and claims behind a good signature. */
#include "kit.h"

#define ISS "https://as.example"
#define AUD "https://gw.example/r/tickets"
#define HEAD "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"kid\":\"k1\"}"
#define BODY                                                                                       \
	"{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":\"u:1\",\"jti\":\"0123456789\","            \
	"\"iat\":1794999990,\"exp\":1795000060}"

static jose_expect_t expect(void)
{
	return (jose_expect_t){ .typ = STR("at+jwt"), .issuer = STR(ISS), .audience = STR(AUD),
		.algs = CRYPTO_ALGS_OURS, .now_unix_s = NOW, .leeway_s = 0, .key = crypto_key_pub(ed) };
}

static err_t verify(str_t text, const jose_expect_t *x)
{
	jose_jwt_t jwt;

	return jose_jwt_verify(arena, text, x, &jwt, NULL);
}

static err_t verify_parts(const char *head, const char *body)
{
	jose_expect_t x = expect();

	return verify(kit_jws(ed, str_of(head), str_of(body)), &x);
}

static void good_token(void **state)
{
	jose_expect_t x = expect();
	jose_jwt_t jwt;

	(void)state;
	str_t text = kit_jws(ed, STR(HEAD), STR(BODY));
	assert_int_equal(jose_jwt_verify(arena, text, &x, &jwt, NULL), OK);
	assert_true(str_eq(jwt.iss, STR(ISS)));
	assert_true(str_eq(jwt.aud, STR(AUD)));
	assert_true(str_eq(jwt.sub, STR("u:1")));
	assert_true(str_eq(jwt.jti, STR("0123456789")));
	assert_true(str_eq(jwt.kid, STR("k1")));
	assert_int_equal(jwt.exp_unix_s, 1795000060);
	assert_int_equal(jwt.iat_unix_s, 1794999990);
	assert_ptr_equal(jwt.key, x.key);
	assert_true(json_is_str(json_get(jwt.claims, STR("sub")), STR("u:1")));
	assert_true(str_eq(jwt.payload, STR(BODY)));
}

static void signed_by_us_is_read_by_us(void **state)
{
	const crypto_key_t *keys[] = { ed, p256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		jose_sign_t h = { .typ = STR("at+jwt"), .kid = STR("k1") };
		jose_expect_t x = expect();
		str_t text;

		x.key = crypto_key_pub(keys[i]);
		assert_int_equal(jose_jws_sign(arena, keys[i], &h, STR(BODY), &text), OK);
		assert_int_equal(verify(text, &x), OK);
		x.algs &= ~CRYPTO_ALG_BIT(crypto_key_alg(keys[i]));
		assert_int_equal(verify(text, &x), ERR_ALGORITHM);
		x = expect();
		x.key = crypto_key_pub(ed2);
		assert_int_equal(verify(text, &x), i == 0 ? ERR_SIGNATURE : ERR_ALGORITHM);
	}
}

/* Two halves, for keys that another process holds, make the very token one step makes. */
static void input_and_seal_are_one_signature(void **state)
{
	const jose_sign_t h = { .typ = STR("at+jwt"), .kid = STR("k1") };
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	str_t whole, input, sealed;
	size_t n = 0;

	(void)state;
	assert_int_equal(jose_jws_sign(arena, ed, &h, STR(BODY), &whole), OK);
	assert_int_equal(jose_jws_input(arena, CRYPTO_ED25519, &h, STR(BODY), &input), OK);
	assert_true(str_starts(whole, input));
	assert_int_equal(crypto_key_sign_as(ed, CRYPTO_ED25519, input, sig, &n), OK);
	assert_int_equal(jose_jws_seal(arena, input, str_bytes(sig, n), &sealed), OK);
	assert_true(str_eq(whole, sealed));
	assert_int_equal(jose_jws_seal(arena, input, STR_NULL, &sealed), ERR_SIGNATURE);
}

/* RSA and the larger curves verify for those who ask for them; a token of ours never asks. */
static void the_list_of_algorithms_is_the_callers(void **state)
{
	static const crypto_alg_t algs[] = { CRYPTO_RS256, CRYPTO_RS512, CRYPTO_PS256, CRYPTO_PS384 };
	AUTO(crypto_key_free) crypto_key_t *rsa = NULL;

	(void)state;
	assert_int_equal(crypto_key_generate_rsa(2048, &rsa), OK);
	jose_jwk_t jwk = { .pub = *crypto_key_pub(rsa), .kid = STR("k1") };
	const jose_jwks_t set = { &jwk, 1 };
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		const jose_sign_t h = { .typ = STR("at+jwt"), .kid = STR("k1") };
		uint8_t sig[CRYPTO_SIG_BYTES_MAX];
		jose_expect_t x = expect();
		str_t input, text;
		size_t n = 0;

		x.key = NULL, x.jwks = &set;
		assert_int_equal(jose_jws_input(arena, algs[i], &h, STR(BODY), &input), OK);
		assert_int_equal(crypto_key_sign_as(rsa, algs[i], input, sig, &n), OK);
		assert_int_equal(jose_jws_seal(arena, input, str_bytes(sig, n), &text), OK);
		assert_int_equal(verify(text, &x), ERR_ALGORITHM);
		x.algs = CRYPTO_ALG_BIT(algs[i]);
		assert_int_equal(verify(text, &x), OK);
		jwk.alg = algs[(i + 1) % ARRAY_LEN(algs)]; /* a key for one algorithm serves no other */
		assert_int_equal(verify(text, &x), ERR_SIGNATURE);
		jwk.alg = CRYPTO_ALG_NONE;
	}
}

typedef struct {
	const char *header;
	err_t expected;
} header_case_t;

static void header_table(void **state)
{
	static const header_case_t cases[] = {
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\"}", OK },
		{ "{\"typ\":\"application/at+jwt\",\"alg\":\"EdDSA\"}", OK },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"Ed25519\"}", OK }, /* RFC 9864 */
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"unknown\":1}", OK }, /* RFC 7515 4 */
		/* P19: other kinds of token */
		{ "{\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"JWT\",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"JOSE\",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"AT+JWT\",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"at+jwt \",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"client-authentication+jwt\",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"warrant+jwt\",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":\"application/application/at+jwt\",\"alg\":\"EdDSA\"}", ERR_TYPE },
		{ "{\"typ\":7,\"alg\":\"EdDSA\"}", ERR_VALUE },
		{ "{\"typ\":null,\"alg\":\"EdDSA\"}", ERR_VALUE },
		/* algorithms: case-exact, asymmetric (P26, P68) */
		{ "{\"typ\":\"at+jwt\",\"alg\":\"none\"}", ERR_ALGORITHM },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"HS256\"}", ERR_ALGORITHM },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"eddsa\"}", ERR_ALGORITHM },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"\"}", ERR_VALUE },
		{ "{\"typ\":\"at+jwt\",\"alg\":[\"EdDSA\"]}", ERR_VALUE },
		{ "{\"typ\":\"at+jwt\"}", ERR_MISSING_MEMBER },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"ES256\"}", ERR_ALGORITHM }, /* not this key's */
		{ "{\"typ\":\"at+jwt\",\"alg\":\"RS256\"}", ERR_ALGORITHM }, /* not in the caller's list */
		/* what changes the meaning */
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}", ERR_CRIT },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"crit\":[]}", ERR_CRIT },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"crit\":null}", ERR_CRIT },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"b64\":false}", ERR_CRIT },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"b64\":true}", ERR_CRIT },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"zip\":\"DEF\"}", ERR_CRIT },
		/* keys from outside (P15) */
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"jku\":\"https://e.example\"}", ERR_KEY },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"x5u\":\"https://e.example\"}", ERR_KEY },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
		  "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}}", ERR_KEY },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"jwk\":1}", ERR_VALUE },
		/* syntax */
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"alg\":\"EdDSA\"}", ERR_DUPLICATE },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"a\\u006cg\":\"none\"}", ERR_DUPLICATE },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"x\":{\"y\":1,\"y\":2}}", ERR_DUPLICATE },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\\u0000\"}", ERR_VALUE },
		{ "[\"at+jwt\",\"EdDSA\"]", ERR_VALUE },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\"}x", ERR_SYNTAX },
		{ "", ERR_SYNTAX },
		{ "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"x\":\"\xff\"}", ERR_UTF8 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		err_t e = verify_parts(cases[i].header, BODY);
		if (e != cases[i].expected) {
			fail_msg("%s: %s", cases[i].header, err_info(e)->name);
		}
	}
}

static void typ_optional(void **state)
{
	jose_expect_t x = expect();

	(void)state;
	x.typ_optional = true;
	assert_int_equal(verify(kit_jws(ed, STR("{\"alg\":\"EdDSA\"}"), STR(BODY)), &x), OK);
	assert_int_equal(verify(kit_jws(ed, STR("{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"), STR(BODY)), &x), OK);
	assert_int_equal(verify(kit_jws(ed, STR("{\"alg\":\"EdDSA\",\"typ\":\"dpop+jwt\"}"), STR(BODY)), &x),
		ERR_TYPE);
}

typedef struct {
	const char *from, *to; /* one change to BODY */
	err_t expected;
} claim_case_t;

static void claim_table(void **state)
{
	static const claim_case_t cases[] = {
		{ "\"" ISS "\"", "\"" ISS "/\"", ERR_ISSUER },
		{ "\"" ISS "\"", "\"https://AS.example\"", ERR_ISSUER },
		{ "\"" ISS "\"", "[\"" ISS "\"]", ERR_VALUE },
		{ "\"iss\"", "\"Iss\"", ERR_ISSUER },
		/* P12: one string, no array, no near match */
		{ "\"" AUD "\"", "[\"" AUD "\"]", ERR_AUDIENCE },
		{ "\"" AUD "\"", "[\"" AUD "\",\"https://evil.example\"]", ERR_AUDIENCE },
		{ "\"" AUD "\"", "\"" AUD "/\"", ERR_AUDIENCE },
		{ "\"" AUD "\"", "\"https://gw.example/r/Tickets\"", ERR_AUDIENCE },
		{ "\"" AUD "\"", "null", ERR_AUDIENCE },
		{ "\"aud\"", "\"aud2\"", ERR_AUDIENCE },
		{ "\"u:1\"", "7", ERR_VALUE },
		{ "\"u:1\"", "\"u:1\\u0000\"", ERR_VALUE }, /* P66 */
		{ "\"u:1\"", "\"\\ud800\"", ERR_UTF8 },
		{ "\"sub\":\"u:1\"", "\"sub\":\"u:1\",\"sub\":\"u:2\"", ERR_DUPLICATE }, /* P65 */
		{ "\"sub\":\"u:1\"", "\"sub\":\"u:1\",\"a\":{\"b\":[{\"c\":1,\"c\":1}]}", ERR_DUPLICATE },
		/* times, at NOW = 1795000000 without leeway */
		{ "1795000060", "1795000001", OK },
		{ "1795000060", "1795000000", ERR_EXPIRED },
		{ "1795000060", "1795000000.9", ERR_EXPIRED }, /* P67: read right, and not rounded up */
		{ "1795000060", "1795000001.5", OK },
		{ "1795000060", "1.795000060e9", OK },
		{ "1795000060", "0", ERR_EXPIRED },
		{ "1795000060", "-1", ERR_NUMBER },
		{ "1795000060", "\"1795000060\"", ERR_VALUE },
		{ "1795000060", "9007199254740993", ERR_NUMBER },
		{ "1795000060", "1e400", ERR_NUMBER },
		{ "1795000060", "99999999999999999999999999", ERR_NUMBER },
		{ "1795000060", "4102444800", OK }, /* P79: 2100 */
		{ "\"exp\"", "\"exq\"", ERR_MISSING_MEMBER },
		{ "1794999990", "1795000000", OK },
		{ "1794999990", "1795000001", ERR_NOT_YET },
		{ "\"iat\":", "\"nbf\":1795000000,\"iat\":", OK },
		{ "\"iat\":", "\"nbf\":1795000000.001,\"iat\":", ERR_NOT_YET },
		{ "\"iat\":", "\"nbf\":1795000001,\"iat\":", ERR_NOT_YET },
		{ "\"iat\":", "\"nbf\":\"x\",\"iat\":", ERR_VALUE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		jose_expect_t x = expect();
		str_t body = kit_swap(STR(BODY), cases[i].from, cases[i].to);
		err_t e = verify(kit_jws(ed, STR(HEAD), body), &x);
		if (e != cases[i].expected) {
			fail_msg("%.*s: %s", STR_ARG(body), err_info(e)->name);
		}
	}
}

/* P30: the leeway counts once at each end. */
static void p30_leeway(void **state)
{
	jose_expect_t x = expect();

	(void)state;
	x.leeway_s = 10;
	str_t text = kit_jws(ed, STR(HEAD), STR(BODY));
	x.now_unix_s = 1795000069;
	assert_int_equal(verify(text, &x), OK);
	x.now_unix_s = 1795000070;
	assert_int_equal(verify(text, &x), ERR_EXPIRED);
	x.now_unix_s = 1794999980;
	assert_int_equal(verify(text, &x), OK);
	x.now_unix_s = 1794999979;
	assert_int_equal(verify(text, &x), ERR_NOT_YET);
}

/* --- compact form ------------------------------------------------------------------------------- */

static void three_parts_exactly(void **state)
{
	jose_expect_t x = expect();
	str_t good = kit_jws(ed, STR(HEAD), STR(BODY));

	(void)state;
	assert_int_equal(verify(good, &x), OK);
	static const char *const tails[] = { ".", "..", ".AAAA", "=", "==", " ", "\n", "A", "~", "%20" };
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		assert_int_not_equal(verify(arena_cat(arena, good, str_of(tails[i])), &x), OK);
	}
	assert_int_not_equal(verify(arena_cat(arena, STR(" "), good), &x), OK);
	assert_int_not_equal(verify(arena_cat(arena, STR("."), good), &x), OK);
	assert_int_equal(verify(STR(""), &x), ERR_SYNTAX);
	assert_int_equal(verify(STR("."), &x), ERR_SYNTAX);
	assert_int_not_equal(verify(STR(".."), &x), OK);
	assert_int_not_equal(verify(STR("..."), &x), OK);
	for (size_t n = 0; n < good.n; n++) {
		assert_int_not_equal(verify(str_sub(good, 0, n), &x), OK);
	}
}

/* Every byte of the text changed to every other of a few: never accepted. */
static void every_byte_counts(void **state)
{
	static const char others[] = "A_-.=+/ \n";
	jose_expect_t x = expect();
	str_t good = kit_jws(ed, STR(HEAD), STR(BODY));
	AUTO(arena_free) arena_t *a = arena_new_capped(32 << 20);

	(void)state;
	char *text = arena_alloc(a, good.n);
	for (size_t i = 0; i < good.n; i++) {
		for (size_t k = 0; k < sizeof others - 1; k++) {
			memcpy(text, good.p, good.n);
			text[i] = others[k];
			if (others[k] == good.p[i]) {
				continue;
			}
			AUTO(arena_free) arena_t *one = arena_open();
			jose_jwt_t jwt;
			assert_int_not_equal(
				jose_jwt_verify(one, str_bytes(text, good.n), &x, &jwt, NULL), OK);
		}
	}
}

static void sizes(void **state)
{
	jose_expect_t x = expect();
	AUTO(buf_done) buf_t b;

	(void)state;
	buf_init(&b, 64 * 1024);
	buf_add(&b, STR("{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"x\":\""));
	while (b.n < JOSE_HEADER_BYTES_MAX - 2) {
		buf_byte(&b, 'a');
	}
	buf_add(&b, STR("\"}"));
	assert_int_equal(b.n, JOSE_HEADER_BYTES_MAX);
	assert_int_equal(verify(kit_jws(ed, buf_str(&b), STR(BODY)), &x), OK);
	buf_byte(&b, ' ');
	assert_int_equal(verify(kit_jws(ed, buf_str(&b), STR(BODY)), &x), ERR_LIMIT);

	str_t body = kit_swap(STR(BODY), "}", ",\"x\":\"");
	buf_clear(&b);
	buf_add(&b, body);
	while (b.n < JOSE_PAYLOAD_BYTES_MAX - 1) {
		buf_byte(&b, 'a');
	}
	buf_add(&b, STR("\"}")); /* one byte over */
	assert_int_equal(verify(kit_jws(ed, STR(HEAD), buf_str(&b)), &x), ERR_LIMIT);
}

static void depth_bomb(void **state)
{
	jose_expect_t x = expect();
	AUTO(buf_done) buf_t b;

	(void)state;
	buf_init(&b, 64 * 1024);
	buf_add(&b, kit_swap(STR(BODY), "}", ",\"x\":"));
	for (int i = 0; i < 2000; i++) {
		buf_byte(&b, '[');
	}
	for (int i = 0; i < 2000; i++) {
		buf_byte(&b, ']');
	}
	buf_byte(&b, '}');
	assert_int_equal(verify(kit_jws(ed, STR(HEAD), buf_str(&b)), &x), ERR_LIMIT);
}

/* --- key sets ----------------------------------------------------------------------------------- */

static void key_sets(void **state)
{
	jose_jwk_t keys[3] = { { .pub = *crypto_key_pub(ed2), .kid = STR("k2") },
		{ .pub = *crypto_key_pub(p256), .kid = STR("k1") },
		{ .pub = *crypto_key_pub(ed), .kid = STR("k1") } };
	jose_jwks_t set = { keys, 3 };
	jose_expect_t x = expect();

	(void)state;
	x.key = NULL;
	x.jwks = &set;
	str_t with_kid = kit_jws(ed, STR(HEAD), STR(BODY));
	str_t without = kit_jws(ed, STR("{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\"}"), STR(BODY));
	str_t foreign = kit_jws(ed2, STR(HEAD), STR(BODY)); /* says k1, is k2 */
	assert_int_equal(verify(with_kid, &x), OK);
	assert_int_equal(verify(without, &x), OK);
	assert_int_equal(verify(foreign, &x), ERR_SIGNATURE);
	keys[2].use = STR("enc");
	assert_int_equal(verify(with_kid, &x), ERR_SIGNATURE);
	keys[2].use = STR("sig");
	assert_int_equal(verify(with_kid, &x), OK);
	keys[2].kid = STR_NULL; /* a key without kid is not the one that was named */
	assert_int_equal(verify(with_kid, &x), ERR_SIGNATURE);
	assert_int_equal(verify(without, &x), OK);
	set.n = 0;
	assert_int_equal(verify(without, &x), ERR_SIGNATURE);
}

static void prepared_verifiers(void **state)
{
	AUTO(crypto_verifier_free) crypto_verifier_t *v = NULL;
	jose_jwk_t key = { .pub = *crypto_key_pub(p256), .kid = STR("k1") };
	jose_jwks_t set = { &key, 1 };
	jose_expect_t x = expect();
	jose_sign_t h = { .typ = STR("at+jwt"), .kid = STR("k1") };
	str_t text;

	(void)state;
	assert_int_equal(crypto_verifier_new(&key.pub, &v), OK);
	assert_int_equal(jose_jws_sign(arena, p256, &h, STR(BODY), &text), OK);
	x.key = NULL;
	x.verifier = v;
	assert_int_equal(verify(text, &x), OK);
	assert_int_equal(verify(kit_jws(ed, STR(HEAD), STR(BODY)), &x), ERR_ALGORITHM);
	x.verifier = NULL;
	x.jwks = &set;
	key.verifier = v;
	assert_int_equal(verify(text, &x), OK);
}

static void output_only_on_success(void **state)
{
	jose_expect_t x = expect();
	jose_jwt_t jwt;
	diag_t diag = { 0 };

	(void)state;
	memset(&jwt, 0x5a, sizeof jwt);
	jose_jwt_t before = jwt;
	x.now_unix_s = 1795000060;
	assert_int_equal(jose_jwt_verify(arena, kit_jws(ed, STR(HEAD), STR(BODY)), &x, &jwt, &diag),
		ERR_EXPIRED);
	assert_memory_equal(&jwt, &before, sizeof jwt);
	assert_true(diag.text[0] != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_token),
		cmocka_unit_test(signed_by_us_is_read_by_us),
		cmocka_unit_test(input_and_seal_are_one_signature),
		cmocka_unit_test(the_list_of_algorithms_is_the_callers),
		cmocka_unit_test(header_table),
		cmocka_unit_test(typ_optional),
		cmocka_unit_test(claim_table),
		cmocka_unit_test(p30_leeway),
		cmocka_unit_test(three_parts_exactly),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(sizes),
		cmocka_unit_test(depth_bomb),
		cmocka_unit_test(key_sets),
		cmocka_unit_test(prepared_verifiers),
		cmocka_unit_test(output_only_on_success),
	};
	return cmocka_run_group_tests_name("jose_jwt", tests, kit_setup, kit_teardown);
}
