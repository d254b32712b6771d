/* admit.c: the room's frame: doors, jobs on the write lane, and POST /internal/v1/admit. */
#include "service/admit/admit_int.h"

admit_job_t *admit_job_new(admit_t *m, net_exchange_t *x)
{
	admit_job_t *j = heap_new(admit_job_t);

	j->m = m;
	j->x = x;
	j->a = arena_open();
	j->view = feed_pin(m->deps.feed);
	j->now_us = (int64_t)loop_unix_us(m->deps.loop);
	return j;
}

void admit_job_free(admit_job_t *j)
{
	feed_view_unref(j->view);
	arena_free(j->a);
	heap_free(j);
}

static void job_done(lane_job_t *job, err_t e)
{
	admit_job_t *j = (admit_job_t *)job;

	if (e == OK && j->appended && j->m->deps.appended) {
		j->m->deps.appended(j->m->deps.owner);
	}
	j->reply(j, e);
	admit_job_free(j);
}

void admit_job_submit(admit_job_t *j, store_fn_t *run, bool essential, void (*reply)(void *job, err_t e))
{
	j->reply = reply;
	j->closure = (store_closure_t){ .run = run, .self = j, .essential = essential };
	j->job = (lane_job_t){ .arg = &j->closure, .done = job_done, .patient = j->patient };
	err_t e = lane_submit(j->m->deps.write, &j->job);
	if (e != OK) {
		reply(j, e);
		admit_job_free(j);
	}
}

err_t admit_body(admit_job_t *j, const str_t *names, size_t n, const json_t **out)
{
	const json_t *root;
	str_t body = net_body(j->x);

	ENSURE(str_eq(net_method(j->x), STR("POST")), ERR_METHOD);
	ENSURE(body.n <= ADMIT_BODY_BYTES_MAX, ERR_LIMIT);
	TRY(json_parse_object(j->a, body, &root, NULL));
	TRY(json_only(root, names, n, NULL));
	*out = root;
	return OK;
}

err_t admit_record_with(arena_t *a, str_t record, const char *name, str_t value, str_t *out)
{
	const json_t *root;
	jw_t w;

	TRY(json_parse_object(a, record, &root, NULL));
	AUTO(buf_done) buf_t b;
	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, name, value);
	for (const json_t *c = json_first(root); c; c = json_next(c)) {
		jw_key_str(&w, json_key(c));
		jw_raw(&w, json_raw(c));
	}
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

str_t admit_record_jkt(const json_t *record)
{
	str_t jkt = STR_NULL;

	if (json_str(json_pointer(record, STR("/token/jkt")), &jkt) == OK ||
		json_str(json_pointer(record, STR("/token/x5t")), &jkt) == OK) {
		return jkt;
	}
	return STR_NULL;
}

/* Fixed places, chosen by hash: a collision shares a budget, which only records less. */
bool admit_budget_take(admit_t *m, str_t who, uint64_t now_s)
{
	uint8_t h[CRYPTO_SHA256_BYTES];

	crypto_sha256(who, h);
	budget_t *b = &m->budgets[(h[0] | h[1] << 8) % ADMIT_BUDGETS_MAX];
	if (b->minute != now_s / 60 || !str_eq(str_bytes(b->who, sizeof(b->who)), str_bytes(h, sizeof(h)))) {
		*b = (budget_t){ .minute = now_s / 60 };
		memcpy(b->who, h, sizeof(h));
	}
	return b->n++ < m->deps.denials_per_minute;
}

/* --- POST /internal/v1/admit ------------------------------------------------------------------------ */

static err_t once_parse(const json_t *root, admit_request_t *q)
{
	const json_t *once = json_get(root, STR("once"));

	if (json_is_null(once)) {
		return OK;
	}
	TRY(json_only(once, (const str_t[]){ STR("space"), STR("id"), STR("until") }, 3, NULL));
	q->has_once = true;
	TRY(json_need_str(once, STR("space"), ADMIT_SPACE_BYTES_MAX, &q->once_space));
	TRY(json_need_str(once, STR("id"), ADMIT_ID_BYTES_MAX, &q->once_id));
	return json_need_i64(once, STR("until"), &q->once_until_s);
}

