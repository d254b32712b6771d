/* conn.c: one connection: bytes in, each chunk with its sender's stamp, bytes out, and its end. */
#include <errno.h>
#include <unistd.h>

#include "engine/flow/flow.h"
#include "engine/grpc/grpc_int.h"

static void turn(void *arg);

grpc_conn_t *conn_new(grpc_server_t *s, int fd, const struct ucred *peer)
{
	grpc_conn_t *c = heap_new(grpc_conn_t);

	c->server = s;
	c->fd = fd;
	c->peer = *peer;
	c->next = s->conns;
	if (s->conns) {
		s->conns->prev = c;
	}
	s->conns = c;
	s->counts.connections++;
	s->counts.connections_now++;
	buf_init(&c->out, GRPC_OUT_HIGH_BYTES * 2);
	session_new(c);
	return c;
}

static void turn_soon(grpc_conn_t *c)
{
	if (!c->turn.waiting) {
		loop_post_own(c->server->loop, &c->turn, turn, c);
	}
}

void conn_flush_soon(grpc_conn_t *c)
{
	if (!c->closing) {
		turn_soon(c);
	}
}

void conn_close_soon(grpc_conn_t *c, const char *why)
{
	if (c->closing) {
		return;
	}
	if (why) {
		log_kv(LVL_WARN, "grpc.closed", kv_c("why", why), kv_i("pid", c->peer.pid),
			kv_u("uid", c->peer.uid));
	}
	c->closing = true;
	if (c->watch) {
		loop_watch_set(c->watch, 0);
	}
	turn_soon(c);
}

/* ---- in ----------------------------------------------------------------------------------------- */

void conn_feed(grpc_conn_t *c, str_t chunk)
{
	ssize_t n;

	if (c->broken) {
		return;
	}
	n = nghttp2_session_mem_recv(c->h2, (const uint8_t *)chunk.p, chunk.n);
	CHECK(n != NGHTTP2_ERR_NOMEM);
	if (n < 0) {
		session_break(c, n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR,
			nghttp2_strerror((int)n));
	}
}

/* spiffe.md 13.4 step 5: exactly one stamp, and it is the peer's. The control buffer has room for one
 * ucred, so that descriptors a peer passes are dropped by the kernel, which says MSG_CTRUNC. */
static bool stamp_ok(const grpc_conn_t *c, struct msghdr *m)
{
	struct cmsghdr *h = CMSG_FIRSTHDR(m);
	struct ucred stamp;

	if (m->msg_flags & (MSG_CTRUNC | MSG_TRUNC) || !h || h->cmsg_level != SOL_SOCKET ||
		h->cmsg_type != SCM_CREDENTIALS || h->cmsg_len != CMSG_LEN(sizeof(stamp)) ||
		CMSG_NXTHDR(m, h)) {
		return false;
	}
	memcpy(&stamp, CMSG_DATA(h), sizeof(stamp));
	return stamp.pid > 0 && stamp.pid == c->peer.pid && stamp.uid == c->peer.uid &&
		stamp.gid == c->peer.gid;
}

/* Reads one chunk and feeds it. False: nothing more for now. */
static bool chunk_read(grpc_conn_t *c)
{
	grpc_server_t *s = c->server;
	struct iovec io = { s->read, sizeof(s->read) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return false;
	}
	if (n <= 0) {
		conn_close_soon(c, NULL); /* a peer that only stops sending is gone too: gRPC knows no such state */
		return false;
	}
	if (!stamp_ok(c, &m)) {
		s->counts.bad_stamps++;
		conn_close_soon(c, "bytes of another process");
		return false;
	}
	conn_feed(c, str_bytes(s->read, (size_t)n));
	wipe(s->read, (size_t)n);
	return true;
}

/* ---- out ---------------------------------------------------------------------------------------- */

void conn_fill(grpc_conn_t *c, buf_t *to)
{
	c->fill = to;
	while (to->n < GRPC_OUT_HIGH_BYTES) {
		const uint8_t *p = NULL;
		ssize_t n = nghttp2_session_mem_send(c->h2, &p);
		if (n < 0) {
			conn_close_soon(c, nghttp2_strerror((int)n));
		}
		if (n <= 0) {
			break;
		}
		buf_add(to, str_bytes(p, (size_t)n));
	}
	CHECK(buf_err(to) == OK); /* one frame above HIGH fits: see buf_init of scratch */
	c->fill = NULL;
}

/* False: the kernel took less than all (the rest is in c->out), or the connection broke. */
static bool bytes_write(grpc_conn_t *c, str_t bytes, size_t *out_sent)
{
	*out_sent = c->fd < 0 ? bytes.n : 0; /* detached: nobody reads */
	while (*out_sent < bytes.n) {
		ssize_t n = send(c->fd, bytes.p + *out_sent, bytes.n - *out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			if (errno != EAGAIN) {
				conn_close_soon(c, NULL);
			}
			return false;
		}
		*out_sent += (size_t)n;
	}
	return true;
}

static bool rest_write(grpc_conn_t *c)
{
	size_t sent = 0;
	bool all = bytes_write(c, buf_str(&c->out), &sent);

	if (all) {
		buf_wipe(&c->out);
		return true;
	}
	buf_drop(&c->out, sent);
	return false;
}

static void events_set(grpc_conn_t *c, int events)
{
	if (c->watch && !c->closing && c->events != events) {
		c->events = events;
		loop_watch_set(c->watch, events);
	}
}

