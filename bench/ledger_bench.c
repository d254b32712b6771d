/* ledger_bench [DIR [SECONDS]]: durable appends and the rows of an admit, in batches of 1 to 256, beside
 * bare SQLite that writes the same rows with prebuilt bytes. One run, one disk: it prints the file
 * system and refuses one that cannot keep a promise. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"
#include "../tests/unit/service/signing.h"
#include "service/ledger/ledger.h"

enum { BATCH_MAX = 256, IDS_MAX = 1 << 22 };

#define BODY                                                                                       \
	"{\"act\":{\"args\":\"sha-256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0\"," \
	"\"digest\":\"sha-256:a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e\","  \
	"\"mcp\":{\"req\":\"42\",\"sid\":\"c2Vzc2lvbg\",\"ver\":\"2025-06-18\"},\"op\":\"tools/call\"," \
	"\"tool\":\"read_text_file\"},\"assurance\":\"key\",\"chain\":[{\"role\":\"user\","        \
	"\"sub\":\"u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11\"},{\"grant\":{\"rid\":\"01KAQW7V0000000000000000AA\"}," \
	"\"role\":\"agent\",\"sub\":\"spiffe://example.test/agent/billing-scout\"}],"              \
	"\"direction\":{\"by\":\"http://127.0.0.1:7480\",\"init\":\"unknown\",\"sel\":\"agent_within_grant\"}," \
	"\"policy\":{\"decision\":\"permit\",\"digest\":"                                          \
	"\"sha-256:ae6f3bbc10d4275226be91b066f1cc3f381fdfef0924005ad6d9c410c2f9d5df\","             \
	"\"rules\":[\"starter.readonly\"]},\"route\":{\"id\":\"invoices\",\"rev\":7},\"token\":{"   \
	"\"exp\":1795330200,\"hash\":\"sha-256:5689fb62689035372d14e0033035e3589a24de399e631edacf58cc2479749399\"," \
	"\"jkt\":\"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\",\"txn\":\"01KAQW7V0000000000000000TX\"}," \
	"\"via\":\"spiffe://example.test/attorn/gateway/1\"}"

static void must(err_t err, const char *what)
{
	if (err != OK) {
		fprintf(stderr, "ledger_bench: %s: %s\n", what, err_info(err)->name);
		exit(1);
	}
}

static double seconds_of(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- ours ---- */

typedef struct {
	const ledger_t *l;
	arena_t *a;
	bool admit; /* the rows of an admit, not the record alone */
	char rid[27], jti[32];
	uint64_t *made;
} work_t;

static err_t work_run(store_txn_t *t, void *self)
{
	work_t *w = self;
	ledger_record_t record = { LEDGER_ATTEMPT, STR_NULL, STR(BODY), 1795328512123456 };
	store_attempt_t attempt = { .req = STR("0123456789abcdef0123456789abcdef"),
		.gateway = STR("00112233445566778899aabbccddeeff"), .route = STR("invoices"),
		.grant = STR("01KAQW7V0000000000000000AA"), .deadline_ms = 1795328572123 };
	uint8_t random[ULID_RANDOM_BYTES];
	ledger_receipt_t receipt;
	bool spent;

	arena_reset(w->a);
	crypto_random(random, sizeof(random));
	record.rid = attempt.rid = ulid_make(w->a, 1795328512000 + (int64_t)(*w->made)++ / 8, random);
	if (w->admit) {
		store_attempt_t known;

		ENSURE(store_attempt_get(t, w->a, record.rid, &known) == ERR_NOT_FOUND, ERR_EXISTS);
		TRY(store_used_has(t, STR("http://127.0.0.1:7480"), record.rid, &spent));
		TRY(store_grant_spend(t, w->a, attempt.grant, 150));
		TRY(store_used_insert(t, STR("http://127.0.0.1:7480"), record.rid, 1795328632));
	}
	TRY(ledger_append(w->l, t, w->a, &record, &receipt));
	return w->admit ? store_attempt_insert(t, &attempt) : OK;
}

typedef struct {
	double per_second, cpu_us;
} figure_t;

