/* outcome.c: POST /internal/v1/outcome and /decision, and the attempts nobody closes. One outcome per
 * attempt; a real one that comes after `unknown` is appended as late, never put in its place. */
#include "service/admit/admit_int.h"

static const str_t statuses[] = { STR_INIT("success"), STR_INIT("error"), STR_INIT("timeout"),
	STR_INIT("unknown"), STR_INIT("not_executed") };

static bool status_ok(str_t s)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (str_eq(s, statuses[i])) {
			return true;
		}
	}
	return false;
}

typedef struct {
	str_t of, status, code, resp, observed_by;
	uint64_t ms;
	bool late;
} outcome_t;

static err_t outcome_body(arena_t *a, const outcome_t *o, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, ADMIT_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "of", o->of);
	jw_kstr(&w, "status", o->status);
	jw_kstr_if(&w, "code", o->code);
	jw_kstr_if(&w, "resp", o->resp);
	jw_kstr(&w, "observed_by", o->observed_by);
	jw_ku64(&w, "ms", o->ms);
	if (o->late) {
		jw_kbool(&w, "late", true);
	}
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

static err_t outcome_append(const admit_t *m, store_txn_t *txn, arena_t *a, const outcome_t *o, str_t rid,
	int64_t now_us)
{
	ledger_record_t record = { .type = LEDGER_OUTCOME, .rid = rid, .now_us = now_us };
	ledger_receipt_t receipt;

	TRY(outcome_body(a, o, &record.body));
	return ledger_append(m->deps.ledger, txn, a, &record, &receipt);
}

/* --- POST /internal/v1/outcome --------------------------------------------------------------------- */

/* The rid of an outcome is derived from its attempt, so that a repeat finds itself: the attempt's time
 * and a hash of its rid. */
static err_t outcome_rid(arena_t *a, str_t of, str_t *out)
{
	uint8_t h[CRYPTO_SHA256_BYTES];

	crypto_sha256_label(STR("attorn-outcome-rid/1"), of, h);
	return ulid_like(a, of, h, out);
}

static err_t outcome_closure(store_txn_t *txn, void *self)
{
	admit_job_t *j = self;
	outcome_t o = { j->note.of, j->note.status, j->note.code, j->note.resp, STR("gateway"), j->note.ms,
		false };
	store_attempt_t attempt;
	store_entry_t known;
	str_t rid;

	j->appended = false;
	TRY(outcome_rid(j->a, o.of, &rid));
	TRY(store_attempt_get(txn, j->a, o.of, &attempt));
	if (!attempt.outcome.p) {
		TRY(outcome_append(j->m, txn, j->a, &o, rid, j->now_us));
		j->appended = true;
		POINT("authority.outcome.in_transaction");
		return store_attempt_close(txn, o.of, rid);
	}
	err_t e = store_entry_by_rid(txn, j->a, rid, &known);
	if (e == OK) {
		return OK; /* the gateway did not hear our answer and sent it again */
	}
	ENSURE(e == ERR_NOT_FOUND && !attempt.code.p, e == ERR_NOT_FOUND ? ERR_CLOSED : e);
	o.late = true; /* we closed it as unknown meanwhile */
	j->appended = true;
	return outcome_append(j->m, txn, j->a, &o, rid, j->now_us);
}

static void ok_reply(void *job, err_t e)
{
	admit_job_t *j = job;

	POINT("authority.outcome.after_commit");
	if (e != OK) {
		net_reply_error(j->x, e);
		return;
	}
	net_reply_text(j->x, 200, STR("application/json"), STR("{\"ok\":true}"));
}

