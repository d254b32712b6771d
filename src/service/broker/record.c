/* record.c: what an exchange reads and writes: the grant chain, the token record in the transaction that
 * spends both jti and numbers the signature, the record of a refusal, and the answer's bytes. */
#include "service/broker/exchange_int.h"

err_t exchange_chain_closure(store_txn_t *txn, void *self)
{
	broker_chain_t *c = self;

	err_t e = store_grant_chain(txn, c->a, c->id, &c->grants, &c->n);
	ENSURE(e != ERR_NOT_FOUND, ERR_GRANT);
	TRY(e);
	c->docs = arena_array(c->a, delegation_grant_t, c->n);
	for (size_t i = 0; i < c->n; i++) {
		TRY(delegation_grant_parse_stored(c->a, c->grants[i].doc, &c->docs[i]));
	}
	return OK;
}

/* --- records ------------------------------------------------------------------------------------------ */

static void chain_write(jw_t *w, const exchange_t *e)
{
	jw_karray(w, "chain");
	if (exchange_chain_length(e)) {
		jw_object(w);
		jw_kstr(w, "role", STR("user"));
		jw_kstr(w, "sub", e->chain->grants[0].user);
		jw_end(w);
	}
	for (size_t i = exchange_chain_length(e); i-- > 0;) {
		jw_object(w);
		jw_kobject(w, "grant");
		jw_kstr(w, "rid", e->chain->grants[i].id);
		jw_end(w);
		jw_kstr(w, "role", STR("agent"));
		jw_kstr(w, "sub", e->chain->grants[i].agent);
		jw_end(w);
	}
	if (exchange_chain_length(e) == 0) {
		jw_object(w);
		jw_kstr(w, "role", STR("agent"));
		jw_kstr(w, "sub", e->client.agent->id);
		jw_end(w);
	}
	jw_end(w);
}

static void policy_write(jw_t *w, arena_t *a, const exchange_t *e)
{
	const policy_decision_t *d = &e->decision;

	jw_kobject(w, "policy");
	jw_kstr(w, "decision", d->verdict == POLICY_PERMIT ? STR("permit") : STR("deny"));
	jw_kstr(w, "digest", delegation_digest_text(a, policy_bundle_digest(e->view->policy)));
	jw_karray(w, "rules");
	for (size_t i = 0; i < d->n_rules; i++) {
		jw_str(w, d->rules[i]);
	}
	jw_end(w);
	jw_kstr(w, "why", policy_why_name(d->why));
	jw_end(w);
}

static void token_write(jw_t *w, const exchange_t *e)
{
	const delegation_claims_t *c = &e->claims;

	jw_kobject(w, "token");
	jw_ki64(w, "exp", c->exp);
	jw_kstr(w, "jkt", c->jkt);
	jw_kstr(w, "jti", c->jti);
	jw_kstr(w, "kind", c->is_capability ? STR("capability") : STR("delegated"));
	jw_kstr(w, "scope", c->scope);
	jw_kstr(w, "txn", c->txn);
	jw_end(w);
}

static void route_write(jw_t *w, const exchange_t *e)
{
	if (e->route) {
		jw_kobject(w, "route");
		jw_kstr(w, "id", e->route->name);
		jw_ku64(w, "rev", e->route->rev);
		jw_end(w);
	}
}

/* A capability names its action; the ledger turns the digest into a commitment. */
static void act_write(jw_t *w, arena_t *a, const exchange_t *e)
{
	const delegation_claims_t *c = &e->claims;

	if (!c->is_capability || c->n_items == 0) {
		return;
	}
	jw_kobject(w, "act");
	jw_kstr(w, "digest", delegation_digest_text(a, c->action_digest));
	jw_kstr(w, "op", c->items[0].op);
	jw_kstr(w, "tool", c->items[0].target);
	jw_end(w);
}

