/* policy text that is wrong, or made to hurt: each case ends in a clear error and costs little. */
#include "facts.h"

#include <pthread.h>

#include "policy-ffi/pdp.h"

#define ALL "@id(\"all\") permit (principal, action, resource);\n"

typedef struct {
	err_t err;
	diag_t diag;
} outcome_t;

static outcome_t compile(str_t text)
{
	policy_file_t file = { STR("h.cedar"), text };
	policy_bundle_t *b = NULL;
	outcome_t o = { 0 };

	o.err = policy_bundle_compile(&file, 1, &b, NULL, &o.diag);
	if (o.err == OK) {
		policy_bundle_unref(b);
	}
	return o;
}

static void assert_refused(str_t text, uint32_t line, const char *what)
{
	outcome_t o = compile(text);

	assert_int_equal(o.err, ERR_POLICY);
	if (!strstr(o.diag.text, what)) {
		print_error("wanted \"%s\", got %u:%u \"%s\"\n", what, o.diag.line, o.diag.column,
			    o.diag.text);
	}
	assert_non_null(strstr(o.diag.text, what));
	assert_non_null(strstr(o.diag.text, "h.cedar"));
	assert_int_equal(o.diag.line, line);
}

/* head, n times unit, tail */
static buf_t repeated(str_t head, str_t unit, size_t n, str_t tail)
{
	buf_t b;

	buf_init(&b, 16 << 20);
	buf_add(&b, head);
	for (size_t i = 0; i < n; i++) {
		buf_add(&b, unit);
	}
	buf_add(&b, tail);
	assert_int_equal(buf_err(&b), OK);
	return b;
}

static void assert_repeated(str_t head, str_t unit, size_t n, str_t tail, err_t want)
{
	buf_t b = repeated(head, unit, n, tail);
	outcome_t o = compile(buf_str(&b));

	if (o.err != want) {
		print_error("%zu of \"%.*s\": %u:%u %s\n", n, STR_ARG(unit), o.diag.line, o.diag.column,
			    o.diag.text);
	}
	assert_int_equal(o.err, want);
	buf_done(&b);
}

static void mistakes_are_located(void **state)
{
	(void)state;
	assert_refused(STR("\npermit (principal, action, resource);"), 2, "needs @id");
	assert_refused(STR("@id permit (principal, action, resource);"), 1, "needs @id");
	assert_refused(STR("@id(\"a b\") permit (principal, action, resource);"), 1, "needs @id");
	assert_refused(STR(ALL "\n" ALL), 3, "is also used in h.cedar:1:1");
	assert_refused(STR(ALL "@id(\"x\") permit (principal action, resource);"), 2, "unexpected token");
	assert_refused(STR(ALL "@id(\"x\") allow (principal, action, resource);"), 2, "allow");
	assert_refused(STR("@id(\"t\") permit (principal == ?principal, action, resource);"), 0, "slots");
	assert_refused(STR(ALL "@id(\"x\")\nforbid (principal, action, resource)\nwhen { principal.nome == \"\" };"),
		       4, "nome");
	assert_refused(STR("@id(\"x\") forbid (principal, action == Attorn::Action::\"cal\", resource);"), 1,
		       "cal");
	assert_refused(STR("@id(\"x\") forbid (principal is Attorn::Robot, action, resource);"), 1, "Robot");
	assert_refused(STR("@id(\"x\") forbid (principal is Attorn::Agent, action, resource)\n"
			   "when { principal.maxDepth < \"2\" };"),
		       2, "type");
	assert_refused(STR("@id(\"x\") forbid (principal is Attorn::Agent, action, resource)\n"
			   "when { principal.owner == Attorn::User::\"u:x\" };"),
		       2, "optional");
}

/* The owner is no entity of the request: its roles would be absent, and absent is silently false. */
static void rules_look_one_step_far(void **state)
{
	(void)state;
	assert_refused(STR("@id(\"x\") forbid (principal is Attorn::Agent, action, resource)\n"
			   "when { principal has owner && principal.owner in Attorn::Role::\"r\" };"),
		       2, "level");
	assert_refused(STR("@id(\"x\") forbid (principal is Attorn::Agent, action, resource)\n"
			   "when { principal has owner && principal.owner.active };"),
		       2, "level");
}

static void a_tag_is_asked_for_before_it_is_read(void **state)
{
	(void)state;
	assert_refused(STR("@id(\"x\") forbid (principal, action == Attorn::Action::\"call\", resource)\n"
			   "when { context.args.n.getTag(\"rows\") > 1 };"),
		       2, "tag");
}

static void bytes_are_checked_first(void **state)
{
	(void)state;
	assert_refused(STR(ALL "\n\0"), 3, "NUL");
	assert_refused(STR(ALL "// \xff"), 2, "UTF-8");
	assert_refused(STR(ALL "\""), 2, "string is not closed");
	assert_refused(STR(ALL "("), 2, "not closed");
	assert_refused(STR(ALL "\n}"), 3, "closes nothing");
	assert_refused(STR(ALL ";"), 2, "ends nothing");
}

