/* token.c: who asks, for whom, under which grant, and by which key (oauth 16 steps 1 to 4). */
#include "service/gateway/visit.h"

enum { TOKEN_BYTES_MAX = JOSE_TEXT_BYTES_MAX };

/* Who is at the other end of a connection with mTLS; NULL: nobody proved anything by it. */
static const net_tls_peer_t *peer_of(const visit_t *v)
{
	const net_tls_peer_t *peer = v->x ? net_peer(v->x)->tls : NULL;

	return peer && peer->is_verified ? peer : NULL;
}

/* P70: one Authorization, one DPoP. A token shown as Bearer is refused unread (P25), for every token of ours is
 * bound: but one that is bound to the certificate of this very connection (RFC 8705 3). */
static err_t token_of(const visit_t *v, str_t *out_token, str_t *out_proof, bool *out_by_certificate)
{
	str_t value, scheme, proof = STR_NULL;

	err_t e = net_headers_get(v->headers, STR("Authorization"), &value);
	ENSURE(e != ERR_NOT_FOUND, ERR_NO_TOKEN);
	TRY(e);
	ENSURE(str_split(&value, ' ', &scheme), ERR_TOKEN);
	bool bearer = str_eq_nocase(scheme, STR("Bearer"));
	ENSURE(bearer ? peer_of(v) != NULL : str_eq_nocase(scheme, STR("DPoP")), ERR_TOKEN);
	ENSURE(value.n <= TOKEN_BYTES_MAX && str_is_visible(value), ERR_TOKEN);
	e = net_headers_get(v->headers, STR("DPoP"), &proof);
	ENSURE((e == ERR_NOT_FOUND) == bearer, ERR_PROOF); /* either way of proving, never both */
	ENSURE(e == OK || bearer, e);
	*out_token = value;
	*out_proof = proof;
	*out_by_certificate = bearer;
	return OK;
}

/* What is not even a token is answered like one that is not valid (RFC 6750 3.1). */
static err_t unless_malformed(err_t e, err_t instead)
{
	err_class_t c = err_info(e)->cls;

	return c == CLASS_MALFORMED || c == CLASS_LIMIT ? instead : e;
}

/* Which check failed stays here: outside, all bad tokens look alike but for audience and time, whose
 * rows of the table say the same 401. */
static err_t token_verify(visit_t *v, str_t token)
{
	const gateway_deps_t *deps = &v->g->deps;
	const snapshot_token_expect_t expect = {
		.issuer = deps->issuer,
		.audience = v->route->url,
		.now_unix_s = visit_now_s(v),
		.leeway_s = GATEWAY_LEEWAY_S,
	};

	TRY(unless_malformed(snapshot_token_verify(v->g->tokens, v->a, v->view->snapshot, token, &expect,
				     v->who.token_hash, &v->who.claims, &v->why),
		ERR_TOKEN));
	return delegation_agent_id_check(v->who.claims.client_id, deps->trust_domain);
}

static err_t proof_verify(visit_t *v, str_t token, str_t proof)
{
	bool is_mcp = visit_is_mcp(v);
	str_t path = is_mcp ? STR("") : str_sub(v->target, 0, str_find(v->target, '?'));
	const jose_dpop_expect_t expect = {
		.method = v->method,
		.htu = arena_cat(v->a, v->route->url, path), /* as configured, whatever Host said (P24) */
		.access_token = token,
		.now_unix_s = visit_now_s(v),
		.window_s = GATEWAY_PROOF_WINDOW_S,
		.algs = CRYPTO_ALGS_OURS,
	};

	TRY(unless_malformed(jose_dpop_verify(v->a, proof, &expect, &v->who.proof, &v->why), ERR_PROOF));
	ENSURE(v->who.claims.jkt.n > 0, ERR_TOKEN_KEY);
	ENSURE(str_eq(v->who.claims.jkt, v->who.proof.jkt), ERR_TOKEN_KEY);
	return OK;
}

