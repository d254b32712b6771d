/* point.h: named points at which tests kill a process (tests/e2e/test_kill.py). A build without
 * -Dtest_hooks=true holds nothing of them: no call, no name, no look at the environment.
 * Threads: any. Forbidden: a side effect in the name. */
#ifndef ATTORN_FLOW_POINT_H
#define ATTORN_FLOW_POINT_H

#ifdef ATTORN_TEST_HOOKS
void point_reached(const char *name);
#define POINT(name) point_reached(name)
#else
#define POINT(name) ((void)0)
#endif

#endif
