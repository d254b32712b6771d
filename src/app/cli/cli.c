/* cli.c: the verbs, one row each; main's dispatcher and its help read this table. */
#include "app/cli/verbs.h"

const cli_verb_t cli_verbs[] = {
	{ "status", "", "is it up, and what does it hold", cli_status },
	{ "user", "key|add|roles|state|list|show", "people and their keys", cli_user },
	{ "role", "put|list", "what people may do", cli_role },
	{ "agent", "key|register|state|list|show", "agents and their keys", cli_agent },
	{ "route", "put|remove|list|show", "tool servers behind the gateway", cli_route },
	{ "secret", "put|remove|list", "their credentials, sealed", cli_secret },
	{ "grant", "create|revoke|list|show", "lend authority to an agent, take it back", cli_grant },
	{ "token", "get|capability|introspect|revoke", "what an agent gets for its key and grant", cli_token },
	{ "policy", "push|check|show", "the rules that decide every call", cli_policy },
	{ "mcp", "ROUTE", "speak MCP on stdio for an agent (no SDK needed)", cli_mcp },
	{ "http", "ROUTE METHOD PATH", "one call to an HTTP API behind the gateway", cli_http },
	{ "explain", "CALL", "the story of one call", cli_explain },
	{ "ledger", "head|export|verify", "the proof", cli_ledger },
	{ "completion", "bash", "shell completion", cli_completion },
	{ 0 },
};
