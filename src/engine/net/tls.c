/* tls.c: one side's certificate, key and policy, as OpenSSL contexts. A new certificate is a new context, so
 * that a handshake sees one or the other and never a mixture. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "engine/net/tls_ctx.h"

/* Of TLS 1.3 all three; AES-128 first, as it is the fastest here and enough. */
#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"
/* RSA+SHA256.. sign certificates only: TLS 1.3 itself knows RSA-PSS alone (RFC 8446 4.2.3). */
#define SIGNATURES                                                                                 \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"             \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512"

static void x509_free_auto_(X509 **x)
{
	X509_free(*x);
}

static void pkey_free_auto_(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void ctx_free_auto_(SSL_CTX **c)
{
	SSL_CTX_free(*c);
}

static void stack_free_auto_(STACK_OF(X509) **s)
{
	sk_X509_pop_free(*s, X509_free);
}

/* --- who is at the other end ---------------------------------------------------------------------- */

static bool key_is_bounded(X509 *leaf)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	int bits = key ? EVP_PKEY_get_bits(key) : 0;

	if (!key || EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		return key && bits >= NET_TLS_EC_BITS_MIN && bits <= NET_TLS_EC_BITS_MAX;
	}
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits >= NET_TLS_RSA_BITS_MIN &&
	       bits <= NET_TLS_RSA_BITS_MAX;
}

/* spiffe L8: number and sizes before anything is computed. */
static MUST err_t chain_read(const STACK_OF(X509) *sent, arena_t *a, net_tls_chain_t *out)
{
	int n = sk_X509_num(sent);
	str_t *v;

	ENSURE(n > 0 && n <= NET_TLS_CHAIN_MAX && key_is_bounded(sk_X509_value(sent, 0)), ERR_LIMIT);
	v = arena_array(a, str_t, (size_t)n);
	for (int i = 0; i < n; i++) {
		int bytes = i2d_X509(sk_X509_value(sent, i), NULL);
		ENSURE(bytes > 0 && bytes <= NET_TLS_CERTIFICATE_BYTES_MAX, ERR_LIMIT);
		uint8_t *p = arena_alloc(a, (size_t)bytes), *end = p;
		ENSURE(i2d_X509(sk_X509_value(sent, i), &end) == bytes, ERR_CRYPTO);
		v[i] = str_bytes(p, (size_t)bytes);
	}
	*out = (net_tls_chain_t){ v, (size_t)n };
	return OK;
}

