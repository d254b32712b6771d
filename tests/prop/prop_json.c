/* Property: our reader and jansson accept the same documents and see the same tree. Documents grow from a
 * grammar; half of them are harmed in a byte or two. ATTORN_SEED=N replays.
 *
 * Where the two differ, and why; all else is a failure:
 *  - numbers: jansson refuses integers beyond 64 bits and reals beyond a double, we keep the lexeme. Such documents
 *    are counted and left out.
 *  - depth: ours ends at 64, jansson's at 2048. The grammar stays below GROW_DEPTH. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "json_oracle.h"
#include "pure/codec/codec.h"

enum { ROUNDS = 60000, GROW_DEPTH = 8, TEXT_BYTES_MAX = 1 << 16 };

typedef struct {
	uint64_t state;
	buf_t *out;
} grow_t;

static uint32_t pick(grow_t *g, uint32_t n) /* xorshift64 */
{
	g->state ^= g->state << 13;
	g->state ^= g->state >> 7;
	g->state ^= g->state << 17;
	return (uint32_t)((g->state >> 24) % n);
}

static void blanks(grow_t *g)
{
	while (pick(g, 6) == 0) {
		buf_byte(g->out, " \t\r\n"[pick(g, 4)]);
	}
}

static const str_t string_parts[] = {
	STR_INIT("a"), STR_INIT("b"), STR_INIT("key"), STR_INIT(" "), STR_INIT("\\n"), STR_INIT("\\\""), STR_INIT("\\\\"), STR_INIT("\\/"),
	STR_INIT("\\u0061"), STR_INIT("\\u00e9"), STR_INIT("\xc3\xa9"), STR_INIT("\xe2\x82\xac"), STR_INIT("\\u20AC"),
	STR_INIT("\xf0\x9f\x98\x80"), STR_INIT("\\ud83d\\ude00"), STR_INIT("\x7f"), STR_INIT("\\b\\f\\r\\t"), STR_INIT("/"),
	/* the last ones make a document invalid */
	STR_INIT("\\ud800"), STR_INIT("\\udc00\\ud800"), STR_INIT("\\u0000"), STR_INIT("\xed\xa0\x80"), STR_INIT("\xc0\xaf"), STR_INIT("\x80"),
	STR_INIT("\x01"), STR_INIT("\\x"), STR_INIT("\xf4\x90\x80\x80"),
};
enum { BAD_PARTS = 9 };

static void grow_string(grow_t *g)
{
	uint32_t n = pick(g, 4);

	buf_byte(g->out, '"');
	for (uint32_t i = 0; i < n; i++) {
		bool bad = pick(g, 400) == 0;
		uint32_t total = ARRAY_LEN(string_parts);
		buf_add(g->out, string_parts[bad ? total - 1 - pick(g, BAD_PARTS) : pick(g, total - BAD_PARTS)]);
	}
	buf_byte(g->out, '"');
}

static void grow_number(grow_t *g)
{
	static const str_t numbers[] = {
		STR_INIT("0"), STR_INIT("-0"), STR_INIT("1"), STR_INIT("-12"), STR_INIT("0.5"), STR_INIT("-0.0"), STR_INIT("1e3"),
		STR_INIT("1E-7"), STR_INIT("2.5e+10"), STR_INIT("9007199254740993"), STR_INIT("9223372036854775807"),
		STR_INIT("1e-400"), STR_INIT("0.1"), STR_INIT("123456789.125"),
		STR_INIT("9223372036854775808"), STR_INIT("1e400"), STR_INIT("01"), STR_INIT("1."), STR_INIT("+1"), STR_INIT("-"),
	};
	bool odd = pick(g, 60) == 0;

	buf_add(g->out, numbers[odd ? 14 + pick(g, 6) : pick(g, 14)]);
}

static void grow(grow_t *g, uint32_t depth);

static void grow_children(grow_t *g, uint32_t depth, bool object)
{
	uint32_t n = pick(g, pick(g, 20) == 0 ? 24 : 4);

	for (uint32_t i = 0; i < n; i++) {
		if (i) {
			buf_byte(g->out, ',');
		}
		blanks(g);
		if (object && n > 3) { /* else nearly all large objects would have a twin */
			buf_printf(g->out, "\"%s%u\"", pick(g, 2) ? "k" : "\\u006b", pick(g, 9) ? i : pick(g, n));
		} else if (object) {
			grow_string(g);
		}
		if (object) {
			blanks(g);
			buf_byte(g->out, ':');
		}
		grow(g, depth + 1);
	}
}

