/* loop.h: one event loop per process: clock, randomness, timers, messages from other threads.
 * Behind it stands a world: libuv and the kernel, or the seeded simulator of sim.h; callers cannot
 * tell. Owns: timers' heap, posted messages. Threads: only loop_post and loop_stop may be called from
 * any thread, all else on the loop's own (checked). Limits: limits.h.
 * Forbidden: blocking in a callback; a clock or a random number from anywhere else. */
#ifndef ATTORN_FLOW_LOOP_H
#define ATTORN_FLOW_LOOP_H

#include "pure/base/base.h"

typedef struct loop loop_t;
struct uv_loop_s; /* only net includes <uv.h> besides this room */

/* Makes the process's loop; the calling thread is its thread from now on. Never fails (aborts). */
loop_t *loop_new(void);
/* Runs until loop_stop. */
void loop_run(loop_t *loop);
/* Asks loop_run to return after the callbacks of this round. Any thread. */
void loop_stop(loop_t *loop);
/* Delivers what is posted, closes our handles and frees. Before it: lanes freed, no live flow, every
 * libuv handle of others closed (checked). Accepts NULL. */
void loop_free(loop_t *loop);
DEFINE_AUTO(loop_t *, loop_free);
/* The libuv loop, for net and for main's signals; CHECKs that this is not a simulation. */
struct uv_loop_s *loop_uv(loop_t *loop);

/* Microseconds since some fixed moment; never goes back. For deadlines and durations. Any thread. */
uint64_t loop_mono_us(loop_t *loop);
/* Microseconds since 1970 UTC; may jump. For claims and records. Any thread. */
uint64_t loop_unix_us(loop_t *loop);
static inline uint64_t loop_unix_s(loop_t *loop) { return loop_unix_us(loop) / 1000000; }
/* The moment `ms` from now on the clock of loop_mono_us. */
static inline uint64_t loop_in_ms(loop_t *loop, uint64_t ms) { return loop_mono_us(loop) + ms * 1000; }
/* Fills p with unpredictable bytes (seeded ones in a simulation). Any thread. */
void loop_random(loop_t *loop, void *p, size_t n);

/* Calls fn(arg) on the loop, in order, never inline (rule 20). Any thread. */
void loop_post(loop_t *loop, void (*fn)(void *), void *arg);
/* The same without an allocation: `m` is the caller's until fn runs. Zeroed before first use; posting
 * it again before fn ran is our mistake. */
typedef struct posted {
	struct posted *next;
	void (*fn)(void *);
	void *arg;
	bool waiting;
} posted_t;
void loop_post_own(loop_t *loop, posted_t *m, void (*fn)(void *), void *arg);
/* The same, but when all else of this round is done, before the loop sleeps: for who gathers what a
 * round brings into one system call. On the loop only. */
void loop_post_last(loop_t *loop, posted_t *m, void (*fn)(void *), void *arg);

/* A timer lives in its owner's struct, zeroed; stop it before that goes. It fires once. */
typedef struct {
	uint64_t at_us, order;
	size_t place; /* 0: not armed */
	void (*fn)(void *);
	void *arg;
} loop_timer_t;
/* Arms, or moves, the timer to `ms` from now. */
void loop_timer_start(loop_t *loop, loop_timer_t *t, uint64_t ms, void (*fn)(void *), void *arg);
/* The same at an absolute moment of loop_mono_us; one in the past fires in the next round. */
void loop_timer_at(loop_t *loop, loop_timer_t *t, uint64_t at_us, void (*fn)(void *), void *arg);
void loop_timer_stop(loop_t *loop, loop_timer_t *t); /* accepts one that is not armed */
static inline bool loop_timer_armed(const loop_timer_t *t) { return t->place != 0; }

/* A file descriptor watched on the loop: a child's pipe, a pidfd. Real world only (CHECKs that this is
 * not a simulation). The descriptor stays the caller's. */
typedef struct loop_watch loop_watch_t;
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 }; /* a hang-up or an error reads as readable */
/* Watches nothing yet: see loop_watch_set. ERR_IO for a descriptor that cannot be watched. */
MUST err_t loop_watch_open(loop_t *loop, int fd, void (*ready)(void *owner, int events), void *owner,
	loop_watch_t **out);
/* Calls ready(owner, events) in every round in which one of `events` holds; 0 rests. */
void loop_watch_set(loop_watch_t *w, int events);
/* Ends it; `ready` is not called any more and the descriptor may be closed at once. Accepts NULL. */
void loop_watch_close(loop_watch_t *w);

#endif
