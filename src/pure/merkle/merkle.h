/* merkle.h: the RFC 6962 tree (SHA-256), its proofs, and the C2SP signed note and checkpoint.
 * Owns: nothing; results live in the caller's arena or in the caller's structs. Threads: any.
 * Limits: limits.h. Forbidden: a tree size that did not come out of a verified checkpoint. */
#ifndef ATTORN_MERKLE_H
#define ATTORN_MERKLE_H

#include "pure/base/base.h"
#include "pure/merkle/limits.h"

/* ---- hashes (RFC 6962 2.1) ---- */

enum { MERKLE_HASH_BYTES = 32 };
typedef struct {
	uint8_t b[MERKLE_HASH_BYTES];
} merkle_hash_t;

merkle_hash_t merkle_leaf_hash(str_t leaf); /* SHA-256(0x00 || leaf) */
merkle_hash_t merkle_node_hash(const merkle_hash_t *left, const merkle_hash_t *right);
merkle_hash_t merkle_empty_root(void); /* SHA-256("") */
bool merkle_hash_eq(const merkle_hash_t *a, const merkle_hash_t *b);
static inline str_t merkle_hash_str(const merkle_hash_t *h)
{
	return str_bytes(h->b, MERKLE_HASH_BYTES);
}
/* Reads exactly 32 bytes; ERR_SYNTAX. */
MUST err_t merkle_hash_from(str_t bytes, merkle_hash_t *out);

/* ---- frontier: a tree that only grows, in 2 KB ---- */

/* node[i] is the root of a full subtree of 2^i leaves and counts when bit i of size is set. */
typedef struct {
	uint64_t size;
	merkle_hash_t node[MERKLE_LEVELS_MAX];
} merkle_frontier_t;

static inline void merkle_frontier_init(merkle_frontier_t *f) { *f = (merkle_frontier_t){ 0 }; }
void merkle_frontier_append(merkle_frontier_t *f, const merkle_hash_t *leaf_hash);
merkle_hash_t merkle_frontier_root(const merkle_frontier_t *f);
/* The hashes that count, lowest level first, as bytes; with the size they are the whole state. */
str_t merkle_frontier_save(const merkle_frontier_t *f, arena_t *a);
/* ERR_SYNTAX unless `saved` has exactly the hashes that `size` asks for. */
MUST err_t merkle_frontier_load(uint64_t size, str_t saved, merkle_frontier_t *out);

/* Root of an array of leaf hashes. */
merkle_hash_t merkle_root(const merkle_hash_t *leaf_hashes, uint64_t n);

/* ---- proofs ---- */

/* Where the prover finds hashes: `at` yields the root of the full subtree of leaves
 * [index << level, (index + 1) << level). It is only asked for subtrees inside the tree. */
typedef struct {
	MUST err_t (*at)(void *self, unsigned level, uint64_t index, merkle_hash_t *out);
	void *self;
} merkle_source_t;

/* A source over an array of leaf hashes, which must outlive it. */
typedef struct {
	const merkle_hash_t *leaf_hashes;
	uint64_t n;
} merkle_array_t;
merkle_source_t merkle_array_source(merkle_array_t *array);

typedef struct {
	merkle_hash_t hash[MERKLE_PROOF_HASHES_MAX]; /* sibling of the leaf first */
	size_t n;
} merkle_proof_t;

/* Builds the path of leaf `index` in the tree of `size`; ERR_VALUE unless index < size. */
MUST err_t merkle_inclusion_prove(const merkle_source_t *src, uint64_t index, uint64_t size,
				  merkle_proof_t *out);
/* Builds the proof that `old_size` is a prefix of `new_size`; ERR_VALUE unless 0 <= old <= new. */
MUST err_t merkle_consistency_prove(const merkle_source_t *src, uint64_t old_size,
				    uint64_t new_size, merkle_proof_t *out);

/* Length of the only acceptable path of (index, size); index < size. */
size_t merkle_inclusion_length(uint64_t index, uint64_t size);
/* Verifies that `leaf_hash` stands at `index` in the tree (size, root); ERR_PROOF_INVALID says no
 * more than that. RFC 9162 2.1.3.2 with the path length checked first. */
