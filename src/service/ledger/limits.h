/* limits.h: the bounds of service/ledger and why they are what they are. */
#ifndef ATTORN_LEDGER_LIMITS_H
#define ATTORN_LEDGER_LIMITS_H

enum {
	LEDGER_LEAF_BYTES_MAX = 16 << 10, /* reference ledger 11.1: a record holds digests, not data */
	LEDGER_BODY_BYTES_MAX = 15 << 10, /* leaves room for what the authority adds */
	LEDGER_MEMBERS_MAX = 48, /* top members of one record */
	LEDGER_SEQUENCE_MAX = 256, /* rows that get an index in one go (9.3) */
	LEDGER_LINE_BYTES_MAX = 48 << 10, /* one export line: a leaf in base64, its hash, a proof */
	LEDGER_EXPLAIN_BYTES_MAX = 1 << 20, /* two leaves and 17 grants with their records */
	LEDGER_EXPLAIN_LATE_MAX = 8, /* outcomes after the first: one is rare */
	LEDGER_PART_SIZE_MAX = 1 << 21, /* proofs of a part need 64 bytes a record in memory: 128 MiB */
	LEDGER_ID_BYTES_MAX = 512, /* SPIFFE IDs, key ids */
};

#endif
