/* revoked.h: the set of grants that ended lately, as a gateway remembers them. Private to feed. */
#ifndef ATTORN_FEED_REVOKED_H
#define ATTORN_FEED_REVOKED_H

#include "service/feed/limits.h"
#include "pure/base/base.h"

enum { REVOKED_ID_BYTES = 26 }; /* a ULID */

typedef struct {
	char id[REVOKED_ID_BYTES]; /* id[0] == 0: empty place */
	uint64_t until_s;
} revoked_entry_t;

/* Open addressing, at most half full; zeroed is empty. */
typedef struct {
	revoked_entry_t *table;
	size_t places, n;
} revoked_t;

/* Adds; entries past their time go when the table has to grow. Ids of another length are ignored. */
void revoked_add(revoked_t *r, str_t id, uint64_t now_s);
bool revoked_has(const revoked_t *r, str_t id);
void revoked_done(revoked_t *r);

#endif
