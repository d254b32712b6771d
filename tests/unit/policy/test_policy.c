/* policy: the starter policy outcome by outcome, then what the engine promises beyond it. */
#include "facts.h"

static policy_bundle_t *starter;

static int starter_setup(void **state)
{
	int rc = facts_setup(state);

	starter = rc == 0 ? facts_starter() : NULL;
	return rc;
}

static int starter_teardown(void **state)
{
	(void)state;
	policy_bundle_unref(starter);
	return 0;
}

static void an_agent_uses_what_a_user_lent(void **state)
{
	policy_request_t q = facts_call();

	(void)state;
	ASSERT_PERMIT(starter, facts_call(), "base.delegated");
	ASSERT_PERMIT(starter, facts_write(), "base.delegated");
	q.action = POLICY_LIST;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q.action = POLICY_EXCHANGE;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q = facts_write();
	q.action = POLICY_HTTP;
	q.http = (policy_http_t){ STR("POST"), STR("127.0.0.1"), STR("/tickets"), false };
	ASSERT_PERMIT(starter, q, "base.delegated");
}

static void who_is_inactive_does_nothing(void **state)
{
	policy_request_t q = facts_call();

	(void)state;
	q.user.active = false;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
	q = facts_call();
	q.agent.active = false;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
}

static void a_bearer_looks_and_does_not_touch(void **state)
{
	policy_request_t q = facts_call();

	(void)state;
	q.assurance = DELEGATION_BEARER;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q.action = POLICY_LIST;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q = facts_write();
	q.assurance = DELEGATION_BEARER;
	ASSERT_FORBID(starter, q, "guard.assurance");
	policy_decision_t d = facts_decide(starter, q);

	assert_true(str_eq(d.deny_code, STR("assurance_too_low")));
	assert_true(str_contains(d.fix, STR("DPoP")));
	q.assurance = DELEGATION_SHARED_UID;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q.assurance = DELEGATION_ATTESTED;
	ASSERT_PERMIT(starter, q, "base.delegated");
}

static void token_agent_and_user_must_each_cover_the_scope(void **state)
{
	policy_request_t q = facts_write();

	(void)state;
	q.token.scopes = STR("warehouse:read");
	ASSERT_FORBID(starter, q, "guard.scope");
	q = facts_write();
	q.agent.scopes = STR("warehouse:read");
	ASSERT_FORBID(starter, q, "guard.agent-scope");
	q = facts_write();
	q.user.permissions = STR("warehouse:read");
	ASSERT_FORBID(starter, q, "guard.user-permission");
	q.user.permissions = STR_NULL;
	ASSERT_FORBID(starter, q, "guard.user-permission");
	q = facts_write();
	q.tool.scopes = STR("warehouse:write warehouse:admin"); /* all are needed */
	policy_decision_t d = facts_decide(starter, q);

	assert_int_equal(d.n_rules, 3);
	assert_true(str_eq(d.rules[0], STR("guard.scope"))); /* in the order of the file */
	assert_true(str_eq(d.rules[1], STR("guard.agent-scope")));
	assert_true(str_eq(d.rules[2], STR("guard.user-permission")));
	assert_true(str_eq(d.deny_code, STR("insufficient_scope")));
}

static void chains_end_where_grant_or_agent_say(void **state)
{
	policy_request_t q = facts_call();

	(void)state;
	q.token.depth = 2;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q.token.depth = 3;
	ASSERT_FORBID(starter, q, "guard.depth");
	q.token.max_depth = 9;
	ASSERT_FORBID(starter, q, "guard.depth");
	q.token.max_depth = 1;
	q.token.depth = 2;
	q.agent.max_depth = 9;
	ASSERT_FORBID(starter, q, "guard.depth");
}

static void an_autonomous_agent_needs_an_owner(void **state)
{
	policy_request_t q = facts_autonomous();

	(void)state;
	ASSERT_PERMIT(starter, q, "base.autonomous");
	q.tool.effect = POLICY_MUTATING;
	ASSERT_PERMIT(starter, q, "base.autonomous");
	q.tool.effect = POLICY_IRREVERSIBLE;
	ASSERT_FORBID(starter, q, "guard.autonomous");
	q = facts_call();
	q.tool.effect = POLICY_IRREVERSIBLE;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q = facts_autonomous();
	q.agent.owner_active = false;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
	q = facts_autonomous();
	q.agent.owner = STR_NULL;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
}

