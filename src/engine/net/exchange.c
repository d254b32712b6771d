/* exchange.c: the request as its handler sees it, and what the handler is told while it works. */
#include "engine/net/server_int.h"

net_exchange_t *exchange_new(conn_t *c)
{
	net_exchange_t *x = heap_new(net_exchange_t);

	x->conn = c;
	x->loop = c->server->loop;
	x->peer = c->peer;
	tls_peer_hold(x->peer.tls);
	net_parser_take(&c->parser, &x->m);
	x->keep_open = x->m.keep_alive;
	return x;
}

str_t net_method(const net_exchange_t *x)
{
	return x->m.method;
}

str_t net_target(const net_exchange_t *x)
{
	return x->m.target;
}

str_t net_path(const net_exchange_t *x)
{
	return x->m.path;
}

str_t net_query(const net_exchange_t *x)
{
	return x->m.query;
}

str_t net_host(const net_exchange_t *x)
{
	return x->m.host;
}

net_headers_t net_request_headers(const net_exchange_t *x)
{
	return (net_headers_t){ x->m.headers, x->m.n_headers };
}

err_t net_header(const net_exchange_t *x, str_t name, str_t *out_value)
{
	return net_headers_get(net_request_headers(x), name, out_value);
}

str_t net_body(const net_exchange_t *x)
{
	return x->m.body;
}

const net_peer_t *net_peer(const net_exchange_t *x)
{
	return &x->peer;
}

static void exchange_free(net_exchange_t *x)
{
	net_message_done(&x->m);
	tls_peer_free(x->peer.tls);
	wipe(x, sizeof(*x));
	heap_free(x);
}

/* What there is to tell, from a turn of its own (rule 20). Each callback may end the exchange, so its
 * memory goes only after both. */
static void notice(void *arg)
{
	net_exchange_t *x = arg;
	void (*lost)(net_exchange_t *, void *) = x->on_lost;

	x->in_notice = true;
	if (!x->ended && x->lost && lost) {
		x->on_lost = NULL;
		lost(x, x->lost_owner);
	}
	void (*drained)(net_exchange_t *, void *) = x->on_drained;
	bool room = x->lost || net_reply_pending_bytes(x) <= NET_REPLY_HIGH_BYTES / 2;
	if (!x->ended && drained && room) {
		x->on_drained = NULL;
		drained(x, x->drained_owner);
	}
	x->in_notice = false;
	if (x->ended && !x->posted.waiting) {
		exchange_free(x);
	}
}

static void notice_post(net_exchange_t *x)
{
	if (!x->posted.waiting && !x->ended) {
		loop_post_own(x->loop, &x->posted, notice, x);
	}
}

void exchange_end(net_exchange_t *x)
{
	CHECK(!x->ended);
	x->ended = true;
	if (!x->posted.waiting && !x->in_notice) {
		exchange_free(x);
	}
}

void exchange_mark_lost(net_exchange_t *x)
{
	if (!x->lost) {
		x->lost = true;
		notice_post(x);
	}
}

void exchange_check_drained(net_exchange_t *x)
{
	if (x->on_drained && net_reply_pending_bytes(x) <= NET_REPLY_HIGH_BYTES / 2) {
		notice_post(x);
	}
}

void net_on_lost(net_exchange_t *x, void (*lost)(net_exchange_t *x, void *owner), void *owner)
{
	x->on_lost = lost;
	x->lost_owner = owner;
	if (lost && x->lost) {
		notice_post(x);
	}
}

void net_reply_on_drained(net_exchange_t *x, void (*drained)(net_exchange_t *x, void *owner), void *owner)
{
	x->on_drained = drained;
	x->drained_owner = owner;
	if (drained && x->lost) {
		notice_post(x);
		return;
	}
	exchange_check_drained(x);
}

bool net_is_lost(const net_exchange_t *x)
{
	return x->lost;
}
