/* harness.h: a store in a directory of its own, on the disk the build lies on. */
#ifndef TEST_STORE_HARNESS_H
#define TEST_STORE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/store/store.h"
#include "pure/crypto/crypto.h"

typedef struct {
	char dir[64], path[96];
	store_t *store;
	arena_t *a;
} world_t;

static inline int world_open(void **state)
{
	world_t *w = heap_new(world_t);
	diag_t diag = { 0 };

	assert_int_equal(crypto_init(), OK);
	(void)snprintf(w->dir, sizeof(w->dir), "store-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/attorn.db", w->dir);
	w->a = arena_open();
	if (store_open(str_of(w->path), NULL, &w->store, &diag) != OK) {
		fail_msg("store_open: %s", diag.text);
	}
	*state = w;
	return 0;
}

static inline void world_reopen(world_t *w)
{
	diag_t diag = { 0 };

	store_close(w->store);
	w->store = NULL;
	if (store_open(str_of(w->path), NULL, &w->store, &diag) != OK) {
		fail_msg("store_open: %s", diag.text);
	}
}

static inline void world_unlink(const world_t *w)
{
	static const char *const names[] = { "attorn.db", "attorn.db-wal", "attorn.db-shm", "reserve",
		"copy.db" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[160];

		(void)snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(w->dir);
}

static inline int world_close(void **state)
{
	world_t *w = *state;

	store_close(w->store);
	world_unlink(w);
	arena_free(w->a);
	heap_free(w);
	return 0;
}

/* A user, an agent and a root grant with `uses` (STORE_NONE: not counted). */
static inline err_t seed_people(store_txn_t *t)
{
	store_user_t user = { .id = STR("u:1"), .name = STR("alice"), .active = true, .created_s = 1 };
	store_agent_t agent = { .id = STR("spiffe://t/agent/scout"), .name = STR("scout"),
		.kind = STR("delegated"), .owner = STR("u:1"), .scopes = STR("[\"a:b\"]"),
		.roles = STR("[]"), .state = STR("active"), .max_depth = 2, .created_s = 2 };

	TRY(store_user_insert(t, &user));
	return store_agent_insert(t, &agent);
}

static inline store_grant_t grant_of(const char *id, const char *parent, int64_t uses)
{
	return (store_grant_t){ .id = str_of(id), .root = parent ? STR("G0") : str_of(id),
		.parent = parent ? str_of(parent) : STR_NULL, .depth = parent ? 1 : 0,
		.agent = STR("spiffe://t/agent/scout"), .user = STR("u:1"), .doc = STR("{}"),
		.sig = STR("\x01\x00\x02"), .key = STR("jkt"), .iat_s = 100, .exp_s = 200, .uses_max = uses };
}

#endif
