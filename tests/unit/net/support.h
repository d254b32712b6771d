/* support.h: a loop with one server on it, and clients that talk to it from a thread of their own with
 * plain blocking sockets. A client records, the test asserts when the loop has ended. */
#ifndef ATTORN_TEST_NET_SUPPORT_H
#define ATTORN_TEST_NET_SUPPORT_H

#include "engine/net/net.h"

typedef struct {
	loop_t *loop;
	net_server_t *server;
	uint16_t port;
	void (*client)(void *arg);
	void *arg;
} bench_t;

/* Opens a server on 127.0.0.1:0 (or o->unix_path) with `handler`; `o` may be NULL. */
void support_open(bench_t *b, net_handler_fn handler, void *owner, const net_server_options_t *o);
/* Runs `client` in a thread and the loop in this one until the client has returned. */
void support_run(bench_t *b, void (*client)(void *arg), void *arg);
/* Closes server and loop; a leak of either fails in the sanitizer or in loop_free. */
void support_close(bench_t *b);
/* Runs the loop until *flag or 10 s; false when late. */
bool support_until(loop_t *loop, const bool *flag);

/* Blocking client side; every read gives up after 5 s. */
int tcp_dial(uint16_t port);
int unix_dial(const char *path);
void sock_write(int fd, str_t bytes); /* ignores a peer that is gone */
/* Reads until the peer closes, `max` bytes came, or 5 s of silence; n in *out_n; true when closed. */
bool sock_read_all(int fd, char *out, size_t max, size_t *out_n);
/* Reads until `needle` has come. */
bool sock_read_until(int fd, buf_t *b, str_t needle);
/* Status of the first answer in these bytes, 0 when there is none. */
int status_in(str_t answer);
size_t count_in(str_t hay, str_t needle);
void sleep_ms(unsigned ms);

#endif
