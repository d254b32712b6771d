/* keys.c: the life of the authority keys as a flow that repeats until nothing is due (spiffe.md 16). Each
 * change is one transaction with its record; a CA certificate is signed after the transaction that drew the
 * signature's number, and is published by the one that stores it. */
#include "service/identity/identity_int.h"

enum { KINDS = 2 };
static const struct {
	str_t name;
	signer_kind_t signer;
} kinds[KINDS] = { { STR_INIT("x509"), SIGNER_X509 }, { STR_INIT("jwt"), SIGNER_JWT } };

typedef enum { DO_NOTHING = 0, DO_MAKE, DO_CERTIFY, DO_STEP } do_t;

typedef struct {
	identity_t *p;
	arena_t *a;
	int64_t now_us, now_s;
	store_svid_key_t *rows;
	size_t n_rows;
	/* what is being done now */
	do_t act;
	size_t kind; /* place in kinds */
	spiffe_ca_step_t step;
	str_t kid;
	signer_key_t made;
	str_t tbs, cert;
	int64_t sign_n;
	uint8_t signature[SIGNER_SIGNATURE_BYTES];
	view_job_t view;
	bool changed;
} keys_t;

static err_t keys_read(flow_t *f);
static err_t keys_due(flow_t *f); /* pure: what is to be done now; nothing: on to publish */
static err_t keys_make(flow_t *f); /* waits: the signer makes a key */
static err_t keys_record(flow_t *f); /* waits: row or state, record, sequence of the bundle */
static err_t keys_sign(flow_t *f); /* waits: the CA certificate's signature */
static err_t keys_certify(flow_t *f); /* waits: the certificate is stored */
static err_t keys_drop(flow_t *f); /* waits: the signer forgets a revoked key */
static err_t keys_again(flow_t *f);
static err_t keys_build(flow_t *f); /* waits: the view */
static err_t keys_publish(flow_t *f);

static const flow_step_t keys_steps[] = {
	{ "read", keys_read },
	{ "due", keys_due },
	{ "make", keys_make },
	{ "record", keys_record },
	{ "sign", keys_sign },
	{ "certify", keys_certify },
	{ "drop", keys_drop },
	{ "again", keys_again },
	{ "build", keys_build },
	{ "publish", keys_publish },
};

static void keys_finish(flow_t *f, err_t result);
static const flow_table_t keys_table = FLOW_TABLE("keys", keys_steps, keys_finish);

static err_t read_closure(store_txn_t *txn, void *self)
{
	keys_t *k = self;

	return store_svid_key_list(txn, k->a, STR_NULL, &k->rows, &k->n_rows);
}

static err_t keys_read(flow_t *f)
{
	keys_t *k = f->state;
	const identity_deps_t *d = &k->p->deps;

	return flow_wait(f, store_read_op(f->arena, d->read, d->store, read_closure, k));
}

/* --- what is due --------------------------------------------------------------------------------------- */

/* A CA whose certificate is missing: the process died before it was signed. */
static const store_svid_key_t *uncertified(const keys_t *k)
{
	for (size_t i = 0; i < k->n_rows; i++) {
		bool ended = str_eq(k->rows[i].state, STR("revoked"));
		if (str_eq(k->rows[i].kind, STR("x509")) && k->rows[i].cert.n == 0 && !ended) {
			return &k->rows[i];
		}
	}
	return NULL;
}

static err_t due_of(keys_t *k, size_t kind)
{
	spiffe_ca_key_t keys[SPIFFE_CA_KEYS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < k->n_rows; i++) {
		if (str_eq(k->rows[i].kind, kinds[kind].name) && !str_eq(k->rows[i].state, STR("revoked"))) {
			ENSURE(n < SPIFFE_CA_KEYS_MAX, ERR_LIMIT);
			keys[n] = (spiffe_ca_key_t){ .kid = k->rows[i].kid, .made_unix_s = k->rows[i].created_s,
				.expires_unix_s = k->rows[i].not_after_s };
			TRY(spiffe_ca_state_read(k->rows[i].state, &keys[n].state));
			n++;
		}
	}
	spiffe_ca_due_t due = spiffe_ca_due(keys, n, k->now_s);
	k->kind = kind;
	k->step = due.step;
	k->act = due.step == SPIFFE_CA_DO_NOTHING ? DO_NOTHING : due.step == SPIFFE_CA_DO_PREPARE ? DO_MAKE : DO_STEP;
	k->kid = k->act == DO_STEP ? keys[due.i].kid : STR_NULL;
	return OK;
}

