/* The first test of net: every vector over a real socket. What is refused gets its status and a close,
 * and the handler never hears of it (oauth.md P71, mcp.md 8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "support.h"
#include "vectors.h"

static unsigned handled;

static void handler(net_exchange_t *x, void *owner)
{
	handled++;
	net_reply(x, 200, NET_NO_HEADERS, net_body(x));
}

typedef struct {
	uint16_t port;
	const vector_t *v;
	bool tricked; /* a second request hides in the first one's body or behind it */
	int status;
	bool closed;
	size_t answers;
} probe_t;

static void client(void *arg)
{
	static const str_t hidden = STR_INIT("GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
	probe_t *p = arg;
	char answer[4096];
	size_t n;
	int fd = tcp_dial(p->port);

	sock_write(fd, p->v->bytes);
	if (p->tricked) {
		sock_write(fd, hidden);
	}
	if (p->v->status == 200) {
		shutdown(fd, SHUT_WR);
	}
	p->closed = sock_read_all(fd, answer, sizeof(answer), &n);
	p->status = status_in((str_t){ answer, n });
	p->answers = count_in((str_t){ answer, n }, STR("HTTP/1.1 "));
	close(fd);
}

static void refused_is_never_handled(void **state)
{
	bench_t b;

	(void)state;
	support_open(&b, handler, NULL, NULL);
	for (size_t i = 0; i < 2 * ARRAY_LEN(vectors); i++) {
		const vector_t *v = &vectors[i / 2];
		probe_t p = { .port = b.port, .v = v, .tricked = i % 2 };
		unsigned before = handled, expected = v->status != 200 ? 0 : p.tricked ? 2 : 1;

		support_run(&b, client, &p);
		if (p.status != v->status || !p.closed || handled - before != expected ||
			p.answers != (expected ? expected : 1)) {
			fail_msg("%s: status %d (not %d), closed %d, handled %u, answers %zu", v->id, p.status,
				v->status, p.closed, handled - before, p.answers);
		}
	}
	net_server_counts_t counts = net_server_counts(b.server);
	print_message("# handled %u, refused %llu\n", handled, (unsigned long long)counts.refusals);
	assert_int_equal(counts.requests, handled);
	assert_true(counts.refusals > 200);
	support_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_is_never_handled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
