/* test_svid.c: X509-SVIDs and JWT-SVIDs, made and validated (spiffe.md 3, 4, 20, 22). */
#include "pki.h"

#include "domain/spiffe/spiffe.h"

static arena_t *arena;
static pki_ca_t ca, other;
static crypto_key_t *jwt_key, *wit_key;
static spiffe_trust_t *own_trust, *other_trust;
static spiffe_trusts_t both, own;

/* A trust domain with one CA and one JWT key. */
static spiffe_trust_t *trust_of(const char *td, const pki_ca_t *c, const crypto_key_t *key, const char *kid)
{
	str_t der = c->der;
	jose_jwk_t jwk = { .pub = *crypto_key_pub(key), .kid = str_of(kid) };
	spiffe_bundle_t b = { .td = str_of(td), .x509 = &der, .n_x509 = 1, .jwt = { &jwk, 1 } };
	spiffe_trust_t *t = NULL;

	assert_int_equal(spiffe_trust_new(&b, &t), OK);
	return t;
}

static int setup(void **state)
{
	static const spiffe_trust_t *v[2];

	(void)state;
	arena = arena_new_capped(64 << 20);
	if (crypto_init() != OK) {
		return -1;
	}
	pki_ca(arena, "spiffe://td", 1, 86400, &ca);
	pki_ca(arena, "spiffe://other", 2, 86400, &other);
	jwt_key = pki_key(3);
	wit_key = pki_key(4);
	own_trust = trust_of("td", &ca, jwt_key, "k1");
	other_trust = trust_of("other", &other, wit_key, "k2");
	v[0] = own_trust, v[1] = other_trust;
	both = (spiffe_trusts_t){ v, 2 };
	own = (spiffe_trusts_t){ v, 1 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spiffe_trust_free(own_trust);
	spiffe_trust_free(other_trust);
	pki_ca_done(&ca);
	pki_ca_done(&other);
	crypto_key_free(jwt_key);
	crypto_key_free(wit_key);
	arena_free(arena);
	return 0;
}

/* --- X509-SVID ---------------------------------------------------------------------------------------------- */

static err_t validate(str_t ders, const spiffe_trusts_t *trusts, int64_t now, spiffe_x509_svid_t *out)
{
	x509_chain_t chain;
	diag_t diag = { 0 };

	TRY(x509_chain_parse(arena, ders, &chain));
	return spiffe_x509_validate(&chain, trusts, now, out, &diag);
}

static void a_leaf_is_made_and_validated(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(9);
	const str_t dns[] = { STR("w.td") };
	spiffe_id_t id;
	spiffe_leaf_t leaf = { .id = &id, .pub = crypto_key_pub(key), .dns_names = dns, .n_dns_names = 1,
		.now_unix_s = PKI_NOW, .serial = { 1, 2, 3 } };
	spiffe_x509_svid_t svid;
	int64_t exp = 0;
	str_t tbs;

	(void)state;
	assert_int_equal(spiffe_id_parse(STR("spiffe://td/w"), &id), OK);
	assert_int_equal(spiffe_leaf_tbs(arena, &leaf, &ca.issuer, &tbs, &exp), OK);
	assert_int_equal(exp, PKI_NOW + 900); /* the default */
	str_t der = pki_seal(arena, &ca, tbs);
	assert_int_equal(validate(der, &both, PKI_NOW, &svid), OK);
	assert_true(str_eq(svid.id.text, id.text) && str_eq(svid.id.td, STR("td")));
	assert_int_equal(svid.exp_unix_s, exp);
	assert_int_equal(svid.leaf->not_before_unix_s, PKI_NOW - 10);
	assert_true(str_eq(svid.root, ca.der));
	uint8_t x5t[32];
	crypto_sha256(der, x5t);
	assert_memory_equal(x5t, svid.x5t_s256, 32);
	/* never past the CA's end; none under one that has ended */
	leaf.ttl_s = 86400, leaf.now_unix_s = PKI_NOW + 100;
	assert_int_equal(spiffe_leaf_tbs(arena, &leaf, &ca.issuer, &tbs, &exp), OK);
	assert_int_equal(exp, ca.cert.not_after_unix_s);
	leaf.now_unix_s = ca.cert.not_after_unix_s;
	assert_int_equal(spiffe_leaf_tbs(arena, &leaf, &ca.issuer, &tbs, &exp), ERR_CA_STATE);
	leaf.now_unix_s = PKI_NOW, leaf.ttl_s = 4;
	assert_int_equal(spiffe_leaf_tbs(arena, &leaf, &ca.issuer, &tbs, &exp), ERR_VALUE);
	leaf.ttl_s = 86401;
	assert_int_equal(spiffe_leaf_tbs(arena, &leaf, &ca.issuer, &tbs, &exp), ERR_VALUE);
	leaf.ttl_s = 5;
	assert_int_equal(spiffe_leaf_tbs(arena, &leaf, &ca.issuer, &tbs, &exp), OK);
}

static void a_ca_is_made_for_its_domain(void **state)
{
	AUTO(crypto_key_free) crypto_key_t *key = pki_key(9);
	const uint8_t serial[X509_NEW_SERIAL_BYTES] = { 1 };
	pki_ca_t made = { .key = key };
	spiffe_id_t id;
	str_t tbs;

	(void)state;
	assert_int_equal(spiffe_ca_tbs(arena, STR("td"), crypto_key_pub(key), PKI_NOW, 86400, serial, &tbs), OK);
	made.issuer.alg = CRYPTO_ES256;
	x509_cert_t c = pki_parse(arena, pki_seal(arena, &made, tbs));
	assert_true(c.ca && c.n_uris == 1 && !c.has_eku);
	assert_int_equal(spiffe_id_parse_td(c.uris[0], &id), OK);
	assert_int_equal(c.not_after_unix_s, PKI_NOW + 86400);
	assert_int_equal(spiffe_ca_tbs(arena, STR("TD"), crypto_key_pub(key), PKI_NOW, 86400, serial, &tbs), ERR_SPIFFE_ID);
	assert_int_equal(spiffe_ca_tbs(arena, STR("td"), crypto_key_pub(key), PKI_NOW, 0, serial, &tbs), ERR_VALUE);
}

static void only_its_own_domains_bundle(void **state)
{
	spiffe_x509_svid_t svid;
	spiffe_trusts_t none = { 0 };

	(void)state;
	assert_int_equal(validate(pki_leaf(arena, &other, "spiffe://other/w"), &both, PKI_NOW, &svid), OK);
	assert_true(str_eq(svid.id.td, STR("other")));
	/* a CA of one domain signs a name of the other: P16 */
	assert_int_equal(validate(pki_leaf(arena, &other, "spiffe://td/w"), &both, PKI_NOW, &svid), ERR_SVID);
	assert_int_equal(validate(pki_leaf(arena, &ca, "spiffe://other/w"), &both, PKI_NOW, &svid), ERR_SVID);
	assert_int_equal(validate(pki_leaf(arena, &other, "spiffe://other/w"), &own, PKI_NOW, &svid), ERR_TRUST_DOMAIN);
	assert_int_equal(validate(pki_leaf(arena, &ca, "spiffe://third/w"), &both, PKI_NOW, &svid), ERR_TRUST_DOMAIN);
	assert_int_equal(validate(pki_leaf(arena, &ca, "spiffe://td/w"), &none, PKI_NOW, &svid), ERR_TRUST_DOMAIN);
}

static void times(void **state)
{
	str_t leaf = pki_leaf(arena, &ca, "spiffe://td/w");
	spiffe_x509_svid_t svid;

	(void)state;
	assert_int_equal(validate(leaf, &both, PKI_NOW - 11, &svid), ERR_NOT_YET);
	assert_int_equal(validate(leaf, &both, PKI_NOW + 899, &svid), OK);
	assert_int_equal(validate(leaf, &both, PKI_NOW + 900, &svid), ERR_EXPIRED);
}

/* Leaves of OpenSSL's making under a root of its making, each wrong in one way. */
static void leaves_that_authenticate_nobody(void **state)
{
	static const pki_odd_t root_spec = { .cn = "root", .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign",
		.from_s = -100, .to_s = 10000 };
	static const pki_odd_t good = { .basic = "critical,CA:FALSE", .usage = "critical,digitalSignature",
		.san = "critical,URI:spiffe://td/w" };
	static const struct {
		const char *name, *basic, *usage, *san;
		err_t expected;
	} rows[] = {
		{ "good", NULL, NULL, NULL, OK },
		{ "with other names", NULL, NULL, "critical,URI:spiffe://td/w,DNS:a.b,email:a@b.c,IP:1.2.3.4", OK },
		{ "an RSA leaf's habits", NULL, "critical,digitalSignature,keyEncipherment,keyAgreement", NULL, OK },
		{ "no basicConstraints", "", NULL, NULL, OK },
		{ "a CA", "critical,CA:TRUE", NULL, NULL, ERR_SVID },
		{ "a CA that says so in full", "critical,CA:TRUE", "critical,digitalSignature,keyCertSign", NULL, ERR_SVID },
		{ "keyCertSign without being a CA", NULL, "critical,digitalSignature,keyCertSign", NULL, ERR_SVID },
		{ "cRLSign", NULL, "critical,digitalSignature,cRLSign", NULL, ERR_SVID },
		{ "no keyUsage", NULL, "", NULL, ERR_SVID },
		{ "keyUsage not critical", NULL, "digitalSignature", NULL, ERR_SVID },
		{ "no digitalSignature", NULL, "critical,keyEncipherment", NULL, ERR_SVID },
		{ "no SAN", NULL, NULL, "", ERR_SVID },
		{ "no URI", NULL, NULL, "DNS:td", ERR_SVID },
		{ "two URIs", NULL, NULL, "URI:spiffe://td/w,URI:spiffe://td/v", ERR_SVID },
		{ "two equal URIs", NULL, NULL, "URI:spiffe://td/w,URI:spiffe://td/w", ERR_SVID },
		{ "a second URI of another scheme", NULL, NULL, "URI:spiffe://td/w,URI:https://td/w", ERR_SVID },
		{ "another scheme", NULL, NULL, "URI:https://td/w", ERR_SVID },
		{ "no path", NULL, NULL, "URI:spiffe://td", ERR_SVID },
		{ "a slash alone", NULL, NULL, "URI:spiffe://td/", ERR_SVID },
		{ "L1 dots", NULL, NULL, "URI:spiffe://td/a/../w", ERR_SVID },
		{ "L1 two slashes", NULL, NULL, "URI:spiffe://td//w", ERR_SVID },
		{ "L1 a trailing slash", NULL, NULL, "URI:spiffe://td/w/", ERR_SVID },
		{ "L1 encoded dots", NULL, NULL, "URI:spiffe://td/%2e%2e/w", ERR_SVID },
		{ "upper case", NULL, NULL, "URI:spiffe://TD/w", ERR_SVID },
		{ "a port", NULL, NULL, "URI:spiffe://td:1/w", ERR_SVID },
		{ "a query", NULL, NULL, "URI:spiffe://td/w?x", ERR_SVID },
	};

	(void)state;
	pki_made_t root = pki_odd(&root_spec, EVP_EC_gen("P-256"), NULL);
	pki_ca_t c = { .der = pki_der(arena, &root) };
	AUTO(spiffe_trust_free) spiffe_trust_t *t = trust_of("td", &c, jwt_key, "k");
	const spiffe_trust_t *v[] = { t };
	const spiffe_trusts_t trusts = { v, 1 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pki_odd_t spec = good;
		spiffe_x509_svid_t svid;

		spec.basic = rows[i].basic ? rows[i].basic : good.basic;
		spec.usage = rows[i].usage ? rows[i].usage : good.usage;
		spec.san = rows[i].san ? rows[i].san : good.san;
		spec.basic = spec.basic[0] ? spec.basic : NULL;
		spec.usage = spec.usage[0] ? spec.usage : NULL;
		spec.san = spec.san[0] ? spec.san : NULL;
		spec.cn = spec.san ? NULL : "spiffe://td/w"; /* never read */
		pki_made_t m = pki_odd(&spec, EVP_EC_gen("P-256"), &root);
		err_t e = validate(pki_der(arena, &m), &trusts, PKI_NOW, &svid);
		if (e != rows[i].expected) {
			fail_msg("%s: %s", rows[i].name, err_info(e)->name);
		}
		pki_made_done(&m);
	}
	pki_made_done(&root);
}

static void a_root_is_no_svid(void **state)
{
	spiffe_x509_svid_t svid;

	(void)state;
	assert_int_equal(validate(ca.der, &both, PKI_NOW, &svid), ERR_SVID);
	/* L5: the leaf must stand first */
	str_t leaf = pki_leaf(arena, &ca, "spiffe://td/w");
	assert_int_equal(validate(arena_cat(arena, ca.der, leaf), &both, PKI_NOW, &svid), ERR_SVID);
	assert_int_equal(validate(arena_cat(arena, leaf, ca.der), &both, PKI_NOW, &svid), OK);
	assert_int_equal(validate(arena_cat(arena, leaf, leaf), &both, PKI_NOW, &svid), ERR_SVID);
	/* a leaf that signs another leaf */
	AUTO(crypto_key_free) crypto_key_t *leaf_key = pki_key(77);
	x509_issuer_t as_issuer;
	x509_cert_t cert = pki_parse(arena, leaf);
	assert_int_equal(x509_issuer_of(&cert, &as_issuer), ERR_CERTIFICATE);
}

/* --- JWT-SVID -------------------------------------------------------------------------------------------------- */

static spiffe_jwt_expect_t expecting(void)
{
	return (spiffe_jwt_expect_t){ .trusts = &both, .audience = STR("me"), .now_unix_s = PKI_NOW, .leeway_s = 10 };
}

static str_t signed_by(const crypto_key_t *key, crypto_alg_t alg, const char *header, str_t payload)
{
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	size_t n = 0;
	str_t input = arena_cat(arena, b64url_enc(arena, str_of(header)), STR("."), b64url_enc(arena, payload)), text;

	assert_int_equal(crypto_key_sign_as(key, alg, input, sig, &n), OK);
	assert_int_equal(jose_jws_seal(arena, input, str_bytes(sig, n), &text), OK);
	return text;
}

#define HEAD "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JWT\"}"
#define CLAIMS "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":1800000300,\"iat\":1800000000}"

static err_t check_jwt(str_t token, const spiffe_jwt_expect_t *x, spiffe_jwt_svid_t *out)
{
	diag_t diag = { 0 };

	return spiffe_jwt_validate(arena, token, x, out, &diag);
}

static str_t make(const str_t *aud, size_t n_aud, int64_t *exp)
{
	static spiffe_id_t id;
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	size_t n = 0;
	str_t input, token;

	assert_int_equal(spiffe_id_parse(STR("spiffe://td/w"), &id), OK);
	const spiffe_jwt_t j = { .id = &id, .aud = aud, .n_aud = n_aud, .now_unix_s = PKI_NOW, .kid = STR("k1"),
		.alg = CRYPTO_ES256, .iss = STR("https://oidc.td"), .jti = STR("j-1") };
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, exp), OK);
	assert_int_equal(crypto_key_sign_as(jwt_key, CRYPTO_ES256, input, sig, &n), OK);
	assert_int_equal(jose_jws_seal(arena, input, str_bytes(sig, n), &token), OK);
	return token;
}

