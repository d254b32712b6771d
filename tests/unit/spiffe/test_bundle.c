/* test_bundle.c: bundle documents (B1 to B6 of spiffe.md 22), maps, filters, sequences. */
#include "pki.h"

#include "domain/spiffe/spiffe.h"

static arena_t *arena;
static pki_ca_t ca, ca2;
static crypto_key_t *jwt_key, *ed_key;

static int setup(void **state)
{
	(void)state;
	arena = arena_new_capped(64 << 20);
	if (crypto_init() != OK) {
		return -1;
	}
	pki_ca(arena, "spiffe://td", 1, 86400, &ca);
	pki_ca(arena, "spiffe://td", 2, 86400, &ca2);
	jwt_key = pki_key(3);
	return crypto_key_generate(CRYPTO_KEY_ED25519, &ed_key) == OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	pki_ca_done(&ca);
	pki_ca_done(&ca2);
	crypto_key_free(jwt_key);
	crypto_key_free(ed_key);
	arena_free(arena);
	return 0;
}

/* The members of a public key without braces. */
static str_t members(const crypto_pub_t *pub)
{
	str_t json;

	assert_int_equal(jose_jwk_write(arena, pub, STR_NULL, STR_NULL, &json), OK);
	return str_sub(json, 1, json.n - 2);
}

static str_t x5c(const pki_ca_t *c)
{
	return b64_enc(arena, c->der);
}

/* An x509-svid JWK of `c` whose x5c is `list`, the inside of an array. */
static str_t x509_jwk(const pki_ca_t *c, str_t list)
{
	return arena_cat(arena, STR("{\"use\":\"x509-svid\","), members(crypto_key_pub(c->key)), STR(",\"x5c\":["), list,
		STR("]}"));
}

static str_t quoted(str_t s)
{
	return arena_cat(arena, STR("\""), s, STR("\""));
}

static str_t doc_of(str_t keys, const char *more)
{
	return arena_cat(arena, STR("{\"keys\":["), keys, STR("]"), str_of(more), STR("}"));
}

static err_t parse(str_t text, spiffe_bundle_t *b)
{
	diag_t diag = { 0 };

	return spiffe_bundle_parse(arena, STR("td"), text, b, &diag);
}

static spiffe_bundle_t whole(void)
{
	static str_t ders[2];
	static jose_jwk_t keys[1];
	spiffe_bundle_t b = { .td = STR("td"), .x509 = ders, .n_x509 = 2, .jwt = { keys, 1 }, .has_sequence = true,
		.sequence = 7, .refresh_hint_s = 600 };

	ders[0] = ca.der;
	ders[1] = ca2.der;
	keys[0] = (jose_jwk_t){ .pub = *crypto_key_pub(jwt_key), .kid = jose_jkt(arena, crypto_key_pub(jwt_key)) };
	return b;
}

static void a_round_trip(void **state)
{
	spiffe_bundle_t b = whole(), again;
	str_t text, twice;

	(void)state;
	assert_int_equal(spiffe_bundle_write(arena, &b, &text), OK);
	assert_int_equal(parse(text, &again), OK);
	assert_true(spiffe_bundle_same_keys(&b, &again));
	assert_true(again.has_sequence && again.sequence == 7 && again.refresh_hint_s == 600);
	assert_int_equal(again.n_x509, 2);
	assert_true(str_eq(again.jwt.keys[0].kid, b.jwt.keys[0].kid));
	assert_int_equal(spiffe_bundle_write(arena, &again, &twice), OK);
	assert_true(str_eq(text, twice));
	/* the order in which keys were made does not show */
	str_t swapped[2] = { b.x509[1], b.x509[0] };
	b.x509 = swapped;
	assert_int_equal(spiffe_bundle_write(arena, &b, &twice), OK);
	assert_true(str_eq(text, twice));
	/* what the standard says of members */
	assert_false(str_contains(text, STR("\"use\":\"sig\"")));
	const json_t *root = NULL;
	assert_int_equal(json_parse_object(arena, text, &root, NULL), OK);
	for (const json_t *k = json_first(json_get(root, STR("keys"))); k; k = json_next(k)) {
		bool x509 = json_is_str(json_get(k, STR("use")), STR("x509-svid"));
		assert_int_equal(json_get(k, STR("kid")) == NULL, x509);
		assert_int_equal(json_count(json_get(k, STR("x5c"))), x509 ? 1 : 0);
	}
}

