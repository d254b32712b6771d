/* call.h: one call through the gateway, and what it asks of each kind of upstream. */
#ifndef ATTORN_GATEWAY_CALL_H
#define ATTORN_GATEWAY_CALL_H

#include "service/gateway/sse.h"
#include "service/gateway/stdio.h"
#include "service/gateway/visit.h"

/* A kind of upstream. */
typedef struct {
	/* The operation that sends what was judged and brings or streams the answer. */
	MUST err_t (*forward)(call_t *c, op_t **out);
	/* After it came back well: success or error? (c->status, c->code). An error: nothing of the answer
	 * is for the client. ERR_SESSION: upstream knows the session no more and did nothing. */
	MUST err_t (*judge)(call_t *c);
	/* Gives the rest of the answer to the client and ends the reply. */
	void (*answer)(call_t *c);
	/* It was cut while upstream worked; may be NULL. */
	void (*cut)(call_t *c);
} upstream_t;
extern const upstream_t upstream_http, upstream_mcp_http, upstream_stdio;

struct call {
	visit_t *v;
	flow_id_t id;
	const upstream_t *up;
	err_t verdict; /* of the last piece of judging */
	unsigned tries; /* decisions made */
	admit_ask_t ask;
	op_t *asking;
	admit_told_t told;
	bool withdrawn; /* the client sent `cancelled` and wants no answer any more (mcp.md W10) */
	bool forwarded;
	uint64_t forwarded_us;

	/* what upstream did */
	admit_status_t status;
	str_t code;
	crypto_sha256_t hash; /* of the answer's bytes as upstream sent them */
	bool answered_upstream; /* the answer came back whole, whatever it is worth */
	net_pump_result_t pump; /* HTTP kinds */
	sse_reader_t sse; /* mcp-http */
	bool revived; /* mcp-http: the session upstream was made anew for this call */
	net_response_t revival;
	bool sse_final; /* the response was among the events */
	stdio_answer_t stdio;
	str_t json; /* mcp-http: the response, when it is one message */
	uint64_t progress_s; /* second of the last progress, and how many in it */
	unsigned progress_n;

	call_t *prev, *next; /* g->calls */
};

/* Success or error, by the response of an MCP upstream. */
void call_verdict(call_t *c, message_verdict_t verdict);
/* Counts one notice of progress; true for what is too much of it (mcp.md G35). */
bool call_thins_progress(call_t *c);
/* Starts the flow; takes the visit. */
void call_start(visit_t *v);
/* For simulations: same, returns the flow's id, 0 when it could not start (then the visit is freed). */
flow_id_t call_start_id(visit_t *v);
/* True when no other call of the visit's session is at the upstream. */
bool call_is_alone(const visit_t *v);
/* notifications/cancelled of one session: true when a call with this id was found. */
bool call_cancel(gateway_t *g, str_t session_id, str_t request_id);

#endif
