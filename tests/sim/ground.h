/* ground.h: what outlives a simulated world: the authority's state on disk, and grants, rules and revokes
 * made in it. All worlds of a test share it; what one world wrote is what came after its mark. */
#ifndef TEST_SIM_GROUND_H
#define TEST_SIM_GROUND_H

#include "authority.h"
#include "pure/codec/codec.h"

#define BOT_ID "spiffe://" TD "/auto/bot"
#define OTHER_ID "spiffe://" TD "/agent/other"

typedef struct {
	authority_t *t;
	crypto_key_t *second_key; /* the agent's too, registered */
	str_t lasting; /* a grant that no world revokes */
	str_t others; /* one made to another agent */
	bool narrowed; /* a world took a scope out of alice's role */
} ground_t;

int ground_open(void **state);
int ground_close(void **state);
/* Closes the store and opens it again, as the next process would. */
void ground_reopen(ground_t *g);
/* Gives every record its index and checks the whole log. */
void ground_verify(ground_t *g);
/* Rules as they were before some world narrowed them, and the lasting grants. */
void ground_prepare(ground_t *g, int64_t now_s);

str_t ground_grant(ground_t *g, str_t agent, int64_t uses, int64_t now_s);
/* A role without invoices:read, a change for the feed, a record: one closure's work. */
MUST err_t ground_narrow(ground_t *g, store_txn_t *txn, int64_t now_us);
MUST err_t ground_revoke(ground_t *g, store_txn_t *txn, str_t grant, int64_t now_us);

/* Around a process that will crash: it gives no memory back, and the leak checker must not mind. */
void ground_doomed_begin(void);
void ground_doomed_end(void);

/* Number of the newest record. */
int64_t ground_mark(ground_t *g);
/* Records after the mark in commit order; `kind` NULL: of every type. */
typedef struct {
	store_entry_t *v;
	size_t n;
} entries_t;
entries_t ground_entries(ground_t *g, arena_t *a, const char *kind, int64_t mark);
uint64_t ground_number(arena_t *a, str_t leaf, const char *member);

#endif
