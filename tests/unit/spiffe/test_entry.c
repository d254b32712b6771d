/* test_entry.c: selectors, templates, entry documents, and who gets what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "domain/spiffe/spiffe.h"

static arena_t *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new_capped(64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static spiffe_selectors_t set_of(const str_t *v, size_t n)
{
	spiffe_selectors_t s;

	assert_int_equal(spiffe_selectors_make(arena, v, n, SPIFFE_FACTS_MAX, &s), OK);
	return s;
}
#define SET(...) set_of((const str_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const str_t[]){ __VA_ARGS__ })))

/* --- selectors ------------------------------------------------------------------------------------------ */

static void selectors_have_a_form(void **state)
{
	static const struct {
		str_t text;
		bool good;
	} rows[] = {
		{ STR_INIT("unix:uid:1000"), true }, { STR_INIT("docker:env:A=B C:D"), true },
		{ STR_INIT("unix:path:/usr/bin/python3"), true }, { STR_INIT("k8s:ns:x"), true },
		{ STR_INIT("a:b"), true }, { STR_INIT("docker:label:k:\xc3\xa9"), true }, { STR_INIT("unix"), false },
		{ STR_INIT("unix:"), false }, { STR_INIT(":uid:1"), false }, { STR_INIT(""), false },
		{ STR_INIT("Unix:uid:1"), false }, { STR_INIT("unix uid:1"), false }, { STR_INIT("unix:uid:1\n"), false },
		{ STR_INIT("unix:uid:1\0"), false }, { STR_INIT("unix:uid:\x7f"), false },
		{ STR_INIT("unix:uid:\xff"), false },
	};
	char longest[SPIFFE_SELECTOR_BYTES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(spiffe_selector_check(rows[i].text), rows[i].good ? OK : ERR_SELECTOR);
	}
	memset(longest, 'a', sizeof longest);
	longest[1] = ':';
	assert_int_equal(spiffe_selector_check(str_bytes(longest, sizeof longest - 1)), OK);
	assert_int_equal(spiffe_selector_check(str_bytes(longest, sizeof longest)), ERR_SELECTOR);
}

static void sets_are_sorted_and_unique(void **state)
{
	(void)state;
	spiffe_selectors_t s = SET(STR("unix:uid:2"), STR("a:b"), STR("unix:uid:10"), STR("a:b"), STR("unix:uid:2"));
	assert_int_equal(s.n, 3);
	assert_true(str_eq(s.v[0], STR("a:b")) && str_eq(s.v[1], STR("unix:uid:10")) && str_eq(s.v[2], STR("unix:uid:2")));
	str_t many[SPIFFE_SELECTORS_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = arena_printf(arena, "unix:uid:%zu", i);
	}
	assert_int_equal(spiffe_selectors_make(arena, many, ARRAY_LEN(many), SPIFFE_SELECTORS_MAX, &s), ERR_LIMIT);
	assert_int_equal(spiffe_selectors_make(arena, many, ARRAY_LEN(many) - 1, SPIFFE_SELECTORS_MAX, &s), OK);
}

static void all_must_be_there(void **state)
{
	(void)state;
	spiffe_selectors_t facts = SET(STR("unix:uid:1000"), STR("unix:gid:5"), STR("unix:path:/bin/a"));
	spiffe_selectors_t one = SET(STR("unix:uid:1000"));
	spiffe_selectors_t two = SET(STR("unix:uid:1000"), STR("unix:path:/bin/a"));
	spiffe_selectors_t other = SET(STR("unix:uid:1000"), STR("unix:path:/bin/b"));
	spiffe_selectors_t prefix = SET(STR("unix:uid:100")), nothing = { 0 };

	assert_true(spiffe_selectors_match(&one, &facts));
	assert_true(spiffe_selectors_match(&two, &facts));
	assert_true(spiffe_selectors_match(&facts, &facts));
	assert_false(spiffe_selectors_match(&other, &facts));
	assert_false(spiffe_selectors_match(&prefix, &facts));
	assert_false(spiffe_selectors_match(&facts, &one));
	assert_false(spiffe_selectors_match(&nothing, &facts)); /* an empty list is nobody, not everybody */
	assert_false(spiffe_selectors_match(&nothing, &nothing));
	assert_false(spiffe_selectors_match(&one, &nothing));
}

