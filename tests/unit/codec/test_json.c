/* JSON: what is refused and with which error, and what a tree tells. (oauth.md P65-P67, mcp.md G5) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pure/codec/codec.h"

typedef struct {
	str_t text;
	err_t err; /* OK: must be accepted */
} row_t;

#define ROW(lit, e) { STR_INIT(lit), e }

static const row_t rows[] = {
	/* accepted */
	ROW("null", OK), ROW("true", OK), ROW("false", OK), ROW("0", OK), ROW("-0", OK), ROW("\"\"", OK),
	ROW("[]", OK), ROW("{}", OK), ROW(" \t\r\n[ ] \t\r\n", OK), ROW("{\"\":0}", OK), ROW("[[],{},\"\",0]", OK),
	ROW("1e400", OK), ROW("-1.25E-10", OK), ROW("1E+2", OK), ROW("0.0", OK), ROW("0e1", OK),
	ROW("123456789012345678901234567890", OK), ROW("\"\x7f\"", OK), ROW("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", OK),
	ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uABCD\\uabcd\"", OK), ROW("\"\\ud83d\\ude00\"", OK),
	ROW("\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\"", OK), ROW("\"\\uFFFF\"", OK), ROW("{\"a\":{\"a\":{\"a\":1}}}", OK),
	ROW("{\"a\":1,\"A\":2,\"a \":3}", OK), ROW("\"/*\"", OK), ROW("{\"a\" : [ 1 , 2 ] , \"b\" : null }", OK),
	/* structure */
	ROW("", ERR_SYNTAX), ROW(" ", ERR_SYNTAX), ROW("[", ERR_SYNTAX), ROW("]", ERR_SYNTAX), ROW("{", ERR_SYNTAX),
	ROW("}", ERR_SYNTAX), ROW("[1", ERR_SYNTAX), ROW("[1,", ERR_SYNTAX), ROW("[1,]", ERR_SYNTAX), ROW("[,1]", ERR_SYNTAX),
	ROW("[1 2]", ERR_SYNTAX), ROW("[1,,2]", ERR_SYNTAX), ROW("[1}", ERR_SYNTAX), ROW("{\"a\":1]", ERR_SYNTAX),
	ROW("[1]]", ERR_SYNTAX), ROW("[]x", ERR_SYNTAX), ROW("1 2", ERR_SYNTAX), ROW("{}{}", ERR_SYNTAX),
	ROW("{\"a\"}", ERR_SYNTAX), ROW("{\"a\":}", ERR_SYNTAX), ROW("{\"a\" 1}", ERR_SYNTAX), ROW("{:1}", ERR_SYNTAX),
	ROW("{a:1}", ERR_SYNTAX), ROW("{'a':1}", ERR_SYNTAX), ROW("{1:1}", ERR_SYNTAX), ROW("{\"a\":1,}", ERR_SYNTAX),
	ROW("{,}", ERR_SYNTAX), ROW("{\"a\":1 \"b\":2}", ERR_SYNTAX), ROW("{\"a\"::1}", ERR_SYNTAX), ROW("{\"a\":1,,}", ERR_SYNTAX),
	ROW("[1]//", ERR_SYNTAX), ROW("/**/1", ERR_SYNTAX), ROW("#", ERR_SYNTAX), ROW(",", ERR_SYNTAX), ROW("{\"a\":1", ERR_SYNTAX),
	ROW("{\"a\":", ERR_SYNTAX), ROW("{\"a\"", ERR_SYNTAX), ROW("{\"a", ERR_SYNTAX), ROW("[\x0c]", ERR_SYNTAX),
	ROW("[\xc2\xa0]", ERR_SYNTAX), ROW("\xef\xbb\xbf{}", ERR_SYNTAX), ROW("\xff\xfe[\0]\0", ERR_SYNTAX), ROW("[]\0", ERR_SYNTAX),
	ROW("\0", ERR_SYNTAX), ROW("1\0", ERR_SYNTAX),
	/* words */
	ROW("nul", ERR_SYNTAX), ROW("nulll", ERR_SYNTAX), ROW("True", ERR_SYNTAX), ROW("NaN", ERR_SYNTAX),
	ROW("Infinity", ERR_SYNTAX), ROW("-Infinity", ERR_SYNTAX), ROW("undefined", ERR_SYNTAX), ROW("tru\0", ERR_SYNTAX),
	/* numbers */
	ROW("01", ERR_SYNTAX), ROW("-01", ERR_SYNTAX), ROW("+1", ERR_SYNTAX), ROW("-", ERR_SYNTAX), ROW("--1", ERR_SYNTAX),
	ROW(".5", ERR_SYNTAX), ROW("1.", ERR_SYNTAX), ROW("1.e1", ERR_SYNTAX), ROW("1e", ERR_SYNTAX), ROW("1e+", ERR_SYNTAX),
	ROW("1e1.5", ERR_SYNTAX), ROW("0x1", ERR_SYNTAX), ROW("1_000", ERR_SYNTAX), ROW("00", ERR_SYNTAX), ROW("-.1", ERR_SYNTAX),
	ROW("1e++1", ERR_SYNTAX), ROW("\xef\xbc\x91", ERR_SYNTAX), ROW("0.1.2", ERR_SYNTAX), ROW("1a", ERR_SYNTAX),
	/* strings */
	ROW("\"", ERR_SYNTAX), ROW("\"a", ERR_SYNTAX), ROW("\"\\\"", ERR_SYNTAX), ROW("\"\\", ERR_SYNTAX), ROW("'a'", ERR_SYNTAX),
	ROW("\"\\x41\"", ERR_SYNTAX), ROW("\"\\a\"", ERR_SYNTAX), ROW("\"\\u\"", ERR_SYNTAX), ROW("\"\\u12\"", ERR_SYNTAX),
	ROW("\"\\u123g\"", ERR_SYNTAX), ROW("\"\\U0041\"", ERR_SYNTAX), ROW("\"\\0\"", ERR_SYNTAX), ROW("\"\\\n\"", ERR_SYNTAX),
	ROW("\"\n\"", ERR_SYNTAX), ROW("\"\t\"", ERR_SYNTAX), ROW("\"\x1f\"", ERR_SYNTAX), ROW("\"a\0b\"", ERR_SYNTAX),
	ROW("\"12345678901234567\x01\"", ERR_SYNTAX), ROW("\"\\u0000\"", ERR_VALUE), ROW("{\"\\u0000\":1}", ERR_VALUE),
	/* UTF-8 and surrogates */
	ROW("\"\xff\"", ERR_UTF8), ROW("\"\x80\"", ERR_UTF8), ROW("\"\xc0\x80\"", ERR_UTF8), ROW("\"\xc1\xbf\"", ERR_UTF8),
	ROW("\"\xe0\x80\xaf\"", ERR_UTF8), ROW("\"\xed\xa0\x80\"", ERR_UTF8), ROW("\"\xed\xbf\xbf\"", ERR_UTF8),
	ROW("\"\xf4\x90\x80\x80\"", ERR_UTF8), ROW("\"\xf0\x80\x80\x80\"", ERR_UTF8), ROW("\"\xe2\x82\"", ERR_UTF8),
	ROW("\"\xf0\x9f\x98\"", ERR_UTF8), ROW("\"\xf8\x88\x80\x80\x80\"", ERR_UTF8), ROW("\"plain text then \xfe\"", ERR_UTF8),
	ROW("{\"\xff\":1}", ERR_UTF8), ROW("\"\\ud800\"", ERR_UTF8), ROW("\"\\udc00\"", ERR_UTF8), ROW("\"\\udc00\\ud800\"", ERR_UTF8),
	ROW("\"\\ud800\\ud800\"", ERR_UTF8), ROW("\"\\ud800x\"", ERR_UTF8), ROW("\"\\ud800\\n\"", ERR_UTF8),
	ROW("\"\\ud800\\u0041\"", ERR_UTF8), ROW("\"\\ud83d\\ude0\"", ERR_UTF8), ROW("{\"\\ud800\":1}", ERR_UTF8),
	/* duplicates, at any depth and after unescaping */
	ROW("{\"a\":1,\"a\":1}", ERR_DUPLICATE), ROW("{\"a\":1,\"\\u0061\":2}", ERR_DUPLICATE),
	ROW("{\"\\u00e9\":1,\"\xc3\xa9\":2}", ERR_DUPLICATE), ROW("{\"\":1,\"\":2}", ERR_DUPLICATE),
	ROW("{\"\\/\":1,\"/\":2}", ERR_DUPLICATE), ROW("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", ERR_DUPLICATE),
	ROW("[[{\"x\":[{\"k\":1,\"b\":2,\"k\":3}]}]]", ERR_DUPLICATE), ROW("{\"a\":{\"b\":1,\"b\":1},\"c\":2}", ERR_DUPLICATE),
	ROW("{\"a\":{\"x\":1},\"b\":0,\"a\":{\"y\":1}}", ERR_DUPLICATE),
	ROW("{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"a\":0}",
		ERR_DUPLICATE),
};

