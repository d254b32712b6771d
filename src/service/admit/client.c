/* client.c: a gateway asks, and tells what became of it. Every message is repeated until it is answered;
 * the authority knows a repeat by its record id, so nothing is admitted or recorded twice. */
#include "pure/codec/codec.h"
#include "service/admit/client.h"
#include "service/admit/limits.h"

/* One message that is sent until it is taken. */
typedef struct post {
	admit_client_t *c;
	arena_t *a;
	net_call_t *call;
	loop_timer_t again;
	str_t path, url, body;
	buf_t response;
	int status;
	uint32_t pause_ms;
	uint64_t give_up_us; /* 0: never */
	/* Called once: OK with the response body, or ERR_AUTHORITY_AWAY, or ERR_INTERNAL for an answer
	 * that is no 200. */
	void (*done)(struct post *p, err_t e);
	void *owner;
	struct post *next, **slot; /* in c->posts */
} post_t;

struct admit_client {
	admit_client_deps_t deps;
	post_t *posts;
	size_t outcomes;
	tally_t refused; /* not reported yet */
	tally_t refused_ever; /* since the start */
	loop_timer_t report;
};

static void post_send(void *arg);

static void post_free(post_t *p)
{
	loop_timer_stop(p->c->deps.loop, &p->again);
	*p->slot = p->next;
	if (p->next) {
		p->next->slot = p->slot;
	}
	buf_wipe(&p->response);
	arena_free(p->a);
	heap_free(p);
}

static void post_end(post_t *p, err_t e)
{
	p->done(p, e);
	post_free(p);
}

/* Not taken: try again, later each time, until the deadline. */
static void post_again(post_t *p, err_t why)
{
	loop_t *loop = p->c->deps.loop;
	uint64_t next_us = loop_in_ms(loop, p->pause_ms);

	if (p->give_up_us && next_us >= p->give_up_us) {
		post_end(p, ERR_AUTHORITY_AWAY);
		return;
	}
	log_kv(LVL_DEBUG, "admit.again", kv_s("path", p->path), kv_err("why", why), kv_u("ms", p->pause_ms));
	loop_timer_start(loop, &p->again, p->pause_ms, post_send, p);
	p->pause_ms = p->pause_ms * 2 < ADMIT_RETRY_MAX_MS ? p->pause_ms * 2 : ADMIT_RETRY_MAX_MS;
}

static void post_head(net_call_t *call, int status, net_headers_t headers, void *owner)
{
	post_t *p = owner;

	(void)call, (void)headers;
	p->status = status;
}

static void post_data(net_call_t *call, str_t bytes, void *owner)
{
	post_t *p = owner;

	(void)call;
	buf_add(&p->response, bytes);
}

/* The authority's disk is full: it takes nothing new (net_reply_error's form). */
static bool is_full(post_t *p)
{
	const json_t *root;

	return json_parse_object(p->a, buf_str(&p->response), &root, NULL) == OK &&
		json_is_str(json_get(root, STR("error")), str_of(err_info(ERR_DISK_FULL)->name));
}

static void post_done(err_t e, void *owner)
{
	post_t *p = owner;
	/* an outcome has nobody who could be told that it failed: whatever is wrong there, it stays with us */
	bool later = e == OK && (p->status == 503 || (p->status >= 500 && p->give_up_us == 0));

	p->call = NULL;
	if (e == OK && buf_err(&p->response) != OK) {
		e = ERR_LIMIT;
	}
	if (later && p->give_up_us && is_full(p)) {
		post_end(p, ERR_DISK_FULL); /* somebody waits, and it will not be better in a moment */
		return;
	}
	if (e != OK || later) {
		post_again(p, e == OK ? ERR_UNAVAILABLE : e);
		return;
	}
	if (p->status != 200) {
		log_kv(LVL_ERROR, "admit.refused", kv_s("path", p->path), kv_u("status", (uint64_t)p->status),
			kv_s("body", buf_str(&p->response)));
	}
	post_end(p, p->status == 200 ? OK : ERR_INTERNAL);
}

static const net_call_fns_t post_fns = { post_head, post_data, post_done };

