/* serve.c: the loop of the process: what has come is read at once, answered together. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/signer/signer_int.h"

#ifdef ATTORN_TEST_HOOKS
void signer_point(const char *name)
{
	const char *folder = getenv("ATTORN_POINTS");
	char path[512];

	if (!folder) {
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (unlink(path) == 0) {
		(void)kill(getpid(), SIGKILL);
	}
}
#endif

typedef struct {
	int fd;
	bool gone;
} socket_t;

/* Blocks while the authority does not read: it reads for as long as it lives. */
static void answer_send(void *to, str_t datagram)
{
	socket_t *sock = to;
	ssize_t n;

	do {
		n = sock->gone ? 0 : send(sock->fd, datagram.p, datagram.n, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	sock->gone = sock->gone || n < 0;
}

typedef struct {
	struct mmsghdr head[SIGNER_DATAGRAMS_AT_ONCE];
	struct iovec vec[SIGNER_DATAGRAMS_AT_ONCE];
	char bytes[SIGNER_DATAGRAMS_AT_ONCE][SIGNER_DATAGRAM_BYTES_MAX];
} inbox_t;

static inbox_t *inbox_new(void)
{
	inbox_t *in = heap_new(inbox_t);

	for (size_t i = 0; i < SIGNER_DATAGRAMS_AT_ONCE; i++) {
		in->vec[i] = (struct iovec){ in->bytes[i], SIGNER_DATAGRAM_BYTES_MAX };
		in->head[i].msg_hdr = (struct msghdr){ .msg_iov = &in->vec[i], .msg_iovlen = 1 };
	}
	return in;
}

/* An empty datagram is how a SEQPACKET socket says that the other end is closed. */
static err_t inbox_take(signer_t *s, inbox_t *in, int n, socket_t *sock)
{
	for (int i = 0; i < n; i++) {
		if (in->head[i].msg_len == 0) {
			sock->gone = true;
			return OK;
		}
		ENSURE(!(in->head[i].msg_hdr.msg_flags & MSG_TRUNC), ERR_LIMIT);
		TRY(signer_take(s, str_bytes(in->bytes[i], in->head[i].msg_len), answer_send, sock));
	}
	return OK;
}

static err_t serve(signer_t *s, inbox_t *in, socket_t *sock)
{
	while (!sock->gone) {
		int n = recvmmsg(sock->fd, in->head, SIGNER_DATAGRAMS_AT_ONCE, MSG_WAITFORONE, NULL);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		ENSURE(n >= 0, errno == ECONNRESET ? OK : ERR_IO);
		TRY(inbox_take(s, in, n, sock));
		signer_flush(s, answer_send, sock);
	}
	return OK;
}

err_t signer_serve(signer_t *s, int fd)
{
	socket_t sock = { .fd = fd };
	inbox_t *in = inbox_new();

	err_t e = serve(s, in, &sock);
	heap_free(in);
	return e;
}
