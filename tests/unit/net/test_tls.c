/* TLS of listeners and of our own client: who is let in, what is refused and how, what a connection leaves behind. */
#include <dirent.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "pure/crypto/crypto.h"
#include "tls_rig.h"

/* --- both ends ours --------------------------------------------------------------------------------- */

static void both_know_each_other(void **state)
{
	tls_rig_t r;
	net_response_t a;
	uint8_t hash[32];

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(tls_get(&r, "/a?b", &a), OK);
		assert_int_equal(a.status, 200);
		assert_true(str_eq(a.body, STR("/a?b")));
		assert_non_null(a.tls);
		assert_true(r.peer.is_verified && a.tls->is_verified);
		assert_true(str_eq(r.peer.name, STR("spiffe://td/agent/scout")));
		assert_true(str_eq(a.tls->name, STR("spiffe://td/attorn/authority")));
		assert_true(str_eq(r.peer.leaf, world.client.der) && str_eq(a.tls->leaf, world.server.der));
		crypto_sha256(world.client.der, hash);
		assert_memory_equal(hash, r.peer.x5t_s256, 32);
		assert_true(r.peer.has_binding && a.tls->has_binding);
		assert_memory_equal(r.peer.binding, a.tls->binding, 32);
		assert_true(r.peer.until_unix_s > (int64_t)loop_unix_s(r.b.loop) + 3000);
	}
	net_server_counts_t n = net_server_counts(r.b.server);
	assert_int_equal(n.handshakes, 1); /* kept */
	assert_int_equal(n.handshakes_failed + n.handshakes_late, 0);
	assert_int_equal(r.verified, 1);
	tls_rig_close(&r);
}

static void bindings_are_of_one_connection(void **state)
{
	tls_rig_t r;
	net_response_t a, b;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	assert_int_equal(tls_get(&r, "/1", &a), OK);
	uint8_t first[32];
	memcpy(first, a.tls->binding, 32);
	net_request_t q = { .method = STR("GET"), .url = tls_url(&r, "/2"), .tls = r.client_tls,
		.on_binding = str_bytes(first, 32) };
	assert_int_equal(tls_fetch(&r, &q, &b), OK);
	assert_memory_equal(r.peer.binding, first, 32);
	assert_int_equal(net_server_counts(r.b.server).handshakes, 1);
	/* with a new certificate there is a new connection, of another binding */
	assert_int_equal(net_tls_set(r.client_tls, &world.client.der, 1, world.client.pkcs8, NULL), OK);
	assert_int_equal(tls_get(&r, "/3", &b), OK);
	assert_int_equal(net_server_counts(r.b.server).handshakes, 2);
	assert_true(!ct_eq(b.tls->binding, first, 32));
	uint8_t wrong[32] = { 1 };
	q.on_binding = str_bytes(wrong, 32);
	assert_int_equal(tls_fetch(&r, &q, &b), ERR_NOT_FOUND);
	q.on_binding = str_bytes(first, 32); /* that one is of the certificate before */
	assert_int_equal(tls_fetch(&r, &q, &b), ERR_NOT_FOUND);
	tls_rig_close(&r);
}

static void client_refuses_servers(void **state)
{
	const cert_t *bad[] = { &world.stranger, &world.expired, &world.early };
	tls_rig_t r;
	net_response_t a;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(net_tls_set(r.tls, &bad[i]->der, 1, bad[i]->pkcs8, NULL), OK);
		assert_int_equal(tls_get(&r, "/secret", &a), ERR_UPSTREAM);
		assert_int_equal(r.handled, 0); /* nothing was said to it */
	}
	assert_int_equal(net_server_counts(r.b.server).handshakes_failed, 3);
	tls_rig_close(&r);
}

static void client_without_certificate(void **state)
{
	net_tls_options_t o = { .ask = NET_TLS_ASK_OPTIONAL };
	tls_rig_t r;
	net_response_t a;

	(void)state;
	for (unsigned required = 0; required < 2; required++) {
		tls_rig_open(&r, required ? NULL : &o, NULL);
		net_tls_t *bare = net_tls_new(&(net_tls_options_t){ .is_client = true, .verify = tls_verify_by_world });
		net_request_t q = { .method = STR("GET"), .url = tls_url(&r, "/"), .tls = bare };
		assert_int_equal(tls_fetch(&r, &q, &a), required ? ERR_UPSTREAM : OK);
		assert_int_equal(r.handled, !required);
		if (!required) {
			assert_true(r.peer_was_set && !r.peer.is_verified && r.peer.leaf.n == 0 && r.peer.name.n == 0);
			assert_true(r.peer.has_binding);
			assert_memory_equal(r.peer.binding, a.tls->binding, 32);
		}
		net_tls_free(bare);
		tls_rig_close(&r);
	}
}

