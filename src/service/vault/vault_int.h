/* vault_int.h: what the files of vault share. */
#ifndef ATTORN_VAULT_INT_H
#define ATTORN_VAULT_INT_H

#include "service/vault/limits.h"
#include "service/vault/vault.h"

struct vault {
	secret_t kek, ledger_kek;
	secret_t nonce, session;
};

void vault_keys_close(vault_t *v);

#endif
