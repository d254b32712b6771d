/* users.c: people, their keys and their roles; roles. */
#include "app/api/api_int.h"

typedef struct {
	str_t name, state;
	api_words_t roles, permissions;
	const api_key_t *keys;
	size_t n_keys;
} user_in_t;

static user_in_t *user_in(api_call_t *c)
{
	c->in = arena_new(c->a, user_in_t);
	return c->in;
}

/* In a path a user goes by name or by id. */
static err_t arg_user(api_call_t *c)
{
	return delegation_user_id_check(c->arg[0]) == OK ? OK : api_arg_name(c, 0);
}

/* u:<uuid v4> (RFC 9562 5.4): what tokens and records call a person. */
static str_t user_id_make(arena_t *a)
{
	uint8_t b[16];

	crypto_random(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	str_t hex = hex_enc(a, str_bytes(b, sizeof(b)));
	return arena_printf(a, "u:%.8s-%.4s-%.4s-%.4s-%.12s", hex.p, hex.p + 8, hex.p + 12, hex.p + 16, hex.p + 20);
}

err_t api_user_insert(store_txn_t *txn, arena_t *a, str_t name, const api_key_t *keys, size_t n, int64_t now_s,
	str_t *out_id)
{
	store_user_t row = { .id = user_id_make(a), .name = name, .active = true, .created_s = now_s };

	TRY(store_user_insert(txn, &row));
	for (size_t i = 0; i < n; i++) {
		store_user_key_t key = { .jkt = keys[i].jkt, .user = row.id, .jwk = keys[i].jwk, .state = STR("active"),
			.created_s = now_s };
		TRY(store_user_key_insert(txn, &key));
	}
	*out_id = row.id;
	return OK;
}

static err_t user_answer(api_call_t *c, store_txn_t *txn, const store_user_t *row)
{
	store_user_key_t *keys;
	store_role_t *roles;
	size_t n_keys, n_roles;

	TRY(store_user_key_list(txn, c->a, row->id, &keys, &n_keys));
	TRY(store_user_roles(txn, c->a, row->id, &roles, &n_roles));
	jw_kstr(&c->w, "id", row->id);
	jw_kstr(&c->w, "name", row->name);
	jw_kstr(&c->w, "state", row->active ? STR("active") : STR("disabled"));
	jw_ki64(&c->w, "created", row->created_s);
	jw_karray(&c->w, "roles");
	for (size_t i = 0; i < n_roles; i++) {
		jw_str(&c->w, roles[i].name);
	}
	jw_end(&c->w);
	jw_karray(&c->w, "keys");
	for (size_t i = 0; i < n_keys; i++) {
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

static err_t user_told(api_call_t *c, store_txn_t *txn, str_t id)
{
	store_user_t row;

	TRY(store_user_get(txn, c->a, id, &row));
	jw_kobject(&c->w, "user");
	TRY(user_answer(c, txn, &row));
	jw_end(&c->w);
	return OK;
}

static err_t roles_set(api_call_t *c, store_txn_t *txn, str_t user, const api_words_t *roles)
{
	store_role_t row;

	for (size_t i = 0; i < roles->n; i++) {
		err_t e = store_role_get(txn, c->a, roles->v[i], &row);
		ENSURE(e == OK, api_say(c, e, "no such role: %.*s", STR_ARG(roles->v[i])));
	}
	return store_user_roles_set(txn, user, roles->v, roles->n);
}

/* The record, the feed, and the user as they stand now. */
static err_t user_done(api_call_t *c, store_txn_t *txn, str_t id, bool snapshot)
{
	TRY(api_record_end(c, txn, LEDGER_USER));
	TRY(api_change(c, txn, "user", id, snapshot));
	return user_told(c, txn, id);
}

/* --- verbs ---------------------------------------------------------------------------------------------------- */

err_t api_user_add_parse(api_call_t *c)
{
	user_in_t *in = user_in(c);

	TRY(API_ONLY(c, STR("name"), STR("roles"), STR("keys")));
	TRY(api_need_name(c, STR("name"), &in->name));
	TRY(api_words(c, STR("roles"), API_ROLES_MAX, delegation_name_check, &in->roles));
	return api_keys(c, 1, &in->keys, &in->n_keys);
}

err_t api_user_add_run(api_call_t *c, store_txn_t *txn)
{
	const user_in_t *in = c->in;
	str_t id;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("user"), NULL));
	TRY(api_keys_are_new(c, txn, in->keys, in->n_keys));
	err_t e = api_user_insert(txn, c->a, in->name, in->keys, in->n_keys, c->now_s, &id);
	ENSURE(e != ERR_EXISTS, api_say(c, e, "a user of this name is there already"));
	TRY(e);
	TRY(roles_set(c, txn, id, &in->roles));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", id);
	jw_kstr(&c->r, "state", STR("active"));
	api_record_words(c, "roles", in->roles.v, in->roles.n);
	api_record_keys(c, in->keys, in->n_keys);
	c->status = 201;
	return user_done(c, txn, id, true);
}

err_t api_user_key_add_parse(api_call_t *c)
{
	user_in_t *in = user_in(c);

	TRY(arg_user(c));
	TRY(API_ONLY(c, STR("keys")));
	return api_keys(c, 1, &in->keys, &in->n_keys);
}

err_t api_user_key_add_run(api_call_t *c, store_txn_t *txn)
{
	const user_in_t *in = c->in;
	store_user_key_t *have;
	store_user_t row;
	size_t n;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("user"), NULL));
	TRY(api_user_find(c, txn, c->arg[0], &row));
	TRY(store_user_key_list(txn, c->a, row.id, &have, &n));
	ENSURE(n + in->n_keys <= API_KEYS_MAX, api_say(c, ERR_LIMIT, "at most %d keys, retired ones included", API_KEYS_MAX));
	TRY(api_keys_are_new(c, txn, in->keys, in->n_keys));
	for (size_t i = 0; i < in->n_keys; i++) {
		store_user_key_t key = { .jkt = in->keys[i].jkt, .user = row.id, .jwk = in->keys[i].jwk,
			.state = STR("active"), .created_s = c->now_s };
		TRY(store_user_key_insert(txn, &key));
	}
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	api_record_keys(c, in->keys, in->n_keys);
	return user_done(c, txn, row.id, false);
}

