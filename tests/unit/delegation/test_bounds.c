/* bounds, constraints, calls: the negative space. */
#include "helpers.h"
#include "pure/crypto/crypto.h"

#define GOOD BOUNDS_OF(TOOL_OF("[" C1("/path", "path_under", "\"/srv/invoices\"") "]"))

static err_t parse(const char *text)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_bounds_t b;
	diag_t d = { 0 };

	return delegation_bounds_parse(a, str_of(text), &b, &d);
}

/* GOOD with its one occurrence of `from` replaced. */
static err_t parse_with(const char *from, const char *to)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t good = STR(GOOD), f = str_of(from);

	for (size_t i = 0; i + f.n <= good.n; i++) {
		if (str_eq(str_sub(good, i, f.n), f)) {
			str_t text = arena_cat(a, str_sub(good, 0, i), str_of(to),
				str_sub(good, i + f.n, good.n));
			const char *c;
			assert_int_equal(arena_cstr(a, text, &c), OK);
			return parse(c);
		}
	}
	fail_msg("not found: %s", from);
	return ERR_INTERNAL;
}

static void bounds_round_trip(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_bounds_t b;
	str_t text;

	(void)state;
	assert_int_equal(delegation_bounds_parse(a, STR(GOOD), &b, NULL), OK);
	assert_int_equal(b.uses, 20);
	assert_int_equal(b.depth, 2);
	assert_int_equal(b.n_items, 1);
	assert_int_equal(b.window.from_min, 480);
	assert_int_equal(b.window.days, 0x3e);
	assert_int_equal(delegation_bounds_write(a, &b, &text), OK);
	assert_true(str_eq(text, STR(GOOD)));
}

static void every_member_is_required(void **state)
{
	static const char *const members[] = { "\"authorization_details\":", "\"budget\":",
		"\"data_classes\":", "\"depth\":", "\"device\":", "\"environments\":", "\"scope\":",
		"\"uses\":", "\"window\":" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		/* renamed: unknown comes first, missing is no less refused */
		assert_int_not_equal(parse_with(members[i], "\"other\":"), OK);
	}
	assert_int_equal(parse("{}"), ERR_MISSING_MEMBER);
	assert_int_equal(parse("[]"), ERR_VALUE);
	assert_int_equal(parse_with("\"budget\":null,", ""), ERR_MISSING_MEMBER);
	assert_int_equal(parse_with("\"device\":null,", ""), ERR_MISSING_MEMBER);
	assert_int_equal(parse_with("\"scope\":\"invoices:read tickets:create\",", ""), ERR_MISSING_MEMBER);
	assert_int_equal(parse_with("\"uses\":20,", ""), ERR_MISSING_MEMBER);
	assert_int_equal(parse_with("\"depth\":2,", ""), ERR_MISSING_MEMBER);
	assert_int_equal(parse_with("\"data_classes\":[\"finance\",\"pii\"],", ""), ERR_MISSING_MEMBER);
	assert_int_equal(parse_with("\"environments\":[\"prod\"],", ""), ERR_MISSING_MEMBER);
	assert_int_equal(parse_with("\"uses\":20", "\"uses\":20,\"uses\":20"), ERR_DUPLICATE);
	assert_int_equal(parse_with("\"uses\":20", "\"uses\":20,\"more\":1"), ERR_UNKNOWN_MEMBER);
}

static void values_are_held_to_their_grammar(void **state)
{
	(void)state;
	assert_int_equal(parse_with("\"budget\":null", "\"budget\":{}"), ERR_NOT_BUILT);
	assert_int_equal(parse_with("\"device\":null", "\"device\":\"x\""), ERR_NOT_BUILT);
	assert_int_not_equal(parse_with("\"uses\":20", "\"uses\":0"), OK);
	assert_int_not_equal(parse_with("\"uses\":20", "\"uses\":1000001"), OK);
	assert_int_not_equal(parse_with("\"uses\":20", "\"uses\":1.5"), OK);
	assert_int_not_equal(parse_with("\"uses\":20", "\"uses\":null"), OK);
	assert_int_not_equal(parse_with("\"depth\":2", "\"depth\":0"), OK);
	assert_int_not_equal(parse_with("\"depth\":2", "\"depth\":5"), OK);
	assert_int_not_equal(parse_with("[\"prod\"]", "[\"*\",\"prod\"]"), OK);
	assert_int_not_equal(parse_with("[\"prod\"]", "[\"Prod\"]"), OK);
	assert_int_not_equal(parse_with("[\"prod\"]", "[\"\"]"), OK);
	assert_int_not_equal(parse_with("[\"prod\"]", "[1]"), OK);
	assert_int_not_equal(parse_with("[\"prod\"]", "[\"prod\",\"prod\"]"), OK);
	assert_int_equal(parse_with("[\"prod\"]", "[\"*\"]"), OK);
	assert_int_equal(parse_with("[\"prod\"]", "[]"), OK);
	assert_int_equal(parse_with("invoices:read tickets:create", ""), OK);
	assert_int_not_equal(parse_with("invoices:read tickets:create", "a  b"), OK);
	assert_int_not_equal(parse_with("invoices:read tickets:create", " a"), OK);
	assert_int_not_equal(parse_with("invoices:read tickets:create", "a a"), OK);
	assert_int_not_equal(parse_with("invoices:read tickets:create", "a\\\"b"), OK);
}

