/* buf.c: growable bytes with a hard maximum. */
#include <stdarg.h>
#include <stdio.h>

#include "pure/base/base.h"

enum { BUF_FIRST_BYTES = 256 };

void buf_init(buf_t *b, size_t max)
{
	*b = (buf_t){ .max = max };
}

void buf_done(buf_t *b)
{
	heap_free(b->p);
	*b = (buf_t){ .max = b->max };
}

void buf_wipe(buf_t *b)
{
	if (b->p) {
		wipe(b->p, b->cap);
	}
	buf_done(b);
}

err_t buf_err(const buf_t *b)
{
	return b->overflow ? ERR_LIMIT : OK;
}

static bool buf_reserve(buf_t *b, size_t more)
{
	size_t need;

	if (!add_ok(b->n, more, &need) || need > b->max) {
		b->overflow = true;
		return false;
	}
	if (need <= b->cap) {
		return true;
	}
	size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
	while (cap < need) {
		cap *= 2;
	}
	cap = cap < b->max ? cap : b->max;
	b->p = heap_realloc(b->p, cap);
	b->cap = cap;
	return true;
}

void buf_add(buf_t *b, str_t s)
{
	if (s.n && buf_reserve(b, s.n)) {
		memcpy(b->p + b->n, s.p, s.n);
		b->n += s.n;
	}
}

void buf_byte(buf_t *b, char c)
{
	buf_add(b, (str_t){ &c, 1 });
}

void buf_printf(buf_t *b, const char *fmt, ...)
{
	char small[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	if ((size_t)n < sizeof(small)) {
		buf_add(b, (str_t){ small, (size_t)n });
		return;
	}
	if (!buf_reserve(b, (size_t)n + 1)) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void buf_drop(buf_t *b, size_t n)
{
	CHECK(n <= b->n);
	if (n && n < b->n) {
		memmove(b->p, b->p + n, b->n - n);
	}
	b->n -= n;
}

err_t buf_room(buf_t *b, size_t n, char **out)
{
	ENSURE(buf_reserve(b, n), ERR_LIMIT);
	*out = b->p + b->n;
	return OK;
}

void wr_u8(buf_t *b, uint8_t v)
{
	buf_byte(b, (char)v);
}

void wr_u16be(buf_t *b, uint16_t v)
{
	wr_u8(b, (uint8_t)(v >> 8));
	wr_u8(b, (uint8_t)v);
}

void wr_u32be(buf_t *b, uint32_t v)
{
	wr_u16be(b, (uint16_t)(v >> 16));
	wr_u16be(b, (uint16_t)v);
}

void wr_u64be(buf_t *b, uint64_t v)
{
	wr_u32be(b, (uint32_t)(v >> 32));
	wr_u32be(b, (uint32_t)v);
}
