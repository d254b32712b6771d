/* limits.h of cli. */
#ifndef ATTORN_CLI_LIMITS_H
#define ATTORN_CLI_LIMITS_H

enum {
	CLI_LIST_MAX = 64, /* repeated --scope, --role, --allow */
	CLI_ARGS_MAX = 256, /* of attorn run's command; other verbs have their own */
	CLI_ARG_BYTES_MAX = 16 << 10, /* one argument or option, but for --data: the longest document is no longer */
	CLI_ARENA_BYTES_MAX = 256 << 20, /* an export or a policy directory in memory */
	CLI_RESPONSE_BYTES_MAX = 64 << 20,
	CLI_KEY_FILE_BYTES_MAX = 4096,
	CLI_FILE_BYTES_MAX = 4 << 20,
	CLI_PASSPHRASE_BYTES_MAX = 1024,
	CLI_PASSPHRASE_BYTES_MIN = 8, /* argon2id slows a guess to 0.1 s; fewer characters are still guessable */
	CLI_VERB_LIFE_S = 60,
	CLI_DURATION_MAX = 100000, /* of one unit; the authority has its own bounds */
	CLI_PAGES_MAX = 10000, /* of one list */
	CLI_EXPORT_MS = 600000, /* a ledger of some gigabytes */

	/* attorn mcp */
	CLI_LINE_BYTES_MAX = 10 << 20, /* one MCP message on stdio: SDK readers stop there (mcp.md W1) */
	CLI_MCP_THREADS_MAX = 64, /* requests of one shim at a time, a thread each; more wait their turn */
	CLI_MCP_CALLS_MAX = 1024, /* running and waiting; the next is throttled */
	CLI_ID_BYTES_MAX = 256, /* JSON-RPC id as sent; the gateway's bound */
	CLI_MCP_ARENA_BYTES_MAX = 64 << 20, /* a line of 10 MiB, its nodes, its canonical arguments */
	CLI_ANSWER_BYTES_MAX = 16 << 10, /* an answer of our own */
	CLI_ANSWER_NODES_MAX = 1 << 19, /* 24 MiB of nodes: an answer of 10 MiB of short numbers */
	CLI_MCP_CALL_MS = 15 * 60 * 1000, /* longer than any client waits: ends what a lost gateway left */
	CLI_MCP_NOTIFY_MS = 30000,
	CLI_MCP_EOF_MS = 10000, /* stdin closed: what runs may end within */
	CLI_MCP_STOP_MS = 2000, /* told to stop: threads that do not listen are left behind */
	CLI_MCP_DELETE_MS = 1000, /* SDKs send SIGKILL 2 s after SIGTERM */
};

#endif
