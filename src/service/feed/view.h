/* view.h: what a decision reads: one snapshot and its compiled policy, pinned together. Part of feed.h
 * and client.h. Immutable and counted; pin and unpin on the loop, read anywhere while pinned. */
#ifndef ATTORN_FEED_VIEW_H
#define ATTORN_FEED_VIEW_H

#include "domain/policy/policy.h"
#include "domain/snapshot/snapshot.h"

typedef struct feed_view {
	const snapshot_t *snapshot;
	const policy_bundle_t *policy;
	uint64_t version; /* of the snapshot: the fence admit compares (STYLE 4.5) */
	struct feed_view_private *priv;
} feed_view_t;

/* Makes a view from snapshot text: parses it and compiles its policy (blocking, some milliseconds: on
 * lane cpu). `before` may be NULL: when the policy digest is the same its bundle is shared. */
MUST err_t feed_view_make(str_t snapshot_text, const feed_view_t *before, const feed_view_t **out, diag_t *diag);
const feed_view_t *feed_view_ref(const feed_view_t *v);
void feed_view_unref(const feed_view_t *v); /* accepts NULL */
DEFINE_AUTO(const feed_view_t *, feed_view_unref);

/* What the view says of them, as facts for the rules; zeroed (absent) when it does not know them. They
 * borrow from the view. */
policy_agent_t feed_view_agent(const feed_view_t *v, str_t agent_id);
policy_user_t feed_view_user(const feed_view_t *v, str_t user_id);
policy_route_t feed_view_route(const snapshot_route_t *route);

#endif
