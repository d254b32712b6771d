/* arena.c: bump allocation by lifetime. Chunks are wiped when they go. */
#include <stdarg.h>
#include <stdio.h>

#include "pure/base/base.h"

enum {
	CHUNK_FIRST_BYTES = 8 << 10,
	CHUNK_BYTES = 32 << 10,
	SMALL_BYTES_MAX = 64 << 10, /* what we allocate without asking */
	RESERVE_BYTES = 64 << 10, /* above the cap, for small parts of an error answer */
	ALIGN = 16,
};

typedef struct chunk {
	struct chunk *next;
	size_t cap, used;
	char bytes[] __attribute__((aligned(ALIGN)));
} chunk_t;

typedef struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *p;
} deferred_t;

struct arena {
	chunk_t *chunks; /* newest first */
	deferred_t *deferred;
	size_t total, cap;
};

static void chunk_add(arena_t *a, size_t cap)
{
	chunk_t *c = heap_alloc(sizeof(*c) + cap);

	c->cap = cap;
	c->next = a->chunks;
	a->chunks = c;
}

arena_t *arena_new_capped(size_t cap_bytes)
{
	arena_t *a = heap_new(arena_t);

	a->cap = cap_bytes;
	chunk_add(a, CHUNK_FIRST_BYTES);
	return a;
}

static void run_deferred(arena_t *a)
{
	while (a->deferred) {
		deferred_t *d = a->deferred;
		a->deferred = d->next;
		d->fn(d->p);
	}
}

void arena_reset(arena_t *a)
{
	run_deferred(a);
	while (a->chunks->next) {
		chunk_t *c = a->chunks;
		a->chunks = c->next;
		wipe(c->bytes, c->used);
		heap_free(c);
	}
	wipe(a->chunks->bytes, a->chunks->used);
	a->chunks->used = 0;
	a->total = 0;
}

void arena_free(arena_t *a)
{
	if (!a) {
		return;
	}
	arena_reset(a);
	heap_free(a->chunks);
	heap_free(a);
}

static void *take(arena_t *a, size_t n)
{
	size_t padded = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	chunk_t *c = a->chunks;

	if (c->cap - c->used < padded) {
		chunk_add(a, padded > CHUNK_BYTES / 4 ? padded : CHUNK_BYTES);
		c = a->chunks;
	}
	void *p = c->bytes + c->used;
	c->used += padded;
	a->total += padded;
	return p;
}

void *arena_alloc(arena_t *a, size_t n)
{
	CHECK(n <= SMALL_BYTES_MAX);
	CHECK(a->total + n <= a->cap + RESERVE_BYTES);
	return take(a, n);
}

void *arena_alloc_array(arena_t *a, size_t size, size_t count)
{
	size_t n;

	CHECK(mul_ok(size, count, &n));
	return arena_alloc(a, n);
}

err_t arena_try(arena_t *a, size_t n, void **out)
{
	ENSURE(a->total <= a->cap && n <= a->cap - a->total, ERR_LIMIT);
	*out = take(a, n);
	return OK;
}

err_t arena_try_n(arena_t *a, size_t size, size_t count, void **out)
{
	size_t n;

	ENSURE(mul_ok(size, count, &n), ERR_LIMIT);
	return arena_try(a, n, out);
}

err_t arena_dup(arena_t *a, str_t s, str_t *out)
{
	void *p;

	TRY(arena_try(a, s.n, &p));
	if (s.n) {
		memcpy(p, s.p, s.n);
	}
	*out = (str_t){ p, s.n };
	return OK;
}

str_t arena_str(arena_t *a, str_t s)
{
	char *p = arena_alloc(a, s.n);

	if (s.n) {
		memcpy(p, s.p, s.n);
	}
	return (str_t){ p, s.n };
}

str_t arena_printf(arena_t *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	char *p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (str_t){ p, (size_t)n };
}

err_t arena_cstr(arena_t *a, str_t s, const char **out)
{
	void *p;

	ENSURE(!str_has_nul(s), ERR_SYNTAX);
	TRY(arena_try(a, s.n + 1, &p));
	if (s.n) {
		memcpy(p, s.p, s.n);
	}
	((char *)p)[s.n] = '\0';
	*out = p;
	return OK;
}

str_t arena_cat_n(arena_t *a, const str_t *parts, size_t n)
{
	size_t total = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		total += parts[i].n;
	}
	char *p = arena_alloc(a, total);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n) {
			memcpy(p + at, parts[i].p, parts[i].n);
		}
		at += parts[i].n;
	}
	return (str_t){ p, total };
}

void arena_defer(arena_t *a, void (*fn)(void *), void *p)
{
	deferred_t *d = arena_new(a, deferred_t);

	*d = (deferred_t){ a->deferred, fn, p };
	a->deferred = d;
}
