/* The server under ordinary and bad weather: order, lateness, loss, limits, back-pressure, its end. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/flow/sim.h"
#include "engine/net/detached.h"
#include "support.h"

typedef struct {
	bench_t b;
	unsigned handled, lost, drained;
	net_exchange_t *held[64];
	size_t n_held, streamed, pending_max;
	net_peer_t peer;
	loop_timer_t timer;
	char answer[1 << 16];
	size_t answer_n;
	bool closed;
	int fd;
	unsigned wait_ms;
	str_t send, send2;
	bool half_close;
	const char *path;
} rig_t;

static void on_lost(net_exchange_t *x, void *owner)
{
	rig_t *r = owner;

	assert_true(net_is_lost(x));
	r->lost++;
	for (size_t i = 0; i < r->n_held; i++) {
		r->held[i] = r->held[i] == x ? NULL : r->held[i];
	}
	net_reply(x, 200, NET_NO_HEADERS, STR("to nobody, or to a half-closed peer"));
}

static void later(void *arg)
{
	rig_t *r = arg;
	net_exchange_t *x = r->held[0];

	r->held[0] = NULL;
	r->n_held = 0;
	net_reply(x, 200, NET_NO_HEADERS, net_target(x));
}

static void stream_on(net_exchange_t *x, void *owner)
{
	static const char block[8192] = { 'b' };
	rig_t *r = owner;
	size_t pending = net_reply_pending_bytes(x);

	r->drained++;
	while (r->streamed < (32 << 20) && pending <= NET_REPLY_HIGH_BYTES) {
		if (net_reply_chunk(x, str_bytes(block, sizeof(block))) != OK) {
			break;
		}
		r->streamed += sizeof(block);
		pending = net_reply_pending_bytes(x);
		r->pending_max = pending > r->pending_max ? pending : r->pending_max;
	}
	if (r->streamed >= (32 << 20) || net_is_lost(x)) {
		net_reply_end(x);
		return;
	}
	net_reply_on_drained(x, stream_on, r);
}

static void handler(net_exchange_t *x, void *owner)
{
	rig_t *r = owner;
	str_t path = net_path(x);

	r->handled++;
	r->peer = *net_peer(x);
	if (str_eq(path, STR("/hold"))) {
		r->held[r->n_held++] = x;
		net_on_lost(x, on_lost, r);
	} else if (str_eq(path, STR("/late"))) {
		assert_int_equal(r->n_held, 0); /* one at a time */
		r->held[r->n_held++] = x;
		loop_timer_start(r->b.loop, &r->timer, 20, later, r);
	} else if (str_eq(path, STR("/stream"))) {
		net_reply_begin(x, 200, NET_NO_HEADERS);
		stream_on(x, r);
	} else if (str_eq(path, STR("/flood"))) {
		static char block[1 << 20];
		net_reply_begin(x, 200, NET_NO_HEADERS);
		while (net_reply_chunk(x, str_bytes(block, sizeof(block))) == OK) {
			r->streamed += sizeof(block);
		}
		net_reply_end(x);
	} else if (str_eq(path, STR("/sse"))) {
		net_sse_begin(x, NET_HEADERS({ STR("X-More"), STR("1") }));
		assert_int_equal(net_sse_event(x, STR("message"), STR("7"), STR("a\nb\r\nc\rd")), OK);
		assert_int_equal(net_sse_event(x, STR(""), STR(""), STR("")), OK);
		assert_int_equal(net_sse_event(x, STR("a\nb"), STR(""), STR("x")), ERR_VALUE);
		assert_int_equal(net_sse_comment(x, STR("c")), OK);
		r->held[r->n_held++] = x;
	} else if (str_eq(path, STR("/inject"))) {
		net_reply(x, 200, NET_HEADERS({ STR("X"), STR("a\r\nSet-Cookie: b") }), STR("secret"));
	} else if (str_eq(path, STR("/hop"))) {
		net_reply(x, 999, NET_HEADERS({ STR("Content-Length"), STR("1") }, { STR("Connection"), STR("x-y") },
			{ STR("X-Y"), STR("1") }, { STR("Transfer-Encoding"), STR("chunked") },
			{ STR("Cache-Control"), STR("max-age=1") }, { STR("X-Ok"), STR("1") }), STR("body"));
	} else if (str_eq(path, STR("/none"))) {
		net_reply(x, 204, NET_NO_HEADERS, STR("never sent"));
	} else if (str_eq(path, STR("/error"))) {
		net_reply_error(x, ERR_GRANT_REVOKED);
	} else {
		net_reply_text(x, 200, STR("text/plain"), net_target(x));
	}
}

