/* ground.c: see ground.h. */
#include "ground.h"

/* A simulated crash is the end of a process, not of the machine: what was written stays in the page
 * cache, so syncing the disk would only cost the time in which more seeds can run. */
int fdatasync(int fd);
int fsync(int fd);
int fdatasync(int fd)
{
	(void)fd;
	return 0;
}
int fsync(int fd)
{
	(void)fd;
	return 0;
}

static err_t agents_run(store_txn_t *txn, void *self)
{
	ground_t *g = self;
	str_t jwk;
	store_agent_t bot = { .id = STR(BOT_ID), .name = STR("bot"), .kind = STR("autonomous"), .owner = STR(USER_ID),
		.scopes = STR("[\"invoices:read\"]"), .roles = STR("[]"), .state = STR("active"), .max_depth = 1,
		.created_s = NOW_S };
	store_agent_t other = bot;
	store_agent_key_t key = { .agent = STR(BOT_ID), .state = STR("active"), .created_s = NOW_S };

	other.id = STR(OTHER_ID);
	other.name = STR("other");
	other.kind = STR("delegated");
	assert_int_equal(jose_jwk_write(g->t->a, crypto_key_pub(g->t->user_key), STR_NULL, STR_NULL, &jwk), OK);
	key.jkt = jose_jkt(g->t->a, crypto_key_pub(g->t->user_key)); /* the bot's key: any that is not the scout's */
	key.jwk = jwk;
	TRY(store_agent_insert(txn, &bot));
	TRY(store_agent_insert(txn, &other));
	TRY(store_agent_key_insert(txn, &key));
	key.agent = STR(AGENT_ID);
	key.jkt = jose_jkt(g->t->a, crypto_key_pub(g->second_key));
	assert_int_equal(jose_jwk_write(g->t->a, crypto_key_pub(g->second_key), STR_NULL, STR_NULL, &key.jwk), OK);
	return store_agent_key_insert(txn, &key);
}

typedef struct {
	ground_t *g;
	str_t id, agent;
	int64_t uses, now_s;
} new_grant_t;

static const char bounds[] =
	"{\"authorization_details\":[{\"constraints\":[{\"arg\":\"/path\",\"kind\":\"path_under\",\"value\":\"/srv\"}],"
	"\"server\":\"" GATEWAY "/r/invoices\",\"tool\":\"read\",\"type\":\"mcp_tool_call\"}],\"budget\":null,"
	"\"data_classes\":[\"finance\",\"support\"],\"depth\":1,\"device\":null,\"environments\":[\"prod\"],"
	"\"scope\":\"invoices:read\",\"uses\":3,\"window\":null}";

static err_t grant_run(store_txn_t *txn, void *self)
{
	new_grant_t *n = self;
	authority_t *t = n->g->t;
	delegation_grant_t g = { .id = n->id, .iss = STR(ISSUER), .delegator_sub = STR(USER_ID),
		.delegator_key = jose_jkt(t->a, crypto_key_pub(t->user_key)), .agent = n->agent,
		.iat = n->now_s - 10, .exp = n->now_s + 3600 };
	store_grant_t row = { .id = g.id, .root = g.id, .agent = g.agent, .user = STR(USER_ID),
		.key = g.delegator_key, .iat_s = g.iat, .exp_s = g.exp, .uses_max = n->uses, .uses_left = n->uses,
		.revoked_s = STORE_NONE };

	assert_int_equal(delegation_bounds_parse(t->a, str_of(bounds), &g.bounds, NULL), OK);
	assert_int_equal(delegation_grant_build(t->a, &g, &row.doc), OK);
	assert_int_equal(delegation_grant_sign(t->a, t->user_key, row.doc, &row.sig), OK);
	return store_grant_insert(txn, &row);
}

str_t ground_grant(ground_t *g, str_t agent, int64_t uses, int64_t now_s)
{
	new_grant_t n = { g, .agent = agent, .uses = uses, .now_s = now_s };
	uint8_t random[ULID_RANDOM_BYTES];

	crypto_random(random, sizeof(random));
	n.id = ulid_make(g->t->a, now_s * 1000, random);
	authority_write(g->t, grant_run, &n);
	return n.id;
}

int ground_open(void **state)
{
	ground_t *g = heap_new(ground_t);
	void *t;

	assert_int_equal(authority_open(&t), 0);
	g->t = t;
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_ED25519, &g->second_key), OK);
	authority_write(g->t, agents_run, g);
	*state = g;
	return 0;
}

int ground_close(void **state)
{
	ground_t *g = *state;
	void *t = g->t;

	crypto_key_free(g->second_key);
	heap_free(g);
	return authority_close(&t);
}

void ground_reopen(ground_t *g)
{
	authority_t *t = g->t;
	diag_t diag = { 0 };

	ledger_close(TAKE(t->ledger));
	store_close(TAKE(t->store));
	signing_stop(&t->signing); /* authority and signer share their fate */
	signing_start(&t->signing);
	assert_int_equal(store_open(str_of(t->database), NULL, &t->store, &diag), OK);
	authority_keys_open(t);
	t->feed_deps.store = t->store;
}

typedef struct {
	ground_t *g;
	ledger_report_t report;
} verify_t;

