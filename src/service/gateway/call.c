/* service/gateway/call.c: one call through the gateway, told in order. Who asks is known (token.c). */
#include "service/gateway/call.h"
#include "service/gateway/mcp_http.h"

static err_t call_parse(flow_t *f); /* the real request -> action and digest, held against the token */
static err_t call_decide(flow_t *f); /* pure: the token's bounds, then the rules; a denial is an answer */
static err_t call_admit(flow_t *f); /* waits: the commit point; success brings the credential */
static err_t call_told(flow_t *f); /* waits, if the rules changed meanwhile: then decide again */
static err_t call_renew(flow_t *f); /* the newer rules */
static err_t call_forward(flow_t *f); /* waits: the bytes we judged go out, the answer streams */
static err_t call_judge(flow_t *f); /* what came of it; waits, if upstream lost the session: a new one */
static err_t call_revive(flow_t *f); /* waits: the second half of making it */
static err_t call_again(flow_t *f); /* the same bytes once more */
static err_t call_outcome(flow_t *f); /* what was admitted ends in an outcome (F9) */
static err_t call_record(flow_t *f); /* waits: a denial on record before its answer */
static err_t call_answer(flow_t *f); /* what the client hears last */

static const flow_step_t call_steps[] = {
	{ "parse", call_parse },
	{ "decide", call_decide },
	{ "admit", call_admit },
	{ "told", call_told },
	{ "renew", call_renew },
	{ "forward", call_forward },
	{ "judge", call_judge },
	{ "revive", call_revive },
	{ "again", call_again },
	{ "outcome", call_outcome, .sees_failure = true },
	{ "record", call_record, .sees_failure = true },
	{ "answer", call_answer, .sees_failure = true },
};

static void call_finish(flow_t *f, err_t result);

static const flow_table_t call_table = FLOW_TABLE("call", call_steps, call_finish);

static const upstream_t *const upstreams[] = {
	[SNAPSHOT_MCP_STDIO] = &upstream_stdio,
	[SNAPSHOT_MCP_HTTP] = &upstream_mcp_http,
	[SNAPSHOT_HTTP] = &upstream_http,
};

/* A denial is an answer and no failure: it goes on record and then out. */
static err_t call_deny(flow_t *f, err_t e)
{
	call_t *c = f->state;

	c->v->denied = e;
	return flow_skip_to(f, "record");
}

/* Large arguments take milliseconds to read, hash and hold against bounds: not on the loop (F2). Either
 * way the next row takes up c->verdict. */
static err_t call_work(flow_t *f, err_t (*work)(void *call))
{
	call_t *c = f->state;

	if (c->v->body.n <= GATEWAY_INLINE_BYTES_MAX) {
		return work(c);
	}
	return flow_wait(f, lane_op(f->arena, c->v->g->deps.cpu, work, c));
}

static size_t calls_on_route(const gateway_t *g, str_t route)
{
	size_t n = 0;

	for (const call_t *c = g->calls; c; c = c->next) {
		n += str_eq(c->v->route->name, route);
	}
	return n;
}

static err_t parse(void *call)
{
	call_t *c = call;

	c->verdict = rules_action(c->v);
	if (c->verdict == OK) {
		c->verdict = visit_once(c->v, &c->ask);
	}
	return OK;
}

static err_t call_parse(flow_t *f)
{
	call_t *c = f->state;
	visit_t *v = c->v;

	flow_note(f, kv_s("rid", v->rid));
	flow_note(f, kv_s("agent", v->who.claims.client_id));
	flow_note(f, kv_s("route", arena_str(f->arena, v->route->name)));
	if (v->denied != OK) { /* the door's word: somebody known, whose grant or agent has ended */
		return call_deny(f, v->denied);
	}
	if (calls_on_route(v->g, v->route->name) > v->route->concurrent) {
		return call_deny(f, ERR_THROTTLED);
	}
	return call_work(f, parse);
}

static err_t decide(void *call)
{
	call_t *c = call;

	c->verdict = rules_call(c->v);
	return OK;
}

static err_t call_decide(flow_t *f)
{
	call_t *c = f->state;

	if (c->verdict != OK) {
		return call_deny(f, c->verdict);
	}
	c->tries++;
	return call_work(f, decide);
}

