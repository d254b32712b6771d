/* build.c: rows of the store to the snapshot text, read in one transaction so that no two versions mix. */
#include "pure/codec/codec.h"
#include "service/feed/feed_int.h"

/* One build: the transaction, where results live, and what is being filled. */
typedef struct {
	const feed_deps_t *deps;
	store_txn_t *txn;
	arena_t *a;
	snapshot_content_t c;
	store_role_t *roles; /* as stored, for permissions of users */
	size_t n_roles;
} build_t;

/* JSON array of strings to names. */
static err_t names_read(arena_t *a, str_t json, size_t max, const str_t **out, size_t *out_n)
{
	const json_t *root;
	size_t n = 0;

	TRY(json_parse(a, json, NULL, &root, NULL));
	ENSURE(json_kind(root) == JSON_ARRAY, ERR_STORE);
	ENSURE(json_count(root) <= max, ERR_LIMIT);
	str_t *names = arena_array(a, str_t, json_count(root));
	for (const json_t *c = json_first(root); c; c = json_next(c)) {
		TRY(json_str(c, &names[n]));
		n++;
	}
	*out = names;
	*out_n = n;
	return OK;
}

/* JSON array of strings to a blank-separated list. */
static err_t list_read(arena_t *a, str_t json, str_t *out)
{
	const str_t *names;
	size_t n;
	buf_t b;

	TRY(names_read(a, json, FEED_NAMES_MAX, &names, &n));
	buf_init(&b, SNAPSHOT_STRING_BYTES_MAX * 16);
	for (size_t i = 0; i < n; i++) {
		buf_add(&b, i ? STR(" ") : STR(""));
		buf_add(&b, names[i]);
	}
	err_t e = buf_err(&b);
	if (e == OK) {
		e = arena_dup(a, buf_str(&b), out);
	}
	buf_done(&b);
	return e;
}

static err_t build_roles(build_t *b)
{
	size_t n;

	TRY(store_role_list(b->txn, b->a, STR_NULL, &b->roles, &n));
	ENSURE(n <= SNAPSHOT_ROLES_MAX && n < STORE_LIST_MAX, ERR_LIMIT);
	snapshot_role_t *out;
	TRY(arena_try_array(b->a, snapshot_role_t, n, &out));
	for (size_t i = 0; i < n; i++) {
		out[i].name = b->roles[i].name;
		TRY(list_read(b->a, b->roles[i].permissions, &out[i].permissions));
	}
	b->c.roles = out;
	b->c.n_roles = b->n_roles = n;
	return OK;
}

/* Union of the permissions of a user's roles, without repeats. */
static err_t permissions_of(build_t *b, const store_role_t *roles, size_t n, str_t *out)
{
	buf_t all;
	str_t list, word;

	buf_init(&all, SNAPSHOT_STRING_BYTES_MAX * 16);
	for (size_t i = 0; i < n; i++) {
		err_t e = list_read(b->a, roles[i].permissions, &list);
		if (e != OK) {
			buf_done(&all);
			return e;
		}
		while (list.n && str_split(&list, ' ', &word)) {
			if (!str_list_has(buf_str(&all), word)) {
				buf_add(&all, all.n ? STR(" ") : STR(""));
				buf_add(&all, word);
			}
		}
	}
	err_t e = buf_err(&all);
	if (e == OK) {
		e = arena_dup(b->a, buf_str(&all), out);
	}
	buf_done(&all);
	return e;
}

static err_t user_build(build_t *b, const store_user_t *row, snapshot_user_t *out)
{
	store_role_t *roles;
	size_t n;

	TRY(store_user_roles(b->txn, b->a, row->id, &roles, &n));
	str_t *names = arena_array(b->a, str_t, n);
	for (size_t i = 0; i < n; i++) {
		names[i] = roles[i].name;
	}
	*out = (snapshot_user_t){ .id = row->id, .name = row->name, .active = row->active, .roles = names,
		.n_roles = n };
	return permissions_of(b, roles, n, &out->permissions);
}

static err_t build_users(build_t *b)
{
	snapshot_user_t *out;
	store_user_t *rows;
	str_t after = STR_NULL;
	size_t n, total = 0;

	TRY(arena_try_array(b->a, snapshot_user_t, SNAPSHOT_USERS_MAX, &out));
	do {
		TRY(store_user_list(b->txn, b->a, after, &rows, &n));
		ENSURE(total + n <= SNAPSHOT_USERS_MAX, ERR_LIMIT);
		for (size_t i = 0; i < n; i++) {
			TRY(user_build(b, &rows[i], &out[total]));
			total++;
		}
		after = n ? rows[n - 1].id : after;
	} while (n == STORE_LIST_MAX);
	b->c.users = out;
	b->c.n_users = total;
	return OK;
}

static snapshot_agent_state_t agent_state(str_t state)
{
	if (str_eq(state, STR("active"))) {
		return SNAPSHOT_ACTIVE;
	}
	return str_eq(state, STR("quarantined")) ? SNAPSHOT_QUARANTINED : SNAPSHOT_RETIRED;
}

