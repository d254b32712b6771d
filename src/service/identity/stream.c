/* stream.c: what each node is told, as JSON lines: bundles first, then the entries that are its own; later
 * only what changed, withdrawals before anything else (spiffe.md 17). */
#include "service/identity/identity_int.h"

typedef struct node_stream {
	struct node_stream *next;
	identity_t *p;
	net_exchange_t *x;
	char *node;
} node_stream_t;

static void stream_drop(node_stream_t *s)
{
	identity_t *p = s->p;

	for (node_stream_t **at = &p->streams; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			p->n_streams--;
			break;
		}
	}
	net_on_lost(s->x, NULL, NULL);
	net_reply_abort(s->x);
	heap_free(s->node);
	heap_free(s);
}

static void stream_lost(net_exchange_t *x, void *owner)
{
	(void)x;
	stream_drop(owner);
}

/* --- lines ----------------------------------------------------------------------------------------------- */

static void line_open(jw_t *w, buf_t *b, const char *kind, int64_t seq)
{
	jw_init(w, b);
	jw_object(w);
	jw_kstr(w, "kind", str_of(kind));
	jw_ki64(w, "seq", seq);
}

static err_t line_close(jw_t *w, buf_t *b)
{
	jw_end(w);
	TRY(jw_finish(w));
	buf_byte(b, '\n');
	return buf_err(b);
}

static err_t bundle_line(buf_t *b, const identity_view_t *v, const spiffe_bundle_t *bundle)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(IDENTITY_LINE_BYTES_MAX);
	jw_t w;
	str_t doc;

	TRY(spiffe_bundle_write(a, bundle, &doc));
	line_open(&w, b, "bundle", v->seq);
	jw_kstr(&w, "td", bundle->td);
	jw_kraw(&w, "bundle", doc);
	return line_close(&w, b);
}

static err_t entry_line(buf_t *b, const identity_view_t *v, const view_entry_t *e)
{
	jw_t w;

	line_open(&w, b, "entry", v->seq);
	jw_kstr(&w, "key", e->key);
	jw_kstr(&w, "agent", e->agent);
	jw_ki64(&w, "created", e->created_s);
	jw_kraw(&w, "entry", e->doc);
	return line_close(&w, b);
}

static err_t name_line(buf_t *b, const identity_view_t *v, const char *kind, const char *member, str_t value)
{
	jw_t w;

	line_open(&w, b, kind, v->seq);
	if (member) {
		jw_kstr(&w, member, value);
	}
	return line_close(&w, b);
}

static bool entry_is_for(const view_entry_t *e, str_t node)
{
	return !e->entry.parent.p || str_eq(e->entry.parent, node);
}

static bool same_entry(const view_entry_t *x, const view_entry_t *y)
{
	return y && str_eq(x->doc, y->doc) && x->created_s == y->created_s;
}

/* --- differences ------------------------------------------------------------------------------------------- */

static const spiffe_bundle_t *bundle_of(const identity_view_t *v, str_t td)
{
	for (size_t i = 0; v && i < v->n_bundles; i++) {
		if (str_eq(v->bundles[i].td, td)) {
			return &v->bundles[i];
		}
	}
	return NULL;
}

static err_t withdrawals(buf_t *b, const identity_view_t *v, const identity_view_t *was, str_t node)
{
	for (size_t i = 0; was && i < was->n_entries; i++) {
		const view_entry_t *now = view_entry_find(v, was->entries[i].key);
		bool had = entry_is_for(&was->entries[i], node);
		if (had && !(now && entry_is_for(now, node))) {
			TRY(name_line(b, v, "entry_gone", "key", was->entries[i].key));
		}
	}
	for (size_t i = 0; was && i < was->n_bundles; i++) {
		if (!bundle_of(v, was->bundles[i].td)) {
			TRY(name_line(b, v, "bundle_gone", "td", was->bundles[i].td));
		}
	}
	return OK;
}

static str_t key_state(const identity_view_t *v, str_t kid)
{
	for (size_t i = 0; v && i < v->n_keys; i++) {
		if (str_eq(v->keys[i].kid, kid)) {
			return v->keys[i].state;
		}
	}
	return STR("");
}

/* Bundle before the first leaf under it; a tainted key's leaves are replaced, so the new one is known. */
static err_t trust_lines(buf_t *b, const identity_view_t *v, const identity_view_t *was)
{
	for (size_t i = 0; i < v->n_bundles; i++) {
		const spiffe_bundle_t *before = bundle_of(was, v->bundles[i].td);
		if (!before || before->sequence != v->bundles[i].sequence ||
			!spiffe_bundle_same_keys(before, &v->bundles[i])) {
			TRY(bundle_line(b, v, &v->bundles[i]));
		}
	}
	for (size_t i = 0; i < v->n_keys; i++) {
		bool tainted = str_eq(v->keys[i].state, STR("tainted"));
		if (tainted && !str_eq(key_state(was, v->keys[i].kid), STR("tainted"))) {
			TRY(name_line(b, v, "tainted", "kid", v->keys[i].kid));
		}
	}
	return OK;
}

