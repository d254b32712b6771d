/* head.h: the two readers of a request, without HTTP/2 and without a socket: its header list and its
 * length-prefixed messages. Owns: copies of what it read. Limits: limits.h. */
#ifndef ATTORN_GRPC_HEAD_H
#define ATTORN_GRPC_HEAD_H

#include "engine/grpc/code.h"
#include "engine/grpc/limits.h"
#include "pure/base/base.h"

typedef struct {
	uint16_t name, name_n, value, value_n; /* places in head_t.bytes */
} head_field_t;

/* The header list of one request (RFC 9113 8.1-8.3, gRPC over HTTP/2). nghttp2 does not check it here
 * (spiffe.md 9: it would reset streams of stock clients for their :authority). */
typedef struct {
	buf_t bytes;
	head_field_t fields[GRPC_HEADERS_MAX];
	size_t n, counted; /* counted: as RFC 9113 6.5.2, also what was not kept */
	unsigned pseudo; /* which were seen */
	bool regular, malformed, over;
} head_t;

typedef enum {
	HEAD_GOOD,
	HEAD_MALFORMED, /* reset the stream: PROTOCOL_ERROR */
	HEAD_OVER, /* ResourceExhausted */
	HEAD_METHOD, /* HTTP 405 */
	HEAD_TYPE, /* HTTP 415 */
	HEAD_TIMEOUT, /* grpc-timeout is none */
} head_verdict_t;

void head_init(head_t *h);
void head_done(head_t *h);
void head_add(head_t *h, str_t name, str_t value);
/* Judges the whole list. */
head_verdict_t head_judge(const head_t *h);
bool head_next(const head_t *h, str_t name, size_t *i, str_t *out_value);
/* The first value; STR_NULL when absent. */
str_t head_get(const head_t *h, str_t name);
/* 1 to 8 digits and one of H M S m u n; capped at GRPC_TIMEOUT_S_MAX, nanoseconds round up. */
MUST err_t head_timeout_read(str_t text, uint64_t *out_us);
/* May stand in the trailers of a request, and is no pseudo-header. */
bool head_field_ok(str_t name, str_t value);

/* Length-prefixed messages, split or joined across DATA frames in any way. */
typedef struct {
	uint8_t prefix[5];
	uint8_t n_prefix;
	bool compressed, whole;
	uint32_t want;
	buf_t body;
} frame_t;

void frame_init(frame_t *f, size_t max);
void frame_done(frame_t *f);
/* Takes bytes from `r` up to the end of one message; f->whole tells. Memory grows with what came, not with
 * what was announced. ERR_LIMIT for a length above the maximum, ERR_SYNTAX for a flag that is not 0 or 1. */
MUST err_t frame_feed(frame_t *f, rd_t *r);
bool frame_is_empty(const frame_t *f); /* between two messages */
void frame_next(frame_t *f); /* forgets the whole message */
static inline str_t frame_message(const frame_t *f)
{
	return f->body.n ? buf_str(&f->body) : STR("");
}

/* grpc-message: bytes outside 0x20-0x7e and '%' as %XX. */
void percent_encode(buf_t *b, str_t text);
/* The reverse, forgiving as the protocol asks: what is no %XX stays. */
void percent_decode(buf_t *b, str_t text);

#endif
