/* stdio_int.h: what stdio.c (a child's life) and stdio_ask.c (its requests) share. */
#ifndef ATTORN_GATEWAY_STDIO_INT_H
#define ATTORN_GATEWAY_STDIO_INT_H

#include "service/gateway/child.h"
#include "service/gateway/stdio.h"

typedef enum {
	STDIO_STARTING, /* spawned, initialize on its way */
	STDIO_READY,
	STDIO_ENDING, /* on its way out; a new one follows unless removed */
	STDIO_PAUSED, /* it died; the next one after a pause */
} stdio_state_t;

typedef struct ask_op {
	op_t op; /* first */
	stdio_t *s;
	arena_t *a;
	stdio_ask_t ask;
	stdio_answer_t *out;
	uint64_t id; /* ours; 0: not sent */
	struct ask_op *next; /* in s->waiting */
} ask_op_t;

struct stdio {
	gateway_t *g;
	stdio_t *next;
	str_t name;
	uint64_t rev;
	arena_t *a; /* of this route revision: argv, environment */
	char **argv, **envp;
	const char *cwd;
	child_t *child;
	stdio_state_t state;
	bool removed, renewed; /* renewed: a new revision waits for the old child to go */
	arena_t *born; /* of this child: its result of initialize */
	str_t init_result;
	uint64_t started_us;
	uint32_t pause_ms;
	loop_timer_t timer;

	ask_op_t *waiting, **waiting_tail; /* until it is ready */
	ask_op_t *slots[GATEWAY_CHILD_CALLS_MAX]; /* sent; the slot is part of the id */
	size_t next_slot;
	uint64_t serial;
	uint64_t strays, strays_since_us;
};

/* stdio_ask.c */
void stdio_waiting_send(stdio_t *s); /* ready: send what waited */
void stdio_fail_all(stdio_t *s, err_t e);
void stdio_fail_waiting(stdio_t *s, err_t e);
/* One line of the child. */
void stdio_line(stdio_t *s, str_t line);
/* stdio.c: the answer to our initialize. */
void stdio_initialized(stdio_t *s, const message_t *m);
enum { STDIO_INIT_ID = 0 };

#endif
