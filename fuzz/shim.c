/* shim: a client's line becomes one message or none, whatever it is; our answers to it are one line of JSON
 * under its id; an event stream gives the same events however it is cut. */
#include "app/cli/mcp_int.h"

typedef struct {
	buf_t all; /* events, a NUL behind each */
	size_t n;
} events_t;

static err_t keep(str_t data, void *owner)
{
	events_t *e = owner;

	CHECK(data.n > 0);
	buf_add(&e->all, data);
	buf_byte(&e->all, '\0');
	e->n++;
	return buf_err(&e->all);
}

static events_t events_of(str_t text, size_t cut)
{
	events_t e = { 0 };
	mcp_events_t s;

	buf_init(&e.all, 1 << 20);
	mcp_events_init(&s, keep, &e);
	for (size_t at = 0; at < text.n; at += cut) {
		if (mcp_events_take(&s, str_sub(text, at, cut)) != OK) {
			break;
		}
	}
	mcp_events_done(&s);
	return e;
}

static void check_events(str_t text, size_t cut)
{
	events_t whole = events_of(text, text.n + 1), pieces = events_of(text, cut);

	CHECK(whole.n == pieces.n && str_eq(buf_str(&whole.all), buf_str(&pieces.all)));
	buf_done(&whole.all);
	buf_done(&pieces.all);
}

static void check_answer(arena_t *a, str_t text, str_t id)
{
	const json_t *root;

	CHECK(json_parse(a, text, &(json_opts_t){ .object_only = true, .allow_nul = true }, &root, NULL) == OK);
	CHECK(str_eq(json_raw(json_get(root, STR("id"))), id.n ? id : STR("null")));
	CHECK(str_find(text, '\n') == text.n && str_find(text, '\r') == text.n);
	CHECK((json_get(root, STR("error")) != NULL) != (json_get(root, STR("result")) != NULL));
}

static void check_line(arena_t *a, str_t text, str_t said)
{
	mcp_message_t m;
	err_t e = mcp_message_read(a, text, &m);

	CHECK(m.id.n <= CLI_ID_BYTES_MAX);
	if (e != OK) {
		check_answer(a, mcp_error_text(a, m.id, MCP_PARSE, said, STR_NULL, STR_NULL), m.id);
		return;
	}
	CHECK(m.kind && str_eq(m.line, text));
	CHECK((m.kind == MCP_NOTIFICATION) == (m.id.n == 0));
	CHECK(!m.is_call || (m.kind == MCP_REQUEST && m.tool.n));
	CHECK(m.id.n == 0 || mcp_id_same(a, m.id, m.id));
	for (err_t why = OK + 1; why < ERR_COUNT_; why++) {
		check_answer(a, mcp_refusal_text(a, &m, why, said), m.id);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(64 << 20);
	str_t all = str_bytes(data, n), rest = str_sub(all, 1, n);
	size_t line = str_find(rest, '\n');

	if (n == 0) {
		return 0;
	}
	check_events(rest, (data[0] & 63) + 1u);
	check_line(a, str_sub(rest, 0, line), str_sub(rest, line + 1, rest.n));
	return 0;
}