/* --- templates ------------------------------------------------------------------------------------------- */

static void templates_have_a_form(void **state)
{
	static const struct {
		str_t text;
		bool good;
	} rows[] = {
		{ STR_INIT("spiffe://td/u/{unix.uid}"), true }, { STR_INIT("spiffe://td/{docker.label.app}/x"), true },
		{ STR_INIT("spiffe://td/a-{unix.user}-{unix.group}"), true }, { STR_INIT("spiffe://td/{run.id}/{node.id}"), true },
		{ STR_INIT("spiffe://td/plain"), true }, { STR_INIT("spiffe://{unix.user}/x"), false },
		{ STR_INIT("spiffe://td{unix.user}/x"), false }, { STR_INIT("spiffe://td/{unix.path}"), false },
		{ STR_INIT("spiffe://td/{docker.env.A}"), false }, { STR_INIT("spiffe://td/{docker.label.}"), false },
		{ STR_INIT("spiffe://td/{docker.label.a/b}"), false }, { STR_INIT("spiffe://td/{}"), false },
		{ STR_INIT("spiffe://td/{unix.uid"), false }, { STR_INIT("spiffe://td/unix.uid}"), false },
		{ STR_INIT("spiffe://td/{{unix.uid}}"), false }, { STR_INIT("spiffe://td/{Unix.uid}"), false },
		{ STR_INIT("spiffe://td/attorn/{unix.uid}"), false }, { STR_INIT("spiffe://td/spire/x"), false },
		{ STR_INIT("spiffe://td//{unix.uid}"), false }, { STR_INIT("spiffe://td"), false },
		{ STR_INIT("spiffe://td/{unix.uid}/"), false }, { STR_INIT("td/{unix.uid}"), false },
		{ STR_INIT("spiffe://"), false }, { STR_INIT("spiffe://{"), false }, { STR_INIT(""), false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (spiffe_template_check(rows[i].text) != (rows[i].good ? OK : ERR_SPIFFE_ID)) {
			fail_msg("%.*s", STR_ARG(rows[i].text));
		}
	}
	str_t many = STR("spiffe://td/");
	for (int i = 0; i < SPIFFE_TEMPLATE_PARTS_MAX; i++) {
		many = arena_cat(arena, many, STR("{unix.uid}"));
	}
	assert_int_equal(spiffe_template_check(many), OK);
	assert_int_equal(spiffe_template_check(arena_cat(arena, many, STR("/z"))), OK);
	assert_int_equal(spiffe_template_check(arena_cat(arena, many, STR("{unix.uid}"))), ERR_SPIFFE_ID);
	assert_true(str_eq(spiffe_template_prefix(STR("spiffe://td/a/{unix.uid}/b")), STR("spiffe://td/a/")));
	assert_true(str_eq(spiffe_template_prefix(STR("spiffe://td/a")), STR("spiffe://td/a")));
}

static err_t expand(const char *text, const spiffe_facts_t *facts, str_t *out)
{
	spiffe_id_t id;

	TRY(spiffe_template_expand(arena, str_of(text), facts, &id));
	*out = id.text;
	return OK;
}

static void templates_take_attested_facts(void **state)
{
	spiffe_facts_t f = { .run_id = STR("run7"), .node = STR("local") };
	str_t id;

	(void)state;
	f.selectors = SET(STR("unix:uid:1000"), STR("unix:user:ada"), STR("docker:label:app:billing"),
		STR("docker:label:app2:x"), STR("docker:label:odd:a:b"), STR("unix:gid:7"), STR("unix:gid:8"),
		STR("unix:group:A B"), STR("systemd:id:x.service"), STR("docker:image_id:sha256:abc"));
	assert_int_equal(expand("spiffe://td/u/{unix.uid}/{unix.user}", &f, &id), OK);
	assert_true(str_eq(id, STR("spiffe://td/u/1000/ada")));
	assert_int_equal(expand("spiffe://td/{docker.label.app}.{systemd.id}", &f, &id), OK);
	assert_true(str_eq(id, STR("spiffe://td/billing.x.service")));
	assert_int_equal(expand("spiffe://td/{node.id}/i/{run.id}", &f, &id), OK);
	assert_true(str_eq(id, STR("spiffe://td/local/i/run7")));
	/* P2: absent, twice, outside the alphabet: no match, nothing escaped or cut */
	assert_int_equal(expand("spiffe://td/{systemd.invocation_id}", &f, &id), ERR_ENTRY_MATCH);
	assert_int_equal(expand("spiffe://td/{unix.gid}", &f, &id), ERR_ENTRY_MATCH);
	assert_int_equal(expand("spiffe://td/{unix.group}", &f, &id), ERR_ENTRY_MATCH);
	assert_int_equal(expand("spiffe://td/{docker.label.odd}", &f, &id), ERR_ENTRY_MATCH);
	assert_int_equal(expand("spiffe://td/{docker.image_id}", &f, &id), ERR_ENTRY_MATCH);
	assert_int_equal(expand("spiffe://td/{docker.label.nothing}", &f, &id), ERR_ENTRY_MATCH);
	f.run_id = f.node = STR_NULL;
	assert_int_equal(expand("spiffe://td/{run.id}", &f, &id), ERR_ENTRY_MATCH);
	assert_int_equal(expand("spiffe://td/{node.id}", &f, &id), ERR_ENTRY_MATCH);
}

static void p2_values_that_want_to_be_somebody_else(void **state)
{
	static const char *const values[] = { "../admin", "..", ".", "a/b", "a%2fb", "caf\xc3\xa9", "a?b", "a b",
		"{unix.uid}", "}", "a#" };
	str_t id;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		spiffe_facts_t f = { 0 };
		f.selectors = SET(arena_cat(arena, STR("docker:label:app:"), str_of(values[i])));
		assert_int_equal(expand("spiffe://td/{docker.label.app}", &f, &id), ERR_ENTRY_MATCH);
	}
	spiffe_facts_t f = { .selectors = SET(STR("docker:label:app:attorn"), STR("docker:label:dot:.")) };
	assert_int_equal(expand("spiffe://td/{docker.label.app}/node/x", &f, &id), ERR_ENTRY_MATCH); /* reserved */
	assert_int_equal(expand("spiffe://td/.{docker.label.dot}/x", &f, &id), ERR_ENTRY_MATCH);
	/* too long once expanded */
	char label[900], text[1400];
	memset(label, 'l', sizeof label);
	memset(text, 't', sizeof text);
	memcpy(text, "spiffe://td/", 12);
	memcpy(text + sizeof text - 19, "{docker.label.long}", 19);
	f.selectors = SET(arena_cat(arena, STR("docker:label:long:"), str_bytes(label, sizeof label)));
	spiffe_id_t out;
	assert_int_equal(spiffe_template_expand(arena, str_bytes(text, sizeof text), &f, &out), ERR_ENTRY_MATCH);
}

