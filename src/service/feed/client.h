/* client.h: a gateway's end of the feed: the current view, the grants that ended, how fresh both are.
 * Owns: the stream and the view. Threads: the loop's. Forbidden: admitting by it: only the authority
 * admits; a late feed delays a cut and never lets a call through. */
#ifndef ATTORN_FEED_CLIENT_H
#define ATTORN_FEED_CLIENT_H

#include "engine/net/net.h"
#include "service/feed/view.h"

typedef struct feed_client feed_client_t;

typedef struct {
	loop_t *loop;
	net_client_t *net;
	lane_t *lane; /* cpu: parse and compile */
	const char *socket; /* run/internal.sock */
	str_t instance; /* hex, this process's start */
	void (*changed)(void *owner); /* a new view stands; may be NULL */
	void (*revoked)(str_t grant, void *owner); /* cut what runs under it; may be NULL */
	/* The authority takes this instance for gone and closed its attempts: only a new process may come
	 * back. May be NULL. */
	void (*refused)(void *owner);
	void *owner;
} feed_client_deps_t;

/* Connects, and again after every loss, with growing pauses; lives as long as its process. */
MUST err_t feed_client_new(const feed_client_deps_t *deps, feed_client_t **out);

/* The current view pinned, or NULL before the first one. */
const feed_view_t *feed_client_pin(feed_client_t *c);
/* True when something was heard in the last FEED_STALE_MS: without it lists and sessions are refused. */
bool feed_client_fresh(const feed_client_t *c);
/* Seconds since something was heard; since the start of the machine when nothing was. */
double feed_client_silent_s(const feed_client_t *c);
/* True for a grant that ended within the life of a token. */
bool feed_client_grant_revoked(const feed_client_t *c, str_t grant);
/* As an operation: completes when a view newer than `version` stands; ERR_TIMEOUT at the deadline. For
 * a decision that admit refused with ERR_FENCE. */
op_t *feed_client_await(arena_t *a, feed_client_t *c, uint64_t version);

#endif
