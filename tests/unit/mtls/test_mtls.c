/* mtls: who gets in by bundle, by name, by pin; what changes while it runs. Both ends are ours, the certificates are
 * OpenSSL's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "../net/certs.h"
#include "../net/support.h"
#include "service/mtls/mtls.h"

typedef struct {
	loop_t *loop;
	mtls_t *server, *client;
	net_server_t *door;
	net_client_t *net;
	arena_t *a;
	unsigned handled;
	char name[200];
} rig_t;

static cert_t ca, other_ca, authority, node, stranger, foreign_ca, foreign, ca_in_disguise;

static void handler(net_exchange_t *x, void *owner)
{
	rig_t *r = owner;
	str_t name = net_peer(x)->tls->name;

	r->handled++;
	memcpy(r->name, name.p, name.n < sizeof(r->name) ? name.n : 0);
	r->name[name.n] = '\0';
	net_reply(x, 200, NET_NO_HEADERS, STR("ok"));
}

static spiffe_bundle_t bundle_of(const char *td, const cert_t *root)
{
	return (spiffe_bundle_t){ .td = str_of(td), .x509 = &root->der, .n_x509 = 1 };
}

static void rig_open(rig_t *r, net_tls_ask_t ask, const char *expected)
{
	const spiffe_bundle_t own = bundle_of("td", &ca);
	diag_t diag = { 0 };

	*r = (rig_t){ .loop = loop_new(), .a = arena_open() };
	r->server = mtls_new(&(mtls_options_t){ .loop = r->loop, .ask = ask });
	r->client = mtls_new(&(mtls_options_t){ .loop = r->loop, .is_client = true, .peer_id = str_of(expected) });
	assert_false(mtls_is_ready(r->server));
	assert_int_equal(mtls_svid_set(r->server, &authority.der, 1, authority.pkcs8, &diag), OK);
	assert_int_equal(mtls_svid_set(r->client, &node.der, 1, node.pkcs8, &diag), OK);
	assert_false(mtls_is_ready(r->server));
	assert_int_equal(mtls_trust_set(r->server, &own, 1), OK);
	assert_int_equal(mtls_trust_set(r->client, &own, 1), OK);
	assert_true(mtls_is_ready(r->server) && mtls_is_ready(r->client));
	net_server_options_t o = { .address = STR("127.0.0.1"), .tls = mtls_peek_tls(r->server), .handler = handler,
		.owner = r };
	assert_int_equal(net_server_open(r->loop, &o, &r->door, &diag), OK);
	assert_int_equal(net_client_open(r->loop, 4, &r->net), OK);
}

static void flag(void *owner)
{
	*(bool *)owner = true;
}

static void rig_close(rig_t *r)
{
	bool client = false, server = false;

	net_client_close(r->net, flag, &client);
	assert_true(support_until(r->loop, &client));
	net_server_close(r->door, flag, &server);
	assert_true(support_until(r->loop, &server));
	mtls_free(r->server);
	mtls_free(r->client);
	loop_free(r->loop);
	arena_free(r->a);
}

typedef struct {
	bool done;
	err_t err;
} result_t;

static void op_done(op_t *op, err_t err)
{
	*(result_t *)op->owner = (result_t){ true, err };
}

static err_t ask(rig_t *r)
{
	result_t result = { 0 };
	net_response_t answer;
	net_request_t q = { .method = STR("GET"), .tls = mtls_peek_tls(r->client),
		.url = arena_printf(r->a, "https://127.0.0.1:%u/", net_server_port(r->door)) };
	op_t *op = net_fetch(r->net, r->a, &q, &answer);

	op_start(op, r->loop, loop_in_ms(r->loop, 8000), op_done, &result);
	assert_true(support_until(r->loop, &result.done));
	return result.err;
}

/* A client that shows this certificate, on a connection of its own. */
static err_t ask_as(rig_t *r, const cert_t *c)
{
	assert_int_equal(mtls_svid_set(r->client, &c->der, 1, c->pkcs8, NULL), OK);
	return ask(r);
}

static void by_bundle(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NET_TLS_ASK_REQUIRED, NULL);
	assert_int_equal(ask(&r), OK);
	assert_string_equal(r.name, "spiffe://td/attorn/node/local");
	assert_int_equal(ask_as(&r, &stranger), ERR_UPSTREAM); /* same name, another CA */
	assert_int_equal(ask_as(&r, &foreign), ERR_UPSTREAM);
	assert_non_null(strstr(mtls_peek_why(r.server), "other.td"));
	assert_int_equal(ask_as(&r, &ca_in_disguise), ERR_UPSTREAM); /* L: a CA authenticates nobody */
	assert_int_equal(r.handled, 1);
	assert_int_equal(ask_as(&r, &node), OK);
	rig_close(&r);
}

/* A bundle that is taken away counts from the next handshake, and one that is added too; none is merged: a root of
 * one trust domain vouches for no other. */
