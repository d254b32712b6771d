/* cert.c: what a certificate says (RFC 5280 4). Our own walk finds the parts and holds them against the caps;
 * OpenSSL then reads the same bytes, and both must have seen the same key and names. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "pure/x509/x509_int.h"

DEFINE_AUTO(X509 *, X509_free);
DEFINE_AUTO(GENERAL_NAMES *, GENERAL_NAMES_free);
DEFINE_AUTO(BASIC_CONSTRAINTS *, BASIC_CONSTRAINTS_free);
DEFINE_AUTO(ASN1_BIT_STRING *, ASN1_BIT_STRING_free);
DEFINE_AUTO(EXTENDED_KEY_USAGE *, EXTENDED_KEY_USAGE_free);

/* --- the walk ------------------------------------------------------------------------------------- */

static err_t tbs_walk(str_t content, x509_cert_t *c, str_t *out_alg)
{
	rd_t r = rd_of(content);
	der_t d;

	TRY(der_read(&r, DER_CONTEXT_CONSTRUCTED + 0, 8, &d));
	ENSURE(str_eq(d.content, STR("\x02\x01\x02")), ERR_VALUE); /* version 3 */
	TRY(der_read_unsigned(&r, X509_SERIAL_BYTES_MAX, &c->serial));
	TRY(der_read(&r, DER_SEQUENCE, 128, &d));
	*out_alg = d.whole;
	TRY(der_read(&r, DER_SEQUENCE, X509_NAME_BYTES_MAX, &d));
	c->issuer = d.whole;
	TRY(der_read(&r, DER_SEQUENCE, 64, &d)); /* validity */
	TRY(der_read(&r, DER_SEQUENCE, X509_NAME_BYTES_MAX, &d));
	c->subject = d.whole;
	c->subject_empty = d.content.n == 0;
	TRY(der_read(&r, DER_SEQUENCE, CRYPTO_DER_BYTES_MAX, &d));
	c->spki = d.whole;
	return OK; /* unique ids and extensions are OpenSSL's to read */
}

static err_t cert_walk(str_t der, x509_cert_t *c)
{
	rd_t r;
	der_t d;
	str_t inner_alg, bits;

	ENSURE(der.n <= X509_DER_BYTES_MAX, ERR_LIMIT);
	TRY(der_only(der, DER_SEQUENCE, X509_DER_BYTES_MAX, &r));
	TRY(der_read(&r, DER_SEQUENCE, X509_DER_BYTES_MAX, &d));
	TRY(tbs_walk(d.content, c, &inner_alg));
	TRY(der_read(&r, DER_SEQUENCE, 128, &d));
	ENSURE(str_eq(d.whole, inner_alg), ERR_VALUE); /* RFC 5280 4.1.1.2 */
	TRY(der_read_bits(&r, CRYPTO_SIG_BYTES_MAX, &bits));
	TRY(rd_end(&r));
	TRY(crypto_pub_from_spki(c->spki, &c->pub)); /* RSA 2048..4096, known curves */
	ENSURE(x509_kind_ok(c->pub.kind), ERR_KEY);
	c->der = der;
	return OK;
}

/* --- OpenSSL's reading ---------------------------------------------------------------------------- */

static void handle_free(void *p)
{
	X509_free(p);
}

/* Both readers saw the same key and the same names (spiffe.md 20 L4). */
static err_t handle_agrees(const X509 *x, const x509_cert_t *c)
{
	const unsigned char *subject = NULL, *issuer = NULL;
	size_t subject_n = 0, issuer_n = 0;
	unsigned char *spki = NULL;

	ENSURE(X509_NAME_get0_der(X509_get_subject_name(x), &subject, &subject_n) == 1, ERR_VALUE);
	ENSURE(X509_NAME_get0_der(X509_get_issuer_name(x), &issuer, &issuer_n) == 1, ERR_VALUE);
	ENSURE(str_eq(c->subject, str_bytes(subject, subject_n)), ERR_VALUE);
	ENSURE(str_eq(c->issuer, str_bytes(issuer, issuer_n)), ERR_VALUE);
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
	bool same = n > 0 && str_eq(c->spki, str_bytes(spki, (size_t)n));
	OPENSSL_free(spki);
	return same ? OK : ERR_VALUE;
}

/* RFC 5280 4.2: no extension twice; two would be two truths. */
static err_t extensions_unique(const X509 *x)
{
	int n = X509_get_ext_count(x);

	ENSURE(n <= X509_EXTENSIONS_MAX, ERR_LIMIT);
	for (int i = 0; i < n; i++) {
		const ASN1_OBJECT *oid = X509_EXTENSION_get_object(X509_get_ext(x, i));
		ENSURE(X509_get_ext_by_OBJ(x, oid, i) < 0, ERR_DUPLICATE);
	}
	return OK;
}

