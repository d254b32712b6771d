/* client.c: a gateway's end of the feed: one stream, read line by line, made again when it breaks. */
#include "pure/codec/codec.h"
#include "service/feed/feed_int.h"
#include "service/feed/revoked.h"

typedef struct await {
	op_t op;
	feed_client_t *client;
	uint64_t version;
	struct await *next;
	loop_timer_t late;
} await_t;

/* One snapshot line on its way through the lane. */
typedef struct {
	lane_job_t job;
	feed_client_t *client;
	buf_t line;
	const feed_view_t *before, *made;
	diag_t diag;
} incoming_t;

struct feed_client {
	feed_client_deps_t deps;
	const feed_view_t *view;
	net_call_t *call; /* NULL: not connected, the timer runs */
	buf_t line; /* what has come of the next line */
	uint64_t heard_us;
	uint32_t pause_ms;
	loop_timer_t reconnect;
	revoked_t revoked;
	await_t *awaits;
	bool parsing;
	buf_t next_line; /* the newest snapshot line that waits for the lane */
	bool has_next;
};

static void connect_now(void *arg);
static void incoming_begin(feed_client_t *c, buf_t *line);

static void await_done(await_t *w, err_t e)
{
	feed_client_t *c = w->client;

	for (await_t **p = &c->awaits; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	loop_timer_stop(c->deps.loop, &w->late);
	op_complete(&w->op, e);
}

static void awaits_check(feed_client_t *c)
{
	await_t *next;

	for (await_t *w = c->awaits; w; w = next) {
		next = w->next;
		if (c->view && c->view->version > w->version) {
			await_done(w, OK);
		}
	}
}

static void await_late(void *arg)
{
	await_done(arg, ERR_TIMEOUT);
}

static void await_start(op_t *op)
{
	await_t *w = (await_t *)op;
	feed_client_t *c = w->client;

	if (c->view && c->view->version > w->version) {
		op_complete(op, OK);
		return;
	}
	w->next = c->awaits;
	c->awaits = w;
	loop_timer_at(c->deps.loop, &w->late, op->deadline_us, await_late, w);
}

static void await_hurry(op_t *op)
{
	await_done((await_t *)op, ERR_CANCELLED);
}

static const op_kind_t await_kind = { .name = "feed.await", .start = await_start, .hurry = await_hurry };

op_t *feed_client_await(arena_t *a, feed_client_t *c, uint64_t version)
{
	await_t *w = arena_new(a, await_t);

	op_init(&w->op, &await_kind);
	w->client = c;
	w->version = version;
	return &w->op;
}

/* --- snapshot lines: parsed and compiled on the lane, taken in order ------------------------------ */

static err_t incoming_run(void *arg)
{
	static const json_opts_t opts = { .bytes_max = FEED_SNAPSHOT_BYTES_MAX + FEED_LINE_FRAME_BYTES_MAX,
		.nodes_max = SNAPSHOT_NODES_MAX, .object_only = true };
	incoming_t *in = arg;
	AUTO(arena_free) arena_t *a = arena_new_capped(FEED_BUILD_ARENA_BYTES_MAX);
	const json_t *root, *snapshot;

	TRY(json_parse(a, buf_str(&in->line), &opts, &root, &in->diag));
	TRY(json_need_obj(root, STR("snapshot"), &snapshot));
	return feed_view_make(json_raw(snapshot), in->before, &in->made, &in->diag);
}

static void incoming_free(incoming_t *in)
{
	feed_view_unref(in->before);
	feed_view_unref(in->made);
	buf_wipe(&in->line);
	heap_free(in);
}

static void view_take(feed_client_t *c, incoming_t *in)
{
	if (c->view && in->made->version < c->view->version) {
		log_kv(LVL_WARN, "feed.older", kv_u("version", in->made->version));
		return; /* an authority restored from a backup: admit will tell */
	}
	feed_view_unref(c->view);
	c->view = TAKE(in->made);
	awaits_check(c);
	if (c->deps.changed) {
		c->deps.changed(c->deps.owner);
	}
}

static void incoming_done(lane_job_t *job, err_t e)
{
	incoming_t *in = job->arg;
	feed_client_t *c = in->client;

	c->parsing = false;
	if (e == OK) {
		view_take(c, in);
	} else {
		log_kv(LVL_ERROR, "feed.snapshot", kv_err("result", e), kv_c("why", in->diag.text));
	}
	incoming_free(in);
	if (c->has_next) {
		c->has_next = false;
		incoming_begin(c, &c->next_line);
	}
}

/* Takes the bytes of `line` and leaves it empty. */
static void incoming_begin(feed_client_t *c, buf_t *line)
{
	incoming_t *in = heap_new(incoming_t);

	in->client = c;
	in->line = *line;
	buf_init(line, FEED_SNAPSHOT_BYTES_MAX + FEED_LINE_FRAME_BYTES_MAX);
	in->before = c->view ? feed_view_ref(c->view) : NULL;
	in->job = (lane_job_t){ .run = incoming_run, .arg = in, .done = incoming_done };
	c->parsing = lane_submit(c->deps.lane, &in->job) == OK;
	if (!c->parsing) {
		incoming_free(in);
		if (c->call) {
			net_call_cancel(c->call); /* a full lane: start over, the first line is whole again */
		}
	}
}

static void snapshot_line(feed_client_t *c)
{
	if (!c->parsing) {
		incoming_begin(c, &c->line);
		return;
	}
	buf_wipe(&c->next_line); /* only the newest counts */
	c->next_line = c->line;
	c->has_next = true;
	buf_init(&c->line, FEED_SNAPSHOT_BYTES_MAX + FEED_LINE_FRAME_BYTES_MAX);
}

/* --- the other lines ------------------------------------------------------------------------------- */

static err_t small_line(feed_client_t *c)
{
	static const json_opts_t opts = { .bytes_max = FEED_REVOKED_LINE_BYTES_MAX,
		.nodes_max = STORE_SUBTREE_MAX + 16, .object_only = true };
	AUTO(arena_free) arena_t *a = arena_new_capped(FEED_REVOKED_LINE_BYTES_MAX * 8);
	const json_t *root;
	uint64_t now_s = loop_unix_s(c->deps.loop);
	str_t id;

	TRY(json_parse(a, buf_str(&c->line), &opts, &root, NULL));
	if (!json_is_str(json_get(root, STR("kind")), STR("revoked"))) {
		return OK; /* ping, and kinds of a newer authority */
	}
	for (const json_t *g = json_first(json_get(root, STR("grants"))); g; g = json_next(g)) {
		TRY(json_str(g, &id));
		revoked_add(&c->revoked, id, now_s);
		if (c->deps.revoked) {
			c->deps.revoked(id, c->deps.owner);
		}
	}
	return OK;
}

static void line_take(feed_client_t *c)
{
	c->heard_us = loop_mono_us(c->deps.loop);
	c->pause_ms = FEED_RECONNECT_MIN_MS;
	if (str_starts(buf_str(&c->line), STR("{\"kind\":\"snapshot\""))) {
		snapshot_line(c);
		return;
	}
	err_t e = small_line(c);
	if (e != OK) {
		log_kv(LVL_ERROR, "feed.line", kv_err("result", e));
	}
	buf_clear(&c->line);
}

static void stream_head(net_call_t *call, int status, net_headers_t headers, void *owner)
{
	feed_client_t *c = owner;

	(void)headers;
	if (status == 200) {
		return;
	}
	log_kv(LVL_ERROR, "feed.refused", kv_u("status", (uint64_t)status));
	net_call_cancel(call);
	if (status == err_info(ERR_CLOSED)->http && c->deps.refused) {
		c->deps.refused(c->deps.owner);
	}
}

static void stream_data(net_call_t *call, str_t bytes, void *owner)
{
	feed_client_t *c = owner;

	while (bytes.n && c->call) {
		size_t at = str_find(bytes, '\n');
		buf_add(&c->line, str_sub(bytes, 0, at));
		if (buf_err(&c->line) != OK) {
			net_call_cancel(call);
			return;
		}
		if (at == bytes.n) {
			return;
		}
		bytes = str_sub(bytes, at + 1, bytes.n);
		line_take(c);
	}
}

static void stream_done(err_t e, void *owner)
{
	feed_client_t *c = owner;

	c->call = NULL;
	buf_wipe(&c->line);
	log_kv(LVL_WARN, "feed.lost", kv_err("result", e), kv_u("again_ms", c->pause_ms));
	loop_timer_start(c->deps.loop, &c->reconnect, c->pause_ms, connect_now, c);
	c->pause_ms = c->pause_ms * 2 < FEED_RECONNECT_MAX_MS ? c->pause_ms * 2 : FEED_RECONNECT_MAX_MS;
}

static const net_call_fns_t stream_fns = { .head = stream_head, .data = stream_data, .done = stream_done };

static void connect_now(void *arg)
{
	feed_client_t *c = arg;
	AUTO(arena_free) arena_t *a = arena_open();
	net_request_t r = {
		.method = STR("GET"),
		.url = arena_cat(a, STR("http://authority/internal/v1/feed?since=0&instance="), c->deps.instance),
		.unix_path = c->deps.socket,
		.total_timeout_ms = UINT32_MAX,
		.idle_timeout_ms = FEED_STALE_MS,
		.response_bytes_max = SIZE_MAX,
	};
	err_t e = net_call_start(c->deps.net, &r, &stream_fns, c, &c->call);

	if (e != OK) {
		stream_done(e, c);
	}
}

err_t feed_client_new(const feed_client_deps_t *deps, feed_client_t **out)
{
	feed_client_t *c = heap_new(feed_client_t);

	c->deps = *deps;
	c->pause_ms = FEED_RECONNECT_MIN_MS;
	buf_init(&c->line, FEED_SNAPSHOT_BYTES_MAX + FEED_LINE_FRAME_BYTES_MAX);
	buf_init(&c->next_line, FEED_SNAPSHOT_BYTES_MAX + FEED_LINE_FRAME_BYTES_MAX);
	loop_timer_start(c->deps.loop, &c->reconnect, 0, connect_now, c);
	*out = c;
	return OK;
}

const feed_view_t *feed_client_pin(feed_client_t *c)
{
	return c->view ? feed_view_ref(c->view) : NULL;
}

bool feed_client_fresh(const feed_client_t *c)
{
	uint64_t silent_us = loop_mono_us(c->deps.loop) - c->heard_us;

	return c->view && silent_us < (uint64_t)FEED_STALE_MS * 1000;
}

double feed_client_silent_s(const feed_client_t *c)
{
	return (double)(loop_mono_us(c->deps.loop) - c->heard_us) / 1e6;
}

bool feed_client_grant_revoked(const feed_client_t *c, str_t grant)
{
	return revoked_has(&c->revoked, grant);
}
