/* json_write.c: compact JSON into a buffer. Builders write freely and ask once at the end. */
#include "pure/codec/codec_int.h"

enum { WRITER_DEPTH_MAX = 64 }; /* bits of jw_t.is_object */

static void escape_add(buf_t *b, char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char short_form[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
	};
	unsigned char u = (unsigned char)c;

	if (u >= 0x20) { /* '"' and '\' */
		buf_add(b, (str_t){ (char[]){ '\\', c }, 2 });
	} else if (short_form[u]) {
		buf_add(b, (str_t){ (char[]){ '\\', short_form[u] }, 2 });
	} else {
		buf_add(b, (str_t){ (char[]){ '\\', 'u', '0', '0', hex[u >> 4], hex[u & 15] }, 6 });
	}
}

err_t json_quote(buf_t *b, str_t s)
{
	const char *p = s.n ? s.p : "", *end = p + s.n;
	uint64_t high = 0;

	ENSURE(str_is_utf8(s), ERR_UTF8);
	buf_byte(b, '"');
	for (;;) {
		const char *run = json_plain_end(p, end, &high);
		buf_add(b, (str_t){ p, (size_t)(run - p) });
		if (run == end) {
			break;
		}
		escape_add(b, *run);
		p = run + 1;
	}
	buf_byte(b, '"');
	return buf_err(b);
}

void jw_init(jw_t *w, buf_t *b)
{
	*w = (jw_t){ .b = b };
}

err_t jw_finish(jw_t *w)
{
	CHECK(w->err != OK || (w->depth == 0 && !w->have_key));
	TRY(w->err);
	return buf_err(w->b);
}

static void remember(jw_t *w, err_t e)
{
	w->err = w->err ? w->err : e;
}

static bool in_object(const jw_t *w)
{
	return w->depth > 0 && (w->is_object >> (w->depth - 1)) & 1;
}

/* Before every value: a comma, unless a key has just been written. */
static void begin_value(jw_t *w)
{
	CHECK(w->err != OK || in_object(w) == w->have_key);
	CHECK(w->err != OK || w->depth > 0 || !w->need_comma); /* one value at the top */
	if (w->need_comma && !w->have_key) {
		buf_byte(w->b, ',');
	}
	w->have_key = false;
	w->need_comma = true;
}

static void open_container(jw_t *w, bool object)
{
	begin_value(w);
	if (w->depth == WRITER_DEPTH_MAX) {
		remember(w, ERR_LIMIT);
		return;
	}
	uint64_t bit = 1ull << w->depth;
	w->is_object = object ? w->is_object | bit : w->is_object & ~bit;
	w->depth++;
	w->need_comma = false;
	buf_byte(w->b, object ? '{' : '[');
}

void jw_object(jw_t *w)
{
	open_container(w, true);
}

void jw_array(jw_t *w)
{
	open_container(w, false);
}

void jw_end(jw_t *w)
{
	if (w->err != OK) {
		return; /* levels no longer tally, and nobody will read the text */
	}
	CHECK(w->depth > 0 && !w->have_key);
	buf_byte(w->b, in_object(w) ? '}' : ']');
	w->depth--;
	w->need_comma = true;
}

void jw_key_str(jw_t *w, str_t key)
{
	CHECK(w->err != OK || (in_object(w) && !w->have_key));
	if (w->need_comma) {
		buf_byte(w->b, ',');
	}
	remember(w, json_quote(w->b, key));
	buf_byte(w->b, ':');
	w->have_key = true;
}

void jw_key(jw_t *w, const char *key)
{
	jw_key_str(w, str_of(key));
}

void jw_str(jw_t *w, str_t s)
{
	begin_value(w);
	remember(w, json_quote(w->b, s));
}

void jw_u64(jw_t *w, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	begin_value(w);
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_add(w->b, (str_t){ digits + at, sizeof(digits) - at });
}

void jw_i64(jw_t *w, int64_t v)
{
	if (v >= 0) {
		jw_u64(w, (uint64_t)v);
		return;
	}
	begin_value(w);
	buf_printf(w->b, "%lld", (long long)v);
}

void jw_bool(jw_t *w, bool v)
{
	jw_raw(w, v ? STR("true") : STR("false"));
}

void jw_null(jw_t *w)
{
	jw_raw(w, STR("null"));
}

void jw_raw(jw_t *w, str_t json)
{
	begin_value(w);
	if (json.n == 0) { /* json_raw() of an absent node */
		remember(w, ERR_MISSING_MEMBER);
	}
	buf_add(w->b, json);
}

void jw_kstr(jw_t *w, const char *key, str_t v)
{
	jw_key(w, key);
	jw_str(w, v);
}

void jw_kstr_if(jw_t *w, const char *key, str_t v)
{
	if (v.n) {
		jw_kstr(w, key, v);
	}
}

void jw_ki64(jw_t *w, const char *key, int64_t v)
{
	jw_key(w, key);
	jw_i64(w, v);
}

void jw_ku64(jw_t *w, const char *key, uint64_t v)
{
	jw_key(w, key);
	jw_u64(w, v);
}

void jw_kbool(jw_t *w, const char *key, bool v)
{
	jw_key(w, key);
	jw_bool(w, v);
}

void jw_knull(jw_t *w, const char *key)
{
	jw_key(w, key);
	jw_null(w);
}

void jw_kraw(jw_t *w, const char *key, str_t json)
{
	jw_key(w, key);
	jw_raw(w, json);
}

void jw_kobject(jw_t *w, const char *key)
{
	jw_key(w, key);
	jw_object(w);
}

void jw_karray(jw_t *w, const char *key)
{
	jw_key(w, key);
	jw_array(w);
}

/* The bytes of a line end at the start of `s`, 0 for none, and what to write in its place. */
static size_t line_end_at(str_t s, str_t *out_instead)
{
	static const struct {
		str_t end, instead;
	} ends[] = {
		{ STR_INIT("\n"), STR_INIT(" ") },
		{ STR_INIT("\r"), STR_INIT(" ") },
		{ STR_INIT("\xc2\x85"), STR_INIT("\\u0085") },
		{ STR_INIT("\xe2\x80\xa8"), STR_INIT("\\u2028") },
		{ STR_INIT("\xe2\x80\xa9"), STR_INIT("\\u2029") },
	};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if (str_starts(s, ends[i].end)) {
			*out_instead = ends[i].instead;
			return ends[i].end.n;
		}
	}
	return 0;
}

static bool may_end_a_line(char c)
{
	return c == '\n' || c == '\r' || c == '\xc2' || c == '\xe2';
}

err_t json_line(buf_t *b, str_t json)
{
	size_t from = 0;
	str_t instead;

	for (size_t i = 0; i < json.n; i++) {
		size_t n = may_end_a_line(json.p[i]) ? line_end_at(str_sub(json, i, 3), &instead) : 0;
		if (n > 0) {
			buf_add(b, str_sub(json, from, i - from));
			buf_add(b, instead);
			from = i + n;
			i = from - 1;
		}
	}
	buf_add(b, str_sub(json, from, json.n));
	return buf_err(b);
}
