/* jwk.c: public keys as JSON (RFC 7517, 7518 6, 8037 2) and their thumbprints (RFC 7638). */
#include "pure/jose/jose_int.h"

MUST err_t jose_json(arena_t *a, str_t text, size_t bytes_max, const json_t **out, diag_t *diag)
{
	const json_opts_t opts = { .depth_max = JOSE_DEPTH_MAX, .bytes_max = bytes_max,
		.object_only = true };

	ENSURE(text.n > 0, ERR_SYNTAX);
	return json_parse(a, text, &opts, out, diag);
}

MUST err_t jose_take(arena_t *a, jw_t *w, buf_t *b, str_t *out)
{
	TRY(jw_finish(w));
	return arena_dup(a, buf_str(b), out);
}

/* --- reading ------------------------------------------------------------------------------------ */

MUST err_t jose_jwk_is_public(const json_t *jwk, diag_t *diag)
{
	/* RFC 7518 6.2.2, 6.3.2, 6.4.1; priv: keys of type AKP */
	static const str_t private_members[] = { STR_INIT("d"), STR_INIT("p"), STR_INIT("q"),
		STR_INIT("dp"), STR_INIT("dq"), STR_INIT("qi"), STR_INIT("oth"), STR_INIT("k"),
		STR_INIT("priv") };

	for (size_t i = 0; i < ARRAY_LEN(private_members); i++) {
		if (json_get(jwk, private_members[i])) {
			jose_say(diag, "a private key where a public one belongs");
			return ERR_KEY;
		}
	}
	return OK;
}

static err_t jwk_read_okp(const json_t *jwk, crypto_pub_t *out)
{
	str_t crv, x;
	uint8_t raw[32];

	TRY(json_need_str(jwk, STR("crv"), JOSE_TYP_BYTES_MAX, &crv));
	ENSURE(str_eq(crv, STR("Ed25519")), ERR_KEY);
	TRY(json_need_str(jwk, STR("x"), JOSE_JWK_BYTES_MAX, &x));
	ENSURE(b64url_dec_exact(x, raw, sizeof raw) == OK, ERR_KEY);
	return crypto_pub_ed25519(str_bytes(raw, sizeof raw), out);
}

static crypto_kind_t curve_by_name(str_t crv)
{
	if (str_eq(crv, STR("P-256"))) {
		return CRYPTO_KEY_P256;
	}
	if (str_eq(crv, STR("P-384"))) {
		return CRYPTO_KEY_P384;
	}
	return str_eq(crv, STR("P-521")) ? CRYPTO_KEY_P521 : CRYPTO_KEY_NONE;
}

static str_t curve_name(crypto_kind_t kind)
{
	if (kind == CRYPTO_KEY_P256) {
		return STR("P-256");
	}
	return kind == CRYPTO_KEY_P384 ? STR("P-384") : STR("P-521");
}

static err_t jwk_read_ec(const json_t *jwk, crypto_pub_t *out)
{
	str_t crv, x, y;
	uint8_t x_raw[66], y_raw[66]; /* P-521, the widest */

	TRY(json_need_str(jwk, STR("crv"), JOSE_TYP_BYTES_MAX, &crv));
	crypto_kind_t kind = curve_by_name(crv);
	ENSURE(kind != CRYPTO_KEY_NONE, ERR_KEY);
	size_t width = crypto_coord_bytes(kind);
	CHECK(width <= sizeof x_raw);
	TRY(json_need_str(jwk, STR("x"), JOSE_JWK_BYTES_MAX, &x));
	TRY(json_need_str(jwk, STR("y"), JOSE_JWK_BYTES_MAX, &y));
	ENSURE(b64url_dec_exact(x, x_raw, width) == OK, ERR_KEY); /* full width: RFC 7518 6.2.1.2 */
	ENSURE(b64url_dec_exact(y, y_raw, width) == OK, ERR_KEY);
	return crypto_pub_ec(kind, str_bytes(x_raw, width), str_bytes(y_raw, width), out);
}

