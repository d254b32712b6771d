/* client.h: a blocking gRPC client on a Unix socket, for the command line and for tests: one connection,
 * one call at a time, unary or server streaming.
 * Owns: the socket, and a call until its end. Threads: one at a time. Limits: limits.h. It answers PINGs
 * only inside grpc_client_next and grpc_client_call (the server proves its peer by one).
 * Forbidden: the loop's thread of any process. */
#ifndef ATTORN_GRPC_CLIENT_H
#define ATTORN_GRPC_CLIENT_H

#include "engine/grpc/code.h"
#include "engine/grpc/limits.h"
#include "pure/base/base.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

typedef struct grpc_client grpc_client_t;

typedef struct {
	const char *path; /* "/SpiffeWorkloadAPI/FetchX509SVID" */
	str_t message; /* one packed protobuf; borrowed until the call has ended */
	const grpc_pair_t *metadata; /* names in lower case; values visible ASCII */
	size_t n_metadata;
	uint32_t timeout_ms; /* of the whole call, sent as grpc-timeout; 0: none */
} grpc_request_t;

typedef struct {
	grpc_code_t code;
	str_t text; /* decoded grpc-message, in the arena; untrusted */
} grpc_status_t;

/* Connects; `address` is a path, unix:/path or unix:///path. ERR_CONFIG for another address,
 * ERR_UNAVAILABLE when nobody listens; `diag` says why. */
MUST err_t grpc_client_open(const char *address, grpc_client_t **out_client, diag_t *diag);
void grpc_client_close(grpc_client_t *c); /* accepts NULL; ends a call in flight */
DEFINE_AUTO(grpc_client_t *, grpc_client_close);

/* A unary call. OK: the peer answered, *out_status says what; *out_message (in `a`) is set only when
 * its code is GRPC_OK, else empty. ERR_UPSTREAM for bytes that are no gRPC and for a lost connection,
 * ERR_TIMEOUT, ERR_LIMIT for a message above GRPC_CLIENT_MESSAGE_BYTES_MAX: close the client then. */
MUST err_t grpc_client_call(grpc_client_t *c, arena_t *a, const grpc_request_t *r, str_t *out_message,
	grpc_status_t *out_status);

/* Begins a server-streaming call; then call grpc_client_next until *out_more is false. */
MUST err_t grpc_client_begin(grpc_client_t *c, const grpc_request_t *r);
/* Waits for the next message (in `a`): *out_more true. At the end *out_more is false and *out_status
 * set. ERR_TIMEOUT when nothing came in wait_ms (UINT32_MAX: for ever): the call goes on, call again, unless
 * its timeout_ms is over, then it was cancelled and the next answer is ERR_CLOSED. */
MUST err_t grpc_client_next(grpc_client_t *c, arena_t *a, uint32_t wait_ms, bool *out_more, str_t *out_message,
	grpc_status_t *out_status);
/* Gives the call in flight up (RST_STREAM CANCEL); the client may be used again. */
void grpc_client_cancel(grpc_client_t *c);
/* The socket, for poll(2) beside a signal pipe: readable means grpc_client_next may make progress. */
int grpc_client_fd(const grpc_client_t *c);

/* Packs a message into the arena; ERR_LIMIT when it does not fit. */
MUST err_t grpc_pb_pack(arena_t *a, const struct ProtobufCMessage *message, str_t *out_bytes);
/* As in grpc.h. */
MUST err_t grpc_pb_read(const struct ProtobufCMessageDescriptor *type, arena_t *a, str_t bytes,
	struct ProtobufCMessage **out_message);

#endif
