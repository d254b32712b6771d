/* base64url, base64, hex and PEM: one spelling each. (oauth.md P68; RFC 4648 10) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pure/codec/codec.h"

static const struct {
	str_t bytes, b64, b64url, hex;
} vectors[] = { /* RFC 4648 10, hex in lower case, and bytes that show the two alphabets */
	{ STR_INIT(""), STR_INIT(""), STR_INIT(""), STR_INIT("") },
	{ STR_INIT("f"), STR_INIT("Zg=="), STR_INIT("Zg"), STR_INIT("66") },
	{ STR_INIT("fo"), STR_INIT("Zm8="), STR_INIT("Zm8"), STR_INIT("666f") },
	{ STR_INIT("foo"), STR_INIT("Zm9v"), STR_INIT("Zm9v"), STR_INIT("666f6f") },
	{ STR_INIT("foob"), STR_INIT("Zm9vYg=="), STR_INIT("Zm9vYg"), STR_INIT("666f6f62") },
	{ STR_INIT("fooba"), STR_INIT("Zm9vYmE="), STR_INIT("Zm9vYmE"), STR_INIT("666f6f6261") },
	{ STR_INIT("foobar"), STR_INIT("Zm9vYmFy"), STR_INIT("Zm9vYmFy"), STR_INIT("666f6f626172") },
	{ STR_INIT("\xfb\xff\xfe\x00"), STR_INIT("+//+AA=="), STR_INIT("-__-AA"), STR_INIT("fbfffe00") },
};

static void vectors_both_ways(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		assert_true(str_eq(b64_enc(a, vectors[i].bytes), vectors[i].b64));
		assert_true(str_eq(b64url_enc(a, vectors[i].bytes), vectors[i].b64url));
		assert_true(str_eq(hex_enc(a, vectors[i].bytes), vectors[i].hex));
		assert_int_equal(b64_dec(a, vectors[i].b64, 9, &out), OK);
		assert_true(str_eq(out, vectors[i].bytes));
		assert_int_equal(b64url_dec(a, vectors[i].b64url, 9, &out), OK);
		assert_true(str_eq(out, vectors[i].bytes));
		assert_int_equal(hex_dec(a, vectors[i].hex, 9, &out), OK);
		assert_true(str_eq(out, vectors[i].bytes));
	}
}

static void all_bytes_survive(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_done) buf_t b;
	char bytes[256];
	str_t out;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (char)(i * 167);
	}
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		str_t s = { bytes, n };
		buf_clear(&b);
		b64url_add(&b, s);
		assert_true(str_eq(buf_str(&b), b64url_enc(a, s)));
		assert_int_equal(b64url_dec(a, buf_str(&b), n, &out), OK);
		assert_true(str_eq(out, s));
		buf_clear(&b);
		b64_add(&b, s);
		assert_true(str_eq(buf_str(&b), b64_enc(a, s)));
		assert_int_equal(b64_dec(a, buf_str(&b), n, &out), OK);
		assert_true(str_eq(out, s));
		buf_clear(&b);
		hex_add(&b, s);
		assert_int_equal(hex_dec(a, buf_str(&b), n, &out), OK);
		assert_true(str_eq(out, s));
		arena_reset(a);
	}
}

/* Every byte that is no digit is refused at every place of a group. */
static void alphabets_are_exact(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const char *std = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	str_t out;

	(void)state;
	for (int c = 0; c < 256; c++) {
		for (int place = 0; place < 4; place++) {
			char group[4] = { 'A', 'A', 'A', 'A' };
			group[place] = (char)c;
			str_t text = { group, 4 };
			bool std_ok = c && strchr(std, c), url_ok = c && strchr(url, c);
			bool pad = c == '=' && place == 3;
			assert_int_equal(b64_dec(a, text, 9, &out), std_ok || pad ? OK : ERR_SYNTAX);
			assert_int_equal(b64url_dec(a, text, 9, &out), url_ok ? OK : ERR_SYNTAX);
			bool hex_ok = c && strchr("0123456789abcdef", c);
			group[0] = group[1] = group[2] = group[3] = '0';
			group[place] = (char)c;
			assert_int_equal(hex_dec(a, text, 9, &out), hex_ok ? OK : ERR_SYNTAX);
		}
	}
}

