/* ledger.c: opening, appending, sequencing. State lives in the store, so that what a failed commit
 * undoes is undone everywhere. */
#include "service/ledger/ledger_int.h"

const merkle_vkey_t *ledger_vkey(const ledger_t *l)
{
	return &l->signer.vkey;
}

static err_t last_head(store_txn_t *t, arena_t *a, store_log_lock_t *out, merkle_checkpoint_t *head)
{
	TRY(store_log_lock_get(t, a, out));
	head->size = (uint64_t)out->size;
	return merkle_hash_from(out->root, &head->root);
}

str_t ledger_rid(arena_t *a, int64_t now_us)
{
	uint8_t random[ULID_RANDOM_BYTES];

	crypto_random(random, sizeof(random));
	return ulid_make(a, now_us / 1000, random);
}

err_t ledger_append(const ledger_t *l, store_txn_t *t, arena_t *a, const ledger_record_t *record,
		    ledger_receipt_t *out)
{
	uint8_t keys[RECORD_OPENINGS_MAX][LEDGER_COMMIT_KEY_BYTES];
	record_origin_t origin = { .source = l->source_id };
	record_built_t built;
	store_log_lock_t lock;
	ledger_receipt_t receipt;
	store_entry_t entry = { .rid = record->rid, .src = l->src,
		.kind = str_of(ledger_type_name(record->type)), .at_us = record->now_us };

	crypto_random(keys, sizeof(keys));
	TRY(last_head(t, a, &lock, &origin.after));
	TRY(store_source_next(t, l->src, &origin.n));
	TRY(record_build(a, record, &origin, keys, &built));
	receipt = (ledger_receipt_t){ origin.n, merkle_leaf_hash(built.leaf) };
	entry.n = origin.n;
	entry.of = built.of;
	entry.leaf = built.leaf;
	entry.leaf_hash = merkle_hash_str(&receipt.leaf_hash);
	TRY(store_entry_append(t, &entry));
	TRY(openings_seal(l, t, a, record->rid, built.opening, built.n_openings));
	wipe(keys, sizeof(keys));
	*out = receipt;
	return OK;
}

/* ---- sequencing ---- */

static err_t frontier_get(store_txn_t *t, arena_t *a, merkle_frontier_t *out)
{
	store_tree_head_t head;

	TRY(store_tree_head_get(t, a, &head));
	return merkle_frontier_load((uint64_t)head.size, head.frontier, out);
}

static err_t frontier_put(store_txn_t *t, arena_t *a, const merkle_frontier_t *f)
{
	merkle_hash_t root = merkle_frontier_root(f);
	store_tree_head_t head = { (int64_t)f->size, merkle_frontier_save(f, a), merkle_hash_str(&root) };

	return store_tree_head_put(t, &head);
}

/* The next rows get their indices; each is hashed anew from its bytes, so that what has rotted since
 * its insertion is found before it is signed (9.3). */
static err_t rows_take(store_txn_t *t, arena_t *a, merkle_frontier_t *f, size_t *out_n)
{
	store_entry_t *rows;
	size_t n;

	TRY(store_entry_waiting(t, a, LEDGER_SEQUENCE_MAX, &rows, &n));
	for (size_t i = 0; i < n; i++) {
		merkle_hash_t h = merkle_leaf_hash(rows[i].leaf);

		ENSURE(str_eq(merkle_hash_str(&h), rows[i].leaf_hash), ERR_LEDGER_DAMAGED);
		TRY(store_entry_index_add(t, (int64_t)f->size, rows[i].seq));
		merkle_frontier_append(f, &h);
	}
	*out_n = n;
	return OK;
}

/* Signs the tree as it stands and moves the lock from `old`; the commit is the point of no return. */
static err_t head_sign(const ledger_t *l, store_txn_t *t, arena_t *a, const merkle_frontier_t *f,
		       const store_log_lock_t *old, bool first)
{
	merkle_checkpoint_t c = { l->signer.vkey.name, f->size, merkle_frontier_root(f) };
	store_log_lock_t lock = { .fence = l->fence, .size = (int64_t)f->size,
		.root = merkle_hash_str(&c.root) };

	TRY(merkle_note_sign(a, merkle_checkpoint_text(&c, a), &l->signer, &lock.checkpoint));
	return first ? store_log_lock_init(t, &lock) : store_log_lock_swap(t, old, &lock);
}

