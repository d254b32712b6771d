/* ledger.c: opening, appending, sequencing. State lives in the store, so that what a failed commit
 * undoes is undone everywhere. */
#include "service/ledger/ledger_int.h"

const merkle_vkey_t *ledger_vkey(const ledger_t *l)
{
	return &l->vkey;
}

err_t ledger_last_head(store_txn_t *t, arena_t *a, store_log_lock_t *out, merkle_checkpoint_t *head)
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
	TRY(ledger_last_head(t, a, &lock, &origin.after));
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

/* A lock without a signed head: the first one follows at once. A log that was left like this was never
 * acknowledged, and its start is begun anew from nothing. */
static err_t log_begin(ledger_t *l, store_txn_t *t, arena_t *a)
{
	merkle_hash_t root = merkle_empty_root();
	store_log_lock_t lock = { .fence = 1, .root = merkle_hash_str(&root), .checkpoint = STR("") };
	store_tree_head_t tree = { 0, STR(""), merkle_hash_str(&root) };
	int64_t entries, indexed;

	(void)a;
	TRY(store_entry_count(t, &entries, &indexed));
	ENSURE(indexed == 0, ERR_LEDGER_DAMAGED); /* a log with indices has had a head */
	TRY(store_tree_head_put(t, &tree));
	l->fence = 1;
	return store_log_lock_init(t, &lock);
}

typedef struct {
	ledger_t *l;
	ledger_report_t report;
	bool is_new;
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
		o->is_new = true;
		return log_begin(o->l, t, a);
	}
	TRY(err);
	TRY(ledger_verify_store(t, &o->l->vkey, &o->report));
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
	ENSURE(o->kid.n == SIGNER_KID_BYTES && o->pub->kind == CRYPTO_KEY_ED25519, ERR_VALUE);
	l->signer = o->signer;
	memcpy(l->kid, o->kid.p, o->kid.n);
	TRY(copy_text(l->source, sizeof(l->source), o->source, &l->source_id));
	TRY(copy_text(l->name, sizeof(l->name), o->origin, &l->vkey.name));
	TRY(merkle_vkey_of(l->vkey.name, o->pub->raw, &l->vkey));
	TRY(secret_from(o->kek, &l->kek));
	store_batch_run(s, one, 1);
	if (raise.err == ERR_LEDGER_DAMAGED) {
		diag_set(diag, 0, 0, "the ledger does not verify: %s%s%s", open.report.why,
			 open.report.bad ? ", record " : "", open.report.bad ? open.report.bad_rid : "");
	}
	TRY(raise.err);
	if (open.is_new) {
		TRY(ledger_sequence_all(l, s, o->now_us));
	}
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
