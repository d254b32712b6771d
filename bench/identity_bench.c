/* identity_bench: what one X509-SVID and one JWT-SVID cost the processes that make them, step by step. CPU time of
 * one thread; the signer's half is told apart from the authority's. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "domain/spiffe/spiffe.h"

enum { NOW = 1800000000 };

typedef struct {
	arena_t *a;
	crypto_key_t *ca, *leaf;
	x509_issuer_t issuer;
	str_t csr, tbs, der, token;
	spiffe_id_t id;
	spiffe_trust_t *trust;
	crypto_pub_t pub;
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	size_t sig_n;
} run_t;

static void must(err_t e, const char *what)
{
	if (e != OK) {
		fprintf(stderr, "%s: %s\n", what, err_info(e)->name);
		exit(1);
	}
}

static void csr_make(run_t *r)
{
	must(x509_csr_make(r->a, r->leaf, &r->csr), "csr");
}

static void csr_verify(run_t *r)
{
	must(x509_csr_verify(r->csr, &r->pub), "verify csr");
}

static void tbs(run_t *r)
{
	spiffe_leaf_t l = { .id = &r->id, .pub = &r->pub, .now_unix_s = NOW };
	int64_t exp;

	crypto_random(l.serial, sizeof l.serial);
	must(spiffe_leaf_tbs(r->a, &l, &r->issuer, &r->tbs, &exp), "tbs");
}

static void sign(run_t *r)
{
	must(x509_tbs_is(r->tbs) ? OK : ERR_VALUE, "guard");
	must(crypto_key_sign_as(r->ca, CRYPTO_ES256, r->tbs, r->sig, &r->sig_n), "sign");
}

static void seal(run_t *r)
{
	must(x509_seal(r->a, r->tbs, CRYPTO_ES256, str_bytes(r->sig, r->sig_n), &r->der), "seal");
}

static void whole(run_t *r)
{
	csr_verify(r);
	tbs(r);
	sign(r);
	seal(r);
}

static void validate(run_t *r)
{
	const spiffe_trust_t *v[] = { r->trust };
	const spiffe_trusts_t trusts = { v, 1 };
	spiffe_x509_svid_t svid;
	x509_chain_t chain;

	must(x509_chain_parse(r->a, r->der, &chain), "parse");
	must(spiffe_x509_validate(&chain, &trusts, NOW, &svid, NULL), "validate");
}

static void jwt(run_t *r)
{
	const str_t aud[] = { STR("https://api.example.org") };
	spiffe_jwt_t j = { .id = &r->id, .aud = aud, .n_aud = 1, .now_unix_s = NOW, .kid = STR("k"), .alg = CRYPTO_ES256 };
	int64_t exp;
	str_t input;

	must(spiffe_jwt_input(r->a, &j, &input, &exp), "jwt");
	must(crypto_key_sign_as(r->ca, CRYPTO_ES256, input, r->sig, &r->sig_n), "sign");
	must(jose_jws_seal(r->a, input, str_bytes(r->sig, r->sig_n), &r->token), "seal");
}

static void jwt_validate(run_t *r)
{
	const spiffe_trust_t *v[] = { r->trust };
	const spiffe_trusts_t trusts = { v, 1 };
	const spiffe_jwt_expect_t x = { .trusts = &trusts, .audience = STR("https://api.example.org"), .now_unix_s = NOW };
	spiffe_jwt_svid_t svid;

	must(spiffe_jwt_validate(r->a, r->token, &x, &svid, NULL), "validate jwt");
}

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void measure(run_t *r, const char *name, void (*step)(run_t *))
{
	enum { ROUNDS = 5, TIMES = 2000 };
	double best = 1e9;
	run_t before = *r;

	for (int round = 0; round < ROUNDS; round++) {
		double t0 = cpu_us();
		for (int i = 0; i < TIMES; i++) {
			arena_t *a = arena_open();
			r->a = a;
			step(r);
			r->csr = before.csr, r->tbs = before.tbs, r->der = before.der, r->token = before.token;
			r->a = before.a;
			arena_free(a);
		}
		double us = (cpu_us() - t0) / TIMES;
		best = us < best ? us : best;
	}
	printf("%-34s %8.1f us\n", name, best);
}

static void setup(run_t *r)
{
	const uint8_t serial[X509_NEW_SERIAL_BYTES] = { 1 };
	x509_cert_t ca;
	str_t ca_tbs, ca_der;

	must(crypto_init(), "init");
	must(crypto_key_generate(CRYPTO_KEY_P256, &r->ca), "key");
	must(crypto_key_generate(CRYPTO_KEY_P256, &r->leaf), "key");
	must(spiffe_id_parse(STR("spiffe://example.org/agent/billing-scout"), &r->id), "id");
	must(spiffe_ca_tbs(r->a, STR("example.org"), crypto_key_pub(r->ca), NOW, 86400, serial, &ca_tbs), "ca");
	r->tbs = ca_tbs;
	sign(r);
	must(x509_seal(r->a, ca_tbs, CRYPTO_ES256, str_bytes(r->sig, r->sig_n), &ca_der), "seal");
	must(x509_cert_parse(r->a, ca_der, &ca), "parse");
	must(x509_issuer_of(&ca, &r->issuer), "issuer");
	jose_jwk_t jwk = { .pub = *crypto_key_pub(r->ca), .kid = STR("k") };
	spiffe_bundle_t b = { .td = STR("example.org"), .x509 = &ca_der, .n_x509 = 1, .jwt = { &jwk, 1 } };
	must(spiffe_trust_new(&b, &r->trust), "trust");
	csr_make(r);
	whole(r);
	jwt(r);
}

int main(void)
{
	run_t r = { .a = arena_new_capped(64 << 20) };

	setup(&r);
	measure(&r, "node: make a request", csr_make);
	measure(&r, "authority: verify a request", csr_verify);
	measure(&r, "authority: write TBSCertificate", tbs);
	measure(&r, "signer: look at it, sign", sign);
	measure(&r, "authority: seal", seal);
	measure(&r, "X509-SVID, all of it", whole);
	measure(&r, "X509-SVID validated, parse included", validate);
	measure(&r, "JWT-SVID, all of it", jwt);
	measure(&r, "JWT-SVID validated", jwt_validate);
	return 0;
}
