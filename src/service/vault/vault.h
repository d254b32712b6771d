/* vault.h: what attorn keeps secret, sealed at rest under one key-encryption key (KEK).
 * The KEK is a file of 32 bytes, mode 0600, made on first start. Rows of the store hold only sealed
 * bytes; each is bound to its place (use and kid, or name), so a row copied elsewhere does not open.
 *
 * Private keys that sign are elsewhere: the signer's (engine/signer/client.h). What the authority knows of
 * them, kid, public half and next number, is in the same table and told by vault_signing_open.
 *
 * Owns: the KEK and the open symmetric keys (secret slots), for the life of the process.
 * Threads: open and make on one thread before the loop runs; everything else any thread.
 * Limits: limits.h. Forbidden: any way to print a secret. */
#ifndef ATTORN_VAULT_H
#define ATTORN_VAULT_H

#include "domain/snapshot/snapshot.h"
#include "engine/signer/client.h"
#include "engine/store/store.h"
#include "pure/crypto/crypto.h"
#include "pure/jose/jose.h"

typedef struct vault vault_t;

/* Reads the KEK file, or makes it when `make` and it is absent (O_EXCL, 0600, fsync of file and
 * folder). ERR_IO; ERR_CONFIG when the file is not a regular file of 32 bytes that only its owner
 * reads. */
MUST err_t vault_open(const char *kek_path, bool make, vault_t **out, diag_t *diag);
void vault_free(vault_t *v); /* accepts NULL */
DEFINE_AUTO(vault_t *, vault_free);

/* Makes one active key of each use that has none: nonce and session, 32 bytes each. Inside the first start's transaction. */
MUST err_t vault_keys_make(vault_t *v, store_txn_t *txn, int64_t now_s);

/* Opens the active keys. ERR_CRYPTO when a row does not open under this KEK. */
MUST err_t vault_keys_open(vault_t *v, store_txn_t *txn);

/* The signing keys in use: active rows of the table, whose private halves the signer has. */
typedef struct {
	char token_kid[SIGNER_KID_BYTES + 1], ledger_kid[SIGNER_KID_BYTES + 1];
	crypto_pub_t token_pub, ledger_pub;
	uint32_t ahead; /* keys whose list is ahead of what the authority gave: used behind its back */
} vault_signing_t;
/* Has the signer make one key of use token and of use ledger (Ed25519) unless there is an active one.
 * Blocks on the signer, inside the first start's transaction. */
MUST err_t vault_signing_make(signer_client_t *signer, store_txn_t *txn, int64_t now_s);
/* Reads the active rows, tells the signer the highest number given for every key it has, and passes over numbers
 * that were used without us. A closure on the write lane, before anything is signed; `self` has `signer` set.
 * ERR_KEY when the signer has not the key that the table calls active. Blocks on the signer. */
typedef struct {
	signer_client_t *signer;
	vault_signing_t out;
} vault_signing_open_t;
MUST err_t vault_signing_open(store_txn_t *txn, void *self);

/* The open symmetric keys; valid after vault_keys_open for the life of the vault. */
str_t vault_nonce_key(const vault_t *v); /* borrows 32 secret bytes */
str_t vault_ledger_kek(const vault_t *v); /* 32 bytes derived from the KEK: seals the ledger's openings */
str_t vault_session_key(const vault_t *v);

/* Public token keys, active and retired, as they stand in the store: what /keys shows. */
MUST err_t vault_token_jwks(store_txn_t *txn, arena_t *a, jose_jwks_t *out);

/* Seals and opens bytes bound to (space, name): upstream secrets ("secret"), openings of commitments
 * ("opening"). ERR_CRYPTO says no more than that. */
MUST err_t vault_seal(const vault_t *v, arena_t *a, str_t space, str_t name, str_t plain, str_t *out);
MUST err_t vault_unseal(const vault_t *v, arena_t *a, str_t space, str_t name, str_t sealed, str_t *out);

/* Upstream secrets, by verb secret.put. `value` may hold any visible text without CR, LF, NUL. */
MUST err_t vault_secret_put(const vault_t *v, store_txn_t *txn, arena_t *a, str_t name, str_t value,
	int64_t now_s, int64_t *out_rev);

typedef struct {
	str_t header, value; /* value = prefix + secret; header empty: the route needs none */
} vault_credential_t;

/* What an admitted call of this route may carry. ERR_CREDENTIAL when the named secret is missing. */
MUST err_t vault_credential(const vault_t *v, store_txn_t *txn, arena_t *a,
	const snapshot_route_t *route, vault_credential_t *out);

#endif
