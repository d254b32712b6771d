/* record.c: what the ledger learns of a call or a refusal (wire.md 9, ledger.md 11.2). Digests, ids and
 * verdicts; never arguments, never secrets. */
#include "domain/spiffe/spiffe.h"
#include "service/gateway/visit.h"

enum { RECORD_ID_BYTES_MAX = 64 };

/* A path of a request may name people, the path of its rule does not (ledger.md 12.1). */
static str_t tool_name(const visit_t *v)
{
	if (visit_is_mcp(v)) {
		return v->action.target;
	}
	return str_sub(v->tool_name, str_find(v->tool_name, ' ') + 1, v->tool_name.n);
}

/* As sent; one that no honest client makes is left unsaid. */
static str_t shown_id(str_t id)
{
	return id.n <= RECORD_ID_BYTES_MAX && str_is_visible(id) ? id : STR("-");
}

static void act_write(jw_t *w, const visit_t *v)
{
	jw_kobject(w, "act");
	if (v->has_action) {
		jw_kstr(w, "args", delegation_digest_text(v->a, v->action.args_digest));
		jw_kstr(w, "digest", delegation_digest_text(v->a, v->action.digest));
		jw_kstr(w, "op", v->action.op);
		jw_kstr_if(w, "tool", tool_name(v));
	} else {
		bool has_method = visit_is_mcp(v) && str_is_visible(v->msg.method);
		jw_kstr(w, "op", has_method ? v->msg.method : v->method);
	}
	if (v->effect == SNAPSHOT_IRREVERSIBLE) {
		jw_kstr(w, "irrev", STR("one_way"));
	}
	if (v->msg.id.n) {
		jw_kobject(w, "mcp");
		jw_kstr(w, "req", shown_id(v->msg.id));
		jw_kstr_if(w, "sid", v->session.id);
		jw_kstr_if(w, "ver", v->session.version);
		jw_end(w);
	}
	jw_end(w);
}

/* human -> agents, the earliest first -> tool */
static void chain_write(jw_t *w, const visit_t *v)
{
	const delegation_claims_t *c = &v->who.claims;

	jw_karray(w, "chain");
	jw_object(w);
	jw_kstr(w, "role", c->act.n ? STR("user") : STR("agent"));
	jw_kstr(w, "sub", c->sub);
	jw_end(w);
	for (size_t i = c->act.n; i-- > 0;) {
		jw_object(w);
		if (i == 0 && c->grant.n) {
			jw_kobject(w, "grant");
			jw_kstr(w, "rid", c->grant);
			jw_end(w);
		}
		jw_kstr(w, "role", STR("agent"));
		jw_kstr(w, "sub", c->act.actors[i].sub);
		jw_end(w);
	}
	jw_object(w);
	jw_kstr(w, "role", STR("tool"));
	jw_kstr(w, "sub", v->route->url);
	jw_end(w);
	jw_end(w);
}

static void direction_write(jw_t *w, const visit_t *v)
{
	const delegation_direction_t *d = &v->who.claims.direction;

	jw_kobject(w, "direction");
	jw_kstr(w, "by", d->by);
	jw_kstr(w, "init", delegation_init_name(d->init));
	jw_kstr(w, "sel", delegation_sel_name(d->sel));
	jw_end(w);
}

static void policy_write(jw_t *w, const visit_t *v)
{
	const policy_decision_t *d = &v->decision;

	if (!v->has_decision) {
		return;
	}
	jw_kobject(w, "policy");
	if (v->view->policy) {
		jw_kstr(w, "digest", delegation_digest_text(v->a, policy_bundle_digest(v->view->policy)));
	}
	jw_kstr(w, "decision", d->verdict == POLICY_PERMIT ? STR("permit") : STR("deny"));
	jw_karray(w, "rules");
	for (size_t i = 0; i < d->n_rules; i++) {
		jw_str(w, d->rules[i]);
	}
	jw_end(w);
	jw_kstr(w, "why", policy_why_name(d->why));
	jw_end(w);
}

static void token_write(jw_t *w, const visit_t *v)
{
	const delegation_claims_t *c = &v->who.claims;

	jw_kobject(w, "token");
	jw_ki64(w, "exp", c->exp);
	jw_kstr(w, "hash", delegation_digest_text(v->a, v->who.token_hash));
	jw_kstr_if(w, "jkt", c->jkt);
	jw_kstr(w, "txn", c->txn);
	jw_kstr_if(w, "x5t", c->x5t);
	jw_end(w);
}

/* The run that the caller's SVID was for: admit asks whether it lives. */
static void run_write(jw_t *w, const visit_t *v)
{
	spiffe_id_t id;
	str_t base, run;

	if (v->who.claims.inst.n && spiffe_id_parse_workload(v->who.claims.inst, &id) == OK &&
		spiffe_instance_split(&id, &base, &run)) {
		jw_kobject(w, "run");
		jw_kstr(w, "id", run);
		jw_end(w);
	}
}

err_t record_write(const visit_t *v, str_t code, str_t *out)
{
	AUTO(buf_done) buf_t b = { 0 };
	jw_t w;

	buf_init(&b, GATEWAY_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	act_write(&w, v);
	jw_kstr(&w, "assurance", delegation_assurance_name(v->who.claims.assurance));
	chain_write(&w, v);
	jw_kstr_if(&w, "code", code);
	direction_write(&w, v);
	policy_write(&w, v);
	jw_kobject(&w, "route");
	jw_kstr(&w, "id", v->route->name);
	jw_ku64(&w, "rev", v->route->rev);
	jw_end(&w);
	run_write(&w, v);
	token_write(&w, v);
	jw_kstr(&w, "via", v->g->via);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(v->a, buf_str(&b), out);
}

err_t record_denial(visit_t *v, op_t **out)
{
	str_t record;

	TRY(record_write(v, str_of(err_info(v->denied)->name), &record));
	v->recording = admit_decision(v->a, v->g->deps.admit, v->rid, record);
	*out = v->recording;
	return OK;
}
