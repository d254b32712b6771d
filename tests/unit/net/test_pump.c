/* The pump between a streaming upstream and a client that may be slow, gone, or lied to by a broken
 * upstream. Upstream, gateway and pump share one loop; the client is a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "support.h"

enum { LONG_BYTES = 24 << 20 };

typedef struct {
	bench_t front;
	net_server_t *back;
	net_client_t *client;
	/* upstream */
	size_t sent, upstream_pending_max;
	net_exchange_t *upstream_held;
	unsigned upstream_lost;
	/* gateway */
	arena_t *arena;
	net_exchange_t *x;
	net_pump_options_t o;
	net_pump_result_t result;
	err_t err;
	bool done, collect;
	err_t head_err;
	size_t filter_last;
	size_t gateway_pending_max;
	/* client */
	str_t target;
	buf_t got;
	bool closed, leave_early;
	unsigned wait_ms;
} rig_t;

static void upstream_more(net_exchange_t *x, void *owner)
{
	static const char block[16384] = { 'u' };
	rig_t *r = owner;

	while (r->sent < LONG_BYTES && net_reply_pending_bytes(x) <= NET_REPLY_HIGH_BYTES) {
		if (net_reply_chunk(x, str_bytes(block, sizeof(block))) != OK) {
			break;
		}
		r->sent += sizeof(block);
	}
	if (r->sent >= LONG_BYTES || net_is_lost(x)) {
		r->upstream_lost += net_is_lost(x);
		net_reply_end(x);
		return;
	}
	net_reply_on_drained(x, upstream_more, r);
}

static void upstream_lost(net_exchange_t *x, void *owner)
{
	rig_t *r = owner;

	r->upstream_lost++;
	r->upstream_held = NULL;
	net_reply_end(x);
}

static void upstream(net_exchange_t *x, void *owner)
{
	rig_t *r = owner;

	if (str_eq(net_path(x), STR("/json"))) {
		net_reply_text(x, 201, STR("application/json"), STR("{\"a\":1}"));
		return;
	}
	net_reply_begin(x, 200, NET_HEADERS({ STR("Content-Type"), STR("text/event-stream") }, { STR("X-Up"), STR("1") }));
	if (str_eq(net_path(x), STR("/long"))) {
		upstream_more(x, r);
	} else if (str_eq(net_path(x), STR("/broken"))) {
		assert_int_equal(net_reply_chunk(x, STR("data: one\n\n")), OK);
		r->upstream_held = x;
	} else if (str_eq(net_path(x), STR("/hold"))) {
		assert_int_equal(net_reply_chunk(x, STR("data: one\n\n")), OK);
		r->upstream_held = x;
		net_on_lost(x, upstream_lost, r);
	} else {
		assert_int_equal(net_reply_chunk(x, STR("data: one\n\n")), OK);
		assert_int_equal(net_reply_chunk(x, STR("data: two\n\n")), OK);
		net_reply_end(x);
	}
}

static err_t head(net_exchange_t *x, int status, net_headers_t headers, void *owner, net_pump_mode_t *out_mode)
{
	rig_t *r = owner;
	str_t v;

	TRY(r->head_err);
	if (r->collect) {
		*out_mode = NET_PUMP_COLLECT;
		return OK;
	}
	TRY(net_headers_get(headers, STR("X-Up"), &v));
	net_reply_begin(x, status, NET_HEADERS({ STR("Content-Type"), STR("text/event-stream") }));
	*out_mode = NET_PUMP_STREAM;
	return OK;
}

/* Doubles every 'o' and says goodbye. */
static err_t filter(str_t in, bool last, buf_t *out, void *owner)
{
	rig_t *r = owner;

	ENSURE(r->head_err != ERR_SYNTAX, ERR_SYNTAX);
	for (size_t i = 0; i < in.n; i++) {
		buf_byte(out, in.p[i]);
		if (in.p[i] == 'o') {
			buf_byte(out, 'o');
		}
	}
	if (last) {
		r->filter_last++;
		buf_add(out, STR("data: bye\n\n"));
	}
	return OK;
}

