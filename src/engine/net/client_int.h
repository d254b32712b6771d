/* client_int.h: what client.c, call.c and wire.c share. The client owns the multi handle, its sockets on the
 * loop, our own connections and the calls in flight. A call goes over one of ours (wire.c) or by libcurl;
 * either only gathers; what the caller is told comes from client_deliver, so that a caller's callback may
 * do anything. */
#ifndef ATTORN_NET_CLIENT_INT_H
#define ATTORN_NET_CLIENT_INT_H

#include <curl/curl.h>

#include "engine/net/tls_int.h"

enum {
	NET_HELD_BYTES_MAX = 64 << 10, /* undelivered bytes of one call before libcurl is paused */
	NET_WIRE_READ_BYTES = 64 << 10,
	NET_EASY_SPARE_MAX = 64, /* idle easy handles kept for reuse */
};

typedef struct wire wire_t;
typedef struct wire_request wire_request_t;

/* The head of a response, gathered line by line as libcurl hands it over. */
typedef struct {
	arena_t *arena;
	net_header_t *v; /* NET_HEADERS_MAX */
	size_t n, bytes;
	int status;
	bool done;
} net_response_head_t;

struct net_client {
	loop_t *loop;
	CURLM *multi;
	loop_timer_t timer; /* libcurl's */
	loop_timer_t sweep; /* idle time-outs; armed while a call has one */
	posted_t posted;
	net_call_t *calls; /* all in flight */
	net_call_t *ready; /* those with something to tell */
	uint32_t n_calls, n_sockets, n_spare;
	CURL *spare[NET_EASY_SPARE_MAX];
	wire_t *idle; /* our own connections, kept, the newest first */
	uint32_t n_idle, pool_max;
	bool closing, handed_over, delivering;
	void (*closed)(void *owner);
	void *closed_owner;
	char read[NET_WIRE_READ_BYTES]; /* one for all: consumed before the callback returns */
};

struct net_call {
	net_client_t *client;
	net_call_t *next, *prev, *next_ready;
	CURL *easy; /* NULL: ours */
	wire_request_t *request; /* ours */
	wire_t *wire; /* the connection, while on one of ours */
	net_tls_t *tls; /* held; NULL: plain, or libcurl's */
	const net_tls_peer_t *peer; /* held: who answers */
	arena_t *arena; /* URL, header lines, copied body, response headers */
	net_call_fns_t fns;
	void *owner;
	bool repeatable; /* GET or HEAD */
	unsigned sends;
	net_response_head_t head;
	size_t received, received_max;
	buf_t held; /* received, not told */
	uint32_t idle_timeout_ms;
	uint64_t active_us;
	err_t err; /* ours, before libcurl's */
	bool head_told, paused, curl_paused, cancelled, finished, is_ready;
};

/* easy.c */
/* Sets every option of a fresh easy handle from `r`; what it points to lives in `a` or in `r`. ERR_VALUE
 * for a URL, method or header that cannot be sent. */
MUST err_t easy_prepare(CURL *easy, arena_t *a, const net_request_t *r);
bool method_is_repeatable(str_t method);
/* What must hold of any request: ERR_VALUE, ERR_LIMIT. */
MUST err_t request_check(const net_request_t *r);
/* Takes one line of a head; ERR_UPSTREAM for what is malformed. Interim (1xx) heads and trailers are
 * dropped; head->done is set by the blank line of the final head. */
MUST err_t response_head_line(net_response_head_t *head, str_t line);
/* Takes one header of a head; ERR_UPSTREAM. */
MUST err_t response_header(net_response_head_t *head, net_header_t h);
/* RFC 9112 6.3: a response with two lengths is not plainly one response. */
MUST err_t response_framing_check(const net_response_head_t *head);
static inline net_headers_t response_headers(const net_response_head_t *head)
{
	return (net_headers_t){ head->v, head->n };
}

/* call.c */
void call_ready(net_call_t *call);
/* Tells what there is to tell; frees the call when that was its end. */
void call_deliver(net_call_t *call);
void call_finished(net_call_t *call, CURLcode code);
/* The transfer is over. */
void call_end(net_call_t *call, err_t e);
/* The head is whole; body bytes: ERR_LIMIT when there are too many. */
void call_gather_head(net_call_t *call);
MUST err_t call_gather(net_call_t *call, str_t bytes);
/* Nothing more may be gathered for now. */
bool call_is_full(const net_call_t *call);
void call_sweep(net_call_t *call);

/* client.c */
/* Tells every call what it has; from turns of the loop only, never inside a net_ call. */
void client_deliver(net_client_t *c);
void client_socket_gone(net_client_t *c);
CURL *client_easy_take(net_client_t *c);
void client_easy_give(net_client_t *c, CURL *easy);
void client_call_add(net_client_t *c, net_call_t *call);
void client_call_remove(net_client_t *c, net_call_t *call);
/* Asks for client_deliver in a turn of its own. */
void client_wake(net_client_t *c);

#endif
