/* vectors.h: the golden log of tests/vectors/ledger, regenerated, and its files. */
#ifndef TEST_MERKLE_VECTORS_H
#define TEST_MERKLE_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"
#include "pure/merkle/merkle.h"

/* Entry i of the golden log. */
static inline str_t vector_leaf(arena_t *a, uint64_t i)
{
	char pad[50];

	for (size_t k = 0; k < sizeof(pad); k++) {
		pad[k] = 'x';
	}
	return arena_printf(a, "{\"v\":1,\"i\":%llu,\"pad\":\"%.*s\"}", (unsigned long long)i,
			    (int)(i % 50), pad);
}

/* Hashes of the first n leaves, on the heap. */
static inline merkle_hash_t *vector_hashes(uint64_t n)
{
	arena_t *a = arena_open();
	merkle_hash_t *h = heap_alloc((size_t)(n ? n : 1) * sizeof(*h));

	for (uint64_t i = 0; i < n; i++) {
		h[i] = merkle_leaf_hash(vector_leaf(a, i));
		arena_reset(a);
	}
	arena_free(a);
	return h;
}

static inline str_t vector_file(arena_t *a, const char *name)
{
	const char *root = getenv("ATTORN_ROOT");
	str_t path = arena_printf(a, "%s/tests/vectors/ledger/%s", root ? root : ".", name);
	const char *cpath;
	char *p;
	size_t n;
	FILE *f;

	assert_int_equal(arena_cstr(a, path, &cpath), OK);
	f = fopen(cpath, "rb");
	assert_non_null(f);
	p = arena_alloc(a, 60000);
	n = fread(p, 1, 60000, f);
	fclose(f);
	return str_bytes(p, n);
}

static inline merkle_hash_t vector_hash(arena_t *a, str_t b64)
{
	merkle_hash_t h;
	str_t bytes;

	assert_int_equal(b64_dec(a, b64, MERKLE_HASH_BYTES, &bytes), OK);
	assert_int_equal(merkle_hash_from(bytes, &h), OK);
	return h;
}

static inline int vectors_setup(void **state)
{
	(void)state;
	return crypto_init() == OK ? 0 : -1;
}

#endif
