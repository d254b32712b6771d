/* Project Wycheproof: signatures made to break verifiers. The files are not ours and not committed:
 * tools/fetch-wycheproof brings them.
 *
 * Rules, the same for every case:
 * - "invalid" and "acceptable" must be refused. (All acceptable cases here are PKCS#1 without the NULL of
 *   the digest's parameters: RFC 8017 A.2.4 says it shall be there.)
 * - "valid" must verify, unless a policy of ours says no, which is counted apart and printed:
 *   DER (we take fixed-width ECDSA only), size (RSA outside 2048..4096 bits), profile (a pair of curve and
 *   hash, or PSS parameters, that no JOSE algorithm names). Then it must be refused under every algorithm
 *   that fits the key. Files of a foreign profile hold a case or two that are invalid there because they
 *   were made for a profile that is ours ("s_len changed to 32"): accepted by us, counted as crossed.
 * - ECDSA in DER and RSA PKCS#1 are judged a second time as certificates are signed (crypto_verify_x509): there
 *   DER is the form, so what is valid must verify and all else must not.
 * - The number of cases run must equal the file's own numberOfTests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "pure/codec/codec.h"
#include "pure/jose/jose.h"

typedef struct {
	const char *name;
	bool mac;
} file_t;

typedef struct {
	uint64_t total, accepted, refused, by_der, by_size, by_profile, crossed, jwks, as_x509;
} tally_t;
enum { CROSSED_MAX = 2 }; /* in one file */

/* What a group of cases is about. */
typedef struct {
	crypto_pub_t pub;
	bool have_pub; /* false: our policy refused the key itself */
	crypto_alg_t alg; /* NONE: no JOSE algorithm has this profile */
	bool der;
	int x509_bits; /* the hash, where requests and certificates are signed like that; else 0 */
} group_t;

static str_t must_str(const json_t *obj, str_t key)
{
	str_t s = STR_NULL;

	assert_int_equal(json_want_str(obj, key, JSON_UNBOUNDED, &s), OK);
	return s;
}

static uint64_t must_u64(const json_t *obj, str_t key)
{
	uint64_t v = 0;

	assert_int_equal(json_want_u64(obj, key, 1 << 30, 0, &v), OK);
	return v;
}

static str_t must_hex(arena_t *a, const json_t *obj, str_t key)
{
	str_t bytes = STR_NULL;

	assert_int_equal(hex_dec(a, must_str(obj, key), 1 << 20, &bytes), OK);
	return bytes;
}

static str_t file_read(arena_t *a, const char *name)
{
	const char *deps = getenv("ATTORN_DEPS_DIR"), *root = getenv("ATTORN_ROOT");
	str_t path = deps ? arena_printf(a, "%s/wycheproof/%s", deps, name)
			  : arena_printf(a, "%s/build-deps/wycheproof/%s", root ? root : ".", name);
	const char *cpath = NULL;
	void *bytes = NULL;

	assert_int_equal(arena_cstr(a, path, &cpath), OK);
	FILE *f = fopen(cpath, "rb");
	if (!f) {
		fail_msg("%s is missing: run tools/fetch-wycheproof", cpath);
	}
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	size_t n = (size_t)ftell(f);
	rewind(f);
	assert_int_equal(arena_try(a, n, &bytes), OK);
	assert_int_equal(fread(bytes, 1, n, f), n);
	fclose(f);
	return str_bytes(bytes, n);
}

static int hash_bits(str_t sha)
{
	if (str_eq(sha, STR("SHA-256"))) {
		return 256;
	}
	if (str_eq(sha, STR("SHA-384"))) {
		return 384;
	}
	return str_eq(sha, STR("SHA-512")) ? 512 : 0;
}

static crypto_alg_t by_hash(str_t sha, crypto_alg_t a256, crypto_alg_t a384, crypto_alg_t a512)
{
	switch (hash_bits(sha)) {
	case 256:
		return a256;
	case 384:
		return a384;
	case 512:
		return a512;
	}
	return CRYPTO_ALG_NONE;
}

static crypto_alg_t group_alg(const json_t *g, str_t type, crypto_kind_t kind)
{
	str_t sha = must_str(g, STR("sha"));

	if (str_eq(type, STR("EddsaVerify"))) {
		return CRYPTO_ED25519;
	}
	if (str_eq(type, STR("RsassaPkcs1Verify"))) {
		return by_hash(sha, CRYPTO_RS256, CRYPTO_RS384, CRYPTO_RS512);
	}
	if (str_starts(type, STR("RsassaPss"))) {
		bool jose = str_eq(must_str(g, STR("mgf")), STR("MGF1")) &&
			str_eq(must_str(g, STR("mgfSha")), sha) &&
			must_u64(g, STR("sLen")) * 8 == (uint64_t)hash_bits(sha);
		return jose ? by_hash(sha, CRYPTO_PS256, CRYPTO_PS384, CRYPTO_PS512) : CRYPTO_ALG_NONE;
	}
	assert_true(str_starts(type, STR("Ecdsa")));
	crypto_alg_t alg = by_hash(sha, CRYPTO_ES256, CRYPTO_ES384, CRYPTO_ES512);
	return crypto_alg_fits(alg, kind) ? alg : CRYPTO_ALG_NONE;
}