static void windows(void **state)
{
	(void)state;
	assert_int_equal(parse_with("18:30", "24:00"), OK);
	assert_int_not_equal(parse_with("18:30", "24:01"), OK);
	assert_int_not_equal(parse_with("18:30", "08:00"), OK);
	assert_int_not_equal(parse_with("18:30", "18:60"), OK);
	assert_int_not_equal(parse_with("18:30", "1830"), OK);
	assert_int_not_equal(parse_with("18:30", "1a:30"), OK);
	assert_int_not_equal(parse_with("[1,2,3,4,5]", "[]"), OK);
	assert_int_not_equal(parse_with("[1,2,3,4,5]", "[0]"), OK);
	assert_int_not_equal(parse_with("[1,2,3,4,5]", "[8]"), OK);
	assert_int_not_equal(parse_with("[1,2,3,4,5]", "[2,1]"), OK);
	assert_int_not_equal(parse_with("[1,2,3,4,5]", "[1,1]"), OK);
	assert_int_not_equal(parse_with("\"to\":", "\"until\":"), OK);
}

static err_t items(const char *text)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const delegation_item_t *list;
	size_t n;
	diag_t d = { 0 };
	err_t e = delegation_items_parse(a, str_of(text), &list, &n, &d);
	str_t back;

	if (e == OK) {
		assert_int_equal(delegation_items_write(a, list, n, &back), OK);
		assert_true(jcs_s_canonical(a, back));
		assert_int_equal(delegation_items_parse(a, back, &list, &n, &d), OK);
	} else {
		assert_true(e != ERR_DETAILS || d.text[0] != '\0');
	}
	return e;
}

#define DIGEST "\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\""

static void item_forms(void **state)
{
	(void)state;
	assert_int_equal(items("[]"), OK);
	assert_int_equal(items("{}"), ERR_DETAILS);
	assert_int_equal(items("[1]"), ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"other\"}]"), ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE "\",\"tool\":\"t\"}]"),
		ERR_DETAILS); /* P32: neither digest nor constraints */
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE
			       "\",\"tool\":\"t\",\"args_digest\":" DIGEST "}]"),
		OK);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE
			       "\",\"tool\":\"t\",\"args_digest\":\"AAAA\"}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE
			       "\",\"tool\":\"t\",\"args_digest\":" DIGEST ",\"constraints\":[]}]"),
		OK);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE
			       "\",\"tool\":\"a b\",\"constraints\":[]}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE
			       "\",\"tool\":\"t\",\"constraints\":[],\"path\":\"/\"}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE
			       "\",\"tool\":\"t\",\"constraints\":{}}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"server\":\"*\",\"tool\":\"t\","
			       "\"constraints\":[]}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"mcp_tool_call\",\"tool\":\"t\",\"constraints\":[]}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"http_request\",\"server\":\"" ROUTE
			       "\",\"method\":\"POST\",\"path\":\"/tickets\",\"constraints\":[]}]"),
		OK);
	assert_int_equal(items("[{\"type\":\"http_request\",\"server\":\"" ROUTE
			       "\",\"method\":\"POST\",\"target\":\"/t\",\"body_digest\":" DIGEST
			       "}]"),
		OK);
	assert_int_equal(items("[{\"type\":\"http_request\",\"server\":\"" ROUTE
			       "\",\"method\":\"POST\",\"target\":\"/t\",\"body_digest\":" DIGEST
			       ",\"constraints\":[]}]"),
		OK);
	assert_int_equal(items("[{\"type\":\"http_request\",\"server\":\"" ROUTE
			       "\",\"method\":\"POST\",\"path\":\"/t\",\"body_digest\":" DIGEST "}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"http_request\",\"server\":\"" ROUTE
			       "\",\"method\":\"POST\",\"target\":\"/t\",\"constraints\":[]}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"http_request\",\"server\":\"" ROUTE
			       "\",\"method\":\"post\",\"path\":\"/t\",\"constraints\":[]}]"),
		ERR_DETAILS);
	assert_int_equal(items("[{\"type\":\"http_request\",\"server\":\"" ROUTE
			       "\",\"method\":\"GET\",\"path\":\"/a/../t\",\"constraints\":[]}]"),
		ERR_DETAILS);
}

