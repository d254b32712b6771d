/* stream.c: the feed on the wire: subscribers, snapshot, revoked and ping lines, which gateways live. */
#include <stdio.h>

#include "pure/codec/codec.h"
#include "service/feed/feed_server.h"

typedef struct subscriber {
	struct subscriber *next;
	feed_t *feed;
	net_exchange_t *x;
	instance_t *instance; /* NULL: somebody reading along, curl say */
} subscriber_t;

void feed_snapshot_line(buf_t *out, const feed_view_t *view, str_t snapshot_text)
{
	jw_t w;
	char digest[DELEGATION_DIGEST_TEXT_BYTES + 1];
	AUTO(arena_free) arena_t *a = arena_open();
	str_t text = delegation_digest_text(a, view->snapshot->digest);

	memcpy(digest, text.p, text.n);
	jw_init(&w, out);
	jw_object(&w);
	jw_kstr(&w, "kind", STR("snapshot"));
	jw_ku64(&w, "version", view->version);
	jw_kstr(&w, "digest", (str_t){ digest, text.n });
	jw_kraw(&w, "snapshot", snapshot_text);
	jw_end(&w);
	CHECK(jw_finish(&w) == OK); /* snapshot text was bounded below the line's maximum */
	buf_byte(out, '\n');
}

static void subscriber_unlink(subscriber_t *s)
{
	feed_t *f = s->feed;

	for (subscriber_t **p = &f->subscribers; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			f->n_subscribers--;
			return;
		}
	}
}

static void instance_left(feed_t *f, instance_t *i)
{
	if (i && --i->streams == 0) {
		i->gone_us = loop_mono_us(f->deps.loop);
	}
}

/* Ends a stream that is lost or too slow; the gateway comes back and gets a whole snapshot. */
static void subscriber_drop(subscriber_t *s)
{
	subscriber_unlink(s);
	instance_left(s->feed, s->instance);
	net_on_lost(s->x, NULL, NULL);
	net_reply_abort(s->x);
	heap_free(s);
}

static void subscriber_lost(net_exchange_t *x, void *owner)
{
	subscriber_t *s = owner;

	CHECK(s->x == x);
	subscriber_drop(s);
}

static void publish(feed_t *f, str_t line)
{
	subscriber_t *next;

	for (subscriber_t *s = f->subscribers; s; s = next) {
		next = s->next;
		if (net_reply_chunk(s->x, line) != OK) {
			log_kv(LVL_WARN, "feed.drop", kv_c("why", "subscriber too slow or gone"));
			subscriber_drop(s);
		}
	}
}

void feed_publish_snapshot(feed_t *f)
{
	publish(f, buf_str(&f->line));
}

/* At most STORE_SUBTREE_MAX ids a line. */
static void revoked_line(buf_t *out, uint64_t seq, const str_t *ids, size_t n)
{
	jw_t w;

	jw_init(&w, out);
	jw_object(&w);
	jw_kstr(&w, "kind", STR("revoked"));
	jw_ku64(&w, "seq", seq);
	jw_karray(&w, "grants");
	for (size_t i = 0; i < n; i++) {
		jw_str(&w, ids[i]);
	}
	jw_end(&w);
	jw_end(&w);
	CHECK(jw_finish(&w) == OK); /* ULIDs, at most STORE_SUBTREE_MAX of them */
	buf_byte(out, '\n');
}

void feed_revoked(feed_t *f, const str_t *grant_ids, size_t n)
{
	AUTO(buf_done) buf_t line;

	if (n == 0) {
		buf_init(&line, 0);
		return;
	}
	buf_init(&line, FEED_REVOKED_LINE_BYTES_MAX);
	revoked_line(&line, f->view->version, grant_ids, n);
	publish(f, buf_str(&line));
}

static void instances_sweep(feed_t *f)
{
	uint64_t now = loop_mono_us(f->deps.loop);

	for (size_t i = 0; i < f->n_instances; i++) {
		instance_t *in = &f->instances[i];
		bool gone = in->streams == 0 && now - in->gone_us >= (uint64_t)FEED_INSTANCE_GONE_MS * 1000;
		if (gone && !in->told) {
			in->told = true;
			f->deps.instance_gone(str_bytes(in->id, FEED_INSTANCE_BYTES), f->deps.owner);
		}
	}
}

static void ping(void *arg)
{
	feed_t *f = arg;
	char line[96];
	int n = snprintf(line, sizeof(line), "{\"kind\":\"ping\",\"seq\":%llu}\n",
		(unsigned long long)f->view->version);

	publish(f, (str_t){ line, (size_t)n });
	instances_sweep(f);
	feed_catch_up(f);
	loop_timer_start(f->deps.loop, &f->ping, FEED_PING_MS, ping, f);
}

void feed_ping_start(feed_t *f)
{
	loop_timer_start(f->deps.loop, &f->ping, FEED_PING_MS, ping, f);
}