/* Where the file gives the key as JWK too, both readings must agree. */
static void jwk_agrees(arena_t *a, const json_t *g, const group_t *group, tally_t *t)
{
	const json_t *jwk = json_get(g, STR("publicKeyJwk"));
	jose_jwk_t key;

	jwk = jwk ? jwk : json_get(g, STR("keyJwk"));
	if (!jwk || json_is_null(jwk)) {
		return;
	}
	err_t e = jose_jwk_parse(a, json_raw(jwk), &key, NULL);
	if (!group->have_pub) {
		assert_int_not_equal(e, OK);
		return;
	}
	assert_int_equal(e, OK);
	assert_true(crypto_pub_eq(&key.pub, &group->pub));
	t->jwks++;
}

static group_t group_read(arena_t *a, const json_t *g, tally_t *t)
{
	str_t type = must_str(g, STR("type"));
	group_t group = { .der = str_eq(type, STR("EcdsaVerify")) };

	if (group.der || str_eq(type, STR("RsassaPkcs1Verify"))) {
		group.x509_bits = hash_bits(must_str(g, STR("sha")));
	}

	err_t e = crypto_pub_from_spki(must_hex(a, g, STR("publicKeyDer")), &group.pub);
	group.have_pub = e == OK;
	if (!group.have_pub) { /* the one policy that refuses keys of these files */
		assert_int_equal(e, ERR_KEY);
		assert_true(must_u64(g, STR("keySize")) > CRYPTO_RSA_BITS_MAX);
	} else {
		group.alg = group_alg(g, type, group.pub.kind);
	}
	jwk_agrees(a, g, &group, t);
	return group;
}

/* True when some algorithm that fits the key, or the named one, accepts. */
static bool accepts(const group_t *g, str_t msg, str_t sig)
{
	if (!g->have_pub) {
		return false;
	}
	if (g->alg != CRYPTO_ALG_NONE) {
		return crypto_verify(&g->pub, g->alg, msg, sig) == OK;
	}
	for (int alg = CRYPTO_ED25519; alg < CRYPTO_ALG_COUNT_; alg++) {
		if (crypto_alg_fits((crypto_alg_t)alg, g->pub.kind) &&
			crypto_verify(&g->pub, (crypto_alg_t)alg, msg, sig) == OK) {
			return true;
		}
	}
	return false;
}

static void count_refused(const group_t *g, bool valid, tally_t *t)
{
	if (!valid) {
		t->refused++;
	} else if (!g->have_pub) {
		t->by_size++;
	} else if (g->der) {
		t->by_der++;
	} else if (g->alg == CRYPTO_ALG_NONE) {
		t->by_profile++;
	}
}

static void case_run_x509(arena_t *a, const json_t *c, const group_t *g, const char *file, tally_t *t)
{
	bool valid = str_eq(must_str(c, STR("result")), STR("valid"));

	if (!g->have_pub || !g->x509_bits) {
		return;
	}
	err_t e = crypto_verify_x509(&g->pub, g->x509_bits, must_hex(a, c, STR("msg")), must_hex(a, c, STR("sig")));
	if ((e == OK) != valid) {
		fail_msg("%s tcId %u as a certificate's signature: %s", file, (unsigned int)must_u64(c, STR("tcId")),
			err_info(e)->name);
	}
	t->as_x509++;
}

static void case_run(arena_t *a, const json_t *c, const group_t *g, const char *file, tally_t *t)
{
	bool valid = str_eq(must_str(c, STR("result")), STR("valid"));
	bool expected = valid && g->have_pub && !g->der && g->alg != CRYPTO_ALG_NONE;
	bool got = accepts(g, must_hex(a, c, STR("msg")), must_hex(a, c, STR("sig")));

	if (got && !valid && g->have_pub && g->alg == CRYPTO_ALG_NONE && t->crossed < CROSSED_MAX) {
		t->total++;
		t->crossed++;
		return;
	}
	if (got != expected) {
		str_t why = must_str(c, STR("comment"));
		fail_msg("%s tcId %u (%.*s): %s", file, (unsigned int)must_u64(c, STR("tcId")), STR_ARG(why),
			got ? "accepted, should be refused" : "refused, should verify");
	}
	t->total++;
	t->accepted += got;
	if (!got) {
		count_refused(g, valid, t);
	}
}

