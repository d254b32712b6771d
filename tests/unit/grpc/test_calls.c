/* Our client against our server, over a socket: every kind of call, and what each side is told when the
 * other goes. The client runs on a thread of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/flow/flow.h"
#include "engine/grpc/client.h"
#include "engine/grpc/grpc.h"

typedef struct {
	loop_t *loop;
	grpc_server_t *server;
	char folder[64], path[96];
	bool refuse; /* on_connect says no */
	bool prove_at_once; /* on_connect asks for a proof */
	bool says_goodbye; /* the held stream is ended just before the server */
	grpc_stream_t *held; /* the last stream that waits */
	unsigned n_gone, n_closed, n_connected, n_proofs, n_proofs_cancelled;
	loop_timer_t timer;
	grpc_counts_t counts; /* taken on the loop, at the client's wish */
	pthread_mutex_t lock; /* of `counts_fresh`: the client waits for it */
	pthread_cond_t told;
	bool counts_fresh;
} world_t;

/* ---- the server -------------------------------------------------------------------------------------- */

static void echo(grpc_stream_t *s, str_t message, void *owner)
{
	str_t value = STR_NULL;
	size_t i = 0;

	assert_string_equal(grpc_stream_method(s), "/t.T/Echo");
	if (grpc_metadata_next(s, STR("fail"), &i, &value)) {
		err_t sent = grpc_send(s, STR("never seen"));
		assert_int_equal(sent, OK);
		grpc_end(s, GRPC_PERMISSION_DENIED, "no, 100 %");
		return;
	}
	assert_int_equal(grpc_send(s, message), OK);
	assert_int_equal(grpc_send(s, message), ERR_CLOSED);
	grpc_end(s, GRPC_OK, NULL);
}

static void big(grpc_stream_t *s, str_t message, void *owner)
{
	char *bytes = heap_alloc(GRPC_MESSAGE_OUT_BYTES_MAX + 1);

	memset(bytes, 'b', GRPC_MESSAGE_OUT_BYTES_MAX + 1);
	assert_int_equal(grpc_send(s, str_bytes(bytes, GRPC_MESSAGE_OUT_BYTES_MAX + 1)), ERR_LIMIT);
	assert_int_equal(grpc_send(s, str_bytes(bytes, GRPC_MESSAGE_OUT_BYTES_MAX)), OK);
	heap_free(bytes);
	grpc_end(s, GRPC_OK, NULL);
}

static void count_up(void *arg)
{
	world_t *w = arg;
	char text[16];
	uintptr_t n = (uintptr_t)grpc_stream_owner(w->held);

	grpc_stream_set_owner(w->held, (void *)(n + 1));
	snprintf(text, sizeof(text), "%lu", (unsigned long)n);
	assert_int_equal(grpc_send(w->held, str_of(text)), OK);
	if (n == 4) { /* which is withdrawn with it: the client never sees a 4 */
		grpc_end(w->held, GRPC_UNAVAILABLE, NULL);
		w->held = NULL;
		return;
	}
	loop_timer_start(w->loop, &w->timer, 20, count_up, w);
}

static void counting(grpc_stream_t *s, str_t message, void *owner)
{
	world_t *w = owner;

	w->held = s;
	grpc_stream_set_owner(s, (void *)1);
	loop_timer_start(w->loop, &w->timer, 1, count_up, w);
}

static void hold(grpc_stream_t *s, str_t message, void *owner)
{
	((world_t *)owner)->held = s;
}

static void gone(grpc_stream_t *s, void *owner)
{
	world_t *w = owner;

	w->n_gone++;
	w->held = NULL;
	loop_timer_stop(w->loop, &w->timer);
}

static void proved(grpc_conn_t *c, err_t e, void *owner)
{
	world_t *w = grpc_conn_owner(c);
	grpc_stream_t *s = owner;

	w->n_proofs += e == OK;
	w->n_proofs_cancelled += e == ERR_CANCELLED;
	if (e == OK && s) {
		assert_int_equal(grpc_send(s, STR("proved")), OK);
		grpc_end(s, GRPC_OK, NULL);
	}
}