static err_t verify_run(store_txn_t *txn, void *self)
{
	verify_t *v = self;

	return ledger_verify_store(txn, ledger_vkey(v->g->t->ledger), &v->report);
}

void ground_verify(ground_t *g)
{
	verify_t v = { .g = g };

	assert_int_equal(ledger_sequence_all(g->t->ledger, g->t->store, NOW_US), OK);
	if (store_read(g->t->store, verify_run, &v) != OK) {
		fail_msg("ledger: %s", v.report.why);
	}
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
void ground_doomed_begin(void)
{
	__lsan_disable();
}
void ground_doomed_end(void)
{
	__lsan_enable();
}
#else
void ground_doomed_begin(void)
{
}
void ground_doomed_end(void)
{
}
#endif

/* --- rules and revokes ------------------------------------------------------------------------------- */

static err_t append(const ground_t *g, store_txn_t *txn, arena_t *a, ledger_type_t type, str_t body, int64_t now_us)
{
	uint8_t random[ULID_RANDOM_BYTES];
	ledger_record_t record = { .type = type, .body = body, .now_us = now_us };
	ledger_receipt_t receipt;

	crypto_random(random, sizeof(random));
	record.rid = ulid_make(a, now_us / 1000, random);
	return ledger_append(g->t->ledger, txn, a, &record, &receipt);
}

static err_t role_put(const ground_t *g, store_txn_t *txn, str_t scopes, int64_t now_us)
{
	AUTO(arena_free) arena_t *a = arena_open();
	store_change_t change = { .kind = STR("role"), .id = STR("clerk"), .body = STR(""), .snapshot = true };
	int64_t n;

	TRY(store_role_put(txn, STR("clerk"), scopes, &n));
	TRY(store_change_add(txn, &change, &n));
	return append(g, txn, a, LEDGER_ROLE, STR("{\"by\":\"" USER_ID "\"}"), now_us);
}

err_t ground_narrow(ground_t *g, store_txn_t *txn, int64_t now_us)
{
	g->narrowed = true;
	return role_put(g, txn, STR("[\"tickets:create\"]"), now_us);
}

err_t ground_revoke(ground_t *g, store_txn_t *txn, str_t grant, int64_t now_us)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t body = arena_printf(a, "{\"by\":\"" USER_ID "\",\"grant\":\"%.*s\"}", STR_ARG(grant));
	str_t *ids;
	size_t n;

	TRY(store_grant_revoke(txn, a, grant, now_us / 1000000, STR("test"), &ids, &n));
	return append(g, txn, a, LEDGER_REVOKE, body, now_us);
}

typedef struct {
	ground_t *g;
	int64_t now_us;
} widen_t;

static err_t widen_run(store_txn_t *txn, void *self)
{
	const widen_t *w = self;

	return role_put(w->g, txn, STR("[\"invoices:read\",\"tickets:create\"]"), w->now_us);
}

void ground_prepare(ground_t *g, int64_t now_s)
{
	widen_t w = { g, now_s * 1000000 };

	if (g->narrowed) {
		authority_write(g->t, widen_run, &w);
		g->narrowed = false;
	}
	if (!g->lasting.n) {
		g->lasting = ground_grant(g, STR(AGENT_ID), 1000000, now_s);
		g->others = ground_grant(g, STR(OTHER_ID), 1000000, now_s);
	}
}

/* --- looking into the ledger -------------------------------------------------------------------------- */

typedef struct {
	arena_t *a;
	const char *kind;
	int64_t mark;
	entries_t out;
} look_t;

enum { LOOK_MAX = 400 };

static err_t look_run(store_txn_t *txn, void *self)
{
	look_t *k = self;
	store_entry_t *list;
	size_t n, keep = 0;

	TRY(store_entry_recent(txn, k->a, k->kind ? str_of(k->kind) : STR_NULL, STORE_NONE, LOOK_MAX, &list, &n));
	while (keep < n && list[keep].seq > k->mark) {
		keep++;
	}
	k->out = (entries_t){ arena_array(k->a, store_entry_t, keep + 1), keep };
	for (size_t i = 0; i < keep; i++) {
		k->out.v[i] = list[keep - 1 - i];
	}
	return OK;
}

entries_t ground_entries(ground_t *g, arena_t *a, const char *kind, int64_t mark)
{
	look_t k = { a, kind, mark, { 0 } };

	assert_int_equal(store_read(g->t->store, look_run, &k), OK);
	assert_true(k.out.n < LOOK_MAX);
	return k.out;
}

static err_t mark_run(store_txn_t *txn, void *self)
{
	look_t *k = self;
	store_entry_t *list;
	size_t n;

	TRY(store_entry_recent(txn, k->a, STR_NULL, STORE_NONE, 1, &list, &n));
	k->mark = n ? list[0].seq : 0;
	return OK;
}

int64_t ground_mark(ground_t *g)
{
	AUTO(arena_free) arena_t *a = arena_open();
	look_t k = { .a = a };

	assert_int_equal(store_read(g->t->store, mark_run, &k), OK);
	return k.mark;
}

uint64_t ground_number(arena_t *a, str_t leaf, const char *member)
{
	const json_t *root;
	uint64_t n = 0;

	assert_int_equal(json_parse(a, leaf, NULL, &root, NULL), OK);
	assert_int_equal(json_need_u64(root, str_of(member), UINT32_MAX, &n), OK);
	return n;
}
