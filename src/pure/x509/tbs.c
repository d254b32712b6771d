/* tbs.c: TBSCertificates of our two profiles (RFC 5280 4.1, 4.2; X509-SVID 3, 4), written and sealed. */
#include <time.h>

#include "pure/x509/x509_int.h"

static const uint8_t oid_cn[] = { 0x55, 0x04, 0x03 };
static const uint8_t oid_key_id[] = { 0x55, 0x1d, 0x0e };
static const uint8_t oid_key_usage[] = { 0x55, 0x1d, 0x0f };
static const uint8_t oid_san[] = { 0x55, 0x1d, 0x11 };
static const uint8_t oid_basic[] = { 0x55, 0x1d, 0x13 };
static const uint8_t oid_authority_key_id[] = { 0x55, 0x1d, 0x23 };
static const uint8_t oid_eku[] = { 0x55, 0x1d, 0x25 };
/* ExtKeyUsageSyntax { serverAuth, clientAuth } */
static const uint8_t eku_both[] = { 0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01,
	0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02 };

#define OID(x) str_bytes(x, sizeof x)

/* --- names and key ids ----------------------------------------------------------------------------- */

void x509_name_cn(buf_t *b, str_t cn)
{
	size_t name = der_open(b, DER_SEQUENCE);

	if (cn.n > 0) {
		size_t set = der_open(b, DER_SET);
		size_t pair = der_open(b, DER_SEQUENCE);
		der_add(b, DER_OID, OID(oid_cn));
		der_add(b, DER_UTF8, cn);
		der_close(b, pair);
		der_close(b, set);
	}
	der_close(b, name);
}

void x509_key_id(const crypto_pub_t *pub, uint8_t out[X509_KEY_ID_BYTES])
{
	AUTO(arena_free) arena_t *a = arena_open();
	uint8_t hash[32];
	str_t spki, bits;
	rd_t r;
	der_t d;

	/* a valid crypto_pub_t always has such a form */
	CHECK(crypto_pub_to_spki(a, pub, &spki) == OK);
	CHECK(der_only(spki, DER_SEQUENCE, CRYPTO_DER_BYTES_MAX, &r) == OK);
	CHECK(der_read(&r, DER_SEQUENCE, CRYPTO_DER_BYTES_MAX, &d) == OK);
	CHECK(der_read_bits(&r, CRYPTO_DER_BYTES_MAX, &bits) == OK);
	crypto_sha256(bits, hash);
	memcpy(out, hash, X509_KEY_ID_BYTES);
}

static err_t ca_name(arena_t *a, const crypto_pub_t *pub, str_t *out_name)
{
	uint8_t id[X509_KEY_ID_BYTES];
	AUTO(buf_done) buf_t b;

	buf_init(&b, X509_NAME_BYTES_MAX);
	x509_key_id(pub, id);
	AUTO(buf_done) buf_t cn;
	buf_init(&cn, X509_CN_BYTES_MAX);
	buf_add(&cn, STR("attorn-ca-"));
	for (size_t i = 0; i < sizeof id; i++) {
		buf_printf(&cn, "%02x", id[i]);
	}
	x509_name_cn(&b, buf_str(&cn));
	TRY(buf_err(&b));
	*out_name = arena_str(a, buf_str(&b));
	return OK;
}

MUST err_t x509_issuer_self(arena_t *a, const crypto_pub_t *pub, int64_t not_after_unix_s,
	x509_issuer_t *out)
{
	uint8_t id[X509_KEY_ID_BYTES];
	x509_issuer_t issuer = { .alg = x509_alg_of_key(pub->kind), .not_after_unix_s = not_after_unix_s,
		.self = true };

	ENSURE(issuer.alg != CRYPTO_ALG_NONE, ERR_KEY);
	TRY(ca_name(a, pub, &issuer.name));
	x509_key_id(pub, id);
	issuer.key_id = arena_str(a, str_bytes(id, sizeof id));
	*out = issuer;
	return OK;
}

MUST err_t x509_issuer_of(const x509_cert_t *ca, x509_issuer_t *out)
{
	x509_issuer_t issuer = { .name = ca->subject, .key_id = ca->ski,
		.alg = x509_alg_of_key(ca->pub.kind), .not_after_unix_s = ca->not_after_unix_s };

	ENSURE(ca->ca && (ca->key_usage & X509_USE_CERT_SIGN), ERR_CERTIFICATE);
	ENSURE(!ca->subject_empty && ca->ski.n > 0 && issuer.alg != CRYPTO_ALG_NONE, ERR_CERTIFICATE);
	*out = issuer;
	return OK;
}

bool x509_dns_name_is(str_t name)
{
	str_t rest = name, label;

	if (name.n == 0 || name.n > X509_DNS_NAME_BYTES_MAX) {
		return false;
	}
	while (str_split(&rest, '.', &label)) {
		if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-') {
			return false;
		}
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];
			bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
			if (!fits) {
				return false;
			}
		}
	}
	return true;
}

