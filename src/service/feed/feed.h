/* feed.h: the authority's end of the feed (DESIGN 7, wire.md 9): builds the snapshot from the store,
 * keeps the current view, tells gateways what changed and knows which gateways live.
 *
 * Owns: the current view and the subscribers' streams. Threads: the loop's, save feed_build.
 * Limits: limits.h. Forbidden: a view that mixes two versions; a reply to a verb before its change is
 * in the current view. */
#ifndef ATTORN_FEED_H
#define ATTORN_FEED_H

#include "engine/net/net.h"
#include "engine/store/store.h"
#include "service/feed/view.h"
#include "service/vault/vault.h"

typedef struct feed feed_t;

typedef struct {
	loop_t *loop;
	lane_t *lane; /* blocking work of a rebuild: store_read, parse, compile */
	store_t *store;
	const vault_t *vault;
	str_t issuer, trust_domain, gateway_url; /* outlive the feed */
	/* Called when a gateway instance has had no stream for FEED_INSTANCE_GONE_MS: its open attempts
	 * are to be closed as unknown. */
	void (*instance_gone)(str_t instance, void *owner);
	void *owner;
	/* Called when a newer view stands: something changed that decisions read. May be NULL. */
	void (*changed)(void *owner);
} feed_deps_t;

/* Builds the first view before the loop runs (blocking). ERR_POLICY, ERR_STORE; diag says why. */
MUST err_t feed_new(const feed_deps_t *deps, feed_t **out, diag_t *diag);
void feed_free(feed_t *f); /* accepts NULL; ends the streams */

/* The current view, pinned. */
const feed_view_t *feed_pin(feed_t *f);

/* As an operation: rebuilds the view after a commit that added a change, publishes it, and completes
 * when every change committed before the call is visible in feed_pin. Rebuilds coalesce. A policy or
 * route that does not build leaves the old view standing and fails the operation (ERR_POLICY). */
op_t *feed_refresh(arena_t *a, feed_t *f);
/* Tells subscribers at once that these grants ended (before the rebuild, which it does not need). */
void feed_revoked(feed_t *f, const str_t *grant_ids, size_t n);

/* GET /internal/v1/feed?since=N&instance=HEX: for ever, JSON lines. */
void feed_handle(feed_t *f, net_exchange_t *x);
/* True while this instance has a stream, or had one FEED_INSTANCE_GONE_MS ago at most. */
bool feed_instance_alive(const feed_t *f, str_t instance);
size_t feed_subscribers(const feed_t *f);

/* Reads the store and writes the snapshot text with its version; any lane. For feed_new and tests. */
MUST err_t feed_build(const feed_deps_t *deps, store_txn_t *txn, buf_t *out_text);

#endif
