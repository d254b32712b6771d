/* run.c: the commit point itself, ledger.md 9.6 steps 1 to 7, told in order. Everything that can say no
 * is asked first; only then is anything spent, so that a refusal spends nothing (oauth P59). */
#include "service/admit/admit_int.h"

typedef struct {
	const admit_deps_t *deps;
	store_txn_t *txn;
	arena_t *a;
	const feed_view_t *view;
	const admit_request_t *q;
	const snapshot_route_t *route;
	int64_t now_us, now_s;
	admit_answer_t *out;
} run_t;

static err_t code_of(arena_t *a, str_t name)
{
	const char *c;

	return arena_cstr(a, name, &c) == OK ? err_by_name(c) : ERR_INTERNAL;
}

/* Step 1: a rid that is known gets the answer it got, while its attempt is open. */
static err_t run_repeat(run_t *r, const store_attempt_t *known)
{
	bool same = str_eq(known->req, str_bytes(r->q->req_digest, sizeof(r->q->req_digest)));

	if (!same) {
		log_kv(LVL_ERROR, "admit.splice", kv_s("rid", r->q->rid), kv_s("instance", r->q->instance));
		r->out->code = ERR_CONFLICT;
		return OK;
	}
	if (known->code.p) {
		r->out->code = code_of(r->a, known->code);
		return OK;
	}
	if (known->outcome.p) {
		r->out->code = ERR_CLOSED;
		return OK;
	}
	r->out->admitted = true;
	return vault_credential(r->deps->vault, r->txn, r->a, r->route, &r->out->credential);
}

/* Step 2: decided on exactly the rules that stand now. */
static err_t fence_check(run_t *r)
{
	int64_t version;

	TRY(store_snapshot_version(r->txn, &version));
	ENSURE(r->q->fence == (uint64_t)version && r->view->version == r->q->fence, ERR_FENCE);
	return OK;
}

/* Step 3, what no token carries (DESIGN 8): environment, data classes and window of every grant above. */
static err_t grant_check(run_t *r, const store_grant_t *g)
{
	const delegation_grant_t *doc;
	delegation_place_t place = {
		.environment = r->route->environment,
		.data_classes = r->route->data_classes,
		.n_data_classes = r->route->n_data_classes,
	};

	TRY(store_grant_alive(g, r->now_s));
	TRY(admit_docs_get(r->deps->docs, g->id, g->doc, &doc));
	return delegation_place_permits(&doc->bounds, &place, r->now_s, NULL);
}

static err_t grants_check(run_t *r)
{
	store_grant_t *chain;
	size_t n;

	if (!r->q->grant.p) {
		return OK;
	}
	err_t e = store_grant_chain(r->txn, r->a, r->q->grant, &chain, &n);
	ENSURE(e != ERR_NOT_FOUND, ERR_GRANT);
	TRY(e);
	for (size_t i = 0; i < n; i++) {
		TRY(grant_check(r, &chain[i]));
	}
	return OK;
}

/* Step 5 as a question. */
static err_t once_check(run_t *r)
{
	bool spent = false;

	if (!r->q->has_once) {
		return OK;
	}
	ENSURE(r->q->once_until_s > r->now_s, ERR_EXPIRED);
	TRY(store_used_has(r->txn, r->q->once_space, r->q->once_id, &spent));
	ENSURE(!spent, ERR_REPLAY);
	return OK;
}

/* A token that its holder gave back (RFC 7009). */
static err_t token_check(run_t *r)
{
	bool revoked = false;

	if (r->q->token_hash.n) {
		TRY(store_used_has(r->txn, STR("revoked"), r->q->token_hash, &revoked));
	}
	return revoked ? ERR_TOKEN : OK;
}

/* The process that this identity was for still runs (spiffe.md 14). */
static err_t process_check(run_t *r)
{
	return r->q->run.n ? store_run_alive(r->txn, r->a, r->q->run, r->now_s) : OK;
}

static err_t run_check(run_t *r)
{
	ENSURE(r->route, ERR_NOT_FOUND);
	TRY(token_check(r));
	TRY(process_check(r));
	TRY(grants_check(r));
	TRY(once_check(r));
	return vault_credential(r->deps->vault, r->txn, r->a, r->route, &r->out->credential);
}

static bool is_refusal(err_t e)
{
	err_class_t c = err_info(e)->cls;

	return c != CLASS_INTERNAL && e != ERR_DISK_FULL && e != ERR_LEDGER && e != ERR_LANE_FULL;
}

static err_t attempt_insert(run_t *r, err_t code)
{
	store_attempt_t row = {
		.rid = r->q->rid,
		.req = str_bytes(r->q->req_digest, sizeof(r->q->req_digest)),
		.gateway = r->q->instance,
		.route = r->q->route,
		.grant = r->q->grant,
		.deadline_ms = r->q->deadline_ms,
		.code = code == OK ? STR_NULL : str_of(err_info(code)->name),
		.outcome = code == OK ? STR_NULL : r->q->rid,
	};

	return store_attempt_insert(r->txn, &row);
}

static err_t record_append(run_t *r, ledger_type_t type, str_t body)
{
	ledger_record_t record = { .type = type, .rid = r->q->rid, .body = body, .now_us = r->now_us };
	ledger_receipt_t receipt;

	TRY(ledger_append(r->deps->ledger, r->txn, r->a, &record, &receipt));
	r->out->leaf_hash = receipt.leaf_hash;
	return OK;
}

/* A failure in 3 to 6 is a decision under the same rid (9.6). */
static err_t run_deny(run_t *r, err_t code)
{
	str_t body;

	r->out->code = code;
	r->out->credential = (vault_credential_t){ 0 };
	TRY(admit_record_with(r->a, r->q->record, "code", str_of(err_info(code)->name), &body));
	TRY(record_append(r, LEDGER_DECISION, body));
	return attempt_insert(r, code);
}

/* Steps 4, 5 and 7: spend and record. */
static err_t run_spend(run_t *r)
{
	if (r->q->grant.p && !r->q->is_session) {
		TRY(store_grant_spend(r->txn, r->a, r->q->grant, r->now_s));
	}
	if (r->q->has_once) {
		TRY(store_used_insert(r->txn, r->q->once_space, r->q->once_id, r->q->once_until_s));
	}
	TRY(record_append(r, LEDGER_ATTEMPT, r->q->record));
	TRY(attempt_insert(r, OK));
	r->out->admitted = true;
	return OK;
}

err_t admit_run(const admit_deps_t *deps, store_txn_t *txn, arena_t *a, const feed_view_t *view,
	const admit_request_t *request, int64_t now_us, admit_answer_t *out)
{
	run_t r = { deps, txn, a, view, request, snapshot_route(view->snapshot, request->route), now_us,
		now_us / 1000000, out };
	store_attempt_t known;

	*out = (admit_answer_t){ 0 }; /* a closure may run twice */
	err_t e = store_attempt_get(txn, a, request->rid, &known);
	if (e == OK) {
		return run_repeat(&r, &known);
	}
	ENSURE(e == ERR_NOT_FOUND, e);
	if (now_us / 1000 > request->answer_by_ms) { /* whoever asked has told its caller no */
		out->code = ERR_CLOSED;
		return OK;
	}
	e = fence_check(&r);
	if (e == ERR_FENCE) {
		out->code = e;
		return OK;
	}
	TRY(e);
	e = run_check(&r);
	if (e != OK) {
		return is_refusal(e) ? run_deny(&r, e) : e;
	}
	return run_spend(&r);
}
