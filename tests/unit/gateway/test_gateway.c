/* The pure parts of the gateway: messages, sessions, lists, header fields, event streams, the memory of
 * proofs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "service/gateway/headers.h"
#include "service/gateway/limits.h"
#include "service/gateway/list.h"
#include "service/gateway/message.h"
#include "service/gateway/proofs.h"
#include "service/gateway/session.h"
#include "service/gateway/sse.h"

#define NOW 1795000000
#define assert_str(got, want) assert_true(str_eq((got), STR(want)))

static int setup(void **state)
{
	*state = arena_open();
	return crypto_init();
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static err_t read_client(arena_t *a, const char *text, message_t *m)
{
	return message_read(a, str_of(text), MESSAGE_FROM_CLIENT, m, NULL);
}

/* --- messages --------------------------------------------------------------------------------------- */

static void messages_are_classified(void **state)
{
	arena_t *a = *state;
	message_t m;

	assert_int_equal(read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", &m), OK);
	assert_int_equal(m.kind, MESSAGE_REQUEST);
	assert_str(m.id, "1");
	assert_int_equal(read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"ping\"}", &m), OK);
	assert_str(m.id, "\"1\"");
	assert_false(message_id_eq(m.id, STR("1")));
	assert_int_equal(read_client(a, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}", &m), OK);
	assert_int_equal(m.kind, MESSAGE_NOTIFICATION);
	assert_int_equal(read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", &m), OK);
	assert_int_equal(m.kind, MESSAGE_RESPONSE);
	assert_int_equal(
		read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"x\",\"params\":{\"_meta\":{\"progressToken\":\"t\"}}}",
			&m),
		OK);
	assert_str(m.progress_token, "\"t\"");
}

static void what_is_no_message_is_refused(void **state)
{
	static const char *const bad[] = {
		"[]", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", "1", "null", "\"x\"", "{}",
		"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}",
		"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"ping\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"ping\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":null}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"result\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":\"x\"}",
		"{\"jsonrpc\":\"2.0\",\"result\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1}",
	};
	arena_t *a = *state;
	message_t m;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(read_client(a, bad[i], &m), ERR_VALUE);
	}
}

static void parser_tricks_are_refused(void **state)
{
	arena_t *a = *state;
	message_t m;

	assert_int_equal(read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"meth\\u006fd\":\"b\"}", &m),
		ERR_DUPLICATE);
	assert_int_equal(
		read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"x\":{\"y\":1,\"y\":2}}}", &m),
		ERR_DUPLICATE);
	assert_int_equal(read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"} x", &m), ERR_SYNTAX);
	assert_int_not_equal(read_client(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\ud800\"}", &m), OK);
	/* NUL: refused from a client, passed from an upstream (oauth P66) */
	const char *nul = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"x\":\"\\u0000\"}}";
	assert_int_equal(read_client(a, nul, &m), ERR_VALUE);
	assert_int_equal(message_read(a, str_of(nul), MESSAGE_FROM_UPSTREAM, &m, NULL), OK);
}

/* Go's reader takes each of these for the member that we judged. */
static void members_in_another_case_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"PARAMS\":{}}",
		"{\"Params\":{},\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"param\xc5\xbf\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"param\\u017f\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"ID\":2}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"Id\":2}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"Result\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"Name\":\"x\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"argument\xc5\xbf\":{}}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"tas\xe2\x84\xaa\":{}}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"_META\":{}}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"_meta\":{\"ProgressToken\":1}}}",
	};
	static const char *const good[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"names\":1,\"nam\":2,\"x\":{\"Name\":3}}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"arguments\":{\"Name\":1,\"ID\":2}},\"more\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"\":1,\"\xc5\":2}",
	};
	arena_t *a = *state;
	message_t m;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(read_client(a, bad[i], &m), ERR_VALUE);
	}
	for (size_t i = 0; i < ARRAY_LEN(good) - 1; i++) {
		assert_int_equal(read_client(a, good[i], &m), OK);
	}
	assert_int_equal(read_client(a, good[2], &m), ERR_UTF8);
}

