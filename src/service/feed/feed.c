/* feed.c: the authority's current view, its rebuilds, and the operation that waits for one. */
#include "service/feed/feed_server.h"

/* feed_refresh: an operation that completes with the rebuild that began after it was started. */
typedef struct refresh {
	op_t op;
	feed_t *feed;
	struct refresh *next;
} refresh_t;

/* One rebuild on the lane: reads the store, makes the view, keeps the text for subscribers. */
struct rebuild {
	lane_job_t job;
	feed_t *feed;
	buf_t text;
	const feed_view_t *before, *made;
	diag_t diag;
};

typedef struct {
	const feed_deps_t *deps;
	buf_t *text;
} build_args_t;

static err_t build_closure(store_txn_t *txn, void *self)
{
	build_args_t *args = self;

	buf_clear(args->text);
	return feed_build(args->deps, txn, args->text);
}

static err_t rebuild_run(void *arg)
{
	struct rebuild *r = arg;
	build_args_t args = { &r->feed->deps, &r->text };

	TRY(store_read(r->feed->deps.store, build_closure, &args));
	return feed_view_make(buf_str(&r->text), r->before, &r->made, &r->diag);
}

static struct rebuild *rebuild_new(feed_t *f)
{
	struct rebuild *r = heap_new(struct rebuild);

	r->feed = f;
	buf_init(&r->text, FEED_SNAPSHOT_BYTES_MAX);
	r->before = f->view ? feed_view_ref(f->view) : NULL;
	return r;
}

static void rebuild_free(struct rebuild *r)
{
	feed_view_unref(r->before);
	feed_view_unref(r->made);
	buf_wipe(&r->text);
	heap_free(r);
}

/* The text moves into the feed's line for later subscribers; it holds two keys, so it is wiped. */
static void view_take(feed_t *f, struct rebuild *r)
{
	feed_view_unref(f->view);
	f->view = TAKE(r->made);
	buf_wipe(&f->line);
	buf_init(&f->line, FEED_SNAPSHOT_BYTES_MAX + FEED_LINE_FRAME_BYTES_MAX);
	feed_snapshot_line(&f->line, f->view, buf_str(&r->text));
}

static void refreshes_complete(refresh_t *list, err_t e)
{
	while (list) {
		refresh_t *next = list->next;
		op_complete(&list->op, e);
		list = next;
	}
}

static void rebuild_begin(feed_t *f);

static void rebuild_done(lane_job_t *job, err_t e)
{
	struct rebuild *r = job->arg;
	feed_t *f = r->feed;
	refresh_t *served = TAKE(f->in_rebuild);

	f->rebuilding = false;
	f->stale = e != OK;
	if (e == OK) {
		uint64_t before = f->view ? f->view->version : 0;
		view_take(f, r);
		if (f->view->version != before) {
			feed_publish_snapshot(f);
			if (f->deps.changed) {
				f->deps.changed(f->deps.owner);
			}
		}
	} else {
		log_kv(LVL_ERROR, "feed.rebuild", kv_err("result", e), kv_c("why", r->diag.text));
	}
	rebuild_free(r);
	refreshes_complete(served, e);
	if (f->waiting) {
		rebuild_begin(f);
	}
}

static void rebuild_begin(feed_t *f)
{
	struct rebuild *r = rebuild_new(f);

	f->in_rebuild = TAKE(f->waiting);
	f->rebuilding = true;
	r->job = (lane_job_t){ .run = rebuild_run, .arg = r, .done = rebuild_done };
	err_t e = lane_submit(f->deps.lane, &r->job);
	if (e != OK) {
		f->rebuilding = false;
		f->stale = true;
		rebuild_free(r);
		refreshes_complete(TAKE(f->in_rebuild), e);
	}
}

void feed_catch_up(feed_t *f)
{
	if (f->stale && !f->rebuilding) {
		rebuild_begin(f);
	}
}

static void refresh_start(op_t *op)
{
	refresh_t *w = (refresh_t *)op;
	feed_t *f = w->feed;

	w->next = f->waiting;
	f->waiting = w;
	if (!f->rebuilding) {
		rebuild_begin(f);
	}
}

/* A rebuild is short and others wait for it too: hurrying changes nothing. */
static const op_kind_t refresh_kind = { .name = "feed.refresh", .start = refresh_start };

op_t *feed_refresh(arena_t *a, feed_t *f)
{
	refresh_t *w = arena_new(a, refresh_t);

	op_init(&w->op, &refresh_kind);
	w->feed = f;
	return &w->op;
}

const feed_view_t *feed_pin(feed_t *f)
{
	return feed_view_ref(f->view);
}

err_t feed_new(const feed_deps_t *deps, feed_t **out, diag_t *diag)
{
	feed_t *f = heap_new(feed_t);

	f->deps = *deps;
	buf_init(&f->line, 0);
	struct rebuild *r = rebuild_new(f);
	err_t e = rebuild_run(r);
	if (e == OK) {
		view_take(f, r);
	} else if (diag) {
		*diag = r->diag;
	}
	rebuild_free(r);
	if (e != OK) {
		heap_free(f);
		return e;
	}
	feed_ping_start(f);
	*out = f;
	return OK;
}

void feed_free(feed_t *f)
{
	if (!f) {
		return;
	}
	CHECK(!f->rebuilding); /* lanes are freed first */
	feed_subscribers_end(f);
	feed_view_unref(f->view);
	buf_wipe(&f->line);
	heap_free(f);
}
