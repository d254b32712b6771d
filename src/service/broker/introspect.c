/* introspect.c: POST /oauth/introspect (RFC 7662) and /oauth/revoke (RFC 7009). Jobs: authenticate the
 * client as the token endpoint does (on a reader: strangers' signatures are not verified on the one lane
 * that writes), then spend what it showed, look in the store, answer. A revoked token's hash stands in
 * `used`, space "revoked", where admit and exchange see it. */
#include "service/broker/broker_int.h"

typedef struct {
	lane_job_t job;
	store_closure_t closure;
	broker_t *b;
	net_exchange_t *x;
	arena_t *a;
	const feed_view_t *view;
	bool is_revoke;
	int64_t now_us, now_s;
	str_t token, assertion;
	const snapshot_agent_t *agent;
	jose_dpop_t proof;
	bool has_proof;
	broker_keys_t keys;
	delegation_claims_t claims;
	broker_client_t client;
	bool is_ours, active, spent;
} look_t;

static void look_free(look_t *k)
{
	feed_view_unref(k->view);
	arena_free(k->a);
	heap_free(k);
}

static void look_fail(look_t *k, err_t e)
{
	admit_count(k->b->deps.admit, STR("oauth"), e, 1); /* nothing was asked for that a record would tell */
	broker_reply_error(k->b, k->x, e);
	look_free(k);
}

/* RFC 7662 and 7009 know no proof and stock clients send none: nothing comes out here that a key would have
 * to be bound to. One that is sent must be right. */
static err_t look_proof(look_t *k)
{
	str_t url = k->is_revoke ? k->b->revoke_url : k->b->introspect_url, proof;

	if (net_header(k->x, STR("DPoP"), &proof) == ERR_NOT_FOUND) {
		return OK;
	}
	TRY(broker_proof(k->b, k->a, k->x, url, k->now_s, &k->proof));
	k->has_proof = true;
	return OK;
}

