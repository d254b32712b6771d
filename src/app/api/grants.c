/* grants.c: a grant comes in: a document its delegator signed. The signature is looked at first, then what
 * it rests on (the user, or the parent grant), then whether it lends more than there is, then the rules. */
#include "app/api/api_int.h"

typedef struct {
	str_t document, signature;
	delegation_grant_t g;
	/* found in the transaction */
	bool admin_made;
	store_agent_t agent; /* who receives */
	api_who_t user; /* whose authority is lent */
	store_grant_t parent; /* of a child */
} grant_in_t;

err_t api_grant_create_parse(api_call_t *c)
{
	grant_in_t *in = arena_new(c->a, grant_in_t);
	str_t sig;

	TRY(API_ONLY(c, STR("document"), STR("signature")));
	TRY(json_need_str(c->body, STR("document"), DELEGATION_DOCUMENT_BYTES_MAX, &in->document));
	TRY(json_need_str(c->body, STR("signature"), API_PATH_BYTES_MAX, &sig));
	err_t e = b64url_dec(c->a, sig, API_SIGNATURE_BYTES, &in->signature);
	ENSURE(e == OK, api_say(c, ERR_VALUE, "signature: 64 bytes in base64url"));
	c->in = in;
	return OK;
}

/* On lane cpu: parsing renders the text that the person saw, and compares (P100). */
err_t api_grant_create_prepare(api_call_t *c)
{
	grant_in_t *in = c->in;

	err_t e = delegation_grant_parse(c->a, in->document, &in->g, &c->diag);
	ENSURE(e != ERR_TYPE, api_say(c, ERR_VALUE, "document: v is not attorn-grant/1"));
	if (e != OK) {
		return c->diag.text[0] ? e : api_say(c, e, "document: not a grant in its canonical form");
	}
	ENSURE(ulid_is(in->g.id), api_say(c, ERR_VALUE, "id: a ULID"));
	return OK;
}

/* --- whose signature ---------------------------------------------------------------------------------- */

static err_t signature_check(api_call_t *c, const grant_in_t *in, str_t jwk_text)
{
	jose_jwk_t jwk;

	TRY(jose_jwk_parse(c->a, jwk_text, &jwk, NULL));
	return delegation_grant_verify(c->a, in->document, &in->g, &jwk.pub, in->signature);
}

/* A root grant: a user's key signed it. Whose key, and is it the delegator's own? (P99, P101) */
static err_t signer_user(api_call_t *c, store_txn_t *txn, grant_in_t *in)
{
	api_who_t who = { 0 };
	store_user_key_t key;

	err_t e = store_user_key_get(txn, c->a, in->g.delegator_key, &key);
	ENSURE(e != ERR_NOT_FOUND, ERR_GRANT_SIGNATURE);
	TRY(e);
	ENSURE(str_eq(key.state, STR("active")), ERR_GRANT_SIGNATURE);
	TRY(signature_check(c, in, key.jwk));
	e = api_user_facts(c, txn, key.user, &who);
	ENSURE(e != ERR_LOGIN, ERR_GRANT_SIGNATURE);
	TRY(e);
	who.key = key.jkt;
	who.known = true;
	c->who = who;
	in->admin_made = !str_eq(who.id, in->g.delegator_sub);
	if (!in->admin_made) {
		in->user = who;
		return OK;
	}
	e = api_user_facts(c, txn, in->g.delegator_sub, &in->user);
	return e == ERR_LOGIN ? ERR_GRANT_SIGNATURE : e;
}

/* A child grant: the parent's agent signed it with a key of its own. */
static err_t signer_agent(api_call_t *c, store_txn_t *txn, grant_in_t *in)
{
	api_who_t who = { .is_agent = true };
	store_agent_key_t key;

	err_t e = store_agent_key_get(txn, c->a, in->g.delegator_key, &key);
	ENSURE(e != ERR_NOT_FOUND, ERR_GRANT_SIGNATURE);
	TRY(e);
	ENSURE(str_eq(key.state, STR("active")) && str_eq(key.agent, in->g.delegator_sub), ERR_GRANT_SIGNATURE);
	TRY(signature_check(c, in, key.jwk));
	TRY(store_agent_get(txn, c->a, key.agent, &who.agent));
	who.id = who.agent.id;
	who.key = key.jkt;
	who.known = true;
	c->who = who;
	ENSURE(str_eq(who.agent.state, STR("active")), ERR_AGENT_STATE);
	return OK;
}

/* --- what it rests on ------------------------------------------------------------------------------------ */