static err_t call_admit(flow_t *f)
{
	call_t *c = f->state;
	visit_t *v = c->v;
	uint64_t left_us = f->deadline_us - loop_mono_us(f->loop);

	if (c->verdict != OK) {
		return call_deny(f, c->verdict);
	}
	CHECK(v->has_decision && v->decision.verdict == POLICY_PERMIT && c->ask.has_once);
	ENSURE(!admit_client_full(v->g->deps.admit), ERR_AUTHORITY_AWAY);
	c->ask.rid = v->rid;
	c->ask.grant = v->who.claims.grant.n ? v->who.claims.grant : STR_NULL;
	c->ask.fence = v->view->version;
	c->ask.route = arena_str(v->a, v->route->name);
	c->ask.deadline_ms = (int64_t)((loop_unix_us(f->loop) + left_us) / 1000) + GATEWAY_OVERTIME_MS;
	TRY(record_write(v, STR_NULL, &c->ask.record));
	POINT("gateway.call.before_admit");
	c->asking = admit_ask(v->a, v->g->deps.admit, &c->ask, &c->told);
	return flow_wait(f, c->asking);
}

static err_t call_told(flow_t *f)
{
	call_t *c = f->state;
	visit_t *v = c->v;

	if (c->told.admitted) {
		POINT("gateway.call.admitted");
		v->credential = (net_header_t){ c->told.credential_header, c->told.credential_value };
		return flow_skip_to(f, "forward");
	}
	if (c->told.code == ERR_FENCE && c->tries < GATEWAY_TRIES_MAX) {
		return flow_wait(f, feed_client_await(v->a, v->g->deps.feed, v->view->version));
	}
	if (c->told.code == ERR_FENCE) { /* nothing spent, nothing recorded: the client may try again */
		return ERR_UNAVAILABLE;
	}
	v->denied = c->told.code; /* on record by the authority */
	return flow_skip_to(f, "answer");
}

static err_t call_renew(flow_t *f)
{
	call_t *c = f->state;

	c->told = (admit_told_t){ 0 };
	c->asking = NULL;
	err_t e = visit_renew(c->v);
	return e == OK ? flow_skip_to(f, "decide") : call_deny(f, e);
}

static err_t call_forward(flow_t *f)
{
	call_t *c = f->state;
	op_t *op;

	CHECK(c->told.admitted); /* F9 */
	crypto_sha256_start(&c->hash);
	TRY(c->up->forward(c, &op));
	c->forwarded = true;
	c->forwarded_us = loop_mono_us(f->loop);
	return flow_wait(f, op);
}

/* G12: upstream that does not know the session has done nothing; one silent new session, no more. */
static err_t call_judge(flow_t *f)
{
	call_t *c = f->state;
	op_t *op;

	c->answered_upstream = true;
	POINT("gateway.call.forwarded");
	err_t e = c->up->judge(c);
	if (e != ERR_SESSION || c->revived) {
		TRY(e);
		return flow_skip_to(f, "outcome");
	}
	c->revived = true;
	TRY(mcp_http_revive(c->v, &c->revival, &op));
	return flow_wait(f, op);
}

static err_t call_revive(flow_t *f)
{
	call_t *c = f->state;
	op_t *op;

	TRY(mcp_http_revived(c->v, &c->revival, &op));
	return flow_wait(f, op);
}

static err_t call_again(flow_t *f)
{
	call_t *c = f->state;

	c->answered_upstream = false;
	c->pump = (net_pump_result_t){ 0 };
	return flow_skip_to(f, "forward");
}

bool call_thins_progress(call_t *c)
{
	uint64_t now_s = loop_mono_us(c->v->g->deps.loop) / 1000000;

	if (now_s != c->progress_s) {
		c->progress_s = now_s;
		c->progress_n = 0;
	}
	return c->progress_n++ >= GATEWAY_PROGRESS_PER_S;
}

void call_verdict(call_t *c, message_verdict_t verdict)
{
	c->status = verdict.is_error ? ADMIT_ERROR : ADMIT_SUCCESS;
	if (verdict.has_code) {
		c->code = arena_printf(c->v->a, "rpc_%lld", (long long)verdict.code);
	} else if (verdict.is_error) {
		c->code = STR("tool_error");
	}
}

/* Nobody can tell what a call did that was cut in mid-flight. */
static admit_status_t status_of_failure(const call_t *c, err_t e)
{
	if (!c->told.admitted || !c->forwarded) {
		return ADMIT_NOT_EXECUTED;
	}
	if (e == ERR_TIMEOUT) {
		return ADMIT_TIMEOUT;
	}
	return c->answered_upstream ? ADMIT_ERROR : ADMIT_UNKNOWN;
}

static str_t answer_digest(call_t *c)
{
	uint8_t digest[CRYPTO_SHA256_BYTES];

	if (!c->answered_upstream) {
		return STR_NULL;
	}
	crypto_sha256_end(&c->hash, digest);
	return delegation_digest_text(c->v->a, digest);
}

/* An attempt exists, or may exist: the answer to the question was lost. */
static bool is_attempt(const call_t *c)
{
	return c->asking && (c->told.admitted || c->told.code == OK);
}

