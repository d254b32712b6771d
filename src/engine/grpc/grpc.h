/* grpc.h: a gRPC server on a Unix socket: HTTP/2 with prior knowledge (nghttp2), every received chunk
 * stamped by its sender (spiffe.md 9 and 13.4), on the loop of flow. Its client end is client.h.
 *
 * Owns: the listener, connections, streams, the bytes in both directions. Threads: the loop's only.
 * Limits: limits.h. Bytes from a peer that are not plainly HTTP/2 and gRPC end the stream or the
 * connection and reach no handler.
 *
 * Lives. A connection is valid from on_connect to the return of on_close. A stream is valid from the
 * call of its method until its owner calls grpc_end, or until the method's `gone` returns: exactly one
 * of the two ends it. `gone` and on_close come from the loop, never inside a grpc_ call.
 * Forbidden: touching either after its end; an answer that echoes internals (grpc-message is public).
 * Secrets: bytes given to grpc_send are wiped when the kernel has them or the stream ends. */
#ifndef ATTORN_GRPC_H
#define ATTORN_GRPC_H

#include <sys/socket.h>
#include <sys/types.h>

#include "engine/flow/flow.h"
#include "engine/grpc/code.h"
#include "engine/grpc/limits.h"
#include "pure/base/base.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

typedef struct grpc_server grpc_server_t;
typedef struct grpc_conn grpc_conn_t;
typedef struct grpc_stream grpc_stream_t;

/* ---- methods ------------------------------------------------------------------------------------ */

typedef enum {
	GRPC_UNARY, /* one request, one answer */
	GRPC_SERVER_STREAM, /* one request, whole states pushed until somebody ends it */
	GRPC_BIDI, /* `fn` is called for every request message; what is sent is queued, not replaced */
} grpc_kind_t;

typedef struct {
	const char *name; /* "FetchX509SVID" */
	grpc_kind_t kind;
	/* The request is there: `message` (one protobuf, without its prefix) is borrowed for the call.
	 * Answer now or in any later turn. */
	void (*fn)(grpc_stream_t *s, str_t message, void *owner);
	/* The stream ends without its owner: cancelled by the peer, deadline, connection gone. Invalid
	 * after the return. NULL for a method that always calls grpc_end inside fn (checked). */
	void (*gone)(grpc_stream_t *s, void *owner);
} grpc_method_t;

typedef struct {
	const char *name; /* with its package: "grpc.health.v1.Health", "SpiffeWorkloadAPI" */
	const grpc_method_t *methods;
	size_t n_methods;
	/* Called when the head of any request to this service is there, known method or not, before
	 * anything else: GRPC_OK lets it pass; else it is answered with that code and *out_text (static
	 * text). NULL: everything passes. Metadata may be read; grpc_send and grpc_end may not be called. */
	grpc_code_t (*guard)(grpc_stream_t *s, void *owner, const char **out_text);
	void *owner; /* handed to guard, fn and gone */
} grpc_service_t;

/* ---- server ------------------------------------------------------------------------------------- */

typedef struct {
	const char *path; /* of the socket, at most 107 bytes; a stale one is replaced, a live one is ERR_EXISTS */
	mode_t mode; /* 0 means 0600 */
	const grpc_service_t *services; /* copied; names and methods must outlive the server */
	size_t n_services; /* at most GRPC_SERVICES_MAX */
	bool health, reflection; /* add grpc.health.v1, grpc.reflection.v1 and v1alpha */
	uint32_t connections_max, connections_per_uid_max; /* 0: default of limits.h */
	/* A peer has connected; `fd` is the connection's and stays open until on_close has returned;
	 * `peer` is SO_PEERCRED, its pid never 0. An error refuses: closed at once, no on_close.
	 * NULL accepts everybody. */
	err_t (*on_connect)(grpc_conn_t *c, int fd, const struct ucred *peer, void *owner);
	/* The connection is over, whatever ended it; all its streams' `gone` were called before. Called
	 * exactly once for each that on_connect accepted. May be NULL. */
	void (*on_close)(grpc_conn_t *c, void *owner);
	void *owner; /* handed to on_connect and on_close */
} grpc_server_options_t;

typedef struct {
	uint32_t connections_now, streams_now;
	size_t in_bytes_now, out_bytes_now; /* unfinished requests; answers the kernel has not taken */
	uint64_t connections, refused; /* accepted; closed at once: limits, pid 0, on_connect */
	uint64_t streams, messages; /* requests begun; messages sent */
	uint64_t bad_stamps; /* connections closed because a chunk was not the peer's own */
	uint64_t bad_peers; /* connections closed for breaking HTTP/2 or for flooding */
} grpc_counts_t;

/* Opens the socket and serves. ERR_CONFIG for a path too long, ERR_EXISTS when somebody serves it,
 * ERR_IO else; `diag` says why. */
MUST err_t grpc_server_open(loop_t *loop, const grpc_server_options_t *o, grpc_server_t **out_server,
	diag_t *diag);
