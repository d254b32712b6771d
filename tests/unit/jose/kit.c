#include "kit.h"

arena_t *arena;
crypto_key_t *ed, *ed2, *p256;

static crypto_key_t *key_of(crypto_kind_t kind, uint8_t fill)
{
	uint8_t secret[32];
	crypto_key_t *k = NULL;

	memset(secret, fill, sizeof secret);
	assert_int_equal(crypto_key_from_secret(kind, str_bytes(secret, 32), &k), OK);
	return k;
}

int kit_setup(void **state)
{
	(void)state;
	if (crypto_init() != OK) {
		return -1;
	}
	arena = arena_new_capped(64 << 20);
	ed = key_of(CRYPTO_KEY_ED25519, 1);
	ed2 = key_of(CRYPTO_KEY_ED25519, 2);
	p256 = key_of(CRYPTO_KEY_P256, 3);
	return 0;
}

int kit_teardown(void **state)
{
	(void)state;
	crypto_key_free(ed);
	crypto_key_free(ed2);
	crypto_key_free(p256);
	arena_free(arena);
	return 0;
}

str_t kit_jws(const crypto_key_t *key, str_t header, str_t payload)
{
	uint8_t sig[CRYPTO_SIGN_BYTES_MAX];
	str_t input = arena_cat(arena, b64url_enc(arena, header), STR("."), b64url_enc(arena, payload));

	assert_int_equal(crypto_key_sign(key, input, sig), OK);
	return arena_cat(arena, input, STR("."), b64url_enc(arena, str_bytes(sig, sizeof sig)));
}

str_t kit_swap(str_t text, const char *from, const char *to)
{
	str_t f = str_of(from);

	for (size_t i = 0; i + f.n <= text.n; i++) {
		if (str_eq(str_sub(text, i, f.n), f)) {
			return arena_cat(arena, str_sub(text, 0, i), str_of(to),
				str_sub(text, i + f.n, text.n));
		}
	}
	fail_msg("%s does not occur", from);
	return STR_NULL;
}

str_t kit_time(int64_t seconds)
{
	return arena_printf(arena, "%lld", (long long)(NOW + seconds));
}
