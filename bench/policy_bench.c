/* policy_bench: what one decision costs through domain/policy: from facts, and in parts.
 *
 *   policy_bench [SECONDS_PER_CASE]          one JSON line per case
 *
 * rust/policy-ffi/examples/native.rs asks the crate the same questions of the same rules without any
 * of our code; `bench` prints the two side by side. The rules: the starter policy, plus n rules that
 *   spread  name one other tool each (what an operator's directory looks like)
 *   wide    name the action alone, so that every one of them is evaluated for every call
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "domain/policy/policy.h"
#include "pure/crypto/crypto.h"

enum { SAMPLES = 20000 };

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static policy_request_t question(const policy_args_t *args)
{
	static const str_t roles[] = { STR_INIT("analyst") };
	static const str_t classes[] = { STR_INIT("finance") };

	return (policy_request_t){
		.action = POLICY_CALL,
		.agent = { .id = STR("spiffe://example.test/agent/billing-scout"),
			   .name = STR("billing-scout"), .kind = DELEGATION_AGENT_DELEGATED, .active = true,
			   .owner = STR("u:bob"), .owner_active = true, .roles = { roles, 1 },
			   .scopes = STR("warehouse:read warehouse:write"), .max_depth = 2 },
		.user = { .id = STR("u:alice"), .active = true, .roles = { roles, 1 },
			  .permissions = STR("warehouse:read warehouse:write") },
		.route = { .name = STR("warehouse"), .environment = STR("prod"),
			   .data_classes = { classes, 1 } },
		.tool = { .name = STR("write_query"), .effect = POLICY_MUTATING,
			  .scopes = STR("warehouse:write") },
		.token = { .scopes = STR("warehouse:read warehouse:write"), .sender_bound = true,
			   .grant = STR("01JDXXXXXXXXXXXXXXXXXXXXXX"), .depth = 1, .max_depth = 2,
			   .sel = DELEGATION_SEL_AGENT_WITHIN_GRANT },
		.assurance = DELEGATION_KEY,
		.clock = policy_clock(1795514400, 0),
		.args = *args,
	};
}

/* The same texts as examples/native.rs makes. */
static void rules_write(buf_t *b, const char *kind, int n)
{
	buf_add(b, policy_starter().text);
	for (int i = 0; i < n; i++) {
		if (kind[0] == 's') {
			buf_printf(b, "@id(\"spread.%d\") forbid (principal, action == Attorn::Action::\"call\", "
				   "resource == Attorn::Tool::\"other/tool-%d\") "
				   "unless { context.args.n.hasTag(\"rows\") && context.args.n.getTag(\"rows\") < %d };\n",
				   i, i, 1000 + i);
		} else {
			buf_printf(b, "@id(\"wide.%d\") forbid (principal, action == Attorn::Action::\"call\", "
				   "resource) when { context.args.n.hasTag(\"rows\") && "
				   "context.args.n.getTag(\"rows\") > %d };\n", i, 100000 + i);
		}
	}
}

static void case_run(const char *kind, int n, double seconds)
{
	static uint64_t took[SAMPLES];
	policy_arg_t argv[] = { { STR("query"), POLICY_ARG_STR, STR("update orders set state = 'x'"), 0, { 0 } },
				{ STR("rows"), POLICY_ARG_NUM, STR_NULL, 12, { 0 } } };
	policy_args_t args = { argv, ARRAY_LEN(argv) };
	policy_request_t q = question(&args);
	policy_decision_t d = { 0 };
	policy_bundle_t *bundle = NULL;
	AUTO(buf_done) buf_t text;
	AUTO(arena_free) arena_t *a = arena_open();
	diag_t diag = { 0 };
	size_t i = 0;

	buf_init(&text, 1 << 20);
	rules_write(&text, kind, n);
	policy_file_t file = { STR("bench"), buf_str(&text) };
	uint64_t t0 = now_ns();

	if (policy_bundle_compile(&file, 1, &bundle, NULL, &diag) != OK) {
		fprintf(stderr, "policy_bench: %s\n", diag.text);
		return;
	}
	uint64_t compiled = now_ns() - t0;
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);

	for (; i < SAMPLES && now_ns() < end; i++) {
		uint64_t t = now_ns();

		policy_decide(a, bundle, &q, &d);
		took[i] = now_ns() - t;
		arena_reset(a);
	}
	qsort(took, i, sizeof took[0], by_value);
	printf("{\"case\":\"%s\",\"rules\":%zu,\"verdict\":\"%s\",\"n\":%zu,\"min_us\":%.2f,\"p50_us\":%.2f,"
	       "\"p99_us\":%.2f,\"compile_ms\":%.1f}\n",
	       kind, policy_bundle_count(bundle), policy_why_name(d.why).p, i, (double)took[0] / 1e3,
	       (double)took[i / 2] / 1e3, (double)took[i * 99 / 100] / 1e3, (double)compiled / 1e6);
	policy_bundle_unref(bundle);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.0;

	if (crypto_init() != OK || policy_init() != OK) {
		return 1;
	}
	for (int n = 0; n <= 1000; n = n == 0 ? 100 : n * 10) {
		case_run("spread", n, seconds);
		if (n) {
			case_run("wide", n, seconds);
		}
	}
	return 0;
}
