/* tools.c: attorn route, attorn secret: the tool servers behind the gateway and their credentials. */
#include <stdio.h>

#include "app/cli/json.h"
#include "app/cli/verbs.h"

static int route_put(cli_t *c)
{
	net_response_t response;
	str_t document;

	if (!c->file) {
		return cli_fail(EXIT_USAGE, "route put needs --file FILE (JSON; see docs/wire.md 8)");
	}
	int status = cli_file(c, c->file, CLI_FILE_BYTES_MAX, &document);
	status = status ? status : cli_verb(c, "PUT", cli_text(c, "/routes/%s", c->args[0]), "route.put",
		str_trim(document), &response);
	return status ? status : cli_done(c, &response, "route %s set", c->args[0]);
}

static int route_remove(cli_t *c)
{
	net_response_t response;
	int status = cli_narrow(c, "DELETE", cli_text(c, "/routes/%s", c->args[0]), "route.remove", STR_NULL, &response);

	return status ? status : cli_done(c, &response, "route %s removed", c->args[0]);
}

static int route_list(cli_t *c)
{
	static const cli_column_t columns[] = { { "name", 20 }, { "kind", 10, "/document/kind" }, { "rev", 5 }, { "url", 50 } };

	return cli_list(c, STR("/routes?after="), "routes", columns, ARRAY_LEN(columns));
}

static int route_show(cli_t *c)
{
	return cli_show(c, str_of(cli_text(c, "/routes/%s", c->args[0])));
}

const cli_word_t cli_route_words[] = {
	{ "put", "NAME --file FILE", "make or replace a route (signed)", CLI_API "f", 1, 1, route_put },
	{ "remove", "NAME", "remove a route", CLI_API, 1, 1, route_remove },
	{ "list", "", "all routes", CLI_API, 0, 0, route_list },
	{ "show", "NAME", "one route", CLI_API, 1, 1, route_show },
	{ 0 },
};

/* --- secret --------------------------------------------------------------------------------------------- */

/* The value comes from a file or stdin, never from the command line, where others could read it. */
static int secret_put(cli_t *c)
{
	net_response_t response;
	cli_body_t b;
	str_t value, body;

	if (!c->file) {
		return cli_fail(EXIT_USAGE, "secret put needs --file FILE (- reads stdin)");
	}
	int status = cli_file(c, c->file, CLI_KEY_FILE_BYTES_MAX, &value);
	if (status) {
		return status;
	}
	cli_body_begin(&b, c);
	jw_kstr(&b.w, "value", str_trim(value));
	status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "PUT", cli_text(c, "/secrets/%s", c->args[0]), "secret.put", body, &response);
	return status ? status : cli_done(c, &response, "secret %s sealed", c->args[0]);
}

static int secret_remove(cli_t *c)
{
	net_response_t response;
	int status = cli_narrow(c, "DELETE", cli_text(c, "/secrets/%s", c->args[0]), "secret.remove", STR_NULL, &response);

	return status ? status : cli_done(c, &response, "secret %s removed", c->args[0]);
}

static int secret_list(cli_t *c)
{
	static const cli_column_t columns[] = { { "name", 30 }, { "rev", 5 }, { "updated", 20 } };

	return cli_list(c, STR("/secrets?after="), "secrets", columns, ARRAY_LEN(columns));
}

const cli_word_t cli_secret_words[] = {
	{ "put", "NAME --file FILE", "seal an upstream credential (signed)", CLI_API "f", 1, 1, secret_put },
	{ "remove", "NAME", "remove it", CLI_API, 1, 1, secret_remove },
	{ "list", "", "names only", CLI_API, 0, 0, secret_list },
	{ 0 },
};