/* --- documents ---------------------------------------------------------------------------------------------- */

static err_t read_entry(const char *text, spiffe_entry_t *out)
{
	const json_t *obj = NULL;
	diag_t diag = { 0 };

	assert_int_equal(json_parse_object(arena, str_of(text), &obj, NULL), OK);
	err_t e = spiffe_entry_read(arena, obj, STR("td"), out, &diag);
	assert_true(e == OK || diag.text[0] || e == ERR_VALUE || e == ERR_MISSING_MEMBER);
	return e;
}

#define WHOLE                                                                                      \
	"{\"id\":\"main\",\"selectors\":[\"unix:path:/b\",\"unix:uid:1\"],\"spiffe_id\":\"spiffe://td/x/{unix.uid}\","                \
	"\"parent\":\"spiffe://td/attorn/node/local\",\"x509_ttl\":20,\"jwt_ttl\":5,\"hint\":\"h\",\"priority\":-3,"                  \
	"\"dns_names\":[\"a.b\"],\"expires_at\":2000000000,\"jwt_jti\":true,\"federates_with\":[\"other.test\"],"                     \
	"\"scope\":\"tree\",\"runner\":{\"selectors\":[\"unix:uid:9\"],\"grant\":\"required\"}}"

static void entries_survive_a_round_trip(void **state)
{
	AUTO(buf_done) buf_t b;
	spiffe_entry_t e;
	jw_t w;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(read_entry(WHOLE, &e), OK);
	assert_true(e.x509_ttl_s == 20 && e.jwt_ttl_s == 5 && e.priority == -3 && e.jwt_jti && e.has_runner);
	assert_true(e.scope == SPIFFE_SCOPE_TREE && e.runner_grant == SPIFFE_GRANT_REQUIRED && e.n_dns_names == 1);
	jw_init(&w, &b);
	spiffe_entry_write(&w, &e);
	assert_int_equal(jw_finish(&w), OK);
	assert_true(str_eq(buf_str(&b), STR(WHOLE)));
	const char *least = "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"]}";
	assert_int_equal(read_entry(least, &e), OK);
	buf_clear(&b);
	jw_init(&w, &b);
	spiffe_entry_write(&w, &e);
	assert_int_equal(jw_finish(&w), OK);
	assert_true(str_eq(buf_str(&b), str_of(least)));
}