static err_t constraint(const char *c)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t text = arena_cat(a,
		STR("[{\"server\":\"" ROUTE "\",\"tool\":\"t\",\"type\":\"mcp_tool_call\",\"constraints\":["),
		str_of(c), STR("]}]"));
	const char *z;

	assert_int_equal(arena_cstr(a, text, &z), OK);
	return items(z);
}

static void constraint_grammar(void **state)
{
	static const char *const bad[] = { "{}", "1", C1("x", "equals", "1"), C1("/~2", "equals", "1"),
		C1("/a~", "equals", "1"), C1("/a", "any", "1"), C1("/a", "", "1"),
		C1("/a", "one_of", "[]"), C1("/a", "one_of", "1"), C1("/a", "equals", "1.5"),
		C1("/a", "range", "1"), C1("/a", "range", "{\"min\":1}"), C1("/a", "range", "{\"max\":1}"),
		C1("/a", "range", "{\"max\":1,\"min\":2}"), C1("/a", "range", "{\"max\":1,\"min\":null}"),
		C1("/a", "range", "{\"max\":2,\"min\":1,\"step\":1}"), C1("/a", "path_under", "\"\""),
		C1("/a", "path_under", "\"/a/\""), C1("/a", "path_under", "\"/a/..\""),
		C1("/a", "path_under", "\"~\""), C1("/a", "path_under", "[\"/a\"]"),
		C1("/a", "url_in", "\"https://a.example\""), C1("/a", "url_in", "[\"a.example\"]"),
		C1("/a", "url_in", "[\"https://a.example/?q\"]"), C1("/a", "url_in", "[\"https://a.example/b/\"]"),
		C1("/a", "host_is", "[\"A.example\"]"), C1("/a", "host_is", "[\"a.example:80\"]"),
		C1("/a", "host_is", "[\"u@a.example\"]"), C1("/a", "host_is", "[\"a.example/x\"]"),
		C1("/a", "host_is", "[\"\"]"), C1("/a", "matches", "\"(\""), C1("/a", "matches", "1"),
		"{\"arg\":\"/a\",\"kind\":\"equals\"}", "{\"kind\":\"equals\",\"value\":1}",
		"{\"arg\":1,\"kind\":\"equals\",\"value\":1}", "{\"arg\":\"/a\",\"value\":1}",
		"{\"arg\":\"/a\",\"kind\":\"equals\",\"value\":1,\"optional\":true}",
		C1("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", "equals", "1") };
	static const char *const good[] = { C1("", "equals", "{}"), C1("/", "equals", "1"),
		C1("/a~0~1", "equals", "{\"b\":[1,null,true]}"), C1("/a", "one_of", "[1,\"x\",null]"),
		C1("/a", "range", "{\"max\":1,\"min\":-1}"), C1("/a", "path_under", "\"/\""),
		C1("/a/*/b", "path_under", "\"docs\""), C1("/a", "url_in", "[\"https://a.example\"]"),
		C1("/a", "host_is", "[\"a.example\",\"10.0.0.1\"]"), C1("/a", "matches", "\"\"") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (constraint(bad[i]) != ERR_DETAILS) {
			/* a fraction dies earlier, in JCS-S */
			assert_int_equal(constraint(bad[i]), ERR_NUMBER);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (constraint(good[i]) != OK) {
			fail_msg("refused: %s", good[i]);
		}
	}
}

static void limits_are_met(void **state)
{
	AUTO(buf_done) buf_t b;
	const char *z;
	AUTO(arena_free) arena_t *a = arena_open();

	(void)state;
	buf_init(&b, 1 << 16);
	for (size_t n = DELEGATION_CONSTRAINTS_MAX; n <= DELEGATION_CONSTRAINTS_MAX + 1; n++) {
		buf_clear(&b);
		for (size_t i = 0; i < n; i++) {
			buf_printf(&b, "%s{\"arg\":\"/a%zu\",\"kind\":\"equals\",\"value\":1}", i ? "," : "",
				i);
		}
		assert_int_equal(arena_cstr(a, buf_str(&b), &z), OK);
		assert_int_equal(constraint(z), n <= DELEGATION_CONSTRAINTS_MAX ? OK : ERR_DETAILS);
	}
	for (size_t n = DELEGATION_VALUES_MAX; n <= DELEGATION_VALUES_MAX + 1; n++) {
		buf_clear(&b);
		buf_printf(&b, "{\"arg\":\"/a\",\"kind\":\"one_of\",\"value\":[");
		for (size_t i = 0; i < n; i++) {
			buf_printf(&b, "%s%zu", i ? "," : "", i);
		}
		buf_printf(&b, "]}");
		assert_int_equal(arena_cstr(a, buf_str(&b), &z), OK);
		assert_int_equal(constraint(z), n <= DELEGATION_VALUES_MAX ? OK : ERR_DETAILS);
	}
	buf_clear(&b);
	buf_byte(&b, '[');
	for (size_t i = 0; i <= DELEGATION_ITEMS_MAX; i++) {
		buf_printf(&b, "%s1", i ? "," : "");
	}
	buf_byte(&b, ']');
	assert_int_equal(arena_cstr(a, buf_str(&b), &z), OK);
	assert_int_equal(items(z), ERR_LIMIT);
	buf_clear(&b);
	for (size_t i = 0; i <= DELEGATION_DOCUMENT_BYTES_MAX; i++) {
		buf_byte(&b, ' ');
	}
	assert_int_equal(arena_cstr(a, buf_str(&b), &z), OK);
	assert_int_equal(parse(z), ERR_LIMIT);
}

/* --- calls against constraints ------------------------------------------------------------------ */

typedef struct {
	const char *constraints, *args;
	err_t want;
	const char *named; /* part of the diag */
} args_case_t;

static const args_case_t args_cases[] = {
	{ "[]", NULL, OK, NULL },
	{ "[]", "{}", OK, NULL },
	{ "[]", "{\"x\":1}", ERR_ARGUMENT, "x" },
	{ "[]", "{\"x\":{}}", ERR_ARGUMENT, "x" },
	{ "[]", "{\"x\":{\"y\":[]}}", ERR_ARGUMENT, "y" },
	{ "[" C1("/p", "equals", "1") "]", "{}", ERR_ARGUMENT, "/p is required" },
	{ "[" C1("/p", "equals", "1") "]", NULL, ERR_ARGUMENT, "/p is required" },
	{ "[" C1("/p", "equals", "1") "]", "{\"p\":1}", OK, NULL },
	{ "[" C1("/p", "equals", "1") "]", "{\"p\":1.0}", OK, NULL },
	{ "[" C1("/p", "equals", "1") "]", "{\"p\":\"1\"}", ERR_ARGUMENT, "/p is outside" },
	{ "[" C1("/p", "equals", "1") "]", "{\"p\":1,\"q\":1}", ERR_ARGUMENT, "q is not named" },
	{ "[" C1("/p", "equals", "1") "]", "{\"p\":{\"p\":1}}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "equals", "{\"b\":1,\"a\":2}") "]", "{\"p\":{\"a\":2,\"b\":1}}", OK, NULL },
	{ "[" C1("/p", "equals", "{}") "]", "{\"p\":{}}", OK, NULL },
	{ "[" C1("/p", "equals", "{}") "]", "{\"p\":{\"a\":1}}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "one_of", "[true,null,\"x\"]") "]", "{\"p\":null}", OK, NULL },
	{ "[" C1("/p", "one_of", "[true,null,\"x\"]") "]", "{\"p\":false}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "range", "{\"max\":5,\"min\":-5}") "]", "{\"p\":-5}", OK, NULL },
	{ "[" C1("/p", "range", "{\"max\":5,\"min\":-5}") "]", "{\"p\":5}", OK, NULL },
	{ "[" C1("/p", "range", "{\"max\":5,\"min\":-5}") "]", "{\"p\":6}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "range", "{\"max\":5,\"min\":-5}") "]", "{\"p\":-6}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "range", "{\"max\":5,\"min\":-5}") "]", "{\"p\":1.5}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "range", "{\"max\":5,\"min\":-5}") "]", "{\"p\":\"1\"}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "range", "{\"max\":5,\"min\":-5}") "]", "{\"p\":[1]}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "matches", "\"[a-z]+\"") "]", "{\"p\":\"abc\"}", OK, NULL },
	{ "[" C1("/p", "matches", "\"[a-z]+\"") "]", "{\"p\":\"abc1\"}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "matches", "\".*\"") "]", "{\"p\":1}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "path_under", "\"/srv\"") "]", "{\"p\":\"/srv/a\"}", OK, NULL },
	{ "[" C1("/p", "path_under", "\"/srv\"") "]", "{\"p\":\"/srv/../a\"}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "path_under", "\"/srv\"") "]", "{\"p\":[\"/srv/a\"]}", ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "url_in", "[\"https://a.example/x\",\"https://b.example\"]") "]",
		"{\"p\":\"https://b.example/y\"}", OK, NULL },
	{ "[" C1("/p", "url_in", "[\"https://a.example/x\"]") "]", "{\"p\":\"https://a.example/xy\"}",
		ERR_ARGUMENT, "/p" },
	{ "[" C1("/p", "host_is", "[\"a.example\"]") "]", "{\"p\":\"https://a.example/?q=1\"}", OK, NULL },
	{ "[" C1("/p", "host_is", "[\"a.example\"]") "]", "{\"p\":\"b.example\"}", ERR_ARGUMENT, "/p" },
	/* arrays */
	{ "[" C1("/p/*", "equals", "1") "]", "{\"p\":[1,1,1]}", OK, NULL },
	{ "[" C1("/p/*", "equals", "1") "]", "{\"p\":[1,2]}", ERR_ARGUMENT, "/p/*" },
	{ "[" C1("/p/*", "equals", "1") "]", "{\"p\":[]}", ERR_ARGUMENT, "p is not named" },
	{ "[" C1("/p/*", "equals", "1") "]", "{\"p\":{\"a\":1}}", ERR_ARGUMENT, "a is not named" },
	{ "[" C1("/p/*", "equals", "1") "]", "{\"p\":{\"*\":1}}", OK, NULL }, /* a member of that name */
	{ "[" C1("/p/0", "equals", "1") "," C1("/p/1", "equals", "2") "]", "{\"p\":[1,2]}", OK, NULL },
	{ "[" C1("/p/0", "equals", "1") "," C1("/p/1", "equals", "2") "]", "{\"p\":[1,2,3]}",
		ERR_ARGUMENT, "not named" },
	{ "[" C1("/p/00", "equals", "1") "]", "{\"p\":[1]}", ERR_ARGUMENT, "not named" },
	{ "[" C1("/p/-", "equals", "1") "]", "{\"p\":[1]}", ERR_ARGUMENT, "not named" },
	{ "[" C1("/p/*/q", "range", "{\"max\":9,\"min\":0}") "]", "{\"p\":[{\"q\":1},{\"q\":9}]}", OK, NULL },
	{ "[" C1("/p/*/q", "range", "{\"max\":9,\"min\":0}") "]", "{\"p\":[{\"q\":1},{\"r\":9}]}",
		ERR_ARGUMENT, "r is not named" },
	{ "[" C1("/p/*", "one_of", "[1,2]") "," C1("/p/0", "equals", "1") "]", "{\"p\":[1,2]}", OK, NULL },
	{ "[" C1("/p/*", "one_of", "[1,2]") "," C1("/p/0", "equals", "1") "]", "{\"p\":[2,2]}",
		ERR_ARGUMENT, "/p/0" },
	/* escapes, empty names, the whole */
	{ "[" C1("/a~1b/c~0d", "equals", "1") "]", "{\"a/b\":{\"c~d\":1}}", OK, NULL },
	{ "[" C1("/a~1b", "equals", "1") "]", "{\"a\":{\"b\":1}}", ERR_ARGUMENT, NULL },
	{ "[" C1("/", "equals", "1") "]", "{\"\":1}", OK, NULL },
	{ "[" C1("", "equals", "{\"a\":1}") "]", "{\"a\":1}", OK, NULL },
	{ "[" C1("", "equals", "{\"a\":1}") "]", "{\"a\":2}", ERR_ARGUMENT, NULL },
	{ "[" C1("", "equals", "{}") "]", "{}", OK, NULL },
	/* a named container covers what is in it, and a constraint inside holds too */
	{ "[" C1("/p", "one_of", "[{\"a\":1},{\"a\":2}]") "," C1("/p/a", "equals", "2") "]",
		"{\"p\":{\"a\":2}}", OK, NULL },
	{ "[" C1("/p", "one_of", "[{\"a\":1},{\"a\":2}]") "," C1("/p/a", "equals", "2") "]",
		"{\"p\":{\"a\":1}}", ERR_ARGUMENT, "/p/a" },
	/* two on one argument: both hold */
	{ "[" C1("/p", "matches", "\"/srv/.*\"") "," C1("/p", "path_under", "\"/srv/a\"") "]",
		"{\"p\":\"/srv/b\"}", ERR_ARGUMENT, "/p" },
};