static void what_tls_calls_cannot_be(void **state)
{
	tls_rig_t r;
	net_response_t a;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	net_request_t q = { .method = STR("GET"), .url = arena_printf(r.arena, "http://127.0.0.1:%u/", r.b.port),
		.tls = r.client_tls };
	assert_int_equal(tls_fetch(&r, &q, &a), ERR_VALUE); /* plain */
	q.url = arena_printf(r.arena, "https://localhost:%u/", r.b.port);
	assert_int_equal(tls_fetch(&r, &q, &a), ERR_VALUE); /* never with the system's trust */
	q.url = tls_url(&r, "/");
	q.tls = r.tls;
	assert_int_equal(tls_fetch(&r, &q, &a), ERR_VALUE); /* a server's */
	q.tls = NULL;
	q.on_binding = STR("x");
	assert_int_equal(tls_fetch(&r, &q, &a), ERR_VALUE);
	diag_t diag = { 0 };
	assert_int_equal(net_sync_fetch(r.arena, &(net_request_t){ .method = STR("GET"), .url = tls_url(&r, "/"),
							 .tls = r.client_tls }, &a, &diag), ERR_VALUE);
	tls_rig_close(&r);
}

static void what_cannot_be_set(void **state)
{
	cert_t ed = cert_make(&(cert_spec_t){ .uri = "spiffe://td/x", .issuer = &world.ca, .ed25519 = true });
	cert_t small = cert_make(&(cert_spec_t){ .uri = "spiffe://td/x", .issuer = &world.ca, .rsa_bits = 1024 });
	const str_t six[] = { world.server.der, world.ca.der, world.ca.der, world.ca.der, world.ca.der, world.ca.der };
	AUTO(net_tls_free) net_tls_t *tls = net_tls_new(&(net_tls_options_t){ .ask = NET_TLS_ASK_NOTHING });
	diag_t diag = { 0 };
	str_t cut = str_sub(world.server.der, 0, world.server.der.n - 1);

	(void)state;
	assert_int_equal(net_tls_set(tls, &world.server.der, 1, world.client.pkcs8, &diag), ERR_KEY);
	assert_true(diag.text[0] != '\0');
	assert_int_equal(net_tls_set(tls, &world.server.der, 0, world.server.pkcs8, &diag), ERR_LIMIT);
	assert_int_equal(net_tls_set(tls, six, 6, world.server.pkcs8, &diag), ERR_LIMIT);
	assert_int_equal(net_tls_set(tls, &cut, 1, world.server.pkcs8, &diag), ERR_KEY);
	assert_int_equal(net_tls_set(tls, &world.server.der, 1, STR("nothing"), &diag), ERR_KEY);
	assert_int_equal(net_tls_set(tls, &world.server.der, 1, STR_NULL, &diag), ERR_LIMIT);
	assert_int_equal(net_tls_set(tls, &ed.der, 1, ed.pkcs8, &diag), ERR_KEY);
	assert_int_equal(net_tls_set(tls, &small.der, 1, small.pkcs8, &diag), ERR_KEY);
	assert_false(net_tls_has_certificate(tls));
	assert_int_equal(net_tls_set(tls, six, 5, world.server.pkcs8, &diag), OK);
	assert_int_equal(net_tls_set(tls, &small.der, 1, small.pkcs8, &diag), ERR_KEY); /* what was there stays */
	assert_true(net_tls_has_certificate(tls));
	cert_done(&ed);
	cert_done(&small);
}

/* --- foreign clients --------------------------------------------------------------------------------- */

typedef struct {
	const char *what;
	foreign_t f;
	int status, alert; /* expected; alert -1: any or none */
	int got_status, got_alert;
} peer_case_t;

typedef struct {
	tls_rig_t *r;
	peer_case_t *cases;
	size_t n;
} peers_t;

static void peers_run(void *arg)
{
	peers_t *p = arg;

	for (size_t i = 0; i < p->n; i++) {
		peer_case_t *c = &p->cases[i];
		c->got_status = foreign_status(p->r->b.port, &c->f, &c->got_alert);
	}
}

