/* runs.c: a run begins when a node has seen its process, and ends with it (spiffe.md 14). Both are records. */
#include "service/identity/identity_int.h"

typedef struct {
	identity_t *p;
	net_exchange_t *x;
	arena_t *a;
	const identity_view_t *view;
	str_t node;
	int64_t now_us, now_s;
	const view_entry_t *entry;
	facts_t facts;
	spiffe_id_t id;
	store_run_t run;
	bool begins, appended;
	store_closure_t closure;
	lane_job_t job;
} run_t;

static err_t run_record(store_txn_t *txn, run_t *r)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, IDENTITY_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "agent", r->run.agent);
	if (r->begins) {
		jw_kstr_if(&w, "digest", r->run.code); /* as the runner stated it */
		jw_ki64(&w, "exp", r->run.exp_s);
		jw_kstr_if(&w, "grant", r->run.grant_id);
	}
	jw_kobject(&w, "run");
	jw_kstr(&w, "id", r->run.id);
	jw_end(&w);
	jw_kstr(&w, "state", r->begins ? STR("started") : STR("ended"));
	jw_kstr(&w, "subject", r->run.spiffe_id);
	jw_kstr(&w, "via", r->node);
	r->appended = true;
	return record_append(&r->p->deps, txn, r->a, LEDGER_RUN, r->now_us, &w);
}

/* --- begin ------------------------------------------------------------------------------------------------- */

static err_t begin_parse(run_t *r)
{
	const json_t *root, *facts;
	str_t key;

	ENSURE(str_eq(net_method(r->x), STR("POST")), ERR_METHOD);
	ENSURE(net_body(r->x).n <= IDENTITY_BODY_BYTES_MAX, ERR_LIMIT);
	TRY(json_parse_object(r->a, net_body(r->x), &root, NULL));
	TRY(JSON_ONLY(root, NULL, STR("key"), STR("facts"), STR("grant"), STR("code"), STR("exp")));
	TRY(json_need_str(root, STR("key"), SPIFFE_ID_BYTES_MAX + SPIFFE_ENTRY_ID_BYTES_MAX + 1, &key));
	TRY(json_need_obj(root, STR("facts"), &facts));
	TRY(facts_read(r->a, facts, r->node, &r->facts));
	TRY(json_want_str(root, STR("grant"), 26, &r->run.grant_id));
	TRY(json_want_str(root, STR("code"), IDENTITY_CODE_BYTES_MAX, &r->run.code));
	TRY(json_want_i64(root, STR("exp"), r->now_s + IDENTITY_RUN_LIFE_S_MAX, &r->run.exp_s));
	r->run.id = r->facts.facts.run_id;
	ENSURE(r->run.id.n == IDENTITY_RUN_ID_BYTES && spiffe_segment_is(r->run.id), ERR_VALUE);
	r->entry = view_entry_find(r->view, key);
	ENSURE(r->entry && r->entry->entry.has_runner, ERR_ENTRY_MATCH);
	return OK;
}

static err_t runner_text(run_t *r)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, IDENTITY_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	spiffe_selectors_write(&w, &r->facts.runner);
	TRY(jw_finish(&w));
	return arena_dup(r->a, buf_str(&b), &r->run.runner);
}

static err_t begin_check(run_t *r)
{
	const spiffe_entry_t *e = &r->entry->entry;

	ENSURE(e->runner_grant != SPIFFE_GRANT_REQUIRED || r->run.grant_id.p, ERR_GRANT);
	TRY(spiffe_entry_apply(r->a, e, r->entry->agent, r->node, &r->facts.facts, &r->facts.runner, r->now_s, &r->id));
	int64_t latest = r->now_s + IDENTITY_RUN_LIFE_S_MAX;
	r->run.exp_s = r->run.exp_s < latest ? r->run.exp_s : latest;
	r->run.agent = r->entry->agent;
	r->run.entry = e->id;
	r->run.node = r->node;
	r->run.spiffe_id = r->id.text;
	r->run.started_s = r->now_s;
	return runner_text(r);
}

/* A run under a grant is no longer than the grant, and the grant is this agent's and alive. */
static err_t grant_bound(store_txn_t *txn, run_t *r)
{
	store_grant_t grant;

	if (!r->run.grant_id.p) {
		return OK;
	}
	err_t e = store_grant_get(txn, r->a, r->run.grant_id, &grant);
	ENSURE(e != ERR_NOT_FOUND, ERR_GRANT);
	TRY(e);
	ENSURE(str_eq(grant.agent, r->run.agent), ERR_GRANT);
	TRY(store_grant_chain_alive(txn, r->a, r->run.grant_id, r->now_s));
	r->run.exp_s = grant.exp_s < r->run.exp_s ? grant.exp_s : r->run.exp_s;
	return OK;
}