static void b1_the_sequence_follows_the_content(void **state)
{
	spiffe_bundle_t b = whole(), next = whole();

	(void)state;
	assert_true(spiffe_bundle_same_keys(&b, &next));
	assert_int_equal(spiffe_bundle_may_replace(&b, &next), OK); /* the same again */
	next.sequence = 6;
	assert_int_equal(spiffe_bundle_may_replace(&b, &next), ERR_CONFLICT);
	next.sequence = 8, next.n_x509 = 1;
	assert_int_equal(spiffe_bundle_may_replace(&b, &next), OK);
	assert_false(spiffe_bundle_same_keys(&b, &next));
	next.sequence = 7; /* other keys under the same number */
	assert_int_equal(spiffe_bundle_may_replace(&b, &next), ERR_CONFLICT);
	next.has_sequence = false;
	assert_int_equal(spiffe_bundle_may_replace(&b, &next), ERR_CONFLICT);
	assert_int_equal(spiffe_bundle_may_replace(&next, &b), OK);
	next = whole();
	next.jwt.n = 0;
	assert_false(spiffe_bundle_same_keys(&b, &next));
}

static void b2_unknown_kinds_are_ignored(void **state)
{
	static const char *const odd[] = { "{\"use\":\"x509-svid\",\"kty\":\"XYZ\",\"x5c\":[\"AA==\"]}", "{\"kty\":\"XYZ\"}",
		"{\"use\":\"wit-svid\",\"kid\":\"a\",\"kty\":\"EC\"}", "{\"use\":\"other\"}", "{\"use\":7}", "{}" };
	spiffe_bundle_t b;

	(void)state;
	str_t good = x509_jwk(&ca, quoted(x5c(&ca)));
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		assert_int_equal(parse(doc_of(arena_cat(arena, str_of(odd[i]), STR(","), good), ""), &b), OK);
		assert_int_equal(b.n_x509, 1);
		assert_int_equal(b.jwt.n, 0);
		assert_int_equal(parse(doc_of(str_of(odd[i]), ""), &b), OK);
		assert_int_equal(b.n_x509 + b.jwt.n, 0);
	}
	/* missing use; use of the other kind */
	str_t no_use = arena_cat(arena, STR("{\"kid\":\"a\","), members(crypto_key_pub(jwt_key)), STR("}"));
	assert_int_equal(parse(doc_of(no_use, ""), &b), OK);
	assert_int_equal(b.jwt.n, 0);
	/* a JWT key of a kind that signs no JWT-SVID, and one without kid */
	str_t ed = arena_cat(arena, STR("{\"use\":\"jwt-svid\",\"kid\":\"a\","), members(crypto_key_pub(ed_key)), STR("}"));
	str_t no_kid = arena_cat(arena, STR("{\"use\":\"jwt-svid\","), members(crypto_key_pub(jwt_key)), STR("}"));
	str_t fine = arena_cat(arena, STR("{\"use\":\"jwt-svid\",\"kid\":\"k\","), members(crypto_key_pub(jwt_key)), STR("}"));
	assert_int_equal(parse(doc_of(arena_cat(arena, ed, STR(","), no_kid, STR(","), fine), ""), &b), OK);
	assert_int_equal(b.jwt.n, 1);
	assert_true(str_eq(b.jwt.keys[0].kid, STR("k")));
	assert_int_equal(b.n_x509, 0); /* a key serves its own kind only */
}

static void b3_x5c_with_another_count(void **state)
{
	spiffe_bundle_t b;

	(void)state;
	assert_int_equal(parse(doc_of(x509_jwk(&ca, STR("")), ""), &b), OK);
	assert_int_equal(b.n_x509, 0);
	str_t two = arena_cat(arena, quoted(x5c(&ca)), STR(","), quoted(x5c(&ca2)));
	assert_int_equal(parse(doc_of(x509_jwk(&ca, two), ""), &b), OK);
	assert_int_equal(b.n_x509, 1); /* the first only */
	assert_true(str_eq(b.x509[0], ca.der));
	/* a certificate of another key than the JWK shows, no certificate, no base64 */
	assert_int_equal(parse(doc_of(x509_jwk(&ca2, quoted(x5c(&ca))), ""), &b), OK);
	assert_int_equal(b.n_x509, 0);
	assert_int_equal(parse(doc_of(x509_jwk(&ca, STR("\"AAAA\"")), ""), &b), OK);
	assert_int_equal(b.n_x509, 0);
	assert_int_equal(parse(doc_of(x509_jwk(&ca, STR("\"!\"")), ""), &b), OK);
	assert_int_equal(b.n_x509, 0);
	assert_int_equal(parse(doc_of(x509_jwk(&ca, STR("7")), ""), &b), OK);
	assert_int_equal(b.n_x509, 0);
}

