/* signing.h: a signer of the test's own: the real one, its table answering in this process. */
#ifndef TEST_SERVICE_SIGNING_H
#define TEST_SERVICE_SIGNING_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/signer/client.h"
#include "engine/signer/signer.h"

typedef struct {
	char dir[64];
	signer_t *process;
	signer_client_t *client;
} signing_t;

/* Opens the signer of `dir` again, as a new process does. */
static inline void signing_start(signing_t *g)
{
	signer_options_t o = { .dir = g->dir };
	diag_t diag = { 0 };

	CHECK(signer_open(&o, &g->process, &diag) == OK);
	g->client = signer_client_local(signer_ask, g->process);
}

static inline void signing_stop(signing_t *g)
{
	signer_client_free(TAKE(g->client));
	signer_free(TAKE(g->process));
}

static inline void signing_open(signing_t *g)
{
	snprintf(g->dir, sizeof(g->dir), "signing-XXXXXX");
	CHECK(mkdtemp(g->dir));
	signing_start(g);
}

static inline void signing_close(signing_t *g)
{
	struct dirent *e;
	char path[400];
	DIR *d;

	signing_stop(g);
	d = opendir(g->dir);
	while (d && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", g->dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(g->dir);
}

#endif