static err_t time_read(const ASN1_TIME *t, int64_t *out_unix_s)
{
	struct tm tm;

	ENSURE(ASN1_TIME_to_tm(t, &tm) == 1, ERR_VALUE);
	*out_unix_s = (int64_t)timegm(&tm);
	return OK;
}

static err_t times_read(const X509 *x, x509_cert_t *c)
{
	TRY(time_read(X509_get0_notBefore(x), &c->not_before_unix_s));
	TRY(time_read(X509_get0_notAfter(x), &c->not_after_unix_s));
	return OK;
}

static err_t basic_read(const X509 *x, x509_cert_t *c)
{
	int crit = 0;
	AUTO(BASIC_CONSTRAINTS_free)
	BASIC_CONSTRAINTS *basic = X509_get_ext_d2i(x, NID_basic_constraints, &crit, NULL);

	c->path_len = -1;
	if (!basic) {
		return crit == -1 ? OK : ERR_VALUE; /* -1: absent, anything else: malformed */
	}
	c->ca = basic->ca != 0;
	if (basic->pathlen) {
		int64_t n = 0;
		ENSURE(c->ca && ASN1_INTEGER_get_int64(&n, basic->pathlen) == 1, ERR_VALUE);
		ENSURE(n >= 0 && n <= INT32_MAX, ERR_VALUE);
		c->path_len = (int32_t)n;
	}
	return OK;
}

static err_t key_usage_read(const X509 *x, x509_cert_t *c)
{
	static const uint32_t bits[] = { X509_USE_DIGITAL_SIGNATURE, X509_USE_KEY_ENCIPHERMENT,
		X509_USE_KEY_AGREEMENT, X509_USE_CERT_SIGN, X509_USE_CRL_SIGN };
	int crit = 0;
	AUTO(ASN1_BIT_STRING_free) ASN1_BIT_STRING *usage = X509_get_ext_d2i(x, NID_key_usage, &crit, NULL);

	if (!usage) {
		return crit == -1 ? OK : ERR_VALUE;
	}
	c->has_key_usage = true;
	c->key_usage_critical = crit == 1;
	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		if (ASN1_BIT_STRING_get_bit(usage, __builtin_ctz(bits[i])) == 1) {
			c->key_usage |= bits[i];
		}
	}
	return OK;
}

static err_t eku_read(const X509 *x, x509_cert_t *c)
{
	int crit = 0;
	AUTO(EXTENDED_KEY_USAGE_free)
	EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(x, NID_ext_key_usage, &crit, NULL);

	if (!eku) {
		return crit == -1 ? OK : ERR_VALUE;
	}
	c->has_eku = true;
	for (int i = 0; i < sk_ASN1_OBJECT_num(eku); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(eku, i));
		c->eku_server = c->eku_server || nid == NID_server_auth;
		c->eku_client = c->eku_client || nid == NID_client_auth;
	}
	return OK;
}

static err_t san_read(arena_t *a, const X509 *x, x509_cert_t *c)
{
	int crit = 0;
	AUTO(GENERAL_NAMES_free) GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, &crit, NULL);

	if (!names) {
		return crit == -1 ? OK : ERR_VALUE;
	}
	int n = sk_GENERAL_NAME_num(names);
	ENSURE(n >= 0 && n <= X509_SANS_MAX, ERR_LIMIT);
	str_t *uris = arena_array(a, str_t, (size_t)n + 1), *dns = arena_array(a, str_t, (size_t)n + 1);
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_URI && name->type != GEN_DNS) {
			continue;
		}
		str_t text = str_bytes(ASN1_STRING_get0_data(name->d.ia5), (size_t)ASN1_STRING_length(name->d.ia5));
		if (name->type == GEN_URI) {
			uris[c->n_uris++] = arena_str(a, text);
		} else {
			dns[c->n_dns_names++] = arena_str(a, text);
		}
	}
	c->san_critical = crit == 1;
	c->uris = uris;
	c->dns_names = dns;
	c->n_sans = (size_t)n;
	return OK;
}

static str_t octets(arena_t *a, const ASN1_OCTET_STRING *s)
{
	return s ? arena_str(a, str_bytes(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s))) : STR_NULL;
}

static err_t key_ids_read(arena_t *a, X509 *x, x509_cert_t *c)
{
	c->ski = octets(a, X509_get0_subject_key_id(x));
	c->aki = octets(a, X509_get0_authority_key_id(x));
	ENSURE(c->ski.n <= X509_KEY_ID_BYTES_MAX && c->aki.n <= X509_KEY_ID_BYTES_MAX, ERR_LIMIT);
	return OK;
}

