/* net.h: HTTP/1.1 server, SSE, HTTP client and the pump between them, on the loop of flow.
 * Owns: listening sockets, connections, request and reply buffers, the pool of outbound connections.
 * Threads: the loop's, for everything but net_sync_fetch. Limits: limits.h.
 * Forbidden: a listener without TLS that is not loopback; a reply header from outside that was not parsed;
 * calling anything of an exchange after its reply has ended. */
#ifndef ATTORN_NET_H
#define ATTORN_NET_H

#include <sys/types.h>

#include "engine/flow/flow.h"
#include "engine/net/header.h"
#include "engine/net/limits.h"
#include "engine/net/tls.h"
#include "pure/base/base.h"

/* ---- server ----------------------------------------------------------------------------------- */

typedef struct net_server net_server_t;
/* One request and its reply. Valid from the handler's call to the end of the reply (net_reply,
 * net_reply_end, net_reply_abort), however the peer behaves meanwhile. */
typedef struct net_exchange net_exchange_t;

/* Called on the loop when head and body are there. Every exchange must be answered exactly once, now
 * or in any later turn. */
typedef void (*net_handler_fn)(net_exchange_t *x, void *owner);

typedef struct {
	str_t address; /* numeric; what is not loopback is ERR_CONFIG without `tls` */
	uint16_t port; /* 0: any free one, see net_server_port */
	bool reuse_port; /* SO_REUSEPORT: several processes, one port */
	const char *unix_path; /* non-NULL: a Unix stream socket instead; a stale one is replaced, a live
				  one is ERR_EXISTS */
	mode_t unix_mode; /* 0 means 0600 */
	net_tls_t *tls; /* NULL: plain. The server holds it as long as it needs it */
	size_t head_bytes_max, body_bytes_max; /* 0: default of limits.h, here and below */
	size_t bodies_bytes_max; /* of all requests being received together; more is 503 */
	uint32_t connections_max;
	uint32_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms, sse_idle_ms;
	uint32_t handshake_timeout_ms; /* with `tls`: from accept to the handshake's end */
	net_handler_fn handler;
	void *owner; /* handed to the handler */
} net_server_options_t;

typedef struct {
	uint64_t requests, refusals; /* refusals: malformed, too large, too slow; never seen by a handler */
	uint64_t connections, connections_over; /* accepted; closed at once because of connections_max */
	uint32_t connections_now;
	uint64_t handshakes, handshakes_failed, handshakes_late; /* done; refused or broken; cut by the deadline */
} net_server_counts_t;

/* Opens the listener; copies the strings of `o`. ERR_CONFIG for a bad address, ERR_EXISTS when the
 * address is taken, ERR_IO else; `diag` says which address and why. */
MUST err_t net_server_open(loop_t *loop, const net_server_options_t *o, net_server_t **out_server,
	diag_t *diag);
/* Opens a listening Unix stream socket, non-blocking: 107 bytes of path at most, a stale file is replaced,
 * a live one is ERR_EXISTS. mode 0: 0600. `stamped`: SO_PASSCRED before listen, so that accepted sockets
 * and what was sent before accept carry their sender's credentials. The descriptor is the caller's. */
MUST err_t net_unix_listen(const char *path, mode_t mode, bool stamped, int *out_fd, diag_t *diag);
uint16_t net_server_port(const net_server_t *s); /* 0 for a Unix socket */
net_server_counts_t net_server_counts(const net_server_t *s);
/* Stops accepting and closes idle connections; requests in flight are still answered (then closed). */
void net_server_stop(net_server_t *s);
/* Stops, cuts every connection and frees the server; `closed` (may be NULL) is called from a later
 * turn. Unanswered exchanges stay valid and must still be answered (to nobody). */
void net_server_close(net_server_t *s, void (*closed)(void *owner), void *owner);

/* ---- request: all strings borrow from the exchange ---------------------------------------------- */

typedef struct {
	bool is_unix;
	pid_t pid; /* SO_PEERCRED, Unix sockets only, else 0 and -1 */
	uid_t uid;
	gid_t gid;
	char address[46]; /* TCP only */
	uint16_t port;
	const net_tls_peer_t *tls; /* NULL: plain. Lives as long as the exchange */
} net_peer_t;

