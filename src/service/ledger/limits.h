/* limits.h: the bounds of service/ledger and why they are what they are. */
#ifndef ATTORN_LEDGER_LIMITS_H
#define ATTORN_LEDGER_LIMITS_H

enum {
	LEDGER_LEAF_BYTES_MAX = 16 << 10, /* reference ledger 11.1: a record holds digests, not data */
	LEDGER_BODY_BYTES_MAX = 15 << 10, /* leaves room for what the authority adds */
	LEDGER_MEMBERS_MAX = 48, /* top members of one record */
	LEDGER_SEQUENCE_MAX = 256, /* rows that get an index in one go (9.3) */
	LEDGER_SEQUENCE_PAGES = 16, /* pages in one transaction: 50 ms of the write lane, once, after a jam */
	LEDGER_SEQUENCE_MS = 100, /* an index and a signed head within this time of the commit (9.3) */
	LEDGER_LOOK_MS = 3000, /* a list that is ahead of the records shows within this time */
	LEDGER_SEQUENCE_DEADLINE_MS = 60000, /* of one round: a stalled disk */
	LEDGER_NOTE_BYTES_MAX = 1024, /* a head of ours: three lines and one signature */
	LEDGER_LISTS_MAX = 4096, /* keys that ever signed: as many as the signer keeps */
	LEDGER_LIST_LINE_ENTRIES = 512, /* in one line of an export: 27 KiB */
	LEDGER_LINE_BYTES_MAX = 48 << 10, /* one export line: a leaf in base64, its hash, a proof */
	LEDGER_EXPLAIN_BYTES_MAX = 1 << 20, /* two leaves and 17 grants with their records */
	LEDGER_EXPLAIN_LATE_MAX = 8, /* outcomes after the first: one is rare */
	LEDGER_PART_SIZE_MAX = 1 << 21, /* proofs of a part need 64 bytes a record in memory: 128 MiB */
	LEDGER_ID_BYTES_MAX = 512, /* SPIFFE IDs, key ids */
};

#endif
