#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void support_open(bench_t *b, net_handler_fn handler, void *owner, const net_server_options_t *o)
{
	net_server_options_t options = o ? *o : (net_server_options_t){ 0 };
	diag_t diag = { 0 };

	signal(SIGPIPE, SIG_IGN);
	options.address = STR("127.0.0.1");
	options.handler = handler;
	options.owner = owner;
	*b = (bench_t){ .loop = loop_new() };
	if (net_server_open(b->loop, &options, &b->server, &diag) != OK) {
		fprintf(stderr, "%s\n", diag.text);
		CHECK(false);
	}
	b->port = net_server_port(b->server);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void *thread_main(void *arg)
{
	bench_t *b = arg;

	b->client(b->arg);
	loop_post(b->loop, stop, b->loop);
	return NULL;
}

void support_run(bench_t *b, void (*client)(void *arg), void *arg)
{
	pthread_t thread;

	b->client = client;
	b->arg = arg;
	CHECK(pthread_create(&thread, NULL, thread_main, b) == 0);
	loop_run(b->loop);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void late(void *arg)
{
	*(bool *)arg = true;
}

typedef struct {
	loop_t *loop;
	const bool *flag;
	loop_timer_t tick;
	bool late;
} until_t;

static void until_tick(void *arg)
{
	until_t *u = arg;

	if (*u->flag || u->late) {
		loop_stop(u->loop);
		return;
	}
	loop_timer_start(u->loop, &u->tick, 1, until_tick, u);
}

bool support_until(loop_t *loop, const bool *flag)
{
	until_t u = { .loop = loop, .flag = flag };
	loop_timer_t limit = { 0 };

	loop_timer_start(loop, &limit, 10000, late, &u.late);
	loop_timer_start(loop, &u.tick, 0, until_tick, &u);
	loop_run(loop);
	loop_timer_stop(loop, &limit);
	return *flag;
}

static void on_closed(void *owner)
{
	*(bool *)owner = true;
}

void support_close(bench_t *b)
{
	bool closed = false;

	net_server_close(b->server, on_closed, &closed);
	CHECK(support_until(b->loop, &closed));
	loop_free(b->loop);
}

static void limit_time(int fd)
{
	const struct timeval tv = { 5, 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

int tcp_dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	limit_time(fd);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

int unix_dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && strlen(path) < sizeof(a.sun_path));
	memcpy(a.sun_path, path, strlen(path));
	limit_time(fd);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

void sock_write(int fd, str_t bytes)
{
	while (bytes.n) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n <= 0) {
			return;
		}
		bytes = str_sub(bytes, (size_t)n, bytes.n);
	}
}

bool sock_read_all(int fd, char *out, size_t max, size_t *out_n)
{
	size_t n = 0;
	ssize_t got = 1;

	while (n < max && got > 0) {
		got = recv(fd, out + n, max - n, 0);
		n += got > 0 ? (size_t)got : 0;
	}
	*out_n = n;
	return got == 0 || (got < 0 && errno == ECONNRESET);
}

bool sock_read_until(int fd, buf_t *b, str_t needle)
{
	while (!str_contains(buf_str(b), needle)) {
		char *room;
		if (buf_room(b, 65536, &room) != OK) {
			return false;
		}
		ssize_t got = recv(fd, room, 65536, 0);
		if (got <= 0) {
			return false;
		}
		buf_grew(b, (size_t)got);
	}
	return true;
}

int status_in(str_t answer)
{
	uint64_t status = 0;

	if (!str_starts(answer, STR("HTTP/1.1 ")) ||
		str_to_u64(str_sub(answer, 9, 3), 999, &status) != OK) {
		return 0;
	}
	return (int)status;
}

size_t count_in(str_t hay, str_t needle)
{
	size_t n = 0;

	for (size_t i = 0; i + needle.n <= hay.n; i++) {
		n += str_eq(str_sub(hay, i, needle.n), needle);
	}
	return n;
}

void sleep_ms(unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}
