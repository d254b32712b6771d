/* signer: whatever datagram comes, no answer is given for what is not of its key's form, no number is signed
 * twice, and every signature stands on its key's list. The input is a sequence of requests in short form, so
 * that they are about keys that exist:
 *     op | key 0..3 | u16 number | length | that many bytes of message (0xff: the key's good message)
 * and, after a byte 0xee, raw bytes as a datagram. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/signer/client.h"
#include "engine/signer/signer.h"
#include "pure/codec/codec.h"

#include <dirent.h>

enum { KEYS = 4, NUMBERS = 1 << 16 };

static char dir[64];

typedef struct {
	signer_t *s;
	signer_client_t *c;
	signer_key_t key[KEYS];
	bool used[KEYS][NUMBERS];
	uint64_t count[KEYS];
	uint64_t base; /* numbers of this run are above those of the runs before */
} world_t;

static void remove_all(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];

	while (d && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(dir);
}

static world_t *world(void)
{
	static world_t *w;
	diag_t diag;

	if (w) {
		return w;
	}
	CHECK(crypto_init() == OK);
	w = heap_new(world_t);
	snprintf(dir, sizeof(dir), "/tmp/fuzz-signer-XXXXXX");
	CHECK(mkdtemp(dir));
	atexit(remove_all);
	CHECK(signer_open(&(signer_options_t){ .dir = dir }, &w->s, &diag) == OK);
	w->c = signer_client_local(signer_ask, w->s);
	for (int i = 0; i < KEYS; i++) {
		CHECK(signer_client_make(w->c, (signer_kind_t)(i + 1), 1, &w->key[i]) == OK);
	}
	return w;
}

static str_t jws(arena_t *a, const signer_key_t *k, const char *typ)
{
	str_t header = arena_printf(a, "{\"typ\":\"%s\",\"alg\":\"%.*s\",\"kid\":\"%s\"}", typ,
		STR_ARG(crypto_alg_name(crypto_alg_for(k->pub.kind))), k->kid);
	str_t claims = STR("{\"sub\":\"spiffe://example.test/a\",\"aud\":\"b\"}");

	return arena_cat(a, b64url_enc(a, header), STR("."), b64url_enc(a, claims));
}

static str_t good_message(arena_t *a, const signer_key_t *k)
{
	static const uint8_t tbs[] = { 0x30, 0x23, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x05, 0x30, 0x0a, 0x06, 0x08,
		0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x30, 0x01, 0x00, 0x30, 0x01, 0x00, 0x30, 0x01, 0x00, 0x30,
		0x01, 0x00, 0xa3, 0x01, 0x00 };

	return k->kind == SIGNER_X509   ? str_bytes(tbs, sizeof(tbs))
		: k->kind == SIGNER_JWT ? jws(a, k, "JWT")
		: k->kind == SIGNER_TOKEN
		? jws(a, k, "at+jwt")
		: STR("example.test/ledger\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
}

static void sign_one(world_t *w, int i, uint16_t number, str_t message)
{
	uint8_t sig[SIGNER_SIGNATURE_BYTES];
	signer_key_t *k = &w->key[i];
	err_t e = signer_client_sign(w->c, str_of(k->kid), w->base + number, message, sig);

	if (e == OK) {
		CHECK(!w->used[i][number]);
		CHECK(crypto_verify(&k->pub, crypto_alg_for(k->pub.kind), message, str_bytes(sig, sizeof(sig))) == OK);
		w->used[i][number] = true;
		w->count[i]++;
	}
}

static err_t step(world_t *w, arena_t *a, rd_t *r)
{
	uint8_t op, i, n;
	uint16_t number;
	str_t message;
	signer_entry_t *list;
	size_t n_list;

	TRY(rd_byte(r, &op));
	TRY(rd_byte(r, &i));
	TRY(rd_u16be(r, &number));
	TRY(rd_byte(r, &n));
	i %= KEYS;
	if (n == 0xff) {
		message = good_message(a, &w->key[i]);
	} else {
		TRY(rd_bytes(r, n, &message));
	}
	if (op % 4 == 1) {
		return signer_client_list(w->c, a, str_of(w->key[i].kid), number, &list, &n_list);
	}
	sign_one(w, i, number, message);
	return OK;
}

/* The lists hold exactly what was signed. */
static void lists_check(world_t *w, arena_t *a)
{
	signer_head_t *heads;
	size_t n;

	CHECK(signer_client_heads(w->c, a, &heads, &n) == OK && n >= KEYS);
	for (size_t h = 0; h < n; h++) {
		for (int i = 0; i < KEYS; i++) {
			CHECK(!str_eq(str_of(heads[h].kid), str_of(w->key[i].kid)) || heads[h].count == w->count[i]);
		}
	}
}

static void hear_nothing(void *to, str_t datagram)
{
	(void)to, (void)datagram;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_open();
	world_t *w = world();
	str_t raw = str_bytes(data, size);

	if (size && data[0] == 0xee) {
		(void)!signer_take(w->s, str_sub(raw, 1, size), hear_nothing, NULL);
		signer_flush(w->s, hear_nothing, NULL);
		return 0;
	}
	memset(w->used, 0, sizeof(w->used));
	w->base += NUMBERS;
	for (rd_t r = rd_of(raw); step(w, a, &r) == OK;) {
	}
	lists_check(w, a);
	return 0;
}
