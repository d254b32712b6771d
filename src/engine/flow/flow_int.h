/* flow_int.h: what the files of this room share. */
#ifndef ATTORN_FLOW_INT_H
#define ATTORN_FLOW_INT_H

#include <pthread.h>

#include "engine/flow/flow.h"

/* The world: all that the engine needs from outside. Two exist: libuv (world_uv.c) and sim.c. */
typedef struct {
	bool has_threads; /* else lanes run when lane_wake's event is delivered */
	uint64_t (*mono_us)(loop_t *loop);
	uint64_t (*unix_us)(loop_t *loop);
	void (*random)(loop_t *loop, void *p, size_t n);
	void (*post)(loop_t *loop, posted_t *m); /* any thread; one thread's messages stay in order */
	void (*post_last)(loop_t *loop, posted_t *m); /* after what was posted in this round */
	void (*deliver)(loop_t *loop, posted_t *m); /* a completion: the simulator may delay it */
	void (*start)(op_t *op);
	void (*hurry)(op_t *op);
	void (*timer_moved)(loop_t *loop); /* the earliest timer is another one, or none */
	void (*lane_wake)(lane_t *lane); /* without threads: the lane has jobs */
	bool (*lane_gone)(lane_t *lane); /* true: after a crash, its jobs are dropped */
} world_t;

/* ids.c: live things named by number; a number is never used again. */
typedef struct {
	const void *kind; /* address that tells kinds apart; NULL: free */
	void *thing;
	uint64_t generation;
	uint32_t next_free;
} id_slot_t;
typedef struct {
	id_slot_t *slots;
	uint32_t n, cap, first_free; /* first_free: index + 1, 0 none */
} ids_t;
MUST err_t ids_take(ids_t *ids, const void *kind, void *thing, uint64_t *out_id);
void *ids_peek(const ids_t *ids, const void *kind, uint64_t id); /* NULL when gone */
void ids_give_back(ids_t *ids, uint64_t id);
void ids_done(ids_t *ids);

typedef struct flow_full flow_full_t;
struct loop {
	const world_t *world;
	pthread_t thread;
	loop_timer_t **timers; /* heap, earliest at 1 */
	size_t n_timers, cap_timers;
	uint64_t timer_order;
	ids_t ids;
	flow_full_t *flows; /* live, newest first */
	size_t n_flows;
	flow_stats_t *stats[FLOW_TABLES_MAX];
	size_t n_stats;
};

void loop_init(loop_t *loop, const world_t *world);
void loop_done(loop_t *loop);
bool loop_is_ours(const loop_t *loop); /* called on the loop's thread */
/* Runs the timers due at `now_us`, those set meanwhile not before the next round. */
void loop_timers_run(loop_t *loop, uint64_t now_us);
static inline const loop_timer_t *loop_timer_first(const loop_t *loop)
{
	return loop->n_timers ? loop->timers[1] : NULL;
}
/* Hands a posted message to its function. */
void posted_run(posted_t *m);
/* Drops one undelivered, after a simulated crash. */
void posted_drop(posted_t *m);

enum { OP_MADE, OP_STARTED, OP_COMPLETED, OP_DELIVERED };

/* Runs what is queued, one batch; true when more is left. For worlds without threads. */
bool lane_turn(lane_t *lane);
loop_t *lane_loop(lane_t *lane);

struct flow_full {
	flow_t pub; /* first */
	const flow_table_t *table;
	flow_stats_t *stats;
	size_t at, row; /* row that runs or waits; row that comes next */
	err_t failed, cancelled, also; /* first failure; mark; failure of a last word */
	const char *failed_row;
	bool in_step, moved, last_word, finished, overrun;
	unsigned turns;
	op_t *op; /* what it waits for, at most one (F3) */
	uint64_t started_us, wait_us, deadline_us;
	loop_timer_t timer;
	posted_t posted;
	log_pair_t notes[FLOW_NOTES_MAX];
	size_t n_notes;
	flow_full_t *prev, *next;
};
/* CHECKs that every live flow is between turns: posted, or waiting for one started operation. */
void flow_check_all(const loop_t *loop);

#endif
