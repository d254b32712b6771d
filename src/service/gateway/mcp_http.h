/* mcp_http.h: MCP servers over Streamable HTTP upstream (mcp.md 2, 4): requests with a session of their
 * own per client session, answers read strictly. What outlives a request: which sessions were made anew
 * upstream (G12) and which were deleted. */
#ifndef ATTORN_GATEWAY_MCP_HTTP_H
#define ATTORN_GATEWAY_MCP_HTTP_H

#include "service/gateway/visit.h"

typedef struct mcp_sessions mcp_sessions_t;
mcp_sessions_t *mcp_sessions_new(void);
void mcp_sessions_free(mcp_sessions_t *s); /* accepts NULL */
/* Upstream's session id of a client session: the newer one, if it was made anew. */
str_t mcp_sessions_upstream(const mcp_sessions_t *s, const session_t *session);
void mcp_sessions_moved(mcp_sessions_t *s, str_t session_id, str_t upstream_sid);
void mcp_sessions_ended(mcp_sessions_t *s, str_t session_id);
bool mcp_sessions_has_ended(const mcp_sessions_t *s, str_t session_id);

/* A request to the route's upstream: method, body, session headers, the visit's credential. */
MUST err_t mcp_http_request(const visit_t *v, str_t method, str_t body, net_request_t *out);
/* The response to request `id` in a whole answer, JSON or events. ERR_UPSTREAM when there is none,
 * ERR_SESSION when upstream says 404. *out_text: its exact bytes. */
MUST err_t mcp_http_response(arena_t *a, const net_response_t *r, str_t id, message_t *out, str_t *out_text);
/* Mcp-Session-Id of the answer to initialize, or empty; ERR_UPSTREAM for one that breaks the grammar. */
MUST err_t mcp_http_session_id(net_headers_t headers, str_t *out);
/* Sends a message nobody waits for: notifications/cancelled after a cut. */
void mcp_http_tell(const visit_t *v, str_t body);
/* The two halves of making upstream's side of a session anew (G12): initialize as the client once did,
 * then say so. ERR_SESSION when upstream will not. */
MUST err_t mcp_http_revive(visit_t *v, net_response_t *response, op_t **out);
MUST err_t mcp_http_revived(visit_t *v, net_response_t *response, op_t **out);

#endif
