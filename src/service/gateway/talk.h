/* talk.h: one MCP message that is no tools/call, and what each method asks of an upstream. */
#ifndef ATTORN_GATEWAY_TALK_H
#define ATTORN_GATEWAY_TALK_H

#include "service/gateway/stdio.h"
#include "service/gateway/visit.h"

typedef struct talk talk_t;

typedef struct {
	str_t method;
	message_kind_t kind;
	bool needs_session, asks_rules;
	/* What upstream is asked; *out stays NULL when nothing is. NULL: never anything. */
	err_t (*ask)(talk_t *t, op_t **out);
	/* What came back, made the answer. ERR_SESSION: upstream lost its half of the session. */
	err_t (*read)(talk_t *t);
} verb_t;

struct talk {
	visit_t *v;
	const verb_t *verb;
	unsigned tries; /* decisions made */
	admit_ask_t ask; /* only where upstream wants a credential */
	op_t *asking;
	admit_told_t told;
	bool asked, asked_http, revived;
	net_response_t response; /* HTTP upstream */
	stdio_answer_t stdio;
	str_t answer; /* JSON for 200; empty: 202 */
	str_t session_id; /* to be named in the answer */
};

/* The method's row; NULL for a request that has none. A notice that nobody wants has one, too. */
const verb_t *verb_of(const message_t *m);
extern const verb_t verb_delete;

/* Starts the flow; takes the visit. `verb` NULL: by the message. */
void talk_start(visit_t *v, const verb_t *verb);

#endif