static void arguments_are_held(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(args_cases); i++) {
		const args_case_t *t = &args_cases[i];
		const char *items_text;
		diag_t d = { 0 };
		str_t s = arena_cat(a, STR("[{\"constraints\":"), str_of(t->constraints),
			STR(",\"server\":\"" ROUTE
			    "\",\"tool\":\"read_text_file\",\"type\":\"mcp_tool_call\"}]"));
		assert_int_equal(arena_cstr(a, s, &items_text), OK);
		err_t e = try_args(items_text, t->args, &d);
		if (e != t->want || (t->named && !strstr(d.text, t->named))) {
			fail_msg("%s with %s: %s, \"%s\"", t->constraints, t->args ? t->args : "nothing",
				err_info(e)->name, d.text);
		}
	}
}

static void deep_and_many_arguments_are_refused(void **state)
{
	AUTO(buf_done) buf_t b;
	AUTO(arena_free) arena_t *a = arena_new_capped(32 << 20);
	const char *z;
	const char *any = TOOL_OF("[" C1("/q", "equals", "1") "]");

	(void)state;
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < DELEGATION_ARGS_DEPTH_MAX + 1; i++) {
		buf_add(&b, STR("{\"p\":"));
	}
	buf_byte(&b, '1');
	for (size_t i = 0; i < DELEGATION_ARGS_DEPTH_MAX + 1; i++) {
		buf_byte(&b, '}');
	}
	assert_int_equal(arena_cstr(a, buf_str(&b), &z), OK);
	diag_t d = { 0 };
	assert_int_equal(try_args(any, z, &d), ERR_LIMIT);
	buf_clear(&b);
	buf_add(&b, STR("{\"p\":["));
	for (size_t i = 0; i <= DELEGATION_ARGS_NODES_MAX; i++) {
		buf_add(&b, i ? STR(",1") : STR("1"));
	}
	buf_add(&b, STR("]}"));
	assert_int_equal(arena_cstr(a, buf_str(&b), &z), OK);
	assert_int_equal(try_args(TOOL_OF("[" C1("/p/*", "equals", "1") "]"), z, &d), ERR_LIMIT);
}

