/* mem.h: memory by lifetime. arena_t for a request, slots of a guarded slab for secrets, and the only
 * bare allocation in the house. Small allocations never fail (we abort); what a peer sizes is bounded
 * first. Threads: an arena belongs to one thread at a time; the slab is locked inside. */
#ifndef ATTORN_BASE_MEM_H
#define ATTORN_BASE_MEM_H

#include "pure/base/str.h"

/* Bump allocator; the first 8 KiB lie in its first chunk. Wiped when reset or freed. */
typedef struct arena arena_t;
enum { ARENA_CAP_DEFAULT = 1 << 20 }; /* one request: more is ERR_LIMIT, or abort for small parts */
arena_t *arena_new_capped(size_t cap_bytes);
static inline arena_t *arena_open(void) { return arena_new_capped(ARENA_CAP_DEFAULT); }
void arena_free(arena_t *a); /* runs deferred calls, newest first; accepts NULL */
void arena_reset(arena_t *a);
DEFINE_AUTO(arena_t *, arena_free);

/* Zeroed memory aligned for anything; n must be small and ours (<= 64 KiB), else CHECK fails.
 * Small allocations ignore the cap up to a reserve of 64 KiB above it, then abort. */
void *arena_alloc(arena_t *a, size_t n);
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc_array((a), sizeof(type), (count)))
void *arena_alloc_array(arena_t *a, size_t size, size_t count);
/* Memory whose size a peer chose: ERR_LIMIT at the cap. */
MUST err_t arena_try(arena_t *a, size_t n, void **out);
#define arena_try_array(a, type, count, out) arena_try_n((a), sizeof(type), (count), (void **)(out))
MUST err_t arena_try_n(arena_t *a, size_t size, size_t count, void **out);
/* Copies; ERR_LIMIT at the cap. */
MUST err_t arena_dup(arena_t *a, str_t s, str_t *out);
/* Copies a small string of ours or of bounded size (<= 64 KiB). */
str_t arena_str(arena_t *a, str_t s);
str_t arena_printf(arena_t *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NUL-terminated copy for a library; ERR_SYNTAX when s holds a NUL. */
MUST err_t arena_cstr(arena_t *a, str_t s, const char **out);
/* Concatenation of up to 8 pieces: arena_cat(a, STR("a"), b, c). */
#define arena_cat(a, ...)                                                                          \
	arena_cat_n((a), (const str_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const str_t[]){ __VA_ARGS__ })))
str_t arena_cat_n(arena_t *a, const str_t *parts, size_t n);
/* Calls fn(p) when the arena goes. */
void arena_defer(arena_t *a, void (*fn)(void *), void *p);

/* Long-lived objects on the heap: zeroed, never NULL (abort). */
void *heap_alloc(size_t n);
#define heap_new(type) ((type *)heap_alloc(sizeof(type)))
void *heap_realloc(void *p, size_t n);
void heap_free(void *p);
static inline void heap_free_auto_(void *pp) { heap_free(*(void **)pp); }
char *heap_cstr(str_t s); /* NUL-terminated copy; CHECKs that s holds no NUL */

/* A secret: one slot of a guarded, locked slab; zeroed on release; nothing prints it. Value type:
 * pass by pointer, one owner. A zeroed secret_t is empty. */
enum { SECRET_BYTES_MAX = 4096 };
typedef struct {
	uint8_t *p;
	size_t n;
} secret_t;
/* Takes a slot of n <= SECRET_BYTES_MAX bytes, zeroed; ERR_LIMIT when the slab is full. */
MUST err_t secret_new(size_t n, secret_t *out);
MUST err_t secret_from(str_t bytes, secret_t *out);
void secret_done(secret_t *s); /* accepts an empty one */
static inline void secret_done_auto_(secret_t *s) { secret_done(s); }
static inline str_t secret_peek(const secret_t *s) { return (str_t){ (const char *)s->p, s->n }; }
/* Overwrites memory that held a secret; not optimised away. */
void wipe(void *p, size_t n);

#endif
