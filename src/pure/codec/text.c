/* text.c: base64, hex, PEM. The arithmetic knows no tables and no branches on the bytes: key material
 * goes through here. Masks rely on the arithmetic right shift of gcc and clang. */
#include "pure/codec/codec_int.h"

typedef struct {
	int c62, c63;
} set_t; /* the two digits in which the alphabets differ */

static const set_t URL_SET = { '-', '_' };
static const set_t STD_SET = { '+', '/' };

enum { PEM_LINE_CHARS = 64, PEM_LINE_BYTES = 48 };

/* All ones if lo <= c <= hi, else 0; for values below 2^30. */
static int between(int c, int lo, int hi)
{
	return ~(((c - lo) | (hi - c)) >> 31);
}

static char b64_digit(int v, set_t set)
{
	return (char)((between(v, 0, 25) & ('A' + v)) | (between(v, 26, 51) & ('a' - 26 + v)) |
		      (between(v, 52, 61) & ('0' - 52 + v)) | (between(v, 62, 62) & set.c62) |
		      (between(v, 63, 63) & set.c63));
}

/* 0..63, or a negative number for a character outside the alphabet. */
static int b64_value(char ch, set_t set)
{
	int c = (unsigned char)ch;
	int upper = between(c, 'A', 'Z'), lower = between(c, 'a', 'z'), digit = between(c, '0', '9');
	int c62 = between(c, set.c62, set.c62), c63 = between(c, set.c63, set.c63);

	return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) | (c62 & 62) |
	       (c63 & 63) | ~(upper | lower | digit | c62 | c63);
}

static size_t b64_chars(size_t n)
{
	return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
}

/* Writes b64_chars(n) characters. */
static void b64_write(str_t bytes, set_t set, char *out)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t i = 0;

	for (; i + 3 <= bytes.n; i += 3) {
		int v = p[i] << 16 | p[i + 1] << 8 | p[i + 2];
		*out++ = b64_digit(v >> 18, set);
		*out++ = b64_digit(v >> 12 & 63, set);
		*out++ = b64_digit(v >> 6 & 63, set);
		*out++ = b64_digit(v & 63, set);
	}
	if (i < bytes.n) {
		bool two = bytes.n - i == 2;
		int v = p[i] << 16 | (two ? p[i + 1] << 8 : 0);
		*out++ = b64_digit(v >> 18, set);
		*out++ = b64_digit(v >> 12 & 63, set);
		if (two) {
			*out = b64_digit(v >> 6 & 63, set);
		}
	}
}

/* Decodes digits without padding; the caller has seen to it that n % 4 != 1 and that `out` has n * 3 / 4
 * bytes. The trailing bits must be zero (RFC 4648 3.5), or one value had many spellings. */
static err_t b64_read(str_t text, set_t set, uint8_t *out)
{
	const char *p = text.p;
	size_t i = 0;
	int bad = 0;

	for (; i + 4 <= text.n; i += 4) {
		int a = b64_value(p[i], set), b = b64_value(p[i + 1], set);
		int c = b64_value(p[i + 2], set), d = b64_value(p[i + 3], set);
		bad |= a | b | c | d;
		unsigned v = (unsigned)(a & 63) << 18 | (unsigned)(b & 63) << 12 | (unsigned)(c & 63) << 6 |
			     (unsigned)(d & 63);
		*out++ = (uint8_t)(v >> 16);
		*out++ = (uint8_t)(v >> 8);
		*out++ = (uint8_t)v;
	}
	if (i < text.n) {
		bool three = text.n - i == 3;
		int a = b64_value(p[i], set), b = b64_value(p[i + 1], set);
		int c = three ? b64_value(p[i + 2], set) : 0;
		int loose = three ? c & 3 : b & 15;
		bad |= a | b | c | -loose;
		*out++ = (uint8_t)((a & 63) << 2 | (b & 63) >> 4);
		if (three) {
			*out = (uint8_t)((b & 15) << 4 | (c & 63) >> 2);
		}
	}
	return bad < 0 ? ERR_SYNTAX : OK;
}

/* Takes the padding off; the length without it tells the number of bytes. */
static err_t b64_unpad(str_t text, str_t *out)
{
	ENSURE(text.n % 4 == 0, ERR_SYNTAX);
	for (int i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++) {
		text.n--;
	}
	ENSURE(text.n % 4 != 1, ERR_SYNTAX);
	*out = text;
	return OK;
}

static size_t b64_bytes(size_t chars)
{
	return chars / 4 * 3 + (chars % 4 ? chars % 4 - 1 : 0);
}