static void as_many_constraints_as_bits(void **state)
{
	AUTO(buf_done) buf_t items_text, args;
	AUTO(arena_free) arena_t *a = arena_open();
	const char *z, *w;
	diag_t d = { 0 };

	(void)state;
	buf_init(&items_text, 1 << 14);
	buf_init(&args, 1 << 14);
	buf_printf(&items_text, "[{\"server\":\"" ROUTE
				"\",\"tool\":\"read_text_file\",\"type\":\"mcp_tool_call\",\"constraints\":[");
	for (size_t i = 0; i < DELEGATION_CONSTRAINTS_MAX; i++) {
		buf_printf(&items_text, "%s{\"arg\":\"/a%zu\",\"kind\":\"equals\",\"value\":%zu}", i ? "," : "",
			i, i);
		buf_printf(&args, "%s\"a%zu\":%zu", i ? "," : "{", i, i);
	}
	buf_add(&items_text, STR("]}]"));
	assert_int_equal(arena_cstr(a, buf_str(&items_text), &z), OK);
	assert_int_equal(arena_cstr(a, arena_cat(a, buf_str(&args), STR("}")), &w), OK);
	assert_int_equal(try_args(z, w, &d), OK);
	assert_int_equal(arena_cstr(a, arena_cat(a, buf_str(&args), STR(",\"b\":1}")), &w), OK);
	assert_int_equal(try_args(z, w, &d), ERR_ARGUMENT);
}

