/* test_verify.c: chains against roots; what must not verify, and what is refused before any signature is
 * checked. The linker puts counters in front of OpenSSL's readers and verifiers (meson.build): caps are shown
 * by counting operations, not by time. */
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "pki.h"

static arena_t *arena;

/* --- counters ----------------------------------------------------------------------------------------- */

static int n_read, n_paths, n_signatures;
X509 *__real_d2i_X509(X509 **a, const unsigned char **in, long len);
X509 *__wrap_d2i_X509(X509 **a, const unsigned char **in, long len);
int __real_X509_verify_cert(X509_STORE_CTX *c);
int __wrap_X509_verify_cert(X509_STORE_CTX *c);
int __real_EVP_PKEY_verify(EVP_PKEY_CTX *c, const unsigned char *sig, size_t n, const unsigned char *tbs, size_t tbs_n);
int __wrap_EVP_PKEY_verify(EVP_PKEY_CTX *c, const unsigned char *sig, size_t n, const unsigned char *tbs, size_t tbs_n);

X509 *__wrap_d2i_X509(X509 **a, const unsigned char **in, long len)
{
	n_read++;
	return __real_d2i_X509(a, in, len);
}

int __wrap_X509_verify_cert(X509_STORE_CTX *c)
{
	n_paths++;
	return __real_X509_verify_cert(c);
}

int __wrap_EVP_PKEY_verify(EVP_PKEY_CTX *c, const unsigned char *sig, size_t n, const unsigned char *tbs, size_t tbs_n)
{
	n_signatures++;
	return __real_EVP_PKEY_verify(c, sig, n, tbs, tbs_n);
}

static void counters_reset(void)
{
	n_read = n_paths = n_signatures = 0;
}

/* --- a small PKI of OpenSSL's making ------------------------------------------------------------------- */

static const pki_odd_t ca_spec = { .cn = "root", .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign",
	.san = "URI:spiffe://example.org", .from_s = -1000, .to_s = 100000 };
static const pki_odd_t leaf_spec = { .basic = "critical,CA:FALSE", .usage = "critical,digitalSignature",
	.san = "critical,URI:spiffe://example.org/w" };
static pki_made_t root, middle, low, leaf, stranger;
static x509_roots_t *roots;

static pki_made_t ca_under(const char *cn, const pki_made_t *issuer)
{
	pki_odd_t spec = ca_spec;

	spec.cn = cn;
	return pki_odd(&spec, EVP_EC_gen("P-256"), issuer);
}

static x509_roots_t *roots_of(const pki_made_t *m)
{
	x509_roots_t *r = NULL;
	str_t der = pki_der(arena, m);

	assert_int_equal(x509_roots_new(&der, 1, &r), OK);
	assert_int_equal(x509_roots_count(r), 1);
	return r;
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new_capped(256 << 20);
	if (crypto_init() != OK) {
		return -1;
	}
	root = ca_under("root", NULL);
	stranger = ca_under("root", NULL); /* the same name, another key */
	middle = ca_under("middle", &root);
	low = ca_under("low", &middle);
	leaf = pki_odd(&leaf_spec, EVP_EC_gen("P-256"), &low);
	roots = roots_of(&root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	x509_roots_free(roots);
	pki_made_t *all[] = { &root, &middle, &low, &leaf, &stranger };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		pki_made_done(all[i]);
	}
	arena_free(arena);
	return 0;
}

static str_t join(const pki_made_t *const *v, size_t n)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_add(&b, pki_der(arena, v[i]));
	}
	str_t out;
	assert_int_equal(arena_dup(arena, buf_str(&b), &out), OK);
	return out;
}
#define JOIN(...)                                                                                  \
	join((const pki_made_t *[]){ __VA_ARGS__ },                                                    \
		ARRAY_LEN(((const pki_made_t *[]){ __VA_ARGS__ })))

static err_t check_at(str_t ders, const x509_roots_t *r, int64_t now)
{
	x509_chain_t chain;
	diag_t diag = { 0 };
	str_t found = STR_NULL;

	TRY(x509_chain_parse(arena, ders, &chain));
	err_t e = x509_verify(&chain, r, now, &found, &diag);
	assert_int_equal(e == OK, found.p != NULL);
	return e;
}

static err_t check(str_t ders)
{
	return check_at(ders, roots, PKI_NOW);
}

/* --- good ones ------------------------------------------------------------------------------------------ */

