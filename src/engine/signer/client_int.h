/* client_int.h: what the files of the authority's half share. */
#ifndef ATTORN_SIGNER_CLIENT_INT_H
#define ATTORN_SIGNER_CLIENT_INT_H

#include "engine/signer/client.h"
#include "engine/signer/wire.h"

/* Asks and waits; `out_body` is the caller's to free. */
MUST err_t client_ask(signer_client_t *c, wire_op_t op, str_t body, buf_t *out_body);
/* The body of a request to sign; the caller frees `b`, which may start zeroed. */
MUST err_t client_sign_body(buf_t *b, str_t kid, uint64_t number, str_t message);

#endif
