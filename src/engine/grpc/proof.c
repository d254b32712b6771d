/* proof.c: the PING proof (spiffe.md 13.4 step 6). Every chunk is stamped, so an ACK that arrives at all
 * was written by the peer; the random bytes make sure that it was written after the question. */
#include "engine/grpc/grpc_int.h"

static void proof_end(proof_t *p, err_t e)
{
	loop_timer_stop(p->conn->server->loop, &p->timer);
	p->waiting = false;
	p->done(p->conn, e, p->owner);
}

static void proof_late(void *arg)
{
	proof_end(arg, ERR_TIMEOUT);
}

static proof_t *proof_free_place(grpc_conn_t *c)
{
	for (size_t i = 0; i < ARRAY_LEN(c->proofs); i++) {
		if (!c->proofs[i].waiting) {
			return &c->proofs[i];
		}
	}
	return NULL;
}

err_t grpc_conn_prove(grpc_conn_t *c, void (*done)(grpc_conn_t *c, err_t e, void *owner), void *owner)
{
	proof_t *p = proof_free_place(c);

	ENSURE(p, ERR_LIMIT);
	ENSURE(!c->closing, ERR_CANCELLED);
	p->conn = c;
	p->waiting = true;
	p->done = done;
	p->owner = owner;
	loop_random(c->server->loop, p->bytes, sizeof(p->bytes));
	CHECK(nghttp2_submit_ping(c->h2, NGHTTP2_FLAG_NONE, p->bytes) == 0);
	loop_timer_start(c->server->loop, &p->timer, GRPC_PROOF_MS, proof_late, p);
	conn_flush_soon(c);
	return OK;
}

void proofs_acked(grpc_conn_t *c, const uint8_t *bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(c->proofs); i++) {
		proof_t *p = &c->proofs[i];
		if (p->waiting && ct_eq(p->bytes, bytes, sizeof(p->bytes))) {
			proof_end(p, OK);
			return;
		}
	}
}

void proofs_cancel(grpc_conn_t *c)
{
	for (size_t i = 0; i < ARRAY_LEN(c->proofs); i++) {
		if (c->proofs[i].waiting) {
			proof_end(&c->proofs[i], ERR_CANCELLED);
		}
	}
}