static void a_token_is_made_and_validated(void **state)
{
	const str_t aud[] = { STR("you"), STR("me") };
	spiffe_jwt_expect_t x = expecting();
	spiffe_jwt_svid_t svid;
	int64_t exp = 0;
	jose_jws_t jws;

	(void)state;
	str_t token = make(aud, 2, &exp);
	assert_int_equal(exp, PKI_NOW + 300);
	assert_int_equal(check_jwt(token, &x, &svid), OK);
	assert_true(str_eq(svid.id.text, STR("spiffe://td/w")) && svid.own);
	/* J3, J4, J5 */
	assert_int_equal(jose_jws_split(arena, token, &jws, NULL), OK);
	assert_int_equal(json_count(jws.header), 3);
	assert_true(str_eq(jws.typ, STR("JWT")) && str_eq(svid.kid, STR("k1")));
	assert_true(svid.n_aud == 2 && str_eq(svid.aud[0], aud[0]) && str_eq(svid.aud[1], aud[1]));
	assert_true(svid.exp_unix_s == exp && svid.iat_unix_s == PKI_NOW);
	assert_true(str_eq(svid.iss, STR("https://oidc.td")) && str_eq(svid.jti, STR("j-1")));
	assert_null(json_get(svid.claims, STR("nbf")));
	assert_int_equal(json_kind(json_get(svid.claims, STR("aud"))), JSON_ARRAY);
	token = make(aud + 1, 1, &exp); /* one audience is a list too */
	assert_int_equal(check_jwt(token, &x, &svid), OK);
	assert_int_equal(json_kind(json_get(svid.claims, STR("aud"))), JSON_ARRAY);
}