static err_t outcome_parse(admit_job_t *j)
{
	static const str_t names[] = { STR_INIT("of"), STR_INIT("instance"), STR_INIT("status"),
		STR_INIT("code"), STR_INIT("resp"), STR_INIT("ms") };
	const json_t *root;

	TRY(admit_body(j, names, ARRAY_LEN(names), &root));
	TRY(json_need_str(root, STR("of"), ADMIT_RID_BYTES, &j->note.of));
	TRY(json_need_str(root, STR("instance"), ADMIT_ID_BYTES_MAX, &j->note.instance));
	TRY(json_need_str(root, STR("status"), ADMIT_ID_BYTES_MAX, &j->note.status));
	ENSURE(status_ok(j->note.status), ERR_VALUE);
	TRY(json_want_str(root, STR("code"), ADMIT_ID_BYTES_MAX, &j->note.code));
	TRY(json_want_str(root, STR("resp"), ADMIT_ID_BYTES_MAX, &j->note.resp));
	return json_need_u64(root, STR("ms"), JSON_SAFE_INT_MAX, &j->note.ms);
}

void admit_outcome_handle(admit_t *m, net_exchange_t *x)
{
	admit_job_t *j = admit_job_new(m, x);
	err_t e = outcome_parse(j);

	if (e != OK) {
		net_reply_error(x, e);
		admit_job_free(j);
		return;
	}
	j->patient = true; /* the call's answer is out: let it share the disk sync of the next admit */
	admit_job_submit(j, outcome_closure, true, ok_reply);
}

/* --- POST /internal/v1/decision ---------------------------------------------------------------------- */

/* A repeat is on record already. It is looked for first: an append that fails has drawn a number of the
 * ledger, and only a closure that fails gives it back. */
static err_t decision_closure(store_txn_t *txn, void *self)
{
	admit_job_t *j = self;
	ledger_record_t record = { .type = LEDGER_DECISION, .rid = j->note.rid, .body = j->note.record,
		.now_us = j->now_us };
	ledger_receipt_t receipt;
	store_entry_t known;

	j->appended = false;
	err_t e = store_entry_by_rid(txn, j->a, j->note.rid, &known);
	ENSURE(e == ERR_NOT_FOUND, e);
	TRY(ledger_append(j->m->deps.ledger, txn, j->a, &record, &receipt));
	j->appended = true;
	return OK;
}

static err_t decision_parse(admit_job_t *j, str_t *out_jkt)
{
	static const str_t names[] = { STR_INIT("rid"), STR_INIT("instance"), STR_INIT("record") };
	const json_t *root, *record;

	TRY(admit_body(j, names, ARRAY_LEN(names), &root));
	TRY(json_need_str(root, STR("rid"), ADMIT_RID_BYTES, &j->note.rid));
	ENSURE(ulid_is(j->note.rid), ERR_VALUE);
	TRY(json_need_str(root, STR("instance"), ADMIT_ID_BYTES_MAX, &j->note.instance));
	TRY(json_need_obj(root, STR("record"), &record));
	j->note.record = json_raw(record);
	*out_jkt = admit_record_jkt(record);
	str_t code = STR_NULL;
	TRY(json_want_str(record, STR("code"), ADMIT_ID_BYTES_MAX, &code));
	j->note.code = code;
	return OK;
}

static err_t name_to_code(arena_t *a, str_t name)
{
	const char *c;

	return name.p && arena_cstr(a, name, &c) == OK ? err_by_name(c) : ERR_DENIED;
}

void admit_decision_handle(admit_t *m, net_exchange_t *x)
{
	admit_job_t *j = admit_job_new(m, x);
	str_t jkt;
	err_t e = decision_parse(j, &jkt);

	if (e != OK) {
		net_reply_error(x, e);
		admit_job_free(j);
		return;
	}
	if (!admit_budget_take(m, jkt, (uint64_t)(j->now_us / 1000000))) {
		admit_count(m, STR("denials"), name_to_code(j->a, j->note.code), 1);
		ok_reply(j, OK);
		admit_job_free(j);
		return;
	}
	admit_job_submit(j, decision_closure, true, ok_reply);
}

/* --- attempts nobody closes ------------------------------------------------------------------------- */

