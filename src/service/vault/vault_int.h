/* vault_int.h: what the files of vault share. */
#ifndef ATTORN_VAULT_INT_H
#define ATTORN_VAULT_INT_H

#include "service/vault/limits.h"
#include "service/vault/vault.h"

typedef struct {
	crypto_key_t *key;
	char *kid;
} vault_signing_key_t;

struct vault {
	secret_t kek, ledger_kek;
	vault_signing_key_t token, ledger;
	secret_t nonce, session;
};

void vault_keys_close(vault_t *v);

#endif