static err_t cn_read(arena_t *a, const X509 *x, x509_cert_t *c)
{
	const X509_NAME *name = X509_get_subject_name(x);
	unsigned char *utf8 = NULL;
	int at = -1, last = -1;

	while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0) {
		last = at;
	}
	if (last < 0) {
		return OK;
	}
	int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
	bool fits = n > 0 && n <= X509_CN_BYTES_MAX;
	if (fits) {
		c->cn = arena_str(a, str_bytes(utf8, (size_t)n));
	}
	OPENSSL_free(utf8);
	return fits || n == 0 ? OK : ERR_VALUE;
}

static err_t facts_read(arena_t *a, X509 *x, x509_cert_t *c)
{
	ENSURE((X509_get_extension_flags(x) & EXFLAG_INVALID) == 0, ERR_VALUE);
	TRY(handle_agrees(x, c));
	TRY(extensions_unique(x));
	TRY(times_read(x, c));
	TRY(basic_read(x, c));
	TRY(key_usage_read(x, c));
	TRY(eku_read(x, c));
	TRY(san_read(a, x, c));
	TRY(key_ids_read(a, x, c));
	return cn_read(a, x, c);
}

static err_t cert_parse(arena_t *a, str_t der, x509_cert_t *c)
{
	const unsigned char *p = (const unsigned char *)der.p;

	TRY(cert_walk(der, c));
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	ENSURE(x, ERR_SYNTAX);
	arena_defer(a, handle_free, x); /* from here on the arena's */
	ENSURE(p == (const unsigned char *)der.p + der.n, ERR_SYNTAX);
	TRY(facts_read(a, x, c));
	c->handle = x;
	return OK;
}

MUST err_t x509_cert_parse(arena_t *a, str_t der, x509_cert_t *out)
{
	x509_cert_t c = { 0 };
	err_t e = cert_parse(a, der, &c);

	ERR_clear_error();
	if (e != OK) {
		return e == ERR_LIMIT || err_info(e)->cls == CLASS_INTERNAL ? e : ERR_CERTIFICATE;
	}
	*out = c;
	return OK;
}

/* --- chains --------------------------------------------------------------------------------------- */

MUST err_t x509_split(arena_t *a, str_t ders, size_t max, str_t **out, size_t *out_n)
{
	str_t *v = arena_array(a, str_t, max + 1);
	rd_t r = rd_of(ders);
	size_t n = 0;
	der_t d;

	while (!rd_empty(&r)) {
		ENSURE(n < max, ERR_LIMIT);
		err_t e = der_read(&r, DER_SEQUENCE, X509_DER_BYTES_MAX, &d);
		ENSURE(e == OK, e == ERR_LIMIT ? ERR_LIMIT : ERR_CERTIFICATE);
		ENSURE(d.whole.n <= X509_DER_BYTES_MAX, ERR_LIMIT);
		v[n++] = d.whole;
	}
	*out = v;
	*out_n = n;
	return OK;
}

MUST err_t x509_chain_of(arena_t *a, const str_t *ders, size_t n, x509_chain_t *out)
{
	ENSURE(n > 0, ERR_CERTIFICATE);
	ENSURE(n <= X509_CHAIN_MAX, ERR_LIMIT);
	x509_cert_t *certs = arena_array(a, x509_cert_t, n);
	for (size_t i = 0; i < n; i++) {
		ENSURE(ders[i].n <= X509_DER_BYTES_MAX, ERR_LIMIT);
	}
	for (size_t i = 0; i < n; i++) {
		TRY(x509_cert_parse(a, ders[i], &certs[i]));
	}
	*out = (x509_chain_t){ certs, n };
	return OK;
}

MUST err_t x509_chain_parse(arena_t *a, str_t ders, x509_chain_t *out)
{
	str_t *parts = NULL;
	size_t n = 0;

	TRY(x509_split(a, ders, X509_CHAIN_MAX, &parts, &n));
	return x509_chain_of(a, parts, n, out);
}

/* --- names of certificates -------------------------------------------------------------------------- */

void x509_sha256(const x509_cert_t *c, uint8_t out[32])
{
	crypto_sha256(c->der, out);
}

void x509_spki_sha256(const x509_cert_t *c, uint8_t out[32])
{
	crypto_sha256(c->spki, out);
}

void x509_sha1(const x509_cert_t *c, uint8_t out[20])
{
	unsigned int n = 0;

	CHECK(EVP_Digest(c->der.p, c->der.n, out, &n, EVP_sha1(), NULL) == 1 && n == 20);
}