/* --- parts ---------------------------------------------------------------------------------------- */

/* RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050. */
static void time_add(buf_t *b, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	CHECK(gmtime_r(&t, &tm) != NULL);
	int year = tm.tm_year + 1900;
	size_t at = der_open(b, year < 2050 ? DER_UTC_TIME : DER_GENERAL_TIME);
	if (year < 2050) {
		buf_printf(b, "%02d", year % 100);
	} else {
		buf_printf(b, "%04d", year);
	}
	buf_printf(b, "%02d%02d%02d%02d%02dZ", tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	der_close(b, at);
}

static void extension_add(buf_t *b, str_t oid, bool critical, str_t value)
{
	size_t at = der_open(b, DER_SEQUENCE);

	der_add(b, DER_OID, oid);
	if (critical) {
		der_add(b, DER_BOOLEAN, STR("\xff"));
	}
	der_add(b, DER_OCTET_STRING, value);
	der_close(b, at);
}

static void key_ids_add(buf_t *b, const x509_tbs_t *t, const x509_issuer_t *issuer)
{
	uint8_t id[X509_KEY_ID_BYTES], own[2 + X509_KEY_ID_BYTES];
	uint8_t other[4 + X509_KEY_ID_BYTES_MAX];
	size_t n = issuer->key_id.n;

	x509_key_id(t->pub, id);
	own[0] = DER_OCTET_STRING;
	own[1] = X509_KEY_ID_BYTES;
	memcpy(own + 2, id, sizeof id);
	extension_add(b, OID(oid_key_id), false, str_bytes(own, sizeof own));
	CHECK(n > 0 && n <= X509_KEY_ID_BYTES_MAX);
	other[0] = DER_SEQUENCE;
	other[1] = (uint8_t)(n + 2);
	other[2] = DER_CONTEXT + 0; /* keyIdentifier */
	other[3] = (uint8_t)n;
	memcpy(other + 4, issuer->key_id.p, n);
	extension_add(b, OID(oid_authority_key_id), false, str_bytes(other, n + 4));
}

static err_t san_add(buf_t *b, const x509_tbs_t *t, bool critical)
{
	AUTO(buf_done) buf_t names;

	buf_init(&names, X509_TBS_BYTES_MAX);
	size_t at = der_open(&names, DER_SEQUENCE);
	der_add(&names, DER_CONTEXT + 6, t->uri);
	for (size_t i = 0; i < t->n_dns_names; i++) {
		der_add(&names, DER_CONTEXT + 2, t->dns_names[i]);
	}
	der_close(&names, at);
	TRY(buf_err(&names));
	extension_add(b, OID(oid_san), critical, buf_str(&names));
	return OK;
}

static err_t extensions_add(buf_t *b, const x509_tbs_t *t, const x509_issuer_t *issuer)
{
	size_t outer = der_open(b, DER_CONTEXT_CONSTRUCTED + 3);
	size_t list = der_open(b, DER_SEQUENCE);

	if (t->ca) { /* keyCertSign, cRLSign; cA TRUE */
		extension_add(b, OID(oid_key_usage), true, STR("\x03\x02\x01\x06"));
		extension_add(b, OID(oid_basic), true, STR("\x30\x03\x01\x01\xff"));
	} else { /* digitalSignature alone (RFC 8813 3); cA FALSE */
		extension_add(b, OID(oid_key_usage), true, STR("\x03\x02\x07\x80"));
		extension_add(b, OID(oid_eku), false, OID(eku_both));
		extension_add(b, OID(oid_basic), true, STR("\x30\x00"));
	}
	key_ids_add(b, t, issuer);
	TRY(san_add(b, t, !t->ca && t->cn.n == 0));
	der_close(b, list);
	der_close(b, outer);
	return buf_err(b);
}

static err_t serial_add(buf_t *b, const x509_tbs_t *t)
{
	uint8_t serial[X509_NEW_SERIAL_BYTES], any = 0;

	memcpy(serial, t->serial, sizeof serial);
	serial[0] &= 0x7f;
	for (size_t i = 0; i < sizeof serial; i++) {
		any |= serial[i];
	}
	ENSURE(any != 0, ERR_VALUE); /* RFC 5280 4.1.2.2: positive; and somebody forgot to draw it */
	der_add_unsigned(b, str_bytes(serial, sizeof serial));
	return OK;
}

/* --- the whole ------------------------------------------------------------------------------------ */

static err_t tbs_check(const x509_tbs_t *t, const x509_issuer_t *issuer)
{
	const int64_t end_of_time = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */

	ENSURE(x509_kind_ok(t->pub->kind), ERR_KEY);
	ENSURE(t->not_before_unix_s > 0 && t->not_before_unix_s < t->not_after_unix_s, ERR_VALUE);
	ENSURE(t->not_after_unix_s <= issuer->not_after_unix_s, ERR_VALUE);
	ENSURE(t->not_after_unix_s <= end_of_time, ERR_VALUE);
	ENSURE(t->uri.n <= X509_URI_BYTES_MAX && str_is_visible(t->uri), ERR_VALUE);
	ENSURE(t->n_dns_names <= X509_DNS_NAMES_MAX && t->cn.n <= 64, ERR_VALUE); /* ub-common-name */
	ENSURE(!t->ca || (t->n_dns_names == 0 && t->cn.n == 0), ERR_VALUE);
	ENSURE(t->ca || !issuer->self, ERR_VALUE); /* a leaf signs nothing, so not itself either */
	ENSURE(str_is_utf8(t->cn) && !str_has_nul(t->cn), ERR_VALUE);
	for (size_t i = 0; i < t->n_dns_names; i++) {
		ENSURE(x509_dns_name_is(t->dns_names[i]), ERR_VALUE);
	}
	return OK;
}

static err_t subject_add(arena_t *a, buf_t *b, const x509_tbs_t *t, const x509_issuer_t *issuer)
{
	str_t name;

	if (!t->ca) {
		x509_name_cn(b, t->cn);
		return OK;
	}
	TRY(ca_name(a, t->pub, &name));
	ENSURE(!issuer->self || str_eq(name, issuer->name), ERR_KEY); /* self is another key's */
	buf_add(b, name);
	return OK;
}

static err_t tbs_write(arena_t *a, buf_t *b, const x509_tbs_t *t, const x509_issuer_t *issuer)
{
	const x509_alg_t *alg = x509_alg_for(issuer->alg);
	str_t spki;

	ENSURE(alg, ERR_ALGORITHM);
	TRY(crypto_pub_to_spki(a, t->pub, &spki));
	size_t tbs = der_open(b, DER_SEQUENCE);
	size_t version = der_open(b, DER_CONTEXT_CONSTRUCTED + 0);
	der_add_unsigned(b, STR("\x02")); /* v3 */
	der_close(b, version);
	TRY(serial_add(b, t));
	buf_add(b, alg->der);
	buf_add(b, issuer->name);
	size_t validity = der_open(b, DER_SEQUENCE);
	time_add(b, t->not_before_unix_s);
	time_add(b, t->not_after_unix_s);
	der_close(b, validity);
	TRY(subject_add(a, b, t, issuer));
	buf_add(b, spki);
	TRY(extensions_add(b, t, issuer));
	der_close(b, tbs);
	return buf_err(b);
}

MUST err_t x509_tbs(arena_t *a, const x509_tbs_t *t, const x509_issuer_t *issuer, str_t *out_tbs)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, X509_TBS_BYTES_MAX);
	TRY(tbs_check(t, issuer));
	TRY(tbs_write(a, &b, t, issuer));
	*out_tbs = arena_str(a, buf_str(&b));
	return OK;
}

