/* trust.c: a bundle prepared for verifying, and the choice of one by trust domain. */
#include "domain/spiffe/spiffe.h"

struct spiffe_trust {
	arena_t *arena;
	str_t td;
	x509_roots_t *roots;
	jose_jwks_t jwks; /* each with its verifier, owned here */
	crypto_verifier_t *verifiers[JOSE_JWKS_KEYS_MAX];
};

void spiffe_trust_free(spiffe_trust_t *t)
{
	if (!t) {
		return;
	}
	for (size_t i = 0; i < t->jwks.n; i++) {
		crypto_verifier_free(t->verifiers[i]);
	}
	x509_roots_free(t->roots);
	arena_free(t->arena);
	heap_free(t);
}

static err_t key_add(spiffe_trust_t *t, const jose_jwk_t *key)
{
	jose_jwk_t own = { .pub = key->pub, .alg = key->alg };
	crypto_verifier_t *v = NULL;

	TRY(arena_dup(t->arena, key->kid, &own.kid));
	TRY(crypto_verifier_new(&own.pub, &v));
	t->verifiers[t->jwks.n] = v;
	own.verifier = v;
	t->jwks.keys[t->jwks.n++] = own;
	return OK;
}

MUST err_t spiffe_trust_new(const spiffe_bundle_t *b, spiffe_trust_t **out)
{
	AUTO(spiffe_trust_free) spiffe_trust_t *t = heap_new(spiffe_trust_t);

	t->arena = arena_open();
	t->td = arena_str(t->arena, b->td);
	ENSURE(b->jwt.n <= JOSE_JWKS_KEYS_MAX, ERR_LIMIT);
	t->jwks.keys = arena_array(t->arena, jose_jwk_t, JOSE_JWKS_KEYS_MAX);
	TRY(x509_roots_new(b->x509, b->n_x509, &t->roots));
	for (size_t i = 0; i < b->jwt.n; i++) {
		TRY(key_add(t, &b->jwt.keys[i]));
	}
	*out = TAKE(t);
	return OK;
}

str_t spiffe_trust_td(const spiffe_trust_t *t)
{
	return t->td;
}

const x509_roots_t *spiffe_trust_roots(const spiffe_trust_t *t)
{
	return t->roots;
}

const jose_jwks_t *spiffe_trust_jwks(const spiffe_trust_t *t)
{
	return &t->jwks;
}

const spiffe_trust_t *spiffe_trusts_find(const spiffe_trusts_t *t, str_t td)
{
	for (size_t i = 0; i < t->n; i++) {
		if (str_eq(t->v[i]->td, td)) {
			return t->v[i];
		}
	}
	return NULL;
}
