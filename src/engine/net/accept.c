/* accept.c: a connection's beginning: whether it may be, and who is at its other end. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/net/server_int.h"

static void peer_learn_tcp(conn_t *c)
{
	struct sockaddr_storage a = { 0 };
	int n = sizeof(a);
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a;
	bool is_v6;

	c->peer.uid = (uid_t)-1;
	c->peer.gid = (gid_t)-1;
	if (uv_tcp_getpeername(&c->h.tcp, (struct sockaddr *)&a, &n) != 0) {
		return;
	}
	is_v6 = a.ss_family == AF_INET6;
	inet_ntop(a.ss_family, is_v6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr,
		c->peer.address, sizeof(c->peer.address));
	c->peer.port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
}

/* False when the kernel does not say who it is: then there is no connection. */
static bool peer_learn_unix(conn_t *c)
{
	struct ucred cred = { 0 };
	socklen_t n = sizeof(cred);
	uv_os_fd_t fd;

	if (uv_fileno(&c->h.handle, &fd) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof(cred)) {
		return false;
	}
	c->peer = (net_peer_t){ .is_unix = true, .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
	return true;
}

static conn_t *conn_new(net_server_t *s)
{
	conn_t *c = heap_new(conn_t);

	c->server = s;
	c->next = s->conns;
	if (s->conns) {
		s->conns->prev = c;
	}
	s->conns = c;
	s->counts.connections_now++;
	net_parser_init(&c->parser, s->o.head_bytes_max, s->o.body_bytes_max);
	buf_init(&c->ahead, NET_PIPELINE_BYTES_MAX + NET_READ_BYTES);
	buf_init(&c->out, NET_REPLY_BODY_BYTES_MAX + NET_REPLY_PENDING_BYTES_MAX);
	buf_init(&c->held, NET_HELD_REPLY_BYTES_MAX);
	buf_init(&c->flying, c->out.max);
	return c;
}

void conn_accept(net_server_t *s)
{
	uv_loop_t *uv = loop_uv(s->loop);
	conn_t *c = conn_new(s);
	int e = s->unix_path ? uv_pipe_init(uv, &c->h.pipe, 0) : uv_tcp_init(uv, &c->h.tcp);

	CHECK(e == 0);
	c->h.handle.data = c;
	if (uv_accept(&s->listener.stream, &c->h.stream) != 0) {
		conn_cut(c);
		return;
	}
	s->counts.connections++;
	if (s->counts.connections_now > s->o.connections_max) {
		s->counts.connections_over++;
		conn_cut(c);
		return;
	}
	if (s->unix_path && !peer_learn_unix(c)) {
		conn_cut(c);
		return;
	}
	if (s->o.tls && !conn_tls_begin(c)) {
		s->counts.handshakes_failed++;
		conn_cut(c);
		return;
	}
	if (!s->unix_path) {
		peer_learn_tcp(c);
		uv_tcp_nodelay(&c->h.tcp, 1);
	}
	conn_start(c);
}
