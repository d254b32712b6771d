/* detached.h: an exchange without a connection, for simulations and tests of flows: the same parser, the
 * same face, no socket. Not part of the room's face: only tests include it.
 * Owns: the exchange, until it is answered. Threads: the loop's. */
#ifndef ATTORN_NET_DETACHED_H
#define ATTORN_NET_DETACHED_H

#include "engine/net/net.h"

/* What the exchange was answered, once, from inside net_reply, net_reply_end or net_reply_abort (then
 * status 0). A streamed body comes whole. Strings are borrowed for the call. */
typedef void (*net_answered_fn)(int status, net_headers_t headers, str_t body, void *owner);

/* Makes the exchange of the one request in `bytes`; ERR_HTTP when a server would refuse them. */
MUST err_t net_detached_new(loop_t *loop, str_t bytes, net_answered_fn answered, void *owner,
	net_exchange_t **out_x);
/* Its peer goes: net_on_lost is told in a later turn. */
void net_detached_lose(net_exchange_t *x);

#endif
