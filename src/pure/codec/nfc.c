/* nfc.c: is a text in Unicode normalization form C? Two spellings of one name would be two paths to us and
 * one to a file system, or the reverse. Exact, not the quick check: what may compose is looked up. (UAX 15) */
#include "pure/codec/codec_int.h"

/* Hangul syllables are computed (Unicode 3.12). */
enum {
	HANGUL_L = 0x1100,
	HANGUL_L_COUNT = 19,
	HANGUL_V = 0x1161,
	HANGUL_V_COUNT = 21,
	HANGUL_T = 0x11a7,
	HANGUL_T_COUNT = 28,
	HANGUL_S = 0xac00,
	HANGUL_S_COUNT = 11172,
};

/* Value of the range that holds c, or 0. */
static uint8_t range_value(const nfc_range_t *v, size_t n, uint32_t c)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (c > v[mid].last) {
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	return low < n && c >= v[low].first ? v[low].value : 0;
}

static bool within(uint32_t c, uint32_t from, uint32_t count)
{
	return c >= from && c < from + count;
}

static bool hangul_composes(uint32_t first, uint32_t second)
{
	bool lv = within(first, HANGUL_L, HANGUL_L_COUNT) && within(second, HANGUL_V, HANGUL_V_COUNT);
	bool lvt = within(first, HANGUL_S, HANGUL_S_COUNT) && (first - HANGUL_S) % HANGUL_T_COUNT == 0 &&
		   within(second, HANGUL_T + 1, HANGUL_T_COUNT - 1);

	return lv || lvt;
}

static bool composes(uint32_t first, uint32_t second)
{
	size_t low = 0, high = nfc_pairs_count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const nfc_pair_t *p = &nfc_pairs[mid];
		if (first > p->first || (first == p->first && second > p->second)) {
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	bool found = low < nfc_pairs_count && nfc_pairs[low].first == first && nfc_pairs[low].second == second;
	return found || hangul_composes(first, second);
}

/* The pair that `c` is composed of, or NULL. */
static const nfc_pair_t *pair_of(uint32_t c)
{
	size_t low = 0, high = nfc_by_composite_count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (c > nfc_pairs[nfc_by_composite[mid]].composite) {
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	const nfc_pair_t *p = low < nfc_by_composite_count ? &nfc_pairs[nfc_by_composite[low]] : NULL;
	return p && p->composite == c ? p : NULL;
}

/* Would the mark `c` compose with `starter`, or slip under a mark of higher class inside it and compose there?
 * A-breve with an ogonek behind it is A-ogonek with a breve. */
static bool reaches(uint32_t starter, uint32_t c, uint8_t class)
{
	const nfc_pair_t *p = pair_of(starter);
	bool found = composes(starter, c);

	while (!found && class != 0 && p && range_value(nfc_classes, nfc_classes_count, p->second) > class) {
		found = composes(p->first, c);
		p = pair_of(p->first);
	}
	return found;
}

/* Takes one code point off valid UTF-8. */
static uint32_t take_code_point(str_t *s)
{
	const unsigned char *p = (const unsigned char *)s->p;
	unsigned lead = p[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? lead : lead & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		c = c << 6 | (p[i] & 0x3fu);
	}
	*s = str_sub(*s, n, s->n);
	return c;
}

bool text_is_nfc(str_t s)
{
	uint32_t starter = 0; /* last code point of class 0; U+0000 composes with nothing */
	uint8_t before = 0; /* class of the code point before */
	bool adjacent = true; /* nothing stands between the starter and here */

	while (s.n) {
		uint32_t c = take_code_point(&s);
		uint8_t class = range_value(nfc_classes, nfc_classes_count, c);
		if (range_value(nfc_never, nfc_never_count, c)) {
			return false;
		}
		if (class != 0 && before > class) {
			return false; /* marks out of canonical order */
		}
		bool blocked = !adjacent && before >= class;
		if (!blocked && reaches(starter, c, class)) {
			return false;
		}
		starter = class == 0 ? c : starter;
		adjacent = class == 0;
		before = class;
	}
	return true;
}
