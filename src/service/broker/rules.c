/* rules.c: what may come out of an exchange. Pure decisions on what the flow gathered; effective =
 * requested, within the grant chain, within the agent's scopes, within the user's permissions
 * (DESIGN 8), and then the operator's rules. */
#include "service/broker/exchange_int.h"

err_t exchange_continuation_check(const exchange_t *e)
{
	const delegation_claims_t *p = &e->parent;

	ENSURE(!p->is_capability, ERR_TOKEN); /* spent by a call, never exchanged */
	ENSURE(str_eq(p->client_id, e->client.agent->id), ERR_TOKEN);
	ENSURE(p->jkt.n && str_eq(p->jkt, e->proof.jkt), ERR_TOKEN_KEY);
	ENSURE(str_eq(p->inst, e->client.inst), ERR_TOKEN); /* the same instance, known the same way */
	ENSURE(str_eq(p->aud, e->route->url), ERR_TARGET);
	return OK;
}

static const snapshot_user_t *user_of(const exchange_t *e)
{
	return exchange_chain_length(e) ? snapshot_user(e->view->snapshot, e->chain->grants[0].user) : NULL;
}

static delegation_place_t place_of(const exchange_t *e)
{
	return (delegation_place_t){
		.environment = e->route->environment,
		.data_classes = e->route->data_classes,
		.n_data_classes = e->route->n_data_classes,
	};
}

err_t exchange_tie_check(const exchange_t *e)
{
	delegation_place_t place = place_of(e);
	const snapshot_user_t *user = user_of(e);

	if (exchange_chain_length(e) == 0) {
		return e->client.agent->kind == DELEGATION_AGENT_AUTONOMOUS ? OK : ERR_GRANT;
	}
	ENSURE(str_eq(e->chain->grants[0].agent, e->client.agent->id), ERR_GRANT);
	ENSURE(user && user->active, ERR_GRANT);
	ENSURE(e->form.ask != ASK_CAPABILITY || str_eq(e->parent.sub, user->id), ERR_GRANT);
	for (size_t i = 0; i < exchange_chain_length(e); i++) {
		TRY(store_grant_alive(&e->chain->grants[i], e->now_s));
		TRY(delegation_place_permits(&e->chain->docs[i].bounds, &place, e->now_s, NULL));
	}
	return OK;
}

/* Every scope some tool or rule of this route needs: a token for it carries no other. */
static str_t route_scopes(arena_t *a, const snapshot_route_t *r)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, BROKER_TOKEN_BYTES_MAX);
	for (size_t i = 0; i < r->n_tools + r->n_rules; i++) {
		str_t s = i < r->n_tools ? r->tools[i].scope : r->rules[i - r->n_tools].scope;
		if (s.n && !str_list_has(buf_str(&b), s)) {
			buf_add(&b, b.n ? STR(" ") : STR(""));
			buf_add(&b, s);
		}
	}
	if (r->default_scope.n && !str_list_has(buf_str(&b), r->default_scope)) {
		buf_add(&b, b.n ? STR(" ") : STR(""));
		buf_add(&b, r->default_scope);
	}
	return arena_str(a, buf_str(&b));
}

/* requested within the route, then within every grant, the agent and the user. */
static err_t scope_narrow(arena_t *a, const exchange_t *e, str_t user_permissions, str_t *out)
{
	str_t of_route = route_scopes(a, e->route), scope;
	str_t requested = e->form.scope.p ? e->form.scope : of_route;

	TRY(delegation_scope_check(requested));
	TRY(delegation_intersect_scope(a, requested, of_route, e->client.agent->scopes, user_permissions, &scope));
	for (size_t i = 0; i < exchange_chain_length(e); i++) {
		str_t of_grant = e->chain->docs[i].bounds.scope;
		TRY(delegation_intersect_scope(a, scope, of_grant, of_grant, of_grant, &scope));
	}
	*out = scope;
	return OK;
}

static int64_t min64(int64_t x, int64_t y)
{
	return x < y ? x : y;
}

