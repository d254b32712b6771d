/* test_id.c: the grammar of SPIFFE IDs, case by case (spiffe.md 2, 22: I1 to I40). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "domain/spiffe/spiffe.h"

typedef struct {
	const char *name;
	str_t text;
	str_t td, path; /* td.p NULL: refused */
} id_row_t;

#define GOOD(name, text, td, path) { name, STR_INIT(text), STR_INIT(td), STR_INIT(path) }
#define BAD(name, text) { name, STR_INIT(text), { NULL, 0 }, { NULL, 0 } }

static const id_row_t rows[] = {
	GOOD("I1 a workload", "spiffe://example.org/service", "example.org", "/service"),
	GOOD("I2 a trust domain", "spiffe://example.org", "example.org", ""),
	GOOD("I3 several segments", "spiffe://example.org/ns/a/sa/b", "example.org", "/ns/a/sa/b"),
	GOOD("I4 every byte of a segment", "spiffe://example.org/aZ09._-", "example.org", "/aZ09._-"),
	GOOD("I5 every byte of a trust domain", "spiffe://a-z.0_9/x", "a-z.0_9", "/x"),
	GOOD("I6 an IPv4 address as name", "spiffe://1.2.3.4/x", "1.2.3.4", "/x"),
	GOOD("I7 no dot, one letter", "spiffe://a/b", "a", "/b"),
	GOOD("I8 dots inside a segment", "spiffe://example.org/a..b/...", "example.org", "/a..b/..."),
	GOOD("I9 odd names are names", "spiffe://.-_/x", ".-_", "/x"),
	BAD("I10 empty", ""),
	BAD("I11 the scheme alone", "spiffe://"),
	BAD("I12 no scheme", "example.org/service"),
	BAD("I13 another scheme", "https://example.org/service"),
	BAD("I14 scheme in upper case", "SPIFFE://example.org/service"),
	BAD("I15 scheme in mixed case", "Spiffe://example.org/service"),
	BAD("I16 one slash", "spiffe:/example.org/service"),
	BAD("I17 no slashes", "spiffe:example.org"),
	BAD("I18 three slashes: an empty trust domain", "spiffe:///service"),
	BAD("I19 trust domain in upper case", "spiffe://Example.org/service"),
	BAD("I20 percent in the trust domain", "spiffe://ex%41mple.org/service"),
	BAD("I21 percent in the path", "spiffe://example.org/%41"),
	BAD("I22 an encoded slash", "spiffe://example.org/a%2fb"),
	BAD("I23 encoded dots", "spiffe://example.org/%2e%2e/b"),
	BAD("I24 a port", "spiffe://example.org:8443/service"),
	BAD("I25 userinfo", "spiffe://user@example.org/service"),
	BAD("I26 userinfo with password", "spiffe://user:pw@example.org/service"),
	BAD("I27 an IPv6 address", "spiffe://[::1]/service"),
	BAD("I28 an empty segment", "spiffe://example.org/a//b"),
	BAD("I29 an empty first segment", "spiffe://example.org//a"),
	BAD("I30 a dot segment", "spiffe://example.org/a/./b"),
	BAD("I31 a double-dot segment", "spiffe://example.org/a/../b"),
	BAD("I32 a trailing slash", "spiffe://example.org/a/"),
	BAD("I33 a slash and no path", "spiffe://example.org/"),
	BAD("I34 a query", "spiffe://example.org/a?b=c"),
	BAD("I35 a fragment", "spiffe://example.org/a#b"),
	BAD("I36 not ASCII", "spiffe://example.org/caf\xc3\xa9"),
	BAD("I37 a NUL", "spiffe://example.org/a\0b"),
	BAD("I38 a blank, before, inside, behind", " spiffe://example.org/a"),
	BAD("I38", "spiffe://example.org/a b"),
	BAD("I38", "spiffe://example.org/a\n"),
	BAD("I38", "spiffe://example.org/a\\b"),
	BAD("I30 a dot segment at the end", "spiffe://example.org/."),
	BAD("I31 a double-dot segment at the end", "spiffe://example.org/a/.."),
	BAD("I34 a query on a trust domain", "spiffe://example.org?a"),
	BAD("I35 a fragment on a trust domain", "spiffe://example.org#a"),
	BAD("I36 not ASCII in the trust domain", "spiffe://\xc3\xa9.org/a"),
	BAD("I37 a NUL in the trust domain", "spiffe://example\0.org/a"),
	BAD("I24 a port without a number", "spiffe://example.org:/a"),
};

static void i1_to_i38(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spiffe_id_t id = { 0 };
		err_t e = spiffe_id_parse(rows[i].text, &id);

		if (e != (rows[i].td.p ? OK : ERR_SPIFFE_ID)) {
			fail_msg("%s: %s", rows[i].name, err_info(e)->name);
		}
		if (e == OK) {
			assert_true(str_eq(id.td, rows[i].td) && str_eq(id.path, rows[i].path));
			assert_true(str_eq(id.text, rows[i].text));
			bool workload = rows[i].path.n > 0;
			assert_int_equal(spiffe_id_parse_workload(rows[i].text, &id), workload ? OK : ERR_SPIFFE_ID);
			assert_int_equal(spiffe_id_parse_td(rows[i].text, &id), workload ? ERR_SPIFFE_ID : OK);
		} else {
			assert_null(id.text.p); /* nothing is written on failure */
		}
	}
}