static void peers_check(tls_rig_t *r, peer_case_t *cases, size_t n)
{
	peers_t p = { r, cases, n };
	unsigned good = 0;

	support_run(&r->b, peers_run, &p);
	for (size_t i = 0; i < n; i++) {
		const peer_case_t *c = &cases[i];
		if (c->got_status != c->status || (c->alert >= 0 && c->got_alert != c->alert)) {
			print_error("%s: status %d alert %d\n", c->what, c->got_status, c->got_alert);
		}
		assert_int_equal(c->got_status, c->status);
		assert_true(c->alert < 0 || c->got_alert == c->alert);
		good += c->status == 200;
	}
	assert_int_equal(r->handled, good); /* nobody else was heard */
}

/* spiffe L8, X: who a server that requires certificates refuses, and how. */
static void peers_when_required(void **state)
{
	cert_t rsa2048 = cert_make(&(cert_spec_t){ .uri = "spiffe://td/r", .issuer = &world.ca, .rsa_bits = 2048 });
	cert_t rsa1024 = cert_make(&(cert_spec_t){ .uri = "spiffe://td/r", .issuer = &world.ca, .rsa_bits = 1024 });
	cert_t p384 = cert_make(&(cert_spec_t){ .uri = "spiffe://td/r", .issuer = &world.ca, .curve = NID_secp384r1 });
	cert_t ed = cert_make(&(cert_spec_t){ .uri = "spiffe://td/r", .issuer = &world.ca, .ed25519 = true });
	cert_t self = cert_make(&(cert_spec_t){ .uri = "spiffe://td/agent/scout" });
	peer_case_t cases[] = {
		{ "good", { .cert = &world.client }, 200, 0, 0, 0 },
		{ "good with its CA", { .cert = &world.client, .more = { &world.ca }, .n_more = 1 }, 200, 0, 0, 0 },
		{ "good, rsa", { .cert = &rsa2048 }, 200, 0, 0, 0 },
		{ "good, p-384", { .cert = &p384 }, 200, 0, 0, 0 },
		{ "good, names http/1.1", { .cert = &world.client, .alpn = "\x02h2\x08http/1.1" }, 200, 0, 0, 0 },
		{ "good, chacha", { .cert = &world.client, .suites = "TLS_CHACHA20_POLY1305_SHA256" }, 200, 0, 0, 0 },
		{ "no certificate", { 0 }, 0, 116 /* certificate_required */, 0, 0 },
		{ "another CA", { .cert = &world.stranger }, 0, SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "another CA, with it", { .cert = &world.stranger, .more = { &world.other_ca }, .n_more = 1 }, 0,
			SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "self-signed", { .cert = &self }, 0, SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "expired", { .cert = &world.expired }, 0, SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "not valid yet", { .cert = &world.early }, 0, SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "rsa-1024", { .cert = &rsa1024 }, 0, -1, 0, 0 },
		{ "ed25519", { .cert = &ed }, 0, -1, 0, 0 },
		{ "six certificates", { .cert = &world.client, .more = { &world.ca }, .n_more = 1, .repeat_last = 4 }, 0,
			SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "a thousand certificates",
			{ .cert = &world.client, .more = { &world.ca }, .n_more = 1, .repeat_last = 1000 }, 0, -1, 0, 0 },
		{ "tls 1.2 only", { .cert = &world.client, .tls12_only = true }, 0, SSL_AD_PROTOCOL_VERSION, 0, 0 },
		{ "names h2 alone", { .cert = &world.client, .alpn = "\x02h2" }, 0, SSL_AD_NO_APPLICATION_PROTOCOL, 0, 0 },
		{ "ccm alone", { .cert = &world.client, .suites = "TLS_AES_128_CCM_SHA256" }, 0, SSL_AD_HANDSHAKE_FAILURE, 0,
			0 },
		{ "good again", { .cert = &world.client }, 200, 0, 0, 0 },
	};
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	peers_check(&r, cases, ARRAY_LEN(cases));
	net_server_counts_t n = net_server_counts(r.b.server);
	assert_int_equal(n.handshakes, r.handled);
	assert_int_equal(n.handshakes_failed, ARRAY_LEN(cases) - r.handled);
	tls_rig_close(&r);
	cert_t *made[] = { &rsa2048, &rsa1024, &p384, &ed, &self };
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		cert_done(made[i]);
	}
}

