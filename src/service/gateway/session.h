/* session.h: MCP session ids (mcp.md G11): everything a session is lies sealed in its id, so it
 * survives a restart and works on any gateway that has the snapshot's session key.
 * Pure: key and time are arguments. */
#ifndef ATTORN_GATEWAY_SESSION_H
#define ATTORN_GATEWAY_SESSION_H

#include "domain/delegation/delegation.h"

typedef struct {
	str_t sub, client, grant; /* whose token opened it; grant empty: autonomous */
	str_t route;
	str_t upstream_sid; /* of an HTTP upstream; may be empty */
	str_t version; /* protocol version answered */
	str_t init; /* params of initialize that a new upstream session needs (G12); a JSON object */
	int64_t iat;
	str_t id; /* first half of the SHA-256 of the sealed text, hex: names it in records and tables */
} session_t;

/* Seals; the result is visible ASCII. ERR_LIMIT when it would exceed GATEWAY_SESSION_BYTES_MAX. */
MUST err_t session_seal(arena_t *a, str_t key32, const session_t *s, str_t *out_text);
/* Opens. ERR_SESSION for all that is not one of ours, or too old. */
MUST err_t session_open(arena_t *a, str_t key32, str_t text, int64_t now_unix_s, session_t *out);
/* ERR_SESSION unless the session belongs to the bearer of these claims on this route (P96). */
MUST err_t session_check(const session_t *s, const delegation_claims_t *c, str_t route);

/* Protocol versions of the legacy era that we speak. */
bool session_version_is_known(str_t version);
extern const str_t session_version_newest;

#endif
