/* wire_int.h: what wire.c and wire_tls.c share: one connection of ours and the request on it. */
#ifndef ATTORN_NET_WIRE_INT_H
#define ATTORN_NET_WIRE_INT_H

#include "engine/net/wire.h"

struct wire {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	net_client_t *client;
	net_call_t *call; /* NULL: kept, or closing */
	tls_end_t *tls; /* NULL: plain, or not connected yet */
	wire_t *next, *prev; /* kept ones, the newest first */
	uint64_t idle_us; /* since when kept */
	char *key; /* whom it leads to: socket path, or address and port as in the URL; with TLS and as whom */
	answer_t answer;
	buf_t out, behind; /* what the kernel has not taken yet: held by libuv; to be written after it */
	uv_connect_t connect;
	uv_write_t write;
	bool is_old; /* has served a request */
	bool is_idle, reading, closing, shaking;
};

/* What goes out, kept for the one repetition that GET and HEAD are allowed. */
struct wire_request {
	str_t head, body, key, binding;
	const char *unix_path;
	struct sockaddr_storage address;
	uint32_t connect_ms;
	uint64_t end_us; /* of everything; 0: never */
	bool is_head;
	loop_timer_t timer;
};

/* wire.c */
void wire_close(wire_t *w);
void wire_fail(net_call_t *call, err_t e);
void wire_reading_set(wire_t *w, bool on);
/* Bytes of the answer; the end of what the peer says, whether it meant it or the connection broke. */
void wire_plain(wire_t *w, str_t bytes);
void wire_ended(wire_t *w, bool cleanly);
/* Bytes for the socket: copied if it does not take them at once. */
void wire_write(wire_t *w, str_t first, str_t second);
void wire_request_send(wire_t *w);

/* wire_tls.c */
/* Takes from `r` what TLS needs. */
void wire_tls_request(net_call_t *call, wire_request_t *q, const net_request_t *r);
void wire_tls_begin(wire_t *w);
void wire_tls_read(wire_t *w, str_t cipher);
bool wire_tls_has_binding(const wire_t *w, str_t binding);

#endif
