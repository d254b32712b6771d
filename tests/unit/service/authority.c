/* authority.c: see authority.h. Everything is real but the clock, which the tests choose. */
#include "authority.h"

static err_t keys_make_run(store_txn_t *t, void *self)
{
	authority_t *a = self;

	TRY(vault_keys_make(a->vault, t, NOW_S));
	return vault_signing_make(a->signing.client, t, NOW_S);
}

static err_t keys_open_run(store_txn_t *t, void *self)
{
	return vault_keys_open(self, t);
}

void authority_write(authority_t *t, store_fn_t *run, void *self)
{
	err_t e = store_write(t->store, run, self);

	if (e != OK) {
		fail_msg("closure: %s", err_info(e)->name);
	}
}

static err_t fence_run(store_txn_t *t, void *self)
{
	store_change_t change = { .kind = STR("test"), .id = STR("x"), .body = STR(""), .snapshot = true };
	int64_t seq;

	(void)self;
	return store_change_add(t, &change, &seq);
}

void authority_fence(authority_t *t)
{
	authority_write(t, fence_run, NULL);
}

static str_t jwk_of(authority_t *t, const crypto_key_t *key)
{
	str_t out;

	assert_int_equal(jose_jwk_write(t->a, crypto_key_pub(key), STR_NULL, STR_NULL, &out), OK);
	return out;
}

static err_t people_run(store_txn_t *txn, void *self)
{
	authority_t *t = self;
	int64_t rev;
	store_user_t user = { .id = STR(USER_ID), .name = STR("alice"), .active = true, .created_s = NOW_S };
	store_user_key_t user_key = { jose_jkt(t->a, crypto_key_pub(t->user_key)), STR(USER_ID),
		jwk_of(t, t->user_key), STR("active"), NOW_S };
	store_agent_t agent = { .id = STR(AGENT_ID), .name = STR("scout"), .kind = STR("delegated"),
		.owner = STR(USER_ID), .scopes = STR("[\"invoices:read\",\"tickets:create\"]"), .roles = STR("[]"),
		.state = STR("active"), .max_depth = 1, .created_s = NOW_S };
	store_agent_key_t agent_key = { jose_jkt(t->a, crypto_key_pub(t->agent_key)), STR(AGENT_ID),
		jwk_of(t, t->agent_key), STR("active"), NOW_S };

	TRY(store_role_put(txn, STR("clerk"), STR("[\"invoices:read\",\"tickets:create\"]"), &rev));
	TRY(store_user_insert(txn, &user));
	TRY(store_user_key_insert(txn, &user_key));
	TRY(store_user_roles_set(txn, STR(USER_ID), &STR("clerk"), 1));
	TRY(store_agent_insert(txn, &agent));
	return store_agent_key_insert(txn, &agent_key);
}

static const char invoices_doc[] =
	"{\"kind\":\"mcp-http\",\"upstream\":\"http://127.0.0.1:9/mcp\",\"environment\":\"prod\","
	"\"data_classes\":[\"finance\"],\"tools\":{\"read\":{\"scope\":\"invoices:read\",\"effect\":\"readonly\"}}}";
static const char tickets_doc[] =
	"{\"kind\":\"http\",\"upstream\":\"http://127.0.0.1:9\",\"environment\":\"prod\",\"data_classes\":[\"support\"],"
	"\"credential\":{\"secret\":\"desk\",\"header\":\"X-Api-Key\",\"prefix\":\"k-\"},"
	"\"http\":[{\"method\":\"POST\",\"path\":\"/tickets\",\"scope\":\"tickets:create\",\"effect\":\"mutating\"}]}";

static err_t config_run(store_txn_t *txn, void *self)
{
	authority_t *t = self;
	policy_file_t starter = policy_starter();
	uint8_t digest[32];
	int64_t n;
	buf_t text;
	jw_t w;

	policy_digest(&starter, 1, digest);
	buf_init(&text, 1 << 20);
	jw_init(&w, &text);
	jw_object(&w);
	jw_karray(&w, "files");
	jw_object(&w);
	jw_kstr(&w, "name", starter.name);
	jw_kstr(&w, "text", starter.text);
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	assert_int_equal(jw_finish(&w), OK);
	err_t e = store_policy_push(txn, delegation_digest_text(t->a, digest), buf_str(&text), NOW_S, &n);
	buf_done(&text);
	TRY(e);
	TRY(store_route_put(txn, STR("invoices"), str_of(invoices_doc), &n));
	TRY(store_route_put(txn, STR("tickets"), str_of(tickets_doc), &n));
	return vault_secret_put(t->vault, txn, t->a, STR("desk"), STR("s3cret"), NOW_S, &n);
}

static const char bounds[] =
	"{\"authorization_details\":[{\"constraints\":[{\"arg\":\"/path\",\"kind\":\"path_under\",\"value\":\"/srv\"}],"
	"\"server\":\"" GATEWAY "/r/invoices\",\"tool\":\"read\",\"type\":\"mcp_tool_call\"}],\"budget\":null,"
	"\"data_classes\":[\"finance\",\"support\"],\"depth\":1,\"device\":null,\"environments\":[\"prod\"],"
	"\"scope\":\"invoices:read\",\"uses\":3,\"window\":null}";