static void rig_open(rig_t *r, const net_server_options_t *o)
{
	memset(r, 0, sizeof(*r));
	support_open(&r->b, handler, r, o);
}

static void release(rig_t *r)
{
	for (size_t i = 0; i < r->n_held; i++) {
		if (r->held[i] && net_reply_has_begun(r->held[i])) {
			net_reply_end(r->held[i]);
		} else if (r->held[i]) {
			net_reply(r->held[i], 200, NET_NO_HEADERS, STR_NULL);
		}
	}
	r->n_held = 0;
}

static void rig_close(rig_t *r)
{
	release(r);
	support_close(&r->b);
}

/* Sends, perhaps waits and sends more, reads to the close. */
static void talk(void *arg)
{
	rig_t *r = arg;
	int fd = r->path ? unix_dial(r->path) : tcp_dial(r->b.port);

	sock_write(fd, r->send);
	if (r->send2.n) {
		sleep_ms(r->wait_ms);
		sock_write(fd, r->send2);
	}
	if (r->half_close) {
		shutdown(fd, SHUT_WR);
	}
	r->closed = sock_read_all(fd, r->answer, sizeof(r->answer), &r->answer_n);
	close(fd);
}

static str_t talked(rig_t *r, str_t send)
{
	r->send = send;
	support_run(&r->b, talk, r);
	r->send2 = STR_NULL;
	r->half_close = false;
	return (str_t){ r->answer, r->answer_n };
}

#define REQ(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void answers_carry_what_they_must(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	str_t a = talked(&r, STR(LAST("/x")));
	assert_int_equal(status_in(a), 200);
	assert_true(r.closed && str_contains(a, STR("\r\nX-Content-Type-Options: nosniff\r\n")));
	assert_true(str_contains(a, STR("\r\nCache-Control: no-store\r\n")));
	assert_true(str_contains(a, STR("\r\nContent-Length: 2\r\n")) && str_ends(a, STR("\r\n\r\n/x")));
	assert_true(str_contains(a, STR("\r\nConnection: close\r\n")) && str_contains(a, STR("\r\nDate: ")));
	a = talked(&r, STR(LAST("/inject")));
	assert_int_equal(status_in(a), 500);
	assert_false(str_contains(a, STR("secret")) || str_contains(a, STR("Set-Cookie")));
	a = talked(&r, STR(LAST("/hop")));
	assert_int_equal(status_in(a), 502);
	assert_int_equal(count_in(a, STR("Content-Length")), 1);
	assert_false(str_contains(a, STR("X-Y")) || str_contains(a, STR("chunked")) || str_contains(a, STR("no-store")));
	assert_true(str_contains(a, STR("X-Ok: 1\r\n")) && str_contains(a, STR("Cache-Control: max-age=1\r\n")));
	a = talked(&r, STR(LAST("/none")));
	assert_true(str_ends(a, STR("\r\n\r\n")) && !str_contains(a, STR("Content-Length")));
	a = talked(&r, STR("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	assert_true(str_ends(a, STR("\r\n\r\n")) && str_contains(a, STR("Content-Length: 2\r\n")));
	a = talked(&r, STR(LAST("/error")));
	assert_int_equal(status_in(a), 403);
	assert_true(str_contains(a, STR("{\"error\":\"grant_revoked\",\"message\":\"")));
	rig_close(&r);
}

/* The table's texts go into JSON as they are. */
static void error_texts_need_no_escape(void **state)
{
	(void)state;
	for (int e = 1; e < ERR_COUNT_; e++) {
		str_t parts[] = { str_of(err_info((err_t)e)->text), str_of(err_info((err_t)e)->fix) };
		for (size_t i = 0; i < 2; i++) {
			assert_true(str_find(parts[i], '"') == parts[i].n && str_find(parts[i], '\\') == parts[i].n);
			assert_true(str_is_utf8(parts[i]) && parts[i].n < 160);
		}
	}
}

static void pipelined_in_order(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	str_t a = talked(&r, STR(REQ("/1") REQ("/late?2") REQ("/late?3") REQ("/4") LAST("/5") REQ("/never")));
	assert_int_equal(count_in(a, STR("HTTP/1.1 200 OK")), 5);
	assert_int_equal(r.handled, 5);
	const char *order[] = { "/1HTTP", "/late?2HTTP", "/late?3HTTP", "/4HTTP" };
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		assert_true(str_contains(a, str_of(order[i])));
	}
	assert_true(str_ends(a, STR("/5")) && r.closed);
	r.handled = 0;
	a = talked(&r, STR(REQ("/1") "GARBAGE\r\n\r\n" REQ("/2"))); /* served, then refused, then nothing */
	assert_int_equal(r.handled, 1);
	assert_int_equal(count_in(a, STR("HTTP/1.1 ")), 2);
	assert_true(str_contains(a, STR("/1HTTP/1.1 400 Bad Request")));
	rig_close(&r);
}

