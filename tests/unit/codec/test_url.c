/* URLs, paths and forms: what never fools url_in, host_is and path_under. (oauth.md P69, P107) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pure/codec/codec.h"

static void parts_of_a_url(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	url_t u;

	(void)state;
	assert_int_equal(url_parse(a, STR("HTTPS://Api.Example:8443/a%2Fb//c;x=1?q=%20&r=/?#f"), URL_FRAGMENT, &u), OK);
	assert_true(str_eq(u.scheme, STR("https")));
	assert_true(str_eq(u.host, STR("api.example")));
	assert_int_equal(u.port, 8443);
	assert_true(str_eq(u.path, STR("/a%2Fb//c;x=1")));
	assert_true(str_eq(u.query, STR("q=%20&r=/?")));
	assert_true(str_eq(u.fragment, STR("f")));
	assert_true(str_eq(url_origin(a, &u), STR("https://api.example:8443")));
	assert_int_equal(url_parse(a, STR("http://h"), 0, &u), OK);
	assert_int_equal(u.port, 80);
	assert_true(u.path.n == 0 && !u.query.p && !u.fragment.p);
	assert_int_equal(url_parse(a, STR("http://h/?"), 0, &u), OK);
	assert_true(u.query.p && u.query.n == 0);
	assert_int_equal(url_parse(a, STR("spiffe://td.example/agent/x"), 0, &u), OK);
	assert_int_equal(u.port, 0);
	assert_int_equal(url_parse(a, STR("https://[2001:DB8:0:0::1]:443/"), 0, &u), OK);
	assert_true(u.host_is_ipv6 && str_eq(u.host, STR("2001:db8::1")));
	assert_true(str_eq(url_origin(a, &u), STR("https://[2001:db8::1]")));
}

static void doubtful_urls_are_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t bad[] = {
		STR_INIT(""), STR_INIT("h"), STR_INIT("//h/"), STR_INIT("http:/h"), STR_INIT("http:h"), STR_INIT("http://"),
		STR_INIT("http:///x"), STR_INIT("://h"), STR_INIT("1http://h"), STR_INIT("ht tp://h"), STR_INIT(" http://h"),
		STR_INIT("http://h "), STR_INIT("http://u@h"), STR_INIT("http://u:p@h"), STR_INIT("http://good.example@evil.example/"),
		STR_INIT("http://@h"), STR_INIT("http://h:"), STR_INIT("http://h:0"), STR_INIT("http://h:65536"), STR_INIT("http://h:080"),
		STR_INIT("http://h:80a"), STR_INIT("http://h:+80"), STR_INIT("http://h:-1"), STR_INIT("http://h:80:80"), STR_INIT("http://:80"),
		STR_INIT("http://h\\x"), STR_INIT("http://h/\\x"), STR_INIT("http:\\\\h"), STR_INIT("http://h/a b"), STR_INIT("http://h/\n"),
		STR_INIT("http://h/\0"), STR_INIT("http://h\0.evil/"), STR_INIT("http://h/%"), STR_INIT("http://h/%2"), STR_INIT("http://h/%zz"),
		STR_INIT("http://h/%00"), STR_INIT("http://h/?%00"), STR_INIT("http://h/\xc3\xa9"), STR_INIT("http://h\xc3\xa9/"),
		STR_INIT("http://%68/"), STR_INIT("http://a..b/"), STR_INIT("http://a./"), STR_INIT("http://.a/"), STR_INIT("http://-a/"),
		STR_INIT("http://a-/"), STR_INIT("http://a,b/"), STR_INIT("http://a*b/"), STR_INIT("http://127.1/"),
		STR_INIT("http://2130706433/"), STR_INIT("http://0x7f.0.0.1/"), STR_INIT("http://0X7F000001/"), STR_INIT("http://127.0.0.0x1/"),
		STR_INIT("http://017700000001/"), STR_INIT("http://127.0.0.01/"), STR_INIT("http://256.0.0.1/"), STR_INIT("http://1.2.3.4.5/"),
		STR_INIT("http://a.1/"), STR_INIT("http://[::1"), STR_INIT("http://::1/"), STR_INIT("http://[]/"), STR_INIT("http://[::g]/"),
		STR_INIT("http://[fe80::1%25eth0]/"), STR_INIT("http://[fe80::1%eth0]/"), STR_INIT("http://[127.0.0.1]/"),
		STR_INIT("http://[::1]x/"), STR_INIT("http://h/#f"), STR_INIT("http://h#"), STR_INIT("http://h/?a#f"), STR_INIT("http://h/<x>"),
		STR_INIT("http://h/{x}"), STR_INIT("http://h/[x]"), STR_INIT("http://h/\"x\""), STR_INIT("http://h/^"), STR_INIT("http://h/`"),
		STR_INIT("http://h/|"), STR_INIT("http://h/\x7f"), STR_INIT("http://h?a=\xff"), STR_INIT("javascript:alert(1)"),
	};
	url_t u = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (url_parse(a, bad[i], 0, &u) != ERR_SYNTAX) {
			fail_msg("accepted: %.*s", STR_ARG(bad[i]));
		}
	}
	assert_null(u.host.p);
	assert_int_equal(url_parse(a, STR("http://h/a##"), URL_FRAGMENT, &u), ERR_SYNTAX);
	char text[URL_BYTES_MAX + 1];
	memset(text, 'a', sizeof(text));
	memcpy(text, "http://h/", 9);
	assert_int_equal(url_parse(a, (str_t){ text, URL_BYTES_MAX }, 0, &u), OK);
	assert_int_equal(url_parse(a, (str_t){ text, URL_BYTES_MAX + 1 }, 0, &u), ERR_LIMIT);
	memset(text + 7, 'b', 64); /* a label of 64 */
	assert_int_equal(url_parse(a, (str_t){ text, 71 }, 0, &u), ERR_SYNTAX);
	assert_int_equal(url_parse(a, (str_t){ text, 70 }, 0, &u), OK);
}

