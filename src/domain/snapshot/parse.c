/* parse.c: the snapshot's text to its content. The JSON tree lives in a scratch arena and goes; what
 * stays is copied, so that the two keys exist in their slots alone. */
#include "domain/snapshot/int.h"

typedef struct {
	arena_t *a; /* of the snapshot */
	diag_t *diag;
	snapshot_content_t c;
} parse_t;

static err_t keep_str(arena_t *a, const json_t *obj, str_t key, size_t max, str_t *out)
{
	str_t s;

	TRY(json_need_str(obj, key, max, &s));
	return arena_dup(a, s, out);
}

err_t strings_parse(arena_t *a, const json_t *obj, str_t key, uint32_t max, err_t (*check)(str_t),
	const str_t **out, size_t *out_n)
{
	const json_t *list;
	str_t *kept, s;
	size_t n = 0;

	TRY(json_need_arr(obj, key, max, &list));
	TRY(arena_try_array(a, str_t, json_count(list) + 1, &kept));
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(json_str(e, &s));
		TRY(check(s));
		TRY(arena_dup(a, s, &kept[n++]));
	}
	*out = kept;
	*out_n = n;
	return OK;
}

static err_t jkt_check(str_t s)
{
	return jose_jkt_is(s) ? OK : ERR_VALUE;
}

/* A scope list; empty is allowed, absent is not. */
static err_t keep_scopes(arena_t *a, const json_t *obj, str_t key, str_t *out)
{
	str_t s;

	ENSURE(json_get(obj, key) != NULL, ERR_MISSING_MEMBER);
	TRY(json_want_str(obj, key, DELEGATION_SCOPE_BYTES_MAX, &s));
	TRY(delegation_scope_check(s));
	return arena_dup(a, s, out);
}

/* --- agents ----------------------------------------------------------------------------------- */

static err_t state_parse(const json_t *node, snapshot_agent_state_t *out)
{
	const json_t *state = json_get(node, STR("state"));

	if (json_is_str(state, STR("active"))) {
		*out = SNAPSHOT_ACTIVE;
	} else if (json_is_str(state, STR("quarantined"))) {
		*out = SNAPSHOT_QUARANTINED;
	} else {
		ENSURE(json_is_str(state, STR("retired")), ERR_VALUE);
		*out = SNAPSHOT_RETIRED;
	}
	return OK;
}

/* A user's id or name. */
static err_t owner_check(str_t owner)
{
	return delegation_user_id_check(owner) == OK ? OK : delegation_name_check(owner);
}

/* id, kind and name say the same, in our trust domain. */
static err_t agent_names_parse(parse_t *p, const json_t *node, snapshot_agent_t *g)
{
	str_t kind, td, name;

	TRY(keep_str(p->a, node, STR("id"), DELEGATION_ID_BYTES_MAX, &g->id));
	TRY(keep_str(p->a, node, STR("name"), DELEGATION_NAME_BYTES_MAX, &g->name));
	TRY(json_need_str(node, STR("kind"), DELEGATION_NAME_BYTES_MAX, &kind));
	TRY(delegation_id_parse(g->id, &g->kind, &td, &name));
	ENSURE(str_eq(td, p->c.trust_domain) && str_eq(name, g->name), ERR_VALUE);
	ENSURE(g->kind != DELEGATION_INFRASTRUCTURE, ERR_VALUE);
	ENSURE(str_eq(kind, g->kind == DELEGATION_AGENT_AUTONOMOUS ? STR("autonomous") : STR("delegated")),
		ERR_VALUE);
	TRY(keep_str(p->a, node, STR("owner"), DELEGATION_SUBJECT_BYTES_MAX, &g->owner));
	return owner_check(g->owner);
}

static err_t agent_parse(parse_t *p, const json_t *node, snapshot_agent_t *g)
{
	uint64_t depth;

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, p->diag, STR("id"), STR("name"), STR("kind"), STR("owner"), STR("roles"),
		STR("scopes"), STR("state"), STR("max_depth"), STR("jkts")));
	TRY(agent_names_parse(p, node, g));
	TRY(strings_parse(p->a, node, STR("roles"), SNAPSHOT_ROLES_OF_MAX, delegation_name_check, &g->roles,
		&g->n_roles));
	TRY(keep_scopes(p->a, node, STR("scopes"), &g->scopes));
	TRY(state_parse(node, &g->state));
	TRY(json_need_u64(node, STR("max_depth"), DELEGATION_DEPTH_MAX, &depth));
	ENSURE(depth >= 1, ERR_VALUE);
	g->max_depth = (uint32_t)depth;
	return strings_parse(p->a, node, STR("jkts"), SNAPSHOT_KEYS_OF_MAX, jkt_check, &g->jkts,
		&g->n_jkts);
}