static figure_t ours(store_t *s, const ledger_t *l, size_t batch, bool admit, double seconds)
{
	static work_t work[BATCH_MAX];
	store_closure_t c[BATCH_MAX], *all[BATCH_MAX];
	uint64_t made = 0, begun;
	double start, cpu;

	for (size_t i = 0; i < batch; i++) {
		work[i] = (work_t){ .l = l, .a = arena_open(), .admit = admit, .made = &made };
		c[i] = (store_closure_t){ .run = work_run, .self = &work[i] };
		all[i] = &c[i];
	}
	store_batch_run(s, all, batch);
	begun = made;
	start = seconds_of(CLOCK_MONOTONIC);
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	while (seconds_of(CLOCK_MONOTONIC) - start < seconds) {
		store_batch_run(s, all, batch);
		for (size_t i = 0; i < batch; i++) {
			must(c[i].err, "append");
		}
	}
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	start = seconds_of(CLOCK_MONOTONIC) - start;
	for (size_t i = 0; i < batch; i++) {
		arena_free(work[i].a);
	}
	return (figure_t){ (double)(made - begun) / start, cpu * 1e6 / (double)(made - begun) };
}

/* ---- bare SQLite: the same tables, rows and sizes, bytes made beforehand ---- */

typedef struct {
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *number, *entry, *opening, *grant, *used, *attempt;
	char leaf[1600], hash[32], sealed[280];
	int leaf_n;
	int64_t n;
	int pages;
} bare_t;

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
		fprintf(stderr, "ledger_bench: %s: %s\n", sql, sqlite3_errmsg(db));
		exit(1);
	}
	return s;
}

static void step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	if (rc != SQLITE_DONE) {
		fprintf(stderr, "ledger_bench: %s\n", sqlite3_errmsg(sqlite3_db_handle(s)));
		exit(1);
	}
	(void)sqlite3_reset(s);
}

static int bare_grew(void *self, sqlite3 *db, const char *name, int pages)
{
	(void)db, (void)name;
	((bare_t *)self)->pages = pages;
	return SQLITE_OK;
}

static void bare_open(bare_t *b, const char *path)
{
	if (sqlite3_open(path, &b->db) != SQLITE_OK ||
	    sqlite3_exec(b->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
		"PRAGMA wal_autocheckpoint=0;"
		"INSERT OR IGNORE INTO source (src, id, n) VALUES (99, 'bare', 0)", NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "ledger_bench: %s\n", sqlite3_errmsg(b->db));
		exit(1);
	}
	(void)sqlite3_wal_hook(b->db, bare_grew, b);
	b->begin = prepare(b->db, "BEGIN IMMEDIATE");
	b->commit = prepare(b->db, "COMMIT");
	b->number = prepare(b->db, "UPDATE source SET n = n + 1 WHERE src = 99");
	b->entry = prepare(b->db, "INSERT INTO entry (rid, src, n, kind, leaf, leaf_hash, at_us)"
		" VALUES (?, 99, ?, 'attempt', ?, ?, 1795328512123456)");
	b->opening = prepare(b->db, "INSERT INTO opening (rid, sealed) VALUES (?, ?)");
	b->grant = prepare(b->db, "UPDATE grant_ SET uses_left = uses_left - 1 WHERE id = ? AND uses_left > 0");
	b->used = prepare(b->db, "INSERT INTO used (space, id, until_s) VALUES ('http://127.0.0.1:7480', ?, 1)");
	b->attempt = prepare(b->db, "INSERT INTO attempt (rid, req, gateway, route, grant_id, deadline_ms)"
		" VALUES (?, zeroblob(32), '00112233445566778899aabbccddeeff', 'invoices',"
		" '01KAQW7V0000000000000000AA', 1795328572123)");
	b->n = 0;
}

