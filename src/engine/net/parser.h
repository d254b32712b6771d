/* parser.h: bytes in, one request out: the pure half of the server. llhttp 9.4.3 without any leniency,
 * and the checks it leaves to us (mcp.md 8, oauth.md P71). No socket, no clock; the fuzz target
 * fuzz/http1.c lives here.
 * Owns: what it gathers of the message; net_parser_take moves it out. Threads: any, one at a time. */
#ifndef ATTORN_NET_PARSER_H
#define ATTORN_NET_PARSER_H

#include <llhttp.h>

#include "engine/net/net.h"

/* One whole request. The strings borrow from `head` and `body_buf`. */
typedef struct {
	str_t method, target, path, query, host;
	net_header_t *headers; /* heap */
	size_t n_headers;
	str_t body;
	bool keep_alive;
	buf_t head, body_buf;
} net_message_t;
void net_message_done(net_message_t *m); /* wipes: it held tokens */

typedef enum {
	NET_PARSER_HEAD, /* wants more bytes of a head */
	NET_PARSER_BODY, /* wants more bytes of a body */
	NET_PARSER_REQUEST, /* one request is whole: take it */
	NET_PARSER_REFUSED, /* see status; nothing more is read */
} net_parser_state_t;

typedef struct {
	llhttp_t http;
	net_parser_state_t state;
	size_t head_bytes_max, body_bytes_max;
	size_t head_fed, body_fed; /* bytes given to llhttp in either phase */
	buf_t head; /* target, then names and values, back to back */
	buf_t spans; /* array of span_t, see parser.c */
	buf_t body;
	const char *slice; /* being read */
	uint32_t target_at, target_n, name_n, value_n; /* parts of the header being read */
	uint8_t protocol_n; /* bytes of "HTTP" seen; more is another protocol */
	bool keep_alive, wants_continue, started;
	int status; /* of the refusal */
	const char *why; /* static text for the log */
} net_parser_t;

void net_parser_init(net_parser_t *p, size_t head_bytes_max, size_t body_bytes_max);
void net_parser_done(net_parser_t *p);
/* Reads up to the end of one request; *out_used says how many bytes of `in` belonged to it. */
net_parser_state_t net_parser_feed(net_parser_t *p, str_t in, size_t *out_used);
/* Moves the request out and makes ready for the next. State must be NET_PARSER_REQUEST. */
void net_parser_take(net_parser_t *p, net_message_t *out);
/* True once, when a body is announced by Expect: 100-continue and none of it has come (RFC 9110 10.1.1). */
bool net_parser_take_continue(net_parser_t *p);
/* True when some byte of a message has been read. */
static inline bool net_parser_has_begun(const net_parser_t *p) { return p->started; }

#endif
