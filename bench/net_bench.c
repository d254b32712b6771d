/* net_bench.c [SECONDS]: what one request costs net itself, in CPU of one process.
 * server: hello world over kept connections, load from plain sockets in another process.
 * client: net_fetch of the same, 1 and 32 at a time. Goals: server <= 12 us, client <= 25 us. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/net/net.h"

enum { CONNECTIONS_MAX = 64 };

static void hello(net_exchange_t *x, void *owner)
{
	net_reply_text(x, 200, STR("application/json"), STR("{\"hello\":\"world\"}"));
}

static uint64_t clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The server's own process; says its port through the pipe and runs until killed. */
static pid_t server_start(uint16_t *out_port)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		net_server_options_t o = { .address = STR("127.0.0.1"), .handler = hello };
		loop_t *loop = loop_new();
		net_server_t *s = NULL;

		signal(SIGPIPE, SIG_IGN);
		CHECK(net_server_open(loop, &o, &s, NULL) == OK);
		uint16_t port = net_server_port(s);
		CHECK(write(ends[1], &port, sizeof(port)) == sizeof(port));
		loop_run(loop);
		exit(0);
	}
	CHECK(read(ends[0], out_port, sizeof(*out_port)) == sizeof(*out_port));
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

static const str_t request = STR_INIT("POST /r/tool HTTP/1.1\r\nHost: 127.0.0.1:7481\r\nUser-Agent: bench\r\n"
				      "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
				      "Content-Length: 46\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");

/* One request in flight per connection; counts answers. */
static uint64_t load(uint16_t port, unsigned connections, unsigned seconds)
{
	struct pollfd fds[CONNECTIONS_MAX];
	char buf[4096];
	uint64_t n = 0, end_us = clock_us(CLOCK_MONOTONIC) + seconds * 1000000ull;

	for (unsigned i = 0; i < connections; i++) {
		fds[i] = (struct pollfd){ .fd = dial(port), .events = POLLIN };
		CHECK(send(fds[i].fd, request.p, request.n, 0) == (ssize_t)request.n);
	}
	while (clock_us(CLOCK_MONOTONIC) < end_us) {
		CHECK(poll(fds, connections, 1000) >= 0);
		for (unsigned i = 0; i < connections; i++) {
			if (!(fds[i].revents & POLLIN)) {
				continue;
			}
			CHECK(recv(fds[i].fd, buf, sizeof(buf), 0) > 0); /* an answer is one small piece */
			CHECK(send(fds[i].fd, request.p, request.n, 0) == (ssize_t)request.n);
			n++;
		}
	}
	for (unsigned i = 0; i < connections; i++) {
		close(fds[i].fd);
	}
	return n;
}

static void bench_server(unsigned connections, unsigned seconds)
{
	uint16_t port;
	clockid_t cpu;
	pid_t pid = server_start(&port);

	CHECK(clock_getcpuclockid(pid, &cpu) == 0);
	load(port, connections, 1);
	uint64_t before_us = clock_us(cpu);
	uint64_t n = load(port, connections, seconds);
	uint64_t used_us = clock_us(cpu) - before_us;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("server  %2u connections  %8.0f req/s  %6.2f us CPU per request  (goal 12)\n", connections,
		(double)n / seconds, (double)used_us / (double)n);
}

typedef struct {
	net_client_t *client;
	loop_t *loop;
	str_t url;
	uint64_t n, end_us;
	unsigned running;
} client_bench_t;

typedef struct {
	client_bench_t *b;
	arena_t *arena;
	net_response_t response;
} worker_t;

static void next(worker_t *w);

static void fetched(op_t *op, err_t err)
{
	worker_t *w = op->owner;

	CHECK(err == OK && w->response.status == 200);
	w->b->n++;
	next(w);
}

static void next(worker_t *w)
{
	static const net_header_t headers[] = { { STR_INIT("Content-Type"), STR_INIT("application/json") },
		{ STR_INIT("Accept"), STR_INIT("application/json, text/event-stream") },
		{ STR_INIT("Authorization"), STR_INIT("Bearer abcdefghijklmnopqrstuvwxyz") } };

	if (clock_us(CLOCK_MONOTONIC) >= w->b->end_us) {
		if (--w->b->running == 0) {
			loop_stop(w->b->loop);
		}
		return;
	}
	arena_reset(w->arena);
	net_request_t r = { .method = STR("POST"), .url = w->b->url, .headers = { headers, ARRAY_LEN(headers) },
		.body = STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}") };
	op_start(net_fetch(w->b->client, w->arena, &r, &w->response), w->b->loop, loop_in_ms(w->b->loop, 10000),
		fetched, w);
}

static void bench_client(unsigned at_once, unsigned seconds)
{
	static worker_t workers[CONNECTIONS_MAX];
	char url[64];
	uint16_t port;
	pid_t pid = server_start(&port);
	client_bench_t b = { .loop = loop_new(), .running = at_once };

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/r/tool", port);
	b.url = str_of(url);
	CHECK(net_client_open(b.loop, 0, &b.client) == OK);
	b.end_us = clock_us(CLOCK_MONOTONIC) + seconds * 1000000ull;
	uint64_t before_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned i = 0; i < at_once; i++) {
		workers[i] = (worker_t){ .b = &b, .arena = arena_open() };
		next(&workers[i]);
	}
	loop_run(b.loop);
	uint64_t used_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) - before_us;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("client  %2u at once      %8.0f req/s  %6.2f us CPU per request  (goal 25)\n", at_once,
		(double)b.n / seconds, (double)used_us / (double)b.n);
}

int main(int argc, char **argv)
{
	uint64_t seconds = 3;

	if (argc > 1 && str_to_u64(str_of(argv[1]), 600, &seconds) != OK) {
		fprintf(stderr, "usage: net_bench [SECONDS]\n");
		return 2;
	}
	bench_server(1, (unsigned)seconds);
	bench_server(32, (unsigned)seconds);
	bench_client(1, (unsigned)seconds);
	bench_client(32, (unsigned)seconds);
	return 0;
}
