/* prop_spiffe.c: IDs against an independent reading of the grammar, selectors against the plain meaning of "all
 * among", entries through their document, CA keys through random weeks. ATTORN_SEED=N replays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "domain/spiffe/spiffe.h"
#include "pure/crypto/crypto.h"

typedef struct {
	uint64_t state;
} rng_t;

static uint32_t below(rng_t *r, uint32_t n) /* xorshift64 */
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)((r->state >> 32) % n);
}

static rng_t start(void)
{
	const char *text = getenv("ATTORN_SEED");
	uint32_t drawn;

	assert_int_equal(crypto_init(), OK);
	crypto_random(&drawn, sizeof drawn);
	uint64_t seed = text ? strtoull(text, NULL, 10) : drawn;
	print_message("# seed %llu\n", (unsigned long long)seed);
	return (rng_t){ seed * 2654435761u + 1 };
}

/* --- IDs ------------------------------------------------------------------------------------------------ */

/* The grammar of SPIFFE-ID 2 as an automaton over bytes: written apart from the parser it judges. */
static bool grammar_says(str_t s, size_t *out_path_at)
{
	static const char scheme[] = "spiffe://";
	enum { TD, SEGMENT_START, SEGMENT } at = TD;
	size_t td_n = 0, dots = 0, len = 0;

	*out_path_at = s.n;
	if (s.n > 2048 || s.n < sizeof scheme || !str_starts(s, str_of(scheme))) {
		return false;
	}
	for (size_t i = sizeof scheme - 1; i < s.n; i++) {
		char c = s.p[i];
		bool digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
		bool mark = c == '.' || c == '-' || c == '_';
		if (c == '/') {
			bool only_dots = at == SEGMENT && dots == len && len <= 2;
			if ((at == TD && td_n == 0) || at == SEGMENT_START || only_dots) {
				return false;
			}
			*out_path_at = at == TD ? i : *out_path_at;
			at = SEGMENT_START;
			dots = len = 0;
			continue;
		}
		if (!(digit || lower || mark || (upper && at != TD))) {
			return false;
		}
		if (at == TD && ++td_n > 255) {
			return false;
		}
		if (at != TD) {
			at = SEGMENT;
			dots += c == '.';
			len++;
		}
	}
	return at == TD ? td_n > 0 : at == SEGMENT && !(dots == len && len <= 2);
}

static str_t draw_id(rng_t *r, char *room, size_t max)
{
	static const char alphabet[] = "aaabz09.-_AZ/../..%:@?#[]\\ \xc3\xa9";
	size_t n = 0, parts = below(r, 6);

	if (below(r, 20)) {
		memcpy(room, below(r, 20) ? "spiffe://" : "Spiffe://", 9);
		n = 9;
	}
	size_t td = below(r, 40) ? below(r, 8) : 250 + below(r, 10);
	for (size_t i = 0; i < td; i++) {
		room[n++] = alphabet[below(r, below(r, 8) ? 10 : sizeof alphabet)];
	}
	for (size_t p = 0; p < parts && n + 700 < max; p++) {
		room[n++] = '/';
		size_t len = below(r, 60) ? below(r, 6) : 600;
		for (size_t i = 0; i < len; i++) {
			room[n++] = alphabet[below(r, below(r, 8) ? 12 : sizeof alphabet)];
		}
	}
	return str_bytes(room, n);
}

static void ids_agree_with_the_grammar(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	rng_t r = start();
	size_t good = 0, bad = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char room[5000];
		str_t s = draw_id(&r, room, sizeof room);
		spiffe_id_t id, again;
		size_t path_at = 0;
		bool expected = grammar_says(s, &path_at);

		arena_reset(a);
		err_t e = spiffe_id_parse(s, &id);
		if ((e == OK) != expected) {
			fail_msg("case %d: %.*s", i, STR_ARG(s));
		}
		good += expected, bad += !expected;
		if (!expected) {
			continue;
		}
		assert_int_equal(id.path.n, s.n - path_at);
		assert_int_equal(spiffe_id_make(a, id.td, id.path, &again), OK); /* the round trip */
		assert_true(str_eq(again.text, s) && str_eq(again.td, id.td) && str_eq(again.path, id.path));
	}
	assert_true(good > 10000 && bad > 10000); /* both sides were walked */
}

