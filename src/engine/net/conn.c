/* conn.c: one connection: reads, parses, serves one request at a time in order, writes, closes.
 * The handle lives in conn_t, which goes after the close callback and after what it posted. */
#include "engine/net/server_int.h"

static void turn(conn_t *c);

/* ---- the end ---- */

static void free_when_done(conn_t *c)
{
	if (!c->closed || c->posted.waiting || c->let_go.waiting) {
		return;
	}
	net_parser_done(&c->parser);
	tls_end_free(c->tls);
	c->server->body_bytes -= c->body_bytes;
	buf_wipe(&c->ahead);
	buf_wipe(&c->held);
	buf_wipe(&c->out);
	buf_wipe(&c->flying);
	server_conn_gone(c->server, c);
	heap_free(c);
}

static void on_closed(uv_handle_t *handle)
{
	conn_t *c = handle->data;

	c->closed = true;
	free_when_done(c);
}

void conn_cut(conn_t *c)
{
	if (c->closing) {
		return;
	}
	c->closing = true;
	c->broken = true;
	if (c->x) {
		exchange_mark_lost(c->x);
		c->x->conn = NULL;
		c->x = NULL;
	}
	uv_close(&c->h.handle, on_closed);
}

/* The peer has closed its side, or the connection broke. */
void conn_peer_gone(conn_t *c, bool broken)
{
	c->eof = true;
	c->broken = c->broken || broken;
	if (c->reading) {
		uv_read_stop(&c->h.stream);
		c->reading = false;
	}
	if (c->x) {
		exchange_mark_lost(c->x);
		return; /* its reply still goes out: the peer may only have half-closed */
	}
	if (c->phase == CONN_LINGER || broken) {
		conn_cut(c);
		return;
	}
	turn(c); /* requests that were read ahead are still served */
}

/* ---- writing ---- */

static void flush(conn_t *c);

static void on_shutdown(uv_shutdown_t *req, int status)
{
	conn_t *c = req->handle->data;

	if (status != 0) {
		conn_cut(c);
	}
}

/* Nothing more to say: FIN, then wait for the peer's, so that it reads our last bytes and no RST. */
void conn_linger(conn_t *c)
{
	c->phase = CONN_LINGER;
	c->deadline_ms = server_now_ms(c->server) + NET_LINGER_MS;
	conn_send(c, NULL, 0);
	if (c->broken) {
		conn_cut(c);
		return;
	}
	if (c->tls) {
		tls_end_close(c->tls);
	}
	if (c->shut || c->closing || conn_pending(c) > 0) {
		return; /* on_written comes here again */
	}
	c->shut = true;
	if (c->eof || uv_shutdown(&c->shutdown, &c->h.stream, on_shutdown) != 0) {
		conn_cut(c);
	}
}

static void on_written(uv_write_t *req, int status)
{
	conn_t *c = req->handle->data;

	c->writing = false;
	buf_clear(&c->flying);
	if (c->closing) {
		return;
	}
	if (status != 0) {
		buf_clear(&c->out);
		conn_peer_gone(c, true);
		return;
	}
	flush(c);
	if (c->x) {
		exchange_check_drained(c->x);
	}
	if (c->phase == CONN_LINGER) {
		conn_linger(c);
	}
}

static void flush(conn_t *c)
{
	if (c->writing || c->closing || c->out.n == 0) {
		return;
	}
	buf_t swap = c->flying;
	c->flying = c->out;
	c->out = swap;
	uv_buf_t b = uv_buf_init(c->flying.p, (unsigned)c->flying.n);
	c->writing = uv_write(&c->write, &c->h.stream, &b, 1, on_written) == 0;
	if (!c->writing) {
		buf_clear(&c->flying);
		c->broken = true;
	}
}

size_t conn_pending(const conn_t *c)
{
	return c->held.n + c->out.n + (c->writing ? uv_stream_get_write_queue_size(&c->h.stream) : 0);
}

/* What the kernel took at once; a hard error only marks: the read side will tell. */
static size_t send_now(conn_t *c, const str_t *parts, size_t n)
{
	uv_buf_t bufs[CONN_PARTS_MAX + 1] = { 0 };

	CHECK(n <= ARRAY_LEN(bufs));
	for (size_t i = 0; i < n; i++) {
		bufs[i] = uv_buf_init((char *)(uintptr_t)parts[i].p, (unsigned)parts[i].n);
	}
	int took = uv_try_write(&c->h.stream, bufs, (unsigned)n);
	if (took < 0 && took != UV_EAGAIN) {
		c->broken = true;
	}
	return took > 0 ? (size_t)took : 0;
}

void conn_send(conn_t *c, const str_t *parts, size_t n)
{
	str_t all[CONN_PARTS_MAX + 1] = { buf_str(&c->held) };
	size_t n_all = c->held.n ? 1 : 0;

	CHECK(n <= CONN_PARTS_MAX);
	for (size_t i = 0; i < n; i++) {
		all[n_all++] = parts[i];
	}
	if (n_all == 0 || c->broken || c->closing) {
		return;
	}
	if (c->tls) {
		tls_end_write(c->tls, all, n_all);
	} else {
		conn_wire(c, all, n_all);
	}
	buf_clear(&c->held);
}

