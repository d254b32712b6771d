/* nonce.c: server nonces that need no memory (RFC 9449 8): time, and a mac that says it was ours. */
#include "pure/jose/jose_int.h"

enum { NONCE_TIME_BYTES = 8, NONCE_MAC_BYTES = 16, NONCE_BYTES = NONCE_TIME_BYTES + NONCE_MAC_BYTES };

/* time || first half of HMAC-SHA-256(key, label || 00 || time): 128 bits stop guessing. */
static void nonce_bytes(str_t key32, int64_t unix_s, uint8_t out[NONCE_BYTES])
{
	uint8_t mac[32];

	CHECK(key32.n == 32 && unix_s >= 0);
	for (int i = 0; i < NONCE_TIME_BYTES; i++) {
		out[i] = (uint8_t)((uint64_t)unix_s >> (56 - 8 * i));
	}
	const str_t parts[] = { STR("attorn-nonce/1\0"), str_bytes(out, NONCE_TIME_BYTES) };
	crypto_hmac_sha256(key32, parts, ARRAY_LEN(parts), mac);
	memcpy(out + NONCE_TIME_BYTES, mac, NONCE_MAC_BYTES);
}

str_t jose_nonce_make(arena_t *a, str_t key32, int64_t now_unix_s)
{
	uint8_t nonce[NONCE_BYTES];

	nonce_bytes(key32, now_unix_s, nonce);
	return b64url_enc(a, str_bytes(nonce, sizeof nonce));
}

MUST err_t jose_nonce_check(str_t key32, str_t nonce, int64_t now_unix_s, int32_t max_age_s)
{
	uint8_t given[NONCE_BYTES], ours[NONCE_BYTES];
	uint64_t made = 0;

	CHECK(now_unix_s > 0 && max_age_s >= 0);
	ENSURE(b64url_dec_exact(nonce, given, sizeof given) == OK, ERR_NONCE);
	rd_t r = rd_of(str_bytes(given, sizeof given));
	TRY(rd_u64be(&r, &made));
	ENSURE(made <= (uint64_t)now_unix_s, ERR_NONCE); /* from the future: not ours, or our clock jumped */
	ENSURE((uint64_t)now_unix_s - made <= (uint64_t)max_age_s, ERR_NONCE);
	nonce_bytes(key32, (int64_t)made, ours);
	ENSURE(ct_eq(given, ours, sizeof given), ERR_NONCE);
	return OK;
}
