/* limits.h: named bounds of node, with reasons. */
#ifndef ATTORN_NODE_LIMITS_H
#define ATTORN_NODE_LIMITS_H

enum {
	/* one process's facts */
	NODE_GROUPS_MAX = 256, /* supplementary groups; a process with more is refused, never cut */
	NODE_PATH_BYTES_MAX = 4095, /* PATH_MAX without its NUL */
	NODE_PROC_FILE_BYTES_MAX = 16 << 10, /* status with 256 groups is 4 KiB; cgroup with 13 v1 lines less */
	NODE_PROOF_TIMEOUT_MS = 2000, /* the PING's answer (spiffe.md 13.4 step 6) */
	NODE_RECHECK_MS = 30000, /* facts of an idle connection are read again (step 8) */

	/* executable digests */
	NODE_EXE_BYTES_MAX = 512 << 20, /* larger ones have no sha256 selector: 0.5 s of hashing */
	NODE_DIGEST_CACHE_MAX = 1024, /* executables remembered */
	NODE_DIGEST_SETTLED_S = 2, /* a file younger than this is hashed again: its ctime may not tell */
	NODE_DIGEST_UIDS_MAX = 1024, /* uids whose budget is kept */

	/* connections */
	NODE_CONN_DESCRIPTORS = 4, /* socket, pidfd, /proc directory, executable */
	NODE_OTHER_DESCRIPTORS = 256, /* the feed, the lane's work, runs and runners */
	NODE_CONNECTIONS_MAX = 4096,
	NODE_CONNECT_BURST = 256, /* connections of one user at once, then one every NODE_CONNECT_US */
	NODE_CONNECT_US = 2000,
	NODE_CONNECT_UIDS = 256, /* users watched at a time */
	NODE_UID_SHARE = 8, /* one user has at most this part of the connections (A10) */

	/* attestation */
	NODE_SELECTORS_MAX = 512, /* of one process: 256 groups twice */
	NODE_SELECTOR_BYTES_MAX = 4200, /* unix:path: and the longest path */
	NODE_NAME_BYTES_MAX = 256, /* of a user or group */
	NODE_ATTEST_TIMEOUT_MS = 2000, /* one foreign service asked: systemd, docker */
	NODE_DOCKER_ANSWER_BYTES_MAX = 1 << 20,
	NODE_LANE_THREADS = 4, /* attestations at once: one slow service does not stop the others */
	NODE_LANE_QUEUE_MAX = 1024,

	/* entries and bundles, as the authority tells them */
	NODE_ENTRIES_MAX = 20000, /* what one authority holds */
	NODE_BUCKETS = 4096, /* entries by their first selector */
	NODE_FEED_LINE_BYTES_MAX = 1 << 20, /* a bundle of 64 RSA-4096 keys */
	NODE_BUNDLES_MAX = 64,
	NODE_FEED_STALE_MS = 10000, /* the authority says something every 2 s */
	NODE_AGAIN_MIN_MS = 50, /* after a lost feed; doubles */
	NODE_AGAIN_MAX_MS = 2000,

	/* SVIDs */
	NODE_SVIDS_MAX = 900, /* keys in the slab of 1,024 slots, with room for those being replaced */
	NODE_MATCHES_MAX = 64, /* identities of one process */
	NODE_BATCH_MAX = 16, /* requests for certificates in one message: what the authority takes */
	NODE_BATCHES_MAX = 4, /* messages under way */
	NODE_ISSUE_TIMEOUT_MS = 10000,
	NODE_ISSUE_AGAIN_MS = 1000, /* after a failure; doubles to 16 s */
	NODE_ISSUE_AGAIN_MAX_MS = 16000,
	NODE_JWTS_MAX = 4096, /* tokens kept, 1 KiB each */
	NODE_JWT_WAITERS_MAX = 4096, /* calls that wait for a token */
	NODE_FIRST_WAIT_MS = 2000, /* for a first answer that is on its way (spiffe.md 21) */

	/* runs */
	NODE_RUNS_MAX = 1024,
	NODE_RUN_ID_BYTES = 32, /* 128 bits in hex */
	NODE_CONTROL_BYTES_MAX = 16 << 10, /* one datagram */
	NODE_CONTROLS_MAX = 64, /* runners at once */
	NODE_CONTROLS_PER_UID_MAX = 16, /* of one user: nobody keeps the others from starting agents */
	NODE_CONTROL_TIMEOUT_MS = 10000, /* from connect to answer */
	NODE_OVER_AGAIN_MS = 1000, /* the end of a run is told until it was heard */
};

/* What one uid may have hashed in a minute: two of the largest executables. Beyond it the digest is
 * unknown for now, so that nobody's new binaries starve the lane. */
#define NODE_DIGEST_BUDGET_BYTES (1ull << 30)
#define NODE_DIGEST_BUDGET_WINDOW_US (60ull * 1000000)

#endif
