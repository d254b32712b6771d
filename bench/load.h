/* load.h: what load.c (who asks for what) and load_drive.c (how fast) share. */
#ifndef ATTORN_BENCH_LOAD_H
#define ATTORN_BENCH_LOAD_H

#include "pure/base/base.h"

enum { LOAD_CONNECTIONS_MAX = 64, LOAD_PIDS_MAX = 8, LOAD_RESPONSE_BYTES_MAX = 64 << 10 };

typedef struct {
	const char *unix_path; /* NULL: 127.0.0.1:port */
	unsigned port;
} load_peer_t;

typedef struct {
	load_peer_t peer;
	const str_t *requests; /* whole, made beforehand; each is sent once, in order */
	size_t n_requests;
	unsigned connections; /* one request in flight on each */
	double seconds; /* stops sending after this long, or when the requests are used up */
	str_t must; /* every good response holds it */
	/* May be NULL: told every good response. */
	void (*keep)(void *owner, size_t index, str_t response);
	void *owner;
	struct {
		const char *name;
		int pid;
	} pids[LOAD_PIDS_MAX]; /* whose CPU time is counted */
	size_t n_pids;
} load_t;

/* Sends, measures, prints one JSON line. Ends the process when one response is not good: a figure with
 * refusals in it is worth nothing. `what` may be NULL: says nothing. */
void load_drive(const load_t *l, const char *what);

/* One request, one response, on a connection of its own; the text is the caller's arena's. */
str_t load_fetch(arena_t *a, load_peer_t peer, str_t request);
/* A connection, connected and blocking; ends the process when it fails. */
int load_connect(load_peer_t peer);
_Noreturn void load_die(const char *what, str_t detail);

#endif