static err_t b64_read_arena(arena_t *a, str_t digits, set_t set, size_t max, str_t *out)
{
	void *p;
	size_t n = b64_bytes(digits.n);

	ENSURE(digits.n % 4 != 1, ERR_SYNTAX);
	ENSURE(n <= max, ERR_LIMIT);
	TRY(arena_try(a, n, &p));
	TRY(b64_read(digits, set, p));
	*out = str_bytes(p, n);
	return OK;
}

static err_t b64_read_secret(str_t digits, set_t set, secret_t *out)
{
	AUTO(secret_done) secret_t s = { 0 };

	ENSURE(digits.n % 4 != 1, ERR_SYNTAX);
	TRY(secret_new(b64_bytes(digits.n), &s));
	TRY(b64_read(digits, set, s.p));
	*out = s;
	s = (secret_t){ 0 };
	return OK;
}

str_t b64url_enc(arena_t *a, str_t bytes)
{
	CHECK(bytes.n <= TEXT_ENC_BYTES_MAX);
	size_t n = b64_chars(bytes.n);
	char *p = arena_alloc(a, n);

	b64_write(bytes, URL_SET, p);
	return (str_t){ p, n };
}

void b64url_add(buf_t *b, str_t bytes)
{
	char *room;
	size_t n = b64_chars(bytes.n);

	if (buf_room(b, n, &room) == OK && n) { /* a failure is remembered by the buffer */
		b64_write(bytes, URL_SET, room);
		buf_grew(b, n);
	}
}

err_t b64url_dec(arena_t *a, str_t text, size_t max, str_t *out)
{
	return b64_read_arena(a, text, URL_SET, max, out);
}

err_t b64url_dec_exact(str_t text, void *out, size_t n)
{
	ENSURE(text.n % 4 != 1, ERR_SYNTAX);
	ENSURE(b64_bytes(text.n) == n, ERR_VALUE);
	return b64_read(text, URL_SET, out);
}

err_t b64url_dec_secret(str_t text, secret_t *out)
{
	return b64_read_secret(text, URL_SET, out);
}

void b64_add(buf_t *b, str_t bytes)
{
	char *room;
	size_t n = b64_chars(bytes.n), pad = (4 - n % 4) % 4;

	if (buf_room(b, n + pad, &room) == OK && n) {
		b64_write(bytes, STD_SET, room);
		memset(room + n, '=', pad);
		buf_grew(b, n + pad);
	}
}

str_t b64_enc(arena_t *a, str_t bytes)
{
	CHECK(bytes.n <= TEXT_ENC_BYTES_MAX);
	size_t n = b64_chars(bytes.n), pad = (4 - n % 4) % 4;
	char *p = arena_alloc(a, n + pad);

	b64_write(bytes, STD_SET, p);
	memset(p + n, '=', pad);
	return (str_t){ p, n + pad };
}

err_t b64_dec(arena_t *a, str_t text, size_t max, str_t *out)
{
	str_t digits;

	TRY(b64_unpad(text, &digits));
	return b64_read_arena(a, digits, STD_SET, max, out);
}

err_t b64_dec_secret(str_t text, secret_t *out)
{
	str_t digits;

	TRY(b64_unpad(text, &digits));
	return b64_read_secret(digits, STD_SET, out);
}

/* --- hex ---------------------------------------------------------------------------------------------- */

static char hex_digit(int v)
{
	return (char)('0' + v + (between(v, 10, 15) & ('a' - '0' - 10)));
}

static int hex_value(char ch)
{
	int c = (unsigned char)ch;
	int digit = between(c, '0', '9'), letter = between(c, 'a', 'f');

	return (digit & (c - '0')) | (letter & (c - 'a' + 10)) | ~(digit | letter);
}

static void hex_write(str_t bytes, char *out)
{
	for (size_t i = 0; i < bytes.n; i++) {
		int v = (unsigned char)bytes.p[i];
		out[2 * i] = hex_digit(v >> 4);
		out[2 * i + 1] = hex_digit(v & 15);
	}
}

static err_t hex_read(str_t text, uint8_t *out)
{
	int bad = 0;

	for (size_t i = 0; i < text.n / 2; i++) {
		int high = hex_value(text.p[2 * i]), low = hex_value(text.p[2 * i + 1]);
		bad |= high | low;
		out[i] = (uint8_t)((high & 15) << 4 | (low & 15));
	}
	return bad < 0 ? ERR_SYNTAX : OK;
}

str_t hex_enc(arena_t *a, str_t bytes)
{
	CHECK(bytes.n <= TEXT_ENC_BYTES_MAX);
	char *p = arena_alloc(a, 2 * bytes.n);

	hex_write(bytes, p);
	return (str_t){ p, 2 * bytes.n };
}

void hex_add(buf_t *b, str_t bytes)
{
	char *room;

	if (buf_room(b, 2 * bytes.n, &room) == OK && bytes.n) {
		hex_write(bytes, room);
		buf_grew(b, 2 * bytes.n);
	}
}

