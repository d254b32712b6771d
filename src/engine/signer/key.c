/* key.c: one file per key, KID.key: who it is in the clear, the private half sealed under the KEK and bound to
 * all that stands before it.
 *     "attorn-key/1" | kek id 8 | u8 kind | u8 dropped | u64 created_s | u16 n | SPKI | u16 n | sealed
 * The list is made first: a key without its list never signs. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/signer/signer_int.h"
#include "pure/jose/jose.h"

static const str_t label = STR_INIT("attorn-key/1");

void key_kek_id(str_t kek, uint8_t out[KEK_ID_BYTES])
{
	const str_t part = STR("attorn-signer-kek/1 id");
	uint8_t mac[32];

	crypto_hmac_sha256(kek, &part, 1, mac);
	memcpy(out, mac, KEK_ID_BYTES);
}

static void name_of(const char *kid, char out[64])
{
	snprintf(out, 64, "%s.key", kid);
}

typedef struct {
	uint8_t kek_id[KEK_ID_BYTES];
	uint8_t kind, dropped;
	uint64_t created_s;
	str_t spki, head, sealed; /* head: all before the sealed part */
} file_t;

static err_t file_parse(str_t bytes, file_t *out)
{
	rd_t r = rd_of(bytes);
	file_t f;
	uint16_t n;
	str_t id;

	TRY(rd_lit(&r, label));
	TRY(rd_bytes(&r, KEK_ID_BYTES, &id));
	memcpy(f.kek_id, id.p, KEK_ID_BYTES);
	TRY(rd_byte(&r, &f.kind));
	TRY(rd_byte(&r, &f.dropped));
	TRY(rd_u64be(&r, &f.created_s));
	TRY(rd_u16be(&r, &n));
	TRY(rd_bytes(&r, n, &f.spki));
	f.head = str_bytes(bytes.p, (size_t)(r.p - bytes.p));
	TRY(rd_u16be(&r, &n));
	TRY(rd_bytes(&r, n, &f.sealed));
	TRY(rd_end(&r));
	ENSURE(f.kind >= SIGNER_X509 && f.kind < SIGNER_KIND_COUNT_ && f.dropped <= 1, ERR_VALUE);
	*out = f;
	return OK;
}

static crypto_kind_t crypto_kind_of(signer_kind_t kind)
{
	return kind == SIGNER_TOKEN || kind == SIGNER_LEDGER ? CRYPTO_KEY_ED25519 : CRYPTO_KEY_P256;
}

static err_t file_write(int dir, str_t kek, const skey_t *k)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_done) buf_t b = { 0 };
	uint8_t id[KEK_ID_BYTES];
	str_t spki, sealed;
	char name[64];

	key_kek_id(kek, id);
	TRY(crypto_pub_to_spki(a, &k->pub, &spki));
	buf_init(&b, SIGNER_KEY_FILE_BYTES_MAX);
	buf_add(&b, label);
	buf_add(&b, str_bytes(id, sizeof(id)));
	wr_u8(&b, (uint8_t)k->kind);
	wr_u8(&b, k->key ? 0 : 1);
	wr_u64be(&b, (uint64_t)k->created_s);
	wr_u16be(&b, (uint16_t)spki.n);
	buf_add(&b, spki);
	/* of a dropped key nothing is sealed, but what stands before it is bound all the same */
	TRY(crypto_seal(a, kek, buf_str(&b), k->key ? crypto_key_peek_secret(k->key) : STR(""), &sealed));
	wr_u16be(&b, (uint16_t)sealed.n);
	buf_add(&b, sealed);
	TRY(buf_err(&b));
	name_of(k->kid, name);
	return file_replace(dir, name, buf_str(&b));
}

void key_free(skey_t *k)
{
	if (!k) {
		return;
	}
	crypto_key_free(k->key);
	list_close(&k->list);
	heap_free(k);
}

static skey_t *key_new(void)
{
	skey_t *k = heap_new(skey_t);

	k->list.fd = -1;
	return k;
}

