/* der.c: DER elements read and written (X.690 8, 10). Reading never recurses: callers descend by hand. */
#include "pure/x509/x509_int.h"

/* X.690 10.1: definite, in as few bytes as possible; three length bytes hold more than we accept. */
static err_t length_read(rd_t *r, size_t max, size_t *out)
{
	uint8_t first, byte;
	size_t n = 0;

	TRY(rd_byte(r, &first));
	if (first < 0x80) {
		*out = first;
		return first <= max ? OK : ERR_LIMIT;
	}
	size_t bytes = first & 0x7f;
	ENSURE(bytes >= 1 && bytes <= 4, bytes ? ERR_LIMIT : ERR_SYNTAX);
	for (size_t i = 0; i < bytes; i++) {
		TRY(rd_byte(r, &byte));
		ENSURE(i > 0 || byte != 0, ERR_SYNTAX);
		n = n << 8 | byte;
	}
	ENSURE(n >= 0x80, ERR_SYNTAX);
	ENSURE(n <= max, ERR_LIMIT);
	*out = n;
	return OK;
}

MUST err_t der_read(rd_t *r, uint8_t tag, size_t max, der_t *out)
{
	rd_t at = *r;
	der_t d = { 0 };
	size_t n = 0;

	TRY(rd_byte(&at, &d.tag));
	ENSURE(tag == DER_ANY || d.tag == tag, ERR_SYNTAX);
	ENSURE((d.tag & 0x1f) != 0x1f, ERR_SYNTAX); /* no structure of ours has a tag above 30 */
	TRY(length_read(&at, max, &n));
	TRY(rd_bytes(&at, n, &d.content));
	d.whole = str_bytes(r->p, (size_t)(at.p - r->p));
	*r = at;
	*out = d;
	return OK;
}

MUST err_t der_only(str_t bytes, uint8_t tag, size_t max, rd_t *out_inside)
{
	rd_t r = rd_of(bytes);
	der_t d;

	TRY(der_read(&r, tag, max, &d));
	TRY(rd_end(&r));
	*out_inside = rd_of(d.content);
	return OK;
}

MUST err_t der_read_unsigned(rd_t *r, size_t max, str_t *out)
{
	rd_t at = *r;
	der_t d;

	TRY(der_read(&at, DER_INTEGER, max + 1, &d));
	ENSURE(d.content.n > 0, ERR_SYNTAX);
	uint8_t top = (uint8_t)d.content.p[0];
	ENSURE(top < 0x80, ERR_SYNTAX); /* negative */
	if (top == 0 && d.content.n > 1) {
		ENSURE((uint8_t)d.content.p[1] >= 0x80, ERR_SYNTAX); /* X.690 8.3.2 */
		d.content = str_sub(d.content, 1, d.content.n);
	}
	ENSURE(d.content.n <= max, ERR_LIMIT);
	*r = at;
	*out = d.content;
	return OK;
}

MUST err_t der_read_bits(rd_t *r, size_t max, str_t *out)
{
	rd_t at = *r;
	der_t d;

	TRY(der_read(&at, DER_BIT_STRING, max + 1, &d));
	ENSURE(d.content.n > 0 && d.content.p[0] == 0, ERR_SYNTAX);
	*r = at;
	*out = str_sub(d.content, 1, d.content.n);
	return OK;
}

/* --- writing ------------------------------------------------------------------------------------ */

size_t der_open(buf_t *b, uint8_t tag)
{
	wr_u8(b, tag);
	wr_u8(b, 0);
	return b->n;
}

void der_close(buf_t *b, size_t mark)
{
	char *room;

	if (b->overflow) {
		return;
	}
	CHECK(mark >= 2 && mark <= b->n);
	size_t n = b->n - mark;
	size_t extra = n < 0x80 ? 0 : n < 0x100 ? 1 : 2;
	CHECK(n <= 0xffff);
	if (buf_room(b, extra, &room) != OK) {
		b->overflow = true;
		return;
	}
	memmove(b->p + mark + extra, b->p + mark, n);
	buf_grew(b, extra);
	if (extra == 0) {
		b->p[mark - 1] = (char)n;
		return;
	}
	b->p[mark - 1] = (char)(0x80 + extra);
	b->p[mark + extra - 1] = (char)(n & 0xff);
	if (extra == 2) {
		b->p[mark] = (char)(n >> 8);
	}
}

void der_add(buf_t *b, uint8_t tag, str_t content)
{
	size_t at = der_open(b, tag);

	buf_add(b, content);
	der_close(b, at);
}

void der_add_unsigned(buf_t *b, str_t big_endian)
{
	size_t at = der_open(b, DER_INTEGER);

	while (big_endian.n > 1 && big_endian.p[0] == 0) {
		big_endian = str_sub(big_endian, 1, big_endian.n);
	}
	if ((uint8_t)big_endian.p[0] >= 0x80) {
		wr_u8(b, 0);
	}
	buf_add(b, big_endian);
	der_close(b, at);
}

void der_add_bits(buf_t *b, str_t bytes)
{
	size_t at = der_open(b, DER_BIT_STRING);

	wr_u8(b, 0);
	buf_add(b, bytes);
	der_close(b, at);
}
