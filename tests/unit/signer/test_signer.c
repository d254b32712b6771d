/* The signer by its requests, in a directory of its own: what it makes survives, what it must refuse it
 * refuses, and nothing it signs is missing from its list. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/signer/client.h"
#include "engine/signer/signer.h"
#include "pure/codec/codec.h"
#include "pure/jose/jose.h"

#include <dirent.h>
#include <sys/socket.h>

typedef struct {
	char dir[64];
	signer_options_t o;
	signer_t *s;
	signer_client_t *c;
	arena_t *a;
} world_t;

static void world_start(world_t *w)
{
	diag_t diag = { 0 };

	if (signer_open(&w->o, &w->s, &diag) != OK) {
		fail_msg("signer: %s", diag.text);
	}
	w->c = signer_client_local(signer_ask, w->s);
}

static void world_stop(world_t *w)
{
	signer_client_free(TAKE(w->c));
	signer_free(TAKE(w->s));
}

static int world_open(void **state)
{
	world_t *w = heap_new(world_t);

	assert_int_equal(crypto_init(), OK);
	snprintf(w->dir, sizeof(w->dir), "signer-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->o.dir = w->dir;
	w->a = arena_new_capped(16 << 20);
	world_start(w);
	*state = w;
	return 0;
}

static void each_file(const char *dir, void (*fn)(const char *path))
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];

	while (d && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.') {
			fn(path);
		}
	}
	closedir(d);
}

static void remove_file(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static int world_close(void **state)
{
	world_t *w = *state;

	world_stop(w);
	each_file(w->dir, remove_file);
	assert_int_equal(rmdir(w->dir), 0);
	arena_free(w->a);
	heap_free(w);
	return 0;
}

static str_t kid_of(const signer_key_t *k)
{
	return str_of(k->kid);
}

static signer_key_t make(world_t *w, signer_kind_t kind)
{
	signer_key_t k;

	assert_int_equal(signer_client_make(w->c, kind, 1800000000, &k), OK);
	return k;
}

static str_t jws(world_t *w, const char *typ, const char *alg, const char *kid, const char *payload)
{
	str_t header = arena_printf(w->a, "{\"typ\":\"%s\",\"alg\":\"%s\",\"kid\":\"%s\"}", typ, alg, kid);

	return arena_cat(w->a, b64url_enc(w->a, header), STR("."), b64url_enc(w->a, str_of(payload)));
}

static str_t token(world_t *w, const signer_key_t *k, int i)
{
	return jws(w, "at+jwt", "EdDSA", k->kid, arena_printf(w->a, "{\"jti\":\"%d\"}", i).p);
}

static str_t head_text(world_t *w, int size)
{
	return arena_printf(w->a, "example.test/ledger\n%d\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", size);
}

static err_t sign(world_t *w, const signer_key_t *k, uint64_t n, str_t message)
{
	uint8_t sig[SIGNER_SIGNATURE_BYTES];
	err_t e = signer_client_sign(w->c, kid_of(k), n, message, sig);

	if (e == OK) {
		assert_int_equal(crypto_verify(&k->pub, crypto_alg_for(k->pub.kind), message, str_bytes(sig, sizeof(sig))), OK);
	}
	return e;
}

static signer_head_t head_of(world_t *w, const signer_key_t *k)
{
	signer_head_t *heads;
	size_t n;

	assert_int_equal(signer_client_heads(w->c, w->a, &heads, &n), OK);
	for (size_t i = 0; i < n; i++) {
		if (str_eq(str_of(heads[i].kid), kid_of(k))) {
			return heads[i];
		}
	}
	fail_msg("no head");
	return heads[0];
}

/* ---- keys ---- */

static void keys_survive(void **state)
{
	world_t *w = *state;
	signer_key_t made[4] = { make(w, SIGNER_TOKEN), make(w, SIGNER_LEDGER), make(w, SIGNER_X509), make(w, SIGNER_JWT) };
	signer_key_t *keys;
	signer_status_t status;
	size_t n;

	assert_int_equal(made[0].pub.kind, CRYPTO_KEY_ED25519);
	assert_int_equal(made[2].pub.kind, CRYPTO_KEY_P256);
	assert_true(str_eq(jose_jkt(w->a, &made[3].pub), kid_of(&made[3])));
	world_stop(w);
	world_start(w);
	assert_int_equal(signer_client_keys(w->c, w->a, &keys, &n), OK);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++) {
		bool found = false;
		for (size_t k = 0; k < 4; k++) {
			found = found || (str_eq(kid_of(&made[k]), kid_of(&keys[i])) && made[k].kind == keys[i].kind &&
				crypto_pub_eq(&made[k].pub, &keys[i].pub));
		}
		assert_true(found);
	}
	assert_int_equal(signer_client_status(w->c, &status), OK);
	assert_int_equal(status.kek, SIGNER_KEK_FILE);
	assert_int_equal(status.keys, 4);
	assert_false(status.seccomp);
}

