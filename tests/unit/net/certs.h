/* certs.h: certificates for tests, made and verified with OpenSSL itself. */
#ifndef ATTORN_TEST_NET_CERTS_H
#define ATTORN_TEST_NET_CERTS_H

#include <openssl/x509.h>

#include "engine/net/net.h"

typedef struct {
	X509 *x;
	EVP_PKEY *key;
	str_t der, pkcs8;
} cert_t;

typedef struct {
	const char *uri; /* NULL: a CA */
	const cert_t *issuer; /* NULL: itself */
	int64_t from_s, until_s; /* relative to now; both 0: an hour either way */
	int rsa_bits; /* 0: P-256 */
	int curve; /* NID; 0: P-256 */
	bool ed25519;
} cert_spec_t;

cert_t cert_make(const cert_spec_t *s);
void cert_done(cert_t *c);
/* Path, times and URI by X509_verify_cert against one root; `name` gets the URI. */
err_t cert_verify(net_tls_chain_t chain, buf_t *name, const cert_t *root);
/* Writes certificate and key as PEM into dir/NAME.crt and .key. */
void cert_write(const cert_t *c, const char *dir, const char *name);

#endif
