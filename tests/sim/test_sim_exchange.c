/* The exchange flow under faults, cancels and crashes drawn from seeds, against a real store. What must
 * hold is said once, in check(); what is looked at the moment an answer leaves is in exchange_world.c.
 * `--seed N` or ATTORN_SEED=N replays one seed. */
#include "exchange_world.h"

enum { SEEDS_PLAIN = 60, SEEDS_FAULTY = 1500, SEEDS_SANITIZED = 150, COUNTED_EVERY = 25 };
static uint64_t seed_first, seed_count;

static void check(world_t *w, uint64_t seed)
{
	world_records_t r = world_records(w);

	if (w->violations) {
		fail_msg("seed %llu: %s (%u violations)", (unsigned long long)seed, w->why, w->violations);
	}
	if (r.token_after_revoke) {
		fail_msg("seed %llu: a token record behind the revoke", (unsigned long long)seed);
	}
	if (r.token_after_narrowing) {
		fail_msg("seed %llu: a token by rules that had changed", (unsigned long long)seed);
	}
	if (r.tokens < w->tokens || (w->all_recorded && r.decisions < w->denials) ||
		(!w->crashed && r.decisions > w->errors_known)) {
		fail_msg("seed %llu: %u tokens and %u denials told, %zu and %zu recorded",
			(unsigned long long)seed, w->tokens, w->denials, r.tokens, r.decisions);
	}
}

/* Nothing fails: every answer is the one its ask deserves, every denial has exactly one record. */
static void without_faults_each_gets_what_it_deserves(void **state)
{
	unsigned tokens = 0, denials = 0, of[WANTS] = { 0 };

	for (uint64_t seed = seed_first; seed < seed_first + (seed_count > 1 ? SEEDS_PLAIN : 1); seed++) {
		world_plan_t plan = { .sim = { .seed = seed } };
		world_t *w = world_open(*state, &plan);

		assert_true(world_run(w));
		check(w, seed);
		world_records_t r = world_records(w);
		assert_int_equal(r.tokens, w->tokens);
		assert_int_equal(r.decisions, w->denials);
		for (size_t i = 0; i < w->n_asks; i++) {
			const ask_t *k = &w->asks[i];
			bool drifted = str_eq(k->code, STR("unavailable")) || str_eq(k->code, STR("scope")) || k->doomed;
			bool alone = k->want == WANT_GRANT && k->follows && k->assertion->tokens + k->proof->tokens == 0;
			if (alone && !drifted) {
				fail_msg("seed %llu: %.*s for a good ask", (unsigned long long)seed, STR_ARG(k->code));
			}
		}
		tokens += w->tokens;
		denials += w->denials;
		for (size_t i = 0; i < WANTS; i++) {
			of[i] += w->tokens_of[i];
		}
		world_free(w);
	}
	printf("# %u tokens, %u denials\n", tokens, denials);
	if (seed_count > 1) { /* the run meets what it is for */
		assert_true(of[WANT_GRANT] && of[WANT_DOOMED] && of[WANT_CAPABILITY] && of[WANT_AUTO]);
		assert_true(tokens > SEEDS_PLAIN * 3 && denials > SEEDS_PLAIN);
	}
}

static world_plan_t plan_drawn(uint64_t seed)
{
	world_plan_t plan = { .sim = { .seed = seed, .fail_percent = seed % 4 ? 6 : 0, .cancel_percent = seed % 3 ? 1 : 0 } };

	if (seed % 7 == 0) {
		plan.sim.delay_us_max = 4000000; /* deadlines pass */
	}
	if (seed % 11 == 0) {
		plan.lane_max = 2;
	}
	if (seed % COUNTED_EVERY == 0) {
		plan.denials_per_minute = 2;
	}
	return plan;
}

/* Denials beyond the budget, and those of strangers, are in the minute's counts. */
static void counted_check(world_t *w, uint64_t seed)
{
	world_count(w);
	world_records_t r = world_records(w);
	uint64_t known = r.decisions + r.counted_denials;

	if (known + r.counted_strangers < w->denials + w->errors_strange) {
		fail_msg("seed %llu: %u denials and %u strangers told, %zu recorded, %llu and %llu counted",
			(unsigned long long)seed, w->denials, w->errors_strange, r.decisions,
			(unsigned long long)r.counted_denials, (unsigned long long)r.counted_strangers);
	}
}

static void with_faults_nothing_is_half_done(void **state)
{
	unsigned tokens = 0, denials = 0, others = 0;

	for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
		world_plan_t plan = plan_drawn(seed);
		world_t *w = world_open(*state, &plan);

		assert_true(world_run(w));
		check(w, seed);
		if (seed % COUNTED_EVERY == 0) {
			counted_check(w, seed);
		}
		tokens += w->tokens;
		denials += w->denials;
		others += w->errors_known - w->denials;
		world_free(w);
	}
	printf("# %llu seeds: %u tokens, %u denials, %u failures\n", (unsigned long long)seed_count, tokens, denials,
		others);
	if (seed_count > 1) { /* the run meets what it is for */
		assert_true(tokens > seed_count * 3 && denials > seed_count && others > seed_count);
	}
}

static void one_run(ground_t *g, const world_plan_t *plan, uint64_t name)
{
	world_t *w = world_open(g, plan);

	assert_true(world_run(w));
	check(w, name);
	world_free(w);
}