static void chains_that_verify(void **state)
{
	(void)state;
	assert_int_equal(check(JOIN(&leaf, &low, &middle)), OK);
	assert_int_equal(check(JOIN(&leaf, &low, &middle, &root)), OK); /* the root sent along */
	assert_int_equal(check(JOIN(&middle)), OK); /* what it is used for is the caller's to say */
}

static void the_root_that_ended_it_is_told(void **state)
{
	str_t ders[] = { pki_der(arena, &stranger), pki_der(arena, &root) }, found;
	AUTO(x509_roots_free) x509_roots_t *two = NULL;
	x509_chain_t chain;

	(void)state;
	assert_int_equal(x509_roots_new(ders, 2, &two), OK);
	assert_int_equal(x509_chain_parse(arena, JOIN(&leaf, &low, &middle), &chain), OK);
	/* two roots of one name: the key id tells them apart (spiffe.md 3) */
	assert_int_equal(x509_verify(&chain, two, PKI_NOW, &found, NULL), OK);
	assert_true(str_eq(found, ders[1]));
}

static void a_root_need_not_be_self_signed(void **state)
{
	AUTO(x509_roots_free) x509_roots_t *partial = roots_of(&low);

	(void)state;
	assert_int_equal(check_at(JOIN(&leaf), partial, PKI_NOW), OK);
	/* members behind the root were never checked, so they do not belong there */
	assert_int_equal(check_at(JOIN(&leaf, &low, &middle), partial, PKI_NOW), ERR_CERTIFICATE);
}

/* --- bad ones ------------------------------------------------------------------------------------------- */

static void l5_every_member_in_its_place(void **state)
{
	(void)state;
	assert_int_equal(check(JOIN(&leaf, &middle, &low)), ERR_CERTIFICATE);
	assert_int_equal(check(JOIN(&low, &leaf, &middle)), ERR_CERTIFICATE);
	assert_int_equal(check(JOIN(&leaf, &low)), ERR_CERTIFICATE);
	assert_int_equal(check(JOIN(&leaf, &low, &low, &middle)), ERR_CERTIFICATE);
	assert_int_equal(check(JOIN(&leaf, &low, &middle, &stranger)), ERR_CERTIFICATE);
	assert_int_equal(check(JOIN(&leaf, &stranger, &low, &middle)), ERR_CERTIFICATE);
	assert_int_equal(check(JOIN(&leaf, &leaf)), ERR_CERTIFICATE);
	assert_int_equal(check(JOIN(&leaf)), ERR_CERTIFICATE);
}

static void other_roots_and_none(void **state)
{
	AUTO(x509_roots_free) x509_roots_t *other = roots_of(&stranger);
	AUTO(x509_roots_free) x509_roots_t *none = NULL;

	(void)state;
	assert_int_equal(check_at(JOIN(&leaf, &low, &middle), other, PKI_NOW), ERR_CERTIFICATE);
	/* the true root sent along does not make itself trusted */
	assert_int_equal(check_at(JOIN(&leaf, &low, &middle, &root), other, PKI_NOW), ERR_CERTIFICATE);
	assert_int_equal(x509_roots_new(NULL, 0, &none), OK);
	assert_int_equal(check_at(JOIN(&leaf, &low, &middle), none, PKI_NOW), ERR_CERTIFICATE);
}

static void times(void **state)
{
	(void)state;
	str_t ders = JOIN(&leaf, &low, &middle);
	assert_int_equal(check_at(ders, roots, PKI_NOW - 11), ERR_NOT_YET);
	assert_int_equal(check_at(ders, roots, PKI_NOW - 10), OK);
	assert_int_equal(check_at(ders, roots, PKI_NOW + 899), OK);
	assert_int_equal(check_at(ders, roots, PKI_NOW + 900), ERR_EXPIRED); /* a second early, never late */
	/* the root has ended, the leaf has not */
	pki_odd_t spec = ca_spec;
	spec.from_s = -100, spec.to_s = 50;
	pki_made_t old = pki_odd(&spec, EVP_EC_gen("P-256"), NULL), late = pki_odd(&leaf_spec, EVP_EC_gen("P-256"), &old);
	AUTO(x509_roots_free) x509_roots_t *r = roots_of(&old);
	assert_int_equal(check_at(JOIN(&late), r, PKI_NOW + 49), OK);
	assert_int_equal(check_at(JOIN(&late), r, PKI_NOW + 50), ERR_EXPIRED);
	pki_made_done(&old);
	pki_made_done(&late);
}

