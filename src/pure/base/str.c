/* str.c: str_t, comparisons, cutting, UTF-8. */
#include "pure/base/str.h"

#include <sodium.h>

bool str_eq(str_t a, str_t b)
{
	return a.n == b.n && (a.n == 0 || __builtin_memcmp(a.p, b.p, a.n) == 0);
}

bool ct_eq(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool str_eq_nocase(str_t a, str_t b)
{
	if (a.n != b.n) {
		return false;
	}
	for (size_t i = 0; i < a.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i])) {
			return false;
		}
	}
	return true;
}

int str_cmp(str_t a, str_t b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? __builtin_memcmp(a.p, b.p, n) : 0;

	if (c != 0) {
		return c < 0 ? -1 : 1;
	}
	return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

bool str_starts(str_t s, str_t prefix)
{
	return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

bool str_ends(str_t s, str_t suffix)
{
	return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

size_t str_find(str_t s, char c)
{
	const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;

	return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_find_last(str_t s, char c)
{
	const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;

	return hit ? (size_t)(hit - s.p) : s.n;
}

bool str_contains(str_t s, str_t needle)
{
	return needle.n == 0 || (s.n && memmem(s.p, s.n, needle.p, needle.n) != NULL);
}

str_t str_sub(str_t s, size_t from, size_t n)
{
	if (from >= s.n) {
		return (str_t){ s.p ? s.p + s.n : NULL, 0 };
	}
	return (str_t){ s.p + from, n < s.n - from ? n : s.n - from };
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

str_t str_trim(str_t s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++, s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1])) {
		s.n--;
	}
	return s;
}

bool str_split(str_t *rest, char sep, str_t *out_piece)
{
	if (!rest->p) {
		return false;
	}
	size_t at = str_find(*rest, sep);

	*out_piece = str_sub(*rest, 0, at);
	*rest = at == rest->n ? STR_NULL : (str_t){ rest->p + at + 1, rest->n - at - 1 };
	return true;
}

bool str_list_has(str_t list, str_t word)
{
	str_t piece;

	if (word.n == 0) {
		return false;
	}
	while (str_split(&list, ' ', &piece)) {
		if (str_eq(piece, word)) {
			return true;
		}
	}
	return false;
}

/* Length of the well-formed sequence at s[i], or 0 (RFC 3629 4). */
static size_t utf8_step(const unsigned char *s, size_t left)
{
	unsigned char c = s[0];

	if (c < 0x80) {
		return 1;
	}
	size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	if (n == 0 || n > left) {
		return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	bool overlong = (c == 0xe0 && s[1] < 0xa0) || (c == 0xf0 && s[1] < 0x90);
	bool surrogate = c == 0xed && s[1] > 0x9f;
	bool beyond = c == 0xf4 && s[1] > 0x8f;

	return overlong || surrogate || beyond ? 0 : n;
}

/* How many of the first bytes are ASCII, eight looked at in one step. */
static size_t ascii_length(str_t s)
{
	size_t i = 0;

	for (uint64_t eight; i + sizeof(eight) <= s.n; i += sizeof(eight)) {
		memcpy(&eight, s.p + i, sizeof(eight));
		if (eight & 0x8080808080808080ull) {
			break;
		}
	}
	while (i < s.n && !(s.p[i] & 0x80)) {
		i++;
	}
	return i;
}

bool str_is_utf8(str_t s)
{
	for (size_t i = ascii_length(s); i < s.n;) {
		size_t n = utf8_step((const unsigned char *)s.p + i, s.n - i);
		if (n == 0) {
			return false;
		}
		i += n;
	}
	return true;
}

bool str_has_nul(str_t s)
{
	return str_find(s, '\0') != s.n;
}

bool str_is_visible(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x21 || c > 0x7e) {
			return false;
		}
	}
	return s.n > 0;
}

err_t str_to_u64(str_t s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	ENSURE(s.n > 0 && !(s.p[0] == '0' && s.n > 1), ERR_SYNTAX);
	for (size_t i = 0; i < s.n; i++) {
		ENSURE(s.p[i] >= '0' && s.p[i] <= '9', ERR_SYNTAX);
		ENSURE(mul_ok(v, (uint64_t)10, &v), ERR_LIMIT);
		ENSURE(add_ok(v, (uint64_t)(s.p[i] - '0'), &v), ERR_LIMIT);
	}
	ENSURE(v <= max, ERR_LIMIT);
	*out = v;
	return OK;
}
