/* op_int.h: what the two operations of net, fetch and pump, have in common. */
#ifndef ATTORN_NET_OP_INT_H
#define ATTORN_NET_OP_INT_H

#include "engine/net/net.h"

typedef struct {
	op_t op; /* first */
	net_client_t *client;
	arena_t *arena;
	net_request_t request; /* what it points to is the caller's and lives in the flow's arena */
	net_call_t *call; /* while in flight */
	err_t err; /* ours, goes before the call's */
} net_op_t;

/* The request with its total time cut to the operation's deadline; ERR_TIMEOUT when that has passed. */
MUST err_t net_op_request(const net_op_t *o, net_request_t *out);
void net_op_hurry(op_t *op);
/* A buffer that goes, wiped, with the arena: bodies may be larger than an arena's cap. */
buf_t *net_op_body(arena_t *a, size_t max);
MUST err_t net_headers_dup(arena_t *a, net_headers_t h, net_headers_t *out);

#endif