static void prove(grpc_stream_t *s, str_t message, void *owner)
{
	assert_int_equal(grpc_conn_prove(grpc_stream_conn(s), proved, s), OK);
}

/* Cuts the connection from inside a handler: gone and on_close come from a later turn. */
static void cut(grpc_stream_t *s, str_t message, void *owner)
{
	world_t *w = owner;

	grpc_conn_close(grpc_stream_conn(s));
	assert_int_equal(w->n_gone, 0);
	assert_int_equal(grpc_send(s, STR("x")), ERR_CANCELLED);
}

static const grpc_method_t methods[] = {
	{ "Echo", GRPC_UNARY, echo, NULL },
	{ "Big", GRPC_UNARY, big, NULL },
	{ "Count", GRPC_SERVER_STREAM, counting, gone },
	{ "Hold", GRPC_UNARY, hold, gone },
	{ "Prove", GRPC_UNARY, prove, gone },
	{ "Cut", GRPC_UNARY, cut, gone },
};

static err_t on_connect(grpc_conn_t *c, int fd, const struct ucred *peer, void *owner)
{
	world_t *w = owner;

	assert_int_equal(peer->pid, getpid());
	assert_int_equal(peer->uid, getuid());
	assert_int_equal(grpc_conn_fd(c), fd);
	grpc_conn_set_owner(c, w);
	w->n_connected++;
	if (w->prove_at_once) {
		assert_int_equal(grpc_conn_prove(c, proved, NULL), OK);
	}
	return w->refuse ? ERR_DENIED : OK;
}

static void on_close(grpc_conn_t *c, void *owner)
{
	assert_int_equal(grpc_conn_streams(c), 0);
	((world_t *)owner)->n_closed++;
}

static void world_open(world_t *w)
{
	const grpc_service_t service = { "t.T", methods, ARRAY_LEN(methods), NULL, w };
	grpc_server_options_t o = { .services = &service, .n_services = 1, .health = true,
		.connections_per_uid_max = 3, .on_connect = on_connect, .on_close = on_close, .owner = w };
	diag_t diag = { 0 };

	*w = (world_t){ .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER, .folder = "/tmp/grpcXXXXXX" };
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->path, sizeof(w->path), "%s/s", w->folder);
	o.path = w->path;
	w->loop = loop_new();
	assert_int_equal(grpc_server_open(w->loop, &o, &w->server, &diag), OK);
}

typedef struct {
	world_t *w;
	void (*fn)(world_t *w);
} client_t;

static void server_closed(void *arg)
{
	loop_stop(arg);
}

static void world_end(void *arg)
{
	world_t *w = arg;

	if (w->says_goodbye) {
		grpc_end(w->held, GRPC_UNAVAILABLE, "the server ends");
	}
	grpc_server_close(w->server, server_closed, w->loop);
}

static void *client_main(void *arg)
{
	client_t *c = arg;

	c->fn(c->w);
	loop_post(c->w->loop, world_end, c->w);
	return NULL;
}

/* Runs `fn` on a thread beside the server; afterwards every connection has been closed. */
static void run(world_t *w, void (*fn)(world_t *w))
{
	client_t c = { w, fn };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, client_main, &c), 0);
	loop_run(w->loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	loop_free(w->loop);
	assert_int_equal(access(w->path, F_OK), -1); /* the socket's file went with the server */
	assert_int_equal(rmdir(w->folder), 0);
}

