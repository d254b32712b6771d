/* signer.h: the process that holds private keys (docs/identity.md 2). It reads requests from one socket,
 * looks each up in a table, and answers; it never opens a connection. A signature is on the key's own
 * append-only list before it leaves.
 *
 * Owns: its directory (keys sealed under the KEK, lists), the KEK and the open keys.
 * Threads: one. Limits: limits.h. Includes `pure` alone.
 * Forbidden: signing what is not of the form of the key's kind; a number twice; exporting a private half. */
#ifndef ATTORN_SIGNER_H
#define ATTORN_SIGNER_H

#include "engine/signer/limits.h"
#include "pure/base/base.h"

typedef struct signer signer_t;

typedef struct {
	const char *dir; /* data/signer: there, ours, 0700 */
	const char *credential; /* file of 32 bytes from the service manager; NULL: none */
	str_t passphrase; /* STR_NULL: none */
} signer_options_t;

/* Finds the KEK (credential, passphrase, file, in that order; on an empty directory it makes one when no
 * better source holds it), opens every key and list, drops a torn tail. ERR_CONFIG, ERR_CRYPTO, ERR_IO,
 * ERR_EXISTS (another signer works here) with `diag`. */
MUST err_t signer_open(const signer_options_t *o, signer_t **out, diag_t *diag);
void signer_free(signer_t *s); /* accepts NULL */
DEFINE_AUTO(signer_t *, signer_free);

/* Takes one datagram of requests; answers go to `answer` in datagrams. Signatures wait for signer_flush,
 * so that one write of a list serves many: `datagram` must live until then. ERR_SYNTAX when it is not made
 * of frames: whoever sent it is not the authority's client, and the process should end. */
typedef void signer_answer_t(void *to, str_t datagram);
MUST err_t signer_take(signer_t *s, str_t datagram, signer_answer_t *answer, void *to);
/* Writes the lists, then signs and answers all that waits. */
void signer_flush(signer_t *s, signer_answer_t *answer, void *to);
/* Both, in the form of signer_ask_t (client.h); `self` is the signer_t. */
void signer_ask(void *self, str_t datagram, signer_answer_t *answer, void *to);

/* Gives up everything that serving does not need: new privileges, other files, other system calls.
 * ERR_CONFIG when the kernel refuses what must be: no_new_privs, seccomp. */
MUST err_t signer_lock_down(signer_t *s, diag_t *diag);
/* Serves until the other end is closed: OK. */
MUST err_t signer_serve(signer_t *s, int fd);

#endif
