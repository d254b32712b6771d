/* test_issue.c: requests and certificates that are signed elsewhere, read back by us and by OpenSSL. */
#include "pki.h"

static arena_t *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new_capped(64 << 20);
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* --- requests -------------------------------------------------------------------------------------- */

static str_t csr_by_openssl(EVP_PKEY *key, const EVP_MD *md, const char *cn)
{
	X509_REQ *r = X509_REQ_new();
	unsigned char *der = NULL;

	X509_REQ_set_version(r, 0);
	X509_REQ_set_pubkey(r, key);
	if (cn) {
		X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(r), "CN", MBSTRING_UTF8,
			(const unsigned char *)cn, -1, -1, 0);
		STACK_OF(X509_EXTENSION) *ext = sk_X509_EXTENSION_new_null();
		sk_X509_EXTENSION_push(ext, X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name,
			"URI:spiffe://example.org/who/i/want/to/be"));
		X509_REQ_add_extensions(r, ext);
		sk_X509_EXTENSION_pop_free(ext, X509_EXTENSION_free);
	}
	assert_true(X509_REQ_sign(r, key, md) > 0);
	int n = i2d_X509_REQ(r, &der);
	str_t out = arena_str(arena, str_bytes(der, (size_t)n));
	OPENSSL_free(der);
	X509_REQ_free(r);
	return out;
}

static void our_requests_are_read_by_both(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(5);
	crypto_pub_t pub;
	str_t der;

	(void)state;
	assert_int_equal(x509_csr_make(arena, key, &der), OK);
	assert_int_equal(x509_csr_verify(der, &pub), OK);
	assert_true(crypto_pub_eq(&pub, crypto_key_pub(key)));
	const unsigned char *p = (const unsigned char *)der.p;
	X509_REQ *r = d2i_X509_REQ(NULL, &p, (long)der.n);
	assert_non_null(r);
	assert_int_equal(X509_REQ_verify(r, X509_REQ_get0_pubkey(r)), 1);
	X509_REQ_free(r);
}

static void requests_of_other_hands(void **state)
{
	static const struct {
		const char *curve;
		unsigned int rsa_bits;
		const EVP_MD *(*md)(void);
		err_t expected;
	} rows[] = {
		{ "P-256", 0, EVP_sha256, OK }, { "P-384", 0, EVP_sha384, OK }, { "P-521", 0, EVP_sha512, OK },
		{ "P-384", 0, EVP_sha256, OK }, { "P-521", 0, EVP_sha256, OK }, { NULL, 2048, EVP_sha256, OK },
		{ NULL, 3072, EVP_sha384, OK }, { NULL, 4096, EVP_sha512, OK }, { "P-224", 0, EVP_sha256, ERR_CSR },
		{ "secp256k1", 0, EVP_sha256, ERR_CSR }, { NULL, 1024, EVP_sha256, ERR_CSR },
		{ "P-256", 0, EVP_sha1, ERR_CSR }, { NULL, 2048, EVP_sha1, ERR_CSR }, { "P-256", 0, EVP_sha224, ERR_CSR },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EVP_PKEY *key = rows[i].curve ? EVP_EC_gen(rows[i].curve) : EVP_RSA_gen(rows[i].rsa_bits);
		str_t der = csr_by_openssl(key, rows[i].md(), "somebody");
		crypto_pub_t pub = { 0 };

		assert_int_equal(x509_csr_verify(der, &pub), rows[i].expected);
		assert_int_equal(pub.kind != CRYPTO_KEY_NONE, rows[i].expected == OK);
		EVP_PKEY_free(key);
	}
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	crypto_pub_t pub;
	assert_int_equal(x509_csr_verify(csr_by_openssl(ed, NULL, NULL), &pub), ERR_CSR);
	EVP_PKEY_free(ed);
}

static void a_changed_request_proves_nothing(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(5);
	crypto_pub_t pub;
	str_t der;

	(void)state;
	assert_int_equal(x509_csr_make(arena, key, &der), OK);
	char *bytes = (char *)(uintptr_t)der.p;
	for (size_t i = 0; i < der.n; i++) {
		bytes[i] = (char)(bytes[i] ^ 0x01);
		assert_int_equal(x509_csr_verify(der, &pub), ERR_CSR);
		bytes[i] = (char)(bytes[i] ^ 0x01);
		assert_int_equal(x509_csr_verify(str_sub(der, 0, i), &pub), ERR_CSR);
	}
	assert_int_equal(x509_csr_verify(arena_cat(arena, der, STR("\0")), &pub), ERR_CSR);
	assert_int_equal(x509_csr_verify(der, &pub), OK);
}

