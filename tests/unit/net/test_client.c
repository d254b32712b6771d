/* The client against our own server, a scripted bad server and Python's http.server; all of it twice: by
 * address, over connections of our own, and by name, through libcurl. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "support.h"

extern char **environ;

static const char *host;

static int by_address(void **state)
{
	host = "127.0.0.1";
	return 0;
}

static int by_name(void **state)
{
	host = "localhost";
	return 0;
}

/* ---- our own server: echoes what it got, streams, or holds ---- */

static net_exchange_t *held;
static unsigned lost;

static void on_lost(net_exchange_t *x, void *owner)
{
	lost++;
	held = NULL;
	net_reply(x, 503, NET_NO_HEADERS, STR_NULL);
}

static void echo(net_exchange_t *x)
{
	AUTO(buf_done) buf_t b;
	net_headers_t h = net_request_headers(x);

	buf_init(&b, 8 << 20);
	buf_printf(&b, "%.*s %.*s\n", STR_ARG(net_method(x)), STR_ARG(net_target(x)));
	for (size_t i = 0; i < h.n; i++) {
		buf_printf(&b, "%.*s=%.*s\n", STR_ARG(h.v[i].name), STR_ARG(h.v[i].value));
	}
	buf_byte(&b, '\n');
	buf_add(&b, net_body(x));
	net_reply(x, 200, NET_HEADERS({ STR("X-Two"), STR("1") }, { STR("X-Two"), STR("2") }, { STR("X-Empty"), STR("") }),
		buf_str(&b));
}

static void handler(net_exchange_t *x, void *owner)
{
	static char block[1000];

	if (str_eq(net_path(x), STR("/hold"))) {
		held = x;
		net_on_lost(x, on_lost, NULL);
	} else if (str_eq(net_path(x), STR("/stream"))) {
		net_reply_begin(x, 200, NET_NO_HEADERS);
		for (size_t i = 0; i < 2000; i++) {
			memset(block, 'a' + (int)(i % 26), sizeof(block));
			assert_int_equal(net_reply_chunk(x, str_bytes(block, sizeof(block))), OK);
		}
		net_reply_end(x);
	} else if (str_eq(net_path(x), STR("/cut"))) {
		net_reply_begin(x, 200, NET_NO_HEADERS);
		assert_int_equal(net_reply_chunk(x, STR("half")), OK);
		net_reply_abort(x);
	} else if (str_eq(net_path(x), STR("/redirect"))) {
		net_reply(x, 302, NET_HEADERS({ STR("Location"), STR("/echo") }), STR_NULL);
	} else if (str_eq(net_path(x), STR("/none"))) {
		net_reply(x, 204, NET_NO_HEADERS, STR_NULL);
	} else {
		echo(x);
	}
}

typedef struct {
	bench_t b;
	net_client_t *client;
	arena_t *arena;
} rig_t;

static void rig_open(rig_t *r, const net_server_options_t *o)
{
	support_open(&r->b, handler, NULL, o);
	assert_int_equal(net_client_open(r->b.loop, 4, &r->client), OK);
	r->arena = arena_open();
	lost = 0;
}

static void flag(void *owner)
{
	*(bool *)owner = true;
}

static void rig_close(rig_t *r)
{
	bool closed = false;

	net_client_close(r->client, flag, &closed);
	assert_true(support_until(r->b.loop, &closed));
	support_close(&r->b);
	arena_free(r->arena);
}

typedef struct {
	bool done;
	err_t err;
} result_t;

static void op_done(op_t *op, err_t err)
{
	result_t *r = op->owner;

	*r = (result_t){ true, err };
}

static err_t fetch(rig_t *r, const net_request_t *q, net_response_t *out)
{
	result_t result = { 0 };
	op_t *op = net_fetch(r->client, r->arena, q, out);

	op_start(op, r->b.loop, loop_in_ms(r->b.loop, 8000), op_done, &result);
	assert_true(support_until(r->b.loop, &result.done));
	return result.err;
}