/* P27: the certificate is the one the token names, and net takes no request after its end. */
static err_t certificate_verify(const visit_t *v)
{
	const net_tls_peer_t *peer = peer_of(v);
	uint8_t bound[NET_TLS_HASH_BYTES];

	ENSURE(v->who.claims.x5t.n > 0, ERR_TOKEN); /* bound to a key, and shown without its proof (P25) */
	ENSURE(b64url_dec_exact(v->who.claims.x5t, bound, sizeof(bound)) == OK, ERR_TOKEN);
	ENSURE(peer && ct_eq(bound, peer->x5t_s256, sizeof(bound)), ERR_TOKEN_KEY);
	ENSURE(!v->who.claims.inst.n || str_eq(v->who.claims.inst, peer->name), ERR_TOKEN_KEY);
	return OK;
}

err_t visit_agent_stands(const visit_t *v)
{
	const snapshot_agent_t *agent = snapshot_agent(v->view->snapshot, v->who.claims.client_id);

	ENSURE(agent && agent->state == SNAPSHOT_ACTIVE, ERR_AGENT_STATE);
	/* a registered key may be retired; that of an attested process ends with its token, as a certificate does */
	bool lasts = v->who.claims.inst.n || v->who.by_certificate;
	ENSURE(lasts || snapshot_agent_has_key(agent, v->who.claims.jkt), ERR_AGENT_STATE);
	return OK;
}

static err_t grant_stands(const visit_t *v)
{
	str_t grant = v->who.claims.grant;

	return grant.n && feed_client_grant_revoked(v->g->deps.feed, grant) ? ERR_GRANT_REVOKED : OK;
}

err_t visit_authenticate(visit_t *v)
{
	str_t token, proof;

	TRY(token_of(v, &token, &proof, &v->who.by_certificate));
	TRY(token_verify(v, token));
	TRY(v->who.by_certificate ? certificate_verify(v) : proof_verify(v, token, proof));
	TRY(grant_stands(v));
	return visit_agent_stands(v);
}

static bool digest_is(const uint8_t ours[DELEGATION_DIGEST_BYTES], str_t b64url)
{
	uint8_t theirs[DELEGATION_DIGEST_BYTES];

	return b64url_dec_exact(b64url, theirs, sizeof(theirs)) == OK && ct_eq(ours, theirs, sizeof(theirs));
}

err_t visit_once(const visit_t *v, admit_ask_t *ask)
{
	const delegation_claims_t *c = &v->who.claims;
	const jose_dpop_t *proof = &v->who.proof;

	CHECK(v->has_action);
	ask->has_once = true;
	ENSURE(!proof->action_digest.p || digest_is(v->action.digest, proof->action_digest), ERR_ACTION);
	if (c->is_capability) {
		ENSURE(ct_eq(c->action_digest, v->action.digest, DELEGATION_DIGEST_BYTES), ERR_ACTION);
		ask->once_space = c->iss;
		ask->once_id = c->jti;
		ask->once_until_s = c->exp + GATEWAY_LEEWAY_S + 1; /* as long as we would take it */
		return OK;
	}
	/* P95: a delegated token alone calls nothing; its proof must say what it is for */
	ENSURE(proof->action_digest.p, ERR_ACTION);
	ask->once_space = proof->jkt;
	ask->once_id = proof->jti;
	ask->once_until_s = proof->keep_until_unix_s + JOSE_FUTURE_S;
	return OK;
}

err_t visit_may_open(visit_t *v)
{
	const jose_dpop_t *proof = &v->who.proof;

	ENSURE(!v->who.claims.is_capability, ERR_TYPE);
	if (v->who.by_certificate) {
		return OK; /* the connection proves the key each time; there is nothing to replay */
	}
	return proofs_take(v->g->proofs, proof->jkt, proof->jti, visit_now_s(v));
}
