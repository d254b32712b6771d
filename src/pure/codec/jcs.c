/* jcs.c: canonical JSON: RFC 8785, and JCS-S, the subset that records are written in (ledger.md 11.1).
 * What would come out different from what was meant is refused, not rounded. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pure/codec/codec_int.h"

enum {
	DIGITS_MAX = 17, /* no double needs more */
	DIGITS_EXACT = DBL_DIG, /* so many always survive the way through a double */
	EXPONENT_EXACT = 290, /* well inside the range of normal doubles */
	GROWTH = 6, /* 1E20 becomes 21 characters */
};

/* 0.d1d2d3... * 10^exponent, d1 and the last digit not zero; zero has no digits. */
typedef struct {
	bool negative;
	int n, exponent;
	char digits[DIGITS_MAX];
} decimal_t;

/* --- numbers ------------------------------------------------------------------------------------------ */

/* Reads a valid JSON number exactly; ERR_NUMBER when it has more digits than a double can mean. */
static err_t decimal_read(str_t lexeme, decimal_t *out)
{
	decimal_t d = { .negative = lexeme.p[0] == '-' };
	int zeros = 0; /* seen, not yet known to be inside */
	bool point = false;
	size_t i = d.negative;

	ENSURE(lexeme.n <= JSON_NUMBER_BYTES_MAX, ERR_NUMBER);
	for (; i < lexeme.n && lexeme.p[i] != 'e' && lexeme.p[i] != 'E'; i++) {
		char c = lexeme.p[i];
		if (c == '.') {
			point = true;
			continue;
		}
		if (c == '0') {
			d.exponent += d.n ? !point : -(int)point;
			zeros += d.n > 0;
			continue;
		}
		ENSURE(d.n + zeros < DIGITS_MAX, ERR_NUMBER);
		memset(d.digits + d.n, '0', (size_t)zeros);
		d.n += zeros;
		zeros = 0;
		d.digits[d.n++] = c;
		d.exponent += !point;
	}
	if (i < lexeme.n) {
		d.exponent += codec_exponent(str_sub(lexeme, i + 1, lexeme.n));
	}
	*out = d;
	return OK;
}

static bool decimal_eq(const decimal_t *x, const decimal_t *y)
{
	return x->negative == y->negative && x->exponent == y->exponent &&
	       str_eq((str_t){ x->digits, (size_t)x->n }, (str_t){ y->digits, (size_t)y->n });
}

static void zeros_add(buf_t *b, int n)
{
	for (int i = 0; i < n; i++) {
		buf_byte(b, '0');
	}
}

/* Number::toString of ECMAScript (RFC 8785 3.2.2.3), given the shortest digits. */
static void decimal_add(buf_t *b, const decimal_t *d)
{
	str_t digits = { d->digits, (size_t)d->n };
	int e = d->exponent;

	if (d->n == 0) {
		buf_byte(b, '0');
		return;
	}
	if (d->negative) {
		buf_byte(b, '-');
	}
	if (e >= d->n && e <= 21) {
		buf_add(b, digits);
		zeros_add(b, e - d->n);
	} else if (e > 0 && e <= 21) {
		buf_add(b, str_sub(digits, 0, (size_t)e));
		buf_byte(b, '.');
		buf_add(b, str_sub(digits, (size_t)e, digits.n));
	} else if (e > -6 && e <= 0) {
		buf_add(b, STR("0."));
		zeros_add(b, -e);
		buf_add(b, digits);
	} else {
		buf_byte(b, digits.p[0]);
		if (d->n > 1) {
			buf_byte(b, '.');
			buf_add(b, str_sub(digits, 1, digits.n));
		}
		buf_printf(b, "e%+d", e - 1);
	}
}

/* Runs under the C locale, whatever the program has set: a decimal comma would change digests. */
static locale_t enter_c_locale(locale_t *out_c)
{
	*out_c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	CHECK(*out_c != (locale_t)0);
	return uselocale(*out_c);
}

static void leave_c_locale(locale_t before, locale_t c)
{
	uselocale(before);
	freelocale(c);
}

/* Adds one in the last place of "d.ddde..." text. At a power of two the gap below is half the gap above, so
 * the shortest text may be the neighbour above and not the nearest one. */
static bool bump(char *text)
{
	char *e = strchr(text, 'e');

	for (char *p = e - 1; p >= text; p--) {
		if (*p == '.') {
			continue;
		}
		if (*p != '9') {
			(*p)++;
			return true;
		}
		*p = '0';
	}
	return false;
}

/* Shortest text that reads back as v, v > 0: fifteen digits are enough and unique for normal doubles that
 * need no more; tiny ones carry less and start at one digit. */