static err_t agent_keys(build_t *b, str_t agent, snapshot_agent_t *out)
{
	store_agent_key_t *rows;
	size_t n, kept = 0;

	TRY(store_agent_key_list(b->txn, b->a, agent, &rows, &n));
	str_t *jkts = arena_array(b->a, str_t, n);
	for (size_t i = 0; i < n; i++) {
		if (str_eq(rows[i].state, STR("active"))) {
			jkts[kept++] = rows[i].jkt;
		}
	}
	out->jkts = jkts;
	out->n_jkts = kept;
	return OK;
}

static err_t agent_build(build_t *b, const store_agent_t *row, snapshot_agent_t *out)
{
	*out = (snapshot_agent_t){
		.id = row->id,
		.name = row->name,
		.kind = str_eq(row->kind, STR("autonomous")) ? DELEGATION_AGENT_AUTONOMOUS
							      : DELEGATION_AGENT_DELEGATED,
		.owner = row->owner,
		.state = agent_state(row->state),
		.max_depth = (uint32_t)row->max_depth,
	};
	TRY(names_read(b->a, row->roles, SNAPSHOT_ROLES_OF_MAX, &out->roles, &out->n_roles));
	TRY(list_read(b->a, row->scopes, &out->scopes));
	return agent_keys(b, row->id, out);
}

static err_t build_agents(build_t *b)
{
	snapshot_agent_t *out;
	store_agent_t *rows;
	str_t after = STR_NULL;
	size_t n, total = 0;

	TRY(arena_try_array(b->a, snapshot_agent_t, SNAPSHOT_AGENTS_MAX, &out));
	do {
		TRY(store_agent_list(b->txn, b->a, after, &rows, &n));
		ENSURE(total + n <= SNAPSHOT_AGENTS_MAX, ERR_LIMIT);
		for (size_t i = 0; i < n; i++) {
			TRY(agent_build(b, &rows[i], &out[total]));
			total++;
		}
		after = n ? rows[n - 1].id : after;
	} while (n == STORE_LIST_MAX);
	b->c.agents = out;
	b->c.n_agents = total;
	return OK;
}

static err_t build_routes(build_t *b)
{
	store_route_t *rows;
	size_t n;
	snapshot_route_t *out;

	TRY(store_route_list(b->txn, b->a, STR_NULL, &rows, &n));
	ENSURE(n <= SNAPSHOT_ROUTES_MAX && n < STORE_LIST_MAX, ERR_LIMIT);
	TRY(arena_try_array(b->a, snapshot_route_t, n, &out));
	for (size_t i = 0; i < n; i++) {
		TRY(snapshot_route_parse(b->a, rows[i].doc, &out[i], NULL));
		out[i].name = rows[i].name;
		out[i].rev = (uint64_t)rows[i].rev;
		out[i].url = arena_cat(b->a, b->deps->gateway_url, STR("/r/"), rows[i].name);
	}
	b->c.routes = out;
	b->c.n_routes = n;
	return OK;
}

err_t feed_policy_files(arena_t *a, str_t stored, snapshot_policy_file_t **out, size_t *out_n)
{
	static const json_opts_t opts = { .bytes_max = SNAPSHOT_POLICY_BYTES_MAX * 2, .object_only = true };
	const json_t *root, *files;
	size_t n = 0;

	TRY(json_parse(a, stored, &opts, &root, NULL));
	TRY(json_need_arr(root, STR("files"), SNAPSHOT_POLICY_FILES_MAX, &files));
	snapshot_policy_file_t *list = arena_array(a, snapshot_policy_file_t, json_count(files));
	for (const json_t *f = json_first(files); f; f = json_next(f)) {
		TRY(json_need_str(f, STR("name"), SNAPSHOT_STRING_BYTES_MAX, &list[n].name));
		TRY(json_want_str(f, STR("text"), JSON_UNBOUNDED, &list[n].text));
		n++;
	}
	*out = list;
	*out_n = n;
	return OK;
}

static err_t build_policy(build_t *b)
{
	store_policy_t row;
	snapshot_policy_file_t *files;

	TRY(store_policy_active(b->txn, b->a, &row));
	TRY(feed_policy_files(b->a, row.text, &files, &b->c.n_policy_files));
	b->c.policy_files = files;
	b->c.policy_version = (uint64_t)row.ver;
	return delegation_digest_parse(row.digest, b->c.policy_digest);
}

static err_t build_keys(build_t *b)
{
	TRY(vault_token_jwks(b->txn, b->a, &b->c.token_keys));
	/* borrowed for the write below; the vault keeps them */
	str_t nonce = vault_nonce_key(b->deps->vault), session = vault_session_key(b->deps->vault);
	b->c.nonce_key = (secret_t){ (uint8_t *)(uintptr_t)nonce.p, nonce.n };
	b->c.session_key = (secret_t){ (uint8_t *)(uintptr_t)session.p, session.n };
	return OK;
}

err_t feed_build(const feed_deps_t *deps, store_txn_t *txn, buf_t *out_text)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(FEED_BUILD_ARENA_BYTES_MAX);
	build_t b = { .deps = deps, .txn = txn, .a = a };
	int64_t version;

	TRY(store_snapshot_version(txn, &version));
	b.c.version = (uint64_t)version;
	b.c.issuer = deps->issuer;
	b.c.trust_domain = deps->trust_domain;
	TRY(build_keys(&b));
	TRY(build_policy(&b));
	TRY(build_roles(&b));
	TRY(build_users(&b));
	TRY(build_agents(&b));
	TRY(build_routes(&b));
	return snapshot_write(&b.c, out_text);
}