static err_t agents_parse(parse_t *p, const json_t *root)
{
	const json_t *list;
	snapshot_agent_t *agents;
	size_t n = 0;

	TRY(json_need_arr(root, STR("agents"), SNAPSHOT_AGENTS_MAX, &list));
	TRY(arena_try_array(p->a, snapshot_agent_t, json_count(list) + 1, &agents));
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(agent_parse(p, e, &agents[n++]));
	}
	p->c.agents = agents;
	p->c.n_agents = n;
	return sort_unique(agents, n, sizeof(agents[0]), agent_order);
}

/* --- users, roles ------------------------------------------------------------------------------ */

static err_t user_parse(parse_t *p, const json_t *node, snapshot_user_t *u)
{
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, p->diag, STR("id"), STR("name"), STR("active"), STR("roles"),
		STR("permissions")));
	TRY(keep_str(p->a, node, STR("id"), DELEGATION_SUBJECT_BYTES_MAX, &u->id));
	TRY(delegation_user_id_check(u->id));
	TRY(keep_str(p->a, node, STR("name"), DELEGATION_NAME_BYTES_MAX, &u->name));
	TRY(delegation_name_check(u->name));
	TRY(json_need_bool(node, STR("active"), &u->active));
	TRY(strings_parse(p->a, node, STR("roles"), SNAPSHOT_ROLES_OF_MAX, delegation_name_check, &u->roles,
		&u->n_roles));
	return keep_scopes(p->a, node, STR("permissions"), &u->permissions);
}

static err_t users_parse(parse_t *p, const json_t *root)
{
	const json_t *list;
	snapshot_user_t *users;
	size_t n = 0;

	TRY(json_need_arr(root, STR("users"), SNAPSHOT_USERS_MAX, &list));
	TRY(arena_try_array(p->a, snapshot_user_t, json_count(list) + 1, &users));
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(user_parse(p, e, &users[n++]));
	}
	p->c.users = users;
	p->c.n_users = n;
	return sort_unique(users, n, sizeof(users[0]), user_order);
}

static err_t role_parse(parse_t *p, const json_t *node, snapshot_role_t *r)
{
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, p->diag, STR("name"), STR("permissions")));
	TRY(keep_str(p->a, node, STR("name"), DELEGATION_NAME_BYTES_MAX, &r->name));
	TRY(delegation_name_check(r->name));
	return keep_scopes(p->a, node, STR("permissions"), &r->permissions);
}

static err_t roles_parse(parse_t *p, const json_t *root)
{
	const json_t *list;
	snapshot_role_t *roles;
	size_t n = 0;

	TRY(json_need_arr(root, STR("roles"), SNAPSHOT_ROLES_MAX, &list));
	TRY(arena_try_array(p->a, snapshot_role_t, json_count(list) + 1, &roles));
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(role_parse(p, e, &roles[n++]));
	}
	p->c.roles = roles;
	p->c.n_roles = n;
	return sort_unique(roles, n, sizeof(roles[0]), role_order);
}

/* --- routes, policy ----------------------------------------------------------------------------- */

static err_t route_parse(parse_t *p, const json_t *node, snapshot_route_t *r)
{
	const json_t *doc;

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, p->diag, STR("name"), STR("rev"), STR("url"), STR("document")));
	TRY(json_need_obj(node, STR("document"), &doc));
	TRY(snapshot_route_parse(p->a, json_raw(doc), r, p->diag));
	TRY(keep_str(p->a, node, STR("name"), DELEGATION_NAME_BYTES_MAX, &r->name));
	TRY(delegation_name_check(r->name));
	TRY(json_need_u64(node, STR("rev"), JSON_SAFE_INT_MAX, &r->rev));
	TRY(keep_str(p->a, node, STR("url"), DELEGATION_URL_BYTES_MAX, &r->url));
	ENSURE(str_ends(r->url, arena_cat(p->a, STR("/"), r->name)), ERR_VALUE);
	return OK;
}

static err_t routes_parse(parse_t *p, const json_t *root)
{
	const json_t *list;
	snapshot_route_t *routes;
	size_t n = 0;

	TRY(json_need_arr(root, STR("routes"), SNAPSHOT_ROUTES_MAX, &list));
	TRY(arena_try_array(p->a, snapshot_route_t, json_count(list) + 1, &routes));
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(route_parse(p, e, &routes[n++]));
	}
	p->c.routes = routes;
	p->c.n_routes = n;
	return sort_unique(routes, n, sizeof(routes[0]), route_order);
}

