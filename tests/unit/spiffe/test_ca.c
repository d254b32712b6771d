/* test_ca.c: the life of CA keys, step by step and over weeks (spiffe.md 16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "domain/spiffe/spiffe.h"

enum { T0 = 1800000000, HOUR = 3600, DAY = 24 * HOUR };

static spiffe_ca_key_t key(spiffe_ca_state_t state, int64_t made, int64_t expires)
{
	return (spiffe_ca_key_t){ STR("k"), state, made, expires };
}

/* Every step from every state: allowed here, refused everywhere else. */
static void every_step_from_every_state(void **state)
{
	static const bool allowed[6][5] = { /* nothing, prepare, activate, taint, revoke */
		[SPIFFE_CA_NONE] = { false, true, false, false, false },
		[SPIFFE_CA_PREPARED] = { false, true, true, true, false },
		[SPIFFE_CA_ACTIVE] = { false, true, false, false, false },
		[SPIFFE_CA_OLD] = { false, true, false, true, false },
		[SPIFFE_CA_TAINTED] = { false, true, false, false, true },
		[SPIFFE_CA_REVOKED] = { false, true, false, false, false },
	};

	(void)state;
	for (int from = SPIFFE_CA_NONE; from <= SPIFFE_CA_REVOKED; from++) {
		for (int step = SPIFFE_CA_DO_NOTHING; step <= SPIFFE_CA_DO_REVOKE; step++) {
			spiffe_ca_key_t k = key((spiffe_ca_state_t)from, T0, T0 + DAY);
			err_t e = spiffe_ca_step_check(&k, 1, 0, (spiffe_ca_step_t)step, T0);
			assert_int_equal(e, allowed[from][step] ? OK : ERR_CA_STATE);
			spiffe_ca_key_t before = k;
			if (!allowed[from][step]) { /* nothing half done */
				assert_int_equal(spiffe_ca_step(&k, 1, 0, (spiffe_ca_step_t)step, T0), ERR_CA_STATE);
				assert_int_equal(k.state, before.state);
			}
		}
	}
	spiffe_ca_key_t k = key(SPIFFE_CA_PREPARED, T0, T0 + DAY);
	assert_int_equal(spiffe_ca_step_check(&k, 1, 1, SPIFFE_CA_DO_ACTIVATE, T0), ERR_NOT_FOUND);
	assert_int_equal(spiffe_ca_step_check(&k, 1, 0, SPIFFE_CA_DO_ACTIVATE, T0 + DAY), ERR_CA_STATE); /* expired */
}

static void activation_is_one_step_for_two_keys(void **state)
{
	spiffe_ca_key_t k[] = { key(SPIFFE_CA_ACTIVE, T0, T0 + DAY), key(SPIFFE_CA_PREPARED, T0 + HOUR, T0 + 2 * DAY) };

	(void)state;
	assert_ptr_equal(spiffe_ca_signing(k, 2, T0), &k[0]);
	assert_int_equal(spiffe_ca_step(k, 2, 1, SPIFFE_CA_DO_ACTIVATE, T0 + HOUR), OK);
	assert_true(k[0].state == SPIFFE_CA_OLD && k[1].state == SPIFFE_CA_ACTIVE);
	assert_ptr_equal(spiffe_ca_signing(k, 2, T0), &k[1]);
	assert_null(spiffe_ca_signing(k, 2, T0 + 2 * DAY)); /* an expired key signs nothing */
	assert_int_equal(spiffe_ca_step(k, 2, 0, SPIFFE_CA_DO_TAINT, T0), OK);
	assert_int_equal(spiffe_ca_step(k, 2, 0, SPIFFE_CA_DO_REVOKE, T0), OK);
	assert_int_equal(k[0].state, SPIFFE_CA_REVOKED);
	assert_int_equal(spiffe_ca_step(k, 2, 0, SPIFFE_CA_DO_ACTIVATE, T0), ERR_CA_STATE); /* for good */
}

