/* gateway.c: the door. In order: a page that may not be here, the documents for strangers, the route, who
 * asks; then call.c or mcp.c takes the request over. */
#include <signal.h>

#include "service/gateway/call.h"
#include "service/gateway/mcp.h"
#include "service/gateway/mcp_http.h"
#include "service/gateway/stdio.h"

static const str_t routes_at = STR_INIT("/r/");

/* --- the door, for somebody unknown -------------------------------------------------------------------- */

/* Somebody unknown is told no and counted, one by one never recorded (DESIGN 11). */
static void stranger_refuse(gateway_t *g, net_exchange_t *x, err_t e)
{
	admit_refused(g->deps.admit, "gateway", e);
	net_reply_error(x, e);
}

/* "/r/NAME" and what follows it: nothing on an MCP route, a path on an HTTP one. */
static err_t route_find(visit_t *v, str_t path, str_t target)
{
	str_t rest = str_sub(path, routes_at.n, path.n);
	size_t n = str_find(rest, '/');

	v->route = snapshot_route(v->view->snapshot, str_sub(rest, 0, n));
	ENSURE(v->route, ERR_NOT_FOUND);
	v->target = str_sub(target, routes_at.n + n, target.n);
	if (visit_is_mcp(v)) {
		ENSURE(v->target.n == 0, ERR_NOT_FOUND); /* no query either: no token travels in one (G18) */
		return OK;
	}
	ENSURE(v->target.n && v->target.p[0] == '/', ERR_NOT_FOUND);
	return OK;
}

/* Path tricks, and a token where logs would show it, before anything is verified. */
static err_t target_check(const visit_t *v)
{
	size_t q = str_find(v->target, '?');
	str_t query = str_sub(v->target, q, v->target.n);

	if (visit_is_mcp(v)) {
		return OK;
	}
	TRY(delegation_target_check(v->target));
	ENSURE(!str_starts(query, STR("?access_token=")) && !str_contains(query, STR("&access_token=")), ERR_VALUE);
	return OK;
}

static bool is_known(err_t e)
{
	return e == ERR_GRANT_REVOKED || e == ERR_AGENT_STATE; /* token and proof stood */
}

/* Refuses before a flow began: counted. With a route its challenge goes along. */
static void visit_turn_away(visit_t *v, err_t e)
{
	log_kv(LVL_INFO, "gateway.refused", kv_err("why", e), kv_c("detail", v->why.text));
	if (v->route) {
		admit_refused(v->g->deps.admit, "gateway", e);
		visit_refuse(v, e);
	} else {
		stranger_refuse(v->g, v->x, e);
	}
	visit_free(v);
}

static void visit_begin_work(visit_t *v)
{
	if (visit_is_mcp(v)) {
		mcp_handle(v);
	} else {
		call_start(v);
	}
}

static void route_handle(gateway_t *g, net_exchange_t *x, str_t origin)
{
	visit_t *v = g->closing || !feed_client_fresh(g->deps.feed) ? NULL : visit_new(g, x);

	if (!v) {
		stranger_refuse(g, x, ERR_UNAVAILABLE); /* without the authority nothing is decided (P60) */
		return;
	}
	v->origin = origin;
	err_t e = route_find(v, net_path(x), net_target(x));
	if (e == OK) {
		e = target_check(v);
	}
	if (e == OK) {
		e = visit_authenticate(v);
	}
	v->denied = is_known(e) ? e : OK;
	if (e != OK && !is_known(e)) {
		visit_turn_away(v, e);
		return;
	}
	visit_begin_work(v);
}