static void counts_take(void *arg)
{
	world_t *w = arg;

	pthread_mutex_lock(&w->lock);
	w->counts = grpc_server_counts(w->server);
	w->counts_fresh = true;
	pthread_cond_signal(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static grpc_counts_t counts(world_t *w)
{
	loop_post(w->loop, counts_take, w);
	pthread_mutex_lock(&w->lock);
	while (!w->counts_fresh) {
		pthread_cond_wait(&w->told, &w->lock);
	}
	w->counts_fresh = false;
	grpc_counts_t n = w->counts;
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* ---- the client's side -------------------------------------------------------------------------------- */

static grpc_client_t *client_open(const world_t *w)
{
	grpc_client_t *c = NULL;
	diag_t diag = { 0 };

	CHECK(grpc_client_open(w->path, &c, &diag) == OK);
	return c;
}

static grpc_code_t call(grpc_client_t *c, arena_t *a, const char *path, str_t message, uint32_t timeout_ms,
	str_t *out_answer)
{
	grpc_request_t r = { .path = path, .message = message, .timeout_ms = timeout_ms };
	grpc_status_t status = { 0 };

	CHECK(grpc_client_call(c, a, &r, out_answer, &status) == OK);
	return status.code;
}

static void unary_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(16 << 20);
	AUTO(grpc_client_close) grpc_client_t *c = client_open(w);
	const grpc_pair_t fail = { STR("fail"), STR("1") };
	grpc_request_t r = { .path = "/t.T/Echo", .metadata = &fail, .n_metadata = 1 };
	grpc_status_t status;
	str_t answer;

	CHECK(call(c, a, "/t.T/Echo", STR("hello"), 0, &answer) == GRPC_OK && str_eq(answer, STR("hello")));
	CHECK(call(c, a, "/t.T/Echo", STR(""), 0, &answer) == GRPC_OK && answer.n == 0);
	CHECK(call(c, a, "/t.T/Nope", STR(""), 0, &answer) == GRPC_UNIMPLEMENTED);
	CHECK(call(c, a, "/grpc.health.v1.Health/Check", STR(""), 0, &answer) == GRPC_OK &&
		str_eq(answer, STR("\x08\x01")));
	CHECK(grpc_client_call(c, a, &r, &answer, &status) == OK);
	CHECK(status.code == GRPC_PERMISSION_DENIED && str_eq(status.text, STR("no, 100 %")) && answer.n == 0);

	void *bytes = NULL;
	CHECK(arena_try(a, GRPC_MESSAGE_IN_BYTES_MAX + 1, &bytes) == OK);
	CHECK(call(c, a, "/t.T/Echo", str_bytes(bytes, GRPC_MESSAGE_IN_BYTES_MAX), 0, &answer) == GRPC_OK);
	CHECK(answer.n == GRPC_MESSAGE_IN_BYTES_MAX);
	CHECK(call(c, a, "/t.T/Echo", str_bytes(bytes, GRPC_MESSAGE_IN_BYTES_MAX + 1), 0, &answer) ==
		GRPC_RESOURCE_EXHAUSTED);
	CHECK(call(c, a, "/t.T/Big", STR(""), 0, &answer) == GRPC_OK && answer.n == GRPC_MESSAGE_OUT_BYTES_MAX);
	for (int i = 0; i < 2000; i++) {
		CHECK(call(c, a, "/t.T/Echo", STR("again"), 0, &answer) == GRPC_OK);
	}
	CHECK(counts(w).streams_now == 0 && counts(w).in_bytes_now == 0 && counts(w).out_bytes_now == 0);
}

static void unary(void **state)
{
	world_t w;

	world_open(&w);
	run(&w, unary_client);
	assert_int_equal(w.n_closed, 1);
	assert_int_equal(w.n_gone, 0);
}

static void nobody_client(world_t *w)
{
}

static void a_living_socket_is_not_taken(void **state)
{
	const grpc_server_options_t none = { .path = "" };
	grpc_server_t *second = NULL;
	diag_t diag = { 0 };
	world_t w;

	world_open(&w);
	grpc_server_options_t o = { .path = w.path };
	assert_int_equal(grpc_server_open(w.loop, &o, &second, &diag), ERR_EXISTS);
	assert_int_equal(grpc_server_open(w.loop, &none, &second, &diag), ERR_CONFIG);
	assert_null(second);
	run(&w, nobody_client);
}

static void streaming_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(grpc_client_close) grpc_client_t *c = client_open(w);
	const grpc_request_t r = { .path = "/t.T/Count" };
	grpc_status_t status;
	str_t message;
	bool more;

	CHECK(grpc_client_next(c, a, 0, &more, &message, &status) == ERR_CLOSED);
	CHECK(grpc_client_begin(c, &r) == OK);
	for (int i = 1; i <= 3; i++) {
		CHECK(grpc_client_next(c, a, UINT32_MAX, &more, &message, &status) == OK && more);
		CHECK(message.n == 1 && message.p[0] == '0' + i);
	}
	CHECK(grpc_client_next(c, a, 5000, &more, &message, &status) == OK && !more);
	CHECK(status.code == GRPC_UNAVAILABLE);

	CHECK(grpc_client_begin(c, &r) == OK);
	CHECK(grpc_client_next(c, a, 5000, &more, &message, &status) == OK && more);
	CHECK(grpc_client_next(c, a, 0, &more, &message, &status) == ERR_TIMEOUT);
	grpc_client_cancel(c);
	CHECK(call(c, a, "/t.T/Echo", STR("x"), 0, &message) == GRPC_OK); /* the connection goes on */
	CHECK(counts(w).streams_now == 0);
}

static void streaming(void **state)
{
	world_t w;

	world_open(&w);
	run(&w, streaming_client);
	assert_int_equal(w.n_gone, 1);
}

static void deadline_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(grpc_client_close) grpc_client_t *c = client_open(w);
	const grpc_request_t r = { .path = "/t.T/Hold", .timeout_ms = 100 };
	grpc_status_t status = { 0 };
	str_t answer;
	err_t e = grpc_client_call(c, a, &r, &answer, &status);

	CHECK(e == ERR_TIMEOUT || (e == OK && status.code == GRPC_DEADLINE_EXCEEDED)); /* whose clock was first */
	CHECK(call(c, a, "/t.T/Echo", STR("x"), 0, &answer) == GRPC_OK);
}

