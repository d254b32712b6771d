/* cli_int.h: what the verbs share: arguments, the API, keys, printing. */
#ifndef ATTORN_CLI_INT_H
#define ATTORN_CLI_INT_H

#include "app/cli/cli.h"
#include "app/cli/limits.h"
#include "domain/delegation/delegation.h"
#include "engine/net/net.h"
#include "pure/codec/codec.h"
#include "pure/jose/jose.h"

enum { EXIT_DONE = 0, EXIT_NO = 1, EXIT_USAGE = 2, EXIT_AWAY = 3, EXIT_HERE = 4, EXIT_BAD_PROOF = 5 };

/* Every option of every verb; a verb's row says which of them it takes. */
typedef struct {
	const char *dir, *url; /* where the authority is: a working directory, or its URL */
	bool json;
	const char *as, *user_key, *passphrase_file; /* who signs */
	const char *key, *agent, *owner, *kind, *grant, *reason, *file, *out, *until, *expect;
	const char *method, *data, *type, *issuer, *vkey, *state, *name;
	uint64_t uses, depth, from, to;
	bool has_to;
	str_t scopes[CLI_LIST_MAX], roles[CLI_LIST_MAX], details[CLI_LIST_MAX];
	size_t n_scopes, n_roles, n_details;
	const char *args[CLI_ARGS_MAX]; /* positional, the verb and its word not counted */
	size_t n_args;
	arena_t *a; /* for the whole run */
} cli_t;

/* A sub-command: `attorn agent register NAME`. word NULL: the verb itself. `options` lists the letters of
 * cli.c's table that it takes besides the common ones. */
typedef struct {
	const char *word, *args, *help;
	const char *options;
	size_t min_args, max_args;
	int (*run)(cli_t *c);
} cli_word_t;

/* Parses argv against the words of a verb and runs one. */
int cli_words_run(const char *verb, const cli_word_t *words, size_t n, int argc, char **argv);

/* --- the API --------------------------------------------------------------------------------------- */

typedef struct {
	const char *method;
	str_t path; /* below /api/v1, with query */
	str_t body; /* JSON, or empty */
	const char *verb; /* name to sign; NULL: a read, or a narrowing verb */
} cli_request_t;

/* Sends; with `verb`, or over a URL always, signs with the user's key. Prints the refusal and returns
 * its exit status, or 0 with the response. */
int cli_call(cli_t *c, const cli_request_t *r, net_response_t *out);
/* cli_call and parse of a JSON object. */
int cli_call_json(cli_t *c, const cli_request_t *r, const json_t **out);
/* Issuer, trust domain and gateway URL, asked once. */
typedef struct {
	str_t issuer, trust_domain, gateway_url;
} cli_place_t;
int cli_place(cli_t *c, const cli_place_t **out);

/* --- keys and files ---------------------------------------------------------------------------------- */

/* The user's key of --user-key, or keys/USER.key of the working directory, opened with the passphrase. */
int cli_user_key(cli_t *c, crypto_key_t **out);
/* A file of at most max bytes into the arena ("-": stdin). Complains. */
int cli_file(cli_t *c, const char *path, size_t max, str_t *out);
int cli_write_file(const char *path, str_t text, unsigned mode);
/* An agent's private key file (JWK or PEM), which only its owner may read. */
int cli_agent_key(cli_t *c, const char *path, crypto_key_t **out);

/* --- words for people ------------------------------------------------------------------------------- */

int cli_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_fail_err(int status, const char *what, err_t e, const diag_t *diag);
/* Prints a response body as it is (--json), or by `show`. */
void cli_print(str_t text);
/* Text from outside, made safe for a terminal: controls, escapes and non-ASCII as \xNN. */
str_t cli_safe(arena_t *a, str_t s);
/* A member as safe text, "" when absent; numbers and booleans as written. */
str_t cli_member(arena_t *a, const json_t *obj, const char *key);

#endif
