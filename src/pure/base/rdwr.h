/* rdwr.h: all parsing goes through rd_t, all binary building through wr_t. A failed read consumes
 * nothing and returns ERR_SYNTAX (short or wrong) or ERR_LIMIT (longer than the given bound). */
#ifndef ATTORN_BASE_RDWR_H
#define ATTORN_BASE_RDWR_H

#include "pure/base/str.h"

typedef struct {
	const char *p, *end;
} rd_t;
static inline rd_t rd_of(str_t s) { return (rd_t){ s.p, s.p ? s.p + s.n : s.p }; }
static inline size_t rd_left(const rd_t *r) { return (size_t)(r->end - r->p); }
static inline bool rd_empty(const rd_t *r) { return r->p == r->end; }
/* Next byte without consuming, or -1 at the end. */
static inline int rd_peek(const rd_t *r) { return r->p == r->end ? -1 : (unsigned char)*r->p; }
MUST err_t rd_byte(rd_t *r, uint8_t *out);
MUST err_t rd_bytes(rd_t *r, size_t n, str_t *out);
MUST err_t rd_lit(rd_t *r, str_t lit); /* exactly these bytes */
/* Up to and without `stop`, which is consumed; ERR_SYNTAX if absent, ERR_LIMIT above max. */
MUST err_t rd_until(rd_t *r, char stop, size_t max, str_t *out);
MUST err_t rd_rest(rd_t *r, size_t max, str_t *out);
/* Longest run of bytes for which `is` holds; at least min, at most max bytes. */
MUST err_t rd_while(rd_t *r, bool (*is)(unsigned char), size_t min, size_t max, str_t *out);
MUST err_t rd_u16be(rd_t *r, uint16_t *out);
MUST err_t rd_u32be(rd_t *r, uint32_t *out);
MUST err_t rd_u64be(rd_t *r, uint64_t *out);
/* Decimal digits without leading zeros, at most max. */
MUST err_t rd_decimal(rd_t *r, uint64_t max, uint64_t *out);
static inline MUST err_t rd_end(const rd_t *r) { return rd_empty(r) ? OK : ERR_SYNTAX; }

/* Big-endian writer over a buf_t; overflow is remembered by the buffer. */
void wr_u8(buf_t *b, uint8_t v);
void wr_u16be(buf_t *b, uint16_t v);
void wr_u32be(buf_t *b, uint32_t v);
void wr_u64be(buf_t *b, uint64_t v);

#endif
