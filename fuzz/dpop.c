/* dpop: whatever bytes come, a proof passes only for our method, URL, token, time and nonce.
 * Input: "header\npayload" is signed by the key of the seeds' jwk; without a line feed it is the text. */
#include "pure/jose/jose.h"

enum { NOW = 1795000000, WINDOW_S = 60 };
static const str_t htu = STR_INIT("https://gw.example/r/t"), token = STR_INIT("aaa.bbb.ccc");

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

static void check_proof(arena_t *a, str_t text, const jose_dpop_t *p)
{
	jose_jws_t jws;

	CHECK(p->iat_unix_s >= NOW - WINDOW_S && p->iat_unix_s <= NOW + JOSE_FUTURE_S);
	CHECK(p->keep_until_unix_s > p->iat_unix_s + WINDOW_S);
	CHECK(p->jti.n >= JOSE_JTI_BYTES_MIN && p->jti.n <= JOSE_JTI_BYTES_MAX && str_is_visible(p->jti));
	CHECK(jose_jkt_is(p->jkt) && str_eq(p->jkt, jose_jkt(a, &p->pub)));
	CHECK(!p->action_digest.p || jose_jkt_is(p->action_digest));
	CHECK(!p->nonce.p); /* this server handed out none */
	CHECK(jose_jws_split(a, text, &jws, NULL) == OK && jose_jws_check(&jws, &p->pub) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static crypto_key_t *key; /* one for all runs */
	AUTO(arena_free) arena_t *a = arena_open();
	str_t text = str_bytes(data, size);
	size_t line = str_find(text, '\n');
	jose_dpop_t proof;
	diag_t diag = { 0 };

	if (size > JOSE_TEXT_BYTES_MAX) {
		return 0;
	}
	key = key ? key : key_make();
	if (line < size) {
		text = signed_text(a, key, str_sub(text, 0, line), str_sub(text, line + 1, size));
	}
	const jose_dpop_expect_t x = { .method = STR("POST"), .htu = htu, .access_token = token,
		.now_unix_s = NOW, .window_s = WINDOW_S, .algs = CRYPTO_ALGS_OURS };
	err_t e = jose_dpop_verify(a, text, &x, &proof, &diag);

	CHECK(e == OK || e == ERR_PROOF || e == ERR_NONCE);
	if (e == OK) {
		check_proof(a, text, &proof);
	}
	return 0;
}