void feed_subscribers_end(feed_t *f)
{
	loop_timer_stop(f->deps.loop, &f->ping);
	while (f->subscribers) {
		subscriber_drop(f->subscribers);
	}
}

static instance_t *instance_find(feed_t *f, str_t id)
{
	for (size_t i = 0; i < f->n_instances; i++) {
		if (str_eq(id, str_bytes(f->instances[i].id, FEED_INSTANCE_BYTES))) {
			return &f->instances[i];
		}
	}
	return NULL;
}

/* A free place is one whose instance is gone and reported; ids are never used twice. */
static instance_t *instance_place(feed_t *f)
{
	for (size_t i = 0; i < f->n_instances; i++) {
		if (f->instances[i].told) {
			return &f->instances[i];
		}
	}
	return f->n_instances < FEED_INSTANCES_MAX ? &f->instances[f->n_instances++] : NULL;
}

static bool instance_id_ok(str_t id)
{
	uint8_t bytes[FEED_INSTANCE_BYTES / 2];

	return id.n == FEED_INSTANCE_BYTES && hex_dec_exact(id, bytes, sizeof(bytes)) == OK;
}

static err_t instance_open(feed_t *f, str_t id, instance_t **out)
{
	ENSURE(instance_id_ok(id), ERR_VALUE);
	instance_t *i = instance_find(f, id);
	if (i) {
		ENSURE(!i->told, ERR_CLOSED); /* its attempts are closed: a new start has a new id */
	} else {
		i = instance_place(f);
		ENSURE(i, ERR_LIMIT);
		*i = (instance_t){ 0 };
		memcpy(i->id, id.p, FEED_INSTANCE_BYTES);
	}
	i->streams++;
	i->gone_us = 0;
	*out = i;
	return OK;
}

/* Grants revoked lately: a gateway that was away must not open sessions under them. */
typedef struct {
	arena_t *a;
	int64_t since_s;
	str_t *ids;
	size_t n;
} recent_t;

static err_t recent_closure(store_txn_t *txn, void *self)
{
	recent_t *r = self;

	return store_grant_revoked_since(txn, r->a, r->since_s, &r->ids, &r->n);
}

static err_t subscriber_open(feed_t *f, net_exchange_t *x, instance_t *instance)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(FEED_REVOKED_LINE_BYTES_MAX * 4);
	recent_t recent = { .a = a, .since_s = (int64_t)loop_unix_s(f->deps.loop) - FEED_REVOKED_REMEMBER_S };

	/* a read of an indexed column, once per connect of a gateway */
	TRY(store_read(f->deps.store, recent_closure, &recent));
	subscriber_t *s = heap_new(subscriber_t);
	*s = (subscriber_t){ f->subscribers, f, x, instance };
	f->subscribers = s;
	f->n_subscribers++;
	net_reply_begin(x, 200, NET_HEADERS({ STR("Content-Type"), STR("application/x-ndjson") }));
	net_on_lost(x, subscriber_lost, s);
	AUTO(buf_done) buf_t line;
	buf_init(&line, FEED_REVOKED_LINE_BYTES_MAX);
	revoked_line(&line, f->view->version, recent.ids, recent.n);
	if (net_reply_chunk(x, buf_str(&f->line)) != OK || net_reply_chunk(x, buf_str(&line)) != OK) {
		subscriber_drop(s);
	}
	return OK;
}

/* Query of the request: since is for readers (every stream starts with a whole snapshot), instance names
 * a gateway process. */
static err_t instance_of(feed_t *f, net_exchange_t *x, instance_t **out)
{
	AUTO(arena_free) arena_t *a = arena_open();
	form_t form;
	str_t id;

	TRY(form_parse(a, net_query(x), FEED_QUERY_PAIRS_MAX, &form));
	TRY(form_want(&form, STR("instance"), FEED_INSTANCE_BYTES, &id));
	if (!id.p) {
		*out = NULL;
		return OK;
	}
	return instance_open(f, id, out);
}

void feed_handle(feed_t *f, net_exchange_t *x)
{
	instance_t *instance = NULL;
	err_t e = str_eq(net_method(x), STR("GET")) ? OK : ERR_METHOD;

	if (e == OK && f->n_subscribers >= FEED_SUBSCRIBERS_MAX) {
		e = ERR_LIMIT;
	}
	if (e == OK) {
		e = instance_of(f, x, &instance);
	}
	if (e == OK) {
		e = subscriber_open(f, x, instance);
		if (e != OK) {
			instance_left(f, instance);
		}
	}
	if (e != OK) {
		net_reply_error(x, e);
	}
}

bool feed_instance_alive(const feed_t *f, str_t instance)
{
	for (size_t i = 0; i < f->n_instances; i++) {
		if (str_eq(instance, str_bytes(f->instances[i].id, FEED_INSTANCE_BYTES))) {
			return !f->instances[i].told;
		}
	}
	return false;
}

size_t feed_subscribers(const feed_t *f)
{
	return f->n_subscribers;
}
