/* jwt: whatever bytes come, a token passes only with the issuer, audience, type and time we asked for.
 * Input: "header\npayload" is signed by the right key, so that claims are reached; anything without a line
 * feed is taken as the compact text itself. */
#include "pure/jose/jose.h"

enum { NOW = 1795000000 };
static const str_t issuer = STR_INIT("https://as.example"), audience = STR_INIT("https://gw.example/r/t");

static crypto_key_t *key_make(void)
{
	const uint8_t seed[32] = { 1 };
	crypto_key_t *key = NULL;

	CHECK(crypto_init() == OK);
	CHECK(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(seed, 32), &key) == OK);
	return key;
}

static str_t signed_text(arena_t *a, const crypto_key_t *key, str_t header, str_t payload)
{
	uint8_t sig[64];

	str_t input = arena_cat(a, b64url_enc(a, header), STR("."), b64url_enc(a, payload));
	CHECK(crypto_key_sign(key, input, sig) == OK);
	return arena_cat(a, input, STR("."), b64url_enc(a, str_bytes(sig, 64)));
}

static void check_token(const jose_jwt_t *jwt)
{
	CHECK(str_eq(jwt->typ, STR("at+jwt")) || str_eq(jwt->typ, STR("application/at+jwt")));
	CHECK(jwt->alg == CRYPTO_ED25519);
	CHECK(str_eq(jwt->iss, issuer) && str_eq(jwt->aud, audience));
	CHECK(jwt->exp_unix_s > NOW && jwt->iat_unix_s <= NOW && jwt->iat_unix_s >= 0);
	CHECK(json_kind(jwt->claims) == JSON_OBJECT);
	CHECK(json_is_str(json_get(jwt->claims, STR("iss")), issuer));
	CHECK(!jwt->jti.p || jwt->jti.n <= JOSE_JTI_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static crypto_key_t *key; /* one for all runs */
	AUTO(arena_free) arena_t *a = arena_open();
	str_t text = str_bytes(data, size);
	size_t line = str_find(text, '\n');
	jose_assertion_t assertion;
	jose_jws_t jws;
	jose_jwt_t jwt;
	diag_t diag = { 0 };
	str_t who;

	if (size > JOSE_TEXT_BYTES_MAX) {
		return 0;
	}
	key = key ? key : key_make();
	if (line < size) {
		text = signed_text(a, key, str_sub(text, 0, line), str_sub(text, line + 1, size));
	}
	const jose_expect_t x = { .typ = STR("at+jwt"), .issuer = issuer, .audience = audience,
		.algs = CRYPTO_ALGS_OURS, .now_unix_s = NOW, .key = crypto_key_pub(key) };
	const jose_assertion_expect_t c = { .client_id = STR("spiffe://example.test/agent/scout"),
		.issuer = issuer, .keys = crypto_key_pub(key), .n_keys = 1, .now_unix_s = NOW };
	err_t token = jose_jwt_verify(a, text, &x, &jwt, &diag);
	err_t client = jose_assertion_verify(a, text, &c, &assertion, &diag);

	if (token == OK) {
		check_token(&jwt);
	}
	if (client == OK) {
		CHECK(token != OK); /* one typ, one slot (oauth P19) */
		CHECK(assertion.exp_unix_s > NOW && assertion.jti.n >= JOSE_JTI_BYTES_MIN);
		CHECK(jose_assertion_peek_client(a, text, &who) == OK && str_eq(who, c.client_id));
	}
	if (token == OK || client == OK) {
		CHECK(jose_jws_split(a, text, &jws, NULL) == OK && !jws.jwk);
		CHECK(jose_jws_check(&jws, crypto_key_pub(key)) == OK);
	}
	CHECK(client == OK || client == ERR_CLIENT);
	return 0;
}
