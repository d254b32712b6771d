/* client.h: net for a thread that may wait: one request, its response told as it comes.
 * Owns: nothing. Threads: any, one request each. Forbidden: on a loop. */
#ifndef ATTORN_NET_CLIENT_H
#define ATTORN_NET_CLIENT_H

#include "engine/net/net.h"

typedef struct {
	err_t (*head)(int status, net_headers_t headers, void *owner); /* once, before data; may be NULL */
	err_t (*data)(str_t bytes, void *owner);
	bool (*stop)(void *owner); /* asked about once a second, also while nothing moves; may be NULL */
	void *owner;
} net_sync_fns_t;

/* Sends and tells until the response ends. An error of head or data ends it with that error, a true
 * `stop` with ERR_CANCELLED. Headers of the response live in `a`. Of the request, response_bytes_max and
 * idle_timeout_ms are not looked at: data knows its own bound. `diag` says in words why it failed. */
MUST err_t net_sync_stream(arena_t *a, const net_request_t *r, const net_sync_fns_t *fns, diag_t *diag);

#endif
