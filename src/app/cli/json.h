/* json.h: request bodies and printed lists; part of cli_int.h's toolbox. */
#ifndef ATTORN_CLI_JSON_H
#define ATTORN_CLI_JSON_H

#include <stdarg.h>

#include "app/cli/cli_int.h"

typedef struct {
	cli_t *c;
	buf_t buf;
	jw_t w;
} cli_body_t;
void cli_body_begin(cli_body_t *b, cli_t *c); /* opens an object */
void cli_body_list(cli_body_t *b, const char *key, const str_t *list, size_t n);
int cli_body_end(cli_body_t *b, str_t *out); /* closes it; an exit status */

typedef struct {
	const char *key; /* heading, and member unless `at` points elsewhere */
	int width;
	const char *at; /* JSON pointer, or NULL */
} cli_column_t;
/* GET and print: as columns of the list `list` (path ends in the parameter of its cursor, "?after="), or
 * member by member. */
int cli_list(cli_t *c, str_t path, const char *list, const cli_column_t *columns, size_t n);
int cli_show(cli_t *c, str_t path);
/* Sends a verb, signed. */
int cli_verb(cli_t *c, const char *method, const char *path, const char *verb, str_t body, net_response_t *out);
/* What only takes away, or bears its own signature: on the socket it needs none of ours. */
int cli_narrow(cli_t *c, const char *method, const char *path, const char *verb, str_t body, net_response_t *out);
/* One line for a person, or the answer itself with --json. */
int cli_done(cli_t *c, const net_response_t *response, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* fmt holds one %s. */
const char *cli_text(cli_t *c, const char *fmt, const char *arg) __attribute__((format_arg(2)));

#endif