static err_t times_check(api_call_t *c, const delegation_grant_t *g)
{
	ENSURE(str_eq(g->iss, c->p->deps.issuer), api_say(c, ERR_VALUE, "iss: signed for another authority"));
	ENSURE(g->exp > c->now_s, api_say(c, ERR_VALUE, "exp: this grant has ended already"));
	ENSURE(g->iat <= c->now_s + API_SKEW_S, api_say(c, ERR_VALUE, "iat: in the future; check the clock"));
	ENSURE(g->iat >= c->now_s - API_GRANT_AGE_S_MAX, api_say(c, ERR_VALUE, "iat: signed too long ago; sign it anew"));
	return OK;
}

/* Every grant above must be alive now, and the child narrower than its parent in everything. */
static err_t parent_check(api_call_t *c, store_txn_t *txn, grant_in_t *in)
{
	delegation_grant_t parent;
	store_grant_t *chain;
	size_t n;

	err_t e = store_grant_chain(txn, c->a, in->g.parent_id, &chain, &n);
	ENSURE(e != ERR_NOT_FOUND, api_say(c, ERR_GRANT, "no such parent grant"));
	TRY(e);
	for (size_t i = 0; i < n; i++) {
		TRY(store_grant_alive(&chain[i], c->now_s));
	}
	TRY(delegation_grant_parse_stored(c->a, chain[0].doc, &parent));
	TRY(delegation_grant_child_check(&parent, chain[0].doc, &in->g, &c->diag));
	in->parent = chain[0];
	e = api_user_facts(c, txn, chain[0].user, &in->user);
	return e == ERR_LOGIN ? api_say(c, ERR_GRANT, "the user behind this grant is disabled") : e;
}

static err_t agent_find(api_call_t *c, store_txn_t *txn, grant_in_t *in)
{
	err_t e = store_agent_get(txn, c->a, in->g.agent, &in->agent);

	ENSURE(e != ERR_NOT_FOUND, api_say(c, e, "no such agent: attorn agent register"));
	TRY(e);
	ENSURE(str_eq(in->agent.kind, STR("delegated")),
		api_say(c, ERR_VALUE, "agent: an autonomous agent acts for itself and takes no grant"));
	ENSURE(str_eq(in->agent.state, STR("active")), api_say(c, ERR_AGENT_STATE, "the agent is %.*s",
		STR_ARG(in->agent.state)));
	return OK;
}

/* --- no more than there is ------------------------------------------------------------------------------- */

static err_t scopes_check(api_call_t *c, const grant_in_t *in)
{
	api_words_t allowed;
	str_t rest = in->g.bounds.scope, word;

	TRY(api_words_of(c->a, in->agent.scopes, &allowed));
	while (rest.n && str_split(&rest, ' ', &word)) {
		ENSURE(str_list_has(in->user.permissions, word), api_say(c, ERR_BOUNDS,
			"scope %.*s: the user has no role with this permission and cannot lend it", STR_ARG(word)));
		ENSURE(str_list_has(allowed.list, word), api_say(c, ERR_BOUNDS,
			"scope %.*s: the agent's record does not allow it", STR_ARG(word)));
	}
	return OK;
}

static err_t needed_scope(const snapshot_route_t *route, const delegation_item_t *item, str_t *out)
{
	snapshot_tool_t tool;

	if (item->type == DELEGATION_MCP_TOOL_CALL) {
		ENSURE(route->kind != SNAPSHOT_HTTP && snapshot_tool(route, item->target, &tool), ERR_TOOL);
		*out = tool.scope;
		return OK;
	}
	ENSURE(route->kind == SNAPSHOT_HTTP, ERR_TOOL);
	str_t path = str_sub(item->target, 0, str_find(item->target, '?'));
	const snapshot_rule_t *rule = snapshot_rule(route, item->op, path);
	ENSURE(rule, ERR_TOOL);
	*out = rule->scope;
	return OK;
}

static err_t item_check(api_call_t *c, store_txn_t *txn, const grant_in_t *in, const delegation_item_t *item)
{
	str_t base = arena_cat(c->a, c->p->deps.gateway_url, STR("/r/")), needed;
	snapshot_route_t route;
	store_route_t row;

	ENSURE(str_starts(item->server, base),
		api_say(c, ERR_TARGET, "server: %.*sNAME is the form of a route here", STR_ARG(base)));
	str_t name = str_sub(item->server, base.n, SIZE_MAX);
	err_t e = delegation_name_check(name) == OK ? store_route_get(txn, c->a, name, &row) : ERR_NOT_FOUND;
	ENSURE(e != ERR_NOT_FOUND, api_say(c, ERR_TARGET, "server: no such route"));
	TRY(e);
	TRY(snapshot_route_parse(c->a, row.doc, &route, NULL));
	e = needed_scope(&route, item, &needed);
	ENSURE(e == OK, api_say(c, e, "route %.*s does not list %.*s %.*s", STR_ARG(name), STR_ARG(item->op),
		STR_ARG(item->target)));
	ENSURE(str_list_has(in->g.bounds.scope, needed), api_say(c, ERR_SCOPE,
		"%.*s needs the scope %.*s, which the grant does not lend", STR_ARG(item->target), STR_ARG(needed)));
	return OK;
}