static void kid_set(skey_t *k)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t jkt = jose_jkt(a, &k->pub);

	CHECK(jkt.n == SIGNER_KID_BYTES);
	memcpy(k->kid, jkt.p, jkt.n);
}

err_t key_make(int dir, str_t kek, signer_kind_t kind, int64_t created_s, skey_t **out)
{
	AUTO(key_free) skey_t *k = key_new();

	k->kind = kind;
	k->created_s = created_s;
	TRY(crypto_key_generate(crypto_kind_of(kind), &k->key));
	k->pub = *crypto_key_pub(k->key);
	kid_set(k);
	TRY(list_make(dir, k->kid, &k->list));
	SIGNER_POINT("signer.make.before_key");
	TRY(file_write(dir, kek, k));
	SIGNER_POINT("signer.make.after_key");
	number_begin(k);
	*out = TAKE(k);
	return OK;
}

err_t key_file_kek_id(int dir, const char *kid, uint8_t out[KEK_ID_BYTES])
{
	AUTO(secret_done) secret_t bytes = { 0 };
	char name[64];
	file_t f;

	name_of(kid, name);
	TRY(file_read(dir, name, SIGNER_KEY_FILE_BYTES_MAX, &bytes));
	ENSURE(file_parse(secret_peek(&bytes), &f) == OK, ERR_CRYPTO);
	memcpy(out, f.kek_id, KEK_ID_BYTES);
	return OK;
}

/* The private half belongs to the public one, and both to the file's name. */
static err_t secret_open(str_t kek, const file_t *f, skey_t *k)
{
	AUTO(secret_done) secret_t secret = { 0 };

	TRY(crypto_open(kek, f->head, f->sealed, &secret));
	TRY(crypto_key_from_secret(k->pub.kind, secret_peek(&secret), &k->key));
	return crypto_pub_eq(crypto_key_pub(k->key), &k->pub) ? OK : ERR_CRYPTO;
}

static err_t nothing_open(str_t kek, const file_t *f)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t nothing;

	TRY(crypto_open_arena(a, kek, f->head, f->sealed, &nothing));
	return nothing.n == 0 ? OK : ERR_CRYPTO;
}

static err_t key_read(str_t kek, const char *kid, const file_t *f, skey_t *k)
{
	k->kind = f->kind;
	k->created_s = (int64_t)f->created_s;
	ENSURE(crypto_pub_from_spki(f->spki, &k->pub) == OK, ERR_CRYPTO);
	ENSURE(k->pub.kind == crypto_kind_of(k->kind), ERR_CRYPTO);
	kid_set(k);
	ENSURE(str_eq(str_of(k->kid), str_of(kid)), ERR_CRYPTO);
	return f->dropped ? nothing_open(kek, f) : secret_open(kek, f, k);
}

err_t key_open(int dir, str_t kek, const char *kid, skey_t **out)
{
	AUTO(secret_done) secret_t bytes = { 0 };
	AUTO(key_free) skey_t *k = key_new();
	char name[64];
	file_t f;

	name_of(kid, name);
	TRY(file_read(dir, name, SIGNER_KEY_FILE_BYTES_MAX, &bytes));
	ENSURE(file_parse(secret_peek(&bytes), &f) == OK, ERR_CRYPTO);
	TRY(key_read(kek, kid, &f, k));
	if (k->key) { /* a dropped key's list is opened when somebody reads it */
		TRY(list_open(dir, k->kid, &k->list));
		number_begin(k);
	}
	*out = TAKE(k);
	return OK;
}

err_t key_drop(int dir, str_t kek, skey_t *k)
{
	crypto_key_t *key = TAKE(k->key);
	err_t e = list_sync(&k->list);

	e = e == OK ? file_write(dir, kek, k) : e;
	if (e != OK) {
		k->key = key; /* on disk it still is */
		return e;
	}
	crypto_key_free(key);
	list_close(&k->list);
	return OK;
}
