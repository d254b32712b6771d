/* The parser alone: every vector whole and byte by byte gives the same answer; limits; views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/net/parser.h"
#include "vectors.h"

/* A piece of exactly the bytes given, so that the sanitizer sees a read beyond. */
static net_parser_state_t feed(net_parser_t *p, str_t in, size_t step, size_t *out_used)
{
	net_parser_state_t state = p->state;
	size_t used = 0;

	while (used < in.n && state != NET_PARSER_REQUEST && state != NET_PARSER_REFUSED) {
		size_t n = step < in.n - used ? step : in.n - used, one;
		char *copy = heap_alloc(n);

		memcpy(copy, in.p + used, n);
		state = net_parser_feed(p, (str_t){ copy, n }, &one);
		heap_free(copy);
		used += one;
	}
	*out_used = used;
	return state;
}

static void run_vector(const vector_t *v, size_t step)
{
	net_parser_t p;
	net_message_t m;
	size_t used;

	net_parser_init(&p, NET_HEAD_BYTES_DEFAULT, NET_BODY_BYTES_DEFAULT);
	net_parser_state_t state = feed(&p, v->bytes, step, &used);
	if (v->status != 200) {
		if (state != NET_PARSER_REFUSED || p.status != v->status) {
			fail_msg("%s (step %zu): state %d status %d", v->id, step, (int)state, p.status);
		}
		net_parser_done(&p);
		return;
	}
	if (state != NET_PARSER_REQUEST || used != v->bytes.n) {
		fail_msg("%s (step %zu): state %d used %zu: %s", v->id, step, (int)state, used,
			p.why ? p.why : "");
	}
	net_parser_take(&p, &m);
	assert_true(str_eq(m.body, v->body));
	net_message_done(&m);
	net_parser_done(&p);
}

static void every_vector_in_every_slice(void **state)
{
	static const size_t steps[] = { SIZE_MAX, 1, 2, 3, 7 };
	size_t refused = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		for (size_t j = 0; j < ARRAY_LEN(steps); j++) {
			run_vector(&vectors[i], steps[j]);
		}
		refused += vectors[i].status != 200;
	}
	print_message("# %zu vectors, %zu of them refused\n", ARRAY_LEN(vectors), refused);
	assert_true(refused > 100);
}

static void views_are_right(void **state)
{
	net_parser_t p;
	net_message_t m;
	size_t used;
	str_t in = STR("POST /a/b?c=d?e HTTP/1.1\r\nHost: h:1\r\nX-A:  one \r\nx-a: two\r\nX-E:\r\n"
		       "Connection: close\r\nContent-Length: 3\r\n\r\nabcGET ");

	(void)state;
	net_parser_init(&p, NET_HEAD_BYTES_DEFAULT, NET_BODY_BYTES_DEFAULT);
	assert_int_equal(feed(&p, in, SIZE_MAX, &used), NET_PARSER_REQUEST);
	assert_int_equal(used, in.n - 4);
	net_parser_take(&p, &m);
	assert_true(str_eq(m.method, STR("POST")) && str_eq(m.target, STR("/a/b?c=d?e")));
	assert_true(str_eq(m.path, STR("/a/b")) && str_eq(m.query, STR("c=d?e")));
	assert_true(str_eq(m.host, STR("h:1")) && str_eq(m.body, STR("abc")));
	assert_int_equal(m.n_headers, 6);
	assert_true(str_eq(m.headers[1].value, STR("one")) && str_eq(m.headers[2].name, STR("x-a")));
	assert_int_equal(m.headers[3].value.n, 0);
	assert_false(m.keep_alive);
	net_message_done(&m);
	assert_int_equal(feed(&p, STR("GET /? HTTP/1.1\r\nHost: a\r\n\r\n"), 1, &used), NET_PARSER_REQUEST);
	net_parser_take(&p, &m);
	assert_true(m.query.p != NULL && m.query.n == 0 && m.keep_alive && m.body.n == 0);
	net_message_done(&m);
	net_parser_done(&p);
}

static int status_of(buf_t *bytes, size_t head_max, size_t body_max, size_t step)
{
	net_parser_t p;
	size_t used;

	net_parser_init(&p, head_max, body_max);
	net_parser_state_t state = feed(&p, buf_str(bytes), step, &used);
	int status = state == NET_PARSER_REQUEST ? 200 : state == NET_PARSER_REFUSED ? p.status : 0;
	net_parser_done(&p);
	buf_clear(bytes);
	return status;
}

