/* grpc_int.h: what the files of this room share: server, connection, stream, and the two readers. */
#ifndef ATTORN_GRPC_INT_H
#define ATTORN_GRPC_INT_H

#include <nghttp2/nghttp2.h>

#include "engine/grpc/grpc.h"
#include "engine/grpc/head.h"

/* So many at once, then so many a second. */
typedef struct {
	uint64_t tokens_us, at_us; /* tokens in microseconds of refill */
} bucket_t;
/* Takes one; false: too many. */
bool bucket_take(bucket_t *b, uint64_t now_us, uint32_t burst, uint32_t per_s);

/* One answer on its way: prefix and message, wiped when it goes. */
typedef struct message {
	struct message *next;
	size_t n, sent;
	bool begun; /* nghttp2 was told of it: no more replaced or dropped */
	char bytes[];
} message_t;

struct grpc_stream {
	grpc_conn_t *conn;
	grpc_stream_t *prev, *next; /* of the connection */
	int32_t id;
	char *path;
	const grpc_service_t *service;
	const grpc_method_t *method; /* both NULL until the head was taken */
	void *owner;
	head_t *head; /* until fn has returned for the first time */
	frame_t in;
	size_t in_held; /* what of `in` is counted in conn and server */
	message_t *out, *out_last;
	size_t out_n; /* bytes queued */
	bool whole; /* exactly one request message is there (unary, server stream) */
	bool called; /* fn was called: the owner holds the stream until `ended` */
	bool ended; /* no more the owner's; what is queued goes, then the trailers */
	bool answered; /* response HEADERS are submitted */
	bool closed_by_peer, reset; /* END_STREAM came; RST_STREAM is submitted */
	bool sent_any; /* one message was given (unary) */
	bool no_encoding; /* say which encodings we take */
	grpc_code_t code;
	char *text;
	uint64_t deadline_us;
	loop_timer_t timer;
};

typedef struct {
	grpc_conn_t *conn;
	bool waiting;
	uint8_t bytes[8];
	void (*done)(grpc_conn_t *c, err_t e, void *owner);
	void *owner;
	loop_timer_t timer;
} proof_t;

struct grpc_conn {
	grpc_server_t *server;
	grpc_conn_t *prev, *next;
	int fd; /* -1: detached, fed by hand */
	loop_watch_t *watch;
	int events;
	struct ucred peer;
	void *owner;
	nghttp2_session *h2;
	grpc_stream_t *streams;
	uint32_t n_streams;
	size_t in_bytes;
	buf_t out; /* what the kernel did not take */
	buf_t *fill; /* where conn_fill collects, while it runs */
	proof_t proofs[GRPC_PROOFS_MAX];
	bucket_t pings, resets, settings, empties;
	loop_timer_t timer; /* hello, later drain */
	posted_t turn; /* a flush or the end, from a turn of its own */
	bool hello; /* the client's SETTINGS came */
	bool accepted; /* on_connect said yes: on_close is owed */
	bool draining, broken, closing; /* broken: GOAWAY is on its way, input is ignored */
	bool may_speak; /* closing with the server, not for a reason of its own: what was said still goes */
};

typedef struct uid_count {
	struct uid_count *next;
	uid_t uid;
	uint32_t n;
} uid_count_t;

typedef struct {
	char *name;
	bool serving;
} health_row_t;

struct reflection;

struct grpc_server {
	loop_t *loop;
	grpc_server_options_t o;
	grpc_service_t services[GRPC_SERVICES_MAX];
	size_t n_services;
	health_row_t health[GRPC_SERVICES_MAX];
	size_t n_health;
	struct reflection *reflection;
	nghttp2_option *h2_option;
	nghttp2_session_callbacks *h2_callbacks;
	int fd;
	loop_watch_t *watch;
	loop_timer_t rest; /* after accept failed for want of descriptors */
	char *path;
	dev_t dev;
	ino_t ino;
	grpc_conn_t *conns;
	uid_count_t *uids;
	size_t in_bytes;
	grpc_counts_t counts;
	buf_t scratch; /* output of one flush; wiped after it */
	char read[GRPC_READ_BYTES];
	bool stopped, closing, handed_over;
	posted_t posted;
	void (*closed)(void *owner);
	void *closed_owner;
};

/* server.c */
/* Makes a server without a socket: grpc_server_open, tests. ERR_LIMIT for too many services. */
MUST err_t server_new(loop_t *loop, const grpc_server_options_t *o, grpc_server_t **out_server);
/* Finds the service (NULL: none) and the method (NULL: none) of "/service/method". */
void server_route(const grpc_server_t *s, str_t path, const grpc_service_t **out_service,
	const grpc_method_t **out_method);
void server_gone_check(grpc_server_t *s); /* the last one frees a closing server */

/* accept.c */
void server_accept(grpc_server_t *s);
uint32_t uid_add(grpc_server_t *s, uid_t uid); /* how many it has now */
void uid_drop(grpc_server_t *s, uid_t uid);

/* conn.c: the socket and the connection's life. */
/* Makes a connection that is not watched yet; it is counted. */
grpc_conn_t *conn_new(grpc_server_t *s, int fd, const struct ucred *peer);
MUST err_t conn_watch(grpc_conn_t *c);
/* Feeds one received chunk; the connection may be closing after it. */
void conn_feed(grpc_conn_t *c, str_t chunk);
/* Appends what the session wants to send, at most about GRPC_OUT_HIGH_BYTES. */
void conn_fill(grpc_conn_t *c, buf_t *to);
void conn_flush_soon(grpc_conn_t *c);
void conn_close_soon(grpc_conn_t *c, const char *why); /* why: for the log, NULL when it is no news */
void conn_drain(grpc_conn_t *c);
void conn_free(grpc_conn_t *c); /* not inside a callback of nghttp2 */

/* session.c: nghttp2's callbacks. */
void session_setup(grpc_server_t *s);
void session_setup_done(grpc_server_t *s);
void session_new(grpc_conn_t *c);
/* The peer broke HTTP/2 or asks for too much: GOAWAY, then the end. What it still sends is not read. */
void session_break(grpc_conn_t *c, uint32_t h2_error, const char *why);

/* proof.c */
void proofs_acked(grpc_conn_t *c, const uint8_t *bytes);
void proofs_cancel(grpc_conn_t *c);

/* stream.c: the request side. */
grpc_stream_t *stream_new(grpc_conn_t *c, int32_t id);
void stream_head(grpc_stream_t *s); /* the head is whole */
void stream_bytes(grpc_stream_t *s, str_t bytes);
void stream_peer_ended(grpc_stream_t *s);
void stream_free(grpc_stream_t *s); /* tells the owner, if it has one */
void stream_lost(grpc_stream_t *s); /* tells the owner, who has it no more */

/* answer.c: the answering side. */
/* Ends a stream whoever has it; grpc_end is this for the owner. */
void stream_finish(grpc_stream_t *s, grpc_code_t code, const char *text);
void stream_http_status(grpc_stream_t *s, int status); /* 405, 415: no gRPC at all */
void stream_reset(grpc_stream_t *s, uint32_t h2_error);
void stream_drop_out(grpc_stream_t *s, bool begun_too);
int answer_send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *framehd, size_t length,
	nghttp2_data_source *source, void *arg);

/* health.c, reflection.c */
const grpc_service_t *health_service(void);
void health_done(grpc_server_t *s);
const grpc_service_t *reflection_service(size_t i); /* 0: v1, 1: v1alpha */
MUST err_t reflection_new(grpc_server_t *s);
void reflection_done(grpc_server_t *s);

#endif