static err_t call_outcome(flow_t *f)
{
	call_t *c = f->state;
	err_t failure = flow_result(f);
	uint64_t us = c->forwarded ? loop_mono_us(f->loop) - c->forwarded_us : 0;

	if (!is_attempt(c)) {
		return OK;
	}
	if (failure != OK) {
		c->status = status_of_failure(c, failure);
		c->code = str_of(err_info(failure)->name);
	}
	if (failure != OK && c->forwarded && c->up->cut) {
		c->up->cut(c);
	}
	return admit_outcome(c->v->g->deps.admit, c->v->rid, c->status, c->code, answer_digest(c), us / 1000);
}

/* Revoked or cancelled before anything was asked: that too is a denial. */
static bool ended_unasked(const call_t *c, err_t failure)
{
	return failure != OK && !c->asking && err_info(failure)->cls == CLASS_DENIED;
}

static err_t call_record(flow_t *f)
{
	call_t *c = f->state;
	visit_t *v = c->v;
	op_t *op;

	if (v->denied == OK && ended_unasked(c, flow_result(f))) {
		v->denied = flow_result(f);
	}
	if (v->denied == OK) {
		return OK;
	}
	TRY(record_denial(v, &op));
	return flow_wait(f, op);
}

/* By the authority, which said no, or by our own word that it took. */
static bool is_recorded(const call_t *c)
{
	const visit_t *v = c->v;

	return c->told.code == v->denied || (v->recording && op_result(v->recording) == OK);
}

/* An answer that was too much for us is upstream's fault, not the client's; and when time ran out before
 * anything was admitted, it was the authority that did not answer. */
static err_t failure_told(const call_t *c, err_t failure)
{
	if (failure == ERR_TIMEOUT && c->asking && !c->told.admitted) {
		return ERR_AUTHORITY_AWAY;
	}
	return c->forwarded && failure == ERR_LIMIT ? ERR_UPSTREAM : failure;
}

static err_t call_answer(flow_t *f)
{
	call_t *c = f->state;
	visit_t *v = c->v;

	POINT("gateway.call.before_answer");
	if (c->withdrawn) {
		visit_say_nothing(v);
	} else if (v->denied != OK && !is_recorded(c)) {
		visit_refuse(v, ERR_AUTHORITY_AWAY); /* a denial that is not on record is not told */
	} else if (v->denied != OK) {
		flow_note(f, kv_err("denied", v->denied));
		visit_refuse(v, v->denied);
	} else if (flow_result(f) != OK) {
		visit_refuse(v, failure_told(c, flow_result(f)));
	} else {
		c->up->answer(c);
	}
	return OK;
}

/* F6: whatever happened, the client hears something, once. */
static void call_finish(flow_t *f, err_t result)
{
	call_t *c = f->state;
	visit_t *v = c->v;
	gateway_t *g = v->g;

	if (!v->answered || v->streaming) {
		visit_refuse(v, result == OK ? ERR_INTERNAL : result);
	}
	if (c->prev) {
		c->prev->next = c->next;
	} else {
		g->calls = c->next;
	}
	if (c->next) {
		c->next->prev = c->prev;
	}
	g->n_calls--;
	visit_done(v);
	gateway_closed_check(g);
}

static void call_link(call_t *c)
{
	gateway_t *g = c->v->g;

	c->next = g->calls;
	if (c->next) {
		c->next->prev = c;
	}
	g->calls = c;
	g->n_calls++;
}

flow_id_t call_start_id(visit_t *v)
{
	gateway_t *g = v->g;
	call_t *c = arena_new(v->a, call_t);
	uint64_t deadline_us = loop_in_ms(g->deps.loop, v->route->timeout_ms);

	c->v = v;
	c->up = upstreams[v->route->kind];
	c->status = ADMIT_UNKNOWN;
	err_t e = g->n_calls < GATEWAY_CALLS_MAX ? OK : ERR_LANE_FULL;
	if (e == OK) {
		e = flow_start(g->deps.loop, &call_table, v->a, c, deadline_us, &c->id);
	}
	if (e != OK) {
		visit_refuse(v, e);
		visit_free(v);
		return 0;
	}
	call_link(c);
	return c->id;
}

void call_start(visit_t *v)
{
	(void)call_start_id(v);
}

bool call_is_alone(const visit_t *v)
{
	for (const call_t *o = v->g->calls; o; o = o->next) {
		if (o->v != v && o->forwarded && o->v->has_session && str_eq(o->v->session.id, v->session.id)) {
			return false;
		}
	}
	return true;
}

bool call_cancel(gateway_t *g, str_t session_id, str_t request_id)
{
	for (call_t *c = g->calls; c; c = c->next) {
		const visit_t *v = c->v;
		if (v->has_session && str_eq(v->session.id, session_id) && message_id_eq(v->msg.id, request_id)) {
			c->withdrawn = true;
			return flow_cancel(g->deps.loop, c->id, ERR_CANCELLED);
		}
	}
	return false;
}
