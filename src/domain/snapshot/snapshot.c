/* snapshot.c: the counted handle, and finding things in it. */
#include <stdlib.h>

#include "domain/snapshot/int.h"

err_t snapshot_parse(str_t text, snapshot_t **out, diag_t *diag)
{
	AUTO(snapshot_unref) snapshot_t *s = heap_new(snapshot_t);

	s->priv = heap_new(struct snapshot_private);
	atomic_init(&s->priv->refs, 1);
	s->priv->arena = arena_new_capped(SNAPSHOT_ARENA_BYTES_MAX);
	ENSURE(text.n <= SNAPSHOT_BYTES_MAX, ERR_LIMIT);
	TRY(content_parse(s->priv->arena, text, &s->c, diag));
	crypto_sha256(text, s->digest);
	*out = TAKE(s);
	return OK;
}

snapshot_t *snapshot_ref(snapshot_t *s)
{
	int before = atomic_fetch_add(&s->priv->refs, 1);

	CHECK(before > 0);
	return s;
}

void snapshot_unref(snapshot_t *s)
{
	if (s == NULL) {
		return;
	}
	int before = atomic_fetch_sub(&s->priv->refs, 1);
	CHECK(before > 0);
	if (before > 1) {
		return;
	}
	secret_done(&s->c.nonce_key);
	secret_done(&s->c.session_key);
	arena_free(s->priv->arena);
	heap_free(s->priv);
	heap_free(s);
}

/* --- order ------------------------------------------------------------------------------------ */

int route_order(const void *x, const void *y)
{
	return str_cmp(((const snapshot_route_t *)x)->name, ((const snapshot_route_t *)y)->name);
}

int agent_order(const void *x, const void *y)
{
	return str_cmp(((const snapshot_agent_t *)x)->id, ((const snapshot_agent_t *)y)->id);
}

int user_order(const void *x, const void *y)
{
	return str_cmp(((const snapshot_user_t *)x)->id, ((const snapshot_user_t *)y)->id);
}

int role_order(const void *x, const void *y)
{
	return str_cmp(((const snapshot_role_t *)x)->name, ((const snapshot_role_t *)y)->name);
}

int tool_order(const void *x, const void *y)
{
	return str_cmp(((const snapshot_tool_t *)x)->name, ((const snapshot_tool_t *)y)->name);
}

err_t sort_unique(void *list, size_t n, size_t size, int (*order)(const void *, const void *))
{
	if (n < 2) {
		return OK;
	}
	qsort(list, n, size, order);
	for (size_t i = 1; i < n; i++) {
		ENSURE(order((char *)list + (i - 1) * size, (char *)list + i * size) != 0, ERR_DUPLICATE);
	}
	return OK;
}

/* --- finding ---------------------------------------------------------------------------------- */

static const void *find(const void *key, const void *list, size_t n, size_t size,
	int (*order)(const void *, const void *))
{
	return n ? bsearch(key, list, n, size, order) : NULL;
}

const snapshot_route_t *snapshot_route(const snapshot_t *s, str_t name)
{
	const snapshot_route_t key = { .name = name };

	return find(&key, s->c.routes, s->c.n_routes, sizeof(key), route_order);
}

const snapshot_route_t *snapshot_route_by_url(const snapshot_t *s, str_t url)
{
	/* a route's URL ends in its name (docs/wire.md 2) */
	const snapshot_route_t *r = snapshot_route(s, str_sub(url, str_find_last(url, '/') + 1, url.n));

	return r && str_eq(r->url, url) ? r : NULL;
}

const snapshot_agent_t *snapshot_agent(const snapshot_t *s, str_t id)
{
	const snapshot_agent_t key = { .id = id };

	return find(&key, s->c.agents, s->c.n_agents, sizeof(key), agent_order);
}

const snapshot_user_t *snapshot_user(const snapshot_t *s, str_t id)
{
	const snapshot_user_t key = { .id = id };

	return find(&key, s->c.users, s->c.n_users, sizeof(key), user_order);
}

const snapshot_role_t *snapshot_role(const snapshot_t *s, str_t name)
{
	const snapshot_role_t key = { .name = name };

	return find(&key, s->c.roles, s->c.n_roles, sizeof(key), role_order);
}

bool snapshot_agent_has_key(const snapshot_agent_t *agent, str_t jkt)
{
	for (size_t i = 0; i < agent->n_jkts; i++) {
		if (str_eq(agent->jkts[i], jkt)) {
			return true;
		}
	}
	return false;
}

bool snapshot_tool(const snapshot_route_t *r, str_t tool, snapshot_tool_t *out)
{
	const snapshot_tool_t key = { .name = tool };
	const snapshot_tool_t *found = find(&key, r->tools, r->n_tools, sizeof(key), tool_order);

	if (found) {
		*out = *found;
		return true;
	}
	if (r->default_scope.n == 0) {
		return false;
	}
	*out = (snapshot_tool_t){ tool, r->default_scope, SNAPSHOT_MUTATING };
	return true;
}

/* Segment by segment; "{x}" takes any one that is not empty. */
static bool template_fits(str_t template, str_t path)
{
	str_t want, got;

	for (;;) {
		bool more_wanted = str_split(&template, '/', &want);
		bool more_got = str_split(&path, '/', &got);
		if (!more_wanted || !more_got) {
			return more_wanted == more_got;
		}
		bool is_open = want.n > 0 && want.p[0] == '{';
		if (is_open ? got.n == 0 : !str_eq(want, got)) {
			return false;
		}
	}
}

const snapshot_rule_t *snapshot_rule(const snapshot_route_t *r, str_t method, str_t path)
{
	for (size_t i = 0; i < r->n_rules; i++) {
		if (str_eq(r->rules[i].method, method) && template_fits(r->rules[i].path, path)) {
			return &r->rules[i];
		}
	}
	return NULL;
}
