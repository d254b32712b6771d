/* limits.h of feed. */
#ifndef ATTORN_FEED_LIMITS_H
#define ATTORN_FEED_LIMITS_H

enum {
	FEED_SUBSCRIBERS_MAX = 64, /* gateways of one authority on one machine */
	FEED_PING_MS = 2000,
	FEED_STALE_MS = 10000, /* wire.md 9 */
	FEED_INSTANCE_GONE_MS = 10000,
	FEED_SNAPSHOT_BYTES_MAX = 7 << 20, /* with its line it fits what a stream may have pending */
	FEED_BUILD_ARENA_BYTES_MAX = 256 << 20, /* as the snapshot's own bound */
	FEED_VIEW_ARENA_BYTES_MAX = 1 << 20,
	FEED_LINE_FRAME_BYTES_MAX = 256, /* kind, version, digest around a snapshot */
	FEED_REVOKED_LINE_BYTES_MAX = 1 << 20, /* 10,000 ULIDs and commas */
	FEED_QUERY_PAIRS_MAX = 8,
	FEED_NAMES_MAX = 256, /* of one JSON list in a row */
	FEED_INSTANCE_BYTES = 32, /* hex of 16 bytes */
	FEED_INSTANCES_MAX = 256, /* remembered: alive and lately gone */
	FEED_REVOKED_REMEMBER_S = 3600 + 60, /* the longest life of a token, and skew */
	FEED_REVOKED_MAX = 100000, /* grants remembered; beyond it the oldest go first, admit knows all */
	FEED_RECONNECT_MIN_MS = 50,
	FEED_RECONNECT_MAX_MS = 2000,
};

#endif