/* What will be signed stands in the record before it is. */
static err_t tbs_make(flow_t *f, keys_t *k, const store_svid_key_t *row)
{
	uint8_t serial[X509_NEW_SERIAL_BYTES];
	crypto_pub_t pub;

	loop_random(f->loop, serial, sizeof(serial));
	TRY(crypto_pub_from_spki(row->spki, &pub));
	return spiffe_ca_tbs(f->arena, k->p->deps.trust_domain, &pub, row->created_s, row->not_after_s - row->created_s,
		serial, &k->tbs);
}

static err_t keys_due(flow_t *f)
{
	keys_t *k = f->state;
	const store_svid_key_t *bare = uncertified(k);

	if (bare) {
		k->act = DO_CERTIFY;
		k->kind = 0;
		k->kid = bare->kid;
		TRY(tbs_make(f, k, bare));
		return flow_skip_to(f, "record");
	}
	for (size_t i = 0; i < KINDS; i++) {
		TRY(due_of(k, i));
		if (k->act != DO_NOTHING) {
			return k->act == DO_MAKE ? OK : flow_skip_to(f, "record");
		}
	}
	return flow_skip_to(f, "build");
}

/* --- doing it --------------------------------------------------------------------------------------------- */

static err_t make_run(void *self)
{
	keys_t *k = self;

	return signer_client_make(k->p->deps.signer, kinds[k->kind].signer, k->now_s, &k->made);
}

static err_t keys_make(flow_t *f)
{
	keys_t *k = f->state;

	return flow_wait(f, lane_op(f->arena, k->p->deps.cpu, make_run, k));
}

static err_t key_record(store_txn_t *txn, keys_t *k, const char *state)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, IDENTITY_RECORD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "kid", k->kid);
	jw_kstr(&w, "kind", kinds[k->kind].name);
	if (k->act == DO_CERTIFY) {
		ledger_sign_write(&w, k->a, k->kid, k->sign_n, k->tbs);
	}
	jw_kstr(&w, "state", str_of(state));
	return record_append(&k->p->deps, txn, k->a, LEDGER_TRUST, k->now_us, &w);
}

static err_t row_insert(store_txn_t *txn, keys_t *k)
{
	store_svid_key_t row = { .kid = str_of(k->made.kid), .kind = kinds[k->kind].name,
		.alg = crypto_alg_name(crypto_alg_for(k->made.pub.kind)), .state = STR("prepared"),
		.created_s = k->now_s, .not_after_s = k->now_s + k->p->deps.ca_life_s };

	k->kid = row.kid;
	TRY(crypto_pub_to_spki(k->a, &k->made.pub, &row.spki));
	return store_svid_key_insert(txn, &row);
}

static err_t state_step(store_txn_t *txn, const keys_t *k)
{
	static const char *const to[] = { [SPIFFE_CA_DO_ACTIVATE] = "active", [SPIFFE_CA_DO_TAINT] = "tainted",
		[SPIFFE_CA_DO_REVOKE] = "revoked" };

	for (size_t i = 0; k->step == SPIFFE_CA_DO_ACTIVATE && i < k->n_rows; i++) {
		bool was = str_eq(k->rows[i].state, STR("active")) && str_eq(k->rows[i].kind, kinds[k->kind].name);
		if (was) {
			TRY(store_svid_key_state_set(txn, k->rows[i].kid, STR("old")));
		}
	}
	return store_svid_key_state_set(txn, k->kid, str_of(to[k->step]));
}

/* Every change of a key changes what is published, or when: the bundle counts on, and nodes look. */
static err_t change_add(store_txn_t *txn, keys_t *k)
{
	store_change_t change = { .kind = STR("trust"), .id = k->kid, .body = STR("") };
	store_svid_key_t *rows;
	crypto_sha256_t h;
	uint8_t digest[CRYPTO_SHA256_BYTES];
	int64_t seq;
	size_t n;

	TRY(store_svid_key_list(txn, k->a, STR_NULL, &rows, &n));
	crypto_sha256_start(&h);
	for (size_t i = 0; i < n; i++) {
		spiffe_ca_state_t state;
		TRY(spiffe_ca_state_read(rows[i].state, &state));
		bool shown = spiffe_ca_in_bundle(state) && (rows[i].cert.n || str_eq(rows[i].kind, STR("jwt")));
		crypto_sha256_add(&h, shown ? rows[i].kid : STR(""));
	}
	crypto_sha256_end(&h, digest);
	TRY(store_bundle_sequence(txn, k->p->deps.trust_domain, hex_enc(k->a, str_bytes(digest, sizeof(digest))), k->now_s,
		&seq));
	return store_change_add(txn, &change, &seq);
}

