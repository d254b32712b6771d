/* admit_int.h: what the authority's half of admit shares. */
#ifndef ATTORN_ADMIT_INT_H
#define ATTORN_ADMIT_INT_H

#include "pure/codec/codec.h"
#include "service/admit/admit.h"
#include "service/admit/limits.h"

/* Denials of one principal in this minute (ledger.md 9.6: a budget, beyond it they are counted). */
typedef struct {
	uint8_t who[CRYPTO_SHA256_BYTES]; /* hash of its name */
	uint64_t minute;
	uint32_t n;
} budget_t;

/* Parses, or knows by its text, the document of a grant; borrowed until the next call. The write lane's. */
MUST err_t admit_docs_get(admit_docs_t *docs, str_t id, str_t text, const delegation_grant_t **out);

struct admit {
	admit_deps_t deps;
	loop_timer_t sweep, refusals;
	bool sweeping;
	int64_t clock_unix_s; /* one moment on both clocks: how far the wall clock may have come */
	uint64_t clock_mono_us;
	uint64_t ahead_us; /* since when it is further, 0: it is not */
	budget_t budgets[ADMIT_BUDGETS_MAX];
	tally_t counts; /* since the last record, of all processes */
	tally_t counts_ever; /* of this process, since its start */
	int64_t counts_from_s;
};

/* One request on its way: HTTP exchange, memory, closure on the write lane. */
typedef struct {
	lane_job_t job;
	store_closure_t closure;
	bool patient; /* nobody waits for its answer */
	admit_t *m;
	net_exchange_t *x; /* NULL: nobody waits for an answer */
	arena_t *a;
	const feed_view_t *view;
	int64_t now_us;
	int64_t purge_s; /* of a sweep */
	bool appended; /* the closure wrote a record */
	void (*reply)(void *job, err_t e); /* on the loop, after the commit; answers x */
	union {
		struct {
			admit_request_t request;
			admit_answer_t answer;
		} admit;
		struct {
			str_t rid, of, instance, record, status, code, resp;
			uint64_t ms;
			bool repeat;
		} note; /* decision, outcome */
		struct {
			str_t body;
			tally_t counts; /* come back when the record fails */
		} refusals;
	};
} admit_job_t;

admit_job_t *admit_job_new(admit_t *m, net_exchange_t *x);
/* Submits `run` as a closure; takes the job, which is freed after `reply`. A full lane is answered. */
void admit_job_submit(admit_job_t *j, store_fn_t *run, bool essential, void (*reply)(void *job, err_t e));
void admit_job_free(admit_job_t *j);
/* Parses the body of a request: a JSON object with exactly these members. */
MUST err_t admit_body(admit_job_t *j, const str_t *names, size_t n, const json_t **out);

/* Doors, one file each. */
void admit_decision_handle(admit_t *m, net_exchange_t *x);
void admit_outcome_handle(admit_t *m, net_exchange_t *x);
void admit_refusals_handle(admit_t *m, net_exchange_t *x);

/* The object `record` with one more text member. */
MUST err_t admit_record_with(arena_t *a, str_t record, const char *name, str_t value, str_t *out);
/* The token's key thumbprint in a gateway's record, or empty. */
str_t admit_record_jkt(const json_t *record);
void admit_refusals_start(admit_t *m);
void admit_sweep_start(admit_t *m);

#endif
