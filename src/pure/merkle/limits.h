/* limits.h: the bounds of pure/merkle and why they are what they are. */
#ifndef ATTORN_MERKLE_LIMITS_H
#define ATTORN_MERKLE_LIMITS_H

enum {
	MERKLE_LEVELS_MAX = 63, /* a size is a uint64_t below 2^63: SQLite and JSON readers agree */
	MERKLE_PROOF_HASHES_MAX = 2 * MERKLE_LEVELS_MAX, /* consistency is the longer kind */
	MERKLE_LEAF_BYTES_MAX = 65535, /* tlog-tiles: a leaf has a 16-bit length */
	MERKLE_NAME_BYTES_MAX = 255, /* key names are host names and paths */
	MERKLE_NOTE_BYTES_MAX = 64 * 1024, /* an ML-DSA line is 3.3 KB; 16 of them fit */
	MERKLE_NOTE_LINES_MAX = 100, /* Go's reader stops there too; at least 16 are required */
	MERKLE_SIGNATURE_BYTES_MAX = 4096, /* one line, decoded */
	MERKLE_VKEY_BYTES_MAX = 4096, /* ML-DSA-44 keys are 1,312 bytes */
};

#endif
