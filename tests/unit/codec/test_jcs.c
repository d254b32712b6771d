/* RFC 8785 and JCS-S: the RFC's own examples, and what is refused because it would come out different. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pure/codec/codec.h"

static const struct {
	uint64_t ieee;
	str_t text; /* empty: refused */
} appendix_b[] = {
	{ 0x0000000000000000, STR_INIT("0") },
	{ 0x8000000000000000, STR_INIT("0") },
	{ 0x0000000000000001, STR_INIT("5e-324") },
	{ 0x8000000000000001, STR_INIT("-5e-324") },
	{ 0x7fefffffffffffff, STR_INIT("1.7976931348623157e+308") },
	{ 0xffefffffffffffff, STR_INIT("-1.7976931348623157e+308") },
	{ 0x4340000000000000, STR_INIT("9007199254740992") },
	{ 0xc340000000000000, STR_INIT("-9007199254740992") },
	{ 0x4430000000000000, STR_INIT("295147905179352830000") },
	{ 0x7fffffffffffffff, STR_INIT("") },
	{ 0x7ff0000000000000, STR_INIT("") },
	{ 0xfff0000000000000, STR_INIT("") },
	{ 0x44b52d02c7e14af5, STR_INIT("9.999999999999997e+22") },
	{ 0x44b52d02c7e14af6, STR_INIT("1e+23") },
	{ 0x44b52d02c7e14af7, STR_INIT("1.0000000000000001e+23") },
	{ 0x444b1ae4d6e2ef4e, STR_INIT("999999999999999700000") },
	{ 0x444b1ae4d6e2ef4f, STR_INIT("999999999999999900000") },
	{ 0x444b1ae4d6e2ef50, STR_INIT("1e+21") },
	{ 0x3eb0c6f7a0b5ed8c, STR_INIT("9.999999999999997e-7") },
	{ 0x3eb0c6f7a0b5ed8d, STR_INIT("0.000001") },
	{ 0x41b3de4355555553, STR_INIT("333333333.3333332") },
	{ 0x41b3de4355555554, STR_INIT("333333333.33333325") },
	{ 0x41b3de4355555555, STR_INIT("333333333.3333333") },
	{ 0x41b3de4355555556, STR_INIT("333333333.3333334") },
	{ 0x41b3de4355555557, STR_INIT("333333333.33333343") },
	{ 0xbecbf647612f3696, STR_INIT("-0.0000033333333333333333") },
	{ 0x43143ff3c1cb0959, STR_INIT("1424953923781206.2") },
	/* not of the RFC: powers of two, where the gap below is half the gap above */
	{ 0x4790000000000000, STR_INIT("5.316911983139664e+36") },
	{ 0x0010000000000000, STR_INIT("2.2250738585072014e-308") },
	{ 0x000fffffffffffff, STR_INIT("2.225073858507201e-308") },
};

static void numbers_of_appendix_b(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(appendix_b); i++) {
		char text[JCS_NUMBER_BYTES];
		size_t n = 0;
		double v;
		memcpy(&v, &appendix_b[i].ieee, sizeof(v));
		err_t e = jcs_number(v, text, &n);
		assert_int_equal(e, appendix_b[i].text.n ? OK : ERR_NUMBER);
		if (!str_eq((str_t){ text, n }, appendix_b[i].text)) {
			fail_msg("row %zu: %.*s, expected %.*s", i, (int)n, text, STR_ARG(appendix_b[i].text));
		}
	}
}

static err_t canonical(arena_t *a, str_t text, str_t *out)
{
	const json_t *root;

	TRY(json_parse(a, text, NULL, &root, NULL));
	return jcs_write(a, root, out);
}

static void expect_form(str_t text, str_t expected)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t out = STR_NULL;

	assert_int_equal(canonical(a, text, &out), OK);
	if (!str_eq(out, expected)) {
		fail_msg("%.*s -> %.*s", STR_ARG(text), STR_ARG(out));
	}
}

static void forms(void **state)
{
	(void)state;
	/* RFC 8785 3.2.2, without its first number, which would be rounded */
	expect_form(STR("{\n  \"numbers\": [1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n"
			"  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n"
			"  \"literals\": [null, true, false]\n}"),
		STR("{\"literals\":[null,true,false],\"numbers\":[1e+30,4.5,0.002,1e-27],"
		    "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"));
	/* RFC 8785 3.2.3 */
	expect_form(STR("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\","
			"\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
			"\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}"),
		STR("{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
		    "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
		    "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}"));
	expect_form(STR("{\"b\":{\"z\":[],\"y\":{}},\"a\":[{\"d\":1,\"c\":[2]}],\"\":0,\"ab\":1}"),
		STR("{\"\":0,\"a\":[{\"c\":[2],\"d\":1}],\"ab\":1,\"b\":{\"y\":{},\"z\":[]}}"));
	expect_form(STR("{\"\xee\x80\x80\":1,\"\xf0\x90\x80\x80\":2,\"\xed\x9f\xbf\":3,\"\xf4\x8f\xbf\xbf\":4}"),
		STR("{\"\xed\x9f\xbf\":3,\"\xf0\x90\x80\x80\":2,\"\xf4\x8f\xbf\xbf\":4,\"\xee\x80\x80\":1}"));
	expect_form(STR("[0.0,0e5,1.0,10e-1,100e20,1e21,0.1,1e-6,1e-7,-1.5,123456789.125,9007199254740991]"),
		STR("[0,0,1,1,1e+22,1e+21,0.1,0.000001,1e-7,-1.5,123456789.125,9007199254740991]"));
	expect_form(STR("[1.7976931348623157e308,5e-324,2.2250738585072014e-308,0.30000000000000004,333333333.3333333]"),
		STR("[1.7976931348623157e+308,5e-324,2.2250738585072014e-308,0.30000000000000004,333333333.3333333]"));
	expect_form(STR("\"x\""), STR("\"x\""));
}

