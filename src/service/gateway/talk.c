/* talk.c: one MCP message that is no call, told in order. */
#include "service/gateway/call.h"
#include "service/gateway/mcp.h"
#include "service/gateway/mcp_http.h"
#include "service/gateway/talk.h"

static err_t talk_parse(flow_t *f); /* the token opens sessions, the method exists, the session is theirs */
static err_t talk_decide(flow_t *f); /* pure: the operator's rules for lists */
static err_t talk_admit(flow_t *f); /* waits, if upstream wants a credential: only admit releases it */
static err_t talk_told(flow_t *f); /* waits, if the rules changed meanwhile */
static err_t talk_renew(flow_t *f);
static err_t talk_ask(flow_t *f); /* waits: upstream */
static err_t talk_read(flow_t *f); /* what of its answer this caller may see; waits for a lost session */
static err_t talk_revive(flow_t *f); /* waits: the second half of making it anew */
static err_t talk_again(flow_t *f);
static err_t talk_outcome(flow_t *f); /* of what was admitted */
static err_t talk_record(flow_t *f); /* waits: a refusal of somebody known is on record first */
static err_t talk_answer(flow_t *f);

static const flow_step_t talk_steps[] = {
	{ "parse", talk_parse },
	{ "decide", talk_decide },
	{ "admit", talk_admit },
	{ "told", talk_told },
	{ "renew", talk_renew },
	{ "ask", talk_ask },
	{ "read", talk_read },
	{ "revive", talk_revive },
	{ "again", talk_again },
	{ "outcome", talk_outcome, .sees_failure = true },
	{ "record", talk_record, .sees_failure = true },
	{ "answer", talk_answer, .sees_failure = true },
};

static void talk_finish(flow_t *f, err_t result);

static const flow_table_t talk_table = FLOW_TABLE("talk", talk_steps, talk_finish);

static err_t talk_parse(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;

	flow_note(f, kv_s("agent", v->who.claims.client_id));
	flow_note(f, kv_s("route", arena_str(f->arena, v->route->name)));
	TRY(v->denied); /* found before the flow began */
	flow_note(f, kv_s("method", arena_str(f->arena, v->msg.method.n ? v->msg.method : v->method)));
	if (!t->verb) {
		t->verb = verb_of(&v->msg);
	}
	ENSURE(t->verb, ERR_NOT_BUILT);
	TRY(visit_may_open(v));
	TRY(mcp_version_check(v));
	return t->verb->needs_session ? mcp_session_find(v) : OK;
}

static err_t talk_decide(flow_t *f)
{
	talk_t *t = f->state;

	t->tries++;
	return t->verb->asks_rules ? rules_list(t->v) : OK;
}

static bool needs_credential(const talk_t *t)
{
	const snapshot_route_t *r = t->v->route;

	return r->kind == SNAPSHOT_MCP_HTTP && r->has_credential && t->verb->ask;
}

/* The record names the method and no action: a session message spends no use of the grant. */
static err_t talk_admit(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;

	if (!needs_credential(t)) {
		return flow_skip_to(f, "ask");
	}
	ENSURE(!admit_client_full(v->g->deps.admit), ERR_AUTHORITY_AWAY);
	t->ask = (admit_ask_t){
		.rid = v->rid,
		.has_once = !v->who.by_certificate, /* a connection's certificate leaves nothing to replay */
		.once_space = v->who.proof.jkt,
		.once_id = v->who.proof.jti,
		.once_until_s = v->who.proof.keep_until_unix_s + JOSE_FUTURE_S,
		.grant = v->who.claims.grant.n ? v->who.claims.grant : STR_NULL,
		.fence = v->view->version,
		.route = arena_str(v->a, v->route->name),
		.deadline_ms = v->now_us / 1000 + GATEWAY_SESSION_TIMEOUT_MS + GATEWAY_OVERTIME_MS,
	};
	TRY(record_write(v, STR_NULL, &t->ask.record));
	t->asking = admit_ask(v->a, v->g->deps.admit, &t->ask, &t->told);
	return flow_wait(f, t->asking);
}

static err_t talk_told(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;

	if (t->told.admitted) {
		v->credential = (net_header_t){ t->told.credential_header, t->told.credential_value };
		return flow_skip_to(f, "ask");
	}
	if (t->told.code == ERR_FENCE && t->tries < GATEWAY_TRIES_MAX) {
		return flow_wait(f, feed_client_await(v->a, v->g->deps.feed, v->view->version));
	}
	return t->told.code == ERR_FENCE ? ERR_UNAVAILABLE : t->told.code;
}

static err_t talk_renew(flow_t *f)
{
	talk_t *t = f->state;

	t->told = (admit_told_t){ 0 };
	t->asking = NULL;
	TRY(visit_renew(t->v));
	return flow_skip_to(f, "decide");
}

