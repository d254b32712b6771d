/* headers.h: which header fields pass (mcp.md 4, G8). Towards upstream a short list passes: digests do
 * not cover headers, so none may change what a call means (no X-HTTP-Method-Override, no second
 * identity). Towards the client a short list stays behind. Pure. */
#ifndef ATTORN_GATEWAY_HEADERS_H
#define ATTORN_GATEWAY_HEADERS_H

#include "engine/net/net.h"

enum { HEADERS_PASS_MAX = 56 }; /* of the 64 that net takes; the rest is for ours */

/* Fields of a client's request that go to an HTTP API, plus the credential last (`name` empty: none).
 * A field of the client with the credential's name never passes. ERR_DUPLICATE, ERR_LIMIT. */
MUST err_t headers_to_upstream(arena_t *a, net_headers_t in, net_header_t credential, net_headers_t *out);
/* Fields of an upstream's answer that the client gets. */
MUST err_t headers_to_client(arena_t *a, net_headers_t in, str_t credential_name, net_headers_t *out);

#endif