static void table_of_documents(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const json_t *root = NULL;
		diag_t diag = { 0 };
		err_t e = json_parse(a, rows[i].text, NULL, &root, &diag);
		if (e != rows[i].err) {
			fail_msg("row %zu \"%.*s\": %s, expected %s", i, STR_ARG(rows[i].text), err_info(e)->name,
				err_info(rows[i].err)->name);
		}
		assert_true((e == OK) == (root != NULL)); /* out is written on success only */
		assert_true((e == OK) == (diag.line == 0));
	}
}

/* Every prefix of a valid document is refused, and reads nothing behind its end. */
static void every_prefix_is_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t whole = STR("{\"a\":[1.5e3,true,null,\"x\\u00e9\\ud83d\\ude00\xe2\x82\xac\"],\"b\":{\"c\":[[],{}]}}");
	const json_t *root;

	(void)state;
	assert_int_equal(json_parse(a, whole, NULL, &root, NULL), OK);
	for (size_t n = 0; n < whole.n; n++) {
		char *exact = heap_alloc(n + 1); /* for AddressSanitizer: nothing behind n */
		memcpy(exact, whole.p, n);
		assert_int_not_equal(json_parse(a, (str_t){ exact, n }, NULL, &root, NULL), OK);
		heap_free(exact);
		arena_reset(a);
	}
}