static void what_is_not_made(void **state)
{
	const str_t empty[] = { STR("a"), STR("") };
	char big[SPIFFE_AUDIENCE_BYTES_MAX + 1];
	str_t many[SPIFFE_AUDIENCES_MAX + 1], input;
	spiffe_id_t id;
	int64_t exp = 0;

	(void)state;
	memset(big, 'a', sizeof big);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = STR("a");
	}
	assert_int_equal(spiffe_id_parse(STR("spiffe://td/w"), &id), OK);
	spiffe_jwt_t j = { .id = &id, .now_unix_s = PKI_NOW, .kid = STR("k1"), .alg = CRYPTO_ES256 };
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, &exp), ERR_AUDIENCE); /* J1 */
	j.aud = empty, j.n_aud = 2;
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, &exp), ERR_AUDIENCE);
	j.aud = many, j.n_aud = ARRAY_LEN(many);
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, &exp), ERR_LIMIT);
	str_t one = str_bytes(big, sizeof big);
	j.aud = &one, j.n_aud = 1;
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, &exp), ERR_LIMIT);
	j.aud = many, j.ttl_s = 4;
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, &exp), ERR_VALUE);
	j.ttl_s = 300, j.not_after_unix_s = PKI_NOW;
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, &exp), ERR_CA_STATE);
	j.not_after_unix_s = PKI_NOW + 100;
	assert_int_equal(spiffe_jwt_input(arena, &j, &input, &exp), OK);
	assert_int_equal(exp, PKI_NOW + 100);
}

