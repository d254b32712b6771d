/* limits.h: named bounds of identity, with reasons. */
#ifndef ATTORN_IDENTITY_LIMITS_H
#define ATTORN_IDENTITY_LIMITS_H

enum {
	IDENTITY_ENTRIES_MAX = 20000, /* of one authority: a view is built anew in 20 ms then */
	IDENTITY_ITEMS_MAX = 16, /* in one request of a node: OP_GATHER_MAX signatures at once */
	IDENTITY_BODY_BYTES_MAX = 512 << 10, /* that many items with their facts */
	IDENTITY_CSR_BYTES_MAX = 4096,
	IDENTITY_CODE_BYTES_MAX = 80, /* sha-256:<hex> */
	IDENTITY_RUN_ID_BYTES = 32, /* 128 bits in hex */
	IDENTITY_NODES_MAX = 256, /* streams at once */
	IDENTITY_LINE_BYTES_MAX = 1 << 20, /* a bundle with 64 keys of RSA-4096; an entry less */
	IDENTITY_VIEW_BYTES_MAX = 256 << 20,
	IDENTITY_RECORD_BYTES_MAX = 16 << 10,
	IDENTITY_PING_MS = 2000,
	IDENTITY_DEADLINE_MS = 10000, /* of one issuing */
	IDENTITY_ROTATE_CHECK_MS = 10000, /* how often the keys' ages are looked at */
	IDENTITY_RUN_LIFE_S_MAX = 24 * 3600, /* a run without a grant ends by itself */
};

#endif