static void mac_run(arena_t *a, const json_t *g, const json_t *c, const char *file, tally_t *t)
{
	size_t tag_n = must_u64(g, STR("tagSize")) / 8;
	str_t msg = must_hex(a, c, STR("msg")), tag = must_hex(a, c, STR("tag"));
	bool valid = str_eq(must_str(c, STR("result")), STR("valid"));
	uint8_t mac[32];

	assert_true(tag_n <= sizeof mac);
	crypto_hmac_sha256(must_hex(a, c, STR("key")), &msg, 1, mac);
	bool got = tag.n == tag_n && ct_eq(mac, tag.p, tag_n);
	if (got != valid) {
		fail_msg("%s tcId %u", file, (unsigned int)must_u64(c, STR("tcId")));
	}
	t->total++;
	t->accepted += got;
	t->refused += !got;
}

static void file_run(void **state)
{
	const file_t *file = *state;
	AUTO(arena_free) arena_t *a = arena_new_capped(64 << 20);
	const json_opts_t opts = { .nodes_max = 1 << 20, .object_only = true };
	const json_t *root = NULL;
	tally_t t = { 0 };

	assert_int_equal(json_parse(a, file_read(a, file->name), &opts, &root, NULL), OK);
	const json_t *groups = json_get(root, STR("testGroups"));
	for (const json_t *g = json_first(groups); g; g = json_next(g)) {
		group_t group = { 0 };
		if (!file->mac) {
			group = group_read(a, g, &t);
		}
		for (const json_t *c = json_first(json_get(g, STR("tests"))); c; c = json_next(c)) {
			if (file->mac) {
				mac_run(a, g, c, file->name, &t);
			} else {
				case_run(a, c, &group, file->name, &t);
				case_run_x509(a, c, &group, file->name, &t);
			}
		}
	}
	printf("# %s: %llu run, %llu accepted, %llu refused; by policy: %llu DER, %llu size, %llu profile; "
	       "%llu crossed; %llu JWK equal; %llu as certificates\n",
		file->name, (unsigned long long)t.total, (unsigned long long)t.accepted,
		(unsigned long long)t.refused, (unsigned long long)t.by_der,
		(unsigned long long)t.by_size, (unsigned long long)t.by_profile,
		(unsigned long long)t.crossed, (unsigned long long)t.jwks, (unsigned long long)t.as_x509);
	assert_int_equal(t.total, must_u64(root, STR("numberOfTests")));
	assert_int_equal(t.total,
		t.accepted + t.refused + t.by_der + t.by_size + t.by_profile + t.crossed);
	assert_true(t.total > 0);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() == OK ? 0 : -1;
}

static const file_t files[] = {
	{ "ed25519_test.json", false },
	{ "hmac_sha256_test.json", true },
	{ "ecdsa_secp256r1_sha256_p1363_test.json", false },
	{ "ecdsa_secp384r1_sha384_p1363_test.json", false },
	{ "ecdsa_secp521r1_sha512_p1363_test.json", false },
	{ "ecdsa_secp256r1_sha512_p1363_test.json", false },
	{ "ecdsa_secp384r1_sha512_p1363_test.json", false },
	{ "ecdsa_secp256r1_sha256_test.json", false },
	{ "ecdsa_secp384r1_sha384_test.json", false },
	{ "ecdsa_secp521r1_sha512_test.json", false },
	{ "rsa_signature_2048_sha256_test.json", false },
	{ "rsa_signature_2048_sha384_test.json", false },
	{ "rsa_signature_2048_sha512_test.json", false },
	{ "rsa_signature_3072_sha256_test.json", false },
	{ "rsa_signature_3072_sha384_test.json", false },
	{ "rsa_signature_3072_sha512_test.json", false },
	{ "rsa_signature_4096_sha256_test.json", false },
	{ "rsa_signature_4096_sha384_test.json", false },
	{ "rsa_signature_4096_sha512_test.json", false },
	{ "rsa_signature_8192_sha256_test.json", false },
	{ "rsa_pss_2048_sha256_mgf1_32_test.json", false },
	{ "rsa_pss_2048_sha384_mgf1_48_test.json", false },
	{ "rsa_pss_3072_sha256_mgf1_32_test.json", false },
	{ "rsa_pss_4096_sha256_mgf1_32_test.json", false },
	{ "rsa_pss_4096_sha384_mgf1_48_test.json", false },
	{ "rsa_pss_4096_sha512_mgf1_64_test.json", false },
	{ "rsa_pss_2048_sha256_mgf1_0_test.json", false },
	{ "rsa_pss_2048_sha256_mgf1sha1_20_test.json", false },
	{ "rsa_pss_4096_sha512_mgf1_32_test.json", false },
	{ "rsa_pss_misc_test.json", false },
};

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(files)];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		tests[i] = (struct CMUnitTest){ .name = files[i].name, .test_func = file_run,
			.initial_state = (void *)(uintptr_t)&files[i] };
	}
	return cmocka_run_group_tests_name("wycheproof", tests, setup, NULL);
}