static void bundles_change(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NET_TLS_ASK_REQUIRED, NULL);
	const spiffe_bundle_t both[] = { bundle_of("td", &ca), bundle_of("other.td", &foreign_ca) };
	const spiffe_bundle_t crossed[] = { bundle_of("td", &foreign_ca), bundle_of("other.td", &ca) };
	assert_int_equal(mtls_trust_set(r.server, both, 2), OK);
	assert_int_equal(ask_as(&r, &foreign), OK);
	assert_string_equal(r.name, "spiffe://other.td/x");
	assert_int_equal(mtls_trust_set(r.server, crossed, 2), OK);
	assert_int_equal(ask_as(&r, &foreign), ERR_UPSTREAM);
	assert_int_equal(ask_as(&r, &node), ERR_UPSTREAM);
	const spiffe_bundle_t broken = { .td = STR("td"), .x509 = &STR("no certificate"), .n_x509 = 1 };
	assert_int_equal(mtls_trust_set(r.server, both, 2), OK);
	assert_int_not_equal(mtls_trust_set(r.server, &broken, 1), OK); /* what was there stays */
	assert_int_equal(ask_as(&r, &node), OK);
	assert_int_equal(mtls_trust_set(r.server, NULL, 0), OK);
	assert_false(mtls_is_ready(r.server));
	assert_int_equal(ask_as(&r, &node), ERR_UPSTREAM);
	rig_close(&r);
}

static void by_name(void **state)
{
	rig_t r;

	(void)state;
	rig_open(&r, NET_TLS_ASK_REQUIRED, "spiffe://td/attorn/authority");
	assert_int_equal(ask(&r), OK);
	assert_int_equal(mtls_svid_set(r.server, &node.der, 1, node.pkcs8, NULL), OK); /* of the bundle, but another */
	assert_int_equal(ask_as(&r, &node), ERR_UPSTREAM);
	assert_non_null(strstr(mtls_peek_why(r.client), "spiffe://td/attorn/node/local"));
	rig_close(&r);
}

/* First contact: the root's hash is all that is known. */
static void by_pin(void **state)
{
	rig_t r;
	uint8_t pin[32], wrong[32] = { 0 };
	str_t with_root[2];

	(void)state;
	rig_open(&r, NET_TLS_ASK_OPTIONAL, "spiffe://td/attorn/authority");
	crypto_sha256(ca.der, pin);
	assert_int_equal(mtls_pin_set(r.client, STR("td"), pin), OK);
	assert_int_equal(ask(&r), ERR_UPSTREAM); /* it does not show its root */
	with_root[0] = authority.der, with_root[1] = ca.der;
	assert_int_equal(mtls_svid_set(r.server, with_root, 2, authority.pkcs8, NULL), OK);
	assert_int_equal(ask_as(&r, &node), OK);
	/* the right root is shown, but somebody else signed */
	with_root[0] = stranger.der;
	assert_int_equal(mtls_svid_set(r.server, with_root, 2, stranger.pkcs8, NULL), OK);
	assert_int_equal(ask_as(&r, &node), ERR_UPSTREAM);
	/* a leaf's own hash pins nothing */
	with_root[0] = authority.der;
	assert_int_equal(mtls_svid_set(r.server, with_root, 2, authority.pkcs8, NULL), OK);
	crypto_sha256(authority.der, wrong);
	assert_int_equal(mtls_pin_set(r.client, STR("td"), wrong), OK);
	assert_int_equal(ask_as(&r, &node), ERR_UPSTREAM);
	assert_int_equal(mtls_pin_set(r.client, STR("another.td"), pin), OK); /* this root, but not that td */
	assert_int_equal(ask_as(&r, &node), ERR_UPSTREAM);
	assert_int_equal(mtls_pin_set(r.client, STR("Td/"), pin), ERR_SPIFFE_ID);
	assert_int_equal(mtls_pin_set(r.client, STR("td"), pin), OK);
	assert_int_equal(ask_as(&r, &node), OK);
	rig_close(&r);
}

static int setup(void **state)
{
	(void)state;
	CHECK(crypto_init() == OK);
	ca = cert_make(&(cert_spec_t){ 0 });
	other_ca = cert_make(&(cert_spec_t){ 0 });
	foreign_ca = cert_make(&(cert_spec_t){ 0 });
	authority = cert_make(&(cert_spec_t){ .uri = "spiffe://td/attorn/authority", .issuer = &ca });
	node = cert_make(&(cert_spec_t){ .uri = "spiffe://td/attorn/node/local", .issuer = &ca });
	stranger = cert_make(&(cert_spec_t){ .uri = "spiffe://td/attorn/authority", .issuer = &other_ca });
	foreign = cert_make(&(cert_spec_t){ .uri = "spiffe://other.td/x", .issuer = &foreign_ca });
	ca_in_disguise = cert_make(&(cert_spec_t){ .issuer = &ca });
	return 0;
}

static int teardown(void **state)
{
	cert_t *all[] = { &ca, &other_ca, &foreign_ca, &authority, &node, &stranger, &foreign, &ca_in_disguise };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		cert_done(all[i]);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_bundle),
		cmocka_unit_test(bundles_change),
		cmocka_unit_test(by_name),
		cmocka_unit_test(by_pin),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
