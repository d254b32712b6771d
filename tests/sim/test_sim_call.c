/* The gateway's flow `call` in the simulated world: real steps, rules, records and answers; the authority,
 * the upstreams and the feed are stand-ins at the wire (link-time --wrap, see meson.build). Many seeds with
 * faults, lost answers, cancels, changing rules and a revoke. `--seed N` or ATTORN_SEED=N replays one.
 *
 * What must hold, seen from the far side of the wire:
 *   nothing reaches an upstream without an attempt that the authority admitted, with its credential, once;
 *   every attempt gets exactly one outcome, and not_executed only if nothing was forwarded;
 *   a denial is told only when it is on record; every client hears exactly one answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "engine/flow/sim.h"
#include "service/gateway/call.h"
#include "service/gateway/mcp_http.h"

enum { CALLS = 8, SEEDS = 600, RIDS = CALLS };

/* One call as the far side knows it. */
typedef struct {
	str_t rid; /* set when its flow starts */
	char rid_text[ULID_BYTES];
	flow_id_t flow;
	bool attempt, denied_there, recorded, done;
	unsigned forwards, outcomes;
	admit_status_t outcome;
	int said;
	err_t denied;
} fate_t;

typedef struct {
	sim_t *sim;
	gateway_t g;
	uint64_t rules, feed_at; /* version that the authority has, and that the feed brought */
	bool revoked;
	unsigned uses;
	fate_t fates[CALLS];
	char spent[CALLS * 2][64];
	size_t n_spent;
	lane_t *cpu;
	loop_timer_t bump, news, revoke, revoke_news, starts[CALLS];
	unsigned violations, admitted, denials, executed;
} world_t;

static world_t *world; /* the wrapped functions have no owner to ask */
static uint64_t seed_first, seed_count;
static policy_bundle_t *bundle;
static arena_t *items_arena;
static const delegation_item_t *items;
static size_t n_items;
static mcp_sessions_t *sessions;
static snapshot_t snapshots[64];
static feed_view_t views[64];

#define GRANT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define URL_HTTP "http://127.0.0.1:1/r/desk"
#define URL_MCP "http://127.0.0.1:1/r/files"
#define URL_STDIO "http://127.0.0.1:1/r/child"
static const str_t agent_id = STR_INIT("spiffe://example.test/agent/a");
static const str_t user_id = STR_INIT("u:6f1c1d3e-0d3a-4c55-9d6c-0b1d9a7d3f10");

static void violate(const char *what)
{
	fprintf(stderr, "# violation: %s\n", what);
	world->violations++;
}

static fate_t *fate_of(str_t rid)
{
	for (size_t i = 0; i < CALLS; i++) {
		if (str_eq(world->fates[i].rid, rid)) {
			return &world->fates[i];
		}
	}
	CHECK(!"a call nobody made");
	return NULL;
}

/* --- the feed ------------------------------------------------------------------------------------------- */

const feed_view_t *__wrap_feed_client_pin(feed_client_t *c);
const feed_view_t *__wrap_feed_client_pin(feed_client_t *c)
{
	return &views[world->feed_at];
}

void __wrap_feed_view_unref(const feed_view_t *v);
void __wrap_feed_view_unref(const feed_view_t *v)
{
}

static err_t feed_brings(void *arg)
{
	world->feed_at = world->rules;
	return OK;
}

op_t *__wrap_feed_client_await(arena_t *a, feed_client_t *c, uint64_t version);
op_t *__wrap_feed_client_await(arena_t *a, feed_client_t *c, uint64_t version)
{
	return sim_exchange(a, "feed.await", feed_brings, NULL);
}

/* --- the authority --------------------------------------------------------------------------------------- */

typedef struct {
	admit_ask_t ask;
	admit_told_t *told;
} asking_t;

static bool spend(str_t id)
{
	for (size_t i = 0; i < world->n_spent; i++) {
		if (str_eq(str_of(world->spent[i]), id)) {
			return false;
		}
	}
	CHECK(world->n_spent < ARRAY_LEN(world->spent) && id.n < 64);
	memcpy(world->spent[world->n_spent++], id.p, id.n);
	return true;
}