static void the_closest_item_tells_why(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const delegation_item_t *list;
	size_t n;
	delegation_call_t call;
	const char *text = "[{\"constraints\":[],\"server\":\"https://gw.example/r/other\",\"tool\":\"x\","
			   "\"type\":\"mcp_tool_call\"},{\"constraints\":[],\"server\":\"" ROUTE
			   "\",\"tool\":\"ls\",\"type\":\"mcp_tool_call\"},{\"args_digest\":" DIGEST
			   ",\"server\":\"" ROUTE "\",\"tool\":\"cat\",\"type\":\"mcp_tool_call\"}]";

	(void)state;
	assert_int_equal(delegation_items_parse(a, str_of(text), &list, &n, NULL), OK);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR("https://gw.example/r/none"), STR("x"),
				 NULL, &call),
		OK);
	assert_int_equal(delegation_items_permit(list, n, &call, NULL), ERR_TARGET);
	assert_int_equal(delegation_items_permit(list, 0, &call, NULL), ERR_TARGET);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("x"), NULL, &call), OK);
	assert_int_equal(delegation_items_permit(list, n, &call, NULL), ERR_TOOL);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("cat"), NULL, &call), OK);
	assert_int_equal(delegation_items_permit(list, n, &call, NULL), ERR_ACTION);
	assert_int_equal(
		delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("ls"), parsed(a, "{\"a\":1}"), &call), OK);
	assert_int_equal(delegation_items_permit(list, n, &call, NULL), ERR_ARGUMENT);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("ls"), NULL, &call), OK);
	assert_int_equal(delegation_items_permit(list, n, &call, NULL), OK);
	assert_true(delegation_items_name(list, n, STR(ROUTE), STR("tools/call"), STR("ls")));
	assert_false(delegation_items_name(list, n, STR(ROUTE), STR("tools/call"), STR("x")));
	assert_false(delegation_items_name(list, n, STR(ROUTE), STR("GET"), STR("ls")));
	/* the digest alone permits exactly its content, here {} */
	delegation_item_t exact = list[2];
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("cat"), NULL, &call), OK);
	memcpy(exact.digest, call.args_digest, 32);
	assert_int_equal(delegation_items_permit(&exact, 1, &call, NULL), OK);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("ls"), NULL, &call), OK);
	/* an HTTP request of the same words is another thing */
	call.type = DELEGATION_HTTP_REQUEST;
	assert_int_equal(delegation_items_permit(list, n, &call, NULL), ERR_TOOL);
	/* an item that says nothing permits nothing (no parser makes one) */
	delegation_item_t mute = list[1];
	mute.has_constraints = false;
	call.type = DELEGATION_MCP_TOOL_CALL;
	assert_int_equal(delegation_items_permit(&mute, 1, &call, NULL), ERR_ACTION);
}

