/* sequence.c: from records that wait to a signed head (reference ledger 9.3), in steps that a crash may fall
 * between. The record that numbers a head is the last leaf under it, so whoever has the records can tell
 * from the number what was signed. */
#include "service/ledger/ledger_int.h"

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
 * its insertion is found before it is signed. */
static err_t page_take(store_txn_t *t, merkle_frontier_t *f, size_t *out_n)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(8u << 20); /* 256 leaves of 16 KiB and what surrounds them */
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

/* True in `out_more` when the bound was met first. */
static err_t rows_take(store_txn_t *t, merkle_frontier_t *f, bool *out_more)
{
	size_t n = LEDGER_SEQUENCE_MAX;

	for (int page = 0; page < LEDGER_SEQUENCE_PAGES && n == LEDGER_SEQUENCE_MAX; page++) {
		TRY(page_take(t, f, &n));
	}
	*out_more = n == LEDGER_SEQUENCE_MAX;
	return OK;
}

static err_t lists_body(arena_t *a, const ledger_sequence_t *s, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, LEDGER_BODY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_karray(&w, "lists");
	for (size_t i = 0; i < s->n_lists; i++) {
		jw_object(&w);
		jw_ku64(&w, "count", s->lists[i].count);
		jw_kstr(&w, "digest", arena_cat(a, STR("sha-256:"), hex_enc(a, str_bytes(s->lists[i].digest, CRYPTO_SHA256_BYTES))));
		jw_kstr(&w, "kid", str_of(s->lists[i].kid));
		jw_ku64(&w, "n", s->lists[i].highest);
		jw_end(&w);
	}
	jw_end(&w);
	jw_kobject(&w, "sign");
	jw_kstr(&w, "kid", str_of(s->ledger->kid));
	jw_ku64(&w, "n", s->number);
	jw_end(&w);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

/* The last leaf under the head that is to be signed: its number, and how far the signer's lists are. */
static err_t signer_head_add(ledger_sequence_t *s, store_txn_t *t, arena_t *a, merkle_frontier_t *f)
{
	ledger_record_t record = { .type = LEDGER_SIGNER_HEAD, .rid = ledger_rid(a, s->now_us), .now_us = s->now_us };
	ledger_receipt_t receipt;
	int64_t number;
	size_t n;

	TRY(store_key_next_n(t, str_of(s->ledger->kid), &number));
	s->number = (uint64_t)number;
	TRY(lists_body(a, s, &record.body));
	TRY(ledger_append(s->ledger, t, a, &record, &receipt));
	TRY(page_take(t, f, &n));
	ENSURE(n == 1, ERR_LEDGER_DAMAGED); /* nothing else waited: this thread alone writes */
	return OK;
}

err_t ledger_sequence_ask(ledger_sequence_t *s)
{
	AUTO(arena_free) arena_t *a = arena_open();
	signer_head_t *heads;
	size_t n;

	TRY(signer_client_heads(s->ledger->signer, a, &heads, &n));
	memcpy(s->lists, heads, n * sizeof(*heads));
	s->n_lists = n;
	return OK;
}

err_t ledger_sequence_index(store_txn_t *t, void *self)
{
	ledger_sequence_t *s = self;
	AUTO(arena_free) arena_t *a = arena_open();
	store_log_lock_t lock;
	merkle_checkpoint_t head;
	merkle_frontier_t f;

	s->grew = s->more = s->to_sign = false; /* a closure may run twice */
	s->note_n = 0;
	TRY(ledger_last_head(t, a, &lock, &head));
	ENSURE(lock.fence == s->ledger->fence, ERR_CONFLICT);
	TRY(frontier_get(t, a, &f));
	ENSURE(f.size >= head.size, ERR_LEDGER_DAMAGED);
	uint64_t before = f.size;
	TRY(rows_take(t, &f, &s->more));
	s->size = f.size;
	if (f.size == head.size && lock.checkpoint.n > 0 && !s->forced) {
		return OK;
	}
	if (!s->more) {
		TRY(signer_head_add(s, t, a, &f));
	}
	TRY(frontier_put(t, a, &f));
	s->to_sign = !s->more;
	s->root = merkle_frontier_root(&f);
	s->size = f.size;
	s->grew = f.size > before;
	return OK;
}

static err_t number_sign(void *self, str_t text, uint8_t out[MERKLE_SIGNATURE_BYTES])
{
	const ledger_sequence_t *s = self;

	return signer_client_sign(s->ledger->signer, str_of(s->ledger->kid), s->number, text, out);
}

err_t ledger_sequence_sign(ledger_sequence_t *s)
{
	AUTO(arena_free) arena_t *a = arena_open();
	merkle_checkpoint_t c = { s->ledger->vkey.name, s->size, s->root };
	merkle_signer_t signer = { s->ledger->vkey, number_sign, s };
	str_t note;

	if (!s->to_sign || s->note_n) {
		return OK;
	}
	TRY(merkle_note_sign(a, merkle_checkpoint_text(&c, a), &signer, &note));
	ENSURE(note.n <= sizeof(s->note), ERR_LIMIT);
	memcpy(s->note, note.p, note.n);
	s->note_n = note.n;
	return OK;
}

err_t ledger_sequence_publish(store_txn_t *t, void *self)
{
	const ledger_sequence_t *s = self;
	AUTO(arena_free) arena_t *a = arena_open();
	store_log_lock_t old, lock = { .fence = s->ledger->fence, .size = (int64_t)s->size,
		.root = merkle_hash_str(&s->root), .checkpoint = str_bytes(s->note, s->note_n) };

	if (!s->to_sign) {
		return OK;
	}
	TRY(store_log_lock_get(t, a, &old));
	ENSURE(old.fence == s->ledger->fence, ERR_CONFLICT);
	ENSURE(old.size <= lock.size, ERR_LEDGER_DAMAGED);
	return store_log_lock_swap(t, &old, &lock);
}

static err_t closure_run(store_t *store, store_fn_t *run, ledger_sequence_t *s)
{
	store_closure_t c = { .run = run, .self = s, .essential = true };
	store_closure_t *const one[] = { &c };

	store_batch_run(store, one, 1);
	return c.err;
}

err_t ledger_sequence_all(const ledger_t *l, store_t *store, int64_t now_us)
{
	ledger_sequence_t s = { .ledger = l, .now_us = now_us };

	do {
		TRY(ledger_sequence_ask(&s));
		TRY(closure_run(store, ledger_sequence_index, &s));
		TRY(ledger_sequence_sign(&s));
		TRY(closure_run(store, ledger_sequence_publish, &s));
	} while (s.more);
	return OK;
}
