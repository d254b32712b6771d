/* used.c: what was spent once. A row may go after its time, never before.
 * Ids are random, so that an index in the file would change a page of its own for nearly each of them, more than
 * all else that a transaction writes. Rows are therefore only appended, and their index is in memory beside the
 * write connection: made from the rows in the first transaction, and again whenever somebody else has written to
 * the file; what a rollback undoes there is undone here (batch.c). */
#include "engine/store/store_int.h"

/* Rows that may not go yet stand at the end, in about the order of their time. A few that stay for longer may
 * stand before them. */
enum {
	LIVING_MAX = 1000, /* that many in a row: here the living begin */
	ROUND_PURGES = 600, /* so often all is looked through from the start: ten minutes */
};

static used_key_t key_of(const store_txn_t *t, str_t space, str_t id)
{
	const str_t parts[] = { str_bytes(t->used_salt, sizeof(t->used_salt)), str_bytes(&space.n, sizeof(space.n)),
		space, id };
	uint8_t hash[CRYPTO_SHA256_BYTES];
	used_key_t key;

	crypto_sha256_parts(parts, ARRAY_LEN(parts), hash);
	memcpy(&key, hash, sizeof(key));
	return key;
}

static err_t key_row(query_t *q, arena_t *a, const store_txn_t *t, used_key_t *out)
{
	str_t space, id;

	TRY(query_get(q, a, &space));
	TRY(query_get(q, a, &id));
	*out = key_of(t, space, id);
	return OK;
}

static err_t index_load(store_txn_t *t)
{
	AUTO(query_close) query_t q = { 0 };
	AUTO(arena_free) arena_t *a = arena_open();
	used_key_t key;
	bool found;

	used_index_clear(t->used);
	TRY(query_open(t, "SELECT space, id FROM used", &q));
	TRY(query_step(&q, &found));
	while (found) {
		TRY(key_row(&q, a, t, &key));
		used_index_load(t->used, key);
		arena_reset(a);
		TRY(query_step(&q, &found));
	}
	return OK;
}

err_t used_refresh(store_txn_t *t)
{
	AUTO(query_close) query_t q = { 0 };
	int64_t version;

	TRY(query_open(t, "PRAGMA data_version", &q)); /* counts the commits of others */
	TRY(query_one_int(&q, &version));
	if (version != t->used_version) {
		t->used_version = STORE_NONE; /* while it is not whole */
		TRY(index_load(t));
		t->used_version = version;
	}
	return OK;
}

err_t store_used_insert(store_txn_t *t, str_t space, str_t id, int64_t until_s)
{
	AUTO(query_close) query_t q = { 0 };

	CHECK(t->used);
	used_key_t key = key_of(t, space, id);
	ENSURE(!used_index_has(t->used, key), ERR_REPLAY);
	TRY(query_open(t, "INSERT INTO used (space, id, until_s) VALUES (?, ?, ?)", &q));
	query_text(&q, space);
	query_text(&q, id);
	query_int(&q, until_s);
	TRY(query_run(&q));
	int64_t seq = sqlite3_last_insert_rowid(t->db); /* behind the last row there is: maybe one that was purged */
	t->used_from = seq < t->used_from ? seq : t->used_from;
	used_index_add(t->used, key);
	return OK;
}

err_t store_used_has(store_txn_t *t, str_t space, str_t id, bool *out)
{
	CHECK(t->used);
	*out = used_index_has(t->used, key_of(t, space, id));
	return OK;
}

/* --- forgetting ----------------------------------------------------------------------------------------- */

typedef struct {
	store_txn_t *t;
	arena_t *a; /* of one row */
	int64_t now_s, removed;
	int64_t dead_from, dead_to; /* seqs of dead rows in a row; dead_from 0: none */
	int64_t living, living_from; /* how many in a row stay, and the first of them */
} purge_t;

static err_t dead_delete(purge_t *p)
{
	AUTO(query_close) query_t q = { 0 };

	if (p->dead_from == 0) {
		return OK;
	}
	TRY(query_open(p->t, "DELETE FROM used WHERE seq BETWEEN ? AND ?", &q));
	query_int(&q, p->dead_from);
	query_int(&q, p->dead_to);
	p->dead_from = 0;
	return query_run(&q);
}

/* Deletes only behind the row that is being read. */
static err_t purge_row(purge_t *p, query_t *rows)
{
	used_key_t key;

	TRY(key_row(rows, p->a, p->t, &key));
	int64_t seq = query_get_int(rows), until_s = query_get_int(rows);
	if (until_s >= p->now_s) {
		p->living_from = p->living++ == 0 ? seq : p->living_from;
		return dead_delete(p);
	}
	p->living = 0;
	p->dead_from = p->dead_from ? p->dead_from : seq;
	p->dead_to = seq;
	p->removed++;
	used_index_remove(p->t->used, key);
	return OK;
}

static err_t purge_rows(purge_t *p, int64_t limit)
{
	AUTO(query_close) query_t q = { 0 };
	bool found;

	TRY(query_open(p->t, "SELECT space, id, seq, until_s FROM used WHERE seq >= ? ORDER BY seq LIMIT ?", &q));
	query_int(&q, p->t->used_from);
	query_int(&q, limit);
	TRY(query_step(&q, &found));
	while (found && p->living < LIVING_MAX) {
		TRY(purge_row(p, &q));
		arena_reset(p->a);
		TRY(query_step(&q, &found));
	}
	return dead_delete(p);
}

err_t store_used_purge(store_txn_t *t, int64_t now_s, int64_t limit, int64_t *out_removed)
{
	AUTO(arena_free) arena_t *a = arena_open();
	purge_t p = { .t = t, .a = a, .now_s = now_s };

	CHECK(t->used);
	if (t->used_purges++ % ROUND_PURGES == 0) {
		t->used_from = 0;
	}
	TRY(purge_rows(&p, limit));
	t->used_from = p.living ? p.living_from : p.dead_to;
	*out_removed = p.removed;
	return OK;
}