static void capabilities_carry_digest_and_constraints(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const delegation_item_t *parent, *asked, *bound;
	size_t n_parent, n_asked, n;
	delegation_call_t call;
	str_t text, digest;
	const char *items_text =
		"[{\"constraints\":[" C1("/p", "equals", "1") "],\"server\":\"" ROUTE
		"\",\"tool\":\"t\",\"type\":\"mcp_tool_call\"},{\"constraints\":[" C1("/p", "equals", "2")
		"],\"server\":\"" ROUTE "\",\"tool\":\"t\",\"type\":\"mcp_tool_call\"}]";

	(void)state;
	assert_int_equal(delegation_items_parse(a, str_of(items_text), &parent, &n_parent, NULL), OK);
	for (int p = 1; p <= 3; p++) {
		str_t args = arena_printf(a, "{\"p\":%d}", p);
		const json_t *node;
		assert_int_equal(json_parse(a, args, NULL, &node, NULL), OK);
		assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("t"), node, &call), OK);
		digest = b64url_enc(a, str_bytes(call.args_digest, 32));
		text = arena_printf(a,
			"[{\"type\":\"mcp_tool_call\",\"server\":\"" ROUTE
			"\",\"tool\":\"t\",\"args_digest\":\"%.*s\"}]",
			STR_ARG(digest));
		assert_int_equal(delegation_items_parse(a, text, &asked, &n_asked, NULL), OK);
		assert_int_equal(
			delegation_items_bind(a, parent, n_parent, &asked[0], &bound, &n), OK);
		assert_int_equal(n, 2);
		assert_int_equal(delegation_items_narrow(parent, n_parent, bound, n, NULL), OK);
		/* a digest alone is never narrower than constraints: it hides the arguments */
		assert_int_equal(delegation_items_narrow(parent, n_parent, asked, n_asked, NULL),
			ERR_BOUNDS);
		assert_int_equal(delegation_items_narrow(asked, n_asked, bound, n, NULL), OK);
		assert_int_equal(delegation_items_narrow(bound, n, parent, n_parent, NULL), ERR_BOUNDS);
		assert_int_equal(delegation_items_permit(bound, n, &call, NULL),
			p < 3 ? OK : ERR_ARGUMENT);
		call.args_digest[0] ^= 1;
		assert_int_equal(delegation_items_permit(bound, n, &call, NULL), ERR_ACTION);
	}
	assert_int_equal(delegation_items_bind(a, parent, n_parent, &parent[0], &bound, &n), ERR_DETAILS);
	assert_int_equal(delegation_items_bind(a, parent, 0, &asked[0], &bound, &n), ERR_DETAILS);
	delegation_item_t other = asked[0];
	other.target = STR("u");
	assert_int_equal(delegation_items_bind(a, parent, n_parent, &other, &bound, &n), ERR_DETAILS);
	other = asked[0];
	other.server = STR("https://gw.example/r/x");
	assert_int_equal(delegation_items_bind(a, parent, n_parent, &other, &bound, &n), ERR_DETAILS);
	other = asked[0];
	other.digest[0] ^= 1;
	assert_int_equal(delegation_items_bind(a, asked, n_asked, &other, &bound, &n), ERR_DETAILS);
	assert_int_equal(delegation_items_bind(a, asked, n_asked, &asked[0], &bound, &n), OK);
	other.has_constraints = true; /* the bound form is ours to make */
	assert_int_equal(delegation_items_bind(a, asked, n_asked, &other, &bound, &n), ERR_DETAILS);
	delegation_items_for(a, parent, n_parent, STR(ROUTE), &bound, &n);
	assert_int_equal(n, 2);
	delegation_items_for(a, parent, n_parent, STR("https://gw.example/r/x"), &bound, &n);
	assert_int_equal(n, 0);
}