static void people_need_standing_and_a_signature(void **state)
{
	policy_request_t q = facts_admin(POLICY_ADMINISTER);

	(void)state;
	ASSERT_PERMIT(starter, q, "admin.all");
	q.assurance = DELEGATION_BEARER;
	ASSERT_FORBID(starter, q, "guard.signed");
	q = facts_admin(POLICY_ADMINISTER);
	q.user.active = false;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
	q = facts_admin(POLICY_ADMINISTER);
	q.user.permissions = STR("attorn:administrate warehouse:read");
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
	q = facts_admin(POLICY_ADMINISTER);
	q.agent = facts_call().agent; /* an agent administers nothing, whoever it acts for */
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
}

static void people_lend_and_end(void **state)
{
	policy_request_t q = facts_admin(POLICY_DELEGATE);

	(void)state;
	q.user.permissions = STR_NULL;
	q.on_agent = facts_call().agent;
	ASSERT_PERMIT(starter, q, "user.delegate");
	q.on_agent.active = false;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
	q.on_agent.active = true;
	q.action = POLICY_REVOKE;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED); /* bob owns it */
	q.user.id = STR("u:bob");
	ASSERT_PERMIT(starter, q, "user.revoke-owned");
	q.on_agent.owner = STR_NULL;
	ASSERT_NO(starter, q, POLICY_WHY_DENIED);
	q = facts_admin(POLICY_APPROVE);
	q.route = facts_call().route;
	ASSERT_PERMIT(starter, q, "admin.all");
}

static void what_is_missing_denies(void **state)
{
	policy_request_t q = facts_call();

	(void)state;
	ASSERT_NO(NULL, q, POLICY_WHY_NO_POLICY);
	q.agent.id = STR_NULL;
	ASSERT_NO(starter, q, POLICY_WHY_MISSING_ENTITY);
	q = facts_call();
	q.user.id = STR_NULL;
	ASSERT_NO(starter, q, POLICY_WHY_MISSING_ENTITY);
	q = facts_call();
	q.route.name = STR_NULL;
	ASSERT_NO(starter, q, POLICY_WHY_MISSING_ENTITY);
	q = facts_call();
	q.tool.name = STR_NULL;
	ASSERT_NO(starter, q, POLICY_WHY_MISSING_ENTITY);
	q = facts_admin(POLICY_ADMINISTER);
	q.user.id = STR_NULL;
	ASSERT_NO(starter, q, POLICY_WHY_MISSING_ENTITY);
}

static void what_is_malformed_denies(void **state)
{
	policy_request_t q = facts_call();
	str_t many[POLICY_ROLES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = STR("r");
	}
	q.action = POLICY_NONE;
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q.action = (policy_action_t)99;
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q = facts_call();
	q.tool.effect = POLICY_EFFECT_NONE;
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q = facts_call();
	q.agent.kind = DELEGATION_INFRASTRUCTURE;
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q = facts_autonomous();
	q.user = facts_call().user; /* for itself and for alice */
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q = facts_call();
	q.clock.weekday = 0;
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q = facts_call();
	q.clock.minute_of_day = 1440;
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q = facts_call();
	q.clock.now_unix_s = 253402300800; /* year 10000 */
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q = facts_call();
	q.user.roles = (policy_names_t){ many, ARRAY_LEN(many) };
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
	q.user.roles.n--;
	ASSERT_PERMIT(starter, q, "base.delegated");
	q = facts_call();
	q.route.environment = STR("prod\xff");
	ASSERT_NO(starter, q, POLICY_WHY_BAD_REQUEST);
}

static void no_rule_is_no(void **state)
{
	policy_bundle_t *b = NULL;

	(void)state;
	assert_int_equal(policy_bundle_compile(NULL, 0, &b, NULL, NULL), OK);
	assert_int_equal(policy_bundle_count(b), 0);
	ASSERT_NO(b, facts_call(), POLICY_WHY_DENIED);
	policy_bundle_unref(b);
}

/* Cedar skips what fails; here neither a failing forbid nor a failing permit lets anything pass. */
static void a_rule_that_fails_denies(void **state)
{
	policy_bundle_t *b = facts_bundle(
		STR("@id(\"all\") permit (principal, action, resource);\n"
		    "@id(\"f\") forbid (principal is Attorn::Agent, action in Attorn::Action::\"invoke\",\n"
		    "  resource) when { 9223372036854775807 + principal.maxDepth < 0 };\n"));
	policy_decision_t d = facts_decide(b, facts_call());

	(void)state;
	assert_int_equal(d.verdict, POLICY_DENY);
	assert_int_equal(d.why, POLICY_WHY_POLICY_ERROR);
	assert_int_equal(d.n_failed, 1);
	assert_true(str_eq(d.failed[0], STR("f")));
	policy_request_t q = facts_call();

	q.action = POLICY_LIST; /* where the rule does not apply it does not fail */
	ASSERT_PERMIT(b, q, "all");
	policy_bundle_unref(b);
	b = facts_bundle(STR("@id(\"all\") permit (principal, action, resource);\n"
			     "@id(\"p\") permit (principal, action == Attorn::Action::\"call\", resource)\n"
			     "when { 0 - context.ctl.clock.weekday * 9223372036854775807 > 5 };\n"));
	d = facts_decide(b, facts_call());
	assert_int_equal(d.verdict, POLICY_DENY);
	assert_int_equal(d.why, POLICY_WHY_POLICY_ERROR);
	policy_bundle_unref(b);
}

