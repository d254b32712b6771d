/* run_int.h: what the two files of attorn run share. */
#ifndef ATTORN_CLI_RUN_INT_H
#define ATTORN_CLI_RUN_INT_H

#include "app/cli/cli_int.h"

/* Makes the rules that close data and keys of the working directory `root` to a process; -1 where this kernel
 * has no Landlock. *out_abi: its version, 0 for none. */
int landlock_rules(const char *root, int *out_abi);
/* Binds this process and all it starts; needs no_new_privs. True when there are no rules. */
bool landlock_enter(int rules);

#endif
