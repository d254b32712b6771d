/* cli.c: the verbs, one row each, and which of them a command line means. */
#include <stdio.h>

#include "app/cli/verbs.h"

const cli_verb_t cli_verbs[] = {
	{ "status", "is it up, and what does it hold", cli_status_words },
	{ "user", "people and their keys", cli_user_words },
	{ "role", "what people may do", cli_role_words },
	{ "agent", "agents and their keys", cli_agent_words },
	{ "route", "tool servers behind the gateway", cli_route_words },
	{ "secret", "their credentials, sealed", cli_secret_words },
	{ "grant", "lend authority to an agent, take it back", cli_grant_words },
	{ "token", "what an agent gets for its key and grant", cli_token_words },
	{ "policy", "the rules that decide every call", cli_policy_words },
	{ "run", "start an agent whose identity is born with its process", cli_run_words },
	{ "mcp", "speak MCP on stdio for an agent (no SDK needed)", cli_mcp_words },
	{ "http", "one call to an HTTP API behind the gateway", cli_http_words },
	{ "explain", "the story of one call", cli_explain_words },
	{ "ledger", "the proof", cli_ledger_words },
	{ "completion", "shell completion", cli_completion_words },
	{ 0 },
};

static const cli_verb_t *verb_find(const cli_verb_t *own, const char *name)
{
	for (const cli_verb_t *v = own; v->name; v++) {
		if (strcmp(v->name, name) == 0) {
			return v;
		}
	}
	return own == cli_verbs ? NULL : verb_find(cli_verbs, name);
}

static int unknown(const char *name)
{
	AUTO(arena_free) arena_t *a = arena_open();

	return cli_fail(EXIT_USAGE, "there is no verb \"%.*s\"; see: attorn help", STR_ARG(cli_safe(a, str_of(name))));
}

static int help(const cli_verb_t *own, const char *name)
{
	const cli_verb_t *v;

	if (!name) {
		cli_help(own);
		return EXIT_DONE;
	}
	if (strcmp(name, "--man") == 0) {
		cli_man(own);
		return EXIT_DONE;
	}
	v = verb_find(own, name);
	if (!v) {
		return unknown(name);
	}
	cli_help_verb(v);
	return EXIT_DONE;
}

int cli_main(const cli_verb_t *own, int argc, char **argv)
{
	const cli_verb_t *v;

	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		return help(own, argc > 2 ? argv[2] : NULL);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("attorn " ATTORN_VERSION);
		return EXIT_DONE;
	}
	v = verb_find(own, argv[1]);
	return v ? cli_words_run(v, argc - 1, argv + 1) : unknown(argv[1]);
}