static bool secure(arena_t *a, str_t text)
{
	url_t u;

	assert_int_equal(url_parse(a, text, 0, &u), OK);
	return url_is_secure(&u);
}

static void plain_http_is_for_loopback(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();

	(void)state;
	assert_true(secure(a, STR("https://anywhere.example")));
	assert_true(secure(a, STR("http://127.0.0.1:8080")));
	assert_true(secure(a, STR("http://127.9.9.9")));
	assert_true(secure(a, STR("http://LOCALHOST")));
	assert_true(secure(a, STR("http://[0:0::1]")));
	assert_false(secure(a, STR("http://127.0.0.1.example")));
	assert_false(secure(a, STR("http://localhost.example")));
	assert_false(secure(a, STR("http://128.0.0.1")));
	assert_false(secure(a, STR("http://[::2]")));
	assert_false(secure(a, STR("ws://localhost")));
}

static void htu_forms(void **state) /* RFC 9449 4.3 */
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t same[] = {
		STR_INIT("https://server.example/token"), STR_INIT("HTTPS://SERVER.example:443/token"),
		STR_INIT("https://server.example/token?x=1"), STR_INIT("https://server.example/token#f"),
		STR_INIT("https://server.example/%74oke%6E"),
	};
	const str_t other[] = {
		STR_INIT("http://server.example/token"), STR_INIT("https://server.example:444/token"), STR_INIT("https://server.example/Token"),
		STR_INIT("https://server.example/token/"), STR_INIT("https://server.example/"), STR_INIT("https://server.example/%2Ftoken"),
		STR_INIT("https://x.server.example/token"), STR_INIT("https://server.example//token"),
	};
	const str_t dots[] = { STR_INIT("https://h/../token"), STR_INIT("https://h/a/%2e%2E/token"), STR_INIT("https://h/./token"),
		STR_INIT("https://h/.%2e"), STR_INIT("https://h/a/..") };
	str_t out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(url_normalize_htu(a, same[i], &out), OK);
		assert_true(str_eq(out, same[0]));
	}
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		assert_int_equal(url_normalize_htu(a, other[i], &out), OK);
		assert_false(str_eq(out, same[0]));
	}
	for (size_t i = 0; i < ARRAY_LEN(dots); i++) {
		assert_int_equal(url_normalize_htu(a, dots[i], &out), ERR_VALUE);
	}
	assert_int_equal(url_normalize_htu(a, STR("http://h"), &out), OK);
	assert_true(str_eq(out, STR("http://h/")));
	assert_int_equal(url_normalize_htu(a, STR("http://h/%c3%a9%2f"), &out), OK);
	assert_true(str_eq(out, STR("http://h/%C3%A9%2F")));
}

