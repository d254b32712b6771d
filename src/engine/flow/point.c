/* point.c: a test arms a point by making a file of its name in $ATTORN_POINTS; whoever takes that file
 * away dies there, once. */
#include "engine/flow/flow.h"

#ifdef ATTORN_TEST_HOOKS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void point_reached(const char *name)
{
	const char *folder = getenv("ATTORN_POINTS");
	char path[512];

	if (!folder) {
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (unlink(path) == 0) {
		(void)kill(getpid(), SIGKILL);
	}
}
#endif
