/* roles.c: named sets of permissions, and who has which. */
#include "engine/store/store_int.h"

static err_t role_row(query_t *q, arena_t *a, void *out)
{
	store_role_t *x = out;

	TRY(query_get(q, a, &x->name));
	TRY(query_get(q, a, &x->permissions));
	x->rev = query_get_int(q);
	return OK;
}

err_t store_role_put(store_txn_t *t, str_t name, str_t permissions, int64_t *out_rev)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO role (name, permissions, rev) VALUES (?, ?, 1)"
			  " ON CONFLICT (name) DO UPDATE SET permissions = excluded.permissions,"
			  " rev = role.rev + 1 RETURNING rev", &q));
	query_text(&q, name);
	query_text(&q, permissions);
	return query_one_int(&q, out_rev);
}

err_t store_role_get(store_txn_t *t, arena_t *a, str_t name, store_role_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT name, permissions, rev FROM role WHERE name = ?", &q));
	query_text(&q, name);
	return query_one(&q, a, sizeof(*out), role_row, out);
}

err_t store_role_list(store_txn_t *t, arena_t *a, str_t after_name, store_role_t **out,
		      size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT name, permissions, rev FROM role WHERE name > ? ORDER BY name LIMIT ?",
		       &q));
	query_text(&q, after_name);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, role_row, out, out_n);
}

static err_t user_role_add(store_txn_t *t, str_t user, str_t role)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO user_role (user_id, role) VALUES (?, ?)", &q));
	query_text(&q, user);
	query_text(&q, role);
	return query_run(&q);
}

static err_t user_role_clear(store_txn_t *t, str_t user)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "DELETE FROM user_role WHERE user_id = ?", &q));
	query_text(&q, user);
	return query_run(&q);
}

err_t store_user_roles_set(store_txn_t *t, str_t user, const str_t *roles, size_t n)
{
	ENSURE(n <= STORE_LIST_MAX, ERR_LIMIT);
	TRY(user_role_clear(t, user));
	for (size_t i = 0; i < n; i++) {
		TRY(user_role_add(t, user, roles[i]));
	}
	return OK;
}

err_t store_user_roles(store_txn_t *t, arena_t *a, str_t user, store_role_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT r.name, r.permissions, r.rev FROM user_role u"
			  " JOIN role r ON r.name = u.role WHERE u.user_id = ? ORDER BY r.name LIMIT ?",
		       &q));
	query_text(&q, user);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, role_row, out, out_n);
}
