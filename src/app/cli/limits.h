/* limits.h of cli. */
#ifndef ATTORN_CLI_LIMITS_H
#define ATTORN_CLI_LIMITS_H

enum {
	CLI_LIST_MAX = 64, /* repeated --scope, --role, --allow */
	CLI_ARGS_MAX = 16,
	CLI_ARENA_BYTES_MAX = 256 << 20, /* an export or a policy directory in memory */
	CLI_RESPONSE_BYTES_MAX = 64 << 20,
	CLI_KEY_FILE_BYTES_MAX = 4096,
	CLI_FILE_BYTES_MAX = 4 << 20,
	CLI_PASSPHRASE_BYTES_MAX = 1024,
	CLI_PASSPHRASE_BYTES_MIN = 8, /* argon2id slows a guess to 0.1 s; fewer characters are still guessable */
	CLI_VERB_LIFE_S = 60,
	CLI_LINE_BYTES_MAX = 10 << 20, /* one MCP message on stdio (mcp.md W1) */
	CLI_IN_FLIGHT_MAX = 64, /* calls of one shim at a time */
};

#endif
