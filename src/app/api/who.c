/* who.c: who asks (a verb signed by a user's key), and whether the rules let them. */
#include "app/api/api_int.h"

/* --- the signature (wire.md 7) ----------------------------------------------------------------------- */

/* A header that is there must be right: a bad signature is never the same as none. */
err_t api_signature_read(api_call_t *c)
{
	str_t text, sig;
	err_t e = net_header(c->x, STR("Attorn-Verb"), &text);
	err_t e_sig = net_header(c->x, STR("Attorn-Signature"), &sig);

	if (e == ERR_NOT_FOUND && e_sig == ERR_NOT_FOUND) {
		return OK;
	}
	ENSURE(e != ERR_DUPLICATE && e_sig != ERR_DUPLICATE, ERR_DUPLICATE);
	ENSURE(e == OK && e_sig == OK, ERR_LOGIN);
	ENSURE(b64url_dec(c->a, text, API_VERB_BYTES_MAX, &c->verb.document) == OK, ERR_LOGIN);
	ENSURE(b64url_dec(c->a, sig, API_SIGNATURE_BYTES, &c->verb.signature) == OK, ERR_LOGIN);
	ENSURE(delegation_verb_parse(c->a, c->verb.document, &c->verb.v, NULL) == OK, ERR_LOGIN);
	c->verb.present = true;
	return OK;
}

/* What body_digest covers: METHOD SP target LF body. */
static err_t request_text(api_call_t *c, str_t *out)
{
	const str_t parts[] = { net_method(c->x), STR(" "), net_target(c->x), STR("\n"), net_body(c->x) };
	size_t n = 0;
	void *p;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		n += parts[i].n;
	}
	TRY(arena_try(c->a, n, &p));
	char *at = p;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i].n) {
			memcpy(at, parts[i].p, parts[i].n);
		}
		at += parts[i].n;
	}
	*out = str_bytes(p, n);
	return OK;
}

/* Only now: the signature verified, so it is its owner who learns what is wrong. */
static err_t content_check(api_call_t *c)
{
	const delegation_verb_t *v = &c->verb.v;
	str_t text;

	TRY(request_text(c, &text));
	err_t e = delegation_verb_check(v, c->p->deps.issuer, c->door->verb, text, c->now_s, API_SKEW_S);
	if (e == OK) {
		return OK;
	}
	if (v->exp <= c->now_s - API_SKEW_S || v->iat > c->now_s + API_SKEW_S) {
		return api_say(c, e, "the signature has expired, or the clocks differ");
	}
	if (!str_eq(v->iss, c->p->deps.issuer)) {
		return api_say(c, e, "signed for another authority");
	}
	return api_say(c, e, "signed for another verb, path or body");
}

static err_t roles_take(api_call_t *c, const store_role_t *rows, size_t n, api_who_t *who)
{
	AUTO(buf_done) buf_t all;
	str_t *names = arena_array(c->a, str_t, n);

	buf_init(&all, API_SNAPSHOT_BYTES_MAX);
	for (size_t i = 0; i < n; i++) {
		api_words_t words;
		names[i] = rows[i].name;
		TRY(api_words_of(c->a, rows[i].permissions, &words));
		for (size_t k = 0; k < words.n; k++) {
			if (!str_list_has(buf_str(&all), words.v[k])) {
				buf_add(&all, all.n ? STR(" ") : STR(""));
				buf_add(&all, words.v[k]);
			}
		}
	}
	TRY(buf_err(&all));
	who->roles = names;
	who->n_roles = n;
	return arena_dup(c->a, buf_str(&all), &who->permissions);
}

err_t api_user_facts(api_call_t *c, store_txn_t *txn, str_t id, api_who_t *who)
{
	store_role_t *roles;
	size_t n;

	err_t e = store_user_get(txn, c->a, id, &who->user);
	ENSURE(e != ERR_NOT_FOUND, ERR_LOGIN);
	TRY(e);
	ENSURE(who->user.active, ERR_LOGIN);
	who->id = who->user.id;
	TRY(store_user_roles(txn, c->a, id, &roles, &n));
	return roles_take(c, roles, n, who);
}

err_t api_signer_check(api_call_t *c, store_txn_t *txn)
{
	api_who_t who = { 0 };
	store_user_key_t row;
	jose_jwk_t jwk;

	if (!c->verb.present) {
		return OK;
	}
	err_t e = store_user_key_get(txn, c->a, c->verb.v.by, &row);
	ENSURE(e != ERR_NOT_FOUND, ERR_LOGIN);
	TRY(e);
	ENSURE(str_eq(row.state, STR("active")), ERR_LOGIN);
	TRY(jose_jwk_parse(c->a, row.jwk, &jwk, NULL));
	TRY(delegation_verb_verify(c->a, c->verb.document, &c->verb.v, &jwk.pub, c->verb.signature));
	TRY(content_check(c));
	TRY(api_user_facts(c, txn, row.user, &who));
	who.key = row.jkt;
	who.known = true;
	c->who = who;
	return OK;
}