static void targets(void **state)
{
	str_t path, query;

	(void)state;
	assert_int_equal(url_target_split(STR("/a/b?x=1?y"), &path, &query), OK);
	assert_true(str_eq(path, STR("/a/b")) && str_eq(query, STR("x=1?y")));
	assert_int_equal(url_target_split(STR("/"), &path, &query), OK);
	assert_null(query.p);
	assert_int_equal(url_target_split(STR("a"), &path, &query), ERR_SYNTAX);
	assert_int_equal(url_target_split(STR(""), &path, &query), ERR_SYNTAX);
	assert_int_equal(url_target_split(STR("*"), &path, &query), ERR_SYNTAX);
	assert_int_equal(url_target_split(STR("http://h/a"), &path, &query), ERR_SYNTAX);
	assert_int_equal(url_target_split(STR("/a#b"), &path, &query), ERR_SYNTAX);
	assert_int_equal(url_target_split(STR("/a b"), &path, &query), ERR_SYNTAX);
	assert_int_equal(url_target_split(STR("/%0"), &path, &query), ERR_SYNTAX);
	assert_int_equal(url_target_split(STR("/a?%00"), &path, &query), ERR_SYNTAX);
}

static void escaped_paths(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t out;

	(void)state;
	assert_int_equal(url_path_decode(a, STR("/a%20b/%c3%a9+%25"), &out), OK);
	assert_true(str_eq(out, STR("/a b/\xc3\xa9+%")));
	assert_int_equal(url_path_decode(a, STR("/%2e%2E/x"), &out), OK);
	assert_int_equal(path_check(out), ERR_VALUE); /* decoding shows what it was */
	assert_int_equal(url_path_decode(a, STR("/a%2fb"), &out), ERR_VALUE);
	assert_int_equal(url_path_decode(a, STR("/a%5Cb"), &out), ERR_VALUE);
	assert_int_equal(url_path_decode(a, STR("/a\\b"), &out), ERR_VALUE);
	assert_int_equal(url_path_decode(a, STR("/a%00"), &out), ERR_SYNTAX);
	assert_int_equal(url_path_decode(a, STR("/a%"), &out), ERR_SYNTAX);
	assert_int_equal(url_path_decode(a, STR("/a%4"), &out), ERR_SYNTAX);
	assert_int_equal(url_path_decode(a, STR("/a%4g"), &out), ERR_SYNTAX);
	assert_int_equal(url_path_decode(a, STR("/%ff"), &out), ERR_UTF8);
	assert_int_equal(url_path_decode(a, STR("/%c0%ae"), &out), ERR_UTF8); /* overlong '.' */
	assert_int_equal(url_path_decode(a, STR("/\xc3\xa9"), &out), ERR_SYNTAX);
}

static void paths(void **state) /* P107 */
{
	const str_t good[] = { STR_INIT("/"), STR_INIT("/a"), STR_INIT("a"), STR_INIT("/a/b.txt"), STR_INIT("/a/"), STR_INIT("...") ,
		STR_INIT("/..a/b.."), STR_INIT("/.hidden"), STR_INIT("/a b/\xc3\xa9"), STR_INIT("/\xe0\xa6\x95\xe0\xa6\xbe"),
		STR_INIT("/\xe2\x80\x94/\xef\xbc\xa1") };
	const str_t bad[] = { STR_INIT(""), STR_INIT(".."), STR_INIT("."), STR_INIT("/.."), STR_INIT("/a/../b"), STR_INIT("a/.."),
		STR_INIT("../a"), STR_INIT("/a/./b"), STR_INIT("./a"), STR_INIT("/a/."), STR_INIT("//"), STR_INIT("//a"), STR_INIT("/a//b"),
		STR_INIT("/a//"), STR_INIT("/%2e%2e/a"), STR_INIT("/a%2fb"), STR_INIT("/100%"), STR_INIT("/a\\b"), STR_INIT("\\\\host\\x"),
		STR_INIT("/a\0b"), STR_INIT("/a\nb"), STR_INIT("/a\x7f"), STR_INIT("/a\xc2\x85"), STR_INIT("/cafe\xcc\x81"),
		STR_INIT("/\xe1\x84\x80\xe1\x85\xa1"), STR_INIT("/\xe2\x84\xab"), STR_INIT("/a/\xe2\x80\xa5/b"),
		STR_INIT("/a/\xef\xbc\x8e\xef\xbc\x8e/b"), STR_INIT("/a/..\xef\xbc\x8f" "b"), STR_INIT("/a/\xef\xbc\xbc" "b"),
		STR_INIT("/\xef\xbc\x85" "2e"), STR_INIT("/x\xe2\x80\xa6") };
	char text[PATH_BYTES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(path_check(good[i]), OK);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (path_check(bad[i]) != ERR_VALUE) {
			fail_msg("accepted: %.*s", STR_ARG(bad[i]));
		}
	}
	assert_int_equal(path_check(STR("/\xff")), ERR_UTF8);
	memset(text, 'a', sizeof(text));
	assert_int_equal(path_check((str_t){ text, PATH_BYTES_MAX }), OK);
	assert_int_equal(path_check((str_t){ text, PATH_BYTES_MAX + 1 }), ERR_LIMIT);
}

