/* volley.c: many clients at once. usage: volley PORT CLIENTS
 * Opens CLIENTS connections to 127.0.0.1:PORT and keeps them. Reads rounds from stdin: CLIENTS requests, each as its length
 * in decimal, a newline and its bytes. All requests of a round are sent when the last has been read, each on its own
 * connection; when all answers are there, prints one line with the status of each, and begins the next round. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 1000, REQUEST_BYTES_MAX = 64 << 10, ANSWER_BYTES_MAX = 64 << 10, PATIENCE_MS = 30000 };

typedef struct {
	int fd;
	char request[REQUEST_BYTES_MAX];
	size_t n, sent;
	char answer[ANSWER_BYTES_MAX + 1];
	size_t got;
	int status; /* 0: no answer yet */
} client_t;

static client_t clients[CLIENTS_MAX];
static int n_clients;

static void die(const char *what)
{
	fprintf(stderr, "volley: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int dial(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		die("connect");
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return fd;
}

static bool requests_read(void)
{
	for (int i = 0; i < n_clients; i++) {
		client_t *c = &clients[i];
		unsigned long n;
		if (scanf("%lu", &n) != 1) {
			return false;
		}
		if (getchar() != '\n' || n > REQUEST_BYTES_MAX || fread(c->request, 1, n, stdin) != n) {
			die("request");
		}
		c->n = n;
		c->sent = c->got = 0;
		c->status = 0;
	}
	return true;
}

/* The whole answer is there: its length is told, and nothing else is understood. */
static bool answer_whole(client_t *c)
{
	char *end, *length;

	c->answer[c->got] = '\0';
	end = strstr(c->answer, "\r\n\r\n");
	if (!end) {
		return false;
	}
	length = strcasestr(c->answer, "\r\ncontent-length:");
	size_t body = length && length < end ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
	bool chunked = strcasestr(c->answer, "\r\ntransfer-encoding: chunked") != NULL;
	if (chunked) {
		return c->got >= 5 && memcmp(c->answer + c->got - 5, "0\r\n\r\n", 5) == 0;
	}
	return c->got >= (size_t)(end + 4 - c->answer) + body;
}

static void client_turn(client_t *c, short events)
{
	if (events & POLLOUT) {
		ssize_t n = send(c->fd, c->request + c->sent, c->n - c->sent, MSG_NOSIGNAL);
		if (n < 0) {
			die("send");
		}
		c->sent += (size_t)n;
		return;
	}
	ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_BYTES_MAX - c->got, 0);
	if (n <= 0) {
		die("recv");
	}
	c->got += (size_t)n;
	if (answer_whole(c)) {
		c->status = atoi(c->answer + strlen("HTTP/1.1 "));
	}
}

static void fire(void)
{
	struct pollfd fds[CLIENTS_MAX];
	int open = n_clients;

	while (open > 0) {
		for (int i = 0; i < n_clients; i++) {
			client_t *c = &clients[i];
			fds[i] = (struct pollfd){ .fd = c->status ? -1 : c->fd, .events = c->sent < c->n ? POLLOUT : POLLIN };
		}
		if (poll(fds, (nfds_t)n_clients, PATIENCE_MS) <= 0) {
			die("no answer");
		}
		open = 0;
		for (int i = 0; i < n_clients; i++) {
			if (fds[i].fd >= 0 && fds[i].revents) {
				client_turn(&clients[i], fds[i].revents);
			}
			open += clients[i].status == 0;
		}
	}
}

int main(int argc, char **argv)
{
	n_clients = argc == 3 ? atoi(argv[2]) : 0;
	if (n_clients < 1 || n_clients > CLIENTS_MAX) {
		fprintf(stderr, "usage: volley PORT CLIENTS\n");
		return 2;
	}
	for (int i = 0; i < n_clients; i++) {
		clients[i].fd = dial(atoi(argv[1]));
	}
	while (requests_read()) {
		fire();
		for (int i = 0; i < n_clients; i++) {
			printf("%d%c", clients[i].status, i + 1 < n_clients ? ' ' : '\n');
		}
		fflush(stdout);
	}
	return 0;
}
