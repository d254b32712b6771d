/* DPoP proofs, server nonces and client assertions: one change at a time, and the answer is no. */
#include "kit.h"

#define HTU "https://gw.example/r/tickets"
#define TOKEN "aaa.bbb.ccc"
#define DIGEST "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

static const uint8_t nonce_key[32] = { 1, 2, 3 };
#define NONCE_KEY str_bytes(nonce_key, 32)

static jose_dpop_expect_t expect(void)
{
	return (jose_dpop_expect_t){ .method = STR("POST"), .htu = STR(HTU), .access_token = STR(TOKEN),
		.now_unix_s = NOW, .window_s = 60, .algs = CRYPTO_ALGS_OURS, .nonce_key32 = NONCE_KEY,
		.nonce_max_age_s = 120, .nonce_required = true };
}

static jose_dpop_make_t making(void)
{
	return (jose_dpop_make_t){ .method = STR("POST"), .htu = STR(HTU), .access_token = STR(TOKEN),
		.nonce = jose_nonce_make(arena, NONCE_KEY, NOW), .random = { 7 }, .now_unix_s = NOW };
}

static err_t check(const jose_dpop_make_t *m, const jose_dpop_expect_t *x, jose_dpop_t *out)
{
	str_t proof;

	TRY(jose_dpop_make(arena, ed, m, &proof));
	return jose_dpop_verify(arena, proof, x, out, NULL);
}

static void made_is_accepted(void **state)
{
	const crypto_key_t *keys[] = { ed, p256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		jose_dpop_expect_t x = expect();
		jose_dpop_make_t m = making();
		jose_dpop_t out;
		str_t proof;

		m.action_digest = STR(DIGEST);
		assert_int_equal(jose_dpop_make(arena, keys[i], &m, &proof), OK);
		assert_int_equal(jose_dpop_verify(arena, proof, &x, &out, NULL), OK);
		assert_true(crypto_pub_eq(&out.pub, crypto_key_pub(keys[i])));
		assert_true(str_eq(out.jkt, jose_jkt(arena, crypto_key_pub(keys[i]))));
		assert_int_equal(out.jti.n, 22);
		assert_true(str_eq(out.action_digest, STR(DIGEST)));
		assert_true(str_eq(out.nonce, m.nonce));
		assert_int_equal(out.iat_unix_s, NOW);
		assert_int_equal(out.keep_until_unix_s, NOW + 61);
	}
}

/* What is remembered outlives what is accepted (P23). */
static void replay_memory_covers_the_window(void **state)
{
	jose_dpop_expect_t x = expect();
	jose_dpop_make_t m = making();
	jose_dpop_t out;

	(void)state;
	m.now_unix_s = NOW + JOSE_FUTURE_S; /* the farthest future that passes */
	assert_int_equal(check(&m, &x, &out), OK);
	x.now_unix_s = out.keep_until_unix_s;
	m.nonce = jose_nonce_make(arena, NONCE_KEY, x.now_unix_s);
	assert_int_equal(check(&m, &x, &out), ERR_PROOF);
}

static void time_window(void **state)
{
	static const struct {
		int64_t iat;
		err_t expected;
	} cases[] = { { -61, ERR_PROOF }, { -60, OK }, { 0, OK }, { JOSE_FUTURE_S, OK },
		{ JOSE_FUTURE_S + 1, ERR_PROOF }, { -NOW + 1, ERR_PROOF } };
	jose_dpop_expect_t x = expect();
	jose_dpop_t out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		jose_dpop_make_t m = making();
		m.now_unix_s = NOW + cases[i].iat;
		assert_int_equal(check(&m, &x, &out), cases[i].expected);
	}
}

static void other_request(void **state)
{
	static const char *const other_htu[] = { "https://gw.example/r/ticket", "https://gw.example/r/tickets/",
		"http://gw.example/r/tickets", "https://gw.example:8443/r/tickets", "https://evil.example/r/tickets",
		"https://gw.example/R/tickets", "https://gw.example/r%2ftickets" };
	static const char *const same_htu[] = { "https://gw.example:443/r/tickets", "HTTPS://GW.example/r/tickets",
		"https://gw.example/r/ticket%73" };
	jose_dpop_expect_t x = expect();
	jose_dpop_make_t m = making();
	jose_dpop_t out;

	(void)state;
	m.method = STR("post");
	assert_int_equal(check(&m, &x, &out), ERR_PROOF);
	m.method = STR("GET");
	assert_int_equal(check(&m, &x, &out), ERR_PROOF);
	m = making();
	for (size_t i = 0; i < ARRAY_LEN(other_htu); i++) {
		m.htu = str_of(other_htu[i]);
		assert_int_equal(check(&m, &x, &out), ERR_PROOF);
	}
	for (size_t i = 0; i < ARRAY_LEN(same_htu); i++) {
		m.htu = str_of(same_htu[i]);
		assert_int_equal(check(&m, &x, &out), OK);
	}
}

