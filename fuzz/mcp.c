/* A stranger's JSON-RPC message, an upstream's answer and its event stream: classified or refused, edits
 * and filters keep every byte that is not theirs. The first byte chooses: 0 to 4. */
#include "pure/crypto/crypto.h"
#include "service/gateway/limits.h"
#include "service/gateway/list.h"
#include "service/gateway/message.h"
#include "service/gateway/session.h"
#include "service/gateway/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool shows_some(const void *owner, str_t tool)
{
	(void)owner;
	return tool.n % 2 == 0;
}

/* What is spliced and read again is the same message but for the id. */
static void message_edit(arena_t *a, const message_t *m)
{
	AUTO(buf_done) buf_t b = { 0 };
	message_t again;
	message_edit_t edits[] = { { m->id, STR("77") }, { m->progress_token, STR("78") } };

	buf_init(&b, m->text.n + 16);
	CHECK(message_splice(&b, m->text, edits, m->progress_token.n ? 2 : 1) == OK);
	CHECK(message_read(a, buf_str(&b), MESSAGE_FROM_UPSTREAM, &again, NULL) == OK);
	CHECK(again.kind == m->kind && str_eq(again.method, m->method) && str_eq(again.id, STR("77")));
}

static void message_try(arena_t *a, str_t text, message_from_t from)
{
	message_t m;

	if (message_read(a, text, from, &m, NULL) != OK) {
		return;
	}
	CHECK(m.kind == MESSAGE_NOTIFICATION ? !m.id.n : m.id.n > 0);
	CHECK((m.kind == MESSAGE_RESPONSE) == !m.method.n);
	if (m.kind == MESSAGE_REQUEST) {
		message_edit(a, &m);
	}
	(void)message_verdict(&m);
}

static void list_try(arena_t *a, str_t text)
{
	AUTO(buf_done) buf_t b = { 0 };
	message_t m, again;

	if (message_read(a, text, MESSAGE_FROM_UPSTREAM, &m, NULL) != OK || m.kind != MESSAGE_RESPONSE) {
		return;
	}
	buf_init(&b, text.n + 2);
	if (list_filter(&m, shows_some, NULL, &b) != OK) {
		return;
	}
	CHECK(message_read(a, buf_str(&b), MESSAGE_FROM_UPSTREAM, &again, NULL) == OK);
	const json_t *tools = json_get(again.result, STR("tools"));
	for (const json_t *t = json_first(tools); t && !again.error; t = json_next(t)) {
		str_t name;
		CHECK(json_need_str(t, STR("name"), JSON_UNBOUNDED, &name) == OK && shows_some(NULL, name));
	}
}

static err_t event_count(void *owner, str_t raw, str_t data)
{
	*(size_t *)owner += raw.n;
	CHECK(data.n <= raw.n);
	return OK;
}

static void events_try(arena_t *a, str_t text)
{
	size_t whole = 0, pieces = 0;
	sse_reader_t r, s;

	sse_reader_init(a, &r, GATEWAY_EVENT_BYTES_MAX);
	sse_reader_init(a, &s, GATEWAY_EVENT_BYTES_MAX);
	CHECK(sse_feed(&r, text, event_count, &whole) == OK);
	for (size_t i = 0; i < text.n; i++) {
		CHECK(sse_feed(&s, str_sub(text, i, 1), event_count, &pieces) == OK);
	}
	CHECK(whole == pieces && whole <= text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GATEWAY_ARENA_BYTES_MAX);
	session_t session;

	if (size < 1 || size > 64 << 10) {
		return 0;
	}
	str_t text = str_bytes(data + 1, size - 1);
	switch ((data[0] + 2) % 5) {
	case 0:
		message_try(a, text, MESSAGE_FROM_CLIENT);
		break;
	case 1:
		message_try(a, text, MESSAGE_FROM_UPSTREAM);
		break;
	case 2:
		list_try(a, text);
		break;
	case 3:
		events_try(a, text);
		break;
	case 4:
		CHECK(crypto_init() == OK);
		CHECK(session_open(a, STR("0123456789abcdef0123456789abcdef"), text, 1, &session) == ERR_SESSION);
		break;
	}
	return 0;
}
