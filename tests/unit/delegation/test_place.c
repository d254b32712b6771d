/* P107: `..`, `%2e`, `\`, NUL, `//`, non-NFC never leave path_under; userinfo, port, case, IDN never fool
 * url_in, host_is. Then targets, patterns, and what narrowing says to each pair of kinds. */
#include "helpers.h"
#include "pure/crypto/crypto.h"

typedef struct {
	const char *base, *value;
	bool want;
} place_case_t;

static const place_case_t path_cases[] = {
	{ "/srv/invoices", "/srv/invoices", true },
	{ "/srv/invoices", "/srv/invoices/", true },
	{ "/srv/invoices", "/srv/invoices/2026/11.csv", true },
	{ "/srv/invoices", "/srv/invoices/.hidden", true },
	{ "/srv/invoices", "/srv/invoices/a b", true },
	{ "/srv/invoices", "/srv/invoices/a..b", true },
	{ "/srv/invoices", "/srv/invoices/Z\xc3\xbcrich.csv", true }, /* NFC */
	{ "/srv/invoices", "/srv/invoices/\xe6\x96\x87\xe4\xbb\xb6", true },
	{ "/srv/invoices", "/srv/invoicesx", false }, /* no raw prefix */
	{ "/srv/invoices", "/srv/invoice", false },
	{ "/srv/invoices", "/srv", false },
	{ "/srv/invoices", "", false },
	{ "/srv/invoices", "srv/invoices", false },
	{ "/srv/invoices", "/SRV/invoices", false },
	{ "/srv/invoices", " /srv/invoices", false },
	{ "/srv/invoices", "/srv/invoices ", false },
	{ "/srv/invoices", "/srv/invoices/..", false },
	{ "/srv/invoices", "/srv/invoices/../../etc/passwd", false },
	{ "/srv/invoices", "/srv/invoices/./a", false },
	{ "/srv/invoices", "/srv/x/../invoices", false },
	{ "/srv/invoices", "/srv/invoices/%2e%2e/a", false },
	{ "/srv/invoices", "/srv/invoices/%2E%2E", false },
	{ "/srv/invoices", "/srv/invoices/%252e", false },
	{ "/srv/invoices", "/srv/invoices/a%00", false },
	{ "/srv/invoices", "/srv/invoices/..%2fa", false },
	{ "/srv/invoices", "/srv/invoices\\..\\a", false },
	{ "/srv/invoices", "/srv/invoices/..\\a", false },
	{ "/srv/invoices", "/srv/invoices//a", false },
	{ "/srv/invoices", "//srv/invoices/a", false },
	{ "/srv/invoices", "/srv/invoices/a\n", false },
	{ "/srv/invoices", "/srv/invoices/\x7f", false },
	{ "/srv/invoices", "/srv/invoices/.. ", false }, /* what trimming would make of it */
	{ "/srv/invoices", "/srv/invoices/ ..", false },
	{ "/srv/invoices", "/srv/invoices/..\xc2\xa0", false },
	{ "/srv/invoices", "/srv/invoices/...", false },
	{ "/srv/invoices", "/srv/invoices/ ", false },
	{ "/srv/invoices", "/srv/invoices/Zu\xcc\x88rich", false }, /* NFD */
	{ "/srv/invoices", "/srv/invoices/\xe2\x84\xab", false }, /* ANGSTROM SIGN is not NFC */
	{ "/srv/invoices", "/srv/invoices/\xff", false },
	{ "/srv/invoices", "/srv/invoices/\xc0\xae\xc0\xae", false }, /* overlong dots */
	{ "/srv/invoices", "file:///srv/invoices/a", false },
	{ "/srv/invoices", "~/invoices", false },
	{ "/", "/etc/passwd", true },
	{ "/", "/", true },
	{ "/", "etc", false },
	{ "/", "~", false },
	{ "/", "/..", false },
	{ "docs", "docs/a", true },
	{ "docs", "docs", true },
	{ "docs", "docsx", false },
	{ "docs", "/docs", false },
	{ "docs", "./docs", false },
	{ "docs", "~docs", false },
	/* bases that are no bases */
	{ "", "/a", false },
	{ "/a/", "/a/b", false },
	{ "/a/../b", "/b", false },
	{ "~", "~", false },
	{ "/a/ ", "/a/ ", false },
	{ "..", "..", false },
	{ ".", ".", false },
	{ "//", "//", false },
};

