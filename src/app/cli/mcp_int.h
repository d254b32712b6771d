/* mcp_int.h: attorn mcp ROUTE from the inside: a client's messages come in as lines, each goes to the route
 * under a token of its own, and what comes back goes out as lines.
 *   mcp.c          the verb: lines in, threads, the end        mcp_message.c  reading and writing messages
 *   mcp_send.c     one message and its answer                  mcp_event.c    event streams
 *   mcp_session.c  the session: its headers, made anew when the gateway knows it no more
 * Threads: the reader's, which sends what must stay in order (initialize, notifications, answers), and one
 * for each running request. Forbidden: anything but MCP on stdout; a line there outside mcp_out. */
#ifndef ATTORN_CLI_MCP_INT_H
#define ATTORN_CLI_MCP_INT_H

#include <stdatomic.h>

#include "app/cli/agent_side.h"

/* JSON-RPC codes of ours lie outside of what the protocol keeps for itself (mcp.md 1). */
enum {
	MCP_PARSE = -32700,
	MCP_BAD_MESSAGE = -32600,
	MCP_BAD_PARAMS = -32602,
	MCP_DENIED = -33010,
	MCP_THROTTLED = -33011,
	MCP_FAILED = -33013,
};

/* --- messages -------------------------------------------------------------------------------------------- */

typedef enum { MCP_REQUEST = 1, MCP_NOTIFICATION, MCP_RESPONSE } mcp_kind_t;

/* One message of the client. Everything borrows from its line. */
typedef struct {
	mcp_kind_t kind;
	str_t line; /* the client's bytes, which are forwarded */
	str_t id; /* as sent; empty for a notification */
	str_t method; /* empty for a response */
	const json_t *params;
	bool is_call; /* tools/call: needs a capability */
	str_t tool;
	const json_t *args; /* NULL: absent */
} mcp_message_t;

/* Reads one line. ERR_SYNTAX, ERR_UTF8: not JSON; else not a message. With any error out->id is the id if
 * one could be read. */
MUST err_t mcp_message_read(arena_t *a, str_t line, mcp_message_t *out);
/* True when two ids are the same value, however spelled. */
bool mcp_id_same(arena_t *a, str_t x, str_t y);
/* An error answer; id empty: null. reason and fix may be empty. */
str_t mcp_error_text(arena_t *a, str_t id, int code, str_t text, str_t reason, str_t fix);
/* What the client hears when its request came to nothing: for a call that was refused an answer the model
 * can act on (mcp.md 7), else an error. `said`: words of who refused, or empty. */
str_t mcp_refusal_text(arena_t *a, const mcp_message_t *m, err_t e, str_t said);

/* --- event streams (WHATWG HTML 9.2) ------------------------------------------------------------------ */

typedef struct {
	buf_t line, data;
	bool after_cr;
	err_t (*event)(str_t data, void *owner); /* data of one event, lines joined by LF */
	void *owner;
} mcp_events_t;
void mcp_events_init(mcp_events_t *s, err_t (*event)(str_t data, void *owner), void *owner);
void mcp_events_done(mcp_events_t *s);
/* Takes bytes as they come. ERR_LIMIT for an event above CLI_LINE_BYTES_MAX, or an error of `event`. */
MUST err_t mcp_events_take(mcp_events_t *s, str_t bytes);

/* --- the shim ---------------------------------------------------------------------------------------------- */

/* One running or waiting request. */
typedef struct mcp_call {
	struct mcp_call *next;
	struct mcp *shim;
	arena_t *a;
	mcp_message_t message;
	atomic_bool muted; /* cancelled: nothing more of it goes to the client */
	atomic_bool stop; /* end its request to the gateway */
	bool running; /* a thread has it */
} mcp_call_t;

typedef struct {
	pthread_mutex_t lock;
	buf_t id, version; /* Mcp-Session-Id, MCP-Protocol-Version; empty: none */
	buf_t initialize; /* the client's line: a lost session is made anew with it */
	bool initialized; /* the client said so */
	uint64_t turn; /* counts sessions */
} mcp_session_t;

typedef struct mcp {
	agent_t agent;
	pthread_mutex_t out_lock; /* one writer at a time: lines stay whole */
	pthread_mutex_t lock; /* calls */
	pthread_cond_t ended; /* of a call */
	mcp_call_t *calls; /* oldest first */
	size_t n_calls, n_threads;
	atomic_bool stopping; /* every request ends */
	atomic_bool gone; /* nobody reads stdout */
	int wake_fd; /* written: look at stopping and gone */
	mcp_session_t session;
} mcp_t;

/* Writes one JSON text as a line, unless `call` (may be NULL) is muted. */
void mcp_out(mcp_t *m, const mcp_call_t *call, str_t json);
/* A line for people, on stderr. */
void mcp_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Sends one message and writes what comes back; `call` is NULL for what is no request. */
void mcp_send(mcp_t *m, arena_t *a, const mcp_message_t *message, const mcp_call_t *call);

void mcp_session_init(mcp_session_t *s);
void mcp_session_done(mcp_session_t *s);
/* Headers for a message that is not initialize, into out[2]; returns how many. *out_turn names the session. */
size_t mcp_session_headers(mcp_session_t *s, arena_t *a, net_header_t out[2], uint64_t *out_turn);
/* Takes up the session that an answer to `line` (the client's initialize) opened. */
void mcp_session_begin(mcp_session_t *s, str_t line, str_t id, str_t version);
void mcp_session_initialized(mcp_session_t *s);
/* The gateway does not know session `turn`: makes a new one. ERR_SESSION if there was none, or it fails. */
MUST err_t mcp_session_revive(mcp_t *m, uint64_t turn);
/* Ends it at the gateway, in a second or not at all. */
void mcp_session_end(mcp_t *m);

/* mcp_send.c for mcp_session.c: sends `line` as `initialize` or a notification for the shim's own ends. */
typedef struct {
	str_t session, version; /* of an initialize */
	int status;
	bool answered; /* with a result */
} mcp_reply_t;
MUST err_t mcp_send_quietly(mcp_t *m, arena_t *a, str_t line, mcp_reply_t *out);

#endif
