/* tls_int.h: one end of a TLS connection without a socket: bytes of the wire in, plaintext out, and the other way
 * round; the server's conn.c and the client's wire.c carry the bytes.
 * Owns: OpenSSL's SSL and what is known of the peer. Threads: the loop's.
 * Forbidden: freeing an end inside one of its own calls. */
#ifndef ATTORN_NET_TLS_INT_H
#define ATTORN_NET_TLS_INT_H

#include "engine/net/net.h"

typedef struct tls_end tls_end_t;

typedef enum {
	TLS_HANDSHAKE,
	TLS_OPEN,
	TLS_PEER_CLOSED, /* close_notify came: no more plaintext, ours may still go */
	TLS_FAILED, /* the alert, if there is one to send, went to the sink */
} tls_state_t;

/* Takes bytes for the wire; called inside the calls below that say so. */
typedef void (*tls_sink_fn)(void *owner, str_t cipher);

/* A new end with the certificate of this moment; NULL for a server without one. */
tls_end_t *tls_end_new(net_tls_t *tls, tls_sink_fn sink, void *owner);
void tls_end_free(tls_end_t *e); /* accepts NULL */
tls_state_t tls_end_state(const tls_end_t *e);

/* A client's first flight. Sinks. */
void tls_end_begin(tls_end_t *e);
/* Gives bytes of the wire, borrowed until tls_end_read has returned an empty string. */
void tls_end_give(tls_end_t *e, str_t cipher);
/* Plaintext, or nothing: then what was given is used up, or the state says why not. Good until the next call on any
 * end of this net_tls_t. Sinks. */
str_t tls_end_read(tls_end_t *e);
/* Encrypts parts as one message. The handshake must be over. Sinks. */
void tls_end_write(tls_end_t *e, const str_t *parts, size_t n);
/* Says close_notify, once, if there is anybody to say it to. Sinks. */
void tls_end_close(tls_end_t *e);

/* What is known of the peer once the handshake is over: counted, outlives the end. */
const net_tls_peer_t *tls_end_peer(const tls_end_t *e);
const net_tls_peer_t *tls_peer_hold(const net_tls_peer_t *p); /* accepts NULL, as does: */
void tls_peer_free(const net_tls_peer_t *p);

net_tls_t *net_tls_hold(net_tls_t *tls);
bool net_tls_is_client(const net_tls_t *tls);
/* Says which certificate is in place, over all net_tls_t of the process: no two are alike. */
uint64_t net_tls_generation(const net_tls_t *tls);

#endif
