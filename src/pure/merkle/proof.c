/* proof.c: inclusion and consistency, made and verified (RFC 6962 2.1.1-2, RFC 9162 2.1.3-4). */
#include "pure/merkle/merkle.h"

static err_t array_at(void *self, unsigned level, uint64_t index, merkle_hash_t *out)
{
	const merkle_array_t *array = self;
	uint64_t width = UINT64_C(1) << level;

	CHECK(index < array->n >> level);
	*out = merkle_root(array->leaf_hashes + index * width, width);
	return OK;
}

merkle_source_t merkle_array_source(merkle_array_t *array)
{
	return (merkle_source_t){ .at = array_at, .self = array };
}

/* Largest k with 2^k < n; n >= 2. */
static unsigned split_level(uint64_t n)
{
	return 63u - (unsigned)__builtin_clzll(n - 1);
}

/* MTH(D[lo:hi]) where lo is a multiple of the largest power of two in hi - lo: full subtrees from
 * left to right, folded from the right. */
static err_t range_root(const merkle_source_t *src, uint64_t lo, uint64_t hi, merkle_hash_t *out)
{
	merkle_hash_t part[MERKLE_LEVELS_MAX], root;
	size_t n = 0;

	for (int level = MERKLE_LEVELS_MAX - 1; level >= 0; level--) {
		if ((hi - lo) >> level & 1) {
			TRY(src->at(src->self, (unsigned)level, lo >> level, &part[n++]));
			lo += UINT64_C(1) << level;
		}
	}
	CHECK(n > 0 && lo == hi);
	root = part[--n];
	while (n > 0) {
		n--;
		root = merkle_node_hash(&part[n], &root);
	}
	*out = root;
	return OK;
}

static err_t proof_push(merkle_proof_t *p, const merkle_source_t *src, uint64_t lo, uint64_t hi)
{
	CHECK(p->n < MERKLE_PROOF_HASHES_MAX);
	TRY(range_root(src, lo, hi, &p->hash[p->n]));
	p->n++;
	return OK;
}

/* Collected from the root downwards, sent from the leaf upwards. */
static void proof_reverse(merkle_proof_t *p)
{
	for (size_t i = 0; i < p->n / 2; i++) {
		merkle_hash_t h = p->hash[i];

		p->hash[i] = p->hash[p->n - 1 - i];
		p->hash[p->n - 1 - i] = h;
	}
}

err_t merkle_inclusion_prove(const merkle_source_t *src, uint64_t index, uint64_t size,
			     merkle_proof_t *out)
{
	uint64_t lo = 0, hi = size;

	ENSURE(index < size && size <= UINT64_MAX >> 1, ERR_VALUE);
	out->n = 0;
	while (hi - lo > 1) {
		uint64_t middle = lo + (UINT64_C(1) << split_level(hi - lo));

		if (index < middle) {
			TRY(proof_push(out, src, middle, hi));
			hi = middle;
		} else {
			TRY(proof_push(out, src, lo, middle));
			lo = middle;
		}
	}
	proof_reverse(out);
	return OK;
}

err_t merkle_consistency_prove(const merkle_source_t *src, uint64_t old_size, uint64_t new_size,
			       merkle_proof_t *out)
{
	uint64_t lo = 0, hi = new_size;
	bool is_old_root = true; /* RFC 6962 2.1.2: the verifier knows that subtree already */

	ENSURE(old_size <= new_size && new_size <= UINT64_MAX >> 1, ERR_VALUE);
	out->n = 0;
	if (old_size == 0 || old_size == new_size) {
		return OK;
	}
	while (hi != old_size) {
		uint64_t middle = lo + (UINT64_C(1) << split_level(hi - lo));

		if (old_size <= middle) {
			TRY(proof_push(out, src, middle, hi));
			hi = middle;
		} else {
			TRY(proof_push(out, src, lo, middle));
			lo = middle;
			is_old_root = false;
		}
	}
	if (!is_old_root) {
		TRY(proof_push(out, src, lo, hi));
	}
	proof_reverse(out);
	return OK;
}

size_t merkle_inclusion_length(uint64_t index, uint64_t size)
{
	uint64_t last = size - 1;
	size_t inner, border;

	CHECK(index < size);
	/* below the point where the paths of the leaf and of the last leaf meet every level has a
	 * sibling; above it only the levels where the leaf's path turns left have one */
	inner = index == last ? 0 : 64u - (size_t)__builtin_clzll(index ^ last);
	border = (size_t)__builtin_popcountll(inner == 64 ? 0 : index >> inner);
	return inner + border;
}

err_t merkle_inclusion_verify(uint64_t index, const merkle_hash_t *leaf_hash, uint64_t size,
			      const merkle_hash_t *root, const merkle_hash_t *path, size_t n)
{
	uint64_t fn = index, sn = size - 1;
	merkle_hash_t r = *leaf_hash;

	ENSURE(index < size, ERR_PROOF_INVALID);
	ENSURE(n == merkle_inclusion_length(index, size), ERR_PROOF_INVALID);
	for (size_t i = 0; i < n; i++) {
		ENSURE(sn != 0, ERR_PROOF_INVALID);
		if (fn & 1 || fn == sn) {
			r = merkle_node_hash(&path[i], &r);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			r = merkle_node_hash(&r, &path[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	ENSURE(sn == 0 && merkle_hash_eq(&r, root), ERR_PROOF_INVALID);
	return OK;
}

/* RFC 9162 2.1.4.2, steps 4 to 6; `first` is where both climbs begin. */
static err_t consistency_climb(uint64_t fn, uint64_t sn, const merkle_hash_t *first,
			       const merkle_hash_t *path, size_t n, merkle_hash_t *out_old,
			       merkle_hash_t *out_new)
{
	merkle_hash_t fr = *first, sr = *first;

	for (size_t i = 0; i < n; i++) {
		ENSURE(sn != 0, ERR_PROOF_INVALID);
		if (fn & 1 || fn == sn) {
			fr = merkle_node_hash(&path[i], &fr);
			sr = merkle_node_hash(&path[i], &sr);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			sr = merkle_node_hash(&sr, &path[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	ENSURE(sn == 0, ERR_PROOF_INVALID);
	*out_old = fr;
	*out_new = sr;
	return OK;
}

err_t merkle_consistency_verify(uint64_t old_size, const merkle_hash_t *old_root, uint64_t new_size,
				const merkle_hash_t *new_root, const merkle_hash_t *path, size_t n)
{
	merkle_hash_t empty = merkle_empty_root(), fr, sr;
	uint64_t fn = old_size - 1, sn = new_size - 1;
	bool is_power = old_size != 0 && (old_size & (old_size - 1)) == 0;

	ENSURE(old_size <= new_size, ERR_PROOF_INVALID);
	if (old_size == 0) {
		ENSURE(n == 0 && merkle_hash_eq(old_root, &empty), ERR_PROOF_INVALID);
		return OK;
	}
	if (old_size == new_size) {
		ENSURE(n == 0 && merkle_hash_eq(old_root, new_root), ERR_PROOF_INVALID);
		return OK;
	}
	ENSURE(n >= 1 && n <= MERKLE_PROOF_HASHES_MAX, ERR_PROOF_INVALID);
	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	TRY(is_power ? consistency_climb(fn, sn, old_root, path, n, &fr, &sr)
		     : consistency_climb(fn, sn, &path[0], path + 1, n - 1, &fr, &sr));
	ENSURE(merkle_hash_eq(&fr, old_root) && merkle_hash_eq(&sr, new_root), ERR_PROOF_INVALID);
	return OK;
}