static void j7_headers(void **state)
{
	static const struct {
		const char *header;
		err_t expected;
	} rows[] = {
		{ HEAD, OK }, { "{\"alg\":\"ES256\",\"kid\":\"k1\"}", OK }, { "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JOSE\"}", OK },
		{ "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", ERR_KEY }, { "{\"alg\":\"ES256\",\"kid\":\"\",\"typ\":\"JWT\"}", ERR_KEY },
		{ "{\"alg\":\"ES256\",\"kid\":\"k2\"}", ERR_SIGNATURE }, { "{\"alg\":\"ES256\",\"kid\":\"nobody\"}", ERR_SIGNATURE },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}", ERR_TYPE },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"jwt\"}", ERR_TYPE },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"application/JWT\"}", ERR_TYPE },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"wit+jwt\"}", ERR_TYPE },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"dpop+jwt\"}", ERR_TYPE },
		{ "{\"alg\":\"none\",\"kid\":\"k1\"}", ERR_ALGORITHM }, { "{\"alg\":\"HS256\",\"kid\":\"k1\"}", ERR_ALGORITHM },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"k1\"}", ERR_ALGORITHM }, { "{\"alg\":\"es256\",\"kid\":\"k1\"}", ERR_ALGORITHM },
		{ "{\"alg\":\"ES384\",\"kid\":\"k1\"}", ERR_SIGNATURE }, { "{\"alg\":\"RS256\",\"kid\":\"k1\"}", ERR_SIGNATURE },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"crit\":[\"x\"],\"x\":1}", ERR_CRIT },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"jku\":\"https://a\"}", ERR_KEY },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"x5c\":[]}", ERR_UNKNOWN_MEMBER },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"cty\":\"JWT\"}", ERR_UNKNOWN_MEMBER },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"x5t\":\"a\"}", ERR_UNKNOWN_MEMBER },
		{ "{\"alg\":\"ES256\",\"kid\":\"k1\",\"kid\":\"k1\"}", ERR_DUPLICATE }, { "{\"kid\":\"k1\"}", ERR_MISSING_MEMBER },
	};
	spiffe_jwt_expect_t x = expecting();
	spiffe_jwt_svid_t svid;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		err_t e = check_jwt(signed_by(jwt_key, CRYPTO_ES256, rows[i].header, STR(CLAIMS)), &x, &svid);
		if (e != rows[i].expected) {
			fail_msg("%s: %s", rows[i].header, err_info(e)->name);
		}
	}
	/* a key in the header is never one */
	str_t jwk;
	assert_int_equal(jose_jwk_write(arena, crypto_key_pub(wit_key), STR_NULL, STR_NULL, &jwk), OK);
	str_t header = arena_cat(arena, STR("{\"alg\":\"ES256\",\"kid\":\"k1\",\"jwk\":"), jwk, STR("}"));
	const char *c = NULL;
	assert_int_equal(arena_cstr(arena, header, &c), OK);
	assert_int_equal(check_jwt(signed_by(wit_key, CRYPTO_ES256, c, STR(CLAIMS)), &x, &svid), ERR_UNKNOWN_MEMBER);
	/* OAuth: without kid the keys are tried (oauth.md 4) */
	x.kid_optional = true;
	assert_int_equal(check_jwt(signed_by(jwt_key, CRYPTO_ES256, "{\"alg\":\"ES256\"}", STR(CLAIMS)), &x, &svid), OK);
	assert_int_equal(check_jwt(signed_by(wit_key, CRYPTO_ES256, "{\"alg\":\"ES256\"}", STR(CLAIMS)), &x, &svid),
		ERR_SIGNATURE);
	assert_int_equal(check_jwt(signed_by(jwt_key, CRYPTO_ES256, "{\"alg\":\"ES256\",\"kid\":\"k2\"}", STR(CLAIMS)), &x,
				 &svid), ERR_SIGNATURE);
}