static void depth_is_bounded(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	char text[2 * 65];
	const json_t *root;

	(void)state;
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_int_equal(json_parse(a, (str_t){ text + 1, 128 }, NULL, &root, NULL), OK);
	assert_int_equal(json_parse(a, (str_t){ text, 130 }, NULL, &root, NULL), ERR_LIMIT);
	assert_int_equal(json_parse(a, STR("[[]]"), &(json_opts_t){ .depth_max = 1 }, &root, NULL), ERR_LIMIT);
	assert_int_equal(json_parse(a, STR("[{}]"), &(json_opts_t){ .depth_max = 2 }, &root, NULL), OK);

	AUTO(buf_done) buf_t bomb;
	buf_init(&bomb, 1 << 20);
	for (int i = 0; i < 100000; i++) {
		buf_add(&bomb, STR("{\"a\":"));
	}
	assert_int_equal(json_parse(a, buf_str(&bomb), NULL, &root, NULL), ERR_LIMIT);
}

static void nodes_bytes_and_arena_are_bounded(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_done) buf_t b;
	const json_t *root;

	(void)state;
	assert_int_equal(json_parse(a, STR("[1,2]"), &(json_opts_t){ .nodes_max = 3 }, &root, NULL), OK);
	assert_int_equal(json_parse(a, STR("[1,2]"), &(json_opts_t){ .nodes_max = 2 }, &root, NULL), ERR_LIMIT);
	assert_int_equal(json_parse(a, STR("[1,2]"), &(json_opts_t){ .bytes_max = 4 }, &root, NULL), ERR_LIMIT);
	assert_int_equal(json_parse(a, STR("[1,2]"), &(json_opts_t){ .bytes_max = 5 }, &root, NULL), OK);

	buf_init(&b, 1 << 20);
	buf_byte(&b, '[');
	for (int i = 0; i < 30000; i++) { /* fits the node bound, not an arena of 1 MiB */
		buf_add(&b, STR("0,"));
	}
	buf_add(&b, STR("0]"));
	assert_int_equal(json_parse(a, buf_str(&b), NULL, &root, NULL), ERR_LIMIT);
	AUTO(arena_free) arena_t *large = arena_new_capped(4 << 20);
	assert_int_equal(json_parse(large, buf_str(&b), NULL, &root, NULL), OK);
	assert_int_equal(json_count(root), 30001);
	for (int i = 0; i < 40000; i++) {
		b.p[b.n - 1] = ',';
		buf_add(&b, STR("0]"));
	}
	assert_int_equal(json_parse(large, buf_str(&b), NULL, &root, NULL), ERR_LIMIT); /* 70,001 values */
}

