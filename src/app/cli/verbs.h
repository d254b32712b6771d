/* verbs.h: the verbs by name, one file each or two that are about the same noun. */
#ifndef ATTORN_CLI_VERBS_H
#define ATTORN_CLI_VERBS_H

#include "app/cli/cli_int.h"

int cli_status(int argc, char **argv);
int cli_user(int argc, char **argv);
int cli_role(int argc, char **argv);
int cli_agent(int argc, char **argv);
int cli_route(int argc, char **argv);
int cli_secret(int argc, char **argv);
int cli_policy(int argc, char **argv);
int cli_grant(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_mcp(int argc, char **argv);
int cli_http(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_ledger(int argc, char **argv);
int cli_completion(int argc, char **argv);

/* Reads a public key in any of our forms as JWK text. */
int cli_public_key(cli_t *c, const char *path, str_t *out_jwk);
/* POST {state}; going to active is signed. */
int cli_state_set(cli_t *c, const char *path, const char *verb, const char *state, const char *said);

#endif