static void files_are_private(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void nothing_is_readable_and_no_seed_on_disk(void **state)
{
	world_t *w = *state;

	make(w, SIGNER_TOKEN);
	each_file(w->dir, files_are_private);
}

static void dropped(void **state)
{
	world_t *w = *state;
	signer_key_t k = make(w, SIGNER_TOKEN), log = make(w, SIGNER_LEDGER);
	signer_entry_t *list;
	size_t n;

	assert_int_equal(sign(w, &k, 1, token(w, &k, 1)), OK);
	assert_int_equal(signer_client_drop(w->c, kid_of(&log)), ERR_DENIED);
	assert_int_equal(signer_client_drop(w->c, kid_of(&k)), OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sign(w, &k, 2, token(w, &k, 2)), ERR_NOT_FOUND);
		assert_int_equal(signer_client_drop(w->c, kid_of(&k)), ERR_NOT_FOUND);
		assert_int_equal(signer_client_list(w->c, w->a, kid_of(&k), 0, &list, &n), OK);
		assert_int_equal(n, 1);
		world_stop(w);
		world_start(w);
	}
}

static void too_many_keys(void **state)
{
	world_t *w = *state;
	signer_key_t k;

	for (int i = 0; i < SIGNER_KEYS_USABLE_MAX; i++) {
		k = make(w, SIGNER_TOKEN);
	}
	assert_int_equal(signer_client_make(w->c, SIGNER_TOKEN, 1, &k), ERR_LIMIT);
	assert_int_equal(signer_client_drop(w->c, kid_of(&k)), OK);
	make(w, SIGNER_TOKEN);
}

/* ---- numbers ---- */

static void no_number_twice(void **state)
{
	world_t *w = *state;
	signer_key_t k = make(w, SIGNER_TOKEN);

	assert_int_equal(sign(w, &k, 0, token(w, &k, 0)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, SIGNER_NUMBER_MAX + 1, token(w, &k, 0)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, 1, token(w, &k, 1)), OK);
	assert_int_equal(sign(w, &k, 1, token(w, &k, 1)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, 5, token(w, &k, 5)), OK);
	assert_int_equal(sign(w, &k, 3, token(w, &k, 3)), OK); /* overtaken, not used */
	assert_int_equal(sign(w, &k, 3, token(w, &k, 3)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, 5 + SIGNER_NUMBER_WINDOW, token(w, &k, 6)), OK);
	assert_int_equal(sign(w, &k, 4, token(w, &k, 4)), ERR_REPLAY); /* too far behind to tell */
	assert_int_equal(sign(w, &k, 5, token(w, &k, 4)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, 6, token(w, &k, 4)), OK);
	assert_int_equal(sign(w, &k, 6, token(w, &k, 4)), ERR_REPLAY);
	world_stop(w);
	world_start(w); /* who was in flight is gone: nothing below the highest is signed */
	assert_int_equal(sign(w, &k, 7, token(w, &k, 7)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, 5 + SIGNER_NUMBER_WINDOW, token(w, &k, 7)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, 6 + SIGNER_NUMBER_WINDOW, token(w, &k, 7)), OK);
}

static void raised(void **state)
{
	world_t *w = *state;
	signer_key_t k = make(w, SIGNER_TOKEN);

	assert_int_equal(signer_client_raise(w->c, kid_of(&k), 100), OK);
	assert_int_equal(signer_client_raise(w->c, kid_of(&k), 50), OK); /* never down */
	assert_int_equal(sign(w, &k, 100, token(w, &k, 1)), ERR_REPLAY);
	assert_int_equal(sign(w, &k, 101, token(w, &k, 1)), OK);
	assert_int_equal(signer_client_raise(w->c, kid_of(&k), 200), ERR_CLOSED); /* only before the first signature */
	assert_int_equal(head_of(w, &k).highest, 101);
}

/* ---- forms ---- */

