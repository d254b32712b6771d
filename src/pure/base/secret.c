/* secret.c: one guarded, locked slab per process, cut into slots of two sizes. A sodium_malloc per
 * secret would cost four pages each (1,000 of them 8 MB), so slots share the guard pages. */
#include <pthread.h>
#include <sodium.h>

#include "pure/base/base.h"

enum {
	SLOT_SMALL_BYTES = 128,
	SLOT_SMALL_COUNT = 1024,
	SLOT_LARGE_BYTES = SECRET_BYTES_MAX,
	SLOT_LARGE_COUNT = 64,
};

typedef struct {
	uint8_t *bytes;
	size_t slot_bytes, count;
	bool used[SLOT_SMALL_COUNT];
} pool_t;

static struct {
	pthread_mutex_t lock; /* lanes and loop both hold secrets; held for a scan of `used` only */
	pool_t small, large;
} slab = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void pool_open(pool_t *p, size_t slot_bytes, size_t count)
{
	p->slot_bytes = slot_bytes;
	p->count = count;
	p->bytes = sodium_allocarray(count, slot_bytes);
	CHECK(p->bytes != NULL);
}

static void slab_open(void)
{
	if (slab.small.bytes) {
		return;
	}
	CHECK(sodium_init() >= 0);
	pool_open(&slab.small, SLOT_SMALL_BYTES, SLOT_SMALL_COUNT);
	pool_open(&slab.large, SLOT_LARGE_BYTES, SLOT_LARGE_COUNT);
}

static uint8_t *pool_take(pool_t *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (!p->used[i]) {
			p->used[i] = true;
			return p->bytes + i * p->slot_bytes;
		}
	}
	return NULL;
}

err_t secret_new(size_t n, secret_t *out)
{
	ENSURE(n <= SECRET_BYTES_MAX, ERR_LIMIT);
	pthread_mutex_lock(&slab.lock);
	slab_open();
	uint8_t *p = pool_take(n <= SLOT_SMALL_BYTES ? &slab.small : &slab.large);
	pthread_mutex_unlock(&slab.lock);
	ENSURE(p, ERR_LIMIT);
	wipe(p, n);
	*out = (secret_t){ p, n };
	return OK;
}

err_t secret_from(str_t bytes, secret_t *out)
{
	TRY(secret_new(bytes.n, out));
	if (bytes.n) {
		memcpy(out->p, bytes.p, bytes.n);
	}
	return OK;
}

static bool pool_give(pool_t *p, uint8_t *slot)
{
	if (slot < p->bytes || slot >= p->bytes + p->count * p->slot_bytes) {
		return false;
	}
	wipe(slot, p->slot_bytes);
	p->used[(size_t)(slot - p->bytes) / p->slot_bytes] = false;
	return true;
}

void secret_done(secret_t *s)
{
	if (!s->p) {
		return;
	}
	pthread_mutex_lock(&slab.lock);
	CHECK(pool_give(&slab.small, s->p) || pool_give(&slab.large, s->p));
	pthread_mutex_unlock(&slab.lock);
	*s = (secret_t){ 0 };
}
