/* The option table, durations, safe printing: what a person types and what a terminal gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "app/cli/rule.h"
#include "app/cli/verbs.h"

/* Parses `line`, split at blanks, with the verb's table; the exit status, the row and what was set. */
typedef struct {
	cli_t c;
	const cli_word_t *word;
	int status;
	char text[512];
} typed_t;

static void type(typed_t *t, const char *verb_name, const char *line)
{
	char *argv[64];
	int argc = 0;
	const cli_verb_t *verb = cli_verbs;

	*t = (typed_t){ 0 };
	snprintf(t->text, sizeof(t->text), "%s %s", verb_name, line);
	for (char *p = t->text; *p && argc < 63;) {
		argv[argc++] = p;
		p += strcspn(p, " ");
		while (*p == ' ') {
			*p++ = '\0';
		}
	}
	argv[argc] = NULL;
	while (verb->name && strcmp(verb->name, verb_name) != 0) {
		verb++;
	}
	assert_non_null(verb->name);
	t->status = cli_words_parse(&t->c, verb, argc, argv, &t->word);
}

static void typed(const char *verb, const char *line, int status)
{
	typed_t t;

	type(&t, verb, line);
	if (t.status != status) {
		print_message("%s %s: %d\n", verb, line, t.status);
	}
	assert_int_equal(t.status, status);
}

static void test_rows(void **state)
{
	typed_t t;

	type(&t, "agent", "register scout --key a.pub --owner alice --scope a:b --scope c:d --depth 2");
	assert_int_equal(t.status, EXIT_DONE);
	assert_string_equal(t.word->word, "register");
	assert_string_equal(t.c.args[0], "scout");
	assert_string_equal(t.c.key, "a.pub");
	assert_string_equal(t.c.owner, "alice");
	assert_int_equal(t.c.n_scopes, 2);
	assert_true(str_eq(t.c.scopes[1], STR("c:d")));
	assert_int_equal(t.c.depth, 2);

	type(&t, "agent", "--json register -d /w scout"); /* options may stand anywhere */
	assert_int_equal(t.status, EXIT_DONE);
	assert_true(t.c.json);
	assert_string_equal(t.c.dir, "/w");

	type(&t, "mcp", "invoices --grant G");
	assert_int_equal(t.status, EXIT_DONE);
	assert_string_equal(t.word->word, "");
	assert_string_equal(t.c.grant, "G");

	type(&t, "ledger", "export --from 0 --to 9007199254740991 --out x");
	assert_int_equal(t.status, EXIT_DONE);
	assert_true(t.c.has_to && t.c.to == JSON_SAFE_INT_MAX && t.c.from == 0);

	type(&t, "agent", "--help");
	assert_true(t.status == EXIT_DONE && t.word == NULL);
	type(&t, "agent", "show --usage");
	assert_true(t.status == EXIT_DONE && t.word == NULL);

	type(&t, "agent", "show -- --json");
	assert_true(t.status == EXIT_DONE && !t.c.json);
	assert_string_equal(t.c.args[0], "--json");
}

static void test_rows_refused(void **state)
{
	typed("agent", "", EXIT_USAGE);
	typed("agent", "regist x", EXIT_USAGE);
	typed("agent", "register", EXIT_USAGE);
	typed("agent", "register a b", EXIT_USAGE);
	typed("agent", "register a --uses 3", EXIT_USAGE); /* not this row's */
	typed("agent", "list --reason x", EXIT_USAGE);
	typed("agent", "register a --nothing", EXIT_USAGE);
	typed("agent", "register a --key", EXIT_USAGE);
	typed("agent", "list --json=yes", EXIT_USAGE);
	typed("agent", "list -k x", EXIT_USAGE); /* no short form */
	typed("grant", "create --uses 0", EXIT_USAGE);
	typed("grant", "create --uses -1", EXIT_USAGE);
	typed("grant", "create --uses 1e3", EXIT_USAGE);
	typed("grant", "create --uses 4294967296", EXIT_USAGE);
	typed("grant", "create --depth 0", EXIT_USAGE);
	typed("ledger", "export --from 9007199254740992", EXIT_USAGE);
	typed("ledger", "export --from +1", EXIT_USAGE);
	typed("status", "more", EXIT_USAGE);
	typed("explain", "a b", EXIT_USAGE);
	typed("mcp", "", EXIT_USAGE);
	typed("http", "tickets POST", EXIT_USAGE);
	typed("user", "list 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", EXIT_USAGE);
}

static void test_lists_have_a_bound(void **state)
{
	const cli_option_t *o = cli_option('c');
	cli_t c = { 0 };

	for (int i = 0; i < CLI_LIST_MAX; i++) {
		assert_null(cli_option_set(&c, o, "a:b"));
	}
	assert_non_null(cli_option_set(&c, o, "a:b"));
	assert_int_equal(c.n_scopes, CLI_LIST_MAX);
}

