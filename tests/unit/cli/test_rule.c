/* Rule lines: what a person types is what the grant says, or it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "app/cli/rule.h"
#include "domain/delegation/delegation.h"

typedef struct {
	arena_t *a;
	cli_rule_t rule;
	const delegation_item_t *items;
	size_t n;
	err_t written, parsed; /* by the rule, by the bounds */
} ruled_t;

static ruled_t rule(arena_t *a, str_t line)
{
	ruled_t r = { .a = a };
	buf_t b;
	jw_t w;
	str_t text;

	buf_init(&b, 64 << 10);
	jw_init(&w, &b);
	jw_array(&w);
	r.written = cli_rule_write(&w, a, STR("http://127.0.0.1:1"), line, &r.rule);
	if (r.written == OK) {
		jw_end(&w);
		r.written = jw_finish(&w);
	}
	if (r.written == OK) {
		assert_int_equal(arena_dup(a, buf_str(&b), &text), OK);
		r.parsed = delegation_items_parse(a, text, &r.items, &r.n, NULL);
	}
	buf_done(&b);
	return r;
}

static const delegation_constraint_t *one(const ruled_t *r)
{
	assert_int_equal(r->written, OK);
	assert_int_equal(r->parsed, OK);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->items[0].n_constraints, 1);
	return &r->items[0].constraints[0];
}

#define RULE(line) rule(a, STR(line))

static void test_tools_and_requests(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();

	ruled_t r = RULE("invoices read_text_file");
	assert_true(r.written == OK && r.parsed == OK && !r.rule.is_http);
	assert_true(str_eq(r.rule.route, STR("invoices")) && str_eq(r.rule.tool, STR("read_text_file")));
	assert_int_equal(r.items[0].type, DELEGATION_MCP_TOOL_CALL);
	assert_true(str_eq(r.items[0].server, STR("http://127.0.0.1:1/r/invoices")));
	assert_true(str_eq(r.items[0].target, STR("read_text_file")));
	assert_int_equal(r.items[0].n_constraints, 0);

	r = RULE("tickets POST /tickets?x=1 /title=equals:a");
	assert_true(r.written == OK && r.parsed == OK && r.rule.is_http);
	assert_true(str_eq(r.rule.tool, STR("POST")) && str_eq(r.rule.path, STR("/tickets?x=1")));
	assert_int_equal(r.items[0].type, DELEGATION_HTTP_REQUEST);
	assert_true(str_eq(r.items[0].target, STR("/tickets?x=1")));

	r = RULE("shouting GET"); /* a tool may be called so: no path follows */
	assert_true(r.written == OK && r.parsed == OK && !r.rule.is_http);
	r = RULE("shouting GET path=equals:/x");
	assert_true(r.written == OK && r.parsed == OK && !r.rule.is_http);
	r = RULE("  invoices\t read_text_file \n");
	assert_true(r.written == OK && r.parsed == OK);
}

static void test_kinds(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	ruled_t r = RULE("r t path=under:/srv/in voices");

	assert_int_equal(r.written, ERR_SYNTAX); /* the blank cut it */
	r = RULE("r t 'path=under:/srv/in voices'");
	assert_true(one(&r)->kind == DELEGATION_PATH_UNDER && str_eq(one(&r)->text, STR("/srv/in voices")));
	r = RULE("r t path=path_under:/srv");
	assert_int_equal(one(&r)->kind, DELEGATION_PATH_UNDER);
	assert_true(str_eq(one(&r)->arg, STR("/path")));
	r = RULE("r t /a/0/b=equals:5");
	assert_true(one(&r)->kind == DELEGATION_EQUALS && str_eq(one(&r)->values[0], STR("5")));
	assert_true(str_eq(one(&r)->arg, STR("/a/0/b")));
	r = RULE("r t a=equals:five");
	assert_true(str_eq(one(&r)->values[0], STR("\"five\"")));
	r = RULE("r t a='equals:\"5\"'"); /* the text, not the number */
	assert_true(str_eq(one(&r)->values[0], STR("\"5\"")));
	r = RULE("r t a=equals:");
	assert_true(str_eq(one(&r)->values[0], STR("\"\"")));
	r = RULE("r t a=equals:x=y:z");
	assert_true(str_eq(one(&r)->values[0], STR("\"x=y:z\"")));
	r = RULE("r t a=one_of:low,high,");
	assert_true(one(&r)->kind == DELEGATION_ONE_OF && one(&r)->n_values == 3);
	r = RULE("r t a=one_of:'[1,\"a,b\"]'");
	assert_int_equal(one(&r)->n_values, 2);
	r = RULE("r t a=range:-5..7");
	assert_true(one(&r)->kind == DELEGATION_RANGE && one(&r)->min == -5 && one(&r)->max == 7);
	r = RULE("r t a=url_in:https://a.example/x,https://b.example/");
	assert_true(one(&r)->kind == DELEGATION_URL_IN && one(&r)->n_values == 2);
	r = RULE("r t a=host_is:a.example");
	assert_int_equal(one(&r)->kind, DELEGATION_HOST_IS);
	r = RULE("r t q=matches:'SELECT [a-z ,]+ FROM orders'");
	assert_true(one(&r)->kind == DELEGATION_MATCHES && str_eq(one(&r)->text, STR("SELECT [a-z ,]+ FROM orders")));
}

