/* view.c: snapshot and compiled policy, made once, shared by count. */
#include <stdatomic.h>

#include "service/feed/feed_int.h"

struct feed_view_private {
	atomic_uint refs;
	snapshot_t *snapshot;
	policy_bundle_t *policy;
};

static err_t policy_of(const snapshot_t *s, const feed_view_t *before, policy_bundle_t **out, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(FEED_VIEW_ARENA_BYTES_MAX);
	size_t n = s->c.n_policy_files;
	policy_file_t *files;

	if (before && str_eq(str_bytes(policy_bundle_digest(before->policy), 32),
			      str_bytes(s->c.policy_digest, 32))) {
		*out = policy_bundle_ref(before->priv->policy);
		return OK;
	}
	TRY(arena_try_array(a, policy_file_t, n, &files));
	for (size_t i = 0; i < n; i++) {
		files[i] = (policy_file_t){ s->c.policy_files[i].name, s->c.policy_files[i].text };
	}
	return policy_bundle_compile(files, n, out, NULL, diag);
}

err_t feed_view_make(str_t snapshot_text, const feed_view_t *before, const feed_view_t **out, diag_t *diag)
{
	AUTO(snapshot_unref) snapshot_t *snapshot = NULL;
	policy_bundle_t *policy = NULL;

	TRY(snapshot_parse(snapshot_text, &snapshot, diag));
	TRY(policy_of(snapshot, before, &policy, diag));
	feed_view_t *v = heap_new(feed_view_t);
	v->priv = heap_new(struct feed_view_private);
	atomic_init(&v->priv->refs, 1);
	v->version = snapshot->c.version;
	v->priv->policy = policy;
	v->policy = policy;
	v->priv->snapshot = TAKE(snapshot);
	v->snapshot = v->priv->snapshot;
	*out = v;
	return OK;
}

const feed_view_t *feed_view_ref(const feed_view_t *v)
{
	atomic_fetch_add(&v->priv->refs, 1);
	return v;
}

void feed_view_unref(const feed_view_t *v)
{
	if (!v || atomic_fetch_sub(&v->priv->refs, 1) != 1) {
		return;
	}
	policy_bundle_unref(v->priv->policy);
	snapshot_unref(v->priv->snapshot);
	heap_free(v->priv);
	heap_free((void *)(uintptr_t)v);
}

policy_agent_t feed_view_agent(const feed_view_t *v, str_t agent_id)
{
	const snapshot_agent_t *g = snapshot_agent(v->snapshot, agent_id);
	const snapshot_user_t *owner = g ? snapshot_user(v->snapshot, g->owner) : NULL;

	if (!g) {
		return (policy_agent_t){ 0 };
	}
	return (policy_agent_t){
		.id = g->id,
		.name = g->name,
		.kind = g->kind,
		.active = g->state == SNAPSHOT_ACTIVE,
		.owner = g->owner,
		.owner_active = owner && owner->active,
		.roles = { g->roles, g->n_roles },
		.scopes = g->scopes,
		.max_depth = g->max_depth,
	};
}

policy_user_t feed_view_user(const feed_view_t *v, str_t user_id)
{
	const snapshot_user_t *u = snapshot_user(v->snapshot, user_id);

	if (!u) {
		return (policy_user_t){ 0 };
	}
	return (policy_user_t){
		.id = u->id,
		.active = u->active,
		.roles = { u->roles, u->n_roles },
		.permissions = u->permissions,
	};
}

policy_route_t feed_view_route(const snapshot_route_t *route)
{
	return (policy_route_t){
		.name = route->name,
		.environment = route->environment,
		.data_classes = { route->data_classes, route->n_data_classes },
	};
}
