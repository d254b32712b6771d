/* json_text.c: the bytes of a JSON string: what may stand there plainly, hex digits, UTF-8. */
#include "pure/codec/codec_int.h"

static const uint64_t ONES = 0x0101010101010101ull;
static const uint64_t HIGHS = 0x8080808080808080ull;

static bool is_special(char c)
{
	return c == '"' || c == '\\' || (unsigned char)c < 0x20;
}

const char *json_plain_end(const char *p, const char *end, uint64_t *high)
{
	while (end - p >= 8) {
		uint64_t x;
		memcpy(&x, p, 8);
		uint64_t quote = x ^ (ONES * '"'), slash = x ^ (ONES * '\\');
		uint64_t hit = ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash) | ((x - ONES * 0x20) & ~x);
		*high |= x & HIGHS;
		if (hit & HIGHS) {
			break;
		}
		p += 8;
	}
	while (p != end && !is_special(*p)) {
		*high |= (uint64_t)(unsigned char)*p & 0x80;
		p++;
	}
	return p;
}

int codec_hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int32_t json_hex4(const char *p, const char *end)
{
	int32_t v = 0;

	if (end - p < 4) {
		return -1;
	}
	for (int i = 0; i < 4; i++) {
		int digit = codec_hex_digit(p[i]);
		if (digit < 0) {
			return -1;
		}
		v = v * 16 + digit;
	}
	return v;
}

char *json_utf8_put(char *o, uint32_t c)
{
	if (c < 0x80) {
		*o++ = (char)c;
		return o;
	}
	if (c < 0x800) {
		*o++ = (char)(0xc0 | (c >> 6));
	} else if (c < 0x10000) {
		*o++ = (char)(0xe0 | (c >> 12));
		*o++ = (char)(0x80 | ((c >> 6) & 0x3f));
	} else {
		*o++ = (char)(0xf0 | (c >> 18));
		*o++ = (char)(0x80 | ((c >> 12) & 0x3f));
		*o++ = (char)(0x80 | ((c >> 6) & 0x3f));
	}
	*o++ = (char)(0x80 | (c & 0x3f));
	return o;
}