static err_t jwk_read_rsa(const json_t *jwk, crypto_pub_t *out)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t n, e, n_raw, e_raw;

	TRY(json_need_str(jwk, STR("n"), JOSE_JWK_BYTES_MAX, &n));
	TRY(json_need_str(jwk, STR("e"), JOSE_JWK_BYTES_MAX, &e));
	ENSURE(b64url_dec(a, n, CRYPTO_RSA_BYTES_MAX, &n_raw) == OK, ERR_KEY);
	ENSURE(b64url_dec(a, e, sizeof(uint32_t), &e_raw) == OK, ERR_KEY);
	return crypto_pub_rsa(n_raw, e_raw, out);
}

MUST err_t jose_jwk_read_pub(const json_t *jwk, crypto_pub_t *out, diag_t *diag)
{
	str_t kty;

	jose_say(diag, "not a key we can use: OKP Ed25519, EC P-256, P-384, P-521 or RSA 2048..4096");
	TRY(json_need_str(jwk, STR("kty"), JOSE_TYP_BYTES_MAX, &kty));
	if (str_eq(kty, STR("OKP"))) {
		return jwk_read_okp(jwk, out);
	}
	if (str_eq(kty, STR("EC"))) {
		return jwk_read_ec(jwk, out);
	}
	ENSURE(str_eq(kty, STR("RSA")), ERR_KEY);
	return jwk_read_rsa(jwk, out);
}

/* key_ops, when present, must allow to verify (RFC 7517 4.3). */
static err_t jwk_read_ops(const json_t *jwk)
{
	const json_t *ops = NULL;
	bool verify = false;

	TRY(json_want_arr(jwk, STR("key_ops"), 8, &ops));
	if (!ops) {
		return OK;
	}
	for (const json_t *op = json_first(ops); op; op = json_next(op)) {
		verify = verify || json_is_str(op, STR("verify"));
	}
	ENSURE(verify, ERR_KEY);
	return OK;
}

MUST err_t jose_jwk_read(const json_t *jwk, jose_jwk_t *out, diag_t *diag)
{
	jose_jwk_t key = { 0 };
	str_t alg;

	TRY(jose_jwk_is_public(jwk, diag));
	TRY(jose_jwk_read_pub(jwk, &key.pub, diag));
	TRY(json_want_str(jwk, STR("kid"), JOSE_KID_BYTES_MAX, &key.kid));
	TRY(json_want_str(jwk, STR("use"), JOSE_TYP_BYTES_MAX, &key.use));
	TRY(json_want_str(jwk, STR("alg"), JOSE_TYP_BYTES_MAX, &alg));
	TRY(jwk_read_ops(jwk));
	if (alg.p) {
		ENSURE(crypto_alg_from_name(alg, &key.alg) == OK, ERR_KEY);
		ENSURE(crypto_alg_fits(key.alg, key.pub.kind), ERR_KEY);
	}
	*out = key;
	return OK;
}

MUST err_t jose_jwk_parse(arena_t *a, str_t text, jose_jwk_t *out, diag_t *diag)
{
	const json_t *jwk = NULL;

	TRY(jose_json(a, text, JOSE_JWK_BYTES_MAX, &jwk, diag));
	return jose_jwk_read(jwk, out, diag);
}

MUST err_t jose_jwks_parse(arena_t *a, str_t text, jose_jwks_t *out, diag_t *diag)
{
	const json_t *root = NULL, *keys = NULL;

	TRY(jose_json(a, text, JOSE_JWKS_BYTES_MAX, &root, diag));
	TRY(json_need_arr(root, STR("keys"), JOSE_JWKS_KEYS_MAX, &keys));

	jose_jwks_t set = { .keys = arena_array(a, jose_jwk_t, json_count(keys)) };
	for (const json_t *jwk = json_first(keys); jwk; jwk = json_next(jwk)) {
		ENSURE(json_kind(jwk) == JSON_OBJECT, ERR_VALUE);
		TRY(jose_jwk_is_public(jwk, diag)); /* a leaked secret spoils the whole set */
		if (jose_jwk_read(jwk, &set.keys[set.n], diag) == OK) {
			set.n++;
		}
	}
	*out = set;
	return OK;
}

const jose_jwk_t *jose_jwks_find(const jose_jwks_t *set, str_t kid)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->keys[i].kid.p && str_eq(set->keys[i].kid, kid)) {
			return &set->keys[i];
		}
	}
	return NULL;
}

