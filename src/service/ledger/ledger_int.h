/* ledger_int.h: what the files of this room share. */
#ifndef ATTORN_LEDGER_INT_H
#define ATTORN_LEDGER_INT_H

#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"
#include "service/ledger/ledger.h"

struct ledger {
	char name[MERKLE_NAME_BYTES_MAX + 1]; /* what vkey.name borrows */
	char source[LEDGER_ID_BYTES_MAX];
	str_t source_id;
	int64_t src; /* its number in the store */
	merkle_vkey_t vkey;
	signer_client_t *signer;
	char kid[SIGNER_KID_BYTES + 1];
	secret_t kek;
	int64_t fence; /* raised at our start: a later process raises it again and ends us */
};

MUST err_t ledger_last_head(store_txn_t *t, arena_t *a, store_log_lock_t *out, merkle_checkpoint_t *head);

/* ---- record.c ---- */

/* What the authority adds to a record. */
typedef struct {
	str_t source;
	int64_t n;
	merkle_checkpoint_t after; /* last signed head at this moment */
} record_origin_t;

/* A commitment that replaced a plain text. */
typedef struct {
	str_t path, key, value; /* key: 32 bytes */
} record_opening_t;
enum { RECORD_OPENINGS_MAX = 5 };
typedef struct {
	str_t leaf; /* JCS-S */
	str_t of; /* the record an outcome speaks of, else STR_NULL */
	record_opening_t opening[RECORD_OPENINGS_MAX];
	size_t n_openings;
} record_built_t;

/* Checks the body against the members its type may have and writes the leaf. `keys`: random bytes,
 * one key for each commitment. */
MUST err_t record_build(arena_t *a, const ledger_record_t *r, const record_origin_t *origin,
			const uint8_t keys[RECORD_OPENINGS_MAX][LEDGER_COMMIT_KEY_BYTES],
			record_built_t *out);
str_t record_time(arena_t *a, int64_t unix_us); /* RFC 3339 UTC with microseconds */

/* ---- openings.c ---- */
MUST err_t openings_seal(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid,
			 const record_opening_t *openings, size_t n);
/* The value behind a commitment, checked against it; ERR_NOT_FOUND when it was erased. */
MUST err_t openings_value(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid, str_t path,
			  str_t commitment, str_t *out_value);

/* ---- line.c: one line of an export ---- */
str_t line_record(arena_t *a, uint64_t index, str_t leaf, const merkle_hash_t *hash,
		  const merkle_proof_t *proof); /* proof NULL: none */
str_t line_list(arena_t *a, str_t kid, uint64_t from, str_t entries); /* each u64be number | digest */
str_t line_head(arena_t *a, str_t note);
enum { LINE_ENTRY_BYTES = 8 + CRYPTO_SHA256_BYTES };
typedef struct {
	bool is_head, is_list;
	str_t note; /* of a head */
	str_t kid, entries; /* of a list, from position `index` on */
	uint64_t index;
	str_t leaf;
	merkle_hash_t hash;
	bool has_proof;
	merkle_proof_t proof;
} line_t;
/* Strict: exactly the bytes that line_record or line_head would write. ERR_SYNTAX and its kin. */
MUST err_t line_parse(arena_t *a, str_t line, line_t *out);

/* ---- lists.c: what the records say was signed beside what the signer says; pure ---- */
typedef struct lists lists_t;
lists_t *lists_new(void);
void lists_free(lists_t *l);
DEFINE_AUTO(lists_t *, lists_free);
/* A record's member `sign`: this key signed this under this number. */
MUST err_t lists_claim(lists_t *l, str_t kid, uint64_t number, const uint8_t digest[CRYPTO_SHA256_BYTES]);
/* A signer.head record: the list had so many entries and this chain. */
MUST err_t lists_attest(lists_t *l, str_t kid, uint64_t count, const uint8_t digest[CRYPTO_SHA256_BYTES]);
/* Entries of the signer's list, in order. */
MUST err_t lists_entries(lists_t *l, str_t kid, uint64_t from, str_t entries);
/* Compares; ERR_LEDGER_DAMAGED with the first difference in `why`. */
MUST err_t lists_check(lists_t *l, uint64_t *out_signatures, char *why, size_t why_size);
/* What one record says of signatures: its own claim, and the ends of lists it names. `head_text`: of the tree
 * that ends with this record, asked for only when the record is a signer.head. */
typedef str_t lists_head_text_t(void *self, arena_t *a);
MUST err_t lists_record(lists_t *l, arena_t *a, const json_t *leaf, lists_head_text_t *head_text, void *self);

#endif