static void files_have_a_size(void **state)
{
	(void)state;
	assert_repeated(STR(ALL), STR(" "), (256 << 10) - sizeof(ALL) + 1, STR(""), OK);
	assert_repeated(STR(ALL), STR(" "), (256 << 10) - sizeof(ALL) + 2, STR(""), ERR_POLICY);
	assert_repeated(STR(""), STR(";"), 256 << 10, STR(""), ERR_POLICY);
	assert_repeated(STR(""), STR("a;"), 128 << 10, STR(""), ERR_POLICY);
	assert_repeated(STR(""), STR("permit;"), 32 << 10, STR(""), ERR_POLICY);
}

#define FORBID "@id(\"x\") forbid (principal is Attorn::Agent, action, resource) when { "

static void assert_parentheses(size_t n, err_t want)
{
	buf_t open = repeated(STR(FORBID), STR("("), n, STR("1"));
	buf_t all = repeated(buf_str(&open), STR(")"), n, STR(" == 1 };"));

	assert_int_equal(compile(buf_str(&all)).err, want);
	buf_done(&open);
	buf_done(&all);
}

static void nesting_ends_before_the_stack(void **state)
{
	(void)state;
	assert_parentheses(63, OK); /* the brace around them is the 64th */
	assert_parentheses(64, ERR_POLICY);
	assert_parentheses(4000, ERR_POLICY);
	assert_parentheses(100000, ERR_POLICY);
	assert_repeated(STR(FORBID), STR("["), 70, STR(""), ERR_POLICY);
	assert_repeated(STR(FORBID), STR("{a:"), 4000, STR(""), ERR_POLICY);
	assert_repeated(STR(FORBID), STR("if true then 1 else "), 16000, STR("1 };"), ERR_POLICY);
}

static void chains_end_before_the_stack(void **state)
{
	(void)state;
	assert_repeated(STR(FORBID "1"), STR("+1"), 200, STR(" == 1 };"), OK);
	assert_repeated(STR(FORBID "1"), STR("+1"), 257, STR(" == 1 };"), ERR_POLICY);
	assert_repeated(STR(FORBID "1"), STR("+1"), 100000, STR(" == 1 };"), ERR_POLICY);
	assert_repeated(STR(FORBID "principal"), STR(".a"), 100000, STR(" == 1 };"), ERR_POLICY);
	assert_repeated(STR(FORBID "true"), STR("&&true"), 200, STR("};"), OK);
	assert_repeated(STR(FORBID "true"), STR("&&true"), 257, STR("};"), ERR_POLICY);
	assert_repeated(STR(FORBID), STR("!"), 10000, STR("true };"), ERR_POLICY);
	assert_repeated(STR(FORBID "A"), STR("::A"), 10000, STR("};"), ERR_POLICY);
	assert_repeated(STR(FORBID "true }"), STR(" when { true }"), 10000, STR(";"), ERR_POLICY);
	assert_repeated(STR(""), STR("@a "), 80000, STR(ALL), ERR_POLICY);
}

static void many_errors_make_a_short_report(void **state)
{
	buf_t text = repeated(STR(""), STR("permit (x);\n"), 5000, STR("")), report;
	policy_file_t file = { STR("h.cedar"), buf_str(&text) };
	policy_bundle_t *b = NULL;
	diag_t diag;

	(void)state;
	buf_init(&report, POLICY_REPORT_BYTES_MAX);
	assert_int_equal(policy_bundle_compile(&file, 1, &b, &report, &diag), ERR_POLICY);
	assert_int_equal(buf_err(&report), OK);
	assert_true(report.n > 0);
	assert_true(str_starts(buf_str(&report), STR("h.cedar:1:")));
	assert_null(b);
	buf_done(&report);
	buf_done(&text);
}

static void files_are_told_apart(void **state)
{
	policy_file_t files[] = { { STR("a.cedar"), STR(ALL) }, { STR("b.cedar"), STR("\n" ALL) } };
	policy_bundle_t *b = NULL;
	diag_t diag;

	(void)state;
	assert_int_equal(policy_bundle_compile(files, 2, &b, NULL, &diag), ERR_POLICY);
	assert_non_null(strstr(diag.text, "b.cedar"));
	assert_non_null(strstr(diag.text, "a.cedar:1:1"));
	assert_int_equal(diag.line, 2);
	files[1].text = STR("@id(\"b\") forbid (principal, action, resource)"); /* and the next file? */
	assert_int_equal(policy_bundle_compile(files, 2, &b, NULL, &diag), ERR_POLICY);
	assert_non_null(strstr(diag.text, "b.cedar"));
	files[1].text = STR("@id(\"b\") forbid (principal, action, resource); // last line");
	assert_int_equal(policy_bundle_compile(files, 2, &b, NULL, &diag), OK);
	ASSERT_FORBID(b, facts_call(), "b");
	policy_bundle_unref(b);
}

