/* agents.c: agents and their keys. */
#include "app/api/api_int.h"

typedef struct {
	str_t name, kind, owner, state;
	api_words_t scopes, roles;
	uint64_t max_depth;
	int64_t rev;
	const api_key_t *keys;
	size_t n_keys;
	const api_entry_t *entries;
	size_t n_entries;
} agent_in_t;

static agent_in_t *agent_in(api_call_t *c)
{
	c->in = arena_new(c->a, agent_in_t);
	return c->in;
}

/* --- register ------------------------------------------------------------------------------------------- */

static err_t bounds_parse(api_call_t *c, agent_in_t *in)
{
	err_t e = json_need_str(c->body, STR("owner"), API_PATH_BYTES_MAX, &in->owner);

	ENSURE(e == OK, api_say(c, e, "owner: the name or id of the user who answers for this agent"));
	TRY(api_words(c, STR("scopes"), API_SCOPES_MAX, api_scope_check, &in->scopes));
	TRY(api_words(c, STR("roles"), API_ROLES_MAX, delegation_name_check, &in->roles));
	e = json_want_u64(c->body, STR("max_depth"), DELEGATION_DEPTH_MAX, 1, &in->max_depth);
	ENSURE(e == OK && in->max_depth > 0, api_say(c, e ? e : ERR_VALUE, "max_depth: 1 to %d", DELEGATION_DEPTH_MAX));
	return OK;
}

err_t api_agent_register_parse(api_call_t *c)
{
	agent_in_t *in = agent_in(c);

	TRY(API_ONLY(c, STR("name"), STR("kind"), STR("owner"), STR("scopes"), STR("roles"), STR("max_depth"),
		STR("keys"), STR("entries")));
	TRY(api_need_name(c, STR("name"), &in->name));
	err_t e = json_want_str(c->body, STR("kind"), API_PATH_BYTES_MAX, &in->kind);
	in->kind = in->kind.p ? in->kind : STR("delegated");
	ENSURE(e == OK && (str_eq(in->kind, STR("delegated")) || str_eq(in->kind, STR("autonomous"))),
		api_say(c, e ? e : ERR_VALUE, "kind: delegated or autonomous"));
	TRY(bounds_parse(c, in));
	TRY(api_entries(c, &in->entries, &in->n_entries));
	if (in->n_entries && !json_get(c->body, STR("keys"))) {
		return OK; /* known by what is attested alone */
	}
	return api_keys(c, 1, &in->keys, &in->n_keys);
}

static err_t keys_insert(api_call_t *c, store_txn_t *txn, str_t agent, const api_key_t *keys, size_t n)
{
	TRY(api_keys_are_new(c, txn, keys, n));
	for (size_t i = 0; i < n; i++) {
		store_agent_key_t row = { .jkt = keys[i].jkt, .agent = agent, .jwk = keys[i].jwk,
			.state = STR("active"), .created_s = c->now_s };
		TRY(store_agent_key_insert(txn, &row));
	}
	return OK;
}

static err_t roles_exist(api_call_t *c, store_txn_t *txn, const api_words_t *roles)
{
	store_role_t row;

	for (size_t i = 0; i < roles->n; i++) {
		err_t e = store_role_get(txn, c->a, roles->v[i], &row);
		ENSURE(e == OK, api_say(c, e, "no such role: %.*s", STR_ARG(roles->v[i])));
	}
	return OK;
}

static err_t agent_record(api_call_t *c, store_txn_t *txn, const store_agent_t *row, const agent_in_t *in)
{
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row->id);
	jw_kstr(&c->r, "kind", row->kind);
	jw_kstr(&c->r, "owner", row->owner);
	jw_kstr(&c->r, "scope", in->scopes.list);
	jw_kstr(&c->r, "state", row->state);
	api_record_words(c, "roles", in->roles.v, in->roles.n);
	if (in->n_keys) {
		api_record_keys(c, in->keys, in->n_keys);
	}
	if (in->n_entries) {
		api_entries_digest(c, in->entries, in->n_entries);
	}
	TRY(api_record_end(c, txn, LEDGER_AGENT));
	return api_change(c, txn, "agent", row->id, true);
}

static err_t keys_answer(api_call_t *c, store_txn_t *txn, str_t agent)
{
	store_agent_key_t *keys;
	size_t n;

	TRY(store_agent_key_list(txn, c->a, agent, &keys, &n));
	jw_karray(&c->w, "keys");
	for (size_t i = 0; i < n; i++) {
		jw_object(&c->w);
		jw_kstr(&c->w, "jkt", keys[i].jkt);
		jw_kstr(&c->w, "state", keys[i].state);
		jw_kraw(&c->w, "jwk", keys[i].jwk);
		jw_ki64(&c->w, "created", keys[i].created_s);
		jw_end(&c->w);
	}
	jw_end(&c->w);
	return OK;
}

