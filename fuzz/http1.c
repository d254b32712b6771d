/* http1.c: the request parser. First byte: size of the slices; the rest: bytes of a connection.
 * Whole and in slices it must say the same; what it takes is a plain request that, written out again,
 * is taken again and means the same; what follows a refusal is never read. */
#include "engine/net/parser.h"

enum { REQUESTS_MAX = 64, HEAD_MAX = 2048, BODY_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

typedef struct {
	size_t requests;
	int status;
	net_parser_state_t state;
	buf_t log; /* every message taken, written out plainly */
} outcome_t;

static void message_write(buf_t *b, const net_message_t *m)
{
	buf_add(b, m->method);
	buf_byte(b, ' ');
	buf_add(b, m->target);
	buf_add(b, STR(" HTTP/1.1\r\n"));
	for (size_t i = 0; i < m->n_headers; i++) {
		net_header_t h = m->headers[i];
		/* of the framing only the length it came to */
		if (str_eq_nocase(h.name, STR("Content-Length")) ||
			str_eq_nocase(h.name, STR("Transfer-Encoding"))) {
			continue;
		}
		buf_add(b, h.name);
		buf_add(b, STR(": "));
		buf_add(b, h.value);
		buf_add(b, STR("\r\n"));
	}
	buf_printf(b, "Content-Length: %zu\r\n\r\n", m->body.n);
	buf_add(b, m->body);
}

static void message_check(const net_message_t *m)
{
	size_t n_host = 0, i = 0;
	str_t v;
	net_headers_t all = { m->headers, m->n_headers };

	while (net_headers_next(all, STR("Host"), &i, &v)) {
		n_host++;
	}
	CHECK(n_host == 1 && str_eq(m->host, v) && m->host.n > 0);
	CHECK(str_is_visible(m->target) && m->target.p[0] == '/' && str_find(m->target, '#') == m->target.n);
	CHECK(m->n_headers <= NET_HEADERS_MAX && m->body.n <= BODY_MAX && m->head.n <= HEAD_MAX);
	for (size_t j = 0; j < m->n_headers; j++) {
		CHECK(net_header_is_valid(m->headers[j]));
	}
}

static void run(str_t in, size_t step, outcome_t *o)
{
	net_parser_t p;
	size_t at = 0;

	*o = (outcome_t){ 0 };
	buf_init(&o->log, 8 << 20);
	net_parser_init(&p, HEAD_MAX, BODY_MAX);
	while (at < in.n && o->requests < REQUESTS_MAX && p.state != NET_PARSER_REFUSED) {
		size_t used, len = step < in.n - at ? step : in.n - at;
		char *copy = heap_alloc(len); /* exactly as long: a read beyond is seen */

		memcpy(copy, in.p + at, len);
		o->state = net_parser_feed(&p, (str_t){ copy, len }, &used);
		heap_free(copy);
		CHECK(used <= len);
		at += used;
		(void)net_parser_take_continue(&p);
		if (o->state == NET_PARSER_REQUEST) {
			net_message_t m;

			net_parser_take(&p, &m);
			message_check(&m);
			message_write(&o->log, &m);
			net_message_done(&m);
			o->requests++;
		}
	}
	o->status = p.status;
	net_parser_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	outcome_t whole, slices, again;

	if (n < 2) {
		return 0;
	}
	str_t in = str_bytes(bytes + 1, n - 1);
	run(in, SIZE_MAX, &whole);
	run(in, (size_t)(bytes[0] % 16) + 1, &slices);
	CHECK(whole.requests == slices.requests && whole.status == slices.status);
	CHECK(str_eq(buf_str(&whole.log), buf_str(&slices.log)));
	run(buf_str(&whole.log), SIZE_MAX, &again);
	/* written out it may be longer than the head may be; else it is the same */
	CHECK(again.status == 431 || str_eq(buf_str(&whole.log), buf_str(&again.log)));
	buf_done(&whole.log);
	buf_done(&slices.log);
	buf_done(&again.log);
	return 0;
}