static void shortest(double v, char text[static JCS_NUMBER_BYTES])
{
	int exponent;
	bool power_of_two = frexp(v, &exponent) == 0.5;
	int first = v < DBL_MIN ? 1 : DIGITS_EXACT;

	for (int n = first; n <= DIGITS_MAX; n++) {
		snprintf(text, JCS_NUMBER_BYTES, "%.*e", n - 1, v);
		if (strtod(text, NULL) == v) {
			return;
		}
		if (power_of_two && bump(text) && strtod(text, NULL) == v) {
			return;
		}
	}
	CHECK(!"17 digits identify every double");
}

static err_t decimal_of(double v, decimal_t *out)
{
	char text[JCS_NUMBER_BYTES];
	locale_t c, before;

	ENSURE(isfinite(v), ERR_NUMBER);
	if (v == 0) {
		*out = (decimal_t){ 0 }; /* RFC 8785: minus zero is written 0 */
		return OK;
	}
	before = enter_c_locale(&c);
	shortest(fabs(v), text);
	leave_c_locale(before, c);
	TRY(decimal_read(str_of(text), out));
	out->negative = v < 0;
	return OK;
}

err_t jcs_number(double v, char out[static JCS_NUMBER_BYTES], size_t *out_n)
{
	AUTO(buf_done) buf_t b;
	decimal_t d;

	buf_init(&b, JCS_NUMBER_BYTES);
	TRY(decimal_of(v, &d));
	decimal_add(&b, &d);
	TRY(buf_err(&b));
	memcpy(out, b.p, b.n);
	*out_n = b.n;
	return OK;
}

static err_t double_of(str_t lexeme, double *out)
{
	char text[JSON_NUMBER_BYTES_MAX + 1];
	locale_t c, before;

	ENSURE(lexeme.n <= JSON_NUMBER_BYTES_MAX, ERR_NUMBER);
	memcpy(text, lexeme.p, lexeme.n);
	text[lexeme.n] = '\0';
	before = enter_c_locale(&c);
	*out = strtod(text, NULL);
	leave_c_locale(before, c);
	return OK;
}

static bool is_plain_integer(str_t lexeme)
{
	for (size_t i = lexeme.p[0] == '-'; i < lexeme.n; i++) {
		if (lexeme.p[i] < '0' || lexeme.p[i] > '9') {
			return false;
		}
	}
	return true;
}

static err_t number_add(buf_t *b, const json_t *node)
{
	str_t lexeme = json_raw(node);
	decimal_t d, back;
	int64_t integer;
	double v;

	if (is_plain_integer(lexeme)) {
		TRY(json_i64(node, &integer));
		buf_add(b, lexeme);
		return OK;
	}
	TRY(decimal_read(lexeme, &d));
	ENSURE(!(d.negative && d.n == 0), ERR_NUMBER); /* -0.0 would lose its sign */
	bool exact = d.n == 0 || (d.n <= DIGITS_EXACT && d.exponent > -EXPONENT_EXACT && d.exponent < EXPONENT_EXACT);
	if (!exact) {
		TRY(double_of(lexeme, &v));
		TRY(decimal_of(v, &back));
		ENSURE(decimal_eq(&d, &back), ERR_NUMBER);
	}
	decimal_add(b, &d);
	return OK;
}

/* --- the walk ----------------------------------------------------------------------------------------- */

/* Rank of a UTF-8 byte in the order of UTF-16 code units (RFC 8785 3.2.3): what needs a surrogate pair
 * (leads f0..f4) sorts before U+E000..U+FFFF (leads ee, ef). Valid UTF-8 first differs in bytes of like
 * kind, so the first difference decides. */
static int utf16_rank(unsigned char c)
{
	return c < 0xee ? c : c < 0xf0 ? c + 0x10 : c - 2;
}

static int by_utf16(const json_t *x, const json_t *y)
{
	uint32_t n = x->key_n < y->key_n ? x->key_n : y->key_n;

	for (uint32_t i = 0; i < n; i++) {
		if (x->key_p[i] != y->key_p[i]) {
			return utf16_rank((unsigned char)x->key_p[i]) - utf16_rank((unsigned char)y->key_p[i]);
		}
	}
	return x->key_n == y->key_n ? 0 : x->key_n < y->key_n ? -1 : 1;
}

typedef struct {
	const json_t *node;
	const json_t *next; /* array: the element to come */
	const json_t **members; /* object: in order */
	uint32_t done;
} level_t;

typedef struct {
	buf_t *b;
	const json_t **pool; /* members of the objects that are open; the upper half is the sorter's */
	uint32_t used, half;
	uint32_t depth;
	level_t levels[JSON_DEPTH_CAP];
} walk_t;

