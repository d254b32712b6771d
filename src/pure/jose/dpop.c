/* dpop.c: DPoP proofs (RFC 9449 4): the server's checks in its order, and the client's making. */
#include "pure/jose/jose_int.h"

static str_t ath_of(arena_t *a, str_t access_token)
{
	uint8_t hash[32];

	crypto_sha256(access_token, hash);
	return b64url_enc(a, str_bytes(hash, sizeof hash));
}

/* 4.3 steps 4 to 7: the header, and a signature by the key that it carries. */
static err_t proof_header_check(const jose_jws_t *jws, const jose_dpop_expect_t *x, diag_t *diag)
{
	jose_say(diag, "typ must be dpop+jwt");
	ENSURE(jws->typ.p && str_eq(jws->typ, STR("dpop+jwt")), ERR_PROOF);
	jose_say(diag, "alg is not allowed here");
	ENSURE(x->algs & CRYPTO_ALG_BIT(jws->alg), ERR_PROOF);
	jose_say(diag, "header member jwk is missing");
	ENSURE(jws->jwk, ERR_PROOF);
	jose_say(diag, "the signature does not verify under jwk");
	return jose_jws_check(jws, jws->jwk);
}

/* Steps 8 and 9. */
static err_t proof_request_check(arena_t *a, const json_t *claims, const jose_dpop_expect_t *x,
	diag_t *diag)
{
	str_t htm, htu, theirs, ours;

	jose_say(diag, "htm is not the method of this request");
	TRY(json_need_str(claims, STR("htm"), JOSE_STRING_BYTES_MAX, &htm));
	ENSURE(str_eq(htm, x->method), ERR_PROOF);
	jose_say(diag, "htu is not the URL of this request");
	TRY(json_need_str(claims, STR("htu"), JOSE_STRING_BYTES_MAX, &htu));
	TRY(url_normalize_htu(a, htu, &theirs));
	TRY(url_normalize_htu(a, x->htu, &ours));
	ENSURE(str_eq(theirs, ours), ERR_PROOF);
	return OK;
}

/* Step 11. */
static err_t proof_time_check(const json_t *claims, const jose_dpop_expect_t *x, jose_dpop_t *out,
	diag_t *diag)
{
	CHECK(x->window_s > 0 && x->window_s <= JOSE_DPOP_WINDOW_S_MAX && x->now_unix_s > 0);
	jose_say(diag, "iat is missing or outside the window");
	TRY(json_need_date_s(claims, STR("iat"), &out->iat_unix_s));
	ENSURE(out->iat_unix_s >= x->now_unix_s - x->window_s, ERR_PROOF);
	ENSURE(out->iat_unix_s <= x->now_unix_s + JOSE_FUTURE_S, ERR_PROOF);
	out->keep_until_unix_s = out->iat_unix_s + x->window_s + 1;
	return OK;
}

/* Step 12: the proof belongs to this access token. */
static err_t proof_token_check(arena_t *a, const json_t *claims, const jose_dpop_expect_t *x,
	diag_t *diag)
{
	str_t ath;

	if (!x->access_token.p) {
		return OK;
	}
	jose_say(diag, "ath is not the hash of the access token");
	TRY(json_need_str(claims, STR("ath"), JOSE_JKT_BYTES, &ath));
	str_t ours = ath_of(a, x->access_token);
	ENSURE(ath.n == ours.n && ct_eq(ath.p, ours.p, ours.n), ERR_PROOF);
	return OK;
}

static err_t proof_digest_read(const json_t *claims, jose_dpop_t *out, diag_t *diag)
{
	jose_say(diag, "action_digest is no base64url of 32 bytes");
	TRY(json_want_str(claims, STR("action_digest"), JOSE_JKT_BYTES, &out->action_digest));
	ENSURE(!out->action_digest.p || jose_jkt_is(out->action_digest), ERR_PROOF);
	return OK;
}

/* Step 10, last on purpose: only a proof that is right in all else learns a new nonce. */
static err_t proof_nonce_check(const json_t *claims, const jose_dpop_expect_t *x, jose_dpop_t *out,
	diag_t *diag)
{
	jose_say(diag, "nonce is no string");
	TRY(json_want_str(claims, STR("nonce"), JOSE_STRING_BYTES_MAX, &out->nonce));
	jose_say(diag, "nonce is missing");
	ENSURE(out->nonce.p || !x->nonce_required, ERR_NONCE);
	if (!out->nonce.p) {
		return OK;
	}
	jose_say(diag, "nonce is stale or not ours");
	ENSURE(x->nonce_key32.p, ERR_NONCE); /* we handed out none */
	return jose_nonce_check(x->nonce_key32, out->nonce, x->now_unix_s, x->nonce_max_age_s);
}

static err_t proof_check(arena_t *a, str_t proof, const jose_dpop_expect_t *x, jose_dpop_t *out,
	diag_t *diag)
{
	const json_t *claims = NULL;
	jose_dpop_t dpop = { 0 };
	jose_jws_t jws;

	TRY(jose_jws_split(a, proof, &jws, diag));
	TRY(proof_header_check(&jws, x, diag));
	TRY(jose_json(a, jws.payload, JOSE_PAYLOAD_BYTES_MAX, &claims, diag));
	TRY(jose_jti_read(claims, &dpop.jti, diag));
	TRY(proof_request_check(a, claims, x, diag));
	TRY(proof_time_check(claims, x, &dpop, diag));
	TRY(proof_token_check(a, claims, x, diag));
	TRY(proof_digest_read(claims, &dpop, diag));
	TRY(proof_nonce_check(claims, x, &dpop, diag));
	dpop.pub = *jws.jwk;
	dpop.jkt = jose_jkt(a, &dpop.pub);
	*out = dpop;
	return OK;
}

MUST err_t jose_dpop_verify(arena_t *a, str_t proof, const jose_dpop_expect_t *expect, jose_dpop_t *out,
	diag_t *diag)
{
	CHECK(expect->method.n > 0 && expect->htu.n > 0);
	err_t e = proof_check(a, proof, expect, out, diag);
	if (e == OK || e == ERR_NONCE || err_info(e)->cls == CLASS_INTERNAL) {
		return e;
	}
	return ERR_PROOF; /* which of the twelve checks failed is for the diag alone */
}

MUST err_t jose_dpop_make(arena_t *a, const crypto_key_t *key, const jose_dpop_make_t *m,
	str_t *out_proof)
{
	const jose_sign_t header = { .typ = STR("dpop+jwt"), .with_jwk = true };
	AUTO(buf_done) buf_t b;
	str_t htu;
	jw_t w;

	buf_init(&b, JOSE_PAYLOAD_BYTES_MAX);
	TRY(url_normalize_htu(a, m->htu, &htu)); /* 4.2: without query and fragment */
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "jti", jose_jti(a, m->random));
	jw_kstr(&w, "htm", m->method);
	jw_kstr(&w, "htu", htu);
	jw_ki64(&w, "iat", m->now_unix_s);
	if (m->access_token.p) {
		jw_kstr(&w, "ath", ath_of(a, m->access_token));
	}
	jw_kstr_if(&w, "nonce", m->nonce);
	jw_kstr_if(&w, "action_digest", m->action_digest);
	jw_end(&w);
	TRY(jw_finish(&w));
	return jose_jws_sign(a, key, &header, buf_str(&b), out_proof);
}
