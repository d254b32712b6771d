/* exchange_world.h: the exchange flow in the simulated world. Everything is real but the wire, the clock
 * and the threads: store, vault, ledger, feed's view, admit's counts, signed assertions and proofs. A
 * seed draws who asks what, when, which papers are used twice, when the grant is revoked and when the
 * rules change; a plan draws what fails.
 */
#ifndef TEST_SIM_EXCHANGE_WORLD_H
#define TEST_SIM_EXCHANGE_WORLD_H

#include "ground.h"

#include "engine/flow/sim.h"
#include "engine/net/detached.h"
#include "service/broker/broker.h"

enum { ASKS_MAX = 64, FIRST_ASKS = 12, PAPERS_MAX = 2 * ASKS_MAX, START_WITHIN_MS = 200 };

/* What a client asks; those from HOPELESS on never lead to a token, those from STRANGER on come from
 * nobody we know. */
typedef enum {
	WANT_GRANT, /* a delegated token from the lasting grant, then a capability */
	WANT_DOOMED, /* the same from a grant that is revoked in the middle */
	WANT_CAPABILITY,
	WANT_AUTO, /* client_credentials of an autonomous agent */
	HOPELESS,
	WANT_SCOPE = HOPELESS, /* a scope that nobody has */
	WANT_TARGET, /* a route that does not exist */
	WANT_NO_GRANT, /* a grant that does not exist */
	WANT_OTHERS_GRANT, /* a grant made to another agent */
	WANT_OTHERS_KEY, /* a capability from a token that is bound to another key */
	WANT_RECYCLED, /* a capability from a capability */
	STRANGER,
	WANT_WRONG_KEY = STRANGER, /* the assertion is signed by somebody else */
	WANT_NO_NONCE,
	WANTS,
} want_t;

/* An assertion or a proof: good for one token. */
typedef struct {
	str_t text, space, jti;
	unsigned tokens;
} paper_t;

typedef struct world world_t;
typedef struct {
	world_t *w;
	want_t want;
	paper_t *assertion, *proof;
	bool agent_auto;
	bool doomed; /* rests on the grant that is revoked */
	str_t parent; /* the token to exchange */
	str_t request; /* bytes as sent */
	net_exchange_t *x;
	loop_timer_t start, lose;
	bool started, loses, after_revoke; /* sent after the revoke was acknowledged */
	bool retries, follows; /* the client asks again when it was told to; asks for a capability then */
	unsigned answers;
	int status;
	str_t code, token;
} ask_t;

struct world {
	ground_t *g;
	arena_t *a;
	sim_t *sim;
	lane_t *write, *read, *cpu;
	feed_t *feed;
	admit_t *admit;
	broker_t *broker;
	bool all_recorded; /* no budget of denials is so small that some are only counted */
	bool crashed;
	str_t doomed;
	int64_t mark; /* newest ledger entry before this world */
	ask_t asks[ASKS_MAX];
	size_t n_asks;
	paper_t papers[PAPERS_MAX];
	size_t n_papers;
	/* the operator */
	loop_timer_t revoke_at, narrow_at;
	lane_job_t revoke_job, narrow_job;
	store_closure_t revoke_closure, narrow_closure;
	loop_timer_t change_at;
	lane_job_t change_job;
	store_closure_t change_closure;
	unsigned changes;
	uint64_t change_every_ms;
	bool revoked; /* acknowledged */
	unsigned pending; /* of the operator's acts */
	/* what clients saw */
	unsigned tokens, denials, errors_known, errors_strange;
	unsigned tokens_of[WANTS];
	unsigned violations;
	char why[120]; /* of the first violation */
};

typedef struct {
	sim_plan_t sim;
	size_t lane_max; /* queue of each lane; 0: large */
	uint32_t denials_per_minute; /* 0: 60 */
	bool quiet; /* no revoke, no rule change */
	bool empty; /* no asks of its own */
} world_plan_t;
world_t *world_open(ground_t *g, const world_plan_t *plan);
/* Runs until every ask is answered, once each, and no flow is left; false after the planned crash. */
bool world_run(world_t *w);
/* Runs past the minute in which counts become records. */
void world_count(world_t *w);
/* Ends the process that the world is; what its clients hold stays readable until world_free. */
void world_stop(world_t *w);
void world_free(world_t *w);
/* Adds one ask that starts at once; `papers_of`: NULL, or use that ask's papers again. */
ask_t *world_ask(world_t *w, want_t want, const ask_t *papers_of);
/* After `ms`, `times` times, every `every_ms`: a change that decisions read and that denies nothing. The feed is
 * not told: who decides on an old view has to find out. */
void world_change(world_t *w, uint64_t ms, unsigned times, uint64_t every_ms);
uint64_t world_view_version(world_t *w);
/* Sends these very bytes again, as a client does that heard no answer. */
ask_t *world_resend(world_t *w, const ask_t *before);

/* Figures of the ledger since the mark. */
typedef struct {
	size_t tokens, decisions;
	uint64_t counted_denials, counted_strangers;
	bool token_after_revoke, token_after_narrowing;
} world_records_t;
world_records_t world_records(world_t *w);

#endif