/* An authority that takes connections and says nothing must not hold whoever waits beyond their time. */
static uint32_t post_timeout_ms(const post_t *p)
{
	uint64_t now_us = loop_mono_us(p->c->deps.loop);
	uint64_t left_ms = p->give_up_us > now_us ? (p->give_up_us - now_us) / 1000 + 1 : 1;

	return p->give_up_us == 0 || left_ms > ADMIT_POST_TIMEOUT_MS ? ADMIT_POST_TIMEOUT_MS : (uint32_t)left_ms;
}

static void post_send(void *arg)
{
	post_t *p = arg;
	net_request_t r = {
		.method = STR("POST"),
		.url = p->url,
		.unix_path = p->c->deps.socket,
		.headers = NET_HEADERS({ STR("Content-Type"), STR("application/json") }),
		.body = p->body,
		.total_timeout_ms = post_timeout_ms(p),
		.response_bytes_max = ADMIT_BODY_BYTES_MAX,
	};

	buf_clear(&p->response);
	p->status = 0;
	err_t e = net_call_start(p->c->deps.net, &r, &post_fns, p, &p->call);
	if (e != OK) {
		post_again(p, e);
	}
}

static post_t *post_new(admit_client_t *c, str_t path, void (*done)(post_t *p, err_t e), void *owner)
{
	post_t *p = heap_new(post_t);

	p->c = c;
	p->a = arena_open();
	p->path = path;
	p->url = arena_cat(p->a, STR("http://authority"), path); /* once: a post may be sent for hours */
	p->done = done;
	p->owner = owner;
	p->pause_ms = ADMIT_RETRY_MIN_MS;
	buf_init(&p->response, ADMIT_BODY_BYTES_MAX);
	p->next = c->posts;
	p->slot = &c->posts;
	if (p->next) {
		p->next->slot = &p->next;
	}
	c->posts = p;
	return p;
}

/* Moves what was written into the post's arena. */
static err_t post_body(post_t *p, jw_t *w, buf_t *b)
{
	err_t e = jw_finish(w);

	if (e == OK) {
		e = arena_dup(p->a, buf_str(b), &p->body);
	}
	buf_done(b);
	return e;
}

/* --- ask ---------------------------------------------------------------------------------------------- */

typedef struct {
	op_t op;
	admit_client_t *c;
	arena_t *a;
	post_t *post;
	admit_ask_t ask;
	admit_told_t *out; /* NULL: a decision */
	str_t rid, record;
} ask_op_t;

static err_t told_parse(ask_op_t *k, str_t body)
{
	const json_t *root, *credential;
	str_t code;
	const char *c;
	admit_told_t told = { 0 };

	TRY(json_parse_object(k->a, body, &root, NULL));
	TRY(json_need_bool(root, STR("admit"), &told.admitted));
	if (!told.admitted) {
		TRY(json_need_str(root, STR("code"), ADMIT_ID_BYTES_MAX, &code));
		TRY(arena_cstr(k->a, code, &c));
		told.code = err_by_name(c);
		ENSURE(told.code != OK, ERR_INTERNAL);
		*k->out = told;
		return OK;
	}
	credential = json_get(root, STR("credential"));
	if (json_kind(credential) == JSON_OBJECT) {
		str_t header, value;
		TRY(json_need_str(credential, STR("header"), ADMIT_ID_BYTES_MAX, &header));
		TRY(json_need_str(credential, STR("value"), ADMIT_BODY_BYTES_MAX, &value));
		told.credential_header = arena_str(k->a, header);
		told.credential_value = arena_str(k->a, value);
	}
	*k->out = told;
	return OK;
}

static void ask_done(post_t *p, err_t e)
{
	ask_op_t *k = p->owner;
	str_t body = STR_NULL;

	k->post = NULL;
	if (e == OK && k->out) {
		e = arena_dup(k->a, buf_str(&p->response), &body);
		e = e == OK ? told_parse(k, body) : e;
	}
	op_complete(&k->op, e);
}

static void ask_once_write(jw_t *w, const admit_ask_t *q)
{
	if (!q->has_once) {
		jw_knull(w, "once");
		return;
	}
	jw_kobject(w, "once");
	jw_kstr(w, "space", q->once_space);
	jw_kstr(w, "id", q->once_id);
	jw_ki64(w, "until", q->once_until_s);
	jw_end(w);
}

