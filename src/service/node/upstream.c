/* upstream.c: the authority, over its internal socket (docs/identity.md 4): the feed read line by line and made
 * again when it breaks, requests for certificates gathered into few messages, and single posts. */
#include <stdio.h>

#include "service/node/node_int.h"

typedef struct post {
	struct post *next;
	upstream_t *u;
	arena_t *a;
	net_response_t response;
	upstream_done_fn done;
	void *owner;
	char path[64];
	svid_t *asked[NODE_BATCH_MAX]; /* of a batch */
	size_t n_asked;
} post_t;

struct upstream {
	node_t *n;
	net_client_t *net;
	net_call_t *feed; /* NULL: not connected, the timer runs */
	buf_t line;
	loop_timer_t again;
	uint32_t pause_ms;
	bool synced, begun; /* begun: this feed said something */
	bool synced_once; /* since it was last said to be lost */
	svid_t *queue[NODE_SVIDS_MAX + NODE_BATCH_MAX];
	size_t n_queue, n_batches;
	posted_t flush;
	post_t *posts;
	bool closing;
};

bool upstream_synced(const upstream_t *u)
{
	return u->synced;
}

/* --- the feed ---------------------------------------------------------------------------------------------- */

static void tainted(node_t *n)
{
	jwts_forget(n);
	svids_renew_all(n);
}

static err_t gone_line(upstream_t *u, const json_t *line, bool *changed)
{
	str_t name;

	if (json_is_str(json_get(line, STR("kind")), STR("entry_gone"))) {
		TRY(json_need_str(line, STR("key"), JSON_UNBOUNDED, &name));
		*changed = entries_remove(&u->n->entries, name);
		return OK;
	}
	TRY(json_need_str(line, STR("td"), JSON_UNBOUNDED, &name));
	*changed = trust_remove(&u->n->trust, name);
	return OK;
}

static err_t known_line(upstream_t *u, const json_t *line, str_t kind, bool *changed)
{
	node_t *n = u->n;
	str_t name;

	if (str_eq(kind, STR("bundle"))) {
		TRY(trust_put(&n->trust, line, n->o.trust_domain, changed));
	} else if (str_eq(kind, STR("entry"))) {
		TRY(entries_put(&n->entries, line, n->o.trust_domain, changed));
	} else if (str_eq(kind, STR("entry_gone")) || str_eq(kind, STR("bundle_gone"))) {
		TRY(gone_line(u, line, changed));
	} else if (str_eq(kind, STR("tainted"))) {
		tainted(n);
	} else if (str_eq(kind, STR("run_over"))) {
		TRY(json_need_str(line, STR("run"), NODE_RUN_ID_BYTES, &name));
		runs_over(n, name, "withdrawn");
	} else if (str_eq(kind, STR("synced"))) {
		*changed = entries_sweep(&n->entries);
		*changed = trust_sweep(&n->trust) || *changed || !u->synced;
		u->synced = u->synced_once = true;
		u->pause_ms = NODE_AGAIN_MIN_MS;
	}
	return OK; /* ping, and kinds of a newer authority */
}

static err_t line_take(upstream_t *u)
{
	static const json_opts_t opts = { .bytes_max = NODE_FEED_LINE_BYTES_MAX, .nodes_max = 1 << 16, .object_only = true };
	AUTO(arena_free) arena_t *a = arena_new_capped(NODE_FEED_LINE_BYTES_MAX * 8);
	bool changed = false;
	const json_t *line;
	str_t kind;

	if (u->line.n == 0) {
		return OK;
	}
	if (!u->begun) {
		u->begun = true; /* it tells everything: what it leaves out is gone at `synced` */
		entries_stale(&u->n->entries);
		trust_stale(&u->n->trust);
	}
	TRY(json_parse(a, buf_str(&u->line), &opts, &line, NULL));
	TRY(json_need_str(line, STR("kind"), 64, &kind));
	TRY(known_line(u, line, kind, &changed));
	if (changed && u->synced) {
		callers_changed(u->n);
	}
	return OK;
}

static void feed_head(net_call_t *call, int status, net_headers_t headers, void *owner)
{
	(void)headers;
	(void)owner;
	if (status != 200) {
		net_call_cancel(call);
	}
}

