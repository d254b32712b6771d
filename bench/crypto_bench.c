/* crypto_bench: microseconds of one core for each signature that a call cannot do without, one line each:
 *     name <TAB> microseconds
 * The last line is the sum that an exchange must pay: verify assertion, verify proof, sign the token. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pure/jose/jose.h"

enum { NOW = 1795000000, ROUNDS = 64, SAMPLES = 5 };
static const double SAMPLE_US = 100000; /* 0.1 s each, the best of five: the machine is shared */

typedef struct {
	crypto_key_t *ed, *p256;
	crypto_verifier_t *p256_verifier;
	uint8_t ed_sig[64], p256_sig[64], key[32];
	str_t msg, block, proof_ed, proof_p256, assertion, token, sealed;
	arena_t *a; /* reset after each round */
} rig_t;

static void must(err_t e, const char *what)
{
	if (e != OK) {
		fprintf(stderr, "crypto_bench: %s: %s\n", what, err_info(e)->name);
		exit(1);
	}
}

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double measure(const char *name, void (*once)(rig_t *), rig_t *r)
{
	double best = 1e9;

	for (int s = 0; s < SAMPLES; s++) {
		double start = cpu_us();
		int rounds = 0;
		do { /* the clock is a system call: not after each round */
			for (int i = 0; i < ROUNDS; i++) {
				once(r);
				arena_reset(r->a);
			}
			rounds += ROUNDS;
		} while (cpu_us() - start < SAMPLE_US);
		double us = (cpu_us() - start) / rounds;
		best = us < best ? us : best;
	}
	printf("%s\t%.2f\n", name, best);
	return best;
}

/* --- what is measured ----------------------------------------------------------------------------- */

static void hash_short(rig_t *r)
{
	uint8_t h[32];

	crypto_sha256(r->msg, h);
}

static void hash_4k(rig_t *r)
{
	uint8_t h[32];

	crypto_sha256(r->block, h);
}

static void ed_sign(rig_t *r)
{
	uint8_t sig[64];

	must(crypto_key_sign(r->ed, r->msg, sig), "ed25519 sign");
}

static void ed_verify(rig_t *r)
{
	must(crypto_verify(crypto_key_pub(r->ed), CRYPTO_ED25519, r->msg, str_bytes(r->ed_sig, 64)),
		"ed25519 verify");
}

static void p256_sign(rig_t *r)
{
	uint8_t sig[64];

	must(crypto_key_sign(r->p256, r->msg, sig), "es256 sign");
}

static void p256_verify(rig_t *r)
{
	must(crypto_verifier_check(r->p256_verifier, CRYPTO_ES256, r->msg, str_bytes(r->p256_sig, 64)),
		"es256 verify");
}

static void p256_verify_cold(rig_t *r)
{
	must(crypto_verify(crypto_key_pub(r->p256), CRYPTO_ES256, r->msg, str_bytes(r->p256_sig, 64)),
		"es256 verify, key from bytes");
}

static void dpop(rig_t *r, str_t proof)
{
	const jose_dpop_expect_t x = { .method = STR("POST"), .htu = STR("http://127.0.0.1:7480/oauth/token"),
		.now_unix_s = NOW, .window_s = 60, .algs = CRYPTO_ALGS_OURS,
		.nonce_key32 = str_bytes(r->key, 32), .nonce_max_age_s = 60, .nonce_required = true };
	jose_dpop_t out;

	must(jose_dpop_verify(r->a, proof, &x, &out, NULL), "dpop verify");
}

static void dpop_ed(rig_t *r)
{
	dpop(r, r->proof_ed);
}

static void dpop_p256(rig_t *r)
{
	dpop(r, r->proof_p256);
}

static void dpop_make(rig_t *r)
{
	const jose_dpop_make_t m = { .method = STR("POST"), .htu = STR("http://127.0.0.1:7480/oauth/token"),
		.now_unix_s = NOW };
	str_t proof;

	must(jose_dpop_make(r->a, r->ed, &m, &proof), "dpop make");
}

static void assertion(rig_t *r)
{
	const jose_assertion_expect_t x = { .client_id = STR("spiffe://example.test/agent/scout"),
		.issuer = STR("http://127.0.0.1:7480"), .keys = crypto_key_pub(r->ed), .n_keys = 1,
		.now_unix_s = NOW };
	jose_assertion_t out;

	must(jose_assertion_verify(r->a, r->assertion, &x, &out, NULL), "assertion verify");
}

static void token_verify(rig_t *r)
{
	const jose_expect_t x = { .typ = STR("at+jwt"), .algs = CRYPTO_ALGS_OURS, .now_unix_s = NOW,
		.key = crypto_key_pub(r->ed) };
	jose_jwt_t jwt;

	must(jose_jwt_verify(r->a, r->token, &x, &jwt, NULL), "token verify");
}