static void bare_row(bare_t *b, bool admit, arena_t *a)
{
	uint8_t random[ULID_RANDOM_BYTES];
	str_t rid;

	arena_reset(a);
	crypto_random(random, sizeof(random));
	rid = ulid_make(a, 1795328512000 + b->n++ / 8, random);
	step(b->number);
	(void)sqlite3_bind_text(b->entry, 1, rid.p, (int)rid.n, SQLITE_STATIC);
	(void)sqlite3_bind_int64(b->entry, 2, b->n);
	(void)sqlite3_bind_blob(b->entry, 3, b->leaf, b->leaf_n, SQLITE_STATIC);
	(void)sqlite3_bind_blob(b->entry, 4, b->hash, 32, SQLITE_STATIC);
	step(b->entry);
	(void)sqlite3_bind_text(b->opening, 1, rid.p, (int)rid.n, SQLITE_STATIC);
	(void)sqlite3_bind_blob(b->opening, 2, b->sealed, sizeof(b->sealed), SQLITE_STATIC);
	step(b->opening);
	if (admit) {
		(void)sqlite3_bind_text(b->grant, 1, "01KAQW7V0000000000000000AA", -1, SQLITE_STATIC);
		step(b->grant);
		(void)sqlite3_bind_text(b->used, 1, rid.p, (int)rid.n, SQLITE_STATIC);
		step(b->used);
		(void)sqlite3_bind_text(b->attempt, 1, rid.p, (int)rid.n, SQLITE_STATIC);
		step(b->attempt);
	}
}

static void bare_batch(bare_t *b, size_t batch, bool admit, arena_t *a)
{
	step(b->begin);
	for (size_t i = 0; i < batch; i++) {
		bare_row(b, admit, a);
	}
	step(b->commit);
	if (b->pages >= STORE_CHECKPOINT_PAGES) {
		(void)sqlite3_wal_checkpoint_v2(b->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	}
}

static figure_t bare(bare_t *b, size_t batch, bool admit, double seconds)
{
	arena_t *a = arena_open();
	int64_t begun = b->n;
	double start = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);

	while (seconds_of(CLOCK_MONOTONIC) - start < seconds) {
		bare_batch(b, batch, admit, a);
	}
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	start = seconds_of(CLOCK_MONOTONIC) - start;
	arena_free(a);
	return (figure_t){ (double)(b->n - begun) / start, cpu * 1e6 / (double)(b->n - begun) };
}

/* ---- one run ---- */

static err_t seed_run(store_txn_t *t, void *self)
{
	store_user_t user = { .id = STR("u:1"), .name = STR("alice"), .active = true };
	store_agent_t agent = { .id = STR("spiffe://example.test/agent/billing-scout"),
		.name = STR("billing-scout"), .kind = STR("delegated"), .owner = STR("u:1"),
		.scopes = STR("[]"), .roles = STR("[]"), .state = STR("active") };
	store_grant_t grant = { .id = STR("01KAQW7V0000000000000000AA"),
		.root = STR("01KAQW7V0000000000000000AA"), .agent = agent.id, .user = user.id,
		.doc = STR("{}"), .sig = STR("s"), .key = STR("k"), .iat_s = 100, .exp_s = 200,
		.uses_max = INT64_MAX / 2 };

	(void)self;
	TRY(store_user_insert(t, &user));
	TRY(store_agent_insert(t, &agent));
	return store_grant_insert(t, &grant);
}

static err_t leaf_run(store_txn_t *t, void *self)
{
	bare_t *b = self;
	arena_t *a = arena_open();
	store_entry_t *rows;
	size_t n;
	err_t err = store_entry_waiting(t, a, 1, &rows, &n);

	if (err == OK && n == 1 && rows[0].leaf.n <= sizeof(b->leaf)) {
		memcpy(b->leaf, rows[0].leaf.p, rows[0].leaf.n);
		b->leaf_n = (int)rows[0].leaf.n;
	}
	arena_free(a);
	return err;
}

typedef struct {
	char dir[512], path[600];
	store_t *store;
	signing_t signing;
	signer_key_t key;
	ledger_t *l;
} bench_t;

static err_t key_run(store_txn_t *t, void *self)
{
	const bench_t *x = self;
	store_key_t row = { .kid = str_of(x->key.kid), .use = STR("ledger"), .alg = STR("EdDSA"), .jwk = STR("{}"),
		.sealed = STR(""), .state = STR("active"), .created_s = 1 };

	return store_key_insert(t, &row);
}

static void bench_open(bench_t *x, const char *dir, const char *name)
{
	static const uint8_t kek[32] = { 1 };
	ledger_options_t o = { .source = STR("spiffe://example.test/attorn/authority/1"),
		.origin = STR("example.test/attorn"), .kek = str_bytes(kek, 32) };
	diag_t diag = { 0 };

	(void)snprintf(x->dir, sizeof(x->dir), "%s", dir);
	(void)snprintf(x->path, sizeof(x->path), "%s/%s", dir, name);
	must(store_open(str_of(x->path), NULL, &x->store, &diag), "store_open");
	signing_open(&x->signing);
	must(signer_client_make(x->signing.client, SIGNER_LEDGER, 1, &x->key), "key");
	must(store_write(x->store, key_run, x), "key row");
	o.signer = x->signing.client;
	o.kid = str_of(x->key.kid);
	o.pub = &x->key.pub;
	must(ledger_open(x->store, &o, &x->l, &diag), "ledger_open");
	must(store_write(x->store, seed_run, NULL), "seed");
}