static const uint8_t tbs[] = { 0x30, 0x23, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x05, 0x30, 0x0a, 0x06, 0x08,
	0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x30, 0x01, 0x00, 0x30, 0x01, 0x00, 0x30, 0x01, 0x00, 0x30, 0x01,
	0x00, 0xa3, 0x01, 0x00 };

static void only_the_form_of_its_kind(void **state)
{
	world_t *w = *state;
	signer_key_t t = make(w, SIGNER_TOKEN), l = make(w, SIGNER_LEDGER), x = make(w, SIGNER_X509), j = make(w, SIGNER_JWT);
	const char *claims = "{\"sub\":\"spiffe://example.test/a\",\"aud\":[\"b\"],\"exp\":1}";
	str_t good[] = { token(w, &t, 1), head_text(w, 7), str_bytes(tbs, sizeof(tbs)), jws(w, "JWT", "ES256", j.kid, claims) };
	signer_key_t keys[] = { t, l, x, j };

	for (size_t k = 0; k < 4; k++) {
		for (size_t m = 0; m < 4; m++) {
			assert_int_equal(sign(w, &keys[k], 1, good[m]), k == m ? OK : ERR_VALUE);
		}
	}
}

static void bad_forms(void **state)
{
	world_t *w = *state;
	signer_key_t t = make(w, SIGNER_TOKEN), l = make(w, SIGNER_LEDGER), x = make(w, SIGNER_X509), j = make(w, SIGNER_JWT);
	str_t ok = token(w, &t, 1);

	assert_int_equal(sign(w, &t, 1, jws(w, "JWT", "EdDSA", t.kid, "{}")), ERR_VALUE);
	assert_int_equal(sign(w, &t, 1, jws(w, "at+jwt", "ES256", t.kid, "{}")), ERR_VALUE);
	assert_int_equal(sign(w, &t, 1, jws(w, "at+jwt", "EdDSA", l.kid, "{}")), ERR_VALUE); /* another's name */
	assert_int_equal(sign(w, &t, 1, arena_cat(w->a, ok, STR(".x"))), ERR_VALUE);
	assert_int_equal(sign(w, &t, 1, str_sub(ok, 0, str_find(ok, '.'))), ERR_VALUE);
	assert_int_equal(sign(w, &t, 1, arena_cat(w->a, str_sub(ok, 0, str_find(ok, '.')), STR("."))), ERR_VALUE);
	assert_int_equal(sign(w, &j, 1, jws(w, "JWT", "ES256", j.kid, "{\"sub\":\"spiffe://a/b\"}")), ERR_VALUE);
	assert_int_equal(sign(w, &j, 1, jws(w, "JWT", "ES256", j.kid, "{\"sub\":\"x\",\"aud\":\"b\"}")), ERR_VALUE);
	assert_int_equal(sign(w, &j, 1, jws(w, "JWT", "ES256", j.kid, "{\"sub\":\"spiffe://a/b\",\"aud\":[]}")), ERR_VALUE);
	assert_int_equal(sign(w, &l, 1, STR("example.test/ledger\n7\n")), ERR_VALUE);
	for (size_t i = 0; i < sizeof(tbs); i++) { /* cut anywhere, or with a byte more */
		assert_int_equal(sign(w, &x, 1, i ? str_bytes(tbs, i) : STR("x")), ERR_VALUE);
	}
	assert_int_equal(sign(w, &x, 1, arena_cat(w->a, str_bytes(tbs, sizeof(tbs)), STR("x"))), ERR_VALUE);
	assert_int_equal(sign(w, &t, 1, ok), OK); /* a refusal uses no number */
	assert_int_equal(head_of(w, &l).count, 0);
	assert_int_equal(head_of(w, &x).count, 0);
}

/* ---- the list ---- */

static void list_check(world_t *w, const signer_key_t *k, uint64_t count)
{
	uint8_t digest[32], want[32];
	signer_head_t head = head_of(w, k);
	signer_entry_t *e;
	uint64_t at = 0;
	size_t n;

	signer_chain_begin(kid_of(k), digest);
	do {
		assert_int_equal(signer_client_list(w->c, w->a, kid_of(k), at, &e, &n), OK);
		for (size_t i = 0; i < n; i++, at++) {
			crypto_sha256(token(w, k, (int)at + 1), want);
			assert_int_equal(e[i].number, at + 1);
			assert_memory_equal(e[i].digest, want, 32);
			signer_chain_add(digest, &e[i]);
		}
	} while (n);
	assert_int_equal(at, count);
	assert_int_equal(head.count, count);
	assert_int_equal(head.highest, count);
	assert_memory_equal(head.digest, digest, 32);
}