static const place_case_t url_cases[] = {
	{ "https://h.example", "https://h.example", true },
	{ "https://h.example", "https://h.example/", true },
	{ "https://h.example", "https://h.example/a/b", true },
	{ "https://h.example", "https://h.example:443/a", true },
	{ "https://h.example", "https://H.EXAMPLE/a", true }, /* the same host, to everybody */
	{ "https://h.example/x", "https://h.example/x/y", true },
	{ "https://h.example/x", "https://h.example/x/", true },
	{ "https://h.example/x", "https://h.example/xy", false },
	{ "https://h.example/x", "https://h.example/X", false },
	{ "https://h.example/x", "https://h.example/", false },
	{ "https://h.example/x", "https://h.example/x/../y", false },
	{ "https://h.example/x", "https://h.example/x/%2e%2e/y", false },
	{ "https://h.example/x", "https://h.example/x//y", false },
	{ "https://h.example/x", "https://h.example/x\\..\\y", false },
	{ "https://h.example/x", "https://h.example/x?y=1", false },
	{ "https://h.example/x", "https://h.example/x#y", false },
	{ "https://h.example", "http://h.example", false },
	{ "https://h.example", "https://h.example:444", false },
	{ "https://h.example", "https://h.example:0443", false },
	{ "https://h.example", "https://h.example:", false },
	{ "https://h.example", "https://u@h.example/", false },
	{ "https://h.example", "https://u:p@h.example/", false },
	{ "https://h.example", "https://h.example@evil.example/", false },
	{ "https://h.example", "https://evil.example/https://h.example", false },
	{ "https://h.example", "https://h.example.evil.example/", false },
	{ "https://h.example", "https://h.example./", false },
	{ "https://h.example", "https://xh.example/", false },
	{ "https://h.example", "https:/h.example/", false },
	{ "https://h.example", "https:h.example", false },
	{ "https://h.example", "//h.example/", false },
	{ "https://h.example", "h.example", false },
	{ "https://h.example", " https://h.example", false },
	{ "https://h.example", "https://h.example/a\n", false },
	{ "https://h.example", "https://h\xef\xbc\x8e" "example/", false }, /* full-width dot */
	{ "https://h.example", "https://\xd2\xbb.example/", false }, /* a Cyrillic h */
	{ "https://h.example", "https://xn--n1a.example/", false },
	{ "http://127.0.0.1:8080", "http://127.0.0.1:8080/a", true },
	{ "http://127.0.0.1:8080", "http://127.1:8080/a", false },
	{ "http://127.0.0.1:8080", "http://0x7f.0.0.1:8080/a", false },
	{ "http://127.0.0.1:8080", "http://2130706433:8080/a", false },
	{ "http://127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080/a", false },
	{ "http://[::1]:80", "http://[::1]/a", true },
	{ "http://[::1]:80", "http://[0:0::1]/a", true },
	{ "https://h.example?x", "https://h.example?x", false },
	{ "https://h.example/a/", "https://h.example/a/b", false },
	{ "foo://h.example/x", "foo://h.example/x", false }, /* no known port */
	{ "", "", false },
	{ "x", "x", false },
};