err_t api_user_key_state_parse(api_call_t *c)
{
	user_in_t *in = user_in(c);

	TRY(arg_user(c));
	ENSURE(jose_jkt_is(c->arg[1]), api_say(c, ERR_VALUE, "in the path: a key is named by its RFC 7638 thumbprint"));
	TRY(API_ONLY(c, STR("state")));
	TRY(json_need_str(c->body, STR("state"), API_PATH_BYTES_MAX, &in->state));
	ENSURE(str_eq(in->state, STR("retired")), api_say(c, ERR_VALUE, "state: retired; a retired key stays so"));
	return OK;
}

err_t api_user_key_state_run(api_call_t *c, store_txn_t *txn)
{
	const user_in_t *in = c->in;
	store_user_key_t key;
	store_user_t row;
	size_t before;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("user"), NULL));
	TRY(api_administrators(txn, &before));
	TRY(api_user_find(c, txn, c->arg[0], &row));
	TRY(store_user_key_get(txn, c->a, c->arg[1], &key));
	ENSURE(str_eq(key.user, row.id), ERR_NOT_FOUND);
	TRY(store_user_key_state_set(txn, key.jkt, in->state));
	TRY(api_administrator_stays(txn, before));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	jw_kstr(&c->r, "jkt", key.jkt);
	jw_kstr(&c->r, "state", in->state);
	return user_done(c, txn, row.id, false);
}

err_t api_user_roles_parse(api_call_t *c)
{
	user_in_t *in = user_in(c);

	TRY(arg_user(c));
	TRY(API_ONLY(c, STR("roles")));
	ENSURE(json_get(c->body, STR("roles")), ERR_MISSING_MEMBER);
	return api_words(c, STR("roles"), API_ROLES_MAX, delegation_name_check, &in->roles);
}

err_t api_user_roles_run(api_call_t *c, store_txn_t *txn)
{
	const user_in_t *in = c->in;
	store_user_t row;
	size_t before;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("user"), NULL));
	TRY(api_administrators(txn, &before));
	TRY(api_user_find(c, txn, c->arg[0], &row));
	TRY(roles_set(c, txn, row.id, &in->roles));
	TRY(api_administrator_stays(txn, before));
	TRY(api_still_may(c, txn));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	api_record_words(c, "roles", in->roles.v, in->roles.n);
	return user_done(c, txn, row.id, true);
}

