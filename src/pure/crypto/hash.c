#include <sodium.h>

#include "pure/crypto/crypto_int.h"

DEFINE_AUTO(EVP_MD_CTX *, EVP_MD_CTX_free);
_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(crypto_sha256_t), "room for the state");

/* OpenSSL's, which uses the processor's SHA instructions: from the first byte on it beats libsodium's plain
 * C, and fivefold at 4 KiB (bench/crypto_bench). libsodium serves where a plain value must hold the state. */
void crypto_sha256(str_t bytes, uint8_t out[32])
{
	CHECK(EVP_Digest(str_u8(bytes), bytes.n, out, NULL, crypto_lib()->sha256, NULL) == 1);
}

void crypto_sha256_parts(const str_t *parts, size_t n_parts, uint8_t out[32])
{
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *h = EVP_MD_CTX_new();

	CHECK(h && EVP_DigestInit_ex2(h, crypto_lib()->sha256, NULL) == 1);
	for (size_t i = 0; i < n_parts; i++) {
		CHECK(EVP_DigestUpdate(h, str_u8(parts[i]), parts[i].n) == 1);
	}
	CHECK(EVP_DigestFinal_ex(h, out, NULL) == 1);
}

void crypto_sha256_label(str_t label, str_t bytes, uint8_t out[32])
{
	const str_t parts[] = { label, STR("\0"), bytes };

	crypto_sha256_parts(parts, ARRAY_LEN(parts), out);
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