static err_t authority_says(const admit_ask_t *q, fate_t *f)
{
	if (f->attempt) {
		return OK; /* the same rid again: the same answer */
	}
	ENSURE(q->fence == world->rules, ERR_FENCE);
	ENSURE(!world->revoked, ERR_GRANT_REVOKED);
	ENSURE(spend(q->once_id), ERR_REPLAY);
	ENSURE(world->uses > 0, ERR_GRANT_USES);
	world->uses--;
	f->attempt = true;
	world->admitted++;
	return OK;
}

static err_t authority_answers(void *arg)
{
	asking_t *k = arg;
	fate_t *f = fate_of(k->ask.rid);
	const json_t *record;
	AUTO(arena_free) arena_t *a = arena_open();

	if (json_parse_object(a, k->ask.record, &record, NULL) != OK || json_get(record, STR("code"))
		|| !json_is_str(json_pointer(record, STR("/policy/decision")), STR("permit"))) {
		violate("asked without a permit on record");
	}
	err_t e = authority_says(&k->ask, f);
	*k->told = (admit_told_t){ .admitted = e == OK, .code = e };
	if (e == OK) {
		k->told->credential_header = STR("X-Api-Key");
		k->told->credential_value = f->rid;
	}
	f->denied_there = e != OK && e != ERR_FENCE;
	f->recorded = f->recorded || f->denied_there;
	return OK;
}

op_t *__wrap_admit_ask(arena_t *a, admit_client_t *c, const admit_ask_t *ask, admit_told_t *out);
op_t *__wrap_admit_ask(arena_t *a, admit_client_t *c, const admit_ask_t *ask, admit_told_t *out)
{
	asking_t *k = arena_new(a, asking_t);

	*k = (asking_t){ *ask, out };
	return sim_exchange(a, "admit.ask", authority_answers, k);
}

static err_t authority_records(void *arg)
{
	fate_t *f = arg;

	if (f->attempt) {
		violate("a denial of what was admitted");
	}
	f->recorded = true;
	world->denials++;
	return OK;
}

op_t *__wrap_admit_decision(arena_t *a, admit_client_t *c, str_t rid, str_t record);
op_t *__wrap_admit_decision(arena_t *a, admit_client_t *c, str_t rid, str_t record)
{
	AUTO(arena_free) arena_t *scratch = arena_open();
	const json_t *root;

	if (json_parse_object(scratch, record, &root, NULL) != OK || !json_get(root, STR("code"))) {
		violate("a denial without its code");
	}
	return sim_exchange(a, "admit.decision", authority_records, fate_of(rid));
}

err_t __wrap_admit_outcome(admit_client_t *c, str_t rid, admit_status_t status, str_t code, str_t digest,
	uint64_t ms);
err_t __wrap_admit_outcome(admit_client_t *c, str_t rid, admit_status_t status, str_t code, str_t digest,
	uint64_t ms)
{
	fate_t *f = fate_of(rid);

	f->outcomes++;
	f->outcome = status;
	return OK;
}

bool __wrap_admit_client_full(const admit_client_t *c);
bool __wrap_admit_client_full(const admit_client_t *c)
{
	return false;
}

/* --- upstreams ---------------------------------------------------------------------------------------------- */

typedef struct {
	const net_request_t *request;
	net_exchange_t *x;
	net_pump_options_t o;
	net_pump_result_t *result;
	str_t rid;
} pumping_t;

static void upstream_was_reached(str_t rid)
{
	fate_t *f = fate_of(rid);

	f->forwards++;
	world->executed++;
	if (!f->attempt) {
		violate("forwarded without an admit");
	}
	if (f->outcomes) {
		violate("forwarded after its outcome");
	}
}

static err_t upstream_answers(void *arg)
{
	pumping_t *p = arg;
	AUTO(buf_done) buf_t out = { 0 };
	bool is_mcp = str_contains(p->request->url, STR("mcp"));
	int status = sim_draw(world->sim, 8) ? 200 : 500;
	static const net_header_t type = { STR_INIT("Content-Type"), STR_INIT("application/json") };
	const net_headers_t h = { &type, 1 };
	str_t body = is_mcp ? STR("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[]}}") : STR("{\"ok\":true}");
	str_t key;

	if (net_headers_get(p->request->headers, STR("X-Api-Key"), &key) != OK || !str_eq(key, p->rid)) {
		violate("forwarded without the credential of its own admit");
	}
	upstream_was_reached(p->rid);
	p->result->response.status = status;
	p->result->response.headers = h;
	net_pump_mode_t mode = NET_PUMP_COLLECT;
	TRY(p->o.head(NULL, status, h, p->o.owner, &mode));
	p->result->streamed = mode == NET_PUMP_STREAM;
	if (mode == NET_PUMP_COLLECT) {
		p->result->response.body = body;
		return OK;
	}
	buf_init(&out, 4096);
	TRY(p->o.filter(body, false, &out, p->o.owner));
	return p->o.filter(STR_NULL, true, &out, p->o.owner);
}

