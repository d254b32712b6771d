/* identity.c: the room's frame: the current view, its rebuilds, the doors. */
#include "service/identity/identity_int.h"

err_t record_append(const identity_deps_t *d, store_txn_t *txn, arena_t *a, ledger_type_t type, int64_t now_us, jw_t *w)
{
	ledger_record_t record = { .type = type, .rid = ledger_rid(a, now_us), .now_us = now_us };
	ledger_receipt_t receipt;

	jw_end(w);
	TRY(jw_finish(w));
	record.body = buf_str(w->b);
	return ledger_append(d->ledger, txn, a, &record, &receipt);
}

void view_take(identity_t *p, identity_view_t *made)
{
	const identity_view_t *before = p->view;

	if (!made || made->seq < before->seq) {
		identity_unpin(made); /* a slower reading of an older moment */
		return;
	}
	p->view = made;
	streams_publish(p, before);
	identity_unpin(before);
}

static void rebuild_begin(identity_t *p);

static void rebuild_done(lane_job_t *job, err_t e)
{
	identity_t *p = (identity_t *)((char *)job - offsetof(identity_t, rebuild_job));

	p->rebuilding = false;
	if (e == OK) {
		view_take(p, TAKE(p->rebuild.made));
	} else {
		log_kv(LVL_ERROR, "identity.view", kv_err("result", e));
		p->again = true; /* with the next ping */
		return;
	}
	if (p->again) {
		rebuild_begin(p);
	}
}

static void rebuild_begin(identity_t *p)
{
	p->again = false;
	p->rebuild = (view_job_t){ .deps = &p->deps, .now_s = (int64_t)loop_unix_s(p->deps.loop) };
	p->rebuild_job = (lane_job_t){ .run = view_job_run, .arg = &p->rebuild, .done = rebuild_done };
	p->rebuilding = lane_submit(p->deps.read, &p->rebuild_job) == OK;
	p->again = !p->rebuilding;
}

void identity_changed(identity_t *p)
{
	if (p->rebuilding) {
		p->again = true; /* the one that runs may have begun before this change */
	} else {
		rebuild_begin(p);
	}
}

static void ping(void *arg)
{
	identity_t *p = arg;

	streams_ping(p);
	if (p->again && !p->rebuilding) {
		rebuild_begin(p);
	}
	loop_timer_start(p->deps.loop, &p->ping, IDENTITY_PING_MS, ping, p);
}

static void tend(void *arg)
{
	keys_tend(arg);
}

err_t identity_new(const identity_deps_t *deps, identity_t **out, diag_t *diag)
{
	identity_t *p = heap_new(identity_t);
	identity_view_t *first = NULL;

	p->deps = *deps;
	p->deps.ca_life_s = deps->ca_life_s ? deps->ca_life_s : SPIFFE_CA_LIFE_S;
	err_t e = view_make(&p->deps, (int64_t)loop_unix_s(deps->loop), &first);
	if (e != OK) {
		diag_set(diag, 0, 0, "entries, keys or bundles cannot be read");
		heap_free(p);
		return e;
	}
	p->view = first;
	loop_timer_start(deps->loop, &p->tend, 0, tend, p); /* the first keys are made when the loop runs */
	loop_timer_start(deps->loop, &p->ping, IDENTITY_PING_MS, ping, p);
	*out = p;
	return OK;
}

void identity_free(identity_t *p)
{
	if (!p) {
		return;
	}
	loop_timer_stop(p->deps.loop, &p->tend);
	loop_timer_stop(p->deps.loop, &p->ping);
	streams_end(p);
	identity_unpin(p->view);
	heap_free(p);
}

const identity_view_t *identity_pin(identity_t *p)
{
	return view_ref(p->view);
}

bool identity_handle(identity_t *p, net_exchange_t *x, str_t node)
{
	str_t path = net_path(x);

	if (str_eq(path, STR("/internal/v1/node/feed"))) {
		stream_open(p, x, node);
	} else if (str_eq(path, STR("/internal/v1/svid"))) {
		issue_handle(p, x, node, false);
	} else if (str_eq(path, STR("/internal/v1/jwt"))) {
		issue_handle(p, x, node, true);
	} else if (str_eq(path, STR("/internal/v1/run"))) {
		run_begin_handle(p, x, node);
	} else if (str_eq(path, STR("/internal/v1/run/over"))) {
		run_over_handle(p, x, node);
	} else {
		return false;
	}
	return true;
}