static err_t permit_body(arena_t *a, const exchange_t *e, str_t *out)
{
	const delegation_direction_t *d = &e->claims.direction;
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, BROKER_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	act_write(&w, a, e);
	jw_kstr(&w, "assurance", delegation_assurance_name(e->claims.assurance));
	chain_write(&w, e);
	jw_kobject(&w, "direction");
	jw_kstr(&w, "by", d->by);
	jw_kstr(&w, "init", delegation_init_name(d->init));
	jw_kstr(&w, "sel", delegation_sel_name(d->sel));
	jw_end(&w);
	policy_write(&w, a, e);
	route_write(&w, e);
	ledger_sign_write(&w, a, e->b->deps.token_kid, e->write.sign_n, e->input);
	token_write(&w, e);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

/* Both are spent with the record, so one assertion or proof never makes two tokens (oauth P11, P22). */
static err_t spend(store_txn_t *txn, const exchange_t *e)
{
	if (e->client.jti.n) {
		TRY(store_used_insert(txn, e->client.agent->id, e->client.jti, e->client.jti_until_s));
	}
	return broker_proof_spend(txn, &e->proof);
}

/* An SVID lives minutes; what it rests on may have ended since: the entry that gave it, the run it was for. */
static err_t svid_stands(store_txn_t *txn, const exchange_t *e)
{
	store_agent_entry_t *rows;
	spiffe_id_t id;
	str_t base, run;
	size_t n;
	bool gives = false;

	if (!e->client.inst.n) {
		return OK;
	}
	TRY(spiffe_id_parse_workload(e->client.inst, &id));
	if (spiffe_instance_split(&id, &base, &run)) {
		TRY(store_run_alive(txn, e->write.a, run, e->now_s));
	}
	TRY(store_agent_entry_list(txn, e->write.a, e->client.agent->id, &rows, &n));
	for (size_t i = 0; i < n; i++) {
		gives = gives || identity_doc_gives(e->write.a, rows[i].doc, e->b->deps.trust_domain, e->client.agent->id, &id);
	}
	return gives ? OK : ERR_CLIENT;
}

/* A delegated token that its holder gave back buys nothing more (RFC 7009). */
static err_t subject_alive(store_txn_t *txn, const exchange_t *e)
{
	bool revoked = false;

	if (e->form.ask == ASK_CAPABILITY) {
		TRY(store_used_has(txn, STR("revoked"), broker_token_hash(e->write.a, e->form.subject_token), &revoked));
	}
	return revoked ? ERR_TOKEN : OK;
}

/* The chain again, in this transaction: a revoke that was acknowledged before is seen (oauth P84). */
static err_t chain_alive(store_txn_t *txn, exchange_t *e)
{
	return exchange_chain_length(e) ? store_grant_chain_alive(txn, e->write.a, e->grant, e->now_s) : OK;
}

/* The rules decided on are those that stand: a narrowing change since then is a no (STYLE 4.5). */
static err_t fence_check(store_txn_t *txn, const exchange_t *e)
{
	int64_t version;

	TRY(store_snapshot_version(txn, &version));
	ENSURE(e->view->version == (uint64_t)version, ERR_FENCE);
	return OK;
}

err_t exchange_record_closure(store_txn_t *txn, void *self)
{
	exchange_t *e = self;
	ledger_record_t record = { .type = LEDGER_TOKEN, .rid = e->rid, .now_us = e->now_us };
	ledger_receipt_t receipt;

	e->write.done = e->write.stale = false; /* a closure may run twice */
	err_t fence = fence_check(txn, e);
	if (fence == ERR_FENCE) {
		e->write.stale = true;
		return OK;
	}
	TRY(fence);
	TRY(subject_alive(txn, e));
	TRY(chain_alive(txn, e));
	TRY(svid_stands(txn, e));
	TRY(spend(txn, e));
	TRY(store_key_next_n(txn, e->b->deps.token_kid, &e->write.sign_n));
	TRY(permit_body(e->write.a, e, &record.body));
	TRY(ledger_append(e->b->deps.ledger, txn, e->write.a, &record, &receipt));
	e->write.done = true;
	return OK;
}

/* --- refusals ------------------------------------------------------------------------------------------- */

bool exchange_is_recorded(exchange_t *e, err_t why)
{
	err_class_t c = err_info(why)->cls;
	bool is_answer = c == CLASS_DENIED || c == CLASS_UNAUTHENTICATED || c == CLASS_MALFORMED;

	if (!e->known) {
		admit_count(e->b->deps.admit, STR("oauth"), why, 1);
		return false;
	}
	if (!is_answer) {
		return false;
	}
	if (!admit_budget_take(e->b->deps.admit, e->client.agent->id, (uint64_t)e->now_s)) {
		admit_count(e->b->deps.admit, STR("denials"), why, 1);
		return false;
	}
	return true;
}

static err_t refusal_body(arena_t *a, const exchange_t *e, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, BROKER_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	chain_write(&w, e);
	jw_kstr(&w, "code", str_of(err_info(e->refused)->name));
	if (e->decision.why != POLICY_WHY_NO_POLICY) {
		policy_write(&w, a, e);
	}
	route_write(&w, e);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

err_t exchange_refusal_closure(store_txn_t *txn, void *self)
{
	exchange_t *e = self;
	ledger_record_t record = { .type = LEDGER_DECISION, .rid = ledger_rid(e->write.a, e->now_us), .now_us = e->now_us };
	ledger_receipt_t receipt;

	TRY(refusal_body(e->write.a, e, &record.body));
	TRY(ledger_append(e->b->deps.ledger, txn, e->write.a, &record, &receipt));
	e->write.done = true;
	return OK;
}

/* --- the answer (RFC 8693 2.2.1, RFC 9449 5) -------------------------------------------------------------- */

err_t exchange_answer_write(arena_t *a, exchange_t *e)
{
	const delegation_claims_t *c = &e->claims;
	str_t items;
	jw_t w;

	TRY(delegation_items_write(a, c->items, c->n_items, &items));
	AUTO(buf_wipe) buf_t b; /* it holds the token */
	buf_init(&b, BROKER_TOKEN_BYTES_MAX * 4);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "access_token", e->token);
	if (e->form.ask != ASK_AUTONOMOUS) {
		jw_kstr(&w, "issued_token_type", STR("urn:ietf:params:oauth:token-type:access_token"));
	}
	jw_kstr(&w, "token_type", STR("DPoP"));
	jw_ki64(&w, "expires_in", c->exp - c->iat);
	jw_kstr(&w, "scope", c->scope);
	if (c->n_items) {
		jw_kraw(&w, "authorization_details", items);
	}
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), &e->answer);
}