static void deadlines(void **state)
{
	world_t w;

	world_open(&w);
	run(&w, deadline_client);
	assert_int_equal(w.n_gone, 1);
}

static void leaving_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_open();
	grpc_client_t *c = client_open(w);
	const grpc_request_t r = { .path = "/t.T/Hold" };
	grpc_status_t status;
	str_t message;
	bool more;

	CHECK(grpc_client_begin(c, &r) == OK);
	CHECK(grpc_client_next(c, a, 50, &more, &message, &status) == ERR_TIMEOUT);
	CHECK(counts(w).streams_now == 1);
	grpc_client_close(c);
	for (int i = 0; i < 500 && counts(w).connections_now > 0; i++) {
		usleep(2000);
	}
	CHECK(counts(w).connections_now == 0 && counts(w).streams_now == 0);

	c = client_open(w); /* and one that is there when the server ends */
	CHECK(grpc_client_begin(c, &r) == OK);
	CHECK(grpc_client_next(c, a, 50, &more, &message, &status) == ERR_TIMEOUT);
	loop_post(w->loop, world_end, w);
	CHECK(grpc_client_next(c, a, 5000, &more, &message, &status) == ERR_UPSTREAM);
	CHECK(grpc_client_begin(c, &r) == ERR_UPSTREAM);
	grpc_client_close(c);
}

static void *leaving_main(void *arg)
{
	leaving_client(arg);
	return NULL;
}

