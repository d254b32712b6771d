/* grants.c: the tree of grants; alive, spent, ended. */
#include "engine/store/store_int.h"

#define GRANT_COLUMNS                                                                              \
	"id, root, parent, depth, agent, user_id, doc, sig, key, admin_made, iat_s, exp_s, uses_max,"   \
	" uses_left, revoked_s, reason"

static err_t grant_row(query_t *q, arena_t *a, void *out)
{
	store_grant_t *x = out;

	TRY(query_get(q, a, &x->id));
	TRY(query_get(q, a, &x->root));
	TRY(query_get(q, a, &x->parent));
	x->depth = query_get_int(q);
	TRY(query_get(q, a, &x->agent));
	TRY(query_get(q, a, &x->user));
	TRY(query_get(q, a, &x->doc));
	TRY(query_get(q, a, &x->sig));
	TRY(query_get(q, a, &x->key));
	x->admin_made = query_get_int(q) == 1;
	x->iat_s = query_get_int(q);
	x->exp_s = query_get_int(q);
	x->uses_max = query_get_int(q);
	x->uses_left = query_get_int(q);
	x->revoked_s = query_get_int(q);
	TRY(query_get(q, a, &x->reason));
	return OK;
}

err_t store_grant_insert(store_txn_t *t, const store_grant_t *g)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO grant_ (" GRANT_COLUMNS ") VALUES"
			  " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?13, ?13, NULL, NULL)", &q));
	query_text(&q, g->id);
	query_text(&q, g->root);
	query_text_or_null(&q, g->parent);
	query_int(&q, g->depth);
	query_text(&q, g->agent);
	query_text(&q, g->user);
	query_text(&q, g->doc);
	query_blob(&q, g->sig);
	query_text(&q, g->key);
	query_int(&q, g->admin_made);
	query_int(&q, g->iat_s);
	query_int(&q, g->exp_s);
	query_int_or_null(&q, g->uses_max);
	return query_run(&q);
}

err_t store_grant_get(store_txn_t *t, arena_t *a, str_t id, store_grant_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " GRANT_COLUMNS " FROM grant_ WHERE id = ?", &q));
	query_text(&q, id);
	return query_one(&q, a, sizeof(*out), grant_row, out);
}

err_t store_grant_list(store_txn_t *t, arena_t *a, str_t user, str_t agent, str_t before_id,
		       store_grant_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " GRANT_COLUMNS " FROM grant_ WHERE (?1 IS NULL OR user_id = ?1)"
			  " AND (?2 IS NULL OR agent = ?2) AND (?3 IS NULL OR id < ?3)"
			  " ORDER BY id DESC LIMIT ?4", &q));
	query_text_or_null(&q, user);
	query_text_or_null(&q, agent);
	query_text_or_null(&q, before_id);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, grant_row, out, out_n);
}

err_t store_grant_chain(store_txn_t *t, arena_t *a, str_t id, store_grant_t **out, size_t *out_n)
{
	store_grant_t *chain = arena_array(a, store_grant_t, STORE_CHAIN_MAX);
	size_t n = 0;

	while (id.p) {
		ENSURE(n < STORE_CHAIN_MAX, ERR_DEPTH);
		TRY(store_grant_get(t, a, id, &chain[n]));
		id = chain[n].parent;
		n++;
	}
	ENSURE(n > 0, ERR_NOT_FOUND);
	*out = chain;
	*out_n = n;
	return OK;
}

err_t store_grant_alive(const store_grant_t *g, int64_t now_s)
{
	ENSURE(g->revoked_s == STORE_NONE, ERR_GRANT_REVOKED);
	ENSURE(now_s >= g->iat_s, ERR_NOT_YET);
	ENSURE(now_s < g->exp_s, ERR_GRANT_EXPIRED);
	ENSURE(g->uses_left == STORE_NONE || g->uses_left > 0, ERR_GRANT_USES);
	return OK;
}

/* What `spend` needs of a grant, without its document. */
typedef struct {
	str_t parent;
	store_grant_t g;
} link_t;

