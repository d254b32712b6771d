/* sse.c: event streams, line by line (WHATWG HTML 9.2.5): CR, LF and CRLF end a line, an empty line ends
 * an event. */
#include "pure/codec/codec.h"
#include "service/gateway/sse.h"

enum { SSE_ID_BYTES_MAX = 256 }; /* a cursor */

static void reader_free(void *arg)
{
	buf_wipe(arg);
	heap_free(arg);
}

void sse_reader_init(arena_t *a, sse_reader_t *r, size_t event_bytes_max)
{
	*r = (sse_reader_t){ .b = heap_new(buf_t) };
	buf_init(r->b, event_bytes_max);
	arena_defer(a, reader_free, r->b);
}

/* The value of a line of the field `name`, or false. */
static bool field_line(str_t line, str_t name, str_t *out)
{
	if (!str_starts(line, name)) {
		return false;
	}
	str_t rest = str_sub(line, name.n, line.n);
	if (rest.n && rest.p[0] != ':') {
		return false; /* a field of another name */
	}
	rest = str_sub(rest, 1, rest.n);
	*out = rest.n && rest.p[0] == ' ' ? str_sub(rest, 1, rest.n) : rest;
	return true;
}

/* Next line of an event without its end. */
static bool line_next(str_t *rest, str_t *out)
{
	size_t n = 0;

	if (!rest->n) {
		return false;
	}
	while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r') {
		n++;
	}
	*out = str_sub(*rest, 0, n);
	if (n + 1 < rest->n && rest->p[n] == '\r' && rest->p[n + 1] == '\n') {
		n++;
	}
	*rest = str_sub(*rest, n + 1, rest->n);
	return true;
}

static err_t event_report(str_t raw, sse_event_fn *event, void *owner)
{
	AUTO(buf_done) buf_t joined = { 0 };
	str_t rest = raw, line, value, first = STR_NULL;
	size_t n = 0;

	buf_init(&joined, raw.n + 1);
	while (line_next(&rest, &line)) {
		if (!field_line(line, STR("data"), &value)) {
			continue;
		}
		if (n++ == 0) {
			first = value;
			continue;
		}
		if (n == 2) {
			buf_add(&joined, first);
		}
		buf_byte(&joined, '\n');
		buf_add(&joined, value);
	}
	TRY(buf_err(&joined));
	return event(owner, raw, n < 2 ? first : buf_str(&joined));
}

/* Looks at one more byte; true when it ends an event. A CR that is the last byte waits for its LF. */
static bool byte_ends_event(sse_reader_t *r, bool *out_wait)
{
	const char *p = r->b->p;
	char c = p[r->scanned];

	*out_wait = false;
	if (c != '\n' && c != '\r') {
		r->scanned++;
		return false;
	}
	if (c == '\r' && r->scanned + 1 == r->b->n) {
		*out_wait = true;
		return false;
	}
	bool is_blank = r->scanned == r->line;
	r->scanned += c == '\r' && p[r->scanned + 1] == '\n' ? 2 : 1;
	r->line = r->scanned;
	return is_blank;
}

err_t sse_feed(sse_reader_t *r, str_t in, sse_event_fn *event, void *owner)
{
	size_t begun = 0;
	bool wait = false;
	err_t e = OK;

	buf_add(r->b, in);
	TRY(buf_err(r->b));
	while (e == OK && !wait && r->scanned < r->b->n) {
		if (byte_ends_event(r, &wait)) {
			e = event_report(str_sub(buf_str(r->b), begun, r->scanned - begun), event, owner);
			begun = r->scanned;
		}
	}
	buf_drop(r->b, begun);
	r->scanned -= begun;
	r->line -= begun;
	return e;
}

static bool is_number(str_t s)
{
	uint64_t n;

	return str_to_u64(s, UINT32_MAX, &n) == OK;
}

/* Each field means something to the reader of a stream, and nothing else in it does. */
static bool line_is_kept(str_t line)
{
	str_t value;

	if (field_line(line, STR("event"), &value)) {
		return str_eq(value, STR("message"));
	}
	if (field_line(line, STR("retry"), &value)) {
		return is_number(value);
	}
	return field_line(line, STR("id"), &value) && value.n <= SSE_ID_BYTES_MAX && str_is_visible(value);
}

bool sse_is_message(str_t raw)
{
	str_t rest = raw, line, name = STR("message");

	while (line_next(&rest, &line)) {
		(void)field_line(line, STR("event"), &name);
	}
	return !name.n || str_eq(name, STR("message"));
}

err_t sse_write(str_t raw, str_t json, buf_t *out)
{
	str_t rest = raw, line;
	bool any = json.n > 0;

	while (line_next(&rest, &line)) {
		if (line_is_kept(line)) {
			buf_add(out, line);
			buf_byte(out, '\n');
			any = true;
		}
	}
	if (json.n) {
		buf_add(out, STR("data: "));
		TRY(json_line(out, json));
		buf_byte(out, '\n');
	}
	if (any) {
		buf_byte(out, '\n');
	}
	return buf_err(out);
}
