/* heap.c: the only bare malloc and free in the house. Running out of memory ends the process: no
 * caller has a better answer, and every size a peer chose was bounded before it came here. */
#include <stdlib.h>

#include "pure/base/base.h"

void *heap_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	CHECK(p != NULL);
	return p;
}

void *heap_realloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);

	CHECK(q != NULL);
	return q;
}

void heap_free(void *p)
{
	free(p);
}

char *heap_cstr(str_t s)
{
	CHECK(!str_has_nul(s));
	char *p = heap_alloc(s.n + 1);

	if (s.n) {
		memcpy(p, s.p, s.n);
	}
	return p;
}

void wipe(void *p, size_t n)
{
	if (n) { /* an empty text may be no pointer */
		explicit_bzero(p, n);
	}
}
