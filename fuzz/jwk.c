/* jwk: a key that is read is written and read again as the same key, and never a private one. */
#include "pure/jose/jose.h"

static void check_pub(arena_t *a, const crypto_pub_t *pub)
{
	jose_jwk_t again;
	crypto_pub_t spki;
	str_t json, der;

	CHECK(jose_jwk_write(a, pub, STR("kid"), STR_NULL, &json) == OK);
	CHECK(jose_jwk_parse(a, json, &again, NULL) == OK && crypto_pub_eq(&again.pub, pub));
	CHECK(jose_jkt_is(jose_jkt(a, pub)));
	CHECK(crypto_pub_to_spki(a, pub, &der) == OK);
	CHECK(crypto_pub_from_spki(der, &spki) == OK && crypto_pub_eq(&spki, pub));
	for (int alg = CRYPTO_ED25519; alg < CRYPTO_ALG_COUNT_; alg++) { /* no forged signature passes */
		CHECK(crypto_verify(pub, (crypto_alg_t)alg, STR("m"), STR("s")) != OK);
	}
}

static void check_key(const crypto_key_t *key)
{
	AUTO(crypto_key_free) crypto_key_t *again = NULL;
	AUTO(secret_done) secret_t json = { 0 };
	uint8_t sig[64];

	CHECK(jose_key_write(key, &json) == OK);
	CHECK(jose_key_read(secret_peek(&json), &again, NULL) == OK);
	CHECK(crypto_key_sign(key, STR("m"), sig) == OK);
	CHECK(crypto_verify(crypto_key_pub(again), crypto_key_alg(again), STR("m"), str_bytes(sig, 64)) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	str_t text = str_bytes(data, size);
	jose_jwks_t set;
	jose_jwk_t jwk;
	crypto_pub_t pub;
	diag_t diag = { 0 };

	CHECK(crypto_init() == OK);
	err_t public = jose_jwk_parse(a, text, &jwk, &diag);
	if (public == OK) {
		check_pub(a, &jwk.pub);
	}
	if (jose_pub_read(a, text, &pub, &diag) == OK) {
		check_pub(a, &pub);
	}
	if (jose_jwks_parse(a, text, &set, &diag) == OK) {
		CHECK(set.n <= JOSE_JWKS_KEYS_MAX);
		for (size_t i = 0; i < set.n; i++) {
			check_pub(a, &set.keys[i].pub);
		}
	}
	if (jose_key_read(text, &key, &diag) == OK) {
		CHECK(public != OK); /* the same bytes never serve as both */
		check_key(key);
	}
	return 0;
}