static void other_token(void **state)
{
	jose_dpop_expect_t x = expect();
	jose_dpop_make_t m = making();
	jose_dpop_t out;

	(void)state;
	m.access_token = STR("aaa.bbb.ccd");
	assert_int_equal(check(&m, &x, &out), ERR_PROOF);
	m.access_token = STR_NULL; /* no ath at a resource */
	assert_int_equal(check(&m, &x, &out), ERR_PROOF);
	x.access_token = STR_NULL; /* token endpoint: ath is not asked for */
	assert_int_equal(check(&m, &x, &out), OK);
}

/* P21 */
static void p21_nonces(void **state)
{
	static const uint8_t other_key[32] = { 9 };
	jose_dpop_expect_t x = expect();
	jose_dpop_make_t m = making();
	jose_dpop_t out;

	(void)state;
	m.nonce = STR_NULL;
	assert_int_equal(check(&m, &x, &out), ERR_NONCE);
	m.nonce = STR("made-up");
	assert_int_equal(check(&m, &x, &out), ERR_NONCE);
	m.nonce = jose_nonce_make(arena, str_bytes(other_key, 32), NOW);
	assert_int_equal(check(&m, &x, &out), ERR_NONCE);
	m.nonce = jose_nonce_make(arena, NONCE_KEY, NOW - 120);
	assert_int_equal(check(&m, &x, &out), OK);
	m.nonce = jose_nonce_make(arena, NONCE_KEY, NOW - 121);
	assert_int_equal(check(&m, &x, &out), ERR_NONCE);
	m.nonce = jose_nonce_make(arena, NONCE_KEY, NOW + 1);
	assert_int_equal(check(&m, &x, &out), ERR_NONCE);
	/* a wrong proof does not learn that its nonce is stale too */
	m.method = STR("GET");
	assert_int_equal(check(&m, &x, &out), ERR_PROOF);
	/* not required: absent passes, a bad one still does not */
	m = making();
	x.nonce_required = false;
	m.nonce = STR_NULL;
	assert_int_equal(check(&m, &x, &out), OK);
	m.nonce = STR("made-up");
	assert_int_equal(check(&m, &x, &out), ERR_NONCE);
	x.nonce_key32 = STR_NULL;
	assert_int_equal(check(&m, &x, &out), ERR_NONCE);
}

static void nonce_every_bit(void **state)
{
	str_t good = jose_nonce_make(arena, NONCE_KEY, NOW);

	(void)state;
	assert_int_equal(good.n, 32);
	assert_int_equal(jose_nonce_check(NONCE_KEY, good, NOW, 0), OK);
	for (size_t i = 0; i < good.n; i++) {
		str_t bad = arena_str(arena, good);
		((char *)(uintptr_t)bad.p)[i] = good.p[i] == 'A' ? 'B' : 'A';
		assert_int_equal(jose_nonce_check(NONCE_KEY, bad, NOW, 1 << 30), ERR_NONCE);
		assert_int_equal(jose_nonce_check(NONCE_KEY, str_sub(good, 0, i), NOW, 60), ERR_NONCE);
	}
	assert_int_equal(jose_nonce_check(NONCE_KEY, arena_cat(arena, good, STR("A")), NOW, 60), ERR_NONCE);
	assert_int_equal(jose_nonce_check(NONCE_KEY, STR_NULL, NOW, 60), ERR_NONCE);
}

/* --- raw proofs: what a maker of ours would never write -------------------------------------------- */

static str_t proof_head(const char *typ, const char *alg, const char *jwk)
{
	str_t json = STR_NULL;

	if (!jwk) {
		assert_int_equal(jose_jwk_write(arena, crypto_key_pub(ed), STR_NULL, STR_NULL, &json), OK);
	} else {
		json = str_of(jwk);
	}
	return arena_printf(arena, "{%s\"alg\":\"%s\"%s%.*s}", typ, alg, json.n ? ",\"jwk\":" : "",
		STR_ARG(json));
}

#define PROOF_BODY                                                                                 \
	"{\"jti\":\"0123456789abcdef\",\"htm\":\"POST\",\"htu\":\"" HTU "\",\"iat\":1795000000}"

