/* server.c: the listener: where it may bind, how it opens, what it counts, how it ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/net/server_int.h"

static void fd_close(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

static void fd_close_auto_(int *fd)
{
	fd_close(*fd);
}

typedef union {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
} address_t;

/* DESIGN 5: plain HTTP on loopback only. */
static MUST err_t address_read(const net_server_options_t *o, address_t *out, socklen_t *out_n, diag_t *diag)
{
	str_t text = o->address;
	bool anywhere = o->tls != NULL;
	address_t a = { 0 };
	char buf[INET6_ADDRSTRLEN + 1] = "";

	if (text.n == 0 || text.n >= sizeof(buf) || str_has_nul(text)) {
		diag_set(diag, 0, 0, "listen address missing or too long");
		return ERR_CONFIG;
	}
	memcpy(buf, text.p, text.n);
	if (inet_pton(AF_INET, buf, &a.v4.sin_addr) == 1 &&
		(anywhere || ntohl(a.v4.sin_addr.s_addr) >> 24 == 127)) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(o->port);
		*out = a;
		*out_n = sizeof(a.v4);
		return OK;
	}
	a = (address_t){ 0 };
	if (inet_pton(AF_INET6, buf, &a.v6.sin6_addr) == 1 && (anywhere || IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr))) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(o->port);
		*out = a;
		*out_n = sizeof(a.v6);
		return OK;
	}
	diag_set(diag, 0, 0,
		anywhere ? "cannot listen on %s: not a numeric address"
			 : "cannot listen on %s: plain HTTP is for loopback only (127.0.0.1 or ::1)",
		buf);
	return ERR_CONFIG;
}

static err_t bind_error(const char *where, diag_t *diag)
{
	int e = errno;

	diag_set(diag, 0, 0, "cannot listen on %s: %s", where, strerror(e));
	return e == EADDRINUSE ? ERR_EXISTS : ERR_IO;
}

static MUST err_t tcp_socket(const net_server_options_t *o, int *out_fd, diag_t *diag)
{
	AUTO(fd_close) int fd = -1;
	const int on = 1;
	address_t a;
	socklen_t n = 0;
	char where[64];

	TRY(address_read(o, &a, &n, diag));
	snprintf(where, sizeof(where), "%.*s:%u", STR_ARG(o->address), o->port);
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
		return bind_error(where, diag);
	}
	if (o->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) {
		return bind_error(where, diag);
	}
	if (bind(fd, &a.any, n) != 0 || listen(fd, NET_ACCEPT_BACKLOG) != 0) {
		return bind_error(where, diag);
	}
	*out_fd = fd;
	fd = -1;
	return OK;
}

/* A socket file that nobody serves is left over from a process that died. */
static MUST err_t stale_remove(const address_t *a, const char *path, diag_t *diag)
{
	struct stat st;
	AUTO(fd_close) int fd = -1;

	if (lstat(path, &st) != 0) {
		return OK;
	}
	if (!S_ISSOCK(st.st_mode)) {
		diag_set(diag, 0, 0, "cannot listen on %s: it is not a socket", path);
		return ERR_EXISTS;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &a->any, sizeof(a->un)) == 0 || errno != ECONNREFUSED) {
		diag_set(diag, 0, 0, "cannot listen on %s: another process does", path);
		return ERR_EXISTS;
	}
	if (unlink(path) != 0) {
		return bind_error(path, diag);
	}
	return OK;
}