static err_t content_check(api_call_t *c, store_txn_t *txn, const grant_in_t *in)
{
	TRY(scopes_check(c, in));
	for (size_t i = 0; i < in->g.bounds.n_items; i++) {
		TRY(item_check(c, txn, in, &in->g.bounds.items[i]));
	}
	return OK;
}

/* --- record ------------------------------------------------------------------------------------------------ */

static err_t grant_insert(api_call_t *c, store_txn_t *txn, const grant_in_t *in)
{
	const delegation_grant_t *g = &in->g;
	store_grant_t row = {
		.id = g->id,
		.root = g->has_parent ? in->parent.root : g->id,
		.parent = g->has_parent ? in->parent.id : STR_NULL,
		.depth = g->has_parent ? in->parent.depth + 1 : 0,
		.agent = g->agent,
		.user = in->user.id,
		.doc = in->document,
		.sig = in->signature,
		.key = g->delegator_key,
		.admin_made = in->admin_made || (g->has_parent && in->parent.admin_made),
		.iat_s = g->iat,
		.exp_s = g->exp,
		.uses_max = g->bounds.uses,
	};
	err_t e = store_grant_insert(txn, &row);

	return e == ERR_EXISTS ? api_say(c, e, "a grant with this id is there already") : e;
}

static err_t grant_record(api_call_t *c, store_txn_t *txn, const grant_in_t *in)
{
	const delegation_grant_t *g = &in->g;
	uint8_t digest[CRYPTO_SHA256_BYTES], sig[CRYPTO_SHA256_BYTES];

	delegation_grant_digest(in->document, digest);
	crypto_sha256(in->signature, sig);
	buf_clear(&c->record);
	jw_init(&c->r, &c->record);
	jw_object(&c->r);
	jw_kstr(&c->r, "by", in->admin_made ? STR("admin") : STR("delegator"));
	jw_kstr(&c->r, "delegate", g->agent);
	jw_kstr(&c->r, "delegator", g->delegator_sub);
	jw_kstr(&c->r, "digest", delegation_digest_text(c->a, digest));
	jw_ki64(&c->r, "exp", g->exp);
	jw_ki64(&c->r, "iat", g->iat);
	jw_kstr(&c->r, "key", g->delegator_key);
	jw_kstr_if(&c->r, "parent", g->parent_id);
	jw_kstr(&c->r, "sig", delegation_digest_text(c->a, sig));
	if (in->admin_made) {
		jw_kstr(&c->r, "subject", c->who.id);
	}
	jw_ku64(&c->r, "uses", g->bounds.uses);
	c->rid = g->id; /* a grant's id is the rid of its record (wire.md 3) */
	TRY(api_record_end(c, txn, LEDGER_GRANT));
	return api_change(c, txn, "grant", g->id, false);
}

static void grant_answer(api_call_t *c, const grant_in_t *in)
{
	jw_kobject(&c->w, "grant");
	jw_kstr(&c->w, "id", in->g.id);
	jw_kstr(&c->w, "agent", in->g.agent);
	jw_kstr(&c->w, "user", in->user.id);
	jw_kstr(&c->w, "user_name", in->user.user.name);
	jw_ki64(&c->w, "exp", in->g.exp);
	jw_ku64(&c->w, "uses_max", in->g.bounds.uses);
	jw_kbool(&c->w, "admin_made", in->admin_made);
	jw_end(&c->w);
}

err_t api_grant_create_run(api_call_t *c, store_txn_t *txn)
{
	grant_in_t *in = c->in;

	c->rid = ledger_rid(c->a, c->now_us); /* of a refusal */
	in->admin_made = false;
	TRY(in->g.has_parent ? signer_agent(c, txn, in) : signer_user(c, txn, in));
	TRY(times_check(c, &in->g));
	if (in->g.has_parent) {
		TRY(parent_check(c, txn, in));
	}
	TRY(agent_find(c, txn, in));
	if (in->admin_made) { /* lent for somebody else: not the delegator's signature, unless an administrator's */
		err_t e = api_may(c, txn, POLICY_ADMINISTER, STR("grant"), &in->agent);
		ENSURE(e != ERR_VERB, ERR_GRANT_SIGNATURE);
		TRY(e);
	} else {
		TRY(api_may(c, txn, POLICY_DELEGATE, STR("grant"), &in->agent));
	}
	TRY(content_check(c, txn, in));
	TRY(grant_insert(c, txn, in));
	TRY(grant_record(c, txn, in));
	c->status = 201;
	grant_answer(c, in);
	return OK;
}