str_t net_method(const net_exchange_t *x); /* GET HEAD POST PUT PATCH DELETE OPTIONS; else refused */
str_t net_target(const net_exchange_t *x); /* as sent: origin-form, visible ASCII, no '#' */
str_t net_path(const net_exchange_t *x); /* before '?', not decoded */
str_t net_query(const net_exchange_t *x); /* after '?', not decoded; p == NULL when there is no '?' */
str_t net_host(const net_exchange_t *x); /* exactly one Host, checked for syntax only */
net_headers_t net_request_headers(const net_exchange_t *x);
/* net_headers_get on the request. */
MUST err_t net_header(const net_exchange_t *x, str_t name, str_t *out_value);
str_t net_body(const net_exchange_t *x); /* transfer coding removed; trailers are dropped */
const net_peer_t *net_peer(const net_exchange_t *x);

/* ---- reply -------------------------------------------------------------------------------------
 * Net writes Date, Content-Length or Transfer-Encoding, Connection, X-Content-Type-Options: nosniff
 * and, unless the caller gives its own, Cache-Control: no-store; a caller's hop-by-hop headers are
 * dropped and an invalid header turns the answer into a 500. Header and body bytes are copied or sent
 * before the call returns. After HEAD no body goes out. */

/* Answers and ends the exchange. */
void net_reply(net_exchange_t *x, int status, net_headers_t headers, str_t body);
/* Same with one Content-Type. */
void net_reply_text(net_exchange_t *x, int status, str_t content_type, str_t body);
/* {"error":name,"message":text,"fix":fix} with the status of the row of `e`. */
void net_reply_error(net_exchange_t *x, err_t e);

/* Starts a streamed reply; the head goes out at once. */
void net_reply_begin(net_exchange_t *x, int status, net_headers_t headers);
/* Appends bytes. ERR_CANCELLED when the peer is gone, ERR_LIMIT (and the connection is cut) above
 * NET_REPLY_PENDING_BYTES_MAX; the exchange still has to be ended. */
MUST err_t net_reply_chunk(net_exchange_t *x, str_t bytes);
void net_reply_end(net_exchange_t *x);
/* Cuts the connection, before or after begin, so that the peer cannot take the reply for whole. */
void net_reply_abort(net_exchange_t *x);
bool net_reply_has_begun(const net_exchange_t *x);
/* Bytes accepted by net_reply_chunk that the kernel has not taken yet. */
size_t net_reply_pending_bytes(const net_exchange_t *x);
/* Calls `drained` from a later turn, once, when pending falls to half of NET_REPLY_HIGH_BYTES or the
 * peer is gone; setting it again replaces it, NULL takes it back. */
void net_reply_on_drained(net_exchange_t *x, void (*drained)(net_exchange_t *x, void *owner),
	void *owner);
/* Calls `lost` from a later turn, once, when the peer closed its side or the connection broke. (A peer
 * that only half-closed still receives what is replied.) NULL takes it back. */
void net_on_lost(net_exchange_t *x, void (*lost)(net_exchange_t *x, void *owner), void *owner);
bool net_is_lost(const net_exchange_t *x);

/* Starts an event stream: 200, text/event-stream, X-Accel-Buffering: no, keep-alive comments. */
void net_sse_begin(net_exchange_t *x, net_headers_t extra);
/* One event; `event` and `id` may be empty (their line is left out) and must hold no CR or LF; `data`
 * is split at line ends. Errors as net_reply_chunk. */
MUST err_t net_sse_event(net_exchange_t *x, str_t event, str_t id, str_t data);
MUST err_t net_sse_comment(net_exchange_t *x, str_t text);
/* For a stream begun with net_reply_begin: a comment after sse_idle_ms of silence, between events. */
void net_sse_keep_alive(net_exchange_t *x);

/* ---- client ------------------------------------------------------------------------------------
 * Plain HTTP to numeric addresses and Unix sockets over connections of our own, everything else by
 * libcurl's multi on the loop. Adds no header but Host, Content-Length and, where the caller has none,
 * Accept: star/star. No redirects, no proxy, no cookies, no decompression, no netrc; the path goes out
 * as it is; https verifies. A request other than GET or HEAD is never sent twice. */

typedef struct net_client net_client_t;
typedef struct net_call net_call_t;
typedef struct {
	str_t method, url; /* http:// or https://, without user info or fragment */
	const char *unix_path; /* NULL, or connect there; the URL still gives Host and path */
	net_headers_t headers; /* Host and Content-Length are ours: a caller's are dropped */
	str_t body; /* p == NULL: none. Borrowed until done unless copy_body */
	bool copy_body;
	uint32_t connect_timeout_ms, total_timeout_ms; /* 0: default of limits.h; total UINT32_MAX: none */
	uint32_t idle_timeout_ms; /* between bytes of the response; 0: none. Paused time does not count */
	size_t response_bytes_max; /* 0: default; more is ERR_LIMIT. For streams SIZE_MAX: no bound */
	const char *ca_file; /* NULL: the system's */
	net_tls_t *tls; /* https to our own parts: numeric addresses and sockets, our certificate, our verify;
			   held by the call. NULL: libcurl, names, the system's trust */
	str_t on_binding; /* with `tls`: only over the kept connection with this binding, else ERR_NOT_FOUND */
} net_request_t;

