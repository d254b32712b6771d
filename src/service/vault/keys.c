/* keys.c: our own keys, one active of each use; sealed under the KEK in the table `key`. */
#include "pure/codec/codec.h"
#include "service/vault/vault_int.h"

/* Each use has keys of its own: no token key ever signs a checkpoint (DESIGN 8). */
static const struct {
	str_t use;
	bool is_signing;
} uses[] = {
	{ STR_INIT("token"), true },
	{ STR_INIT("ledger"), true },
	{ STR_INIT("nonce"), false },
	{ STR_INIT("session"), false },
};

static str_t place_name(arena_t *a, str_t use, str_t kid)
{
	return arena_cat(a, use, STR("/"), kid);
}

static err_t signing_key_make(const vault_t *v, store_txn_t *txn, arena_t *a, str_t use, int64_t now_s)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	store_key_t row = { .use = use, .alg = STR("EdDSA"), .state = STR("active"), .created_s = now_s };

	TRY(crypto_key_generate(CRYPTO_KEY_ED25519, &key));
	row.kid = jose_jkt(a, crypto_key_pub(key));
	row.next_n = 1;
	TRY(jose_jwk_write(a, crypto_key_pub(key), row.kid, STR("sig"), &row.jwk));
	TRY(vault_seal(v, a, STR("key"), place_name(a, use, row.kid), crypto_key_peek_secret(key), &row.sealed));
	return store_key_insert(txn, &row);
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
		err_t e = store_key_active(txn, a, uses[i].use, &row);
		if (e == OK) {
			continue;
		}
		ENSURE(e == ERR_NOT_FOUND, e);
		TRY(uses[i].is_signing ? signing_key_make(v, txn, a, uses[i].use, now_s)
				       : symmetric_key_make(v, txn, a, uses[i].use, now_s));
	}
	return OK;
}

static err_t key_bytes(const vault_t *v, store_txn_t *txn, arena_t *a, str_t use, store_key_t *row,
	str_t *out)
{
	TRY(store_key_active(txn, a, use, row));
	return vault_unseal(v, a, STR("key"), place_name(a, use, row->kid), row->sealed, out);
}

static err_t signing_key_open(const vault_t *v, store_txn_t *txn, arena_t *a, str_t use,
	vault_signing_key_t *out)
{
	store_key_t row;
	str_t bytes;

	TRY(key_bytes(v, txn, a, use, &row, &bytes));
	TRY(crypto_key_from_secret(CRYPTO_KEY_ED25519, bytes, &out->key));
	out->kid = heap_cstr(row.kid);
	return OK;
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
	TRY(signing_key_open(v, txn, a, STR("token"), &v->token));
	TRY(signing_key_open(v, txn, a, STR("ledger"), &v->ledger));
	TRY(symmetric_key_open(v, txn, a, STR("nonce"), &v->nonce));
	return symmetric_key_open(v, txn, a, STR("session"), &v->session);
}

static void signing_key_close(vault_signing_key_t *k)
{
	crypto_key_free(k->key);
	heap_free(k->kid);
	*k = (vault_signing_key_t){ 0 };
}

void vault_keys_close(vault_t *v)
{
	signing_key_close(&v->token);
	signing_key_close(&v->ledger);
	secret_done(&v->nonce);
	secret_done(&v->session);
}

const crypto_key_t *vault_token_key(const vault_t *v)
{
	return v->token.key;
}

str_t vault_token_kid(const vault_t *v)
{
	return str_of(v->token.kid);
}

const crypto_key_t *vault_ledger_key(const vault_t *v)
{
	return v->ledger.key;
}

str_t vault_nonce_key(const vault_t *v)
{
	return secret_peek(&v->nonce);
}

str_t vault_session_key(const vault_t *v)
{
	return secret_peek(&v->session);
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
