/* mcp.h: MCP requests of the legacy era (mcp.md 2). */
#ifndef ATTORN_GATEWAY_MCP_H
#define ATTORN_GATEWAY_MCP_H

#include "service/gateway/visit.h"

/* Takes the visit: reads the message and starts the flow it wants. */
void mcp_handle(visit_t *v);

/* MCP-Protocol-Version, if there is one: ERR_PROTOCOL. */
MUST err_t mcp_version_check(const visit_t *v);
/* The session named by the request, which must be this caller's: ERR_NO_SESSION, ERR_SESSION. */
MUST err_t mcp_session_find(visit_t *v);

#endif
