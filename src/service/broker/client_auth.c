/* client_auth.c: who asks: a signed assertion under a registered key, with a DPoP proof in the same
 * request (oauth.md 4 and 5). */
#include "service/broker/broker_int.h"

err_t broker_proof(broker_t *b, arena_t *a, const net_exchange_t *x, str_t url, int64_t now_s,
	jose_dpop_t *out)
{
	jose_dpop_expect_t expect = {
		.method = net_method(x),
		.htu = url,
		.now_unix_s = now_s,
		.window_s = BROKER_PROOF_WINDOW_S,
		.algs = CRYPTO_ALGS_OURS,
		.nonce_key32 = vault_nonce_key(b->deps.vault),
		.nonce_max_age_s = BROKER_NONCE_AGE_S,
		.nonce_required = true,
	};
	str_t proof;
	err_t e = net_header(x, STR("DPoP"), &proof);

	ENSURE(e != ERR_DUPLICATE, ERR_DUPLICATE);
	ENSURE(e == OK, ERR_PROOF);
	return jose_dpop_verify(a, proof, &expect, out, NULL);
}

err_t broker_proof_spend(store_txn_t *txn, const jose_dpop_t *proof)
{
	err_t e = store_used_insert(txn, proof->jkt, proof->jti, proof->keep_until_unix_s);

	return e == ERR_REPLAY ? ERR_PROOF_REPLAY : e; /* not the client's authentication: RFC 9449 5 has its own code */
}

err_t broker_client_find(arena_t *a, const feed_view_t *view, str_t assertion, str_t client_id,
	const snapshot_agent_t **out)
{
	str_t claimed;

	TRY(jose_assertion_peek_client(a, assertion, &claimed));
	ENSURE(!client_id.p || str_eq(client_id, claimed), ERR_CLIENT);
	*out = snapshot_agent(view->snapshot, claimed);
	ENSURE(*out, ERR_CLIENT);
	return OK;
}

err_t broker_keys_closure(store_txn_t *txn, void *self)
{
	broker_keys_t *k = self;
	store_agent_key_t *rows;
	jose_jwk_t jwk;
	size_t n;

	k->n_keys = 0;
	TRY(store_agent_key_list(txn, k->a, k->agent, &rows, &n));
	k->keys = arena_array(k->a, crypto_pub_t, n < BROKER_AGENT_KEYS_MAX ? n : BROKER_AGENT_KEYS_MAX);
	for (size_t i = 0; i < n && k->n_keys < BROKER_AGENT_KEYS_MAX; i++) {
		if (str_eq(rows[i].state, STR("active"))) {
			TRY(jose_jwk_parse(k->a, rows[i].jwk, &jwk, NULL));
			k->keys[k->n_keys++] = jwk.pub;
		}
	}
	return OK;
}

err_t broker_client_check(broker_t *b, arena_t *a, str_t assertion, const snapshot_agent_t *agent,
	const broker_keys_t *keys, int64_t now_s, broker_client_t *out)
{
	jose_assertion_expect_t expect = {
		.client_id = agent->id,
		.issuer = b->deps.issuer,
		.keys = keys->keys,
		.n_keys = keys->n_keys,
		.now_unix_s = now_s,
	};
	jose_assertion_t seen;

	TRY(jose_assertion_verify(a, assertion, &expect, &seen, NULL));
	if (seen.nonce.p) {
		err_t e = jose_nonce_check(vault_nonce_key(b->deps.vault), seen.nonce, now_s, BROKER_NONCE_AGE_S);
		ENSURE(e == OK, ERR_CLIENT);
	}
	*out = (broker_client_t){ .agent = agent, .jti = seen.jti, .jti_until_s = seen.exp_unix_s + BROKER_LEEWAY_S };
	return OK;
}

err_t broker_svid_check(broker_t *b, arena_t *a, const feed_view_t *view, const broker_form_t *form,
	int64_t now_s, broker_client_t *out)
{
	ENSURE(b->deps.identity, ERR_CLIENT); /* nobody here to say whom to trust */
	const identity_view_t *trust = identity_pin(b->deps.identity);
	const spiffe_trusts_t trusts = identity_trusts(trust);
	const spiffe_jwt_expect_t expect = { .trusts = &trusts, .audience = b->deps.issuer, .audience_sole = true,
		.kid_optional = true, .now_unix_s = now_s, .leeway_s = BROKER_LEEWAY_S };
	spiffe_jwt_svid_t svid;

	err_t e = spiffe_jwt_validate(a, form->assertion, &expect, &svid, NULL);
	str_t id = e == OK ? identity_agent_of(trust, &svid.id) : STR_NULL;
	const snapshot_agent_t *agent = id.n ? snapshot_agent(view->snapshot, id) : NULL;
	identity_unpin(trust);
	ENSURE(e == OK && agent, ERR_CLIENT);
	ENSURE(!form->client_id.p || str_eq(form->client_id, svid.id.text) || str_eq(form->client_id, agent->id), ERR_CLIENT);
	*out = (broker_client_t){ .agent = agent, .jti = STR(""), .inst = arena_str(a, svid.id.text) };
	return OK;
}

err_t broker_token_read(broker_t *b, arena_t *a, const feed_view_t *view, str_t text, int64_t now_s,
	delegation_claims_t *out)
{
	jose_expect_t expect = {
		.typ = STR("at+jwt"),
		.issuer = b->deps.issuer,
		.algs = CRYPTO_ALGS_OURS,
		.now_unix_s = now_s,
		.leeway_s = BROKER_LEEWAY_S,
		.jwks = &view->snapshot->c.token_keys,
	};
	jose_jwt_t jwt;

	ENSURE(jose_jwt_verify(a, text, &expect, &jwt, NULL) == OK, ERR_TOKEN);
	return delegation_claims_read(a, jwt.payload, out, NULL);
}

str_t broker_token_hash(arena_t *a, str_t token)
{
	uint8_t hash[CRYPTO_SHA256_BYTES];

	crypto_sha256(token, hash);
	return delegation_digest_text(a, hash);
}