static err_t raw(str_t head, str_t body)
{
	jose_dpop_expect_t x = expect();
	jose_dpop_t out;

	x.access_token = STR_NULL;
	x.nonce_required = false;
	return jose_dpop_verify(arena, kit_jws(ed, head, body), &x, &out, NULL);
}

static void p26_headers(void **state)
{
	static const char pub[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
				  "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"%s}";
	const str_t body = STR(PROOF_BODY);
	const char *dpop = "\"typ\":\"dpop+jwt\",";

	(void)state;
	assert_int_equal(raw(proof_head(dpop, "EdDSA", NULL), body), OK);
	assert_int_equal(raw(proof_head("", "EdDSA", NULL), body), ERR_PROOF);
	assert_int_equal(raw(proof_head("\"typ\":\"JWT\",", "EdDSA", NULL), body), ERR_PROOF);
	assert_int_equal(raw(proof_head("\"typ\":\"at+jwt\",", "EdDSA", NULL), body), ERR_PROOF);
	assert_int_equal(raw(proof_head("\"typ\":\"DPOP+JWT\",", "EdDSA", NULL), body), ERR_PROOF);
	assert_int_equal(raw(proof_head(dpop, "none", NULL), body), ERR_PROOF);
	assert_int_equal(raw(proof_head(dpop, "HS256", NULL), body), ERR_PROOF);
	assert_int_equal(raw(proof_head(dpop, "RS256", NULL), body), ERR_PROOF);
	assert_int_equal(raw(proof_head(dpop, "EdDSA", ""), body), ERR_PROOF); /* no jwk */
	assert_int_equal(raw(proof_head(dpop, "EdDSA", "null"), body), ERR_PROOF);
	assert_int_equal(raw(proof_head(dpop, "EdDSA", "{\"kty\":\"oct\",\"k\":\"AA\"}"), body), ERR_PROOF);
	str_t other = arena_printf(arena, pub, ""); /* another's key: the signature is not by it */
	assert_int_equal(raw(proof_head(dpop, "EdDSA", other.p), body), ERR_PROOF);
	/* our own key, but with its private half on show */
	str_t mine, leaked;
	assert_int_equal(jose_jwk_write(arena, crypto_key_pub(ed), STR_NULL, STR_NULL, &mine), OK);
	leaked = arena_printf(arena, "%.*s,\"d\":\"AA\"}", (int)(mine.n - 1), mine.p);
	assert_int_equal(raw(proof_head(dpop, "EdDSA", leaked.p), body), ERR_PROOF);
	str_t crit = arena_printf(arena, "%s\"crit\":[\"x\"],", dpop);
	assert_int_equal(raw(proof_head(crit.p, "EdDSA", NULL), body), ERR_PROOF);
}

typedef struct {
	const char *from, *to;
	err_t expected;
} body_case_t;

static void p26_claims(void **state)
{
	static const body_case_t cases[] = {
		{ "1795000000", "1795000000", OK },
		{ "\"jti\"", "\"jt\"", ERR_PROOF },
		{ "\"htm\"", "\"ht\"", ERR_PROOF },
		{ "\"htu\"", "\"hu\"", ERR_PROOF },
		{ "\"iat\"", "\"ia\"", ERR_PROOF },
		{ "0123456789abcdef", "0123456", ERR_PROOF },
		{ "0123456789abcdef", "", ERR_PROOF },
		{ "0123456789abcdef", "0123 456789", ERR_PROOF },
		{ "0123456789abcdef", "01234567\\n", ERR_PROOF },
		{ "0123456789abcdef", "0123456789\\u0000", ERR_PROOF },
		{ "\"0123456789abcdef\"", "1234567890", ERR_PROOF },
		{ "1795000000", "\"1795000000\"", ERR_PROOF },
		{ "1795000000", "-1795000000", ERR_PROOF },
		{ "1795000000", "1795000000.25", OK },
		{ "1795000000", "1795000000,\"iat\":1795000000", ERR_PROOF },
		{ HTU, HTU "?a=b#c", OK }, /* RFC 9449 4.3: query and fragment are ignored */
		{ HTU, "https://u@gw.example/r/tickets", ERR_PROOF },
		{ HTU, "https://gw.example/x/../r/tickets", ERR_PROOF },
		{ HTU, "/r/tickets", ERR_PROOF },
		{ "\"iat\"", "\"action_digest\":\"" DIGEST "\",\"iat\"", OK },
		{ "\"iat\"", "\"action_digest\":\"short\",\"iat\"", ERR_PROOF },
		{ "\"iat\"", "\"action_digest\":\"" DIGEST "=\",\"iat\"", ERR_PROOF },
		{ "\"iat\"", "\"action_digest\":null,\"iat\"", ERR_PROOF },
		{ "\"iat\"", "\"nonce\":7,\"iat\"", ERR_PROOF },
		{ "\"iat\"", "\"unknown\":7,\"iat\"", OK },
	};
	str_t head = proof_head("\"typ\":\"dpop+jwt\",", "EdDSA", NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		str_t body = kit_swap(STR(PROOF_BODY), cases[i].from, cases[i].to);
		err_t e = raw(head, body);
		if (e != cases[i].expected) {
			fail_msg("%.*s: %s", STR_ARG(body), err_info(e)->name);
		}
	}
}