static void feed_data(net_call_t *call, str_t bytes, void *owner)
{
	upstream_t *u = owner;

	while (bytes.n && u->feed) {
		size_t at = str_find(bytes, '\n');
		buf_add(&u->line, str_sub(bytes, 0, at));
		if (buf_err(&u->line) != OK) {
			net_call_cancel(call);
			return;
		}
		if (at == bytes.n) {
			return;
		}
		bytes = str_sub(bytes, at + 1, bytes.n);
		err_t e = line_take(u);
		if (e != OK) { /* one bad line may be an entry that is missing here: hear everything again */
			log_kv(LVL_ERROR, "node.feed_line", kv_err("result", e));
			net_call_cancel(call);
			return;
		}
		buf_clear(&u->line);
	}
}

static void feed_begin(void *arg);

static void feed_done(err_t e, void *owner)
{
	upstream_t *u = owner;

	u->feed = NULL;
	buf_clear(&u->line);
	if (u->closing) {
		return;
	}
	if (u->synced_once || u->pause_ms == NODE_AGAIN_MIN_MS) { /* once, not every two seconds */
		log_kv(LVL_WARN, "node.feed_lost", kv_err("result", e), kv_u("again_ms", u->pause_ms));
		u->synced_once = false;
	}
	loop_timer_start(u->n->loop, &u->again, u->pause_ms, feed_begin, u);
	u->pause_ms = u->pause_ms * 2 < NODE_AGAIN_MAX_MS ? u->pause_ms * 2 : NODE_AGAIN_MAX_MS;
}

static const net_call_fns_t feed_fns = { .head = feed_head, .data = feed_data, .done = feed_done };

static void feed_begin(void *arg)
{
	upstream_t *u = arg;
	net_request_t r = {
		.method = STR("GET"),
		.url = STR("http://authority/internal/v1/node/feed?since=0"),
		.unix_path = u->n->o.authority_socket,
		.total_timeout_ms = UINT32_MAX,
		.idle_timeout_ms = NODE_FEED_STALE_MS,
		.response_bytes_max = SIZE_MAX,
	};

	u->begun = false;
	err_t e = net_call_start(u->net, &r, &feed_fns, u, &u->feed);
	if (e != OK) {
		feed_done(e, u);
	}
}

/* --- posts ----------------------------------------------------------------------------------------------------- */

