/* json_get.c: looking into a parsed tree. Everything returns at the first doubt. */
#include "pure/codec/codec_int.h"

static const int64_t DATE_S_MAX = 253402300799; /* 9999-12-31T23:59:59Z: RFC 3339 has no later one */
enum { EXPONENT_CLAMP = 9999 }; /* beyond it every date and every double is 0 or too large */

const json_t *json_get(const json_t *obj, str_t key)
{
	if (json_kind(obj) != JSON_OBJECT) {
		return NULL;
	}
	for (const json_t *c = json_first(obj); c; c = json_next(c)) {
		if (c->key_n == key.n && str_eq(json_key(c), key)) {
			return c;
		}
	}
	return NULL;
}

static const json_t *element(const json_t *arr, str_t index)
{
	uint64_t i;

	if (str_to_u64(index, UINT32_MAX, &i) != OK || i >= arr->count) {
		return NULL;
	}
	const json_t *c = json_first(arr);
	while (i-- > 0) {
		c = json_next(c);
	}
	return c;
}

/* Compares a key with a reference token, whose "~1" is '/' and "~0" is '~' (RFC 6901 4). */
static bool token_is(str_t token, str_t key)
{
	size_t k = 0;

	for (size_t i = 0; i < token.n; i++, k++) {
		char c = token.p[i];
		if (c == '~') {
			char escape = i + 1 < token.n ? token.p[++i] : 0;
			if (escape != '0' && escape != '1') {
				return false;
			}
			c = escape == '0' ? '~' : '/';
		}
		if (k >= key.n || key.p[k] != c) {
			return false;
		}
	}
	return k == key.n;
}

static const json_t *member(const json_t *obj, str_t token)
{
	for (const json_t *c = json_first(obj); c; c = json_next(c)) {
		if (token_is(token, json_key(c))) {
			return c;
		}
	}
	return NULL;
}

const json_t *json_pointer(const json_t *root, str_t pointer)
{
	str_t rest, token;

	if (pointer.n == 0) {
		return root;
	}
	if (pointer.p[0] != '/') {
		return NULL;
	}
	rest = (str_t){ pointer.p + 1, pointer.n - 1 };
	while (root && str_split(&rest, '/', &token)) {
		json_kind_t kind = json_kind(root);
		root = kind == JSON_OBJECT ? member(root, token) : kind == JSON_ARRAY ? element(root, token) : NULL;
	}
	return root;
}

bool json_is_null(const json_t *n)
{
	return json_kind(n) == JSON_NULL;
}

bool json_is_str(const json_t *n, str_t value)
{
	return json_kind(n) == JSON_STRING && str_eq((str_t){ n->text_p, n->text_n }, value);
}

/* --- one value ---------------------------------------------------------------------------------------- */

static err_t want_kind(const json_t *n, json_kind_t kind)
{
	ENSURE(n, ERR_MISSING_MEMBER);
	ENSURE(n->kind == kind, ERR_VALUE);
	return OK;
}

err_t json_str(const json_t *n, str_t *out)
{
	TRY(want_kind(n, JSON_STRING));
	*out = (str_t){ n->text_p, n->text_n };
	return OK;
}

err_t json_number(const json_t *n, str_t *out)
{
	TRY(want_kind(n, JSON_NUMBER));
	*out = json_raw(n);
	return OK;
}

err_t json_u64(const json_t *n, uint64_t max, uint64_t *out)
{
	TRY(want_kind(n, JSON_NUMBER));
	ENSURE(str_to_u64(json_raw(n), max, out) == OK, ERR_NUMBER);
	return OK;
}

err_t json_i64(const json_t *n, int64_t *out)
{
	uint64_t v;

	TRY(want_kind(n, JSON_NUMBER));
	str_t digits = json_raw(n);
	bool negative = digits.p[0] == '-';
	digits = str_sub(digits, negative, digits.n);
	ENSURE(str_to_u64(digits, JSON_SAFE_INT_MAX, &v) == OK, ERR_NUMBER);
	ENSURE(!(negative && v == 0), ERR_NUMBER);
	*out = negative ? -(int64_t)v : (int64_t)v;
	return OK;
}

err_t json_bool(const json_t *n, bool *out)
{
	TRY(want_kind(n, JSON_BOOL));
	*out = n->raw_p[0] == 't';
	return OK;
}

int codec_exponent(str_t e)
{
	bool negative = e.n && e.p[0] == '-';
	int v = 0;

	for (size_t i = negative || (e.n && e.p[0] == '+'); i < e.n; i++) {
		v = v * 10 + (e.p[i] - '0');
		v = v < EXPONENT_CLAMP ? v : EXPONENT_CLAMP;
	}
	return negative ? -v : v;
}

