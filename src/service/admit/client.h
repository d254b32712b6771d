/* client.h: a gateway asks the authority: may this call happen, and later: this is what became of it.
 * Owns: outcomes and counts that are not taken yet (bounded). Threads: the loop's.
 * Limits: limits.h. Forbidden: deciding anything here. */
#ifndef ATTORN_ADMIT_CLIENT_H
#define ATTORN_ADMIT_CLIENT_H

#include "engine/net/net.h"
#include "service/admit/tally.h"

typedef struct admit_client admit_client_t;

typedef struct {
	loop_t *loop;
	net_client_t *net;
	const char *socket; /* run/internal.sock */
	str_t instance;
	str_t via; /* SPIFFE ID of this gateway */
} admit_client_deps_t;

/* Lives as long as its process; what is not taken at its end the authority closes as unknown. */
MUST err_t admit_client_new(const admit_client_deps_t *deps, admit_client_t **out);

typedef struct {
	str_t rid; /* ULID of this call */
	bool has_once;
	str_t once_space, once_id;
	int64_t once_until_s;
	str_t grant; /* STR_NULL: autonomous */
	uint64_t fence;
	str_t route;
	int64_t deadline_ms; /* Unix time: after it the attempt may be closed as unknown */
	str_t record; /* JSON object, wire.md 9 */
} admit_ask_t;

typedef struct {
	bool admitted;
	err_t code; /* ERR_FENCE: decide again; else the reason for the caller */
	str_t credential_header, credential_value; /* header empty: none */
} admit_told_t;

/* As an operation: asks, and asks again with the same rid when the answer is lost (the authority
 * answers a repeat alike), for ADMIT_ASK_MS, or until the flow's deadline. ERR_AUTHORITY_AWAY: nothing was admitted that
 * will ever be forwarded: the caller must then send an outcome not_executed. */
op_t *admit_ask(arena_t *a, admit_client_t *c, const admit_ask_t *ask, admit_told_t *out);
/* As an operation: a denial on record before its answer goes out. */
op_t *admit_decision(arena_t *a, admit_client_t *c, str_t rid, str_t record);

typedef enum { ADMIT_SUCCESS, ADMIT_ERROR, ADMIT_TIMEOUT, ADMIT_UNKNOWN, ADMIT_NOT_EXECUTED } admit_status_t;
/* Sends an outcome until it is taken; returns at once. ERR_LIMIT when ADMIT_OUTCOMES_MAX wait: then the
 * gateway must take no new calls (admit_client_full). `resp` = digest of the response, may be empty. */
MUST err_t admit_outcome(admit_client_t *c, str_t rid, admit_status_t status, str_t code,
	str_t resp_digest, uint64_t ms);
bool admit_client_full(const admit_client_t *c);
size_t admit_client_waiting(const admit_client_t *c);
/* Counts a refusal of somebody unauthenticated; recorded once a minute per door. */
void admit_refused(admit_client_t *c, const char *door, err_t code);
/* Reports now and not in some seconds what was counted: before the process ends. */
void admit_client_flush(admit_client_t *c);
/* No message of any kind is on its way. */
bool admit_client_idle(const admit_client_t *c);
/* What this process refused strangers since it began, for its metrics. */
const tally_t *admit_client_tally(const admit_client_t *c);

#endif