typedef struct {
	int status;
	net_headers_t headers;
	str_t body; /* whole responses only */
	const net_tls_peer_t *tls; /* of a call with `tls`: who answered; NULL else */
} net_response_t;

MUST err_t net_client_open(loop_t *loop, uint32_t pool_connections_max, net_client_t **out_client);
/* Cancels what is in flight (their done is called first) and frees the client in a later turn. */
void net_client_close(net_client_t *c, void (*closed)(void *owner), void *owner);

/* What a streaming call reports, in this order, always from the loop and never inside a net_ call:
 * head once, data any number of times, done exactly once. Bytes are borrowed for the call. `done` gets
 * OK, ERR_UPSTREAM (refused, reset, malformed, TLS), ERR_TIMEOUT, ERR_LIMIT or ERR_CANCELLED;
 * net_call_t is invalid after it. */
typedef struct {
	void (*head)(net_call_t *call, int status, net_headers_t headers, void *owner); /* may be NULL */
	void (*data)(net_call_t *call, str_t bytes, void *owner);
	void (*done)(err_t e, void *owner);
} net_call_fns_t;

/* Starts a request. ERR_VALUE for a bad URL, header or method, ERR_LANE_FULL above NET_CALLS_MAX. */
MUST err_t net_call_start(net_client_t *c, const net_request_t *r, const net_call_fns_t *fns, void *owner,
	net_call_t **out_call);
/* Who answers, from the head on, while the call lives; NULL without `tls`. */
const net_tls_peer_t *net_call_tls(const net_call_t *call);
/* Stops reading; at most 64 KiB more may be held back, none is delivered until resume. */
void net_call_pause(net_call_t *call);
void net_call_resume(net_call_t *call);
/* Ends it: done(ERR_CANCELLED) comes from a later turn unless another end was already on its way. */
void net_call_cancel(net_call_t *call);

/* Whole response into `a`, as a flow operation: return flow_wait(f, net_fetch(...)). The error is the
 * operation's; a status of 4xx or 5xx is a response, not an error. */
op_t *net_fetch(net_client_t *c, arena_t *a, const net_request_t *r, net_response_t *out_response);

/* ---- pump --------------------------------------------------------------------------------------
 * Sends a request upstream and copies the response into the reply of `x` with a bounded buffer: a slow
 * client stops upstream reads. Never ends the reply: its owner does, and says what a broken upstream
 * means to the peer. */

typedef enum {
	NET_PUMP_STREAM, /* head() has called net_reply_begin or net_sse_begin: copy on */
	NET_PUMP_COLLECT, /* gather the body into result.response.body, bounded by response_bytes_max */
} net_pump_mode_t;

typedef struct {
	/* Upstream's head: decide the mode. An error ends the pump with it. */
	err_t (*head)(net_exchange_t *x, int status, net_headers_t headers, void *owner,
		net_pump_mode_t *out_mode);
	/* Rewrites bytes on their way: appends to `out` what the client gets; `last` with an empty `in`
	 * ends it. NULL copies. An error ends the pump with it. */
	err_t (*filter)(str_t in, bool last, buf_t *out, void *owner);
	void *owner;
	bool outlives_peer; /* a lost peer does not cancel the upstream: its bytes are filtered and dropped */
} net_pump_options_t;

typedef struct {
	net_response_t response; /* status and headers as soon as known (0 before), in the arena */
	bool streamed; /* something may have reached the client */
	uint64_t bytes; /* body bytes received from upstream */
} net_pump_result_t;

/* As an operation: OK when upstream ended well; ERR_CANCELLED when the peer went; else as net_call. The
 * result is written on failure too. */
op_t *net_pump(net_client_t *c, arena_t *a, const net_request_t *r, net_exchange_t *x,
	const net_pump_options_t *o, net_pump_result_t *out_result);

/* For the CLI: one request, whole response in `a`. `diag` says in words why it failed. */
MUST err_t net_sync_fetch(arena_t *a, const net_request_t *r, net_response_t *out_response, diag_t *diag);

#endif