err_t hex_dec(arena_t *a, str_t text, size_t max, str_t *out)
{
	void *p;

	ENSURE(text.n % 2 == 0, ERR_SYNTAX);
	ENSURE(text.n / 2 <= max, ERR_LIMIT);
	TRY(arena_try(a, text.n / 2, &p));
	TRY(hex_read(text, p));
	*out = str_bytes(p, text.n / 2);
	return OK;
}

err_t hex_dec_exact(str_t text, void *out, size_t n)
{
	ENSURE(text.n % 2 == 0, ERR_SYNTAX);
	ENSURE(text.n / 2 == n, ERR_VALUE);
	return hex_read(text, out);
}

err_t hex_dec_secret(str_t text, secret_t *out)
{
	AUTO(secret_done) secret_t s = { 0 };

	ENSURE(text.n % 2 == 0, ERR_SYNTAX);
	TRY(secret_new(text.n / 2, &s));
	TRY(hex_read(text, s.p));
	*out = s;
	s = (secret_t){ 0 };
	return OK;
}

/* --- PEM ---------------------------------------------------------------------------------------------- */

/* Takes one line; a carriage return before the end belongs to it (RFC 7468 2 allows both). */
static err_t take_line(str_t *rest, str_t *out)
{
	ENSURE(str_split(rest, '\n', out), ERR_SYNTAX);
	if (str_ends(*out, STR("\r"))) {
		out->n--;
	}
	return OK;
}

/* True for "-----BEGIN LABEL-----" or the same with END. */
static bool is_boundary(str_t line, str_t word, str_t label)
{
	return line.n == word.n + label.n + 5 && str_starts(line, word) &&
	       str_eq(str_sub(line, word.n, label.n), label) && str_ends(line, STR("-----"));
}

/* Checks the frame; `out_body` starts behind the first line and ends where the last one does. */
static err_t pem_open(str_t text, str_t label, str_t *out_body)
{
	str_t rest = str_trim(text), line;

	CHECK(label.n <= PEM_LABEL_BYTES_MAX);
	TRY(take_line(&rest, &line));
	ENSURE(str_starts(line, STR("-----BEGIN ")), ERR_SYNTAX);
	ENSURE(is_boundary(line, STR("-----BEGIN "), label), ERR_VALUE);
	*out_body = rest;
	return OK;
}

/* Walks the lines and decodes each straight to where it belongs, so that a key leaves no copy behind.
 * With out == NULL it only counts. Full lines, then one that may be short, then the end. */
static err_t pem_walk(str_t body, str_t label, uint8_t *out, size_t *out_n)
{
	str_t line, digits;
	size_t n = 0;
	bool short_line = false;

	for (;;) {
		TRY(take_line(&body, &line));
		if (is_boundary(line, STR("-----END "), label)) {
			break;
		}
		ENSURE(!short_line && line.n > 0 && line.n <= PEM_LINE_CHARS, ERR_SYNTAX);
		TRY(b64_unpad(line, &digits));
		short_line = digits.n < PEM_LINE_CHARS;
		if (out) {
			TRY(b64_read(digits, STD_SET, out + n));
		}
		n += b64_bytes(digits.n);
	}
	ENSURE(!body.p && n > 0, ERR_SYNTAX); /* nothing behind the end */
	*out_n = n;
	return OK;
}

err_t pem_dec(arena_t *a, str_t text, str_t label, size_t max, str_t *out_der)
{
	str_t body;
	size_t n;
	void *p;

	TRY(pem_open(text, label, &body));
	TRY(pem_walk(body, label, NULL, &n));
	ENSURE(n <= max, ERR_LIMIT);
	TRY(arena_try(a, n, &p));
	TRY(pem_walk(body, label, p, &n));
	*out_der = str_bytes(p, n);
	return OK;
}

err_t pem_dec_secret(str_t text, str_t label, secret_t *out_der)
{
	AUTO(secret_done) secret_t s = { 0 };
	str_t body;
	size_t n;

	TRY(pem_open(text, label, &body));
	TRY(pem_walk(body, label, NULL, &n));
	TRY(secret_new(n, &s));
	TRY(pem_walk(body, label, s.p, &n));
	*out_der = s;
	s = (secret_t){ 0 };
	return OK;
}

void pem_add(buf_t *b, str_t label, str_t der)
{
	buf_add(b, STR("-----BEGIN "));
	buf_add(b, label);
	buf_add(b, STR("-----\n"));
	for (size_t i = 0; i < der.n; i += PEM_LINE_BYTES) {
		b64_add(b, str_sub(der, i, PEM_LINE_BYTES));
		buf_byte(b, '\n');
	}
	buf_add(b, STR("-----END "));
	buf_add(b, label);
	buf_add(b, STR("-----\n"));
}
