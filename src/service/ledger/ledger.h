/* ledger.h: the append-only log of what was asked, decided and done (reference ledger 9, 11, 12).
 * A record is inserted in the transaction of what it records; a sequencer gives it its index and
 * signs a head. Everything here runs inside a store closure: appends and the sequencer on the write
 * lane, reads on any.
 * Owns: the ledger_t, immutable after ledger_open. Threads: see above; pure functions: any.
 * Limits: limits.h. Forbidden: names, addresses, arguments or results in a record (12.1). */
#ifndef ATTORN_LEDGER_H
#define ATTORN_LEDGER_H

#include "engine/signer/client.h"
#include "engine/store/store.h"
#include "pure/codec/codec.h"
#include "service/ledger/client.h"
#include "service/ledger/limits.h"

typedef struct ledger ledger_t;

typedef struct {
	str_t source; /* SPIFFE ID of this authority process: src.id */
	str_t origin; /* the log's name, which is also its key's */
	signer_client_t *signer; /* outlives the ledger */
	str_t kid; /* the ledger key: at the signer, and in the table `key` */
	const crypto_pub_t *pub; /* its public half */
	str_t kek; /* 32 bytes: seals what commitments hide */
	int64_t now_us;
} ledger_options_t;

/* Checks the whole log (9.4): every leaf against its hash, the recomputed root against the last
 * signed head, that head's signature; then raises the fence, which ends an older process. An empty log
 * gets its first record, of type signer.head, and its first head. ERR_LEDGER_DAMAGED with the place in
 * `diag`: do not start.
 * Write lane (or before any lane exists). */
MUST err_t ledger_open(store_t *s, const ledger_options_t *o, ledger_t **out, diag_t *diag);
void ledger_close(ledger_t *l); /* accepts NULL */
DEFINE_AUTO(ledger_t *, ledger_close);
const merkle_vkey_t *ledger_vkey(const ledger_t *l);

/* ---- writing ---- */

/* What the caller knows. `body`: a JSON object of the members of 11.2 that the type may have, but
 * not v, type, rid, ts, src, after, enf, which the ledger adds. Digests in act.args, act.digest,
 * resp and texts in doc and reason come plain and are replaced by keyed commitments (12.2); what they hide
 * is sealed beside the log so that `explain` can open it. */
typedef struct {
	ledger_type_t type;
	str_t rid; /* ULID, made by whoever asks */
	str_t body;
	int64_t now_us;
} ledger_record_t;
typedef struct {
	int64_t n; /* src.n */
	merkle_hash_t leaf_hash;
} ledger_receipt_t;

/* A new record id: a ULID of this moment, random behind it. */
str_t ledger_rid(arena_t *a, int64_t now_us);
/* Appends in the caller's transaction; the entry is durable when that commits. When this fails the
 * caller's closure must fail too: src.n was drawn, and only a rollback gives it back. ERR_EXISTS when the
 * rid is known, ERR_UNKNOWN_MEMBER, ERR_MISSING_MEMBER, ERR_VALUE, ERR_LIMIT for the body. */
MUST err_t ledger_append(const ledger_t *l, store_txn_t *t, arena_t *a, const ledger_record_t *record,
			 ledger_receipt_t *out);

/* Writes the member `sign` of a record of something issued: which key will sign which bytes under which number
 * (drawn in this transaction). Verifying sets it beside the signer's own list. */
void ledger_sign_write(jw_t *w, arena_t *a, str_t kid, int64_t number, str_t message);

/* The sequencer, in four steps, each done once the one before is: a head is signed only when the record of
 * its number is durable, and known only when the signature is. Begin with `ledger` and `now_us` set.
 *   ask      blocks: how far the signer's lists are
 *   index    a store closure on the write lane: re-hashes what waits, gives it indices; when nothing more
 *            waits and something is to be signed, appends a signer.head record and draws the head's number
 *   sign     blocks: the head; does nothing when index left nothing to sign
 *   publish  a store closure on the write lane: moves the lock to the new head; likewise
 * Up to LEDGER_SEQUENCE_PAGES pages in one go; `more`: begin again at once. Call it 4 to 10 times a
 * second while there is growth. When `sign` fails, repeat it: the number is drawn. ERR_CONFLICT: another
 * process took over (end); ERR_LEDGER_DAMAGED: a row has rotted (end). */