static void peers_that_leave(void **state)
{
	world_t w;
	pthread_t thread;

	world_open(&w);
	assert_int_equal(pthread_create(&thread, NULL, leaving_main, &w), 0);
	loop_run(w.loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	loop_free(w.loop);
	assert_int_equal(rmdir(w.folder), 0);
	assert_int_equal(w.n_gone, 2);
	assert_int_equal(w.n_closed, 2);
}

static void *goodbye_main(void *arg)
{
	world_t *w = arg;
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(grpc_client_close) grpc_client_t *c = client_open(w);
	const grpc_request_t r = { .path = "/t.T/Hold" };
	grpc_status_t status;
	str_t message;
	bool more;

	CHECK(grpc_client_begin(c, &r) == OK);
	CHECK(grpc_client_next(c, a, 50, &more, &message, &status) == ERR_TIMEOUT);
	w->says_goodbye = true;
	loop_post(w->loop, world_end, w);
	CHECK(grpc_client_next(c, a, 5000, &more, &message, &status) == OK && !more);
	CHECK(status.code == GRPC_UNAVAILABLE && str_eq(status.text, STR("the server ends")));
	return NULL;
}

static void ends_given_before_the_close(void **state)
{
	world_t w;
	pthread_t thread;

	world_open(&w);
	assert_int_equal(pthread_create(&thread, NULL, goodbye_main, &w), 0);
	loop_run(w.loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	loop_free(w.loop);
	assert_int_equal(rmdir(w.folder), 0);
	assert_int_equal(w.n_gone, 0);
	assert_int_equal(w.n_closed, 1);
}

static void proof_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(grpc_client_close) grpc_client_t *c = client_open(w);
	grpc_client_t *silent = client_open(w);
	const grpc_request_t r = { .path = "/t.T/Prove" };
	grpc_status_t status;
	str_t answer;
	bool more;

	CHECK(call(c, a, "/t.T/Prove", STR(""), 0, &answer) == GRPC_OK && str_eq(answer, STR("proved")));
	CHECK(grpc_client_begin(silent, &r) == OK);
	CHECK(grpc_client_next(silent, a, 0, &more, &answer, &status) == ERR_TIMEOUT); /* sent, nothing read */
	for (int i = 0; i < 500 && counts(w).streams < 2; i++) {
		usleep(2000);
	}
	grpc_client_close(silent); /* the proof is still owed */
	for (int i = 0; i < 500 && counts(w).connections_now > 1; i++) {
		usleep(2000);
	}
}

static void proofs(void **state)
{
	world_t w;

	world_open(&w);
	run(&w, proof_client);
	assert_int_equal(w.n_proofs, 1);
	assert_int_equal(w.n_proofs_cancelled, 1);
	assert_int_equal(w.n_gone, 1);
}

static void cut_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(grpc_client_close) grpc_client_t *c = client_open(w);
	const grpc_request_t r = { .path = "/t.T/Cut" };
	grpc_status_t status;
	str_t answer;

	CHECK(grpc_client_call(c, a, &r, &answer, &status) == ERR_UPSTREAM);
}

static void cut_inside_a_handler(void **state)
{
	world_t w;

	world_open(&w);
	run(&w, cut_client);
	assert_int_equal(w.n_gone, 1);
	assert_int_equal(w.n_closed, 1);
}

static void refused_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(grpc_client_close) grpc_client_t *c = client_open(w);
	const grpc_request_t r = { .path = "/t.T/Echo" };
	grpc_status_t status;
	str_t answer;

	CHECK(grpc_client_call(c, a, &r, &answer, &status) == ERR_UPSTREAM);
	CHECK(counts(w).refused == 1);
}

static void refused_by_the_hook(void **state)
{
	world_t w;

	world_open(&w);
	w.refuse = true;
	run(&w, refused_client);
	assert_int_equal(w.n_connected, 1);
	assert_int_equal(w.n_closed, 0); /* who never was does not end */
}

static void crowd_client(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_open();
	grpc_client_t *c[4];
	const grpc_request_t r = { .path = "/t.T/Echo" };
	grpc_status_t status;
	str_t answer;

	for (int i = 0; i < 4; i++) {
		c[i] = client_open(w);
	}
	for (int i = 0; i < 4; i++) {
		CHECK((grpc_client_call(c[i], a, &r, &answer, &status) == OK) == (i < 3));
	}
	for (int i = 0; i < 4; i++) {
		grpc_client_close(c[i]);
	}
}

