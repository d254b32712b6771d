#include "tls_rig.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

world_t world;

void world_make(void)
{
	world.ca = cert_make(&(cert_spec_t){ 0 });
	world.other_ca = cert_make(&(cert_spec_t){ 0 });
	world.server = cert_make(&(cert_spec_t){ .uri = "spiffe://td/attorn/authority", .issuer = &world.ca });
	world.client = cert_make(&(cert_spec_t){ .uri = "spiffe://td/agent/scout", .issuer = &world.ca });
	world.stranger = cert_make(&(cert_spec_t){ .uri = "spiffe://td/agent/scout", .issuer = &world.other_ca });
	world.expired = cert_make(&(cert_spec_t){ .uri = "spiffe://td/agent/scout", .issuer = &world.ca,
		.from_s = -7200, .until_s = -1 });
	world.early = cert_make(&(cert_spec_t){ .uri = "spiffe://td/agent/scout", .issuer = &world.ca,
		.from_s = 600, .until_s = 7200 });
}

void world_end(void)
{
	cert_t *all[] = { &world.ca, &world.other_ca, &world.server, &world.client, &world.stranger, &world.expired,
		&world.early };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		cert_done(all[i]);
	}
}

err_t tls_verify_by_world(net_tls_chain_t chain, buf_t *name, void *owner)
{
	tls_rig_t *r = owner;
	err_t e = cert_verify(chain, name, &world.ca);

	if (r) {
		r->verified += e == OK;
		r->refused += e != OK;
	}
	return e;
}

static void big_body(net_exchange_t *x, tls_rig_t *r)
{
	str_t body = net_body(x);
	char text[64];
	uint64_t sum = 0;

	for (size_t i = 0; i < body.n; i++) {
		sum = sum * 31 + (uint8_t)body.p[i];
	}
	snprintf(text, sizeof(text), "%zu %llu", body.n, (unsigned long long)sum);
	net_reply(x, 200, NET_HEADERS({ STR("X-Sum"), str_of(text) }), r->reply);
}

static void handler(net_exchange_t *x, void *owner)
{
	tls_rig_t *r = owner;
	const net_tls_peer_t *p = net_peer(x)->tls;

	r->handled++;
	r->peer_was_set = p != NULL;
	if (p) {
		r->peer = *p;
		snprintf(r->name, sizeof(r->name), "%.*s", STR_ARG(p->name));
		r->peer.leaf = r->arena ? arena_str(r->arena, p->leaf) : STR_NULL;
		r->peer.name = str_of(r->name);
	}
	if (p && r->watch_path && str_eq(net_path(x), str_of(r->watch_path))) {
		r->watched = *p;
	}
	if (str_eq(net_path(x), STR("/hold"))) {
		r->held = x;
	} else if (str_eq(net_path(x), STR("/big"))) {
		big_body(x, r);
	} else {
		net_reply_text(x, 200, STR("text/plain"), net_target(x));
	}
}

void tls_rig_open(tls_rig_t *r, const net_tls_options_t *o, const net_server_options_t *s)
{
	net_tls_options_t server = o ? *o : (net_tls_options_t){ .ask = NET_TLS_ASK_REQUIRED };
	net_tls_options_t client = { .is_client = true, .verify = tls_verify_by_world };
	net_server_options_t options = s ? *s : (net_server_options_t){ 0 };

	memset(r, 0, sizeof(*r));
	server.verify = server.ask == NET_TLS_ASK_NOTHING ? NULL : tls_verify_by_world;
	server.owner = r;
	r->tls = net_tls_new(&server);
	assert_false(net_tls_has_certificate(r->tls));
	assert_int_equal(net_tls_set(r->tls, &world.server.der, 1, world.server.pkcs8, NULL), OK);
	assert_true(net_tls_has_certificate(r->tls));
	options.tls = r->tls;
	support_open(&r->b, handler, r, &options);
	r->client_tls = net_tls_new(&client);
	assert_int_equal(net_tls_set(r->client_tls, &world.client.der, 1, world.client.pkcs8, NULL), OK);
	assert_int_equal(net_client_open(r->b.loop, 8, &r->client), OK);
	r->arena = arena_new_capped(64 << 20);
}

static void flag(void *owner)
{
	*(bool *)owner = true;
}

void tls_rig_close(tls_rig_t *r)
{
	bool closed = false;

	net_client_close(r->client, flag, &closed);
	assert_true(support_until(r->b.loop, &closed));
	support_close(&r->b);
	net_tls_free(r->tls);
	net_tls_free(r->client_tls);
	arena_free(r->arena);
}

typedef struct {
	bool done;
	err_t err;
} result_t;

static void op_done(op_t *op, err_t err)
{
	result_t *r = op->owner;

	*r = (result_t){ true, err };
}

