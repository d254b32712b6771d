/* server_int.h: what server.c, conn.c, reply.c and sse.c share. A server has connections, a connection
 * has at most one exchange at a time, an exchange may outlive its connection. */
#ifndef ATTORN_NET_SERVER_INT_H
#define ATTORN_NET_SERVER_INT_H

#include <uv.h>

#include "engine/net/parser.h"
#include "engine/net/tls_int.h"

typedef struct conn conn_t;
typedef struct net_detached net_detached_t;

enum { NET_READ_BYTES = 64 << 10, NET_DATE_BYTES = 32 };

struct net_server {
	loop_t *loop;
	net_server_options_t o; /* defaults filled in; strings owned */
	char *unix_path;
	dev_t unix_dev; /* of the socket file: only ours is removed */
	ino_t unix_ino;
	uint16_t port;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} listener;
	bool listening, stopped, closing, handed_over;
	conn_t *conns;
	net_server_counts_t counts;
	loop_timer_t sweep;
	posted_t posted;
	void (*closed)(void *owner);
	void *closed_owner;
	buf_t head; /* scratch for reply heads */
	size_t body_bytes; /* held for requests, all connections together */
	uint64_t date_s;
	char date[NET_DATE_BYTES];
	char read[NET_READ_BYTES]; /* one for all: consumed or copied before the callback returns */
};

typedef enum {
	CONN_HANDSHAKE, /* of TLS */
	CONN_IDLE, /* between requests */
	CONN_HEAD,
	CONN_BODY,
	CONN_SERVING, /* x is set */
	CONN_LINGER, /* our last byte is (about to be) out: read, drop, wait for the peer's end */
} conn_phase_t;

struct conn {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	net_server_t *server;
	conn_t *next, *prev;
	net_exchange_t *x;
	tls_end_t *tls; /* NULL: plain */
	conn_phase_t phase;
	uint64_t deadline_ms; /* of the phase */
	uint64_t write_since_ms; /* the peer took bytes, or pending began */
	size_t write_left; /* what was pending then */
	net_parser_t parser;
	buf_t ahead; /* read, not parsed */
	buf_t held; /* waits for more of this turn */
	posted_t let_go;
	buf_t out, flying; /* to be written; held by libuv */
	uv_write_t write;
	uv_shutdown_t shutdown;
	size_t lingered;
	size_t body_bytes; /* this one's part of the server's sum */
	posted_t posted;
	bool reading, writing, in_turn, eof, broken, close_after, shut, closing, closed;
	net_peer_t peer;
};

struct net_exchange {
	conn_t *conn; /* NULL when it is gone */
	net_detached_t *detached; /* instead of a connection, in simulations */
	loop_t *loop;
	net_message_t m;
	net_peer_t peer;
	bool begun, ended, lost, in_notice, chunked, has_body, keep_open;
	bool sse;
	char tail[3]; /* last bytes of the stream: a comment may go in between two events only */
	uint64_t chunk_ms; /* when the last chunk went in */
	void (*on_lost)(net_exchange_t *, void *);
	void *lost_owner;
	void (*on_drained)(net_exchange_t *, void *);
	void *drained_owner;
	posted_t posted;
};

/* accept.c */
void conn_accept(net_server_t *s);

/* conn.c */
void conn_start(conn_t *c);
/* What conn_tls.c needs of it. Takes bytes as the parser gets them; bytes as the wire gets them; learns that the
 * peer closed its side or broke; reads, drops and waits for the peer's end. */
void conn_plain(conn_t *c, str_t in);
void conn_wire(conn_t *c, const str_t *parts, size_t n);
void conn_peer_gone(conn_t *c, bool broken);
void conn_linger(conn_t *c);
enum { CONN_PARTS_MAX = 3 };
/* Puts bytes on their way, in order; never calls back. Dropped when the connection is broken. */
void conn_send(conn_t *c, const str_t *parts, size_t n);
/* The same at the end of this turn, or with what is sent before: one write for a reply said in parts. */
void conn_hold(conn_t *c, const str_t *parts, size_t n);
size_t conn_pending(const conn_t *c);
/* The exchange is over; goes on with the next request or closes. */
void conn_exchange_ended(conn_t *c, bool cut);
void conn_sweep(conn_t *c, uint64_t now_ms);
void conn_stop(conn_t *c); /* no further request */
void conn_cut(conn_t *c);
/* Frees the server when the last connection is gone. */
void server_conn_gone(net_server_t *s, conn_t *c);

/* conn_tls.c: what TLS puts between the wire and conn.c. */
bool conn_tls_begin(conn_t *c); /* false: there is no certificate yet */
void conn_tls_read(conn_t *c, str_t cipher);
bool conn_tls_is_over(const conn_t *c); /* the peer's certificate has ended */

/* exchange.c */
net_exchange_t *exchange_new(conn_t *c);
void exchange_end(net_exchange_t *x); /* no further call; frees now or after the pending notice */
void exchange_mark_lost(net_exchange_t *x);
bool exchange_is_between_events(const net_exchange_t *x);
void exchange_check_drained(net_exchange_t *x);
/* detached.c */
void detached_begin(net_detached_t *d, int status, net_headers_t h);
void detached_chunk(net_detached_t *d, str_t bytes);
void detached_end(net_detached_t *d, bool cut); /* answers and frees */

/* reply.c: a whole reply without an exchange: refusals. */
void reply_refusal(conn_t *c, int status);

static inline uint64_t server_now_ms(const net_server_t *s)
{
	return uv_now(loop_uv(s->loop));
}

#endif
