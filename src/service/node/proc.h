/* proc.h: reading one process through its pinned /proc directory (spiffe.md 13.4 steps 2 and 3).
 * After that process has gone, every reading fails with ESRCH: a recycled number is never read.
 * Owns: nothing. Threads: any. Forbidden: a path under /proc that is not relative to the directory. */
#ifndef ATTORN_NODE_PROC_H
#define ATTORN_NODE_PROC_H

#include "service/node/peer.h"

/* Reads a whole small file into `b` (initialised by the caller, its maximum holds). */
MUST err_t proc_read(int dir, const char *name, buf_t *b);
/* Reads all facts; *out_exe is the pinned executable (O_PATH), -1 when it may not be looked at. */
MUST err_t proc_facts(int dir, peer_facts_t *out, int *out_exe);
/* Lines of /proc/PID/status: text behind "Name:\t", ERR_SYNTAX when absent. */
MUST err_t proc_status_line(str_t status, str_t name, str_t *out);

#endif