static void depth_is_bounded(void **state)
{
	AUTO(buf_done) buf_t b;
	arena_t *a = *state;
	message_t m;

	buf_init(&b, 4096);
	buf_add(&b, STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"x\":"));
	for (int i = 0; i < GATEWAY_JSON_DEPTH_MAX - 1; i++) {
		buf_byte(&b, '[');
	}
	for (int i = 0; i < GATEWAY_JSON_DEPTH_MAX - 1; i++) {
		buf_byte(&b, ']');
	}
	buf_add(&b, STR("}}"));
	assert_int_equal(message_read(a, buf_str(&b), MESSAGE_FROM_CLIENT, &m, NULL), ERR_LIMIT);
}

static void splices_touch_nothing_else(void **state)
{
	AUTO(buf_done) buf_t b;
	arena_t *a = *state;
	message_t m;

	buf_init(&b, 4096);
	assert_int_equal(read_client(a,
				 "{ \"params\":{\"_meta\":{\"progressToken\":\"p\"},\"n\":1e400,\"m\":-0},\"id\": \"q\" ,"
				 "\"jsonrpc\":\"2.0\",\"method\":\"x\"}",
				 &m),
		OK);
	message_edit_t edits[] = { { m.id, STR("77") }, { m.progress_token, STR("77") } };
	assert_int_equal(message_splice(&b, m.text, edits, 2), OK);
	assert_str(buf_str(&b),
		"{ \"params\":{\"_meta\":{\"progressToken\":77},\"n\":1e400,\"m\":-0},\"id\": 77 ,"
		"\"jsonrpc\":\"2.0\",\"method\":\"x\"}");
}

/* --- lists ---------------------------------------------------------------------------------------------- */

static bool shows_a_and_c(const void *owner, str_t tool)
{
	(void)owner;
	return str_eq(tool, STR("a")) || str_eq(tool, STR("c"));
}

static void lists_keep_bytes_and_cursor(void **state)
{
	AUTO(buf_done) buf_t b;
	arena_t *a = *state;
	message_t m;

	buf_init(&b, 4096);
	assert_int_equal(message_read(a,
				 STR("{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"nextCursor\":\"z\",\"tools\":["
				     "{\"name\":\"a\", \"inputSchema\":{\"max\":1e400}},{\"name\":\"b\"},{\"nam\":\"c\"},7,"
				     "{\"title\":\"C\",\"name\":\"c\"}]}}"),
				 MESSAGE_FROM_UPSTREAM, &m, NULL),
		OK);
	assert_int_equal(list_filter(&m, shows_a_and_c, NULL, &b), OK);
	assert_str(buf_str(&b),
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"nextCursor\":\"z\",\"tools\":["
		"{\"name\":\"a\", \"inputSchema\":{\"max\":1e400}},{\"title\":\"C\",\"name\":\"c\"}]}}");
}

static void a_list_without_tools_is_none(void **state)
{
	AUTO(buf_done) buf_t b;
	arena_t *a = *state;
	message_t m;

	buf_init(&b, 4096);
	assert_int_equal(message_read(a, STR("{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"tools\":{}}}"),
				 MESSAGE_FROM_UPSTREAM, &m, NULL),
		OK);
	assert_int_equal(list_filter(&m, shows_a_and_c, NULL, &b), ERR_UPSTREAM);
}

static void initialize_shows_only_what_is_relayed(void **state)
{
	AUTO(buf_done) buf_t b;
	arena_t *a = *state;
	const json_t *r;

	buf_init(&b, 4096);
	assert_int_equal(json_parse_object(a,
				 STR("{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true},"
				     "\"resources\":{},\"logging\":{}},\"serverInfo\":{\"name\":\"s\"},\"instructions\":\"i\"}"),
				 &r, NULL),
		OK);
	assert_int_equal(list_initialize_result(r, STR("2025-03-26"), &b), OK);
	assert_str(buf_str(&b),
		"{\"serverInfo\":{\"name\":\"s\"},\"instructions\":\"i\",\"protocolVersion\":\"2025-03-26\","
		"\"capabilities\":{\"tools\":{}}}");
	buf_clear(&b);
	assert_int_equal(json_parse_object(a, STR("{\"capabilities\":{\"sampling\":{}},\"clientInfo\":{\"name\":\"long\"}}"),
				 &r, NULL),
		OK);
	assert_int_equal(list_initialize_params(r, STR("2025-11-25"), 4, &b), OK);
	assert_str(buf_str(&b),
		"{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"client\",\"version\":\"0\"}}");
}