MUST err_t merkle_inclusion_verify(uint64_t index, const merkle_hash_t *leaf_hash, uint64_t size,
				   const merkle_hash_t *root, const merkle_hash_t *path, size_t n);
/* Verifies that the tree (old_size, old_root) is a prefix of (new_size, new_root); RFC 9162
 * 2.1.4.2; ERR_PROOF_INVALID. */
MUST err_t merkle_consistency_verify(uint64_t old_size, const merkle_hash_t *old_root,
				     uint64_t new_size, const merkle_hash_t *new_root,
				     const merkle_hash_t *path, size_t n);

/* ---- signed notes (C2SP signed-note 1.0.0) ---- */

enum { MERKLE_KEY_ED25519 = 0x01, MERKLE_PUBLIC_BYTES = 32, MERKLE_SIGNATURE_BYTES = 64 };

/* A verifier key `name+hash+base64(type || key)`. Only Ed25519 (0x01) is understood. */
typedef struct {
	str_t name;
	uint32_t id;
	uint8_t key[MERKLE_PUBLIC_BYTES];
} merkle_vkey_t;

/* SHA-256(name || 0x0A || type || key)[0:4], big-endian. */
uint32_t merkle_key_id(str_t name, uint8_t type, str_t key);
/* Fills a verifier key; ERR_VALUE for a name that a note cannot carry. `name` is borrowed. */
MUST err_t merkle_vkey_of(str_t name, const uint8_t key[MERKLE_PUBLIC_BYTES], merkle_vkey_t *out);
str_t merkle_vkey_format(const merkle_vkey_t *v, arena_t *a);
/* ERR_SYNTAX, ERR_ALGORITHM for another type, ERR_KEY when the id does not belong to the key. */
MUST err_t merkle_vkey_parse(arena_t *a, str_t text, merkle_vkey_t *out);

typedef struct {
	str_t name;
	uint32_t id;
	str_t signature; /* without the key id */
} merkle_note_line_t;
typedef struct {
	str_t text; /* with its final newline: what is signed */
	merkle_note_line_t *lines;
	size_t n;
} merkle_note_t;

/* Splits a note; strict; nothing is verified yet. Borrows `bytes`. ERR_SYNTAX, ERR_LIMIT. */
MUST err_t merkle_note_parse(arena_t *a, str_t bytes, merkle_note_t *out);
/* Verifies that one of the known keys signed, and that no known key has a bad line;
 * ERR_SIGNATURE. Lines of unknown keys are ignored. */
MUST err_t merkle_note_verify(const merkle_note_t *note, const merkle_vkey_t *keys, size_t n);

/* Who signs: the callback may be a key in memory or the door of a signer process. */
typedef struct {
	merkle_vkey_t vkey;
	MUST err_t (*sign)(void *self, str_t message, uint8_t out[MERKLE_SIGNATURE_BYTES]);
	void *self;
} merkle_signer_t;

/* Signs `text` (which ends in a newline) and returns the whole note with one signature line. */
MUST err_t merkle_note_sign(arena_t *a, str_t text, const merkle_signer_t *signer, str_t *out);

/* ---- checkpoints (C2SP tlog-checkpoint 1.0.0, no extension lines) ---- */

typedef struct {
	str_t origin;
	uint64_t size;
	merkle_hash_t root;
} merkle_checkpoint_t;

str_t merkle_checkpoint_text(const merkle_checkpoint_t *c, arena_t *a);
/* Reads the text of a note; strict; `out->origin` borrows. ERR_SYNTAX. */
MUST err_t merkle_checkpoint_parse(str_t text, merkle_checkpoint_t *out);
/* Parses note and checkpoint, verifies the line of `log` and that the origin is its name. */
MUST err_t merkle_checkpoint_open(arena_t *a, str_t note, const merkle_vkey_t *log,
				  merkle_checkpoint_t *out);

#endif