/* Members of one agent; the object is the caller's. */
static err_t agent_answer(api_call_t *c, store_txn_t *txn, const store_agent_t *row)
{
	store_user_t owner;

	TRY(store_user_get(txn, c->a, row->owner, &owner));
	jw_kstr(&c->w, "id", row->id);
	jw_kstr(&c->w, "name", row->name);
	jw_kstr(&c->w, "kind", row->kind);
	jw_kstr(&c->w, "owner", row->owner);
	jw_kstr(&c->w, "owner_name", owner.name);
	jw_kraw(&c->w, "scopes", row->scopes);
	jw_kraw(&c->w, "roles", row->roles);
	jw_kstr(&c->w, "state", row->state);
	jw_ki64(&c->w, "max_depth", row->max_depth);
	jw_ki64(&c->w, "rev", row->rev);
	jw_ki64(&c->w, "created", row->created_s);
	TRY(api_entries_answer(c, txn, row->id));
	return keys_answer(c, txn, row->id);
}

err_t api_agent_told(api_call_t *c, store_txn_t *txn, str_t id)
{
	store_agent_t row;

	TRY(store_agent_get(txn, c->a, id, &row));
	jw_kobject(&c->w, "agent");
	TRY(agent_answer(c, txn, &row));
	jw_end(&c->w);
	return OK;
}

err_t api_agent_register_run(api_call_t *c, store_txn_t *txn)
{
	const agent_in_t *in = c->in;
	bool autonomous = str_eq(in->kind, STR("autonomous"));
	store_user_t owner;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("agent"), NULL));
	TRY(api_user_find(c, txn, in->owner, &owner));
	ENSURE(owner.active, api_say(c, ERR_VALUE, "owner: this user is disabled"));
	TRY(roles_exist(c, txn, &in->roles));
	store_agent_t row = {
		.id = delegation_agent_id(c->a, c->p->deps.trust_domain,
			autonomous ? DELEGATION_AGENT_AUTONOMOUS : DELEGATION_AGENT_DELEGATED, in->name),
		.name = in->name,
		.kind = in->kind,
		.owner = owner.id,
		.scopes = in->scopes.json,
		.roles = in->roles.json,
		.state = STR("active"),
		.max_depth = (int64_t)in->max_depth,
		.created_s = c->now_s,
	};
	err_t e = store_agent_insert(txn, &row);
	ENSURE(e != ERR_EXISTS, api_say(c, e, "an agent of this name is there already"));
	TRY(e);
	TRY(keys_insert(c, txn, row.id, in->keys, in->n_keys));
	TRY(api_entries_set(c, txn, row.id, in->entries, in->n_entries));
	TRY(agent_record(c, txn, &row, in));
	c->status = 201;
	return api_agent_told(c, txn, row.id);
}

/* --- update ------------------------------------------------------------------------------------------------ */

err_t api_agent_update_parse(api_call_t *c)
{
	agent_in_t *in = agent_in(c);

	TRY(api_arg_name(c, 0));
	TRY(API_ONLY(c, STR("owner"), STR("scopes"), STR("roles"), STR("max_depth"), STR("rev")));
	TRY(json_need_i64(c->body, STR("rev"), &in->rev));
	return bounds_parse(c, in);
}

err_t api_agent_update_run(api_call_t *c, store_txn_t *txn)
{
	const agent_in_t *in = c->in;
	store_agent_t row;
	store_user_t owner;

	TRY(api_agent_find(c, txn, c->arg[0], &row));
	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("agent"), &row));
	TRY(api_user_find(c, txn, in->owner, &owner));
	TRY(roles_exist(c, txn, &in->roles));
	row.owner = owner.id;
	row.scopes = in->scopes.json;
	row.roles = in->roles.json;
	row.max_depth = (int64_t)in->max_depth;
	row.rev = in->rev;
	TRY(store_agent_update(txn, &row));
	TRY(agent_record(c, txn, &row, in));
	return api_agent_told(c, txn, row.id);
}

/* --- state ---------------------------------------------------------------------------------------------------- */

err_t api_agent_state_parse(api_call_t *c)
{
	agent_in_t *in = agent_in(c);

	TRY(api_arg_name(c, 0));
	TRY(API_ONLY(c, STR("state")));
	TRY(json_need_str(c->body, STR("state"), API_PATH_BYTES_MAX, &in->state));
	c->widens = str_eq(in->state, STR("active"));
	ENSURE(c->widens || str_eq(in->state, STR("quarantined")) || str_eq(in->state, STR("retired")),
		api_say(c, ERR_VALUE, "state: active, quarantined or retired"));
	return OK;
}