/* At every place of a long text: digits are worked on in blocks. */
static void alphabets_are_exact_in_long_texts(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const char *url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char text[43];
	str_t out;

	(void)state;
	for (int c = 0; c < 256; c++) {
		bool is_digit = c && strchr(url, c);
		for (size_t place = 0; place < sizeof(text); place++) {
			memset(text, 'B', sizeof(text));
			text[sizeof(text) - 1] = 'E'; /* 43 digits: the last two bits are left over */
			text[place] = (char)c;
			bool loose = place == sizeof(text) - 1 && is_digit && (strchr(url, c) - url) % 4 != 0;
			err_t want = is_digit && !loose ? OK : ERR_SYNTAX;
			assert_int_equal(b64url_dec(a, str_bytes(text, sizeof(text)), 99, &out), want);
			if (want == OK) {
				assert_true(str_eq(b64url_enc(a, out), str_bytes(text, sizeof(text))));
			}
			arena_reset(a);
		}
	}
}

static void other_spellings_are_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t bad_url[] = { STR_INIT("Zg=="), STR_INIT("Zg="), STR_INIT("Z"), STR_INIT("Zm9vY"), STR_INIT("Zh"), STR_INIT("Zm9"),
		STR_INIT(" Zg"), STR_INIT("Zg "), STR_INIT("Z\ng"), STR_INIT("Zg\n"), STR_INIT("Zm9v\0"), STR_INIT("Zm9vYh"),
		STR_INIT("Zm9vYmF"), STR_INIT("="), STR_INIT("A+//"), STR_INIT("Zm8\xc3") };
	const str_t bad_std[] = { STR_INIT("Zg"), STR_INIT("Zg="), STR_INIT("Zg==="), STR_INIT("===="), STR_INIT("Z==="), STR_INIT("Zh=="),
		STR_INIT("Zm9="), STR_INIT("Zm8=Zm8="), STR_INIT("Zg==Zg=="), STR_INIT("=Zg="), STR_INIT("Z=g="), STR_INIT("Zm9v\n"),
		STR_INIT("Zm9v===="), STR_INIT("A-__") };
	const str_t bad_hex[] = { STR_INIT("0"), STR_INIT("000"), STR_INIT("0A"), STR_INIT("0x"), STR_INIT("0 "), STR_INIT("gg") };
	str_t out = STR("untouched");
	uint8_t four[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_url); i++) {
		assert_int_equal(b64url_dec(a, bad_url[i], 99, &out), ERR_SYNTAX);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_std); i++) {
		assert_int_equal(b64_dec(a, bad_std[i], 99, &out), ERR_SYNTAX);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_hex); i++) {
		assert_int_equal(hex_dec(a, bad_hex[i], 99, &out), ERR_SYNTAX);
	}
	assert_int_equal(b64url_dec(a, STR("Zm9vYg"), 3, &out), ERR_LIMIT);
	assert_int_equal(b64_dec(a, STR("Zm9vYg=="), 3, &out), ERR_LIMIT);
	assert_int_equal(hex_dec(a, STR("0000"), 1, &out), ERR_LIMIT);
	assert_true(str_eq(out, STR("untouched")));
	assert_int_equal(b64url_dec_exact(STR("Zm9vYg"), four, 3), ERR_VALUE);
	assert_int_equal(b64url_dec_exact(STR("Zm9vYg"), four, 5), ERR_VALUE);
	assert_int_equal(b64url_dec_exact(STR("Zm9vY"), four, 4), ERR_SYNTAX);
	assert_int_equal(b64url_dec_exact(STR("Zm9vYg"), four, 4), OK);
	assert_memory_equal(four, "foob", 4);
	assert_int_equal(hex_dec_exact(STR("0102030"), four, 4), ERR_SYNTAX);
	assert_int_equal(hex_dec_exact(STR("010203"), four, 4), ERR_VALUE);
	assert_int_equal(hex_dec_exact(STR("01020304"), four, 4), OK);
	assert_memory_equal(four, "\1\2\3\4", 4);
}