/* In place of all of OpenSSL's own path building: it would read trust from its own stores. */
static int on_verify(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	AUTO(arena_free) arena_t *a = arena_open();
	tls_verdict_t *verdict = SSL_get_app_data(ssl);
	const net_tls_t *tls = arg;
	net_tls_chain_t chain;

	buf_clear(&verdict->name);
	err_t e = chain_read(X509_STORE_CTX_get0_untrusted(store), a, &chain);
	if (e == OK) {
		e = tls->o.verify(chain, &verdict->name, tls->o.owner);
	}
	if (e == OK) {
		e = buf_err(&verdict->name);
	}
	ERR_clear_error(); /* what verify left there is none of the handshake's */
	verdict->is_verified = e == OK;
	X509_STORE_CTX_set_error(store, e == OK ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
	return e == OK;
}

/* RFC 7301 3.2: who names protocols must name ours. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
	unsigned in_n, void *arg)
{
	(void)ssl, (void)arg;
	for (unsigned i = 0; i < in_n; i += in[i] + 1u) {
		str_t name = str_sub(str_bytes(in, in_n), i + 1, in[i]);
		if (str_eq(name, STR("http/1.1"))) {
			*out = in + i + 1;
			*out_n = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- policy ------------------------------------------------------------------------------------------ */

static void resumption_off(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	CHECK(SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_max_early_data(ctx, 0) == 1);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
}

static int verify_mode(const net_tls_options_t *o)
{
	if (o->is_client || o->ask == NET_TLS_ASK_REQUIRED) {
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	}
	return o->ask == NET_TLS_ASK_OPTIONAL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
}

static SSL_CTX *ctx_new(net_tls_t *tls)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	CHECK(ctx != NULL);
	CHECK(SSL_CTX_set_min_proto_version(ctx, tls->o.with_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1);
	CHECK(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1);
	SSL_CTX_set_security_level(ctx, 2); /* 112 bits, whatever the system's configuration says */
	CHECK(SSL_CTX_set_ciphersuites(ctx, SUITES_13) == 1 && SSL_CTX_set_cipher_list(ctx, SUITES_12) == 1);
	CHECK(SSL_CTX_set1_groups_list(ctx, GROUPS) == 1);
	CHECK(SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1);
	resumption_off(ctx);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_max_cert_list(ctx, NET_TLS_CHAIN_MAX * NET_TLS_CERTIFICATE_BYTES_MAX);
	SSL_CTX_set_verify(ctx, verify_mode(&tls->o), NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, tls);
	if (tls->o.is_client) {
		CHECK(SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0);
	} else {
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	}
	return ctx;
}

net_tls_t *net_tls_new(const net_tls_options_t *o)
{
	CHECK(o->verify || (!o->is_client && o->ask == NET_TLS_ASK_NOTHING));
	CHECK(!o->with_tls12 || (!o->is_client && o->ask == NET_TLS_ASK_NOTHING));
	net_tls_t *tls = heap_new(net_tls_t);
	tls->holds = 1;
	tls->o = *o;
	tls->ctx = ctx_new(tls);
	tls->generation = net_tls_generation_next();
	buf_init(&tls->cipher, NET_TLS_CIPHER_BYTES_MAX);
	return tls;
}

net_tls_t *net_tls_hold(net_tls_t *tls)
{
	tls->holds++;
	return tls;
}

void net_tls_free(net_tls_t *tls)
{
	if (!tls || --tls->holds) {
		return;
	}
	SSL_CTX_free(tls->ctx);
	buf_wipe(&tls->cipher);
	wipe(tls->plain, sizeof(tls->plain));
	heap_free(tls);
}

bool net_tls_has_certificate(const net_tls_t *tls)
{
	return tls->has_certificate;
}

bool net_tls_is_client(const net_tls_t *tls)
{
	return tls->o.is_client;
}

uint64_t net_tls_generation(const net_tls_t *tls)
{
	return tls->generation;
}

uint64_t net_tls_generation_next(void)
{
	static _Atomic uint64_t last; /* a name, not state: it only keeps kept connections apart */

	return ++last;
}

/* --- our own certificate ------------------------------------------------------------------------------- */

static MUST err_t certificate_read(str_t der, X509 **out)
{
	const uint8_t *p = (const uint8_t *)der.p;

	ENSURE(der.n > 0 && der.n <= NET_TLS_CERTIFICATE_BYTES_MAX, ERR_LIMIT);
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	if (!x || p != (const uint8_t *)der.p + der.n) {
		X509_free(x);
		return ERR_KEY;
	}
	*out = x;
	return OK;
}

static MUST err_t key_read(str_t pkcs8, EVP_PKEY **out)
{
	const uint8_t *p = (const uint8_t *)pkcs8.p;

	ENSURE(pkcs8.n > 0 && pkcs8.n <= NET_TLS_CERTIFICATE_BYTES_MAX, ERR_LIMIT);
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)pkcs8.n);
	EVP_PKEY *key = info && p == (const uint8_t *)pkcs8.p + pkcs8.n ? EVP_PKCS82PKEY(info) : NULL;
	PKCS8_PRIV_KEY_INFO_free(info);
	ENSURE(key, ERR_KEY);
	*out = key;
	return OK;
}

static MUST err_t certificate_use(SSL_CTX *ctx, const str_t *chain, size_t n, str_t key_pkcs8)
{
	AUTO(x509_free) X509 *leaf = NULL;
	AUTO(pkey_free) EVP_PKEY *key = NULL;
	AUTO(stack_free) STACK_OF(X509) *rest = sk_X509_new_null();

	ENSURE(n > 0 && n <= NET_TLS_CHAIN_MAX, ERR_LIMIT);
	TRY(certificate_read(chain[0], &leaf));
	TRY(key_read(key_pkcs8, &key));
	for (size_t i = 1; i < n; i++) {
		X509 *x = NULL;
		TRY(certificate_read(chain[i], &x));
		CHECK(sk_X509_push(rest, x) > 0);
	}
	ENSURE(key_is_bounded(leaf), ERR_KEY);
	ENSURE(SSL_CTX_use_cert_and_key(ctx, leaf, key, rest, 1) == 1, ERR_KEY); /* and they fit */
	return OK;
}

err_t net_tls_set(net_tls_t *tls, const str_t *chain, size_t n, str_t key_pkcs8, diag_t *diag)
{
	AUTO(ctx_free) SSL_CTX *ctx = ctx_new(tls);
	err_t e = certificate_use(ctx, chain, n, key_pkcs8);

	ERR_clear_error();
	if (e != OK) {
		diag_set(diag, 0, 0, "certificate and key cannot be used together for TLS");
		return e;
	}
	SSL_CTX *old = tls->ctx;
	tls->ctx = TAKE(ctx);
	SSL_CTX_free(old); /* connections that began with it hold it */
	tls->has_certificate = true;
	tls->generation = net_tls_generation_next();
	return OK;
}