static void flood_of_pipelined(void *arg)
{
	rig_t *r = arg;
	AUTO(buf_done) buf_t b;
	int fd = tcp_dial(r->b.port);

	buf_init(&b, 8 << 20);
	for (size_t i = 0; i < 5000; i++) {
		buf_add(&b, STR(REQ("/pipelined")));
	}
	buf_add(&b, STR(LAST("/end")));
	fcntl(fd, F_SETFL, O_NONBLOCK); /* send what fits, read, send on: nobody may deadlock */
	size_t sent = 0, got = 0, answers = 0;
	for (unsigned idle = 0; idle < 2000; idle++) {
		ssize_t n = sent < b.n ? send(fd, b.p + sent, b.n - sent, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		ssize_t m = recv(fd, r->answer, sizeof(r->answer), 0);
		if (m == 0) {
			r->closed = true;
			break;
		}
		if (m > 0) {
			answers += count_in((str_t){ r->answer, (size_t)m }, STR("pipelined"));
			got += (size_t)m;
			idle = 0;
		}
		if (m < 0 && n <= 0) {
			sleep_ms(1);
		}
	}
	r->answer_n = got;
	close(fd);
}

static void thousands_pipelined(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	support_run(&r.b, flood_of_pipelined, &r);
	assert_int_equal(r.handled, 5001);
	assert_true(r.closed);
	rig_close(&r);
}

static void slow_clients_are_cut(void **state)
{
	rig_t r;
	net_server_options_t o = { .head_timeout_ms = 100, .body_timeout_ms = 100, .idle_timeout_ms = 100 };

	(void)state;
	rig_open(&r, &o);
	str_t a = talked(&r, STR("GET /x HTT"));
	assert_int_equal(status_in(a), 408);
	assert_true(r.closed);
	a = talked(&r, STR("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"));
	assert_int_equal(status_in(a), 408);
	a = talked(&r, STR("")); /* says nothing */
	assert_true(r.closed && a.n == 0);
	a = talked(&r, STR(REQ("/x"))); /* and then nothing more */
	assert_true(r.closed && status_in(a) == 200);
	assert_int_equal(r.handled, 1);
	assert_int_equal(net_server_counts(r.b.server).refusals, 2);
	rig_close(&r);
}

static void drip(void *arg)
{
	rig_t *r = arg;
	int fd = tcp_dial(r->b.port);

	for (unsigned i = 0; i < 60 && !r->closed; i++) { /* a byte now and then gains no time */
		sock_write(fd, i == 0 ? STR("GET /") : STR("x"));
		sleep_ms(20);
		char c;
		r->closed = recv(fd, &c, 1, MSG_DONTWAIT) >= 0;
	}
	close(fd);
}

static void loris_is_cut(void **state)
{
	rig_t r;
	net_server_options_t o = { .head_timeout_ms = 200 };

	(void)state;
	rig_open(&r, &o);
	support_run(&r.b, drip, &r);
	assert_true(r.closed);
	assert_int_equal(r.handled, 0);
	rig_close(&r);
}

static void half_close_still_gets_answers(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	r.half_close = true;
	str_t a = talked(&r, STR(REQ("/a") REQ("/late?b") REQ("/c")));
	assert_int_equal(count_in(a, STR("HTTP/1.1 200 OK")), 3);
	assert_true(r.closed);
	r.half_close = true;
	a = talked(&r, STR("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")); /* half a request */
	assert_true(r.closed && a.n == 0);
	r.half_close = true;
	a = talked(&r, STR(REQ("/hold"))); /* its handler is told and answers */
	assert_int_equal(r.lost, 1);
	assert_int_equal(status_in(a), 200);
	rig_close(&r);
}

static void reset_client(void *arg)
{
	rig_t *r = arg;
	const struct linger hard = { 1, 0 };
	int fd = tcp_dial(r->b.port);

	sock_write(fd, r->send);
	sleep_ms(30);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd); /* RST */
	sleep_ms(30);
}

