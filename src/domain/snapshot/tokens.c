/* tokens.c: our own tokens, verified; a delegated one is used many times and its signature looked at once. */
#include "domain/snapshot/snapshot.h"

/* What was verified: this very text, under the keys of this very snapshot. */
typedef struct {
	uint8_t hash[CRYPTO_SHA256_BYTES], snapshot[DELEGATION_DIGEST_BYTES];
	arena_t *a;
	delegation_claims_t claims;
	unsigned refs;
} token_t;

struct snapshot_tokens {
	token_t *places[SNAPSHOT_TOKENS_MAX]; /* by hash; a collision drops the older one */
};

static void token_unref(void *arg)
{
	token_t *t = arg;

	if (t && --t->refs == 0) {
		arena_free(t->a);
		heap_free(t);
	}
}

snapshot_tokens_t *snapshot_tokens_new(void)
{
	return heap_new(snapshot_tokens_t);
}

void snapshot_tokens_free(snapshot_tokens_t *t)
{
	for (size_t i = 0; t && i < SNAPSHOT_TOKENS_MAX; i++) {
		token_unref(t->places[i]);
	}
	heap_free(t);
}

static err_t token_verify(arena_t *a, const snapshot_t *s, str_t text, const snapshot_token_expect_t *x,
	token_t *t, diag_t *diag)
{
	const jose_expect_t expect = {
		.typ = STR("at+jwt"),
		.issuer = x->issuer,
		.audience = x->audience,
		.algs = CRYPTO_ALGS_OURS,
		.now_unix_s = x->now_unix_s,
		.leeway_s = x->leeway_s,
		.jwks = &s->c.token_keys,
	};
	jose_jwt_t jwt;

	TRY(jose_jwt_verify(a, text, &expect, &jwt, diag));
	return delegation_claims_read(t->a, jwt.payload, &t->claims, diag);
}

/* What may differ from one use of a token to the next; the same checks as jose_jwt_verify's. */
static err_t use_check(const delegation_claims_t *c, const snapshot_token_expect_t *x)
{
	ENSURE(!x->issuer.p || str_eq(c->iss, x->issuer), ERR_ISSUER);
	ENSURE(!x->audience.p || str_eq(c->aud, x->audience), ERR_AUDIENCE);
	ENSURE(c->exp > x->now_unix_s - x->leeway_s, ERR_EXPIRED);
	ENSURE(c->iat <= x->now_unix_s + x->leeway_s, ERR_NOT_YET);
	return OK;
}

static bool is_same(const token_t *t, const uint8_t hash[CRYPTO_SHA256_BYTES], const snapshot_t *s)
{
	return t && str_eq(str_bytes(t->hash, sizeof(t->hash)), str_bytes(hash, sizeof(t->hash))) &&
		str_eq(str_bytes(t->snapshot, sizeof(t->snapshot)), str_bytes(s->digest, sizeof(t->snapshot)));
}

static void hand_out(arena_t *a, token_t *t, delegation_claims_t *out)
{
	t->refs++;
	arena_defer(a, token_unref, t);
	*out = t->claims;
}

/* A capability is used once: it is handed out and not kept. */
static void keep(token_t **place, token_t *t)
{
	if (!t->claims.is_capability) {
		token_unref(*place);
		t->refs++;
		*place = t;
	}
}

err_t snapshot_token_verify(snapshot_tokens_t *tokens, arena_t *a, const snapshot_t *s, str_t text,
	const snapshot_token_expect_t *x, uint8_t out_hash[CRYPTO_SHA256_BYTES], delegation_claims_t *out, diag_t *diag)
{
	uint8_t hash[CRYPTO_SHA256_BYTES];

	crypto_sha256(text, hash);
	token_t **place = &tokens->places[(hash[0] | hash[1] << 8) % SNAPSHOT_TOKENS_MAX];
	if (is_same(*place, hash, s)) {
		TRY(use_check(&(*place)->claims, x));
		hand_out(a, *place, out);
	} else {
		token_t *t = heap_new(token_t);

		t->a = arena_open();
		t->refs = 1;
		memcpy(t->hash, hash, sizeof(hash));
		memcpy(t->snapshot, s->digest, sizeof(t->snapshot));
		err_t e = token_verify(a, s, text, x, t, diag);
		if (e == OK) {
			hand_out(a, t, out);
			keep(place, t);
		}
		token_unref(t);
		TRY(e);
	}
	memcpy(out_hash, hash, sizeof(hash));
	return OK;
}
