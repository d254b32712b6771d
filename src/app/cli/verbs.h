/* verbs.h: the verbs by name, one file each or two that are about the same noun. */
#ifndef ATTORN_CLI_VERBS_H
#define ATTORN_CLI_VERBS_H

#include "app/cli/cli_int.h"

extern const cli_verb_t cli_verbs[]; /* ends with a row whose name is NULL */
extern const cli_word_t cli_status_words[];
extern const cli_word_t cli_user_words[];
extern const cli_word_t cli_role_words[];
extern const cli_word_t cli_agent_words[];
extern const cli_word_t cli_route_words[];
extern const cli_word_t cli_secret_words[];
extern const cli_word_t cli_policy_words[];
extern const cli_word_t cli_grant_words[];
extern const cli_word_t cli_token_words[];
extern const cli_word_t cli_run_words[];
extern const cli_word_t cli_mcp_words[];
extern const cli_word_t cli_http_words[];
extern const cli_word_t cli_explain_words[];
extern const cli_word_t cli_ledger_words[];
extern const cli_word_t cli_completion_words[];

/* Reads a public key in any of our forms as JWK text. */
int cli_public_key(cli_t *c, const char *path, str_t *out_jwk);
int cli_run(cli_t *c);
/* POST {state}; going to active is signed. */
int cli_state_set(cli_t *c, const char *path, const char *verb, const char *state, const char *said);
/* POST {keys} of --key; and the end of one, whose owner's path is `path`. */
int cli_key_add(cli_t *c, const char *path, const char *verb);
int cli_key_retire(cli_t *c, const char *path, const char *verb);

#endif