/* --- sessions ---------------------------------------------------------------------------------------------- */

static const char key_bytes[32] = "0123456789abcdef0123456789abcdef";
#define KEY str_bytes(key_bytes, 32)

static session_t session_of(void)
{
	return (session_t){ .sub = STR("u:1"), .client = STR("spiffe://td/agent/a"), .grant = STR("G"),
		.route = STR("r"), .upstream_sid = STR("up"), .version = STR("2025-11-25"), .init = STR("{\"a\":1}"),
		.iat = NOW };
}

static void sessions_open_where_they_belong(void **state)
{
	arena_t *a = *state;
	session_t s = session_of(), o;
	delegation_claims_t c = { .sub = STR("u:1"), .client_id = STR("spiffe://td/agent/a"), .grant = STR("G") };
	str_t text;

	assert_int_equal(session_seal(a, KEY, &s, &text), OK);
	assert_true(str_is_visible(text));
	assert_int_equal(session_open(a, KEY, text, NOW + 10, &o), OK);
	assert_str(o.upstream_sid, "up");
	assert_str(o.init, "{\"a\":1}");
	assert_int_equal(o.id.n, 32);
	assert_int_equal(session_check(&o, &c, STR("r")), OK);
	assert_int_equal(session_check(&o, &c, STR("other")), ERR_SESSION);
	c.grant = STR("H");
	assert_int_equal(session_check(&o, &c, STR("r")), ERR_SESSION);
	c.grant = STR("G");
	c.sub = STR("u:2");
	assert_int_equal(session_check(&o, &c, STR("r")), ERR_SESSION);
	c.sub = STR("u:1");
	c.client_id = STR("spiffe://td/agent/b");
	assert_int_equal(session_check(&o, &c, STR("r")), ERR_SESSION);
}

static void forged_and_old_sessions_are_unknown(void **state)
{
	arena_t *a = *state;
	session_t s = session_of(), o;
	str_t text;

	assert_int_equal(session_seal(a, KEY, &s, &text), OK);
	for (size_t i = 0; i < text.n; i++) {
		char *copy = arena_alloc(a, text.n);
		memcpy(copy, text.p, text.n);
		copy[i] = copy[i] == 'A' ? 'B' : 'A';
		assert_int_equal(session_open(a, KEY, str_bytes(copy, text.n), NOW, &o), ERR_SESSION);
	}
	assert_int_equal(session_open(a, KEY, str_sub(text, 0, text.n - 1), NOW, &o), ERR_SESSION);
	assert_int_equal(session_open(a, KEY, STR(""), NOW, &o), ERR_SESSION);
	assert_int_equal(session_open(a, STR("0123456789abcdef0123456789abcdeF"), text, NOW, &o), ERR_SESSION);
	assert_int_equal(session_open(a, KEY, text, NOW + GATEWAY_SESSION_S_MAX, &o), ERR_SESSION);
	assert_int_equal(session_open(a, KEY, text, NOW - GATEWAY_LEEWAY_S - 1, &o), ERR_SESSION);
}

/* --- header fields ------------------------------------------------------------------------------------------ */

static bool has(net_headers_t h, const char *name)
{
	str_t value;

	return net_headers_get(h, str_of(name), &value) != ERR_NOT_FOUND;
}

