/* child.h: one child process that speaks lines on stdin and stdout (mcp.md 12: W1 to W3).
 * In its own process group, killed with this process, without our descriptors and environment. Never
 * blocks the loop.
 * Owns: pipes, pidfd, buffers, the process group. Threads: the loop's. Limits: limits.h. */
#ifndef ATTORN_GATEWAY_CHILD_H
#define ATTORN_GATEWAY_CHILD_H

#include "engine/flow/flow.h"

typedef struct child child_t;

typedef struct {
	loop_t *loop;
	char *const *argv; /* NULL-terminated; argv[0] is found by the PATH of envp */
	char **envp; /* NULL-terminated, all of its environment */
	const char *cwd; /* NULL: / */
	str_t name; /* for the log */
	/* A whole line of stdout, without its end. Borrowed for the call; must not free the child. */
	void (*line)(void *owner, str_t line);
	/* A line longer than GATEWAY_LINE_BYTES_MAX: the child is beyond reading. It is killed. */
	void (*flooded)(void *owner);
	/* The process is gone and all it wrote was read: called once, last; the child is freed after it. */
	void (*gone)(void *owner);
	void *owner;
} child_spec_t;

/* Starts it; copies what it needs. ERR_IO when there is no process to be had; a program that is not
 * there shows as `gone` at once. */
MUST err_t child_start(const child_spec_t *spec, child_t **out);
/* Queues one line (an end is added); it must hold none (CHECK). ERR_UPSTREAM when the child takes nothing
 * and GATEWAY_CHILD_BACKLOG_BYTES_MAX are waiting, or its stdin is closed. */
MUST err_t child_write(child_t *c, str_t line);
/* Ends it: closes stdin, 2 s later SIGTERM, 2 s later SIGKILL to the group (W3). */
void child_end(child_t *c);
/* Ends it at once. */
void child_kill(child_t *c);
int64_t child_pid(const child_t *c);

#endif
