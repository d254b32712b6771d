/* json_sort.c: members in order, and repeated keys. */
#include "pure/codec/codec_int.h"

void json_sort(const json_t **v, const json_t **spare, uint32_t n, json_order_t *order)
{
	for (uint32_t width = 1; width < n; width *= 2) {
		for (uint32_t low = 0; low < n; low += 2 * width) {
			uint32_t mid = n - low > width ? low + width : n;
			uint32_t high = n - low > 2 * width ? low + 2 * width : n;
			uint32_t i = low, j = mid;
			for (uint32_t k = low; k < high; k++) {
				bool left = i < mid && (j == high || order(v[i], v[j]) <= 0);
				spare[k] = left ? v[i++] : v[j++];
			}
		}
		memcpy(v, spare, n * sizeof(*v));
	}
}

/* Any total order finds equals; length first is the cheapest. */
static int by_length(const json_t *x, const json_t *y)
{
	if (x->key_n != y->key_n) {
		return x->key_n < y->key_n ? -1 : 1;
	}
	return x->key_n ? __builtin_memcmp(x->key_p, y->key_p, x->key_n) : 0;
}

static const json_t *repeated_pairwise(const json_t *obj)
{
	for (const json_t *x = json_first(obj); x; x = json_next(x)) {
		for (const json_t *y = json_first(obj); y != x; y = json_next(y)) {
			if (x->key_n == y->key_n && by_length(x, y) == 0) {
				return x;
			}
		}
	}
	return NULL;
}

/* A hash would need a secret to be safe from chosen keys; sorting is n log n for everyone. */
static const json_t *repeated_sorted(const json_t *obj)
{
	AUTO(heap_free) const json_t **v = heap_alloc(2 * (size_t)obj->count * sizeof(*v));
	uint32_t n = 0;

	for (const json_t *x = json_first(obj); x; x = json_next(x)) {
		v[n++] = x;
	}
	json_sort(v, v + n, n, by_length);
	for (uint32_t i = 1; i < n; i++) {
		if (by_length(v[i - 1], v[i]) == 0) {
			return v[i];
		}
	}
	return NULL;
}

const json_t *json_repeated(const json_t *obj)
{
	return obj->count <= JSON_PAIRWISE_KEYS ? repeated_pairwise(obj) : repeated_sorted(obj);
}