static void test_quotes(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	ruled_t r = RULE("r t a=equals:'it is \"so\"'");

	assert_true(str_eq(one(&r)->values[0], STR("\"it is \\\"so\\\"\"")));
	r = RULE("r t \"a=equals:don't\"");
	assert_true(str_eq(one(&r)->values[0], STR("\"don't\"")));
	r = RULE("r t a=equals:'one '\"two\"' three'"); /* pieces of one word */
	assert_true(str_eq(one(&r)->values[0], STR("\"one two three\"")));
	r = RULE("r t a=matches:'\\d+'"); /* a backslash is itself */
	assert_true(str_eq(one(&r)->text, STR("\\d+")));
	assert_int_equal(RULE("r t 'a=equals:x").written, ERR_SYNTAX);
	assert_int_equal(RULE("r t a=equals:x\"").written, ERR_SYNTAX);
	assert_int_equal(RULE("r 't").written, ERR_SYNTAX);
}

/* Nothing that a person can paste turns into JSON of its own. */
static void test_hostile(void **state)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(64 << 20);
	static const str_t refused[] = {
		STR_INIT(""), STR_INIT(" \t"), STR_INIT("r"), STR_INIT("'r t'"), STR_INIT("r t a"), STR_INIT("r t a=b"),
		STR_INIT("r t =equals:x"), STR_INIT("r t a=:x"), STR_INIT("r t a=nothing:x"), STR_INIT("r t a=budget:1"),
		STR_INIT("r t a=range:1"), STR_INIT("r t a=range:1.5"), STR_INIT("r t a=range:..5"), STR_INIT("r t a=range:5.."),
		STR_INIT("r t a=range:9..1"), STR_INIT("r t a=range:1..9007199254740993"), STR_INIT("r t a=range:0x1..2"),
		STR_INIT("r t a=under:/srv/../etc"), STR_INIT("r t a=under:/srv//x"),
		STR_INIT("r t a=under:/a%2e"), STR_INIT("r t a=under:"), STR_INIT("r t a=url_in:not-a-url"),
		STR_INIT("r t a=host_is:"), STR_INIT("r t a=matches:("), STR_INIT("r t a=matches:a{9999999}"),
		STR_INIT("r t a=equals:\xff"), STR_INIT("r \xff"), STR_INIT("r t /a~2=equals:1"),
		STR_INIT("tickets POST /a/../b"), STR_INIT("tickets POST /a b"), STR_INIT("tickets POST /%zz"),
		STR_INIT("r t a=one_of:'[[1],{}'x"),
	};

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		ruled_t r = rule(a, refused[i]);
		if (r.written == OK && r.parsed == OK && !(i == ARRAY_LEN(refused) - 1)) {
			fail_msg("passed: %.*s", STR_ARG(refused[i]));
		}
	}
	ruled_t r = RULE("r t a=equals:'\",\"kind\":\"x'");
	assert_true(str_eq(one(&r)->values[0], STR("\"\\\",\\\"kind\\\":\\\"x\"")));
	r = RULE("r\",\"tool\":\"other t");
	assert_true(r.parsed == OK && str_eq(r.items[0].server, STR("http://127.0.0.1:1/r/r,tool:other")));
	assert_true(str_eq(r.items[0].target, STR("t")));
}

static void test_bounds(void **state)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(64 << 20);
	buf_t b;

	buf_init(&b, 1 << 20);
	buf_add(&b, STR("r t"));
	for (int i = 0; i < 30; i++) {
		buf_printf(&b, " a%d=equals:%d", i, i);
	}
	assert_int_equal(rule(a, buf_str(&b)).written, OK); /* 32 words */
	buf_add(&b, STR(" one=equals:more"));
	assert_int_equal(rule(a, buf_str(&b)).written, ERR_LIMIT);
	buf_clear(&b);
	buf_add(&b, STR("r t a=equals:"));
	for (int i = 0; i < 70000; i++) {
		buf_byte(&b, 'x');
	}
	assert_int_equal(rule(a, buf_str(&b)).written, ERR_LIMIT);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tools_and_requests),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