err_t api_nonce_spend(api_call_t *c, store_txn_t *txn)
{
	const delegation_verb_t *v = &c->verb.v;

	if (!c->verb.present) {
		return OK;
	}
	return store_used_insert(txn, STR("verb"), arena_cat(c->a, v->by, STR("."), v->nonce), v->exp + API_SKEW_S + 1);
}

/* --- the rules ------------------------------------------------------------------------------------------ */

err_t api_rules_current(api_call_t *c, store_txn_t *txn)
{
	store_policy_t row;
	uint8_t digest[DELEGATION_DIGEST_BYTES];

	TRY(store_policy_active(txn, c->a, &row));
	TRY(delegation_digest_parse(row.digest, digest));
	ENSURE(ct_eq(digest, policy_bundle_digest(c->view->policy), sizeof(digest)), ERR_FENCE);
	return OK;
}

static err_t agent_facts(api_call_t *c, store_txn_t *txn, const store_agent_t *row, policy_agent_t *out)
{
	api_words_t roles, scopes;
	store_user_t owner;

	TRY(api_words_of(c->a, row->roles, &roles));
	TRY(api_words_of(c->a, row->scopes, &scopes));
	TRY(store_user_get(txn, c->a, row->owner, &owner));
	*out = (policy_agent_t){
		.id = row->id,
		.name = row->name,
		.kind = str_eq(row->kind, STR("autonomous")) ? DELEGATION_AGENT_AUTONOMOUS : DELEGATION_AGENT_DELEGATED,
		.active = str_eq(row->state, STR("active")),
		.owner = row->owner,
		.owner_active = owner.active,
		.roles = { roles.v, roles.n },
		.scopes = scopes.list,
		.max_depth = (uint32_t)row->max_depth,
	};
	return OK;
}

static policy_request_t question(const api_call_t *c, policy_action_t action, str_t object)
{
	policy_request_t q = {
		.action = action,
		.object = object,
		.assurance = c->p->deps.shared_uid ? DELEGATION_SHARED_UID : DELEGATION_KEY,
		.clock = policy_clock(c->now_s, 0),
	};

	if (!c->who.is_agent) {
		q.user = (policy_user_t){ .id = c->who.id, .active = c->who.user.active,
			.roles = { c->who.roles, c->who.n_roles }, .permissions = c->who.permissions };
	}
	return q;
}

static err_t ask(api_call_t *c, store_txn_t *txn, policy_action_t action, str_t object, const store_agent_t *on)
{
	policy_request_t q = question(c, action, object);

	if (c->who.is_agent) {
		TRY(agent_facts(c, txn, &c->who.agent, &q.agent));
	}
	if (on) {
		TRY(agent_facts(c, txn, on, &q.on_agent));
	}
	policy_decide(c->a, c->view->policy, &q, &c->decision);
	c->asked = true;
	ENSURE(c->decision.verdict == POLICY_PERMIT, action == POLICY_DELEGATE ? ERR_DENIED : ERR_VERB);
	return OK;
}

err_t api_may(api_call_t *c, store_txn_t *txn, policy_action_t action, str_t object, const store_agent_t *on)
{
	if (c->who.known) {
		TRY(ask(c, txn, action, object, on));
		c->allowed = true;
		return OK;
	}
	/* the operating-system account is the evidence, and good for narrowing alone (P102) */
	ENSURE(c->trusted && !c->widens && action != POLICY_DELEGATE, ERR_LOGIN);
	c->who.id = arena_printf(c->a, "unix:uid:%u", (unsigned)net_peer(c->x)->uid);
	c->allowed = true;
	return OK;
}

/* What widens may also take away: nobody signs away the right to undo it. */
err_t api_still_may(api_call_t *c, store_txn_t *txn)
{
	TRY(api_user_facts(c, txn, c->who.id, &c->who));
	err_t e = api_would(c, c->view->policy, POLICY_ADMINISTER, c->door->verb);

	return e == OK ? OK : api_say(c, ERR_CONFLICT, "after this you could not undo it: you would no longer be let");
}

err_t api_administrators(store_txn_t *txn, size_t *out_before)
{
	return store_users_with(txn, STR("attorn:administer"), out_before);
}

err_t api_administrator_stays(store_txn_t *txn, size_t before)
{
	size_t n;

	TRY(api_administrators(txn, &n));
	ENSURE(n > 0 || before == 0, ERR_LAST_ADMINISTRATOR); /* rules may let others administer than the starter's */
	return OK;
}

err_t api_would(api_call_t *c, const policy_bundle_t *rules, policy_action_t action, str_t object)
{
	policy_request_t q = question(c, action, object);
	policy_decision_t d;

	policy_decide(c->a, rules, &q, &d);
	return d.verdict == POLICY_PERMIT ? OK : ERR_VERB;
}

err_t api_read_may(api_call_t *c, store_txn_t *txn)
{
	if (c->door->flags & API_PUBLIC) {
		return OK;
	}
	err_t e = ask(c, txn, POLICY_ADMINISTER, STR("read"), NULL);
	c->full = c->trusted || e == OK;
	if (c->full || (e == ERR_VERB && c->door->flags & API_ANYONE)) {
		return OK;
	}
	return e;
}
