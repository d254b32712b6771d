/* wire.c: plain connections of our own: connect, write, read, keep. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "engine/net/wire.h"

enum { AUTHORITY_BYTES_MAX = 64 };

struct wire {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	net_client_t *client;
	net_call_t *call; /* NULL: kept, or closing */
	wire_t *next, *prev; /* kept ones, the newest first */
	uint64_t idle_us; /* since when kept */
	char *key; /* whom it leads to: socket path, or address and port as in the URL */
	answer_t answer;
	buf_t out; /* what the kernel has not taken yet */
	uv_connect_t connect;
	uv_write_t write;
	bool is_old; /* has served a request */
	bool is_idle, reading, closing;
};

/* What goes out, kept for the one repetition that GET and HEAD are allowed. */
struct wire_request {
	str_t head, body, key;
	const char *unix_path;
	struct sockaddr_storage address;
	uint32_t connect_ms;
	uint64_t end_us; /* of everything; 0: never */
	bool is_head;
	loop_timer_t timer;
};

/* --- whom a URL names -------------------------------------------------------------------------------- */

static str_t authority_of(str_t url)
{
	str_t rest = str_sub(url, 7, url.n);

	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '/' || rest.p[i] == '?') {
			return str_sub(rest, 0, i);
		}
	}
	return rest;
}

/* "127.0.0.1", "127.0.0.1:80", "[::1]:80"; false for a name, which somebody else looks up. */
static bool address_of(str_t authority, struct sockaddr_storage *out)
{
	char host[AUTHORITY_BYTES_MAX] = "";
	bool is_v6 = authority.n && authority.p[0] == '[';
	size_t end = is_v6 ? str_find(authority, ']') : str_find(authority, ':');
	str_t name = is_v6 ? str_sub(authority, 1, end - 1) : str_sub(authority, 0, end);
	str_t rest = str_sub(authority, is_v6 ? end + 1 : end, authority.n);
	uint64_t port = 80;

	if (name.n == 0 || name.n >= sizeof(host) || str_has_nul(name)) {
		return false;
	}
	if (rest.n && (rest.p[0] != ':' || str_to_u64(str_sub(rest, 1, rest.n), 65535, &port) != OK)) {
		return false;
	}
	memcpy(host, name.p, name.n);
	return is_v6 ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)out) == 0
		     : uv_ip4_addr(host, (int)port, (struct sockaddr_in *)out) == 0;
}

bool wire_fits(const net_request_t *r)
{
	struct sockaddr_storage address;

	return str_starts(r->url, STR("http://")) && (r->unix_path || address_of(authority_of(r->url), &address));
}

/* --- what goes out ------------------------------------------------------------------------------------- */

static void line_add(buf_t *b, str_t name, str_t value)
{
	buf_add(b, name);
	buf_add(b, value.n ? STR(": ") : STR(":"));
	buf_add(b, value);
	buf_add(b, STR("\r\n"));
}

static bool has_accept(const net_request_t *r)
{
	size_t i = 0;
	str_t value;

	return net_headers_next(r->headers, STR("Accept"), &i, &value);
}

static MUST err_t headers_add(buf_t *b, const net_request_t *r)
{
	ENSURE(r->headers.n <= NET_CALL_HEADERS_MAX, ERR_LIMIT);
	for (size_t i = 0; i < r->headers.n; i++) {
		net_header_t h = r->headers.v[i];

		ENSURE(net_header_is_valid(h), ERR_VALUE);
		if (!net_header_is_hop(r->headers, h.name)) {
			line_add(b, h.name, str_trim(h.value));
		}
	}
	return OK;
}

static MUST err_t head_build(arena_t *a, const net_request_t *r, str_t *out)
{
	AUTO(buf_done) buf_t b;
	str_t authority = authority_of(r->url), path = str_sub(r->url, 7 + authority.n, r->url.n);

	buf_init(&b, NET_RESPONSE_HEAD_BYTES_MAX + NET_URL_BYTES_MAX);
	buf_add(&b, r->method);
	buf_add(&b, path.n && path.p[0] == '/' ? STR(" ") : STR(" /"));
	buf_add(&b, path);
	buf_add(&b, STR(" HTTP/1.1\r\nHost: "));
	buf_add(&b, authority);
	buf_add(&b, has_accept(r) ? STR("\r\n") : STR("\r\nAccept: */*\r\n"));
	TRY(headers_add(&b, r));
	if (r->body.p || str_eq(r->method, STR("POST"))) {
		buf_printf(&b, "Content-Length: %zu\r\n", r->body.n);
	}
	buf_add(&b, STR("\r\n"));
	TRY(buf_err(&b));
	return arena_dup(a, buf_str(&b), out);
}