static err_t policy_file_parse(parse_t *p, const json_t *node, snapshot_policy_file_t *f)
{
	str_t text;

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, p->diag, STR("name"), STR("text")));
	TRY(keep_str(p->a, node, STR("name"), DELEGATION_SUBJECT_BYTES_MAX, &f->name));
	ENSURE(json_get(node, STR("text")) != NULL, ERR_MISSING_MEMBER);
	TRY(json_want_str(node, STR("text"), SNAPSHOT_POLICY_BYTES_MAX, &text));
	return arena_dup(p->a, text, &f->text);
}

static err_t policy_parse(parse_t *p, const json_t *root)
{
	const json_t *node, *list;
	snapshot_policy_file_t *files;
	str_t digest;
	size_t n = 0;

	TRY(json_need_obj(root, STR("policy"), &node));
	TRY(JSON_ONLY(node, p->diag, STR("digest"), STR("files"), STR("version")));
	TRY(json_need_str(node, STR("digest"), DELEGATION_DIGEST_TEXT_BYTES, &digest));
	TRY(delegation_digest_parse(digest, p->c.policy_digest));
	TRY(json_need_u64(node, STR("version"), JSON_SAFE_INT_MAX, &p->c.policy_version));
	TRY(json_need_arr(node, STR("files"), SNAPSHOT_POLICY_FILES_MAX, &list));
	files = arena_array(p->a, snapshot_policy_file_t, json_count(list) + 1);
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(policy_file_parse(p, e, &files[n++]));
	}
	p->c.policy_files = files;
	p->c.n_policy_files = n;
	return OK;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void verifier_free(void *v)
{
	crypto_verifier_free(v);
}

/* Every key of ours is usable here, and prepared once for all the tokens it will verify. */
static err_t token_keys_parse(parse_t *p, const json_t *root)
{
	const json_t *node;
	str_t text;

	TRY(json_need_obj(root, STR("token_keys"), &node));
	TRY(arena_dup(p->a, json_raw(node), &text));
	TRY(jose_jwks_parse(p->a, text, &p->c.token_keys, p->diag));
	ENSURE(p->c.token_keys.n <= SNAPSHOT_TOKEN_KEYS_MAX, ERR_LIMIT);
	ENSURE(p->c.token_keys.n == json_count(json_get(node, STR("keys"))), ERR_KEY);
	for (size_t i = 0; i < p->c.token_keys.n; i++) {
		crypto_verifier_t *v;
		TRY(crypto_verifier_new(&p->c.token_keys.keys[i].pub, &v));
		arena_defer(p->a, verifier_free, v);
		p->c.token_keys.keys[i].verifier = v;
	}
	return OK;
}

static err_t secret_parse(const json_t *root, str_t key, secret_t *out)
{
	str_t text;

	TRY(json_need_str(root, key, DELEGATION_NAME_BYTES_MAX, &text));
	TRY(b64url_dec_secret(text, out));
	ENSURE(out->n == SNAPSHOT_KEY_BYTES, ERR_KEY);
	return OK;
}

/* Secrets come last and go straight to their owner, so that no failure behind them can lose one. */
static err_t secrets_parse(const json_t *root, snapshot_content_t *out)
{
	TRY(secret_parse(root, STR("nonce_key"), &out->nonce_key));
	return secret_parse(root, STR("session_key"), &out->session_key);
}

static err_t members_parse(parse_t *p, const json_t *root)
{
	TRY(JSON_ONLY(root, p->diag, STR("version"), STR("issuer"), STR("trust_domain"),
		STR("token_keys"), STR("nonce_key"), STR("session_key"), STR("policy"), STR("routes"),
		STR("agents"), STR("users"), STR("roles")));
	TRY(json_need_u64(root, STR("version"), JSON_SAFE_INT_MAX, &p->c.version));
	TRY(keep_str(p->a, root, STR("issuer"), DELEGATION_URL_BYTES_MAX, &p->c.issuer));
	TRY(keep_str(p->a, root, STR("trust_domain"), DELEGATION_ID_BYTES_MAX, &p->c.trust_domain));
	TRY(token_keys_parse(p, root));
	TRY(policy_parse(p, root));
	TRY(roles_parse(p, root));
	TRY(users_parse(p, root));
	TRY(agents_parse(p, root));
	return routes_parse(p, root);
}

err_t content_parse(arena_t *a, str_t text, snapshot_content_t *out, diag_t *diag)
{
	static const json_opts_t opts = { .bytes_max = SNAPSHOT_BYTES_MAX,
		.nodes_max = SNAPSHOT_NODES_MAX,
		.object_only = true };
	AUTO(arena_free) arena_t *scratch = arena_new_capped(SNAPSHOT_ARENA_BYTES_MAX);
	parse_t p = { .a = a, .diag = diag };
	const json_t *root;

	TRY(json_parse(scratch, text, &opts, &root, diag));
	TRY(members_parse(&p, root));
	*out = p.c;
	return secrets_parse(root, out); /* on failure snapshot_unref takes what is there */
}
