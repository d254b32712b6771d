/* rd.c: the reader. A failed read consumes nothing. */
#include "pure/base/base.h"

err_t rd_byte(rd_t *r, uint8_t *out)
{
	ENSURE(!rd_empty(r), ERR_SYNTAX);
	*out = (uint8_t)*r->p++;
	return OK;
}

err_t rd_bytes(rd_t *r, size_t n, str_t *out)
{
	ENSURE(rd_left(r) >= n, ERR_SYNTAX);
	*out = (str_t){ r->p, n };
	r->p += n;
	return OK;
}

err_t rd_lit(rd_t *r, str_t lit)
{
	ENSURE(rd_left(r) >= lit.n && str_eq((str_t){ r->p, lit.n }, lit), ERR_SYNTAX);
	r->p += lit.n;
	return OK;
}

err_t rd_until(rd_t *r, char stop, size_t max, str_t *out)
{
	str_t left = { r->p, rd_left(r) };
	size_t at = str_find(left, stop);

	ENSURE(at < left.n, ERR_SYNTAX);
	ENSURE(at <= max, ERR_LIMIT);
	*out = str_sub(left, 0, at);
	r->p += at + 1;
	return OK;
}

err_t rd_rest(rd_t *r, size_t max, str_t *out)
{
	ENSURE(rd_left(r) <= max, ERR_LIMIT);
	*out = (str_t){ r->p, rd_left(r) };
	r->p = r->end;
	return OK;
}

err_t rd_while(rd_t *r, bool (*is)(unsigned char), size_t min, size_t max, str_t *out)
{
	size_t n = 0, left = rd_left(r);

	while (n < left && is((unsigned char)r->p[n])) {
		n++;
	}
	ENSURE(n >= min, ERR_SYNTAX);
	ENSURE(n <= max, ERR_LIMIT);
	*out = (str_t){ r->p, n };
	r->p += n;
	return OK;
}

static err_t rd_big_endian(rd_t *r, size_t n, uint64_t *out)
{
	str_t s;
	uint64_t v = 0;

	TRY(rd_bytes(r, n, &s));
	for (size_t i = 0; i < n; i++) {
		v = v << 8 | (uint8_t)s.p[i];
	}
	*out = v;
	return OK;
}

err_t rd_u16be(rd_t *r, uint16_t *out)
{
	uint64_t v;

	TRY(rd_big_endian(r, 2, &v));
	*out = (uint16_t)v;
	return OK;
}

err_t rd_u32be(rd_t *r, uint32_t *out)
{
	uint64_t v;

	TRY(rd_big_endian(r, 4, &v));
	*out = (uint32_t)v;
	return OK;
}

err_t rd_u64be(rd_t *r, uint64_t *out)
{
	return rd_big_endian(r, 8, out);
}

err_t rd_decimal(rd_t *r, uint64_t max, uint64_t *out)
{
	size_t n = 0, left = rd_left(r);

	while (n < left && r->p[n] >= '0' && r->p[n] <= '9') {
		n++;
	}
	TRY(str_to_u64((str_t){ r->p, n }, max, out));
	r->p += n;
	return OK;
}
