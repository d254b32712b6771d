/* limits.h of broker. */
#ifndef ATTORN_BROKER_LIMITS_H
#define ATTORN_BROKER_LIMITS_H

enum {
	BROKER_FORM_PAIRS_MAX = 24, /* RFC 8693 2.1 has 10, client authentication 3, extensions */
	BROKER_TOKEN_BYTES_MAX = 8192, /* a delegated token with 60 constraints is 6 KiB */
	BROKER_ASSERTION_BYTES_MAX = 4096,
	BROKER_DETAILS_BYTES_MAX = 8192,
	BROKER_VALUE_BYTES_MAX = 2048, /* URLs, scopes, ids */
	BROKER_AGENT_KEYS_MAX = 16, /* as in the snapshot */
	BROKER_CHAINS_MAX = 256, /* grants in use at one time, kept parsed */
	BROKER_CHAIN_BYTES_MAX = 1 << 20, /* documents of a chain, parsed */
	BROKER_TRIES_MAX = 4, /* times one exchange is decided again because the rules changed meanwhile */
	BROKER_DEADLINE_MS = 10000, /* one exchange */
	BROKER_NONCE_AGE_S = 300, /* a client may keep a nonce this long (RFC 9449 8.2) */
	BROKER_PROOF_WINDOW_S = 60, /* age of a proof's iat; the nonce says the rest */
	BROKER_LEEWAY_S = 5, /* our clock against our clock, and an agent's; applied once (oauth P30) */
	BROKER_DOCUMENT_BYTES_MAX = 256 << 10, /* metadata with every scope, one introspection */
	BROKER_RECORD_BYTES_MAX = 12 << 10,
};

#endif
