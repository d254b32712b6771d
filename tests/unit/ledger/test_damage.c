/* ledger: a thousand flipped bytes in an export and in the store's leaves, all found and named; rows
 * taken away, heads put back. */
#include <sqlite3.h>

#include "harness.h"

enum { FLIPS = 1000, RECORDS = 150, LEAVES = RECORDS + 2 }; /* and those of the first head and the last */

static uint64_t seed_get(void)
{
	const char *given = getenv("SEED");
	uint64_t seed;

	if (!given || str_to_u64(str_of(given), UINT64_MAX, &seed) != OK) {
		crypto_random(&seed, sizeof(seed));
	}
	print_message("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static uint64_t next(uint64_t *s) /* xorshift64* */
{
	*s ^= *s >> 12, *s ^= *s << 25, *s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1dull;
}

static void every_flip_in_an_export_is_found(void **state)
{
	log_t *g = *state;
	uint64_t seed = seed_get() | 1;
	size_t named = 0;
	buf_t text;

	log_fill(g, RECORDS);
	assert_int_equal(log_text(g, 0, UINT64_MAX, &text), OK);
	for (int i = 0; i < FLIPS; i++) {
		size_t at = next(&seed) % text.n, line = 0;
		char bits = (char)(1 + next(&seed) % 255);
		ledger_report_t r;

		for (size_t k = 0; k < at; k++) {
			line += text.p[k] == '\n';
		}
		text.p[at] = (char)(text.p[at] ^ bits);
		if (text_verify(ledger_vkey(g->l), buf_str(&text), &r) != ERR_LEDGER_DAMAGED) {
			fail_msg("flip of %02x at %zu was missed", (unsigned)(uint8_t)bits, at);
		}
		if (line < LEAVES) {
			assert_true(r.bad);
			assert_int_equal(r.bad_index, line);
			named++;
		}
		text.p[at] = (char)(text.p[at] ^ bits);
	}
	assert_true(named > FLIPS / 2);
	buf_done(&text);
}

/* A part is proven record by record: its flips are found too. */
static void every_flip_in_a_part_is_found(void **state)
{
	log_t *g = *state;
	uint64_t seed = seed_get() | 1;
	buf_t text;

	log_fill(g, RECORDS);
	assert_int_equal(log_text(g, 40, 60, &text), OK);
	for (int i = 0; i < FLIPS; i++) {
		size_t at = next(&seed) % text.n;
		char bits = (char)(1 + next(&seed) % 255);
		ledger_report_t r;

		text.p[at] = (char)(text.p[at] ^ bits);
		if (text_verify(ledger_vkey(g->l), buf_str(&text), &r) != ERR_LEDGER_DAMAGED) {
			fail_msg("flip of %02x at %zu was missed", (unsigned)(uint8_t)bits, at);
		}
		text.p[at] = (char)(text.p[at] ^ bits);
	}
	buf_done(&text);
}

/* The intruder's own connection: no triggers in the way, no syncs. */
static sqlite3 *raw_open(log_t *g)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(g->w->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF;"
		"DROP TRIGGER IF EXISTS entry_frozen; DROP TRIGGER IF EXISTS entry_kept", NULL, NULL, NULL),
		SQLITE_OK);
	return db;
}

static void raw(sqlite3 *db, const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
		fail_msg("%s: %s", sql, message);
	}
}

/* XORs one byte of one leaf; the same call undoes it. */
static void leaf_flip(sqlite3 *db, int64_t idx, size_t at, uint8_t bits)
{
	sqlite3_blob *blob;
	uint8_t byte;

	assert_int_equal(sqlite3_blob_open(db, "main", "entry", "leaf", idx + 1, 1, &blob), SQLITE_OK);
	at %= (size_t)sqlite3_blob_bytes(blob);
	assert_int_equal(sqlite3_blob_read(blob, &byte, 1, (int)at), SQLITE_OK);
	byte ^= bits;
	assert_int_equal(sqlite3_blob_write(blob, &byte, 1, (int)at), SQLITE_OK);
	assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
}