static void post_free(post_t *p)
{
	for (post_t **at = &p->u->posts; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	arena_free(p->a); /* it lies in it; keys are not in answers, tokens are: arenas are wiped */
}

static err_t answer_read(post_t *p, err_t e, const json_t **out)
{
	static const json_opts_t opts = { .bytes_max = NODE_FEED_LINE_BYTES_MAX, .nodes_max = 1 << 12, .object_only = true };
	str_t name;

	TRY(e);
	TRY(json_parse(p->a, p->response.body, &opts, out, NULL));
	if (p->response.status != 200) {
		TRY(json_need_str(*out, STR("error"), 64, &name));
		const char *text;
		TRY(arena_cstr(p->a, name, &text));
		e = err_by_name(text);
		return e == OK ? ERR_INTERNAL : e;
	}
	return OK;
}

static void post_done(op_t *op, err_t e)
{
	post_t *p = op->owner;
	const json_t *body = NULL;

	e = answer_read(p, e, &body);
	p->done(p->owner, e, e == OK ? body : NULL);
	post_free(p);
}

static post_t *post_new(upstream_t *u, const char *path)
{
	arena_t *a = arena_new_capped(4 << 20);
	post_t *p = arena_new(a, post_t);

	p->u = u;
	p->a = a;
	snprintf(p->path, sizeof(p->path), "%s", path);
	p->next = u->posts;
	u->posts = p;
	return p;
}

/* Takes p: done comes from the loop whatever happens. */
static void post_send(post_t *p, str_t body)
{
	const net_header_t *type = (const net_header_t *)memcpy(arena_new(p->a, net_header_t),
		&(net_header_t){ STR("Content-Type"), STR("application/json") }, sizeof(net_header_t));
	net_request_t r = {
		.method = STR("POST"),
		.url = arena_cat(p->a, STR("http://authority"), str_of(p->path)),
		.unix_path = p->u->n->o.authority_socket,
		.headers = { type, 1 },
		.body = body,
		.total_timeout_ms = NODE_ISSUE_TIMEOUT_MS,
		.response_bytes_max = NODE_FEED_LINE_BYTES_MAX,
	};

	op_start(net_fetch(p->u->net, p->a, &r, &p->response), p->u->n->loop, loop_in_ms(p->u->n->loop, NODE_ISSUE_TIMEOUT_MS),
		post_done, p);
}

err_t upstream_post(upstream_t *u, const char *path, str_t body, upstream_done_fn done, void *owner)
{
	ENSURE(!u->closing, ERR_UNAVAILABLE);
	post_t *p = post_new(u, path);
	p->done = done;
	p->owner = owner;
	err_t e = arena_dup(p->a, body, &body);
	if (e != OK) {
		post_free(p);
		return e;
	}
	post_send(p, body);
	return OK;
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

static void batch_begin(upstream_t *u);

static void batch_done(void *owner, err_t e, const json_t *body)
{
	post_t *p = owner;
	upstream_t *u = p->u;
	const json_t *items = json_get(body, STR("items"));
	const json_t *item = json_first(items);

	e = e == OK && json_count(items) != p->n_asked ? ERR_UPSTREAM : e;
	u->n_batches--;
	for (size_t i = 0; i < p->n_asked; i++) {
		svid_issued(p->asked[i], e, e == OK ? item : NULL);
		item = e == OK ? json_next(item) : NULL;
	}
	if (u->n_queue && !u->closing) {
		batch_begin(u);
	}
}

static err_t csr_add(jw_t *w, post_t *p, svid_t *s)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	str_t csr;

	TRY(crypto_key_generate(CRYPTO_KEY_P256, &key));
	secret_done(&s->next_key);
	TRY(secret_from(crypto_key_peek_secret(key), &s->next_key));
	TRY(x509_csr_make(p->a, key, &csr));
	jw_object(w);
	jw_kstr(w, "key", s->entry->key);
	jw_kstr(w, "csr", b64_enc(p->a, csr));
	jw_kraw(w, "facts", str_of(s->facts));
	jw_end(w);
	return OK;
}

/* The first ones in the queue, as many as go into one message. */
static void batch_fill(upstream_t *u, post_t *p, jw_t *w)
{
	size_t taken = 0;

	while (taken < u->n_queue && p->n_asked < NODE_BATCH_MAX) {
		svid_t *s = u->queue[taken++];
		err_t e = csr_add(w, p, s);
		if (e == OK) {
			p->asked[p->n_asked++] = s;
		} else {
			svid_issued(s, e, NULL);
		}
	}
	u->n_queue -= taken;
	memmove(u->queue, u->queue + taken, u->n_queue * sizeof(*u->queue));
}

static void batch_begin(upstream_t *u)
{
	AUTO(buf_done) buf_t b;
	post_t *p = post_new(u, "/internal/v1/svid");
	str_t body;
	jw_t w;

	p->done = batch_done;
	p->owner = p;
	buf_init(&b, NODE_FEED_LINE_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_karray(&w, "items");
	batch_fill(u, p, &w);
	jw_end(&w);
	jw_end(&w);
	u->n_batches++;
	err_t e = jw_finish(&w);
	e = e == OK ? arena_dup(p->a, buf_str(&b), &body) : e;
	if (e != OK || p->n_asked == 0) {
		batch_done(p, e, NULL);
		post_free(p);
		return;
	}
	post_send(p, body);
}

static void flush(void *arg)
{
	upstream_t *u = arg;

	while (u->n_queue && u->n_batches < NODE_BATCHES_MAX && !u->closing) {
		batch_begin(u);
	}
}

void upstream_ask_svid(upstream_t *u, svid_t *s)
{
	CHECK(u->n_queue < ARRAY_LEN(u->queue));
	u->queue[u->n_queue++] = s;
	if (!u->flush.waiting) {
		loop_post_own(u->n->loop, &u->flush, flush, u); /* with all that this round asks for */
	}
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

err_t upstream_open(node_t *n, upstream_t **out)
{
	upstream_t *u = heap_new(upstream_t);

	u->n = n;
	u->pause_ms = NODE_AGAIN_MIN_MS;
	buf_init(&u->line, NODE_FEED_LINE_BYTES_MAX);
	err_t e = net_client_open(n->loop, NODE_BATCHES_MAX + 4, &u->net);
	if (e != OK) {
		heap_free(u);
		return e;
	}
	loop_timer_start(n->loop, &u->again, 0, feed_begin, u);
	*out = u;
	return OK;
}

void upstream_close(upstream_t *u, void (*closed)(void *), void *owner)
{
	u->closing = true;
	loop_timer_stop(u->n->loop, &u->again);
	net_client_close(u->net, closed, owner);
}