static void bounds_hold_calls(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_bounds_t b;
	delegation_call_t call;
	const str_t classes[] = { STR("finance") }, secret[] = { STR("finance"), STR("health") };
	delegation_place_t place = { STR("invoices:read"), STR("prod"), classes, 1 };
	const int64_t monday_9 = 1764579600; /* 2025-12-01 09:00 UTC */
	diag_t d = { 0 };

	(void)state;
	assert_int_equal(delegation_bounds_parse(a, STR(GOOD), &b, NULL), OK);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("read_text_file"),
				 parsed(a, "{\"path\":\"/srv/invoices/1\"}"), &call),
		OK);
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), OK);
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9 - 3600, &d), OK); /* 08:00 */
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9 - 3601, &d), ERR_GRANT_EXPIRED);
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9 + 34199, &d), OK); /* 18:29:59 */
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9 + 34200, &d), ERR_GRANT_EXPIRED);
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9 - 86400, &d), ERR_GRANT_EXPIRED);
	assert_int_equal(delegation_permits(&b, &call, &place, -1, &d), ERR_GRANT_EXPIRED);
	place.scope = STR("invoices:write");
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_SCOPE);
	place.scope = STR_NULL;
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_SCOPE);
	place.scope = STR("invoices:read tickets:create"); /* two words are no scope */
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_SCOPE);
	place.scope = STR("invoices:read");
	place.environment = STR("dev");
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_GRANT);
	place.environment = STR("*");
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_GRANT);
	place.environment = STR_NULL;
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_GRANT);
	place.environment = STR("prod");
	place.data_classes = secret;
	place.n_data_classes = 2;
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_GRANT);
	assert_non_null(strstr(d.text, "health"));
	const str_t malformed[] = { STR("Finance") };
	place.data_classes = malformed;
	place.n_data_classes = 1;
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_GRANT);
	place.data_classes = secret;
	place.n_data_classes = 2;
	const str_t any[] = { STR("*") };
	b.data_classes = any;
	b.n_data_classes = 1;
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), OK);
	b.window.is_set = false;
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9 - 86400, &d), OK);
	b.n_items = 0;
	assert_int_equal(delegation_permits(&b, &call, &place, monday_9, &d), ERR_TARGET);
}

static void scopes_meet(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t out;

	(void)state;
	assert_int_equal(delegation_intersect_scope(a, STR("c b a"), STR("a b c"), STR("a c"),
				 STR("c x a"), &out),
		OK);
	assert_true(str_eq(out, STR("c a")));
	assert_int_equal(
		delegation_intersect_scope(a, STR(""), STR("a"), STR("a"), STR("a"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR_NULL, STR("a"), STR("a"), STR("a"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR("a"), STR_NULL, STR("a"), STR("a"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR("a"), STR("a"), STR(""), STR("a"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR("a"), STR("a"), STR("a"), STR("ab"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR("a  b"), STR("a"), STR("a"), STR("a"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR("a"), STR("a  b"), STR("a"), STR("a"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR("a"), STR("a"), STR("a "), STR("a"), &out), ERR_SCOPE);
	assert_int_equal(
		delegation_intersect_scope(a, STR("a a"), STR("a"), STR("a"), STR("a"), &out), ERR_SCOPE);
	AUTO(buf_done) buf_t b;
	buf_init(&b, 1 << 15);
	for (int i = 0; i <= DELEGATION_SCOPES_MAX; i++) {
		buf_printf(&b, "%ss%d", i ? " " : "", i);
	}
	assert_int_equal(delegation_scope_check(buf_str(&b)), ERR_LIMIT);
	while (b.n <= DELEGATION_SCOPE_BYTES_MAX) {
		buf_byte(&b, 'x');
	}
	assert_int_equal(delegation_scope_check(buf_str(&b)), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_round_trip),
		cmocka_unit_test(every_member_is_required),
		cmocka_unit_test(values_are_held_to_their_grammar),
		cmocka_unit_test(windows),
		cmocka_unit_test(item_forms),
		cmocka_unit_test(constraint_grammar),
		cmocka_unit_test(limits_are_met),
		cmocka_unit_test(arguments_are_held),
		cmocka_unit_test(deep_and_many_arguments_are_refused),
		cmocka_unit_test(as_many_constraints_as_bits),
		cmocka_unit_test(the_closest_item_tells_why),
		cmocka_unit_test(capabilities_carry_digest_and_constraints),
		cmocka_unit_test(bounds_hold_calls),
		cmocka_unit_test(scopes_meet),
	};
	if (crypto_init() != OK) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