static str_t url_of(rig_t *r, const char *path)
{
	return arena_printf(r->arena, "http://%s:%u%s", host, r->b.port, path);
}

static void requests_go_out_as_told(void **state)
{
	rig_t r;
	net_response_t a;

	(void)state;
	rig_open(&r, NULL);
	net_request_t q = { .method = STR("POST"), .url = url_of(&r, "/a/../b//c/%2e?x=y&x"), .body = STR("hi\0there"),
		.headers = NET_HEADERS({ STR("X-One"), STR("1") }, { STR("X-One"), STR("2") },
			{ STR("X-Empty"), STR("") }, { STR("Host"), STR("evil") }, { STR("Content-Length"), STR("7") },
			{ STR("Connection"), STR("x-mine") }, { STR("X-Mine"), STR("1") },
			{ STR("Transfer-Encoding"), STR("chunked") }) };
	assert_int_equal(fetch(&r, &q, &a), OK);
	assert_int_equal(a.status, 200);
	str_t expected = arena_printf(r.arena, "POST /a/../b//c/%%2e?x=y&x\nHost=%s:%u\nAccept=*/*\n", host, r.b.port);
	assert_true(str_starts(a.body, expected));
	str_t rest = str_sub(a.body, expected.n, a.body.n);
	assert_true(str_eq(rest, STR("X-One=1\nX-One=2\nX-Empty=\nContent-Length=8\n\nhi\0there")));
	size_t i = 0;
	str_t v;
	assert_true(net_headers_next(a.headers, STR("x-two"), &i, &v) && str_eq(v, STR("1")));
	assert_true(net_headers_next(a.headers, STR("x-two"), &i, &v) && str_eq(v, STR("2")));
	assert_int_equal(net_headers_get(a.headers, STR("X-Empty"), &v), OK);
	assert_int_equal(v.n, 0);
	assert_int_equal(net_headers_get(a.headers, STR("Cache-Control"), &v), OK);
	assert_true(str_eq(v, STR("no-store")));
	assert_int_equal(net_headers_get(a.headers, STR("Date"), &v), OK);
	struct tm tm = { 0 };
	const char *date;
	assert_int_equal(arena_cstr(r.arena, v, &date), OK);
	assert_non_null(strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm));
	time_t age = time(NULL) - timegm(&tm);
	assert_true(v.n == 29 && age >= 0 && age < 60);
	rig_close(&r);
}

static void methods_and_empty_answers(void **state)
{
	static const str_t methods[] = { STR_INIT("GET"), STR_INIT("DELETE"), STR_INIT("OPTIONS"), STR_INIT("PUT"),
		STR_INIT("PATCH"), STR_INIT("POST") };
	rig_t r;
	net_response_t a;

	(void)state;
	rig_open(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		net_request_t q = { .method = methods[i], .url = url_of(&r, "/e") };
		assert_int_equal(fetch(&r, &q, &a), OK);
		assert_true(str_starts(a.body, arena_cat(r.arena, methods[i], STR(" /e\n"))));
		assert_int_equal(str_contains(a.body, STR("Content-Length=0")), str_eq(methods[i], STR("POST")));
	}
	net_request_t head = { .method = STR("HEAD"), .url = url_of(&r, "/e") };
	assert_int_equal(fetch(&r, &head, &a), OK);
	assert_int_equal(a.body.n, 0);
	net_request_t none = { .method = STR("DELETE"), .url = url_of(&r, "/none") };
	assert_int_equal(fetch(&r, &none, &a), OK);
	assert_int_equal(a.status, 204);
	net_request_t redirect = { .method = STR("GET"), .url = url_of(&r, "/redirect") };
	assert_int_equal(fetch(&r, &redirect, &a), OK);
	assert_int_equal(a.status, 302); /* never followed */
	assert_int_equal(net_server_counts(r.b.server).connections, 1); /* all on one kept connection */
	rig_close(&r);
}

