/* main_int.h: what the files of main share. */
#ifndef ATTORN_MAIN_INT_H
#define ATTORN_MAIN_INT_H

#include "app/main/config.h"

/* Runs until SIGTERM; the exit status. */
int up_supervise(const config_paths_t *paths, const config_t *config);
/* True once both doors answered /health and the user was told so. */
bool up_announce(const config_paths_t *paths, const config_t *config);
/* First start: directories, configuration, KEK, store, operator key. OK when it is there already. */
MUST err_t first_start(const config_paths_t *paths, const char *operator_name, const char *passphrase_file,
	diag_t *diag);
int authority_run(const config_paths_t *paths, const config_t *config);
int gateway_run(const config_paths_t *paths, const config_t *config);
/* A line on stderr for a person: "attorn: FILE:LINE: text". */
void complain(const char *file, const diag_t *diag, err_t e);

#endif
