/* decide.c: one question to the engine, and what its answer means. Everything starts as deny. */
#include "domain/policy/bundle.h"
#include "domain/policy/request.h"

str_t policy_action_name(policy_action_t action)
{
	static const str_t names[] = {
		[POLICY_NONE] = STR_INIT(""),
		[POLICY_CALL] = STR_INIT("call"),
		[POLICY_HTTP] = STR_INIT("http.request"),
		[POLICY_LIST] = STR_INIT("list"),
		[POLICY_EXCHANGE] = STR_INIT("exchange"),
		[POLICY_DELEGATE] = STR_INIT("delegate"),
		[POLICY_APPROVE] = STR_INIT("approve"),
		[POLICY_REVOKE] = STR_INIT("revoke"),
		[POLICY_ADMINISTER] = STR_INIT("administer"),
	};

	return (unsigned)action < ARRAY_LEN(names) ? names[action] : STR_NULL;
}

str_t policy_why_name(policy_why_t why)
{
	static const str_t names[] = {
		[POLICY_WHY_NO_POLICY] = STR_INIT("no_policy"),
		[POLICY_WHY_BAD_REQUEST] = STR_INIT("bad_request"),
		[POLICY_WHY_MISSING_ENTITY] = STR_INIT("missing_entity"),
		[POLICY_WHY_POLICY_ERROR] = STR_INIT("policy_error"),
		[POLICY_WHY_INTERNAL] = STR_INIT("internal"),
		[POLICY_WHY_DENIED] = STR_INIT("denied"),
		[POLICY_WHY_PERMITTED] = STR_INIT("permitted"),
	};

	return (unsigned)why < ARRAY_LEN(names) ? names[why] : names[POLICY_WHY_INTERNAL];
}

/* 1970-01-01 was a Thursday. */
policy_clock_t policy_clock(int64_t now_unix_s, int32_t offset_min)
{
	int64_t minutes = now_unix_s / 60 + offset_min;
	int64_t days = minutes / 1440 - (minutes % 1440 < 0);

	return (policy_clock_t){
		.now_unix_s = now_unix_s,
		.weekday = (uint32_t)(((days + 3) % 7 + 7) % 7 + 1),
		.minute_of_day = (uint32_t)(minutes - days * 1440),
	};
}

static policy_why_t why_of_build(err_t e)
{
	return e == ERR_MISSING_MEMBER ? POLICY_WHY_MISSING_ENTITY : POLICY_WHY_BAD_REQUEST;
}

static policy_why_t why_of_engine(pdp_rc rc)
{
	switch (rc) {
	case PDP_E_LIMIT:
	case PDP_E_REQUEST: return POLICY_WHY_BAD_REQUEST;
	case PDP_E_ENTITY: return POLICY_WHY_MISSING_ENTITY;
	case PDP_OK:
	case PDP_E_PARSE:
	case PDP_E_VALIDATE:
	case PDP_E_PANIC:
	case PDP_E_INTERNAL: break;
	}
	return POLICY_WHY_INTERNAL;
}

static size_t ids_tell(const pdp_cedar *c, const uint32_t *numbers, uint32_t n, str_t *out)
{
	size_t listed = n < POLICY_RULES_MAX ? n : POLICY_RULES_MAX;

	for (size_t i = 0; i < listed; i++) {
		out[i] = str_of_slice(pdp_cedar_id(c, numbers[i]));
	}
	return listed;
}

/* The text of the first rule that has one: the reader can fix one thing at a time. */
static void texts_tell(const pdp_cedar *c, const pdp_result *r, policy_decision_t *out)
{
	for (size_t i = 0; i < out->n_rules && !out->deny_code.n; i++) {
		out->deny_code = str_of_slice(
			pdp_cedar_annotation(c, r->reason[i], slice_of(STR("deny_code"))));
		out->fix = str_of_slice(pdp_cedar_annotation(c, r->reason[i], slice_of(STR("fix"))));
	}
}

static void answer_tell(const pdp_cedar *c, const pdp_result *r, policy_decision_t *out)
{
	out->n_rules = ids_tell(c, r->reason, r->n_reason, out->rules);
	out->n_failed = ids_tell(c, r->error, r->n_error, out->failed);
	out->truncated = r->n_reason > out->n_rules || r->n_error > out->n_failed;
	if (r->n_error) {
		out->why = POLICY_WHY_POLICY_ERROR;
		return;
	}
	if (r->decision == 1 && r->n_reason > 0) {
		out->verdict = POLICY_PERMIT;
		out->why = POLICY_WHY_PERMITTED;
		return;
	}
	out->why = POLICY_WHY_DENIED;
	texts_tell(c, r, out);
}

void policy_decide(arena_t *a, const policy_bundle_t *b, const policy_request_t *q,
		   policy_decision_t *out)
{
	pdp_req question;
	pdp_result answer;

	*out = (policy_decision_t){ 0 };
	if (!b) {
		return; /* POLICY_WHY_NO_POLICY */
	}
	err_t e = request_build(a, q, &question);

	if (e != OK) {
		out->why = why_of_build(e);
		return;
	}
	pdp_rc rc = pdp_cedar_eval(b->cedar, NULL, &question, &answer, NULL);

	if (rc != PDP_OK) {
		out->why = why_of_engine(rc);
		return;
	}
	answer_tell(b->cedar, &answer, out);
}

/* --- start ---------------------------------------------------------------------------------------- */

/* An engine that is linked but never asked, or that always says yes, would look healthy. */
MUST static err_t known_answer(str_t text, policy_verdict_t verdict, policy_why_t why)
{
	policy_file_t file = { STR("canary"), text };
	policy_request_t q = {
		.action = POLICY_ADMINISTER,
		.user = { .id = STR("u:canary"), .active = true },
		.assurance = DELEGATION_KEY,
		.clock = policy_clock(0, 0),
	};
	AUTO(policy_bundle_unref) policy_bundle_t *b = NULL;
	AUTO(arena_free) arena_t *a = arena_open();
	policy_decision_t d;

	TRY(policy_bundle_compile(&file, 1, &b, NULL, NULL));
	policy_decide(a, b, &q, &d);
	return d.verdict == verdict && d.why == why ? OK : ERR_INTERNAL;
}

err_t policy_init(void)
{
	pdp_init();
	ENSURE(pdp_panic_check() == PDP_E_PANIC, ERR_INTERNAL);
	TRY(known_answer(STR("@id(\"p\") permit (principal, action, resource);"), POLICY_PERMIT,
			 POLICY_WHY_PERMITTED));
	TRY(known_answer(STR("@id(\"p\") permit (principal, action, resource);"
			     "@id(\"f\") forbid (principal, action, resource);"),
			 POLICY_DENY, POLICY_WHY_DENIED));
	return known_answer(STR("@id(\"p\") permit (principal, action, resource);"
				"@id(\"e\") forbid (principal is Attorn::User, action, resource)"
				"when { 9223372036854775807 + context.clock.weekday < 0 };"),
			    POLICY_DENY, POLICY_WHY_POLICY_ERROR);
}
