/* client.c: the blocking client: one connection, one call, poll(2). */
#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/grpc/client.h"
#include "engine/grpc/head.h"

enum { READ_BYTES = 16 << 10, FIXED_HEADERS = 8, METADATA_MAX = 16 };
enum { GOT_BYTES_MAX = GRPC_CLIENT_MESSAGE_BYTES_MAX + 5 + 2 * READ_BYTES };

struct grpc_client {
	int fd;
	nghttp2_session *h2;
	buf_t out; /* what the kernel did not take */
	bool lost;

	/* the call in flight, or the last one */
	int32_t id; /* 0: none */
	rd_t request; /* what of it has not been sent */
	uint8_t prefix[5];
	size_t prefix_sent;
	uint64_t deadline_ms; /* UINT64_MAX: none */
	buf_t got, text; /* DATA not taken yet; grpc-message, coded */
	int status, http_status; /* -1: did not come */
	uint32_t reset;
	bool over; /* the stream is closed */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- what nghttp2 tells --------------------------------------------------------------------------- */

static int number_of(str_t text)
{
	uint64_t n = 0;

	return str_to_u64(text, 999, &n) == OK ? (int)n : -1;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t n_name,
	const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	grpc_client_t *c = arg;
	str_t n = str_bytes(name, n_name), v = str_bytes(value, n_value);

	if (frame->hd.stream_id != c->id) {
		return 0;
	}
	if (str_eq(n, STR(":status"))) {
		c->http_status = number_of(v);
	} else if (str_eq(n, STR("grpc-status"))) {
		c->status = number_of(v);
	} else if (str_eq(n, STR("grpc-message"))) {
		buf_clear(&c->text);
		percent_decode(&c->text, v); /* cut at its maximum */
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	grpc_client_t *c = arg;

	if (id == c->id) {
		buf_add(&c->got, str_bytes(p, n));
	}
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	grpc_client_t *c = arg;

	if (id == c->id) {
		c->over = true;
		c->reset = error;
	}
	return 0;
}

static ssize_t request_next(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t max, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	grpc_client_t *c = arg;
	size_t n = 0;

	while (n < max && c->prefix_sent < sizeof(c->prefix)) {
		buf[n++] = c->prefix[c->prefix_sent++];
	}
	size_t part = rd_left(&c->request) < max - n ? rd_left(&c->request) : max - n;
	str_t bytes = STR_NULL;
	if (part > 0 && rd_bytes(&c->request, part, &bytes) == OK) {
		memcpy(buf + n, bytes.p, bytes.n);
		n += bytes.n;
	}
	if (rd_empty(&c->request) && c->prefix_sent == sizeof(c->prefix)) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)n;
}

/* ---- the socket ------------------------------------------------------------------------------------ */

/* ERR_UNAVAILABLE: the kernel takes no more for now. */
static MUST err_t out_write(grpc_client_t *c)
{
	while (c->out.n > 0) {
		ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return errno == EAGAIN ? ERR_UNAVAILABLE : ERR_UPSTREAM;
		}
		buf_drop(&c->out, (size_t)n);
	}
	return OK;
}

static MUST err_t flush(grpc_client_t *c)
{
	for (;;) {
		const uint8_t *p = NULL;
		TRY(out_write(c));
		ssize_t n = nghttp2_session_mem_send(c->h2, &p);
		ENSURE(n >= 0, ERR_UPSTREAM);
		if (n == 0) {
			return OK;
		}
		buf_add(&c->out, str_bytes(p, (size_t)n));
		TRY(buf_err(&c->out));
	}
}

static MUST err_t chunk_take(grpc_client_t *c)
{
	uint8_t chunk[READ_BYTES];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return OK;
	}
	ENSURE(n > 0, ERR_UPSTREAM);
	ssize_t taken = nghttp2_session_mem_recv(c->h2, chunk, (size_t)n);
	wipe(chunk, (size_t)n); /* answers hold private keys */
	ENSURE(taken == n, ERR_UPSTREAM);
	return buf_err(&c->got);
}

/* Waits until `until_ms` for anything to move; ERR_TIMEOUT. */
static MUST err_t step(grpc_client_t *c, uint64_t until_ms)
{
	err_t e = flush(c);
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint64_t now = now_ms();
	int wait_ms = until_ms == UINT64_MAX ? -1 : 0;

	ENSURE(e == OK || e == ERR_UNAVAILABLE, e);
	if (e == ERR_UNAVAILABLE) {
		p.events |= POLLOUT;
	}
	if (wait_ms == 0 && until_ms > now) {
		wait_ms = until_ms - now > 60000 ? 60000 : (int)(until_ms - now);
	}
	int n = poll(&p, 1, wait_ms);
	if (n < 0 && errno != EINTR) {
		return ERR_IO;
	}
	if (n <= 0) {
		return n == 0 && until_ms <= now_ms() ? ERR_TIMEOUT : OK;
	}
	return p.revents & (POLLIN | POLLHUP | POLLERR) ? chunk_take(c) : OK;
}

