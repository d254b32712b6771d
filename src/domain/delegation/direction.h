/* direction.h: what started the run, who chose the action (reference oauth 10), how sure we are of the
 * caller (oauth 9), who acts for whom (oauth 7), and the names they go by.
 * The authority derives direction and assurance; nothing a requester says changes them (P80). */
#ifndef ATTORN_DELEGATION_DIRECTION_H
#define ATTORN_DELEGATION_DIRECTION_H

#include "domain/delegation/limits.h"
#include "pure/base/base.h"

/* Order is rank: unknown is lowest. init is copied along a chain and never ranked. */
typedef enum {
	DELEGATION_INIT_UNKNOWN = 0,
	DELEGATION_INIT_AGENT,
	DELEGATION_INIT_EVENT,
	DELEGATION_INIT_SCHEDULE,
	DELEGATION_INIT_HUMAN,
} delegation_init_t;

typedef enum {
	DELEGATION_SEL_UNKNOWN = 0,
	DELEGATION_SEL_AGENT_WITHIN_GRANT,
	DELEGATION_SEL_HUMAN_APPROVED,
	DELEGATION_SEL_HUMAN_SPECIFIED,
} delegation_sel_t;

typedef enum {
	DELEGATION_EV_INSTRUCTION = 0,
	DELEGATION_EV_APPROVAL,
	DELEGATION_EV_GRANT,
	DELEGATION_EV_TRIGGER,
} delegation_ev_kind_t;

typedef struct {
	delegation_ev_kind_t t;
	str_t iss, id;
	str_t h; /* b64url of a salted SHA-256, or empty: null in JSON */
	int64_t iat;
} delegation_ev_t;

/* {"by":..,"ev":[{"h":null|"..","iat":N,"id":..,"iss":..,"t":..}],"init":..,"sel":..} */
typedef struct {
	delegation_init_t init;
	delegation_sel_t sel;
	size_t n_ev;
	delegation_ev_t ev[DELEGATION_EVIDENCE_MAX];
	str_t by; /* issuer of the authority that derived it */
} delegation_direction_t;

/* How the caller proved itself; order is rank. Absent in a token is bearer (P98). */
typedef enum {
	DELEGATION_SHARED_UID = 0, /* the machine gives no boundary: says less than any other */
	DELEGATION_BEARER,
	DELEGATION_KEY,
	DELEGATION_ATTESTED,
} delegation_assurance_t;

str_t delegation_init_name(delegation_init_t init); /* "human", ... */
str_t delegation_sel_name(delegation_sel_t sel);
str_t delegation_assurance_name(delegation_assurance_t x); /* "shared-uid", "bearer", "key", ... */
MUST err_t delegation_assurance_parse(str_t name, delegation_assurance_t *out);
/* The lower of two: nothing raises assurance. */
delegation_assurance_t delegation_assurance_min(delegation_assurance_t x, delegation_assurance_t y);

/* The direction of a first token under a grant: init unknown (no instruction event is built yet), sel
 * agent_within_grant, or unknown for an admin-made grant (P101); evidence: the grant. */
void delegation_direction_of_grant(str_t grant_id, str_t iss, int64_t iat, bool is_admin_made,
	delegation_direction_t *out);
/* Of an autonomous agent: nobody is behind it, sel unknown. */
void delegation_direction_autonomous(str_t iss, delegation_init_t init, delegation_direction_t *out);
/* Of the next hop: init and by copied, sel the lower of parent's and `sel`, evidence kept. */
void delegation_direction_next(const delegation_direction_t *parent, delegation_sel_t sel,
	delegation_direction_t *out);
/* The only way up: an approval of exactly this action digest. ERR_ACTION when the digests differ,
 * ERR_LIMIT when there is no room for the evidence. */
MUST err_t delegation_direction_approve(const delegation_direction_t *parent,
	const delegation_ev_t *approval, const uint8_t approved_digest[32],
	const uint8_t action_digest[32], delegation_direction_t *out);
/* Checks a child against its parent: init equal, sel not higher, evidence only grown, by equal (P81).
 * ERR_BOUNDS. */
MUST err_t delegation_direction_check(const delegation_direction_t *parent,
	const delegation_direction_t *child);

/* --- names ------------------------------------------------------------------------------------ */

typedef enum {
	DELEGATION_AGENT_DELEGATED = 1, /* spiffe://TD/agent/NAME */
	DELEGATION_AGENT_AUTONOMOUS = 2, /* spiffe://TD/auto/NAME */
	DELEGATION_INFRASTRUCTURE = 3, /* spiffe://TD/attorn/... : never an agent */
} delegation_id_kind_t;

/* Reads one of our SPIFFE IDs: trust domain [a-z0-9._-]{1,255}, NAME [a-z0-9][a-z0-9._-]{0,62}. The
 * parts borrow from `id`. ERR_VALUE. */
MUST err_t delegation_id_parse(str_t id, delegation_id_kind_t *out_kind, str_t *out_td, str_t *out_name);
/* The same, refusing what is no agent or lives in another trust domain. */
MUST err_t delegation_agent_id_check(str_t id, str_t td);
str_t delegation_agent_id(arena_t *a, str_t td, delegation_id_kind_t kind, str_t name);
/* [a-z0-9][a-z0-9._-]{0,62}: names of agents, users, routes, roles, secrets. */
MUST err_t delegation_name_check(str_t name);
/* "u:" and a lower-case UUID. */
MUST err_t delegation_user_id_check(str_t id);

/* --- the act chain (RFC 8693 4.1, actor profile) ------------------------------------------------ */

typedef struct {
	str_t iss; /* namespace of sub: "spiffe://TD" */
	str_t sub;
	str_t sub_profile; /* "ai_agent", or empty: unclassified */
} delegation_actor_t;

/* actors[0] is the current actor, the last one the earliest; n == 0: nobody acts for anybody. */
typedef struct {
	size_t n;
	delegation_actor_t actors[DELEGATION_DEPTH_MAX];
} delegation_chain_t;

/* Reads an `act` object: sub and iss required at every level (P7), sub_profile optional, nothing else;
 * ERR_DEPTH beyond four. */
MUST err_t delegation_chain_parse(arena_t *a, str_t json, delegation_chain_t *out, diag_t *diag);
/* Puts one actor over an unchanged chain; the same actor again changes nothing. ERR_DEPTH. */
MUST err_t delegation_chain_extend(const delegation_chain_t *in, const delegation_actor_t *actor,
	delegation_chain_t *out);
/* Canonical JSON of the nested object; CHECKs n > 0. */
str_t delegation_chain_write(arena_t *a, const delegation_chain_t *c);

#endif
