/* pki.h: CAs and certificates for tests: good ones by our own hand, odd ones by OpenSSL's. */
#ifndef PKI_H
#define PKI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/x509v3.h>

#include "pure/x509/x509.h"

enum { PKI_NOW = 1800000000 };

typedef struct {
	crypto_key_t *key;
	str_t der;
	x509_cert_t cert;
	x509_issuer_t issuer;
} pki_ca_t;

/* A self-signed CA of `td` that lives from PKI_NOW - 10 to PKI_NOW + life_s; fill makes its key. */
void pki_ca(arena_t *a, const char *td_id, uint8_t fill, int64_t life_s, pki_ca_t *out);
void pki_ca_done(pki_ca_t *ca);
/* Signs a TBSCertificate as the signer process would. */
str_t pki_seal(arena_t *a, const pki_ca_t *ca, str_t tbs);
/* A leaf for `uri` under ca, of a fixed P-256 key, valid 900 s from PKI_NOW - 10. */
str_t pki_leaf(arena_t *a, const pki_ca_t *ca, const char *uri);
x509_cert_t pki_parse(arena_t *a, str_t der);
/* A fixed P-256 key. */
crypto_key_t *pki_key(uint8_t fill);

/* What OpenSSL is to build. NULL members: left out. Extension texts as X509V3_EXT_conf_nid takes them. */
typedef struct {
	const char *cn, *basic, *usage, *eku, *san, *names; /* names: nameConstraints */
	int64_t from_s, to_s; /* relative to PKI_NOW; both 0: -10 .. +900 */
	int version; /* 0: 3 */
	const char *unknown_critical; /* an OID */
	bool twice; /* the SAN stands there twice */
	bool no_ids; /* neither SKI nor AKI */
	const EVP_MD *md; /* default SHA-256 */
} pki_odd_t;
typedef struct {
	X509 *x;
	EVP_PKEY *key;
} pki_made_t;
/* Issues; issuer NULL: self-signed. key is taken over. */
pki_made_t pki_odd(const pki_odd_t *spec, EVP_PKEY *key, const pki_made_t *issuer);
void pki_made_done(pki_made_t *m);
str_t pki_der(arena_t *a, const pki_made_t *m);

#endif