static err_t close_unknown(admit_job_t *j, store_txn_t *txn, const store_attempt_t *list, size_t n)
{
	outcome_t o = { .status = STR("unknown"), .observed_by = STR("authority") };

	for (size_t i = 0; i < n; i++) {
		str_t rid = ledger_rid(j->a, j->now_us);
		o.of = list[i].rid;
		TRY(outcome_append(j->m, txn, j->a, &o, rid, j->now_us));
		TRY(store_attempt_close(txn, list[i].rid, rid));
	}
	j->appended = n > 0;
	return OK;
}

static err_t sweep_closure(store_txn_t *txn, void *self)
{
	admit_job_t *j = self;
	store_attempt_t *list;
	int64_t removed;
	size_t n;

	/* what was spent is remembered until no token or proof with it could still pass (oauth P56) */
	TRY(store_used_purge(txn, j->purge_s - ADMIT_PURGE_MARGIN_S, ADMIT_PURGE_MAX, &removed));
	TRY(store_attempt_overdue(txn, j->a, j->now_us / 1000, ADMIT_SWEEP_MAX, &list, &n));
	return close_unknown(j, txn, list, n);
}

static void sweep_reply(void *job, err_t e)
{
	admit_job_t *j = job;

	j->m->sweeping = false;
	if (e != OK) {
		log_kv(LVL_WARN, "admit.sweep", kv_err("result", e));
	}
}

/* A wall clock that jumps ahead and comes back must not make us forget what was spent: what passed is told
 * by the clock that never jumps, until a jump has lasted longer than anything of ours lives. */
static int64_t purge_horizon(admit_t *m)
{
	uint64_t mono_us = loop_mono_us(m->deps.loop);
	int64_t now_s = (int64_t)loop_unix_s(m->deps.loop);
	int64_t steady_s = m->clock_unix_s + (int64_t)((mono_us - m->clock_mono_us) / 1000000);

	if (now_s <= steady_s + ADMIT_PURGE_MARGIN_S) {
		m->ahead_us = 0;
		return now_s;
	}
	if (m->ahead_us == 0) {
		m->ahead_us = mono_us;
	}
	if (mono_us - m->ahead_us > (uint64_t)ADMIT_JUMP_BELIEVED_S * 1000000) {
		m->clock_unix_s = now_s;
		m->clock_mono_us = mono_us;
	}
	return steady_s;
}

static void sweep(void *arg)
{
	admit_t *m = arg;

	loop_timer_start(m->deps.loop, &m->sweep, ADMIT_SWEEP_MS, sweep, m);
	if (!m->sweeping) {
		admit_job_t *j = admit_job_new(m, NULL);
		m->sweeping = true;
		j->purge_s = purge_horizon(m);
		admit_job_submit(j, sweep_closure, true, sweep_reply);
	}
}

void admit_sweep_start(admit_t *m)
{
	m->clock_unix_s = (int64_t)loop_unix_s(m->deps.loop);
	m->clock_mono_us = loop_mono_us(m->deps.loop);
	loop_timer_start(m->deps.loop, &m->sweep, ADMIT_SWEEP_MS, sweep, m);
}

static err_t gone_closure(store_txn_t *txn, void *self)
{
	admit_job_t *j = self;
	store_attempt_t *list;
	size_t n;

	TRY(store_attempt_open_list(txn, j->a, j->note.instance, ADMIT_SWEEP_MAX, &list, &n));
	return close_unknown(j, txn, list, n);
}

static void gone_reply(void *job, err_t e)
{
	admit_job_t *j = job;

	log_kv(LVL_INFO, "admit.instance_gone", kv_s("instance", j->note.instance), kv_err("result", e));
	if (e == OK && j->appended) {
		admit_instance_gone(j->m, j->note.instance); /* there may be more than one sweep's worth */
	}
}

void admit_instance_gone(admit_t *m, str_t instance)
{
	admit_job_t *j = admit_job_new(m, NULL);

	j->note.instance = arena_str(j->a, instance);
	admit_job_submit(j, gone_closure, true, gone_reply);
}