static const place_case_t host_cases[] = {
	{ "h.example", "h.example", true },
	{ "h.example", "https://h.example", true },
	{ "h.example", "http://h.example:80/any?q=1", true },
	{ "h.example", "wss://h.example/s", true },
	{ "h.example", "https://h.example:80/", false },
	{ "h.example", "https://h.example:8443/", false },
	{ "h.example", "ftp://h.example/", false },
	{ "h.example", "H.example", false },
	{ "h.example", "h.example.", false },
	{ "h.example", "h.example:443", false },
	{ "h.example", "h.example/", false },
	{ "h.example", "u@h.example", false },
	{ "h.example", "https://u@h.example/", false },
	{ "h.example", "https://h.example@evil.example/", false },
	{ "h.example", "https://evil.example/h.example", false },
	{ "h.example", "https://evil.example#h.example", false },
	{ "h.example", "https://evil.example\\@h.example/", false },
	{ "h.example", "a.h.example", false },
	{ "h.example", "", false },
	{ "10.0.0.1", "10.0.0.1", true },
	{ "10.0.0.1", "http://10.0.0.1/", true },
	{ "h.example", "http://[::1]/", false },
	{ "10.0.0.1", "http://10.1/", false },
	{ "10.0.0.1", "http://167772161/", false },
	{ "::1", "::1", false }, /* IPv6 hosts: use url_in */
	{ "H.example", "H.example", false },
	{ "h.example:80", "h.example:80", false },
	{ "", "", false },
};

static void run_table(const char *what, const place_case_t *cases, size_t n, bool (*test)(str_t, str_t))
{
	for (size_t i = 0; i < n; i++) {
		if (test(str_of(cases[i].base), str_of(cases[i].value)) != cases[i].want) {
			fail_msg("%s \"%s\" against \"%s\": want %d", what, cases[i].value, cases[i].base,
				cases[i].want);
		}
	}
}

static void paths(void **state)
{
	(void)state;
	run_table("path", path_cases, ARRAY_LEN(path_cases), delegation_path_is_under);
	assert_false(delegation_path_is_under(STR("/srv"), STR("/srv/a\0b")));
	char long_path[DELEGATION_PATH_BYTES_MAX + 2];
	memset(long_path, 'a', sizeof(long_path));
	long_path[0] = '/';
	assert_true(delegation_path_is_under(STR("/"), str_bytes(long_path, DELEGATION_PATH_BYTES_MAX)));
	assert_false(delegation_path_is_under(STR("/"), str_bytes(long_path, DELEGATION_PATH_BYTES_MAX + 1)));
}

static void urls(void **state)
{
	(void)state;
	static char long_url[DELEGATION_TARGET_BYTES_MAX + 100] = "https://h.example/";

	run_table("url", url_cases, ARRAY_LEN(url_cases), delegation_url_is_in);
	memset(long_url + 18, 'a', sizeof(long_url) - 18);
	assert_true(delegation_url_is_in(STR("https://h.example"), str_bytes(long_url, DELEGATION_TARGET_BYTES_MAX)));
	assert_false(delegation_url_is_in(STR("https://h.example"), str_bytes(long_url, sizeof(long_url))));
	assert_false(delegation_host_is(STR("h.example"), str_bytes(long_url, sizeof(long_url))));
	assert_false(delegation_url_is_in(str_bytes(long_url, DELEGATION_URL_BYTES_MAX + 1),
		str_bytes(long_url, DELEGATION_URL_BYTES_MAX + 1)));
}

static void hosts(void **state)
{
	(void)state;
	run_table("host", host_cases, ARRAY_LEN(host_cases), delegation_host_is);
}