/* A CA in the middle that may not be one. */
static void issuers_that_are_none(void **state)
{
	static const pki_odd_t rows[] = {
		{ .cn = "m", .basic = "critical,CA:FALSE", .usage = "critical,keyCertSign" }, /* an ordinary leaf that signs */
		{ .cn = "m", .usage = "critical,keyCertSign" }, /* no basicConstraints */
		{ .cn = "m", .basic = "critical,CA:TRUE", .usage = "critical,digitalSignature" },
		{ .cn = "m", .basic = "critical,CA:TRUE", .usage = "critical,cRLSign" },
		{ .cn = "m", .basic = "critical,CA:TRUE" }, /* de facto: keyCertSign must be told */
		{ .cn = "m", .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign", .unknown_critical = "1.2.3.4" },
		{ .cn = "m", .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign", .from_s = -500, .to_s = -1 },
		{ .cn = "m", .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign",
			.names = "critical,permitted;URI:.elsewhere.test" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pki_made_t m = pki_odd(&rows[i], EVP_EC_gen("P-256"), &root);
		pki_made_t l = pki_odd(&leaf_spec, EVP_EC_gen("P-256"), &m);
		err_t e = check(JOIN(&l, &m));
		assert_int_not_equal(e, OK);
		assert_true(e == ERR_CERTIFICATE || e == ERR_EXPIRED);
		pki_made_done(&l);
		pki_made_done(&m);
	}
	pki_odd_t zero = { .cn = "m", .basic = "critical,CA:TRUE,pathlen:0", .usage = "critical,keyCertSign" };
	pki_made_t m = pki_odd(&zero, EVP_EC_gen("P-256"), &root), n = ca_under("n", &m);
	pki_made_t l = pki_odd(&leaf_spec, EVP_EC_gen("P-256"), &n);
	assert_int_equal(check(JOIN(&l, &n, &m)), ERR_CERTIFICATE);
	pki_made_done(&l);
	pki_made_done(&n);
	pki_made_done(&m);
}

/* Shapes that are refused as they are read. */
static void certificates_that_are_not_read(void **state)
{
	pki_odd_t rows[] = { leaf_spec, leaf_spec, leaf_spec, leaf_spec };
	x509_chain_t chain;

	(void)state;
	rows[0].version = 1, rows[0].basic = rows[0].usage = rows[0].san = NULL, rows[0].no_ids = true;
	rows[1].twice = true; /* L4: two SANs, one for each reader */
	rows[2].usage = "critical,digitalSignature", rows[2].basic = "critical,CA:FALSE,pathlen:3";
	rows[3].version = 2;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pki_made_t m = pki_odd(&rows[i], EVP_EC_gen("P-256"), &low);
		assert_int_equal(x509_chain_parse(arena, JOIN(&m, &low, &middle), &chain), ERR_CERTIFICATE);
		pki_made_done(&m);
	}
	assert_int_equal(x509_chain_parse(arena, STR(""), &chain), ERR_CERTIFICATE);
	assert_int_equal(x509_chain_parse(arena, STR("\x30\x00"), &chain), ERR_CERTIFICATE);
	assert_int_equal(x509_chain_parse(arena, STR("\x30\x80\0\0"), &chain), ERR_CERTIFICATE); /* indefinite */
	assert_int_equal(x509_chain_parse(arena, STR("-----BEGIN CERTIFICATE-----"), &chain), ERR_CERTIFICATE);
}

/* No byte of a certificate can be changed, cut or added. */
static void every_changed_byte(void **state)
{
	x509_chain_t chain;

	(void)state;
	str_t der = pki_der(arena, &middle);
	char *bytes = (char *)(uintptr_t)der.p;
	for (size_t i = 0; i < der.n; i++) {
		AUTO(arena_free) arena_t *a = arena_open();
		bytes[i] = (char)(bytes[i] ^ 0x01);
		err_t e = x509_chain_parse(a, der, &chain);
		if (e == OK) {
			e = x509_verify(&chain, roots, PKI_NOW, NULL, NULL);
		}
		assert_int_not_equal(e, OK);
		bytes[i] = (char)(bytes[i] ^ 0x01);
		assert_int_not_equal(x509_chain_parse(a, str_sub(der, 0, i), &chain), OK);
	}
	assert_int_equal(check(arena_cat(arena, der, STR("\0"))), ERR_CERTIFICATE);
	assert_int_equal(check(der), OK);
}

/* L4: what is signed is what is read; a certificate whose outer and inner algorithm differ says two things. */
static void l4_weak_and_split_algorithms(void **state)
{
	pki_odd_t spec = leaf_spec;
	x509_cert_t c;

	(void)state;
	spec.md = EVP_sha1();
	pki_made_t m = pki_odd(&spec, EVP_EC_gen("P-256"), &low);
	assert_int_equal(check(JOIN(&m, &low, &middle)), ERR_CERTIFICATE);
	pki_made_done(&m);
	str_t der = arena_str(arena, pki_der(arena, &leaf));
	char *bytes = (char *)(uintptr_t)der.p;
	size_t last = 0; /* the outer ecdsa-with-SHA256, whose last byte tells the hash */
	for (size_t i = 0; i + 8 < der.n; i++) {
		if (str_eq(str_sub(der, i, 8), STR("\x2a\x86\x48\xce\x3d\x04\x03\x02"))) {
			last = i + 7;
		}
	}
	assert_true(last > 0);
	bytes[last] = 0x03;
	assert_int_equal(x509_cert_parse(arena, der, &c), ERR_CERTIFICATE);
}

/* --- caps (spiffe.md 3, 20 L8) ---------------------------------------------------------------------------- */

static EVP_PKEY *rsa_public(size_t bits)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_new();
	EVP_PKEY *key = NULL;

	assert_int_equal(BN_rand(n, (int)bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_uint32(bld, OSSL_PKEY_PARAM_RSA_E, 65537);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	assert_int_equal(EVP_PKEY_fromdata_init(maker), 1);
	assert_int_equal(EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(maker);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	return key;
}

static void keys_of_the_wrong_size_cost_nothing(void **state)
{
	static const struct {
		size_t rsa_bits;
		const char *other;
		bool fits;
	} rows[] = { { 16384, NULL, false }, { 8192, NULL, false }, { 4104, NULL, false }, { 1024, NULL, false },
		{ 2040, NULL, false }, { 0, "P-224", false }, { 0, "secp256k1", false }, { 0, "ED25519", false },
		{ 2048, NULL, true }, { 4096, NULL, true }, { 0, "P-256", true }, { 0, "P-384", true },
		{ 0, "P-521", true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EVP_PKEY *key = rows[i].rsa_bits ? rsa_public(rows[i].rsa_bits)
				: str_eq(str_of(rows[i].other), STR("ED25519")) ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
										: EVP_EC_gen(rows[i].other);
		pki_made_t m = pki_odd(&leaf_spec, key, &low);
		str_t ders = JOIN(&m, &low, &middle);
		counters_reset();
		err_t expected = rows[i].rsa_bits > 8192 ? ERR_LIMIT : ERR_CERTIFICATE; /* too long to be walked */
		assert_int_equal(check(ders), rows[i].fits ? OK : expected);
		assert_int_equal(n_read, rows[i].fits ? 3 : 0); /* refused by our own walk */
		assert_int_equal(n_paths, rows[i].fits ? 1 : 0);
		assert_int_equal(n_signatures, 0);
		/* as a root of a bundle likewise */
		AUTO(x509_roots_free) x509_roots_t *r = NULL;
		str_t one = pki_der(arena, &m);
		assert_int_equal(x509_roots_new(&one, 1, &r), rows[i].fits ? OK : expected);
		pki_made_done(&m);
	}
}

static void long_chains_cost_nothing(void **state)
{
	AUTO(buf_done) buf_t b;
	str_t der = pki_der(arena, &low);
	x509_chain_t chain;

	(void)state;
	buf_init(&b, 4 << 20);
	for (int i = 0; i < 1000; i++) {
		buf_add(&b, der);
	}
	counters_reset();
	assert_int_equal(x509_chain_parse(arena, buf_str(&b), &chain), ERR_LIMIT);
	assert_int_equal(x509_chain_parse(arena, str_sub(buf_str(&b), 0, 6 * der.n), &chain), ERR_LIMIT);
	str_t single[1000];
	for (size_t i = 0; i < ARRAY_LEN(single); i++) {
		single[i] = der;
	}
	assert_int_equal(x509_chain_of(arena, single, ARRAY_LEN(single), &chain), ERR_LIMIT);
	assert_int_equal(n_read + n_paths + n_signatures, 0);
	assert_int_equal(x509_chain_parse(arena, str_sub(buf_str(&b), 0, 5 * der.n), &chain), OK);
}

static void large_certificates_cost_nothing(void **state)
{
	AUTO(buf_done) buf_t b;
	pki_odd_t spec = leaf_spec;
	x509_chain_t chain;
	x509_cert_t c;

	(void)state;
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 900; i++) {
		buf_printf(&b, "%sDNS:name-%04d.example.org", i ? "," : "", i);
	}
	buf_byte(&b, '\0');
	spec.san = b.p;
	pki_made_t m = pki_odd(&spec, EVP_EC_gen("P-256"), &low);
	unsigned char *der = NULL;
	int n = i2d_X509(m.x, &der);
	assert_true(n > X509_DER_BYTES_MAX);
	counters_reset();
	assert_int_equal(x509_cert_parse(arena, str_bytes(der, (size_t)n), &c), ERR_LIMIT);
	assert_int_equal(x509_chain_parse(arena, str_bytes(der, (size_t)n), &chain), ERR_LIMIT);
	assert_int_equal(n_read, 0);
	OPENSSL_free(der);
	pki_made_done(&m);

	buf_clear(&b); /* below the size, above the count of names */
	for (int i = 0; i < X509_SANS_MAX + 1; i++) {
		buf_printf(&b, "%sDNS:n%d", i ? "," : "", i);
	}
	buf_byte(&b, '\0');
	spec.san = b.p;
	m = pki_odd(&spec, EVP_EC_gen("P-256"), &low);
	assert_int_equal(x509_cert_parse(arena, pki_der(arena, &m), &c), ERR_LIMIT);
	pki_made_done(&m);
}

static void too_many_roots(void **state)
{
	str_t ders[X509_ROOTS_MAX + 1];
	x509_roots_t *r = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ders); i++) {
		ders[i] = pki_der(arena, &root);
	}
	assert_int_equal(x509_roots_new(ders, ARRAY_LEN(ders), &r), ERR_LIMIT);
	assert_null(r);
}

/* --- names of certificates ---------------------------------------------------------------------------------- */

static void facts_for_selectors_and_bindings(void **state)
{
	pki_odd_t spec = leaf_spec;
	uint8_t mine[32], theirs[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	(void)state;
	spec.cn = "host-7";
	pki_made_t m = pki_odd(&spec, EVP_RSA_gen(2048), &low);
	x509_cert_t c = pki_parse(arena, pki_der(arena, &m));
	assert_true(str_eq(c.cn, STR("host-7")));
	assert_true(c.pub.kind == CRYPTO_KEY_RSA && !c.subject_empty);
	long serial = ASN1_INTEGER_get(X509_get0_serialNumber(m.x));
	assert_true(c.serial.n == 2 && (uint8_t)c.serial.p[0] == serial >> 8 && (uint8_t)c.serial.p[1] == (serial & 0xff));
	assert_int_equal(X509_digest(m.x, EVP_sha256(), theirs, &n), 1);
	x509_sha256(&c, mine);
	assert_memory_equal(mine, theirs, 32);
	assert_int_equal(X509_digest(m.x, EVP_sha1(), theirs, &n), 1);
	x509_sha1(&c, mine);
	assert_memory_equal(mine, theirs, 20);
	x509_spki_sha256(&c, mine);
	crypto_sha256(c.spki, theirs);
	assert_memory_equal(mine, theirs, 32);
	str_t spki;
	assert_int_equal(crypto_pub_to_spki(arena, &c.pub, &spki), OK);
	assert_true(str_eq(spki, c.spki));
	pki_made_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_that_verify),
		cmocka_unit_test(the_root_that_ended_it_is_told),
		cmocka_unit_test(a_root_need_not_be_self_signed),
		cmocka_unit_test(l5_every_member_in_its_place),
		cmocka_unit_test(other_roots_and_none),
		cmocka_unit_test(times),
		cmocka_unit_test(issuers_that_are_none),
		cmocka_unit_test(certificates_that_are_not_read),
		cmocka_unit_test(every_changed_byte),
		cmocka_unit_test(l4_weak_and_split_algorithms),
		cmocka_unit_test(keys_of_the_wrong_size_cost_nothing),
		cmocka_unit_test(long_chains_cost_nothing),
		cmocka_unit_test(large_certificates_cost_nothing),
		cmocka_unit_test(too_many_roots),
		cmocka_unit_test(facts_for_selectors_and_bindings),
	};

	return cmocka_run_group_tests_name("x509_verify", tests, setup, teardown);
}
