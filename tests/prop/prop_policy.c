/* Property: adding a forbid never permits more, adding a permit never permits less where no rule fails, and
 * the order of files changes no verdict. Rules and facts are drawn from small pools so that they meet often;
 * some rules fail when evaluated. ATTORN_SEED=N replays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "domain/policy/policy.h"
#include "pure/crypto/crypto.h"

enum { BUNDLES = 300, REQUESTS = 40, RULES_MAX = 8 };

typedef struct {
	uint64_t state;
	unsigned asked, permits, failed;
} draw_t;

static uint32_t pick(draw_t *d, uint32_t n) /* xorshift64 */
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (uint32_t)((d->state >> 24) % n);
}

static const char *const scopes[] = {
	"(principal, action, resource)",
	"(principal is Attorn::Agent, action in Attorn::Action::\"invoke\", resource is Attorn::Tool)",
	"(principal in Attorn::Role::\"r0\", action, resource)",
	"(principal is Attorn::Agent, action, resource in Attorn::Route::\"w1\")",
	"(principal is Attorn::Agent, action == Attorn::Action::\"call\", resource == Attorn::Tool::\"w0/t0\")",
};
/* Conditions speak of agents and calls, and so must the scope above them. */
static const char *const call_scopes[] = {
	"(principal is Attorn::Agent, action == Attorn::Action::\"call\", resource)",
	"(principal == Attorn::Agent::\"a1\", action == Attorn::Action::\"call\", resource)",
};
static const char *const conditions[] = {
	"when { principal.active }",
	"unless { context.ctl.token.scopes.containsAll(resource.requiredScopes) }",
	"when { context.ctl.delegation has user && context.ctl.delegation.user.active }",
	"when { context.args.n.hasTag(\"rows\") && context.args.n.getTag(\"rows\") > 10 }",
	"unless { context.ctl.assurance == \"key\" }",
};
static const char *const failing = "when { principal.maxDepth + 9223372036854775806 > 0 }";

static void rule_write(draw_t *d, buf_t *out, const char *effect, unsigned id)
{
	bool is_bare = pick(d, 4) == 0, fails = pick(d, 24) == 0;
	const char *scope = is_bare ? scopes[pick(d, ARRAY_LEN(scopes))]
				    : call_scopes[pick(d, ARRAY_LEN(call_scopes))];
	const char *condition = is_bare ? "" : conditions[pick(d, ARRAY_LEN(conditions))];

	buf_printf(out, "@id(\"x%u\") %s %s %s;\n", id, effect, scope,
		   !is_bare && fails ? failing : condition);
}

static policy_request_t request_draw(draw_t *d)
{
	static const str_t agents[] = { STR_INIT("a0"), STR_INIT("a1") };
	static const str_t routes[] = { STR_INIT("w0"), STR_INIT("w1") };
	static const str_t tools[] = { STR_INIT("t0"), STR_INIT("t1") };
	static const str_t roles[] = { STR_INIT("r0") };
	static policy_arg_t arg = { STR_INIT("rows"), POLICY_ARG_NUM, { 0 }, 0, { 0 } };
	policy_request_t q = {
		.action = pick(d, 5) ? POLICY_CALL : POLICY_LIST,
		.agent = { .id = agents[pick(d, 2)], .kind = DELEGATION_AGENT_DELEGATED,
			   .active = pick(d, 4) > 0, .roles = { roles, pick(d, 2) },
			   .max_depth = pick(d, 3) },
		.user = { .id = STR("u0"), .active = pick(d, 4) > 0 },
		.route = { .name = routes[pick(d, 2)] },
		.tool = { .name = tools[pick(d, 2)], .effect = POLICY_READONLY, .scopes = STR("s") },
		.token = { .scopes = pick(d, 4) ? STR("s") : STR("z") },
		.assurance = pick(d, 4) ? DELEGATION_KEY : DELEGATION_BEARER,
		.clock = policy_clock(1795514400, 0),
	};

	arg.n = pick(d, 20);
	q.args = (policy_args_t){ &arg, pick(d, 2) };
	return q;
}

static policy_bundle_t *bundle_of(const policy_file_t *files, size_t n)
{
	policy_bundle_t *b = NULL;
	diag_t diag = { 0 };

	if (policy_bundle_compile(files, n, &b, NULL, &diag) != OK) {
		print_error("%s: %.*s%.*s\n", diag.text, STR_ARG(files[0].text), n > 1 ? (int)files[1].text.n : 0,
			    n > 1 ? files[1].text.p : "");
		fail();
	}
	return b;
}

static policy_decision_t decide(const policy_bundle_t *b, const policy_request_t *q)
{
	policy_decision_t d;
	AUTO(arena_free) arena_t *a = arena_open();

	policy_decide(a, b, q, &d);
	return d;
}

static void request_check(draw_t *d, policy_bundle_t *const b[4])
{
	policy_request_t q = request_draw(d);
	policy_decision_t base = decide(b[0], &q), forbid = decide(b[1], &q), permit = decide(b[2], &q),
			  turned = decide(b[3], &q);

	d->asked++;
	d->permits += base.verdict == POLICY_PERMIT;
	d->failed += base.n_failed > 0;
	assert_true(base.verdict == POLICY_PERMIT || forbid.verdict == POLICY_DENY);
	assert_true(base.verdict == POLICY_DENY || permit.verdict == POLICY_PERMIT || permit.n_failed > 0);
	assert_int_equal(forbid.verdict, turned.verdict);
	assert_int_equal(forbid.why, turned.why);
	assert_true((base.verdict == POLICY_PERMIT) ==
		    (base.why == POLICY_WHY_PERMITTED && base.n_rules > 0 && base.n_failed == 0));
}

static void bundle_check(draw_t *d)
{
	AUTO(buf_done) buf_t base;
	AUTO(buf_done) buf_t forbid;
	AUTO(buf_done) buf_t permit;

	buf_init(&base, 1 << 16);
	buf_init(&forbid, 1 << 12);
	buf_init(&permit, 1 << 12);
	buf_add(&base, pick(d, 4) ? STR("@id(\"all\") permit (principal, action, resource);\n") : STR("//\n"));
	for (unsigned i = 0, n = pick(d, RULES_MAX); i < n; i++) {
		rule_write(d, &base, pick(d, 4) ? "permit" : "forbid", i);
	}
	rule_write(d, &forbid, "forbid", 100);
	rule_write(d, &permit, "permit", 101);
	const policy_file_t files[] = { { STR("base"), buf_str(&base) }, { STR("forbid"), buf_str(&forbid) },
					{ STR("base"), buf_str(&base) }, { STR("permit"), buf_str(&permit) } };
	policy_bundle_t *b[4] = { bundle_of(files, 1), bundle_of(files, 2), bundle_of(files + 2, 2),
				  bundle_of(files + 1, 2) };

	for (unsigned i = 0; i < REQUESTS; i++) {
		request_check(d, b);
	}
	for (size_t i = 0; i < ARRAY_LEN(b); i++) {
		policy_bundle_unref(b[i]);
	}
}

static void a_forbid_never_permits_more(void **state)
{
	const char *given = getenv("ATTORN_SEED");
	draw_t d = { .state = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) | 1 };

	(void)state;
	print_message("# seed %llu\n", (unsigned long long)d.state);
	for (unsigned i = 0; i < BUNDLES; i++) {
		bundle_check(&d);
	}
	print_message("# %u requests, %u permits, %u with a rule that failed\n", d.asked, d.permits, d.failed);
	assert_true(d.permits * 10 >= d.asked * 3);
	assert_true(d.failed > 0);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() == OK && policy_init() == OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_forbid_never_permits_more) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