static void list_holds_all(void **state)
{
	world_t *w = *state;
	signer_key_t k = make(w, SIGNER_TOKEN);
	static const int stops[] = { 1, 2, 254, 255, 256, 257, 510, 511, 765, 1100 };
	int n = 0;

	list_check(w, &k, 0);
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		for (; n < stops[i]; n++) {
			assert_int_equal(sign(w, &k, (uint64_t)n + 1, token(w, &k, n + 1)), OK);
		}
		world_stop(w);
		world_start(w);
		list_check(w, &k, (uint64_t)n);
	}
}

static off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void torn_tail(void **state)
{
	world_t *w = *state;
	signer_key_t k = make(w, SIGNER_TOKEN);
	static const struct {
		off_t bytes;
		uint64_t left;
	} cuts[] = { { 258 * 40 - 1, 255 }, { 256 * 40, 255 }, { 256 * 40 - 39, 254 } };
	char path[200];

	snprintf(path, sizeof(path), "%s/%s.list", w->dir, k.kid);
	for (int n = 0; n < 256; n++) {
		assert_int_equal(sign(w, &k, (uint64_t)n + 1, token(w, &k, n + 1)), OK);
	}
	assert_int_equal(size_of(path), 258 * 40); /* 256 entries, two headers */
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		world_stop(w);
		assert_int_equal(truncate(path, cuts[i].bytes), 0);
		world_start(w);
		list_check(w, &k, cuts[i].left);
	}
	assert_int_equal(sign(w, &k, 255, token(w, &k, 255)), OK);
	list_check(w, &k, 255);
}

static void anothers_list(void **state)
{
	world_t *w = *state;
	signer_key_t k = make(w, SIGNER_TOKEN), other = make(w, SIGNER_TOKEN);
	char from[200], to[200];
	signer_t *s;
	diag_t diag = { 0 };

	world_stop(w);
	snprintf(from, sizeof(from), "%s/%s.list", w->dir, k.kid);
	snprintf(to, sizeof(to), "%s/%s.list", w->dir, other.kid);
	assert_int_equal(rename(from, to), 0);
	assert_int_not_equal(signer_open(&w->o, &s, &diag), OK);
	assert_true(diag.text[0]);
	assert_int_equal(unlink(to), 0);
	assert_int_not_equal(signer_open(&w->o, &s, &diag), OK); /* a key without its list signs nothing */
	each_file(w->dir, remove_file);
	world_start(w);
}

/* ---- sealed at rest ---- */