op_t *__wrap_net_pump(net_client_t *c, arena_t *a, const net_request_t *r, net_exchange_t *x,
	const net_pump_options_t *o, net_pump_result_t *out);
op_t *__wrap_net_pump(net_client_t *c, arena_t *a, const net_request_t *r, net_exchange_t *x,
	const net_pump_options_t *o, net_pump_result_t *out)
{
	pumping_t *p = arena_new(a, pumping_t);
	net_request_t *copy = arena_new(a, net_request_t);

	*copy = *r;
	*p = (pumping_t){ copy, x, *o, out, ((call_t *)o->owner)->v->rid };
	*out = (net_pump_result_t){ 0 };
	return sim_exchange(a, "net.pump", upstream_answers, p);
}

err_t __wrap_net_call_start(net_client_t *c, const net_request_t *r, const net_call_fns_t *fns, void *owner,
	net_call_t **out);
err_t __wrap_net_call_start(net_client_t *c, const net_request_t *r, const net_call_fns_t *fns, void *owner,
	net_call_t **out)
{
	return ERR_LANE_FULL; /* only notices after a cut come here */
}

stdio_t *__wrap_stdio_find(const gateway_t *g, str_t route);
stdio_t *__wrap_stdio_find(const gateway_t *g, str_t route)
{
	return sim_draw(world->sim, 10) ? (stdio_t *)&world->g : NULL; /* sometimes there is no child */
}

typedef struct {
	str_t rid;
	stdio_answer_t *out;
} child_t;

static err_t child_answers(void *arg)
{
	child_t *k = arg;

	upstream_was_reached(k->rid);
	k->out->text = STR("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[]}}");
	return OK;
}

op_t *__wrap_stdio_ask(arena_t *a, stdio_t *s, const stdio_ask_t *ask, stdio_answer_t *out);
op_t *__wrap_stdio_ask(arena_t *a, stdio_t *s, const stdio_ask_t *ask, stdio_answer_t *out)
{
	child_t *k = arena_new(a, child_t);

	*k = (child_t){ ((call_t *)ask->owner)->v->rid, out };
	return sim_exchange(a, "stdio.ask", child_answers, k);
}

/* --- the client's side: what it heard --------------------------------------------------------------------------- */

static bool is_busy(int status)
{
	return status == 503 || status == 504;
}

void __real_visit_done(visit_t *v);
void __wrap_visit_done(visit_t *v);
void __wrap_visit_done(visit_t *v)
{
	fate_t *f = fate_of(v->rid);

	if (f->done || !v->answered || v->streaming || !v->said) {
		violate("not exactly one answer");
	}
	f->done = true;
	f->said = v->said;
	f->denied = v->denied;
	if (v->denied != OK && !f->recorded && !is_busy(v->said)) {
		violate("a denial was told that is not on record");
	}
	f->rid = str_bytes(f->rid_text, ULID_BYTES); /* the arena goes */
	__real_visit_done(v);
}

/* --- calls --------------------------------------------------------------------------------------------------------- */

static void claims_fill(visit_t *v, unsigned n)
{
	delegation_claims_t *c = &v->who.claims;

	*c = (delegation_claims_t){ .iss = STR("http://127.0.0.1:2"), .aud = v->route->url, .sub = user_id,
		.sub_profile = STR("user"), .client_id = agent_id, .iat = 1, .exp = 4000000000, .jti = STR("j"),
		.txn = STR("t"), .scope = STR("a:b"), .items = items, .n_items = n_items, .jkt = STR("k"),
		.direction = { .by = STR("http://127.0.0.1:2") }, .assurance = DELEGATION_KEY, .grant = STR(GRANT) };
	c->act.n = 1;
	c->act.actors[0] = (delegation_actor_t){ STR("spiffe://example.test"), agent_id, STR("ai_agent") };
	v->who.proof.jkt = STR("k");
	v->who.proof.keep_until_unix_s = 4000000000;
	v->who.proof.jti = sim_draw(world->sim, 8) ? arena_printf(v->a, "proof-%u", n) : STR("proof-again");
}