static void p26_oversized_jti(void **state)
{
	char jti[JOSE_JTI_BYTES_MAX + 2] = { 0 };
	str_t head = proof_head("\"typ\":\"dpop+jwt\",", "EdDSA", NULL);

	(void)state;
	memset(jti, 'j', JOSE_JTI_BYTES_MAX);
	assert_int_equal(raw(head, kit_swap(STR(PROOF_BODY), "0123456789abcdef", jti)), OK);
	jti[JOSE_JTI_BYTES_MAX] = 'j';
	assert_int_equal(raw(head, kit_swap(STR(PROOF_BODY), "0123456789abcdef", jti)), ERR_PROOF);
}

/* --- client assertions ---------------------------------------------------------------------------- */

#define CLIENT "spiffe://example.test/agent/scout"
#define ISSUER "https://as.example"
#define ASSERTION                                                                                  \
	"{\"iss\":\"" CLIENT "\",\"sub\":\"" CLIENT "\",\"aud\":\"" ISSUER "\",\"jti\":\"0123456789\"," \
	"\"iat\":1795000000,\"exp\":1795000060}"

static jose_assertion_expect_t client(const crypto_pub_t *keys, size_t n)
{
	return (jose_assertion_expect_t){ .client_id = STR(CLIENT), .issuer = STR(ISSUER), .keys = keys,
		.n_keys = n, .now_unix_s = NOW };
}

static void assertion_made_is_accepted(void **state)
{
	crypto_pub_t keys[] = { *crypto_key_pub(ed2), *crypto_key_pub(p256), *crypto_key_pub(ed) };
	const crypto_key_t *signers[] = { ed2, p256, ed };
	jose_assertion_expect_t x = client(keys, 3);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		jose_assertion_make_t m = { .client_id = STR(CLIENT), .issuer = STR(ISSUER),
			.nonce = STR("n-1"), .random = { 3 }, .now_unix_s = NOW, .life_s = 300 };
		jose_assertion_t out;
		str_t text, who;

		assert_int_equal(jose_assertion_make(arena, signers[i], &m, &text), OK);
		assert_int_equal(jose_assertion_peek_client(arena, text, &who), OK);
		assert_true(str_eq(who, STR(CLIENT)));
		assert_int_equal(jose_assertion_verify(arena, text, &x, &out, NULL), OK);
		assert_ptr_equal(out.key, &keys[i]);
		assert_true(str_eq(out.nonce, STR("n-1")));
		assert_int_equal(out.exp_unix_s, NOW + 300);
		x.n_keys = i; /* without its key */
		assert_int_equal(jose_assertion_verify(arena, text, &x, &out, NULL), ERR_CLIENT);
		x.n_keys = 3;
	}
}

