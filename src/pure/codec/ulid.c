/* ulid.c: Crockford base32 of 128 bits, most significant first. */
#include "pure/codec/ulid.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum { TIME_CHARACTERS = 10, RANDOM_CHARACTERS = 16 };

/* 10 bytes are exactly 16 characters of five bits. */
static void random_write(char *out, const uint8_t bytes[ULID_RANDOM_BYTES])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < ULID_RANDOM_BYTES; i++) {
		bits = bits << 8 | bytes[i];
		have += 8;
		while (have >= 5) {
			have -= 5;
			out[n++] = alphabet[bits >> have & 31];
		}
	}
}

str_t ulid_make(arena_t *a, int64_t unix_ms, const uint8_t random[ULID_RANDOM_BYTES])
{
	char *p = arena_alloc(a, ULID_BYTES);
	uint64_t ms = (uint64_t)unix_ms & 0xffffffffffffu;

	for (int i = TIME_CHARACTERS - 1; i >= 0; i--) {
		p[i] = alphabet[ms & 31];
		ms >>= 5;
	}
	random_write(p + TIME_CHARACTERS, random);
	return (str_t){ p, ULID_BYTES };
}

err_t ulid_like(arena_t *a, str_t like, const uint8_t bytes[ULID_RANDOM_BYTES], str_t *out)
{
	ENSURE(ulid_is(like), ERR_VALUE);
	char *p = arena_alloc(a, ULID_BYTES);
	memcpy(p, like.p, TIME_CHARACTERS);
	random_write(p + TIME_CHARACTERS, bytes);
	*out = (str_t){ p, ULID_BYTES };
	return OK;
}

bool ulid_is(str_t s)
{
	if (s.n != ULID_BYTES || s.p[0] > '7') {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || !strchr(alphabet, s.p[i])) {
			return false;
		}
	}
	return true;
}
