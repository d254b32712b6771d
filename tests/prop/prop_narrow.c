/* prop_narrow.c: a narrowed grant never permits what its parent denies (oauth P33).
 *
 * Parents, children and calls are small models; children are made from their parents by steps that narrow,
 * widen or break; calls are aimed at an item of either. Each model becomes JSON and goes through the real
 * parsers. The generator must reach: 30 % of calls permitted by the parent, and enough triples in which
 * narrow said yes and the child permits. A counterexample is shrunk before it is printed.
 * ATTORN_SEED=N replays, ATTORN_CASES=N sets the number of pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "domain/delegation/delegation.h"
#include "pure/crypto/crypto.h"

#include "narrow_model.h"

typedef struct {
	size_t pairs, narrow, calls, parent_permits, child_permits, telling;
} counts_t;

/* Is the property broken by this triple? `counts` may be NULL. */
static bool is_broken(const bounds_model_t *parent, const bounds_model_t *child,
	const call_model_t *call, counts_t *counts)
{
	AUTO(arena_free) arena_t *a = arena_open();
	delegation_bounds_t p, c;
	delegation_call_t real;
	delegation_place_t place;
	bool narrow, by_parent, by_child;

	if (!model_bounds(a, parent, &p) || !model_bounds(a, child, &c)
		|| !model_call(a, call, &real, &place)) {
		return false;
	}
	narrow = delegation_narrow(&p, &c, NULL) == OK;
	by_parent = delegation_permits(&p, &real, &place, call->now, NULL) == OK;
	by_child = delegation_permits(&c, &real, &place, call->now, NULL) == OK;
	if (counts) {
		counts->narrow += narrow;
		counts->calls++;
		counts->parent_permits += by_parent;
		counts->child_permits += by_child;
		counts->telling += narrow && by_child;
	}
	return narrow && by_child && !by_parent;
}

/* --- shrinking -------------------------------------------------------------------------------- */

typedef struct {
	bounds_model_t parent, child;
	call_model_t call;
} triple_t;

static bool still_broken(const triple_t *t)
{
	return is_broken(&t->parent, &t->child, &t->call, NULL);
}

static bool shrink_items(triple_t *t, bool of_child)
{
	for (size_t i = 0; i < (of_child ? t->child.n : t->parent.n); i++) {
		triple_t smaller = *t;
		model_drop_item(of_child ? &smaller.child : &smaller.parent, i);
		if (still_broken(&smaller)) {
			*t = smaller;
			return true;
		}
	}
	return false;
}

static bool shrink_constraints(triple_t *t, bool of_child)
{
	const bounds_model_t *b = of_child ? &t->child : &t->parent;

	for (size_t i = 0; i < b->n; i++) {
		for (size_t k = 0; k < b->items[i].n; k++) {
			triple_t smaller = *t;
			model_drop_constraint(of_child ? &smaller.child.items[i] : &smaller.parent.items[i], k);
			if (still_broken(&smaller)) {
				*t = smaller;
				return true;
			}
		}
	}
	return false;
}

static bool shrink_arguments(triple_t *t)
{
	for (size_t i = 0; i < SLOTS; i++) {
		triple_t smaller = *t;
		if (!smaller.call.has[i]) {
			continue;
		}
		smaller.call.has[i] = false;
		if (still_broken(&smaller)) {
			*t = smaller;
			return true;
		}
	}
	return false;
}

static void shrink(triple_t *t)
{
	while (shrink_items(t, false) || shrink_items(t, true) || shrink_constraints(t, false)
		|| shrink_constraints(t, true) || shrink_arguments(t)) {
	}
}

static void report(triple_t *t)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t parent, child, args;

	shrink(t);
	parent = model_bounds_text(a, &t->parent);
	child = model_bounds_text(a, &t->child);
	args = model_args_text(a, &t->call);
	print_error("parent %.*s\nchild  %.*s\ntool %zu of server %zu, args %.*s, scope s:%u, now %lld\n",
		STR_ARG(parent), STR_ARG(child), t->call.tool, t->call.server, STR_ARG(args), t->call.scope,
		(long long)t->call.now);
}

/* --- the property ----------------------------------------------------------------------------- */

enum { CALLS_PER_PAIR = 6 };

static uint64_t from_env(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);
	uint64_t v;

	return text && str_to_u64(str_of(text), UINT32_MAX, &v) == OK ? v : fallback;
}

