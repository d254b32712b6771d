/* merkle: golden roots and proofs, and every way of forging a path we could think of. */
#include "vectors.h"

static void roots_at_golden_sizes(void **state)
{
	static const struct {
		uint64_t size;
		const char *root;
	} golden[] = {
		{ 0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
		{ 1, "ohTndqAODqqoUl9Rr2142jqOqlAakfGatJY3ikQ1fiY=" },
		{ 2, "yyka40jj6sa6a1XhupniSLKN5uin4UYW0Pnhqx96gkI=" },
		{ 255, "EgGVW99T/5DdnC/FVoMGVqgtOb6KbQuzBCTfU9VsNog=" },
		{ 256, "LREviWvModa92hcWytM9HV4tsayLydvXsN7ZEKHlKQg=" },
		{ 257, "rocKO0/tT74TxE4oEhXTGCQANwvv/WQs0UgvqYx+3QY=" },
		{ 511, "cmetNWblRzhYKD85d0OKKVYvdAjvcJF5Ju/0/c3kPGk=" },
		{ 512, "JFgOrU9UlV+2vkQzD4nBRCSD9uu1t5KzsNzOEvllqZs=" },
		{ 65535, "ZXrLfCacmNzYRiBPHhiq6A7QiDBiiF3cuLwGyUZQnjg=" },
		{ 65536, "qL2yWOqHQgjJvV1S0OiRf/fg7UONBDbyCCrBA/HsROY=" },
		{ 65537, "k46W6v7aGYhgEwlIFtVcQALC3eWaLYgC12nN7gBgUas=" },
		{ 70000, "f4mj1ypgWL9ztzSub+i4gwPcNMl3O3VnZSOJyMTWJIA=" },
	};
	AUTO(arena_free) arena_t *a = arena_open();
	merkle_hash_t *hashes = vector_hashes(70000);
	merkle_frontier_t f, loaded;
	size_t next = 0;

	(void)state;
	merkle_frontier_init(&f);
	for (uint64_t n = 0; n <= 70000; n++) {
		if (n == golden[next].size) {
			merkle_hash_t want = vector_hash(a, str_of(golden[next].root));
			merkle_hash_t got = merkle_frontier_root(&f);
			str_t saved = merkle_frontier_save(&f, a);

			assert_true(merkle_hash_eq(&got, &want));
			got = merkle_root(hashes, n);
			assert_true(merkle_hash_eq(&got, &want));
			assert_int_equal(merkle_frontier_load(n, saved, &loaded), OK);
			got = merkle_frontier_root(&loaded);
			assert_true(merkle_hash_eq(&got, &want));
			if (n % 2 == 0) { /* the next size has one hash more */
				assert_int_equal(merkle_frontier_load(n + 1, saved, &loaded), ERR_SYNTAX);
			}
			next++;
		}
		if (n < 70000) {
			merkle_frontier_append(&f, &hashes[n]);
		}
	}
	assert_int_equal(next, ARRAY_LEN(golden));
	heap_free(hashes);
}

/* One line of proofs.txt: words separated by blanks. */
static size_t words(str_t line, str_t *out, size_t max)
{
	size_t n = 0;

	while (n < max && str_split(&line, ' ', &out[n])) {
		n++;
	}
	return n;
}

static uint64_t number(str_t s)
{
	uint64_t v;

	assert_int_equal(str_to_u64(s, 1000000, &v), OK);
	return v;
}

static size_t proof_words(arena_t *a, const str_t *w, size_t n, merkle_hash_t *out)
{
	if (n == 1 && str_eq(w[0], STR("-"))) {
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		out[i] = vector_hash(a, w[i]);
	}
	return n;
}

static void same_proof(const merkle_proof_t *got, const merkle_hash_t *want, size_t n)
{
	assert_int_equal(got->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(merkle_hash_eq(&got->hash[i], &want[i]));
	}
}

static void check_inclusion(const merkle_hash_t *hashes, uint64_t index, uint64_t size,
			    const merkle_hash_t *want, size_t n)
{
	merkle_array_t array = { hashes, size };
	merkle_source_t src = merkle_array_source(&array);
	merkle_hash_t root = merkle_root(hashes, size);
	merkle_proof_t p;

	assert_int_equal(merkle_inclusion_prove(&src, index, size, &p), OK);
	same_proof(&p, want, n);
	assert_int_equal(merkle_inclusion_length(index, size), n);
	assert_int_equal(merkle_inclusion_verify(index, &hashes[index], size, &root, want, n), OK);
}

static void check_consistency(const merkle_hash_t *hashes, uint64_t old, uint64_t new_,
			      const merkle_hash_t *want, size_t n)
{
	merkle_array_t array = { hashes, new_ };
	merkle_source_t src = merkle_array_source(&array);
	merkle_hash_t old_root = merkle_root(hashes, old), new_root = merkle_root(hashes, new_);
	merkle_proof_t p;

	assert_int_equal(merkle_consistency_prove(&src, old, new_, &p), OK);
	same_proof(&p, want, n);
	assert_int_equal(merkle_consistency_verify(old, &old_root, new_, &new_root, want, n), OK);
}

static void proofs_file(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	merkle_hash_t *hashes = vector_hashes(600);
	str_t text = vector_file(a, "proofs.txt"), line, w[80];
	int roots = 0, inclusions = 0, consistencies = 0;

	(void)state;
	while (str_split(&text, '\n', &line)) {
		merkle_hash_t proof[80];
		size_t n = words(line, w, ARRAY_LEN(w));

		if (n >= 3 && str_eq(w[0], STR("root"))) {
			merkle_hash_t want = vector_hash(a, w[2]);
			merkle_hash_t got = merkle_root(hashes, number(w[1]));

			assert_true(merkle_hash_eq(&got, &want));
			roots++;
		} else if (n >= 4 && str_eq(w[0], STR("incl"))) {
			check_inclusion(hashes, number(w[1]), number(w[2]), proof,
					proof_words(a, w + 3, n - 3, proof));
			inclusions++;
		} else if (n >= 4 && str_eq(w[0], STR("cons"))) {
			check_consistency(hashes, number(w[1]), number(w[2]), proof,
					  proof_words(a, w + 3, n - 3, proof));
			consistencies++;
		}
	}
	print_message("proofs.txt: %d roots, %d inclusion, %d consistency\n", roots, inclusions,
		      consistencies);
	assert_int_equal(roots, 16); /* the file's own totals */
	assert_int_equal(inclusions, 21);
	assert_int_equal(consistencies, 20);
	heap_free(hashes);
}

/* Every proof up to size 40 verifies, and no longer does with one thing changed. */
static void all_small_proofs(void **state)
{
	merkle_hash_t *hashes = vector_hashes(40);

	(void)state;
	for (uint64_t size = 1; size <= 40; size++) {
		merkle_array_t array = { hashes, size };
		merkle_source_t src = merkle_array_source(&array);
		merkle_hash_t root = merkle_root(hashes, size);

		for (uint64_t i = 0; i < size; i++) {
			merkle_proof_t p;

			assert_int_equal(merkle_inclusion_prove(&src, i, size, &p), OK);
			assert_int_equal(merkle_inclusion_verify(i, &hashes[i], size, &root, p.hash, p.n), OK);
			for (uint64_t j = 0; j < size + 2; j++) {
				err_t e = merkle_inclusion_verify(j, &hashes[i], size, &root, p.hash, p.n);

				assert_int_equal(e, j == i ? OK : ERR_PROOF_INVALID);
			}
			if (p.n > 0) {
				assert_int_equal(merkle_inclusion_verify(i, &hashes[i], size, &root,
							p.hash, p.n - 1), ERR_PROOF_INVALID);
				p.hash[p.n / 2].b[7] ^= 0x20;
				assert_int_equal(merkle_inclusion_verify(i, &hashes[i], size, &root,
							p.hash, p.n), ERR_PROOF_INVALID);
			}
		}
		for (uint64_t old = 0; old <= size; old++) {
			merkle_hash_t old_root = merkle_root(hashes, old), other = old_root;
			merkle_proof_t p;

			other.b[0] ^= 1;
			assert_int_equal(merkle_consistency_prove(&src, old, size, &p), OK);
			assert_int_equal(merkle_consistency_verify(old, &old_root, size, &root, p.hash, p.n), OK);
			assert_int_equal(merkle_consistency_verify(old, &other, size, &root, p.hash, p.n),
					 ERR_PROOF_INVALID);
			assert_int_equal(merkle_consistency_verify(old, &old_root, size, &root, p.hash,
					 p.n + 1), ERR_PROOF_INVALID);
		}
	}
	heap_free(hashes);
}

static void forged_paths(void **state)
{
	merkle_hash_t *hashes = vector_hashes(8), root = merkle_root(hashes, 8);
	merkle_array_t array = { hashes, 8 };
	merkle_source_t src = merkle_array_source(&array);
	merkle_proof_t p;

	(void)state;
	/* an empty path proves nothing but the only leaf of size 1 */
	assert_int_equal(merkle_inclusion_verify(0, &root, 8, &root, NULL, 0), ERR_PROOF_INVALID);
	assert_int_equal(merkle_inclusion_verify(7, &root, 8, &root, NULL, 0), ERR_PROOF_INVALID);
	assert_int_equal(merkle_inclusion_verify(0, &hashes[0], 1, &hashes[0], NULL, 0), OK);
	assert_int_equal(merkle_inclusion_verify(0, &root, 0, &root, NULL, 0), ERR_PROOF_INVALID);
	assert_int_equal(merkle_inclusion_verify(1, &root, 1, &root, NULL, 0), ERR_PROOF_INVALID);
	assert_int_equal(merkle_inclusion_prove(&src, 8, 8, &p), ERR_VALUE);
	assert_int_equal(merkle_consistency_prove(&src, 9, 8, &p), ERR_VALUE);
	/* an inner node is no leaf: the domains differ */
	{
		merkle_hash_t inner = merkle_node_hash(&hashes[0], &hashes[1]);

		assert_int_equal(merkle_inclusion_prove(&src, 0, 8, &p), OK);
		assert_int_equal(merkle_inclusion_verify(0, &inner, 4, &root, p.hash + 1, p.n - 1), OK);
		/* ... which is why a size must come out of a checkpoint: 4 never was one here */
	}
	assert_int_equal(merkle_consistency_verify(9, &root, 8, &root, NULL, 0), ERR_PROOF_INVALID);
	assert_int_equal(merkle_consistency_verify(3, &root, 8, &root, NULL, 0), ERR_PROOF_INVALID);
	heap_free(hashes);
}

static void huge_sizes_do_not_overflow(void **state)
{
	merkle_hash_t h = merkle_leaf_hash(STR("x")), path[MERKLE_PROOF_HASHES_MAX] = { 0 };

	(void)state;
	assert_int_equal(merkle_inclusion_length(0, UINT64_MAX), 64);
	assert_int_equal(merkle_inclusion_length(UINT64_MAX - 1, UINT64_MAX), 63);
	assert_int_equal(merkle_inclusion_verify(0, &h, UINT64_MAX, &h, path, 64), ERR_PROOF_INVALID);
	assert_int_equal(merkle_consistency_verify(1, &h, UINT64_MAX, &h, path, 64), ERR_PROOF_INVALID);
	assert_int_equal(merkle_consistency_verify(UINT64_MAX, &h, UINT64_MAX, &h, path, 1),
			 ERR_PROOF_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_at_golden_sizes), cmocka_unit_test(proofs_file),
		cmocka_unit_test(all_small_proofs), cmocka_unit_test(forged_paths),
		cmocka_unit_test(huge_sizes_do_not_overflow),
	};

	return cmocka_run_group_tests_name("merkle_tree", tests, vectors_setup, NULL);
}
