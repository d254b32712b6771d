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

	/* attestation */
	NODE_SELECTORS_MAX = 512, /* of one process: 256 groups twice */
	NODE_SELECTOR_BYTES_MAX = 4200, /* unix:path: and the longest path */
	NODE_NAME_BYTES_MAX = 256, /* of a user or group */
	NODE_ATTEST_TIMEOUT_MS = 2000, /* one foreign service asked: systemd, docker */
	NODE_DOCKER_ANSWER_BYTES_MAX = 1 << 20,
};

/* What one uid may have hashed in a minute: two of the largest executables. Beyond it the digest is
 * unknown for now, so that nobody's new binaries starve the lane. */
#define NODE_DIGEST_BUDGET_BYTES (1ull << 30)
#define NODE_DIGEST_BUDGET_WINDOW_US (60ull * 1000000)

#endif
