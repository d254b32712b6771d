/* assertion.c: private_key_jwt (RFC 7523 2.2, 3; rfc7523bis): a client says who it is. */
#include "pure/jose/jose_int.h"

#define ASSERTION_TYP STR("client-authentication+jwt")

static err_t peek(arena_t *a, str_t text, str_t *out_client_id)
{
	const json_t *claims = NULL;
	jose_jws_t jws;

	TRY(jose_jws_split(a, text, &jws, NULL));
	TRY(jose_json(a, jws.payload, JOSE_PAYLOAD_BYTES_MAX, &claims, NULL));
	return json_need_str(claims, STR("iss"), JOSE_STRING_BYTES_MAX, out_client_id);
}

MUST err_t jose_assertion_peek_client(arena_t *a, str_t text, str_t *out_client_id)
{
	return peek(a, text, out_client_id) == OK ? OK : ERR_CLIENT;
}

static err_t signer_find(const jose_jws_t *jws, const jose_assertion_expect_t *x,
	const crypto_pub_t **out_key)
{
	CHECK(x->n_keys <= JOSE_JWKS_KEYS_MAX);
	for (size_t i = 0; i < x->n_keys; i++) {
		if (crypto_alg_fits(jws->alg, x->keys[i].kind) && jose_jws_check(jws, &x->keys[i]) == OK) {
			*out_key = &x->keys[i];
			return OK;
		}
	}
	return ERR_SIGNATURE;
}

static err_t header_check(const jose_jws_t *jws, diag_t *diag)
{
	jose_say(diag, "typ must be client-authentication+jwt, or absent");
	ENSURE(jose_typ_fits(jws->typ, ASSERTION_TYP, true), ERR_TYPE);
	jose_say(diag, "alg must be EdDSA or ES256, and no jwk in the header");
	ENSURE(CRYPTO_ALGS_OURS & CRYPTO_ALG_BIT(jws->alg), ERR_ALGORITHM);
	ENSURE(!jws->jwk, ERR_KEY);
	return OK;
}

static err_t claim_is(const json_t *claims, str_t name, str_t expected, diag_t *diag)
{
	str_t value;

	jose_say(diag, "%.*s is not the expected string", STR_ARG(name));
	/* one string: an array as aud is refused (oauth P11), and no near match counts (P10) */
	TRY(json_need_str(claims, name, JOSE_STRING_BYTES_MAX, &value));
	ENSURE(str_eq(value, expected), ERR_CLIENT);
	return OK;
}

static err_t times_check(const json_t *claims, int64_t now_unix_s, jose_assertion_t *out, diag_t *diag)
{
	int64_t nbf_ms = 0;

	jose_say(diag, "exp must be ahead, and at most %d s", JOSE_ASSERTION_LIFE_S_MAX);
	TRY(json_need_date_s(claims, STR("exp"), &out->exp_unix_s));
	ENSURE(out->exp_unix_s > now_unix_s, ERR_EXPIRED);
	ENSURE(out->exp_unix_s <= now_unix_s + JOSE_ASSERTION_LIFE_S_MAX + JOSE_FUTURE_S, ERR_CLIENT);
	jose_say(diag, "iat or nbf is missing or in the future; check the clock");
	TRY(json_need_date_s(claims, STR("iat"), &out->iat_unix_s));
	ENSURE(out->iat_unix_s <= now_unix_s + JOSE_FUTURE_S, ERR_NOT_YET);
	if (json_get(claims, STR("nbf"))) {
		TRY(json_date_ms(json_get(claims, STR("nbf")), &nbf_ms));
		ENSURE(nbf_ms <= (now_unix_s + JOSE_FUTURE_S) * 1000, ERR_NOT_YET);
	}
	return OK;
}

static err_t assertion_check(arena_t *a, str_t text, const jose_assertion_expect_t *x,
	jose_assertion_t *out, diag_t *diag)
{
	const json_t *claims = NULL;
	jose_assertion_t as = { 0 };
	jose_jws_t jws;

	TRY(jose_jws_split(a, text, &jws, diag));
	TRY(header_check(&jws, diag));
	jose_say(diag, "not signed by a key of this client");
	TRY(signer_find(&jws, x, &as.key));
	TRY(jose_json(a, jws.payload, JOSE_PAYLOAD_BYTES_MAX, &claims, diag));
	TRY(claim_is(claims, STR("iss"), x->client_id, diag));
	TRY(claim_is(claims, STR("sub"), x->client_id, diag));
	TRY(claim_is(claims, STR("aud"), x->issuer, diag));
	TRY(times_check(claims, x->now_unix_s, &as, diag));
	TRY(jose_jti_read(claims, &as.jti, diag));
	jose_say(diag, "nonce is no string");
	TRY(json_want_str(claims, STR("nonce"), JOSE_STRING_BYTES_MAX, &as.nonce));
	*out = as;
	return OK;
}

MUST err_t jose_assertion_verify(arena_t *a, str_t text, const jose_assertion_expect_t *expect,
	jose_assertion_t *out, diag_t *diag)
{
	CHECK(expect->client_id.n > 0 && expect->issuer.n > 0 && expect->now_unix_s > 0);
	err_t e = assertion_check(a, text, expect, out, diag);
	if (e == OK || err_info(e)->cls == CLASS_INTERNAL) {
		return e;
	}
	return ERR_CLIENT;
}

MUST err_t jose_assertion_make(arena_t *a, const crypto_key_t *key, const jose_assertion_make_t *m,
	str_t *out_text)
{
	const jose_sign_t header = { .typ = ASSERTION_TYP };
	AUTO(buf_done) buf_t b;
	jw_t w;

	CHECK(m->life_s > 0 && m->life_s <= JOSE_ASSERTION_LIFE_S_MAX);
	buf_init(&b, JOSE_PAYLOAD_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "iss", m->client_id);
	jw_kstr(&w, "sub", m->client_id);
	jw_kstr(&w, "aud", m->issuer);
	jw_kstr(&w, "jti", jose_jti(a, m->random));
	jw_ki64(&w, "iat", m->now_unix_s);
	jw_ki64(&w, "exp", m->now_unix_s + m->life_s);
	jw_kstr_if(&w, "nonce", m->nonce);
	jw_end(&w);
	TRY(jw_finish(&w));
	return jose_jws_sign(a, key, &header, buf_str(&b), out_text);
}