static void targets(void **state)
{
	static const char *const good[] = { "/", "/tickets", "/tickets/", "/a/b?c=d&e=%20", "/a%20b", "/a;x=1",
		"/a?b/../c", "/%C3%A9", "/a?", "/a:b@c,d+e!$&'()*=" };
	static const char *const bad[] = { "", "tickets", "http://h/", "*", "//a", "/a//b", "/.", "/..", "/a/../b",
		"/a/.", "/./a", "/%2e", "/%2E%2E/a", "/a%2Fb", "/a%2fb", "/a%5Cb", "/a\\b", "/a%00", "/a%25b", "/a%0A",
		"/a%7F", "/a#b", "/a b", "/a\tb", "/a\xc3\xa9", "/a%", "/a%2", "/a%GG", "/a%c3", "/%41", "/%2D", "/%5F", "/%7A", "/%30", "/%7E", "/a?%41",
		"/a?%", "/a?b#c", "/a?\"", "/a<b", "/a>b", "/a^b", "/a`b", "/{a}", "/a|b", "/..;/a", "/.;x", "/a?%00" };
	char long_target[DELEGATION_TARGET_BYTES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (delegation_target_check(str_of(good[i])) != OK) {
			fail_msg("refused: %s", good[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (delegation_target_check(str_of(bad[i])) == OK) {
			fail_msg("accepted: %s", bad[i]);
		}
	}
	memset(long_target, '/', 1);
	memset(long_target + 1, 'a', sizeof(long_target) - 1);
	assert_int_equal(delegation_target_check(str_bytes(long_target, sizeof(long_target) - 1)), OK);
	assert_int_equal(delegation_target_check(str_bytes(long_target, sizeof(long_target))), ERR_LIMIT);
	assert_int_equal(delegation_method_check(STR("GET")), OK);
	assert_int_equal(delegation_method_check(STR("get")), ERR_VALUE);
	assert_int_equal(delegation_method_check(STR("")), ERR_VALUE);
	assert_int_equal(delegation_method_check(STR("M-SEARCH")), ERR_VALUE);
	assert_int_equal(delegation_method_check(STR("ABCDEFGHIJKLMNOPQ")), ERR_VALUE);
}

static void patterns(void **state)
{
	static const char *const bad[] = { "(", ")", "(a", "a)", "*", "+a", "?", "a**", "a+?", "a{2}{3}", "|*", "(*a)",
		"(?:a)", "(?i)a", "[", "[a", "[]", "[^]", "[]a]", "[b-a]", "[a-\\d]", "[\\d-z]", "[\\d-", "[[", "[a-[]", "[a--]", "[--a]", "[a-b-c]",
		"[[:alpha:]]", "[\\D]", "a{", "a{}", "a{,3}", "a{3,2}", "a{256}", "a{1,256}", "a{01}", "a{1", "a{1,2", "a{1;2}",
		"{2}", "}", "]", "^a", "a$", "\\", "\\a", "\\1", "\\b", "\\x41", "\\ ", "a\x01", "\x7f", "\xff", "\\\xc3\xa9",
		"[\\", "[\\q]" };
	static const struct {
		const char *pattern, *text;
		bool want;
	} cases[] = {
		{ "", "", true }, { "", "a", false }, { "a", "a", true }, { "a", "ab", false }, { "a", "ba", false },
		{ ".", "\n", true }, { ".", "\xf0\x9f\x98\x80", true }, { ".", "", false }, { "..", "\xc3\xa9", false },
		{ "a|b", "b", true }, { "a|b|", "", true }, { "a||b", "", true }, { "(a|b)c", "bc", true }, { "ab|cd", "abd", false },
		{ "(|a)+", "", true }, { "(a*)*", "aaaa", true }, { "(a*)*b", "aaaa", false }, { "(a|aa)+", "aaaaa", true },
		{ "[a-c]+", "abcb", true }, { "[^a-c]", "\xe2\x82\xac", true }, { "[^a-c]", "b", false }, { "[-a]", "-", true },
		{ "[a-]", "-", true }, { "[\\w.-]+", "a_1.-", true }, { "[\\]\\\\]", "\\", true }, { "\\d{3}", "123", true },
		{ "\\d{3}", "12", false }, { "a{0}", "", true }, { "a{0}", "a", false }, { "a{2,}", "a", false }, { "a{2,}", "aaaa", true },
		{ "a{0,2}", "aaa", false }, { "(ab){1,2}", "abab", true }, { "\\D\\W\\S", "a-b", true }, { "\\S", " ", false },
		{ "\\n\\r\\t", "\n\r\t", true }, { "\\.", "a", false }, { "(a?){20}a{20}", "aaaaaaaaaaaaaaaaaaaa", true },
		{ "[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true }, { "a", "\xff", false }, { "()", "", true }, { "()*x", "x", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (delegation_pattern_check(str_of(bad[i])) == OK
			|| delegation_pattern_matches(str_of(bad[i]), STR("a"))) {
			fail_msg("accepted: %s", bad[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (delegation_pattern_check(str_of(cases[i].pattern)) != OK
			|| delegation_pattern_matches(str_of(cases[i].pattern), str_of(cases[i].text))
				!= cases[i].want) {
			fail_msg("%s on %s", cases[i].pattern, cases[i].text);
		}
	}
}

static void patterns_are_bounded(void **state)
{
	AUTO(buf_done) buf_t b;

	(void)state;
	buf_init(&b, 1 << 17);
	for (int i = 0; i < DELEGATION_PATTERN_BYTES_MAX; i++) {
		buf_byte(&b, 'a');
	}
	assert_int_equal(delegation_pattern_check(buf_str(&b)), OK);
	buf_byte(&b, 'a');
	assert_int_equal(delegation_pattern_check(buf_str(&b)), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("((a{30}){30}){30}")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(a{200}){0,6}")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(a{255}b{255}c{255}){2,}")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(a{255}){4,}")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(a{255}){4}aab")), OK); /* 1,023 and the end */
	assert_int_equal(delegation_pattern_check(STR("(a{255}){4}aabc")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(a{255}){4}aab?")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(a{255}){4}aab*")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(a{255}){4}aab|c")), ERR_LIMIT);
	assert_int_equal(delegation_pattern_check(STR("(((((((((((((((a)))))))))))))))")), OK);
	assert_int_equal(delegation_pattern_check(STR("((((((((((((((((((a))))))))))))))))))")), ERR_LIMIT);
	buf_clear(&b);
	for (int i = 0; i < DELEGATION_PATTERN_BYTES_MAX / 2; i++) {
		buf_add(&b, STR("\\w"));
	}
	assert_int_equal(delegation_pattern_check(buf_str(&b)), OK);
	buf_clear(&b);
	for (int i = 0; i < DELEGATION_STRING_BYTES_MAX; i++) {
		buf_byte(&b, 'a');
	}
	assert_true(delegation_pattern_matches(STR("(a|a|aa)*"), buf_str(&b)));
	assert_false(delegation_pattern_matches(STR("(a*)*b"), buf_str(&b))); /* what kills backtrackers */
	buf_byte(&b, 'a');
	assert_false(delegation_pattern_matches(STR("a*"), buf_str(&b)));
}

/* --- narrowing, kind against kind ----------------------------------------------------------------- */

typedef struct {
	const char *parent, *child;
	err_t want;
} narrow_case_t;

#define N1(kind, value) "[" C1("/p", kind, value) "]"
static const narrow_case_t narrow_cases[] = {
	{ "[]", "[]", OK },
	{ N1("equals", "1"), "[]", ERR_BOUNDS },
	{ "[]", N1("equals", "1"), ERR_BOUNDS },
	{ N1("equals", "1"), N1("equals", "1"), OK },
	{ N1("equals", "1"), N1("equals", "2"), ERR_BOUNDS },
	{ N1("one_of", "[1,2]"), N1("equals", "2"), OK },
	{ N1("equals", "2"), N1("one_of", "[2]"), OK },
	{ N1("equals", "2"), N1("one_of", "[2,3]"), ERR_BOUNDS },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("range", "{\"max\":5,\"min\":1}"), OK },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("range", "{\"max\":4,\"min\":2}"), OK },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("range", "{\"max\":6,\"min\":2}"), ERR_BOUNDS },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("range", "{\"max\":4,\"min\":0}"), ERR_BOUNDS },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("one_of", "[1,5]"), OK },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("one_of", "[1,\"5\"]"), ERR_BOUNDS },
	{ N1("one_of", "[1,2,3]"), N1("range", "{\"max\":2,\"min\":1}"), ERR_BOUNDS }, /* sound, not complete */
	{ N1("path_under", "\"/srv\""), N1("path_under", "\"/srv/a\""), OK },
	{ N1("path_under", "\"/srv\""), N1("path_under", "\"/srvx\""), ERR_BOUNDS },
	{ N1("path_under", "\"/srv/a\""), N1("path_under", "\"/srv\""), ERR_BOUNDS },
	{ N1("path_under", "\"/srv\""), N1("equals", "\"/srv/a\""), OK },
	{ N1("path_under", "\"/srv\""), N1("equals", "\"/srv/../a\""), ERR_BOUNDS },
	{ N1("path_under", "\"/srv\""), N1("matches", "\"/srv/.*\""), ERR_BOUNDS },
	{ N1("matches", "\"/srv/.*\""), N1("path_under", "\"/srv/a\""), ERR_BOUNDS },
	{ N1("matches", "\"[a-z]+\""), N1("matches", "\"[a-z]+\""), OK },
	{ N1("matches", "\".*\""), N1("matches", "\"a\""), ERR_BOUNDS }, /* narrower only if equal */
	{ N1("matches", "\"[a-z]+\""), N1("one_of", "[\"a\",\"bc\"]"), OK },
	{ N1("matches", "\"[a-z]+\""), N1("one_of", "[\"a\",\"B\"]"), ERR_BOUNDS },
	{ N1("url_in", "[\"https://a.example\"]"), N1("url_in", "[\"https://a.example/x\"]"), OK },
	{ N1("url_in", "[\"https://a.example/x\"]"), N1("url_in", "[\"https://a.example\"]"), ERR_BOUNDS },
	{ N1("url_in", "[\"https://a.example\"]"), N1("url_in", "[\"https://a.example\",\"https://b.example\"]"),
		ERR_BOUNDS },
	{ N1("host_is", "[\"a.example\"]"), N1("url_in", "[\"https://a.example/x\"]"), OK },
	{ N1("host_is", "[\"a.example\"]"), N1("url_in", "[\"https://a.example:444\"]"), ERR_BOUNDS },
	{ N1("url_in", "[\"https://a.example\"]"), N1("host_is", "[\"a.example\"]"), ERR_BOUNDS },
	{ N1("host_is", "[\"a.example\",\"b.example\"]"), N1("host_is", "[\"b.example\"]"), OK },
	{ N1("host_is", "[\"a.example\"]"), N1("host_is", "[\"b.example\"]"), ERR_BOUNDS },
	{ N1("host_is", "[\"a.example\"]"), N1("equals", "\"https://a.example/x?q\""), OK },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("path_under", "\"/srv\""), ERR_BOUNDS },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("url_in", "[\"https://a.example\"]"), ERR_BOUNDS },
	{ N1("range", "{\"max\":5,\"min\":1}"), N1("host_is", "[\"a.example\"]"), ERR_BOUNDS },
	{ "[" C1("/p/*", "equals", "1") "]", "[" C1("/p/0", "equals", "1") "]", ERR_BOUNDS },
	{ "[" C1("/p", "equals", "1") "," C1("/q", "equals", "1") "]", "[" C1("/p", "equals", "1") "]", ERR_BOUNDS },
	{ "[" C1("/p", "equals", "1") "]", "[" C1("/p", "equals", "1") "," C1("/q", "equals", "1") "]", ERR_BOUNDS },
	{ "[" C1("/p", "equals", "1") "]", "[" C1("/p", "equals", "1") "," C1("/p", "range", "{\"max\":1,\"min\":1}") "]",
		OK },
};