static void roles_reach_rules_by_every_door(void **state)
{
	policy_bundle_t *b = facts_bundle(
		STR("@id(\"agent\") permit (principal in Attorn::Role::\"analyst\",\n"
		    "  action == Attorn::Action::\"list\", resource);\n"
		    "@id(\"user\") permit (principal is Attorn::Agent, action == Attorn::Action::\"call\", resource)\n"
		    "when { context.ctl.delegation has user &&\n"
		    "  context.ctl.delegation.user in Attorn::Role::\"analyst\" };\n"
		    "@id(\"route\") forbid (principal, action, resource in Attorn::Route::\"payroll\");\n"));
	policy_request_t q = facts_call();

	(void)state;
	ASSERT_PERMIT(b, q, "user");
	q.user.roles.n = 0;
	ASSERT_NO(b, q, POLICY_WHY_DENIED);
	q = facts_call();
	q.route.name = STR("payroll");
	ASSERT_FORBID(b, q, "route");
	q = facts_call();
	q.action = POLICY_LIST;
	ASSERT_PERMIT(b, q, "agent");
	q.agent.roles.n = 0;
	ASSERT_NO(b, q, POLICY_WHY_DENIED);
	policy_bundle_unref(b);
}

static void facts_arrive_as_the_schema_says(void **state)
{
	policy_bundle_t *b = facts_bundle(
		STR("@id(\"p\") permit (principal is Attorn::Agent, action == Attorn::Action::\"http.request\", resource)\n"
		    "when { principal.name == \"billing-scout\" && principal has owner &&\n"
		    "  principal.owner == Attorn::User::\"u:bob\" && principal.maxDepth == 2 &&\n"
		    "  resource.name == \"POST /tickets\" && resource == Attorn::Tool::\"tickets/POST /tickets\" &&\n"
		    "  context.ctl.delegation has grant && context.ctl.delegation.grant == \"01JDXXXXXXXXXXXXXXXXXXXXXX\" &&\n"
		    "  context.ctl.token.senderBound && context.ctl.direction.init == \"unknown\" &&\n"
		    "  context.ctl.direction.sel == \"agent_within_grant\" && context.ctl.environment == \"prod\" &&\n"
		    "  context.ctl.dataClasses.contains(\"finance\") && context.ctl.assurance == \"key\" &&\n"
		    "  context.ctl.clock.now == datetime(\"2026-11-24T10:00:00Z\") &&\n"
		    "  context.ctl.clock.weekday == 2 && context.ctl.clock.minuteOfDay == 600 &&\n"
		    "  context.http.method == \"POST\" && context.http.host == \"127.0.0.1\" &&\n"
		    "  context.http.path == \"/tickets\" && !context.http.opaque };\n"));
	policy_request_t q = facts_call();

	(void)state;
	q.action = POLICY_HTTP;
	q.route.name = STR("tickets");
	q.tool.name = STR("POST /tickets");
	q.http = (policy_http_t){ STR("POST"), STR("127.0.0.1"), STR("/tickets"), false };
	ASSERT_PERMIT(b, q, "p");
	q.http.opaque = true;
	ASSERT_NO(b, q, POLICY_WHY_DENIED);
	policy_bundle_unref(b);
}