static void level_open(walk_t *w, const json_t *node)
{
	CHECK(w->depth < JSON_DEPTH_CAP); /* the reader let nothing deeper in */
	level_t *l = &w->levels[w->depth++];

	*l = (level_t){ .node = node, .next = json_first(node), .members = w->pool + w->used };
	buf_byte(w->b, node->kind == JSON_OBJECT ? '{' : '[');
	if (node->kind != JSON_OBJECT) {
		return;
	}
	CHECK(w->used + node->count <= w->half);
	for (const json_t *c = json_first(node); c; c = json_next(c)) {
		w->pool[w->used++] = c;
	}
	json_sort(l->members, w->pool + w->half, node->count, by_utf16);
}

static void level_close(walk_t *w)
{
	level_t *l = &w->levels[--w->depth];
	bool object = l->node->kind == JSON_OBJECT;

	w->used -= object ? l->node->count : 0;
	buf_byte(w->b, object ? '}' : ']');
}

static err_t scalar_add(buf_t *b, const json_t *node)
{
	if (node->kind == JSON_NUMBER) {
		return number_add(b, node);
	}
	if (node->kind == JSON_STRING) {
		return json_quote(b, (str_t){ node->text_p, node->text_n });
	}
	buf_add(b, json_raw(node)); /* true, false, null */
	return OK;
}

static err_t value_add(walk_t *w, const json_t *node)
{
	if (node->kind == JSON_OBJECT || node->kind == JSON_ARRAY) {
		level_open(w, node);
		return OK;
	}
	return scalar_add(w->b, node);
}

/* Writes the next child of the innermost level, or closes it. */
static err_t step(walk_t *w)
{
	level_t *l = &w->levels[w->depth - 1];
	const json_t *child = l->next;

	if (l->done == l->node->count) {
		level_close(w);
		return OK;
	}
	if (l->done++ > 0) {
		buf_byte(w->b, ',');
	}
	if (l->node->kind == JSON_OBJECT) {
		child = l->members[l->done - 1];
		TRY(json_quote(w->b, json_key(child)));
		buf_byte(w->b, ':');
	} else {
		l->next = json_next(child);
	}
	return value_add(w, child);
}

err_t jcs_write(arena_t *a, const json_t *node, str_t *out)
{
	AUTO(buf_wipe) buf_t b = { 0 };
	AUTO(heap_free) const json_t **pool = NULL;
	walk_t w = { .b = &b };

	ENSURE(node, ERR_MISSING_MEMBER);
	buf_init(&b, (size_t)node->raw_n * GROWTH + JCS_NUMBER_BYTES);
	pool = heap_alloc(2 * (size_t)node->skip * sizeof(*pool));
	w.pool = pool;
	w.half = node->skip;
	TRY(value_add(&w, node));
	while (w.depth > 0) {
		TRY(step(&w));
	}
	TRY(buf_err(&b));
	return arena_dup(a, buf_str(&b), out);
}

/* --- JCS-S -------------------------------------------------------------------------------------------- */

static err_t key_check(str_t key)
{
	ENSURE(key.n >= 1 && key.n <= JCS_S_KEY_BYTES_MAX, ERR_VALUE);
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		ENSURE(word || c == '_' || c == '.' || c == ':' || c == '-', ERR_VALUE);
	}
	return OK;
}

/* Preorder makes depth a matter of where the open containers end. */
err_t jcs_s_check(const json_t *root)
{
	const json_t *ends[JCS_S_DEPTH_MAX];
	size_t depth = 0;
	int64_t integer;

	ENSURE(root, ERR_MISSING_MEMBER);
	ENSURE(root->raw_n <= JCS_S_BYTES_MAX, ERR_LIMIT);
	for (const json_t *n = root; n != root + root->skip; n++) {
		while (depth > 0 && ends[depth - 1] == n) {
			depth--;
		}
		if (n != root && n->key_p) {
			TRY(key_check(json_key(n)));
		}
		if (n->kind == JSON_NUMBER) {
			TRY(json_i64(n, &integer));
		}
		if (n->kind == JSON_OBJECT || n->kind == JSON_ARRAY) {
			ENSURE(depth < JCS_S_DEPTH_MAX, ERR_LIMIT);
			ends[depth++] = n + n->skip;
		}
	}
	return OK;
}

err_t jcs_s_write(arena_t *a, const json_t *root, str_t *out)
{
	TRY(jcs_s_check(root));
	return jcs_write(a, root, out);
}

err_t jcs_s_parse(arena_t *a, str_t text, const json_t **out, diag_t *diag)
{
	const json_opts_t opts = { .bytes_max = JCS_S_BYTES_MAX };
	const json_t *root;
	str_t canonical;

	TRY(json_parse(a, text, &opts, &root, diag));
	TRY(jcs_s_write(a, root, &canonical));
	ENSURE(str_eq(text, canonical), ERR_SYNTAX);
	*out = root;
	return OK;
}

bool jcs_s_canonical(arena_t *a, str_t text)
{
	const json_t *root;

	return jcs_s_parse(a, text, &root, NULL) == OK;
}
