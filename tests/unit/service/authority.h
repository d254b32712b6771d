/* authority.h: the state of an authority for tests: a store on a real disk, keys, ledger, one user, one
 * agent with a key, one route of each kind, one grant of three uses, the starter rules. */
#ifndef TEST_SERVICE_AUTHORITY_H
#define TEST_SERVICE_AUTHORITY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "signing.h"
#include "service/admit/admit.h"
#include "service/feed/feed.h"

#define TD "test.example"
#define ISSUER "http://127.0.0.1:7480"
#define GATEWAY "http://127.0.0.1:7481"
#define AGENT_ID "spiffe://test.example/agent/scout"
#define USER_ID "u:11111111-2222-4333-8444-555555555555"
#define NOW_S INT64_C(1795000000)
#define NOW_US (NOW_S * 1000000)

typedef struct {
	char dir[64], database[96], kek[96], source[64];
	arena_t *a;
	store_t *store;
	vault_t *vault;
	signing_t signing; /* the signer */
	vault_signing_t keys; /* what the authority knows of its keys */
	ledger_t *ledger;
	crypto_key_t *user_key, *agent_key;
	feed_deps_t feed_deps;
	const feed_view_t *view;
	str_t grant;
} authority_t;

/* Makes all of it; asserts on failure. */
int authority_open(void **state);
int authority_close(void **state);
/* Opens keys and ledger of the store again, as a new process does, with a new signer. */
void authority_keys_open(authority_t *t);
/* Reads the view again, as the feed does after a change. */
void authority_view(authority_t *t);
/* Runs a closure that must work. */
void authority_write(authority_t *t, store_fn_t *run, void *self);
/* Adds a change that a decision reads: raises the fence. */
void authority_fence(authority_t *t);
/* Count of ledger entries of one type. */
size_t authority_entries(authority_t *t, const char *kind);

#endif
