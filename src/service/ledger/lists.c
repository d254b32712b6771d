/* lists.c: two witnesses side by side. The records say under which number each key signed what; the signer's
 * own lists say what it signed. A signature that stands on a list and in no record was made behind the
 * authority's back. The other way round is no fault: a process may die between record and signature. */
#include <stdio.h>
#include <stdlib.h>

#include "service/ledger/ledger_int.h"

typedef struct {
	uint64_t number;
	uint8_t digest[CRYPTO_SHA256_BYTES];
	bool seen;
} claim_t;

typedef struct {
	uint64_t count;
	uint8_t digest[CRYPTO_SHA256_BYTES];
} end_t;

typedef struct {
	char kid[SIGNER_KID_BYTES + 1];
	buf_t claims, ends; /* of claim_t, numbers rising; of end_t, counts rising */
	buf_t entries; /* as they came */
} signed_t;

struct lists {
	signed_t *keys[LEDGER_LISTS_MAX];
	size_t n, last; /* last: where the one before was found */
};

enum { ARRAY_BYTES_MAX = 1 << 30 }; /* 20 million signatures of one key */

lists_t *lists_new(void)
{
	return heap_new(lists_t);
}

void lists_free(lists_t *l)
{
	if (!l) {
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		buf_done(&l->keys[i]->claims);
		buf_done(&l->keys[i]->ends);
		buf_done(&l->keys[i]->entries);
		heap_free(l->keys[i]);
	}
	heap_free(l);
}

static err_t key_get(lists_t *l, str_t kid, signed_t **out)
{
	ENSURE(kid.n == SIGNER_KID_BYTES, ERR_VALUE);
	for (size_t i = 0; i < l->n; i++) {
		size_t at = (l->last + i) % l->n;
		if (str_eq(str_bytes(l->keys[at]->kid, SIGNER_KID_BYTES), kid)) {
			l->last = at;
			*out = l->keys[at];
			return OK;
		}
	}
	ENSURE(l->n < LEDGER_LISTS_MAX, ERR_LIMIT);
	signed_t *k = l->keys[l->n++] = heap_new(signed_t);
	memcpy(k->kid, kid.p, kid.n);
	buf_init(&k->claims, ARRAY_BYTES_MAX);
	buf_init(&k->ends, ARRAY_BYTES_MAX);
	buf_init(&k->entries, ARRAY_BYTES_MAX);
	*out = k;
	return OK;
}

err_t lists_claim(lists_t *l, str_t kid, uint64_t number, const uint8_t digest[CRYPTO_SHA256_BYTES])
{
	claim_t c = { .number = number };
	signed_t *k;

	TRY(key_get(l, kid, &k));
	size_t n = k->claims.n / sizeof(c);
	const claim_t *all = (const claim_t *)(const void *)k->claims.p;
	ENSURE(number > (n ? all[n - 1].number : 0), ERR_LEDGER_DAMAGED); /* drawn in the order of records */
	memcpy(c.digest, digest, sizeof(c.digest));
	buf_add(&k->claims, str_bytes(&c, sizeof(c)));
	return buf_err(&k->claims);
}

err_t lists_attest(lists_t *l, str_t kid, uint64_t count, const uint8_t digest[CRYPTO_SHA256_BYTES])
{
	end_t e = { .count = count };
	signed_t *k;

	TRY(key_get(l, kid, &k));
	size_t n = k->ends.n / sizeof(e);
	const end_t *all = (const end_t *)(const void *)k->ends.p;
	ENSURE(count >= (n ? all[n - 1].count : 0), ERR_LEDGER_DAMAGED); /* a list only grows */
	memcpy(e.digest, digest, sizeof(e.digest));
	buf_add(&k->ends, str_bytes(&e, sizeof(e)));
	return buf_err(&k->ends);
}

err_t lists_entries(lists_t *l, str_t kid, uint64_t from, str_t entries)
{
	signed_t *k;

	TRY(key_get(l, kid, &k));
	ENSURE(entries.n > 0 && entries.n % LINE_ENTRY_BYTES == 0, ERR_VALUE);
	ENSURE(from == k->entries.n / LINE_ENTRY_BYTES, ERR_LEDGER_DAMAGED);
	buf_add(&k->entries, entries);
	return buf_err(&k->entries);
}

/* ---- what records say ---- */

static err_t digest_get(const json_t *node, uint8_t out[CRYPTO_SHA256_BYTES])
{
	str_t text;

	TRY(json_str(node, &text));
	ENSURE(str_starts(text, STR("sha-256:")), ERR_VALUE);
	return hex_dec_exact(str_sub(text, 8, text.n), out, CRYPTO_SHA256_BYTES);
}