/* ---- connection ------------------------------------------------------------------------------------ */

static MUST err_t address_read(const char *address, struct sockaddr_un *out, diag_t *diag)
{
	str_t path = str_of(address);

	if (str_starts(path, STR("unix:"))) {
		path = str_sub(path, 5, path.n);
		path = str_starts(path, STR("///")) ? str_sub(path, 2, path.n) : path;
	}
	if (path.n == 0 || path.p[0] != '/' || str_starts(path, STR("//")) || path.n >= sizeof(out->sun_path)) {
		diag_set(diag, 0, 0, "%s is no address of a Unix socket (unix:///absolute/path)", address);
		return ERR_CONFIG;
	}
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(out->sun_path, path.p, path.n);
	return OK;
}

static MUST err_t socket_connect(const char *address, int *out_fd, diag_t *diag)
{
	struct sockaddr_un a;
	const struct timeval patience = { GRPC_CLIENT_CONNECT_MS / 1000, 0 };

	TRY(address_read(address, &a, diag));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ENSURE(fd >= 0, ERR_IO);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
		diag_set(diag, 0, 0, "cannot connect to %s: %s", a.sun_path, strerror(errno));
		close(fd);
		return ERR_UNAVAILABLE;
	}
	*out_fd = fd;
	return OK;
}

static void session_new(grpc_client_t *c)
{
	const nghttp2_settings_entry ours[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
	nghttp2_session_callbacks *callbacks;

	CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	CHECK(nghttp2_session_client_new(&c->h2, callbacks, c) == 0);
	nghttp2_session_callbacks_del(callbacks);
	CHECK(nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, ours, ARRAY_LEN(ours)) == 0);
}

err_t grpc_client_open(const char *address, grpc_client_t **out_client, diag_t *diag)
{
	int fd = -1;

	TRY(socket_connect(address, &fd, diag));
	grpc_client_t *c = heap_new(grpc_client_t);
	c->fd = fd;
	buf_init(&c->out, GRPC_OUT_HIGH_BYTES * 2);
	buf_init(&c->got, GOT_BYTES_MAX);
	buf_init(&c->text, GRPC_TEXT_BYTES_MAX);
	session_new(c);
	*out_client = c;
	return OK;
}

void grpc_client_close(grpc_client_t *c)
{
	if (!c) {
		return;
	}
	nghttp2_session_del(c->h2);
	buf_wipe(&c->out);
	buf_wipe(&c->got);
	buf_wipe(&c->text);
	close(c->fd);
	heap_free(c);
}

int grpc_client_fd(const grpc_client_t *c)
{
	return c->fd;
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static nghttp2_nv field(str_t name, str_t value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n, value.n,
		NGHTTP2_NV_FLAG_NONE };
}

static void call_reset(grpc_client_t *c, const grpc_request_t *r)
{
	size_t n = r->message.n;

	buf_wipe(&c->got);
	buf_clear(&c->text);
	c->request = rd_of(n ? r->message : STR(""));
	c->prefix[0] = 0;
	c->prefix[1] = (uint8_t)(n >> 24);
	c->prefix[2] = (uint8_t)(n >> 16);
	c->prefix[3] = (uint8_t)(n >> 8);
	c->prefix[4] = (uint8_t)n;
	c->prefix_sent = 0;
	c->deadline_ms = r->timeout_ms ? now_ms() + r->timeout_ms : UINT64_MAX;
	c->status = c->http_status = -1;
	c->over = false;
	c->reset = 0;
}

/* grpc-timeout has eight digits: beyond them seconds are exact enough. */
static str_t timeout_text(uint32_t timeout_ms, char text[16])
{
	bool seconds = timeout_ms > 99999999;
	int n = snprintf(text, 16, "%u%c", seconds ? timeout_ms / 1000 : timeout_ms, seconds ? 'S' : 'm');

	return str_bytes(text, (size_t)n);
}

err_t grpc_client_begin(grpc_client_t *c, const grpc_request_t *r)
{
	nghttp2_data_provider provider = { .read_callback = request_next };
	nghttp2_nv nv[FIXED_HEADERS + METADATA_MAX];
	char text[16];
	size_t n = 0;

	ENSURE(r->n_metadata <= METADATA_MAX && r->message.n <= UINT32_MAX, ERR_LIMIT);
	ENSURE(!c->lost, ERR_UPSTREAM);
	grpc_client_cancel(c);
	call_reset(c, r);
	nv[n++] = field(STR(":method"), STR("POST"));
	nv[n++] = field(STR(":scheme"), STR("http"));
	nv[n++] = field(STR(":path"), str_of(r->path));
	nv[n++] = field(STR(":authority"), STR("localhost"));
	nv[n++] = field(STR("content-type"), STR("application/grpc"));
	nv[n++] = field(STR("te"), STR("trailers"));
	nv[n++] = field(STR("user-agent"), STR("attorn/" ATTORN_VERSION));
	if (r->timeout_ms) {
		nv[n++] = field(STR("grpc-timeout"), timeout_text(r->timeout_ms, text));
	}
	for (size_t i = 0; i < r->n_metadata; i++) {
		nv[n++] = field(r->metadata[i].name, r->metadata[i].value);
	}
	int32_t id = nghttp2_submit_request(c->h2, NULL, nv, n, &provider, NULL);
	ENSURE(id > 0, ERR_UPSTREAM);
	c->id = id;
	return OK;
}