static void flush(grpc_conn_t *c)
{
	buf_t *scratch = &c->server->scratch;
	bool all = c->out.n == 0 || rest_write(c);
	size_t sent = 0;

	while (all && !c->closing) {
		conn_fill(c, scratch);
		if (scratch->n == 0) {
			break;
		}
		all = bytes_write(c, buf_str(scratch), &sent);
		if (!all) {
			buf_add(&c->out, str_sub(buf_str(scratch), sent, scratch->n - sent));
		}
		wipe(scratch->p, scratch->n);
		buf_clear(scratch);
	}
	if (all && nghttp2_session_want_read(c->h2) == 0 && nghttp2_session_want_write(c->h2) == 0) {
		conn_close_soon(c, NULL);
	}
	/* who does not read is not read from: so nothing can pile up here */
	events_set(c, all ? LOOP_READABLE : LOOP_WRITABLE);
}

static void on_ready(void *owner, int events)
{
	grpc_conn_t *c = owner;

	for (int i = 0; i < GRPC_READS_PER_TURN && !c->closing && c->out.n == 0 && events & LOOP_READABLE; i++) {
		if (!chunk_read(c)) {
			break;
		}
		flush(c);
	}
	if (!c->closing && events & LOOP_WRITABLE) {
		flush(c);
	}
	if (!c->closing && c->out.n > 0 && events == LOOP_READABLE) {
		flush(c); /* an error shows as readable while only writing was asked for: the write tells */
	}
	if (!c->closing) {
		loop_watch_set(c->watch, c->events); /* libuv stops watching when it sees an error */
	}
}

/* ---- life --------------------------------------------------------------------------------------- */

static void hello_late(void *arg)
{
	conn_close_soon(arg, "no HTTP/2");
}

err_t conn_watch(grpc_conn_t *c)
{
	TRY(loop_watch_open(c->server->loop, c->fd, on_ready, c, &c->watch));
	loop_timer_start(c->server->loop, &c->timer, GRPC_HELLO_MS, hello_late, c);
	c->events = LOOP_READABLE;
	loop_watch_set(c->watch, c->events);
	conn_flush_soon(c); /* our SETTINGS */
	return OK;
}

static void drain_late(void *arg)
{
	grpc_conn_t *c = arg;

	if (!c->closing && !c->broken) {
		int32_t last = nghttp2_session_get_last_proc_stream_id(c->h2);
		(void)nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
		conn_flush_soon(c);
	}
}

void conn_drain(grpc_conn_t *c)
{
	if (c->draining || c->closing || c->broken) {
		return;
	}
	c->draining = true;
	(void)nghttp2_submit_shutdown_notice(c->h2);
	loop_timer_start(c->server->loop, &c->timer, GRPC_DRAIN_MS, drain_late, c);
	conn_flush_soon(c);
}

static void conn_unlink(grpc_conn_t *c)
{
	if (c->prev) {
		c->prev->next = c->next;
	} else {
		c->server->conns = c->next;
	}
	if (c->next) {
		c->next->prev = c->prev;
	}
}

void conn_free(grpc_conn_t *c)
{
	grpc_server_t *s = c->server;

	c->closing = true;
	loop_timer_stop(s->loop, &c->timer);
	loop_watch_close(c->watch);
	c->watch = NULL;
	proofs_cancel(c);
	for (grpc_stream_t *x = c->streams; x; x = c->streams) {
		stream_free(x);
	}
	if (c->accepted && s->o.on_close) {
		s->o.on_close(c, s->o.owner);
	}
	nghttp2_session_del(c->h2);
	buf_wipe(&c->out);
	if (c->fd >= 0) {
		close(c->fd);
		uid_drop(s, c->peer.uid);
	}
	CHECK(c->in_bytes == 0);
	conn_unlink(c);
	s->counts.connections_now--;
	CHECK(!c->turn.waiting);
	heap_free(c);
	server_gone_check(s);
}

/* What the server's owner said before it closed the server: as much as the kernel takes at once. */
static void last_words(grpc_conn_t *c)
{
	buf_t *scratch = &c->server->scratch;
	bool all = c->out.n == 0 || rest_write(c);
	size_t sent = 0;

	while (all) {
		conn_fill(c, scratch);
		all = scratch->n > 0 && bytes_write(c, buf_str(scratch), &sent);
		wipe(scratch->p, scratch->n);
		buf_clear(scratch);
	}
}

static void turn(void *arg)
{
	grpc_conn_t *c = arg;

	if (!c->closing) {
		flush(c);
		return; /* if it is closing now, its turn comes again */
	}
	if (c->may_speak) {
		last_words(c);
	}
	conn_free(c);
}

/* ---- face --------------------------------------------------------------------------------------- */

void grpc_conn_set_owner(grpc_conn_t *c, void *owner)
{
	c->owner = owner;
}

void *grpc_conn_owner(const grpc_conn_t *c)
{
	return c->owner;
}

int grpc_conn_fd(const grpc_conn_t *c)
{
	return c->fd;
}

const struct ucred *grpc_conn_peer(const grpc_conn_t *c)
{
	return &c->peer;
}

uint32_t grpc_conn_streams(const grpc_conn_t *c)
{
	return c->n_streams;
}

void grpc_conn_each(grpc_conn_t *c, void (*fn)(grpc_stream_t *s, void *arg), void *arg)
{
	for (grpc_stream_t *s = c->streams, *next; s; s = next) {
		next = s->next;
		if (s->called && !s->ended) {
			fn(s, arg);
		}
	}
}

void grpc_conn_close(grpc_conn_t *c)
{
	conn_close_soon(c, NULL);
}