static void pump_done(op_t *op, err_t err)
{
	rig_t *r = op->owner;

	r->err = err;
	r->done = true;
	if (!net_reply_has_begun(r->x)) {
		if (err == OK) {
			net_reply(r->x, r->result.response.status, NET_NO_HEADERS, r->result.response.body);
		} else {
			net_reply_error(r->x, err);
		}
	} else if (err == OK) {
		net_reply_end(r->x);
	} else {
		/* mcp.md G17: an error event, and an end */
		(void)!net_reply_chunk(r->x, STR("data: upstream failed\n\n"));
		net_reply_end(r->x);
	}
	r->x = NULL;
}

static void gateway(net_exchange_t *x, void *owner)
{
	rig_t *r = owner;
	net_request_t q = { .method = net_method(x), .total_timeout_ms = UINT32_MAX, .response_bytes_max = SIZE_MAX };

	if (r->collect) {
		q.response_bytes_max = 0;
	}
	r->x = x;
	q.url = arena_printf(r->arena, "http://127.0.0.1:%u%.*s", net_server_port(r->back), STR_ARG(net_target(x)));
	op_start(net_pump(r->client, r->arena, &q, x, &r->o, &r->result), r->front.loop,
		loop_in_ms(r->front.loop, 20000), pump_done, r);
}

static void rig_open(rig_t *r)
{
	diag_t diag;

	memset(r, 0, sizeof(*r));
	support_open(&r->front, gateway, r, NULL);
	net_server_options_t o = { .address = STR("127.0.0.1"), .handler = upstream, .owner = r };
	assert_int_equal(net_server_open(r->front.loop, &o, &r->back, &diag), OK);
	assert_int_equal(net_client_open(r->front.loop, 0, &r->client), OK);
	r->arena = arena_new_capped(64 << 20);
	r->o = (net_pump_options_t){ .head = head, .owner = r };
	buf_init(&r->got, LONG_BYTES + (4 << 20));
}

static void flag(void *owner)
{
	*(bool *)owner = true;
}

static void rig_close(rig_t *r)
{
	bool client_closed = false, back_closed = false;

	net_client_close(r->client, flag, &client_closed);
	assert_true(support_until(r->front.loop, &client_closed));
	net_server_close(r->back, flag, &back_closed);
	assert_true(support_until(r->front.loop, &back_closed));
	support_close(&r->front);
	arena_free(r->arena);
	buf_done(&r->got);
}

static void client(void *arg)
{
	rig_t *r = arg;
	AUTO(arena_free) arena_t *a = arena_open();
	int fd = tcp_dial(r->front.port);

	sock_write(fd, arena_printf(a, "GET %.*s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", STR_ARG(r->target)));
	if (r->leave_early) {
		r->closed = !sock_read_until(fd, &r->got, STR("data: o"));
		close(fd);
		sleep_ms(50);
		return;
	}
	sleep_ms(r->wait_ms);
	r->closed = !sock_read_until(fd, &r->got, STR("never comes"));
	close(fd);
}

static str_t talked(rig_t *r, str_t target)
{
	r->target = target;
	buf_clear(&r->got);
	support_run(&r->front, client, r);
	return buf_str(&r->got);
}

static void streams_and_filters(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r);
	str_t a = talked(&r, STR("/short"));
	assert_true(r.done && r.err == OK && r.result.streamed && r.result.bytes == 22);
	assert_true(str_contains(a, STR("data: one\n\n")) && str_contains(a, STR("data: two\n\n")));
	assert_true(str_ends(a, STR("0\r\n\r\n")));
	r.o.filter = filter;
	a = talked(&r, STR("/short"));
	assert_int_equal(r.filter_last, 1);
	assert_true(str_contains(a, STR("data: oone\n\n")) && str_contains(a, STR("data: twoo\n\n")));
	assert_true(str_contains(a, STR("data: bye\n\n\r\n0\r\n\r\n")));
	r.head_err = ERR_TOOL;
	a = talked(&r, STR("/short"));
	assert_int_equal(r.err, ERR_TOOL);
	assert_int_equal(status_in(a), 403);
	rig_close(&r);
}