typedef struct {
	const ledger_t *ledger;
	int64_t now_us;
	bool forced; /* a head even without growth, to put the lists on record */
	signer_head_t lists[SIGNER_KEYS_USABLE_MAX];
	size_t n_lists;
	uint64_t size; /* out: of the tree */
	bool grew, more; /* out */
	bool to_sign; /* a head of `size` and `root` under `number` waits for its signature */
	uint64_t number;
	merkle_hash_t root;
	char note[LEDGER_NOTE_BYTES_MAX];
	size_t note_n;
} ledger_sequence_t;
MUST err_t ledger_sequence_ask(ledger_sequence_t *s);
MUST err_t ledger_sequence_index(store_txn_t *t, void *self);
MUST err_t ledger_sequence_sign(ledger_sequence_t *s);
MUST err_t ledger_sequence_publish(store_txn_t *t, void *self);
/* All four in a flow of their own, "sequence", ten times a second while there is growth; and a look at the
 * signer's lists every few seconds, so that a signature nobody recorded is named by a record soon. On the
 * loop; `slow` is a lane that may wait for the signer. */
typedef struct {
	loop_t *loop;
	lane_t *write, *slow;
	const ledger_t *ledger;
	void (*failed)(void *owner, err_t e); /* ERR_CONFLICT, ERR_LEDGER_DAMAGED: it is never called again */
	void *owner;
} ledger_sequencer_deps_t;
typedef struct ledger_sequencer ledger_sequencer_t;
ledger_sequencer_t *ledger_sequencer_new(const ledger_sequencer_deps_t *deps);
void ledger_sequencer_wake(ledger_sequencer_t *q); /* records were appended */
/* Begins no round more; stopped(owner) follows on the loop once none runs. Then it may be freed. */
void ledger_sequencer_stop(ledger_sequencer_t *q, void (*stopped)(void *owner), void *owner);
void ledger_sequencer_free(ledger_sequencer_t *q); /* accepts NULL */

/* All four, until nothing more waits; blocks. Before any lane exists. */
MUST err_t ledger_sequence_all(const ledger_t *l, store_t *s, int64_t now_us);

/* ---- reading ---- */

/* The last signed head; the note lives in the arena. */
MUST err_t ledger_head(store_txn_t *t, arena_t *a, str_t *out_note, merkle_checkpoint_t *out);

/* Takes one line with its newline; the bytes live until it returns. */
typedef MUST err_t ledger_line_fn_t(void *self, str_t line);
/* Emits records [from, to) of the signed tree, then the head; to = UINT64_MAX: all. When that is
 * not the whole tree each line carries its inclusion proof; when it is, the signer's lists come before the
 * head, as far as the records name them. ERR_VALUE for an empty range of a log that is not empty. Blocks on
 * the signer. */
MUST err_t ledger_export(const ledger_t *l, store_txn_t *t, uint64_t from, uint64_t to, ledger_line_fn_t *line,
			 void *self);

/* Re-hashes everything in the store and compares it with the signed head: what ledger_open does,
 * on a read connection. ERR_LEDGER_DAMAGED; the report names the first bad record. */
MUST err_t ledger_verify_store(store_txn_t *t, const merkle_vkey_t *log, ledger_report_t *report);

/* The story of one call, for `attorn explain` and GET /explain/RID, as one JSON object:
 * {rid, record, index|null, opened{path: value}, open: bool, outcome{rid, record, index, opened}|null,
 *  late[like outcome],
 *  grants[{id, user, user_name, agent, agent_name, depth, iat, exp, revoked|null, uses_left|null,
 *          doc, sig, key, record}]}: the grant used first, the root last.
 * `rid`: of an attempt or a decision; the rid of an outcome leads to its attempt. ERR_NOT_FOUND. */
MUST err_t ledger_explain(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid, str_t *out_json);

/* ---- commitments (12.2), pure ---- */

enum { LEDGER_COMMIT_KEY_BYTES = 32 };
/* HMAC-SHA-256(key, "attorn-commit/1" 00 u16 len(path) path value), as "hmac-256:<hex>". */
str_t ledger_commit(arena_t *a, const uint8_t key[LEDGER_COMMIT_KEY_BYTES], str_t path, str_t value);

#endif
