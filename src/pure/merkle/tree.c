/* tree.c: hashes, the frontier and roots (RFC 6962 2.1). */
#include "pure/crypto/crypto.h"
#include "pure/merkle/merkle.h"

_Static_assert((int)MERKLE_HASH_BYTES == (int)CRYPTO_SHA256_BYTES, "the tree is SHA-256");

merkle_hash_t merkle_leaf_hash(str_t leaf)
{
	const str_t parts[] = { STR("\0"), leaf }; /* RFC 6962 2.1: domain of leaves */
	merkle_hash_t out;

	crypto_sha256_parts(parts, ARRAY_LEN(parts), out.b);
	return out;
}

merkle_hash_t merkle_node_hash(const merkle_hash_t *left, const merkle_hash_t *right)
{
	uint8_t input[1 + 2 * MERKLE_HASH_BYTES] = { 0x01 }; /* domain of nodes */
	merkle_hash_t out;

	memcpy(input + 1, left->b, MERKLE_HASH_BYTES);
	memcpy(input + 1 + MERKLE_HASH_BYTES, right->b, MERKLE_HASH_BYTES);
	crypto_sha256(str_bytes(input, sizeof(input)), out.b);
	return out;
}

merkle_hash_t merkle_empty_root(void)
{
	merkle_hash_t out;

	crypto_sha256(STR(""), out.b);
	return out;
}

bool merkle_hash_eq(const merkle_hash_t *a, const merkle_hash_t *b)
{
	return str_eq(merkle_hash_str(a), merkle_hash_str(b));
}

err_t merkle_hash_from(str_t bytes, merkle_hash_t *out)
{
	ENSURE(bytes.n == MERKLE_HASH_BYTES, ERR_SYNTAX);
	memcpy(out->b, bytes.p, MERKLE_HASH_BYTES);
	return OK;
}

void merkle_frontier_append(merkle_frontier_t *f, const merkle_hash_t *leaf_hash)
{
	merkle_hash_t h = *leaf_hash;
	unsigned level = 0;

	CHECK(f->size < UINT64_MAX >> 1);
	while (f->size >> level & 1) {
		h = merkle_node_hash(&f->node[level], &h);
		level++;
	}
	f->node[level] = h;
	f->size++;
}

merkle_hash_t merkle_frontier_root(const merkle_frontier_t *f)
{
	merkle_hash_t root;
	bool any = false;

	for (unsigned level = 0; level < MERKLE_LEVELS_MAX; level++) {
		if (!(f->size >> level & 1)) {
			continue;
		}
		root = any ? merkle_node_hash(&f->node[level], &root) : f->node[level];
		any = true;
	}
	return any ? root : merkle_empty_root();
}

str_t merkle_frontier_save(const merkle_frontier_t *f, arena_t *a)
{
	uint8_t *p = arena_alloc(a, MERKLE_LEVELS_MAX * MERKLE_HASH_BYTES);
	size_t n = 0;

	for (unsigned level = 0; level < MERKLE_LEVELS_MAX; level++) {
		if (f->size >> level & 1) {
			memcpy(p + n, f->node[level].b, MERKLE_HASH_BYTES);
			n += MERKLE_HASH_BYTES;
		}
	}
	return str_bytes(p, n);
}

err_t merkle_frontier_load(uint64_t size, str_t saved, merkle_frontier_t *out)
{
	merkle_frontier_t f = { .size = size };
	rd_t r = rd_of(saved);
	str_t bytes;

	ENSURE(size <= UINT64_MAX >> 1, ERR_SYNTAX);
	for (unsigned level = 0; level < MERKLE_LEVELS_MAX; level++) {
		if (size >> level & 1) {
			TRY(rd_bytes(&r, MERKLE_HASH_BYTES, &bytes));
			TRY(merkle_hash_from(bytes, &f.node[level]));
		}
	}
	TRY(rd_end(&r));
	*out = f;
	return OK;
}

merkle_hash_t merkle_root(const merkle_hash_t *leaf_hashes, uint64_t n)
{
	merkle_frontier_t f;

	merkle_frontier_init(&f);
	for (uint64_t i = 0; i < n; i++) {
		merkle_frontier_append(&f, &leaf_hashes[i]);
	}
	return merkle_frontier_root(&f);
}
