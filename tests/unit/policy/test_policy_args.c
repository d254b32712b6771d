/* policy arguments: what the agent says lies in bags by type, or refuses the call. */
#include "facts.h"

#include "pure/codec/codec.h"

typedef struct {
	arena_t *a;
	policy_args_t args;
	diag_t diag;
	err_t err;
} flat_t;

static flat_t flatten(const char *json)
{
	flat_t f = { .a = arena_new_capped(16 << 20) };
	const json_t *root;

	assert_int_equal(json_parse_object(f.a, str_of(json), &root, &f.diag), OK);
	f.err = policy_args_flatten(f.a, root, &f.args, &f.diag);
	return f;
}

static void flat_done(flat_t *f)
{
	arena_free(f->a);
}

static const policy_arg_t *arg_named(const flat_t *f, str_t key)
{
	for (size_t i = 0; i < f->args.n; i++) {
		if (str_eq(f->args.v[i].key, key)) {
			return &f->args.v[i];
		}
	}
	return NULL;
}

static void each_kind_has_its_bag(void **state)
{
	flat_t f = flatten("{\"s\":\"x\",\"n\":-7,\"b\":true,\"l\":[\"p\",\"q\"],\"e\":[],"
			   "\"o\":{\"in\":{\"k\":1},\"z\":false}}");

	(void)state;
	assert_int_equal(f.err, OK);
	assert_int_equal(f.args.n, 7);
	assert_int_equal(arg_named(&f, STR("s"))->kind, POLICY_ARG_STR);
	assert_int_equal(arg_named(&f, STR("n"))->n, -7);
	assert_int_equal(arg_named(&f, STR("b"))->kind, POLICY_ARG_BOOL);
	assert_int_equal(arg_named(&f, STR("l"))->list.n, 2);
	assert_int_equal(arg_named(&f, STR("e"))->kind, POLICY_ARG_LIST);
	assert_int_equal(arg_named(&f, STR("o.in.k"))->n, 1);
	assert_int_equal(arg_named(&f, STR("o.z"))->n, 0);
	flat_done(&f);
	f = flatten("{}");
	assert_int_equal(f.err, OK);
	assert_int_equal(f.args.n, 0);
	flat_done(&f);
}

