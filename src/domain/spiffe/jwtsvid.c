/* jwtsvid.c: JWT-SVIDs (JWT-SVID 2-5; spiffe.md 4), made and validated. */
#include "domain/spiffe/spiffe.h"

static const crypto_algs_t jwt_algs = CRYPTO_ALG_BIT(CRYPTO_RS256) | CRYPTO_ALG_BIT(CRYPTO_RS384) |
	CRYPTO_ALG_BIT(CRYPTO_RS512) | CRYPTO_ALG_BIT(CRYPTO_PS256) | CRYPTO_ALG_BIT(CRYPTO_PS384) |
	CRYPTO_ALG_BIT(CRYPTO_PS512) | CRYPTO_ALG_BIT(CRYPTO_ES256) | CRYPTO_ALG_BIT(CRYPTO_ES384) |
	CRYPTO_ALG_BIT(CRYPTO_ES512);

/* --- validating --------------------------------------------------------------------------------------- */

static err_t header_check(const jose_jws_t *jws, bool kid_optional, diag_t *diag)
{
	TRY(JSON_ONLY(jws->header, diag, STR("alg"), STR("kid"), STR("typ")));
	diag_set(diag, 0, 0, "typ must be JWT, JOSE or absent");
	ENSURE(!jws->typ.p || str_eq(jws->typ, STR("JWT")) || str_eq(jws->typ, STR("JOSE")), ERR_TYPE);
	diag_set(diag, 0, 0, "alg must be one of RS, PS, ES 256, 384, 512");
	ENSURE(jwt_algs & CRYPTO_ALG_BIT(jws->alg), ERR_ALGORITHM);
	diag_set(diag, 0, 0, "kid is missing");
	ENSURE(jws->kid.n > 0 || (kid_optional && !jws->kid.p), ERR_KEY);
	return OK;
}

/* aud: one string or a list of them, at least one. */
static err_t audiences_read(arena_t *a, const json_t *claims, spiffe_jwt_svid_t *svid)
{
	const json_t *aud = json_get(claims, STR("aud"));
	size_t n = 0;

	ENSURE(aud, ERR_MISSING_MEMBER);
	bool list = json_kind(aud) == JSON_ARRAY;
	ENSURE(!list || (json_count(aud) > 0 && json_count(aud) <= SPIFFE_AUDIENCES_MAX), ERR_AUDIENCE);
	str_t *v = arena_array(a, str_t, SPIFFE_AUDIENCES_MAX);
	for (const json_t *e = list ? json_first(aud) : aud; e; e = list ? json_next(e) : NULL) {
		TRY(json_str(e, &v[n]));
		ENSURE(v[n].n > 0 && v[n].n <= SPIFFE_AUDIENCE_BYTES_MAX, ERR_AUDIENCE);
		n++;
	}
	svid->aud = v;
	svid->n_aud = n;
	return OK;
}

static err_t audience_check(const spiffe_jwt_svid_t *svid, const spiffe_jwt_expect_t *x)
{
	bool found = false;

	for (size_t i = 0; i < svid->n_aud; i++) {
		found = found || str_eq(svid->aud[i], x->audience);
	}
	ENSURE(found && (!x->audience_sole || svid->n_aud == 1), ERR_AUDIENCE);
	return OK;
}

static err_t times_check(const json_t *claims, const spiffe_jwt_expect_t *x, spiffe_jwt_svid_t *svid)
{
	int64_t nbf_s = 0;

	CHECK(x->leeway_s >= 0 && x->leeway_s <= SPIFFE_LEEWAY_S_MAX && x->now_unix_s > 0);
	TRY(json_need_date_s(claims, STR("exp"), &svid->exp_unix_s));
	TRY(json_want_date_s(claims, STR("iat"), 0, &svid->iat_unix_s));
	TRY(json_want_date_s(claims, STR("nbf"), 0, &nbf_s));
	ENSURE(svid->exp_unix_s > x->now_unix_s - x->leeway_s, ERR_EXPIRED);
	ENSURE(svid->iat_unix_s <= x->now_unix_s + x->leeway_s, ERR_NOT_YET);
	ENSURE(nbf_s <= x->now_unix_s + x->leeway_s, ERR_NOT_YET);
	return OK;
}

static err_t claims_check(arena_t *a, const json_t *claims, const spiffe_jwt_expect_t *x,
	spiffe_jwt_svid_t *svid, diag_t *diag)
{
	diag_set(diag, 0, 0, "aud is not for this validator");
	TRY(audiences_read(a, claims, svid));
	TRY(audience_check(svid, x));
	diag_set(diag, 0, 0, "exp is missing or over, or iat or nbf ahead");
	TRY(times_check(claims, x, svid));
	diag_set(diag, 0, 0, "iss or jti is no string");
	TRY(json_want_str(claims, STR("iss"), JOSE_STRING_BYTES_MAX, &svid->iss));
	return json_want_str(claims, STR("jti"), JOSE_STRING_BYTES_MAX, &svid->jti);
}