/* Nobody waits for the answer any more in `left_us`: one that is heard later admits nothing. */
static err_t ask_body(ask_op_t *k, post_t *p, uint64_t left_us)
{
	const admit_ask_t *q = &k->ask;
	buf_t b;
	jw_t w;

	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "rid", q->rid);
	ask_once_write(&w, q);
	if (q->grant.n) {
		jw_kstr(&w, "grant", q->grant);
	} else {
		jw_knull(&w, "grant");
	}
	jw_ku64(&w, "fence", q->fence);
	jw_kstr(&w, "instance", k->c->deps.instance);
	jw_ki64(&w, "deadline", q->deadline_ms);
	jw_ki64(&w, "answer_by", (int64_t)((loop_unix_us(k->c->deps.loop) + left_us) / 1000));
	jw_kstr(&w, "route", q->route);
	jw_kraw(&w, "record", q->record);
	jw_end(&w);
	return post_body(p, &w, &b);
}

static err_t decision_body(ask_op_t *k, post_t *p)
{
	buf_t b;
	jw_t w;

	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "rid", k->rid);
	jw_kstr(&w, "instance", k->c->deps.instance);
	jw_kraw(&w, "record", k->record);
	jw_end(&w);
	return post_body(p, &w, &b);
}

static void ask_start(op_t *op)
{
	ask_op_t *k = (ask_op_t *)op;
	str_t path = k->out ? STR("/internal/v1/admit") : STR("/internal/v1/decision");
	post_t *p = post_new(k->c, path, ask_done, k);
	uint64_t now_us = loop_mono_us(k->c->deps.loop), give_up_us = now_us + ADMIT_ASK_MS * 1000;

	p->give_up_us = op->deadline_us < give_up_us ? op->deadline_us : give_up_us;
	err_t e = k->out ? ask_body(k, p, p->give_up_us > now_us ? p->give_up_us - now_us : 0) : decision_body(k, p);
	if (e != OK) {
		post_end(p, e);
		return;
	}
	k->post = p;
	post_send(p);
}

/* The answer of a message on its way cannot be taken back: stop repeating it. */
static void ask_hurry(op_t *op)
{
	post_t *p = ((ask_op_t *)op)->post;

	if (!p) {
		return;
	}
	p->give_up_us = 1;
	if (!p->call) {
		post_end(p, ERR_AUTHORITY_AWAY);
	}
}

static const op_kind_t ask_kind = { .name = "admit.ask", .start = ask_start, .hurry = ask_hurry };
static const op_kind_t decision_kind = { .name = "admit.decision", .start = ask_start, .hurry = ask_hurry };

op_t *admit_ask(arena_t *a, admit_client_t *c, const admit_ask_t *ask, admit_told_t *out)
{
	ask_op_t *k = arena_new(a, ask_op_t);

	op_init(&k->op, &ask_kind);
	k->c = c;
	k->a = a;
	k->ask = *ask;
	k->out = out;
	return &k->op;
}

op_t *admit_decision(arena_t *a, admit_client_t *c, str_t rid, str_t record)
{
	ask_op_t *k = arena_new(a, ask_op_t);

	op_init(&k->op, &decision_kind);
	k->c = c;
	k->a = a;
	k->rid = rid;
	k->record = record;
	return &k->op;
}

/* --- outcomes ------------------------------------------------------------------------------------------ */

static const char *const status_names[] = { "success", "error", "timeout", "unknown", "not_executed" };

static void outcome_done(post_t *p, err_t e)
{
	p->c->outcomes--;
	if (e != OK) {
		log_kv(LVL_ERROR, "admit.outcome", kv_err("result", e), kv_s("body", p->body));
	}
}