/* A lexeme is digits with a point somewhere; milliseconds move the point three places to the right. */
err_t json_date_ms(const json_t *n, int64_t *out_ms)
{
	int64_t ms = 0;

	TRY(want_kind(n, JSON_NUMBER));
	str_t s = json_raw(n);
	ENSURE(s.n <= JSON_NUMBER_BYTES_MAX && s.p[0] != '-', ERR_NUMBER);
	size_t e = str_find(s, 'e') < s.n ? str_find(s, 'e') : str_find(s, 'E');
	str_t digits = str_sub(s, 0, e);
	size_t point = str_find(digits, '.');
	int places = (int)point + codec_exponent(str_sub(s, e + 1, s.n)) + 3;
	size_t at = 0;
	for (int i = 0; i < places; i++, at++) {
		at += at == point; /* step over the point */
		int digit = at < digits.n ? digits.p[at] - '0' : 0;
		ms = ms * 10 + digit;
		ENSURE(ms / 1000 <= DATE_S_MAX, ERR_NUMBER);
	}
	*out_ms = ms;
	return OK;
}

err_t json_date_s(const json_t *n, int64_t *out_s)
{
	int64_t ms;

	TRY(json_date_ms(n, &ms));
	*out_s = ms / 1000;
	return OK;
}

/* --- members ------------------------------------------------------------------------------------------ */

/* A member of what must be an object; *out is NULL when it is absent. */
static err_t find(const json_t *obj, str_t key, const json_t **out)
{
	ENSURE(json_kind(obj) == JSON_OBJECT, ERR_VALUE);
	*out = json_get(obj, key);
	return OK;
}

static err_t bounded_str(const json_t *n, size_t max_bytes, str_t *out)
{
	str_t s;

	TRY(json_str(n, &s));
	ENSURE(max_bytes == JSON_UNBOUNDED || s.n <= max_bytes, ERR_LIMIT);
	*out = s;
	return OK;
}

err_t json_need_str(const json_t *obj, str_t key, size_t max_bytes, str_t *out)
{
	const json_t *n;
	str_t s;

	TRY(find(obj, key, &n));
	TRY(bounded_str(n, max_bytes, &s));
	ENSURE(s.n > 0, ERR_VALUE);
	*out = s;
	return OK;
}

err_t json_want_str(const json_t *obj, str_t key, size_t max_bytes, str_t *out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	if (n) {
		return bounded_str(n, max_bytes, out);
	}
	*out = STR_NULL;
	return OK;
}

err_t json_need_u64(const json_t *obj, str_t key, uint64_t max, uint64_t *out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	return json_u64(n, max, out);
}

err_t json_want_u64(const json_t *obj, str_t key, uint64_t max, uint64_t fallback, uint64_t *out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	if (n) {
		return json_u64(n, max, out);
	}
	*out = fallback;
	return OK;
}

err_t json_need_i64(const json_t *obj, str_t key, int64_t *out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	return json_i64(n, out);
}

err_t json_want_i64(const json_t *obj, str_t key, int64_t fallback, int64_t *out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	if (n) {
		return json_i64(n, out);
	}
	*out = fallback;
	return OK;
}

err_t json_need_bool(const json_t *obj, str_t key, bool *out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	return json_bool(n, out);
}

err_t json_want_bool(const json_t *obj, str_t key, bool fallback, bool *out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	if (n) {
		return json_bool(n, out);
	}
	*out = fallback;
	return OK;
}

err_t json_need_date_s(const json_t *obj, str_t key, int64_t *out_s)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	return json_date_s(n, out_s);
}

err_t json_want_date_s(const json_t *obj, str_t key, int64_t fallback_s, int64_t *out_s)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	if (n) {
		return json_date_s(n, out_s);
	}
	*out_s = fallback_s;
	return OK;
}

err_t json_need_obj(const json_t *obj, str_t key, const json_t **out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	TRY(want_kind(n, JSON_OBJECT));
	*out = n;
	return OK;
}

err_t json_want_obj(const json_t *obj, str_t key, const json_t **out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	ENSURE(!n || n->kind == JSON_OBJECT, ERR_VALUE);
	*out = n;
	return OK;
}

err_t json_need_arr(const json_t *obj, str_t key, uint32_t max_count, const json_t **out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	TRY(want_kind(n, JSON_ARRAY));
	ENSURE(n->count <= max_count, ERR_LIMIT);
	*out = n;
	return OK;
}

err_t json_want_arr(const json_t *obj, str_t key, uint32_t max_count, const json_t **out)
{
	const json_t *n;

	TRY(find(obj, key, &n));
	ENSURE(!n || n->kind == JSON_ARRAY, ERR_VALUE);
	ENSURE(json_count(n) <= max_count, ERR_LIMIT);
	*out = n;
	return OK;
}

static bool is_among(str_t key, const str_t *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(key, names[i])) {
			return true;
		}
	}
	return false;
}

err_t json_only(const json_t *obj, const str_t *names, size_t n, diag_t *diag)
{
	ENSURE(json_kind(obj) == JSON_OBJECT, ERR_VALUE);
	for (const json_t *c = json_first(obj); c; c = json_next(c)) {
		if (is_among(json_key(c), names, n)) {
			continue;
		}
		str_t shown = str_sub(json_key(c), 0, DIAG_TEXT_BYTES / 2);
		diag_set(diag, 0, 0, "unknown member \"%.*s\"",
			STR_ARG(str_is_visible(shown) ? shown : STR("(unprintable)")));
		return ERR_UNKNOWN_MEMBER;
	}
	return OK;
}