static err_t ends_read(lists_t *l, const json_t *lists)
{
	for (const json_t *i = json_first(lists); i; i = json_next(i)) {
		uint8_t digest[CRYPTO_SHA256_BYTES];
		uint64_t count;
		str_t kid;

		TRY(json_need_str(i, STR("kid"), SIGNER_KID_BYTES, &kid));
		TRY(json_need_u64(i, STR("count"), JSON_SAFE_INT_MAX, &count));
		TRY(digest_get(json_get(i, STR("digest")), digest));
		TRY(lists_attest(l, kid, count, digest));
	}
	return OK;
}

err_t lists_record(lists_t *l, arena_t *a, const json_t *leaf, lists_head_text_t *head_text, void *self)
{
	const json_t *sign = json_get(leaf, STR("sign")), *lists = json_get(leaf, STR("lists"));
	bool is_head = json_is_str(json_get(leaf, STR("type")), STR("signer.head"));
	uint8_t digest[CRYPTO_SHA256_BYTES];
	uint64_t number;
	str_t kid;

	if (is_head) {
		TRY(ends_read(l, lists));
	}
	if (!sign) {
		return OK;
	}
	TRY(json_need_str(sign, STR("kid"), SIGNER_KID_BYTES, &kid));
	TRY(json_need_u64(sign, STR("n"), JSON_SAFE_INT_MAX, &number));
	if (is_head) {
		crypto_sha256(head_text(self, a), digest);
	} else {
		TRY(digest_get(json_get(sign, STR("digest")), digest));
	}
	return lists_claim(l, kid, number, digest);
}

/* ---- side by side ---- */

static int number_order(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = ((const claim_t *)y)->number;

	return a < b ? -1 : a > b;
}

static err_t fault(const signed_t *k, uint64_t number, const char *what, char *why, size_t why_size)
{
	if (number) {
		(void)snprintf(why, why_size, "signature %llu of key %s %s", (unsigned long long)number, k->kid, what);
	} else {
		(void)snprintf(why, why_size, "the signer's list of key %s %s", k->kid, what);
	}
	return ERR_LEDGER_DAMAGED;
}

static err_t entry_check(signed_t *k, const signer_entry_t *e, char *why, size_t why_size)
{
	claim_t *claims = (claim_t *)(void *)k->claims.p;
	claim_t *c = k->claims.n ? bsearch(&e->number, claims, k->claims.n / sizeof(*claims), sizeof(*claims), number_order) : NULL;

	if (!c) {
		return fault(k, e->number, "has no record", why, why_size);
	}
	if (c->seen) {
		return fault(k, e->number, "was made twice", why, why_size);
	}
	if (!ct_eq(c->digest, e->digest, sizeof(c->digest))) {
		return fault(k, e->number, "is of something else than its record", why, why_size);
	}
	c->seen = true;
	return OK;
}

/* Every end that a record names must be on the chain; the list goes exactly as far as the last one. */
static err_t ends_check(const signed_t *k, uint64_t count, const uint8_t digest[CRYPTO_SHA256_BYTES], size_t *at, char *why,
	size_t why_size)
{
	const end_t *ends = (const end_t *)(const void *)k->ends.p;

	for (; *at < k->ends.n / sizeof(*ends) && ends[*at].count == count; (*at)++) {
		if (!ct_eq(ends[*at].digest, digest, CRYPTO_SHA256_BYTES)) {
			return fault(k, 0, "is not the one that the records name", why, why_size);
		}
	}
	return OK;
}

static err_t key_check(signed_t *k, uint64_t *signatures, char *why, size_t why_size)
{
	rd_t r = rd_of(buf_str(&k->entries));
	uint8_t digest[CRYPTO_SHA256_BYTES];
	uint64_t count = 0;
	size_t at = 0;

	signer_chain_begin(str_of(k->kid), digest);
	TRY(ends_check(k, count, digest, &at, why, why_size));
	while (!rd_empty(&r)) {
		signer_entry_t e;
		str_t bytes;

		TRY(rd_u64be(&r, &e.number));
		TRY(rd_bytes(&r, sizeof(e.digest), &bytes));
		memcpy(e.digest, bytes.p, bytes.n);
		TRY(entry_check(k, &e, why, why_size));
		signer_chain_add(digest, &e);
		count++;
		TRY(ends_check(k, count, digest, &at, why, why_size));
	}
	if (at < k->ends.n / sizeof(end_t)) {
		return fault(k, 0, "is shorter than the records say", why, why_size);
	}
	*signatures += count;
	return OK;
}

err_t lists_check(lists_t *l, uint64_t *out_signatures, char *why, size_t why_size)
{
	uint64_t signatures = 0;

	for (size_t i = 0; i < l->n; i++) {
		TRY(key_check(l->keys[i], &signatures, why, why_size));
	}
	*out_signatures = signatures;
	return OK;
}
