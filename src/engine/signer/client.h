/* client.h: the one door to the keys, as the authority sees it (docs/identity.md 2).
 * One inherited socket leads to the process `attorn signer`. Before signer_client_attach one thread uses
 * it and every call blocks. After it the loop reads the answers: blocking calls come from lane threads,
 * any number at once, and flows sign by an operation.
 *
 * Owns: the socket. Threads: see above. Limits: limits.h.
 * Forbidden: a blocking call on the loop; signing with a number that was not drawn in the transaction
 * that wrote the record; signing before that transaction is durable. */
#ifndef ATTORN_SIGNER_CLIENT_H
#define ATTORN_SIGNER_CLIENT_H

#include "engine/flow/flow.h"
#include "engine/signer/types.h"

typedef struct {
	signer_kind_t kind;
	int64_t created_s;
	char kid[SIGNER_KID_BYTES + 1]; /* RFC 7638 thumbprint */
	crypto_pub_t pub;
} signer_key_t;

/* The end of one key's list. */
typedef struct {
	char kid[SIGNER_KID_BYTES + 1];
	uint64_t count; /* entries */
	uint64_t highest; /* number; 0: none */
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* of the chain: h' = SHA-256(h || number || digest) */
} signer_head_t;

/* How the process stands: for `attorn doctor` and /status. */
typedef struct {
	signer_kek_t kek;
	bool seccomp, landlock; /* it is behind them */
	bool memory_locked; /* all of it; the secrets themselves always are, or it does not start */
	uint32_t keys; /* usable */
} signer_status_t;

typedef struct signer_client signer_client_t;

/* Takes the descriptor. */
signer_client_t *signer_client_new(int fd);
/* A client whose signer answers by a function, in the same process: for tests and simulations. */
typedef void signer_ask_t(void *self, str_t datagram, void (*answer)(void *to, str_t datagram), void *to);
signer_client_t *signer_client_local(signer_ask_t *ask, void *self);
void signer_client_free(signer_client_t *c); /* accepts NULL; not while calls wait */
DEFINE_AUTO(signer_client_t *, signer_client_free);
/* From now on the loop reads; lost(owner) is called there, once, when the signer is gone. ERR_IO. */
MUST err_t signer_client_attach(signer_client_t *c, loop_t *loop, void (*lost)(void *owner), void *owner);
/* Ends that: the loop may be freed. Everything waiting completes ERR_UNAVAILABLE. */
void signer_client_detach(signer_client_t *c);

/* Blocking calls. ERR_UNAVAILABLE: the signer is gone, or too much is in flight. */

/* Every usable key. */
MUST err_t signer_client_keys(signer_client_t *c, arena_t *a, signer_key_t **out, size_t *out_n);
/* Makes a key, durable before the answer: Ed25519 for token and ledger, P-256 for x509 and jwt. */
MUST err_t signer_client_make(signer_client_t *c, signer_kind_t kind, int64_t now_s, signer_key_t *out);
/* Signs. ERR_REPLAY: the number was used, or is below what it must be; ERR_VALUE: not of the form of the
 * key's kind; ERR_NOT_FOUND: no such key. */
MUST err_t signer_client_sign(signer_client_t *c, str_t kid, uint64_t number, str_t message,
	uint8_t out[SIGNER_SIGNATURE_BYTES]);
/* Wipes the private half; its list stays. */
MUST err_t signer_client_drop(signer_client_t *c, str_t kid);
/* The ends of the lists of all usable keys; what they cover is on disk before the answer. */
MUST err_t signer_client_heads(signer_client_t *c, arena_t *a, signer_head_t **out, size_t *out_n);
/* Up to SIGNER_LIST_PAGE entries from position `from` on; none at the end. Also of a dropped key. */
MUST err_t signer_client_list(signer_client_t *c, arena_t *a, str_t kid, uint64_t from,
	signer_entry_t **out, size_t *out_n);
/* Says the highest number that was given for this key: none up to it is signed any more. At start. */
MUST err_t signer_client_raise(signer_client_t *c, str_t kid, uint64_t number);
MUST err_t signer_client_status(signer_client_t *c, signer_status_t *out);

/* The same signature as an operation of a flow: those of one round of the loop go in one datagram.
 * `kid`, `message` and `out` must live until it completes. */
op_t *signer_sign_op(arena_t *a, signer_client_t *c, str_t kid, uint64_t number, str_t message,
	uint8_t out[SIGNER_SIGNATURE_BYTES]);

#endif
