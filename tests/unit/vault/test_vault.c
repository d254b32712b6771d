/* vault: what is sealed opens in its place and nowhere else; the KEK is nobody else's to read. */
#include <fcntl.h>
#include <sys/stat.h>

#include "authority.h"

static void a_seal_is_bound_to_its_place(void **state)
{
	authority_t *t = *state;
	str_t sealed, out;

	assert_int_equal(vault_seal(t->vault, t->a, STR("secret"), STR("a"), STR("value"), &sealed), OK);
	assert_int_equal(vault_unseal(t->vault, t->a, STR("secret"), STR("a"), sealed, &out), OK);
	assert_true(str_eq(out, STR("value")));
	assert_int_equal(vault_unseal(t->vault, t->a, STR("secret"), STR("b"), sealed, &out), ERR_CRYPTO);
	assert_int_equal(vault_unseal(t->vault, t->a, STR("key"), STR("a"), sealed, &out), ERR_CRYPTO);
	/* space and name are told apart: ("ab", "c") is not ("a", "bc") */
	assert_int_equal(vault_seal(t->vault, t->a, STR("ab"), STR("c"), STR("v"), &sealed), OK);
	assert_int_equal(vault_unseal(t->vault, t->a, STR("a"), STR("bc"), sealed, &out), ERR_CRYPTO);
}

static void another_kek_opens_nothing(void **state)
{
	authority_t *t = *state;
	AUTO(vault_free) vault_t *other = NULL;
	char path[100];
	str_t sealed, out;

	snprintf(path, sizeof(path), "%s/kek2", t->dir);
	assert_int_equal(vault_open(path, true, &other, NULL), OK);
	assert_int_equal(vault_seal(t->vault, t->a, STR("s"), STR("n"), STR("v"), &sealed), OK);
	assert_int_equal(vault_unseal(other, t->a, STR("s"), STR("n"), sealed, &out), ERR_CRYPTO);
	unlink(path);
}

static void the_kek_file_must_be_private(void **state)
{
	authority_t *t = *state;
	vault_t *v = NULL;
	diag_t diag = { 0 };

	assert_int_equal(chmod(t->kek, 0640), 0);
	assert_int_equal(vault_open(t->kek, false, &v, &diag), ERR_CONFIG);
	assert_non_null(strstr(diag.text, "0600"));
	assert_int_equal(chmod(t->kek, 0600), 0);
	assert_int_equal(truncate(t->kek, 31), 0);
	assert_int_equal(vault_open(t->kek, false, &v, &diag), ERR_CONFIG);
	unlink(t->kek);
	assert_int_equal(vault_open(t->kek, false, &v, &diag), ERR_IO);
	assert_int_equal(symlink("attorn.db", t->kek), 0);
	assert_int_equal(vault_open(t->kek, false, &v, &diag), ERR_IO);
}

typedef struct {
	authority_t *t;
	str_t value;
	err_t err;
} put_t;

static err_t put_run(store_txn_t *txn, void *self)
{
	put_t *p = self;
	int64_t rev;

	p->err = vault_secret_put(p->t->vault, txn, p->t->a, STR("x"), p->value, NOW_S, &rev);
	return OK;
}

static void a_credential_cannot_carry_a_second_header(void **state)
{
	authority_t *t = *state;
	const struct {
		str_t value;
		err_t err;
	} rows[] = {
		{ STR("plain-key_123"), OK },
		{ STR("with blanks is fine"), OK },
		{ STR("a\r\nX-Admin: 1"), ERR_VALUE },
		{ STR("a\nb"), ERR_VALUE },
		{ STR("a\0b"), ERR_VALUE },
		{ STR("\x7f"), ERR_VALUE },
		{ STR(""), ERR_VALUE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put_t p = { t, rows[i].value, OK };
		authority_write(t, put_run, &p);
		assert_int_equal(p.err, rows[i].err);
	}
	char big[3100];
	memset(big, 'x', sizeof(big));
	put_t p = { t, { big, sizeof(big) }, OK };
	authority_write(t, put_run, &p);
	assert_int_equal(p.err, ERR_LIMIT);
}

static void keys_are_apart_and_stay(void **state)
{
	authority_t *t = *state;
	AUTO(vault_free) vault_t *again = NULL;

	assert_false(crypto_pub_eq(&t->keys.token_pub, &t->keys.ledger_pub));
	assert_false(str_eq(vault_nonce_key(t->vault), vault_session_key(t->vault)));
	assert_int_equal(vault_open(t->kek, false, &again, NULL), OK);
	assert_false(str_eq(vault_ledger_kek(again), STR("")));
	assert_true(str_eq(vault_ledger_kek(again), vault_ledger_kek(t->vault)));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, authority_open, authority_close)
	const struct CMUnitTest tests[] = {
		CASE(a_seal_is_bound_to_its_place),
		CASE(another_kek_opens_nothing),
		CASE(the_kek_file_must_be_private),
		CASE(a_credential_cannot_carry_a_second_header),
		CASE(keys_are_apart_and_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