/* The key of one, the signature of another: no possession (and what CSRs exist for). */
static void somebody_elses_key_in_the_request(void **state)
{
	EVP_PKEY *mine = EVP_EC_gen("P-256"), *theirs = EVP_EC_gen("P-256");
	X509_REQ *r = X509_REQ_new();
	unsigned char *der = NULL;
	crypto_pub_t pub;

	(void)state;
	X509_REQ_set_pubkey(r, theirs);
	assert_true(X509_REQ_sign(r, mine, EVP_sha256()) > 0);
	int n = i2d_X509_REQ(r, &der);
	assert_int_equal(x509_csr_verify(str_bytes(der, (size_t)n), &pub), ERR_CSR);
	OPENSSL_free(der);
	X509_REQ_free(r);
	EVP_PKEY_free(mine);
	EVP_PKEY_free(theirs);
}

/* --- certificates ------------------------------------------------------------------------------------ */

static X509 *openssl_reads(str_t der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	assert_non_null(x);
	assert_ptr_equal(p, der.p + der.n);
	unsigned char *again = NULL;
	int n = i2d_X509(x, &again); /* DER has one form: what we wrote is it */
	assert_int_equal(n, der.n);
	assert_memory_equal(again, der.p, der.n);
	OPENSSL_free(again);
	return x;
}

static void a_ca_as_others_see_it(void **state)
{
	pki_ca_t ca;

	(void)state;
	pki_ca(arena, "spiffe://example.org", 1, 86400, &ca);
	X509 *x = openssl_reads(ca.der);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	assert_int_equal(X509_check_ca(x), 1);
	assert_int_equal(X509_check_issued(x, x), X509_V_OK);
	assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_int_equal(X509_get_extended_key_usage(x), UINT32_MAX); /* none */
	X509_free(x);

	const x509_cert_t *c = &ca.cert;
	assert_true(c->ca && c->path_len == -1 && c->has_key_usage && c->key_usage_critical && !c->has_eku);
	assert_int_equal(c->key_usage, X509_USE_CERT_SIGN | X509_USE_CRL_SIGN);
	assert_int_equal(c->n_uris, 1);
	assert_true(str_eq(c->uris[0], STR("spiffe://example.org")));
	assert_true(str_starts(c->cn, STR("attorn-ca-")) && c->cn.n == 50);
	assert_true(str_eq(c->ski, c->aki) && c->ski.n == X509_KEY_ID_BYTES);
	assert_true(str_eq(c->subject, c->issuer));
	assert_int_equal(c->not_after_unix_s, PKI_NOW + 86400);
	pki_ca_done(&ca);
}

static void two_cas_never_share_a_name(void **state)
{
	pki_ca_t one, two;

	(void)state;
	pki_ca(arena, "spiffe://example.org", 1, 86400, &one);
	pki_ca(arena, "spiffe://example.org", 2, 86400, &two);
	assert_false(str_eq(one.cert.subject, two.cert.subject));
	assert_false(str_eq(one.cert.ski, two.cert.ski));
	pki_ca_done(&one);
	pki_ca_done(&two);
}

static void a_leaf_as_others_see_it(void **state)
{
	pki_ca_t ca;
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(6);
	const str_t dns[] = { STR("a.example.org"), STR("b") };
	x509_tbs_t t = { .pub = crypto_key_pub(key), .serial = { 0xff, 0xff, 3 }, .dns_names = dns,
		.n_dns_names = 2, .uri = STR("spiffe://example.org/w"), .not_before_unix_s = PKI_NOW - 10,
		.not_after_unix_s = PKI_NOW + 900 };
	str_t tbs;

	(void)state;
	pki_ca(arena, "spiffe://example.org", 1, 86400, &ca);
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), OK);
	str_t der = pki_seal(arena, &ca, tbs);
	X509 *x = openssl_reads(der);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(ca.cert.handle)), 1);
	assert_int_equal(X509_check_issued(ca.cert.handle, x), X509_V_OK);
	assert_int_equal(X509_check_host(x, "a.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(x)), 0);
	X509_free(x);

	x509_cert_t c = pki_parse(arena, der);
	assert_true(!c.ca && c.subject_empty && c.san_critical && c.has_eku && c.eku_client && c.eku_server);
	assert_true(c.key_usage == X509_USE_DIGITAL_SIGNATURE && c.key_usage_critical);
	assert_int_equal(c.n_dns_names, 2);
	assert_int_equal(c.n_sans, 3);
	assert_true(str_eq(c.dns_names[1], STR("b")));
	assert_true(str_eq(c.aki, ca.cert.ski));
	assert_int_equal(c.serial.n, 16);
	assert_int_equal((uint8_t)c.serial.p[0], 0x7f); /* positive */
	assert_true(crypto_pub_eq(&c.pub, t.pub));
	pki_ca_done(&ca);
}

static void a_common_name_when_asked(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(6);
	x509_tbs_t t = { .pub = crypto_key_pub(key), .serial = { 1 }, .uri = STR("spiffe://example.org/w"),
		.cn = STR("caf\xc3\xa9"), .not_before_unix_s = PKI_NOW, .not_after_unix_s = PKI_NOW + 9 };
	pki_ca_t ca;
	str_t tbs;

	(void)state;
	pki_ca(arena, "spiffe://example.org", 1, 86400, &ca);
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), OK);
	x509_cert_t c = pki_parse(arena, pki_seal(arena, &ca, tbs));
	assert_true(str_eq(c.cn, t.cn) && !c.subject_empty && !c.san_critical);
	pki_ca_done(&ca);
}