/* The examples at the end of the starter policy are for copying, so they must work. */
static void examples_of_the_starter_work(void **state)
{
	str_t text = policy_starter().text, line;
	buf_t examples;
	bool seen = false;

	(void)state;
	buf_init(&examples, 1 << 16);
	while (str_split(&text, '\n', &line)) {
		seen |= str_contains(line, STR("examples to copy"));
		if (seen && str_starts(line, STR("// ")) && !str_starts(line, STR("// ---")) &&
		    !str_starts(line, STR("// Arguments lie")) && !str_starts(line, STR("// of another"))) {
			buf_add(&examples, str_sub(line, 3, line.n));
			buf_byte(&examples, '\n');
		}
	}
	buf_add(&examples, STR("@id(\"all\") permit (principal, action, resource);"));
	policy_bundle_t *b = facts_bundle(buf_str(&examples));
	policy_request_t q = facts_call();

	assert_int_equal(policy_bundle_count(b), 4);
	bool forbids;
	assert_true(str_eq(policy_bundle_rule(b, 3, &forbids), STR("all")) && !forbids);
	assert_true(str_eq(policy_bundle_rule(b, 0, &forbids), STR("hours.warehouse")) && forbids);
	ASSERT_PERMIT(b, q, "all");
	q.clock = policy_clock(FACTS_NOW + 9 * 3600, 0); /* 19:00 */
	ASSERT_FORBID(b, q, "hours.warehouse");
	q.clock = policy_clock(FACTS_NOW + 4 * 86400, 0); /* Saturday */
	ASSERT_FORBID(b, q, "hours.warehouse");

	policy_arg_t rows = { STR("rows"), POLICY_ARG_NUM, STR_NULL, 1000, { NULL, 0 } };

	q = facts_call();
	q.route.name = STR("orders");
	q.tool.name = STR("update");
	ASSERT_FORBID(b, q, "orders.size-present");
	q.args = (policy_args_t){ &rows, 1 };
	ASSERT_PERMIT(b, q, "all");
	rows.n = 1001;
	ASSERT_FORBID(b, q, "orders.size");
	rows = (policy_arg_t){ STR("rows"), POLICY_ARG_STR, STR("5000"), 0, { NULL, 0 } };
	ASSERT_FORBID(b, q, "orders.size-present"); /* another bag is no way around */
	policy_bundle_unref(b);
	buf_done(&examples);
}

static void clocks_agree_with_a_calendar(void **state)
{
	policy_clock_t c = policy_clock(FACTS_NOW, 0);

	(void)state;
	assert_int_equal(c.weekday, 2);
	assert_int_equal(c.minute_of_day, 600);
	c = policy_clock(0, 0);
	assert_int_equal(c.weekday, 4); /* 1970-01-01, a Thursday */
	assert_int_equal(c.minute_of_day, 0);
	c = policy_clock(0, -1);
	assert_int_equal(c.weekday, 3);
	assert_int_equal(c.minute_of_day, 1439);
	c = policy_clock(FACTS_NOW, 14 * 60);
	assert_int_equal(c.weekday, 3);
	assert_int_equal(c.minute_of_day, 0);
}

static void a_digest_is_that_of_the_files(void **state)
{
	const policy_file_t split[] = { { STR("a"), STR("// a\n") }, { STR("b"), STR("// b\n") } };
	const policy_file_t joined = { STR("c"), STR("// a\n// b\n") };
	const policy_file_t swallowed[] = { { STR("a"), STR("// a") }, { STR("b"), STR("// b\n") } };
	uint8_t x[32], y[32], want[32];

	(void)state;
	policy_digest(split, 2, x);
	policy_digest(&joined, 1, y);
	crypto_sha256(joined.text, want);
	assert_memory_equal(x, want, 32);
	assert_memory_equal(y, want, 32);
	policy_digest(swallowed, 2, x); /* the line feed between files is put there */
	assert_memory_equal(x, want, 32);
	policy_digest(swallowed, 1, x);
	assert_memory_not_equal(x, want, 32);
	crypto_sha256(policy_starter().text, want);
	assert_memory_equal(policy_bundle_digest(starter), want, 32);
}

static void a_bundle_lives_while_it_is_held(void **state)
{
	policy_bundle_t *b = facts_starter();

	(void)state;
	assert_ptr_equal(policy_bundle_ref(b), b);
	policy_bundle_unref(b);
	ASSERT_PERMIT(b, facts_call(), "base.delegated");
	policy_bundle_unref(b);
	policy_bundle_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_uses_what_a_user_lent),
		cmocka_unit_test(who_is_inactive_does_nothing),
		cmocka_unit_test(a_bearer_looks_and_does_not_touch),
		cmocka_unit_test(token_agent_and_user_must_each_cover_the_scope),
		cmocka_unit_test(chains_end_where_grant_or_agent_say),
		cmocka_unit_test(an_autonomous_agent_needs_an_owner),
		cmocka_unit_test(people_need_standing_and_a_signature),
		cmocka_unit_test(people_lend_and_end),
		cmocka_unit_test(what_is_missing_denies),
		cmocka_unit_test(what_is_malformed_denies),
		cmocka_unit_test(no_rule_is_no),
		cmocka_unit_test(a_rule_that_fails_denies),
		cmocka_unit_test(roles_reach_rules_by_every_door),
		cmocka_unit_test(facts_arrive_as_the_schema_says),
		cmocka_unit_test(examples_of_the_starter_work),
		cmocka_unit_test(clocks_agree_with_a_calendar),
		cmocka_unit_test(a_digest_is_that_of_the_files),
		cmocka_unit_test(a_bundle_lives_while_it_is_held),
	};

	return cmocka_run_group_tests(tests, starter_setup, starter_teardown);
}