static void add_keys(buf_t *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		buf_printf(b, "\"key-with-a-long-common-prefix-%u\":0,", i * 7919 % n);
	}
}

static void many_keys_and_one_twin(void **state)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(32 << 20);
	AUTO(buf_done) buf_t b;
	const json_opts_t opts = { .nodes_max = 200000, .bytes_max = 16 << 20 };
	const json_t *root;

	(void)state;
	buf_init(&b, 16 << 20);
	buf_byte(&b, '{');
	add_keys(&b, 100000);
	size_t body = b.n;
	buf_add(&b, STR("\"last\":0}"));
	assert_int_equal(json_parse(a, buf_str(&b), &opts, &root, NULL), OK);
	assert_int_equal(json_count(root), 100001);
	b.n = body;
	buf_add(&b, STR("\"key-with-a-long-common-prefix-5\":0}"));
	assert_int_equal(json_parse(a, buf_str(&b), &opts, &root, NULL), ERR_DUPLICATE);
}

static void faults_have_a_place(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *root;
	diag_t d;

	(void)state;
	assert_int_equal(json_parse(a, STR("{\n  \"a\": 1,\n  \"b\": tru\n}"), NULL, &root, &d), ERR_SYNTAX);
	assert_int_equal(d.line, 3);
	assert_int_equal(d.column, 8);
	assert_int_equal(json_parse(a, STR("{\"a\":1,\n\"a\":2}"), NULL, &root, &d), ERR_DUPLICATE);
	assert_int_equal(d.line, 2);
	assert_int_equal(d.column, 5);
	assert_int_equal(json_parse_object(a, STR("[]"), &root, &d), ERR_VALUE);
	assert_int_equal(json_parse_object(a, STR("{}"), &root, &d), OK);
	assert_int_equal(json_parse(a, STR("\"a\\u0000\""), &(json_opts_t){ .allow_nul = true }, &root, &d), OK);
	str_t s;
	assert_int_equal(json_str(root, &s), OK);
	assert_true(str_eq(s, STR("a\0")));
}

static const json_t *parsed(arena_t *a, str_t text)
{
	const json_t *root;

	assert_int_equal(json_parse(a, text, NULL, &root, NULL), OK);
	return root;
}

static void spans_and_walks(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *r = parsed(a, STR(" {\"a\" : [ 1.0e2 , {\"\\u0062\":\"\\ud83d\\ude00\"} ], \"c\":{ } ,\"d\":-0}  "));
	uint32_t seen = 0;
	str_t s;

	(void)state;
	assert_int_equal(json_kind(r), JSON_OBJECT);
	assert_int_equal(json_count(r), 3);
	assert_true(str_eq(json_raw(json_get(r, STR("a"))), STR("[ 1.0e2 , {\"\\u0062\":\"\\ud83d\\ude00\"} ]")));
	assert_true(str_eq(json_raw(json_get(r, STR("c"))), STR("{ }")));
	assert_true(str_eq(json_raw(json_get(r, STR("d"))), STR("-0")));
	for (const json_t *c = json_first(r); c; c = json_next(c)) {
		seen++;
		assert_true(json_key(c).n == 1);
	}
	assert_int_equal(seen, 3);
	assert_null(json_first(json_get(r, STR("c"))));
	assert_null(json_get(r, STR("A")));
	assert_null(json_get(json_get(r, STR("a")), STR("0")));
	assert_int_equal(json_str(json_pointer(r, STR("/a/1/b")), &s), OK);
	assert_true(str_eq(s, STR("\xf0\x9f\x98\x80")));
	assert_null(json_next(r));
	assert_int_equal(json_kind(NULL), JSON_NONE);
	assert_int_equal(json_count(NULL), 0);
}