/* An optional certificate that is bad is refused: it is no way to be nobody. */
static void peers_when_optional(void **state)
{
	net_tls_options_t o = { .ask = NET_TLS_ASK_OPTIONAL };
	peer_case_t cases[] = {
		{ "good", { .cert = &world.client }, 200, 0, 0, 0 },
		{ "none", { 0 }, 200, 0, 0, 0 },
		{ "another CA", { .cert = &world.stranger }, 0, SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "expired", { .cert = &world.expired }, 0, SSL_AD_BAD_CERTIFICATE, 0, 0 },
		{ "tls 1.2 only", { .tls12_only = true }, 0, SSL_AD_PROTOCOL_VERSION, 0, 0 },
	};
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, &o, NULL);
	peers_check(&r, cases, ARRAY_LEN(cases));
	tls_rig_close(&r);
}

/* The bundle endpoint's listener (spiffe.md 7): asks for nothing, 1.2 too. */
static void peers_of_a_bundle_endpoint(void **state)
{
	net_tls_options_t o = { .ask = NET_TLS_ASK_NOTHING, .with_tls12 = true };
	peer_case_t cases[] = {
		{ "1.3", { 0 }, 200, 0, 0, 0 },
		{ "1.2", { .tls12_only = true }, 200, 0, 0, 0 },
		{ "a certificate nobody asked for", { .cert = &world.stranger }, 200, 0, 0, 0 },
	};
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, &o, NULL);
	peers_check(&r, cases, ARRAY_LEN(cases));
	assert_false(r.peer.is_verified);
	tls_rig_close(&r);
}

static void renegotiate(void *arg)
{
	tls_rig_t *r = arg;
	foreign_end_t e;

	CHECK(foreign_dial(&e, r->b.port, &(foreign_t){ .tls12_only = true }));
	CHECK(foreign_get(&e, "/1") == 200 && e.tickets == 0 && !r->peer.has_binding);
	CHECK(SSL_renegotiate(e.ssl) == 1);
	CHECK(SSL_do_handshake(e.ssl) != 1); /* no_renegotiation */
	ERR_clear_error();
	foreign_end(&e);
}

static void no_renegotiation(void **state)
{
	net_tls_options_t o = { .ask = NET_TLS_ASK_NOTHING, .with_tls12 = true };
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, &o, NULL);
	support_run(&r.b, renegotiate, &r);
	assert_int_equal(r.handled, 1);
	tls_rig_close(&r);
}

/* spiffe L7: a session of before buys nothing. */
static void resume(void *arg)
{
	tls_rig_t *r = arg;
	foreign_end_t first, second;

	CHECK(foreign_dial(&first, r->b.port, &(foreign_t){ .cert = &world.client }));
	CHECK(foreign_get(&first, "/1") == 200);
	CHECK(first.tickets == 0);
	SSL_SESSION *s = SSL_get1_session(first.ssl);
	SSL_SESSION_set_time(s, time(NULL));
	CHECK(SSL_SESSION_is_resumable(s) == 0);
	foreign_end(&first);
	CHECK(foreign_dial(&second, r->b.port, &(foreign_t){ .cert = &world.client, .resume = s }));
	CHECK(foreign_get(&second, "/2") == 200 && !SSL_session_reused(second.ssl));
	foreign_end(&second);
	SSL_SESSION_free(s);
}

static void nothing_resumes(void **state)
{
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	support_run(&r.b, resume, &r);
	assert_int_equal(r.verified, 2); /* both were looked at */
	tls_rig_close(&r);
}