static void timers_of_a_day(void **state)
{
	spiffe_ca_key_t k[2] = { key(SPIFFE_CA_ACTIVE, T0, T0 + DAY) };

	(void)state;
	spiffe_ca_due_t d = spiffe_ca_due(k, 1, T0);
	assert_int_equal(d.step, SPIFFE_CA_DO_NOTHING);
	assert_int_equal(d.at_unix_s, T0 + 12 * HOUR); /* half the life left */
	assert_int_equal(spiffe_ca_due(k, 1, T0 + 12 * HOUR - 1).step, SPIFFE_CA_DO_NOTHING);
	assert_int_equal(spiffe_ca_due(k, 1, T0 + 12 * HOUR).step, SPIFFE_CA_DO_PREPARE);
	k[1] = key(SPIFFE_CA_PREPARED, T0 + 12 * HOUR, T0 + 36 * HOUR);
	d = spiffe_ca_due(k, 2, T0 + 12 * HOUR);
	assert_int_equal(d.step, SPIFFE_CA_DO_NOTHING);
	assert_int_equal(d.at_unix_s, T0 + 20 * HOUR); /* one sixth left */
	d = spiffe_ca_due(k, 2, T0 + 20 * HOUR);
	assert_true(d.step == SPIFFE_CA_DO_ACTIVATE && d.i == 1);
	assert_int_equal(spiffe_ca_step(k, 2, d.i, d.step, T0 + 20 * HOUR), OK);
	d = spiffe_ca_due(k, 2, T0 + 20 * HOUR);
	assert_true(d.step == SPIFFE_CA_DO_NOTHING && d.at_unix_s == T0 + 24 * HOUR);
	/* the old one stays a day after its end */
	assert_int_equal(spiffe_ca_step_check(k, 2, 0, SPIFFE_CA_DO_REVOKE, T0 + 2 * DAY - 1), ERR_CA_STATE);
	k[1].expires_unix_s = T0 + 10 * DAY, k[1].made_unix_s = T0 + DAY; /* let only the old one be due */
	assert_int_equal(spiffe_ca_due(k, 2, T0 + 2 * DAY - 1).step, SPIFFE_CA_DO_NOTHING);
	d = spiffe_ca_due(k, 2, T0 + 2 * DAY);
	assert_true(d.step == SPIFFE_CA_DO_REVOKE && d.i == 0);
}

static void long_lives_are_renewed_late_enough(void **state)
{
	spiffe_ca_key_t k[2] = { key(SPIFFE_CA_ACTIVE, T0, T0 + 365 * (int64_t)DAY) };

	(void)state;
	assert_int_equal(spiffe_ca_due(k, 1, T0).at_unix_s, T0 + 335 * (int64_t)DAY); /* at most 30 days ahead */
	k[1] = key(SPIFFE_CA_PREPARED, T0, T0 + 700 * (int64_t)DAY);
	assert_int_equal(spiffe_ca_due(k, 2, T0).at_unix_s, T0 + 358 * (int64_t)DAY); /* at most 7 */
}

/* Does everything that is due, as the identity service will; returns the count of steps. */
typedef struct {
	spiffe_ca_key_t keys[64];
	size_t n;
} table_t;

static int settle(table_t *t, int64_t life, int64_t now)
{
	for (int steps = 0;; steps++) {
		spiffe_ca_due_t d = spiffe_ca_due(t->keys, t->n, now);
		assert_true(steps < 20); /* it always comes to rest */
		if (d.step == SPIFFE_CA_DO_NOTHING) {
			assert_true(d.at_unix_s > now);
			return steps;
		}
		assert_int_equal(spiffe_ca_step(t->keys, t->n, d.i, d.step, now), OK);
		if (d.step == SPIFFE_CA_DO_PREPARE) {
			assert_true(t->n < ARRAY_LEN(t->keys));
			t->keys[t->n++] = key(SPIFFE_CA_PREPARED, now, now + life);
		}
	}
}

static size_t count(const table_t *t, spiffe_ca_state_t s)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		n += t->keys[i].state == s;
	}
	return n;
}

static void three_weeks_without_a_person(void **state)
{
	table_t t = { .n = 0 };

	(void)state;
	assert_int_equal(settle(&t, DAY, T0), 2); /* prepare, activate */
	for (int64_t now = T0; now < T0 + 21 * DAY; now += 60) {
		settle(&t, DAY, now);
		const spiffe_ca_key_t *k = spiffe_ca_signing(t.keys, t.n, now);
		assert_non_null(k);
		assert_true(k->expires_unix_s - now >= 4 * HOUR - 60); /* room for every leaf */
		assert_int_equal(count(&t, SPIFFE_CA_ACTIVE), 1);
		size_t bundle = t.n - count(&t, SPIFFE_CA_REVOKED);
		assert_true(bundle <= 4); /* it does not grow */
		/* a new key stands in the bundle for hours before it signs, but for the first */
		assert_true(k == &t.keys[0] || now - k->made_unix_s >= 4 * HOUR);
	}
	assert_true(t.n >= 40 && t.n <= 46); /* one every half life */
}