static void b4_no_keys_no_trust(void **state)
{
	AUTO(spiffe_trust_free) spiffe_trust_t *t = NULL;
	x509_chain_t chain;
	spiffe_x509_svid_t svid;
	spiffe_bundle_t b;

	(void)state;
	assert_int_equal(parse(STR("{\"keys\":[]}"), &b), OK);
	assert_int_equal(spiffe_trust_new(&b, &t), OK);
	const spiffe_trust_t *v[] = { t };
	const spiffe_trusts_t trusts = { v, 1 };
	assert_int_equal(x509_chain_parse(arena, pki_leaf(arena, &ca, "spiffe://td/w"), &chain), OK);
	assert_int_equal(spiffe_x509_validate(&chain, &trusts, PKI_NOW, &svid, NULL), ERR_SVID);
	assert_int_equal(spiffe_trust_jwks(t)->n, 0);
}

static void documents_that_are_none(void **state)
{
	static const struct {
		const char *text;
		err_t expected;
	} rows[] = {
		{ "{}", ERR_BUNDLE }, { "{\"keys\":{}}", ERR_BUNDLE }, { "{\"keys\":null}", ERR_BUNDLE },
		{ "{\"keys\":[1]}", ERR_BUNDLE }, { "[]", ERR_VALUE }, { "", ERR_SYNTAX }, { "{\"keys\":[]}x", ERR_SYNTAX },
		{ "{\"keys\":[],\"keys\":[]}", ERR_DUPLICATE }, { "{\"keys\":[],\"spiffe_sequence\":-1}", ERR_BUNDLE },
		{ "{\"keys\":[],\"spiffe_sequence\":\"1\"}", ERR_BUNDLE }, { "{\"keys\":[],\"spiffe_sequence\":1.5}", ERR_BUNDLE },
		{ "{\"keys\":[],\"spiffe_refresh_hint\":-1}", ERR_BUNDLE },
	};
	spiffe_bundle_t b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(parse(str_of(rows[i].text), &b), rows[i].expected);
	}
	assert_int_equal(spiffe_bundle_parse(arena, STR("TD"), STR("{\"keys\":[]}"), &b, NULL), ERR_SPIFFE_ID);
	assert_int_equal(spiffe_bundle_parse(arena, STR("spiffe://td"), STR("{\"keys\":[]}"), &b, NULL), ERR_SPIFFE_ID);
	str_t many = STR("{}");
	for (int i = 0; i < SPIFFE_BUNDLE_KEYS_MAX; i++) {
		many = arena_cat(arena, many, STR(",{}"));
	}
	assert_int_equal(parse(doc_of(many, ""), &b), ERR_LIMIT);
}

static void b5_duplicate_domains_in_maps(void **state)
{
	spiffe_bundle_t *v = NULL;
	size_t n = 0;

	(void)state;
	str_t one = doc_of(x509_jwk(&ca, quoted(x5c(&ca))), ",\"spiffe_sequence\":3");
	str_t map = arena_cat(arena, STR("{\"trust_domains\":{\"a\":"), one, STR(",\"b\":{\"keys\":[]}}}"));
	assert_int_equal(spiffe_bundle_map_parse(arena, map, &v, &n, NULL), OK);
	assert_int_equal(n, 2);
	assert_true(str_eq(v[0].td, STR("a")) && v[0].n_x509 == 1 && v[0].sequence == 3 && v[1].n_x509 == 0);
	str_t text;
	assert_int_equal(spiffe_bundle_map_write(arena, v, n, &text), OK);
	assert_int_equal(spiffe_bundle_map_parse(arena, text, &v, &n, NULL), OK);
	assert_true(n == 2 && v[0].n_x509 == 1);

	map = arena_cat(arena, STR("{\"trust_domains\":{\"a\":"), one, STR(",\"a\":{\"keys\":[]}}}"));
	assert_int_equal(spiffe_bundle_map_parse(arena, map, &v, &n, NULL), ERR_DUPLICATE);
	map = arena_cat(arena, STR("{\"trust_domains\":{\"a\":"), one, STR(",\"\\u0061\":{\"keys\":[]}}}"));
	assert_int_equal(spiffe_bundle_map_parse(arena, map, &v, &n, NULL), ERR_DUPLICATE);
	/* all or nothing */
	map = arena_cat(arena, STR("{\"trust_domains\":{\"a\":"), one, STR(",\"b\":{}}}"));
	assert_int_equal(spiffe_bundle_map_parse(arena, map, &v, &n, NULL), ERR_BUNDLE);
	map = arena_cat(arena, STR("{\"trust_domains\":{\"spiffe://a\":"), one, STR("}}"));
	assert_int_equal(spiffe_bundle_map_parse(arena, map, &v, &n, NULL), ERR_SPIFFE_ID);
	assert_int_equal(spiffe_bundle_map_parse(arena, STR("{\"trust_domains\":[]}"), &v, &n, NULL), ERR_BUNDLE);
}