/* L10: each member alone comes back alone. */
static void l10_each_member_alone(void **state)
{
	static const char *const members[] = { "\"spiffe_id\":\"spiffe://td/x\"", "\"parent\":\"spiffe://td/n\"",
		"\"x509_ttl\":20", "\"jwt_ttl\":5", "\"hint\":\"h\"", "\"priority\":1", "\"dns_names\":[\"a\"]",
		"\"expires_at\":9", "\"jwt_jti\":true", "\"federates_with\":[\"o\"]", "\"scope\":\"tree\"",
		"\"runner\":{\"selectors\":[\"unix:uid:9\"]}", "\"runner\":{\"selectors\":[\"unix:uid:9\"],\"grant\":\"optional\"}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		AUTO(buf_done) buf_t b;
		spiffe_entry_t e;
		jw_t w;

		buf_init(&b, 4096);
		str_t text = arena_printf(arena, "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"],%s}", members[i]);
		const char *c = NULL;
		assert_int_equal(arena_cstr(arena, text, &c), OK);
		assert_int_equal(read_entry(c, &e), OK);
		jw_init(&w, &b);
		spiffe_entry_write(&w, &e);
		assert_int_equal(jw_finish(&w), OK);
		assert_true(str_eq(buf_str(&b), text));
	}
}

