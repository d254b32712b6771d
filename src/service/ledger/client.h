/* client.h: the ledger seen from outside: record types and the offline verifier of an export.
 * Pure: no store, no clock, no I/O; the caller reads the lines. docs/ledger-export.md is the format.
 * Owns: nothing. Threads: any. Limits: LEDGER_LINE_BYTES_MAX. */
#ifndef ATTORN_LEDGER_CLIENT_H
#define ATTORN_LEDGER_CLIENT_H

#include "pure/base/base.h"
#include "pure/merkle/merkle.h"

/* What a record is about: member `type`. Which members each may have is a table in record.c. */
typedef enum {
	LEDGER_ATTEMPT, /* an admitted call, durable before its effect */
	LEDGER_DECISION, /* a denied call */
	LEDGER_OUTCOME, /* what became of an attempt */
	LEDGER_TOKEN, /* a token issued or refused */
	LEDGER_GRANT,
	LEDGER_REVOKE,
	LEDGER_AGENT,
	LEDGER_USER,
	LEDGER_ROLE,
	LEDGER_ROUTE,
	LEDGER_POLICY,
	LEDGER_SECRET,
	LEDGER_KEY,
	LEDGER_REFUSALS, /* counts */
	LEDGER_START, /* a process began */
	LEDGER_SVID, /* an SVID issued */
	LEDGER_TRUST, /* an authority key changed its state, a foreign bundle its content */
	LEDGER_NODE, /* a node joined or was banned */
	LEDGER_RUN, /* a run began or ended */
	LEDGER_SIGNER_HEAD, /* how far the signer's lists are, and the number of the head that follows */
	LEDGER_TYPE_COUNT_,
} ledger_type_t;
const char *ledger_type_name(ledger_type_t type); /* "attempt" */

/* What a verifier found out. Numbers are of the lines read so far. */
typedef struct {
	uint64_t records; /* lines with a record */
	uint64_t first_index;
	merkle_checkpoint_t head; /* valid when `head_ok`; origin borrows from the vkey */
	bool head_ok; /* signed by the key we were given */
	bool whole; /* the export is the whole tree and its root was recomputed */
	bool lists; /* the signer's lists came along and agree with the records */
	uint64_t signatures; /* on those lists */
	/* The first bad record. `bad` is false when the fault is not in one record (head, root). */
	bool bad;
	uint64_t bad_index;
	char bad_rid[32]; /* "" when the record cannot be read */
	char why[120]; /* "leaf hash differs", ... ; "" when all is well */
} ledger_report_t;

/* Verifies an export line by line. Heap object, 4 KB and two lines; free it. */
typedef struct ledger_verifier ledger_verifier_t;
/* `log` is the key the verifier brings: never taken from the export. Its name must outlive it. */
ledger_verifier_t *ledger_verifier_new(const merkle_vkey_t *log);
void ledger_verifier_free(ledger_verifier_t *v);
DEFINE_AUTO(ledger_verifier_t *, ledger_verifier_free);
/* One line without its newline. After the first fault lines are only counted. */
void ledger_verifier_line(ledger_verifier_t *v, str_t line);
/* Ends: OK, or ERR_LEDGER_DAMAGED; the report is filled either way. */
MUST err_t ledger_verifier_end(ledger_verifier_t *v, ledger_report_t *report);

#endif