static void every_flip_in_the_store_is_found(void **state)
{
	log_t *g = *state;
	uint64_t seed = seed_get() | 1;
	verify_t v = { .log = ledger_vkey(g->l) };
	sqlite3 *db;

	log_fill(g, RECORDS);
	assert_int_equal(store_read(g->w->store, verify_run, &v), OK);
	db = raw_open(g);
	for (int i = 0; i < FLIPS; i++) {
		int64_t idx = (int64_t)(next(&seed) % LEAVES);
		size_t at = next(&seed) % 100000;
		uint8_t bits = (uint8_t)(1 + next(&seed) % 255);

		leaf_flip(db, idx, at, bits); /* seq = idx + 1 here */
		assert_int_equal(store_read(g->w->store, verify_run, &v), ERR_LEDGER_DAMAGED);
		assert_true(v.report.bad);
		assert_int_equal(v.report.bad_index, idx);
		leaf_flip(db, idx, at, bits);
	}
	assert_int_equal(store_read(g->w->store, verify_run, &v), OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void damage_stops_the_start_and_the_sequencer(void **state)
{
	static const struct {
		const char *sql, *undo, *why;
	} damage[] = {
		{ "UPDATE entry SET leaf_hash = zeroblob(32) WHERE seq = 3", NULL, "leaf hash differs" },
		{ "DELETE FROM entry_index WHERE idx = 151", NULL, "missing" },
		{ "DELETE FROM entry_index WHERE idx = 4", NULL, "missing" },
		{ "UPDATE entry SET rid = '0000000000000000000000000A' WHERE seq = 9", NULL, "another record" },
		{ "UPDATE log_lock SET size = 151", NULL, "differ" },
		{ "UPDATE log_lock SET checkpoint = replace(checkpoint, '152', '153')", NULL, "not signed" },
		{ "DELETE FROM log_lock; DELETE FROM tree_head", NULL, "" },
		{ "UPDATE source SET n = n + 1", NULL, "gap" },
		{ "DELETE FROM entry WHERE seq = 153", NULL, "gap" }, /* not yet in the tree, and gone */
		/* a new tree without the last record, put together with care; only the signature is missing */
		{ "DELETE FROM entry WHERE seq = 152; DELETE FROM entry_index WHERE idx = 151;"
		  "UPDATE source SET n = 151", NULL, "missing" },
	};
	log_t *g = *state;
	ledger_t *l = g->l;

	log_fill(g, RECORDS);
	assert_int_equal(append(g, LEDGER_START, rid_of(g->w->a, 9999), "{}"), OK); /* waits */
	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		char copy[160], cmd[400];
		diag_t diag = { 0 };
		store_t *whole = g->w->store;
		sqlite3 *db;

		(void)snprintf(copy, sizeof(copy), "%s/copy.db", g->w->dir);
		assert_int_equal(store_backup(whole, str_of(copy)), OK);
		assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
		(void)snprintf(cmd, sizeof(cmd), "PRAGMA foreign_keys=OFF; DROP TRIGGER entry_frozen;"
			" DROP TRIGGER entry_kept; %s", damage[i].sql);
		raw(db, cmd);
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
		assert_int_equal(store_open(str_of(copy), &(store_options_t){ .no_reserve = true },
					    &g->w->store, &diag), OK);
		if (log_try_open(g, &diag) != ERR_LEDGER_DAMAGED || !strstr(diag.text, damage[i].why)) {
			fail_msg("damage %zu: %s", i, diag.text);
		}
		store_close(g->w->store);
		(void)unlink(copy);
		g->w->store = whole;
	}
	g->l = l;
}

/* A row that rots before it is signed is never signed. */
static void a_waiting_row_that_rots_is_not_signed(void **state)
{
	log_t *g = *state;
	ledger_sequence_t s = { .ledger = g->l, .now_us = 1795328512123456 };
	sqlite3 *db;

	log_fill(g, 2);
	assert_int_equal(append(g, LEDGER_START, rid_of(g->w->a, 7), "{}"), OK);
	db = raw_open(g);
	leaf_flip(db, 4, 5, 1);
	assert_int_equal(store_write(g->w->store, ledger_sequence_index, &s), ERR_LEDGER_DAMAGED);
	assert_false(s.to_sign);
	leaf_flip(db, 4, 5, 1);
	assert_int_equal(store_write(g->w->store, ledger_sequence_index, &s), OK);
	assert_true(s.grew && s.size == 6 && s.to_sign);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, log_open, log_close)
	const struct CMUnitTest tests[] = {
		T(every_flip_in_an_export_is_found), T(every_flip_in_a_part_is_found),
		T(every_flip_in_the_store_is_found), T(damage_stops_the_start_and_the_sequencer),
		T(a_waiting_row_that_rots_is_not_signed),
	};

	return cmocka_run_group_tests_name("ledger_damage", tests, NULL, NULL);
}