/* Current actor first; below it the agents of the grants above (RFC 8693 4.1). */
static err_t act_chain(arena_t *a, const exchange_t *e, delegation_chain_t *out)
{
	str_t ns = arena_cat(a, STR("spiffe://"), e->b->deps.trust_domain);

	*out = (delegation_chain_t){ 0 };
	for (size_t i = exchange_chain_length(e); i-- > 0;) {
		delegation_actor_t actor = { .iss = ns, .sub = e->chain->grants[i].agent, .sub_profile = STR("ai_agent") };
		TRY(delegation_chain_extend(out, &actor, out));
	}
	return OK;
}

static delegation_assurance_t assurance_of(const exchange_t *e)
{
	return e->b->deps.shared_uid ? DELEGATION_SHARED_UID : e->client.inst.n ? DELEGATION_ATTESTED : DELEGATION_KEY;
}

err_t exchange_claims_delegated(arena_t *a, exchange_t *e)
{
	const snapshot_user_t *user = user_of(e);
	const delegation_grant_t *grant = &e->chain->docs[0];
	delegation_claims_t *c = &e->claims;

	*c = (delegation_claims_t){
		.sub = user->id,
		.sub_profile = STR("user"),
		.grant = e->chain->grants[0].id,
		.assurance = assurance_of(e),
		.exp = e->now_s + e->b->deps.delegated_ttl_s,
	};
	delegation_items_for(a, grant->bounds.items, grant->bounds.n_items, e->route->url, &c->items, &c->n_items);
	ENSURE(c->n_items, ERR_TARGET);
	TRY(scope_narrow(a, e, user->permissions, &c->scope));
	TRY(act_chain(a, e, &c->act));
	for (size_t i = 0; i < exchange_chain_length(e); i++) {
		c->exp = min64(c->exp, e->chain->grants[i].exp_s);
	}
	delegation_direction_of_grant(c->grant, e->b->deps.issuer, grant->iat, e->chain->grants[0].admin_made, &c->direction);
	return OK;
}

err_t exchange_claims_autonomous(arena_t *a, exchange_t *e)
{
	delegation_claims_t *c = &e->claims;
	const snapshot_agent_t *agent = e->client.agent;
	const snapshot_user_t *owner = snapshot_user(e->view->snapshot, agent->owner);

	ENSURE(owner && owner->active, ERR_GRANT); /* must have an owner (DESIGN 8) */
	*c = (delegation_claims_t){
		.sub = agent->id,
		.sub_profile = STR("ai_agent"),
		.assurance = assurance_of(e),
		.exp = e->now_s + e->b->deps.delegated_ttl_s / 2, /* shorter life: nobody is behind it */
	};
	delegation_direction_autonomous(e->b->deps.issuer, DELEGATION_INIT_UNKNOWN, &c->direction);
	return scope_narrow(a, e, owner->permissions, &c->scope);
}

/* The scope that the one asked-for action needs on this route, or ERR_DETAILS: it does not exist. */
static err_t needed_scope(const exchange_t *e, const delegation_item_t *asked, str_t *out)
{
	snapshot_tool_t tool;
	const snapshot_rule_t *rule;

	if (asked->type == DELEGATION_MCP_TOOL_CALL) {
		ENSURE(e->route->kind != SNAPSHOT_HTTP && snapshot_tool(e->route, asked->target, &tool), ERR_DETAILS);
		*out = tool.scope;
		return OK;
	}
	ENSURE(e->route->kind == SNAPSHOT_HTTP, ERR_DETAILS);
	rule = snapshot_rule(e->route, asked->op, str_sub(asked->target, 0, str_find(asked->target, '?')));
	ENSURE(rule, ERR_DETAILS);
	*out = rule->scope;
	return OK;
}

static err_t asked_item(arena_t *a, const exchange_t *e, const delegation_item_t **out)
{
	size_t n;

	ENSURE(delegation_items_parse(a, e->form.details, out, &n, NULL) == OK && n == 1, ERR_DETAILS);
	ENSURE(str_eq((*out)->server, e->route->url), ERR_TARGET);
	ENSURE((*out)->has_digest && !(*out)->has_constraints, ERR_DETAILS);
	return OK;
}