static void on_let_go(void *arg)
{
	conn_t *c = arg;

	if (c->closed) {
		free_when_done(c);
	} else {
		conn_send(c, NULL, 0);
	}
}

void conn_hold(conn_t *c, const str_t *parts, size_t n)
{
	size_t total = c->held.n;

	for (size_t i = 0; i < n; i++) {
		total += parts[i].n;
	}
	if (total > NET_HELD_REPLY_BYTES_MAX || c->closing) {
		conn_send(c, parts, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		buf_add(&c->held, parts[i]);
	}
	if (!c->let_go.waiting) {
		loop_post_last(c->server->loop, &c->let_go, on_let_go, c);
	}
}

void conn_wire(conn_t *c, const str_t *parts, size_t n)
{
	bool idle = !c->writing && c->out.n == 0;

	if (c->broken || c->closing) {
		return;
	}
	size_t took = idle ? send_now(c, parts, n) : 0;
	for (size_t i = 0; i < n && !c->broken; i++) {
		size_t skip = took < parts[i].n ? took : parts[i].n;

		took -= skip;
		buf_add(&c->out, str_sub(parts[i], skip, parts[i].n));
	}
	if (c->out.overflow) {
		conn_cut(c); /* callers bound what they stream; this is the last wall */
		return;
	}
	if (idle && c->out.n) {
		c->write_since_ms = server_now_ms(c->server);
		c->write_left = c->out.n;
	}
	flush(c);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	conn_t *c = handle->data;

	/* what is read ahead is kept, so less of it */
	*out = uv_buf_init(c->server->read, c->x ? NET_PIPELINE_BYTES_MAX : NET_READ_BYTES);
}

static void reading_set(conn_t *c, bool on);

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	conn_t *c = stream->data;

	if (n < 0) {
		conn_peer_gone(c, c->tls || n != UV_EOF); /* without close_notify the end may be forged */
		return;
	}
	if (c->phase == CONN_LINGER) {
		c->lingered += (size_t)n;
		if (c->lingered > NET_LINGER_BYTES_MAX) {
			conn_cut(c);
		}
		return;
	}
	if (c->tls) {
		conn_tls_read(c, str_bytes(buf->base, (size_t)n));
	} else {
		conn_plain(c, str_bytes(buf->base, (size_t)n));
	}
}

void conn_plain(conn_t *c, str_t in)
{
	size_t used = 0;

	if (!c->x && c->ahead.n == 0) {
		net_parser_feed(&c->parser, in, &used);
	}
	buf_add(&c->ahead, str_sub(in, used, in.n - used));
	if (c->ahead.overflow) {
		conn_cut(c); /* more than a read can bring */
		return;
	}
	if (c->ahead.n > NET_PIPELINE_BYTES_MAX) {
		reading_set(c, false);
	}
	if (!c->x) {
		turn(c);
	}
}

static void reading_set(conn_t *c, bool on)
{
	if (on == c->reading || c->closing || c->eof) {
		return;
	}
	c->reading = on;
	if (!on) {
		uv_read_stop(&c->h.stream);
	} else if (uv_read_start(&c->h.stream, on_alloc, on_read) != 0) {
		c->reading = false;
		c->broken = true;
	}
}

void conn_start(conn_t *c)
{
	const net_server_options_t *o = &c->server->o;

	c->phase = c->tls ? CONN_HANDSHAKE : CONN_IDLE;
	c->deadline_ms = server_now_ms(c->server) + (c->tls ? o->handshake_timeout_ms : o->idle_timeout_ms);
	reading_set(c, true);
}

static void parse_ahead(conn_t *c)
{
	size_t used;

	if (c->ahead.n == 0 || c->parser.state == NET_PARSER_REQUEST || c->parser.state == NET_PARSER_REFUSED) {
		return;
	}
	net_parser_feed(&c->parser, buf_str(&c->ahead), &used);
	buf_drop(&c->ahead, used);
	if (c->ahead.n == 0) {
		buf_wipe(&c->ahead);
	}
}

/* Keeps the server's sum of body bytes; above its bound nothing new is taken. */
static void bodies_count(conn_t *c)
{
	size_t now = c->parser.body.cap + (c->x ? c->x->m.body_buf.cap : 0);

	c->server->body_bytes += now - c->body_bytes;
	c->body_bytes = now;
}

static void refuse(conn_t *c, int status)
{
	c->server->counts.refusals++;
	reply_refusal(c, status);
	net_parser_done(&c->parser);
	bodies_count(c);
	buf_wipe(&c->ahead);
	reading_set(c, true);
	conn_linger(c);
}