static err_t admit_parse(admit_job_t *j)
{
	static const str_t names[] = { STR_INIT("rid"), STR_INIT("once"), STR_INIT("grant"), STR_INIT("fence"),
		STR_INIT("instance"), STR_INIT("deadline"), STR_INIT("answer_by"), STR_INIT("route"),
		STR_INIT("record") };
	admit_request_t *q = &j->admit.request;
	const json_t *root, *record;

	TRY(admit_body(j, names, ARRAY_LEN(names), &root));
	TRY(json_need_str(root, STR("rid"), ADMIT_RID_BYTES, &q->rid));
	ENSURE(ulid_is(q->rid), ERR_VALUE);
	TRY(once_parse(root, q));
	if (!json_is_null(json_get(root, STR("grant")))) {
		TRY(json_need_str(root, STR("grant"), ADMIT_RID_BYTES, &q->grant));
	}
	TRY(json_need_u64(root, STR("fence"), JSON_SAFE_INT_MAX, &q->fence));
	TRY(json_need_str(root, STR("instance"), ADMIT_ID_BYTES_MAX, &q->instance));
	TRY(json_need_i64(root, STR("deadline"), &q->deadline_ms));
	TRY(json_need_i64(root, STR("answer_by"), &q->answer_by_ms));
	TRY(json_need_str(root, STR("route"), ADMIT_ID_BYTES_MAX, &q->route));
	TRY(json_need_obj(root, STR("record"), &record));
	q->record = json_raw(record);
	q->is_session = !json_pointer(record, STR("/act/digest"));
	if (json_str(json_pointer(record, STR("/token/hash")), &q->token_hash) != OK) {
		q->token_hash = STR_NULL;
	}
	if (json_str(json_pointer(record, STR("/run/id")), &q->run) != OK) {
		q->run = STR_NULL;
	}
	ENSURE(feed_instance_alive(j->m->deps.feed, q->instance), ERR_UNAVAILABLE);
	crypto_sha256(net_body(j->x), q->req_digest);
	return OK;
}

static err_t admit_closure(store_txn_t *txn, void *self)
{
	admit_job_t *j = self;

	j->now_us = (int64_t)loop_unix_us(j->m->deps.loop); /* the process may have stood still since it was asked */
	TRY(admit_run(&j->m->deps, txn, j->a, j->view, &j->admit.request, j->now_us, &j->admit.answer));
	j->appended = true;
	POINT("authority.admit.in_transaction");
	return OK;
}

static void admit_answer_write(jw_t *w, arena_t *a, const admit_answer_t *ans)
{
	jw_object(w);
	jw_kbool(w, "admit", ans->admitted);
	if (!ans->admitted) {
		jw_kstr(w, "code", str_of(err_info(ans->code)->name));
		jw_end(w);
		return;
	}
	if (ans->credential.header.n) {
		jw_kobject(w, "credential");
		jw_kstr(w, "header", ans->credential.header);
		jw_kstr(w, "value", ans->credential.value);
		jw_end(w);
	} else {
		jw_knull(w, "credential");
	}
	jw_kstr(w, "record", delegation_digest_text(a, ans->leaf_hash.b));
	jw_end(w);
}

static void admit_reply(void *job, err_t e)
{
	admit_job_t *j = job;
	buf_t b;
	jw_t w;

	POINT("authority.admit.after_commit");
	if (e != OK) {
		net_reply_error(j->x, e);
		return;
	}
	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	admit_answer_write(&w, j->a, &j->admit.answer);
	if (jw_finish(&w) == OK) {
		net_reply_text(j->x, 200, STR("application/json"), buf_str(&b));
	} else {
		net_reply_error(j->x, ERR_INTERNAL);
	}
	buf_wipe(&b); /* it held a credential */
}

static void admit_admit_handle(admit_t *m, net_exchange_t *x)
{
	admit_job_t *j = admit_job_new(m, x);
	err_t e = admit_parse(j);

	if (e != OK) {
		net_reply_error(x, e);
		admit_job_free(j);
		return;
	}
	admit_job_submit(j, admit_closure, false, admit_reply);
}

/* --- the room ------------------------------------------------------------------------------------------- */

static const struct {
	str_t path;
	void (*handle)(admit_t *m, net_exchange_t *x);
} doors[] = {
	{ STR_INIT("/internal/v1/admit"), admit_admit_handle },
	{ STR_INIT("/internal/v1/decision"), admit_decision_handle },
	{ STR_INIT("/internal/v1/outcome"), admit_outcome_handle },
	{ STR_INIT("/internal/v1/refusals"), admit_refusals_handle },
};

void admit_handle(admit_t *m, net_exchange_t *x)
{
	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		if (str_eq(net_path(x), doors[i].path)) {
			doors[i].handle(m, x);
			return;
		}
	}
	net_reply_error(x, ERR_NOT_FOUND);
}

err_t admit_new(const admit_deps_t *deps, admit_t **out)
{
	admit_t *m = heap_new(admit_t);

	m->deps = *deps;
	m->deps.docs = admit_docs_new();
	admit_sweep_start(m);
	admit_refusals_start(m);
	*out = m;
	return OK;
}

void admit_free(admit_t *m)
{
	if (!m) {
		return;
	}
	loop_timer_stop(m->deps.loop, &m->sweep);
	loop_timer_stop(m->deps.loop, &m->refusals);
	admit_docs_free(m->deps.docs);
	heap_free(m);
}