/* Numbers of operations and events of a run without faults. */
static void measure(ground_t *g, uint64_t seed, uint64_t *out_ops, uint64_t *out_events)
{
	world_plan_t plan = { .sim = { .seed = seed }, .quiet = true };
	world_t *w = world_open(g, &plan);

	assert_true(world_run(w));
	*out_ops = sim_ops(w->sim);
	*out_events = sim_events(w->sim);
	world_free(w);
}

static void each_operation_fails_once(void **state)
{
	uint64_t ops, events;

	measure(*state, 21, &ops, &events);
	assert_true(ops > FIRST_ASKS * 2);
	for (uint64_t i = 1; i <= ops; i++) {
		world_plan_t plan = { .sim = { .seed = 21, .fail_nth = i, .fail_with = i % 2 ? ERR_STORE : ERR_DISK_FULL } };
		one_run(*state, &plan, i);
	}
}

static void cancelled_at_every_event(void **state)
{
	uint64_t ops, events;

	measure(*state, 22, &ops, &events);
	for (uint64_t i = 1; i <= events; i++) {
		world_plan_t plan = { .sim = { .seed = 22, .cancel_at = i } };
		one_run(*state, &plan, i);
	}
}

/* After a crash the store is opened as the next process would. Every client sends its bytes again: who
 * had a token gets no second one, and what was on record before is on record still. */
static void resend_all(ground_t *g, const world_t *before, size_t recorded)
{
	world_plan_t plan = { .sim = { .seed = 1 }, .quiet = true, .empty = true };
	world_t *w = world_open(g, &plan);

	w->mark = before->mark;
	w->denials = before->denials;
	w->errors_known = before->errors_known + FIRST_ASKS;
	assert_true(world_records(w).tokens >= before->tokens);
	assert_int_equal(world_records(w).tokens, recorded);
	for (size_t i = 0; i < before->n_asks; i++) {
		if (before->asks[i].request.n) {
			(void)world_resend(w, &before->asks[i]); /* the papers remember the token they gave */
		}
	}
	const ask_t *last = world_ask(w, WANT_GRANT, NULL);
	assert_true(world_run(w));
	if (w->violations) {
		fail_msg("after the crash: %s", w->why);
	}
	if (last->status != 200) {
		fail_msg("after the crash a good ask is refused: %.*s", STR_ARG(last->code));
	}
	world_free(w);
}

static void crashed_at_every_event(void **state)
{
	ground_t *g = *state;
	uint64_t ops, events;

	measure(g, 23, &ops, &events);
	for (uint64_t i = 1; i <= events; i++) {
		world_plan_t plan = { .sim = { .seed = 23, .crash_at = i }, .quiet = true };

		ground_doomed_begin();
		world_t *w = world_open(g, &plan);
		assert_false(world_run(w));
		ground_doomed_end();
		check(w, i);
		size_t recorded = world_records(w).tokens;
		world_stop(w);
		ground_reopen(g);
		resend_all(g, w, recorded);
		world_free(w);
	}
}

/* The rules change between decide and record: it is decided again, and whoever asks does not notice. */
static void decided_again_on_newer_rules(void **state)
{
	unsigned again = 0;

	for (uint64_t ms = 0; ms < 60; ms++) {
		world_plan_t plan = { .sim = { .seed = 100 + ms }, .quiet = true, .empty = true };
		world_t *w = world_open(*state, &plan);
		uint64_t before = world_view_version(w);

		world_change(w, ms, 1, 0);
		const ask_t *k = world_ask(w, ms % 2 ? WANT_GRANT : WANT_AUTO, NULL);
		assert_true(world_run(w));
		check(w, ms);
		if (k->status != 200) {
			fail_msg("change after %llu ms: %.*s", (unsigned long long)ms, STR_ARG(k->code));
		}
		again += world_view_version(w) > before;
		world_free(w);
	}
	printf("# %u of 60 decided again\n", again);
	assert_true(again >= 5);
}

/* They change for ever: it ends, with an answer that says so, and nothing is spent or on record. */
static void not_for_ever(void **state)
{
	world_plan_t plan = { .sim = { .seed = 7 }, .quiet = true, .empty = true };
	world_t *w = world_open(*state, &plan);

	world_change(w, 0, 300, 0);
	const ask_t *k = world_ask(w, WANT_GRANT, NULL);
	assert_true(world_run(w));
	check(w, 7);
	assert_int_equal(k->status, 503);
	assert_true(str_eq(k->code, STR("unavailable")));
	assert_int_equal(world_records(w).tokens + world_records(w).decisions, 0);
	const ask_t *later = world_resend(w, k);
	assert_true(world_run(w));
	assert_int_equal(later->status, 200);
	world_free(w);
}

static void the_ledger_verifies(void **state)
{
	ground_verify(*state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_faults_each_gets_what_it_deserves),
		cmocka_unit_test(with_faults_nothing_is_half_done),
		cmocka_unit_test(each_operation_fails_once),
		cmocka_unit_test(cancelled_at_every_event),
		cmocka_unit_test(crashed_at_every_event),
		cmocka_unit_test(decided_again_on_newer_rules),
		cmocka_unit_test(not_for_ever),
		cmocka_unit_test(the_ledger_verifies),
	};

	log_setup(LVL_ERROR, 2);
	sim_seeds(argc, argv, getenv("ATTORN_SANITIZED") ? SEEDS_SANITIZED : SEEDS_FAULTY, &seed_first, &seed_count);
	return cmocka_run_group_tests_name("sim_exchange", tests, ground_open, ground_close);
}