static void after_a_long_sleep(void **state)
{
	table_t t = { .n = 0 };

	(void)state;
	settle(&t, DAY, T0);
	settle(&t, DAY, T0 + 13 * HOUR); /* one active, one prepared */
	assert_int_equal(t.n, 2);
	int64_t later = T0 + 100 * DAY;
	assert_null(spiffe_ca_signing(t.keys, t.n, later));
	settle(&t, DAY, later);
	const spiffe_ca_key_t *k = spiffe_ca_signing(t.keys, t.n, later);
	assert_non_null(k);
	assert_int_equal(k->made_unix_s, later); /* a new one: the prepared one has expired too */
	assert_int_equal(count(&t, SPIFFE_CA_REVOKED), 2);
	/* the prepared one still lives: it takes over */
	table_t u = { .n = 0 };
	settle(&u, DAY, T0);
	settle(&u, DAY, T0 + 13 * HOUR);
	settle(&u, DAY, T0 + 30 * HOUR);
	assert_ptr_equal(spiffe_ca_signing(u.keys, u.n, T0 + 30 * HOUR), &u.keys[1]);
}

/* prepare, activate, taint, revoke: each only after the one before. */
static void an_emergency(void **state)
{
	table_t t = { .n = 0 };

	(void)state;
	settle(&t, DAY, T0);
	assert_int_equal(spiffe_ca_step(t.keys, t.n, 0, SPIFFE_CA_DO_TAINT, T0), ERR_CA_STATE); /* replace it first */
	assert_int_equal(spiffe_ca_step_check(t.keys, t.n, 0, SPIFFE_CA_DO_PREPARE, T0), OK);
	t.keys[t.n++] = key(SPIFFE_CA_PREPARED, T0, T0 + DAY);
	assert_int_equal(spiffe_ca_step(t.keys, t.n, 1, SPIFFE_CA_DO_ACTIVATE, T0), OK);
	assert_int_equal(spiffe_ca_step(t.keys, t.n, 0, SPIFFE_CA_DO_TAINT, T0), OK);
	assert_true(spiffe_ca_in_bundle(t.keys[0].state)); /* until every holder has a new SVID */
	assert_int_equal(settle(&t, DAY, T0), 0);
	assert_int_equal(spiffe_ca_step(t.keys, t.n, 0, SPIFFE_CA_DO_REVOKE, T0), OK);
	assert_false(spiffe_ca_in_bundle(t.keys[0].state));
	/* a tainted one nobody revoked leaves with time */
	t.keys[0].state = SPIFFE_CA_TAINTED;
	settle(&t, 100 * DAY, T0 + 2 * DAY);
	assert_int_equal(t.keys[0].state, SPIFFE_CA_REVOKED);
}

static void the_bundle_is_bounded(void **state)
{
	spiffe_ca_key_t k[SPIFFE_CA_KEYS_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		k[i] = key(SPIFFE_CA_OLD, T0, T0 + DAY);
	}
	assert_int_equal(spiffe_ca_step_check(k, ARRAY_LEN(k), 0, SPIFFE_CA_DO_PREPARE, T0), ERR_LIMIT);
	k[3].state = SPIFFE_CA_REVOKED;
	assert_int_equal(spiffe_ca_step_check(k, ARRAY_LEN(k), 0, SPIFFE_CA_DO_PREPARE, T0), OK);
}

static void names_of_states(void **state)
{
	(void)state;
	for (int s = SPIFFE_CA_PREPARED; s <= SPIFFE_CA_REVOKED; s++) {
		spiffe_ca_state_t again;
		assert_int_equal(spiffe_ca_state_read(spiffe_ca_state_name((spiffe_ca_state_t)s), &again), OK);
		assert_int_equal(again, s);
	}
	spiffe_ca_state_t none;
	assert_int_equal(spiffe_ca_state_read(STR("none"), &none), ERR_VALUE);
	assert_int_equal(spiffe_ca_state_read(STR("Active"), &none), ERR_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_from_every_state),
		cmocka_unit_test(activation_is_one_step_for_two_keys),
		cmocka_unit_test(timers_of_a_day),
		cmocka_unit_test(long_lives_are_renewed_late_enough),
		cmocka_unit_test(three_weeks_without_a_person),
		cmocka_unit_test(after_a_long_sleep),
		cmocka_unit_test(an_emergency),
		cmocka_unit_test(the_bundle_is_bounded),
		cmocka_unit_test(names_of_states),
	};

	return cmocka_run_group_tests_name("spiffe_ca", tests, NULL, NULL);
}
