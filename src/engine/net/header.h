/* header.h: names and values of HTTP headers. Comes with net.h.
 * Owns: nothing. Threads: any. */
#ifndef ATTORN_NET_HEADER_H
#define ATTORN_NET_HEADER_H

#include "pure/base/base.h"

typedef struct {
	str_t name, value;
} net_header_t;

/* A borrowed list; order and duplicates are kept. */
typedef struct {
	const net_header_t *v;
	size_t n;
} net_headers_t;

#define NET_NO_HEADERS ((net_headers_t){ NULL, 0 })
/* NET_HEADERS({ STR("Location"), url }, { STR("Retry-After"), STR("1") }) */
#define NET_HEADERS(...)                                                                           \
	((net_headers_t){ (const net_header_t[]){ __VA_ARGS__ },                                   \
		sizeof((const net_header_t[]){ __VA_ARGS__ }) / sizeof(net_header_t) })

/* Finds the one header `name` (any case): ERR_NOT_FOUND when absent, ERR_DUPLICATE when repeated.
 * The way to read whatever must stand once: Authorization, DPoP, Content-Type, Origin ... */
MUST err_t net_headers_get(net_headers_t h, str_t name, str_t *out_value);
/* Walks the headers `name`: starts at *i = 0, false at the end. For lists such as Accept. */
bool net_headers_next(net_headers_t h, str_t name, size_t *i, str_t *out_value);
/* True for what concerns one connection only and never goes on: Connection and whatever it names,
 * Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade, Content-Length, Expect, Host. */
bool net_header_is_hop(net_headers_t all, str_t name);
/* True when name is a token and value holds no CR, LF, NUL or other control byte (RFC 9110 5.5). */
bool net_header_is_valid(net_header_t h);
/* True when a Content-Type value names `type`, parameters ignored, any case. */
bool net_content_type_is(str_t value, str_t type);

#endif