/* The proof names the action, or in some calls another one. */
static void proof_fill(visit_t *v, bool right)
{
	delegation_call_t action;
	const json_t *body = NULL;
	err_t e;

	CHECK(json_parse(v->a, v->body, NULL, &body, NULL) == OK);
	if (visit_is_mcp(v)) {
		const json_t *args = json_pointer(body, STR("/params/arguments"));
		str_t tool;
		CHECK(json_str(json_pointer(body, STR("/params/name")), &tool) == OK);
		e = delegation_call_mcp(v->a, agent_id, v->route->url, tool, args, &action);
	} else {
		e = delegation_call_http(agent_id, v->route->url, v->method, v->target, v->body, body, &action);
	}
	CHECK(e == OK);
	action.digest[0] ^= right ? 0 : 1;
	v->who.proof.action_digest = b64url_enc(v->a, str_bytes(action.digest, sizeof(action.digest)));
}

/* Some bodies are large: they are judged on a lane. */
static str_t padded(arena_t *a, str_t json)
{
	size_t pad = sim_draw(world->sim, 6) ? 0 : GATEWAY_INLINE_BYTES_MAX;
	char *p = arena_alloc(a, json.n + pad);

	memset(p, ' ', pad);
	memcpy(p + pad, json.p, json.n);
	return str_bytes(p, json.n + pad);
}

static void body_fill(visit_t *v)
{
	static const str_t http[] = { STR_INIT("{\"x\":\"ok\"}"), STR_INIT("{\"x\":\"bad\"}") };
	static const net_header_t type = { STR_INIT("Content-Type"), STR_INIT("application/json") };
	bool good = sim_draw(world->sim, 6) != 0, known = sim_draw(world->sim, 8) != 0;

	v->method = STR("POST");
	v->headers = (net_headers_t){ &type, 1 };
	if (!visit_is_mcp(v)) {
		v->target = known ? STR("/t") : STR("/u");
		v->body = padded(v->a, http[!good]);
		return;
	}
	v->body = padded(v->a, arena_printf(v->a,
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\",\"arguments\":{\"x\":\"%s\"}}}",
		known ? "read" : "write", good ? "ok" : "bad"));
	CHECK(message_read(v->a, v->body, MESSAGE_FROM_CLIENT, &v->msg, NULL) == OK);
	v->has_session = true;
	v->session = (session_t){ .id = STR("0123456789abcdef0123456789abcdef"), .version = STR("2025-11-25"),
		.init = STR("{}") };
}

static void call_begin(void *arg)
{
	fate_t *f = arg;
	unsigned n = (unsigned)(f - world->fates);
	visit_t *v = visit_new(&world->g, NULL);

	memcpy(f->rid_text, v->rid.p, ULID_BYTES);
	f->rid = str_bytes(f->rid_text, ULID_BYTES);
	v->route = &v->view->snapshot->c.routes[sim_draw(world->sim, 3)];
	claims_fill(v, n);
	body_fill(v);
	proof_fill(v, sim_draw(world->sim, 10) != 0);
	f->flow = call_start_id(v);
}

/* --- the operator ---------------------------------------------------------------------------------------------------- */

static void on_news(void *arg)
{
	world->feed_at = world->rules;
}

static void on_bump(void *arg)
{
	if (world->rules + 1 < ARRAY_LEN(views)) {
		world->rules++;
		loop_timer_start(sim_loop(world->sim), &world->news, 1 + sim_draw(world->sim, 40), on_news, NULL);
	}
}

static void on_revoke_news(void *arg)
{
	gateway_grant_revoked(&world->g, STR(GRANT));
}

static void on_revoke(void *arg)
{
	world->revoked = true;
	loop_timer_start(sim_loop(world->sim), &world->revoke_news, sim_draw(world->sim, 10), on_revoke_news, NULL);
}

