/* mtls.c: our SVID, the bundles in force, and the verdict on a peer's chain. */
#include "service/mtls/mtls.h"

struct mtls {
	mtls_options_t o;
	char *peer_id;
	net_tls_t *tls;
	spiffe_trust_t **trusts;
	size_t n_trusts;
	bool has_pin;
	char *pin_td;
	uint8_t pin[32];
	diag_t why;
};

/* --- the verdict ---------------------------------------------------------------------------------- */

/* The pinned root, if the peer shows it, as a bundle of one key. */
static MUST err_t pinned_trust(const mtls_t *m, net_tls_chain_t chain, spiffe_trust_t **out)
{
	uint8_t hash[CRYPTO_SHA256_BYTES];

	for (size_t i = 1; i < chain.n; i++) {
		crypto_sha256(chain.v[i], hash);
		if (ct_eq(hash, m->pin, sizeof(hash))) {
			const spiffe_bundle_t b = { .td = str_of(m->pin_td), .x509 = &chain.v[i], .n_x509 = 1 };
			return spiffe_trust_new(&b, out);
		}
	}
	return ERR_TRUST_DOMAIN;
}

static MUST err_t svid_check(mtls_t *m, net_tls_chain_t chain, const spiffe_trusts_t *trusts, buf_t *name)
{
	AUTO(arena_free) arena_t *a = arena_open();
	x509_chain_t certs;
	spiffe_x509_svid_t svid;
	int64_t now_s = (int64_t)loop_unix_s(m->o.loop);

	TRY(x509_chain_of(a, chain.v, chain.n, &certs));
	TRY(spiffe_x509_validate(&certs, trusts, now_s, &svid, &m->why));
	diag_set(&m->why, 0, 0, "%.*s is not who is expected here", STR_ARG(svid.id.text));
	ENSURE(!m->peer_id || str_eq(svid.id.text, str_of(m->peer_id)), ERR_CLIENT);
	buf_add(name, svid.id.text);
	return OK;
}

static err_t verify(net_tls_chain_t chain, buf_t *name, void *owner)
{
	mtls_t *m = owner;
	AUTO(spiffe_trust_free) spiffe_trust_t *pinned = NULL;
	const spiffe_trust_t *one;

	diag_set(&m->why, 0, 0, "not certificates, or not within the limits");
	if (!m->has_pin) {
		const spiffe_trusts_t trusts = { (const spiffe_trust_t *const *)m->trusts, m->n_trusts };
		return svid_check(m, chain, &trusts, name);
	}
	diag_set(&m->why, 0, 0, "the pinned root is not among what the peer shows");
	TRY(pinned_trust(m, chain, &pinned));
	one = pinned;
	return svid_check(m, chain, &(spiffe_trusts_t){ &one, 1 }, name);
}

/* --- life ------------------------------------------------------------------------------------------- */

mtls_t *mtls_new(const mtls_options_t *o)
{
	mtls_t *m = heap_new(mtls_t);

	CHECK(o->is_client || o->ask != NET_TLS_ASK_NOTHING);
	m->o = *o;
	m->peer_id = o->peer_id.n ? heap_cstr(o->peer_id) : NULL;
	m->tls = net_tls_new(&(net_tls_options_t){
		.is_client = o->is_client,
		.ask = o->ask,
		.verify = verify,
		.owner = m,
	});
	return m;
}

static void trusts_free(spiffe_trust_t **v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		spiffe_trust_free(v[i]);
	}
	heap_free(v);
}

static void trust_forget(mtls_t *m)
{
	trusts_free(m->trusts, m->n_trusts);
	m->trusts = NULL;
	m->n_trusts = 0;
	m->has_pin = false;
	heap_free(m->pin_td);
	m->pin_td = NULL;
}

void mtls_free(mtls_t *m)
{
	if (!m) {
		return;
	}
	net_tls_free(m->tls);
	trust_forget(m);
	heap_free(m->peer_id);
	heap_free(m);
}

net_tls_t *mtls_peek_tls(const mtls_t *m)
{
	return m->tls;
}

/* --- what changes while it runs ----------------------------------------------------------------------- */

err_t mtls_svid_set(mtls_t *m, const str_t *chain, size_t n, str_t key_pkcs8, diag_t *diag)
{
	return net_tls_set(m->tls, chain, n, key_pkcs8, diag);
}

err_t mtls_trust_set(mtls_t *m, const spiffe_bundle_t *bundles, size_t n)
{
	ENSURE(n <= SPIFFE_BUNDLES_MAX, ERR_LIMIT);
	spiffe_trust_t **v = heap_alloc(n * sizeof(*v) + 1);
	for (size_t i = 0; i < n; i++) {
		err_t e = spiffe_trust_new(&bundles[i], &v[i]);
		if (e != OK) {
			trusts_free(v, i);
			return e;
		}
	}
	trust_forget(m);
	m->trusts = v;
	m->n_trusts = n;
	return OK;
}

err_t mtls_pin_set(mtls_t *m, str_t td, const uint8_t sha256[32])
{
	TRY(spiffe_td_check(td));
	trust_forget(m);
	m->has_pin = true;
	m->pin_td = heap_cstr(td);
	memcpy(m->pin, sha256, sizeof(m->pin));
	return OK;
}

bool mtls_is_ready(const mtls_t *m)
{
	return (m->n_trusts || m->has_pin) && (m->o.is_client || net_tls_has_certificate(m->tls));
}

const char *mtls_peek_why(const mtls_t *m)
{
	return m->why.text;
}
