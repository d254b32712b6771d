/* limits.h: how large the state that decisions read may grow, each with its reason. */
#ifndef ATTORN_SNAPSHOT_LIMITS_H
#define ATTORN_SNAPSHOT_LIMITS_H

enum {
	SNAPSHOT_BYTES_MAX = 32 << 20, /* rebuilt whole on every change: larger is another design */
	SNAPSHOT_NODES_MAX = 1 << 20, /* JSON nodes of it */
	SNAPSHOT_ARENA_BYTES_MAX = 256 << 20, /* a parsed one, far above what the counts below allow */
	SNAPSHOT_ROUTES_MAX = 1024,
	SNAPSHOT_TOOLS_MAX = 1024, /* of one route */
	SNAPSHOT_RULES_MAX = 1024, /* HTTP rules of one route */
	SNAPSHOT_AGENTS_MAX = 20000,
	SNAPSHOT_USERS_MAX = 20000,
	SNAPSHOT_ROLES_MAX = 1024,
	SNAPSHOT_ROLES_OF_MAX = 64, /* of one agent or user */
	SNAPSHOT_KEYS_OF_MAX = 16, /* of one agent */
	SNAPSHOT_TOKENS_MAX = 512, /* delegated tokens in use, remembered as verified */
	SNAPSHOT_TOKEN_KEYS_MAX = 16, /* current, next, and those that still have live tokens */
	SNAPSHOT_POLICY_FILES_MAX = 256,
	SNAPSHOT_POLICY_BYTES_MAX = 4 << 20, /* all files */
	SNAPSHOT_ARGV_MAX = 64,
	SNAPSHOT_ENV_MAX = 64,
	SNAPSHOT_STRING_BYTES_MAX = 4096, /* command words, environment values, paths */
	SNAPSHOT_TIMEOUT_MS_MAX = 600000, /* of one call upstream */
	SNAPSHOT_TIMEOUT_MS_DEFAULT = 60000,
	SNAPSHOT_CONCURRENT_MAX = 4096, /* calls in flight on one route */
	SNAPSHOT_CONCURRENT_DEFAULT = 64,
	SNAPSHOT_KEY_BYTES = 32, /* nonce key, session key */
};

#endif