static void below_by_whole_segments(void **state)
{
	(void)state;
	assert_true(path_is_under(STR("/data/in"), STR("/data/in")));
	assert_true(path_is_under(STR("/data/in/x"), STR("/data/in")));
	assert_true(path_is_under(STR("/data/in/x"), STR("/data/in/")));
	assert_true(path_is_under(STR("/data/in"), STR("/data/in/")));
	assert_true(path_is_under(STR("/x"), STR("/")));
	assert_true(path_is_under(STR("a/b"), STR("a")));
	assert_false(path_is_under(STR("/data/inner"), STR("/data/in")));
	assert_false(path_is_under(STR("/data/i"), STR("/data/in")));
	assert_false(path_is_under(STR("/data"), STR("/data/in")));
	assert_false(path_is_under(STR("data/in"), STR("/data/in")));
	assert_false(path_is_under(STR("/Data/in"), STR("/data/in")));
	assert_false(path_is_under(STR("x"), STR("/")));
	assert_false(path_is_under(STR("/x"), STR("")));
}

static void normal_form_c(void **state) /* cases after UAX 15 */
{
	const str_t yes[] = {
		STR_INIT(""), STR_INIT("a"), STR_INIT("\xc3\xa9"), STR_INIT("\xea\xb0\x80"), /* U+AC00 */
		STR_INIT("q\xcc\x81"), /* no precomposed q with acute */
		STR_INIT("\xcc\x81"), /* a mark alone */
		STR_INIT("\xe0\xa6\x95\xe0\xa6\xbe"), /* Bengali KA, sign AA: NFC_Quick_Check is Maybe */
		STR_INIT("a\xcc\x96\xcc\x96"), STR_INIT("\xf0\x9f\x98\x80")
	};
	const str_t no[] = {
		STR_INIT("e\xcc\x81"), STR_INIT("\xe1\x84\x80\xe1\x85\xa1"), STR_INIT("\xea\xb0\x80\xe1\x86\xa8"),
		STR_INIT("\xe2\x84\xab"), /* ANGSTROM SIGN */ STR_INIT("\xef\xa4\x80"), /* compatibility ideograph */
		STR_INIT("a\xcc\x81\xcc\x96"), STR_INIT("q\xcc\x81\xcc\x96"), /* marks out of order */
		STR_INIT("e\xcc\xa3\xcc\x81"), /* e, dot below: composes, not blocked */
		STR_INIT("\xe0\xa7\x87\xe0\xa6\xbe"), /* Bengali E + AA = O */
		STR_INIT("\xc4\x82\xcc\xa8"), /* A-breve, ogonek: A-ogonek, breve */
		STR_INIT("a\xcc\x96\xcc\x81"), /* acute reaches a past a mark of lower class */
		STR_INIT("\xe0\xa4\x95\xe0\xa4\xbc\xe0\xa5\x98"), /* DEVANAGARI QA is excluded from composition */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (!text_is_nfc(yes[i])) {
			fail_msg("yes[%zu]", i);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		if (text_is_nfc(no[i])) {
			fail_msg("no[%zu]", i);
		}
	}
}

static void forms(void **state) /* P69 */
{
	AUTO(arena_free) arena_t *a = arena_open();
	form_t f;
	str_t v = STR("before");

	(void)state;
	assert_int_equal(form_parse(a, STR("a=1&b=x+y%2B&c&d=&a%3d=%26%3D&e=%E2%82%AC&r=1&r=2"), 8, &f), OK);
	assert_int_equal(f.n, 8);
	assert_int_equal(form_want(&f, STR("r"), 9, &v), ERR_DUPLICATE);
	assert_int_equal(form_count(&f, STR("r")), 2);
	assert_int_equal(form_want(&f, STR("b"), 3, &v), ERR_LIMIT);
	assert_true(str_eq(v, STR("before")));
	assert_int_equal(form_want(&f, STR("b"), 4, &v), OK);
	assert_true(str_eq(v, STR("x y+")));
	assert_int_equal(form_want(&f, STR("a="), 9, &v), OK);
	assert_true(str_eq(v, STR("&=")));
	assert_int_equal(form_want(&f, STR("e"), 9, &v), OK);
	assert_true(str_eq(v, STR("\xe2\x82\xac")));
	static const str_t absent[] = { STR_INIT("x"), STR_INIT("c"), STR_INIT("d") }; /* RFC 6749 3.1 */
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		v = STR("before");
		assert_int_equal(form_want(&f, absent[i], 9, &v), OK);
		assert_null(v.p);
	}
	assert_int_equal(form_parse(a, STR(""), 8, &f), OK);
	assert_int_equal(f.n, 0);
	assert_int_equal(form_parse(a, STR("a=1&%61=2"), 8, &f), OK); /* one name, two spellings */
	assert_int_equal(form_want(&f, STR("a"), 9, &v), ERR_DUPLICATE);
	assert_int_equal(form_parse(a, STR("a=&a=1"), 8, &f), OK);
	assert_int_equal(form_want(&f, STR("a"), 9, &v), ERR_DUPLICATE);
}

