/* rule.h: what `attorn grant create` is told in a person's words: --allow and --for. */
#ifndef ATTORN_CLI_RULE_H
#define ATTORN_CLI_RULE_H

#include "app/cli/cli_int.h"

typedef struct {
	str_t route, tool; /* tool: name, or the method of an HTTP rule */
	str_t path;
	bool is_http;
} cli_rule_t;

/* Appends the authorization_details item of `line` to `w`. ERR_SYNTAX, ERR_LIMIT; kinds and values are
 * checked by whoever parses the bounds. */
MUST err_t cli_rule_write(jw_t *w, arena_t *a, str_t gateway_url, str_t line, cli_rule_t *out);

/* "90s", "30m", "1h", "7d" in seconds. ERR_SYNTAX, ERR_VALUE for none at all, ERR_LIMIT. */
MUST err_t cli_duration_s(str_t text, int64_t *out_s);

#endif