static uint64_t fresh_seed(void)
{
	uint32_t seed;

	crypto_random(&seed, sizeof(seed));
	return from_env("ATTORN_SEED", seed);
}

static void children_permit_no_more(void **state)
{
	uint64_t seed = fresh_seed(), pairs = from_env("ATTORN_CASES", 20000);
	rng_t r = { seed * 2654435761u + 1 };
	counts_t n = { 0 };

	(void)state;
	print_message("# seed %llu\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < pairs; i++) {
		triple_t t;
		t.parent = gen_bounds(&r);
		t.child = gen_child(&r, &t.parent);
		for (int k = 0; k < CALLS_PER_PAIR; k++) {
			t.call = gen_call(&r, k % 2 ? &t.child : &t.parent);
			if (is_broken(&t.parent, &t.child, &t.call, &n)) {
				report(&t);
				fail_msg("seed %llu, pair %llu", (unsigned long long)seed,
					(unsigned long long)i);
			}
		}
		n.pairs++;
	}
	print_message("# %zu pairs, %zu calls: parent permits %.1f %%, narrow says yes %.1f %%, telling %.1f %%\n",
		n.pairs, n.calls, 100.0 * (double)n.parent_permits / (double)n.calls,
		100.0 * (double)n.narrow / (double)n.calls, 100.0 * (double)n.telling / (double)n.calls);
	assert_true(n.calls > pairs * CALLS_PER_PAIR * 9 / 10); /* models are well-formed */
	assert_true(n.parent_permits * 10 >= n.calls * 3);
	assert_true(n.narrow * 10 >= n.calls * 3);
	assert_true(n.telling * 10 >= n.calls);
}

static void everything_narrows_to_itself(void **state)
{
	uint64_t seed = fresh_seed();
	rng_t r = { seed * 2654435761u + 1 };

	(void)state;
	print_message("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 3000; i++) {
		AUTO(arena_free) arena_t *a = arena_open();
		bounds_model_t m = gen_bounds(&r);
		delegation_bounds_t b, back;
		str_t text;
		if (!model_bounds(a, &m, &b)) {
			continue;
		}
		assert_int_equal(delegation_narrow(&b, &b, NULL), OK);
		assert_int_equal(delegation_bounds_write(a, &b, &text), OK);
		assert_int_equal(delegation_bounds_parse(a, text, &back, NULL), OK);
		assert_int_equal(delegation_narrow(&b, &back, NULL), OK);
		assert_int_equal(delegation_narrow(&back, &b, NULL), OK);
	}
}

/* oauth P80-P82: along any chain init never changes and sel never rises, save by an approval of exactly
 * this digest. */
static void directions_only_fall(void **state)
{
	uint64_t seed = fresh_seed();
	rng_t r = { seed * 2654435761u + 1 };
	const delegation_ev_t approval = { .t = DELEGATION_EV_APPROVAL, .iss = STR("i"), .id = STR("a") };
	size_t rises = 0;

	(void)state;
	print_message("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 5000; i++) {
		delegation_direction_t d, next;
		delegation_direction_of_grant(STR("g"), STR("i"), 1, below(&r, 2) == 0, &d);
		d.init = (delegation_init_t)below(&r, 5);
		for (int hop = 0; hop < 6; hop++) {
			uint8_t approved[32] = { (uint8_t)below(&r, 3) }, action[32] = { (uint8_t)below(&r, 3) };
			bool is_approval = below(&r, 3) == 0;
			err_t e = OK;
			if (is_approval) {
				e = delegation_direction_approve(&d, &approval, approved, action, &next);
				assert_int_equal(e == OK, approved[0] == action[0]);
			} else {
				delegation_direction_next(&d, (delegation_sel_t)below(&r, 4), &next);
				assert_int_equal(delegation_direction_check(&d, &next), OK);
			}
			if (e != OK) {
				continue;
			}
			assert_int_equal(next.init, d.init);
			assert_true(next.n_ev >= d.n_ev);
			assert_true(next.sel <= d.sel || is_approval);
			/* whoever claims the rise without the approval is found out */
			assert_int_equal(delegation_direction_check(&d, &next) == OK, next.sel <= d.sel);
			rises += next.sel > d.sel;
			d = next;
		}
	}
	assert_true(rises > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_permit_no_more),
		cmocka_unit_test(everything_narrows_to_itself),
		cmocka_unit_test(directions_only_fall),
	};
	if (crypto_init() != OK) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
