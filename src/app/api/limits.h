/* limits.h: the bounds of app/api and why they are what they are. */
#ifndef ATTORN_API_LIMITS_H
#define ATTORN_API_LIMITS_H

enum {
	API_ARENA_BYTES_MAX = 48 << 20, /* one call: the largest body, its tree, and one list answer */
	API_ANSWER_BYTES_MAX = 16 << 20, /* a list of STORE_LIST_MAX grants */
	API_TIMED_BYTES = 64, /* of it for "ms" */
	API_BODY_BYTES_MAX = 64 << 10, /* of every verb but those below */
	API_ROUTE_BYTES_MAX = 1 << 20, /* a thousand tools with their scopes */
	API_POLICY_BYTES_MAX = 9 << 20, /* 4 MiB of text, every byte of it escaped */
	API_SNAPSHOT_BYTES_MAX = 7 << 20, /* what the feed can tell gateways in one line */
	API_RECORD_BYTES_MAX = 12 << 10, /* below LEDGER_BODY_BYTES_MAX */

	API_PATH_BYTES_MAX = 256, /* of a request below /api/v1 */
	API_PATH_ARGS_MAX = 2, /* names in a path */
	API_QUERY_PAIRS_MAX = 8,
	API_QUERY_BYTES_MAX = 256, /* one value */
	API_LIST_DEFAULT = 100, /* rows of a list answer; at most STORE_LIST_MAX */

	API_SCOPE_BYTES_MAX = 128, /* RESOURCE:ACTION */
	API_SCOPES_MAX = 256, /* of one agent or role; as a snapshot's list */
	API_ROLES_MAX = 64, /* of one agent or user; as the snapshot */
	API_KEYS_MAX = 16, /* of one agent or user; as the snapshot */
	API_JWK_BYTES_MAX = 4096,
	API_REASON_BYTES_MAX = 512, /* a sentence */
	API_SECRET_BYTES_MAX = 3072, /* as the vault */
	API_FILE_NAME_BYTES_MAX = 64,

	API_VERB_BYTES_MAX = 2048, /* of Attorn-Verb, decoded */
	API_SKEW_S = 30, /* between the clocks of a person's machine and ours */
	API_GRANT_AGE_S_MAX = 24 * 3600, /* a grant is handed in within a day of its signature */
	API_SIGNATURE_BYTES = 64, /* Ed25519, or ES256 as r||s */

	API_DEADLINE_MS = 30000,
	API_EXPORT_DEADLINE_MS = 600000, /* a reader holds back the store's log for no longer */
	API_EXPORT_BYTES_MAX = 256 << 10, /* between the lane that reads and the loop that sends */
	API_EXPORTS_MAX = 1, /* each holds a thread of the read lane */
	API_FENCES_MAX = 8, /* times one verb is decided again because the rules changed meanwhile */
};

#endif
