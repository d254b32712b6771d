/* path.c: the paths that bounds speak of. A path passes only if every reader takes it for the same place. */
#include "pure/codec/codec_int.h"

/* C0, DEL; C1 comes as two bytes, c2 80..9f. */
static bool has_control(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0;
		if (c < 0x20 || c == 0x7f || c1) {
			return true;
		}
	}
	return false;
}

/* Letters that become '.', '/', '\\' or '%' for a reader that folds compatible forms into one (NFKC) or fits
 * them into a smaller set: U+2024 to U+2026, U+2044, U+2100, U+2101, U+2105, U+2106, U+2215, U+FE52, U+FE68,
 * U+FE6A, U+FF05, U+FF0E, U+FF0F, U+FF3C. */
static bool has_double(str_t s)
{
	static const char doubles[][4] = { "\xe2\x80\xa4", "\xe2\x80\xa5", "\xe2\x80\xa6", "\xe2\x81\x84",
		"\xe2\x84\x80", "\xe2\x84\x81", "\xe2\x84\x85", "\xe2\x84\x86", "\xe2\x88\x95", "\xef\xb9\x92",
		"\xef\xb9\xa8", "\xef\xb9\xaa", "\xef\xbc\x85", "\xef\xbc\x8e", "\xef\xbc\x8f", "\xef\xbc\xbc" };

	for (size_t i = 0; i < s.n; i++) {
		for (size_t d = 0; d < ARRAY_LEN(doubles) && (s.p[i] == '\xe2' || s.p[i] == '\xef'); d++) {
			if (str_starts(str_sub(s, i, 3), str_of(doubles[d]))) {
				return true;
			}
		}
	}
	return false;
}

static err_t segments_check(str_t path)
{
	str_t rest = path, segment;

	while (str_split(&rest, '/', &segment)) {
		bool first = segment.p == path.p, last = rest.p == NULL;
		ENSURE(segment.n > 0 || first || last, ERR_VALUE); /* "//" */
		ENSURE(!str_eq(segment, STR(".")) && !str_eq(segment, STR("..")), ERR_VALUE);
	}
	return OK;
}

err_t path_check(str_t path)
{
	ENSURE(path.n > 0, ERR_VALUE);
	ENSURE(path.n <= PATH_BYTES_MAX, ERR_LIMIT);
	ENSURE(str_is_utf8(path), ERR_UTF8);
	ENSURE(!has_control(path), ERR_VALUE);
	/* somebody behind us might decode an escape or turn a backslash */
	ENSURE(str_find(path, '%') == path.n && str_find(path, '\\') == path.n, ERR_VALUE);
	ENSURE(text_is_nfc(path) && !has_double(path), ERR_VALUE);
	return segments_check(path);
}

bool path_is_under(str_t path, str_t dir)
{
	if (dir.n > 1 && dir.p[dir.n - 1] == '/') {
		dir.n--;
	}
	if (dir.n == 0 || !str_starts(path, dir)) {
		return false;
	}
	return path.n == dir.n || path.p[dir.n] == '/' || str_eq(dir, STR("/"));
}
