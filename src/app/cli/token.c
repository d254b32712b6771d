/* token.c: attorn token, attorn http: an agent's key at work, one step at a time. */
#include <stdio.h>
#include <unistd.h>

#include "app/cli/agent_side.h"
#include "app/cli/json.h"
#include "app/cli/verbs.h"

/* Opened and placed, or an exit status. */
static int agent_ready(cli_t *c, agent_t *g)
{
	int status = agent_open(c, c->args[0], g);

	return status ? status : agent_place(g);
}

static int refused(const char *what, err_t e, const diag_t *diag)
{
	return cli_fail_err(err_info(e)->cls == CLASS_UNAVAILABLE ? EXIT_AWAY : EXIT_NO, what, e, diag);
}

static int token_print(cli_t *c, str_t token)
{
	cli_print(c->json ? arena_cat(c->a, STR("{\"access_token\":\""), token, STR("\",\"token_type\":\"DPoP\"}")) : token);
	return EXIT_DONE;
}

static int token_get(cli_t *c)
{
	agent_t g;
	str_t token;
	diag_t diag = { 0 };
	int status = agent_ready(c, &g);

	if (status) {
		return status;
	}
	err_t e = agent_token(&g, c->a, &token, &diag);
	agent_close(&g);
	if (e != OK) {
		return refused("no token", e, &diag);
	}
	return token_print(c, token);
}

static int arguments(cli_t *c, const json_t **out)
{
	str_t text = str_of(c->data);
	diag_t diag = { 0 };

	*out = NULL;
	if (!c->data) {
		return EXIT_DONE;
	}
	if (c->data[0] == '@') {
		int status = cli_file(c, c->data + 1, CLI_FILE_BYTES_MAX, &text);
		if (status) {
			return status;
		}
	}
	err_t e = json_parse_object(c->a, text, out, &diag);
	return e == OK ? EXIT_DONE : cli_fail_err(EXIT_USAGE, "--data: the arguments are a JSON object", e, &diag);
}

static int token_capability(cli_t *c)
{
	agent_t g;
	str_t item, token;
	const json_t *args;
	diag_t diag = { 0 };
	int status = arguments(c, &args);

	status = status ? status : agent_ready(c, &g);
	if (status) {
		return status;
	}
	err_t e = agent_item_mcp(&g, c->a, str_of(c->args[1]), args, &item);
	e = e == OK ? agent_capability(&g, c->a, item, &token, &diag) : e;
	agent_close(&g);
	if (e != OK) {
		return refused("no capability", e, &diag);
	}
	return token_print(c, token);
}

/* The token is read from a file or stdin: arguments are visible to everybody on the machine. */
static int token_ask(cli_t *c, const char *endpoint, net_response_t *out)
{
	agent_t g;
	str_t token;
	diag_t diag = { 0 };
	int status = cli_file(c, c->file ? c->file : "-", CLI_FILE_BYTES_MAX, &token);

	status = status ? status : agent_ready(c, &g);
	if (status) {
		return status;
	}
	err_t e = agent_ask(&g, c->a, str_of(endpoint), str_trim(token), out, &diag);
	agent_close(&g);
	return e == OK ? EXIT_DONE : refused(endpoint, e, &diag);
}

static int token_introspect(cli_t *c)
{
	net_response_t response;
	int status = token_ask(c, "/oauth/introspect", &response);

	if (status) {
		return status;
	}
	cli_print(response.body);
	return str_starts(response.body, STR("{\"active\":true")) ? EXIT_DONE : EXIT_NO;
}

static int token_revoke(cli_t *c)
{
	net_response_t response;
	int status = token_ask(c, "/oauth/revoke", &response);

	return status ? status : cli_done(c, &response, "revoked");
}

const cli_word_t cli_token_words[] = {
	{ "get", "ROUTE", "print a delegated token", CLI_AGENT, 1, 1, token_get },
	{ "capability", "ROUTE TOOL [--data JSON]", "print a capability for one call", CLI_AGENT "D", 2, 2, token_capability },
	{ "introspect", "ROUTE < TOKEN", "what the authority says of a token", CLI_AGENT "f", 1, 1, token_introspect },
	{ "revoke", "ROUTE < TOKEN", "end one token", CLI_AGENT "f", 1, 1, token_revoke },
	{ 0 },
};

/* --- http ------------------------------------------------------------------------------------------------ */

static int body_of(cli_t *c, str_t *out)
{
	if (!c->data) {
		*out = STR_NULL;
		return EXIT_DONE;
	}
	if (c->data[0] == '@') {
		return cli_file(c, c->data + 1, CLI_FILE_BYTES_MAX, out);
	}
	*out = str_of(c->data);
	return EXIT_DONE;
}

static str_t item_of(cli_t *c, const agent_t *g, str_t method, str_t target, str_t body)
{
	uint8_t digest[DELEGATION_DIGEST_BYTES];

	delegation_body_digest(body, digest);
	return arena_cat(c->a, STR("{\"type\":\"http_request\",\"server\":\""), g->resource, STR("\",\"method\":\""), method,
		STR("\",\"target\":\""), target,
		arena_cat(c->a, STR("\",\"body_digest\":\""), b64url_enc(c->a, str_bytes(digest, sizeof(digest))), STR("\"}")));
}

/* One governed request: capability for exactly these bytes, proof, call. */
static err_t governed(cli_t *c, agent_t *g, str_t method, str_t target, str_t body, net_response_t *out, diag_t *diag)
{
	str_t capability, proof, bare = str_sub(target, 0, str_find(target, '?'));

	TRY(delegation_target_check(target));
	TRY(delegation_method_check(method));
	TRY(agent_capability(g, c->a, item_of(c, g, method, target, body), &capability, diag));
	TRY(agent_proof(g, c->a, method, arena_cat(c->a, g->resource, bare), capability, &proof));
	net_request_t r = {
		.method = method,
		.url = arena_cat(c->a, g->resource, target),
		.headers = NET_HEADERS({ STR("Authorization"), arena_cat(c->a, STR("DPoP "), capability) },
			{ STR("DPoP"), proof },
			{ STR("Content-Type"), str_of(c->type ? c->type : "application/json") }),
		.body = body,
		.response_bytes_max = CLI_RESPONSE_BYTES_MAX,
	};
	return net_sync_fetch(c->a, &r, out, diag);
}

static int http_call(cli_t *c)
{
	agent_t g;
	str_t body;
	net_response_t response;
	diag_t diag = { 0 };
	int status = body_of(c, &body);

	status = status ? status : agent_ready(c, &g);
	if (status) {
		return status;
	}
	err_t e = governed(c, &g, str_of(c->args[1]), str_of(c->args[2]), body, &response, &diag);
	agent_close(&g);
	if (e != OK) {
		return refused("refused", e, &diag);
	}
	if (response.body.n && isatty(1) && !c->json) {
		cli_print(cli_safe(c->a, response.body)); /* the upstream's bytes: nothing a terminal would obey */
	} else if (response.body.n) {
		cli_print(response.body);
	}
	return response.status >= 200 && response.status < 300 ? EXIT_DONE : EXIT_NO;
}

const cli_word_t cli_http_words[] = {
	{ "", "ROUTE METHOD PATH [--data JSON]", "one governed call to an HTTP API", CLI_AGENT "DT", 3, 3, http_call },
	{ 0 },
};