/* RFC 5280 4.1.2.5: both forms of time, at their border. */
static void times_around_2050(void **state)
{
	static const int64_t ends[] = { INT64_C(2524607999), INT64_C(2524608000), INT64_C(253402300799) };
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(6);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		x509_tbs_t t = { .ca = true, .pub = crypto_key_pub(key), .serial = { 1 },
			.uri = STR("spiffe://example.org"), .not_before_unix_s = 1, .not_after_unix_s = ends[i] };
		pki_ca_t ca = { .key = key };
		str_t tbs;

		assert_int_equal(x509_issuer_self(arena, t.pub, ends[i], &ca.issuer), OK);
		assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), OK);
		x509_cert_t c = pki_parse(arena, pki_seal(arena, &ca, tbs));
		assert_int_equal(c.not_after_unix_s, ends[i]);
		assert_int_equal(c.not_before_unix_s, 1);
	}
}

static void what_is_not_written(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(6);
	AUTO(crypto_key_free) crypto_key_t *ed = NULL;
	const str_t bad_dns[] = { STR("*.example.org"), STR("a..b"), STR(""), STR("-a"), STR("UPPER"), STR("a b"),
		STR("a\0b"), STR("a."), STR("a_b") };
	x509_tbs_t good = { .pub = crypto_key_pub(key), .serial = { 1 }, .uri = STR("spiffe://example.org/w"),
		.not_before_unix_s = PKI_NOW, .not_after_unix_s = PKI_NOW + 900 };
	pki_ca_t ca;
	x509_tbs_t t;
	x509_issuer_t self;
	str_t tbs;

	(void)state;
	pki_ca(arena, "spiffe://example.org", 1, 1000, &ca);
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_ED25519, &ed), OK);
	assert_int_equal(x509_tbs(arena, &good, &ca.issuer, &tbs), OK);
	t = good, memset(t.serial, 0, sizeof t.serial);
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_VALUE);
	t.serial[0] = 0x80; /* the sign bit alone is a zero too */
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_VALUE);
	t = good, t.not_after_unix_s = PKI_NOW + 1001; /* past the CA's */
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_VALUE);
	t = good, t.not_after_unix_s = t.not_before_unix_s;
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_VALUE);
	t = good, t.pub = crypto_key_pub(ed);
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_KEY);
	t = good, t.uri = STR("spiffe://example.org/w w");
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_VALUE);
	t = good, t.cn = STR("a\0b");
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_VALUE);
	for (size_t i = 0; i < ARRAY_LEN(bad_dns); i++) {
		t = good, t.dns_names = &bad_dns[i], t.n_dns_names = 1;
		assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), ERR_VALUE);
	}
	assert_int_equal(x509_issuer_self(arena, good.pub, PKI_NOW + 900, &self), OK);
	assert_int_equal(x509_tbs(arena, &good, &self, &tbs), ERR_VALUE); /* a leaf that signs itself */
	t = good, t.ca = true, t.pub = crypto_key_pub(ca.key);
	assert_int_equal(x509_tbs(arena, &t, &self, &tbs), ERR_KEY); /* self is another key's */
	assert_int_equal(x509_issuer_self(arena, crypto_key_pub(ed), PKI_NOW, &self), ERR_KEY);
	pki_ca_done(&ca);
}