static void flip(const char *path, long at)
{
	int fd = open(path, O_RDWR);
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void a_changed_key_file_does_not_open(void **state)
{
	world_t *w = *state;
	signer_key_t k = make(w, SIGNER_TOKEN);
	char path[200];
	signer_t *s;

	snprintf(path, sizeof(path), "%s/%s.key", w->dir, k.kid);
	world_stop(w);
	for (long at = 0; at < size_of(path); at++) {
		diag_t diag = { 0 };
		flip(path, at);
		assert_int_not_equal(signer_open(&w->o, &s, &diag), OK);
		flip(path, at);
	}
	world_start(w);
	assert_int_equal(sign(w, &k, 1, token(w, &k, 1)), OK);
}

static void write_file(const char *path, str_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
	close(fd);
}

static void kek_by_passphrase(void **state)
{
	world_t *w = *state;
	signer_status_t status;
	char path[200];
	signer_t *s;
	diag_t diag = { 0 };

	world_stop(w);
	each_file(w->dir, remove_file);
	w->o.passphrase = STR("correct horse");
	world_start(w);
	signer_key_t k = make(w, SIGNER_TOKEN);
	assert_int_equal(signer_client_status(w->c, &status), OK);
	assert_int_equal(status.kek, SIGNER_KEK_PASSPHRASE);
	snprintf(path, sizeof(path), "%s/kek", w->dir);
	assert_int_not_equal(access(path, F_OK), 0); /* no better source, no file */
	world_stop(w);
	w->o.passphrase = STR("wrong horse");
	assert_int_equal(signer_open(&w->o, &s, &diag), ERR_CONFIG);
	w->o.passphrase = STR_NULL;
	assert_int_equal(signer_open(&w->o, &s, &diag), ERR_CONFIG);
	w->o.passphrase = STR("correct horse");
	world_start(w);
	assert_int_equal(sign(w, &k, 1, token(w, &k, 1)), OK);
}

static void kek_by_credential(void **state)
{
	world_t *w = *state;
	signer_status_t status;
	char path[200];
	signer_t *s;
	diag_t diag = { 0 };

	make(w, SIGNER_TOKEN);
	world_stop(w);
	snprintf(path, sizeof(path), "%s/cred", w->dir);
	write_file(path, STR("0123456789abcdef0123456789abcdef"));
	w->o.credential = path;
	world_start(w); /* the keys were sealed under the file: that one is taken */
	assert_int_equal(signer_client_status(w->c, &status), OK);
	assert_int_equal(status.kek, SIGNER_KEK_FILE);
	world_stop(w);
	each_file(w->dir, remove_file);
	write_file(path, STR("0123456789abcdef0123456789abcdef"));
	world_start(w);
	signer_key_t k = make(w, SIGNER_TOKEN);
	assert_int_equal(signer_client_status(w->c, &status), OK);
	assert_int_equal(status.kek, SIGNER_KEK_CREDENTIAL);
	world_stop(w);
	w->o.credential = NULL;
	assert_int_equal(signer_open(&w->o, &s, &diag), ERR_CRYPTO); /* and it makes no other beside them */
	write_file(path, STR("0123456789abcdef0123456789abcdeX"));
	w->o.credential = path;
	assert_int_equal(signer_open(&w->o, &s, &diag), ERR_CRYPTO);
	write_file(path, STR("short"));
	assert_int_equal(signer_open(&w->o, &s, &diag), ERR_CONFIG);
	write_file(path, STR("0123456789abcdef0123456789abcdef"));
	world_start(w);
	assert_int_equal(sign(w, &k, 1, token(w, &k, 1)), OK);
}

static void one_at_a_time(void **state)
{
	world_t *w = *state;
	signer_t *s;
	diag_t diag = { 0 };

	assert_int_equal(signer_open(&w->o, &s, &diag), ERR_EXISTS);
}

/* ---- requests that are none ---- */

typedef struct {
	buf_t b;
	unsigned n;
} heard_t;

static void hear(void *to, str_t datagram)
{
	heard_t *h = to;

	buf_add(&h->b, datagram);
	h->n++;
}

static err_t first_error(heard_t *h)
{
	assert_true(h->b.n >= 9);
	return (err_t)(uint8_t)h->b.p[8];
}

static void bad_requests(void **state)
{
	world_t *w = *state;
	static const struct {
		str_t datagram;
		err_t want; /* OK: not even frames */
	} rows[] = {
		{ STR_INIT("\0"), OK },
		{ STR_INIT("\0\0\0\4\0\0\0\1"), OK }, /* no op */
		{ STR_INIT("\0\0\0\6\0\0\0\1\1"), OK }, /* longer than it is */
		{ STR_INIT("\0\0\0\5\0\0\0\1\0"), ERR_METHOD },
		{ STR_INIT("\0\0\0\5\0\0\0\1\11"), ERR_METHOD },
		{ STR_INIT("\0\0\0\6\0\0\0\1\1x"), ERR_LIMIT }, /* keys takes nothing */
		{ STR_INIT("\0\0\0\5\0\0\0\1\2"), ERR_LIMIT },
		{ STR_INIT("\0\0\0\16\0\0\0\1\2\11\0\0\0\0\0\0\0\0"), ERR_VALUE }, /* no such kind */
		{ STR_INIT("\0\0\0\5\0\0\0\1\3"), ERR_SYNTAX },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		heard_t h = { .n = 0 };
		buf_init(&h.b, 1 << 20);
		err_t e = signer_take(w->s, rows[i].datagram, hear, &h);
		signer_flush(w->s, hear, &h);
		if (rows[i].want == OK) {
			assert_int_not_equal(e, OK);
		} else {
			assert_int_equal(e, OK);
			assert_int_equal(first_error(&h), rows[i].want);
		}
		buf_done(&h.b);
	}
}

/* ---- many at once, over the real socket, behind the real walls ---- */

static void serve_child(world_t *w, int fd)
{
	diag_t diag = { 0 };

	if (signer_open(&w->o, &w->s, &diag) != OK || signer_lock_down(w->s, &diag) != OK) {
		fprintf(stderr, "# %s\n", diag.text);
		_exit(3);
	}
	_exit(signer_serve(w->s, fd) == OK ? 0 : 2);
}

static pid_t served(world_t *w)
{
	int pair[2];

	world_stop(w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		serve_child(w, pair[1]);
	}
	close(pair[1]);
	w->c = signer_client_new(pair[0]);
	return pid;
}

static void ended(world_t *w, pid_t pid)
{
	int status;

	signer_client_free(TAKE(w->c));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	world_start(w);
}

static void behind_the_walls(void **state)
{
	world_t *w = *state;
	pid_t pid = served(w);
	signer_status_t status;
	signer_key_t t = make(w, SIGNER_TOKEN), x = make(w, SIGNER_X509);

	assert_int_equal(signer_client_status(w->c, &status), OK);
#ifndef __SANITIZE_ADDRESS__
	assert_true(status.seccomp);
#endif
	for (int i = 1; i <= 600; i++) {
		assert_int_equal(sign(w, &t, (uint64_t)i, token(w, &t, i)), OK);
	}
	assert_int_equal(sign(w, &x, 1, str_bytes(tbs, sizeof(tbs))), OK);
	assert_int_equal(signer_client_drop(w->c, kid_of(&x)), OK);
	list_check(w, &t, 600);
	ended(w, pid);
	list_check(w, &t, 600);
}

typedef struct {
	world_t *w;
	signer_key_t key;
	loop_t *loop;
	str_t message[500];
	uint8_t sig[500][SIGNER_SIGNATURE_BYTES];
	op_t *op[500];
	int left;
} many_t;

static void one_done(op_t *op, err_t e)
{
	many_t *m = op->owner;

	assert_int_equal(e, OK);
	if (--m->left == 0) {
		loop_stop(m->loop);
	}
}

static void never_lost(void *owner)
{
	(void)owner;
	fail_msg("the signer is gone");
}

static void many_in_flight(void **state)
{
	world_t *w = *state;
	pid_t pid = served(w);
	many_t *m = heap_new(many_t);

	m->w = w;
	m->key = make(w, SIGNER_TOKEN);
	m->loop = loop_new();
	m->left = 500;
	assert_int_equal(signer_client_attach(w->c, m->loop, never_lost, m), OK);
	for (int i = 0; i < 500; i++) {
		m->message[i] = token(w, &m->key, i + 1);
		m->op[i] = signer_sign_op(w->a, w->c, kid_of(&m->key), (uint64_t)i + 1, m->message[i], m->sig[i]);
		op_start(m->op[i], m->loop, loop_in_ms(m->loop, 60000), one_done, m);
	}
	loop_run(m->loop);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(crypto_verify(&m->key.pub, CRYPTO_ED25519, m->message[i], str_bytes(m->sig[i], 64)), OK);
	}
	signer_client_detach(w->c);
	loop_free(m->loop);
	ended(w, pid);
	list_check(w, &m->key, 500);
	heap_free(m);
}

