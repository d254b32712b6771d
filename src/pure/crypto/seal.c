#include <sodium.h>

#include "pure/crypto/crypto_int.h"

enum {
	NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};
_Static_assert(CRYPTO_SEAL_OVERHEAD == NONCE_BYTES + TAG_BYTES, "nonce in front, tag behind");
_Static_assert(CRYPTO_AEAD_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");

MUST err_t crypto_seal(arena_t *a, str_t key32, str_t aad, str_t plain, str_t *out_sealed)
{
	unsigned char *p = NULL;
	unsigned long long n = 0;

	CHECK(key32.n == CRYPTO_AEAD_KEY_BYTES);
	ENSURE(plain.n <= CRYPTO_MESSAGE_BYTES_MAX, ERR_LIMIT);
	TRY(arena_try(a, plain.n + CRYPTO_SEAL_OVERHEAD, (void **)&p));
	crypto_random(p, NONCE_BYTES);
	CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(p + NONCE_BYTES, &n, str_u8(plain), plain.n,
		      str_u8(aad), aad.n, NULL, p, str_u8(key32)) == 0);
	*out_sealed = str_bytes(p, NONCE_BYTES + (size_t)n);
	return OK;
}

/* out holds sealed.n - overhead bytes; sealed is long enough. */
static err_t open_into(str_t key32, str_t aad, str_t sealed, uint8_t *out)
{
	str_t nonce = str_sub(sealed, 0, NONCE_BYTES);
	str_t body = str_sub(sealed, NONCE_BYTES, sealed.n);

	CHECK(key32.n == CRYPTO_AEAD_KEY_BYTES);
	ENSURE(crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, str_u8(body), body.n,
		       str_u8(aad), aad.n, str_u8(nonce), str_u8(key32)) == 0, ERR_CRYPTO);
	return OK;
}

MUST err_t crypto_open(str_t key32, str_t aad, str_t sealed, secret_t *out_plain)
{
	AUTO(secret_done) secret_t plain = { 0 };

	ENSURE(sealed.n >= CRYPTO_SEAL_OVERHEAD, ERR_CRYPTO);
	TRY(secret_new(sealed.n - CRYPTO_SEAL_OVERHEAD, &plain));
	TRY(open_into(key32, aad, sealed, plain.p));
	*out_plain = plain;
	plain = (secret_t){ 0 };
	return OK;
}

MUST err_t crypto_open_arena(arena_t *a, str_t key32, str_t aad, str_t sealed, str_t *out_plain)
{
	void *p = NULL;

	ENSURE(sealed.n >= CRYPTO_SEAL_OVERHEAD, ERR_CRYPTO);
	ENSURE(sealed.n <= CRYPTO_MESSAGE_BYTES_MAX + CRYPTO_SEAL_OVERHEAD, ERR_LIMIT);
	TRY(arena_try(a, sealed.n - CRYPTO_SEAL_OVERHEAD, &p));
	TRY(open_into(key32, aad, sealed, p));
	*out_plain = str_bytes(p, sealed.n - CRYPTO_SEAL_OVERHEAD);
	return OK;
}

/* --- under a passphrase ------------------------------------------------------------------------- */

/* label || u32 ops || u32 KiB || salt, all of it bound as aad; then the sealed bytes. */
#define PW_LABEL STR("attorn-pw/1")
enum {
	PW_SALT_BYTES = crypto_pwhash_argon2id_SALTBYTES,
	PW_HEAD_BYTES = 11 + 4 + 4 + PW_SALT_BYTES,
};

static err_t pw_derive(str_t passphrase, uint32_t ops, uint32_t mem_kib, str_t salt, secret_t *out_key)
{
	AUTO(secret_done) secret_t key = { 0 };

	ENSURE(passphrase.n > 0, ERR_VALUE);
	ENSURE(passphrase.n <= CRYPTO_PW_PASSPHRASE_BYTES_MAX, ERR_LIMIT);
	CHECK(salt.n == PW_SALT_BYTES);
	TRY(secret_new(CRYPTO_AEAD_KEY_BYTES, &key));
	/* fails only for want of memory */
	ENSURE(crypto_pwhash(key.p, key.n, passphrase.p, passphrase.n, str_u8(salt), ops,
		       (size_t)mem_kib * 1024, crypto_pwhash_ALG_ARGON2ID13) == 0, ERR_UNAVAILABLE);
	*out_key = key;
	key = (secret_t){ 0 };
	return OK;
}

MUST err_t crypto_pw_seal(arena_t *a, str_t passphrase, str_t plain, str_t *out_sealed)
{
	AUTO(secret_done) secret_t key = { 0 };
	AUTO(buf_done) buf_t head = { 0 };
	uint8_t salt[PW_SALT_BYTES];
	str_t body;

	ENSURE(plain.n <= CRYPTO_PW_PLAIN_BYTES_MAX, ERR_LIMIT);
	crypto_random(salt, sizeof salt);
	buf_init(&head, PW_HEAD_BYTES);
	buf_add(&head, PW_LABEL);
	wr_u32be(&head, CRYPTO_PW_OPS);
	wr_u32be(&head, CRYPTO_PW_MEM_KIB);
	buf_add(&head, str_bytes(salt, sizeof salt));
	TRY(buf_err(&head));

	TRY(pw_derive(passphrase, CRYPTO_PW_OPS, CRYPTO_PW_MEM_KIB, str_bytes(salt, sizeof salt), &key));
	TRY(crypto_seal(a, secret_peek(&key), buf_str(&head), plain, &body));
	*out_sealed = arena_cat(a, buf_str(&head), body);
	return OK;
}

MUST err_t crypto_pw_open(str_t passphrase, str_t sealed, secret_t *out_plain)
{
	AUTO(secret_done) secret_t key = { 0 };
	rd_t r = rd_of(sealed);
	uint32_t ops = 0, mem_kib = 0;
	str_t salt, body;

	ENSURE(rd_lit(&r, PW_LABEL) == OK, ERR_CRYPTO);
	ENSURE(rd_u32be(&r, &ops) == OK && rd_u32be(&r, &mem_kib) == OK, ERR_CRYPTO);
	ENSURE(rd_bytes(&r, PW_SALT_BYTES, &salt) == OK, ERR_CRYPTO);
	ENSURE(ops >= crypto_pwhash_argon2id_OPSLIMIT_MIN && ops <= CRYPTO_PW_OPS_MAX, ERR_LIMIT);
	ENSURE(mem_kib >= crypto_pwhash_argon2id_MEMLIMIT_MIN / 1024 && mem_kib <= CRYPTO_PW_MEM_KIB_MAX,
		ERR_LIMIT);
	TRY(rd_rest(&r, CRYPTO_PW_PLAIN_BYTES_MAX + CRYPTO_SEAL_OVERHEAD, &body));

	TRY(pw_derive(passphrase, ops, mem_kib, salt, &key));
	return crypto_open(secret_peek(&key), str_sub(sealed, 0, PW_HEAD_BYTES), body, out_plain);
}