static void update_keys(void *arg)
{
	tls_rig_t *r = arg;
	foreign_end_t e;

	CHECK(foreign_dial(&e, r->b.port, &(foreign_t){ .cert = &world.client }));
	for (unsigned i = 0; i < NET_TLS_MESSAGES_MAX; i++) {
		CHECK(SSL_key_update(e.ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
		CHECK(foreign_get(&e, "/k") == 200);
	}
	CHECK(SSL_key_update(e.ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
	CHECK(foreign_get(&e, "/k") == 0);
	foreign_end(&e);
}

static void key_updates_are_bounded(void **state)
{
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	support_run(&r.b, update_keys, &r);
	assert_int_equal(r.handled, NET_TLS_MESSAGES_MAX);
	tls_rig_close(&r);
}

/* --- foreign programs --------------------------------------------------------------------------------- */

typedef struct {
	tls_rig_t *r;
	char dir[64], binding[65], out[1 << 16];
	size_t reused, fresh;
	char curl[64], bare[64];
} programs_t;

static size_t run(const char *command, char *out, size_t max)
{
	FILE *f = popen(command, "r");

	CHECK(f != NULL);
	size_t n = fread(out, 1, max - 1, f);
	out[n] = '\0';
	pclose(f);
	return n;
}

static void programs_run(void *arg)
{
	programs_t *p = arg;
	char command[700];
	const char *at;
	unsigned port = p->r->b.port;

	snprintf(command, sizeof(command),
		"(printf 'GET /s HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1) | timeout 20 openssl s_client -connect "
		"127.0.0.1:%u -cert %s/c.crt -key %s/c.key -keymatexport EXPORTER-Channel-Binding -keymatexportlen 32 2>&1",
		port, p->dir, p->dir);
	run(command, p->out, sizeof(p->out));
	at = strstr(p->out, "Keying material: ");
	snprintf(p->binding, sizeof(p->binding), "%.64s", at ? at + strlen("Keying material: ") : "");
	snprintf(command, sizeof(command),
		"timeout 20 openssl s_client -connect 127.0.0.1:%u -cert %s/c.crt -key %s/c.key -reconnect </dev/null 2>&1", port,
		p->dir, p->dir);
	size_t n = run(command, p->out, sizeof(p->out));
	p->reused = count_in(str_bytes(p->out, n), STR("Reused, "));
	p->fresh = count_in(str_bytes(p->out, n), STR("New, "));
	snprintf(command, sizeof(command), "timeout 20 curl -s -k --cert %s/c.crt --key %s/c.key https://127.0.0.1:%u/curl",
		p->dir, p->dir, port);
	run(command, p->curl, sizeof(p->curl));
	snprintf(command, sizeof(command), "timeout 20 curl -s -k https://127.0.0.1:%u/bare", port);
	run(command, p->bare, sizeof(p->bare));
}

static void binding_seen(const tls_rig_t *r, char out[65])
{
	for (size_t i = 0; i < 32; i++) {
		snprintf(out + 2 * i, 3, "%02X", r->peer.binding[i]);
	}
}

static void openssl_and_curl_agree(void **state)
{
	static programs_t p;
	tls_rig_t r;
	char seen[65];

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	p = (programs_t){ .r = &r };
	snprintf(p.dir, sizeof(p.dir), "/tmp/attorn-tls-XXXXXX");
	assert_non_null(mkdtemp(p.dir));
	cert_write(&world.client, p.dir, "c");
	r.watch_path = "/s";
	support_run(&r.b, programs_run, &p);
	binding_seen(&(tls_rig_t){ .peer = r.watched }, seen);
	assert_string_equal(p.binding, seen); /* RFC 9266: the same at both ends */
	assert_int_equal(p.reused, 0);
	assert_true(p.fresh >= 2);
	assert_string_equal(p.curl, "/curl");
	assert_string_equal(p.bare, "");
	assert_int_equal(r.handled, 2);
	char path[80];
	snprintf(path, sizeof(path), "%s/c.crt", p.dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/c.key", p.dir);
	unlink(path);
	rmdir(p.dir);
	tls_rig_close(&r);
}

/* --- time ---------------------------------------------------------------------------------------------- */

static void dawdle(void *arg)
{
	tls_rig_t *r = arg;
	char out[256];
	size_t n;
	int silent = tcp_dial(r->b.port), slow = tcp_dial(r->b.port);

	/* a hello that never ends, byte by byte */
	for (unsigned i = 0; i < 30; i++) {
		sock_write(slow, i == 0 ? STR("\x16\x03\x01\x02\x00") : STR("\x01"));
		sleep_ms(50);
	}
	CHECK(sock_read_all(silent, out, sizeof(out), &n) && n == 0);
	CHECK(sock_read_all(slow, out, sizeof(out), &n));
	close(silent);
	close(slow);
}

static void handshakes_have_a_deadline(void **state)
{
	net_server_options_t s = { .handshake_timeout_ms = 300 };
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, NULL, &s);
	support_run(&r.b, dawdle, &r);
	net_server_counts_t n = net_server_counts(r.b.server);
	assert_int_equal(n.handshakes_late, 2);
	assert_int_equal(n.connections_now, 0);
	tls_rig_close(&r);
}

static void outlive(void *arg)
{
	tls_rig_t *r = arg;
	foreign_end_t e, idle;
	cert_t brief = cert_make(&(cert_spec_t){ .uri = "spiffe://td/b", .issuer = &world.ca, .from_s = -5, .until_s = 2 });
	char out[512];

	CHECK(foreign_dial(&e, r->b.port, &(foreign_t){ .cert = &brief }));
	CHECK(foreign_dial(&idle, r->b.port, &(foreign_t){ .cert = &brief }));
	CHECK(foreign_get(&e, "/1") == 200 && foreign_get(&idle, "/1") == 200);
	CHECK(foreign_say(&e, STR("GET /half HTTP/1.1\r\nHost:")));
	sleep_ms(3500);
	CHECK(foreign_say(&e, STR(" a\r\n\r\n")));
	size_t n = foreign_hear(&e, out, sizeof(out));
	CHECK(str_starts(str_bytes(out, n), STR("HTTP/1.1 421 ")));
	SSL_read(idle.ssl, out, sizeof(out)); /* closed, and says so */
	CHECK(SSL_get_shutdown(idle.ssl) & SSL_RECEIVED_SHUTDOWN);
	foreign_end(&e);
	foreign_end(&idle);
	cert_done(&brief);
}

/* oauth P27: what a certificate gave ends with it, also on a connection that is older. */
static void a_certificate_ends(void **state)
{
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	support_run(&r.b, outlive, &r);
	assert_int_equal(r.handled, 2);
	tls_rig_close(&r);
}

/* --- many ------------------------------------------------------------------------------------------------ */

static size_t fds_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d)) {
		n++;
	}
	closedir(d);
	return n;
}

enum { ABORTS = 10000 };

static uint8_t hello[2048];
static size_t hello_n;

/* A ClientHello as OpenSSL writes it. */
static void hello_make(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *out = BIO_new(BIO_s_mem()), *in = BIO_new(BIO_s_mem());

	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_do_handshake(ssl);
	int n = BIO_read(out, hello, sizeof(hello));
	CHECK(n > 100);
	hello_n = (size_t)n;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

static void abort_many(void *arg)
{
	tls_rig_t *r = arg;
	const struct linger reset = { 1, 0 };
	char out[64];

	for (unsigned i = 0; i < ABORTS; i++) {
		int fd = tcp_dial(r->b.port);
		switch (i % 5) {
		case 0:
			break; /* says nothing */
		case 1:
			sock_write(fd, str_bytes(hello, hello_n / 2));
			break;
		case 2:
			sock_write(fd, str_bytes(hello, hello_n));
			break;
		case 3: /* as far as the server's flight, then a reset */
			sock_write(fd, str_bytes(hello, hello_n));
			(void)!recv(fd, out, sizeof(out), 0);
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			break;
		default:
			sock_write(fd, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); /* not TLS at all */
		}
		close(fd);
	}
	for (unsigned i = 0; i < 100 && net_server_counts(r->b.server).connections_now; i++) {
		sleep_ms(20);
	}
}

/* spiffe L13 */
static void aborted_handshakes_leave_nothing(void **state)
{
	tls_rig_t r;
	net_response_t a;

	(void)state;
	hello_make();
	tls_rig_open(&r, NULL, NULL);
	assert_int_equal(tls_get(&r, "/before", &a), OK);
	size_t before = fds_open();
	support_run(&r.b, abort_many, &r);
	net_server_counts_t n = net_server_counts(r.b.server);
	assert_int_equal(n.connections, ABORTS + 1);
	assert_true(n.connections_now <= 1); /* our own kept one */
	assert_int_equal(n.handshakes, 1);
	assert_true(fds_open() <= before);
	assert_int_equal(tls_get(&r, "/after", &a), OK);
	assert_int_equal(r.handled, 2);
	tls_rig_close(&r);
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

static void big_bodies_both_ways(void **state)
{
	enum { UP = 3 << 20, DOWN = 20 << 20 };
	net_server_options_t s = { .body_bytes_max = UP };
	tls_rig_t r;
	net_response_t a;
	str_t sum;
	uint64_t expected = 0;
	char text[64];

	(void)state;
	tls_rig_open(&r, NULL, &s);
	char *up = test_malloc(UP), *down = test_malloc(DOWN);
	for (size_t i = 0; i < UP; i++) {
		up[i] = (char)(i * 7 + i / 4096);
		expected = expected * 31 + (uint8_t)up[i];
	}
	for (size_t i = 0; i < DOWN; i++) {
		down[i] = (char)(i * 3 + i / 1000);
	}
	r.reply = str_bytes(down, DOWN);
	net_request_t q = { .method = STR("POST"), .url = tls_url(&r, "/big"), .tls = r.client_tls,
		.body = str_bytes(up, UP), .response_bytes_max = DOWN };
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(tls_fetch(&r, &q, &a), OK);
		snprintf(text, sizeof(text), "%d %llu", UP, (unsigned long long)expected);
		assert_int_equal(net_headers_get(a.headers, STR("X-Sum"), &sum), OK);
		assert_true(str_eq(sum, str_of(text)));
		assert_true(str_eq(a.body, r.reply));
	}
	assert_int_equal(net_server_counts(r.b.server).handshakes, 1);
	test_free(up);
	test_free(down);
	tls_rig_close(&r);
}

static void half_close(void *arg)
{
	tls_rig_t *r = arg;
	foreign_end_t e;
	char out[1024];

	CHECK(foreign_dial(&e, r->b.port, &(foreign_t){ .cert = &world.client }));
	CHECK(foreign_say(&e, STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")));
	CHECK(SSL_shutdown(e.ssl) == 0); /* close_notify: nothing more from us */
	size_t n = foreign_hear(&e, out, sizeof(out));
	CHECK(count_in(str_bytes(out, n), STR("HTTP/1.1 200 OK")) == 2);
	CHECK(SSL_get_shutdown(e.ssl) & SSL_RECEIVED_SHUTDOWN); /* and the server said its own */
	foreign_end(&e);
	/* half a request, then the end: nobody hears it */
	CHECK(foreign_dial(&e, r->b.port, &(foreign_t){ .cert = &world.client }));
	CHECK(foreign_say(&e, STR("GET /3 HTTP/1.1\r\n")));
	CHECK(SSL_shutdown(e.ssl) == 0);
	CHECK(foreign_hear(&e, out, sizeof(out)) == 0);
	foreign_end(&e);
	/* a whole request, and then a bit of it that is flipped */
	CHECK(foreign_dial(&e, r->b.port, &(foreign_t){ .cert = &world.client }));
	sock_write(e.fd, STR("\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef"));
	CHECK(foreign_hear(&e, out, sizeof(out)) == 0 && e.alert == SSL_AD_BAD_RECORD_MAC);
	foreign_end(&e);
}

static void ends_of_connections(void **state)
{
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	support_run(&r.b, half_close, &r);
	assert_int_equal(r.handled, 2);
	tls_rig_close(&r);
}

static void flag(void *owner)
{
	*(bool *)owner = true;
}

static void never(net_exchange_t *x, void *owner)
{
	fail();
}

static void where_tls_may_listen(void **state)
{
	loop_t *loop = loop_new();
	net_tls_t *tls = net_tls_new(&(net_tls_options_t){ .ask = NET_TLS_ASK_NOTHING });
	net_server_options_t o = { .address = STR("0.0.0.0"), .handler = never };
	net_server_t *s;
	diag_t diag = { 0 };
	bool closed = false;

	(void)state;
	assert_int_equal(net_server_open(loop, &o, &s, &diag), ERR_CONFIG);
	o.tls = tls;
	o.address = STR("example.org");
	assert_int_equal(net_server_open(loop, &o, &s, &diag), ERR_CONFIG);
	o.address = STR("0.0.0.0");
	assert_int_equal(net_server_open(loop, &o, &s, &diag), OK);
	net_tls_free(tls); /* the server holds it */
	net_server_close(s, flag, &closed);
	assert_true(support_until(loop, &closed));
	loop_free(loop);
}

/* --- rotation ---------------------------------------------------------------------------------------------- */

enum { ROTATE_CLIENTS = 4, ROTATE_MS = 3000 };

typedef struct {
	tls_rig_t *r;
	cert_t servers[3], clients[3];
	loop_timer_t rotate, end;
	unsigned rotations, sent, answered, failed, flying;
	bool over, done;
} rotation_t;

static void rotation_next(rotation_t *o);

typedef struct {
	rotation_t *o;
	net_response_t response;
	op_t *op;
	arena_t *arena;
} rotation_call_t;

static void rotation_done(op_t *op, err_t e)
{
	rotation_call_t *c = op->owner;
	rotation_t *o = c->o;

	o->flying--;
	o->answered += e == OK && c->response.status == 200;
	o->failed += e != OK || c->response.status != 200;
	arena_free(c->arena);
	rotation_next(o);
}

static void rotation_next(rotation_t *o)
{
	if (o->over) {
		o->done = o->flying == 0;
		return;
	}
	arena_t *a = arena_open();
	rotation_call_t *c = arena_new(a, rotation_call_t);
	net_request_t q = { .method = STR("POST"), .body = STR("x"), .tls = o->r->client_tls,
		.url = arena_printf(a, "https://127.0.0.1:%u/r", o->r->b.port) };
	c->o = o;
	c->arena = a;
	c->op = net_fetch(o->r->client, a, &q, &c->response);
	o->sent++;
	o->flying++;
	op_start(c->op, o->r->b.loop, loop_in_ms(o->r->b.loop, 5000), rotation_done, c);
}

static void rotate(void *arg)
{
	rotation_t *o = arg;
	const cert_t *s = &o->servers[o->rotations % 3], *c = &o->clients[o->rotations / 2 % 3];

	if (o->over) {
		return;
	}
	assert_int_equal(net_tls_set(o->r->tls, &s->der, 1, s->pkcs8, NULL), OK);
	assert_int_equal(net_tls_set(o->r->client_tls, &c->der, 1, c->pkcs8, NULL), OK);
	o->rotations++;
	loop_timer_start(o->r->b.loop, &o->rotate, 20, rotate, o);
}

static void rotation_over(void *arg)
{
	((rotation_t *)arg)->over = true;
}

/* Both ends get new keys fifty times a second while POSTs, which are never sent twice, run without a pause. */
static void rotation_under_load(void **state)
{
	rotation_t o = { 0 };
	tls_rig_t r;

	(void)state;
	tls_rig_open(&r, NULL, NULL);
	arena_free(r.arena);
	r.arena = NULL;
	o.r = &r;
	for (size_t i = 0; i < 3; i++) {
		o.servers[i] = cert_make(&(cert_spec_t){ .uri = "spiffe://td/s", .issuer = &world.ca });
		o.clients[i] = cert_make(&(cert_spec_t){ .uri = "spiffe://td/c", .issuer = &world.ca });
	}
	rotate(&o);
	loop_timer_start(r.b.loop, &o.end, ROTATE_MS, rotation_over, &o);
	for (unsigned i = 0; i < ROTATE_CLIENTS; i++) {
		rotation_next(&o);
	}
	assert_true(support_until(r.b.loop, &o.done));
	print_message("# %u requests, %u rotations, %llu handshakes\n", o.answered, o.rotations,
		(unsigned long long)net_server_counts(r.b.server).handshakes);
	assert_int_equal(o.failed, 0);
	assert_int_equal(o.answered, o.sent);
	assert_true(o.rotations > 20 && net_server_counts(r.b.server).handshakes > 20);
	for (size_t i = 0; i < 3; i++) {
		cert_done(&o.servers[i]);
		cert_done(&o.clients[i]);
	}
	tls_rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_know_each_other),
		cmocka_unit_test(bindings_are_of_one_connection),
		cmocka_unit_test(client_refuses_servers),
		cmocka_unit_test(client_without_certificate),
		cmocka_unit_test(what_tls_calls_cannot_be),
		cmocka_unit_test(what_cannot_be_set),
		cmocka_unit_test(peers_when_required),
		cmocka_unit_test(peers_when_optional),
		cmocka_unit_test(peers_of_a_bundle_endpoint),
		cmocka_unit_test(no_renegotiation),
		cmocka_unit_test(nothing_resumes),
		cmocka_unit_test(key_updates_are_bounded),
		cmocka_unit_test(openssl_and_curl_agree),
		cmocka_unit_test(handshakes_have_a_deadline),
		cmocka_unit_test(a_certificate_ends),
		cmocka_unit_test(aborted_handshakes_leave_nothing),
		cmocka_unit_test(big_bodies_both_ways),
		cmocka_unit_test(ends_of_connections),
		cmocka_unit_test(where_tls_may_listen),
		cmocka_unit_test(rotation_under_load),
	};

	signal(SIGPIPE, SIG_IGN);
	CHECK(crypto_init() == OK);
	world_make();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	world_end();
	return failed;
}