static void resets_are_told_once(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	r.send = STR(REQ("/hold"));
	support_run(&r.b, reset_client, &r);
	assert_int_equal(r.lost, 1);
	r.send = STR("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
	support_run(&r.b, reset_client, &r);
	r.send = STR(REQ("/stream"));
	support_run(&r.b, reset_client, &r);
	assert_true(r.streamed < (32 << 20));
	assert_int_equal(r.handled, 2);
	assert_int_equal(net_server_counts(r.b.server).connections_now, 0);
	rig_close(&r);
}

static void too_large_is_refused(void **state)
{
	static char big[100000];
	rig_t r;
	net_server_options_t o = { .body_bytes_max = 1000 };
	AUTO(buf_done) buf_t b;

	(void)state;
	rig_open(&r, &o);
	buf_init(&b, 1 << 20);
	memset(big, 'x', sizeof(big));
	buf_printf(&b, "GET /");
	buf_add(&b, str_bytes(big, sizeof(big)));
	assert_int_equal(status_in(talked(&r, buf_str(&b))), 431);
	buf_clear(&b);
	buf_printf(&b, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", sizeof(big));
	buf_add(&b, str_bytes(big, sizeof(big))); /* still being sent when the answer comes */
	assert_int_equal(status_in(talked(&r, buf_str(&b))), 413);
	assert_true(r.closed);
	buf_clear(&b);
	buf_printf(&b, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", sizeof(big));
	buf_add(&b, str_bytes(big, sizeof(big)));
	assert_int_equal(status_in(talked(&r, buf_str(&b))), 413);
	assert_int_equal(r.handled, 0);
	rig_close(&r);
}

static void continue_client(void *arg)
{
	rig_t *r = arg;
	AUTO(buf_done) buf_t b;
	int fd = tcp_dial(r->b.port);

	buf_init(&b, 1 << 20);
	sock_write(fd, STR("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
	r->closed = sock_read_until(fd, &b, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	sock_write(fd, STR("hi"));
	r->closed = r->closed && sock_read_until(fd, &b, STR("\r\n\r\n/x"));
	close(fd);
}

static void heavy_bodies(void *arg)
{
	static const char block[50000];
	rig_t *r = arg;
	int fds[4];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = tcp_dial(r->b.port);
		sock_write(fds[i], STR("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"));
		sock_write(fds[i], str_bytes(block, sizeof(block)));
		sleep_ms(20);
	}
	r->closed = sock_read_all(fds[3], r->answer, sizeof(r->answer), &r->answer_n);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		close(fds[i]);
	}
	sleep_ms(20);
}

static void bodies_together_are_bounded(void **state)
{
	rig_t r;
	net_server_options_t o = { .bodies_bytes_max = 200000 };

	(void)state;
	rig_open(&r, &o);
	for (size_t i = 0; i < 3; i++) { /* what was held is given back each time */
		support_run(&r.b, heavy_bodies, &r);
		assert_int_equal(status_in((str_t){ r.answer, r.answer_n }), 503);
		assert_int_equal(net_server_counts(r.b.server).refusals, i + 1);
	}
	rig_close(&r);
}

static void expectations_are_met(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	support_run(&r.b, continue_client, &r);
	assert_true(r.closed);
	str_t a = talked(&r, STR("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"));
	assert_int_equal(status_in(a), 413); /* and no 100 before it */
	rig_close(&r);
}

static void crowd(void *arg)
{
	rig_t *r = arg;
	int fds[20];
	char c;

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = tcp_dial(r->b.port);
		sock_write(fds[i], STR(REQ("/x")));
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		r->streamed += recv(fds[i], &c, 1, 0) == 1; /* answered, or closed at once */
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		close(fds[i]);
	}
}

static void connections_are_bounded(void **state)
{
	rig_t r;
	net_server_options_t o = { .connections_max = 8 };

	(void)state;
	rig_open(&r, &o);
	support_run(&r.b, crowd, &r);
	assert_int_equal(r.streamed, 8);
	assert_int_equal(net_server_counts(r.b.server).connections_over, 12);
	sleep_ms(10);
	assert_int_equal(status_in(talked(&r, STR(LAST("/x")))), 200); /* and it recovers */
	rig_close(&r);
}

static void slow_reader(void *arg)
{
	rig_t *r = arg;
	int fd = tcp_dial(r->b.port);
	ssize_t n;

	sock_write(fd, STR(LAST("/stream")));
	sleep_ms(300);
	while ((n = recv(fd, r->answer, sizeof(r->answer), 0)) > 0) {
		r->answer_n += (size_t)n;
	}
	r->closed = n == 0;
	close(fd);
}

static void back_pressure_bounds_memory(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	support_run(&r.b, slow_reader, &r);
	assert_int_equal(r.streamed, 32 << 20);
	assert_true(r.closed && r.answer_n > (32 << 20));
	assert_true(r.pending_max <= NET_REPLY_HIGH_BYTES + 8192 + 16);
	assert_true(r.drained >= 2); /* how often is the kernel's affair */
	r.streamed = 0;
	r.answer_n = 0;
	rig_close(&r);
}

static void non_reader(void *arg)
{
	rig_t *r = arg;
	int fd = tcp_dial(r->b.port);

	sock_write(fd, r->send);
	sleep_ms(700);
	close(fd);
}

static void who_never_reads_is_cut(void **state)
{
	rig_t r;
	net_server_options_t o = { .write_timeout_ms = 200 };

	(void)state;
	rig_open(&r, &o);
	r.send = STR(REQ("/flood")); /* a handler that ignores back-pressure meets a wall */
	support_run(&r.b, non_reader, &r);
	assert_true(r.streamed >= (4 << 20) && r.streamed <= (16 << 20));
	r.streamed = 0;
	r.send = STR(REQ("/stream"));
	support_run(&r.b, non_reader, &r);
	assert_true(r.streamed < (16 << 20));
	assert_int_equal(net_server_counts(r.b.server).connections_now, 0);
	rig_close(&r);
}

static void sse_client(void *arg)
{
	rig_t *r = arg;
	AUTO(buf_done) buf_t b;
	int fd = tcp_dial(r->b.port);

	buf_init(&b, 1 << 20);
	sock_write(fd, STR(REQ("/sse")));
	r->closed = sock_read_until(fd, &b, STR("3\r\n:\n\n\r\n")); /* the keep-alive comment */
	r->answer_n = b.n;
	memcpy(r->answer, b.p, b.n);
	close(fd);
	sleep_ms(30);
}

static void event_streams(void **state)
{
	rig_t r;
	net_server_options_t o = { .sse_idle_ms = 100 };

	(void)state;
	rig_open(&r, &o);
	support_run(&r.b, sse_client, &r);
	str_t a = { r.answer, r.answer_n };
	assert_true(r.closed);
	assert_true(str_contains(a, STR("Content-Type: text/event-stream\r\n")));
	assert_true(str_contains(a, STR("X-Accel-Buffering: no\r\n")) && str_contains(a, STR("X-More: 1\r\n")));
	assert_true(str_contains(a, STR("\r\nevent: message\nid: 7\ndata: a\ndata: b\ndata: c\ndata: d\n\n\r\n")));
	assert_true(str_contains(a, STR("\r\ndata: \n\n\r\n")) && str_contains(a, STR("\r\n: c\n\n\r\n")));
	assert_int_equal(net_reply_chunk(r.held[0], STR("x")) == OK && !net_is_lost(r.held[0]), false);
	rig_close(&r);
}

static void unix_peers_are_known(void **state)
{
	rig_t r;
	char dir[] = "/tmp/attorn-net-XXXXXX", path[64];
	struct stat st;
	net_server_t *second = NULL;
	diag_t diag = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	net_server_options_t o = { .unix_path = path, .handler = handler };
	rig_open(&r, &o);
	r.path = path;
	assert_int_equal(status_in(talked(&r, STR(LAST("/x")))), 200);
	assert_true(r.peer.is_unix && r.peer.pid == getpid() && r.peer.uid == getuid() && r.peer.gid == getgid());
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(net_server_open(r.b.loop, &o, &second, &diag), ERR_EXISTS); /* it is served */
	assert_true(str_contains(str_of(diag.text), STR("another process")));
	rig_close(&r);
	assert_int_equal(stat(path, &st), -1);
	/* left over by a process that died: replaced */
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_storage a = { .ss_family = AF_UNIX };
	memcpy(((struct sockaddr *)&a)->sa_data, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)(sizeof(sa_family_t) + strlen(path) + 1)), 0);
	close(fd);
	assert_int_equal(stat(path, &st), 0);
	rig_open(&r, &o);
	r.path = path;
	assert_int_equal(status_in(talked(&r, STR(LAST("/x")))), 200);
	rig_close(&r);
	/* no socket: left alone */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	loop_t *loop = loop_new();
	assert_int_equal(net_server_open(loop, &o, &second, &diag), ERR_EXISTS);
	loop_free(loop);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void where_it_may_listen(void **state)
{
	static const str_t bad[] = { STR_INIT("0.0.0.0"), STR_INIT("::"), STR_INIT("192.0.2.1"), STR_INIT("localhost"),
		STR_INIT(""), STR_INIT("128.0.0.1"), STR_INIT("127.0.0.1 "), STR_INIT("::ffff:127.0.0.1"),
		STR_INIT("127.0.0.1\0") };
	loop_t *loop = loop_new();
	net_server_t *s = NULL;
	rig_t r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		diag_t diag = { 0 };
		net_server_options_t o = { .address = bad[i], .handler = handler };
		assert_int_equal(net_server_open(loop, &o, &s, &diag), ERR_CONFIG);
		assert_true(diag.text[0] != '\0');
	}
	loop_free(loop);
	rig_open(&r, &(net_server_options_t){ .reuse_port = true });
	assert_true(r.b.port != 0);
	net_server_options_t same = { .address = STR("127.0.0.1"), .port = r.b.port, .handler = handler, .owner = &r };
	diag_t diag = { 0 };
	assert_int_equal(net_server_open(r.b.loop, &same, &s, &diag), ERR_EXISTS);
	assert_null(s);
	same.reuse_port = true;
	assert_int_equal(net_server_open(r.b.loop, &same, &s, &diag), OK);
	assert_int_equal(net_server_port(s), r.b.port);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(status_in(talked(&r, STR(LAST("/x")))), 200);
	}
	net_server_close(s, NULL, NULL);
	assert_int_equal(status_in(talked(&r, STR(LAST("/x")))), 200);
	assert_true(!r.peer.is_unix && str_eq(str_of(r.peer.address), STR("127.0.0.1")) && r.peer.port != 0);
	assert_true(r.peer.uid == (uid_t)-1);
	rig_close(&r);
}