static void collects(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r);
	r.collect = true;
	str_t a = talked(&r, STR("/json"));
	assert_true(r.err == OK && !r.result.streamed && r.result.response.status == 201);
	assert_int_equal(status_in(a), 201);
	assert_true(str_ends(a, STR("{\"a\":1}")));
	a = talked(&r, STR("/long")); /* beyond what may be collected */
	assert_int_equal(r.err, ERR_LIMIT);
	assert_int_equal(status_in(a), 413);
	rig_close(&r);
}

static void slow_clients_stop_upstream(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r);
	r.wait_ms = 400;
	str_t a = talked(&r, STR("/long"));
	assert_true(r.err == OK && r.closed);
	assert_int_equal(r.result.bytes, LONG_BYTES);
	assert_true(a.n > LONG_BYTES && str_ends(a, STR("0\r\n\r\n")));
	rig_close(&r);
}

static void probe(void *arg)
{
	rig_t *r = arg;

	/* after the stall: kernel buffers and our bounds, far below the whole */
	r->upstream_pending_max = r->sent;
	r->gateway_pending_max = net_reply_pending_bytes(r->x);
}

static void stalled_client(void *arg)
{
	rig_t *r = arg;
	int fd = tcp_dial(r->front.port);

	sock_write(fd, STR("GET /long HTTP/1.1\r\nHost: a\r\n\r\n"));
	sleep_ms(400);
	loop_post(r->front.loop, probe, r);
	sleep_ms(50);
	close(fd);
	sleep_ms(100);
}

static void a_stalled_client_costs_little(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r);
	support_run(&r.front, stalled_client, &r);
	assert_true(r.upstream_pending_max > 0 && r.upstream_pending_max < LONG_BYTES);
	assert_true(r.gateway_pending_max <= 2 * NET_REPLY_HIGH_BYTES);
	assert_true(r.done && r.err == ERR_CANCELLED); /* and its going away cut upstream */
	assert_int_equal(r.upstream_lost, 1);
	rig_close(&r);
}

static void a_lost_client_cancels_upstream(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r);
	r.leave_early = true;
	talked(&r, STR("/hold"));
	assert_true(r.done && r.err == ERR_CANCELLED);
	assert_int_equal(r.upstream_lost, 1);
	rig_close(&r);
}

static void outlives_client(void *arg)
{
	rig_t *r = arg;

	client(r);
	sleep_ms(300);
}

static void or_not(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r);
	r.o.outlives_peer = true;
	r.o.filter = filter;
	r.leave_early = true;
	r.target = STR("/hold");
	support_run(&r.front, outlives_client, &r);
	assert_false(r.done); /* the upstream is not told (mcp.md 2: a disconnect is not a cancel) */
	net_reply_end(TAKE(r.upstream_held));
	assert_true(support_until(r.front.loop, &r.done));
	assert_int_equal(r.err, OK);
	assert_int_equal(r.filter_last, 1);
	rig_close(&r);
}

static void breaker(void *arg)
{
	rig_t *r = arg;

	net_reply_abort(TAKE(r->upstream_held));
}

static void broken_client(void *arg)
{
	rig_t *r = arg;
	int fd = tcp_dial(r->front.port);

	sock_write(fd, STR("GET /broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	if (sock_read_until(fd, &r->got, STR("data: one"))) {
		loop_post(r->front.loop, breaker, r);
	}
	r->closed = !sock_read_until(fd, &r->got, STR("never comes"));
	close(fd);
}

static void a_broken_upstream_is_told(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r);
	support_run(&r.front, broken_client, &r);
	assert_int_equal(r.err, ERR_UPSTREAM);
	assert_true(r.result.streamed);
	assert_true(str_contains(buf_str(&r.got), STR("data: one\n\n")));
	assert_true(str_contains(buf_str(&r.got), STR("data: upstream failed\n\n\r\n0\r\n\r\n")));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_and_filters),
		cmocka_unit_test(collects),
		cmocka_unit_test(slow_clients_stop_upstream),
		cmocka_unit_test(a_stalled_client_costs_little),
		cmocka_unit_test(a_lost_client_cancels_upstream),
		cmocka_unit_test(or_not),
		cmocka_unit_test(a_broken_upstream_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
