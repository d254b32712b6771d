/* facts.h: requests that the policy tests start from; each test then spoils one fact. */
#ifndef ATTORN_TEST_POLICY_FACTS_H
#define ATTORN_TEST_POLICY_FACTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "domain/policy/policy.h"
#include "pure/crypto/crypto.h"

/* Tuesday 2026-11-24, 10:00 UTC */
#define FACTS_NOW 1795514400

static const str_t facts_roles[] = { STR_INIT("analyst") };
static const str_t facts_classes[] = { STR_INIT("finance") };

/* billing-scout, owned by bob, acts for alice on the tool warehouse/read_query. */
static inline policy_request_t facts_call(void)
{
	return (policy_request_t){
		.action = POLICY_CALL,
		.agent = { .id = STR("spiffe://example.test/agent/billing-scout"),
			   .name = STR("billing-scout"),
			   .kind = DELEGATION_AGENT_DELEGATED,
			   .active = true,
			   .owner = STR("u:bob"),
			   .owner_active = true,
			   .roles = { facts_roles, 1 },
			   .scopes = STR("warehouse:read warehouse:write"),
			   .max_depth = 2 },
		.user = { .id = STR("u:alice"),
			  .active = true,
			  .roles = { facts_roles, 1 },
			  .permissions = STR("warehouse:read warehouse:write") },
		.route = { .name = STR("warehouse"),
			   .environment = STR("prod"),
			   .data_classes = { facts_classes, 1 } },
		.tool = { .name = STR("read_query"), .effect = POLICY_READONLY,
			  .scopes = STR("warehouse:read") },
		.token = { .scopes = STR("warehouse:read warehouse:write"),
			   .sender_bound = true,
			   .grant = STR("01JDXXXXXXXXXXXXXXXXXXXXXX"),
			   .depth = 1,
			   .max_depth = 2,
			   .init = DELEGATION_INIT_UNKNOWN,
			   .sel = DELEGATION_SEL_AGENT_WITHIN_GRANT },
		.assurance = DELEGATION_KEY,
		.clock = policy_clock(FACTS_NOW, 0),
	};
}

/* The same on a tool that changes something. */
static inline policy_request_t facts_write(void)
{
	policy_request_t q = facts_call();

	q.tool = (policy_tool_t){ STR("write_query"), POLICY_MUTATING, STR("warehouse:write") };
	return q;
}

/* An agent that acts for itself. */
static inline policy_request_t facts_autonomous(void)
{
	policy_request_t q = facts_call();

	q.agent.id = STR("spiffe://example.test/auto/billing-scout");
	q.agent.kind = DELEGATION_AGENT_AUTONOMOUS;
	q.user = (policy_user_t){ 0 };
	q.token.grant = STR_NULL;
	q.token.depth = 0;
	q.token.max_depth = 0;
	return q;
}

/* alice asks to do `action` to the authority itself. */
static inline policy_request_t facts_admin(policy_action_t action)
{
	return (policy_request_t){
		.action = action,
		.user = { .id = STR("u:alice"),
			  .active = true,
			  .permissions = STR("attorn:administer") },
		.object = STR("policy"),
		.assurance = DELEGATION_KEY,
		.clock = policy_clock(FACTS_NOW, 0),
	};
}

static inline policy_bundle_t *facts_bundle(str_t text)
{
	policy_file_t file = { STR("test.cedar"), text };
	policy_bundle_t *b = NULL;
	diag_t diag = { 0 };
	err_t e = policy_bundle_compile(&file, 1, &b, NULL, &diag);

	if (e != OK) {
		print_error("%u:%u %s\n", diag.line, diag.column, diag.text);
	}
	assert_int_equal(e, OK);
	return b;
}

static inline policy_bundle_t *facts_starter(void)
{
	return facts_bundle(policy_starter().text);
}

static inline policy_decision_t facts_decide(const policy_bundle_t *b, policy_request_t q)
{
	policy_decision_t d;
	AUTO(arena_free) arena_t *a = arena_open();

	policy_decide(a, b, &q, &d);
	return d;
}

/* The request is permitted, and exactly by the rule `id`. */
#define ASSERT_PERMIT(b, q, id)                                                                    \
	do {                                                                                       \
		policy_decision_t d_ = facts_decide((b), (q));                                     \
		assert_string_equal(policy_why_name(d_.why).p, "permitted");                       \
		assert_int_equal(d_.verdict, POLICY_PERMIT);                                       \
		assert_int_equal(d_.n_rules, 1);                                                   \
		assert_true(str_eq(d_.rules[0], STR(id)));                                         \
	} while (0)

/* The request is denied, and exactly by the forbid `id`. */
#define ASSERT_FORBID(b, q, id)                                                                    \
	do {                                                                                       \
		policy_decision_t d_ = facts_decide((b), (q));                                     \
		assert_string_equal(policy_why_name(d_.why).p, "denied");                          \
		assert_int_equal(d_.verdict, POLICY_DENY);                                         \
		assert_int_equal(d_.n_rules, 1);                                                   \
		assert_true(str_eq(d_.rules[0], STR(id)));                                         \
	} while (0)

/* The request is denied for `why` and no rule is named. */
#define ASSERT_NO(b, q, why_)                                                                      \
	do {                                                                                       \
		policy_decision_t d_ = facts_decide((b), (q));                                     \
		assert_string_equal(policy_why_name(d_.why).p, policy_why_name(why_).p);           \
		assert_int_equal(d_.verdict, POLICY_DENY);                                         \
		assert_int_equal(d_.n_rules, 0);                                                   \
	} while (0)

static inline int facts_setup(void **state)
{
	(void)state;
	return crypto_init() == OK && policy_init() == OK ? 0 : -1;
}

#endif