static void stop_now(void *arg)
{
	rig_t *r = arg;

	net_server_stop(r->b.server);
	later(r);
}

static void stop_client(void *arg)
{
	rig_t *r = arg;
	int idle = tcp_dial(r->b.port), busy = tcp_dial(r->b.port);
	char c;

	sock_write(busy, STR(REQ("/hold") REQ("/never")));
	sleep_ms(50);
	loop_post(r->b.loop, stop_now, r);
	r->closed = sock_read_all(busy, r->answer, sizeof(r->answer), &r->answer_n);
	r->wait_ms = recv(idle, &c, 1, 0) == 0;
	close(idle);
	close(busy);
}

static void stop_answers_what_is_in_flight(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	support_run(&r.b, stop_client, &r);
	str_t a = { r.answer, r.answer_n };
	assert_true(r.closed && r.wait_ms == 1);
	assert_int_equal(count_in(a, STR("HTTP/1.1 200 OK")), 1);
	assert_true(str_contains(a, STR("Connection: close")) && str_ends(a, STR("/hold")));
	assert_int_equal(r.handled, 1);
	rig_close(&r);
}

static void hold_client(void *arg)
{
	rig_t *r = arg;

	r->fd = tcp_dial(r->b.port);
	sock_write(r->fd, STR(REQ("/hold")));
	sleep_ms(30);
}