static void grow(grow_t *g, uint32_t depth)
{
	static const str_t words[] = { STR_INIT("true"), STR_INIT("false"), STR_INIT("null") };
	uint32_t kind = pick(g, depth < GROW_DEPTH ? 8 : 4);

	blanks(g);
	if (kind >= 4) {
		bool object = kind >= 6;
		buf_byte(g->out, object ? '{' : '[');
		grow_children(g, depth, object);
		buf_byte(g->out, object ? '}' : ']');
	} else if (kind == 3) {
		buf_add(g->out, words[pick(g, 3)]);
	} else if (kind == 2) {
		grow_number(g);
	} else {
		grow_string(g);
	}
	blanks(g);
}

static void harm(grow_t *g)
{
	static const char bytes[] = "{}[]:,\"\\ 0e.-\x80u";
	buf_t *b = g->out;

	for (uint32_t i = 0; i <= pick(g, 2) && b->n; i++) {
		uint32_t at = pick(g, (uint32_t)b->n);
		switch (pick(g, 3)) {
		case 0:
			b->p[at] = bytes[pick(g, sizeof(bytes) - 1)];
			break;
		case 1:
			memmove(b->p + at, b->p + at + 1, b->n - at - 1);
			b->n--;
			break;
		default:
			b->n = pick(g, 8) ? b->n : at;
		}
	}
}

static void dump_number(buf_t *out, str_t lexeme)
{
	char text[64] = { 0 };

	assert_true(lexeme.n < sizeof(text));
	memcpy(text, lexeme.p, lexeme.n);
	if (strpbrk(text, ".eE")) {
		buf_printf(out, "r%a ", strtod(text, NULL));
	} else {
		buf_printf(out, "i%lld ", strtoll(text, NULL, 10));
	}
}

/* Preorder is the order of the nodes; no walk is needed. */
static void dump(buf_t *out, const json_t *root)
{
	for (uint32_t i = 0; i < root->skip; i++) {
		const json_t *n = root + i;
		str_t text = STR_NULL;
		if (n->key_p) {
			buf_printf(out, "k%u:", n->key_n);
			buf_add(out, json_key(n));
			buf_byte(out, ' ');
		}
		switch (json_kind(n)) {
		case JSON_OBJECT:
			buf_printf(out, "{%u ", json_count(n));
			break;
		case JSON_ARRAY:
			buf_printf(out, "[%u ", json_count(n));
			break;
		case JSON_STRING:
			assert_int_equal(json_str(n, &text), OK);
			buf_printf(out, "s%zu:", text.n);
			buf_add(out, text);
			break;
		case JSON_NUMBER:
			dump_number(out, json_raw(n));
			break;
		default:
			buf_byte(out, json_raw(n).p[0]);
			buf_byte(out, ' ');
		}
	}
}

static uint64_t seed_of_run(void)
{
	const char *given = getenv("ATTORN_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec + 1;
}

static void same_documents_same_trees(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_done) buf_t text = { 0 };
	AUTO(buf_done) buf_t ours = { 0 };
	AUTO(buf_done) buf_t theirs = { 0 };
	uint64_t seed = seed_of_run();
	grow_t g = { .state = seed ? seed : 1, .out = &text };
	int accepted = 0, left_out = 0;

	(void)state;
	printf("# seed %llu (ATTORN_SEED replays)\n", (unsigned long long)seed);
	buf_init(&text, TEXT_BYTES_MAX);
	buf_init(&ours, 8 * TEXT_BYTES_MAX);
	buf_init(&theirs, 8 * TEXT_BYTES_MAX);
	for (int round = 0; round < ROUNDS; round++) {
		const json_t *root;
		arena_reset(a);
		buf_clear(&text);
		buf_clear(&ours);
		buf_clear(&theirs);
		grow(&g, 0);
		if (pick(&g, 2)) {
			harm(&g);
		}
		oracle_t they = oracle_read(buf_str(&text), &theirs);
		bool we = json_parse(a, buf_str(&text), NULL, &root, NULL) == OK;
		if (they == ORACLE_NUMBER) {
			left_out++;
			continue;
		}
		if (we) {
			accepted++;
			dump(&ours, root);
		}
		if (we != (they == ORACLE_ACCEPTED) || !str_eq(buf_str(&ours), buf_str(&theirs))) {
			fail_msg("seed %llu round %d: we %s, jansson %s: %.*s", (unsigned long long)seed, round,
				we ? "accept" : "refuse", they == ORACLE_ACCEPTED ? "accepts" : "refuses",
				STR_ARG(buf_str(&text)));
		}
	}
	printf("# %d documents, %d accepted, %d left out for a number\n", ROUNDS, accepted, left_out);
	assert_true(accepted > ROUNDS * 3 / 10 && ROUNDS - accepted - left_out > ROUNDS / 10); /* both sides are walked */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_documents_same_trees) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
