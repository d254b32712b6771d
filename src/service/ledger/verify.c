/* verify.c: an export checked line by line, offline, with a key the verifier brings. It trusts
 * nothing in the export: hashes are recomputed, the root too, and the head must be signed. */
#include <stdio.h>

#include "service/ledger/ledger_int.h"

/* A record whose proof waits for the head, which comes last. */
typedef struct {
	uint64_t index;
	merkle_hash_t hash;
	merkle_proof_t proof;
	char rid[32];
} waiting_t;

struct ledger_verifier {
	merkle_vkey_t log;
	ledger_report_t r;
	merkle_frontier_t f; /* of the records so far, while they begin at 0 */
	bool have_head, failed;
	bool proofs; /* a part of a log: each line carries its proof */
	uint64_t next;
	buf_t waiting; /* of waiting_t */
	lists_t *lists; /* signatures: claimed by records, told by the signer */
	bool have_lists;
};

enum { WAITING_BYTES_MAX = 1 << 30 }; /* a part of 200,000 records; more is exported whole */

ledger_verifier_t *ledger_verifier_new(const merkle_vkey_t *log)
{
	ledger_verifier_t *v = heap_new(ledger_verifier_t);

	v->log = *log;
	merkle_frontier_init(&v->f);
	v->lists = lists_new();
	buf_init(&v->waiting, WAITING_BYTES_MAX);
	return v;
}

void ledger_verifier_free(ledger_verifier_t *v)
{
	if (v) {
		buf_done(&v->waiting);
		lists_free(v->lists);
		heap_free(v);
	}
}

static void fail(ledger_verifier_t *v, const char *why)
{
	if (!v->failed) {
		v->failed = true;
		(void)snprintf(v->r.why, sizeof(v->r.why), "%s", why);
	}
}

/* The rid as the leaf says it, for people; a leaf that cannot be read has none. */
static const json_t *leaf_read(arena_t *a, str_t leaf, char out_rid[32])
{
	const json_t *root;
	str_t rid;

	out_rid[0] = '\0';
	if (json_parse_object(a, leaf, &root, NULL) != OK) {
		return NULL;
	}
	if (json_need_str(root, STR("rid"), 26, &rid) == OK && ulid_is(rid)) {
		(void)snprintf(out_rid, 32, "%.*s", STR_ARG(rid));
	}
	return root;
}

static void fail_record(ledger_verifier_t *v, uint64_t index, const char *rid, const char *why)
{
	if (!v->failed) {
		v->r.bad = true;
		v->r.bad_index = index;
		(void)snprintf(v->r.bad_rid, sizeof(v->r.bad_rid), "%s", rid);
	}
	fail(v, why);
}

/* The head that a signer.head record numbers is that of the tree which ends with it. */
static str_t head_text(void *self, arena_t *a)
{
	const ledger_verifier_t *v = self;
	merkle_checkpoint_t c = { v->log.name, v->f.size, merkle_frontier_root(&v->f) };

	return merkle_checkpoint_text(&c, a);
}

static void record_take(ledger_verifier_t *v, arena_t *a, const line_t *l)
{
	merkle_hash_t h = merkle_leaf_hash(l->leaf);
	char rid[32];

	const json_t *leaf = leaf_read(a, l->leaf, rid);
	if (v->r.records == 0) {
		v->r.first_index = v->next = l->index;
		v->proofs = l->has_proof;
	}
	if (l->index != v->next) {
		fail_record(v, v->next, rid, "records are missing or out of order");
		return;
	}
	if (!merkle_hash_eq(&h, &l->hash)) {
		fail_record(v, l->index, rid, "leaf hash differs");
		return;
	}
	if (!jcs_s_canonical(a, l->leaf)) {
		fail_record(v, l->index, rid, "record is not canonical");
		return;
	}
	if (l->has_proof != v->proofs || (!v->proofs && v->r.first_index != 0)) {
		fail_record(v, l->index, rid, "a part of a log needs a proof for each record");
		return;
	}
	if (v->proofs) {
		waiting_t *w = arena_new(a, waiting_t);

		*w = (waiting_t){ .index = l->index, .hash = h, .proof = l->proof };
		(void)snprintf(w->rid, sizeof(w->rid), "%s", rid);
		buf_add(&v->waiting, str_bytes(w, sizeof(*w)));
		if (buf_err(&v->waiting) != OK) {
			fail(v, "too many records for a part: export the whole log");
			return;
		}
	} else {
		merkle_frontier_append(&v->f, &h);
		if (!leaf || lists_record(v->lists, a, leaf, head_text, v) != OK) {
			fail_record(v, l->index, rid, "what it says of signatures cannot be");
			return;
		}
	}
	v->r.records++;
	v->next++;
}