/* What `node` must hear to come from `was` (NULL: nothing) to `v`. */
static err_t lines_for(buf_t *b, const identity_view_t *v, const identity_view_t *was, str_t node)
{
	TRY(withdrawals(b, v, was, node));
	TRY(trust_lines(b, v, was));
	for (size_t i = 0; i < v->n_entries; i++) {
		const view_entry_t *e = &v->entries[i];
		if (entry_is_for(e, node) && !same_entry(e, was ? view_entry_find(was, e->key) : NULL)) {
			TRY(entry_line(b, v, e));
		}
	}
	return was && b->n == 0 ? OK : name_line(b, v, "synced", NULL, STR_NULL);
}

static void stream_tell(node_stream_t *s, const identity_view_t *was)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, NET_REPLY_PENDING_BYTES_MAX);
	err_t e = lines_for(&b, s->p->view, was, str_of(s->node));
	e = e == OK && b.n ? net_reply_chunk(s->x, buf_str(&b)) : e;
	if (e != OK) {
		log_kv(LVL_WARN, "identity.stream", kv_c("node", s->node), kv_err("result", e));
		stream_drop(s); /* it comes back and hears everything */
	}
}

void streams_publish(identity_t *p, const identity_view_t *before)
{
	node_stream_t *next;

	for (node_stream_t *s = p->streams; s; s = next) {
		next = s->next;
		stream_tell(s, before);
	}
}

void streams_ping(identity_t *p)
{
	AUTO(buf_done) buf_t b;
	node_stream_t *next;

	buf_init(&b, 256);
	if (name_line(&b, p->view, "ping", NULL, STR_NULL) != OK) {
		return;
	}
	for (node_stream_t *s = p->streams; s; s = next) {
		next = s->next;
		if (net_reply_chunk(s->x, buf_str(&b)) != OK) {
			stream_drop(s);
		}
	}
}

void streams_end(identity_t *p)
{
	while (p->streams) {
		stream_drop(p->streams);
	}
}

/* --- a node arrives ------------------------------------------------------------------------------------------- */

typedef struct {
	identity_t *p;
	net_exchange_t *x;
	arena_t *a;
	str_t node;
	int64_t now_us;
	bool appended;
	store_closure_t closure;
	lane_job_t job;
} arrival_t;

static err_t arrival_record(store_txn_t *txn, arrival_t *r)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, IDENTITY_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "kind", STR("local"));
	jw_kstr(&w, "state", STR("joined"));
	jw_kstr(&w, "subject", r->node);
	r->appended = true;
	return record_append(&r->p->deps, txn, r->a, LEDGER_NODE, r->now_us, &w);
}

static err_t arrival_closure(store_txn_t *txn, void *self)
{
	arrival_t *r = self;
	const store_node_t node = { .id = r->node, .method = STR("local"), .selectors = STR("[]"),
		.seen_s = r->now_us / 1000000, .created_s = r->now_us / 1000000 };
	store_node_t had;

	r->appended = false; /* a closure may run twice */
	err_t e = store_node_get(txn, r->a, r->node, &had);
	ENSURE(e == OK || e == ERR_NOT_FOUND, e);
	TRY(store_node_put(txn, &node)); /* a banned one is refused here */
	return e == OK ? OK : arrival_record(txn, r);
}

static void arrival_done(lane_job_t *job, err_t e)
{
	arrival_t *r = (arrival_t *)((char *)job - offsetof(arrival_t, job));
	identity_t *p = r->p;

	if (r->appended && e == OK) {
		p->deps.appended(p->deps.owner);
	}
	if (e == OK && p->n_streams >= IDENTITY_NODES_MAX) {
		e = ERR_LIMIT;
	}
	if (e != OK) {
		net_reply_error(r->x, e);
		arena_free(r->a);
		return;
	}
	node_stream_t *s = heap_new(node_stream_t);
	s->p = p;
	s->x = r->x;
	s->node = heap_cstr(r->node);
	s->next = p->streams;
	p->streams = s;
	p->n_streams++;
	net_on_lost(s->x, stream_lost, s);
	net_reply_begin(s->x, 200, NET_HEADERS({ STR("Content-Type"), STR("application/jsonl") }));
	arena_free(r->a);
	stream_tell(s, NULL);
}

void stream_open(identity_t *p, net_exchange_t *x, str_t node)
{
	arena_t *a = arena_open();
	arrival_t *r = arena_new(a, arrival_t);

	r->p = p;
	r->x = x;
	r->a = a;
	r->node = arena_str(a, node);
	r->now_us = (int64_t)loop_unix_us(p->deps.loop);
	r->closure = (store_closure_t){ .run = arrival_closure, .self = r };
	r->job = (lane_job_t){ .arg = &r->closure, .done = arrival_done };
	err_t e = lane_submit(p->deps.write, &r->job);
	if (e != OK) {
		net_reply_error(x, e);
		arena_free(a);
	}
}