err_t ledger_sequence(store_txn_t *t, void *self)
{
	ledger_sequence_t *s = self;
	/* 256 leaves of 16 KiB and what surrounds them */
	AUTO(arena_free) arena_t *a = arena_new_capped(8u << 20);
	store_log_lock_t lock;
	merkle_checkpoint_t head;
	merkle_frontier_t f;
	size_t n = 0;

	s->grew = s->more = false;
	TRY(last_head(t, a, &lock, &head));
	ENSURE(lock.fence == s->ledger->fence, ERR_CONFLICT);
	TRY(frontier_get(t, a, &f));
	ENSURE(f.size == head.size, ERR_LEDGER_DAMAGED);
	s->size = f.size;
	TRY(rows_take(t, a, &f, &n));
	if (n == 0) {
		return OK;
	}
	TRY(frontier_put(t, a, &f));
	TRY(head_sign(s->ledger, t, a, &f, &lock, false));
	s->size = f.size;
	s->grew = true;
	s->more = n == LEDGER_SEQUENCE_MAX;
	return OK;
}

err_t ledger_head(store_txn_t *t, arena_t *a, str_t *out_note, merkle_checkpoint_t *out)
{
	store_log_lock_t lock;
	merkle_note_t note;

	TRY(store_log_lock_get(t, a, &lock));
	TRY(merkle_note_parse(a, lock.checkpoint, &note));
	TRY(merkle_checkpoint_parse(note.text, out));
	*out_note = lock.checkpoint;
	return OK;
}

/* ---- opening ---- */

static err_t first_head(ledger_t *l, store_txn_t *t, arena_t *a)
{
	merkle_frontier_t f;
	int64_t entries, indexed;

	TRY(store_entry_count(t, &entries, &indexed));
	ENSURE(indexed == 0, ERR_LEDGER_DAMAGED); /* a log with indices has had a head */
	merkle_frontier_init(&f);
	l->fence = 1;
	TRY(frontier_put(t, a, &f));
	return head_sign(l, t, a, &f, NULL, true);
}

typedef struct {
	ledger_t *l;
	ledger_report_t report;
} open_t;

/* All checks pass before the fence is raised (9.4). */
static err_t open_run(store_txn_t *t, void *self)
{
	open_t *o = self;
	AUTO(arena_free) arena_t *a = arena_open();
	store_log_lock_t lock, raised;
	err_t err;

	TRY(store_source_open(t, o->l->source_id, &o->l->src));
	err = store_log_lock_get(t, a, &lock);
	if (err == ERR_NOT_FOUND) {
		return first_head(o->l, t, a);
	}
	TRY(err);
	TRY(ledger_verify_store(t, &o->l->signer.vkey, &o->report));
	raised = lock;
	raised.fence++;
	o->l->fence = raised.fence;
	return store_log_lock_swap(t, &lock, &raised);
}

static err_t copy_text(char *to, size_t size, str_t from, str_t *out)
{
	ENSURE(from.n > 0 && from.n < size && !str_has_nul(from), ERR_VALUE);
	memcpy(to, from.p, from.n);
	*out = str_bytes(to, from.n);
	return OK;
}

err_t ledger_open(store_t *s, const ledger_options_t *o, ledger_t **out, diag_t *diag)
{
	AUTO(ledger_close) ledger_t *l = heap_new(ledger_t);
	open_t open = { .l = l };
	store_closure_t raise = { .run = open_run, .self = &open, .essential = true }; /* a full disk too */
	store_closure_t *const one[] = { &raise };

	ENSURE(o->kek.n == CRYPTO_AEAD_KEY_BYTES, ERR_VALUE);
	l->signer = o->signer;
	TRY(copy_text(l->source, sizeof(l->source), o->source, &l->source_id));
	TRY(copy_text(l->name, sizeof(l->name), o->signer.vkey.name, &l->signer.vkey.name));
	TRY(secret_from(o->kek, &l->kek));
	store_batch_run(s, one, 1);
	if (raise.err == ERR_LEDGER_DAMAGED) {
		diag_set(diag, 0, 0, "the ledger does not verify: %s%s%s", open.report.why,
			 open.report.bad ? ", record " : "", open.report.bad ? open.report.bad_rid : "");
	}
	TRY(raise.err);
	*out = TAKE(l);
	return OK;
}

void ledger_close(ledger_t *l)
{
	if (!l) {
		return;
	}
	secret_done(&l->kek);
	heap_free(l);
}
