/* echo PORT-FILE: the cheapest upstream that still speaks HTTP/1.1 with keep-alive: one thread, one epoll,
 * answers made at compile time. It writes its port into the file and serves 127.0.0.1 until SIGTERM.
 *
 *   POST /mcp   MCP over HTTP: initialize, tools/list, tools/call (one tool, "echo"), notifications
 *   anything else   200 {"ok":true}
 *
 * A real upstream's milliseconds would hide what a gateway costs. For benchmarks only: it trusts its peer. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_BYTES_MAX = 64 << 10, EVENTS_MAX = 64, ID_BYTES_MAX = 64, FD_MAX = 4096 };

typedef struct {
	char in[IN_BYTES_MAX + 1];
	size_t n;
} conn_t;

static conn_t *conns[FD_MAX];
static volatile sig_atomic_t stopped;

static void on_term(int sig)
{
	(void)sig;
	stopped = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The JSON-RPC id as text: a number, or a quoted string. */
static void id_of(const char *body, char out[ID_BYTES_MAX])
{
	const char *at = strstr(body, "\"id\":");
	size_t n;

	snprintf(out, ID_BYTES_MAX, "null");
	if (!at) {
		return;
	}
	at += 5;
	n = *at == '"' ? strcspn(at + 1, "\"") + 2 : strcspn(at, ",}");
	if (n < ID_BYTES_MAX) {
		snprintf(out, ID_BYTES_MAX, "%.*s", (int)n, at);
	}
}

static const char *result_of(const char *body)
{
	if (strstr(body, "\"method\":\"tools/call\"")) {
		return "{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}],\"isError\":false}";
	}
	if (strstr(body, "\"method\":\"tools/list\"")) {
		return "{\"tools\":[{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}]}";
	}
	return "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},"
	       "\"serverInfo\":{\"name\":\"echo\",\"version\":\"1\"}}";
}

static size_t answer_write(const char *head, const char *body, char *out, size_t max)
{
	char id[ID_BYTES_MAX], text[1024];

	if (strncmp(head, "POST /mcp", 9) != 0) {
		snprintf(text, sizeof(text), "{\"ok\":true}");
	} else if (strstr(body, "\"method\":\"notifications/")) {
		return (size_t)snprintf(out, max, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
	} else {
		id_of(body, id);
		snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}", id, result_of(body));
	}
	return (size_t)snprintf(out, max, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s"
		"Content-Length: %zu\r\n\r\n%s", strstr(text, "serverInfo") ? "Mcp-Session-Id: s1\r\n" : "",
		strlen(text), text);
}

/* Serves one whole request at the front of the buffer; false when there is none yet. */
static int serve_one(int fd, conn_t *c)
{
	char out[2048];
	char *end, *length;
	size_t head, body;

	c->in[c->n] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	if (!end) {
		return 0;
	}
	head = (size_t)(end - c->in) + 4;
	length = strcasestr(c->in, "\r\ncontent-length:");
	body = length && length < end ? (size_t)strtoul(length + 17, NULL, 10) : 0;
	if (head + body > c->n) {
		return 0;
	}
	size_t n = answer_write(c->in, end + 4, out, sizeof(out));
	if (write(fd, out, n) != (ssize_t)n) {
		fprintf(stderr, "echo: short write\n");
	}
	memmove(c->in, c->in + head + body, c->n - head - body);
	c->n -= head + body;
	return 1;
}

static void conn_drop(int fd)
{
	free(conns[fd]);
	conns[fd] = NULL;
	close(fd);
}

static void conn_read(int fd)
{
	conn_t *c = conns[fd];
	ssize_t n = read(fd, c->in + c->n, IN_BYTES_MAX - c->n);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (n <= 0) {
		conn_drop(fd);
		return;
	}
	c->n += (size_t)n;
	while (serve_one(fd, c)) {
	}
}

static void conn_accept(int poll, int listener)
{
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0) {
		return;
	}
	if (fd >= FD_MAX || !(conns[fd] = calloc(1, sizeof(conn_t)))) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) != 0) {
		conn_drop(fd);
	}
}

static int listen_on_loopback(const char *port_file)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	FILE *f = fopen(port_file, "w");

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 511) != 0 ||
		getsockname(fd, (struct sockaddr *)&a, &n) != 0 || !f) {
		fail("listen");
	}
	fprintf(f, "%u\n", ntohs(a.sin_port));
	if (fclose(f) != 0) {
		fail(port_file);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX], e = { .events = EPOLLIN };
	int listener, poll = epoll_create1(EPOLL_CLOEXEC);

	if (argc != 2) {
		fprintf(stderr, "usage: echo PORT-FILE\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	listener = listen_on_loopback(argv[1]);
	e.data.fd = listener;
	if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e) != 0) {
		fail("epoll");
	}
	while (!stopped) {
		int n = epoll_wait(poll, events, EVENTS_MAX, 1000);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener) {
				conn_accept(poll, listener);
			} else {
				conn_read(events[i].data.fd);
			}
		}
	}
	return 0;
}
