/* jwt.c: claims behind a verified signature (RFC 7519, RFC 8725). */
#include "pure/jose/jose_int.h"

bool jose_typ_fits(str_t typ, str_t expected, bool optional)
{
	static const str_t media = STR_INIT("application/");

	if (!typ.p) {
		return optional;
	}
	if (optional && str_eq(typ, STR("JWT"))) {
		return true;
	}
	if (str_starts(typ, media)) {
		typ = str_sub(typ, media.n, typ.n);
	}
	return str_eq(typ, expected);
}

/* --- which key ---------------------------------------------------------------------------------- */

static bool key_is_candidate(const jose_jwk_t *k, const jose_jws_t *jws)
{
	if (jws->kid.p && !(k->kid.p && str_eq(k->kid, jws->kid))) {
		return false;
	}
	if (k->use.p && !str_eq(k->use, STR("sig"))) {
		return false;
	}
	if (k->alg != CRYPTO_ALG_NONE && k->alg != jws->alg) {
		return false;
	}
	return crypto_alg_fits(jws->alg, k->pub.kind);
}

MUST err_t jose_jws_check_set(const jose_jws_t *jws, crypto_algs_t algs, const jose_jwks_t *set,
	const crypto_pub_t **out_key)
{
	CHECK(set->n <= JOSE_JWKS_KEYS_MAX);
	ENSURE(algs & CRYPTO_ALG_BIT(jws->alg), ERR_ALGORITHM);
	for (size_t i = 0; i < set->n; i++) {
		const jose_jwk_t *k = &set->keys[i];
		if (!key_is_candidate(k, jws)) {
			continue;
		}
		err_t e = k->verifier ? crypto_verifier_check(k->verifier, jws->alg, jws->signing_input,
						jws->signature)
				      : jose_jws_check(jws, &k->pub);
		if (e == OK) {
			*out_key = &k->pub;
			return OK;
		}
	}
	return ERR_SIGNATURE;
}

static err_t signature_check(const jose_jws_t *jws, const jose_expect_t *x, const crypto_pub_t **out_key)
{
	CHECK((x->key != NULL) + (x->verifier != NULL) + (x->jwks != NULL) == 1);
	ENSURE(x->algs & CRYPTO_ALG_BIT(jws->alg), ERR_ALGORITHM);
	if (x->jwks) {
		return jose_jws_check_set(jws, x->algs, x->jwks, out_key);
	}
	if (x->key) {
		TRY(jose_jws_check(jws, x->key));
		*out_key = x->key;
		return OK;
	}
	TRY(crypto_verifier_check(x->verifier, jws->alg, jws->signing_input, jws->signature));
	*out_key = crypto_verifier_pub(x->verifier);
	return OK;
}

/* --- claims ------------------------------------------------------------------------------------- */

/* nbf, a fraction counted up: not a moment too early. */
static err_t nbf_read(const json_t *claims, int64_t *out_unix_s)
{
	const json_t *nbf = json_get(claims, STR("nbf"));
	int64_t ms = 0;

	if (!nbf) {
		*out_unix_s = 0;
		return OK;
	}
	TRY(json_date_ms(nbf, &ms));
	*out_unix_s = (ms + 999) / 1000;
	return OK;
}

static err_t times_check(const json_t *claims, const jose_expect_t *x, jose_jwt_t *jwt)
{
	int64_t nbf = 0;

	CHECK(x->leeway_s >= 0 && x->leeway_s <= JOSE_LEEWAY_S_MAX && x->now_unix_s > 0);
	TRY(json_need_date_s(claims, STR("exp"), &jwt->exp_unix_s));
	TRY(json_want_date_s(claims, STR("iat"), 0, &jwt->iat_unix_s));
	TRY(nbf_read(claims, &nbf));
	ENSURE(jwt->exp_unix_s > x->now_unix_s - x->leeway_s, ERR_EXPIRED);
	ENSURE(nbf <= x->now_unix_s + x->leeway_s, ERR_NOT_YET);
	ENSURE(jwt->iat_unix_s <= x->now_unix_s + x->leeway_s, ERR_NOT_YET);
	return OK;
}

static err_t names_check(const json_t *claims, const jose_expect_t *x, jose_jwt_t *jwt)
{
	const json_t *aud = json_get(claims, STR("aud"));

	TRY(json_want_str(claims, STR("iss"), JOSE_STRING_BYTES_MAX, &jwt->iss));
	TRY(json_want_str(claims, STR("sub"), JOSE_STRING_BYTES_MAX, &jwt->sub));
	TRY(json_want_str(claims, STR("jti"), JOSE_JTI_BYTES_MAX, &jwt->jti));
	if (json_kind(aud) == JSON_STRING) {
		TRY(json_want_str(claims, STR("aud"), JOSE_STRING_BYTES_MAX, &jwt->aud));
	}
	ENSURE(!x->issuer.p || (jwt->iss.p && str_eq(jwt->iss, x->issuer)), ERR_ISSUER);
	/* an array never passes, not even with one element (oauth P12) */
	ENSURE(!x->audience.p || (jwt->aud.p && str_eq(jwt->aud, x->audience)), ERR_AUDIENCE);
	return OK;
}

MUST err_t jose_jwt_verify(arena_t *a, str_t text, const jose_expect_t *expect, jose_jwt_t *out,
	diag_t *diag)
{
	jose_jwt_t jwt = { 0 };
	jose_jws_t jws;

	CHECK(expect->typ.n > 0);
	TRY(jose_jws_split(a, text, &jws, diag));
	jose_say(diag, "the header is not that of this kind of token");
	ENSURE(jose_typ_fits(jws.typ, expect->typ, expect->typ_optional), ERR_TYPE);
	ENSURE(!jws.jwk, ERR_KEY); /* the token brings its own key: never trusted, so never right */
	jose_say(diag, "the signature does not verify under the expected key");
	TRY(signature_check(&jws, expect, &jwt.key));

	TRY(jose_json(a, jws.payload, JOSE_PAYLOAD_BYTES_MAX, &jwt.claims, diag));
	jose_say(diag, "a registered claim is missing, malformed or not the expected one");
	TRY(names_check(jwt.claims, expect, &jwt));
	TRY(times_check(jwt.claims, expect, &jwt));
	jwt.typ = jws.typ;
	jwt.kid = jws.kid;
	jwt.alg = jws.alg;
	jwt.payload = jws.payload;
	*out = jwt;
	return OK;
}

/* --- jti ---------------------------------------------------------------------------------------- */

str_t jose_jti(arena_t *a, const uint8_t random[16])
{
	return b64url_enc(a, str_bytes(random, 16));
}

MUST err_t jose_jti_read(const json_t *claims, str_t *out, diag_t *diag)
{
	str_t jti;

	jose_say(diag, "jti: %d to %d visible characters", JOSE_JTI_BYTES_MIN, JOSE_JTI_BYTES_MAX);
	TRY(json_need_str(claims, STR("jti"), JOSE_JTI_BYTES_MAX, &jti));
	ENSURE(jti.n >= JOSE_JTI_BYTES_MIN && str_is_visible(jti), ERR_VALUE);
	*out = jti;
	return OK;
}