err_t api_user_state_parse(api_call_t *c)
{
	user_in_t *in = user_in(c);

	TRY(arg_user(c));
	TRY(API_ONLY(c, STR("state")));
	TRY(json_need_str(c->body, STR("state"), API_PATH_BYTES_MAX, &in->state));
	c->widens = str_eq(in->state, STR("active"));
	ENSURE(c->widens || str_eq(in->state, STR("disabled")), api_say(c, ERR_VALUE, "state: active or disabled"));
	return OK;
}

err_t api_user_state_run(api_call_t *c, store_txn_t *txn)
{
	const user_in_t *in = c->in;
	store_user_t row;
	size_t before;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("user"), NULL));
	TRY(api_administrators(txn, &before));
	TRY(api_user_find(c, txn, c->arg[0], &row));
	TRY(store_user_active_set(txn, row.id, str_eq(in->state, STR("active"))));
	TRY(api_administrator_stays(txn, before));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	jw_kstr(&c->r, "state", in->state);
	return user_done(c, txn, row.id, true);
}

/* --- reads: who may not see all sees themselves --------------------------------------------------------- */

err_t api_user_list_run(api_call_t *c, store_txn_t *txn)
{
	store_user_t *rows;
	size_t n, limit;
	bool more;

	TRY(api_query_limit(c, &limit));
	TRY(store_user_list(txn, c->a, api_query_get(c, STR("after")), &rows, &n));
	more = c->full && api_list_more(n, limit);
	jw_karray(&c->w, "users");
	if (!c->full) {
		rows = &c->who.user;
		n = 1;
	}
	for (size_t i = 0; i < n && i < limit; i++) {
		jw_object(&c->w);
		TRY(user_answer(c, txn, &rows[i]));
		jw_end(&c->w);
	}
	jw_end(&c->w);
	api_list_next(c, more ? rows[api_list_last(n, limit)].id : STR_NULL);
	return OK;
}

err_t api_user_get_parse(api_call_t *c)
{
	return arg_user(c);
}

err_t api_user_get_run(api_call_t *c, store_txn_t *txn)
{
	store_user_t row;

	TRY(api_user_find(c, txn, c->arg[0], &row));
	ENSURE(c->full || str_eq(row.id, c->who.id), ERR_NOT_FOUND);
	return user_answer(c, txn, &row);
}

/* --- roles ------------------------------------------------------------------------------------------------ */

err_t api_role_put_parse(api_call_t *c)
{
	user_in_t *in = user_in(c);

	TRY(api_arg_name(c, 0));
	TRY(API_ONLY(c, STR("permissions")));
	ENSURE(json_get(c->body, STR("permissions")), ERR_MISSING_MEMBER);
	return api_words(c, STR("permissions"), API_SCOPES_MAX, api_scope_check, &in->permissions);
}

err_t api_role_put_run(api_call_t *c, store_txn_t *txn)
{
	const user_in_t *in = c->in;
	size_t before;
	int64_t rev;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("role"), NULL));
	TRY(api_administrators(txn, &before));
	TRY(store_role_put(txn, c->arg[0], in->permissions.json, &rev));
	TRY(api_administrator_stays(txn, before));
	TRY(api_still_may(c, txn));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", c->arg[0]);
	jw_kstr(&c->r, "scope", in->permissions.list);
	jw_ki64(&c->r, "rev", rev);
	TRY(api_record_end(c, txn, LEDGER_ROLE));
	TRY(api_change(c, txn, "role", c->arg[0], true));
	jw_kobject(&c->w, "role");
	jw_kstr(&c->w, "name", c->arg[0]);
	jw_kraw(&c->w, "permissions", in->permissions.json);
	jw_ki64(&c->w, "rev", rev);
	jw_end(&c->w);
	return OK;
}

err_t api_role_list_run(api_call_t *c, store_txn_t *txn)
{
	store_role_t *rows;
	size_t n, limit;

	TRY(api_query_limit(c, &limit));
	TRY(store_role_list(txn, c->a, api_query_get(c, STR("after")), &rows, &n));
	jw_karray(&c->w, "roles");
	for (size_t i = 0; i < n && i < limit; i++) {
		jw_object(&c->w);
		jw_kstr(&c->w, "name", rows[i].name);
		jw_kraw(&c->w, "permissions", rows[i].permissions);
		jw_ki64(&c->w, "rev", rows[i].rev);
		jw_end(&c->w);
	}
	jw_end(&c->w);
	api_list_next(c, api_list_more(n, limit) ? rows[api_list_last(n, limit)].name : STR_NULL);
	return OK;
}
