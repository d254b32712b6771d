/* detached.c: an exchange without a connection. */
#include "engine/net/detached.h"

#include "engine/net/server_int.h"

struct net_detached {
	net_answered_fn answered;
	void *owner;
	arena_t *arena; /* of a streamed reply's head */
	int status;
	net_headers_t headers;
	buf_t body;
};

err_t net_detached_new(loop_t *loop, str_t bytes, net_answered_fn answered, void *owner,
	net_exchange_t **out_x)
{
	net_parser_t p;
	size_t used;

	net_parser_init(&p, NET_HEAD_BYTES_DEFAULT, NET_BODY_BYTES_DEFAULT);
	if (net_parser_feed(&p, bytes, &used) != NET_PARSER_REQUEST || used != bytes.n) {
		net_parser_done(&p);
		return ERR_HTTP;
	}
	net_exchange_t *x = heap_new(net_exchange_t);
	x->loop = loop;
	x->peer = (net_peer_t){ .uid = (uid_t)-1, .gid = (gid_t)-1, .address = "127.0.0.1" };
	net_parser_take(&p, &x->m);
	net_parser_done(&p);
	x->detached = heap_new(net_detached_t);
	x->detached->answered = answered;
	x->detached->owner = owner;
	x->detached->arena = arena_open();
	buf_init(&x->detached->body, NET_REPLY_BODY_BYTES_MAX);
	*out_x = x;
	return OK;
}

void net_detached_lose(net_exchange_t *x)
{
	CHECK(x->detached);
	exchange_mark_lost(x);
}

void detached_begin(net_detached_t *d, int status, net_headers_t h)
{
	net_header_t *v = arena_array(d->arena, net_header_t, h.n);

	for (size_t i = 0; i < h.n; i++) {
		v[i] = (net_header_t){ arena_str(d->arena, h.v[i].name), arena_str(d->arena, h.v[i].value) };
	}
	d->status = status;
	d->headers = (net_headers_t){ v, h.n };
}

void detached_chunk(net_detached_t *d, str_t bytes)
{
	buf_add(&d->body, bytes);
}

void detached_end(net_detached_t *d, bool cut)
{
	d->answered(cut ? 0 : d->status, d->headers, buf_str(&d->body), d->owner);
	arena_free(d->arena);
	buf_wipe(&d->body);
	heap_free(d);
}