static err_t claims_parse(arena_t *a, const jose_jws_t *jws, const json_t **out, diag_t *diag)
{
	const json_opts_t opts = { .depth_max = JOSE_DEPTH_MAX, .bytes_max = JOSE_PAYLOAD_BYTES_MAX,
		.object_only = true };

	return json_parse(a, jws->payload, &opts, out, diag);
}

MUST err_t spiffe_jwt_validate(arena_t *a, str_t token, const spiffe_jwt_expect_t *expect,
	spiffe_jwt_svid_t *out, diag_t *diag)
{
	spiffe_jwt_svid_t svid = { 0 };
	const crypto_pub_t *key = NULL;
	jose_jws_t jws;
	str_t sub;

	CHECK(expect->audience.n > 0);
	TRY(jose_jws_split(a, token, &jws, diag));
	TRY(header_check(&jws, expect->kid_optional, diag));
	/* sub is read before the signature verified, to find the key set that must verify it: JWT-SVID 5 */
	TRY(claims_parse(a, &jws, &svid.claims, diag));
	diag_set(diag, 0, 0, "sub is no SPIFFE ID of a workload");
	TRY(json_need_str(svid.claims, STR("sub"), SPIFFE_ID_BYTES_MAX, &sub));
	ENSURE(spiffe_id_parse_workload(sub, &svid.id) == OK, ERR_SVID);
	diag_set(diag, 0, 0, "no bundle of trust domain %.*s", STR_ARG(svid.id.td));
	const spiffe_trust_t *trust = spiffe_trusts_find(expect->trusts, svid.id.td);
	ENSURE(trust, ERR_TRUST_DOMAIN);
	diag_set(diag, 0, 0, "not signed by a jwt-svid key of its trust domain");
	TRY(jose_jws_check_set(&jws, jwt_algs, spiffe_trust_jwks(trust), &key));
	TRY(claims_check(a, svid.claims, expect, &svid, diag));
	svid.kid = jws.kid;
	svid.payload = jws.payload;
	svid.own = trust == expect->trusts->v[0];
	*out = svid;
	return OK;
}

/* --- making ----------------------------------------------------------------------------------------- */

static void claims_write(jw_t *w, const spiffe_jwt_t *j, int64_t exp_unix_s)
{
	jw_object(w);
	jw_kstr(w, "sub", j->id->text);
	jw_karray(w, "aud");
	for (size_t i = 0; i < j->n_aud; i++) {
		jw_str(w, j->aud[i]);
	}
	jw_end(w);
	jw_ki64(w, "exp", exp_unix_s);
	jw_ki64(w, "iat", j->now_unix_s);
	jw_kstr_if(w, "iss", j->iss);
	jw_kstr_if(w, "jti", j->jti);
	jw_end(w);
}

MUST err_t spiffe_jwt_input(arena_t *a, const spiffe_jwt_t *j, str_t *out_input, int64_t *out_exp_unix_s)
{
	const jose_sign_t header = { .typ = STR("JWT"), .kid = j->kid };
	uint32_t ttl = j->ttl_s ? j->ttl_s : SPIFFE_JWT_TTL_S_DEFAULT;
	int64_t exp = j->now_unix_s + ttl;
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, JOSE_PAYLOAD_BYTES_MAX);
	CHECK(j->id->path.n > 0 && j->kid.n > 0 && (jwt_algs & CRYPTO_ALG_BIT(j->alg)));
	ENSURE(ttl >= SPIFFE_TTL_S_MIN && ttl <= SPIFFE_TTL_S_MAX, ERR_VALUE);
	ENSURE(j->n_aud > 0, ERR_AUDIENCE); /* J1 */
	ENSURE(j->n_aud <= SPIFFE_AUDIENCES_MAX, ERR_LIMIT);
	for (size_t i = 0; i < j->n_aud; i++) {
		ENSURE(j->aud[i].n > 0, ERR_AUDIENCE);
		ENSURE(j->aud[i].n <= SPIFFE_AUDIENCE_BYTES_MAX, ERR_LIMIT);
	}
	if (j->not_after_unix_s) {
		ENSURE(j->not_after_unix_s > j->now_unix_s, ERR_CA_STATE);
		exp = exp < j->not_after_unix_s ? exp : j->not_after_unix_s;
	}
	jw_init(&w, &b);
	claims_write(&w, j, exp);
	TRY(jw_finish(&w));
	TRY(jose_jws_input(a, j->alg, &header, buf_str(&b), out_input));
	*out_exp_unix_s = exp;
	return OK;
}
