/* feed_int.h: what the files of feed share. */
#ifndef ATTORN_FEED_INT_H
#define ATTORN_FEED_INT_H

#include "service/feed/client.h"
#include "service/feed/feed.h"
#include "service/feed/limits.h"

/* Policy text of the store to files, and back: {"files":[{"name","text"}]}. Lives here because the feed
 * turns stored rows into the snapshot. */
MUST err_t feed_policy_files(arena_t *a, str_t stored, snapshot_policy_file_t **out, size_t *out_n);

#endif