static err_t link_row(query_t *q, arena_t *a, void *out)
{
	link_t *x = out;

	TRY(query_get(q, a, &x->parent));
	x->g.iat_s = query_get_int(q);
	x->g.exp_s = query_get_int(q);
	x->g.uses_left = query_get_int(q);
	x->g.revoked_s = query_get_int(q);
	return OK;
}

static err_t link_get(store_txn_t *t, arena_t *a, str_t id, link_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT parent, iat_s, exp_s, uses_left, revoked_s FROM grant_ WHERE id = ?",
		       &q));
	query_text(&q, id);
	return query_one(&q, a, sizeof(*out), link_row, out);
}

err_t store_grant_chain_alive(store_txn_t *t, arena_t *a, str_t id, int64_t now_s)
{
	for (int depth = 0; id.p; depth++) {
		link_t link;
		err_t err;

		ENSURE(depth < STORE_CHAIN_MAX, ERR_DEPTH);
		err = link_get(t, a, id, &link);
		ENSURE(err != ERR_NOT_FOUND, ERR_GRANT);
		TRY(err);
		TRY(store_grant_alive(&link.g, now_s));
		id = link.parent;
	}
	return OK;
}

/* The UPDATE repeats every condition: it must change exactly one row, whatever was read before. */
static err_t link_spend(store_txn_t *t, str_t id, int64_t now_s)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE grant_ SET uses_left = uses_left - 1 WHERE id = ?1 AND revoked_s IS NULL"
			  " AND iat_s <= ?2 AND exp_s > ?2 AND (uses_left IS NULL OR uses_left > 0)", &q));
	query_text(&q, id);
	query_int(&q, now_s);
	return query_run_one(&q, ERR_GRANT);
}

err_t store_grant_spend(store_txn_t *t, arena_t *a, str_t id, int64_t now_s)
{
	for (int depth = 0; id.p; depth++) {
		link_t link;
		err_t err;

		ENSURE(depth < STORE_CHAIN_MAX, ERR_DEPTH);
		err = link_get(t, a, id, &link);
		ENSURE(err != ERR_NOT_FOUND, ERR_GRANT);
		TRY(err);
		TRY(store_grant_alive(&link.g, now_s)); /* names the reason */
		TRY(link_spend(t, id, now_s));
		id = link.parent;
	}
	return OK;
}

/* Everything below `id` that is still alive, itself included. */
static err_t revoke_tree(store_txn_t *t, arena_t *a, str_t id, int64_t now_s, str_t reason,
			 str_t **out_ids, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "WITH RECURSIVE below (id) AS (SELECT ?1"
			  " UNION ALL SELECT g.id FROM grant_ g JOIN below b ON g.parent = b.id)"
			  " UPDATE grant_ SET revoked_s = ?2, reason = ?3"
			  " WHERE revoked_s IS NULL AND id IN (SELECT id FROM below) RETURNING id", &q));
	query_text(&q, id);
	query_int(&q, now_s);
	query_text(&q, reason);
	return query_list(&q, a, sizeof(**out_ids), STORE_SUBTREE_MAX, query_row_str, out_ids, out_n);
}

err_t store_grant_revoke(store_txn_t *t, arena_t *a, str_t id, int64_t now_s, str_t reason,
			 str_t **out_ids, size_t *out_n)
{
	link_t link;
	str_t *ids;
	size_t n;

	TRY(link_get(t, a, id, &link));
	ENSURE(link.g.revoked_s == STORE_NONE, ERR_CONFLICT);
	TRY(revoke_tree(t, a, id, now_s, reason, &ids, &n));
	for (size_t i = 0; i < n; i++) {
		if (str_eq(ids[i], id)) { /* the named one first */
			str_t first = ids[0];

			ids[0] = ids[i];
			ids[i] = first;
		}
	}
	*out_ids = ids;
	*out_n = n;
	return OK;
}

err_t store_grant_revoked_since(store_txn_t *t, arena_t *a, int64_t since_s, str_t **out_ids,
				size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT id FROM grant_ WHERE revoked_s >= ? ORDER BY revoked_s DESC LIMIT ?", &q));
	query_int(&q, since_s);
	query_int(&q, STORE_SUBTREE_MAX);
	return query_list(&q, a, sizeof(**out_ids), STORE_SUBTREE_MAX, query_row_str, out_ids, out_n);
}