static void pointers(void **state) /* RFC 6901 5 */
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *r = parsed(a, STR("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,"
					"\"k\\\"l\":6,\" \":7,\"m~n\":8}"));
	const struct {
		str_t pointer, raw;
	} good[] = {
		{ STR_INIT("/foo/0"), STR_INIT("\"bar\"") }, { STR_INIT("/"), STR_INIT("0") }, { STR_INIT("/a~1b"), STR_INIT("1") },
		{ STR_INIT("/c%d"), STR_INIT("2") }, { STR_INIT("/e^f"), STR_INIT("3") }, { STR_INIT("/g|h"), STR_INIT("4") },
		{ STR_INIT("/i\\j"), STR_INIT("5") }, { STR_INIT("/k\"l"), STR_INIT("6") }, { STR_INIT("/ "), STR_INIT("7") },
		{ STR_INIT("/m~0n"), STR_INIT("8") },
	};
	const str_t bad[] = { STR_INIT("foo"), STR_INIT("/foo/2"), STR_INIT("/foo/01"), STR_INIT("/foo/-"), STR_INIT("/foo/"),
		STR_INIT("/foo/0/"), STR_INIT("/m~n"), STR_INIT("/m~"), STR_INIT("/m~2n"), STR_INIT("/foo/99999999999999999999"),
		STR_INIT("//"), STR_INIT("/fo"), STR_INIT("/fooo") };

	(void)state;
	assert_ptr_equal(json_pointer(r, STR("")), r);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(str_eq(json_raw(json_pointer(r, good[i].pointer)), good[i].raw));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(json_pointer(r, bad[i]));
	}
}

static void numbers_stay_exact(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *r = parsed(a, STR("[0,-0,1.0,1e2,9007199254740991,9007199254740992,-9007199254740991,18446744073709551615,"
					"18446744073709551616,-1,\"1\"]"));
	uint64_t u = 77;
	int64_t i = 77;
	const json_t *n[11];
	uint32_t k = 0;

	(void)state;
	for (const json_t *c = json_first(r); c; c = json_next(c)) {
		n[k++] = c;
	}
	assert_int_equal(json_u64(n[1], 9, &u), ERR_NUMBER);
	assert_int_equal(json_u64(n[2], 9, &u), ERR_NUMBER);
	assert_int_equal(json_u64(n[3], 900, &u), ERR_NUMBER);
	assert_int_equal(json_u64(n[8], UINT64_MAX, &u), ERR_NUMBER);
	assert_int_equal(json_u64(n[9], 9, &u), ERR_NUMBER);
	assert_int_equal(json_u64(n[10], 9, &u), ERR_VALUE);
	assert_int_equal(json_u64(NULL, 9, &u), ERR_MISSING_MEMBER);
	assert_int_equal(u, 77);
	assert_int_equal(json_u64(n[7], UINT64_MAX, &u), OK);
	assert_true(u == UINT64_MAX);
	assert_int_equal(json_u64(n[5], JSON_SAFE_INT_MAX, &u), ERR_NUMBER);
	assert_int_equal(json_i64(n[1], &i), ERR_NUMBER);
	assert_int_equal(json_i64(n[5], &i), ERR_NUMBER);
	assert_int_equal(json_i64(n[7], &i), ERR_NUMBER);
	assert_int_equal(i, 77);
	assert_int_equal(json_i64(n[6], &i), OK);
	assert_true(i == -9007199254740991);
}