static void secrets(void **state)
{
	AUTO(secret_done) secret_t s = { 0 };
	AUTO(secret_done) secret_t t = { 0 };
	AUTO(secret_done) secret_t u = { 0 };
	AUTO(buf_done) buf_t long_text;

	(void)state;
	assert_int_equal(b64url_dec_secret(STR("Zm9vYh"), &s), ERR_SYNTAX);
	assert_null(s.p);
	assert_int_equal(b64url_dec_secret(STR("Zm9vYg"), &s), OK);
	assert_true(str_eq(secret_peek(&s), STR("foob")));
	assert_int_equal(b64_dec_secret(STR("Zm9vYg=="), &t), OK);
	assert_true(str_eq(secret_peek(&t), STR("foob")));
	assert_int_equal(hex_dec_secret(STR("666f6f62"), &u), OK);
	assert_true(str_eq(secret_peek(&u), STR("foob")));
	buf_init(&long_text, 1 << 16);
	for (int i = 0; i < SECRET_BYTES_MAX + 1; i++) {
		buf_add(&long_text, STR("00"));
	}
	secret_t none = { 0 };
	assert_int_equal(hex_dec_secret(buf_str(&long_text), &none), ERR_LIMIT);
	assert_int_equal(hex_dec_secret(STR("0"), &none), ERR_SYNTAX);
	assert_null(none.p);
}

static void pem_both_ways(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	char der[200];
	str_t out;

	(void)state;
	for (size_t i = 0; i < sizeof(der); i++) {
		der[i] = (char)(i * 31);
	}
	for (size_t n = 1; n <= sizeof(der); n++) { /* 48, 96, 144 and 192 end in a full line */
		AUTO(buf_done) buf_t b;
		AUTO(secret_done) secret_t s = { 0 };
		buf_init(&b, 4096);
		pem_add(&b, STR("PRIVATE KEY"), (str_t){ der, n });
		assert_int_equal(pem_dec(a, buf_str(&b), STR("PRIVATE KEY"), n, &out), OK);
		assert_true(str_eq(out, (str_t){ der, n }));
		assert_int_equal(pem_dec_secret(buf_str(&b), STR("PRIVATE KEY"), &s), OK);
		assert_true(str_eq(secret_peek(&s), (str_t){ der, n }));
		assert_int_equal(pem_dec(a, buf_str(&b), STR("PRIVATE KEY"), n - 1, &out), ERR_LIMIT);
		assert_int_equal(pem_dec(a, buf_str(&b), STR("PUBLIC KEY"), n, &out), ERR_VALUE);
	}
}

#define BEGIN_K "-----BEGIN K-----\n"
#define END_K "-----END K-----\n"
#define LINE64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void pem_is_strict(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t good[] = { STR_INIT(BEGIN_K "AAAA\n" END_K), STR_INIT("\n " BEGIN_K "AAAA\n-----END K-----"),
		STR_INIT("-----BEGIN K-----\r\nAAAA\r\n-----END K-----\r\n"), STR_INIT(BEGIN_K LINE64 "\nAA==\n" END_K) };
	const str_t bad[] = { STR_INIT(""), STR_INIT("AAAA"), STR_INIT(BEGIN_K), STR_INIT(BEGIN_K END_K), STR_INIT(BEGIN_K "AAAA\n"),
		STR_INIT(BEGIN_K "AAAA\n-----END L-----\n"), STR_INIT(BEGIN_K "AAAA\nAAAA\n" END_K), STR_INIT(BEGIN_K "AAA\n" END_K),
		STR_INIT(BEGIN_K "\nAAAA\n" END_K), STR_INIT(BEGIN_K "AA==\nAAAA\n" END_K), STR_INIT(BEGIN_K LINE64 "AAAA\n" END_K),
		STR_INIT(BEGIN_K "Proc-Type: 4,ENCRYPTED\n\nAAAA\n" END_K), STR_INIT(BEGIN_K "AAAA\n" END_K "x"),
		STR_INIT(BEGIN_K "AAAA\n" END_K BEGIN_K "AAAA\n" END_K), STR_INIT("x" BEGIN_K "AAAA\n" END_K), STR_INIT(BEGIN_K " AAAA\n" END_K),
		STR_INIT(BEGIN_K "AAAA \n" END_K), STR_INIT(BEGIN_K "AB==\n" END_K), STR_INIT(BEGIN_K "AA_-\n" END_K) };
	str_t out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(pem_dec(a, good[i], STR("K"), 99, &out), OK);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (pem_dec(a, bad[i], STR("K"), 99, &out) != ERR_SYNTAX) {
			fail_msg("row %zu passed", i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_both_ways),
		cmocka_unit_test(all_bytes_survive),
		cmocka_unit_test(alphabets_are_exact), cmocka_unit_test(alphabets_are_exact_in_long_texts),
		cmocka_unit_test(other_spellings_are_refused),
		cmocka_unit_test(secrets),
		cmocka_unit_test(pem_both_ways),
		cmocka_unit_test(pem_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
