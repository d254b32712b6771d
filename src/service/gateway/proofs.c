/* proofs.c: two halves of a memory: the younger takes, both are asked, the older is forgotten whole when
 * everything in it is past its window. */
#include "pure/crypto/crypto.h"
#include "service/gateway/proofs.h"

typedef struct {
	uint8_t b[16]; /* of a SHA-256: nobody finds two proofs that collide */
} mark_t;

typedef struct {
	mark_t *slots; /* open addressing; a zero mark is a free slot */
	size_t n;
	int64_t since_s;
} half_t;

struct proofs {
	int64_t window_s;
	size_t count_max, n_slots;
	half_t young, old;
};

proofs_t *proofs_new(int64_t window_s, size_t count_max)
{
	proofs_t *p = heap_new(proofs_t);

	p->window_s = window_s;
	p->count_max = count_max;
	p->n_slots = 1;
	while (p->n_slots < count_max + count_max / 4) {
		p->n_slots *= 2; /* always a free slot, so that a search ends */
	}
	p->young.slots = heap_alloc(p->n_slots * sizeof(mark_t));
	p->old.slots = heap_alloc(p->n_slots * sizeof(mark_t));
	return p;
}

void proofs_free(proofs_t *p)
{
	if (!p) {
		return;
	}
	heap_free(p->young.slots);
	heap_free(p->old.slots);
	heap_free(p);
}

static mark_t mark_of(str_t jkt, str_t jti)
{
	const str_t parts[] = { jkt, STR("\n"), jti }; /* jkt is base64url: no line feed in it */
	uint8_t h[CRYPTO_SHA256_BYTES];
	mark_t m;

	crypto_sha256_parts(parts, ARRAY_LEN(parts), h);
	memcpy(m.b, h, sizeof(m.b));
	m.b[0] |= 1; /* never the free mark */
	return m;
}

static mark_t *slot_of(const proofs_t *p, const half_t *h, const mark_t *m)
{
	static const mark_t none;
	size_t at = 0;

	memcpy(&at, m->b + 8, sizeof(at));
	for (at &= p->n_slots - 1;; at = (at + 1) & (p->n_slots - 1)) {
		mark_t *s = &h->slots[at];
		if (ct_eq(s, m, sizeof(*m)) || ct_eq(s, &none, sizeof(none))) {
			return s;
		}
	}
}

static bool half_has(const proofs_t *p, const half_t *h, const mark_t *m)
{
	return h->n > 0 && slot_of(p, h, m)->b[0] != 0;
}

/* A proof is good for window_s; what is in `old` was put there more than window_s ago after two turns. */
static void proofs_turn(proofs_t *p, int64_t now_s)
{
	if (now_s - p->young.since_s < p->window_s) {
		return;
	}
	half_t empty = p->old;
	if (empty.n > 0) {
		memset(empty.slots, 0, p->n_slots * sizeof(mark_t));
	}
	empty.n = 0;
	empty.since_s = now_s;
	p->old = p->young;
	p->young = empty;
}

err_t proofs_take(proofs_t *p, str_t jkt, str_t jti, int64_t now_unix_s)
{
	mark_t m = mark_of(jkt, jti);

	proofs_turn(p, now_unix_s);
	ENSURE(!half_has(p, &p->young, &m) && !half_has(p, &p->old, &m), ERR_REPLAY);
	ENSURE(p->young.n < p->count_max, ERR_THROTTLED);
	*slot_of(p, &p->young, &m) = m;
	p->young.n++;
	return OK;
}
