/* limits.h of gateway: what a client, an upstream or a child may size, nest, count or delay. */
#ifndef ATTORN_GATEWAY_LIMITS_H
#define ATTORN_GATEWAY_LIMITS_H

enum {
	/* one request */
	GATEWAY_ARENA_BYTES_MAX = 64 << 20, /* body of 4 MiB as nodes and canonical, an answer of 10 MiB */
	GATEWAY_REQUEST_BYTES_CAP = 16 << 20, /* limits.body_bytes may say less, never more */
	GATEWAY_JSON_DEPTH_MAX = 64, /* mcp.md G5 */
	GATEWAY_JSON_NODES_MAX = 1 << 16, /* of a request; 3 MiB of nodes */
	GATEWAY_ID_BYTES_MAX = 256, /* JSON-RPC id as sent: kept while its call runs */
	GATEWAY_METHOD_BYTES_MAX = 128,
	GATEWAY_INLINE_BYTES_MAX = 16 << 10, /* judged on the loop; a larger body goes to lane cpu */
	GATEWAY_TRIES_MAX = 3, /* decisions of one call when rules change under it */
	GATEWAY_OVERTIME_MS = 15000, /* beyond the call's own limit, before the authority may close it */
	GATEWAY_SESSION_TIMEOUT_MS = 30000, /* initialize, lists, notifications */
	GATEWAY_RECORD_BYTES_MAX = 16 << 10, /* JCS-S: a leaf is no longer */
	GATEWAY_CALLS_MAX = 4096, /* in flight in this process */

	GATEWAY_LAST_WORDS_MS = 20, /* at the end: how often and ... */
	GATEWAY_LAST_WORDS_WAITS = 25, /* ... how many times to look whether outcomes were taken */

	/* tokens and proofs */
	GATEWAY_LEEWAY_S = 5, /* clocks of two machines */
	GATEWAY_PROOF_WINDOW_S = 60, /* age of a proof */
	GATEWAY_PROOFS_MAX = 48 << 10, /* remembered per half of the memory: 400 a second for two minutes */
	GATEWAY_SESSION_S_MAX = 24 * 3600, /* then the client initializes again */
	GATEWAY_SESSION_BYTES_MAX = 4096, /* sealed: a header line next to two JWTs */
	GATEWAY_CLIENT_INFO_BYTES_MAX = 512, /* of initialize, kept in the session for G12 */
	GATEWAY_UPSTREAM_SID_BYTES_MAX = 512,
	GATEWAY_MOVED_MAX = 1024, /* sessions whose upstream half was made anew; the oldest is forgotten */
	GATEWAY_ENDED_MAX = 4096, /* sessions that were deleted; the oldest is forgotten */

	/* answers */
	GATEWAY_ANSWER_BYTES_MAX = 10 << 20, /* where SDK readers stop (mcp.md W1) */
	GATEWAY_STREAM_BYTES_MAX = 64 << 20, /* all events of one call */
	GATEWAY_LIST_BYTES_MAX = 4 << 20, /* one page of tools */
	GATEWAY_ANSWER_NODES_MAX = 1 << 18, /* 12 MiB of nodes */
	GATEWAY_EVENT_BYTES_MAX = 4 << 20, /* one event of an upstream's stream */
	GATEWAY_PROGRESS_PER_S = 20, /* of one call (mcp.md G35) */

	/* stdio upstreams */
	GATEWAY_LINE_BYTES_MAX = 10 << 20, /* one message of a child */
	GATEWAY_CHILD_BACKLOG_BYTES_MAX = 32 << 20, /* written to a child that does not read */
	GATEWAY_CHILD_READ_BYTES = 64 << 10, /* per turn of the loop: one child does not starve others */
	GATEWAY_CHILD_CALLS_MAX = 4096, /* a route's `concurrent` is at most this */
	GATEWAY_STRAY_MAX = 1000, /* lines nobody asked for, per minute: more is a flood, the child is ended */
	GATEWAY_STDERR_LINES_PER_MIN = 60,
	GATEWAY_STDERR_LINE_BYTES_MAX = 512,
	GATEWAY_CHILD_START_TIMEOUT_MS = 30000, /* from spawn to the answer to initialize; npx may download */
	GATEWAY_CHILD_PAUSE_MIN_MS = 100,
	GATEWAY_CHILD_PAUSE_MAX_MS = 10000,
	GATEWAY_CHILD_PATIENCE_MS = 1000, /* a shorter pause is waited for; a longer one fails the call at once */
	GATEWAY_CHILD_CALM_MS = 30000, /* alive this long: the next pause starts small again */
	GATEWAY_CHILD_CLOSE_MS = 2000, /* stdin closed -> SIGTERM -> SIGKILL (mcp.md W3) */
};

#endif
