#include "certs.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static EVP_PKEY *key_make(const cert_spec_t *s)
{
	if (s->rsa_bits) {
		return EVP_RSA_gen((unsigned)s->rsa_bits);
	}
	if (s->ed25519) {
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	}
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", s->curve ? OBJ_nid2sn(s->curve) : "P-256");
}

static void extension_add(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	CHECK(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void name_set(X509 *x, const cert_spec_t *s, const cert_t *issuer)
{
	static int serial = 1;
	char cn[64];
	X509_NAME *name = X509_get_subject_name(x);

	snprintf(cn, sizeof(cn), "%s %d", s->uri ? "leaf" : "ca", serial);
	CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) == 1);
	CHECK(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer->x) : name) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
}

cert_t cert_make(const cert_spec_t *s)
{
	cert_t c = { X509_new(), key_make(s), STR_NULL, STR_NULL };
	char san[600];
	bool times = s->from_s || s->until_s;

	CHECK(c.x && c.key && X509_set_version(c.x, 2) == 1 && X509_set_pubkey(c.x, c.key) == 1);
	name_set(c.x, s, s->issuer);
	X509_gmtime_adj(X509_getm_notBefore(c.x), times ? s->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(c.x), times ? s->until_s : 3600);
	extension_add(c.x, NID_basic_constraints, s->uri ? "critical,CA:FALSE" : "critical,CA:TRUE");
	extension_add(c.x, NID_key_usage, s->uri ? "critical,digitalSignature" : "critical,keyCertSign");
	if (s->uri) {
		snprintf(san, sizeof(san), "URI:%s", s->uri);
		extension_add(c.x, NID_subject_alt_name, san);
	}
	EVP_PKEY *signer = s->issuer ? s->issuer->key : c.key;
	CHECK(X509_sign(c.x, signer, EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
	uint8_t *der = NULL, *p8 = NULL;
	int n = i2d_X509(c.x, &der);
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(c.key);
	int m = i2d_PKCS8_PRIV_KEY_INFO(info, &p8);
	PKCS8_PRIV_KEY_INFO_free(info);
	CHECK(n > 0 && m > 0);
	c.der = str_bytes(der, (size_t)n);
	c.pkcs8 = str_bytes(p8, (size_t)m);
	return c;
}

void cert_done(cert_t *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	OPENSSL_free((void *)(uintptr_t)c->der.p);
	OPENSSL_free((void *)(uintptr_t)c->pkcs8.p);
	*c = (cert_t){ 0 };
}

static bool path_stands(X509_STORE *store, X509 *leaf, STACK_OF(X509) *rest)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok = X509_STORE_CTX_init(ctx, store, leaf, rest) == 1 && X509_verify_cert(ctx) == 1;

	X509_STORE_CTX_free(ctx);
	return ok;
}

static void uri_of(X509 *leaf, buf_t *name)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type == GEN_URI) {
			const ASN1_IA5STRING *s = g->d.uniformResourceIdentifier;
			buf_add(name, str_bytes(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)));
		}
	}
	GENERAL_NAMES_free(names);
}

err_t cert_verify(net_tls_chain_t chain, buf_t *name, const cert_t *root)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	X509_STORE *store = X509_STORE_new();

	for (size_t i = 0; i < chain.n; i++) {
		const uint8_t *p = (const uint8_t *)chain.v[i].p;
		CHECK(sk_X509_push(all, d2i_X509(NULL, &p, (long)chain.v[i].n)) > 0);
	}
	CHECK(X509_STORE_add_cert(store, root->x) == 1);
	bool ok = path_stands(store, sk_X509_value(all, 0), all);
	if (ok) {
		uri_of(sk_X509_value(all, 0), name);
	}
	X509_STORE_free(store);
	sk_X509_pop_free(all, X509_free);
	return ok ? OK : ERR_CLIENT;
}

void cert_write(const cert_t *c, const char *dir, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s.crt", dir, name);
	FILE *f = fopen(path, "w");
	CHECK(f && PEM_write_X509(f, c->x) == 1 && fclose(f) == 0);
	snprintf(path, sizeof(path), "%s/%s.key", dir, name);
	f = fopen(path, "w");
	CHECK(f && PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
}
