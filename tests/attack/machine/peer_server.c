/* peer_server.c: the smallest server that binds a connection to a process the way the node does, for the
 * attacks A1-A13. It speaks as much HTTP/2 as they need: a PING of its own, and one DATA frame for whoever
 * is the process that the wanted selectors describe.
 *     peer_server SOCKET oldest|newest SELECTOR...
 * One line per event on stdout. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "service/node/attest.h"

enum { CONNECTIONS = 64, PREFACE = 24, FRAME_HEAD = 9, PING = 6, ACK = 1, HEADERS = 1, DATA = 0 };

typedef struct {
	int fd; /* 0: free */
	peer_t peer;
	uint8_t nonce[8];
	char in[65536];
	size_t n;
	bool asked, preface;
	int64_t late_ms;
} connection_t;

static connection_t connections[CONNECTIONS];
static peer_kernel_t kernel;
static attest_means_t means;
static str_t wanted[16];
static size_t n_wanted;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void end(connection_t *c, const char *why)
{
	printf("closed pid=%d why=%s\n", (int)c->peer.pid, why);
	close(c->fd);
	peer_close(&c->peer);
	*c = (connection_t){ 0 };
}

static void frame_send(int fd, uint8_t type, uint8_t flags, uint8_t stream, const void *body, size_t n)
{
	uint8_t frame[FRAME_HEAD + 64] = { 0, 0, (uint8_t)n, type, flags, 0, 0, 0, stream };

	memcpy(frame + FRAME_HEAD, body, n);
	if (send(fd, frame, FRAME_HEAD + n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		printf("send failed: %s\n", strerror(errno));
	}
}

static void accepted(int fd)
{
	for (connection_t *c = connections; c < connections + CONNECTIONS; c++) {
		if (c->fd) {
			continue;
		}
		err_t e = peer_open(&kernel, fd, &c->peer);
		if (e != OK) {
			printf("refused at accept: %s\n", err_info(e)->name);
			close(fd);
			return;
		}
		c->fd = fd;
		c->late_ms = now_ms() + NODE_PROOF_TIMEOUT_MS;
		CHECK(getrandom(c->nonce, sizeof(c->nonce), 0) == (ssize_t)sizeof(c->nonce));
		printf("accepted pid=%d exe=%s\n", (int)c->peer.pid, c->peer.facts.exe ? c->peer.facts.exe : "-");
		frame_send(fd, 4, 0, 0, "", 0); /* SETTINGS, empty */
		frame_send(fd, PING, 0, 0, c->nonce, sizeof(c->nonce));
		return;
	}
	close(fd);
}

static void answer(connection_t *c)
{
	AUTO(arena_free) arena_t *a = arena_open();
	spiffe_selectors_t facts, want = { wanted, n_wanted };
	attest_families_t unknown = 0;
	attest_subject_t s;
	bool changed;

	if (peer_recheck(&c->peer, &changed) != OK) {
		end(c, "recheck");
		return;
	}
	err_t e = attest_subject_make(a, &c->peer, &s);
	s.means = &means;
	s.wanted = attest_families_of(&want);
	s.now_us = (uint64_t)now_ms() * 1000;
	if (e == OK) {
		e = attest_all(a, &s, &facts, &unknown);
	}
	for (size_t i = 0; e == OK && i < facts.n; i++) {
		printf("selector %.*s\n", STR_ARG(facts.v[i]));
	}
	bool yes = e == OK && spiffe_selectors_match(&want, &facts);
	digest_stat_t d = digest_stat(means.digests);
	printf("%s pid=%d unknown=%u hashed=%llu remembered=%llu\n", yes ? "key" : "denied", (int)c->peer.pid, unknown,
		(unsigned long long)d.hashed, (unsigned long long)d.remembered);
	frame_send(c->fd, yes ? DATA : HEADERS, 1, 1, yes ? "KEY" : "", yes ? 3 : 0);
	c->asked = false;
}

/* False when the connection ended. */
static bool frame(connection_t *c, uint8_t type, uint8_t flags, const char *body, size_t n)
{
	if (type == PING && (flags & ACK) && n == 8 && memcmp(body, c->nonce, 8) == 0) {
		if (peer_proved(&c->peer) != OK) {
			end(c, "proof");
			return false;
		}
		printf("proved pid=%d\n", (int)c->peer.pid);
	}
	c->asked = c->asked || type == HEADERS;
	if (c->asked && c->peer.proved) {
		answer(c);
	}
	return c->fd != 0;
}

static void frames(connection_t *c)
{
	size_t at = 0;

	if (!c->preface && c->n >= PREFACE) {
		c->preface = true;
		at = PREFACE;
	}
	while (c->preface && c->n - at >= FRAME_HEAD) {
		const uint8_t *h = (const uint8_t *)c->in + at;
		size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
		if (n > sizeof(c->in) - FRAME_HEAD || c->n - at < FRAME_HEAD + n) {
			break;
		}
		if (!frame(c, h[3], h[4], (const char *)h + FRAME_HEAD, n)) {
			return;
		}
		at += FRAME_HEAD + n;
	}
	memmove(c->in, c->in + at, c->n - at);
	c->n -= at;
}

static void readable(connection_t *c)
{
	struct ucred sender;
	size_t n = 0;
	err_t e = peer_recv(c->fd, c->in + c->n, sizeof(c->in) - c->n, &n, &sender);

	if (e == ERR_UNAVAILABLE) {
		return;
	}
	if (e != OK || n == 0) {
		end(c, e != OK ? "control" : "eof");
		return;
	}
	if (!peer_sender_ok(&c->peer, &sender)) {
		printf("stamp pid=%d uid=%u\n", (int)sender.pid, sender.uid);
		end(c, "stamp");
		return;
	}
	c->n += n;
	frames(c);
}

static void round_once(int listener)
{
	struct pollfd p[1 + 2 * CONNECTIONS] = { { .fd = listener, .events = POLLIN } };

	for (size_t i = 0; i < CONNECTIONS; i++) {
		connection_t *c = &connections[i];
		p[1 + 2 * i] = (struct pollfd){ .fd = c->fd ? c->fd : -1, .events = POLLIN };
		p[2 + 2 * i] = (struct pollfd){ .fd = c->fd ? c->peer.pidfd : -1, .events = POLLIN };
	}
	poll(p, ARRAY_LEN(p), 50);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		connection_t *c = &connections[i];
		if (c->fd && p[2 + 2 * i].revents) {
			end(c, "exited");
		} else if (c->fd && p[1 + 2 * i].revents) {
			readable(c);
		} else if (c->fd && !c->peer.proved && now_ms() > c->late_ms) {
			end(c, "late");
		}
	}
	if (p[0].revents & POLLIN) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			accepted(fd);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct utsname u;

	CHECK(argc >= 3 && argc - 3 <= (int)ARRAY_LEN(wanted));
	setvbuf(stdout, NULL, _IOLBF, 0);
	kernel = peer_kernel_probe(strcmp(argv[2], "oldest") == 0);
	means = (attest_means_t){ .digests = digest_new(), .docker_sockets = { getenv("DOCKER_SOCKET") } };
	for (int i = 3; i < argc; i++) {
		wanted[n_wanted++] = str_of(argv[i]);
	}
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", argv[1]);
	CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0);
	CHECK(chmod(argv[1], 0666) == 0);
	CHECK(peer_listener_prepare(listener) == OK && listen(listener, 64) == 0);
	uname(&u);
	printf("up kernel=%s path=%.*s\n", u.release, STR_ARG(peer_kernel_text(&kernel)));
	for (;;) {
		round_once(listener);
	}
}
