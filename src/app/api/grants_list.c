/* grants_list.c: grants as they stand, and their end. */
#include "app/api/api_int.h"

/* --- revoke: narrowing, so it is easy; but who did it is on record ------------------------------------- */

typedef struct {
	str_t reason;
} revoke_in_t;

static err_t arg_grant(api_call_t *c)
{
	return ulid_is(c->arg[0]) ? OK : api_say(c, ERR_NOT_FOUND, "a grant's id has 26 characters");
}

err_t api_grant_revoke_parse(api_call_t *c)
{
	revoke_in_t *in = arena_new(c->a, revoke_in_t);

	TRY(arg_grant(c));
	TRY(API_ONLY(c, STR("reason")));
	err_t e = json_want_str(c->body, STR("reason"), API_REASON_BYTES_MAX, &in->reason);
	ENSURE(e == OK, api_say(c, e, "reason: a text of at most %d bytes", API_REASON_BYTES_MAX));
	in->reason = in->reason.p ? in->reason : STR("");
	c->in = in;
	return OK;
}

/* One's own grants one can always end; those of others are for the rules to say. */
static err_t revoke_may(api_call_t *c, store_txn_t *txn, const store_grant_t *g)
{
	store_agent_t agent;

	if (c->who.known && str_eq(c->who.id, g->user)) {
		c->allowed = true;
		return OK;
	}
	TRY(store_agent_get(txn, c->a, g->agent, &agent));
	return api_may(c, txn, POLICY_REVOKE, STR("grant"), &agent);
}

static err_t revoke_record(api_call_t *c, store_txn_t *txn, const store_grant_t *g)
{
	const revoke_in_t *in = c->in;

	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "grant", g->id);
	jw_ku64(&c->r, "ended", c->n_ended);
	if (in->reason.n) {
		jw_kstr(&c->r, "reason", in->reason);
	}
	TRY(api_record_end(c, txn, LEDGER_REVOKE));
	return api_change(c, txn, "revoke", g->id, false);
}

static void revoke_answer(api_call_t *c, const store_grant_t *g)
{
	jw_kstr(&c->w, "grant", g->id);
	jw_karray(&c->w, "ended");
	for (size_t i = 0; i < c->n_ended; i++) {
		jw_str(&c->w, c->ended[i]);
	}
	jw_end(&c->w);
}

err_t api_grant_revoke_run(api_call_t *c, store_txn_t *txn)
{
	const revoke_in_t *in = c->in;
	store_grant_t g;
	str_t *ended;
	size_t n;

	TRY(store_grant_get(txn, c->a, c->arg[0], &g));
	TRY(revoke_may(c, txn, &g));
	err_t e = store_grant_revoke(txn, c->a, g.id, c->now_s, in->reason, &ended, &n);
	if (e == ERR_CONFLICT) { /* ended before: what was asked for is so */
		revoke_answer(c, &g);
		return OK;
	}
	TRY(e);
	c->ended = ended;
	c->n_ended = n;
	TRY(revoke_record(c, txn, &g));
	revoke_answer(c, &g);
	return OK;
}

/* --- reads ----------------------------------------------------------------------------------------------- */

static str_t state_of(const store_grant_t *g, int64_t now_s)
{
	switch (store_grant_alive(g, now_s)) {
	case OK:
		return STR("active");
	case ERR_GRANT_REVOKED:
		return STR("revoked");
	case ERR_GRANT_EXPIRED:
		return STR("expired");
	case ERR_GRANT_USES:
		return STR("used up");
	default:
		return STR("not yet");
	}
}

static void number_or_null(jw_t *w, const char *key, int64_t v)
{
	if (v == STORE_NONE) {
		jw_knull(w, key);
	} else {
		jw_ki64(w, key, v);
	}
}