err_t net_unix_listen(const char *path, mode_t mode, bool stamped, int *out_fd, diag_t *diag)
{
	AUTO(fd_close) int fd = -1;
	const int on = 1;
	mode_t bits = mode ? mode : 0600;
	address_t a = { .un = { .sun_family = AF_UNIX } };
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(a.un.sun_path)) {
		diag_set(diag, 0, 0, "socket path is empty or longer than %zu bytes",
			sizeof(a.un.sun_path) - 1);
		return ERR_CONFIG;
	}
	memcpy(a.un.sun_path, path, n);
	TRY(stale_remove(&a, path, diag));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Linux gives the file the mode of the socket, less umask: never open to others for a moment */
	if (fd < 0 || fchmod(fd, bits) != 0 || bind(fd, &a.any, sizeof(a.un)) != 0) {
		return bind_error(path, diag);
	}
	if (stamped && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) {
		return bind_error(path, diag);
	}
	if (chmod(path, bits) != 0 || listen(fd, NET_ACCEPT_BACKLOG) != 0) {
		return bind_error(path, diag);
	}
	*out_fd = fd;
	fd = -1;
	return OK;
}

static void on_connection(uv_stream_t *listener, int status)
{
	if (status == 0) {
		conn_accept(listener->data);
	}
}

static void sweep(void *arg)
{
	net_server_t *s = arg;
	uint64_t now_ms = server_now_ms(s);

	for (conn_t *c = s->conns, *next; c; c = next) {
		next = c->next;
		conn_sweep(c, now_ms);
	}
	loop_timer_start(s->loop, &s->sweep, NET_SWEEP_MS, sweep, s);
}

static void port_learn(net_server_t *s, int fd)
{
	address_t a = { 0 };
	socklen_t n = sizeof(a);

	if (!s->unix_path && getsockname(fd, &a.any, &n) == 0) {
		s->port = ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
	}
}

static void unix_remember(net_server_t *s)
{
	struct stat st;

	if (s->unix_path && lstat(s->unix_path, &st) == 0) {
		s->unix_dev = st.st_dev;
		s->unix_ino = st.st_ino;
	}
}

static void unix_forget(net_server_t *s)
{
	struct stat st;

	if (s->unix_path && lstat(s->unix_path, &st) == 0 && st.st_dev == s->unix_dev &&
		st.st_ino == s->unix_ino) {
		unlink(s->unix_path);
	}
}

/* From here on the handle owns fd; a failure leaves the closing to net_server_close. */
static MUST err_t listener_open(net_server_t *s, int *fd)
{
	uv_loop_t *uv = loop_uv(s->loop);
	int e = s->unix_path ? uv_pipe_init(uv, &s->listener.pipe, 0) : uv_tcp_init(uv, &s->listener.tcp);

	CHECK(e == 0);
	s->listening = true;
	s->listener.handle.data = s;
	e = s->unix_path ? uv_pipe_open(&s->listener.pipe, *fd) : uv_tcp_open(&s->listener.tcp, *fd);
	ENSURE(e == 0, ERR_IO);
	*fd = -1;
	ENSURE(uv_listen(&s->listener.stream, NET_ACCEPT_BACKLOG, on_connection) == 0, ERR_IO);
	return OK;
}

static size_t size_or(size_t v, size_t otherwise)
{
	return v ? v : otherwise;
}

static uint32_t ms_or(uint32_t v, uint32_t otherwise)
{
	return v ? v : otherwise;
}

static net_server_options_t options_filled(const net_server_options_t *o)
{
	net_server_options_t f = *o;

	f.address = STR_NULL; /* not needed once bound */
	f.unix_path = NULL;
	f.head_bytes_max = size_or(o->head_bytes_max, NET_HEAD_BYTES_DEFAULT);
	f.body_bytes_max = size_or(o->body_bytes_max, NET_BODY_BYTES_DEFAULT);
	f.bodies_bytes_max = size_or(o->bodies_bytes_max, NET_BODIES_BYTES_DEFAULT);
	f.connections_max = ms_or(o->connections_max, NET_CONNECTIONS_DEFAULT);
	f.head_timeout_ms = ms_or(o->head_timeout_ms, NET_HEAD_TIMEOUT_MS);
	f.body_timeout_ms = ms_or(o->body_timeout_ms, NET_BODY_TIMEOUT_MS);
	f.idle_timeout_ms = ms_or(o->idle_timeout_ms, NET_IDLE_TIMEOUT_MS);
	f.write_timeout_ms = ms_or(o->write_timeout_ms, NET_WRITE_TIMEOUT_MS);
	f.sse_idle_ms = ms_or(o->sse_idle_ms, NET_SSE_IDLE_MS);
	f.handshake_timeout_ms = ms_or(o->handshake_timeout_ms, NET_TLS_HANDSHAKE_TIMEOUT_MS);
	CHECK(f.handler && f.head_bytes_max <= NET_HEAD_BYTES_MAX && f.body_bytes_max <= NET_BODY_BYTES_MAX &&
		f.connections_max <= NET_CONNECTIONS_MAX);
	CHECK(!f.tls || !net_tls_is_client(f.tls));
	return f;
}

