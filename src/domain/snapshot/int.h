/* int.h: what the files of this room share. */
#ifndef ATTORN_SNAPSHOT_INT_H
#define ATTORN_SNAPSHOT_INT_H

#include <stdatomic.h>

#include "domain/snapshot/snapshot.h"

struct snapshot_private {
	arena_t *arena; /* all that the content points to, but for the two keys */
	atomic_int refs;
};

/* parse.c */
MUST err_t content_parse(arena_t *a, str_t text, snapshot_content_t *out, diag_t *diag);
/* Array of at most `max` strings, each checked, copied; no check for NULL. */
MUST err_t strings_parse(arena_t *a, const json_t *obj, str_t key, uint32_t max,
	err_t (*check)(str_t), const str_t **out, size_t *out_n);

/* route.c */
void route_emit(jw_t *w, const snapshot_route_t *r);
str_t effect_name(snapshot_effect_t effect);

/* order of the lists, for sorting and finding */
int route_order(const void *x, const void *y);
int agent_order(const void *x, const void *y);
int user_order(const void *x, const void *y);
int role_order(const void *x, const void *y);
int tool_order(const void *x, const void *y);
/* Sorts and refuses two of one name (ERR_DUPLICATE). */
MUST err_t sort_unique(void *list, size_t n, size_t size, int (*order)(const void *, const void *));

#endif
