/* refusals.c: what strangers were refused is counted, and once a minute each door's counts become one
 * record: nobody fills the disk from outside (ledger.md 9.6). */
#include "service/admit/admit_int.h"

void admit_count(admit_t *m, str_t door, err_t code, uint64_t n)
{
	tally_add(&m->counts, door, code, n);
	tally_add(&m->counts_ever, door, code, n);
}

const tally_t *admit_tally(const admit_t *m)
{
	return &m->counts_ever;
}

static err_t counts_take(admit_t *m, const json_t *root)
{
	str_t door;
	const json_t *counts;

	TRY(json_need_str(root, STR("door"), ADMIT_DOOR_BYTES_MAX, &door));
	TRY(json_need_obj(root, STR("counts"), &counts));
	ENSURE(json_count(counts) <= ADMIT_CODES_MAX, ERR_LIMIT);
	for (const json_t *c = json_first(counts); c; c = json_next(c)) {
		AUTO(arena_free) arena_t *a = arena_open();
		const char *name;
		uint64_t n;
		TRY(json_u64(c, JSON_SAFE_INT_MAX, &n));
		TRY(arena_cstr(a, json_key(c), &name));
		tally_add(&m->counts, door, err_by_name(name), n);
	}
	return OK;
}

void admit_refusals_handle(admit_t *m, net_exchange_t *x)
{
	static const str_t names[] = { STR_INIT("door"), STR_INIT("from"), STR_INIT("to"), STR_INIT("counts"),
		STR_INIT("instance") };
	admit_job_t *j = admit_job_new(m, x);
	const json_t *root;
	err_t e = admit_body(j, names, ARRAY_LEN(names), &root);

	if (e == OK) {
		e = counts_take(m, root);
	}
	if (e == OK) {
		net_reply_text(x, 200, STR("application/json"), STR("{\"ok\":true}"));
	} else {
		net_reply_error(x, e);
	}
	admit_job_free(j);
}

/* One record for each door. */
static err_t door_append(admit_job_t *j, store_txn_t *txn, const json_t *door)
{
	ledger_record_t record = { .type = LEDGER_REFUSALS, .rid = ledger_rid(j->a, j->now_us),
		.body = json_raw(door), .now_us = j->now_us };
	ledger_receipt_t receipt;

	return ledger_append(j->m->deps.ledger, txn, j->a, &record, &receipt);
}

static err_t refusals_closure(store_txn_t *txn, void *self)
{
	admit_job_t *j = self;
	const json_t *root;

	TRY(json_parse(j->a, j->refusals.body, NULL, &root, NULL));
	for (const json_t *door = json_first(root); door; door = json_next(door)) {
		TRY(door_append(j, txn, door));
	}
	j->appended = true;
	return OK;
}

static void refusals_reply(void *job, err_t e)
{
	const admit_job_t *j = job;
	const tally_t *t = &j->refusals.counts;

	if (e == OK) {
		return;
	}
	log_kv(LVL_WARN, "admit.refusals", kv_err("result", e));
	for (size_t i = 0; i < t->n; i++) {
		tally_add(&j->m->counts, str_of(t->rows[i].door), t->rows[i].code, t->rows[i].n);
	}
}

static void door_write(const admit_t *m, jw_t *w, size_t first, int64_t now_s)
{
	uint64_t total = 0;

	jw_object(w);
	jw_kstr(w, "door", str_of(m->counts.rows[first].door));
	jw_ki64(w, "from", m->counts_from_s);
	jw_ki64(w, "to", now_s);
	jw_kobject(w, "counts");
	for (size_t i = first; i < m->counts.n; i++) {
		if (tally_same_door(&m->counts, first, i)) {
			jw_ku64(w, err_info(m->counts.rows[i].code)->name, m->counts.rows[i].n);
			total += m->counts.rows[i].n;
		}
	}
	jw_end(w);
	jw_ku64(w, "n", total);
	jw_end(w);
}

static err_t counts_write(const admit_t *m, arena_t *a, int64_t now_s, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_array(&w);
	for (size_t i = 0; i < m->counts.n; i++) {
		if (!tally_door_seen(&m->counts, i)) {
			door_write(m, &w, i, now_s);
		}
	}
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

void admit_flush(admit_t *m)
{
	if (m->counts.n == 0) {
		m->counts_from_s = (int64_t)loop_unix_s(m->deps.loop);
		return;
	}
	admit_job_t *j = admit_job_new(m, NULL);
	if (counts_write(m, j->a, j->now_us / 1000000, &j->refusals.body) != OK) {
		admit_job_free(j);
		return;
	}
	j->refusals.counts = m->counts;
	m->counts.n = 0;
	m->counts_from_s = j->now_us / 1000000;
	admit_job_submit(j, refusals_closure, true, refusals_reply);
}

static void refusals_record(void *arg)
{
	admit_t *m = arg;

	loop_timer_start(m->deps.loop, &m->refusals, ADMIT_REFUSALS_MS, refusals_record, m);
	admit_flush(m);
}

void admit_refusals_start(admit_t *m)
{
	m->counts_from_s = (int64_t)loop_unix_s(m->deps.loop);
	loop_timer_start(m->deps.loop, &m->refusals, ADMIT_REFUSALS_MS, refusals_record, m);
}