static void b6_large_sequences_are_exact(void **state)
{
	spiffe_bundle_t b, c;
	str_t text;

	(void)state;
	assert_int_equal(parse(doc_of(STR(""), ",\"spiffe_sequence\":9007199254740993"), &b), OK);
	assert_true(b.sequence == 9007199254740993u); /* 2^53 + 1, which a double cannot hold */
	assert_int_equal(spiffe_bundle_write(arena, &b, &text), OK);
	assert_true(str_contains(text, STR("9007199254740993")));
	assert_int_equal(parse(doc_of(STR(""), ",\"spiffe_sequence\":9007199254740992"), &c), OK);
	assert_int_equal(spiffe_bundle_may_replace(&b, &c), ERR_CONFLICT);
	assert_int_equal(parse(doc_of(STR(""), ",\"spiffe_sequence\":18446744073709551615"), &b), OK);
	assert_true(b.sequence == UINT64_MAX);
	assert_int_equal(parse(doc_of(STR(""), ",\"spiffe_sequence\":18446744073709551616"), &b), ERR_BUNDLE);
}

static void j6_what_the_workload_api_shows(void **state)
{
	spiffe_bundle_t b = whole();
	str_t text, ders;
	jose_jwks_t set;
	str_t *parts = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(spiffe_bundle_jwt_write(arena, &b, &text), OK);
	assert_false(str_contains(text, STR("\"use\"")) || str_contains(text, STR("x5c")));
	assert_int_equal(jose_jwks_parse(arena, text, &set, NULL), OK);
	assert_true(set.n == 1 && str_eq(set.keys[0].kid, b.jwt.keys[0].kid));
	assert_int_equal(spiffe_bundle_x509_ders(arena, &b, &ders), OK);
	assert_int_equal(x509_split(arena, ders, X509_ROOTS_MAX, &parts, &n), OK);
	assert_int_equal(n, 2);
	b.jwt.n = b.n_x509 = 0;
	assert_int_equal(spiffe_bundle_jwt_write(arena, &b, &text), OK);
	assert_true(str_eq(text, STR("{\"keys\":[]}")));
}

static void hints_are_clamped(void **state)
{
	static const uint32_t rows[][2] = { { 0, 300 }, { 1, 60 }, { 60, 60 }, { 3600, 3600 }, { 86401, 86400 },
		{ UINT32_MAX, 86400 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spiffe_bundle_t b = { .refresh_hint_s = rows[i][0] };
		assert_int_equal(spiffe_bundle_interval_s(&b), rows[i][1]);
	}
	assert_int_equal(spiffe_bundle_hint_s(86400), 8640);
	assert_int_equal(spiffe_bundle_hint_s(100), 60);
	assert_int_equal(spiffe_bundle_hint_s(-5), 60);
}

static void private_keys_are_no_keys(void **state)
{
	spiffe_bundle_t b;

	(void)state;
	str_t leaked = arena_cat(arena, STR("{\"use\":\"jwt-svid\",\"kid\":\"k\",\"d\":\"AA\","), members(crypto_key_pub(jwt_key)),
		STR("}"));
	assert_int_equal(parse(doc_of(leaked, ""), &b), OK);
	assert_int_equal(b.jwt.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_trip),
		cmocka_unit_test(b1_the_sequence_follows_the_content),
		cmocka_unit_test(b2_unknown_kinds_are_ignored),
		cmocka_unit_test(b3_x5c_with_another_count),
		cmocka_unit_test(b4_no_keys_no_trust),
		cmocka_unit_test(documents_that_are_none),
		cmocka_unit_test(b5_duplicate_domains_in_maps),
		cmocka_unit_test(b6_large_sequences_are_exact),
		cmocka_unit_test(j6_what_the_workload_api_shows),
		cmocka_unit_test(hints_are_clamped),
		cmocka_unit_test(private_keys_are_no_keys),
	};

	return cmocka_run_group_tests_name("spiffe_bundle", tests, setup, teardown);
}