/* --- selectors -------------------------------------------------------------------------------------------- */

static size_t draw_texts(rng_t *r, arena_t *a, str_t *v, size_t max)
{
	static const char *const kinds[] = { "unix:uid:", "unix:gid:", "docker:label:a:", "systemd:id:" };
	size_t n = below(r, (uint32_t)max + 1);

	for (size_t i = 0; i < n; i++) {
		v[i] = arena_printf(a, "%s%u", kinds[below(r, 4)], below(r, 6));
	}
	return n;
}

static bool among(const str_t *v, size_t n, str_t s)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(v[i], s)) {
			return true;
		}
	}
	return false;
}

static void selectors_match_as_sets_do(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	rng_t r = start();
	size_t yes = 0, no = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		str_t wanted[4], facts[24];
		spiffe_selectors_t w, f;

		arena_reset(a);
		size_t n_wanted = draw_texts(&r, a, wanted, ARRAY_LEN(wanted));
		size_t n_facts = draw_texts(&r, a, facts, ARRAY_LEN(facts));
		assert_int_equal(spiffe_selectors_make(a, wanted, n_wanted, SPIFFE_SELECTORS_MAX, &w), OK);
		assert_int_equal(spiffe_selectors_make(a, facts, n_facts, SPIFFE_FACTS_MAX, &f), OK);
		for (size_t k = 1; k < f.n; k++) {
			assert_true(str_cmp(f.v[k - 1], f.v[k]) < 0); /* sorted, unique */
		}
		bool expected = n_wanted > 0;
		for (size_t k = 0; k < n_wanted; k++) {
			expected = expected && among(facts, n_facts, wanted[k]);
		}
		assert_int_equal(spiffe_selectors_match(&w, &f), expected);
		yes += expected, no += !expected;
		for (size_t k = 0; k < n_facts; k++) {
			assert_true(spiffe_selectors_has(&f, facts[k]));
		}
	}
	assert_true(yes > 1000 && no > 1000);
}

/* More facts never take an identity away, fewer never give one. */
static void more_facts_never_lose_a_match(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	rng_t r = start();

	(void)state;
	for (int i = 0; i < 20000; i++) {
		str_t wanted[4], facts[40];
		spiffe_selectors_t w, less, more;

		arena_reset(a);
		size_t n_wanted = draw_texts(&r, a, wanted, ARRAY_LEN(wanted));
		size_t n = draw_texts(&r, a, facts, ARRAY_LEN(facts));
		size_t part = n ? below(&r, (uint32_t)n) : 0;
		assert_int_equal(spiffe_selectors_make(a, wanted, n_wanted, SPIFFE_SELECTORS_MAX, &w), OK);
		assert_int_equal(spiffe_selectors_make(a, facts, part, SPIFFE_FACTS_MAX, &less), OK);
		assert_int_equal(spiffe_selectors_make(a, facts, n, SPIFFE_FACTS_MAX, &more), OK);
		assert_true(!spiffe_selectors_match(&w, &less) || spiffe_selectors_match(&w, &more));
	}
}

/* --- templates ---------------------------------------------------------------------------------------------- */