static void what_fits_no_bag_refuses(void **state)
{
	static const struct {
		const char *json;
		err_t err;
	} cases[] = {
		{ "{\"x\":null}", ERR_VALUE },
		{ "{\"x\":1.5}", ERR_NUMBER },
		{ "{\"x\":1e3}", ERR_NUMBER },
		{ "{\"x\":9007199254740993}", ERR_NUMBER },
		{ "{\"x\":{}}", ERR_VALUE },
		{ "{\"x\":[1]}", ERR_VALUE },
		{ "{\"x\":[\"a\",null]}", ERR_VALUE },
		{ "{\"x\":[[\"a\"]]}", ERR_VALUE },
		{ "{\"x\":[{\"a\":1}]}", ERR_VALUE },
		{ "{\"a.b\":1}", ERR_VALUE },
		{ "{\"a.b\":1,\"a\":{\"b\":2}}", ERR_VALUE },
		{ "{\"a\":{\"b.c\":1}}", ERR_VALUE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		flat_t f = flatten(cases[i].json);

		assert_int_equal(f.err, cases[i].err);
		assert_non_null(strstr(f.diag.text, "argument "));
		flat_done(&f);
	}
}

/* {"k":{"k":...1}} with n objects around the number */
static char *nested(size_t n)
{
	buf_t b;

	buf_init(&b, 1 << 16);
	for (size_t i = 0; i < n; i++) {
		buf_add(&b, STR("{\"k\":"));
	}
	buf_byte(&b, '1');
	for (size_t i = 0; i < n; i++) {
		buf_byte(&b, '}');
	}
	char *text = heap_cstr(buf_str(&b));

	buf_done(&b);
	return text;
}

/* {"x":["a","a",...]} or {"k0":1,"k1":1,...} */
static char *many(size_t n, bool list)
{
	buf_t b;

	buf_init(&b, 1 << 20);
	buf_add(&b, list ? STR("{\"x\":[") : STR("{"));
	for (size_t i = 0; i < n; i++) {
		buf_add(&b, i ? STR(",") : STR(""));
		if (list) {
			buf_add(&b, STR("\"a\""));
		} else {
			buf_printf(&b, "\"k%zu\":1", i);
		}
	}
	buf_add(&b, list ? STR("]}") : STR("}"));
	char *text = heap_cstr(buf_str(&b));

	buf_done(&b);
	return text;
}

static void assert_flatten(char *json, err_t want)
{
	flat_t f = flatten(json);

	assert_int_equal(f.err, want);
	flat_done(&f);
	heap_free(json);
}

static void limits_hold_at_the_edge(void **state)
{
	(void)state;
	assert_flatten(nested(POLICY_ARGS_DEPTH_MAX), OK);
	assert_flatten(nested(POLICY_ARGS_DEPTH_MAX + 1), ERR_LIMIT);
	assert_flatten(many(POLICY_ARGS_MAX, false), OK);
	assert_flatten(many(POLICY_ARGS_MAX + 1, false), ERR_LIMIT);
	assert_flatten(many(POLICY_ARGS_MAX - 1, true), OK);
	assert_flatten(many(POLICY_ARGS_MAX + 1, true), ERR_LIMIT);
}

static void no_arguments_are_no_arguments(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	policy_args_t args = { NULL, 9 };

	(void)state;
	assert_int_equal(policy_args_flatten(a, NULL, &args, NULL), OK);
	assert_int_equal(args.n, 0);
}

/* An object that looks like an entity or a date of Cedar's JSON stays a handful of texts. */
static void arguments_are_never_entities(void **state)
{
	policy_bundle_t *b = facts_bundle(
		STR("@id(\"p\") permit (principal, action == Attorn::Action::\"call\", resource)\n"
		    "when { context.args.s.hasTag(\"u.__entity.type\") && context.args.s.hasTag(\"u.__entity.id\") &&\n"
		    "  context.args.s.getTag(\"u.__entity.id\") == \"admin\" &&\n"
		    "  !context.args.n.hasTag(\"u\") && !context.args.l.hasTag(\"u\") };\n"));
	flat_t f = flatten("{\"u\":{\"__entity\":{\"type\":\"Attorn::Role\",\"id\":\"admin\"}}}");
	policy_request_t q = facts_call();

	(void)state;
	assert_int_equal(f.err, OK);
	q.args = f.args;
	ASSERT_PERMIT(b, q, "p");
	flat_done(&f);
	policy_bundle_unref(b);
}

static void rules_see_every_bag(void **state)
{
	policy_bundle_t *b = facts_bundle(
		STR("@id(\"p\") permit (principal, action == Attorn::Action::\"call\", resource)\n"
		    "when { context.args.s.hasTag(\"path\") && context.args.s.getTag(\"path\") like \"/in/*\" &&\n"
		    "  context.args.n.hasTag(\"rows\") && context.args.n.getTag(\"rows\") <= 10 &&\n"
		    "  context.args.b.hasTag(\"dry.run\") && context.args.b.getTag(\"dry.run\") &&\n"
		    "  context.args.l.hasTag(\"tags\") && context.args.l.getTag(\"tags\") == [\"y\", \"x\"] };\n"));
	flat_t f = flatten("{\"path\":\"/in/a\",\"rows\":10,\"dry\":{\"run\":true},"
			   "\"tags\":[\"x\",\"y\",\"x\"]}");
	policy_request_t q = facts_call();

	(void)state;
	q.args = f.args;
	ASSERT_PERMIT(b, q, "p");
	q.args.n--;
	ASSERT_NO(b, q, POLICY_WHY_DENIED);
	flat_done(&f);
	policy_bundle_unref(b);
}

/* What no JSON reader would hand over, but a careless caller might. */
static void hand_made_arguments_are_checked(void **state)
{
	policy_bundle_t *b = facts_starter();
	policy_arg_t two[2] = { { STR("k"), POLICY_ARG_NUM, STR_NULL, 1, { NULL, 0 } },
				{ STR("k"), POLICY_ARG_NUM, STR_NULL, 2, { NULL, 0 } } };
	policy_request_t q = facts_call();

	(void)state;
	q.args = (policy_args_t){ two, 1 };
	ASSERT_PERMIT(b, q, "base.delegated");
	q.args.n = 2;
	ASSERT_NO(b, q, POLICY_WHY_BAD_REQUEST);
	two[0].kind = (policy_arg_kind_t)0;
	q.args.n = 1;
	ASSERT_NO(b, q, POLICY_WHY_BAD_REQUEST);
	two[0] = (policy_arg_t){ STR("k\xff"), POLICY_ARG_NUM, STR_NULL, 1, { NULL, 0 } };
	ASSERT_NO(b, q, POLICY_WHY_BAD_REQUEST);
	policy_bundle_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_bag),
		cmocka_unit_test(what_fits_no_bag_refuses),
		cmocka_unit_test(limits_hold_at_the_edge),
		cmocka_unit_test(no_arguments_are_no_arguments),
		cmocka_unit_test(arguments_are_never_entities),
		cmocka_unit_test(rules_see_every_bag),
		cmocka_unit_test(hand_made_arguments_are_checked),
	};

	return cmocka_run_group_tests(tests, facts_setup, NULL);
}