static err_t grant_answer(api_call_t *c, store_txn_t *txn, const store_grant_t *g)
{
	store_user_t user;
	store_agent_t agent;

	TRY(store_user_get(txn, c->a, g->user, &user));
	TRY(store_agent_get(txn, c->a, g->agent, &agent));
	jw_kstr(&c->w, "id", g->id);
	jw_kstr(&c->w, "state", state_of(g, c->now_s));
	jw_kstr(&c->w, "user", g->user);
	jw_kstr(&c->w, "user_name", user.name);
	jw_kstr(&c->w, "agent", g->agent);
	jw_kstr(&c->w, "agent_name", agent.name);
	jw_kstr(&c->w, "root", g->root);
	if (g->parent.p) {
		jw_kstr(&c->w, "parent", g->parent);
	} else {
		jw_knull(&c->w, "parent");
	}
	jw_ki64(&c->w, "depth", g->depth);
	jw_kbool(&c->w, "admin_made", g->admin_made);
	jw_ki64(&c->w, "iat", g->iat_s);
	jw_ki64(&c->w, "exp", g->exp_s);
	number_or_null(&c->w, "uses_max", g->uses_max);
	number_or_null(&c->w, "uses_left", g->uses_left);
	number_or_null(&c->w, "revoked", g->revoked_s);
	jw_kstr_if(&c->w, "reason", g->reason);
	return OK;
}

err_t api_grant_list_parse(api_call_t *c)
{
	static const str_t names[] = { STR_INIT("user"), STR_INIT("agent"), STR_INIT("before"), STR_INIT("limit") };

	TRY(api_query(c, names, ARRAY_LEN(names)));
	str_t before = api_query_get(c, STR("before"));
	ENSURE(!before.p || ulid_is(before), api_say(c, ERR_VALUE, "before: the id of a grant"));
	return OK;
}

typedef struct {
	str_t user, agent; /* ids; STR_NULL: any */
	size_t limit;
} filter_t;

static err_t filter_read(api_call_t *c, store_txn_t *txn, filter_t *out)
{
	str_t user = api_query_get(c, STR("user")), agent = api_query_get(c, STR("agent"));
	store_user_t user_row;
	store_agent_t agent_row;

	*out = (filter_t){ .user = c->full ? STR_NULL : c->who.id };
	TRY(api_query_limit(c, &out->limit));
	if (user.p && c->full) {
		TRY(api_user_find(c, txn, user, &user_row));
		out->user = user_row.id;
	}
	if (agent.p) {
		TRY(api_agent_find(c, txn, agent, &agent_row));
		out->agent = agent_row.id;
	}
	return OK;
}

err_t api_grant_list_run(api_call_t *c, store_txn_t *txn)
{
	store_grant_t *rows;
	filter_t f;
	size_t n;

	TRY(filter_read(c, txn, &f));
	TRY(store_grant_list(txn, c->a, f.user, f.agent, api_query_get(c, STR("before")), &rows, &n));
	jw_karray(&c->w, "grants");
	for (size_t i = 0; i < n && i < f.limit; i++) {
		jw_object(&c->w);
		TRY(grant_answer(c, txn, &rows[i]));
		jw_end(&c->w);
	}
	jw_end(&c->w);
	api_list_next(c, api_list_more(n, f.limit) ? rows[api_list_last(n, f.limit)].id : STR_NULL);
	return OK;
}

err_t api_grant_get_parse(api_call_t *c)
{
	return arg_grant(c);
}

err_t api_grant_get_run(api_call_t *c, store_txn_t *txn)
{
	delegation_grant_t doc;
	store_grant_t g;
	str_t text;

	TRY(store_grant_get(txn, c->a, c->arg[0], &g));
	ENSURE(c->full || str_eq(g.user, c->who.id), ERR_NOT_FOUND);
	TRY(grant_answer(c, txn, &g));
	TRY(delegation_grant_parse_stored(c->a, g.doc, &doc));
	TRY(delegation_grant_render(c->a, &doc, &text));
	jw_kstr(&c->w, "document", g.doc);
	jw_kstr(&c->w, "signature", b64url_enc(c->a, g.sig));
	jw_kstr(&c->w, "key", g.key);
	jw_kstr(&c->w, "text", text);
	return OK;
}