static void an_expansion_is_an_id_of_its_template(void **state)
{
	static const char *const pieces[] = { "{unix.uid}", "{unix.user}", "{docker.label.app}", "{run.id}", "/", "a", "-",
		"attorn", ".", "x/y" };
	static const char *const values[] = { "1000", "ada", "a/b", "..", ".", "", "%41", "attorn", "A.b-c_d", "b c" };
	AUTO(arena_free) arena_t *a = arena_open();
	rng_t r = start();
	size_t made = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		AUTO(buf_done) buf_t b;
		spiffe_facts_t f = { 0 };
		spiffe_id_t id;

		buf_init(&b, 4096);
		arena_reset(a);
		buf_add(&b, STR("spiffe://td/"));
		for (uint32_t n = below(&r, 6); n > 0; n--) {
			buf_add(&b, str_of(pieces[below(&r, ARRAY_LEN(pieces))]));
		}
		str_t facts[] = { arena_cat(a, STR("unix:uid:"), str_of(values[below(&r, 2)])),
			arena_cat(a, STR("unix:user:_"), str_of(values[below(&r, ARRAY_LEN(values))])),
			arena_cat(a, STR("docker:label:app:"), str_of(values[below(&r, ARRAY_LEN(values))])) };
		f.run_id = str_of(values[below(&r, ARRAY_LEN(values))]);
		assert_int_equal(spiffe_selectors_make(a, facts, 3, 3, &f.selectors), OK);
		if (spiffe_template_check(buf_str(&b)) != OK || spiffe_template_expand(a, buf_str(&b), &f, &id) != OK) {
			continue;
		}
		size_t path_at = 0;
		made++;
		assert_true(grammar_says(id.text, &path_at));
		assert_true(str_eq(id.td, STR("td")) && !spiffe_path_reserved(id.path));
		assert_true(str_starts(id.text, spiffe_template_prefix(buf_str(&b))));
		size_t slashes = 0; /* no value brings a segment of its own */
		for (size_t k = 0; k < id.text.n; k++) {
			slashes += id.text.p[k] == '/';
		}
		for (size_t k = 0; k < b.n; k++) {
			slashes -= b.p[k] == '/';
		}
		assert_int_equal(slashes, 0);
	}
	assert_true(made > 2000);
}

/* --- CA keys --------------------------------------------------------------------------------------------------- */

typedef struct {
	spiffe_ca_key_t keys[400];
	size_t n;
} table_t;

static void invariants(const table_t *t)
{
	size_t active = 0, bundle = 0;

	for (size_t i = 0; i < t->n; i++) {
		active += t->keys[i].state == SPIFFE_CA_ACTIVE;
		bundle += spiffe_ca_in_bundle(t->keys[i].state);
	}
	assert_true(active <= 1 && bundle <= SPIFFE_CA_KEYS_MAX);
}

static bool do_step(table_t *t, size_t i, spiffe_ca_step_t step, int64_t life, int64_t now)
{
	spiffe_ca_state_t before = i < t->n ? t->keys[i].state : SPIFFE_CA_NONE;

	if (spiffe_ca_step(t->keys, t->n, i, step, now) != OK) {
		assert_true(i >= t->n || t->keys[i].state == before);
		return false;
	}
	assert_true(step == SPIFFE_CA_DO_PREPARE || before != SPIFFE_CA_REVOKED);
	if (step == SPIFFE_CA_DO_PREPARE) {
		assert_true(t->n < ARRAY_LEN(t->keys));
		t->keys[t->n++] = (spiffe_ca_key_t){ STR("k"), SPIFFE_CA_PREPARED, now, now + life };
	}
	invariants(t);
	return true;
}

/* Timers and a person who presses everything at random: there is always a key that signs, or one is due now. */
static void keys_through_random_weeks(void **state)
{
	rng_t r = start();

	(void)state;
	for (int round = 0; round < 100; round++) {
		static table_t t;
		int64_t now = 1800000000, life = 60 + below(&r, 100000);

		memset(&t, 0, sizeof t);
		for (int i = 0; i < 150; i++) {
			for (int settled = 0; settled < 40; settled++) {
				spiffe_ca_due_t d = spiffe_ca_due(t.keys, t.n, now);
				if (d.step == SPIFFE_CA_DO_NOTHING) {
					assert_true(d.at_unix_s > now);
					assert_non_null(spiffe_ca_signing(t.keys, t.n, now));
					break;
				}
				if (!do_step(&t, d.i, d.step, life, now)) {
					assert_int_equal(d.step, SPIFFE_CA_DO_PREPARE); /* the table is full */
					break;
				}
			}
			if (t.n + 40 > ARRAY_LEN(t.keys)) {
				break;
			}
			(void)do_step(&t, below(&r, (uint32_t)t.n + 1), (spiffe_ca_step_t)(1 + below(&r, 4)), life, now);
			now += 1 + below(&r, (uint32_t)life);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_agree_with_the_grammar),
		cmocka_unit_test(selectors_match_as_sets_do),
		cmocka_unit_test(more_facts_never_lose_a_match),
		cmocka_unit_test(an_expansion_is_an_id_of_its_template),
		cmocka_unit_test(keys_through_random_weeks),
	};

	return cmocka_run_group_tests_name("prop_spiffe", tests, NULL, NULL);
}