static void serve(conn_t *c)
{
	c->server->counts.requests++;
	c->phase = CONN_SERVING;
	c->x = exchange_new(c);
	bodies_count(c);
	if (c->eof) {
		exchange_mark_lost(c->x);
	}
	c->server->o.handler(c->x, c->server->o.owner);
}

/* The phase that the parser's state means; a deadline is set when a phase begins, not when it goes on:
 * a slow sender gains nothing by sending a byte. */
static void phase_set(conn_t *c)
{
	static const str_t go_on = STR_INIT("HTTP/1.1 100 Continue\r\n\r\n");
	const net_server_options_t *o = &c->server->o;
	conn_phase_t phase = c->parser.state == NET_PARSER_BODY ? CONN_BODY :
			     net_parser_has_begun(&c->parser)	? CONN_HEAD :
								  CONN_IDLE;
	uint32_t ms = phase == CONN_BODY ? o->body_timeout_ms :
		      phase == CONN_HEAD ? o->head_timeout_ms :
					   o->idle_timeout_ms;

	if (net_parser_take_continue(&c->parser)) {
		conn_send(c, &go_on, 1);
	}
	if (phase != c->phase) {
		c->phase = phase;
		c->deadline_ms = server_now_ms(c->server) + ms;
	}
}

/* Goes on as far as the bytes at hand allow. Never entered twice; a reply inside the handler only clears
 * c->x and the loop here takes the next request. */
static void turn(conn_t *c)
{
	CHECK(!c->in_turn);
	c->in_turn = true;
	while (!c->closing && !c->broken && !c->x && c->phase != CONN_LINGER) {
		if (c->close_after) {
			conn_linger(c);
			break;
		}
		parse_ahead(c);
		bodies_count(c);
		if (c->parser.state == NET_PARSER_REFUSED) {
			refuse(c, c->parser.status);
		} else if (c->parser.state == NET_PARSER_BODY && c->server->body_bytes > c->server->o.bodies_bytes_max) {
			refuse(c, 503);
		} else if (c->parser.state == NET_PARSER_REQUEST && conn_tls_is_over(c)) {
			refuse(c, 421); /* RFC 9110 15.5.20: another connection may do */
		} else if (c->parser.state == NET_PARSER_REQUEST) {
			serve(c);
		} else {
			break;
		}
	}
	c->in_turn = false;
	if (c->closing) {
		return;
	}
	if (!c->x && c->phase != CONN_LINGER) {
		phase_set(c);
		if (c->eof || c->broken) {
			conn_linger(c); /* half a request, or none: nothing more will come */
		}
	}
	reading_set(c, c->phase == CONN_LINGER || c->ahead.n <= NET_PIPELINE_BYTES_MAX);
}

static void on_posted_turn(void *arg)
{
	conn_t *c = arg;

	if (c->closed) {
		free_when_done(c);
	} else if (!c->closing && !c->x) {
		turn(c);
	}
}

void conn_exchange_ended(conn_t *c, bool cut)
{
	c->x = NULL;
	bodies_count(c);
	if (cut) {
		conn_cut(c);
		return;
	}
	if (c->in_turn) {
		return;
	}
	if (c->ahead.n || c->close_after || c->eof || c->broken) {
		if (!c->posted.waiting) {
			loop_post_own(c->server->loop, &c->posted, on_posted_turn, c);
		}
		return;
	}
	phase_set(c);
}

void conn_stop(conn_t *c)
{
	c->close_after = true;
	if (c->x || c->closing) {
		return; /* served to its end, then closed */
	}
	if (conn_pending(c) == 0) {
		conn_cut(c);
	} else {
		conn_linger(c);
	}
}

/* ---- time ---- */

static bool write_is_stuck(conn_t *c, uint64_t now_ms)
{
	size_t left = conn_pending(c);

	if (left == 0 || left != c->write_left) {
		c->write_left = left;
		c->write_since_ms = now_ms;
		return false;
	}
	return now_ms - c->write_since_ms >= c->server->o.write_timeout_ms;
}

void conn_sweep(conn_t *c, uint64_t now_ms)
{
	static const str_t comment = STR_INIT(":\n\n");

	if (c->closing) {
		return;
	}
	if (write_is_stuck(c, now_ms)) {
		conn_cut(c);
		return;
	}
	if (c->phase == CONN_SERVING) {
		net_exchange_t *x = c->x;

		if (x && x->sse && exchange_is_between_events(x) && now_ms - x->chunk_ms >= c->server->o.sse_idle_ms) {
			(void)!net_reply_chunk(x, comment); /* a lost peer is told by its own way */
		}
		return;
	}
	if (c->phase == CONN_IDLE && conn_tls_is_over(c)) {
		conn_linger(c);
		return;
	}
	if (now_ms < c->deadline_ms || (c->phase == CONN_LINGER && conn_pending(c) > 0)) {
		return;
	}
	c->server->counts.handshakes_late += c->phase == CONN_HANDSHAKE;
	if (c->phase == CONN_HEAD || c->phase == CONN_BODY) {
		refuse(c, 408);
	} else {
		conn_cut(c);
	}
}