static void rounding_is_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t bad[] = {
		STR_INIT("9007199254740992"), STR_INIT("-9007199254740992"), STR_INIT("9007199254740993"),
		STR_INIT("100000000000000000000"), STR_INIT("-0"), STR_INIT("-0.0"), STR_INIT("-0e5"),
		STR_INIT("333333333.33333329"), STR_INIT("0.1000000000000000055511151231257827"), STR_INIT("1e400"),
		STR_INIT("-1e400"), STR_INIT("1e-400"), STR_INIT("4.94065645841247e-324"), STR_INIT("9007199254740993.0"),
		STR_INIT("1.00000000000000001"), STR_INIT("3e-324"), STR_INIT("1.7976931348623159e308"),
		STR_INIT("0.30000000000000003"), STR_INIT("{\"a\":[1,{\"b\":1e999}]}"),
	};
	str_t out = STR("untouched");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (canonical(a, bad[i], &out) != ERR_NUMBER) {
			fail_msg("%.*s passed as %.*s", STR_ARG(bad[i]), STR_ARG(out));
		}
	}
	assert_true(str_eq(out, STR("untouched")));
	assert_int_equal(jcs_write(a, NULL, &out), ERR_MISSING_MEMBER);
}

static void subset(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const str_t good[] = {
		STR_INIT("{}"), STR_INIT("{\"a\":-9007199254740991,\"b_.:-9\":[true,null,\"\xe2\x80\xa8\x7f\"]}"),
		STR_INIT("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), STR_INIT("\"\\u0001\\n\\\\\""), STR_INIT("[]"),
	};
	const str_t bad[] = {
		STR_INIT("{\"A\":1}"), STR_INIT("{\"\":1}"), STR_INIT("{\"a b\":1}"), STR_INIT("{\"\xc3\xa9\":1}"), STR_INIT("[1.0]"),
		STR_INIT("[1e1]"), STR_INIT("[-0]"), STR_INIT("[9007199254740992]"), STR_INIT("{\"b\":1,\"a\":2}"),
		STR_INIT("{\"a\": 1}"), STR_INIT("[1] "), STR_INIT("[\"\\/\"]"), STR_INIT("[\"\\u000A\"]"), STR_INIT("[\"\\u0041\"]"),
		STR_INIT("[\"\\u001F\"]"), STR_INIT("{\"a\":1,\"a\":1}"), STR_INIT("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), STR_INIT(""),
		STR_INIT("{\"x\":{\"Y\":1}}"), STR_INIT("[\"\\ud800\"]"), STR_INIT("\n[]"),
		STR_INIT("{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(jcs_s_canonical(a, good[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (jcs_s_canonical(a, bad[i])) {
			fail_msg("accepted: %.*s", STR_ARG(bad[i]));
		}
	}
}

static void subset_size(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	char text[JCS_S_BYTES_MAX + 1];
	const json_t *root;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = text[JCS_S_BYTES_MAX - 1] = '"';
	assert_true(jcs_s_canonical(a, (str_t){ text, JCS_S_BYTES_MAX }));
	text[JCS_S_BYTES_MAX - 1] = 'a';
	text[JCS_S_BYTES_MAX] = '"';
	assert_int_equal(jcs_s_parse(a, (str_t){ text, JCS_S_BYTES_MAX + 1 }, &root, NULL), ERR_LIMIT);
	str_t out;
	assert_int_equal(json_parse(a, STR("{\"b\":[ 2 ],\"a\":1}"), NULL, &root, NULL), OK);
	assert_int_equal(jcs_s_write(a, root, &out), OK);
	assert_true(str_eq(out, STR("{\"a\":1,\"b\":[2]}")));
	/* a member taken out of a document with foreign keys is judged by itself */
	assert_int_equal(json_parse(a, STR("{\"Foreign\":{\"k\":1}}"), NULL, &root, NULL), OK);
	assert_int_equal(jcs_s_check(json_get(root, STR("Foreign"))), OK);
	assert_int_equal(jcs_s_check(root), ERR_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_appendix_b),
		cmocka_unit_test(forms),
		cmocka_unit_test(rounding_is_refused),
		cmocka_unit_test(subset),
		cmocka_unit_test(subset_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