err_t tls_fetch(tls_rig_t *r, const net_request_t *q, net_response_t *out)
{
	result_t result = { 0 };
	op_t *op = net_fetch(r->client, r->arena, q, out);

	op_start(op, r->b.loop, loop_in_ms(r->b.loop, 8000), op_done, &result);
	assert_true(support_until(r->b.loop, &result.done));
	return result.err;
}

str_t tls_url(tls_rig_t *r, const char *path)
{
	return arena_printf(r->arena, "https://127.0.0.1:%u%s", r->b.port, path);
}

err_t tls_get(tls_rig_t *r, const char *path, net_response_t *out)
{
	net_request_t q = { .method = STR("GET"), .url = tls_url(r, path), .tls = r->client_tls };

	return tls_fetch(r, &q, out);
}

/* --- the foreign end ------------------------------------------------------------------------------ */

static void on_info(const SSL *ssl, int where, int value)
{
	foreign_end_t *e = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL) {
		e->alert = value & 0xff;
	}
}

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	foreign_end_t *e = SSL_get_app_data(ssl);

	(void)session;
	e->tickets++;
	return 0;
}

static void foreign_certify(SSL_CTX *ctx, const foreign_t *f)
{
	if (!f->cert) {
		return;
	}
	CHECK(SSL_CTX_use_certificate(ctx, f->cert->x) == 1 && SSL_CTX_use_PrivateKey(ctx, f->cert->key) == 1);
	for (size_t i = 0; i < f->n_more; i++) {
		CHECK(SSL_CTX_add1_chain_cert(ctx, f->more[i]->x) == 1);
	}
	for (size_t i = 0; i < f->repeat_last; i++) {
		CHECK(SSL_CTX_add1_chain_cert(ctx, f->more[f->n_more - 1]->x) == 1);
	}
}

bool foreign_dial(foreign_end_t *e, uint16_t port, const foreign_t *f)
{
	*e = (foreign_end_t){ .fd = tcp_dial(port), .ctx = SSL_CTX_new(TLS_client_method()) };
	SSL_CTX_set_security_level(e->ctx, 0);
	SSL_CTX_set_session_cache_mode(e->ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(e->ctx, on_ticket);
	if (f->tls12_only) {
		SSL_CTX_set_max_proto_version(e->ctx, TLS1_2_VERSION);
	}
	if (f->alpn) {
		SSL_CTX_set_alpn_protos(e->ctx, (const uint8_t *)f->alpn, (unsigned)strlen(f->alpn));
	}
	if (f->suites) {
		CHECK(SSL_CTX_set_ciphersuites(e->ctx, f->suites) == 1);
	}
	if (f->sigalgs) {
		CHECK(SSL_CTX_set1_sigalgs_list(e->ctx, f->sigalgs) == 1);
	}
	foreign_certify(e->ctx, f);
	e->ssl = SSL_new(e->ctx);
	SSL_set_app_data(e->ssl, e);
	SSL_set_info_callback(e->ssl, on_info);
	if (f->resume) {
		CHECK(SSL_set_session(e->ssl, f->resume) == 1);
	}
	SSL_set_fd(e->ssl, e->fd);
	bool ok = SSL_connect(e->ssl) == 1;
	ERR_clear_error();
	return ok;
}

bool foreign_say(foreign_end_t *e, str_t bytes)
{
	bool ok = SSL_write(e->ssl, bytes.p, (int)bytes.n) == (int)bytes.n;

	ERR_clear_error();
	return ok;
}

size_t foreign_hear(foreign_end_t *e, char *out, size_t max)
{
	size_t n = 0;
	int got = 1;

	while (n < max && got > 0) {
		got = SSL_read(e->ssl, out + n, (int)(max - n));
		n += got > 0 ? (size_t)got : 0;
	}
	ERR_clear_error();
	return n;
}

int foreign_get(foreign_end_t *e, const char *path)
{
	char text[300], answer[4096];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	size_t got = 0;

	if (!foreign_say(e, str_bytes(text, (size_t)n))) {
		return 0;
	}
	while (!str_contains(str_bytes(answer, got), STR("\r\n\r\n"))) {
		int more = SSL_read(e->ssl, answer + got, (int)(sizeof(answer) - got));
		if (more <= 0) {
			ERR_clear_error();
			return 0;
		}
		got += (size_t)more;
	}
	return status_in(str_bytes(answer, got));
}

void foreign_end(foreign_end_t *e)
{
	SSL_free(e->ssl);
	SSL_CTX_free(e->ctx);
	close(e->fd);
}

int foreign_status(uint16_t port, const foreign_t *f, int *out_alert)
{
	foreign_end_t e;
	int status = foreign_dial(&e, port, f) ? foreign_get(&e, "/x") : 0;

	*out_alert = e.alert;
	foreign_end(&e);
	return status;
}
