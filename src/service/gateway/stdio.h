/* stdio.h: MCP servers as children: one per stdio route, shared by all its callers (mcp.md 12). The
 * gateway alone initializes it, with no client capabilities; ids and progress tokens are mapped, so
 * that no answer crosses from one caller to another (G15).
 * Owns: the child, its open requests. Threads: the loop's. Limits: limits.h. */
#ifndef ATTORN_GATEWAY_STDIO_H
#define ATTORN_GATEWAY_STDIO_H

#include "service/gateway/gateway_int.h"
#include "service/gateway/message.h"

/* Starts, restarts and ends children so that they are those of the view's routes. */
void stdio_follow(gateway_t *g, const feed_view_t *view);
/* Ends them all (W3); each is freed when it is gone. */
void stdio_close(gateway_t *g);
stdio_t *stdio_find(const gateway_t *g, str_t route); /* NULL: none */

/* What one request waits for. */
typedef struct {
	const message_t *request; /* NULL: only until the child is ready */
	void (*progress)(void *owner, str_t message); /* with the caller's token; may be NULL */
	void *owner;
} stdio_ask_t;

typedef struct {
	str_t text; /* the response, with the caller's id */
	message_verdict_t verdict;
} stdio_answer_t;
/* As an operation: sends the request and brings the response into `a`.
 * ERR_UPSTREAM: no child, or it died meanwhile. Hurried: the child is told `cancelled`. */
op_t *stdio_ask(arena_t *a, stdio_t *s, const stdio_ask_t *ask, stdio_answer_t *out_answer);

/* Of a ready child, copied into `a`: its result of initialize. ERR_UPSTREAM. */
MUST err_t stdio_init_result(const stdio_t *s, arena_t *a, str_t *out);

#endif