static err_t look_parse(look_t *k)
{
	str_t type, client_id;
	form_t f;

	ENSURE(str_eq(net_method(k->x), STR("POST")), ERR_METHOD);
	ENSURE(net_header(k->x, STR("Content-Type"), &type) == OK, ERR_CONTENT_TYPE);
	ENSURE(net_query(k->x).n == 0, ERR_VALUE); /* no token travels in a URL */
	ENSURE(net_content_type_is(type, STR("application/x-www-form-urlencoded")), ERR_CONTENT_TYPE);
	TRY(form_parse(k->a, net_body(k->x), BROKER_FORM_PAIRS_MAX, &f));
	TRY(form_want(&f, STR("client_assertion_type"), BROKER_VALUE_BYTES_MAX, &type));
	ENSURE(str_eq(type, STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")), ERR_CLIENT);
	TRY(form_want(&f, STR("client_assertion"), BROKER_ASSERTION_BYTES_MAX, &k->assertion));
	TRY(form_want(&f, STR("client_id"), BROKER_VALUE_BYTES_MAX, &client_id));
	TRY(form_want(&f, STR("token"), BROKER_TOKEN_BYTES_MAX, &k->token));
	ENSURE(k->token.n, ERR_MISSING_MEMBER);
	TRY(look_proof(k));
	return broker_client_find(k->a, k->view, k->assertion, client_id, &k->agent);
}

/* A token of the caller, or one it may see: ours and not expired. Anything else is simply not active,
 * in one shape (RFC 7662 2.2). A client sees only its own tokens: there is nothing to learn of others. */
static void look_token(look_t *k)
{
	k->is_ours = broker_token_read(k->b, k->a, k->view, k->token, k->now_s, &k->claims) == OK &&
		str_eq(k->claims.client_id, k->agent->id);
}

static err_t spend_client(store_txn_t *txn, const look_t *k)
{
	TRY(store_used_insert(txn, k->agent->id, k->client.jti, k->client.jti_until_s));
	return k->has_proof ? broker_proof_spend(txn, &k->proof) : OK;
}

static err_t revoke_token(store_txn_t *txn, look_t *k)
{
	ledger_record_t record = { .type = LEDGER_REVOKE, .rid = ledger_rid(k->a, k->now_us), .now_us = k->now_us };
	ledger_receipt_t receipt;
	err_t e = store_used_insert(txn, STR("revoked"), broker_token_hash(k->a, k->token), k->claims.exp + BROKER_LEEWAY_S);

	if (e == ERR_REPLAY) {
		return OK; /* revoked before */
	}
	TRY(e);
	record.body = arena_printf(k->a, "{\"by\":\"%.*s\",\"token\":{\"jti\":\"%.*s\"}}", STR_ARG(k->agent->id),
		STR_ARG(k->claims.jti));
	return ledger_append(k->b->deps.ledger, txn, k->a, &record, &receipt);
}

/* Who stands behind it: the user, or the owner of an agent that acts for itself. */
static bool person_active(const look_t *k)
{
	str_t id = k->claims.grant.n ? k->claims.sub : k->agent->owner;
	const snapshot_user_t *user = snapshot_user(k->view->snapshot, id);

	return user && user->active;
}

/* A token rests on its grant, on a person and on its own jti. */
static err_t look_alive(store_txn_t *txn, look_t *k)
{
	store_grant_t *chain;
	size_t n;
	bool revoked;

	TRY(store_used_has(txn, k->b->deps.issuer, k->claims.jti, &k->spent)); /* a capability that did its call */
	TRY(store_used_has(txn, STR("revoked"), broker_token_hash(k->a, k->token), &revoked));
	k->active = !k->spent && !revoked && person_active(k);
	if (!k->claims.grant.n || !k->active) {
		return OK;
	}
	err_t e = store_grant_chain(txn, k->a, k->claims.grant, &chain, &n);
	if (e == ERR_NOT_FOUND) {
		k->active = false;
		return OK;
	}
	TRY(e);
	for (size_t i = 0; i < n; i++) {
		k->active = k->active && store_grant_alive(&chain[i], k->now_s) == OK;
	}
	return OK;
}

static err_t look_closure(store_txn_t *txn, void *self)
{
	look_t *k = self;

	k->active = k->spent = false;
	TRY(spend_client(txn, k));
	if (!k->is_ours) {
		return OK;
	}
	return k->is_revoke ? revoke_token(txn, k) : look_alive(txn, k);
}

static void active_write(jw_t *w, const look_t *k, str_t act, str_t details)
{
	const delegation_claims_t *c = &k->claims;

	jw_kstr(w, "scope", c->scope);
	jw_kstr(w, "client_id", c->client_id);
	jw_kstr(w, "token_type", c->x5t.n ? STR("Bearer") : STR("DPoP"));
	jw_ki64(w, "exp", c->exp);
	jw_ki64(w, "iat", c->iat);
	jw_kstr(w, "sub", c->sub);
	jw_kstr(w, "aud", c->aud);
	jw_kstr(w, "iss", c->iss);
	jw_kstr(w, "jti", c->jti);
	jw_kobject(w, "cnf");
	jw_kstr_if(w, "jkt", c->jkt);
	jw_kstr_if(w, "x5t#S256", c->x5t); /* RFC 8705 3.2 */
	jw_end(w);
	if (act.n) {
		jw_kraw(w, "act", act);
	}
	jw_kraw(w, "authorization_details", details);
	jw_kstr(w, "txn", c->txn);
	jw_kstr(w, "assurance", delegation_assurance_name(c->assurance));
	jw_kstr_if(w, "grant", c->grant);
}

static err_t introspection_write(look_t *k, buf_t *body)
{
	jw_t w;
	str_t act = STR_NULL, details;

	jw_init(&w, body);
	jw_object(&w);
	jw_kbool(&w, "active", k->active);
	if (k->active) {
		act = k->claims.act.n ? delegation_chain_write(k->a, &k->claims.act) : STR_NULL;
		TRY(delegation_items_write(k->a, k->claims.items, k->claims.n_items, &details));
		active_write(&w, k, act, details);
	}
	jw_end(&w);
	return jw_finish(&w);
}

static void look_done(lane_job_t *job, err_t e)
{
	look_t *k = (look_t *)job;
	AUTO(buf_done) buf_t body;

	buf_init(&body, BROKER_DOCUMENT_BYTES_MAX);
	if (e != OK) {
		look_fail(k, e);
		return;
	}
	if (k->is_revoke) {
		k->b->deps.appended(k->b->deps.owner);
		broker_reply_json(k->b, k->x, 200, STR(""));
	} else if (introspection_write(k, &body) == OK) {
		broker_reply_json(k->b, k->x, 200, buf_str(&body));
	} else {
		broker_reply_error(k->b, k->x, ERR_INTERNAL);
	}
	look_free(k);
}

/* On a reader: who asks, and is the token one of ours. */
static err_t look_client(void *arg)
{
	look_t *k = arg;

	k->keys = (broker_keys_t){ .a = k->a, .agent = k->agent->id };
	TRY(store_read(k->b->deps.store, broker_keys_closure, &k->keys));
	TRY(broker_client_check(k->b, k->a, k->assertion, k->agent, &k->keys, k->now_s, &k->client));
	ENSURE(k->agent->state == SNAPSHOT_ACTIVE, ERR_AGENT_STATE);
	look_token(k);
	return OK;
}

static void look_known(lane_job_t *job, err_t e)
{
	look_t *k = (look_t *)job;

	if (e == OK) {
		k->closure = (store_closure_t){ .run = look_closure, .self = k, .essential = k->is_revoke };
		k->job = (lane_job_t){ .arg = &k->closure, .done = look_done };
		e = lane_submit(k->b->deps.write, &k->job);
	}
	if (e != OK) {
		look_fail(k, e);
	}
}

static void look(broker_t *b, net_exchange_t *x, bool is_revoke)
{
	look_t *k = heap_new(look_t);

	k->b = b;
	k->x = x;
	k->a = arena_open();
	k->view = feed_pin(b->deps.feed);
	k->is_revoke = is_revoke;
	k->now_us = (int64_t)loop_unix_us(b->deps.loop);
	k->now_s = k->now_us / 1000000;
	err_t e = look_parse(k);
	if (e == OK) {
		k->job = (lane_job_t){ .run = look_client, .arg = k, .done = look_known };
		e = lane_submit(b->deps.read, &k->job);
	}
	if (e != OK) {
		look_fail(k, e);
	}
}

void broker_introspect_handle(broker_t *b, net_exchange_t *x)
{
	look(b, x, false);
}

void broker_revoke_handle(broker_t *b, net_exchange_t *x)
{
	look(b, x, true);
}