static void flag(void *owner)
{
	*(bool *)owner = true;
}

/* Exchanges outlive connections and server: they are answered to nobody. */
static void close_leaves_exchanges_valid(void **state)
{
	rig_t r;
	bool closed = false;

	(void)state;
	rig_open(&r, NULL);
	support_run(&r.b, hold_client, &r);
	assert_int_equal(r.n_held, 1);
	net_exchange_t *x = r.held[0];
	net_on_lost(x, NULL, NULL);
	net_server_close(r.b.server, flag, &closed);
	assert_true(support_until(r.b.loop, &closed));
	assert_true(net_is_lost(x) && str_eq(net_target(x), STR("/hold")));
	net_reply_begin(x, 200, NET_NO_HEADERS);
	assert_int_equal(net_reply_chunk(x, STR("a")), ERR_CANCELLED);
	net_reply_end(x);
	close(r.fd);
	loop_free(r.b.loop);
}

typedef struct {
	int status;
	unsigned calls, lost;
	char text[64];
} answered_t;

static void on_answered(int status, net_headers_t headers, str_t body, void *owner)
{
	answered_t *a = owner;

	a->calls++;
	a->status = status;
	snprintf(a->text, sizeof(a->text), "%zu %.*s", headers.n, STR_ARG(body));
}

