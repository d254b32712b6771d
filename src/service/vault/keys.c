/* keys.c: our own symmetric keys, one active of each use; sealed under the KEK in the table `key`. */
#include "pure/codec/codec.h"
#include "service/vault/vault_int.h"

static const str_t uses[] = { STR_INIT("nonce"), STR_INIT("session") };

static str_t place_name(arena_t *a, str_t use, str_t kid)
{
	return arena_cat(a, use, STR("/"), kid);
}

static err_t symmetric_key_make(const vault_t *v, store_txn_t *txn, arena_t *a, str_t use, int64_t now_s)
{
	AUTO(secret_done) secret_t bytes = { 0 };
	uint8_t id[16];
	store_key_t row = { .use = use, .alg = STR("secret"), .state = STR("active"), .created_s = now_s };

	TRY(secret_new(CRYPTO_AEAD_KEY_BYTES, &bytes));
	crypto_random(bytes.p, bytes.n);
	crypto_random(id, sizeof(id));
	row.kid = b64url_enc(a, str_bytes(id, sizeof(id)));
	row.next_n = 1;
	row.jwk = STR("");
	TRY(vault_seal(v, a, STR("key"), place_name(a, use, row.kid), secret_peek(&bytes), &row.sealed));
	return store_key_insert(txn, &row);
}

err_t vault_keys_make(vault_t *v, store_txn_t *txn, int64_t now_s)
{
	AUTO(arena_free) arena_t *a = arena_open();
	store_key_t row;

	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		err_t e = store_key_active(txn, a, uses[i], &row);
		if (e == OK) {
			continue;
		}
		ENSURE(e == ERR_NOT_FOUND, e);
		TRY(symmetric_key_make(v, txn, a, uses[i], now_s));
	}
	return OK;
}

static err_t key_bytes(const vault_t *v, store_txn_t *txn, arena_t *a, str_t use, store_key_t *row,
	str_t *out)
{
	TRY(store_key_active(txn, a, use, row));
	return vault_unseal(v, a, STR("key"), place_name(a, use, row->kid), row->sealed, out);
}

static err_t symmetric_key_open(const vault_t *v, store_txn_t *txn, arena_t *a, str_t use, secret_t *out)
{
	store_key_t row;
	str_t bytes;

	TRY(key_bytes(v, txn, a, use, &row, &bytes));
	ENSURE(bytes.n == CRYPTO_AEAD_KEY_BYTES, ERR_CRYPTO);
	return secret_from(bytes, out);
}

err_t vault_keys_open(vault_t *v, store_txn_t *txn)
{
	AUTO(arena_free) arena_t *a = arena_open();

	vault_keys_close(v);
	TRY(symmetric_key_open(v, txn, a, STR("nonce"), &v->nonce));
	return symmetric_key_open(v, txn, a, STR("session"), &v->session);
}

void vault_keys_close(vault_t *v)
{
	secret_done(&v->nonce);
	secret_done(&v->session);
}

str_t vault_nonce_key(const vault_t *v)
{
	return secret_peek(&v->nonce);
}

str_t vault_session_key(const vault_t *v)
{
	return secret_peek(&v->session);
}
