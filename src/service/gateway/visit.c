/* visit.c: a request's own memory and its view. */
#include "pure/crypto/crypto.h"
#include "service/gateway/visit.h"

static str_t rid_make(arena_t *a, loop_t *loop, int64_t now_us)
{
	uint8_t random[ULID_RANDOM_BYTES];

	loop_random(loop, random, sizeof(random));
	return ulid_make(a, now_us / 1000, random);
}

visit_t *visit_new(gateway_t *g, net_exchange_t *x)
{
	const feed_view_t *view = feed_client_pin(g->deps.feed);
	arena_t *a;

	if (!view) {
		return NULL;
	}
	a = arena_new_capped(GATEWAY_ARENA_BYTES_MAX);
	visit_t *v = arena_new(a, visit_t);
	v->g = g;
	v->x = x;
	v->a = a;
	v->view = view;
	v->now_us = (int64_t)loop_unix_us(g->deps.loop);
	v->rid = rid_make(a, g->deps.loop, v->now_us);
	if (x) {
		v->method = net_method(x);
		v->headers = net_request_headers(x);
		v->body = net_body(x);
	}
	return v;
}

void visit_done(visit_t *v)
{
	feed_view_unref(v->view);
	v->view = NULL;
	v->route = NULL;
}

void visit_free(visit_t *v)
{
	visit_done(v);
	arena_free(v->a);
}

err_t visit_renew(visit_t *v)
{
	const feed_view_t *view = feed_client_pin(v->g->deps.feed);
	const snapshot_route_t *route = view ? snapshot_route(view->snapshot, v->route->name) : NULL;

	if (!route || route->kind != v->route->kind || !str_eq(route->url, v->route->url)) {
		feed_view_unref(view);
		return ERR_NOT_FOUND;
	}
	feed_view_unref(v->view);
	v->view = view;
	v->route = route;
	v->has_decision = false; /* its texts went with the old view */
	v->scope = STR_NULL;
	return visit_agent_stands(v); /* it or its key may have ended since */
}
