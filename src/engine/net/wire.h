/* wire.h: our own end of a plain HTTP/1.1 connection to a numeric address or a Unix socket, for calls that
 * need neither TLS nor names: the internal door and most upstreams. libcurl does the others. Kept
 * connections, one request at a time on each; `answer_t` reads what comes back (llhttp).
 * Threads: the loop's. Forbidden: sending anything but GET and HEAD twice. */
#ifndef ATTORN_NET_WIRE_H
#define ATTORN_NET_WIRE_H

#include <llhttp.h>
#include <uv.h>

#include "engine/net/client_int.h"

/* One response being read: head into net_response_head_t, body to the call, framing by llhttp. */
typedef struct {
	llhttp_t http;
	net_call_t *call;
	buf_t name, value; /* the header being read */
	bool is_head_request, started, done, keep_alive;
	err_t err;
} answer_t;

void answer_init(answer_t *an, net_call_t *call, bool is_head_request);
void answer_done(answer_t *an);
/* Takes bytes as they come; true when no more are wanted: an->done or an->err says why. */
bool answer_feed(answer_t *an, str_t bytes);
/* The peer closed: the end of a body without a length, or of a response that is not whole. */
void answer_end(answer_t *an);

/* True for a request that this file can send. */
bool wire_fits(const net_request_t *r);
/* Starts; the call learns the rest by call_gather and call_end. */
MUST err_t wire_start(net_call_t *call, const net_request_t *r);
/* The call was told what was held back: read on. */
void wire_resume(net_call_t *call);
/* The call is over before its response: the connection goes too. */
void wire_abandon(net_call_t *call);
/* Closes the kept connections. */
void wire_idle_close(net_client_t *c);

#endif
