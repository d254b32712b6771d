/* mcp_event.c: an event stream as it comes, whatever its chunks: WHATWG HTML 9.2.6, of which only data
 * matters here. */
#include "app/cli/mcp_int.h"

void mcp_events_init(mcp_events_t *s, err_t (*event)(str_t data, void *owner), void *owner)
{
	*s = (mcp_events_t){ .event = event, .owner = owner };
	buf_init(&s->line, CLI_LINE_BYTES_MAX);
	buf_init(&s->data, CLI_LINE_BYTES_MAX);
}

void mcp_events_done(mcp_events_t *s)
{
	buf_done(&s->line);
	buf_done(&s->data);
}

static err_t event_end(mcp_events_t *s)
{
	err_t e = OK;

	if (s->data.n > 1) { /* else a comment, or an event that only moves the cursor */
		e = s->event(str_sub(buf_str(&s->data), 0, s->data.n - 1), s->owner);
	}
	buf_clear(&s->data);
	return e;
}

static err_t line_end(mcp_events_t *s)
{
	str_t line = buf_str(&s->line), name, value;
	size_t colon = str_find(line, ':');

	if (line.n == 0) {
		return event_end(s);
	}
	name = str_sub(line, 0, colon);
	value = str_sub(line, colon + 1, line.n);
	if (str_eq(name, STR("data"))) {
		buf_add(&s->data, str_starts(value, STR(" ")) ? str_sub(value, 1, value.n) : value);
		buf_byte(&s->data, '\n');
	}
	buf_clear(&s->line);
	return buf_err(&s->data);
}

/* Up to the next CR or LF; moves `bytes` behind it. */
static str_t piece_take(str_t *bytes)
{
	size_t n = 0;

	while (n < bytes->n && bytes->p[n] != '\n' && bytes->p[n] != '\r') {
		n++;
	}
	str_t piece = str_sub(*bytes, 0, n);
	*bytes = str_sub(*bytes, n, bytes->n);
	return piece;
}

err_t mcp_events_take(mcp_events_t *s, str_t bytes)
{
	while (bytes.n) {
		if (s->after_cr && bytes.p[0] == '\n') { /* CR LF is one end */
			bytes = str_sub(bytes, 1, bytes.n);
			s->after_cr = false;
			continue;
		}
		s->after_cr = false;
		buf_add(&s->line, piece_take(&bytes));
		TRY(buf_err(&s->line));
		if (bytes.n) {
			s->after_cr = bytes.p[0] == '\r';
			bytes = str_sub(bytes, 1, bytes.n);
			TRY(line_end(s));
		}
	}
	return OK;
}
