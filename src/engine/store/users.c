/* users.c: people and the keys they sign with. */
#include <stdio.h>

#include "engine/store/store_int.h"

#define USER_COLUMNS "id, name, active, created_s"
#define KEY_COLUMNS "jkt, user_id, jwk, state, created_s"

static err_t user_row(query_t *q, arena_t *a, void *out)
{
	store_user_t *x = out;

	TRY(query_get(q, a, &x->id));
	TRY(query_get(q, a, &x->name));
	x->active = query_get_int(q) == 1;
	x->created_s = query_get_int(q);
	return OK;
}

static err_t key_row(query_t *q, arena_t *a, void *out)
{
	store_user_key_t *x = out;

	TRY(query_get(q, a, &x->jkt));
	TRY(query_get(q, a, &x->user));
	TRY(query_get(q, a, &x->jwk));
	TRY(query_get(q, a, &x->state));
	x->created_s = query_get_int(q);
	return OK;
}

err_t store_user_insert(store_txn_t *t, const store_user_t *user)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO user_ (" USER_COLUMNS ") VALUES (?, ?, ?, ?)", &q));
	query_text(&q, user->id);
	query_text(&q, user->name);
	query_int(&q, user->active);
	query_int(&q, user->created_s);
	return query_run(&q);
}

err_t store_user_get(store_txn_t *t, arena_t *a, str_t id, store_user_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " USER_COLUMNS " FROM user_ WHERE id = ?", &q));
	query_text(&q, id);
	return query_one(&q, a, sizeof(*out), user_row, out);
}

err_t store_user_by_name(store_txn_t *t, arena_t *a, str_t name, store_user_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " USER_COLUMNS " FROM user_ WHERE name = ?", &q));
	query_text(&q, name);
	return query_one(&q, a, sizeof(*out), user_row, out);
}

err_t store_user_list(store_txn_t *t, arena_t *a, str_t after_id, store_user_t **out, size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " USER_COLUMNS " FROM user_ WHERE id > ? ORDER BY id LIMIT ?", &q));
	query_text(&q, after_id);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, user_row, out, out_n);
}

err_t store_users_with(store_txn_t *t, str_t permission, size_t *out)
{
	AUTO(query_close) query_t q = { 0 };
	char quoted[STORE_PERMISSION_BYTES_MAX + 4];
	int64_t n;

	ENSURE(permission.n <= STORE_PERMISSION_BYTES_MAX, ERR_LIMIT);
	(void)snprintf(quoted, sizeof(quoted), "\"%.*s\"", STR_ARG(permission)); /* in a JSON list of plain words */
	TRY(query_open(t, "SELECT count(DISTINCT u.id) FROM user_ u JOIN user_role m ON m.user_id = u.id"
			  " JOIN role r ON r.name = m.role WHERE u.active = 1 AND instr(r.permissions, ?) > 0 AND EXISTS"
			  " (SELECT 1 FROM user_key k WHERE k.user_id = u.id AND k.state = 'active')", &q));
	query_text(&q, str_of(quoted));
	TRY(query_one_int(&q, &n));
	*out = (size_t)n;
	return OK;
}

err_t store_user_active_set(store_txn_t *t, str_t id, bool active)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE user_ SET active = ? WHERE id = ?", &q));
	query_int(&q, active);
	query_text(&q, id);
	return query_run_one(&q, ERR_NOT_FOUND);
}

err_t store_user_key_insert(store_txn_t *t, const store_user_key_t *key)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "INSERT INTO user_key (" KEY_COLUMNS ") VALUES (?, ?, ?, ?, ?)", &q));
	query_text(&q, key->jkt);
	query_text(&q, key->user);
	query_text(&q, key->jwk);
	query_text(&q, key->state);
	query_int(&q, key->created_s);
	return query_run(&q);
}

err_t store_user_key_get(store_txn_t *t, arena_t *a, str_t jkt, store_user_key_t *out)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " KEY_COLUMNS " FROM user_key WHERE jkt = ?", &q));
	query_text(&q, jkt);
	return query_one(&q, a, sizeof(*out), key_row, out);
}

err_t store_user_key_list(store_txn_t *t, arena_t *a, str_t user, store_user_key_t **out,
			  size_t *out_n)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "SELECT " KEY_COLUMNS " FROM user_key WHERE user_id = ? ORDER BY jkt LIMIT ?",
		       &q));
	query_text(&q, user);
	query_int(&q, STORE_LIST_MAX);
	return query_list(&q, a, sizeof(**out), STORE_LIST_MAX, key_row, out, out_n);
}

err_t store_user_key_state_set(store_txn_t *t, str_t jkt, str_t state)
{
	AUTO(query_close) query_t q = { 0 };

	TRY(query_open(t, "UPDATE user_key SET state = ? WHERE jkt = ?", &q));
	query_text(&q, state);
	query_text(&q, jkt);
	return query_run_one(&q, ERR_NOT_FOUND);
}