static MUST err_t request_make(net_call_t *call, const net_request_t *r)
{
	wire_request_t *q = arena_new(call->arena, wire_request_t);
	uint32_t total = r->total_timeout_ms ? r->total_timeout_ms : NET_TOTAL_TIMEOUT_MS;
	str_t authority = authority_of(r->url);

	q->is_head = str_eq(r->method, STR("HEAD"));
	ENSURE(!q->is_head || !r->body.p, ERR_VALUE);
	TRY(head_build(call->arena, r, &q->head));
	q->body = r->body;
	if (r->body.p && r->copy_body) {
		TRY(arena_dup(call->arena, r->body, &q->body));
	}
	q->key = arena_str(call->arena, r->unix_path ? str_of(r->unix_path) : authority);
	if (r->unix_path) {
		TRY(arena_cstr(call->arena, q->key, &q->unix_path));
	} else {
		ENSURE(address_of(authority, &q->address), ERR_VALUE);
	}
	q->connect_ms = r->connect_timeout_ms ? r->connect_timeout_ms : NET_CONNECT_TIMEOUT_MS;
	q->end_us = total == UINT32_MAX ? 0 : loop_in_ms(call->client->loop, total);
	call->request = q;
	return OK;
}

/* --- ends ------------------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
	wire_t *w = handle->data;
	net_client_t *c = w->client;

	answer_done(&w->answer);
	buf_wipe(&w->out);
	heap_free(w->key);
	heap_free(w);
	client_socket_gone(c);
}

static void idle_unlink(wire_t *w)
{
	if (!w->is_idle) {
		return;
	}
	w->is_idle = false;
	if (w->prev) {
		w->prev->next = w->next;
	} else {
		w->client->idle = w->next;
	}
	if (w->next) {
		w->next->prev = w->prev;
	}
	w->next = w->prev = NULL;
	w->client->n_idle--;
}

static void wire_close(wire_t *w)
{
	idle_unlink(w);
	if (!w->closing) {
		w->closing = true;
		uv_close(&w->h.handle, on_closed);
	}
}

static void idle_keep(wire_t *w)
{
	net_client_t *c = w->client;

	answer_done(&w->answer);
	w->answer = (answer_t){ 0 };
	w->is_old = true;
	w->is_idle = true;
	w->idle_us = loop_mono_us(c->loop);
	w->prev = NULL;
	w->next = c->idle;
	if (w->next) {
		w->next->prev = w;
	}
	c->idle = w;
	c->n_idle++;
}

void wire_idle_close(net_client_t *c)
{
	while (c->idle) {
		wire_close(c->idle);
	}
}

/* Takes call and connection apart. */
static void part(net_call_t *call, bool keep)
{
	wire_t *w = call->wire;

	loop_timer_stop(call->client->loop, &call->request->timer);
	call->wire = NULL;
	w->call = NULL;
	if (keep && !call->client->closing && w->out.n == 0 && call->client->n_idle < call->client->pool_max) {
		idle_keep(w);
	} else {
		wire_close(w);
	}
}

static void fail(net_call_t *call, err_t e)
{
	part(call, false);
	call_end(call, e);
}

void wire_abandon(net_call_t *call)
{
	part(call, false);
}

static void connection_begin(net_call_t *call, bool fresh);

/* The connection died before the answer began: what changes nothing is asked once more (RFC 9110 9.2.2),
 * and only if the connection was a kept one. */
static void lost(wire_t *w)
{
	net_call_t *call = w->call;
	bool again = w->is_old && call->repeatable && !w->answer.started && call->sends == 1;

	if (!again) {
		fail(call, ERR_UPSTREAM);
		return;
	}
	part(call, false);
	connection_begin(call, true);
}

static void on_timeout(void *arg)
{
	net_call_t *call = arg;
	net_client_t *c = call->client;

	fail(call, ERR_TIMEOUT);
	client_wake(c);
}

/* --- reading --------------------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	wire_t *w = handle->data;

	(void)suggested;
	*out = uv_buf_init(w->client->read, NET_WIRE_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void reading_set(wire_t *w, bool on)
{
	if (on == w->reading || w->closing) {
		return;
	}
	w->reading = on && uv_read_start(&w->h.stream, on_alloc, on_read) == 0;
	if (!on) {
		uv_read_stop(&w->h.stream);
	}
}

static void answer_ended(wire_t *w)
{
	net_call_t *call = w->call;
	err_t e = w->answer.err;

	part(call, e == OK && w->answer.keep_alive);
	call_end(call, e);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	wire_t *w = stream->data;
	net_client_t *c = w->client;
	net_call_t *call = w->call;

	if (n == 0 || w->closing) {
		return;
	}
	if (!call) {
		wire_close(w); /* kept: the peer closed it, or said something that nobody asked for */
		return;
	}
	if (n < 0 && (!w->answer.started || n != UV_EOF)) {
		lost(w);
	} else if (n < 0) {
		answer_end(&w->answer);
		answer_ended(w);
	} else if (answer_feed(&w->answer, str_bytes(buf->base, (size_t)n))) {
		answer_ended(w);
	} else if (call_is_full(call)) {
		reading_set(w, false);
	}
	client_deliver(c);
}

void wire_resume(net_call_t *call)
{
	if (call->wire && !call_is_full(call)) {
		reading_set(call->wire, true);
	}
}