static err_t begin_closure(store_txn_t *txn, void *self)
{
	run_t *r = self;
	store_agent_t agent;
	store_agent_entry_t row;
	store_node_t node;

	r->appended = false; /* a closure may run twice */
	err_t e = store_node_get(txn, r->a, r->node, &node);
	ENSURE(e == OK && str_eq(node.state, STR("active")), ERR_AGENT_STATE);
	TRY(store_agent_get(txn, r->a, r->run.agent, &agent));
	ENSURE(str_eq(agent.state, STR("active")), ERR_AGENT_STATE);
	e = store_agent_entry_get(txn, r->a, r->run.agent, r->run.entry, &row);
	ENSURE(e == OK && str_eq(row.doc, r->entry->doc), ERR_ENTRY_MATCH);
	TRY(grant_bound(txn, r));
	TRY(store_run_insert(txn, &r->run));
	return run_record(txn, r);
}

/* --- over ----------------------------------------------------------------------------------------------------- */

static err_t over_parse(run_t *r)
{
	const json_t *root;

	ENSURE(str_eq(net_method(r->x), STR("POST")), ERR_METHOD);
	TRY(json_parse_object(r->a, net_body(r->x), &root, NULL));
	TRY(JSON_ONLY(root, NULL, STR("id")));
	return json_need_str(root, STR("id"), IDENTITY_RUN_ID_BYTES, &r->run.id);
}

/* Repeating it is harmless: the node says so until it was heard. */
static err_t over_closure(store_txn_t *txn, void *self)
{
	run_t *r = self;

	r->appended = false;
	TRY(store_run_get(txn, r->a, r->run.id, &r->run));
	ENSURE(str_eq(r->run.node, r->node), ERR_NOT_FOUND);
	if (r->run.ended_s != STORE_NONE) {
		return OK;
	}
	TRY(store_run_end(txn, r->run.id, r->now_s));
	return run_record(txn, r);
}

/* --- both ------------------------------------------------------------------------------------------------------- */

static void run_answer(run_t *r)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, IDENTITY_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	if (r->begins) {
		jw_ki64(&w, "exp", r->run.exp_s);
	}
	jw_kstr(&w, "spiffe_id", r->run.spiffe_id);
	jw_end(&w);
	if (jw_finish(&w) == OK) {
		net_reply_text(r->x, 200, STR("application/json"), buf_str(&b));
	} else {
		net_reply_error(r->x, ERR_INTERNAL);
	}
}

static void run_free(run_t *r)
{
	identity_unpin(r->view);
	arena_free(r->a);
}

static void run_done(lane_job_t *job, err_t e)
{
	run_t *r = (run_t *)((char *)job - offsetof(run_t, job));

	if (e == OK && r->appended) {
		r->p->deps.appended(r->p->deps.owner);
	}
	if (e == OK) {
		run_answer(r);
	} else {
		net_reply_error(r->x, e);
	}
	run_free(r);
}

static void run_submit(run_t *r, err_t parsed, store_fn_t *closure, bool essential)
{
	r->closure = (store_closure_t){ .run = closure, .self = r, .essential = essential };
	r->job = (lane_job_t){ .arg = &r->closure, .done = run_done };
	err_t e = parsed == OK ? lane_submit(r->p->deps.write, &r->job) : parsed;
	if (e != OK) {
		net_reply_error(r->x, e);
		run_free(r);
	}
}

static run_t *run_new(identity_t *p, net_exchange_t *x, str_t node)
{
	arena_t *a = arena_open();
	run_t *r = arena_new(a, run_t);

	r->p = p;
	r->x = x;
	r->a = a;
	r->view = identity_pin(p);
	r->node = arena_str(a, node);
	r->now_us = (int64_t)loop_unix_us(p->deps.loop);
	r->now_s = r->now_us / 1000000;
	return r;
}

void run_begin_handle(identity_t *p, net_exchange_t *x, str_t node)
{
	run_t *r = run_new(p, x, node);

	r->begins = true;
	err_t e = begin_parse(r);
	e = e == OK ? begin_check(r) : e;
	run_submit(r, e, begin_closure, false);
}

void run_over_handle(identity_t *p, net_exchange_t *x, str_t node)
{
	run_t *r = run_new(p, x, node);

	run_submit(r, over_parse(r), over_closure, true); /* an end is told on a full disk too */
}
