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

typedef struct {
	int status;
	const char *meaning;
} cli_exit_t;
/* Ends with a row whose meaning is NULL. */
extern const cli_exit_t cli_exits[];

/* Every option of every verb; a verb's row says which of them it takes. */
struct cli {
	const char *dir, *url; /* where the authority is: a working directory, or its URL */
	bool json, oldest_kernel;
	const char *as, *user_key, *passphrase_file; /* who signs */
	const char *key, *agent, *owner, *kind, *grant, *entry, *reason, *file, *out, *until;
	const char *data, *type, *issuer, *vkey, *operator_name, *kek_passphrase_file;
	uint64_t uses, depth, from, to, port, signer_fd;
	bool has_to;
	str_t scopes[CLI_LIST_MAX], roles[CLI_LIST_MAX], details[CLI_LIST_MAX];
	size_t n_scopes, n_roles, n_details;
	const char *args[CLI_ARGS_MAX]; /* positional, the verb and its word not counted */
	size_t n_args;
	arena_t *a; /* for the whole run */
};

/* Options of the rows that speak to the authority as a person, and as an agent. */
#define CLI_API "djusFP"
#define CLI_AGENT "djikag"

/* --- the tables (options.c, words.c, help.c) --------------------------------------------------------- */

typedef struct {
	char letter; /* how rows name it */
	const char *name, *arg, *help; /* arg NULL: a flag */
	size_t offset; /* of its const char * in cli_t; 0: a number, a list or a flag */
} cli_option_t;
/* Ends with a row whose name is NULL. */
extern const cli_option_t cli_options[];
const cli_option_t *cli_option(char letter); /* NULL: none */

/* Takes one value. A text for a person when it cannot be, else NULL. */
const char *cli_option_set(cli_t *c, const cli_option_t *o, const char *value);

/* Parses argv[1..] against the rows of a verb and runs one; argv[0] is the verb. */
int cli_words_run(const cli_verb_t *verb, int argc, char **argv);
/* The same without running: an exit status, and the row. For tests too. */
int cli_words_parse(cli_t *c, const cli_verb_t *verb, int argc, char **argv, const cli_word_t **out_word);

void cli_help(const cli_verb_t *own);
void cli_help_verb(const cli_verb_t *verb);
void cli_man(const cli_verb_t *own);
/* "key|add|roles": the words of a verb, or the arguments of its one row. */
str_t cli_verb_args(arena_t *a, const cli_verb_t *verb);

/* --- the API --------------------------------------------------------------------------------------- */

typedef err_t (*cli_take_fn)(str_t bytes, void *owner);
typedef struct {
	const char *method;
	str_t path; /* below /api/v1, with query */
	str_t body; /* JSON, or empty */
	const char *verb; /* its name; NULL: a read */
	bool narrows; /* signed only over a URL, or with --user-key */
	cli_take_fn take; /* not NULL: a good answer's body goes here as it comes */
	void *take_owner;
} cli_request_t;

/* Sends; a widening verb, and over a URL everything, is signed with the user's key. Prints the refusal and returns
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
/* A value as safe text: "" when absent or null; what is no string as it is written. */
str_t cli_value(arena_t *a, const json_t *node);
/* The same of a member. */
str_t cli_member(arena_t *a, const json_t *obj, const char *key);

#endif
