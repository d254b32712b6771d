/* limits.h of feed. */
#ifndef ATTORN_FEED_LIMITS_H
#define ATTORN_FEED_LIMITS_H

enum {
	FEED_SUBSCRIBERS_MAX = 64, /* gateways of one authority on one machine */
	FEED_PING_MS = 2000,
	FEED_STALE_MS = 10000, /* wire.md 9 */
	FEED_INSTANCE_GONE_MS = 10000,
	FEED_SNAPSHOT_BYTES_MAX = 8 << 20, /* 1,000 agents with routes and policy need about 1 MiB */
	FEED_REVOKED_REMEMBER_S = 3600 + 60, /* the longest life of a token, and skew */
	FEED_REVOKED_MAX = 100000, /* grants remembered; beyond it the oldest go first, admit knows all */
	FEED_RECONNECT_MIN_MS = 50,
	FEED_RECONNECT_MAX_MS = 2000,
};

#endif
