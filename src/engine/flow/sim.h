/* sim.h: the simulated world, for tests. Virtual time, one thread, one seed: lanes, timers, signals
 * and flows are the real code; only the far side of the wire is a stand-in given by the test.
 *
 *     sim_t *s = sim_new(&(sim_plan_t){ .seed = seed, .fail_percent = 5 });
 *     lane_t *l = lane_new(sim_loop(s), &spec);            // no threads: jobs run in virtual time
 *     sim_stand_in(s, "net.fetch", upstream_answers, up);  // instead of that kind's start
 *     ... flow_start(sim_loop(s), ...) ...
 *     sim_run(s);                                          // until nothing is left to happen
 *
 * Completions arrive in an order drawn from the seed; the same seed and code give the same run.
 * Each fallible operation failed once: run with no faults, n = sim_ops(s), then n runs with
 * .fail_nth = 1..n. Owns: the loop, undelivered events. Threads: one. */
#ifndef ATTORN_FLOW_SIM_H
#define ATTORN_FLOW_SIM_H

#include "engine/flow/flow.h"

typedef struct sim sim_t;

typedef struct {
	uint64_t seed;
	unsigned fail_percent; /* operations that fail: unstarted, or (stand-ins) with the answer lost */
	uint64_t fail_nth; /* fails exactly the n-th operation started; 0 none */
	bool fail_answer; /* fail_nth loses the answer of a stand-in instead of refusing to start */
	err_t fail_with; /* 0: ERR_UNAVAILABLE unstarted, ERR_TIMEOUT for a lost answer */
	unsigned cancel_percent; /* chance per event that some live flow is cancelled */
	uint64_t cancel_at; /* cancels every live flow at this event number; 0 never */
	uint64_t crash_at; /* stops delivering at this event number; 0 never */
	uint64_t delay_us_max; /* of a completion or a lane; 0: 20,000 */
	bool trace; /* one line per event on stderr */
} sim_plan_t;

sim_t *sim_new(const sim_plan_t *plan);
/* Lanes go first; after a crash their jobs are dropped. Frees all, also flows a crash left alive
 * (without finish, as a crash would). Accepts NULL. */
void sim_free(sim_t *s);
DEFINE_AUTO(sim_t *, sim_free);
loop_t *sim_loop(sim_t *s);

/* Answers operations of a kind instead of the kind's own start and hurry: called at a moment drawn
 * from the seed, fills in the operation's answer, returns its result. */
enum { SIM_STAND_INS_MAX = 8, SIM_EVENTS_MAX = 1 << 20 };
void sim_stand_in(sim_t *s, const char *kind, err_t (*answer)(void *arg, op_t *op), void *arg);
/* An outbound exchange of no particular protocol: completes with answer(arg). */
op_t *sim_exchange(arena_t *a, const char *name, err_t (*answer)(void *arg), void *arg);
/* Called after every event, for the test's own invariants. */
void sim_after_each(sim_t *s, void (*check)(void *arg), void *arg);

/* Delivers events until none is left (true) or the planned crash (false). CHECKs F1-F9 as far as the
 * engine can see them, and that no flow is left when all is delivered. */
MUST bool sim_run(sim_t *s);
/* Delivers events up to this much virtual time from now; false on the planned crash. */
MUST bool sim_run_ms(sim_t *s, uint64_t ms);
uint64_t sim_ops(const sim_t *s); /* operations started so far */
uint64_t sim_events(const sim_t *s); /* events delivered so far */
/* A number below n drawn from the seed, for the test's own choices. */
uint64_t sim_draw(sim_t *s, uint64_t n);
/* --seed N on the command line or ATTORN_SEED replays one seed: [*first, *first + *count). */
void sim_seeds(int argc, char **argv, uint64_t count, uint64_t *out_first, uint64_t *out_count);

#endif