static void detached_lost(net_exchange_t *x, void *owner)
{
	((answered_t *)owner)->lost++;
	net_reply_begin(x, 200, NET_HEADERS({ STR("A"), STR("b") }));
	assert_int_equal(net_reply_chunk(x, STR("too late")), ERR_CANCELLED);
	net_reply_end(x);
}

/* For simulations: no socket, no libuv. */
static void detached_exchanges(void **state)
{
	AUTO(sim_free) sim_t *s = sim_new(&(sim_plan_t){ .seed = 1 });
	answered_t a = { 0 };
	net_exchange_t *x;

	(void)state;
	assert_int_equal(net_detached_new(sim_loop(s), STR("GET /x HTTP/1.0\r\n\r\n"), on_answered, &a, &x), ERR_HTTP);
	assert_int_equal(net_detached_new(sim_loop(s), STR(REQ("/x") "more"), on_answered, &a, &x), ERR_HTTP);
	assert_int_equal(net_detached_new(sim_loop(s), STR(REQ("/x?y")), on_answered, &a, &x), OK);
	assert_true(str_eq(net_path(x), STR("/x")) && str_eq(net_host(x), STR("a")));
	net_reply_text(x, 201, STR("text/plain"), STR("hello"));
	assert_true(a.calls == 1 && a.status == 201);
	assert_string_equal(a.text, "1 hello");
	assert_int_equal(net_detached_new(sim_loop(s), STR(REQ("/x")), on_answered, &a, &x), OK);
	net_reply_begin(x, 200, NET_NO_HEADERS);
	assert_int_equal(net_reply_chunk(x, STR("one")), OK);
	assert_int_equal(net_reply_chunk(x, STR("two")), OK);
	net_reply_end(x);
	assert_string_equal(a.text, "0 onetwo");
	assert_int_equal(net_detached_new(sim_loop(s), STR(REQ("/x")), on_answered, &a, &x), OK);
	net_on_lost(x, detached_lost, &a);
	net_detached_lose(x);
	assert_int_equal(a.lost, 0);
	assert_true(sim_run(s));
	assert_int_equal(a.lost, 1);
	assert_string_equal(a.text, "1 ");
	assert_int_equal(net_detached_new(sim_loop(s), STR(REQ("/x")), on_answered, &a, &x), OK);
	net_reply_abort(x);
	assert_true(a.calls == 4 && a.status == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_carry_what_they_must),
		cmocka_unit_test(error_texts_need_no_escape),
		cmocka_unit_test(pipelined_in_order),
		cmocka_unit_test(thousands_pipelined),
		cmocka_unit_test(slow_clients_are_cut),
		cmocka_unit_test(loris_is_cut),
		cmocka_unit_test(half_close_still_gets_answers),
		cmocka_unit_test(resets_are_told_once),
		cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(bodies_together_are_bounded),
		cmocka_unit_test(expectations_are_met),
		cmocka_unit_test(connections_are_bounded),
		cmocka_unit_test(back_pressure_bounds_memory),
		cmocka_unit_test(who_never_reads_is_cut),
		cmocka_unit_test(event_streams),
		cmocka_unit_test(unix_peers_are_known),
		cmocka_unit_test(where_it_may_listen),
		cmocka_unit_test(stop_answers_what_is_in_flight),
		cmocka_unit_test(close_leaves_exchanges_valid),
		cmocka_unit_test(detached_exchanges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
