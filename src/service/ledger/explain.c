/* explain.c: the story of one call, put together from the log and the tables beside it. */
#include "service/ledger/ledger_int.h"

typedef struct {
	const ledger_t *l;
	store_txn_t *t;
	arena_t *a;
	jw_t *w;
} explain_t;

static err_t leaf_parse(arena_t *a, str_t leaf, const json_t **out)
{
	return json_parse_object(a, leaf, out, NULL);
}

/* Follows an outcome to its attempt. */
static err_t call_find(explain_t *x, str_t rid, store_entry_t *out)
{
	const json_t *leaf;
	str_t of;

	TRY(store_entry_by_rid(x->t, x->a, rid, out));
	if (!str_eq(out->kind, STR("outcome"))) {
		return OK;
	}
	TRY(leaf_parse(x->a, out->leaf, &leaf));
	TRY(json_need_str(leaf, STR("of"), LEDGER_ID_BYTES_MAX, &of));
	return store_entry_by_rid(x->t, x->a, of, out);
}

static void opened_one(explain_t *x, str_t rid, const char *path, const json_t *commitment)
{
	str_t text, value;

	/* erased or never committed: the member is left out, the record shows the commitment */
	if (json_str(commitment, &text) == OK &&
	    openings_value(x->l, x->t, x->a, rid, str_of(path), text, &value) == OK) {
		jw_kstr(x->w, path, value);
	}
}

/* "rid", "record", "index", "opened" of one entry. */
static err_t entry_write(explain_t *x, const store_entry_t *e)
{
	const json_t *leaf;

	TRY(leaf_parse(x->a, e->leaf, &leaf));
	jw_kstr(x->w, "rid", e->rid);
	jw_kraw(x->w, "record", e->leaf);
	if (e->idx == STORE_NONE) {
		jw_knull(x->w, "index");
	} else {
		jw_ki64(x->w, "index", e->idx);
	}
	jw_kobject(x->w, "opened");
	opened_one(x, e->rid, "act.args", json_pointer(leaf, STR("/act/args")));
	opened_one(x, e->rid, "act.digest", json_pointer(leaf, STR("/act/digest")));
	opened_one(x, e->rid, "doc", json_get(leaf, STR("doc")));
	opened_one(x, e->rid, "reason", json_get(leaf, STR("reason")));
	opened_one(x, e->rid, "resp", json_get(leaf, STR("resp")));
	jw_end(x->w);
	return OK;
}

/* The first outcome closed the attempt; what arrived after it stands behind it. */
static err_t outcomes_write(explain_t *x, const store_entry_t *call)
{
	store_entry_t *outcomes;
	size_t n;

	TRY(store_entry_about(x->t, x->a, call->rid, &outcomes, &n));
	jw_kbool(x->w, "open", n == 0 && str_eq(call->kind, STR("attempt")));
	if (n == 0) {
		jw_knull(x->w, "outcome");
	} else {
		jw_kobject(x->w, "outcome");
		TRY(entry_write(x, &outcomes[0]));
		jw_end(x->w);
	}
	jw_karray(x->w, "late");
	for (size_t i = 1; i < n && i < LEDGER_EXPLAIN_LATE_MAX; i++) {
		jw_object(x->w);
		TRY(entry_write(x, &outcomes[i]));
		jw_end(x->w);
	}
	jw_end(x->w);
	return OK;
}

static err_t names_write(explain_t *x, const store_grant_t *g)
{
	store_user_t user;
	store_agent_t agent;

	TRY(store_user_get(x->t, x->a, g->user, &user));
	TRY(store_agent_get(x->t, x->a, g->agent, &agent));
	jw_kstr(x->w, "user", g->user);
	jw_kstr(x->w, "user_name", user.name);
	jw_kstr(x->w, "agent", g->agent);
	jw_kstr(x->w, "agent_name", agent.name);
	return OK;
}

static err_t grant_write(explain_t *x, const store_grant_t *g)
{
	store_entry_t record;
	err_t err;

	jw_object(x->w);
	jw_kstr(x->w, "id", g->id);
	TRY(names_write(x, g));
	jw_ki64(x->w, "depth", g->depth);
	jw_ki64(x->w, "iat", g->iat_s);
	jw_ki64(x->w, "exp", g->exp_s);
	if (g->revoked_s == STORE_NONE) {
		jw_knull(x->w, "revoked");
	} else {
		jw_ki64(x->w, "revoked", g->revoked_s);
	}
	if (g->uses_left == STORE_NONE) {
		jw_knull(x->w, "uses_left");
	} else {
		jw_ki64(x->w, "uses_left", g->uses_left);
	}
	jw_kraw(x->w, "doc", g->doc);
	jw_kstr(x->w, "sig", b64url_enc(x->a, g->sig));
	jw_kstr(x->w, "key", g->key);
	err = store_entry_by_rid(x->t, x->a, g->id, &record);
	if (err == OK) {
		jw_kraw(x->w, "record", record.leaf);
	}
	jw_end(x->w);
	return err == ERR_NOT_FOUND ? OK : err;
}

/* The grant a call rests on: what admit was told, else what the record's chain names last. */
static str_t grant_of(explain_t *x, const store_entry_t *call, const store_attempt_t *attempt)
{
	const json_t *leaf, *hop;
	str_t id = attempt->grant;

	if (id.p || leaf_parse(x->a, call->leaf, &leaf) != OK) {
		return id;
	}
	if (json_str(json_get(leaf, STR("grant")), &id) == OK) {
		return id;
	}
	for (hop = json_first(json_get(leaf, STR("chain"))); hop; hop = json_next(hop)) {
		str_t rid;

		if (json_str(json_pointer(hop, STR("/grant/rid")), &rid) == OK) {
			id = rid;
		}
	}
	return id;
}

static err_t grants_write(explain_t *x, str_t id)
{
	store_grant_t *chain;
	size_t n = 0;
	err_t err = ERR_NOT_FOUND;

	jw_karray(x->w, "grants");
	if (id.p) {
		err = store_grant_chain(x->t, x->a, id, &chain, &n);
	}
	ENSURE(err == OK || err == ERR_NOT_FOUND, err); /* a denial may name a grant that never was */
	for (size_t i = 0; err == OK && i < n; i++) {
		TRY(grant_write(x, &chain[i]));
	}
	jw_end(x->w);
	return OK;
}

static err_t story_write(explain_t *x, const store_entry_t *call)
{
	store_attempt_t attempt = { .rid = call->rid };
	err_t err = store_attempt_get(x->t, x->a, call->rid, &attempt);

	ENSURE(err == OK || err == ERR_NOT_FOUND, err); /* a gateway's own denial has no attempt */
	jw_object(x->w);
	TRY(entry_write(x, call));
	TRY(outcomes_write(x, call));
	TRY(grants_write(x, grant_of(x, call, &attempt)));
	jw_end(x->w);
	return OK;
}

err_t ledger_explain(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid, str_t *out_json)
{
	AUTO(buf_done) buf_t b = { 0 };
	store_entry_t call;
	jw_t w;
	explain_t x = { l, t, a, &w };

	buf_init(&b, LEDGER_EXPLAIN_BYTES_MAX);
	jw_init(&w, &b);
	ENSURE(ulid_is(rid), ERR_NOT_FOUND);
	TRY(call_find(&x, rid, &call));
	TRY(story_write(&x, &call));
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out_json);
}
