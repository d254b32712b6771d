/* tls_end.c: one end of a TLS connection: OpenSSL between two spans of bytes, without a socket. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <time.h>

#include "engine/net/tls_ctx.h"
#include "pure/crypto/crypto.h"

typedef struct {
	net_tls_peer_t p; /* first */
	unsigned holds;
} peer_t;

struct tls_end {
	net_tls_t *tls;
	SSL *ssl;
	tls_state_t state;
	str_t in; /* of the wire, not read yet */
	size_t handshake_bytes; /* read until the handshake was over */
	size_t plain_bytes; /* read since; with `messages` it bounds key updates */
	unsigned messages; /* handshake messages after the handshake */
	bool said_close;
	tls_verdict_t verdict;
	peer_t *peer;
	tls_sink_fn sink;
	void *sink_owner;
};

/* --- OpenSSL's side of the wire --------------------------------------------------------------------- */

static int bio_write(BIO *b, const char *p, int n)
{
	tls_end_t *e = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	buf_add(&e->tls->cipher, str_bytes(p, (size_t)n));
	return e->tls->cipher.overflow ? -1 : n;
}

static int bio_read(BIO *b, char *p, int n)
{
	tls_end_t *e = BIO_get_data(b);
	size_t take = e->in.n < (size_t)n ? e->in.n : (size_t)n;

	BIO_clear_retry_flags(b);
	if (take == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(p, e->in.p, take);
	e->in = str_sub(e->in, take, e->in.n);
	return (int)take;
}

static long bio_ctrl(BIO *b, int what, long number, void *pointer)
{
	(void)b, (void)number, (void)pointer;
	return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method; /* made once, never changed */

static void method_make(void)
{
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "attorn");
	CHECK(method && BIO_meth_set_write(method, bio_write) && BIO_meth_set_read(method, bio_read) &&
		BIO_meth_set_ctrl(method, bio_ctrl));
}

static BIO *bio_new(tls_end_t *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	CHECK(pthread_once(&once, method_make) == 0);
	BIO *b = BIO_new(method);
	CHECK(b != NULL);
	BIO_set_data(b, e);
	BIO_set_init(b, 1);
	return b;
}

/* A peer may ask for new keys as often as its traffic wants them, and no more: each costs us a message. */
static void on_message(int is_write, int version, int type, const void *bytes, size_t n, SSL *ssl, void *arg)
{
	tls_end_t *e = arg;

	(void)version, (void)bytes, (void)n, (void)ssl;
	if (!is_write && type == SSL3_RT_HANDSHAKE && e->state != TLS_HANDSHAKE) {
		e->messages++;
	}
}

/* --- begin and end ------------------------------------------------------------------------------------- */

tls_end_t *tls_end_new(net_tls_t *tls, tls_sink_fn sink, void *owner)
{
	if (!tls->o.is_client && !tls->has_certificate) {
		return NULL;
	}
	tls_end_t *e = heap_new(tls_end_t);
	BIO *bio = bio_new(e);
	e->tls = net_tls_hold(tls);
	e->ssl = SSL_new(tls->ctx);
	CHECK(e->ssl != NULL);
	SSL_set_bio(e->ssl, bio, bio);
	SSL_set_app_data(e->ssl, &e->verdict);
	SSL_set_msg_callback(e->ssl, on_message);
	SSL_set_msg_callback_arg(e->ssl, e);
	if (tls->o.is_client) {
		SSL_set_connect_state(e->ssl);
	} else {
		SSL_set_accept_state(e->ssl);
	}
	buf_init(&e->verdict.name, NET_TLS_NAME_BYTES_MAX);
	e->sink = sink;
	e->sink_owner = owner;
	return e;
}

void tls_end_free(tls_end_t *e)
{
	if (!e) {
		return;
	}
	SSL_free(e->ssl);
	tls_peer_free(e->peer ? &e->peer->p : NULL);
	buf_done(&e->verdict.name);
	net_tls_free(e->tls);
	heap_free(e);
}

tls_state_t tls_end_state(const tls_end_t *e)
{
	return e->state;
}

/* --- the peer -------------------------------------------------------------------------------------------- */

const net_tls_peer_t *tls_end_peer(const tls_end_t *e)
{
	return e->peer ? &e->peer->p : NULL;
}

const net_tls_peer_t *tls_peer_hold(const net_tls_peer_t *p)
{
	if (p) {
		((peer_t *)(uintptr_t)p)->holds++;
	}
	return p;
}

void tls_peer_free(const net_tls_peer_t *p)
{
	peer_t *peer = (peer_t *)(uintptr_t)p;

	if (!peer || --peer->holds) {
		return;
	}
	heap_free((void *)(uintptr_t)peer->p.leaf.p);
	heap_free((void *)(uintptr_t)peer->p.name.p);
	wipe(peer, sizeof(*peer));
	heap_free(peer);
}

static str_t heap_str(str_t s)
{
	char *p = heap_alloc(s.n + 1);

	memcpy(p, s.p ? s.p : "", s.n);
	return str_bytes(p, s.n);
}

static MUST err_t leaf_learn(tls_end_t *e, net_tls_peer_t *p)
{
	X509 *leaf = SSL_get0_peer_certificate(e->ssl);
	struct tm until;

	if (!leaf) {
		return e->tls->o.is_client || e->tls->o.ask == NET_TLS_ASK_REQUIRED ? ERR_CLIENT : OK;
	}
	ENSURE(e->verdict.is_verified, ERR_CLIENT);
	int n = i2d_X509(leaf, NULL);
	ENSURE(n > 0 && ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &until) == 1, ERR_CLIENT);
	uint8_t *der = heap_alloc((size_t)n), *end = der;
	p->leaf = str_bytes(der, (size_t)n);
	ENSURE(i2d_X509(leaf, &end) == n, ERR_CLIENT);
	crypto_sha256(p->leaf, p->x5t_s256);
	p->name = heap_str(buf_str(&e->verdict.name));
	p->until_unix_s = timegm(&until);
	p->is_verified = true;
	return OK;
}