/* --- writing ------------------------------------------------------------------------------------ */

static void member_b64url(jw_t *w, const char *key, str_t bytes)
{
	char text[(CRYPTO_PUB_BYTES_MAX * 4 + 2) / 3 + 1];
	buf_t b;

	buf_init(&b, sizeof text);
	b64url_add(&b, bytes);
	jw_kstr(w, key, buf_str(&b));
	buf_done(&b);
}

static str_t rsa_exponent(const crypto_pub_t *pub, uint8_t be[4])
{
	size_t skip = 0;

	for (int i = 0; i < 4; i++) {
		be[i] = (uint8_t)(pub->rsa_e >> (24 - 8 * i));
	}
	while (skip < 3 && be[skip] == 0) {
		skip++;
	}
	return str_bytes(be + skip, 4 - skip);
}

/* In the order RFC 7638 3.3 wants, so that thumbprint and JWK share it: crv, kty, x, y; e, kty, n. */
void jose_jwk_members(jw_t *w, const crypto_pub_t *pub)
{
	size_t width = crypto_coord_bytes(pub->kind);
	str_t raw = crypto_pub_raw(pub);
	uint8_t e[4];

	CHECK(pub->kind != CRYPTO_KEY_NONE);
	if (pub->kind == CRYPTO_KEY_ED25519) {
		jw_kstr(w, "crv", STR("Ed25519"));
		jw_kstr(w, "kty", STR("OKP"));
		member_b64url(w, "x", raw);
	} else if (width) {
		jw_kstr(w, "crv", curve_name(pub->kind));
		jw_kstr(w, "kty", STR("EC"));
		member_b64url(w, "x", str_sub(raw, 0, width));
		member_b64url(w, "y", str_sub(raw, width, width));
	} else {
		member_b64url(w, "e", rsa_exponent(pub, e));
		jw_kstr(w, "kty", STR("RSA"));
		member_b64url(w, "n", raw);
	}
}

static void jwk_write(jw_t *w, const crypto_pub_t *pub, str_t kid, str_t use, crypto_alg_t alg)
{
	jw_object(w);
	jose_jwk_members(w, pub);
	jw_kstr_if(w, "kid", kid);
	jw_kstr_if(w, "use", use);
	if (alg != CRYPTO_ALG_NONE) {
		jw_kstr(w, "alg", crypto_alg_name(alg));
	}
	jw_end(w);
}

MUST err_t jose_jwk_write(arena_t *a, const crypto_pub_t *pub, str_t kid, str_t use, str_t *out_json)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, JOSE_JWK_BYTES_MAX);
	jw_init(&w, &b);
	jwk_write(&w, pub, kid, use, crypto_alg_for(pub->kind));
	return jose_take(a, &w, &b, out_json);
}

MUST err_t jose_jwks_write(arena_t *a, const jose_jwks_t *set, str_t *out_json)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, JOSE_JWKS_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_karray(&w, "keys");
	for (size_t i = 0; i < set->n; i++) {
		const jose_jwk_t *k = &set->keys[i];
		crypto_alg_t alg = k->alg != CRYPTO_ALG_NONE ? k->alg : crypto_alg_for(k->pub.kind);
		jwk_write(&w, &k->pub, k->kid, k->use, alg);
	}
	jw_end(&w);
	jw_end(&w);
	return jose_take(a, &w, &b, out_json);
}

/* --- thumbprint --------------------------------------------------------------------------------- */

str_t jose_jkt(arena_t *a, const crypto_pub_t *pub)
{
	AUTO(buf_done) buf_t b;
	uint8_t hash[32];
	jw_t w;

	buf_init(&b, JOSE_JWK_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jose_jwk_members(&w, pub);
	jw_end(&w);
	CHECK(jw_finish(&w) == OK); /* a valid crypto_pub_t always fits */
	crypto_sha256(buf_str(&b), hash);
	return b64url_enc(a, str_bytes(hash, sizeof hash));
}

bool jose_jkt_is(str_t text)
{
	uint8_t hash[32];

	return text.n == JOSE_JKT_BYTES && b64url_dec_exact(text, hash, sizeof hash) == OK;
}