void grpc_client_cancel(grpc_client_t *c)
{
	if (c->id != 0 && !c->over && !c->lost) {
		(void)nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_CANCEL);
		c->over = true;
		c->request = rd_of(STR("")); /* the caller's bytes are not read any more */
		err_t e = flush(c);
		c->lost = e != OK && e != ERR_UNAVAILABLE;
	}
	c->id = 0;
}

/* The first whole message of c->got, copied into the arena. */
static MUST err_t message_take(grpc_client_t *c, arena_t *a, bool *out_found, str_t *out_message)
{
	rd_t r = rd_of(buf_str(&c->got));
	uint8_t flag = 0;
	uint32_t n = 0;
	str_t bytes = STR_NULL;

	*out_found = false;
	if (rd_left(&r) < sizeof(c->prefix)) {
		return OK;
	}
	TRY(rd_byte(&r, &flag));
	TRY(rd_u32be(&r, &n));
	ENSURE(flag == 0, ERR_UPSTREAM); /* we accept no encoding */
	ENSURE(n <= GRPC_CLIENT_MESSAGE_BYTES_MAX, ERR_LIMIT);
	if (rd_left(&r) < n) {
		return OK;
	}
	TRY(rd_bytes(&r, n, &bytes));
	TRY(arena_dup(a, bytes, out_message));
	wipe(c->got.p, sizeof(c->prefix) + n);
	buf_drop(&c->got, sizeof(c->prefix) + n);
	*out_found = true;
	return OK;
}

static grpc_code_t code_of_reset(uint32_t h2_error)
{
	switch (h2_error) {
	case NGHTTP2_REFUSED_STREAM:
		return GRPC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return GRPC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return GRPC_RESOURCE_EXHAUSTED;
	}
	return GRPC_INTERNAL;
}

static MUST err_t status_take(grpc_client_t *c, arena_t *a, grpc_status_t *out_status)
{
	grpc_status_t s = { GRPC_UNKNOWN, STR_NULL };

	if (c->status >= 0) {
		ENSURE(c->got.n == 0, ERR_UPSTREAM); /* half a message before the trailers */
		s.code = (grpc_code_t)(c->status <= GRPC_UNAUTHENTICATED ? c->status : GRPC_UNKNOWN);
		TRY(arena_dup(a, buf_str(&c->text), &s.text));
	} else {
		ENSURE(c->reset != NGHTTP2_NO_ERROR, ERR_UPSTREAM); /* no gRPC, 415 and the like */
		s.code = code_of_reset(c->reset);
	}
	*out_status = s;
	return OK;
}

static MUST err_t next(grpc_client_t *c, arena_t *a, uint64_t until_ms, bool *out_more, str_t *out_message,
	grpc_status_t *out_status)
{
	bool found = false;

	for (;;) {
		TRY(message_take(c, a, &found, out_message));
		if (found || c->over) {
			break;
		}
		TRY(step(c, until_ms < c->deadline_ms ? until_ms : c->deadline_ms));
	}
	if (!found) {
		TRY(status_take(c, a, out_status));
		c->id = 0;
	}
	*out_more = found;
	return OK;
}

err_t grpc_client_next(grpc_client_t *c, arena_t *a, uint32_t wait_ms, bool *out_more, str_t *out_message,
	grpc_status_t *out_status)
{
	uint64_t until_ms = wait_ms == UINT32_MAX ? UINT64_MAX : now_ms() + wait_ms;

	ENSURE(c->id != 0, ERR_CLOSED);
	ENSURE(!c->lost, ERR_UPSTREAM);
	err_t e = next(c, a, until_ms, out_more, out_message, out_status);
	if (e == ERR_TIMEOUT && c->deadline_ms <= now_ms()) {
		grpc_client_cancel(c); /* not only the waiting has ended */
	}
	if (e == ERR_UPSTREAM || e == ERR_LIMIT || e == ERR_IO) {
		c->lost = true;
	}
	return e;
}

err_t grpc_client_call(grpc_client_t *c, arena_t *a, const grpc_request_t *r, str_t *out_message,
	grpc_status_t *out_status)
{
	str_t message = STR_NULL, second = STR_NULL;
	bool has = false, more = false;

	TRY(grpc_client_begin(c, r));
	TRY(grpc_client_next(c, a, UINT32_MAX, &has, &message, out_status));
	if (has) {
		TRY(grpc_client_next(c, a, UINT32_MAX, &more, &second, out_status));
	}
	ENSURE(!more && (has || out_status->code != GRPC_OK), ERR_UPSTREAM); /* one answer, or none and why */
	*out_message = out_status->code == GRPC_OK ? message : STR_NULL;
	return OK;
}