static err_t record_closure(store_txn_t *txn, void *self)
{
	keys_t *k = self;

	if (k->act == DO_CERTIFY) {
		TRY(store_svid_key_next_n(txn, k->kid, &k->sign_n));
		return key_record(txn, k, "certified");
	}
	if (k->act == DO_MAKE) {
		TRY(row_insert(txn, k));
		TRY(key_record(txn, k, "prepared"));
	} else {
		TRY(state_step(txn, k));
		TRY(key_record(txn, k, k->step == SPIFFE_CA_DO_ACTIVATE ? "active"
			: k->step == SPIFFE_CA_DO_TAINT ? "tainted" : "revoked"));
	}
	return change_add(txn, k);
}

static err_t keys_record(flow_t *f)
{
	keys_t *k = f->state;

	POINT("authority.keys.before_record");
	return flow_wait(f, store_write_op(f->arena, k->p->deps.write, record_closure, k, false));
}

static const store_svid_key_t *row_of(const keys_t *k)
{
	for (size_t i = 0; i < k->n_rows; i++) {
		if (str_eq(k->rows[i].kid, k->kid)) {
			return &k->rows[i];
		}
	}
	return NULL;
}

static err_t keys_sign(flow_t *f)
{
	keys_t *k = f->state;

	k->changed = true;
	if (k->act != DO_CERTIFY) {
		return flow_skip_to(f, "drop");
	}
	POINT("authority.keys.before_sign");
	return flow_wait(f, signer_sign_op(f->arena, k->p->deps.signer, k->kid, (uint64_t)k->sign_n, k->tbs, k->signature));
}

static err_t certify_closure(store_txn_t *txn, void *self)
{
	keys_t *k = self;

	TRY(store_svid_key_cert_set(txn, k->kid, k->cert));
	return change_add(txn, k);
}

static err_t keys_certify(flow_t *f)
{
	keys_t *k = f->state;
	const store_svid_key_t *row = row_of(k);
	crypto_alg_t alg;

	TRY(crypto_alg_from_name(row->alg, &alg));
	TRY(x509_seal(f->arena, k->tbs, alg, str_bytes(k->signature, sizeof(k->signature)), &k->cert));
	POINT("authority.keys.before_certify");
	return flow_wait(f, store_write_op(f->arena, k->p->deps.write, certify_closure, k, false));
}

static err_t drop_run(void *self)
{
	keys_t *k = self;
	err_t e = signer_client_drop(k->p->deps.signer, k->kid);

	return e == ERR_NOT_FOUND ? OK : e;
}

static err_t keys_drop(flow_t *f)
{
	keys_t *k = f->state;

	if (k->act != DO_STEP || k->step != SPIFFE_CA_DO_REVOKE) {
		return OK;
	}
	return flow_wait(f, lane_op(f->arena, k->p->deps.cpu, drop_run, k));
}

static err_t keys_again(flow_t *f)
{
	keys_t *k = f->state;

	k->p->deps.appended(k->p->deps.owner);
	return flow_skip_to(f, "read");
}

static err_t keys_build(flow_t *f)
{
	keys_t *k = f->state;

	if (!k->changed) {
		return flow_done(f);
	}
	k->view = (view_job_t){ .deps = &k->p->deps, .now_s = k->now_s };
	return flow_wait(f, lane_op(f->arena, k->p->deps.read, view_job_run, &k->view));
}

static err_t keys_publish(flow_t *f)
{
	keys_t *k = f->state;

	view_take(k->p, TAKE(k->view.made));
	return flow_done(f);
}

static void tend_again(void *arg)
{
	keys_tend(arg);
}

static void keys_finish(flow_t *f, err_t result)
{
	keys_t *k = f->state;
	identity_t *p = k->p;

	identity_unpin(k->view.made); /* a flow that ended between build and publish */
	if (result != OK) {
		log_kv(LVL_ERROR, "identity.keys", kv_err("result", result)); /* tried again soon */
	}
	loop_timer_start(p->deps.loop, &p->tend, IDENTITY_ROTATE_CHECK_MS, tend_again, p);
}

void keys_tend(identity_t *p)
{
	arena_t *a = arena_open();
	keys_t *k = arena_new(a, keys_t);
	flow_id_t id;

	k->p = p;
	k->a = a;
	k->now_us = (int64_t)loop_unix_us(p->deps.loop);
	k->now_s = k->now_us / 1000000;
	if (flow_start(p->deps.loop, &keys_table, a, k, loop_in_ms(p->deps.loop, IDENTITY_DEADLINE_MS), &id) != OK) {
		arena_free(a);
		loop_timer_start(p->deps.loop, &p->tend, IDENTITY_ROTATE_CHECK_MS, tend_again, p);
	}
}