static void world_start(world_t *w, const sim_plan_t *plan)
{
	uint64_t seed = plan->seed;

	*w = (world_t){ .sim = sim_new(plan), .uses = 6 };
	world = w;
	w->g.deps.loop = sim_loop(w->sim);
	w->g.sessions = sessions;
	w->cpu = lane_new(w->g.deps.loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = CALLS });
	w->g.deps.cpu = w->cpu;
	w->g.deps.url = STR("http://127.0.0.1:1");
	w->g.deps.trust_domain = STR("example.test");
	w->g.via = STR("spiffe://example.test/attorn/gateway/1");
	for (size_t i = 0; i < CALLS; i++) {
		w->fates[i].rid = STR("-");
		loop_timer_start(w->g.deps.loop, &w->starts[i], 1 + sim_draw(w->sim, 60), call_begin, &w->fates[i]);
	}
	if (seed % 3 == 0) {
		loop_timer_start(w->g.deps.loop, &w->bump, sim_draw(w->sim, 60), on_bump, NULL);
	}
	if (seed % 4 == 1) {
		loop_timer_start(w->g.deps.loop, &w->revoke, 20 + sim_draw(w->sim, 60), on_revoke, NULL);
	}
}

static void fate_check(const fate_t *f)
{
	if (!f->done) {
		violate("a client waits for ever");
	}
	if (f->attempt && f->outcomes != 1) {
		violate("an attempt without exactly one outcome");
	}
	if (f->outcomes > 1 || (f->denied_there && f->outcomes)) {
		violate("an outcome of nothing");
	}
	if (f->forwards > 1) {
		violate("forwarded twice");
	}
	if (f->forwards && f->outcome == ADMIT_NOT_EXECUTED) {
		violate("executed, and the outcome denies it");
	}
	if (f->attempt && f->recorded) {
		violate("admitted and denied");
	}
}

/* Runs until nothing is left to happen, and looks at every call. */
static void run_whole(world_t *w, const sim_plan_t *plan)
{
	world_start(w, plan);
	assert_true(sim_run(w->sim));
	for (size_t i = 0; i < CALLS; i++) {
		fate_check(&w->fates[i]);
	}
	if (w->violations) {
		fprintf(stderr, "# seed %llu, failing operation %llu, cancelled at event %llu\n",
			(unsigned long long)plan->seed, (unsigned long long)plan->fail_nth,
			(unsigned long long)plan->cancel_at);
	}
	assert_int_equal(w->violations, 0);
	assert_null(w->g.calls);
	assert_int_equal(w->g.n_calls, 0);
}

static void world_free(world_t *w)
{
	lane_free(w->cpu);
	sim_free(w->sim);
}

static void seeds_hold(void **state)
{
	unsigned admitted = 0, denials = 0, executed = 0, calls = 0;

	for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
		world_t w;
		run_whole(&w, &(sim_plan_t){ .seed = seed, .fail_percent = (unsigned)(seed % 4) * 4,
			.cancel_percent = seed % 5 == 4 ? 3 : 0 });
		admitted += w.admitted;
		denials += w.denials;
		executed += w.executed;
		calls += CALLS;
		world_free(&w);
	}
	fprintf(stderr, "# %u calls: %u admitted, %u reached an upstream, %u denials of ours on record\n", calls,
		admitted, executed, denials);
	if (seed_count == SEEDS) { /* the walk must meet both sides of every wall */
		assert_true(admitted * 100 >= calls * 30);
		assert_true(denials * 100 >= calls * 10);
		assert_true(executed < admitted);
	}
}

/* Each in turn does not begin, or acts and is not heard of. */
static void each_operation_fails_once(void **state)
{
	world_t w;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		run_whole(&w, &(sim_plan_t){ .seed = seed });
		uint64_t n = sim_ops(w.sim);
		world_free(&w);
		assert_true(n > CALLS);
		for (uint64_t i = 1; i <= 2 * n; i++) {
			run_whole(&w, &(sim_plan_t){ .seed = seed, .fail_nth = 1 + (i - 1) % n, .fail_answer = i > n });
			world_free(&w);
		}
	}
}

static void cancelled_at_every_event(void **state)
{
	world_t w;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		run_whole(&w, &(sim_plan_t){ .seed = seed });
		uint64_t n = sim_events(w.sim);
		world_free(&w);
		for (uint64_t i = 1; i <= n; i++) {
			run_whole(&w, &(sim_plan_t){ .seed = seed, .cancel_at = i });
			world_free(&w);
		}
	}
}

/* --- what everybody decides on ----------------------------------------------------------------------------------------- */

