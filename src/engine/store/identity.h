/* identity.h: agents, users, roles and their keys. Part of store.h, included by it alone.
 * Lists come in the order of their key, at most STORE_LIST_MAX; `after` is the last key seen or
 * STR_NULL. Everything returned lives in the arena. */
#ifndef ATTORN_STORE_IDENTITY_H
#define ATTORN_STORE_IDENTITY_H

/* ---- agents.c ---- */
typedef struct {
	str_t id; /* SPIFFE ID, also the client_id */
	str_t name;
	str_t kind; /* delegated | autonomous */
	str_t owner; /* user id */
	str_t scopes, roles; /* JSON arrays of strings */
	str_t state; /* active | quarantined | retired */
	int64_t max_depth;
	int64_t rev; /* grows with each change */
	int64_t created_s;
} store_agent_t;
typedef struct {
	str_t jkt; /* RFC 7638 thumbprint, b64url */
	str_t agent; /* its id */
	str_t jwk;
	str_t state; /* active | retired */
	int64_t created_s;
} store_agent_key_t;

/* ERR_EXISTS when id or name is taken. rev starts at 1. */
MUST err_t store_agent_insert(store_txn_t *t, const store_agent_t *agent);
MUST err_t store_agent_get(store_txn_t *t, arena_t *a, str_t id, store_agent_t *out);
MUST err_t store_agent_by_name(store_txn_t *t, arena_t *a, str_t name, store_agent_t *out);
MUST err_t store_agent_list(store_txn_t *t, arena_t *a, str_t after_id, store_agent_t **out,
			    size_t *out_n);
/* Replaces owner, scopes, roles, max_depth if the row still has agent->rev; ERR_CONFLICT. */
MUST err_t store_agent_update(store_txn_t *t, const store_agent_t *agent);
MUST err_t store_agent_state_set(store_txn_t *t, str_t id, str_t state); /* ERR_NOT_FOUND */
/* ERR_EXISTS when any agent has this key; ERR_NOT_FOUND when there is no such agent. */
MUST err_t store_agent_key_insert(store_txn_t *t, const store_agent_key_t *key);
MUST err_t store_agent_key_get(store_txn_t *t, arena_t *a, str_t jkt, store_agent_key_t *out);
MUST err_t store_agent_key_list(store_txn_t *t, arena_t *a, str_t agent, store_agent_key_t **out,
				size_t *out_n);
MUST err_t store_agent_key_state_set(store_txn_t *t, str_t jkt, str_t state);

/* ---- users.c ---- */
typedef struct {
	str_t id; /* u:<uuid>, a pseudonym */
	str_t name;
	bool active;
	int64_t created_s;
} store_user_t;
typedef struct {
	str_t jkt;
	str_t user; /* its id */
	str_t jwk;
	str_t state; /* active | retired */
	int64_t created_s;
} store_user_key_t;

MUST err_t store_user_insert(store_txn_t *t, const store_user_t *user); /* ERR_EXISTS */
MUST err_t store_user_get(store_txn_t *t, arena_t *a, str_t id, store_user_t *out);
MUST err_t store_user_by_name(store_txn_t *t, arena_t *a, str_t name, store_user_t *out);
MUST err_t store_user_list(store_txn_t *t, arena_t *a, str_t after_id, store_user_t **out,
			   size_t *out_n);
/* Active users with an active key and a role that has this permission. */
MUST err_t store_users_with(store_txn_t *t, str_t permission, size_t *out);
MUST err_t store_user_active_set(store_txn_t *t, str_t id, bool active); /* ERR_NOT_FOUND */
MUST err_t store_user_key_insert(store_txn_t *t, const store_user_key_t *key);
MUST err_t store_user_key_get(store_txn_t *t, arena_t *a, str_t jkt, store_user_key_t *out);
MUST err_t store_user_key_list(store_txn_t *t, arena_t *a, str_t user, store_user_key_t **out,
			       size_t *out_n);
MUST err_t store_user_key_state_set(store_txn_t *t, str_t jkt, str_t state);

/* ---- roles.c ---- */
typedef struct {
	str_t name;
	str_t permissions; /* JSON array of strings */
	int64_t rev;
} store_role_t;

/* Inserts, or replaces and raises rev. */
MUST err_t store_role_put(store_txn_t *t, str_t name, str_t permissions, int64_t *out_rev);
MUST err_t store_role_get(store_txn_t *t, arena_t *a, str_t name, store_role_t *out);
MUST err_t store_role_list(store_txn_t *t, arena_t *a, str_t after_name, store_role_t **out,
			   size_t *out_n);
/* Replaces the roles of a user; ERR_NOT_FOUND when a role or the user does not exist. */
MUST err_t store_user_roles_set(store_txn_t *t, str_t user, const str_t *roles, size_t n);
/* The roles of a user with their permissions. */
MUST err_t store_user_roles(store_txn_t *t, arena_t *a, str_t user, store_role_t **out,
			    size_t *out_n);

#endif