static void test_long_words(void **state)
{
	static char longest[CLI_ARG_BYTES_MAX + 2], name[] = "agent", word[] = "show", option[] = "--key";
	char *bare[] = { name, word, longest, NULL }, *valued[] = { name, word, option, longest, NULL };
	const cli_word_t *row;
	cli_t c = { 0 };

	memset(longest, 'x', CLI_ARG_BYTES_MAX);
	assert_int_equal(cli_words_parse(&c, &cli_verbs[3], 3, bare, &row), EXIT_DONE);
	longest[CLI_ARG_BYTES_MAX] = 'x';
	c = (cli_t){ 0 };
	assert_int_equal(cli_words_parse(&c, &cli_verbs[3], 3, bare, &row), EXIT_USAGE);
	assert_int_equal(cli_words_parse(&c, &cli_verbs[3], 4, valued, &row), EXIT_USAGE);
}

/* The tables are the help: every row is whole, every letter is an option, no option twice. */
static void test_tables(void **state)
{
	for (const cli_option_t *o = cli_options; o->name; o++) {
		assert_true(o->help && o->help[0]);
		assert_true(cli_option(o->letter) == o);
		for (const cli_option_t *p = cli_options; p < o; p++) {
			assert_string_not_equal(p->name, o->name);
		}
	}
	for (const cli_verb_t *v = cli_verbs; v->name; v++) {
		assert_true(v->help && v->help[0] && v->words[0].help);
		for (const cli_word_t *w = v->words; w->help; w++) {
			assert_true(w->run && !w->start && w->min_args <= w->max_args && w->max_args <= CLI_ARGS_MAX);
			assert_true(w->word[0] || w == v->words); /* "" is the only row */
			for (const char *p = w->options; *p; p++) {
				assert_non_null(cli_option(*p));
			}
		}
	}
	assert_null(cli_option('?'));
}

/* A text option lands where the table says, and nowhere else. */
static void test_text_options(void **state)
{
	static const struct {
		char letter;
		size_t at;
	} places[] = {
		{ 'd', offsetof(cli_t, dir) }, { 'k', offsetof(cli_t, key) }, { 'a', offsetof(cli_t, agent) },
		{ 'g', offsetof(cli_t, grant) }, { 'P', offsetof(cli_t, passphrase_file) }, { 'v', offsetof(cli_t, vkey) },
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		cli_t c = { 0 }, none = { 0 };
		const char *value = "x", *set;
		assert_null(cli_option_set(&c, cli_option(places[i].letter), value));
		memcpy(&set, (char *)&c + places[i].at, sizeof(set));
		assert_ptr_equal(set, value);
		memset((char *)&c + places[i].at, 0, sizeof(set));
		assert_memory_equal(&c, &none, sizeof(c));
	}
}

static void test_durations(void **state)
{
	int64_t s = -1;

	assert_int_equal(cli_duration_s(STR("90s"), &s), OK);
	assert_int_equal(s, 90);
	assert_int_equal(cli_duration_s(STR("30m"), &s), OK);
	assert_int_equal(s, 1800);
	assert_int_equal(cli_duration_s(STR("1h"), &s), OK);
	assert_int_equal(s, 3600);
	assert_int_equal(cli_duration_s(STR("7d"), &s), OK);
	assert_int_equal(s, 604800);
	s = -1;
	static const char *const bad[] = { "", "s", "h", "1", "0s", "-1h", "+1h", "1 h", " 1h", "1h ", "1.5h", "1w", "1H", "01h",
		"1hh", "1h1", "100001s", "99999999999999999999d", "1e3s", "١h" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_not_equal(cli_duration_s(str_of(bad[i]), &s), OK);
	}
	assert_int_equal(s, -1);
}

static void test_safe(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	static const struct {
		str_t in;
		const char *out;
	} cases[] = {
		{ STR_INIT(""), "" },
		{ STR_INIT("plain ~ text"), "plain ~ text" },
		{ STR_INIT("a\nb\r\tc"), "a\\x0ab\\x0d\\x09c" },
		{ STR_INIT("\x1b[2J\x1b]0;owned\x07"), "\\x1b[2J\\x1b]0;owned\\x07" },
		{ STR_INIT("nul\0end"), "nul\\x00end" },
		{ STR_INIT("\x7f\x80\x9b"), "\\x7f\\x80\\x9b" },
		{ STR_INIT("\xc2\x9b" "31m"), "\\xc2\\x9b31m" }, /* CSI in its 8-bit form */
		{ STR_INIT("\xe2\x80\xae" "gpj"), "\\xe2\\x80\\xaegpj" }, /* right-to-left override */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(str_eq(cli_safe(a, cases[i].in), str_of(cases[i].out)));
	}
}

static void test_member(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *root;
	str_t text = STR("{\"s\":\"a\\u001bb\",\"n\":-1.50,\"b\":true,\"z\":null,\"l\":[1,\"\\u007f\"]}");

	assert_int_equal(json_parse_object(a, text, &root, NULL), OK);
	assert_true(str_eq(cli_member(a, root, "s"), STR("a\\x1bb")));
	assert_true(str_eq(cli_member(a, root, "n"), STR("-1.50")));
	assert_true(str_eq(cli_member(a, root, "b"), STR("true")));
	assert_true(str_eq(cli_member(a, root, "z"), STR("")));
	assert_true(str_eq(cli_member(a, root, "none"), STR("")));
	assert_true(str_eq(cli_member(a, root, "l"), STR("[1,\"\\u007f\"]")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_rows_refused),
		cmocka_unit_test(test_lists_have_a_bound),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_text_options),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_safe),
		cmocka_unit_test(test_member),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
