#include <sodium.h>

#include "pure/crypto/crypto_int.h"

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(crypto_sha256_t), "room for the state");

/* Below this libsodium's plain C wins over the price of an EVP call; above it the processor's own
 * SHA instructions, which only OpenSSL uses, win. Measured by bench/crypto_bench. */
enum { HASH_EVP_FROM_BYTES = 256 };

void crypto_sha256(str_t bytes, uint8_t out[32])
{
	if (bytes.n < HASH_EVP_FROM_BYTES) {
		crypto_hash_sha256(out, str_u8(bytes), bytes.n);
		return;
	}
	CHECK(EVP_Digest(bytes.p, bytes.n, out, NULL, crypto_lib()->sha256, NULL) == 1);
}

void crypto_sha256_label(str_t label, str_t bytes, uint8_t out[32])
{
	crypto_sha256_t h;

	crypto_sha256_start(&h);
	crypto_sha256_add(&h, label);
	crypto_sha256_add(&h, str_bytes("", 1)); /* the 00 between */
	crypto_sha256_add(&h, bytes);
	crypto_sha256_end(&h, out);
}

static crypto_hash_sha256_state *hash_state(crypto_sha256_t *h)
{
	return (crypto_hash_sha256_state *)(void *)h->opaque;
}

void crypto_sha256_start(crypto_sha256_t *h)
{
	crypto_hash_sha256_init(hash_state(h));
}

void crypto_sha256_add(crypto_sha256_t *h, str_t bytes)
{
	crypto_hash_sha256_update(hash_state(h), str_u8(bytes), bytes.n);
}

void crypto_sha256_end(crypto_sha256_t *h, uint8_t out[32])
{
	crypto_hash_sha256_final(hash_state(h), out);
}

void crypto_hmac_sha256(str_t key, const str_t *parts, size_t n_parts, uint8_t out[32])
{
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, str_u8(key), key.n);
	for (size_t i = 0; i < n_parts; i++) {
		crypto_auth_hmacsha256_update(&st, str_u8(parts[i]), parts[i].n);
	}
	crypto_auth_hmacsha256_final(&st, out);
	wipe(&st, sizeof st);
}
