/* reply.c: from status, headers and bytes to what goes on the wire, once per request. */
#include "engine/net/server_int.h"

static str_t status_name(int status)
{
	switch (status) {
	case 200:
		return STR("OK");
#define XX(num, name, string)                                                                      \
	case num == 200 ? -1 : num:                                                                \
		return STR(#string);
		HTTP_STATUS_MAP(XX)
#undef XX
	default:
		return STR("UNKNOWN");
	}
}

/* NOT_FOUND -> Not Found, for people who read traces. */
static void reason_add(buf_t *b, int status)
{
	str_t name = status_name(status);
	bool first = true;

	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		buf_byte(b, c == '_' ? ' ' : (char)(first || status == 200 || c < 'A' ? c : c - 'A' + 'a'));
		first = c == '_';
	}
}

/* RFC 9110 5.6.7; civil date from days after Howard Hinnant's description, no locale, no zone. */
static void date_write(char out[NET_DATE_BYTES], uint64_t unix_s)
{
	static const char days[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	uint64_t day = unix_s / 86400, z = day + 719468, era = z / 146097, doe = z - era * 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	uint64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
	unsigned s = (unsigned)(unix_s % 86400);

	snprintf(out, NET_DATE_BYTES, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + day % 7 * 3,
		(unsigned)(doy - (153 * mp + 2) / 5 + 1) % 100, months + (month - 1) % 12 * 3,
		(unsigned)year % 10000, s / 3600 % 100, s / 60 % 60, s % 60);
}

static str_t date_now(net_server_t *s)
{
	uint64_t now_s = loop_unix_s(s->loop);

	if (now_s != s->date_s) {
		s->date_s = now_s;
		date_write(s->date, now_s);
	}
	return str_of(s->date);
}

static void header_add(buf_t *b, str_t name, str_t value)
{
	buf_add(b, name);
	buf_add(b, STR(": "));
	buf_add(b, value);
	buf_add(b, STR("\r\n"));
}

/* False when one is not a header: a header that smuggles a line must not reach anybody. */
static bool headers_add(buf_t *b, net_headers_t h)
{
	static const str_t ours[] = { STR_INIT("Date"), STR_INIT("X-Content-Type-Options") };
	bool cache = false;

	for (size_t i = 0; i < h.n; i++) {
		str_t name = h.v[i].name;

		if (!net_header_is_valid(h.v[i]) || i >= NET_REPLY_HEADERS_MAX) {
			return false;
		}
		cache = cache || str_eq_nocase(name, STR("Cache-Control"));
		if (!net_header_is_hop(h, name) && !str_eq_nocase(name, ours[0]) &&
			!str_eq_nocase(name, ours[1])) {
			header_add(b, name, h.v[i].value);
		}
	}
	if (!cache) {
		header_add(b, STR("Cache-Control"), STR("no-store"));
	}
	return true;
}

static bool status_has_body(int status)
{
	return status != 204 && status != 304; /* RFC 9110 15.3.5, 15.4.5 */
}

static void head_start(net_server_t *s, int status)
{
	buf_t *b = &s->head;

	buf_clear(b);
	buf_printf(b, "HTTP/1.1 %d ", status);
	reason_add(b, status);
	buf_add(b, STR("\r\n"));
	header_add(b, STR("Date"), date_now(s));
	header_add(b, STR("X-Content-Type-Options"), STR("nosniff"));
}

/* Writes the whole head into the server's scratch; false when it cannot be said. */
static bool head_write(net_exchange_t *x, int status, net_headers_t headers, const uint64_t *length)
{
	net_server_t *s = x->conn->server;
	buf_t *b = &s->head;

	head_start(s, status);
	if (!headers_add(b, headers)) {
		return false;
	}
	if (status_has_body(status) && length) {
		buf_printf(b, "Content-Length: %llu\r\n", (unsigned long long)*length);
	} else if (status_has_body(status)) {
		buf_add(b, STR("Transfer-Encoding: chunked\r\n"));
	}
	x->keep_open = x->keep_open && !s->stopped && !x->conn->close_after && !conn_tls_is_over(x->conn);
	if (!x->keep_open) {
		buf_add(b, STR("Connection: close\r\n"));
	}
	buf_add(b, STR("\r\n"));
	return !b->overflow;
}

static bool is_head(const net_exchange_t *x)
{
	return str_eq(x->m.method, STR("HEAD"));
}

static void finish(net_exchange_t *x, bool cut)
{
	conn_t *c = x->conn;
	bool keep_open = x->keep_open;

	if (x->detached) {
		detached_end(TAKE(x->detached), cut);
	}
	exchange_end(x);
	if (!c) {
		return;
	}
	c->close_after = c->close_after || !keep_open;
	conn_exchange_ended(c, cut);
}

static int status_checked(int status)
{
	return status >= 200 && status <= 599 ? status : 502; /* 1xx and nonsense come from upstreams */
}

void net_reply(net_exchange_t *x, int status, net_headers_t headers, str_t body)
{
	uint64_t n = body.n;

	CHECK(!x->begun && !x->ended);
	x->begun = true;
	if (x->detached) {
		detached_begin(x->detached, status, headers);
		detached_chunk(x->detached, body);
	}
	if (!x->conn) {
		finish(x, false);
		return;
	}
	status = status_checked(status);
	if (body.n > NET_REPLY_BODY_BYTES_MAX || !head_write(x, status, headers, &n)) {
		status = 500;
		body = STR_NULL;
		n = 0;
		CHECK(head_write(x, status, NET_NO_HEADERS, &n));
	}
	bool with_body = status_has_body(status) && !is_head(x);
	str_t parts[] = { buf_str(&x->conn->server->head), body };
	conn_send(x->conn, parts, with_body && n ? 2 : 1);
	finish(x, false);
}

void net_reply_text(net_exchange_t *x, int status, str_t content_type, str_t body)
{
	net_reply(x, status, NET_HEADERS({ STR("Content-Type"), content_type }), body);
}

/* The table's texts hold no byte that JSON would escape; a golden test says so. */
void net_reply_error(net_exchange_t *x, err_t e)
{
	const err_info_t *row = err_info(e);
	char text[512];
	int n = snprintf(text, sizeof(text), "{\"error\":\"%s\",\"message\":\"%s\",\"fix\":\"%s\"}\n", row->name,
		row->text, row->fix);

	CHECK(n > 0 && (size_t)n < sizeof(text));
	net_reply_text(x, row->http == 499 ? 503 : row->http, STR("application/json"),
		str_bytes(text, (size_t)n));
}

void net_reply_begin(net_exchange_t *x, int status, net_headers_t headers)
{
	CHECK(!x->begun && !x->ended);
	x->begun = true;
	if (x->detached) {
		detached_begin(x->detached, status, headers);
	}
	if (!x->conn) {
		return;
	}
	status = status_checked(status);
	if (!head_write(x, status, headers, NULL)) {
		status = 500;
		CHECK(head_write(x, status, NET_NO_HEADERS, NULL));
	}
	x->chunked = status_has_body(status);
	x->has_body = x->chunked && !is_head(x);
	x->chunk_ms = server_now_ms(x->conn->server);
	str_t head = buf_str(&x->conn->server->head);
	conn_hold(x->conn, &head, 1);
}

static void tail_keep(net_exchange_t *x, str_t bytes)
{
	size_t n = bytes.n < sizeof(x->tail) ? bytes.n : sizeof(x->tail);

	memmove(x->tail, x->tail + n, sizeof(x->tail) - n);
	memcpy(x->tail + sizeof(x->tail) - n, bytes.p + bytes.n - n, n);
}

bool exchange_is_between_events(const net_exchange_t *x)
{
	const char *t = x->tail;

	return t[2] == '\0' || (t[2] == '\n' && t[1] == '\n') || (t[2] == '\n' && t[1] == '\r' && t[0] == '\n') ||
	       (t[2] == '\r' && t[1] == '\r');
}

err_t net_reply_chunk(net_exchange_t *x, str_t bytes)
{
	char size[24];
	conn_t *c = x->conn;

	CHECK(x->begun && !x->ended);
	if (x->detached && !x->lost) {
		detached_chunk(x->detached, bytes);
		return OK;
	}
	ENSURE(c && !c->broken && !c->closing, ERR_CANCELLED);
	if (bytes.n == 0 || !x->has_body) {
		return OK; /* an empty chunk would end the body */
	}
	if (bytes.n > NET_REPLY_PENDING_BYTES_MAX || conn_pending(c) > NET_REPLY_PENDING_BYTES_MAX - bytes.n) {
		conn_cut(c);
		return ERR_LIMIT;
	}
	int n = snprintf(size, sizeof(size), "%zx\r\n", bytes.n);
	str_t parts[] = { str_bytes(size, (size_t)n), bytes, STR("\r\n") };
	conn_hold(c, parts, ARRAY_LEN(parts));
	tail_keep(x, bytes);
	x->chunk_ms = server_now_ms(c->server);
	return OK;
}

void net_reply_end(net_exchange_t *x)
{
	static const str_t last = STR_INIT("0\r\n\r\n");

	CHECK(x->begun && !x->ended);
	if (x->conn) {
		conn_send(x->conn, &last, x->has_body ? 1 : 0);
	}
	finish(x, false);
}

void net_reply_abort(net_exchange_t *x)
{
	if (x->conn) {
		conn_send(x->conn, NULL, 0); /* what was said before the cut */
	}
	finish(x, true);
}

bool net_reply_has_begun(const net_exchange_t *x)
{
	return x->begun;
}

size_t net_reply_pending_bytes(const net_exchange_t *x)
{
	return x->conn ? conn_pending(x->conn) : 0;
}

/* To a peer whose request nobody saw: no detail beyond the status. */
void reply_refusal(conn_t *c, int status)
{
	buf_t *b = &c->server->head;

	head_start(c->server, status);
	header_add(b, STR("Cache-Control"), STR("no-store"));
	header_add(b, STR("Content-Type"), STR("text/plain"));
	buf_printf(b, "Content-Length: %zu\r\nConnection: close\r\n\r\n", status_name(status).n + 1);
	reason_add(b, status);
	buf_byte(b, '\n');
	str_t text = buf_str(b);
	conn_send(c, &text, 1);
}
