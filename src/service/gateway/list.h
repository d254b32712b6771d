/* list.h: what of an upstream's answers a caller may see (mcp.md G29, G30). Pure; kept bytes stay as they
 * are. */
#ifndef ATTORN_GATEWAY_LIST_H
#define ATTORN_GATEWAY_LIST_H

#include "service/gateway/message.h"

/* The response to tools/list without the tools that `shows` denies; cursor and all else kept. An error
 * passes as it is. ERR_UPSTREAM for a result that is no list, ERR_LIMIT. */
typedef bool list_shows_fn(const void *owner, str_t tool);
MUST err_t list_filter(const message_t *response, list_shows_fn *shows, const void *owner, buf_t *out);

/* The result of initialize as a client may have it: only capabilities that we relay, and `version`.
 * ERR_UPSTREAM for a result that is none. */
MUST err_t list_initialize_result(const json_t *result, str_t version, buf_t *out);
/* Params of initialize as upstream gets them: the client's capabilities are not relayed. `info_max`:
 * a longer clientInfo is left out for a short one. */
MUST err_t list_initialize_params(const json_t *params, str_t version, size_t info_max, buf_t *out);

#endif
