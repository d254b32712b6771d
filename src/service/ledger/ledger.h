/* ledger.h: the append-only log of what was asked, decided and done (reference ledger 9, 11, 12).
 * A record is inserted in the transaction of what it records; a sequencer gives it its index and
 * signs a head. Everything here runs inside a store closure: appends and the sequencer on the write
 * lane, reads on any.
 * Owns: the ledger_t, immutable after ledger_open. Threads: see above; pure functions: any.
 * Limits: limits.h. Forbidden: names, addresses, arguments or results in a record (12.1). */
#ifndef ATTORN_LEDGER_H
#define ATTORN_LEDGER_H

#include "engine/store/store.h"
#include "service/ledger/client.h"
#include "service/ledger/limits.h"

typedef struct ledger ledger_t;

typedef struct {
	str_t source; /* SPIFFE ID of this authority process: src.id */
	merkle_signer_t signer; /* the ledger key; the name of its vkey is the log's origin */
	str_t kek; /* 32 bytes: seals what commitments hide */
} ledger_options_t;

/* Checks the whole log (9.4): every leaf against its hash, the recomputed root against the last
 * signed head, that head's signature; then raises the fence, which ends an older process, or signs
 * the head of the empty log. ERR_LEDGER_DAMAGED with the place in `diag`: do not start.
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

/* The sequencer, a store closure on the write lane (self = ledger_sequence_t): re-hashes up to
 * LEDGER_SEQUENCE_MAX waiting rows, gives them their indices, extends the tree and signs the new
 * head, all in one transaction; no signature leaves before its commit. Call it 4 to 10 times a second
 * while there is growth, again at once when `more`. ERR_CONFLICT: another process took over (end);
 * ERR_LEDGER_DAMAGED: a row has rotted (end). */
typedef struct {
	const ledger_t *ledger;
	uint64_t size; /* out: of the newest head */
	bool grew, more; /* out */
} ledger_sequence_t;
MUST err_t ledger_sequence(store_txn_t *t, void *self);

/* ---- reading ---- */

/* The last signed head; the note lives in the arena. */
MUST err_t ledger_head(store_txn_t *t, arena_t *a, str_t *out_note, merkle_checkpoint_t *out);

/* Takes one line with its newline; the bytes live until it returns. */
typedef MUST err_t ledger_line_fn_t(void *self, str_t line);
/* Emits records [from, to) of the signed tree, then the head; to = UINT64_MAX: all. When that is
 * not the whole tree each line carries its inclusion proof. ERR_VALUE for an empty range of a log
 * that is not empty. */
MUST err_t ledger_export(store_txn_t *t, uint64_t from, uint64_t to, ledger_line_fn_t *line,
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
