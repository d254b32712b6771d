/* load_drive.c: a closed loop over n keep-alive connections, one thread, one epoll. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

typedef struct {
	int fd;
	size_t request; /* in flight; SIZE_MAX: none */
	size_t sent, n;
	double began_us;
	char in[LOAD_RESPONSE_BYTES_MAX + 1];
} conn_t;

void load_die(const char *what, str_t detail)
{
	fprintf(stderr, "load: %s: %.*s\n", what, detail.n > 2000 ? 2000 : (int)detail.n, detail.p ? detail.p : "");
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int load_connect(load_peer_t peer)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)peer.port) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int one = 1, fd = socket(peer.unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (peer.unix_path) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", peer.unix_path);
		rc = connect(fd, (struct sockaddr *)&un, sizeof(un));
	} else {
		rc = connect(fd, (struct sockaddr *)&in, sizeof(in));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	if (rc != 0) {
		load_die("connect", str_of(strerror(errno)));
	}
	return fd;
}

/* --- responses ------------------------------------------------------------------------------------------- */

/* Length of the whole response at the front of `in`, 0 while it is not whole. */
static size_t response_length(const char *in, size_t n)
{
	const char *end = strstr(in, "\r\n\r\n"), *length;
	size_t head;

	if (!end) {
		return 0;
	}
	head = (size_t)(end - in) + 4;
	length = strcasestr(in, "\r\ncontent-length:");
	if (length && length < end) {
		size_t body = (size_t)strtoul(length + 17, NULL, 10);
		return head + body <= n ? head + body : 0;
	}
	end = strstr(in + head, "0\r\n\r\n"); /* chunked: ours are small and end so */
	return end ? (size_t)(end - in) + 5 : 0;
}

str_t load_fetch(arena_t *a, load_peer_t peer, str_t request)
{
	char *in = arena_alloc(a, LOAD_RESPONSE_BYTES_MAX);
	size_t n = 0;
	int fd = load_connect(peer);

	if (write(fd, request.p, request.n) != (ssize_t)request.n) {
		load_die("write", str_of(strerror(errno)));
	}
	while (response_length(in, n) == 0) {
		ssize_t got = n < LOAD_RESPONSE_BYTES_MAX - 1 ? read(fd, in + n, LOAD_RESPONSE_BYTES_MAX - 1 - n) : -1;
		if (got <= 0) {
			load_die("read", str_bytes(in, n));
		}
		n += (size_t)got;
		in[n] = '\0';
	}
	close(fd);
	return str_bytes(in, n);
}

static bool response_is_good(const load_t *l, str_t response)
{
	bool status = str_starts(response, STR("HTTP/1.1 200")) || str_starts(response, STR("HTTP/1.1 201"));

	return status && str_contains(response, l->must);
}

/* --- CPU time of others ------------------------------------------------------------------------------------ */

/* On-CPU microseconds of all threads of a process (Documentation/scheduler/sched-stats). */
static double cpu_us_of(int pid)
{
	char pattern[64];
	glob_t g;
	double ns = 0;

	snprintf(pattern, sizeof(pattern), "/proc/%d/task/*/schedstat", pid);
	if (glob(pattern, 0, NULL, &g) != 0) {
		load_die("no such process", str_of(pattern));
	}
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char text[128] = "";
		FILE *f = fopen(g.gl_pathv[i], "r");
		if (f && fgets(text, sizeof(text), f)) {
			ns += strtod(text, NULL);
		}
		if (f) {
			fclose(f);
		}
	}
	globfree(&g);
	return ns / 1e3;
}

/* --- the loop ---------------------------------------------------------------------------------------------- */

typedef struct {
	const load_t *l;
	conn_t *conns[LOAD_CONNECTIONS_MAX];
	size_t next, done;
	double *took_us, stop_us;
	unsigned in_flight;
} run_t;

static void send_rest(run_t *r, conn_t *c)
{
	str_t q = r->l->requests[c->request];

	while (c->sent < q.n) {
		ssize_t n = write(c->fd, q.p + c->sent, q.n - c->sent);
		if (n <= 0) {
			load_die("write", str_of(strerror(errno)));
		}
		c->sent += (size_t)n;
	}
}