static void a_directory_has_a_size(void **state)
{
	policy_file_t files[POLICY_FILES_MAX + 1];
	buf_t text = repeated(STR(""), STR(" "), 200 << 10, STR(""));
	policy_bundle_t *b = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		files[i] = (policy_file_t){ STR("f.cedar"), STR("// nothing\n") };
	}
	assert_int_equal(policy_bundle_compile(files, ARRAY_LEN(files), &b, NULL, NULL), ERR_POLICY);
	assert_int_equal(policy_bundle_compile(files, POLICY_FILES_MAX, &b, NULL, NULL), OK);
	policy_bundle_unref(b);
	for (size_t i = 0; i < 32; i++) {
		files[i].text = buf_str(&text);
	}
	assert_int_equal(policy_bundle_compile(files, 32, &b, NULL, NULL), ERR_POLICY);
	buf_done(&text);
}

/* Compiles, decides and frees on a stack far smaller than any of these needs. */
static void *on_small_stack(void *bundle_out)
{
	policy_bundle_t *b = NULL;
	buf_t text = repeated(STR(ALL FORBID "true"), STR("&&true"), 250, STR("};"));
	policy_file_t file = { STR("h.cedar"), buf_str(&text) };

	if (policy_bundle_compile(&file, 1, &b, NULL, NULL) == OK) {
		*(policy_decision_t *)bundle_out = facts_decide(b, facts_call());
		policy_bundle_unref(b);
	}
	buf_done(&text);
	return NULL;
}

static void small_stacks_are_no_danger(void **state)
{
	policy_decision_t d = { 0 };
	pthread_attr_t attr;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, 256 << 10), 0);
	assert_int_equal(pthread_create(&thread, &attr, on_small_stack, &d), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(d.why, POLICY_WHY_DENIED);
	assert_int_equal(d.n_rules, 1);
	(void)pthread_attr_destroy(&attr);
}

static void panics_come_back(void **state)
{
	uint64_t before = pdp_panics();

	(void)state;
	assert_int_equal(pdp_panic_check(), PDP_E_PANIC);
	assert_int_equal(pdp_panics(), before + 1);
}

/* The other half of the ABI lies in Rust; a struct that moved would show here. */
static void broken_trees_are_refused(void **state)
{
	pdp_source none = { { NULL, 0 }, { NULL, 0 } };
	str_t schema = STR("entity E; action a appliesTo { principal: E, resource: E, context: {} };");
	pdp_cedar *c = NULL;
	pdp_ents *ents = NULL;
	pdp_node bad[] = {
		{ .kind = PDP_RECORD, .kids = 3 },
		{ .kind = PDP_BOOL, .i = 2 },
		{ .kind = 99 },
		{ .kind = PDP_STRING, .kids = 1 },
		{ .kind = PDP_ENTITY, .t = { (const uint8_t *)"X", 1 } },
		{ .kind = PDP_DATETIME, .i = -1 },
	};
	pdp_result r = { .decision = 7 };
	pdp_req q = { .aid = { (const uint8_t *)"a", 1 }, .ptype = { (const uint8_t *)"E", 1 },
		      .rtype = { (const uint8_t *)"E", 1 } };

	(void)state;
	assert_int_equal(pdp_cedar_compile(&none, 1, (pdp_slice){ (const uint8_t *)schema.p, schema.n }, 0, &c, NULL), PDP_OK);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		pdp_node tree[2] = { { .kind = PDP_RECORD, .kids = 1 }, bad[i] };

		q.context = tree;
		q.n_context = 2;
		r.decision = 7;
		assert_int_not_equal(pdp_cedar_eval(c, NULL, &q, &r, NULL), PDP_OK);
		assert_int_equal(r.decision, 0);
		assert_int_not_equal(pdp_ents_build(c, &bad[i], 1, &ents, NULL), PDP_OK);
	}
	assert_int_equal(pdp_cedar_eval(NULL, NULL, &q, &r, NULL), PDP_E_INTERNAL);
	pdp_cedar_retain(c);
	pdp_cedar_release(c);
	pdp_cedar_release(c);
	pdp_cedar_release(NULL);
	pdp_ents_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_located),
		cmocka_unit_test(rules_look_one_step_far),
		cmocka_unit_test(a_tag_is_asked_for_before_it_is_read),
		cmocka_unit_test(bytes_are_checked_first),
		cmocka_unit_test(files_have_a_size),
		cmocka_unit_test(nesting_ends_before_the_stack),
		cmocka_unit_test(chains_end_before_the_stack),
		cmocka_unit_test(many_errors_make_a_short_report),
		cmocka_unit_test(files_are_told_apart),
		cmocka_unit_test(a_directory_has_a_size),
		cmocka_unit_test(small_stacks_are_no_danger),
		cmocka_unit_test(panics_come_back),
		cmocka_unit_test(broken_trees_are_refused),
	};

	return cmocka_run_group_tests(tests, facts_setup, NULL);
}
