/* cli.h: the verbs people type; one file per verb. A verb talks to the API and nothing else; offline
 * ones (ledger verify, user key) use pure and domain rooms and the ledger's verifier.
 * Owns: nothing. Threads: the caller's; attorn mcp has its own. Limits: limits.h.
 * Exit codes: cli_exits of help.c. */
#ifndef ATTORN_CLI_H
#define ATTORN_CLI_H

#include "pure/base/base.h"

/* What the verbs that start something get. */
typedef struct {
	const char *dir, *passphrase_file, *operator_name;
	const char *kek_passphrase_file; /* NULL: none */
	int signer_fd; /* inherited; 0: none */
	uint16_t port;
	bool oldest_kernel;
} cli_start_t;

typedef struct cli cli_t;

/* A row of a verb: `attorn agent register NAME`. word "": the verb itself, which then has one row. These
 * tables are the parser, the help, the completion and the man page. */
typedef struct {
	const char *word, *args, *help; /* one line each */
	const char *options; /* letters of the table in options.c */
	size_t min_args, max_args;
	int (*run)(cli_t *c); /* either this */
	int (*start)(const cli_start_t *s); /* or this, for main's own */
} cli_word_t;

typedef struct {
	const char *name, *help;
	const cli_word_t *words; /* ends with a row whose help is NULL */
} cli_verb_t;

/* Options of the verbs that start something. */
#define CLI_START "dPwpq"

/* Finds the verb of argv[1] among `own` (main's, ends with a NULL name) and ours, and runs it; help and
 * version too. The exit status of the process. crypto_init() must have been called. */
int cli_main(const cli_verb_t *own, int argc, char **argv);

/* Reads a passphrase: from `file` ("-": stdin, first line) or, when NULL, $ATTORN_PASSPHRASE_FILE, or
 * the terminal without echo (`twice`: asked again). ERR_IO with a text that names the fix. */
MUST err_t cli_passphrase(const char *file, const char *prompt, bool twice, secret_t *out, diag_t *diag);
/* Makes a user key file sealed by a passphrase: 0600, O_EXCL; out_jwk is its public half. ERR_EXISTS. */
MUST err_t cli_user_key_make(const char *path, const secret_t *passphrase, char out_jwk[512], diag_t *diag);

#endif