static void lost_stop(void *owner)
{
	loop_stop(owner);
}

static void gone_done(op_t *op, err_t e)
{
	*(err_t *)op->owner = e;
}

static void a_dead_signer_is_an_error(void **state)
{
	world_t *w = *state;
	pid_t pid = served(w);
	signer_key_t k = make(w, SIGNER_TOKEN);
	loop_t *loop = loop_new();
	uint8_t sig[SIGNER_SIGNATURE_BYTES];
	err_t got = OK;
	int status;

	assert_int_equal(signer_client_attach(w->c, loop, lost_stop, loop), OK);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	str_t message = token(w, &k, 1);
	op_start(signer_sign_op(w->a, w->c, kid_of(&k), 1, message, sig), loop, loop_in_ms(loop, 60000), gone_done, &got);
	loop_run(loop);
	assert_int_equal(signer_client_drop(w->c, kid_of(&k)), ERR_UNAVAILABLE);
	signer_client_detach(w->c);
	loop_free(loop); /* delivers what is posted */
	assert_int_equal(got, ERR_UNAVAILABLE);
	signer_client_free(TAKE(w->c));
	world_start(w);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_survive), T(nothing_is_readable_and_no_seed_on_disk), T(dropped), T(too_many_keys), T(no_number_twice),
		T(raised), T(only_the_form_of_its_kind), T(bad_forms), T(list_holds_all), T(torn_tail), T(anothers_list),
		T(a_changed_key_file_does_not_open), T(kek_by_passphrase), T(kek_by_credential), T(one_at_a_time),
		T(bad_requests), T(behind_the_walls), T(many_in_flight), T(a_dead_signer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