err_t admit_outcome(admit_client_t *c, str_t rid, admit_status_t status, str_t code, str_t resp_digest,
	uint64_t ms)
{
	buf_t b;
	jw_t w;

	ENSURE(c->outcomes < ADMIT_OUTCOMES_MAX, ERR_LIMIT);
	post_t *p = post_new(c, STR("/internal/v1/outcome"), outcome_done, NULL);
	c->outcomes++;
	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "of", rid);
	jw_kstr(&w, "instance", c->deps.instance);
	jw_kstr(&w, "status", str_of(status_names[status]));
	jw_kstr_if(&w, "code", code);
	jw_kstr_if(&w, "resp", resp_digest);
	jw_ku64(&w, "ms", ms);
	jw_end(&w);
	err_t e = post_body(p, &w, &b);
	if (e != OK) {
		post_end(p, e);
		return e;
	}
	post_send(p);
	return OK;
}

bool admit_client_full(const admit_client_t *c)
{
	return c->outcomes >= ADMIT_OUTCOMES_MAX;
}

bool admit_client_idle(const admit_client_t *c)
{
	return !c->posts;
}

size_t admit_client_waiting(const admit_client_t *c)
{
	return c->outcomes;
}

/* --- refusals -------------------------------------------------------------------------------------------- */

void admit_refused(admit_client_t *c, const char *door, err_t code)
{
	tally_add(&c->refused, str_of(door), code, 1);
	tally_add(&c->refused_ever, str_of(door), code, 1);
}

const tally_t *admit_client_tally(const admit_client_t *c)
{
	return &c->refused_ever;
}

/* What was not taken is counted again, with what came meanwhile. */
static void report_done(post_t *p, err_t e)
{
	const tally_t *sent = p->owner;

	if (e == OK) {
		return;
	}
	log_kv(LVL_WARN, "admit.refusals", kv_err("result", e), kv_s("body", p->body));
	for (size_t i = 0; i < sent->n; i++) {
		tally_add(&p->c->refused, str_of(sent->rows[i].door), sent->rows[i].code, sent->rows[i].n);
	}
}

/* Takes the counts of one door out of those not reported. */
static tally_t door_take(admit_client_t *c)
{
	tally_t all = c->refused, door = { 0 };

	c->refused.n = 0;
	for (size_t i = 0; i < all.n; i++) {
		tally_t *to = tally_same_door(&all, 0, i) ? &door : &c->refused;
		to->rows[to->n++] = all.rows[i];
	}
	return door;
}

static void door_report(admit_client_t *c, const tally_t *door)
{
	post_t *p = post_new(c, STR("/internal/v1/refusals"), report_done, NULL);
	tally_t *sent = arena_new(p->a, tally_t);
	buf_t b;
	jw_t w;

	*sent = *door;
	p->owner = sent;
	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "instance", c->deps.instance);
	jw_kstr(&w, "door", str_of(door->rows[0].door));
	jw_kobject(&w, "counts");
	for (size_t i = 0; i < door->n; i++) {
		jw_ku64(&w, err_info(door->rows[i].code)->name, door->rows[i].n);
	}
	jw_end(&w);
	jw_end(&w);
	err_t e = post_body(p, &w, &b);
	if (e != OK) {
		post_end(p, e);
		return;
	}
	p->give_up_us = loop_in_ms(c->deps.loop, ADMIT_REFUSALS_MS);
	post_send(p);
}

void admit_client_flush(admit_client_t *c)
{
	tally_t doors[ADMIT_DOORS_MAX];
	size_t n = 0;

	for (; c->refused.n && n < ADMIT_DOORS_MAX; n++) {
		doors[n] = door_take(c); /* all first: a report that fails at once counts again */
	}
	for (size_t i = 0; i < n; i++) {
		door_report(c, &doors[i]);
	}
}

static void report(void *arg)
{
	admit_client_t *c = arg;

	admit_client_flush(c);
	loop_timer_start(c->deps.loop, &c->report, ADMIT_REFUSALS_REPORT_MS, report, c);
}

/* --- the client -------------------------------------------------------------------------------------------- */

err_t admit_client_new(const admit_client_deps_t *deps, admit_client_t **out)
{
	admit_client_t *c = heap_new(admit_client_t);

	c->deps = *deps;
	loop_timer_start(deps->loop, &c->report, ADMIT_REFUSALS_REPORT_MS, report, c);
	*out = c;
	return OK;
}

