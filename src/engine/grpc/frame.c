/* frame.c: length-prefixed messages, and the percent coding of grpc-message. */
#include "engine/grpc/head.h"

void frame_init(frame_t *f, size_t max)
{
	*f = (frame_t){ 0 };
	buf_init(&f->body, max);
}

void frame_done(frame_t *f)
{
	buf_wipe(&f->body);
}

static MUST err_t prefix_feed(frame_t *f, rd_t *r)
{
	while (f->n_prefix < sizeof(f->prefix) && !rd_empty(r)) {
		TRY(rd_byte(r, &f->prefix[f->n_prefix]));
		f->n_prefix++;
	}
	if (f->n_prefix < sizeof(f->prefix)) {
		return OK;
	}
	rd_t p = rd_of(str_bytes(f->prefix + 1, 4));
	TRY(rd_u32be(&p, &f->want));
	ENSURE(f->prefix[0] <= 1, ERR_SYNTAX);
	f->compressed = f->prefix[0] == 1;
	ENSURE(f->want <= f->body.max, ERR_LIMIT);
	return OK;
}

err_t frame_feed(frame_t *f, rd_t *r)
{
	str_t part = STR_NULL;

	CHECK(!f->whole);
	if (f->n_prefix < sizeof(f->prefix)) {
		TRY(prefix_feed(f, r));
	}
	if (f->n_prefix < sizeof(f->prefix)) {
		return OK;
	}
	size_t missing = f->want - f->body.n;
	TRY(rd_bytes(r, missing < rd_left(r) ? missing : rd_left(r), &part));
	buf_add(&f->body, part);
	TRY(buf_err(&f->body));
	f->whole = f->body.n == f->want;
	return OK;
}

bool frame_is_empty(const frame_t *f)
{
	return f->n_prefix == 0;
}

void frame_next(frame_t *f)
{
	size_t max = f->body.max;

	buf_wipe(&f->body);
	frame_init(f, max);
}

void percent_encode(buf_t *b, str_t text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c >= 0x20 && c <= 0x7e && c != '%') {
			buf_byte(b, (char)c);
			continue;
		}
		buf_byte(b, '%');
		buf_byte(b, hex[c >> 4]);
		buf_byte(b, hex[c & 15]);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void percent_decode(buf_t *b, str_t text)
{
	for (size_t i = 0; i < text.n; i++) {
		bool coded = text.p[i] == '%' && text.n - i > 2 && hex_value(text.p[i + 1]) >= 0 &&
			hex_value(text.p[i + 2]) >= 0;
		if (!coded) {
			buf_byte(b, text.p[i]);
			continue;
		}
		buf_byte(b, (char)(hex_value(text.p[i + 1]) * 16 + hex_value(text.p[i + 2])));
		i += 2;
	}
}
