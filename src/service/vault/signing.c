/* signing.c: what the authority knows of keys whose private halves the signer has: rows of the table `key` with
 * nothing sealed in them. The two are brought together at each start: the signer hears the highest number that
 * was given, and a list that is ahead of it shows a signature that was made without a record. */
#include "service/vault/vault_int.h"

static const struct {
	str_t use;
	signer_kind_t kind;
} uses[] = { { STR_INIT("token"), SIGNER_TOKEN }, { STR_INIT("ledger"), SIGNER_LEDGER } };

static err_t row_make(signer_client_t *signer, store_txn_t *txn, arena_t *a, size_t use, int64_t now_s)
{
	store_key_t row = { .use = uses[use].use, .alg = STR("EdDSA"), .state = STR("active"), .created_s = now_s,
		.sealed = STR(""), .next_n = 1 };
	signer_key_t key;

	TRY(signer_client_make(signer, uses[use].kind, now_s, &key));
	row.kid = str_of(key.kid);
	TRY(jose_jwk_write(a, &key.pub, row.kid, STR("sig"), &row.jwk));
	return store_key_insert(txn, &row);
}

err_t vault_signing_make(signer_client_t *signer, store_txn_t *txn, int64_t now_s)
{
	AUTO(arena_free) arena_t *a = arena_open();
	store_key_t row;

	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		err_t e = store_key_active(txn, a, uses[i].use, &row);
		if (e == ERR_NOT_FOUND) {
			e = row_make(signer, txn, a, i, now_s);
		}
		TRY(e);
	}
	return OK;
}

/* The active row, which must be a key that the signer has, of that kind. */
static err_t active_read(store_txn_t *txn, arena_t *a, size_t use, const signer_key_t *keys, size_t n,
	char out_kid[SIGNER_KID_BYTES + 1], crypto_pub_t *out_pub)
{
	store_key_t row;

	TRY(store_key_active(txn, a, uses[use].use, &row));
	for (size_t i = 0; i < n; i++) {
		if (keys[i].kind == uses[use].kind && str_eq(str_of(keys[i].kid), row.kid)) {
			memcpy(out_kid, keys[i].kid, sizeof(keys[i].kid));
			*out_pub = keys[i].pub;
			return OK;
		}
	}
	return ERR_KEY;
}

/* A key that is in no row was made and never recorded: no number of it was ever given, and none will be. */
static err_t numbers_meet(vault_signing_open_t *o, store_txn_t *txn, const signer_head_t *head)
{
	int64_t given = 0;
	err_t e = store_key_last_n(txn, str_of(head->kid), &given);

	ENSURE(e == OK || e == ERR_NOT_FOUND, e);
	if (head->highest < (uint64_t)given) {
		return signer_client_raise(o->signer, str_of(head->kid), (uint64_t)given);
	}
	if (head->highest > (uint64_t)given) {
		log_kv(LVL_ERROR, "signer.ahead", kv_c("kid", head->kid), kv_i("given", given),
			kv_u("signed", head->highest));
		o->out.ahead++;
		return store_key_pass_n(txn, str_of(head->kid), (int64_t)head->highest);
	}
	return OK;
}

err_t vault_signing_open(store_txn_t *txn, void *self)
{
	vault_signing_open_t *o = self;
	AUTO(arena_free) arena_t *a = arena_open();
	vault_signing_t *out = &o->out;
	signer_key_t *keys;
	signer_head_t *heads;
	size_t n, n_heads;

	out->ahead = 0; /* a closure may run twice */
	TRY(signer_client_keys(o->signer, a, &keys, &n));
	TRY(active_read(txn, a, 0, keys, n, out->token_kid, &out->token_pub));
	TRY(active_read(txn, a, 1, keys, n, out->ledger_kid, &out->ledger_pub));
	TRY(signer_client_heads(o->signer, a, &heads, &n_heads));
	for (size_t i = 0; i < n_heads; i++) {
		TRY(numbers_meet(o, txn, &heads[i]));
	}
	return OK;
}

err_t vault_token_jwks(store_txn_t *txn, arena_t *a, jose_jwks_t *out)
{
	store_key_t *rows;
	size_t n, kept = 0;

	TRY(store_key_list(txn, a, STR("token"), &rows, &n));
	jose_jwk_t *keys = arena_array(a, jose_jwk_t, n);
	for (size_t i = 0; i < n; i++) {
		if (str_eq(rows[i].state, STR("removed"))) {
			continue;
		}
		TRY(jose_jwk_parse(a, rows[i].jwk, &keys[kept], NULL));
		kept++;
	}
	*out = (jose_jwks_t){ keys, kept };
	return OK;
}
