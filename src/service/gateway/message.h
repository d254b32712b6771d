/* message.h: JSON-RPC messages (mcp.md 1): one strict reading of the exact bytes, and edits that
 * replace spans and touch nothing else (G5, G6). Pure. */
#ifndef ATTORN_GATEWAY_MESSAGE_H
#define ATTORN_GATEWAY_MESSAGE_H

#include "pure/codec/codec.h"

typedef enum {
	MESSAGE_REQUEST = 1,
	MESSAGE_NOTIFICATION,
	MESSAGE_RESPONSE, /* result or error */
} message_kind_t;

typedef struct {
	message_kind_t kind;
	str_t text; /* the whole message as sent */
	str_t id; /* lexeme as sent, "7" with its quotes; empty for a notification; `null` in a response */
	str_t method; /* decoded */
	const json_t *params; /* object, or NULL */
	const json_t *result, *error; /* of a response: exactly one */
	str_t progress_token; /* lexeme of params._meta.progressToken, or empty */
} message_t;

/* Reads one message. ERR_SYNTAX and the like for what is no JSON; ERR_VALUE for JSON that is no
 * message: an array (batch), another version, an id that is no string or integer, params that are
 * no object, request and response in one. From a client a member of the envelope in another case ("Params")
 * and U+0000 are refused too (oauth P66); an upstream
 * may say it, and may send more nodes. */
typedef enum { MESSAGE_FROM_CLIENT, MESSAGE_FROM_UPSTREAM } message_from_t;
MUST err_t message_read(arena_t *a, str_t text, message_from_t from, message_t *out, diag_t *diag);
/* True for two ids of one type and value (1 is not "1"); lexemes as sent. */
bool message_id_eq(str_t x, str_t y);

/* What a response says of the call it answers. */
typedef struct {
	bool is_error; /* an error object, or a result with isError */
	bool has_code;
	int64_t code; /* of an error object */
} message_verdict_t;
message_verdict_t message_verdict(const message_t *response);

typedef struct {
	str_t old; /* a span inside the text */
	str_t with;
} message_edit_t;
/* Appends `text` with every span replaced; spans must not overlap (CHECK). Sorts `edits`. ERR_LIMIT. */
MUST err_t message_splice(buf_t *out, str_t text, message_edit_t *edits, size_t n);

/* Texts of messages we make ourselves; `id` is a lexeme (empty: null). */
MUST err_t message_error(buf_t *out, str_t id, int code, str_t text, str_t reason, str_t fix);
MUST err_t message_tool_error(buf_t *out, str_t id, str_t text);
MUST err_t message_result(buf_t *out, str_t id, str_t result);

#endif
