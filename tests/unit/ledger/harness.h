/* harness.h: a ledger on a store of its own, and records to put into it. */
#ifndef TEST_LEDGER_HARNESS_H
#define TEST_LEDGER_HARNESS_H

#include "../service/signing.h"
#include "../store/harness.h"

#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"
#include "service/ledger/ledger.h"

#define ORIGIN "example.test/attorn"
#define SOURCE "spiffe://example.test/attorn/authority/1"

typedef struct {
	world_t *w;
	signing_t signing;
	signer_key_t key;
	ledger_t *l;
	uint64_t made; /* records appended so far */
	uint64_t heads; /* and those that number a head */
} log_t;

static inline err_t log_try_open(log_t *g, diag_t *diag)
{
	static const uint8_t kek[32] = { 7 };
	ledger_options_t o = { .source = STR(SOURCE), .origin = STR(ORIGIN), .signer = g->signing.client,
		.kid = str_of(g->key.kid), .pub = &g->key.pub, .kek = str_bytes(kek, 32), .now_us = 1795328512123456 };

	return ledger_open(g->w->store, &o, &g->l, diag);
}

static inline void log_key_make(log_t *g)
{
	CHECK(signer_client_make(g->signing.client, SIGNER_LEDGER, 1, &g->key) == OK);
}

static inline err_t log_key_run(store_txn_t *t, void *self)
{
	log_t *g = self;
	store_key_t row = { .kid = str_of(g->key.kid), .use = STR("ledger"), .alg = STR("EdDSA"), .jwk = STR("{}"),
		.sealed = STR(""), .state = STR("active"), .created_s = 1 };

	return store_key_insert(t, &row);
}

static inline int log_open(void **state)
{
	log_t *g = heap_new(log_t);
	diag_t diag = { 0 };
	void *w;

	assert_int_equal(crypto_init(), OK);
	assert_int_equal(world_open(&w), 0);
	g->w = w;
	signing_open(&g->signing);
	log_key_make(g);
	assert_int_equal(store_write(g->w->store, log_key_run, g), OK);
	g->heads = 1;
	if (log_try_open(g, &diag) != OK) {
		fail_msg("ledger_open: %s", diag.text);
	}
	*state = g;
	return 0;
}

static inline int log_close(void **state)
{
	log_t *g = *state;
	void *w = g->w;

	ledger_close(g->l);
	signing_close(&g->signing);
	heap_free(g);
	return world_close(&w);
}

/* rid of the i-th record. */
static inline str_t rid_of(arena_t *a, uint64_t i)
{
	uint8_t random[ULID_RANDOM_BYTES] = { (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };

	return ulid_make(a, 1795328512000 + (int64_t)i, random);
}

#define ATTEMPT_BODY                                                                               \
	"{\"act\":{\"args\":\"sha-256:aa\",\"digest\":\"sha-256:bb\",\"op\":\"tools/call\","       \
	"\"tool\":\"read\"},\"assurance\":\"key\",\"chain\":[{\"role\":\"user\",\"sub\":\"u:1\"},"  \
	"{\"grant\":{\"rid\":\"G0\"},\"role\":\"agent\",\"sub\":\"spiffe://t/agent/scout\"}],"     \
	"\"direction\":{\"init\":\"unknown\",\"sel\":\"agent_within_grant\"},"                      \
	"\"policy\":{\"decision\":\"permit\",\"digest\":\"sha-256:cc\",\"rules\":[\"p1\"]},"        \
	"\"route\":{\"id\":\"invoices\",\"rev\":1},\"via\":\"spiffe://t/attorn/gateway/1\"}"

typedef struct {
	log_t *g;
	ledger_record_t record;
	ledger_receipt_t receipt;
} append_t;

static inline err_t append_run(store_txn_t *t, void *self)
{
	append_t *x = self;
	AUTO(arena_free) arena_t *a = arena_open();

	return ledger_append(x->g->l, t, a, &x->record, &x->receipt);
}

static inline err_t append(log_t *g, ledger_type_t type, str_t rid, const char *body)
{
	append_t x = { .g = g, .record = { type, rid, str_of(body), 1795328512123456 } };

	return store_write(g->w->store, append_run, &x);
}

/* Appends n attempts in batches of 256 and gives each its index; the record of the head's number comes behind. */
static inline void log_fill(log_t *g, size_t n)
{
	while (n > 0) {
		size_t many = n < 256 ? n : 256;
		append_t x[256];
		store_closure_t c[256], *all[256];

		for (size_t i = 0; i < many; i++) {
			x[i] = (append_t){ .g = g, .record = { LEDGER_ATTEMPT, rid_of(g->w->a, g->made++),
				STR(ATTEMPT_BODY), 1795328512123456 } };
			c[i] = (store_closure_t){ .run = append_run, .self = &x[i] };
			all[i] = &c[i];
		}
		store_batch_run(g->w->store, all, many);
		for (size_t i = 0; i < many; i++) {
			assert_int_equal(c[i].err, OK);
		}
		n -= many;
	}
	assert_int_equal(ledger_sequence_all(g->l, g->w->store, 1795328512123456), OK);
	g->heads++;
}

static inline err_t text_line(void *self, str_t line)
{
	buf_add(self, line);
	return buf_err(self);
}

typedef struct {
	const ledger_t *l;
	uint64_t from, to;
	buf_t *out;
} text_t;

static inline err_t text_run(store_txn_t *t, void *self)
{
	text_t *x = self;

	return ledger_export(x->l, t, x->from, x->to, text_line, x->out);
}

static inline err_t log_text(log_t *g, uint64_t from, uint64_t to, buf_t *out)
{
	text_t x = { g->l, from, to, out };

	buf_init(out, 64u << 20);
	return store_read(g->w->store, text_run, &x);
}

static inline err_t text_verify(const merkle_vkey_t *log, str_t text, ledger_report_t *report)
{
	ledger_verifier_t *v = ledger_verifier_new(log);
	str_t line;
	err_t err;

	if (str_ends(text, STR("\n"))) {
		text.n--; /* the last line ends too */
	}
	while (str_split(&text, '\n', &line)) {
		ledger_verifier_line(v, line);
	}
	err = ledger_verifier_end(v, report);
	ledger_verifier_free(v);
	return err;
}

typedef struct {
	const merkle_vkey_t *log;
	ledger_report_t report;
} verify_t;

static inline err_t verify_run(store_txn_t *t, void *self)
{
	verify_t *v = self;

	return ledger_verify_store(t, v->log, &v->report);
}

#endif
