/* rule.c: what a grant allows, in one line a person can type:
 *     ROUTE TOOL [ARG=KIND:VALUE]...           invoices read_text_file path=under:/srv/invoices
 *     ROUTE METHOD /PATH [ARG=KIND:VALUE]...   tickets POST /tickets title=matches:'[A-Za-z ]{1,80}'
 * KIND: equals, one_of (a,b,c or a JSON array), range (1..5), under, url_in, host_is, matches. Words may be
 * quoted. What the kinds mean is checked by whoever parses the bounds. */
#include "app/cli/rule.h"

enum { WORDS_MAX = 32, METHOD_LETTERS_MAX = 16 };

typedef struct {
	str_t words[WORDS_MAX];
	size_t n;
} words_t;

/* Splits at blanks; '...' and "..." keep blanks, also inside a word. */
static err_t words_split(arena_t *a, str_t line, words_t *out)
{
	AUTO(buf_done) buf_t b;
	char quote = 0;
	bool open = false;

	buf_init(&b, line.n + 1);
	out->n = 0;
	for (size_t i = 0; i <= line.n; i++) {
		char ch = i < line.n ? line.p[i] : ' ';
		if (quote ? ch == quote : ch == '\'' || ch == '"') {
			quote = quote ? 0 : ch;
			open = true;
		} else if (!quote && (ch == ' ' || ch == '\t' || ch == '\n')) {
			ENSURE(out->n < WORDS_MAX, ERR_LIMIT);
			if (open || b.n) {
				out->words[out->n++] = arena_str(a, buf_str(&b));
			}
			buf_clear(&b);
			open = false;
		} else {
			buf_byte(&b, ch);
		}
	}
	ENSURE(!quote, ERR_SYNTAX);
	return OK;
}

/* a,b,c are texts; values that are none, or hold a comma, come as a JSON array. */
static void list_write(jw_t *w, arena_t *a, str_t value)
{
	const json_t *node;
	str_t piece;

	if (str_starts(value, STR("[")) && json_parse(a, value, NULL, &node, NULL) == OK) {
		jw_kraw(w, "value", json_raw(node));
		return;
	}
	jw_karray(w, "value");
	while (str_split(&value, ',', &piece)) {
		jw_str(w, piece);
	}
	jw_end(w);
}

static err_t range_write(jw_t *w, arena_t *a, str_t value)
{
	size_t dot = str_find(value, '.');
	str_t low = str_sub(value, 0, dot), high = str_sub(value, dot + 2, value.n);
	const json_t *node;
	int64_t min, max;

	ENSURE(str_starts(str_sub(value, dot, 2), STR("..")), ERR_SYNTAX);
	TRY(json_parse(a, low, NULL, &node, NULL));
	TRY(json_i64(node, &min));
	TRY(json_parse(a, high, NULL, &node, NULL));
	TRY(json_i64(node, &max));
	jw_kobject(w, "value");
	jw_ki64(w, "max", max);
	jw_ki64(w, "min", min);
	jw_end(w);
	return OK;
}

static err_t value_write(jw_t *w, arena_t *a, str_t kind, str_t value)
{
	if (str_eq(kind, STR("range"))) {
		return range_write(w, a, value);
	}
	if (str_eq(kind, STR("one_of")) || str_eq(kind, STR("url_in")) || str_eq(kind, STR("host_is"))) {
		list_write(w, a, value);
		return OK;
	}
	if (str_eq(kind, STR("equals"))) { /* a JSON value if it is one, else the text */
		const json_t *node;
		if (json_parse(a, value, NULL, &node, NULL) == OK) {
			jw_kraw(w, "value", json_raw(node));
			return OK;
		}
	}
	jw_kstr(w, "value", value);
	return OK;
}

static err_t constraint_write(jw_t *w, arena_t *a, str_t word)
{
	size_t eq = str_find(word, '='), colon;
	str_t arg = str_sub(word, 0, eq), rest = str_sub(word, eq + 1, word.n), kind;

	colon = str_find(rest, ':');
	ENSURE(eq < word.n && colon < rest.n && arg.n, ERR_SYNTAX);
	kind = str_sub(rest, 0, colon);
	kind = str_eq(kind, STR("under")) ? STR("path_under") : kind;
	jw_object(w);
	jw_kstr(w, "arg", arg.p[0] == '/' ? arg : arena_cat(a, STR("/"), arg));
	jw_kstr(w, "kind", kind);
	TRY(value_write(w, a, kind, str_sub(rest, colon + 1, rest.n)));
	jw_end(w);
	return OK;
}

static bool is_method(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 'A' || s.p[i] > 'Z') {
			return false;
		}
	}
	return s.n > 0 && s.n <= METHOD_LETTERS_MAX;
}

static err_t item_write(jw_t *w, arena_t *a, str_t gateway_url, const words_t *words)
{
	bool http = words->n >= 3 && is_method(words->words[1]) && str_starts(words->words[2], STR("/"));

	jw_object(w);
	jw_kstr(w, "type", http ? STR("http_request") : STR("mcp_tool_call"));
	jw_kstr(w, "server", arena_cat(a, gateway_url, STR("/r/"), words->words[0]));
	if (http) {
		jw_kstr(w, "method", words->words[1]);
		jw_kstr(w, "path", words->words[2]);
	} else {
		jw_kstr(w, "tool", words->words[1]);
	}
	jw_karray(w, "constraints");
	for (size_t i = http ? 3 : 2; i < words->n; i++) {
		TRY(constraint_write(w, a, words->words[i]));
	}
	jw_end(w);
	jw_end(w);
	return OK;
}

err_t cli_rule_write(jw_t *w, arena_t *a, str_t gateway_url, str_t line, cli_rule_t *out)
{
	words_t words;

	ENSURE(line.n <= CLI_ARG_BYTES_MAX, ERR_LIMIT);
	TRY(words_split(a, line, &words));
	ENSURE(words.n >= 2, ERR_SYNTAX);
	out->route = words.words[0];
	out->is_http = words.n >= 3 && is_method(words.words[1]) && str_starts(words.words[2], STR("/"));
	out->tool = words.words[1];
	out->path = out->is_http ? words.words[2] : STR_NULL;
	return item_write(w, a, gateway_url, &words);
}

err_t cli_duration_s(str_t text, int64_t *out_s)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(units) && text.n > 1; i++) {
		if (text.p[text.n - 1] == units[i].unit) {
			TRY(str_to_u64(str_sub(text, 0, text.n - 1), CLI_DURATION_MAX, &n));
			ENSURE(n > 0, ERR_VALUE);
			*out_s = (int64_t)n * units[i].seconds;
			return OK;
		}
	}
	return ERR_SYNTAX;
}