static void dates_are_read_right(void **state) /* P67 */
{
	AUTO(arena_free) arena_t *a = arena_open();
	const struct {
		str_t text;
		err_t err;
		int64_t ms;
	} dates[] = {
		{ STR_INIT("1700000000"), OK, 1700000000000 }, { STR_INIT("1700000000.5"), OK, 1700000000500 },
		{ STR_INIT("1700000000.9999"), OK, 1700000000999 }, { STR_INIT("1.7e9"), OK, 1700000000000 },
		{ STR_INIT("17E+8"), OK, 1700000000000 }, { STR_INIT("1.7000000001e9"), OK, 1700000000100 },
		{ STR_INIT("17000000000000000e-7"), OK, 1700000000000 }, { STR_INIT("0"), OK, 0 }, { STR_INIT("0.0001"), OK, 0 },
		{ STR_INIT("0.001"), OK, 1 }, { STR_INIT("0e9999999999"), OK, 0 }, { STR_INIT("1e-9999999999"), OK, 0 },
		{ STR_INIT("253402300799"), OK, 253402300799000 }, { STR_INIT("253402300800"), ERR_NUMBER, 0 },
		{ STR_INIT("-1"), ERR_NUMBER, 0 }, { STR_INIT("-0"), ERR_NUMBER, 0 }, { STR_INIT("1e12"), ERR_NUMBER, 0 },
		{ STR_INIT("1e400"), ERR_NUMBER, 0 }, { STR_INIT("1e9999999999"), ERR_NUMBER, 0 },
		{ STR_INIT("18446744073709551616"), ERR_NUMBER, 0 }, { STR_INIT("9223372036854775808"), ERR_NUMBER, 0 },
		{ STR_INIT("\"1700000000\""), ERR_VALUE, 0 }, { STR_INIT("null"), ERR_VALUE, 0 }, { STR_INIT("true"), ERR_VALUE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		int64_t ms = 42, s = 42;
		const json_t *n = parsed(a, dates[i].text);
		assert_int_equal(json_date_ms(n, &ms), dates[i].err);
		assert_int_equal(json_date_s(n, &s), dates[i].err);
		assert_true(ms == (dates[i].err ? 42 : dates[i].ms));
		assert_true(s == (dates[i].err ? 42 : dates[i].ms / 1000));
	}
}

static void members_one_by_one(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *r = parsed(a, STR("{\"s\":\"abc\",\"e\":\"\",\"n\":5,\"b\":true,\"o\":{},\"l\":[1,2,3],\"z\":null,\"t\":9.5}"));
	str_t s = STR("before");
	uint64_t u;
	int64_t i;
	bool b;
	const json_t *n;

	(void)state;
	assert_int_equal(json_need_str(r, STR("x"), 9, &s), ERR_MISSING_MEMBER);
	assert_int_equal(json_need_str(r, STR("n"), 9, &s), ERR_VALUE);
	assert_int_equal(json_need_str(r, STR("z"), 9, &s), ERR_VALUE);
	assert_int_equal(json_need_str(r, STR("e"), 9, &s), ERR_VALUE);
	assert_int_equal(json_need_str(r, STR("s"), 2, &s), ERR_LIMIT);
	assert_int_equal(json_need_str(json_get(r, STR("l")), STR("s"), 9, &s), ERR_VALUE);
	assert_int_equal(json_need_str(NULL, STR("s"), 9, &s), ERR_VALUE);
	assert_true(str_eq(s, STR("before")));
	assert_int_equal(json_need_str(r, STR("s"), 3, &s), OK);
	assert_true(str_eq(s, STR("abc")));
	assert_int_equal(json_want_str(r, STR("z"), 9, &s), ERR_VALUE);
	assert_int_equal(json_want_str(r, STR("x"), 9, &s), OK);
	assert_null(s.p);
	assert_int_equal(json_want_str(r, STR("e"), 9, &s), OK);
	assert_true(s.p != NULL && s.n == 0);
	assert_int_equal(json_need_u64(r, STR("n"), 4, &u), ERR_NUMBER);
	assert_int_equal(json_need_u64(r, STR("n"), 5, &u), OK);
	assert_int_equal(json_want_u64(r, STR("x"), 5, 3, &u), OK);
	assert_int_equal(u, 3);
	assert_int_equal(json_want_u64(r, STR("s"), 5, 3, &u), ERR_VALUE);
	assert_int_equal(json_need_i64(r, STR("x"), &i), ERR_MISSING_MEMBER);
	assert_int_equal(json_want_i64(r, STR("x"), -3, &i), OK);
	assert_int_equal(i, -3);
	assert_int_equal(json_need_bool(r, STR("n"), &b), ERR_VALUE);
	assert_int_equal(json_need_bool(r, STR("b"), &b), OK);
	assert_true(b);
	assert_int_equal(json_want_bool(r, STR("x"), false, &b), OK);
	assert_false(b);
	assert_int_equal(json_need_date_s(r, STR("t"), &i), OK);
	assert_int_equal(i, 9);
	assert_int_equal(json_want_date_s(r, STR("x"), 8, &i), OK);
	assert_int_equal(i, 8);
	assert_int_equal(json_need_obj(r, STR("l"), &n), ERR_VALUE);
	assert_int_equal(json_need_obj(r, STR("o"), &n), OK);
	assert_int_equal(json_want_obj(r, STR("x"), &n), OK);
	assert_null(n);
	assert_int_equal(json_need_arr(r, STR("l"), 2, &n), ERR_LIMIT);
	assert_int_equal(json_need_arr(r, STR("l"), 3, &n), OK);
	assert_int_equal(json_want_arr(r, STR("o"), 3, &n), ERR_VALUE);
	assert_int_equal(json_want_arr(r, STR("x"), 3, &n), OK);
	assert_null(n);
}

/* Where an object belongs and something else stands, every reader of members says so; so does every reader of a
 * value of another kind, and what is there is read whether it was needed or only wanted. */
static void members_of_what_is_no_object(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *r = parsed(a, STR("{\"x\":[1],\"i\":-7,\"b\":false,\"t\":8,\"s\":\"v\",\"z\":null,\"n\":1.50}"));
	const json_t *no = json_get(r, STR("x")), *n = NULL;
	str_t s = STR_NULL, k = STR("k");
	uint64_t u = 0;
	int64_t i = 0;
	bool b = true;

	(void)state;
	assert_int_equal(json_need_str(no, k, 9, &s), ERR_VALUE);
	assert_int_equal(json_want_str(no, k, 9, &s), ERR_VALUE);
	assert_int_equal(json_need_u64(no, k, 9, &u), ERR_VALUE);
	assert_int_equal(json_want_u64(no, k, 9, 0, &u), ERR_VALUE);
	assert_int_equal(json_need_i64(no, k, &i), ERR_VALUE);
	assert_int_equal(json_want_i64(no, k, 0, &i), ERR_VALUE);
	assert_int_equal(json_need_bool(no, k, &b), ERR_VALUE);
	assert_int_equal(json_want_bool(no, k, true, &b), ERR_VALUE);
	assert_int_equal(json_need_date_s(no, k, &i), ERR_VALUE);
	assert_int_equal(json_want_date_s(no, k, 0, &i), ERR_VALUE);
	assert_int_equal(json_need_obj(no, k, &n), ERR_VALUE);
	assert_int_equal(json_want_obj(no, k, &n), ERR_VALUE);
	assert_int_equal(json_need_arr(no, k, 9, &n), ERR_VALUE);
	assert_int_equal(json_want_arr(no, k, 9, &n), ERR_VALUE);
	assert_int_equal(json_need_obj(r, k, &n), ERR_MISSING_MEMBER);
	assert_int_equal(json_need_arr(r, k, 9, &n), ERR_MISSING_MEMBER);
	assert_int_equal(json_want_obj(r, STR("x"), &n), ERR_VALUE);
	assert_int_equal(json_want_arr(r, STR("x"), 0, &n), ERR_LIMIT);
	assert_int_equal(json_want_bool(r, STR("i"), true, &b), ERR_VALUE);
	assert_int_equal(json_want_i64(r, STR("b"), 1, &i), ERR_VALUE);
	assert_int_equal(json_want_date_s(r, STR("i"), 1, &i), ERR_NUMBER);
	assert_int_equal(json_number(r, &s), ERR_VALUE);
	assert_true(i == 0 && b && !n && !s.p);
	assert_int_equal(json_want_i64(r, STR("i"), 0, &i), OK);
	assert_int_equal(i, -7);
	assert_int_equal(json_want_bool(r, STR("b"), true, &b), OK);
	assert_false(b);
	assert_int_equal(json_want_date_s(r, STR("t"), 0, &i), OK);
	assert_int_equal(i, 8);
	assert_int_equal(json_number(json_get(r, STR("n")), &s), OK);
	assert_true(str_eq(s, STR("1.50")));
	assert_true(json_is_null(json_get(r, STR("z"))) && !json_is_null(NULL) && !json_is_null(no));
	assert_true(json_is_str(json_get(r, STR("s")), STR("v")) && !json_is_str(json_get(r, STR("s")), STR("w")));
	assert_false(json_is_str(NULL, STR("")) || json_is_str(no, STR("")));
}

static void unknown_members_are_named(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *r = parsed(a, STR("{\"a\":1,\"b\":2,\"c\\n\":3}"));
	diag_t d;

	(void)state;
	assert_int_equal(JSON_ONLY(r, &d, STR("a"), STR("b"), STR("c\n"), STR("d")), OK);
	assert_int_equal(JSON_ONLY(r, &d, STR("a"), STR("c\n")), ERR_UNKNOWN_MEMBER);
	assert_string_equal(d.text, "unknown member \"b\"");
	assert_int_equal(JSON_ONLY(r, &d, STR("a"), STR("b"), STR("c")), ERR_UNKNOWN_MEMBER);
	assert_string_equal(d.text, "unknown member \"(unprintable)\""); /* nothing raw into a log */
	assert_int_equal(JSON_ONLY(json_get(r, STR("a")), &d, STR("a")), ERR_VALUE);
}

static void writer_writes(void **state)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	(void)state;
	buf_init(&b, 4096);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "s", STR("\"\\/\b\f\n\r\t\0\x1f\x7f\xe2\x82\xac"));
	jw_kstr_if(&w, "absent", STR_NULL);
	jw_kstr_if(&w, "there", STR("x"));
	jw_ki64(&w, "seven", 7);
	jw_ki64(&w, "min", INT64_MIN);
	jw_ku64(&w, "max", UINT64_MAX);
	jw_ku64(&w, "zero", 0);
	jw_karray(&w, "l");
	jw_bool(&w, true);
	jw_null(&w);
	jw_array(&w);
	jw_end(&w);
	jw_object(&w);
	jw_end(&w);
	jw_end(&w);
	jw_kobject(&w, "o");
	jw_kbool(&w, "f", false);
	jw_knull(&w, "z");
	jw_end(&w);
	jw_kraw(&w, "raw", STR("[1.50]"));
	jw_end(&w);
	assert_int_equal(jw_finish(&w), OK);
	assert_true(str_eq(buf_str(&b), STR("{\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\xe2\x82\xac\",\"there\":\"x\",\"seven\":7,\"min\":-9223372036854775808,"
					    "\"max\":18446744073709551615,\"zero\":0,\"l\":[true,null,[],{}],\"o\":{\"f\":false,\"z\":null},"
					    "\"raw\":[1.50]}")));
}

