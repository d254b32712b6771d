/* calls.c: the blocking calls, one per request of the table. */
#include "engine/signer/client_int.h"

static err_t ask_for_nothing(signer_client_t *c, wire_op_t op, str_t body)
{
	AUTO(buf_done) buf_t answer = { 0 };

	TRY(client_ask(c, op, body, &answer));
	return answer.n == 0 ? OK : ERR_INTERNAL;
}

static err_t key_read(rd_t *r, signer_key_t *out)
{
	signer_key_t k;
	uint64_t created_s;
	uint8_t kind;
	uint16_t n;
	str_t spki;

	TRY(rd_byte(r, &kind));
	TRY(rd_u64be(r, &created_s));
	TRY(wire_kid_read(r, k.kid));
	TRY(rd_u16be(r, &n));
	TRY(rd_bytes(r, n, &spki));
	TRY(crypto_pub_from_spki(spki, &k.pub));
	ENSURE(kind >= SIGNER_X509 && kind < SIGNER_KIND_COUNT_, ERR_INTERNAL);
	k.kind = kind;
	k.created_s = (int64_t)created_s;
	*out = k;
	return OK;
}

err_t signer_client_keys(signer_client_t *c, arena_t *a, signer_key_t **out, size_t *out_n)
{
	signer_key_t *keys = arena_array(a, signer_key_t, SIGNER_KEYS_USABLE_MAX);
	AUTO(buf_done) buf_t answer = { 0 };
	size_t n = 0;

	TRY(client_ask(c, WIRE_KEYS, STR(""), &answer));
	for (rd_t r = rd_of(buf_str(&answer)); !rd_empty(&r); n++) {
		ENSURE(n < SIGNER_KEYS_USABLE_MAX, ERR_INTERNAL);
		TRY(key_read(&r, &keys[n]));
	}
	*out = keys;
	*out_n = n;
	return OK;
}

err_t signer_client_make(signer_client_t *c, signer_kind_t kind, int64_t now_s, signer_key_t *out)
{
	AUTO(buf_done) buf_t body = { 0 };
	AUTO(buf_done) buf_t answer = { 0 };

	buf_init(&body, 16);
	wr_u8(&body, (uint8_t)kind);
	wr_u64be(&body, (uint64_t)now_s);
	TRY(client_ask(c, WIRE_MAKE, buf_str(&body), &answer));
	rd_t r = rd_of(buf_str(&answer));
	return key_read(&r, out);
}

err_t signer_client_sign(signer_client_t *c, str_t kid, uint64_t number, str_t message,
	uint8_t out[SIGNER_SIGNATURE_BYTES])
{
	AUTO(buf_done) buf_t body = { 0 };
	AUTO(buf_done) buf_t answer = { 0 };

	TRY(client_sign_body(&body, kid, number, message));
	TRY(client_ask(c, WIRE_SIGN, buf_str(&body), &answer));
	ENSURE(answer.n == SIGNER_SIGNATURE_BYTES, ERR_INTERNAL);
	memcpy(out, answer.p, answer.n);
	return OK;
}

err_t signer_client_drop(signer_client_t *c, str_t kid)
{
	return ask_for_nothing(c, WIRE_DROP, kid);
}

err_t signer_client_heads(signer_client_t *c, arena_t *a, signer_head_t **out, size_t *out_n)
{
	signer_head_t *heads = arena_array(a, signer_head_t, SIGNER_KEYS_USABLE_MAX);
	AUTO(buf_done) buf_t answer = { 0 };
	size_t n = 0;

	TRY(client_ask(c, WIRE_HEADS, STR(""), &answer));
	for (rd_t r = rd_of(buf_str(&answer)); !rd_empty(&r); n++) {
		str_t digest;

		ENSURE(n < SIGNER_KEYS_USABLE_MAX, ERR_INTERNAL);
		TRY(wire_kid_read(&r, heads[n].kid));
		TRY(rd_u64be(&r, &heads[n].count));
		TRY(rd_u64be(&r, &heads[n].highest));
		TRY(rd_bytes(&r, sizeof(heads[n].digest), &digest));
		memcpy(heads[n].digest, digest.p, digest.n);
	}
	*out = heads;
	*out_n = n;
	return OK;
}

static err_t kid_and_number(signer_client_t *c, wire_op_t op, str_t kid, uint64_t number, buf_t *answer)
{
	AUTO(buf_done) buf_t body = { 0 };

	buf_init(&body, SIGNER_KID_BYTES + 8);
	buf_add(&body, kid);
	wr_u64be(&body, number);
	TRY(buf_err(&body));
	return client_ask(c, op, buf_str(&body), answer);
}

err_t signer_client_list(signer_client_t *c, arena_t *a, str_t kid, uint64_t from, signer_entry_t **out,
	size_t *out_n)
{
	AUTO(buf_done) buf_t answer = { 0 };

	TRY(kid_and_number(c, WIRE_LIST, kid, from, &answer));
	size_t n = answer.n / WIRE_ENTRY_BYTES;
	rd_t r = rd_of(buf_str(&answer));
	ENSURE(n <= SIGNER_LIST_PAGE && n * WIRE_ENTRY_BYTES == answer.n, ERR_INTERNAL);
	signer_entry_t *entries = arena_array(a, signer_entry_t, n);
	for (size_t i = 0; i < n; i++) {
		TRY(wire_entry_read(&r, &entries[i]));
	}
	*out = entries;
	*out_n = n;
	return OK;
}

err_t signer_client_raise(signer_client_t *c, str_t kid, uint64_t number)
{
	AUTO(buf_done) buf_t answer = { 0 };

	return kid_and_number(c, WIRE_RAISE, kid, number, &answer);
}

err_t signer_client_status(signer_client_t *c, signer_status_t *out)
{
	AUTO(buf_done) buf_t answer = { 0 };
	signer_status_t status;
	uint8_t kek, seccomp, landlock, locked;

	TRY(client_ask(c, WIRE_STATUS, STR(""), &answer));
	rd_t r = rd_of(buf_str(&answer));
	TRY(rd_byte(&r, &kek));
	TRY(rd_byte(&r, &seccomp));
	TRY(rd_byte(&r, &landlock));
	TRY(rd_byte(&r, &locked));
	TRY(rd_u32be(&r, &status.keys));
	ENSURE(kek >= SIGNER_KEK_CREDENTIAL && kek <= SIGNER_KEK_FILE, ERR_INTERNAL);
	status.kek = kek;
	status.seccomp = seccomp;
	status.landlock = landlock;
	status.memory_locked = locked;
	*out = status;
	return OK;
}
