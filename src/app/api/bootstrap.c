/* bootstrap.c: the first start: keys, the first user and what they may, the first rules; each on record. */
#include "app/api/api_int.h"

typedef struct {
	const api_bootstrap_t *b;
	store_txn_t *txn;
	arena_t *a;
	int64_t now_s;
} boot_t;

/* Body of a record: members by printf; all values are ours or names by grammar. */
static err_t record(const boot_t *t, ledger_type_t type, str_t body)
{
	ledger_record_t r = { .type = type, .rid = ledger_rid(t->a, t->b->now_us), .body = body, .now_us = t->b->now_us };
	ledger_receipt_t receipt;

	return ledger_append(t->b->ledger, t->txn, t->a, &r, &receipt);
}

static err_t change(const boot_t *t, const char *kind, str_t id)
{
	store_change_t row = { .kind = str_of(kind), .id = id, .body = STR(""), .snapshot = true };
	int64_t seq;

	return store_change_add(t->txn, &row, &seq);
}

static err_t is_first(const boot_t *t)
{
	store_user_t *users;
	size_t n;

	TRY(store_user_list(t->txn, t->a, STR_NULL, &users, &n));
	return n == 0 ? OK : ERR_EXISTS;
}

/* The start makes token, ledger, nonce and session keys; which they are is on record from the beginning. */
static err_t keys_record(const boot_t *t)
{
	static const str_t uses[] = { STR_INIT("token"), STR_INIT("ledger"), STR_INIT("nonce"), STR_INIT("session") };
	store_key_t key;

	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		TRY(store_key_active(t->txn, t->a, uses[i], &key));
		TRY(record(t, LEDGER_KEY, arena_printf(t->a, "{\"by\":\"first-start\",\"kid\":\"%.*s\",\"state\":\"active\","
			"\"use\":\"%.*s\"}", STR_ARG(key.kid), STR_ARG(uses[i]))));
	}
	return OK;
}

static err_t role_make(const boot_t *t)
{
	int64_t rev;

	TRY(store_role_put(t->txn, STR("admin"), STR("[\"attorn:administer\"]"), &rev));
	TRY(record(t, LEDGER_ROLE, STR("{\"by\":\"first-start\",\"rev\":1,\"scope\":\"attorn:administer\","
		"\"subject\":\"admin\"}")));
	return change(t, "role", STR("admin"));
}

static err_t user_make(const boot_t *t)
{
	const str_t admin = STR("admin");
	api_key_t key = { .jkt = jose_jkt(t->a, &t->b->operator_key) };
	str_t id;

	ENSURE(crypto_alg_for(t->b->operator_key.kind) != CRYPTO_ALG_NONE, ERR_KEY);
	TRY(crypto_pub_check(&t->b->operator_key));
	TRY(jose_jwk_write(t->a, &t->b->operator_key, STR_NULL, STR_NULL, &key.jwk));
	TRY(delegation_name_check(t->b->operator_name));
	TRY(api_user_insert(t->txn, t->a, t->b->operator_name, &key, 1, t->now_s, &id));
	TRY(store_user_roles_set(t->txn, id, &admin, 1));
	TRY(record(t, LEDGER_USER, arena_printf(t->a, "{\"by\":\"first-start\",\"keys\":[\"%.*s\"],\"roles\":[\"admin\"],"
		"\"state\":\"active\",\"subject\":\"%.*s\"}", STR_ARG(key.jkt), STR_ARG(id))));
	return change(t, "user", id);
}

static err_t rules_make(const boot_t *t)
{
	policy_file_t starter = policy_starter();
	uint8_t raw[CRYPTO_SHA256_BYTES];
	str_t text, digest;
	int64_t ver;

	policy_digest(&starter, 1, raw);
	digest = delegation_digest_text(t->a, raw);
	TRY(api_policy_text(t->a, &starter, 1, &text));
	TRY(store_policy_push(t->txn, digest, text, t->now_s, &ver));
	TRY(record(t, LEDGER_POLICY, arena_printf(t->a, "{\"by\":\"first-start\",\"digest\":\"%.*s\",\"rev\":%lld}",
		STR_ARG(digest), (long long)ver)));
	return change(t, "policy", digest);
}

err_t api_bootstrap(store_txn_t *txn, void *self)
{
	const api_bootstrap_t *b = self;
	AUTO(arena_free) arena_t *a = arena_open();
	boot_t t = { b, txn, a, b->now_us / 1000000 };

	TRY(is_first(&t));
	TRY(vault_keys_make(b->vault, txn, t.now_s));
	TRY(record(&t, LEDGER_START, STR("{\"version\":\"" ATTORN_VERSION "\"}")));
	TRY(keys_record(&t));
	TRY(role_make(&t));
	TRY(user_make(&t));
	return rules_make(&t);
}