static err_t talk_ask(flow_t *f)
{
	talk_t *t = f->state;
	op_t *op = NULL;

	if (!t->verb->ask) {
		return OK;
	}
	TRY(t->verb->ask(t, &op));
	t->asked = op != NULL;
	return op ? flow_wait(f, op) : OK;
}

static bool may_revive(const talk_t *t)
{
	const visit_t *v = t->v;

	return t->asked_http && !t->revived && v->has_session && v->session.upstream_sid.n && call_is_alone(v)
		&& t->verb != &verb_delete;
}

static err_t talk_read(flow_t *f)
{
	talk_t *t = f->state;
	op_t *op;

	err_t e = t->verb->read(t);
	if (e != ERR_SESSION || !may_revive(t)) {
		TRY(e);
		return flow_skip_to(f, "outcome");
	}
	t->revived = true;
	TRY(mcp_http_revive(t->v, &t->response, &op));
	return flow_wait(f, op);
}

static err_t talk_revive(flow_t *f)
{
	talk_t *t = f->state;
	op_t *op;

	TRY(mcp_http_revived(t->v, &t->response, &op));
	return flow_wait(f, op);
}

static err_t talk_again(flow_t *f)
{
	return flow_skip_to(f, "ask");
}

static err_t talk_outcome(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;
	err_t failure = flow_result(f);
	bool is_attempt = t->asking && (t->told.admitted || t->told.code == OK);
	admit_status_t status = failure == OK ? ADMIT_SUCCESS : t->asked ? ADMIT_ERROR : ADMIT_NOT_EXECUTED;
	str_t code = failure == OK ? STR_NULL : str_of(err_info(failure)->name);
	uint64_t ms = (loop_unix_us(f->loop) - (uint64_t)v->now_us) / 1000;

	if (!is_attempt) {
		return OK;
	}
	return admit_outcome(v->g->deps.admit, v->rid, status, code, STR_NULL, ms);
}

/* A refusal that was an authorisation, or bytes that were an attack on the parser (mcp.md 13.6). What the
 * authority refused it recorded; what upstream did not want is none of that. */
static bool is_ours_to_record(const talk_t *t, err_t e)
{
	const visit_t *v = t->v;
	err_class_t cls = err_info(e)->cls;
	bool is_no_message = v->msg.kind == 0 && str_eq(v->method, STR("POST"));

	if (t->asking || t->asked) {
		return false;
	}
	return cls == CLASS_DENIED || cls == CLASS_UNAUTHENTICATED || e == ERR_SESSION
		|| (is_no_message && (cls == CLASS_MALFORMED || cls == CLASS_LIMIT));
}

static err_t talk_record(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;
	err_t failure = flow_result(f);
	op_t *op;

	if (failure == OK || !is_ours_to_record(t, failure)) {
		return OK;
	}
	v->denied = failure;
	TRY(record_denial(v, &op));
	return flow_wait(f, op);
}

static void answer_write(talk_t *t)
{
	visit_t *v = t->v;
	bool is_list = t->verb->asks_rules && !t->session_id.n;
	net_header_t h[2];
	size_t n = 0;

	if (t->session_id.n) {
		h[n++] = (net_header_t){ STR("Mcp-Session-Id"), t->session_id };
	}
	if (is_list) {
		h[n++] = (net_header_t){ STR("Cache-Control"), STR("private, no-store") }; /* G3 */
	}
	if (t->answer.n) {
		visit_reply(v, 200, (net_headers_t){ h, n }, STR("application/json"), t->answer);
	} else {
		visit_reply(v, t->verb == &verb_delete ? 204 : 202, NET_NO_HEADERS, STR_NULL, STR_NULL);
	}
}

static err_t talk_answer(flow_t *f)
{
	talk_t *t = f->state;
	visit_t *v = t->v;
	err_t failure = flow_result(f);
	bool is_recorded = v->recording && op_result(v->recording) == OK;

	if (failure == OK) {
		answer_write(t);
	} else if (is_ours_to_record(t, failure) && !is_recorded) {
		visit_refuse(v, ERR_AUTHORITY_AWAY);
	} else {
		visit_refuse(v, failure);
	}
	return OK;
}

static void talk_finish(flow_t *f, err_t result)
{
	talk_t *t = f->state;
	gateway_t *g = t->v->g;

	if (!t->v->answered) {
		visit_refuse(t->v, result == OK ? ERR_INTERNAL : result);
	}
	visit_done(t->v);
	g->n_talks--;
	gateway_closed_check(g);
}

void talk_start(visit_t *v, const verb_t *verb)
{
	talk_t *t = arena_new(v->a, talk_t);
	flow_id_t id;

	t->v = v;
	t->verb = verb;
	err_t e = flow_start(v->g->deps.loop, &talk_table, v->a, t,
		loop_in_ms(v->g->deps.loop, GATEWAY_SESSION_TIMEOUT_MS), &id);
	if (e != OK) {
		visit_refuse(v, e);
		visit_free(v);
		return;
	}
	v->g->n_talks++;
}