static void one_uid_has_a_bound(void **state)
{
	world_t w;

	world_open(&w);
	run(&w, crowd_client);
	assert_int_equal(w.n_closed, 3);
}

/* ---- frames by hand: who writes them, and an ACK that is none ------------------------------------------- */

static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\0\4\0\0\0\0\0";
static const char wrong_ack[] = "\0\0\10\6\1\0\0\0\0" "notthese";

static int raw_open(const world_t *w)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, w->path, strlen(w->path));
	CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

static void raw_write(int fd, const char *bytes, size_t n)
{
	CHECK(send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

/* Reads until the server closes. */
static void raw_drain(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
	}
	close(fd);
}

static void child_client(world_t *w)
{
	int fd = raw_open(w), status = -1;
	pid_t child = fork();

	if (child == 0) {
		_exit(send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) == sizeof(hello) - 1 ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	/* not by connections_now alone: it is none before the server has accepted, too */
	for (int i = 0; i < 1000 && (counts(w).bad_stamps == 0 || counts(w).connections_now > 0); i++) {
		usleep(2000);
	}
	grpc_counts_t n = counts(w);
	CHECK(n.bad_stamps == 1 && n.connections_now == 0);
	raw_drain(fd);
}

static void bytes_of_a_child_end_it(void **state)
{
	world_t w;

	world_open(&w);
	run(&w, child_client);
	assert_int_equal(w.n_closed, 1);
}

static void wrong_ack_client(world_t *w)
{
	int fd = raw_open(w);

	raw_write(fd, hello, sizeof(hello) - 1);
	raw_write(fd, wrong_ack, sizeof(wrong_ack) - 1);
	for (int i = 0; i < 1000 && counts(w).connections_now == 0; i++) {
		usleep(2000); /* until it is accepted */
	}
	usleep(100000);
	CHECK(counts(w).connections_now == 1); /* an ACK too many is no crime */
	shutdown(fd, SHUT_RDWR);
	close(fd);
	for (int i = 0; i < 1000 && counts(w).connections_now > 0; i++) {
		usleep(2000);
	}
}

static void an_ack_of_other_bytes_proves_nothing(void **state)
{
	world_t w;

	world_open(&w);
	w.prove_at_once = true;
	run(&w, wrong_ack_client);
	assert_int_equal(w.n_proofs, 0);
	assert_int_equal(w.n_proofs_cancelled, 1);
}

static void addresses(void **state)
{
	const char *const bad[] = { "", "x", "unix:x", "unix://host/x", "unix:", "http://x", "tcp://127.0.0.1:1", "//x" };
	grpc_client_t *c = NULL;
	diag_t diag;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(grpc_client_open(bad[i], &c, &diag), ERR_CONFIG);
	}
	assert_int_equal(grpc_client_open("unix:///nowhere/x", &c, &diag), ERR_UNAVAILABLE);
	assert_int_equal(grpc_client_open("unix:/nowhere/x", &c, &diag), ERR_UNAVAILABLE);
	assert_null(c);
}

int main(void)
{
	log_setup(LVL_ERROR, 2);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unary),
		cmocka_unit_test(a_living_socket_is_not_taken),
		cmocka_unit_test(streaming),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(peers_that_leave),
		cmocka_unit_test(ends_given_before_the_close),
		cmocka_unit_test(proofs),
		cmocka_unit_test(cut_inside_a_handler),
		cmocka_unit_test(refused_by_the_hook),
		cmocka_unit_test(one_uid_has_a_bound),
		cmocka_unit_test(bytes_of_a_child_end_it),
		cmocka_unit_test(an_ack_of_other_bytes_proves_nothing),
		cmocka_unit_test(addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
