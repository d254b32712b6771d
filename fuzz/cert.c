/* cert: certificates and chains as the wire brings them. Facts stay inside the bytes they were read from, and no
 * harmed certificate of the corpus verifies under the CA that stands at its own end. */
#include "domain/spiffe/spiffe.h"

enum { NOW = 1800000000 };

static bool inside(str_t part, str_t whole)
{
	return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void check_cert(const x509_cert_t *c)
{
	uint8_t digest[32];

	CHECK(inside(c->spki, c->der) && inside(c->subject, c->der));
	CHECK(c->n_uris + c->n_dns_names <= c->n_sans && c->n_sans <= X509_SANS_MAX);
	CHECK(c->pub.kind != CRYPTO_KEY_ED25519 && c->serial.n <= X509_SERIAL_BYTES_MAX);
	x509_sha256(c, digest);
	x509_issuer_t issuer;
	if (x509_issuer_of(c, &issuer) == OK) {
		CHECK(c->ca && issuer.key_id.n > 0);
	}
}

static void check_trust(arena_t *a, const x509_chain_t *chain)
{
	AUTO(x509_roots_free) x509_roots_t *roots = NULL;
	str_t last = chain->certs[chain->n - 1].der, root;
	spiffe_id_t id;

	if (x509_roots_new(&last, 1, &roots) == OK && x509_verify(chain, roots, NOW, &root, NULL) == OK) {
		CHECK(str_eq(root, last)); /* nothing else was there to end at */
	}
	if (spiffe_leaf_check(&chain->certs[0], &id, NULL) == OK) {
		CHECK(!chain->certs[0].ca && id.path.n > 1 && chain->certs[0].n_uris == 1);
	}
	(void)a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_open();
	x509_chain_t chain;

	CHECK(crypto_init() == OK);
	if (x509_chain_parse(a, str_bytes(data, size), &chain) != OK) {
		return 0;
	}
	CHECK(chain.n >= 1 && chain.n <= X509_CHAIN_MAX);
	for (size_t i = 0; i < chain.n; i++) {
		check_cert(&chain.certs[i]);
	}
	check_trust(a, &chain);
	return 0;
}
