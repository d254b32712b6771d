/* feed_server.h: the authority's half: feed.c (view, rebuilds) and stream.c (subscribers). */
#ifndef ATTORN_FEED_SERVER_H
#define ATTORN_FEED_SERVER_H

#include "service/feed/feed_int.h"

struct refresh;
struct subscriber;

/* A gateway process we heard of; kept FEED_INSTANCE_GONE_MS after its last stream ended. */
typedef struct {
	char id[FEED_INSTANCE_BYTES];
	unsigned streams;
	uint64_t gone_us; /* loop time when the last stream ended, 0 while one is open */
	bool told; /* its open attempts were closed: this id may not come back */
} instance_t;

struct feed {
	feed_deps_t deps;
	const feed_view_t *view;
	buf_t line; /* the snapshot line of `view`, for new subscribers; holds keys */
	bool rebuilding;
	bool stale; /* the last rebuild failed: the store may be newer than `view`, and admit refuses all */
	struct refresh *waiting, *in_rebuild;
	struct subscriber *subscribers;
	size_t n_subscribers;
	instance_t instances[FEED_INSTANCES_MAX];
	size_t n_instances;
	loop_timer_t ping;
};

/* Appends the line of a snapshot. */
void feed_snapshot_line(buf_t *out, const feed_view_t *view, str_t snapshot_text);
void feed_publish_snapshot(feed_t *f);
/* Builds again after a failure; nothing to do otherwise. */
void feed_catch_up(feed_t *f);
void feed_ping_start(feed_t *f);
void feed_subscribers_end(feed_t *f);

#endif