/* --- writing --------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *req, int status)
{
	wire_t *w = req->handle->data;
	net_client_t *c = w->client;

	buf_wipe(&w->out);
	if (status < 0 && !w->closing && w->call && !w->reading) {
		lost(w); /* while reading, the read side tells, after what the peer still said */
		client_deliver(c);
	}
}

/* At once what the kernel takes; the rest is copied, so that the caller's body may go with the call. */
static void request_write(wire_t *w)
{
	const wire_request_t *q = w->call->request;
	uv_buf_t bufs[] = { uv_buf_init((char *)(uintptr_t)q->head.p, (unsigned)q->head.n),
		uv_buf_init((char *)(uintptr_t)q->body.p, (unsigned)q->body.n) };
	int took = uv_try_write(&w->h.stream, bufs, q->body.n ? 2 : 1);
	size_t n = took > 0 ? (size_t)took : 0, of_head = n < q->head.n ? n : q->head.n;

	reading_set(w, true);
	if (n == q->head.n + q->body.n) {
		return;
	}
	buf_add(&w->out, str_sub(q->head, of_head, q->head.n));
	buf_add(&w->out, str_sub(q->body, n - of_head, q->body.n));
	uv_buf_t rest = uv_buf_init(w->out.p, (unsigned)w->out.n);
	if (uv_write(&w->write, &w->h.stream, &rest, 1, on_written) != 0) {
		buf_wipe(&w->out); /* broken: the read side tells */
	}
}

static void request_send(wire_t *w)
{
	net_call_t *call = w->call;
	wire_request_t *q = call->request;

	call->sends++;
	answer_init(&w->answer, call, q->is_head);
	if (q->end_us) {
		loop_timer_at(call->client->loop, &q->timer, q->end_us, on_timeout, call);
	} else {
		loop_timer_stop(call->client->loop, &q->timer);
	}
	request_write(w);
}

/* --- connecting ------------------------------------------------------------------------------------------ */

static void on_connected(uv_connect_t *req, int status)
{
	wire_t *w = req->handle->data;
	net_client_t *c = w->client;

	if (w->closing) {
		return;
	}
	if (status < 0) {
		fail(w->call, ERR_UPSTREAM);
		client_deliver(c);
		return;
	}
	request_send(w);
}

static wire_t *wire_new(net_client_t *c, const wire_request_t *q)
{
	wire_t *w = heap_new(wire_t);
	uv_loop_t *uv = loop_uv(c->loop);

	CHECK((q->unix_path ? uv_pipe_init(uv, &w->h.pipe, 0) : uv_tcp_init(uv, &w->h.tcp)) == 0);
	w->h.handle.data = w;
	w->client = c;
	w->key = heap_cstr(q->key);
	buf_init(&w->out, SIZE_MAX / 2); /* no more than the request that the caller made */
	c->n_sockets++;
	return w;
}

static int connect_start(wire_t *w, const wire_request_t *q)
{
	if (q->unix_path) {
		uv_pipe_connect(&w->connect, &w->h.pipe, q->unix_path, on_connected);
		return 0;
	}
	uv_tcp_nodelay(&w->h.tcp, 1);
	return uv_tcp_connect(&w->connect, &w->h.tcp, (const struct sockaddr *)&q->address, on_connected);
}

static void failed_at_once(net_call_t *call)
{
	fail(call, ERR_UPSTREAM);
	client_wake(call->client); /* told from a turn of its own */
}

static void connect_new(net_call_t *call)
{
	wire_request_t *q = call->request;
	loop_t *loop = call->client->loop;
	uint64_t until_us = loop_in_ms(loop, q->connect_ms);

	call->wire = wire_new(call->client, q);
	call->wire->call = call;
	loop_timer_at(loop, &q->timer, q->end_us && q->end_us < until_us ? q->end_us : until_us, on_timeout, call);
	if (connect_start(call->wire, q) != 0) {
		failed_at_once(call);
	}
}

/* The newest kept connection to that peer; those that are too old go. */
static wire_t *idle_take(net_client_t *c, str_t key)
{
	uint64_t now_us = loop_mono_us(c->loop);

	for (wire_t *w = c->idle, *next; w; w = next) {
		next = w->next;
		if (now_us - w->idle_us >= (uint64_t)NET_CLIENT_POOL_AGE_S * 1000000) {
			wire_close(w);
		} else if (str_eq(str_of(w->key), key)) {
			idle_unlink(w);
			return w;
		}
	}
	return NULL;
}

static void connection_begin(net_call_t *call, bool fresh)
{
	wire_t *kept = fresh ? NULL : idle_take(call->client, call->request->key);

	if (!kept) {
		connect_new(call);
		return;
	}
	call->wire = kept;
	kept->call = call;
	request_send(kept);
}

err_t wire_start(net_call_t *call, const net_request_t *r)
{
	TRY(request_make(call, r));
	connection_begin(call, false);
	return OK;
}
