/* sse.h: an upstream's event stream cut into whole events, and each event that passes written anew. Owns: the piece that is not whole yet. Threads: the loop's. */
#ifndef ATTORN_GATEWAY_SSE_H
#define ATTORN_GATEWAY_SSE_H

#include "pure/base/base.h"

typedef struct {
	buf_t *b; /* heap, goes with the arena */
	size_t scanned, line; /* bytes looked at; where the current line began */
} sse_reader_t;

void sse_reader_init(arena_t *a, sse_reader_t *r, size_t event_bytes_max);
/* One whole event: `raw` with its blank line, `data` joined from its data lines (may be empty: a
 * comment, or an id alone). Both are borrowed for the call. */
typedef err_t sse_event_fn(void *owner, str_t raw, str_t data);
/* Takes bytes and reports the events they complete. ERR_LIMIT for an event that is too long. What is
 * left at the end of a stream is no event (WHATWG HTML 9.2.6). */
MUST err_t sse_feed(sse_reader_t *r, str_t in, sse_event_fn *event, void *owner);
/* Is it an event that MCP clients read: without a name, or named "message"? */
bool sse_is_message(str_t raw);
/* Appends an event with the `event`, `id` and `retry` lines of `raw` (mcp.md 4) and `json`, which was parsed,
 * as its data in one line. No other line passes: a comment or unknown field that some reader splits where
 * we do not (U+2028, a byte order mark) would carry a message nobody judged. Nothing if nothing is left. */
MUST err_t sse_write(str_t raw, str_t json, buf_t *out);

#endif
