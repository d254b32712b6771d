/* cgroup.h: the two kernels' trees of cgroups as the node sees them.
 * Owns: nothing. Threads: any. Forbidden: a path from mountinfo of another process. */
#ifndef ATTORN_NODE_CGROUP_H
#define ATTORN_NODE_CGROUP_H

#include "pure/base/base.h"

/* Where cgroup2 is mounted ("/sys/fs/cgroup" or ".../unified"), NULL: nowhere. */
const char *cgroup_unified_root(void);
/* Where the v1 hierarchy `name` ("name=systemd", "pids") is mounted, NULL: nowhere. */
const char *cgroup_v1_root(const char *name);
/* The id of the cgroup at `path` of the unified tree; ERR_NOT_FOUND. */
MUST err_t cgroup_id_of(const char *path, uint64_t *out);

#endif