static void kinds_narrow_kinds(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(narrow_cases); i++) {
		const char *texts[2] = { narrow_cases[i].parent, narrow_cases[i].child };
		const delegation_item_t *items[2];
		size_t n[2];
		diag_t d = { 0 };
		for (size_t k = 0; k < 2; k++) {
			str_t s = arena_cat(a, STR("[{\"constraints\":"), str_of(texts[k]),
				STR(",\"server\":\"" ROUTE "\",\"tool\":\"t\",\"type\":\"mcp_tool_call\"}]"));
			assert_int_equal(delegation_items_parse(a, s, &items[k], &n[k], NULL), OK);
		}
		err_t e = delegation_items_narrow(items[0], n[0], items[1], n[1], &d);
		if (e != narrow_cases[i].want || (e != OK && d.text[0] == '\0')) {
			fail_msg("%s -> %s: %s", texts[0], texts[1], err_info(e)->name);
		}
	}
}

static void bounds_narrow_in_every_dimension(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t any[] = { STR("*") }, more[] = { STR("finance"), STR("pii"), STR("x") };
	delegation_bounds_t p, c;
	diag_t d = { 0 };

	(void)state;
	assert_int_equal(delegation_bounds_parse(a, STR(BOUNDS_OF(TOOL_OF("[]"))), &p, NULL), OK);
#define CHANGED(want, part, ...)                                                                   \
	do {                                                                                       \
		c = p;                                                                             \
		__VA_ARGS__;                                                                       \
		assert_int_equal(delegation_narrow(&p, &c, &d), (want));                           \
		assert_true((want) == OK || strstr(d.text, (part)));                               \
	} while (0)
	CHANGED(OK, "", (void)0);
	CHANGED(OK, "", c.scope = STR_NULL);
	CHANGED(OK, "", c.scope = STR("tickets:create"));
	CHANGED(ERR_BOUNDS, "scope", c.scope = STR("tickets:delete"));
	CHANGED(ERR_BOUNDS, "", c.scope = STR("tickets:create  x"));
	CHANGED(ERR_BOUNDS, "data_classes", c.data_classes = any, c.n_data_classes = 1);
	CHANGED(ERR_BOUNDS, "data_classes", c.data_classes = more, c.n_data_classes = 3);
	CHANGED(OK, "", c.n_data_classes = 0);
	CHANGED(ERR_BOUNDS, "environments", c.environments = any);
	CHANGED(OK, "", c.n_environments = 0);
	CHANGED(ERR_BOUNDS, "data_classes", p.n_data_classes = 0); /* none above: none below, absent is not all */
	p.n_data_classes = c.n_data_classes;
	CHANGED(ERR_BOUNDS, "environments", p.n_environments = 0);
	p.n_environments = c.n_environments;
	CHANGED(ERR_BOUNDS, "uses", c.uses++);
	CHANGED(ERR_BOUNDS, "uses", c.uses = 0);
	CHANGED(ERR_BOUNDS, "depth", c.depth++);
	CHANGED(ERR_BOUNDS, "depth", c.depth = 0);
	CHANGED(ERR_BOUNDS, "window", c.window.is_set = false);
	CHANGED(ERR_BOUNDS, "window", c.window.days |= 0x40);
	CHANGED(ERR_BOUNDS, "window", c.window.from_min--);
	CHANGED(ERR_BOUNDS, "window", c.window.to_min++);
	CHANGED(OK, "", c.window.to_min--, c.window.days = 2);
	CHANGED(OK, "", c.n_items = 0);
	p.n_items = 0;
	assert_int_equal(delegation_bounds_parse(a, STR(BOUNDS_OF(TOOL_OF("[]"))), &c, NULL), OK);
	assert_int_equal(delegation_narrow(&p, &c, &d), ERR_BOUNDS);
	p = c;
	p.window.is_set = false;
	assert_int_equal(delegation_narrow(&p, &c, &d), OK);
	p.scope = STR("x  y");
	assert_int_equal(delegation_narrow(&p, &c, &d), ERR_BOUNDS);
	/* a mute parent item covers nothing */
	delegation_item_t mute = c.items[0];
	mute.has_constraints = false;
	assert_int_equal(delegation_items_narrow(&mute, 1, c.items, 1, &d), ERR_BOUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(urls),
		cmocka_unit_test(hosts),
		cmocka_unit_test(targets),
		cmocka_unit_test(patterns),
		cmocka_unit_test(patterns_are_bounded),
		cmocka_unit_test(kinds_narrow_kinds),
		cmocka_unit_test(bounds_narrow_in_every_dimension),
	};
	if (crypto_init() != OK) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
