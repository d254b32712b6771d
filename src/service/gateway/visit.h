/* visit.h: one request of somebody whose token and key were verified, from the door to its answer.
 * Lives in the arena of the flow that carries it; visit_done gives back what the arena does not. */
#ifndef ATTORN_GATEWAY_VISIT_H
#define ATTORN_GATEWAY_VISIT_H

#include "service/gateway/gateway_int.h"
#include "service/gateway/message.h"
#include "service/gateway/session.h"

typedef struct {
	delegation_claims_t claims;
	bool by_certificate; /* proved by the connection, and `proof` is empty; else by `proof` */
	jose_dpop_t proof;
	uint8_t token_hash[DELEGATION_DIGEST_BYTES];
} caller_t;

typedef struct visit {
	gateway_t *g;
	net_exchange_t *x; /* NULL in a simulation: nobody listens, see `said` */
	arena_t *a;
	const feed_view_t *view; /* pinned (F7); a newer one takes its place when rules changed */
	const snapshot_route_t *route; /* of the view */
	str_t method, target, body; /* target: path?query below an HTTP route */
	net_headers_t headers;
	str_t origin; /* an allowed Origin to name in CORS headers, or empty */
	int64_t now_us; /* Unix */
	caller_t who;

	message_t msg; /* MCP routes */
	bool has_session;
	session_t session;

	bool has_action, has_decision;
	delegation_call_t action;
	snapshot_effect_t effect;
	str_t scope; /* what the tool needs */
	str_t tool_name; /* as rules name it */
	policy_decision_t decision;

	net_header_t credential; /* what admit released for the upstream, or none */
	str_t rid; /* of this call's record; made at the door */
	err_t denied; /* a denial is an answer; why, for the log: */
	diag_t why;
	op_t *recording; /* the denial on its way to the ledger */
	bool answered; /* head is out */
	bool streaming; /* begun, and neither ended nor cut */
	int said; /* status that went out, 0 before */
} visit_t;

/* Makes a visit in an arena of its own, with the current view pinned; NULL without a view. */
visit_t *visit_new(gateway_t *g, net_exchange_t *x);
/* Gives back the view. The arena is the flow's, or visit_free's. */
void visit_done(visit_t *v);
void visit_free(visit_t *v);
/* Takes the newest view and finds the route in it again. ERR_NOT_FOUND when it is gone. */
MUST err_t visit_renew(visit_t *v);
static inline bool visit_is_mcp(const visit_t *v) { return v->route->kind != SNAPSHOT_HTTP; }
static inline int64_t visit_now_s(const visit_t *v) { return v->now_us / 1000000; }

/* --- token.c ------------------------------------------------------------------------------------ */

/* Who asks: one Authorization with a token of ours for this route, one proof by its key (oauth 16,
 * steps 1 to 3). Errors are those of somebody unknown, but for ERR_GRANT_REVOKED and ERR_AGENT_STATE: then
 * v->who stands. */
MUST err_t visit_authenticate(visit_t *v);
/* On the pinned view: is the agent active and the token's key still one of its own? ERR_AGENT_STATE. */
MUST err_t visit_agent_stands(const visit_t *v);
/* What a call may spend once, or ERR_ACTION: step 4 for tools/call and HTTP requests. */
MUST err_t visit_once(const visit_t *v, admit_ask_t *ask);
/* A token for sessions and lists: not a capability (P96), its proof not seen before. */
MUST err_t visit_may_open(visit_t *v);

/* --- rules.c: the decision on one pinned view --------------------------------------------------------- */

/* The real request made an action: v->action, v->effect, v->scope. ERR_TOOL for what does not exist;
 * errors of malformed arguments. */
MUST err_t rules_action(visit_t *v);
/* OK, or why not: token's digest, items, scope, then policy. Fills v->decision when policy was asked. */
MUST err_t rules_call(visit_t *v);
/* Sessions and lists of the route. */
MUST err_t rules_list(visit_t *v);
/* May this caller see the tool in a list? (items and scope of the token, tools of the route) */
bool rules_shows(const visit_t *v, str_t tool);

/* --- record.c -------------------------------------------------------------------------------------------- */

/* The members of a record (wire.md 9); `code` is empty for an attempt. */
MUST err_t record_write(const visit_t *v, str_t code, str_t *out);
/* Begins to put v->denied on record: for flow_wait; v->recording tells later how it went. */
MUST err_t record_denial(visit_t *v, op_t **out);

/* --- answer.c: what the client hears --------------------------------------------------------------- */

/* One whole answer; headers of ours (CORS, no-store) are added. Once per visit. */
void visit_reply(visit_t *v, int status, net_headers_t headers, str_t content_type, str_t body);
void visit_reply_json(visit_t *v, str_t body);
/* Begins a stream; SSE gets keep-alive comments. Then bytes, then exactly one end or cut. */
void visit_begin(visit_t *v, int status, net_headers_t headers);
void visit_begin_sse(visit_t *v);
MUST err_t visit_event(visit_t *v, str_t json);
void visit_end(visit_t *v);
void visit_cut(visit_t *v);
/* Ends an MCP request that its client took back: a stream without a response. */
void visit_say_nothing(visit_t *v);
/* Says no, or that something broke, in the form that the route and the era want (mcp.md 7, oauth 17).
 * After a stream began: an error event, or a cut. */
void visit_refuse(visit_t *v, err_t e);

#endif