static void bad_forms(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t bad[] = { STR_INIT("&"), STR_INIT("a=1&"), STR_INIT("&a=1"), STR_INIT("a=1&&b=2"), STR_INIT("=1"), STR_INIT("a=%"),
		STR_INIT("a=%1"), STR_INIT("a=%zz"), STR_INIT("a=%00"), STR_INIT("%00=1"), STR_INIT("a=x%00y"), STR_INIT("a=b c"),
		STR_INIT("a=\0"), STR_INIT("a=\n"), STR_INIT("a=\xc3\xa9"), STR_INIT("a=%+1"), STR_INIT("a=%%31") };
	form_t f = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (form_parse(a, bad[i], 8, &f) != ERR_SYNTAX) {
			fail_msg("accepted: %.*s", STR_ARG(bad[i]));
		}
	}
	assert_int_equal(form_parse(a, STR("a=%ff"), 8, &f), ERR_UTF8);
	assert_int_equal(form_parse(a, STR("a=%ed%a0%80"), 8, &f), ERR_UTF8);
	assert_int_equal(form_parse(a, STR("a=1&b=2&c=3"), 2, &f), ERR_LIMIT);
	assert_null(f.pairs);
	assert_int_equal(form_parse(a, STR("a=1&b=2"), 2, &f), OK);
	AUTO(buf_done) buf_t b;
	buf_init(&b, FORM_BYTES_MAX + 1);
	buf_add(&b, STR("a="));
	while (b.n < b.max) {
		buf_byte(&b, 'x');
	}
	assert_int_equal(form_parse(a, buf_str(&b), 2, &f), ERR_LIMIT);
}

static void written_forms(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_done) buf_t b;
	form_t f;
	str_t v;

	(void)state;
	buf_init(&b, 1024);
	form_add(&b, STR("scope"), STR("a:read  b"));
	form_add(&b, STR("x&y"), STR("\xe2\x82\xac=+%"));
	form_add(&b, STR("none"), STR(""));
	assert_true(str_eq(buf_str(&b), STR("scope=a%3Aread++b&x%26y=%E2%82%AC%3D%2B%25&none=")));
	assert_int_equal(form_parse(a, buf_str(&b), 3, &f), OK);
	assert_int_equal(form_want(&f, STR("scope"), 99, &v), OK);
	assert_true(str_eq(v, STR("a:read  b")));
	assert_int_equal(form_want(&f, STR("x&y"), 99, &v), OK);
	assert_true(str_eq(v, STR("\xe2\x82\xac=+%")));
	assert_true(str_eq(pct_enc(a, STR("aZ09-._~ /\xff")), STR("aZ09-._~%20%2F%FF")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_a_url),
		cmocka_unit_test(doubtful_urls_are_refused),
		cmocka_unit_test(plain_http_is_for_loopback),
		cmocka_unit_test(htu_forms),
		cmocka_unit_test(targets),
		cmocka_unit_test(escaped_paths),
		cmocka_unit_test(paths),
		cmocka_unit_test(below_by_whole_segments),
		cmocka_unit_test(normal_form_c),
		cmocka_unit_test(forms),
		cmocka_unit_test(bad_forms),
		cmocka_unit_test(written_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
