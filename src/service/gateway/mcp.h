/* mcp.h: MCP messages that are no calls: sessions and lists (mcp.md 2, legacy era). */
#ifndef ATTORN_GATEWAY_MCP_H
#define ATTORN_GATEWAY_MCP_H

#include "service/gateway/visit.h"

/* Takes the visit: reads the message and starts the flow it wants. */
void mcp_handle(visit_t *v);

#endif