static void what_cannot_be_sent(void **state)
{
	static const str_t urls[] = { STR_INIT("file:///etc/passwd"), STR_INIT("ftp://127.0.0.1/"), STR_INIT("http://"),
		STR_INIT("http://u:p@127.0.0.1/"), STR_INIT("http://127.0.0.1/#f"), STR_INIT("http://127.0.0.1/ x"),
		STR_INIT("http://127.0.0.1/\r\nX: y"), STR_INIT("http://127.0.0.1/\0x"), STR_INIT("gopher://127.0.0.1/"),
		STR_INIT("http://a\\@127.0.0.1/"), STR_INIT("") };
	rig_t r;
	net_response_t a;

	(void)state;
	rig_open(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		net_request_t q = { .method = STR("GET"), .url = urls[i] };
		assert_int_equal(fetch(&r, &q, &a), ERR_VALUE);
	}
	net_request_t line = { .method = STR("GET"), .url = url_of(&r, "/"),
		.headers = NET_HEADERS({ STR("X"), STR("a\r\nY: b") }) };
	assert_int_equal(fetch(&r, &line, &a), ERR_VALUE);
	net_request_t method = { .method = STR("GET / HTTP/1.1\r\n"), .url = url_of(&r, "/") };
	assert_int_equal(fetch(&r, &method, &a), ERR_VALUE);
	net_request_t refused = { .method = STR("GET"), .url = arena_printf(r.arena, "http://%s:1/", host) };
	assert_int_equal(fetch(&r, &refused, &a), ERR_UPSTREAM);
	assert_int_equal(net_server_counts(r.b.server).requests, 0);
	rig_close(&r);
}

static void bodies_and_bounds(void **state)
{
	rig_t r;
	net_response_t a;
	char *big = heap_alloc(3 << 20);

	(void)state;
	rig_open(&r, NULL);
	memset(big, 'z', 3 << 20);
	net_request_t q = { .method = STR("PUT"), .url = url_of(&r, "/e"), .body = { big, 3 << 20 } };
	assert_int_equal(fetch(&r, &q, &a), OK);
	assert_true(a.body.n > 3 << 20 && str_ends(a.body, (str_t){ big, 3 << 20 }));
	q.response_bytes_max = 3 << 20; /* the echo is a little longer */
	assert_int_equal(fetch(&r, &q, &a), ERR_LIMIT);
	net_request_t stream = { .method = STR("GET"), .url = url_of(&r, "/stream") };
	assert_int_equal(fetch(&r, &stream, &a), OK);
	assert_int_equal(a.body.n, 2000000);
	net_request_t cut = { .method = STR("GET"), .url = url_of(&r, "/cut") };
	assert_int_equal(fetch(&r, &cut, &a), ERR_UPSTREAM);
	heap_free(big);
	rig_close(&r);
}

static void times_and_cancel(void **state)
{
	rig_t r;
	net_response_t a;
	result_t result = { 0 };

	(void)state;
	rig_open(&r, NULL);
	net_request_t total = { .method = STR("GET"), .url = url_of(&r, "/hold"), .total_timeout_ms = 50 };
	assert_int_equal(fetch(&r, &total, &a), ERR_TIMEOUT);
	net_request_t idle = { .method = STR("GET"), .url = url_of(&r, "/hold"), .idle_timeout_ms = 50 };
	assert_int_equal(fetch(&r, &idle, &a), ERR_TIMEOUT);
	op_t *op = net_fetch(r.client, r.arena, &idle, &a);
	op_start(op, r.b.loop, loop_in_ms(r.b.loop, 30), op_done, &result); /* the deadline is the operation's */
	assert_true(support_until(r.b.loop, &result.done));
	assert_int_equal(result.err, ERR_TIMEOUT);
	net_request_t hold = { .method = STR("GET"), .url = url_of(&r, "/hold") };
	op = net_fetch(r.client, r.arena, &hold, &a);
	result = (result_t){ 0 };
	op_start(op, r.b.loop, loop_in_ms(r.b.loop, 8000), op_done, &result);
	op_hurry(op);
	assert_false(result.done); /* never inline */
	assert_true(support_until(r.b.loop, &result.done));
	assert_int_equal(result.err, ERR_CANCELLED);
	bool closed = false;
	result = (result_t){ 0 };
	op = net_fetch(r.client, r.arena, &hold, &a); /* in flight when the client closes */
	op_start(op, r.b.loop, loop_in_ms(r.b.loop, 8000), op_done, &result);
	net_client_close(r.client, flag, &closed);
	assert_true(support_until(r.b.loop, &closed));
	assert_true(result.done && result.err == ERR_CANCELLED);
	assert_int_equal(net_client_open(r.b.loop, 4, &r.client), OK);
	rig_close(&r);
}