static void send_next(run_t *r, conn_t *c)
{
	c->request = SIZE_MAX;
	if (r->next == r->l->n_requests || now_us() > r->stop_us) {
		r->in_flight--;
		return;
	}
	c->request = r->next++;
	c->sent = 0;
	c->began_us = now_us();
	send_rest(r, c);
}

static void response_take(run_t *r, conn_t *c, size_t length)
{
	str_t response = str_bytes(c->in, length);

	if (length != c->n || !response_is_good(r->l, response)) {
		load_die("refused", str_bytes(c->in, c->n));
	}
	r->took_us[r->done++] = now_us() - c->began_us;
	if (r->l->keep) {
		r->l->keep(r->l->owner, c->request, response);
	}
	c->n = 0;
	send_next(r, c);
}

static void conn_read(run_t *r, conn_t *c)
{
	ssize_t n = read(c->fd, c->in + c->n, LOAD_RESPONSE_BYTES_MAX - c->n);

	if (n < 0 && errno == EAGAIN) {
		return;
	}
	if (n <= 0 || c->request == SIZE_MAX) {
		load_die("connection lost", str_bytes(c->in, c->n));
	}
	c->n += (size_t)n;
	c->in[c->n] = '\0';
	size_t length = response_length(c->in, c->n);
	if (length) {
		response_take(r, c, length);
	}
}

static void conns_open(run_t *r, int poll)
{
	for (unsigned i = 0; i < r->l->connections; i++) {
		conn_t *c = r->conns[i] = heap_new(conn_t);
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

		c->fd = load_connect(r->l->peer);
		if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &e) != 0) {
			load_die("epoll", str_of(strerror(errno)));
		}
	}
}

static void conns_close(run_t *r)
{
	for (unsigned i = 0; i < r->l->connections; i++) {
		close(r->conns[i]->fd);
		heap_free(r->conns[i]);
	}
}

static void turn(run_t *r, int poll)
{
	struct epoll_event events[LOAD_CONNECTIONS_MAX];
	int n = epoll_wait(poll, events, LOAD_CONNECTIONS_MAX, 20000);

	if (n == 0) {
		load_die("no answer", STR("for 20 s"));
	}
	for (int i = 0; i < n; i++) {
		conn_read(r, events[i].data.ptr);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const run_t *r, const char *what, double took_us, const double *cpu_us)
{
	double *t = r->took_us;
	size_t n = r->done;

	qsort(t, n, sizeof(t[0]), by_value);
	printf("{\"what\":\"%s\",\"connections\":%u,\"n\":%zu,\"per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"cpu_us\":{",
		what, r->l->connections, n, (double)n / took_us * 1e6, t[n / 2], t[n * 99 / 100]);
	for (size_t i = 0; i < r->l->n_pids; i++) {
		printf("%s\"%s\":%.2f", i ? "," : "", r->l->pids[i].name, cpu_us[i] / (double)n);
	}
	printf("}}\n");
	fflush(stdout);
}

void load_drive(const load_t *l, const char *what)
{
	run_t r = { .l = l };
	double cpu_us[LOAD_PIDS_MAX], began_us;
	int poll = epoll_create1(EPOLL_CLOEXEC);

	CHECK(l->connections >= 1 && l->connections <= LOAD_CONNECTIONS_MAX && l->n_requests);
	r.took_us = heap_alloc(l->n_requests * sizeof(double));
	conns_open(&r, poll);
	for (size_t i = 0; i < l->n_pids; i++) {
		cpu_us[i] = cpu_us_of(l->pids[i].pid);
	}
	began_us = now_us();
	r.stop_us = began_us + l->seconds * 1e6;
	r.in_flight = l->connections;
	for (unsigned i = 0; i < l->connections; i++) {
		send_next(&r, r.conns[i]);
	}
	while (r.in_flight) {
		turn(&r, poll);
	}
	began_us = now_us() - began_us;
	for (size_t i = 0; i < l->n_pids; i++) {
		cpu_us[i] = cpu_us_of(l->pids[i].pid) - cpu_us[i];
	}
	if (what) {
		print(&r, what, began_us, cpu_us);
	}
	conns_close(&r);
	close(poll);
	heap_free(r.took_us);
}