MUST err_t x509_seal(arena_t *a, str_t tbs, crypto_alg_t alg, str_t signature, str_t *out_der)
{
	const x509_alg_t *info = x509_alg_for(alg);
	AUTO(buf_done) buf_t b;

	buf_init(&b, X509_DER_BYTES_MAX);
	ENSURE(info, ERR_ALGORITHM);
	size_t at = der_open(&b, DER_SEQUENCE);
	buf_add(&b, tbs);
	buf_add(&b, info->der);
	TRY(x509_signature_add(&b, alg, signature));
	der_close(&b, at);
	TRY(buf_err(&b));
	*out_der = arena_str(a, buf_str(&b));
	return OK;
}

static err_t tbs_walk(str_t der)
{
	der_t d;
	rd_t r, v;
	str_t number;

	TRY(der_only(der, DER_SEQUENCE, X509_TBS_BYTES_MAX, &r));
	TRY(der_read(&r, DER_CONTEXT_CONSTRUCTED + 0, 8, &d));
	v = rd_of(d.content);
	TRY(der_read_unsigned(&v, 1, &number));
	TRY(rd_end(&v));
	ENSURE(number.p[0] == 2, ERR_SYNTAX);
	TRY(der_read_unsigned(&r, X509_SERIAL_BYTES_MAX, &number));
	TRY(der_read(&r, DER_SEQUENCE, 64, &d));
	ENSURE(x509_alg_by_der(d.whole), ERR_ALGORITHM);
	TRY(der_read(&r, DER_SEQUENCE, X509_NAME_BYTES_MAX, &d)); /* issuer */
	TRY(der_read(&r, DER_SEQUENCE, 64, &d)); /* validity */
	TRY(der_read(&r, DER_SEQUENCE, X509_NAME_BYTES_MAX, &d)); /* subject */
	TRY(der_read(&r, DER_SEQUENCE, CRYPTO_DER_BYTES_MAX, &d));
	TRY(der_read(&r, DER_CONTEXT_CONSTRUCTED + 3, X509_TBS_BYTES_MAX, &d));
	return rd_end(&r);
}

bool x509_tbs_is(str_t der)
{
	return der.n <= X509_TBS_BYTES_MAX && tbs_walk(der) == OK;
}