static void entries_that_are_refused(void **state)
{
	static const struct {
		const char *member;
		err_t expected;
	} rows[] = {
		{ "\"x509_ttl\":4", ERR_VALUE }, { "\"x509_ttl\":86401", ERR_NUMBER }, { "\"jwt_ttl\":-1", ERR_NUMBER },
		{ "\"spiffe_id\":\"spiffe://other/x\"", ERR_SPIFFE_ID }, { "\"spiffe_id\":\"spiffe://td\"", ERR_SPIFFE_ID },
		{ "\"spiffe_id\":\"spiffe://td/attorn/x\"", ERR_SPIFFE_ID }, { "\"spiffe_id\":\"spiffe://td/../x\"", ERR_SPIFFE_ID },
		{ "\"spiffe_id\":\"spiffe://tdx/x\"", ERR_SPIFFE_ID }, { "\"spiffe_id\":\"x\"", ERR_SPIFFE_ID },
		{ "\"parent\":\"spiffe://other/n\"", ERR_SPIFFE_ID }, { "\"parent\":\"spiffe://td\"", ERR_SPIFFE_ID },
		{ "\"dns_names\":[\"*\"]", ERR_VALUE }, { "\"dns_names\":[\"a\",\"a\"]", ERR_DUPLICATE },
		{ "\"dns_names\":\"a\"", ERR_VALUE }, { "\"federates_with\":[\"spiffe://o\"]", ERR_VALUE },
		{ "\"scope\":\"all\"", ERR_VALUE }, { "\"runner\":{}", ERR_VALUE }, { "\"runner\":{\"selectors\":[]}", ERR_SELECTOR },
		{ "\"runner\":{\"selectors\":[\"unix:uid:9\"],\"grant\":\"maybe\"}", ERR_VALUE },
		{ "\"runner\":{\"selectors\":[\"unix:uid:9\"],\"x\":1}", ERR_UNKNOWN_MEMBER },
		{ "\"admin\":true", ERR_UNKNOWN_MEMBER }, { "\"jwt_jti\":1", ERR_VALUE }, { "\"priority\":1.5", ERR_NUMBER },
	};
	static const char *const whole[] = { "{\"id\":\"a\"}", "{\"selectors\":[\"unix:uid:1\"]}", "{\"id\":\"a\",\"selectors\":[]}",
		"{\"id\":\"a\",\"selectors\":[\"uid\"]}", "{\"id\":\"a\",\"selectors\":[1]}", "{\"id\":\"A\",\"selectors\":[\"a:b\"]}",
		"{\"id\":\"-a\",\"selectors\":[\"a:b\"]}", "{\"id\":\"a#b\",\"selectors\":[\"a:b\"]}", "{\"id\":\"\",\"selectors\":[\"a:b\"]}" };
	spiffe_entry_t e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *c = NULL;
		str_t text = arena_printf(arena, "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"],%s}", rows[i].member);
		assert_int_equal(arena_cstr(arena, text, &c), OK);
		if (read_entry(c, &e) != rows[i].expected) {
			fail_msg("%s: %s", rows[i].member, err_info(read_entry(c, &e))->name);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
		assert_int_not_equal(read_entry(whole[i], &e), OK);
	}
}