static void assertion_table(void **state)
{
	static const body_case_t cases[] = {
		{ "1795000060", "1795000060", OK },
		{ "\"iss\":\"" CLIENT "\"", "\"iss\":\"spiffe://example.test/agent/other\"", ERR_CLIENT },
		{ "\"sub\":\"" CLIENT "\"", "\"sub\":\"spiffe://example.test/agent/other\"", ERR_CLIENT },
		{ "\"sub\"", "\"su\"", ERR_CLIENT },
		/* P10, P11: aud is the issuer, a string, exactly */
		{ "\"" ISSUER "\"", "[\"" ISSUER "\"]", ERR_CLIENT },
		{ "\"" ISSUER "\"", "[\"" ISSUER "\",\"https://honest.example\"]", ERR_CLIENT },
		{ "\"" ISSUER "\"", "\"" ISSUER "/\"", ERR_CLIENT },
		{ "\"" ISSUER "\"", "\"https://AS.example\"", ERR_CLIENT },
		{ "\"" ISSUER "\"", "\"" ISSUER "/oauth/token\"", ERR_CLIENT },
		{ "\"aud\"", "\"au\"", ERR_CLIENT },
		{ "\"jti\"", "\"jt\"", ERR_CLIENT },
		{ "0123456789", "0123", ERR_CLIENT },
		{ "\"iat\"", "\"ia\"", ERR_CLIENT },
		{ "\"exp\"", "\"ex\"", ERR_CLIENT },
		{ "1795000060", "1795000000", ERR_CLIENT },
		{ "1795000060", "1795000001", OK },
		{ "1795000060", "1795000330", OK },
		{ "1795000060", "1795000331", ERR_CLIENT },
		{ "1795000060", "1e300", ERR_CLIENT },
		{ "1795000060", "9007199254740993", ERR_CLIENT },
		{ "\"iat\":1795000000", "\"iat\":1795000030", OK },
		{ "\"iat\":1795000000", "\"iat\":1795000031", ERR_CLIENT },
		{ "\"iat\":", "\"nbf\":1795000031,\"iat\":", ERR_CLIENT },
		{ "\"iat\":", "\"nonce\":1,\"iat\":", ERR_CLIENT },
		{ "\"iat\":", "\"sub\":\"" CLIENT "\",\"iat\":", ERR_CLIENT },
	};
	jose_assertion_expect_t x = client(crypto_key_pub(ed), 1);
	jose_assertion_t out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		str_t body = kit_swap(STR(ASSERTION), cases[i].from, cases[i].to);
		str_t text = kit_jws(ed, STR("{\"alg\":\"EdDSA\"}"), body);
		err_t e = jose_assertion_verify(arena, text, &x, &out, NULL);
		if (e != cases[i].expected) {
			fail_msg("%.*s: %s", STR_ARG(body), err_info(e)->name);
		}
	}
}

static void assertion_headers(void **state)
{
	static const struct {
		const char *header;
		err_t expected;
	} cases[] = {
		{ "{\"alg\":\"EdDSA\"}", OK },
		{ "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}", OK },
		{ "{\"alg\":\"EdDSA\",\"typ\":\"client-authentication+jwt\",\"kid\":\"x\"}", OK },
		{ "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\"}", ERR_CLIENT }, /* P19 */
		{ "{\"alg\":\"EdDSA\",\"typ\":\"dpop+jwt\"}", ERR_CLIENT },
		{ "{\"alg\":\"EdDSA\",\"typ\":\"jwt\"}", ERR_CLIENT },
		{ "{\"alg\":\"none\"}", ERR_CLIENT },
		{ "{\"alg\":\"HS256\"}", ERR_CLIENT },
		{ "{\"alg\":\"RS256\"}", ERR_CLIENT },
		{ "{\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}", ERR_CLIENT },
		{ "{\"alg\":\"EdDSA\",\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
		  "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}}", ERR_CLIENT },
	};
	jose_assertion_expect_t x = client(crypto_key_pub(ed), 1);
	jose_assertion_t out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		str_t text = kit_jws(ed, str_of(cases[i].header), STR(ASSERTION));
		err_t e = jose_assertion_verify(arena, text, &x, &out, NULL);
		if (e != cases[i].expected) {
			fail_msg("%s: %s", cases[i].header, err_info(e)->name);
		}
	}
}

static void peek_trusts_nothing(void **state)
{
	str_t who = STR("before");

	(void)state;
	assert_int_equal(jose_assertion_peek_client(arena, STR("a.b.c"), &who), ERR_CLIENT);
	assert_int_equal(jose_assertion_peek_client(arena, STR_NULL, &who), ERR_CLIENT);
	str_t no_iss = kit_jws(ed, STR("{\"alg\":\"EdDSA\"}"), STR("{\"sub\":\"x\"}"));
	assert_int_equal(jose_assertion_peek_client(arena, no_iss, &who), ERR_CLIENT);
	assert_true(str_eq(who, STR("before")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_is_accepted),
		cmocka_unit_test(replay_memory_covers_the_window),
		cmocka_unit_test(time_window),
		cmocka_unit_test(other_request),
		cmocka_unit_test(other_token),
		cmocka_unit_test(p21_nonces),
		cmocka_unit_test(nonce_every_bit),
		cmocka_unit_test(p26_headers),
		cmocka_unit_test(p26_claims),
		cmocka_unit_test(p26_oversized_jti),
		cmocka_unit_test(assertion_made_is_accepted),
		cmocka_unit_test(assertion_table),
		cmocka_unit_test(assertion_headers),
		cmocka_unit_test(peek_trusts_nothing),
	};
	return cmocka_run_group_tests_name("jose_dpop", tests, kit_setup, kit_teardown);
}