static err_t grant_run(store_txn_t *txn, void *self)
{
	authority_t *t = self;
	delegation_grant_t g = { .id = STR("01KAQW7V000000000000000001"), .iss = STR(ISSUER),
		.delegator_sub = STR(USER_ID), .delegator_key = jose_jkt(t->a, crypto_key_pub(t->user_key)),
		.agent = STR(AGENT_ID), .iat = NOW_S - 10, .exp = NOW_S + 3600 };
	store_grant_t row = { .id = g.id, .root = g.id, .agent = g.agent, .user = STR(USER_ID),
		.key = g.delegator_key, .iat_s = g.iat, .exp_s = g.exp, .uses_max = 3, .uses_left = 3,
		.revoked_s = STORE_NONE };

	assert_int_equal(delegation_bounds_parse(t->a, str_of(bounds), &g.bounds, NULL), OK);
	assert_int_equal(delegation_grant_build(t->a, &g, &row.doc), OK);
	assert_int_equal(delegation_grant_sign(t->a, t->user_key, row.doc, &row.sig), OK);
	t->grant = g.id;
	return store_grant_insert(txn, &row);
}

typedef struct {
	authority_t *t;
	buf_t *text;
} view_args_t;

static err_t view_run(store_txn_t *txn, void *self)
{
	view_args_t *args = self;

	buf_clear(args->text);
	return feed_build(&args->t->feed_deps, txn, args->text);
}

void authority_view(authority_t *t)
{
	AUTO(buf_wipe) buf_t text = { 0 };
	view_args_t args = { t, &text };
	const feed_view_t *made;
	diag_t diag = { 0 };

	buf_init(&text, 8 << 20);
	assert_int_equal(store_read(t->store, view_run, &args), OK);
	if (feed_view_make(buf_str(&text), t->view, &made, &diag) != OK) {
		fail_msg("view: %s", diag.text);
	}
	feed_view_unref(t->view);
	t->view = made;
}

void authority_keys_open(authority_t *t)
{
	vault_signing_open_t signing = { .signer = t->signing.client };
	ledger_options_t o = { .source = STR("spiffe://" TD "/attorn/authority/1"), .origin = STR(TD "/ledger"),
		.signer = t->signing.client, .kek = vault_ledger_kek(t->vault), .now_us = NOW_US };
	diag_t diag = { 0 };

	assert_int_equal(store_read(t->store, keys_open_run, t->vault), OK);
	authority_write(t, vault_signing_open, &signing);
	assert_int_equal(signing.out.ahead, 0);
	t->keys = signing.out;
	o.kid = str_of(t->keys.ledger_kid);
	o.pub = &t->keys.ledger_pub;
	if (ledger_open(t->store, &o, &t->ledger, &diag) != OK) {
		fail_msg("ledger: %s", diag.text);
	}
}

int authority_open(void **state)
{
	authority_t *t = heap_new(authority_t);
	diag_t diag = { 0 };

	assert_int_equal(crypto_init(), OK);
	assert_int_equal(policy_init(), OK);
	t->a = arena_new_capped(64 << 20);
	snprintf(t->dir, sizeof(t->dir), "service-test-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->database, sizeof(t->database), "%s/attorn.db", t->dir);
	snprintf(t->kek, sizeof(t->kek), "%s/kek", t->dir);
	assert_int_equal(vault_open(t->kek, true, &t->vault, &diag), OK);
	assert_int_equal(store_open(str_of(t->database), NULL, &t->store, &diag), OK);
	signing_open(&t->signing);
	authority_write(t, keys_make_run, t);
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_ED25519, &t->user_key), OK);
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_ED25519, &t->agent_key), OK);
	authority_keys_open(t);
	authority_write(t, people_run, t);
	authority_write(t, config_run, t);
	authority_write(t, grant_run, t);
	authority_fence(t);
	t->feed_deps = (feed_deps_t){ .store = t->store, .vault = t->vault, .issuer = STR(ISSUER),
		.trust_domain = STR(TD), .gateway_url = STR(GATEWAY) };
	authority_view(t);
	*state = t;
	return 0;
}

int authority_close(void **state)
{
	static const char *const names[] = { "attorn.db", "attorn.db-wal", "attorn.db-shm", "reserve", "kek" };
	authority_t *t = *state;

	feed_view_unref(t->view);
	ledger_close(t->ledger);
	store_close(t->store);
	signing_close(&t->signing);
	vault_free(t->vault);
	crypto_key_free(t->user_key);
	crypto_key_free(t->agent_key);
	arena_free(t->a);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[160];
		snprintf(path, sizeof(path), "%s/%s", t->dir, names[i]);
		unlink(path);
	}
	rmdir(t->dir);
	heap_free(t);
	return 0;
}

typedef struct {
	authority_t *t;
	const char *kind;
	size_t n;
} count_t;

static err_t count_run(store_txn_t *txn, void *self)
{
	count_t *c = self;
	store_entry_t *list;

	return store_entry_recent(txn, c->t->a, str_of(c->kind), STORE_NONE, 1000, &list, &c->n);
}

size_t authority_entries(authority_t *t, const char *kind)
{
	count_t c = { t, kind, 0 };

	assert_int_equal(store_read(t->store, count_run, &c), OK);
	return c.n;
}
