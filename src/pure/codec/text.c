/* text.c: base64, hex, PEM. The arithmetic knows no tables and no branches on the bytes: key material
 * goes through here. Masks rely on the arithmetic right shift of gcc and clang. */
#include "pure/codec/codec_int.h"

typedef struct {
	int8_t c62, c63;
} set_t; /* the two digits in which the alphabets differ */

static const set_t URL_SET = { '-', '_' };
static const set_t STD_SET = { '+', '/' };

enum { PEM_LINE_CHARS = 64, PEM_LINE_BYTES = 48 };

/* All ones if lo <= c <= hi, else 0; for values below 2^30. */
static int between(int c, int lo, int hi)
{
	return ~(((c - lo) | (hi - c)) >> 31);
}

/* --- base64: 12 bytes are 16 digits, worked on side by side ---------------------------------------------- */

enum { BLOCK_DIGITS = 16, BLOCK_BYTES = 12 };
typedef int8_t lanes_t __attribute__((vector_size(BLOCK_DIGITS))); /* of gcc and clang, on any machine */
typedef uint8_t unsigned_lanes_t __attribute__((vector_size(BLOCK_DIGITS)));

/* Adds modulo 256: a lane that will be masked out may run over. */
static lanes_t lanes_add(lanes_t c, int d)
{
	return (lanes_t)((unsigned_lanes_t)c + (uint8_t)d);
}

/* In each lane: all ones if lo <= c <= hi, else 0. */
static lanes_t lanes_between(lanes_t c, int8_t lo, int8_t hi)
{
	return (c >= lo) & (c <= hi);
}

static lanes_t b64_digits(lanes_t v, set_t set)
{
	return (lanes_between(v, 0, 25) & lanes_add(v, 'A')) | (lanes_between(v, 26, 51) & lanes_add(v, 'a' - 26)) |
	       (lanes_between(v, 52, 61) & lanes_add(v, '0' - 52)) | (lanes_between(v, 62, 62) & set.c62) |
	       (lanes_between(v, 63, 63) & set.c63);
}

/* 0..63, or a negative number for a character outside the alphabet. */
static lanes_t b64_values(lanes_t c, set_t set)
{
	lanes_t upper = lanes_between(c, 'A', 'Z'), lower = lanes_between(c, 'a', 'z');
	lanes_t digit = lanes_between(c, '0', '9');
	lanes_t c62 = lanes_between(c, set.c62, set.c62), c63 = lanes_between(c, set.c63, set.c63);

	return (upper & lanes_add(c, -'A')) | (lower & lanes_add(c, 26 - 'a')) | (digit & lanes_add(c, 52 - '0')) | (c62 & 62) |
	       (c63 & 63) | ~(upper | lower | digit | c62 | c63);
}

static size_t b64_chars(size_t n)
{
	return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
}

static void block_write(const char *bytes, set_t set, char *out)
{
	const unsigned char *p = (const unsigned char *)bytes;
	uint8_t values[BLOCK_DIGITS];
	lanes_t v;

	for (int i = 0; i < BLOCK_DIGITS; i += 4, p += 3) {
		values[i] = p[0] >> 2;
		values[i + 1] = (uint8_t)(p[0] << 4 | p[1] >> 4) & 63;
		values[i + 2] = (uint8_t)(p[1] << 2 | p[2] >> 6) & 63;
		values[i + 3] = p[2] & 63;
	}
	memcpy(&v, values, sizeof(v));
	v = b64_digits(v, set);
	memcpy(out, &v, BLOCK_DIGITS);
}

/* Writes b64_chars(n) characters. */
static void b64_write(str_t bytes, set_t set, char *out)
{
	char last[BLOCK_BYTES] = { 0 }, digits[BLOCK_DIGITS];
	size_t i = 0;

	for (; i + BLOCK_BYTES <= bytes.n; i += BLOCK_BYTES, out += BLOCK_DIGITS) {
		block_write(bytes.p + i, set, out);
	}
	if (i < bytes.n) {
		memcpy(last, bytes.p + i, bytes.n - i);
		block_write(last, set, digits);
		memcpy(out, digits, b64_chars(bytes.n - i));
	}
}

/* Returns the values, negative for a character outside the alphabet. */
static lanes_t block_read(const char *digits, set_t set, uint8_t *out)
{
	uint8_t values[BLOCK_DIGITS];
	lanes_t v;

	memcpy(&v, digits, sizeof(v));
	v = b64_values(v, set);
	memcpy(values, &v, sizeof(v));
	for (int i = 0; i < BLOCK_DIGITS; i += 4, out += 3) {
		out[0] = (uint8_t)(values[i] << 2 | (values[i + 1] & 63) >> 4);
		out[1] = (uint8_t)(values[i + 1] << 4 | (values[i + 2] & 63) >> 2);
		out[2] = (uint8_t)(values[i + 2] << 6 | (values[i + 3] & 63));
	}
	return v;
}

/* Decodes digits without padding; the caller has seen to it that n % 4 != 1 and that `out` has n * 3 / 4
 * bytes. The trailing bits must be zero (RFC 4648 3.5), or one value had many spellings. */
static err_t b64_read(str_t text, set_t set, uint8_t *out)
{
	char last[BLOCK_DIGITS];
	uint8_t bytes[BLOCK_BYTES];
	lanes_t bad = { 0 };
	int any = 0;
	size_t i = 0;

	for (; i + BLOCK_DIGITS <= text.n; i += BLOCK_DIGITS, out += BLOCK_BYTES) {
		bad |= block_read(text.p + i, set, out);
	}
	if (i < text.n) {
		size_t n = text.n - i, n_bytes = n * 3 / 4;

		memset(last, 'A', sizeof(last)); /* digit 0 */
		memcpy(last, text.p + i, n);
		bad |= block_read(last, set, bytes);
		any = -(bytes[n_bytes] & (n % 4 ? 255 : 0)); /* what is left over of the last digit */
		memcpy(out, bytes, n_bytes);
	}
	for (i = 0; i < BLOCK_DIGITS; i++) {
		any |= bad[i];
	}
	return any < 0 ? ERR_SYNTAX : OK;
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
