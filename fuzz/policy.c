/* policy: whatever text comes, it is refused or becomes a bundle whose every answer is explained. */
#include "domain/policy/policy.h"
#include "pure/crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static policy_request_t request(void)
{
	static policy_arg_t arg = { STR_INIT("rows"), POLICY_ARG_NUM, { 0 }, 5, { 0 } };

	return (policy_request_t){
		.action = POLICY_CALL,
		.agent = { .id = STR("a"), .kind = DELEGATION_AGENT_DELEGATED, .active = true },
		.user = { .id = STR("u"), .active = true },
		.route = { .name = STR("w") },
		.tool = { .name = STR("t"), .effect = POLICY_MUTATING },
		.assurance = DELEGATION_KEY,
		.clock = policy_clock(1795514400, 0),
		.args = { &arg, 1 },
	};
}

static void check_decision(const policy_decision_t *d)
{
	CHECK(d->verdict == POLICY_DENY || d->verdict == POLICY_PERMIT);
	CHECK((d->verdict == POLICY_PERMIT) == (d->why == POLICY_WHY_PERMITTED));
	CHECK(d->verdict == POLICY_DENY || (d->n_rules > 0 && d->n_failed == 0));
	CHECK(d->why != POLICY_WHY_NO_POLICY && d->why != POLICY_WHY_INTERNAL);
	CHECK(d->why != POLICY_WHY_BAD_REQUEST && d->why != POLICY_WHY_MISSING_ENTITY);
	for (size_t i = 0; i < d->n_rules; i++) {
		CHECK(d->rules[i].n > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	policy_file_t file = { STR("fuzz.cedar"), str_bytes(data, size) };
	AUTO(policy_bundle_unref) policy_bundle_t *b = NULL;
	AUTO(arena_free) arena_t *a = arena_open();
	policy_request_t q = request();
	policy_decision_t d;
	diag_t diag = { 0 };

	if (!ready) {
		CHECK(crypto_init() == OK && policy_init() == OK);
		ready = true;
	}
	err_t e = policy_bundle_compile(&file, 1, &b, NULL, &diag);

	CHECK(e == OK || (e == ERR_POLICY && diag.text[0] != 0));
	if (e == OK) {
		policy_decide(a, b, &q, &d);
		check_decision(&d);
	}
	return 0;
}