static void writer_remembers_errors(void **state)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	(void)state;
	buf_init(&b, 4096);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "bad", STR("\xed\xa0\x80"));
	jw_kstr(&w, "good", STR("x"));
	jw_end(&w);
	assert_int_equal(jw_finish(&w), ERR_UTF8);

	buf_clear(&b);
	jw_init(&w, &b);
	for (int i = 0; i < 100; i++) {
		jw_array(&w);
	}
	for (int i = 0; i < 100; i++) {
		jw_end(&w);
	}
	assert_int_equal(jw_finish(&w), ERR_LIMIT);

	buf_clear(&b);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kraw(&w, "gone", json_raw(NULL));
	jw_end(&w);
	assert_int_equal(jw_finish(&w), ERR_MISSING_MEMBER);

	AUTO(buf_done) buf_t small;
	buf_init(&small, 10);
	jw_init(&w, &small);
	jw_array(&w);
	jw_str(&w, STR("longer than ten"));
	jw_end(&w);
	assert_int_equal(jw_finish(&w), ERR_LIMIT);
}

static void lines_are_lines_to_every_reader(void **state)
{
	static const char *const lines[][2] = {
		{ "{\"a\":1}", "{\"a\":1}" },
		{ "{\r\n\"a\":\n1\n}\n", "{  \"a\": 1 } " },
		{ "[\"\xe2\x80\xa8\"]", "[\"\\u2028\"]" },
		{ "[\"x\xe2\x80\xa9\xc2\x85y\"]", "[\"x\\u2029\\u0085y\"]" },
		{ "[\"\xe2\x80\xaa\xc2\x86\xe2\x82\xac\"]", "[\"\xe2\x80\xaa\xc2\x86\xe2\x82\xac\"]" },
		{ "", "" },
	};
	AUTO(buf_done) buf_t b, small;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		buf_clear(&b);
		assert_int_equal(json_line(&b, str_of(lines[i][0])), OK);
		assert_true(str_eq(buf_str(&b), str_of(lines[i][1])));
		assert_true(b.n <= strlen(lines[i][0]) * JSON_LINE_GROWTH);
	}
	buf_init(&small, 10);
	assert_int_equal(json_line(&small, STR("\"\xc2\x85\xc2\x85\"")), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_of_documents),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(nodes_bytes_and_arena_are_bounded),
		cmocka_unit_test(many_keys_and_one_twin),
		cmocka_unit_test(faults_have_a_place),
		cmocka_unit_test(spans_and_walks),
		cmocka_unit_test(pointers),
		cmocka_unit_test(numbers_stay_exact),
		cmocka_unit_test(dates_are_read_right),
		cmocka_unit_test(members_one_by_one),
		cmocka_unit_test(members_of_what_is_no_object),
		cmocka_unit_test(unknown_members_are_named),
		cmocka_unit_test(writer_writes),
		cmocka_unit_test(writer_remembers_errors),
		cmocka_unit_test(lines_are_lines_to_every_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
