/* selector.c: attested facts as text, in sets (spiffe.md 13.3, 15). */
#include "domain/spiffe/spiffe.h"

static bool is_word(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
			return false;
		}
	}
	return s.n > 0;
}

/* "type:value" as SPIRE has it: the type is a word, the value begins with a word of its own in every family we
 * know, but k8s and foreign ones need not. */
MUST err_t spiffe_selector_check(str_t selector)
{
	str_t rest = selector, family;

	ENSURE(selector.n <= SPIFFE_SELECTOR_BYTES_MAX && str_is_utf8(selector), ERR_SELECTOR);
	ENSURE(str_split(&rest, ':', &family) && is_word(family) && rest.n > 0, ERR_SELECTOR);
	for (size_t i = 0; i < rest.n; i++) {
		unsigned char c = (unsigned char)rest.p[i];
		ENSURE(c >= 0x20 && c != 0x7f, ERR_SELECTOR);
	}
	return OK;
}

/* Shell sort by Ciura's gaps: in place, no recursion, no library call that allocates; n <= SPIFFE_FACTS_MAX. */
static void sort(str_t *v, size_t n)
{
	static const size_t gaps[] = { 301, 132, 57, 23, 10, 4, 1 };

	for (size_t g = 0; g < ARRAY_LEN(gaps); g++) {
		for (size_t i = gaps[g]; i < n; i++) {
			str_t x = v[i];
			size_t j = i;
			for (; j >= gaps[g] && str_cmp(v[j - gaps[g]], x) > 0; j -= gaps[g]) {
				v[j] = v[j - gaps[g]];
			}
			v[j] = x;
		}
	}
}

MUST err_t spiffe_selectors_make(arena_t *a, const str_t *texts, size_t n, size_t max,
	spiffe_selectors_t *out)
{
	CHECK(max <= SPIFFE_FACTS_MAX);
	ENSURE(n <= max, ERR_LIMIT);
	str_t *v = arena_array(a, str_t, n + 1);
	for (size_t i = 0; i < n; i++) {
		TRY(spiffe_selector_check(texts[i]));
		v[i] = texts[i];
	}
	sort(v, n);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || !str_eq(v[kept - 1], v[i])) {
			v[kept++] = v[i];
		}
	}
	*out = (spiffe_selectors_t){ v, kept };
	return OK;
}

MUST err_t spiffe_selectors_read(arena_t *a, const json_t *array, size_t max, spiffe_selectors_t *out)
{
	size_t n = 0;

	ENSURE(json_kind(array) == JSON_ARRAY, ERR_VALUE);
	ENSURE(json_count(array) <= max, ERR_LIMIT);
	str_t *texts = arena_array(a, str_t, json_count(array) + 1);
	for (const json_t *e = json_first(array); e; e = json_next(e)) {
		TRY(json_str(e, &texts[n++]));
	}
	return spiffe_selectors_make(a, texts, n, max, out);
}

void spiffe_selectors_write(jw_t *w, const spiffe_selectors_t *s)
{
	jw_array(w);
	for (size_t i = 0; i < s->n; i++) {
		jw_str(w, s->v[i]);
	}
	jw_end(w);
}

bool spiffe_selectors_has(const spiffe_selectors_t *s, str_t selector)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(s->v[middle], selector);
		if (order == 0) {
			return true;
		}
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return false;
}

bool spiffe_selectors_match(const spiffe_selectors_t *wanted, const spiffe_selectors_t *facts)
{
	if (wanted->n == 0 || wanted->n > facts->n) {
		return false; /* no selector would mean everybody */
	}
	for (size_t i = 0; i < wanted->n; i++) {
		if (!spiffe_selectors_has(facts, wanted->v[i])) {
			return false;
		}
	}
	return true;
}