#define TOKEN_CLAIMS                                                                               \
	"{\"iss\":\"http://127.0.0.1:7480\",\"aud\":\"http://127.0.0.1:7481/r/tickets\",\"sub\":\"u:1\"," \
	"\"sub_profile\":\"user\",\"act\":{\"sub\":\"spiffe://example.test/agent/scout\"},\"client_id\":" \
	"\"spiffe://example.test/agent/scout\",\"iat\":1795000000,\"exp\":1795000060,\"jti\":\"" \
	"AAAAAAAAAAAAAAAAAAAAAA\",\"txn\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"scope\":\"tickets:create\"," \
	"\"cnf\":{\"jkt\":\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"},\"direction\":{\"init\":"  \
	"\"human\",\"sel\":\"model\"},\"assurance\":\"key\",\"grant\":\"01JD0000000000000000000000\"}"

static void token_sign(rig_t *r)
{
	const jose_sign_t h = { .typ = STR("at+jwt"), .kid = STR("t1") };
	str_t text;

	must(jose_jws_sign(r->a, r->ed, &h, STR(TOKEN_CLAIMS), &text), "token sign");
}

static void seal(rig_t *r)
{
	str_t sealed;

	must(crypto_seal(r->a, str_bytes(r->key, 32), STR("aad"), r->msg, &sealed), "seal");
}

/* --- rig ------------------------------------------------------------------------------------------ */

static void rig_tokens(rig_t *r, arena_t *keep)
{
	jose_dpop_make_t d = { .method = STR("POST"), .htu = STR("http://127.0.0.1:7480/oauth/token"),
		.nonce = jose_nonce_make(keep, str_bytes(r->key, 32), NOW), .now_unix_s = NOW };
	jose_assertion_make_t m = { .client_id = STR("spiffe://example.test/agent/scout"),
		.issuer = STR("http://127.0.0.1:7480"), .now_unix_s = NOW, .life_s = 60 };
	jose_sign_t h = { .typ = STR("at+jwt"), .kid = STR("t1") };

	must(jose_dpop_make(keep, r->ed, &d, &r->proof_ed), "proof");
	must(jose_dpop_make(keep, r->p256, &d, &r->proof_p256), "proof");
	must(jose_assertion_make(keep, r->ed, &m, &r->assertion), "assertion");
	must(jose_jws_sign(keep, r->ed, &h, STR(TOKEN_CLAIMS), &r->token), "token");
}

static void rig_open(rig_t *r, arena_t *keep)
{
	static char block[4096];

	must(crypto_init(), "init");
	r->a = arena_open();
	r->msg = STR("eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjc0ODAiLCJh");
	r->block = str_bytes(block, sizeof block);
	must(crypto_key_generate(CRYPTO_KEY_ED25519, &r->ed), "key");
	must(crypto_key_generate(CRYPTO_KEY_P256, &r->p256), "key");
	must(crypto_verifier_new(crypto_key_pub(r->p256), &r->p256_verifier), "verifier");
	must(crypto_key_sign(r->ed, r->msg, r->ed_sig), "sign");
	must(crypto_key_sign(r->p256, r->msg, r->p256_sig), "sign");
	crypto_random(r->key, sizeof r->key);
	rig_tokens(r, keep);
}

int main(void)
{
	AUTO(arena_free) arena_t *keep = arena_open();
	rig_t r = { 0 };

	rig_open(&r, keep);
	measure("sha256_84_bytes", hash_short, &r);
	measure("sha256_4096_bytes", hash_4k, &r);
	measure("seal_84_bytes", seal, &r);
	double sign = measure("ed25519_sign", ed_sign, &r);
	double verify = measure("ed25519_verify", ed_verify, &r);
	measure("es256_sign", p256_sign, &r);
	measure("es256_verify_prepared", p256_verify, &r);
	measure("es256_verify_from_bytes", p256_verify_cold, &r);
	measure("dpop_verify_ed25519", dpop_ed, &r);
	measure("dpop_verify_es256", dpop_p256, &r);
	measure("dpop_make_ed25519", dpop_make, &r);
	measure("assertion_verify_ed25519", assertion, &r);
	measure("token_verify_ed25519", token_verify, &r);
	measure("token_sign_ed25519", token_sign, &r);
	printf("mandatory_signatures_of_an_exchange\t%.2f\n", 2 * verify + sign);
	crypto_verifier_free(r.p256_verifier);
	crypto_key_free(r.ed);
	crypto_key_free(r.p256);
	arena_free(r.a);
	return 0;
}
