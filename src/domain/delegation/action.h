/* action.h: what is about to happen, made canonical (reference ledger 11.3; docs/digests.md).
 *
 *   args digest   MCP:  SHA-256("attorn-args/1" 00 || RFC 8785 form of params.arguments, {} if absent)
 *                 HTTP: SHA-256("attorn-args/1" 00 || raw body bytes, none if there is no body)
 *   action digest SHA-256("attorn-action/1" 00 || {"actor":..,"args_digest":"sha-256:<hex>","aud":..,
 *                 "op":..,"target":..} in JCS-S)
 *   MCP:  op "tools/call", target = tool name.   HTTP: op = method, target = path[?query] as sent.
 *   actor = SPIFFE ID of the agent that holds the key, aud = URL of the route.
 *
 * A target is accepted only in its one normal form (delegation_target_check): nothing is rewritten, so
 * the bytes that were judged are the bytes that are sent. */
#ifndef ATTORN_DELEGATION_ACTION_H
#define ATTORN_DELEGATION_ACTION_H

#include "pure/base/base.h"
#include "pure/codec/codec.h"

enum { DELEGATION_DIGEST_BYTES = 32 };
/* "sha-256:" and 64 hex digits: how a digest is written in JCS-S documents and records. */
enum { DELEGATION_DIGEST_TEXT_BYTES = 8 + 64 };

typedef enum {
	DELEGATION_MCP_TOOL_CALL = 1, /* "mcp_tool_call" */
	DELEGATION_HTTP_REQUEST = 2, /* "http_request" */
} delegation_type_t;

/* One real call. Everything borrows from what was given to delegation_call_*. */
typedef struct {
	delegation_type_t type;
	str_t actor, aud, op, target;
	uint8_t args_digest[DELEGATION_DIGEST_BYTES];
	uint8_t digest[DELEGATION_DIGEST_BYTES]; /* the action digest */
	const json_t *args; /* arguments, or a JSON body; NULL: none */
	bool is_opaque; /* an HTTP body that is not JSON: only a digest alone can permit it */
} delegation_call_t;

/* Makes the call of `tools/call`. args: the node of params.arguments in the very bytes that will be
 * forwarded, NULL if absent. ERR_VALUE when it is no object, ERR_NUMBER for a number that RFC 8785
 * would round, ERR_TOOL for a name outside [visible ASCII]{1,128}. */
MUST err_t delegation_call_mcp(arena_t *a, str_t actor, str_t aud, str_t tool, const json_t *args,
	delegation_call_t *out);
/* Makes the call of an HTTP request. target: path[?query] below the route, which must pass
 * delegation_target_check; body: exact bytes; json: the parsed body when the request says
 * application/json (the caller parses strictly and refuses what does not parse), else NULL. */
MUST err_t delegation_call_http(str_t actor, str_t aud, str_t method, str_t target, str_t body,
	const json_t *json, delegation_call_t *out);

/* The same digests from parts, for who has no body at hand (the broker: a client sends digests). */
MUST err_t delegation_action_digest(str_t actor, str_t aud, str_t op, str_t target,
	const uint8_t args_digest[32], uint8_t out[32]);
/* Args digest of raw bytes (HTTP body). */
void delegation_body_digest(str_t body, uint8_t out[32]);

/* path[?query] in its one form: starts with '/', visible ASCII, no empty, "." or ".." segment (one
 * trailing '/' is fine), no '\', no fragment; escapes are %XX in upper case and never stand for an
 * unreserved character, '/', '\', '%' or a control character. ERR_VALUE, ERR_LIMIT. */
MUST err_t delegation_target_check(str_t target);
/* HTTP method: 1..16 upper-case letters. ERR_VALUE. */
MUST err_t delegation_method_check(str_t method);

/* "sha-256:<hex>" of a digest, and back (lower case only; ERR_VALUE). */
str_t delegation_digest_text(arena_t *a, const uint8_t digest[32]);
MUST err_t delegation_digest_parse(str_t text, uint8_t out[32]);

#endif