static err_t capability_scope(arena_t *a, const exchange_t *e, const delegation_item_t *asked, str_t *out)
{
	const snapshot_user_t *user = user_of(e);
	const snapshot_user_t *owner = snapshot_user(e->view->snapshot, e->client.agent->owner);
	str_t needed, permissions = user ? user->permissions : owner ? owner->permissions : STR("");

	TRY(needed_scope(e, asked, &needed));
	return delegation_intersect_scope(a, needed, e->parent.scope, e->client.agent->scopes, permissions, out);
}

err_t exchange_claims_capability(arena_t *a, exchange_t *e)
{
	delegation_claims_t *c = &e->claims;
	const delegation_item_t *asked;
	uint8_t hash[CRYPTO_SHA256_BYTES];

	TRY(asked_item(a, e, &asked));
	*c = e->parent;
	TRY(capability_scope(a, e, asked, &c->scope));
	c->is_capability = true;
	c->exp = min64(e->now_s + e->b->deps.capability_ttl_s, e->parent.exp);
	c->assurance = delegation_assurance_min(e->parent.assurance, assurance_of(e));
	delegation_direction_next(&e->parent.direction, e->parent.direction.sel, &c->direction);
	crypto_sha256(e->form.subject_token, hash);
	c->parent = b64url_enc(a, str_bytes(hash, sizeof(hash)));
	TRY(delegation_action_digest(c->client_id, c->aud, asked->op, asked->target, asked->digest, c->action_digest));
	if (!c->grant.n) { /* autonomous: no grant to bind to, the digest alone */
		c->items = asked;
		c->n_items = 1;
		return OK;
	}
	return delegation_items_bind(a, e->parent.items, e->parent.n_items, asked, &c->items, &c->n_items);
}

static str_t token_id(arena_t *a)
{
	uint8_t random[16];

	crypto_random(random, sizeof(random));
	return b64url_enc(a, str_bytes(random, sizeof(random)));
}

err_t exchange_claims_finish(arena_t *a, exchange_t *e)
{
	const jose_sign_t header = { .typ = STR("at+jwt"), .kid = e->b->deps.token_kid };
	delegation_claims_t *c = &e->claims;
	str_t payload;

	c->iss = e->b->deps.issuer;
	c->aud = e->route->url;
	c->client_id = e->client.agent->id;
	c->inst = e->client.inst;
	c->jkt = e->proof.jkt;
	c->iat = e->now_s;
	c->jti = token_id(a);
	c->txn = c->txn.n ? c->txn : token_id(a);
	ENSURE(c->exp > c->iat, ERR_GRANT_EXPIRED);
	if (e->form.ask == ASK_CAPABILITY && c->grant.n) {
		TRY(delegation_claims_narrow(&e->parent, c, NULL));
	}
	e->rid = ledger_rid(a, e->now_us);
	TRY(delegation_claims_write(a, c, &payload));
	return jose_jws_input(a, CRYPTO_ED25519, &header, payload, &e->input);
}

/* --- the operator's rules ------------------------------------------------------------------------- */

static policy_token_t token_facts(const exchange_t *e)
{
	const delegation_claims_t *c = &e->claims;

	return (policy_token_t){
		.scopes = c->scope,
		.sender_bound = true,
		.grant = c->grant,
		.depth = (uint32_t)c->act.n,
		.max_depth = exchange_chain_length(e) ? e->chain->docs[e->chain->n - 1].bounds.depth : 1,
		.init = c->direction.init,
		.sel = c->direction.sel,
	};
}

void exchange_policy_ask(arena_t *a, exchange_t *e)
{
	policy_request_t q = {
		.action = POLICY_EXCHANGE,
		.agent = feed_view_agent(e->view, e->client.agent->id),
		.user = feed_view_user(e->view, exchange_chain_length(e) ? e->chain->grants[0].user : STR_NULL),
		.route = feed_view_route(e->route),
		.token = token_facts(e),
		.assurance = e->claims.assurance,
		.clock = policy_clock(e->now_s, 0),
	};

	policy_decide(a, e->view->policy, &q, &e->decision);
}