/* RFC 9266 2: no context, which in TLS 1.3 is the same as an empty one. */
static MUST err_t binding_learn(tls_end_t *e, net_tls_peer_t *p)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (SSL_version(e->ssl) != TLS1_3_VERSION) {
		return OK;
	}
	ENSURE(SSL_export_keying_material(e->ssl, p->binding, sizeof(p->binding), label, sizeof(label) - 1, NULL, 0,
		       0) == 1,
		ERR_CRYPTO);
	p->has_binding = true;
	return OK;
}

static MUST err_t peer_learn(tls_end_t *e)
{
	e->peer = heap_new(peer_t);
	e->peer->holds = 1;
	ENSURE(!SSL_session_reused(e->ssl), ERR_CLIENT); /* cannot happen: nothing to resume was ever given */
	TRY(leaf_learn(e, &e->peer->p));
	return binding_learn(e, &e->peer->p);
}

/* --- bytes ------------------------------------------------------------------------------------------------ */

static void drain(tls_end_t *e)
{
	buf_t *b = &e->tls->cipher;

	if (b->n) {
		e->sink(e->sink_owner, buf_str(b));
	}
	buf_clear(b);
}

static void failed(tls_end_t *e)
{
	e->state = TLS_FAILED;
	e->in = STR_NULL;
	ERR_clear_error();
}

/* What a call of OpenSSL that did not succeed means. */
static void judge(tls_end_t *e, int result)
{
	switch (SSL_get_error(e->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return;
	case SSL_ERROR_ZERO_RETURN:
		e->state = TLS_PEER_CLOSED;
		e->in = STR_NULL; /* nothing counts behind close_notify (RFC 8446 6.1) */
		return;
	default:
		failed(e);
	}
}

static void handshake(tls_end_t *e)
{
	size_t before = e->in.n;

	ERR_clear_error();
	int done = SSL_do_handshake(e->ssl);
	e->handshake_bytes += before - e->in.n;
	if (done != 1) {
		judge(e, done);
	} else if (peer_learn(e) == OK) {
		e->state = TLS_OPEN;
	} else {
		failed(e);
	}
	if (e->handshake_bytes > NET_TLS_HANDSHAKE_BYTES_MAX) {
		failed(e);
	}
	drain(e);
}

void tls_end_begin(tls_end_t *e)
{
	handshake(e);
}

void tls_end_give(tls_end_t *e, str_t cipher)
{
	CHECK(e->in.n == 0);
	e->in = e->state == TLS_HANDSHAKE || e->state == TLS_OPEN ? cipher : STR_NULL;
}

str_t tls_end_read(tls_end_t *e)
{
	if (e->state == TLS_HANDSHAKE) {
		handshake(e);
	}
	if (e->state != TLS_OPEN) {
		return STR_NULL;
	}
	ERR_clear_error();
	int n = SSL_read(e->ssl, e->tls->plain, sizeof(e->tls->plain));
	e->plain_bytes += n > 0 ? (size_t)n : 0;
	if (n <= 0) {
		judge(e, n);
	}
	if (e->messages > NET_TLS_MESSAGES_MAX + e->plain_bytes / NET_TLS_MESSAGE_EVERY_BYTES) {
		failed(e);
	}
	drain(e);
	return e->state == TLS_OPEN && n > 0 ? str_bytes(e->tls->plain, (size_t)n) : STR_NULL;
}

static void encrypt(tls_end_t *e, str_t plain)
{
	if (plain.n == 0 || e->state == TLS_FAILED) {
		return;
	}
	ERR_clear_error();
	if (SSL_write(e->ssl, plain.p, (int)plain.n) != (int)plain.n) {
		failed(e);
	}
	if (e->tls->cipher.n >= NET_TLS_CIPHER_BYTES_MAX / 2) {
		drain(e);
	}
}

void tls_end_write(tls_end_t *e, const str_t *parts, size_t n)
{
	char small[4096]; /* heads and framing share a record with what follows */
	size_t filled = 0;

	CHECK(e->state != TLS_HANDSHAKE);
	for (size_t i = 0; i < n; i++) {
		str_t rest = parts[i];

		if (rest.n <= sizeof(small) - filled) {
			memcpy(small + filled, rest.n ? rest.p : "", rest.n);
			filled += rest.n;
			continue;
		}
		encrypt(e, str_bytes(small, filled));
		filled = 0;
		for (; rest.n; rest = str_sub(rest, SSL3_RT_MAX_PLAIN_LENGTH, rest.n)) {
			encrypt(e, str_sub(rest, 0, SSL3_RT_MAX_PLAIN_LENGTH));
		}
	}
	encrypt(e, str_bytes(small, filled));
	wipe(small, filled);
	drain(e);
}

void tls_end_close(tls_end_t *e)
{
	if (e->said_close || e->state == TLS_HANDSHAKE || e->state == TLS_FAILED) {
		return;
	}
	e->said_close = true;
	ERR_clear_error();
	(void)SSL_shutdown(e->ssl); /* ours only: the peer's comes, or not, through tls_end_read */
	ERR_clear_error();
	drain(e);
}