/* ---- streaming ---- */

typedef struct {
	rig_t *r;
	net_call_t *call;
	size_t bytes, told, told_while_paused, cancel_at;
	bool paused, done, pause_each;
	int status;
	err_t err;
	loop_timer_t timer;
} streaming_t;

static void resume(void *arg)
{
	streaming_t *s = arg;

	s->paused = false;
	net_call_resume(s->call);
}

static void stream_head(net_call_t *call, int status, net_headers_t headers, void *owner)
{
	streaming_t *s = owner;

	assert_int_equal(s->bytes, 0);
	s->status = status;
}

static void stream_data(net_call_t *call, str_t bytes, void *owner)
{
	streaming_t *s = owner;

	s->bytes += bytes.n;
	s->told++;
	s->told_while_paused += s->paused;
	if (s->cancel_at && s->bytes >= s->cancel_at) {
		net_call_cancel(call);
		return;
	}
	if (s->pause_each && !s->paused) {
		s->paused = true;
		net_call_pause(call);
		loop_timer_start(s->r->b.loop, &s->timer, 1, resume, s);
	}
}

static void stream_done(err_t e, void *owner)
{
	streaming_t *s = owner;

	assert_false(s->done);
	loop_timer_stop(s->r->b.loop, &s->timer);
	s->done = true;
	s->err = e;
}

static void stream_run(rig_t *r, streaming_t *s)
{
	static const net_call_fns_t fns = { stream_head, stream_data, stream_done };
	net_request_t q = { .method = STR("GET"), .url = url_of(r, "/stream"), .response_bytes_max = SIZE_MAX };

	s->r = r;
	assert_int_equal(net_call_start(r->client, &q, &fns, s, &s->call), OK);
	assert_int_equal(s->told, 0);
	assert_true(support_until(r->b.loop, &s->done));
}

static void streams_pause_and_end(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	streaming_t plain = { 0 };
	stream_run(&r, &plain);
	assert_true(plain.err == OK && plain.status == 200 && plain.bytes == 2000000);
	streaming_t pausing = { .pause_each = true };
	stream_run(&r, &pausing);
	assert_true(pausing.err == OK && pausing.bytes == 2000000);
	assert_int_equal(pausing.told_while_paused, 0);
	assert_true(pausing.told >= 20); /* pieces stay near 64 KiB */
	streaming_t cancelling = { .cancel_at = 100000 };
	stream_run(&r, &cancelling);
	assert_int_equal(cancelling.err, ERR_CANCELLED);
	assert_true(cancelling.bytes < 2000000);
	rig_close(&r);
}

/* ---- a server that behaves badly, line by line from a script ---- */

typedef struct {
	int listener;
	uint16_t port;
	const str_t *answers; /* one per request, on one connection until `close_after` were given */
	size_t n_answers, close_after;
	_Atomic size_t requests, connections;
	pthread_t thread;
} bad_t;

