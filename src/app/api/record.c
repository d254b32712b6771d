/* record.c: what a verb leaves behind in its transaction: its record, a row for the feed; and the record of
 * a refusal. Records hold ids, never names (ledger.md 12.1); the signed verb is committed to, and kept
 * sealed beside the log, so that evidence can show it. */
#include "app/api/api_int.h"

void api_record_begin(api_call_t *c, str_t by)
{
	buf_clear(&c->record);
	jw_init(&c->r, &c->record);
	jw_object(&c->r);
	jw_kstr(&c->r, "by", by);
	jw_kstr(&c->r, "verb", c->door->verb);
	if (c->verb.present) {
		jw_kstr(&c->r, "doc", c->verb.document);
		jw_kstr(&c->r, "key", c->verb.v.by);
		jw_kstr(&c->r, "sig", b64url_enc(c->a, c->verb.signature));
	}
}

void api_record_words(api_call_t *c, const char *key, const str_t *v, size_t n)
{
	jw_karray(&c->r, key);
	for (size_t i = 0; i < n; i++) {
		jw_str(&c->r, v[i]);
	}
	jw_end(&c->r);
}

void api_record_keys(api_call_t *c, const api_key_t *keys, size_t n)
{
	jw_karray(&c->r, "keys");
	for (size_t i = 0; i < n; i++) {
		jw_str(&c->r, keys[i].jkt);
	}
	jw_end(&c->r);
}

err_t api_record_end(api_call_t *c, store_txn_t *txn, ledger_type_t type)
{
	ledger_record_t record = { .type = type, .rid = c->rid, .now_us = c->now_us };

	jw_end(&c->r);
	TRY(jw_finish(&c->r));
	record.body = buf_str(&c->record);
	TRY(ledger_append(c->p->deps.ledger, txn, c->a, &record, &c->receipt));
	c->appended = true;
	return OK;
}

err_t api_change(api_call_t *c, store_txn_t *txn, const char *kind, str_t id, bool snapshot)
{
	store_change_t change = { .kind = str_of(kind), .id = id, .body = STR(""), .snapshot = snapshot };
	int64_t seq;

	TRY(store_change_add(txn, &change, &seq));
	c->changed = c->changed || snapshot;
	return OK;
}

err_t api_snapshot_check(api_call_t *c, store_txn_t *txn)
{
	const api_deps_t *d = &c->p->deps;
	const feed_deps_t deps = { .vault = d->vault, .issuer = d->issuer, .trust_domain = d->trust_domain,
		.gateway_url = d->gateway_url };
	AUTO(buf_wipe) buf_t text;
	AUTO(snapshot_unref) snapshot_t *made = NULL;

	buf_init(&text, API_SNAPSHOT_BYTES_MAX);
	err_t e = feed_build(&deps, txn, &text);
	if (e == OK) {
		e = snapshot_parse(buf_str(&text), &made, &c->diag);
	}
	if (e == ERR_LIMIT) {
		return api_say(c, e, "agents, users, roles, routes and rules together are more than a gateway can hold");
	}
	return e;
}

/* --- a refusal (of a known person; strangers are counted) ---------------------------------------------- */

static void rules_write(api_call_t *c, jw_t *w)
{
	const policy_decision_t *d = &c->decision;

	jw_kobject(w, "policy");
	jw_kstr(w, "decision", d->verdict == POLICY_PERMIT ? STR("permit") : STR("deny"));
	jw_kstr(w, "digest", delegation_digest_text(c->a, policy_bundle_digest(c->view->policy)));
	jw_karray(w, "rules");
	for (size_t i = 0; i < d->n_rules; i++) {
		jw_str(w, d->rules[i]);
	}
	jw_end(w);
	jw_kstr(w, "why", policy_why_name(d->why));
	jw_end(w);
}

static void refusal_write(api_call_t *c, jw_t *w)
{
	jw_object(w);
	jw_kobject(w, "act");
	jw_kstr(w, "op", c->door->verb);
	jw_end(w);
	jw_karray(w, "chain");
	jw_object(w);
	jw_kstr(w, "role", c->who.is_agent ? STR("agent") : STR("user"));
	jw_kstr(w, "sub", c->who.id);
	jw_end(w);
	jw_end(w);
	jw_kstr(w, "code", str_of(err_info(c->refused)->name));
	jw_kstr(w, "jkt", c->who.key);
	if (c->asked) {
		rules_write(c, w);
	}
	jw_end(w);
}

err_t api_refusal_closure(store_txn_t *txn, void *self)
{
	api_call_t *c = self;
	ledger_record_t record = { .type = LEDGER_DECISION, .rid = c->rid, .now_us = c->now_us };

	c->appended = false;
	buf_clear(&c->record);
	jw_init(&c->r, &c->record);
	refusal_write(c, &c->r);
	TRY(jw_finish(&c->r));
	record.body = buf_str(&c->record);
	TRY(ledger_append(c->p->deps.ledger, txn, c->a, &record, &c->receipt));
	c->appended = true;
	return OK;
}
