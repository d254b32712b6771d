/* wire.c: connections of our own: connect, write, read, keep. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "engine/net/wire_int.h"

enum { AUTHORITY_BYTES_MAX = 64 };

/* --- whom a URL names -------------------------------------------------------------------------------- */

static str_t scheme_of(const net_request_t *r)
{
	return r->tls ? STR("https://") : STR("http://");
}

static str_t authority_of(const net_request_t *r)
{
	str_t rest = str_sub(r->url, scheme_of(r).n, r->url.n);

	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '/' || rest.p[i] == '?') {
			return str_sub(rest, 0, i);
		}
	}
	return rest;
}

/* "127.0.0.1", "127.0.0.1:80", "[::1]:80"; false for a name, which somebody else looks up. */
static bool address_of(str_t authority, uint64_t port, struct sockaddr_storage *out)
{
	char host[AUTHORITY_BYTES_MAX] = "";
	bool is_v6 = authority.n && authority.p[0] == '[';
	size_t end = is_v6 ? str_find(authority, ']') : str_find(authority, ':');
	str_t name = is_v6 ? str_sub(authority, 1, end - 1) : str_sub(authority, 0, end);
	str_t rest = str_sub(authority, is_v6 ? end + 1 : end, authority.n);

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

static uint64_t default_port(const net_request_t *r)
{
	return r->tls ? 443 : 80;
}

bool wire_fits(const net_request_t *r)
{
	struct sockaddr_storage address;

	return str_starts(r->url, scheme_of(r)) &&
	       (r->unix_path || address_of(authority_of(r), default_port(r), &address));
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
	str_t authority = authority_of(r), path = str_sub(r->url, scheme_of(r).n + authority.n, r->url.n);

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
	str_t authority = authority_of(r);

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
		ENSURE(address_of(authority, default_port(r), &q->address), ERR_VALUE);
	}
	if (r->tls) {
		wire_tls_request(call, q, r);
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
	tls_end_free(w->tls);
	buf_wipe(&w->out);
	buf_wipe(&w->behind);
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

void wire_close(wire_t *w)
{
	idle_unlink(w);
	if (!w->closing) {
		if (w->tls) {
			tls_end_close(w->tls);
		}
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

void wire_fail(net_call_t *call, err_t e)
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
		wire_fail(call, ERR_UPSTREAM);
		return;
	}
	part(call, false);
	connection_begin(call, true);
}

static void on_timeout(void *arg)
{
	net_call_t *call = arg;
	net_client_t *c = call->client;

	wire_fail(call, ERR_TIMEOUT);
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

void wire_reading_set(wire_t *w, bool on)
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

void wire_ended(wire_t *w, bool cleanly)
{
	if (!w->call) {
		wire_close(w); /* kept, and the peer closed it */
	} else if (!w->answer.started || !cleanly) {
		lost(w);
	} else {
		answer_end(&w->answer);
		answer_ended(w);
	}
}

void wire_plain(wire_t *w, str_t bytes)
{
	if (!w->call) {
		wire_close(w); /* kept, and the peer said something that nobody asked for */
	} else if (answer_feed(&w->answer, bytes)) {
		answer_ended(w);
	} else if (call_is_full(w->call)) {
		wire_reading_set(w, false);
	}
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	wire_t *w = stream->data;
	net_client_t *c = w->client;

	if (n == 0 || w->closing) {
		return;
	}
	if (n < 0) {
		wire_ended(w, n == UV_EOF && !w->tls); /* TLS has its own end, which cannot be forged */
	} else if (w->tls) {
		wire_tls_read(w, str_bytes(buf->base, (size_t)n));
	} else {
		wire_plain(w, str_bytes(buf->base, (size_t)n));
	}
	client_deliver(c);
}

void wire_resume(net_call_t *call)
{
	if (call->wire && !call_is_full(call)) {
		wire_reading_set(call->wire, true);
	}
}

/* --- writing --------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *req, int status);

static void write_rest(wire_t *w)
{
	uv_buf_t rest = uv_buf_init(w->out.p, (unsigned)w->out.n);

	if (uv_write(&w->write, &w->h.stream, &rest, 1, on_written) != 0) {
		buf_wipe(&w->out); /* broken: the read side tells */
	}
}

static void on_written(uv_write_t *req, int status)
{
	wire_t *w = req->handle->data;
	net_client_t *c = w->client;

	buf_wipe(&w->out);
	if (status < 0 && !w->closing && w->call && !w->reading) {
		lost(w); /* while reading, the read side tells, after what the peer still said */
		client_deliver(c);
	} else if (w->behind.n && !w->closing) {
		buf_t empty = w->out;
		w->out = w->behind;
		w->behind = empty;
		write_rest(w);
	}
}

void wire_write(wire_t *w, str_t first, str_t second)
{
	uv_buf_t bufs[] = { uv_buf_init((char *)(uintptr_t)first.p, (unsigned)first.n),
		uv_buf_init((char *)(uintptr_t)second.p, (unsigned)second.n) };

	if (w->out.n) {
		buf_add(&w->behind, first); /* libuv holds what is in `out` */
		buf_add(&w->behind, second);
		return;
	}
	int took = uv_try_write(&w->h.stream, bufs, second.n ? 2 : 1);
	size_t n = took > 0 ? (size_t)took : 0, of_first = n < first.n ? n : first.n;
	if (n == first.n + second.n) {
		return;
	}
	buf_add(&w->out, str_sub(first, of_first, first.n));
	buf_add(&w->out, str_sub(second, n - of_first, second.n));
	write_rest(w);
}

/* At once what the kernel takes; the rest is copied, so that the caller's body may go with the call. */
static void request_write(wire_t *w)
{
	const wire_request_t *q = w->call->request;

	wire_reading_set(w, true);
	if (w->tls) {
		tls_end_write(w->tls, (const str_t[]){ q->head, q->body }, 2);
	} else {
		wire_write(w, q->head, q->body);
	}
}

void wire_request_send(wire_t *w)
{
	net_call_t *call = w->call;
	wire_request_t *q = call->request;

	call->sends++;
	if (w->tls) {
		tls_peer_free(call->peer);
		call->peer = tls_peer_hold(tls_end_peer(w->tls));
	}
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
		wire_fail(w->call, ERR_UPSTREAM);
		client_deliver(c);
		return;
	}
	if (w->call->tls) {
		wire_tls_begin(w);
		client_deliver(c);
	} else {
		wire_request_send(w);
	}
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
	buf_init(&w->behind, SIZE_MAX / 2);
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
	wire_fail(call, ERR_UPSTREAM);
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
static wire_t *idle_take(net_client_t *c, str_t key, str_t binding)
{
	uint64_t now_us = loop_mono_us(c->loop);

	for (wire_t *w = c->idle, *next; w; w = next) {
		next = w->next;
		if (now_us - w->idle_us >= (uint64_t)NET_CLIENT_POOL_AGE_S * 1000000) {
			wire_close(w);
		} else if (str_eq(str_of(w->key), key) && (!binding.n || wire_tls_has_binding(w, binding))) {
			idle_unlink(w);
			return w;
		}
	}
	return NULL;
}

static void connection_begin(net_call_t *call, bool fresh)
{
	const wire_request_t *q = call->request;
	wire_t *kept = fresh ? NULL : idle_take(call->client, q->key, STR_NULL);

	if (kept) {
		call->wire = kept;
		kept->call = call;
		wire_request_send(kept);
	} else {
		connect_new(call);
	}
}

/* Of the kept connections the one with this binding, or none at all. */
static MUST err_t connection_resume(net_call_t *call)
{
	const wire_request_t *q = call->request;
	wire_t *kept = idle_take(call->client, q->key, q->binding);

	ENSURE(kept, ERR_NOT_FOUND);
	call->repeatable = false;
	call->wire = kept;
	kept->call = call;
	wire_request_send(kept);
	return OK;
}

err_t wire_start(net_call_t *call, const net_request_t *r)
{
	TRY(request_make(call, r));
	if (r->on_binding.n) {
		return connection_resume(call);
	}
	connection_begin(call, false);
	return OK;
}