err_t api_agent_state_run(api_call_t *c, store_txn_t *txn)
{
	const agent_in_t *in = c->in;
	store_agent_t row;

	TRY(api_agent_find(c, txn, c->arg[0], &row));
	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("agent"), &row));
	ENSURE(!str_eq(row.state, STR("retired")) || str_eq(in->state, STR("retired")),
		api_say(c, ERR_CONFLICT, "a retired agent stays retired; register a new one"));
	TRY(store_agent_state_set(txn, row.id, in->state));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	jw_kstr(&c->r, "state", in->state);
	TRY(api_record_end(c, txn, LEDGER_AGENT));
	TRY(api_change(c, txn, "agent", row.id, true));
	return api_agent_told(c, txn, row.id);
}

/* --- keys -------------------------------------------------------------------------------------------------------- */

err_t api_agent_key_add_parse(api_call_t *c)
{
	agent_in_t *in = agent_in(c);

	TRY(api_arg_name(c, 0));
	TRY(API_ONLY(c, STR("keys")));
	return api_keys(c, 1, &in->keys, &in->n_keys);
}

err_t api_agent_key_add_run(api_call_t *c, store_txn_t *txn)
{
	const agent_in_t *in = c->in;
	store_agent_key_t *have;
	store_agent_t row;
	size_t n;

	TRY(api_agent_find(c, txn, c->arg[0], &row));
	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("agent"), &row));
	TRY(store_agent_key_list(txn, c->a, row.id, &have, &n));
	ENSURE(n + in->n_keys <= API_KEYS_MAX, api_say(c, ERR_LIMIT, "at most %d keys, retired ones included", API_KEYS_MAX));
	TRY(keys_insert(c, txn, row.id, in->keys, in->n_keys));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	api_record_keys(c, in->keys, in->n_keys);
	TRY(api_record_end(c, txn, LEDGER_AGENT));
	TRY(api_change(c, txn, "agent", row.id, true));
	return api_agent_told(c, txn, row.id);
}

err_t api_agent_key_state_parse(api_call_t *c)
{
	agent_in_t *in = agent_in(c);

	TRY(api_arg_name(c, 0));
	ENSURE(jose_jkt_is(c->arg[1]), api_say(c, ERR_VALUE, "in the path: a key is named by its RFC 7638 thumbprint"));
	TRY(API_ONLY(c, STR("state")));
	TRY(json_need_str(c->body, STR("state"), API_PATH_BYTES_MAX, &in->state));
	ENSURE(str_eq(in->state, STR("retired")), api_say(c, ERR_VALUE, "state: retired; a retired key stays so"));
	return OK;
}

err_t api_agent_key_state_run(api_call_t *c, store_txn_t *txn)
{
	const agent_in_t *in = c->in;
	store_agent_key_t key;
	store_agent_t row;

	TRY(api_agent_find(c, txn, c->arg[0], &row));
	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("agent"), &row));
	TRY(store_agent_key_get(txn, c->a, c->arg[1], &key));
	ENSURE(str_eq(key.agent, row.id), ERR_NOT_FOUND);
	TRY(store_agent_key_state_set(txn, key.jkt, in->state));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	jw_kstr(&c->r, "jkt", key.jkt);
	jw_kstr(&c->r, "state", in->state);
	TRY(api_record_end(c, txn, LEDGER_AGENT));
	TRY(api_change(c, txn, "agent", row.id, true));
	return api_agent_told(c, txn, row.id);
}

/* --- reads ---------------------------------------------------------------------------------------------------------- */

err_t api_agent_list_run(api_call_t *c, store_txn_t *txn)
{
	store_agent_t *rows;
	size_t n, limit;

	TRY(api_query_limit(c, &limit));
	TRY(store_agent_list(txn, c->a, api_query_get(c, STR("after")), &rows, &n));
	jw_karray(&c->w, "agents");
	for (size_t i = 0; i < n && i < limit; i++) {
		jw_object(&c->w);
		TRY(agent_answer(c, txn, &rows[i]));
		jw_end(&c->w);
	}
	jw_end(&c->w);
	api_list_next(c, api_list_more(n, limit) ? rows[api_list_last(n, limit)].id : STR_NULL);
	return OK;
}

err_t api_agent_get_parse(api_call_t *c)
{
	return api_arg_name(c, 0);
}

err_t api_agent_get_run(api_call_t *c, store_txn_t *txn)
{
	store_agent_t row;

	TRY(api_agent_find(c, txn, c->arg[0], &row));
	return agent_answer(c, txn, &row);
}
