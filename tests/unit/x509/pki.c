#include "pki.h"

crypto_key_t *pki_key(uint8_t fill)
{
	uint8_t secret[32];
	crypto_key_t *k = NULL;

	memset(secret, fill, sizeof secret);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_P256, str_bytes(secret, 32), &k), OK);
	return k;
}

str_t pki_seal(arena_t *a, const pki_ca_t *ca, str_t tbs)
{
	crypto_alg_t alg = ca->issuer.alg;
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	size_t n = 0;
	str_t der;

	assert_true(x509_tbs_is(tbs));
	assert_int_equal(crypto_key_sign_as(ca->key, alg, tbs, sig, &n), OK);
	assert_int_equal(x509_seal(a, tbs, alg, str_bytes(sig, n), &der), OK);
	return der;
}

x509_cert_t pki_parse(arena_t *a, str_t der)
{
	x509_cert_t c;

	assert_int_equal(x509_cert_parse(a, der, &c), OK);
	return c;
}

void pki_ca(arena_t *a, const char *td_id, uint8_t fill, int64_t life_s, pki_ca_t *out)
{
	pki_ca_t ca = { .key = pki_key(fill) };
	x509_tbs_t t = { .ca = true, .pub = crypto_key_pub(ca.key), .serial = { fill, 1, 2 },
		.not_before_unix_s = PKI_NOW - 10, .not_after_unix_s = PKI_NOW + life_s, .uri = str_of(td_id) };
	str_t tbs;

	assert_int_equal(x509_issuer_self(a, t.pub, t.not_after_unix_s, &ca.issuer), OK);
	assert_int_equal(x509_tbs(a, &t, &ca.issuer, &tbs), OK);
	ca.der = pki_seal(a, &ca, tbs);
	ca.cert = pki_parse(a, ca.der);
	assert_int_equal(x509_issuer_of(&ca.cert, &ca.issuer), OK);
	*out = ca;
}

void pki_ca_done(pki_ca_t *ca)
{
	crypto_key_free(ca->key);
}

str_t pki_leaf(arena_t *a, const pki_ca_t *ca, const char *uri)
{
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(77);
	x509_tbs_t t = { .pub = crypto_key_pub(key), .serial = { 9, 8, 7 }, .uri = str_of(uri),
		.not_before_unix_s = PKI_NOW - 10, .not_after_unix_s = PKI_NOW + 900 };
	str_t tbs;

	if (t.not_after_unix_s > ca->issuer.not_after_unix_s) {
		t.not_after_unix_s = ca->issuer.not_after_unix_s;
	}
	assert_int_equal(x509_tbs(a, &t, &ca->issuer, &tbs), OK);
	return pki_seal(a, ca, tbs);
}

/* --- by OpenSSL's hand ------------------------------------------------------------------------------ */

static void add(X509 *x, X509V3_CTX *names, int nid, const char *text)
{
	if (!text) {
		return;
	}
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, names, nid, text);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void add_unknown(X509 *x, const char *oid)
{
	if (!oid) {
		return;
	}
	ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *v = ASN1_OCTET_STRING_new();
	assert_int_equal(ASN1_OCTET_STRING_set(v, (const unsigned char *)"\x05\x00", 2), 1);
	X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, o, 1, v);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(v);
	ASN1_OBJECT_free(o);
}

static void add_extensions(X509 *x, const pki_odd_t *s, X509 *issuer)
{
	X509V3_CTX names;

	X509V3_set_ctx(&names, issuer, x, NULL, NULL, 0);
	add(x, &names, NID_basic_constraints, s->basic);
	add(x, &names, NID_key_usage, s->usage);
	add(x, &names, NID_ext_key_usage, s->eku);
	add(x, &names, NID_subject_alt_name, s->san);
	add(x, &names, NID_subject_alt_name, s->twice ? s->san : NULL);
	add(x, &names, NID_name_constraints, s->names);
	add(x, &names, NID_subject_key_identifier, s->no_ids ? NULL : "hash");
	add(x, &names, NID_authority_key_identifier, s->no_ids ? NULL : "keyid");
	add_unknown(x, s->unknown_critical);
}

pki_made_t pki_odd(const pki_odd_t *spec, EVP_PKEY *key, const pki_made_t *issuer)
{
	static long serial = 1000;
	bool times = spec->from_s != 0 || spec->to_s != 0;
	X509 *x = X509_new();

	assert_non_null(key);
	X509_set_version(x, spec->version ? spec->version - 1 : 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_set_pubkey(x, key);
	if (spec->cn) {
		X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
			(const unsigned char *)spec->cn, -1, -1, 0);
	}
	X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer->x : x));
	ASN1_TIME_set(X509_getm_notBefore(x), PKI_NOW + (times ? spec->from_s : -10));
	ASN1_TIME_set(X509_getm_notAfter(x), PKI_NOW + (times ? spec->to_s : 900));
	add_extensions(x, spec, issuer ? issuer->x : x);
	assert_true(X509_sign(x, issuer ? issuer->key : key, spec->md ? spec->md : EVP_sha256()) > 0);
	return (pki_made_t){ x, key };
}

void pki_made_done(pki_made_t *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->key);
}

str_t pki_der(arena_t *a, const pki_made_t *m)
{
	unsigned char *der = NULL;
	int n = i2d_X509(m->x, &der);

	assert_true(n > 0);
	str_t out = arena_str(a, str_bytes(der, (size_t)n));
	OPENSSL_free(der);
	return out;
}
