/* sse.c: event streams (WHATWG HTML 9.2) over a streamed reply. */
#include "engine/net/server_int.h"

void net_sse_keep_alive(net_exchange_t *x)
{
	x->sse = true;
}

void net_sse_begin(net_exchange_t *x, net_headers_t extra)
{
	net_header_t all[NET_REPLY_HEADERS_MAX] = {
		{ STR("Content-Type"), STR("text/event-stream") },
		{ STR("X-Accel-Buffering"), STR("no") }, /* a proxy in front must not gather it */
	};
	size_t n = 2;

	if (extra.n > NET_REPLY_HEADERS_MAX - n) {
		net_reply_begin(x, 502, NET_NO_HEADERS); /* they may come from an upstream */
		return;
	}
	for (size_t i = 0; i < extra.n; i++) {
		all[n++] = extra.v[i];
	}
	net_reply_begin(x, 200, (net_headers_t){ all, n });
	net_sse_keep_alive(x);
}

static bool is_one_line(str_t s)
{
	return str_find(s, '\n') == s.n && str_find(s, '\r') == s.n && !str_has_nul(s);
}

static void field_add(buf_t *b, str_t name, str_t value)
{
	buf_add(b, name);
	buf_add(b, STR(": "));
	buf_add(b, value);
	buf_byte(b, '\n');
}

/* CR, LF and CRLF all end a line there, so each becomes a line of its own here. */
static void data_add(buf_t *b, str_t data)
{
	size_t at = 0;

	for (size_t i = 0; i < data.n; i++) {
		if (data.p[i] != '\n' && data.p[i] != '\r') {
			continue;
		}
		field_add(b, STR("data"), str_sub(data, at, i - at));
		if (data.p[i] == '\r' && i + 1 < data.n && data.p[i + 1] == '\n') {
			i++;
		}
		at = i + 1;
	}
	field_add(b, STR("data"), str_sub(data, at, data.n));
}

err_t net_sse_event(net_exchange_t *x, str_t event, str_t id, str_t data)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, NET_REPLY_PENDING_BYTES_MAX);
	ENSURE(is_one_line(event) && is_one_line(id), ERR_VALUE);
	if (event.n) {
		field_add(&b, STR("event"), event);
	}
	if (id.n) {
		field_add(&b, STR("id"), id);
	}
	data_add(&b, data);
	buf_byte(&b, '\n');
	TRY(buf_err(&b));
	return net_reply_chunk(x, buf_str(&b));
}

err_t net_sse_comment(net_exchange_t *x, str_t text)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, NET_REPLY_PENDING_BYTES_MAX);
	ENSURE(is_one_line(text), ERR_VALUE);
	field_add(&b, STR_NULL, text);
	buf_byte(&b, '\n');
	TRY(buf_err(&b));
	return net_reply_chunk(x, buf_str(&b));
}