grpc_counts_t grpc_server_counts(const grpc_server_t *s);
/* Drains: accepts nobody more, tells every peer by GOAWAY, lets streams in flight end. Streams that
 * push for ever are their owner's to end (GRPC_UNAVAILABLE makes stock clients come back). */
void grpc_server_stop(grpc_server_t *s);
/* Stops, cuts every connection (gone, on_close) and frees the server; `closed` (may be NULL) is called
 * from a later turn. Ends given before it still leave, as far as the kernel takes them at once. */
void grpc_server_close(grpc_server_t *s, void (*closed)(void *owner), void *owner);
/* Says what Health answers for `service` ("" is the whole server); pushed to watchers. A service that
 * was never set answers SERVING when it is mounted. ERR_LIMIT above GRPC_SERVICES_MAX names. */
MUST err_t grpc_health_set(grpc_server_t *s, const char *service, bool serving);

/* ---- connection --------------------------------------------------------------------------------- */

void grpc_conn_set_owner(grpc_conn_t *c, void *owner);
void *grpc_conn_owner(const grpc_conn_t *c);
int grpc_conn_fd(const grpc_conn_t *c);
const struct ucred *grpc_conn_peer(const grpc_conn_t *c); /* SO_PEERCRED */
uint32_t grpc_conn_streams(const grpc_conn_t *c); /* open now */
/* Calls fn(stream, arg) for every stream whose method was called and that has not ended. `fn` may
 * send on and end the stream it is given, no other. */
void grpc_conn_each(grpc_conn_t *c, void (*fn)(grpc_stream_t *s, void *arg), void *arg);
/* Cuts it: nothing is read or written any more, not even what was given before; gone and on_close follow in
 * a later turn. */
void grpc_conn_close(grpc_conn_t *c);
/* The PING proof (spiffe.md 13.4 step 6): sends a PING with 8 random bytes and calls `done` once, from
 * the loop: OK when the ACK with these bytes came in a chunk stamped by the peer, ERR_TIMEOUT after
 * GRPC_PROOF_MS, ERR_CANCELLED (before on_close) when the connection ended. That the peer is still
 * alive is the caller's to check, after. At most GRPC_PROOFS_MAX at a time: ERR_LIMIT. */
MUST err_t grpc_conn_prove(grpc_conn_t *c, void (*done)(grpc_conn_t *c, err_t e, void *owner), void *owner);

/* ---- stream ------------------------------------------------------------------------------------- */

grpc_conn_t *grpc_stream_conn(const grpc_stream_t *s);
const char *grpc_stream_method(const grpc_stream_t *s); /* "/SpiffeWorkloadAPI/FetchX509SVID" */
void grpc_stream_set_owner(grpc_stream_t *s, void *owner);
void *grpc_stream_owner(const grpc_stream_t *s); /* NULL until set */
loop_t *grpc_stream_loop(const grpc_stream_t *s);
/* Absolute, loop_mono_us; UINT64_MAX when the client gave no grpc-timeout. At it the stream is gone. */
uint64_t grpc_stream_deadline_us(const grpc_stream_t *s);
/* Walks the values of metadata `name` (lower case): starts at *i = 0, false at the end. Only inside
 * guard and the first call of fn. */
bool grpc_metadata_next(const grpc_stream_t *s, str_t name, size_t *i, str_t *out_value);

/* Gives one message to the stream; the bytes are copied. A message of GRPC_SERVER_STREAM that has not
 * begun to leave is replaced: a slow reader gets the newest state. ERR_LIMIT above
 * GRPC_MESSAGE_OUT_BYTES_MAX (nothing was given; the caller logs whose it was), ERR_CLOSED for a second
 * message on a unary stream. */
MUST err_t grpc_send(grpc_stream_t *s, str_t message);
/* Packs and sends; ERR_LIMIT as above. */
MUST err_t grpc_send_pb(grpc_stream_t *s, const struct ProtobufCMessage *message);
/* Ends the stream; `s` is not its owner's any more. With another code than GRPC_OK a message that has
 * not begun to leave is dropped. `text` becomes grpc-message: safe, public, may be NULL. A unary
 * GRPC_OK without a message is our mistake (checked). */
void grpc_end(grpc_stream_t *s, grpc_code_t code, const char *text);
/* grpc_end with grpc_code_of(e) and the public text of its row. */
void grpc_end_err(grpc_stream_t *s, err_t e);

/* ---- protobuf ----------------------------------------------------------------------------------- */

/* Unpacks `bytes` into the arena, whose cap bounds what a peer can unfold. ERR_SYNTAX for bytes that
 * are no such message, for a string at any level that is not UTF-8 or holds a NUL (protobuf-c would cut it
 * there), and for messages 16 levels deep. */
MUST err_t grpc_pb_read(const struct ProtobufCMessageDescriptor *type, arena_t *a, str_t bytes,
	struct ProtobufCMessage **out_message);

#endif