static void nothing_of_the_client_identifies_it_upstream(void **state)
{
	arena_t *a = *state;
	net_headers_t out;
	str_t value;
	const net_headers_t in = NET_HEADERS({ STR("authorization"), STR("DPoP t") }, { STR("DPoP"), STR("p") },
		{ STR("Cookie"), STR("c") }, { STR("Forwarded"), STR("f") }, { STR("X-Forwarded-For"), STR("x") },
		{ STR("X-HTTP-Method-Override"), STR("DELETE") }, { STR("x-api-key"), STR("mine") },
		{ STR("Origin"), STR("o") }, { STR("Connection"), STR("accept-language") },
		{ STR("Accept-Language"), STR("l") }, { STR("Content-Type"), STR("application/json") },
		{ STR("Idempotency-Key"), STR("k") });

	assert_int_equal(headers_to_upstream(a, in, (net_header_t){ STR("X-Api-Key"), STR("secret") }, &out), OK);
	assert_int_equal(out.n, 3);
	assert_int_equal(net_headers_get(out, STR("x-api-key"), &value), OK);
	assert_str(value, "secret");
	assert_true(has(out, "content-type") && has(out, "idempotency-key"));
	assert_false(has(out, "authorization") || has(out, "accept-language"));
	/* a credential in a field that clients may use: theirs is dropped */
	assert_int_equal(headers_to_upstream(a, in, (net_header_t){ STR("Idempotency-Key"), STR("s") }, &out), OK);
	assert_int_equal(net_headers_get(out, STR("idempotency-key"), &value), OK);
	assert_str(value, "s");
}

static void a_repeated_field_does_not_pass(void **state)
{
	arena_t *a = *state;
	net_headers_t out;
	const net_headers_t in = NET_HEADERS({ STR("Content-Type"), STR("a/b") }, { STR("content-type"), STR("c/d") });

	assert_int_equal(headers_to_upstream(a, in, (net_header_t){ 0 }, &out), ERR_DUPLICATE);
}

static void nothing_of_upstreams_own_reaches_the_client(void **state)
{
	arena_t *a = *state;
	net_headers_t out;
	const net_headers_t in = NET_HEADERS({ STR("Content-Type"), STR("text/plain") }, { STR("Set-Cookie"), STR("c") },
		{ STR("WWW-Authenticate"), STR("Bearer") }, { STR("x-api-key"), STR("secret") },
		{ STR("Access-Control-Allow-Origin"), STR("*") }, { STR("Cache-Control"), STR("public") },
		{ STR("Transfer-Encoding"), STR("chunked") }, { STR("ETag"), STR("e") });

	assert_int_equal(headers_to_client(a, in, STR("X-Api-Key"), &out), OK);
	assert_int_equal(out.n, 2);
	assert_true(has(out, "content-type") && has(out, "etag"));
}

/* --- event streams --------------------------------------------------------------------------------------------- */

typedef struct {
	buf_t raw, data;
	size_t n;
} events_t;

static err_t event_note(void *owner, str_t raw, str_t data)
{
	events_t *e = owner;

	buf_add(&e->raw, raw);
	buf_add(&e->data, data);
	buf_byte(&e->data, '|');
	e->n++;
	return OK;
}

static void events_are_the_same_in_any_pieces(void **state)
{
	static const str_t text = STR_INIT(
		"event: message\nid: 1\ndata: {\"a\":\ndata: 1}\n\n: ping\n\nid: 2\r\ndata:x\r\n\r\ndata: y\r\rretry: 5\n\ndat: z\n\ncut");
	arena_t *a = *state;

	for (size_t step = 1; step <= text.n; step++) {
		events_t e = { .n = 0 };
		sse_reader_t r;
		buf_init(&e.raw, 4096);
		buf_init(&e.data, 4096);
		sse_reader_init(a, &r, 4096);
		for (size_t at = 0; at < text.n; at += step) {
			assert_int_equal(sse_feed(&r, str_sub(text, at, step), event_note, &e), OK);
		}
		assert_int_equal(e.n, 6);
		assert_str(buf_str(&e.data), "{\"a\":\n1}||x|y|||");
		assert_true(str_eq(buf_str(&e.raw), str_sub(text, 0, text.n - 3)));
		buf_done(&e.raw);
		buf_done(&e.data);
	}
}

static void an_endless_event_is_refused(void **state)
{
	arena_t *a = *state;
	events_t e = { .n = 0 };
	sse_reader_t r;

	sse_reader_init(a, &r, 64);
	assert_int_equal(sse_feed(&r, STR("data: 0123456789012345678901234567890123456789\n"), event_note, &e), OK);
	assert_int_equal(sse_feed(&r, STR("data: 0123456789012345678901234567890123456789\n"), event_note, &e), ERR_LIMIT);
}

/* --- proofs ---------------------------------------------------------------------------------------------------- */