static void head_take(ledger_verifier_t *v, arena_t *a, str_t note)
{
	merkle_checkpoint_t c;

	if (merkle_checkpoint_open(a, note, &v->log, &c) != OK) {
		fail(v, "the head is not signed by the given key");
		return;
	}
	c.origin = v->log.name;
	v->r.head = c;
	v->r.head_ok = v->have_head = true;
}

static void list_take(ledger_verifier_t *v, const line_t *l)
{
	v->have_lists = true;
	if (v->proofs || lists_entries(v->lists, l->kid, l->index, l->entries) != OK) {
		fail(v, "the signer's lists have a gap or do not belong here");
	}
}

void ledger_verifier_line(ledger_verifier_t *v, str_t line)
{
	AUTO(arena_free) arena_t *a = arena_open();
	line_t l;

	if (v->failed) {
		return;
	}
	if (v->have_head) {
		fail(v, "something follows the head");
		return;
	}
	if (line.n > 2 * MERKLE_NOTE_BYTES_MAX || line_parse(a, line, &l) != OK) {
		fail_record(v, v->next, "", "line is not of the form that was exported");
		return;
	}
	if (l.is_list) {
		list_take(v, &l);
	} else if (l.is_head) {
		head_take(v, a, l.note);
	} else if (v->have_lists) {
		fail(v, "a record follows the signer's lists");
	} else {
		record_take(v, a, &l);
	}
}

static void proofs_check(ledger_verifier_t *v)
{
	for (size_t at = 0; at < v->waiting.n && !v->failed; at += sizeof(waiting_t)) {
		waiting_t w;

		memcpy(&w, v->waiting.p + at, sizeof(w));
		if (merkle_inclusion_verify(w.index, &w.hash, v->r.head.size, &v->r.head.root,
					    w.proof.hash, w.proof.n) != OK) {
			fail_record(v, w.index, w.rid, "record is not in the signed tree");
		}
	}
}

static void root_check(ledger_verifier_t *v)
{
	merkle_hash_t root = merkle_frontier_root(&v->f);

	if (v->f.size != v->r.head.size) {
		fail(v, v->f.size < v->r.head.size ? "records are missing at the end" :
						      "more records than the head has");
		return;
	}
	if (!merkle_hash_eq(&root, &v->r.head.root)) {
		fail(v, "the root of these records is not the signed one");
		return;
	}
	v->r.whole = true;
}

/* A log whose records name lists must come with them. */
static void lists_end(ledger_verifier_t *v)
{
	char why[sizeof(v->r.why)];

	if (lists_check(v->lists, &v->r.signatures, why, sizeof(why)) != OK) {
		fail(v, why);
		v->r.whole = false;
	}
	v->r.lists = !v->failed && v->have_lists;
}

err_t ledger_verifier_end(ledger_verifier_t *v, ledger_report_t *report)
{
	if (!v->failed && !v->have_head) {
		fail(v, "no signed head at the end");
	}
	if (!v->failed && v->proofs) {
		proofs_check(v);
	} else if (!v->failed) {
		root_check(v);
	}
	if (!v->failed && !v->proofs) {
		lists_end(v);
	}
	*report = v->r;
	return v->failed ? ERR_LEDGER_DAMAGED : OK;
}