static void bad_connection(bad_t *s, int fd)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, 1 << 20);
	s->connections++;
	for (size_t i = 0; i < s->close_after && sock_read_until(fd, &b, STR("\r\n\r\n")); i++) {
		size_t at = s->requests++;
		buf_clear(&b);
		sock_write(fd, s->answers[at < s->n_answers ? at : s->n_answers - 1]);
	}
	if (s->close_after > 1) {
		(void)!sock_read_until(fd, &b, STR("\r\n\r\n"));
		s->requests += b.n > 0; /* read, acted upon, and gone without an answer */
	}
	close(fd);
}

static void *bad_main(void *arg)
{
	bad_t *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		bad_connection(s, fd);
	}
	return NULL;
}

static void bad_open(bad_t *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, bad_main, s), 0);
}

static void bad_close(bad_t *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static void malformed_answers(void **state)
{
	static const struct {
		str_t bytes;
		err_t err;
	} rows[] = {
		{ STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), OK },
		{ STR_INIT("HTTP/1.0 200 OK\r\n\r\nuntil the end"), OK },
		{ STR_INIT("HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), OK },
		{ STR_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"), OK },
		{ STR_INIT(""), ERR_UPSTREAM },
		{ STR_INIT("hello"), ERR_UPSTREAM }, /* HTTP/0.9 */
		{ STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
			ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 0\r\n\r\n"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nX Y: z\r\nContent-Length: 0\r\n\r\n"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nX: \x01\r\nContent-Length: 0\r\n\r\n"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n"), ERR_UPSTREAM },
		{ STR_INIT("HTTP/2 200\r\nContent-Length: 0\r\n\r\n"), ERR_UPSTREAM },
		{ STR_INIT("ICY 200 OK\r\nContent-Length: 0\r\n\r\n"), ERR_UPSTREAM },
	};
	rig_t r;
	net_response_t a;

	(void)state;
	rig_open(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bad_t bad = { .answers = &rows[i].bytes, .n_answers = 1, .close_after = 1 };
		bad_open(&bad);
		net_request_t q = { .method = STR("GET"),
			.url = arena_printf(r.arena, "http://%s:%u/", host, bad.port), .total_timeout_ms = 3000 };
		err_t e = fetch(&r, &q, &a);
		if (e != rows[i].err) {
			fail_msg("row %zu: %s", i, err_info(e)->name);
		}
		bad_close(&bad);
	}
	rig_close(&r);
}

/* The kept connection dies under the second request, after the peer has read it. */
static void nothing_is_sent_twice(void **state)
{
	static const str_t ok = STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	static const str_t methods[] = { STR_INIT("POST"), STR_INIT("DELETE"), STR_INIT("PUT"), STR_INIT("GET") };
	rig_t r;
	net_response_t a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		bool repeatable = str_eq(methods[i], STR("GET"));
		bad_t bad = { .answers = &ok, .n_answers = 1, .close_after = 2 };
		rig_open(&r, NULL);
		bad_open(&bad);
		net_request_t q = { .method = methods[i],
			.url = arena_printf(r.arena, "http://%s:%u/", host, bad.port) };
		assert_int_equal(fetch(&r, &q, &a), OK);
		assert_int_equal(fetch(&r, &q, &a), OK);
		assert_int_equal(bad.connections, 1);
		/* third: read and not answered; GET is repeated on a new connection */
		assert_int_equal(fetch(&r, &q, &a), repeatable ? OK : ERR_UPSTREAM);
		rig_close(&r);
		bad_close(&bad);
		assert_int_equal(bad.requests, repeatable ? 4 : 3);
	}
}

/* ---- Python's http.server: HTTP/1.0 and 1.1, a body until close, an early close ---- */

static const char plain_script[] =
		"import http.server,sys\n"
		"class H(http.server.BaseHTTPRequestHandler):\n"
		" protocol_version='HTTP/1.1'\n"
		" def log_message(self,*a): pass\n"
		" def do_POST(self):\n"
		"  b=self.rfile.read(int(self.headers['Content-Length']))\n"
		"  self.send_response(201); self.send_header('Content-Length',str(len(b)));self.end_headers();self.wfile.write(b)\n"
		" def do_GET(self):\n"
		"  self.send_response(200); self.send_header('Connection','close');self.end_headers()\n"
		"  [self.wfile.write(b'x'*1000) for i in range(1000)]\n"
		" def do_DELETE(self):\n"
		"  self.send_response(200); self.send_header('Content-Length','10');self.end_headers();self.wfile.write(b'abc');self.close_connection=True\n"
		"s=http.server.ThreadingHTTPServer(('127.0.0.1',0),H)\n"
		"print(s.server_port,flush=True)\n"
		"s.serve_forever()\n";

/* Runs a script that prints its port. */
static pid_t python_start(const char *script, const char *arg, uint16_t *out_port)
{
	char *const argv[] = { "python3", "-c", (char *)(uintptr_t)script, (char *)(uintptr_t)arg, NULL };
	posix_spawn_file_actions_t actions;
	char text[16] = "";
	int ends[2];
	pid_t pid;
	uint64_t port;

	assert_int_equal(pipe(ends), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	assert_int_equal(posix_spawnp(&pid, "python3", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	FILE *out = fdopen(ends[0], "r");
	assert_non_null(fgets(text, sizeof(text), out)); /* the whole line: Python may write it in two */
	fclose(out);
	assert_int_equal(str_to_u64(str_trim(str_of(text)), 65535, &port), OK);
	*out_port = (uint16_t)port;
	return pid;
}

static void a_foreign_server(void **state)
{
	rig_t r;
	net_response_t a;
	uint16_t port;
	pid_t pid = python_start(plain_script, NULL, &port);

	(void)state;
	rig_open(&r, NULL);
	net_request_t q = { .method = STR("POST"), .url = arena_printf(r.arena, "http://%s:%u/", host, port),
		.body = STR("hello") };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(fetch(&r, &q, &a), OK);
		assert_int_equal(a.status, 201);
		assert_true(str_eq(a.body, STR("hello")));
	}
	q.method = STR("GET");
	q.body = STR_NULL;
	assert_int_equal(fetch(&r, &q, &a), OK);
	assert_int_equal(a.body.n, 1000000);
	q.method = STR("DELETE");
	assert_int_equal(fetch(&r, &q, &a), ERR_UPSTREAM);
	rig_close(&r);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

/* ---- TLS: verified, or nothing ---- */

static pid_t tls_start(const char *dir, uint16_t *out_port)
{
	static const char script[] =
		"import http.server,ssl,subprocess,sys\n"
		"d=sys.argv[1]\n"
		"subprocess.run(['openssl','req','-x509','-newkey','ec','-pkeyopt','ec_paramgen_curve:P-256','-nodes',"
		"'-keyout',d+'/k','-out',d+'/c','-days','2','-subj','/CN=x','-addext','subjectAltName=IP:127.0.0.1'],"
		"check=True,stderr=subprocess.DEVNULL)\n"
		"class H(http.server.BaseHTTPRequestHandler):\n"
		" def log_message(self,*a): pass\n"
		" def do_GET(self):\n"
		"  self.send_response(200);self.end_headers();self.wfile.write(b'sealed')\n"
		"s=http.server.HTTPServer(('127.0.0.1',0),H)\n"
		"s.handle_error=lambda *a: None\n"
		"c=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER);c.load_cert_chain(d+'/c',d+'/k')\n"
		"s.socket=c.wrap_socket(s.socket,server_side=True)\n"
		"print(s.server_port,flush=True)\n"
		"s.serve_forever()\n";

	return python_start(script, dir, out_port);
}

static void tls_is_verified(void **state)
{
	rig_t r;
	net_response_t a;
	uint16_t port;
	char dir[] = "/tmp/attorn-net-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid_t pid = tls_start(dir, &port);
	rig_open(&r, NULL);
	net_request_t q = { .method = STR("GET"), .url = arena_printf(r.arena, "https://127.0.0.1:%u/", port) };
	assert_int_equal(fetch(&r, &q, &a), ERR_UPSTREAM); /* nobody vouches for it */
	assert_int_equal(arena_cstr(r.arena, arena_printf(r.arena, "%s/c", dir), &q.ca_file), OK);
	assert_int_equal(fetch(&r, &q, &a), OK);
	assert_true(str_eq(a.body, STR("sealed")));
	q.url = arena_printf(r.arena, "https://localhost:%u/", port);
	assert_int_equal(fetch(&r, &q, &a), ERR_UPSTREAM); /* another name */
	q.url = arena_printf(r.arena, "https://127.0.0.1:%u/", port);
	q.ca_file = NULL;
	assert_int_equal(fetch(&r, &q, &a), ERR_UPSTREAM); /* no trust is left over from the one before */
	rig_close(&r);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	unlink(arena_printf(r.arena = arena_open(), "%s/k%c", dir, 0).p);
	unlink(arena_printf(r.arena, "%s/c%c", dir, 0).p);
	arena_free(r.arena);
	assert_int_equal(rmdir(dir), 0);
}

static void unix_sockets_and_proxies(void **state)
{
	rig_t r;
	net_response_t a;
	char dir[] = "/tmp/attorn-net-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	setenv("http_proxy", "http://127.0.0.1:1", 1); /* must not matter */
	net_server_options_t o = { .unix_path = path };
	rig_open(&r, &o);
	net_request_t q = { .method = STR("GET"), .url = STR("http://localhost/u"), .unix_path = path };
	assert_int_equal(fetch(&r, &q, &a), OK);
	assert_true(str_starts(a.body, STR("GET /u\nHost=localhost\n")));
	rig_close(&r);
	rig_open(&r, NULL);
	net_request_t tcp = { .method = STR("GET"), .url = url_of(&r, "/t") };
	assert_int_equal(fetch(&r, &tcp, &a), OK);
	unsetenv("http_proxy");
	rig_close(&r);
	assert_int_equal(rmdir(dir), 0); /* the socket file is gone with its server */
}

/* ---- blocking ---- */

typedef struct {
	uint16_t port;
	int status;
	err_t err, err_refused;
	bool echoed;
	diag_t diag;
} sync_probe_t;

static void sync_client(void *arg)
{
	sync_probe_t *p = arg;
	AUTO(arena_free) arena_t *a = arena_open();
	net_response_t out = { 0 };
	net_request_t q = { .method = STR("POST"), .body = STR("sync"),
		.url = arena_printf(a, "http://127.0.0.1:%u/s", p->port) };

	p->err = net_sync_fetch(a, &q, &out, NULL);
	p->status = out.status;
	p->echoed = str_ends(out.body, STR("\nsync"));
	q.url = STR("http://127.0.0.1:1/");
	p->err_refused = net_sync_fetch(a, &q, &out, &p->diag);
}

static void the_blocking_call(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NULL);
	sync_probe_t p = { .port = r.b.port };
	support_run(&r.b, sync_client, &p);
	assert_int_equal(p.err, OK);
	assert_int_equal(p.status, 200);
	assert_true(p.echoed);
	assert_int_equal(p.err_refused, ERR_UPSTREAM);
	assert_true(p.diag.text[0] != '\0');
	rig_close(&r);
}

static void many_at_once(void **state)
{
	enum { N = 200 };
	static result_t results[N];
	static net_response_t answers[N];
	rig_t r;
	size_t good = 0;

	(void)state;
	rig_open(&r, NULL);
	net_request_t q = { .method = STR("GET"), .url = url_of(&r, "/many") };
	for (size_t i = 0; i < N; i++) {
		op_start(net_fetch(r.client, r.arena, &q, &answers[i]), r.b.loop, loop_in_ms(r.b.loop, 8000), op_done,
			&results[i]);
	}
	for (size_t i = 0; i < N; i++) {
		assert_true(support_until(r.b.loop, &results[i].done));
		good += results[i].err == OK && answers[i].status == 200;
	}
	assert_int_equal(good, N);
	rig_close(&r);
}

/* ---- over connections of our own ---- */

/* What an answer says of its connection, and what else stood on the wire, decides whether it is kept. */
static void connections_are_kept_with_care(void **state)
{
	static const struct {
		str_t bytes;
		err_t err;
		size_t connections; /* for two requests */
	} rows[] = {
		{ STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), OK, 1 },
		{ STR_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), OK, 1 },
		{ STR_INIT("HTTP/1.1 204 No Content\r\n\r\n"), OK, 1 },
		{ STR_INIT("HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), OK, 1 },
		{ STR_INIT("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"), OK, 2 },
		{ STR_INIT("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"), OK, 2 },
		{ STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"), OK, 2 },
		{ STR_INIT("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), ERR_UPSTREAM, 2 },
		{ STR_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), ERR_UPSTREAM, 2 },
		{ STR_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi"), ERR_UPSTREAM, 2 },
		{ STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi"), ERR_UPSTREAM, 2 },
		{ STR_INIT("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"), ERR_UPSTREAM, 2 },
		{ STR_INIT("HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi"), ERR_UPSTREAM, 2 },
		{ STR_INIT("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi"), ERR_UPSTREAM, 2 },
	};
	rig_t r;
	net_response_t a;

	(void)by_address(state);
	rig_open(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bad_t bad = { .answers = &rows[i].bytes, .n_answers = 1, .close_after = rows[i].connections == 1 ? 2 : 1 };
		bad_open(&bad);
		net_request_t q = { .method = STR("POST"),
			.url = arena_printf(r.arena, "http://%s:%u/", host, bad.port), .total_timeout_ms = 3000 };
		for (int n = 0; n < 2; n++) {
			err_t e = fetch(&r, &q, &a);
			if (e != rows[i].err || (e == OK && a.body.n && !str_eq(a.body, STR("hi")))) {
				fail_msg("row %zu: %s", i, err_info(e)->name);
			}
		}
		if (bad.connections != rows[i].connections) {
			fail_msg("row %zu: %zu connections", i, (size_t)bad.connections);
		}
		rig_close(&r);
		bad_close(&bad);
		rig_open(&r, NULL);
	}
	rig_close(&r);
}

static void what_an_address_is(void **state)
{
	static const str_t bad[] = { STR_INIT("http://127.0.0.1:0x50/"), STR_INIT("http://127.0.0.1:99999/"),
		STR_INIT("http://[::1/"), STR_INIT("http://[]:1/"), STR_INIT("http://127.0.0.1:/x"), STR_INIT("http://[::1]:1/") };
	rig_t r;
	net_response_t a;

	(void)by_address(state);
	rig_open(&r, NULL);
	net_request_t q = { .method = STR("GET"), .url = url_of(&r, "?q") };
	assert_int_equal(fetch(&r, &q, &a), OK);
	assert_true(str_starts(a.body, arena_printf(r.arena, "GET /?q\nHost=%s:%u\n", host, r.b.port)));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		net_request_t none = { .method = STR("GET"), .url = bad[i], .total_timeout_ms = 1000 };
		assert_int_not_equal(fetch(&r, &none, &a), OK);
	}
	rig_close(&r);
}

#define BOTH(f) { #f " by address", f, by_address, NULL, NULL }, { #f " by name", f, by_name, NULL, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(requests_go_out_as_told),
		BOTH(methods_and_empty_answers),
		BOTH(what_cannot_be_sent),
		BOTH(bodies_and_bounds),
		BOTH(times_and_cancel),
		BOTH(streams_pause_and_end),
		BOTH(malformed_answers),
		BOTH(nothing_is_sent_twice),
		BOTH(a_foreign_server),
		BOTH(many_at_once),
		cmocka_unit_test(tls_is_verified),
		cmocka_unit_test(unix_sockets_and_proxies),
		cmocka_unit_test(the_blocking_call),
		cmocka_unit_test(connections_are_kept_with_care),
		cmocka_unit_test(what_an_address_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
