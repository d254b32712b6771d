/* accept.c: who may connect: the peer's credentials, limits per uid, the owner's hook. */
#include <errno.h>
#include <unistd.h>

#include "engine/grpc/grpc_int.h"

enum { REST_MS = 100 }; /* no descriptors left: look again then, instead of spinning */

uint32_t uid_add(grpc_server_t *s, uid_t uid)
{
	for (uid_count_t *u = s->uids; u; u = u->next) {
		if (u->uid == uid) {
			return ++u->n;
		}
	}
	uid_count_t *u = heap_new(uid_count_t);
	u->uid = uid;
	u->n = 1;
	u->next = s->uids;
	s->uids = u;
	return 1;
}

void uid_drop(grpc_server_t *s, uid_t uid)
{
	for (uid_count_t **at = &s->uids; *at; at = &(*at)->next) {
		uid_count_t *u = *at;
		if (u->uid != uid) {
			continue;
		}
		if (--u->n == 0) {
			*at = u->next;
			heap_free(u);
		}
		return;
	}
	CHECK(false);
}

/* pid 0 is a peer outside our tree of PID namespaces: there is nobody to attest (spiffe.md 13.4 step 1). */
static bool peer_learn(int fd, struct ucred *out_peer)
{
	socklen_t n = sizeof(*out_peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out_peer, &n) == 0 && n == sizeof(*out_peer) &&
		out_peer->pid > 0;
}

static void connection_take(grpc_server_t *s, int fd)
{
	struct ucred peer = { 0 };

	if (!peer_learn(fd, &peer) || s->counts.connections_now >= s->o.connections_max) {
		s->counts.refused++;
		close(fd);
		return;
	}
	if (uid_add(s, peer.uid) > s->o.connections_per_uid_max) {
		s->counts.refused++;
		uid_drop(s, peer.uid);
		close(fd);
		return;
	}
	grpc_conn_t *c = conn_new(s, fd, &peer); /* the descriptor and the count are its own from here */
	err_t e = conn_watch(c);
	if (e == OK && s->o.on_connect) {
		e = s->o.on_connect(c, fd, &peer, s->o.owner);
	}
	c->accepted = e == OK;
	if (e != OK) {
		s->counts.refused++;
		conn_close_soon(c, NULL);
	}
}

static void rest_over(void *arg)
{
	grpc_server_t *s = arg;

	loop_watch_set(s->watch, LOOP_READABLE);
}

void server_accept(grpc_server_t *s)
{
	for (int i = 0; i < GRPC_ACCEPTS_PER_TURN; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			connection_take(s, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			loop_watch_set(s->watch, 0);
			loop_timer_start(s->loop, &s->rest, REST_MS, rest_over, s);
		}
		if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}
