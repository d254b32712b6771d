/* form.c: application/x-www-form-urlencoded, as OAuth uses it (RFC 6749 appendix B), strictly. */
#include "pure/codec/codec_int.h"

static size_t count_pieces(str_t body)
{
	size_t n = body.n > 0;

	for (size_t i = 0; i < body.n; i++) {
		n += body.p[i] == '&';
	}
	return n;
}

static err_t pair_read(arena_t *a, str_t piece, form_pair_t *out)
{
	form_pair_t pair;
	size_t n = str_find(piece, '=');

	ENSURE(n > 0, ERR_SYNTAX); /* an empty piece or an empty name */
	TRY(codec_pct_decode(a, str_sub(piece, 0, n), true, &pair.name));
	TRY(codec_pct_decode(a, str_sub(piece, n + 1, piece.n), true, &pair.value));
	*out = pair;
	return OK;
}

err_t form_parse(arena_t *a, str_t body, size_t max_pairs, form_t *out)
{
	form_pair_t *pairs;
	str_t rest = body, piece;

	CHECK(max_pairs <= FORM_PAIRS_CAP);
	ENSURE(body.n <= FORM_BYTES_MAX, ERR_LIMIT);
	size_t n = count_pieces(body);
	ENSURE(n <= max_pairs, ERR_LIMIT);
	TRY(arena_try_array(a, form_pair_t, n, &pairs));
	for (size_t i = 0; i < n; i++) {
		CHECK(str_split(&rest, '&', &piece));
		TRY(pair_read(a, piece, &pairs[i]));
	}
	*out = (form_t){ pairs, n };
	return OK;
}

size_t form_count(const form_t *f, str_t name)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		n += str_eq(f->pairs[i].name, name);
	}
	return n;
}

err_t form_want(const form_t *f, str_t name, size_t max_bytes, str_t *out)
{
	str_t value = STR_NULL;
	bool seen = false;

	for (size_t i = 0; i < f->n; i++) {
		if (!str_eq(f->pairs[i].name, name)) {
			continue;
		}
		ENSURE(!seen, ERR_DUPLICATE); /* RFC 6749 3.1 */
		seen = true;
		value = f->pairs[i].value;
	}
	ENSURE(value.n <= max_bytes, ERR_LIMIT);
	*out = value.n ? value : STR_NULL;
	return OK;
}

static void form_text_add(buf_t *b, str_t s)
{
	str_t piece;
	bool first = true;

	while (str_split(&s, ' ', &piece)) {
		if (!first) {
			buf_byte(b, '+');
		}
		pct_add(b, piece);
		first = false;
	}
}

void form_add(buf_t *b, str_t name, str_t value)
{
	if (b->n) {
		buf_byte(b, '&');
	}
	form_text_add(b, name);
	buf_byte(b, '=');
	form_text_add(b, value);
}
