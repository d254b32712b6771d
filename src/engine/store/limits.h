/* limits.h: the bounds of engine/store and why they are what they are. */
#ifndef ATTORN_STORE_LIMITS_H
#define ATTORN_STORE_LIMITS_H

enum {
	STORE_READERS_MAX = 8, /* two cores; each costs a page cache */
	STORE_READERS_DEFAULT = 2,
	STORE_BATCH_MAX = 1024, /* closures in one transaction: 7 ms of work behind one sync */
	STORE_STATEMENTS_MAX = 256, /* cached per connection; more is a query built at run time */
	STORE_LIST_MAX = 1000, /* rows of one list answer; the rest by its key */
	STORE_CHAIN_MAX = 17, /* a root grant and DELEGATION_DEPTH_MAX (16) below it */
	STORE_SUBTREE_MAX = 10000, /* grants ended by one revoke: a feed line stays readable */
	STORE_PERMISSION_BYTES_MAX = 128, /* RESOURCE:ACTION, as the API lets it in */
	STORE_PATH_BYTES_MAX = 1024,
	STORE_BUSY_MS = 5000, /* a foreign sqlite3 shell may hold a lock, not for longer */
	STORE_CHECKPOINT_PAGES = 1000, /* SQLite's own default, done by the writer alone */
	STORE_RESERVE_BYTES = 8 << 20, /* room for some 4,000 outcomes and denials on a full disk */
	STORE_RESERVE_SLICE_BYTES = 1 << 20, /* given away at once: whoever filled the disk may take one, not all */
	STORE_LOW_BYTES = 4 << 20, /* below this much free space nothing new is begun */
};

#endif