static void bench_close(bench_t *x)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char path[640];

	ledger_close(x->l);
	signing_close(&x->signing);
	store_close(x->store);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", x->path, ends[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/reserve", x->dir);
	(void)unlink(path);
}

/* The sequencer on what the appends left behind: re-hash, index, extend, sign. */
static void sequence_figure(bench_t *x)
{
	ledger_sequence_t s = { .ledger = x->l };
	double start = seconds_of(CLOCK_MONOTONIC);
	uint64_t rounds = 0;

	do {
		must(ledger_sequence_ask(&s), "ask");
		must(store_write(x->store, ledger_sequence_index, &s), "index");
		must(ledger_sequence_sign(&s), "sign");
		must(store_write(x->store, ledger_sequence_publish, &s), "publish");
		rounds++;
	} while (s.more);
	start = seconds_of(CLOCK_MONOTONIC) - start;
	printf("sequence\t%.0f records/s, %.2f ms per round of %d\n", (double)s.size / start,
	       start * 1e3 / (double)rounds, LEDGER_SEQUENCE_PAGES * LEDGER_SEQUENCE_MAX);
}

static void mode(const char *dir, bool admit, double seconds)
{
	static const size_t batches[] = { 1, 16, 64, 256 };
	bench_t x = { 0 }, y = { 0 };
	bare_t b = { 0 };

	bench_open(&x, dir, "ours.db");
	(void)ours(x.store, x.l, 1, admit, 0.01);
	must(store_read(x.store, leaf_run, &b), "leaf");
	bench_open(&y, dir, "bare.db");
	bare_open(&b, y.path);
	for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
		figure_t o, p;

		(void)bare(&b, batches[i], admit, 0.2);
		o = ours(x.store, x.l, batches[i], admit, seconds);
		p = bare(&b, batches[i], admit, seconds);
		printf("%s\tbatch %3zu\tours %8.0f/s %6.1f us CPU\tbare SQLite %8.0f/s %6.1f us CPU\tratio %.2f\n",
		       admit ? "admit rows" : "append", batches[i], o.per_second, o.cpu_us, p.per_second,
		       p.cpu_us, o.per_second / p.per_second);
	}
	if (!admit) {
		sequence_figure(&x);
	}
	(void)sqlite3_finalize(b.begin), (void)sqlite3_finalize(b.commit), (void)sqlite3_finalize(b.number);
	(void)sqlite3_finalize(b.entry), (void)sqlite3_finalize(b.opening), (void)sqlite3_finalize(b.grant);
	(void)sqlite3_finalize(b.used), (void)sqlite3_finalize(b.attempt);
	(void)sqlite3_close(b.db);
	bench_close(&y);
	bench_close(&x);
}

int main(int argc, char **argv)
{
	arena_t *a = arena_open();
	const char *under = argc > 1 ? argv[1] : ".";
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
	char dir[512];
	str_t fs;
	bool durable;

	if (!(seconds > 0 && seconds <= 60)) {
		fprintf(stderr, "usage: ledger_bench [DIR [SECONDS]]\n");
		return 2;
	}
	must(crypto_init(), "crypto");
	must(store_disk(a, str_of(under), &fs, &durable), under);
	printf("file system\t%.*s\n", STR_ARG(fs));
	if (!durable) {
		fprintf(stderr, "ledger_bench: a sync on %.*s promises nothing: give me a real disk\n", STR_ARG(fs));
		return 1;
	}
	(void)snprintf(dir, sizeof(dir), "%s/ledger-bench-XXXXXX", under);
	if (!mkdtemp(dir)) {
		fprintf(stderr, "ledger_bench: cannot write in %s\n", under);
		return 1;
	}
	mode(dir, false, seconds);
	mode(dir, true, seconds);
	(void)rmdir(dir);
	arena_free(a);
	return 0;
}