/* spiffe://, n bytes of td, then a path that fills up to `whole` bytes (0: none) */
static err_t sized(size_t td_n, size_t whole)
{
	static char text[4096];
	size_t n = 9;
	spiffe_id_t id;

	memcpy(text, "spiffe://", 9);
	memset(text + n, 'a', td_n);
	n += td_n;
	if (whole > n) {
		text[n] = '/';
		memset(text + n + 1, 'b', whole - n - 1);
		n = whole;
	}
	return spiffe_id_parse(str_bytes(text, n), &id);
}

static void i39_lengths_of_trust_domains(void **state)
{
	(void)state;
	assert_int_equal(sized(255, 0), OK);
	assert_int_equal(sized(256, 0), ERR_SPIFFE_ID);
	assert_int_equal(sized(255, 300), OK);
	assert_int_equal(sized(256, 300), ERR_SPIFFE_ID);
}

static void i40_lengths_of_ids(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	char path[2050];
	spiffe_id_t id;

	(void)state;
	assert_int_equal(sized(3, 2048), OK);
	assert_int_equal(sized(3, 2049), ERR_SPIFFE_ID);
	memset(path, 'x', sizeof path);
	path[0] = '/'; /* and none longer is made */
	assert_int_equal(spiffe_id_make(a, STR("abc"), str_bytes(path, 2048 - 12), &id), OK);
	assert_int_equal(spiffe_id_make(a, STR("abc"), str_bytes(path, 2049 - 12), &id), ERR_SPIFFE_ID);
}

static void every_byte_in_every_place(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		bool lower = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
		bool upper = c >= 'A' && c <= 'Z';
		char td[] = "spiffe://xxx/y", path[] = "spiffe://xxx/yyy";
		spiffe_id_t id;

		td[10] = path[14] = (char)c;
		/* a '/' in the name ends it: spiffe://x/x/y */
		assert_int_equal(spiffe_id_parse(str_bytes(td, sizeof td - 1), &id),
			lower || c == '/' ? OK : ERR_SPIFFE_ID);
		assert_int_equal(spiffe_id_parse(str_bytes(path, sizeof path - 1), &id),
			lower || upper || c == '/' ? OK : ERR_SPIFFE_ID);
	}
}

static void our_own_paths_are_reserved(void **state)
{
	(void)state;
	assert_true(spiffe_path_reserved(STR("/attorn")));
	assert_true(spiffe_path_reserved(STR("/attorn/node/local")));
	assert_true(spiffe_path_reserved(STR("/spire/server")));
	assert_false(spiffe_path_reserved(STR("/attornx/a")));
	assert_false(spiffe_path_reserved(STR("/a/attorn")));
	assert_false(spiffe_path_reserved(STR("/Attorn")));
	assert_false(spiffe_path_reserved(STR("")));
}

static void runs_have_ids_of_their_own(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	spiffe_id_t base, id;
	str_t text, run;

	(void)state;
	assert_int_equal(spiffe_id_parse(STR("spiffe://td/agent/x"), &base), OK);
	assert_int_equal(spiffe_instance_id(a, &base, STR("r1"), &id), OK);
	assert_true(str_eq(id.text, STR("spiffe://td/agent/x/i/r1")));
	assert_true(spiffe_instance_split(&id, &text, &run));
	assert_true(str_eq(text, base.text) && str_eq(run, STR("r1")));
	assert_int_equal(spiffe_instance_id(a, &base, STR("a/b"), &id), ERR_SPIFFE_ID);
	assert_int_equal(spiffe_instance_id(a, &base, STR(".."), &id), ERR_SPIFFE_ID);
	assert_int_equal(spiffe_instance_id(a, &base, STR(""), &id), ERR_SPIFFE_ID);
	static const str_t none[] = { STR_INIT("spiffe://td"), STR_INIT("spiffe://td/i/r1"), STR_INIT("spiffe://td/a/r1"),
		STR_INIT("spiffe://td/a/i/b/c"), STR_INIT("spiffe://td/ai/r"), STR_INIT("spiffe://td/i") };
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		assert_int_equal(spiffe_id_parse(none[i], &id), OK);
		assert_false(spiffe_instance_split(&id, &text, &run));
	}
	/* the last one counts: a run of an agent whose own name ends in /i/x */
	assert_int_equal(spiffe_id_parse(STR("spiffe://td/a/i/b/i/c"), &id), OK);
	assert_true(spiffe_instance_split(&id, &text, &run));
	assert_true(str_eq(text, STR("spiffe://td/a/i/b")) && str_eq(run, STR("c")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(i1_to_i38),
		cmocka_unit_test(i39_lengths_of_trust_domains),
		cmocka_unit_test(i40_lengths_of_ids),
		cmocka_unit_test(every_byte_in_every_place),
		cmocka_unit_test(our_own_paths_are_reserved),
		cmocka_unit_test(runs_have_ids_of_their_own),
	};

	return cmocka_run_group_tests_name("spiffe_id", tests, NULL, NULL);
}
