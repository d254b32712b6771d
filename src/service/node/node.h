/* node.h: the daemon that says which process is calling and gives it its SVIDs (docs/identity.md 5, 6).
 * The face of this room. Owns: its two sockets, keys of workloads, cgroups of runs; nothing on disk.
 * Threads: the loop's, and a lane of its own for attestors. Limits: limits.h.
 * Forbidden: an identity for a process whose facts were not read again just before; a SPIFFE ID made up here
 * (the authority makes them all). */
#ifndef ATTORN_NODE_H
#define ATTORN_NODE_H

#include "engine/net/net.h"

typedef struct node node_t;

typedef struct {
	loop_t *loop;
	const char *authority_socket; /* the authority's internal socket */
	const char *workload_socket, *control_socket; /* made 0666; their directory must be ours alone to write */
	const char *admin_socket; /* told to runners to keep away from; may be NULL */
	str_t trust_domain;
	bool oldest_kernel; /* the path of kernel 6.1 whatever runs: for tests, never weaker */
	const char *docker_sockets[3]; /* ends with NULL */
} node_options_t;

/* Opens both sockets; identities come when the authority has told entries and bundles. ERR_EXISTS, ERR_IO,
 * ERR_CONFIG; diag says why. */
MUST err_t node_open(const node_options_t *o, node_t **out, diag_t *diag);
/* Ends streams, wipes keys, removes empty cgroups; `closed` comes from a later turn. */
void node_close(node_t *n, void (*closed)(void *owner), void *owner);
/* For logs and doctor: what this kernel adds to 6.1. */
str_t node_kernel_text(const node_t *n);

#endif