void gateway_handle(gateway_t *g, net_exchange_t *x)
{
	str_t origin = STR_NULL;

	err_t e = origin_check(g, x, &origin);
	if (e != OK) {
		stranger_refuse(g, x, e);
		return;
	}
	if (origin_is_preflight(x)) {
		origin_preflight(x, origin);
		return;
	}
	if (str_starts(net_path(x), STR("/.well-known/oauth-protected-resource"))) {
		metadata_handle(g, x, origin);
		return;
	}
	if (!str_starts(net_path(x), routes_at)) {
		stranger_refuse(g, x, ERR_NOT_FOUND);
		return;
	}
	route_handle(g, x, origin);
}

/* --- the feed's news ------------------------------------------------------------------------------------ */

void gateway_grant_revoked(gateway_t *g, str_t grant)
{
	for (call_t *c = g->calls; c; c = c->next) {
		if (str_eq(c->v->who.claims.grant, grant)) {
			flow_cancel(g->deps.loop, c->id, ERR_GRANT_REVOKED);
		}
	}
}

void gateway_view_changed(gateway_t *g)
{
	const feed_view_t *view = feed_client_pin(g->deps.feed);

	if (view && !g->closing) {
		stdio_follow(g, view);
	}
	feed_view_unref(view);
}

/* --- life -------------------------------------------------------------------------------------------------- */

static err_t urls_read(gateway_t *g)
{
	url_t u;

	TRY(url_parse(g->a, g->deps.url, 0, &u));
	ENSURE(url_is_secure(&u) && u.path.n == 0 && !u.query.p, ERR_CONFIG);
	g->origin = url_origin(g->a, &u);
	g->host = str_sub(g->origin, u.scheme.n + 3, g->origin.n);
	g->via = arena_cat(g->a, STR("spiffe://"), g->deps.trust_domain, STR("/attorn/gateway/1"));
	return OK;
}

err_t gateway_new(const gateway_deps_t *deps, gateway_t **out)
{
	gateway_t *g = heap_new(gateway_t);

	g->deps = *deps;
	g->a = arena_open();
	err_t e = urls_read(g);
	if (e != OK) {
		arena_free(g->a);
		heap_free(g);
		return e;
	}
	signal(SIGPIPE, SIG_IGN); /* a child that closed its stdin must not end us */
	g->tokens = snapshot_tokens_new();
	g->proofs = proofs_new(GATEWAY_PROOF_WINDOW_S + JOSE_FUTURE_S + 1, GATEWAY_PROOFS_MAX);
	g->sessions = mcp_sessions_new();
	*out = g;
	return OK;
}

static void gateway_free(gateway_t *g)
{
	proofs_free(g->proofs);
	snapshot_tokens_free(g->tokens);
	mcp_sessions_free(g->sessions);
	arena_free(g->a);
	heap_free(g);
}

static void gateway_gone(void *arg)
{
	gateway_t *g = arg;
	void (*closed)(void *owner) = g->closed;
	void *owner = g->closed_owner;

	gateway_free(g);
	if (closed) {
		closed(owner);
	}
}

/* The last outcomes get a moment to be taken; what is not, the authority closes as unknown. */
static void last_words(void *arg)
{
	gateway_t *g = arg;

	if (admit_client_waiting(g->deps.admit) && g->last_words_waits++ < GATEWAY_LAST_WORDS_WAITS) {
		loop_timer_start(g->deps.loop, &g->last_words, GATEWAY_LAST_WORDS_MS, last_words, g);
		return;
	}
	loop_post(g->deps.loop, gateway_gone, g);
}

void gateway_closed_check(gateway_t *g)
{
	if (g->closing && !g->calls && !g->n_talks && !g->stdio && !g->is_gone) {
		g->is_gone = true;
		last_words(g);
	}
}

void gateway_close(gateway_t *g, void (*done)(void *owner), void *owner)
{
	CHECK(!g->closing);
	g->closing = true;
	g->closed = done;
	g->closed_owner = owner;
	for (call_t *c = g->calls; c; c = c->next) {
		flow_cancel(g->deps.loop, c->id, ERR_CANCELLED);
	}
	stdio_close(g);
	gateway_closed_check(g);
}
