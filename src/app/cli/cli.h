/* cli.h: the verbs people type; one file per verb. A verb talks to the API and nothing else; offline
 * ones (ledger verify, user key) use pure and domain rooms and the ledger's verifier.
 * Exit codes: 0 done, 1 refused or not found (the answer is no), 2 usage, 3 cannot reach the authority,
 * 4 something on this machine (file, key, passphrase), 5 verification failed. */
#ifndef ATTORN_CLI_H
#define ATTORN_CLI_H

#include "pure/base/base.h"

typedef struct {
	const char *name, *args, *help; /* one line each: the table is the help */
	int (*run)(int argc, char **argv); /* argv[0] is the verb */
} cli_verb_t;

/* Ends with a row whose name is NULL. */
extern const cli_verb_t cli_verbs[];

/* Reads a passphrase: from `file` ("-": stdin, first line) or, when NULL, $ATTORN_PASSPHRASE_FILE, or
 * the terminal without echo (`twice`: asked again). ERR_IO with a text that names the fix. */
MUST err_t cli_passphrase(const char *file, const char *prompt, bool twice, secret_t *out, diag_t *diag);
/* Makes a user key file sealed by a passphrase: 0600, O_EXCL; out_jwk is its public half. ERR_EXISTS. */
MUST err_t cli_user_key_make(const char *path, const secret_t *passphrase, char out_jwk[512], diag_t *diag);

#endif
