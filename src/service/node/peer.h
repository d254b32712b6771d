/* peer.h: one connection bound to one process (spiffe.md 13.4). Kernel 6.1 is enough: there
 * SO_PEERCRED names a number, a pidfd and a pinned /proc directory hold whoever has it, and a proof
 * written by that same process after the facts were read (an HTTP/2 PING, a nonce) shows that it was
 * the peer. Newer kernels shorten a step by the rules of peer_kernel_t, none is left out for them.
 *
 * Order for a connection: peer_open -> every chunk through peer_sender_ok -> proof sent with random
 * bytes -> its echo came -> peer_proved -> facts may be believed; before everything that leaves,
 * peer_recheck. Any error: close.
 * Owns: pidfd, /proc directory, executable, by peer_close. Threads: the loop's; facts are immutable
 * values that a lane may read. Limits: limits.h. Forbidden: facts before peer_proved; a pid as a name. */
#ifndef ATTORN_NODE_PEER_H
#define ATTORN_NODE_PEER_H

#include <sys/socket.h>
#include <sys/types.h>

#include "pure/base/base.h"
#include "service/node/limits.h"

/* What this kernel adds to 6.1; probed once. */
typedef struct {
	bool peerpidfd; /* 6.5: SO_PEERPIDFD cannot name another process */
	bool pidfs; /* 6.9: two pidfds of one process have one inode */
	bool pidfd_info; /* 6.13: PIDFD_GET_INFO tells parent and cgroup */
} peer_kernel_t;
/* `oldest`: as if nothing were added, for tests of the 6.1 path on any kernel; never weaker. */
peer_kernel_t peer_kernel_probe(bool oldest);
/* "6.1 path" or the names of what is used, for logs and tests. */
str_t peer_kernel_text(const peer_kernel_t *k);

/* One reading of /proc. Strings are the struct's own: peer_facts_done. */
typedef struct {
	pid_t ppid;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* ascending */
	size_t n_groups;
	uint64_t start_ticks;
	ino_t pid_ns, user_ns;
	bool ns_known, ns_ours; /* both namespaces are the node's own; false when not known */
	uint64_t cgroup_id; /* of the unified hierarchy; 0: there is none */
	char *cgroup; /* path there, "/" at its root; NULL: none */
	char *cgroup1; /* path in name=systemd, or in pids, of cgroup v1; NULL: none */
	bool exe_known;
	dev_t exe_dev;
	ino_t exe_ino;
	char *exe; /* path by which the node reaches that very file; NULL: none (deleted, foreign mounts) */
} peer_facts_t;
void peer_facts_done(peer_facts_t *f);
bool peer_facts_eq(const peer_facts_t *x, const peer_facts_t *y);

typedef struct {
	pid_t pid; /* a number in the node's PID namespace: for logs and stamps only */
	uid_t uid;
	gid_t gid;
	int pidfd, proc, exe; /* -1: none */
	bool proved;
	peer_facts_t facts;
} peer_t;

/* Steps 1 to 3 for the process at the other end of a connected Unix socket; the socket must have
 * SO_PASSCRED since before listen. ERR_CLIENT: no process we can hold, or one whose ids differ. */
MUST err_t peer_open(const peer_kernel_t *k, int socket, peer_t *out);
/* The same for a process whose pidfd was handed over; takes the pidfd on success. */
MUST err_t peer_open_pidfd(int pidfd, peer_t *out);
void peer_close(peer_t *p); /* accepts a zeroed one */

/* Step 5: the sender of a chunk is the peer. `sender` NULL (no stamp) is not. */
bool peer_sender_ok(const peer_t *p, const struct ucred *sender);
/* Step 6, when the proof's echo has come, stamped: alive, and the facts are what they were. */
MUST err_t peer_proved(peer_t *p);
/* Step 8: OK and *out_changed tells whether the facts are new ones; an error: refuse. */
MUST err_t peer_recheck(peer_t *p, bool *out_changed);
/* The process has not exited. */
bool peer_pidfd_alive(int pidfd);
/* Step 10: both name one process. */
bool peer_pidfd_same(const peer_kernel_t *k, int one, int other);
/* Process number of a pidfd in our namespace, by its fdinfo; ERR_CLIENT when it is gone or foreign. */
MUST err_t peer_pidfd_pid(int pidfd, pid_t *out);

/* For listeners: SO_PASSCRED, before listen. */
MUST err_t peer_listener_prepare(int socket);
/* recvmsg with room for exactly one stamp: passed descriptors are dropped by the kernel. Bytes read, 0 at
 * the end; ERR_UNAVAILABLE: nothing there now; ERR_CLIENT: no stamp, or more control data than a stamp. */
MUST err_t peer_recv(int socket, void *p, size_t max, size_t *out_n, struct ucred *out_sender);

#endif
