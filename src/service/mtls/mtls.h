/* mtls.h: one side of a TLS connection between parts of this system: it shows an X509-SVID and believes X509-SVIDs of
 * configured trust domains, or, before there is a bundle, one pinned root. What stands between engine/net, which
 * knows no SPIFFE, and domain/spiffe, which knows no connection.
 * Owns: the net_tls_t and the trust in force. Threads: the loop's. Limits: of net and spiffe.
 * Forbidden: believing a name that did not come out of mtls_t's verdict; a second bundle merged into one. */
#ifndef ATTORN_MTLS_H
#define ATTORN_MTLS_H

#include "domain/spiffe/spiffe.h"
#include "engine/net/net.h"

typedef struct mtls mtls_t;

typedef struct {
	loop_t *loop;
	bool is_client;
	net_tls_ask_t ask; /* a server's: optional or required */
	/* the only SPIFFE ID that is let in; STR_NULL: any workload's of the trust domains */
	str_t peer_id;
} mtls_options_t;

/* Makes a side without certificate and without trust: nobody gets in. Copies the strings. */
mtls_t *mtls_new(const mtls_options_t *o);
/* Gives up the caller's part; connections of it must be closed before. Accepts NULL. */
void mtls_free(mtls_t *m);
DEFINE_AUTO(mtls_t *, mtls_free);

/* For net_server_options_t.tls and net_request_t.tls; lives as long as `m`. */
net_tls_t *mtls_peek_tls(const mtls_t *m);

/* Puts our SVID in place (DER, leaf first; PKCS#8 DER): handshakes from now on show it. ERR_KEY, ERR_LIMIT: the old
 * one stays. */
MUST err_t mtls_svid_set(mtls_t *m, const str_t *chain, size_t n, str_t key_pkcs8, diag_t *diag);
/* Puts bundles in place of all before, a pin included: handshakes from now on. ERR_BUNDLE and others: nothing
 * changes. */
MUST err_t mtls_trust_set(mtls_t *m, const spiffe_bundle_t *bundles, size_t n);
/* First contact (spiffe.md 13.1): trusts, in place of all before, the one root whose DER has this SHA-256 and that
 * the peer itself shows behind its SVID, as a root of trust domain `td` alone. */
MUST err_t mtls_pin_set(mtls_t *m, str_t td, const uint8_t sha256[32]);

/* True when a handshake could succeed: there is trust, and a server has its SVID. */
bool mtls_is_ready(const mtls_t *m);
/* Why the last peer was refused: for a log, never for the peer. */
const char *mtls_peek_why(const mtls_t *m);

#endif