static void a_proof_opens_once(void **state)
{
	proofs_t *p = proofs_new(90, 1000);

	(void)state;
	assert_int_equal(proofs_take(p, STR("k"), STR("j"), NOW), OK);
	assert_int_equal(proofs_take(p, STR("k"), STR("j"), NOW), ERR_REPLAY);
	assert_int_equal(proofs_take(p, STR("k2"), STR("j"), NOW), OK);
	assert_int_equal(proofs_take(p, STR("k"), STR("j"), NOW + 89), ERR_REPLAY);
	/* taken just before the halves turn: still known for a whole window */
	assert_int_equal(proofs_take(p, STR("k"), STR("late"), NOW + 89), OK);
	assert_int_equal(proofs_take(p, STR("k"), STR("other"), NOW + 90), OK);
	assert_int_equal(proofs_take(p, STR("k"), STR("late"), NOW + 179), ERR_REPLAY);
	proofs_free(p);
}

static void a_full_memory_refuses_and_forgets_nothing(void **state)
{
	arena_t *a = *state;
	proofs_t *p = proofs_new(90, 100);

	for (int i = 0; i < 100; i++) {
		assert_int_equal(proofs_take(p, STR("k"), arena_printf(a, "%d", i), NOW), OK);
	}
	assert_int_equal(proofs_take(p, STR("k"), STR("one more"), NOW), ERR_THROTTLED);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(proofs_take(p, STR("k"), arena_printf(a, "%d", i), NOW), ERR_REPLAY);
	}
	assert_int_equal(proofs_take(p, STR("k"), STR("one more"), NOW + 90), OK);
	proofs_free(p);
}

/* What a reader of streams could take for more than we judged does not pass. */
static void events_are_written_anew(void **state)
{
	static const char *const rows[][3] = {
		{ "event: message\nid: 7\nretry: 10\ndata: {}\n\n", "{}", "event: message\nid: 7\nretry: 10\ndata: {}\n\n" },
		{ "data:{}\r\r", "{}", "data: {}\n\n" },
		{ ": comment\n\n", "", "" },
		{ "id: 7\ndata\n\n", "", "id: 7\n\n" },
		{ "id: 7\x0c" "data: x\n\n", "", "" },
		{ "retry: 1x\n\n", "", "" },
		{ "event: endpoint\ndata: {}\n\n", "{}", "data: {}\n\n" },
		{ "\xef\xbb\xbf" "data: {}\n\n", "", "" },
		{ "x: y\xe2\x80\xa8" "data: {}\n\n", "", "" },
		{ "data: {\ndata: \"a\":\"\xe2\x80\xa8\"}\n\n", "{\n\"a\":\"\xe2\x80\xa8\"}", "data: { \"a\":\"\\u2028\"}\n\n" },
	};
	AUTO(buf_done) buf_t b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_clear(&b);
		assert_int_equal(sse_write(str_of(rows[i][0]), str_of(rows[i][1]), &b), OK);
		assert_true(str_eq(buf_str(&b), str_of(rows[i][2])));
	}
	assert_true(sse_is_message(STR("data: {}\n\n")));
	assert_true(sse_is_message(STR("event\ndata: {}\n\n")));
	assert_true(sse_is_message(STR("event:message\n\n")));
	assert_false(sse_is_message(STR("event: endpoint\n\n")));
	assert_false(sse_is_message(STR("event: message\nevent: x\n\n")));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(messages_are_classified),
		CASE(what_is_no_message_is_refused),
		CASE(members_in_another_case_are_refused),
		CASE(events_are_written_anew),
		CASE(parser_tricks_are_refused),
		CASE(depth_is_bounded),
		CASE(splices_touch_nothing_else),
		CASE(lists_keep_bytes_and_cursor),
		CASE(a_list_without_tools_is_none),
		CASE(initialize_shows_only_what_is_relayed),
		CASE(sessions_open_where_they_belong),
		CASE(forged_and_old_sessions_are_unknown),
		CASE(nothing_of_the_client_identifies_it_upstream),
		CASE(a_repeated_field_does_not_pass),
		CASE(nothing_of_upstreams_own_reaches_the_client),
		CASE(events_are_the_same_in_any_pieces),
		CASE(an_endless_event_is_refused),
		CASE(a_proof_opens_once),
		CASE(a_full_memory_refuses_and_forgets_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