static const snapshot_tool_t tools[] = { { STR_INIT("read"), STR_INIT("a:b"), SNAPSHOT_READONLY } };
static const snapshot_rule_t rules_list_[] = { { STR_INIT("POST"), STR_INIT("/t"), STR_INIT("a:b"), SNAPSHOT_MUTATING } };
static const snapshot_route_t routes[] = {
	{ .name = STR_INIT("child"), .rev = 1, .url = STR_INIT(URL_STDIO), .kind = SNAPSHOT_MCP_STDIO,
		.environment = STR_INIT("prod"), .tools = tools, .n_tools = 1, .timeout_ms = 1000, .concurrent = 6 },
	{ .name = STR_INIT("desk"), .rev = 1, .url = STR_INIT(URL_HTTP), .kind = SNAPSHOT_HTTP,
		.upstream = STR_INIT("http://127.0.0.1:3"), .environment = STR_INIT("prod"), .rules = rules_list_,
		.n_rules = 1, .timeout_ms = 1000, .concurrent = 6 },
	{ .name = STR_INIT("files"), .rev = 1, .url = STR_INIT(URL_MCP), .kind = SNAPSHOT_MCP_HTTP,
		.upstream = STR_INIT("http://127.0.0.1:4/mcp"), .environment = STR_INIT("prod"), .tools = tools,
		.n_tools = 1, .timeout_ms = 1000, .concurrent = 6 },
};
static const str_t jkts[] = { STR_INIT("k") };
static const snapshot_agent_t agents[] = { { .id = STR_INIT("spiffe://example.test/agent/a"), .name = STR_INIT("a"),
	.jkts = jkts, .n_jkts = ARRAY_LEN(jkts),
	.kind = DELEGATION_AGENT_DELEGATED, .owner = STR_INIT("u:6f1c1d3e-0d3a-4c55-9d6c-0b1d9a7d3f10"),
	.scopes = STR_INIT("a:b"), .state = SNAPSHOT_ACTIVE, .max_depth = 4 } };
static const snapshot_user_t users[] = { { .id = STR_INIT("u:6f1c1d3e-0d3a-4c55-9d6c-0b1d9a7d3f10"),
	.name = STR_INIT("alice"), .active = true, .permissions = STR_INIT("a:b") } };

static void items_make(void)
{
#define CONSTRAINED "\"constraints\":[{\"arg\":\"/x\",\"kind\":\"equals\",\"value\":\"ok\"}]}"
	static const str_t text = STR_INIT(
		"[{\"type\":\"http_request\",\"server\":\"" URL_HTTP "\",\"method\":\"POST\",\"path\":\"/t\"," CONSTRAINED
		",{\"type\":\"mcp_tool_call\",\"server\":\"" URL_MCP "\",\"tool\":\"read\"," CONSTRAINED
		",{\"type\":\"mcp_tool_call\",\"server\":\"" URL_STDIO "\",\"tool\":\"read\"," CONSTRAINED "]");
	diag_t diag = { 0 };

	items_arena = arena_open();
	CHECK(delegation_items_parse(items_arena, text, &items, &n_items, &diag) == OK);
}

static int views_make(void **state)
{
	policy_file_t starter = policy_starter();
	diag_t diag = { 0 };

	CHECK(crypto_init() == OK && policy_init() == OK);
	items_make();
	sessions = mcp_sessions_new();
	CHECK(policy_bundle_compile(&starter, 1, &bundle, NULL, &diag) == OK);
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		snapshots[i].c = (snapshot_content_t){ .version = i, .routes = routes, .n_routes = ARRAY_LEN(routes),
			.agents = agents, .n_agents = 1, .users = users, .n_users = 1 };
		views[i] = (feed_view_t){ .snapshot = &snapshots[i], .policy = bundle, .version = i };
	}
	return 0;
}

static int views_free(void **state)
{
	policy_bundle_unref(bundle);
	arena_free(items_arena);
	mcp_sessions_free(sessions);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(seeds_hold), cmocka_unit_test(each_operation_fails_once),
		cmocka_unit_test(cancelled_at_every_event) };

	sim_seeds(argc, argv, SEEDS, &seed_first, &seed_count);
	log_setup(LVL_ERROR, 2);
	return cmocka_run_group_tests(tests, views_make, views_free);
}