err_t net_server_open(loop_t *loop, const net_server_options_t *o, net_server_t **out_server, diag_t *diag)
{
	net_server_options_t filled = options_filled(o);
	AUTO(fd_close) int fd = -1;

	TRY(o->unix_path ? net_unix_listen(o->unix_path, o->unix_mode, false, &fd, diag) :
			   tcp_socket(o, &fd, diag));
	net_server_t *s = heap_new(net_server_t);
	s->loop = loop;
	s->o = filled;
	s->o.tls = o->tls ? net_tls_hold(o->tls) : NULL;
	s->unix_path = o->unix_path ? heap_cstr(str_of(o->unix_path)) : NULL;
	buf_init(&s->head, NET_HEAD_BYTES_MAX * 2);
	port_learn(s, fd);
	unix_remember(s);
	err_t e = listener_open(s, &fd);
	if (e != OK) {
		diag_set(diag, 0, 0, "cannot listen: the loop refused the socket");
		net_server_close(s, NULL, NULL);
		return e;
	}
	loop_timer_start(loop, &s->sweep, NET_SWEEP_MS, sweep, s);
	*out_server = s;
	return OK;
}

uint16_t net_server_port(const net_server_t *s)
{
	return s->port;
}

net_server_counts_t net_server_counts(const net_server_t *s)
{
	return s->counts;
}

static void server_free(void *arg)
{
	net_server_t *s = arg;
	void (*closed)(void *) = s->closed;
	void *owner = s->closed_owner;

	buf_wipe(&s->head);
	heap_free(s->unix_path);
	net_tls_free(s->o.tls);
	wipe(s->read, sizeof(s->read));
	heap_free(s);
	if (closed) {
		closed(owner);
	}
}

/* The last handle that closes frees the server, from a turn of its own. */
static void free_when_empty(net_server_t *s)
{
	if (s->closing && !s->listening && !s->conns && !s->handed_over) {
		s->handed_over = true;
		loop_post_own(s->loop, &s->posted, server_free, s);
	}
}

void server_conn_gone(net_server_t *s, conn_t *c)
{
	if (c->prev) {
		c->prev->next = c->next;
	} else {
		s->conns = c->next;
	}
	if (c->next) {
		c->next->prev = c->prev;
	}
	s->counts.connections_now--;
	free_when_empty(s);
}

static void on_listener_closed(uv_handle_t *handle)
{
	net_server_t *s = handle->data;

	s->listening = false;
	free_when_empty(s);
}

void net_server_stop(net_server_t *s)
{
	if (s->stopped) {
		return;
	}
	s->stopped = true;
	unix_forget(s);
	if (s->listening) {
		uv_close(&s->listener.handle, on_listener_closed);
	}
	for (conn_t *c = s->conns, *next; c; c = next) {
		next = c->next;
		conn_stop(c);
	}
}

void net_server_close(net_server_t *s, void (*closed)(void *owner), void *owner)
{
	CHECK(!s->closing);
	net_server_stop(s);
	s->closing = true;
	s->closed = closed;
	s->closed_owner = owner;
	loop_timer_stop(s->loop, &s->sweep);
	for (conn_t *c = s->conns, *next; c; c = next) {
		next = c->next;
		conn_cut(c);
	}
	free_when_empty(s);
}