static void j7_hmac_under_the_public_key(void **state)
{
	spiffe_jwt_expect_t x = expecting();
	spiffe_jwt_svid_t svid;
	uint8_t mac[32];
	str_t spki, token;

	(void)state;
	assert_int_equal(crypto_pub_to_spki(arena, crypto_key_pub(jwt_key), &spki), OK);
	str_t input = arena_cat(arena, b64url_enc(arena, STR("{\"alg\":\"HS256\",\"kid\":\"k1\"}")), STR("."),
		b64url_enc(arena, STR(CLAIMS)));
	crypto_hmac_sha256(spki, &input, 1, mac);
	assert_int_equal(jose_jws_seal(arena, input, str_bytes(mac, 32), &token), OK);
	assert_int_equal(check_jwt(token, &x, &svid), ERR_ALGORITHM);
	token = arena_cat(arena, b64url_enc(arena, STR("{\"alg\":\"none\",\"kid\":\"k1\"}")), STR("."),
		b64url_enc(arena, STR(CLAIMS)), STR("."));
	assert_int_not_equal(check_jwt(token, &x, &svid), OK);
}

static void j7_claims(void **state)
{
	static const struct {
		const char *claims;
		err_t expected;
	} rows[] = {
		{ CLAIMS, OK },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":\"me\",\"exp\":1800000300}", OK },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"a\",\"me\"],\"exp\":1800000300,\"more\":{\"x\":[1]}}", OK },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"you\"],\"exp\":1800000300}", ERR_AUDIENCE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":\"m\",\"exp\":1800000300}", ERR_AUDIENCE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":\"ME\",\"exp\":1800000300}", ERR_AUDIENCE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[],\"exp\":1800000300}", ERR_AUDIENCE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":\"\",\"exp\":1800000300}", ERR_AUDIENCE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\",7],\"exp\":1800000300}", ERR_VALUE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[[\"me\"]],\"exp\":1800000300}", ERR_VALUE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":{\"me\":1},\"exp\":1800000300}", ERR_VALUE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":null,\"exp\":1800000300}", ERR_VALUE },
		{ "{\"sub\":\"spiffe://td/w\",\"exp\":1800000300}", ERR_MISSING_MEMBER },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"]}", ERR_MISSING_MEMBER }, /* L3 */
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":null}", ERR_VALUE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":\"1800000300\"}", ERR_VALUE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":1799999990}", ERR_EXPIRED },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":1799999991}", OK }, /* within 10 s, once */
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":0}", ERR_EXPIRED },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":1800000300,\"iat\":1800000011}", ERR_NOT_YET },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":1800000300,\"nbf\":1800000011}", ERR_NOT_YET },
		{ "{\"aud\":[\"me\"],\"exp\":1800000300}", ERR_MISSING_MEMBER },
		{ "{\"sub\":\"\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_VALUE },
		{ "{\"sub\":\"spiffe://td\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_SVID },
		{ "{\"sub\":\"spiffe://td/w/\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_SVID },
		{ "{\"sub\":\"spiffe://td/../w\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_SVID },
		{ "{\"sub\":\"alice\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_SVID },
		{ "{\"sub\":\"spiffe://third/w\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_TRUST_DOMAIN },
		{ "{\"sub\":\"spiffe://other/w\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_SIGNATURE }, /* P16 */
		{ "{\"sub\":\"spiffe://td/w\",\"sub\":\"spiffe://td/v\",\"aud\":[\"me\"],\"exp\":1800000300}", ERR_DUPLICATE },
		{ "{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\"],\"exp\":1800000300,\"iss\":7}", ERR_VALUE },
		{ "[]", ERR_VALUE }, { "", ERR_SYNTAX },
	};
	spiffe_jwt_expect_t x = expecting();
	spiffe_jwt_svid_t svid;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		err_t e = check_jwt(signed_by(jwt_key, CRYPTO_ES256, HEAD, str_of(rows[i].claims)), &x, &svid);
		if (e != rows[i].expected) {
			fail_msg("%s: %s", rows[i].claims, err_info(e)->name);
		}
	}
	/* the sole audience (OAuth client assertions) */
	x.audience_sole = true;
	assert_int_equal(check_jwt(signed_by(jwt_key, CRYPTO_ES256, HEAD, STR(CLAIMS)), &x, &svid), OK);
	assert_int_equal(check_jwt(signed_by(jwt_key, CRYPTO_ES256, HEAD,
					   STR("{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\",\"you\"],\"exp\":1800000300}")), &x,
				 &svid), ERR_AUDIENCE);
	assert_int_equal(check_jwt(signed_by(jwt_key, CRYPTO_ES256, HEAD,
					   STR("{\"sub\":\"spiffe://td/w\",\"aud\":[\"me\",\"me\"],\"exp\":1800000300}")), &x,
				 &svid), ERR_AUDIENCE);
}

static void foreign_tokens(void **state)
{
	static const char head[] = "{\"alg\":\"ES256\",\"kid\":\"k2\"}";
	static const char claims[] = "{\"sub\":\"spiffe://other/w\",\"aud\":[\"me\"],\"exp\":1800000300}";
	spiffe_jwt_expect_t x = expecting();
	spiffe_jwt_svid_t svid;

	(void)state;
	str_t token = signed_by(wit_key, CRYPTO_ES256, head, str_of(claims));
	assert_int_equal(check_jwt(token, &x, &svid), OK);
	assert_false(svid.own);
	x.trusts = &own; /* not federated for this caller */
	assert_int_equal(check_jwt(token, &x, &svid), ERR_TRUST_DOMAIN);
}

/* Every algorithm a foreign SPIRE may sign with, each only with its own kind of key. */
static void nine_algorithms(void **state)
{
	static const struct {
		crypto_alg_t alg;
		const char *curve;
	} rows[] = { { CRYPTO_RS256, NULL }, { CRYPTO_RS384, NULL }, { CRYPTO_RS512, NULL }, { CRYPTO_PS256, NULL },
		{ CRYPTO_PS384, NULL }, { CRYPTO_PS512, NULL }, { CRYPTO_ES256, "P-256" } };
	AUTO(crypto_key_free) crypto_key_t *rsa = NULL;
	spiffe_jwt_expect_t x = expecting();

	(void)state;
	assert_int_equal(crypto_key_generate_rsa(2048, &rsa), OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const crypto_key_t *key = rows[i].curve ? jwt_key : rsa;
		AUTO(spiffe_trust_free) spiffe_trust_t *t = trust_of("td", &ca, key, "k");
		const spiffe_trust_t *v[] = { t };
		const spiffe_trusts_t trusts = { v, 1 };
		spiffe_jwt_svid_t svid;
		const char *header = NULL;

		str_t text = arena_cat(arena, STR("{\"alg\":\""), crypto_alg_name(rows[i].alg), STR("\",\"kid\":\"k\"}"));
		assert_int_equal(arena_cstr(arena, text, &header), OK);
		x.trusts = &trusts;
		str_t token = signed_by(key, rows[i].alg, header, STR(CLAIMS));
		assert_int_equal(check_jwt(token, &x, &svid), OK);
		/* one flipped bit of the signature */
		char *bytes = (char *)(uintptr_t)token.p;
		bytes[token.n - 20] = bytes[token.n - 20] == 'A' ? 'B' : 'A';
		assert_int_equal(check_jwt(token, &x, &svid), ERR_SIGNATURE);
	}
}

static void every_changed_character(void **state)
{
	spiffe_jwt_expect_t x = expecting();
	spiffe_jwt_svid_t svid;

	(void)state;
	str_t token = signed_by(jwt_key, CRYPTO_ES256, HEAD, STR(CLAIMS));
	char *bytes = (char *)(uintptr_t)token.p;
	for (size_t i = 0; i < token.n; i++) {
		char before = bytes[i];
		bytes[i] = before == 'A' ? 'B' : 'A';
		assert_int_not_equal(check_jwt(token, &x, &svid), OK);
		bytes[i] = before;
		assert_int_not_equal(check_jwt(str_sub(token, 0, i), &x, &svid), OK);
	}
	assert_int_equal(check_jwt(token, &x, &svid), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_is_made_and_validated),
		cmocka_unit_test(a_ca_is_made_for_its_domain),
		cmocka_unit_test(only_its_own_domains_bundle),
		cmocka_unit_test(times),
		cmocka_unit_test(leaves_that_authenticate_nobody),
		cmocka_unit_test(a_root_is_no_svid),
		cmocka_unit_test(a_token_is_made_and_validated),
		cmocka_unit_test(what_is_not_made),
		cmocka_unit_test(j7_headers),
		cmocka_unit_test(j7_hmac_under_the_public_key),
		cmocka_unit_test(j7_claims),
		cmocka_unit_test(foreign_tokens),
		cmocka_unit_test(nine_algorithms),
		cmocka_unit_test(every_changed_character),
	};

	return cmocka_run_group_tests_name("spiffe_svid", tests, setup, teardown);
}
