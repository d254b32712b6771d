/* answer.c: the response reader of the client. First byte: size of the slices and whether HEAD was asked; the
 * rest: bytes of a server, then its end. Whole and in slices it must say the same; what it takes has one plain
 * length, valid headers and a final status. */
#include "engine/net/wire.h"

enum { BODY_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

typedef struct {
	net_client_t *client;
	net_call_t call;
	answer_t answer;
} outcome_t;

static void feed(outcome_t *o, str_t in, size_t step)
{
	bool over = false;

	for (size_t at = 0; at < in.n && !over; at += step) {
		size_t len = step < in.n - at ? step : in.n - at;
		char *copy = heap_alloc(len); /* exactly as long: a read beyond is seen */

		memcpy(copy, in.p + at, len);
		over = answer_feed(&o->answer, (str_t){ copy, len });
		heap_free(copy);
	}
	if (!over) {
		answer_end(&o->answer);
	}
	CHECK(o->answer.done != (o->answer.err != OK));
}

static void check(const outcome_t *o)
{
	net_headers_t h = response_headers(&o->call.head);
	size_t lengths = 0, i = 0;
	str_t value;

	if (!o->answer.done) {
		return;
	}
	CHECK(o->call.head.done && o->call.head.status >= 200 && o->call.head.status <= 999);
	CHECK(h.n <= NET_HEADERS_MAX && o->call.held.n <= BODY_MAX);
	for (size_t j = 0; j < h.n; j++) {
		CHECK(net_header_is_valid(h.v[j]));
	}
	while (net_headers_next(h, STR("Content-Length"), &i, &value)) {
		lengths++;
	}
	CHECK(lengths <= 1);
}

static void run(str_t in, size_t step, bool is_head, outcome_t *o)
{
	*o = (outcome_t){ .client = heap_new(net_client_t) };
	o->call = (net_call_t){ .client = o->client, .arena = arena_new_capped(1 << 20), .received_max = BODY_MAX };
	o->call.head.arena = o->call.arena;
	buf_init(&o->call.held, 2 * BODY_MAX);
	answer_init(&o->answer, &o->call, is_head);
	feed(o, in, step);
	check(o);
}

static void done(outcome_t *o)
{
	answer_done(&o->answer);
	buf_done(&o->call.held);
	arena_free(o->call.arena);
	heap_free(o->client);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	outcome_t whole, slices;

	if (n < 2) {
		return 0;
	}
	str_t in = str_bytes(bytes + 1, n - 1);
	bool is_head = bytes[0] & 0x80;
	run(in, in.n, is_head, &whole);
	run(in, (size_t)(bytes[0] % 16) + 1, is_head, &slices);
	CHECK(whole.answer.err == slices.answer.err && whole.answer.done == slices.answer.done);
	if (whole.answer.done) {
		CHECK(whole.call.head.status == slices.call.head.status && whole.call.head.n == slices.call.head.n);
		CHECK(str_eq(buf_str(&whole.call.held), buf_str(&slices.call.held)));
	}
	done(&whole);
	done(&slices);
	return 0;
}