static void entries_of_one_agent(void **state)
{
	static const struct {
		const char *text;
		err_t expected;
	} rows[] = {
		{ "{\"e\":[]}", OK },
		{ "{\"e\":[{\"id\":\"a\",\"selectors\":[\"a:b\"]},{\"id\":\"b\",\"selectors\":[\"a:b\"]}]}", OK },
		{ "{\"e\":[{\"id\":\"a\",\"selectors\":[\"a:b\"]},{\"id\":\"a\",\"selectors\":[\"a:b\"]}]}", ERR_DUPLICATE },
		{ "{\"e\":{}}", ERR_VALUE }, { "{\"e\":[1]}", ERR_VALUE },
		{ "{\"e\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}", ERR_LIMIT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const json_t *obj = NULL;
		spiffe_entry_t *v = NULL;
		size_t n = 0;
		assert_int_equal(json_parse_object(arena, str_of(rows[i].text), &obj, NULL), OK);
		assert_int_equal(spiffe_entries_read(arena, json_get(obj, STR("e")), STR("td"), &v, &n, NULL), rows[i].expected);
	}
}

/* --- who gets what ---------------------------------------------------------------------------------------- */

static err_t apply(const char *text, const spiffe_facts_t *f, const spiffe_selectors_t *runner, const char *node,
	str_t *out)
{
	spiffe_entry_t e;
	spiffe_id_t id;

	assert_int_equal(read_entry(text, &e), OK);
	TRY(spiffe_entry_apply(arena, &e, STR("spiffe://td/agent/x"), str_of(node), f, runner, 1000, &id));
	*out = id.text;
	return OK;
}

static void entries_give_ids(void **state)
{
	static const char plain[] = "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"]}";
	static const char by_template[] = "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"],\"spiffe_id\":\"spiffe://td/u/{unix.user}\"}";
	static const char parented[] = "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"],\"parent\":\"spiffe://td/n1\"}";
	static const char ended[] = "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"],\"expires_at\":1000}";
	static const char last[] = "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"],\"expires_at\":1001}";
	static const char for_runs[] = "{\"id\":\"a\",\"selectors\":[\"unix:uid:1\"],\"runner\":{\"selectors\":[\"unix:uid:2\"]}}";
	spiffe_selectors_t runner = SET(STR("unix:uid:2"), STR("unix:path:/r")), other = SET(STR("unix:uid:3"));
	spiffe_facts_t f = { .selectors = SET(STR("unix:uid:1"), STR("unix:user:ada")) }, g = f;
	const char *n = "spiffe://td/attorn/node/local";
	str_t id;

	(void)state;
	assert_int_equal(apply(plain, &f, NULL, n, &id), OK);
	assert_true(str_eq(id, STR("spiffe://td/agent/x")));
	assert_int_equal(apply(by_template, &f, NULL, n, &id), OK);
	assert_true(str_eq(id, STR("spiffe://td/u/ada")));
	assert_int_equal(apply(parented, &f, NULL, n, &id), ERR_ENTRY_MATCH);
	assert_int_equal(apply(parented, &f, NULL, "spiffe://td/n1", &id), OK);
	assert_int_equal(apply(ended, &f, NULL, n, &id), ERR_EXPIRED);
	assert_int_equal(apply(last, &f, NULL, n, &id), OK);
	g.selectors = SET(STR("unix:uid:10"));
	assert_int_equal(apply(plain, &g, NULL, n, &id), ERR_ENTRY_MATCH);
	/* runs */
	assert_int_equal(apply(for_runs, &f, NULL, n, &id), ERR_ENTRY_MATCH);
	assert_int_equal(apply(for_runs, &f, &runner, n, &id), ERR_ENTRY_MATCH);
	g = f, g.run_id = STR("r9");
	assert_int_equal(apply(for_runs, &g, NULL, n, &id), ERR_ENTRY_MATCH);
	assert_int_equal(apply(for_runs, &g, &other, n, &id), ERR_ENTRY_MATCH);
	assert_int_equal(apply(for_runs, &g, &runner, n, &id), OK);
	assert_true(str_eq(id, STR("spiffe://td/agent/x/i/r9")));
	g.run_id = STR("../y");
	assert_int_equal(apply(for_runs, &g, &runner, n, &id), ERR_ENTRY_MATCH);
}

static void the_default_comes_first(void **state)
{
	(void)state;
	assert_true(spiffe_entry_order(5, 9, STR("b"), 1, 1, STR("a")) < 0);
	assert_true(spiffe_entry_order(1, 1, STR("b"), 1, 2, STR("a")) < 0);
	assert_true(spiffe_entry_order(1, 1, STR("b"), 1, 1, STR("a")) > 0);
	assert_int_equal(spiffe_entry_order(1, 1, STR("a"), 1, 1, STR("a")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_have_a_form),
		cmocka_unit_test(sets_are_sorted_and_unique),
		cmocka_unit_test(all_must_be_there),
		cmocka_unit_test(templates_have_a_form),
		cmocka_unit_test(templates_take_attested_facts),
		cmocka_unit_test(p2_values_that_want_to_be_somebody_else),
		cmocka_unit_test(entries_survive_a_round_trip),
		cmocka_unit_test(l10_each_member_alone),
		cmocka_unit_test(entries_that_are_refused),
		cmocka_unit_test(entries_of_one_agent),
		cmocka_unit_test(entries_give_ids),
		cmocka_unit_test(the_default_comes_first),
	};

	return cmocka_run_group_tests_name("spiffe_entry", tests, setup, teardown);
}
