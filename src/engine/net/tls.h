/* tls.h: TLS for listeners and for calls to our own parts: who we are, whom we let in, what is known of a
 * peer. Comes with net.h. TLS 1.3, full handshakes only: no tickets, no resumption, no early data, no
 * renegotiation (spiffe L7: a peer that was removed does not come back by an old session).
 * Owns: net_tls_t, counted; listeners, connections and calls under way hold it. Threads: one loop's each.
 * Limits: limits.h. Forbidden: a verify callback that waits or calls net. */
#ifndef ATTORN_NET_TLS_H
#define ATTORN_NET_TLS_H

#include "pure/base/base.h"

typedef struct net_tls net_tls_t;

/* The peer's certificates as it sent them, leaf first, DER; borrowed. Number, sizes and the kind and size of the
 * leaf's key are within the limits; nothing else has been looked at. */
typedef struct {
	const str_t *v;
	size_t n;
} net_tls_chain_t;

/* Decides about a peer; that it has the leaf's key is checked by TLS itself. OK lets it in, and `name` may be
 * given what the chain says it is (a SPIFFE ID). Any error ends the handshake; the peer hears bad_certificate,
 * whatever it was. */
typedef err_t (*net_tls_verify_fn)(net_tls_chain_t chain, buf_t *name, void *owner);

typedef enum {
	NET_TLS_ASK_NOTHING, /* no client certificate is asked for */
	NET_TLS_ASK_OPTIONAL, /* asked for; without one the peer is nobody, a bad one is refused */
	NET_TLS_ASK_REQUIRED,
} net_tls_ask_t;

typedef struct {
	bool is_client; /* for net_request_t.tls; a client always asks and verifies */
	net_tls_ask_t ask; /* servers */
	bool with_tls12; /* 1.2 too: for the bundle endpoint alone (spiffe.md 7), and with ASK_NOTHING */
	net_tls_verify_fn verify; /* required wherever certificates are asked for */
	void *owner; /* handed to verify; must live until no connection of this net_tls_t does */
} net_tls_options_t;

/* Makes one side without a certificate: a server refuses every handshake until net_tls_set, a client shows
 * none. */
net_tls_t *net_tls_new(const net_tls_options_t *o);
void net_tls_free(net_tls_t *tls); /* gives back the caller's hold; accepts NULL */
DEFINE_AUTO(net_tls_t *, net_tls_free);

/* Puts certificates (DER, leaf first) and the leaf's private key (PKCS#8 DER) in place for all handshakes from
 * now on; those under way and open connections go on with what they began with, and a client opens new
 * connections from its next request. At any time, as often as wanted. ERR_KEY for what is not usable or does not
 * belong together, ERR_LIMIT; then nothing changes. */
MUST err_t net_tls_set(net_tls_t *tls, const str_t *chain, size_t n, str_t key_pkcs8, diag_t *diag);
bool net_tls_has_certificate(const net_tls_t *tls);

enum { NET_TLS_BINDING_BYTES = 32, NET_TLS_HASH_BYTES = 32 };

/* What a finished handshake left behind. */
typedef struct {
	bool is_verified; /* showed a certificate, has its key, and verify said OK; else the next four are empty */
	str_t leaf; /* DER */
	uint8_t x5t_s256[NET_TLS_HASH_BYTES]; /* SHA-256 of the leaf (RFC 8705 3.1) */
	str_t name; /* what verify wrote */
	int64_t until_unix_s; /* the leaf's notAfter: a server takes no request later than that */
	bool has_binding; /* TLS 1.3 */
	uint8_t binding[NET_TLS_BINDING_BYTES]; /* tls-exporter (RFC 9266): the same at both ends, of this connection only */
} net_tls_peer_t;

#endif