static void heads_are_bounded(void **state)
{
	AUTO(buf_done) buf_t b;
	const size_t max = 512;

	(void)state;
	buf_init(&b, 1 << 20);
	for (size_t over = 0; over < 2; over++) {
		/* exactly the limit passes, one more does not */
		buf_add(&b, STR("GET / HTTP/1.1\r\nHost: a\r\nX: "));
		while (b.n < max - 4 + over) {
			buf_byte(&b, 'x');
		}
		buf_add(&b, STR("\r\n\r\n"));
		assert_int_equal(status_of(&b, max, 10, over ? 1 : SIZE_MAX), over ? 431 : 200);
	}
	buf_add(&b, STR("GET /"));
	for (size_t i = 0; i < 2 * max; i++) {
		buf_byte(&b, 'x'); /* a target that never ends */
	}
	assert_int_equal(status_of(&b, max, 10, 100), 431);
	for (size_t n = NET_HEADERS_MAX; n <= NET_HEADERS_MAX + 1; n++) {
		buf_add(&b, STR("GET / HTTP/1.1\r\nHost: a\r\n"));
		for (size_t i = 1; i < n; i++) {
			buf_add(&b, STR("X: y\r\n"));
		}
		buf_add(&b, STR("\r\n"));
		assert_int_equal(status_of(&b, 16384, 10, SIZE_MAX), n > NET_HEADERS_MAX ? 431 : 200);
	}
}

static void bodies_are_bounded(void **state)
{
	AUTO(buf_done) buf_t b;

	(void)state;
	buf_init(&b, 8 << 20);
	buf_add(&b, STR(POST "Content-Length: 10\r\n\r\n0123456789"));
	assert_int_equal(status_of(&b, 512, 10, 1), 200);
	buf_add(&b, STR(POST "Content-Length: 11\r\n\r\n")); /* refused before a byte of it came */
	assert_int_equal(status_of(&b, 512, 10, 1), 413);
	buf_add(&b, STR(CHUNKED "a\r\n0123456789\r\n0\r\n\r\n"));
	assert_int_equal(status_of(&b, 512, 10, 1), 200);
	buf_add(&b, STR(CHUNKED "a\r\n0123456789\r\n1\r\nx"));
	assert_int_equal(status_of(&b, 512, 10, 1), 413);
	buf_add(&b, STR(CHUNKED));
	for (size_t i = 0; i < NET_CHUNK_OVERHEAD_BYTES_MAX / 5 + 200; i++) {
		buf_add(&b, STR("1\r\nx\r\n")); /* five bytes of framing for one */
	}
	assert_int_equal(status_of(&b, 512, 4 << 20, SIZE_MAX), 413);
	buf_add(&b, STR(CHUNKED "1;"));
	for (size_t i = 0; i < NET_CHUNK_OVERHEAD_BYTES_MAX + 1024; i++) {
		buf_byte(&b, 'x'); /* an extension that never ends */
	}
	assert_int_equal(status_of(&b, 512, 4 << 20, 4096), 413);
}

static void single_headers(void **state)
{
	net_headers_t h = NET_HEADERS({ STR("Authorization"), STR("a") }, { STR("DPoP"), STR("x") },
		{ STR("dpop"), STR("x") }, { STR("Connection"), STR("close, X-Mine") });
	str_t v = STR("untouched");
	size_t i = 0;

	(void)state;
	assert_int_equal(net_headers_get(h, STR("DPoP"), &v), ERR_DUPLICATE);
	assert_int_equal(net_headers_get(h, STR("Origin"), &v), ERR_NOT_FOUND);
	assert_true(str_eq(v, STR("untouched")));
	assert_int_equal(net_headers_get(h, STR("authorization"), &v), OK);
	assert_true(str_eq(v, STR("a")));
	assert_true(net_headers_next(h, STR("DPOP"), &i, &v) && net_headers_next(h, STR("DPOP"), &i, &v));
	assert_false(net_headers_next(h, STR("DPOP"), &i, &v));
	assert_true(net_header_is_hop(h, STR("x-mine")) && net_header_is_hop(h, STR("Proxy-Authorization")));
	assert_true(net_header_is_hop(h, STR("TE")) && !net_header_is_hop(h, STR("X-Other")));
	assert_false(net_header_is_valid((net_header_t){ STR("X"), STR("a\r\nSet-Cookie: b") }));
	assert_false(net_header_is_valid((net_header_t){ STR("X"), STR("a\0b") }));
	assert_false(net_header_is_valid((net_header_t){ STR("X Y"), STR("a") }));
	assert_false(net_header_is_valid((net_header_t){ STR(""), STR("a") }));
	assert_true(net_header_is_valid((net_header_t){ STR("X"), STR("") }));
	assert_true(net_content_type_is(STR("Application/JSON ; charset=utf-8"), STR("application/json")));
	assert_false(net_content_type_is(STR("application/jsonx"), STR("application/json")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_in_every_slice),
		cmocka_unit_test(views_are_right),
		cmocka_unit_test(heads_are_bounded),
		cmocka_unit_test(bodies_are_bounded),
		cmocka_unit_test(single_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