static void seals_take_signatures_of_the_right_form(void **state)
{
	uint8_t sig[CRYPTO_SIG_BYTES_MAX] = { 1 };
	str_t der;

	(void)state;
	assert_int_equal(x509_seal(arena, STR("x"), CRYPTO_ES256, str_bytes(sig, 63), &der), ERR_SIGNATURE);
	assert_int_equal(x509_seal(arena, STR("x"), CRYPTO_RS256, str_bytes(sig, 255), &der), ERR_SIGNATURE);
	assert_int_equal(x509_seal(arena, STR("x"), CRYPTO_ED25519, str_bytes(sig, 64), &der), ERR_ALGORITHM);
	assert_int_equal(x509_seal(arena, STR("x"), CRYPTO_PS256, str_bytes(sig, 256), &der), ERR_ALGORITHM);
}

/* The signer's guard: a CA key signs TBSCertificates and nothing else. */
static void what_a_ca_key_may_sign(void **state)
{
	pki_ca_t ca;
	str_t tbs;
	const str_t others[] = { STR(""), STR("eyJhbGciOiJFUzI1NiJ9.e30"), STR("\x30\x00"), STR("attorn-verb/1\0{}") };

	(void)state;
	pki_ca(arena, "spiffe://example.org", 1, 1000, &ca);
	tbs = str_sub(ca.der, 4, ca.der.n); /* 30 82 xx xx, then the TBSCertificate */
	size_t n = (size_t)((uint8_t)tbs.p[2] << 8 | (uint8_t)tbs.p[3]) + 4;
	tbs = str_sub(tbs, 0, n);
	assert_true(x509_tbs_is(tbs));
	assert_false(x509_tbs_is(ca.der)); /* a whole certificate */
	assert_false(x509_tbs_is(arena_cat(arena, tbs, STR("\0"))));
	for (size_t i = 0; i < tbs.n; i++) {
		assert_false(x509_tbs_is(str_sub(tbs, 0, i)));
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_false(x509_tbs_is(others[i]));
	}
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(5);
	assert_int_equal(x509_csr_make(arena, key, &tbs), OK);
	assert_false(x509_tbs_is(tbs));
	pki_ca_done(&ca);
}

static void an_rsa_ca(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *rsa = NULL;
	x509_tbs_t t = { .ca = true, .serial = { 5 }, .uri = STR("spiffe://example.org"),
		.not_before_unix_s = PKI_NOW - 10, .not_after_unix_s = PKI_NOW + 5000 };
	str_t tbs;

	(void)state;
	assert_int_equal(crypto_key_generate_rsa(2048, &rsa), OK);
	pki_ca_t ca = { .key = rsa };
	t.pub = crypto_key_pub(rsa);
	assert_int_equal(x509_issuer_self(arena, t.pub, t.not_after_unix_s, &ca.issuer), OK);
	assert_int_equal(x509_tbs(arena, &t, &ca.issuer, &tbs), OK);
	ca.der = pki_seal(arena, &ca, tbs);
	ca.cert = pki_parse(arena, ca.der);
	X509 *x = openssl_reads(ca.der);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	X509_free(x);
	assert_int_equal(x509_issuer_of(&ca.cert, &ca.issuer), OK);
	x = openssl_reads(pki_leaf(arena, &ca, "spiffe://example.org/w"));
	assert_int_equal(X509_verify(x, X509_get0_pubkey(ca.cert.handle)), 1);
	X509_free(x);
	AUTO(crypto_key_free) crypto_key_t *p256 = pki_key(5);
	crypto_pub_t pub;
	assert_int_equal(x509_csr_make(arena, rsa, &tbs), OK);
	assert_int_equal(x509_csr_verify(tbs, &pub), OK);
	assert_int_equal(pub.kind, CRYPTO_KEY_RSA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_requests_are_read_by_both),
		cmocka_unit_test(requests_of_other_hands),
		cmocka_unit_test(a_changed_request_proves_nothing),
		cmocka_unit_test(somebody_elses_key_in_the_request),
		cmocka_unit_test(a_ca_as_others_see_it),
		cmocka_unit_test(two_cas_never_share_a_name),
		cmocka_unit_test(a_leaf_as_others_see_it),
		cmocka_unit_test(a_common_name_when_asked),
		cmocka_unit_test(times_around_2050),
		cmocka_unit_test(what_is_not_written),
		cmocka_unit_test(seals_take_signatures_of_the_right_form),
		cmocka_unit_test(what_a_ca_key_may_sign),
		cmocka_unit_test(an_rsa_ca),
	};

	return cmocka_run_group_tests_name("x509_issue", tests, setup, teardown);
}
