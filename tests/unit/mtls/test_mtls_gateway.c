/* The gateway's session mTLS, with everything real: authority's store, feed and admit on a socket, the gateway on a
 * plain and a TLS listener, a tool's server. Tokens are signed by the test with the authority's key: nothing mints
 * certificate-bound ones yet (oauth P25, P27, P93). */
#include "../net/certs.h"
#include "../net/support.h"
#include "../service/authority.h"
#include "service/gateway/gateway.h"
#include "service/mtls/mtls.h"

#define BOT "spiffe://test.example/auto/bot"
static const str_t body = STR_INIT("{\"title\":\"x\"}");

static struct {
	authority_t *t;
	loop_t *loop;
	lane_t *write, *read, *cpu;
	feed_t *feed;
	admit_t *admit;
	net_server_t *inside, *plain, *door, *tool;
	net_client_t *net, *upstreams;
	feed_client_t *feed_client;
	admit_client_t *admit_client;
	gateway_t *gateway;
	mtls_t *server, *client;
	crypto_key_t *key;
	arena_t *a;
	char socket[100], tool_url[64], url[64], desk[80]; /* gateway's, route's */
	unsigned called;
	bool tool_saw_token, view_stands;
	cert_t ca, other_ca, gateway_svid, bot, bot_renewed, stranger;
} w;

/* --- the parts -------------------------------------------------------------------------------------- */

static void tool_handle(net_exchange_t *x, void *owner)
{
	str_t v;

	(void)owner;
	w.called++;
	w.tool_saw_token = w.tool_saw_token || net_header(x, STR("Authorization"), &v) == OK;
	net_reply(x, 200, NET_HEADERS({ STR("Content-Type"), STR("application/json") }), STR("{\"ok\":true}"));
}

static void inside_handle(net_exchange_t *x, void *owner)
{
	(void)owner;
	if (str_eq(net_path(x), STR("/internal/v1/feed"))) {
		feed_handle(w.feed, x);
	} else {
		admit_handle(w.admit, x);
	}
}

static void door_handle(net_exchange_t *x, void *owner)
{
	(void)owner;
	gateway_handle(w.gateway, x);
}

static void appended(void *owner)
{
	(void)owner;
}

static void instance_gone(str_t instance, void *owner)
{
	(void)instance, (void)owner;
}

static void view_changed(void *owner)
{
	(void)owner;
	w.view_stands = true;
	if (w.gateway) {
		gateway_view_changed(w.gateway);
	}
}

static net_server_t *listen_on(net_handler_fn handler, const char *socket, net_tls_t *tls)
{
	net_server_options_t o = { .address = STR("127.0.0.1"), .unix_path = socket, .handler = handler, .tls = tls };
	diag_t diag = { 0 };
	net_server_t *s;

	if (net_server_open(w.loop, &o, &s, &diag) != OK) {
		fail_msg("%s", diag.text);
	}
	return s;
}

static err_t bot_run(store_txn_t *txn, void *self)
{
	store_agent_t agent = { .id = STR(BOT), .name = STR("bot"), .kind = STR("autonomous"), .owner = STR(USER_ID),
		.scopes = STR("[\"tickets:create\"]"), .roles = STR("[]"), .state = STR("active"), .max_depth = 1,
		.created_s = NOW_S };
	str_t jwk, doc = arena_printf(w.a,
		"{\"kind\":\"http\",\"upstream\":\"%s\",\"environment\":\"test\",\"data_classes\":[],"
		"\"http\":[{\"method\":\"POST\",\"path\":\"/tickets\",\"scope\":\"tickets:create\",\"effect\":\"mutating\"}]}",
		w.tool_url);
	int64_t rev;

	(void)self;
	TRY(jose_jwk_write(w.a, crypto_key_pub(w.key), STR_NULL, STR_NULL, &jwk));
	store_agent_key_t key = { jose_jkt(w.a, crypto_key_pub(w.key)), STR(BOT), jwk, STR("active"), NOW_S };
	TRY(store_agent_insert(txn, &agent));
	TRY(store_agent_key_insert(txn, &key));
	return store_route_put(txn, STR("desk"), doc, &rev);
}

static void authority_make(void)
{
	authority_t *t = w.t;
	diag_t diag = { 0 };

	w.write = lane_new(w.loop, &(lane_spec_t){ .name = "store-write", .threads = 1, .queue_max = 64,
		.batch_run = store_lane_batch, .batch_arg = t->store, .batch_max = 16 });
	w.read = lane_new(w.loop, &(lane_spec_t){ .name = "store-read", .threads = 1, .queue_max = 64 });
	w.cpu = lane_new(w.loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = 64 });
	authority_write(t, bot_run, NULL);
	authority_fence(t);
	feed_deps_t feed = { w.loop, w.cpu, t->store, t->vault, STR(ISSUER), STR(TD), str_of(w.url),
		instance_gone, NULL };
	assert_int_equal(feed_new(&feed, &w.feed, &diag), OK);
	admit_deps_t admit = { w.loop, w.write, t->store, t->vault, t->ledger, w.feed, 1000, appended, NULL, NULL };
	assert_int_equal(admit_new(&admit, &w.admit), OK);
	snprintf(w.socket, sizeof(w.socket), "%s/in.sock", t->dir);
	w.inside = listen_on(inside_handle, w.socket, NULL);
}

static void gateway_make(void)
{
	const str_t instance = STR("00112233445566778899aabbccddeeff");
	feed_client_deps_t feed = { w.loop, w.net, w.cpu, w.socket, instance, view_changed, NULL, NULL, NULL };
	admit_client_deps_t admit = { w.loop, w.net, w.socket, instance, STR("spiffe://" TD "/attorn/gateway/1") };
	static char host[32];

	assert_int_equal(feed_client_new(&feed, &w.feed_client), OK);
	assert_int_equal(admit_client_new(&admit, &w.admit_client), OK);
	w.door = listen_on(door_handle, NULL, mtls_peek_tls(w.server));
	snprintf(host, sizeof(host), "127.0.0.1:%u", net_server_port(w.door));
	gateway_deps_t deps = { .loop = w.loop, .net = w.upstreams, .cpu = w.cpu, .feed = w.feed_client,
		.admit = w.admit_client, .url = str_of(w.url), .issuer = STR(ISSUER), .trust_domain = STR(TD),
		.instance = instance, .body_bytes_max = 1 << 20, .mtls_host = str_of(host) };
	assert_int_equal(gateway_new(&deps, &w.gateway), OK);
	assert_true(support_until(w.loop, &w.view_stands));
}

static void sides_make(void)
{
	const spiffe_bundle_t own = { .td = STR(TD), .x509 = &w.ca.der, .n_x509 = 1 };

	w.server = mtls_new(&(mtls_options_t){ .loop = w.loop, .ask = NET_TLS_ASK_REQUIRED });
	w.client = mtls_new(&(mtls_options_t){ .loop = w.loop, .is_client = true });
	assert_int_equal(mtls_svid_set(w.server, &w.gateway_svid.der, 1, w.gateway_svid.pkcs8, NULL), OK);
	assert_int_equal(mtls_svid_set(w.client, &w.bot.der, 1, w.bot.pkcs8, NULL), OK);
	assert_int_equal(mtls_trust_set(w.server, &own, 1), OK);
	assert_int_equal(mtls_trust_set(w.client, &own, 1), OK);
}

static int setup(void **state)
{
	if (authority_open(state) != 0) {
		return -1;
	}
	w.t = *state;
	w.a = w.t->a;
	w.loop = loop_new();
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_ED25519, &w.key), OK);
	w.ca = cert_make(&(cert_spec_t){ 0 });
	w.other_ca = cert_make(&(cert_spec_t){ 0 });
	w.gateway_svid = cert_make(&(cert_spec_t){ .uri = "spiffe://test.example/attorn/gateway/1", .issuer = &w.ca });
	w.bot = cert_make(&(cert_spec_t){ .uri = BOT, .issuer = &w.ca });
	w.bot_renewed = cert_make(&(cert_spec_t){ .uri = BOT, .issuer = &w.ca });
	w.stranger = cert_make(&(cert_spec_t){ .uri = BOT, .issuer = &w.other_ca });
	assert_int_equal(net_client_open(w.loop, 4, &w.net), OK);
	assert_int_equal(net_client_open(w.loop, 4, &w.upstreams), OK);
	w.tool = listen_on(tool_handle, NULL, NULL);
	snprintf(w.tool_url, sizeof(w.tool_url), "http://127.0.0.1:%u", net_server_port(w.tool));
	w.plain = listen_on(door_handle, NULL, NULL);
	snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u", net_server_port(w.plain));
	snprintf(w.desk, sizeof(w.desk), "%s/r/desk", w.url);
	authority_make();
	sides_make();
	gateway_make();
	return 0;
}

/* The clients of feed and admit live as long as their process, so the rest does too. */
static int teardown(void **state)
{
	unlink(w.socket);
	lane_free(w.cpu);
	lane_free(w.read);
	lane_free(w.write);
	return authority_close(state);
}

/* --- tokens ------------------------------------------------------------------------------------------- */

static str_t b64_hash(str_t bytes)
{
	uint8_t h[32];

	crypto_sha256(bytes, h);
	return b64url_enc(w.a, str_bytes(h, sizeof(h)));
}

typedef struct {
	const cert_t *cert; /* bound to it ... */
	const crypto_key_t *key; /* ... or to this */
	bool capability;
	str_t inst;
} token_t;

static str_t token_make(const token_t *t)
{
	static unsigned n;
	int64_t now_s = (int64_t)loop_unix_s(w.loop);
	delegation_claims_t c = { .iss = STR(ISSUER), .aud = str_of(w.desk), .sub = STR(BOT), .sub_profile = STR("ai_agent"),
		.client_id = STR(BOT), .iat = now_s, .exp = now_s + (t->capability ? 60 : 300), .txn = STR("t"),
		.jti = arena_printf(w.a, "j%u", ++n), .scope = STR("tickets:create"), .assurance = DELEGATION_KEY,
		.inst = t->inst };
	uint8_t digest[32];
	str_t payload, text, items;

	delegation_body_digest(body, digest);
	items = arena_cat(w.a, STR("[{\"type\":\"http_request\",\"server\":\""), str_of(w.desk),
		STR("\",\"method\":\"POST\",\"target\":\"/tickets\",\"body_digest\":\""),
		b64url_enc(w.a, str_bytes(digest, sizeof(digest))), STR("\"}]"));
	c.x5t = t->cert ? b64_hash(t->cert->der) : STR_NULL;
	c.jkt = t->key ? jose_jkt(w.a, crypto_key_pub(t->key)) : STR_NULL;
	delegation_direction_autonomous(STR(ISSUER), DELEGATION_INIT_UNKNOWN, &c.direction);
	assert_int_equal(delegation_items_parse(w.a, items, &c.items, &c.n_items, NULL), OK);
	c.is_capability = t->capability;
	if (t->capability) {
		assert_int_equal(delegation_action_digest(c.client_id, c.aud, STR("POST"), STR("/tickets"),
					 c.items[0].digest, c.action_digest), OK);
	} else {
		c.n_items = 0;
	}
	assert_int_equal(delegation_claims_write(w.a, &c, &payload), OK);
	const jose_sign_t header = { .typ = STR("at+jwt"), .kid = str_of(w.t->keys.token_kid) };
	uint8_t sig[SIGNER_SIGNATURE_BYTES];
	str_t input;
	assert_int_equal(jose_jws_input(w.a, CRYPTO_ED25519, &header, payload, &input), OK);
	assert_int_equal(signer_client_sign(w.t->signing.client, header.kid, 1000 + n, input, sig), OK);
	assert_int_equal(jose_jws_seal(w.a, input, str_bytes(sig, sizeof(sig)), &text), OK);
	return text;
}

/* --- calls -------------------------------------------------------------------------------------------- */

typedef struct {
	bool plain; /* on the plain listener */
	const char *scheme;
	str_t token;
	const crypto_key_t *proof; /* with a proof by this key */
	str_t method, path;
} try_t;

typedef struct {
	bool done;
	err_t err;
} result_t;

static void op_done(op_t *op, err_t err)
{
	*(result_t *)op->owner = (result_t){ true, err };
}

static str_t proof_make(const try_t *t, str_t method, str_t htu)
{
	jose_dpop_make_t m = { .method = method, .htu = htu, .access_token = t->token,
		.now_unix_s = (int64_t)loop_unix_s(w.loop) };
	str_t out;

	crypto_random(m.random, sizeof(m.random));
	assert_int_equal(jose_dpop_make(w.a, t->proof, &m, &out), OK);
	return out;
}

/* Status of the answer, 0 when there was no connection. */
static int attempt(const try_t *t, net_response_t *out)
{
	result_t result = { 0 };
	net_header_t h[4] = { { STR("Content-Type"), STR("application/json") } };
	size_t n = 1;
	net_request_t q = { .method = t->method.n ? t->method : STR("POST"), .body = body };
	uint16_t port = net_server_port(t->plain ? w.plain : w.door);

	if (t->scheme) {
		h[n++] = (net_header_t){ STR("Authorization"), arena_cat(w.a, str_of(t->scheme), STR(" "), t->token) };
	}
	if (t->proof) {
		h[n++] = (net_header_t){ STR("DPoP"), proof_make(t, q.method, arena_cat(w.a, str_of(w.desk), STR("/tickets"))) };
	}
	q.headers = (net_headers_t){ h, n };
	q.tls = t->plain ? NULL : mtls_peek_tls(w.client);
	q.url = arena_printf(w.a, "%s://127.0.0.1:%u%s", t->plain ? "http" : "https", port,
		t->path.n ? t->path.p : "/r/desk/tickets");
	op_t *op = net_fetch(w.net, w.a, &q, out);
	op_start(op, w.loop, loop_in_ms(w.loop, 8000), op_done, &result);
	assert_true(support_until(w.loop, &result.done));
	return result.err == OK ? out->status : 0;
}

static int status_of(try_t t)
{
	net_response_t r = { 0 };

	return attempt(&t, &r);
}

static void a_bound_token_calls_on_its_connection(void **state)
{
	str_t token = token_make(&(token_t){ .cert = &w.bot, .capability = true });
	net_response_t r = { 0 };

	(void)state;
	assert_int_equal(attempt(&(try_t){ .scheme = "Bearer", .token = token }, &r), 200);
	assert_true(str_eq(r.body, STR("{\"ok\":true}")));
	assert_int_equal(w.called, 1);
	assert_false(w.tool_saw_token);
	/* once: the connection proves the key, and the capability is spent all the same */
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = token }), 401);
	assert_int_equal(w.called, 1);
	assert_true(authority_entries(w.t, "attempt") > 0);
}

static void an_instance_is_its_certificates_name(void **state)
{
	unsigned before = w.called;

	(void)state;
	str_t right = token_make(&(token_t){ .cert = &w.bot, .capability = true, .inst = STR(BOT) });
	str_t wrong = token_make(&(token_t){ .cert = &w.bot, .capability = true, .inst = STR(BOT "/i/r1") });
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = right }), 200);
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = wrong }), 401);
	assert_int_equal(w.called, before + 1);
}

static void a_delegated_one_calls_nothing_alone(void **state)
{
	unsigned before = w.called;

	(void)state;
	str_t token = token_make(&(token_t){ .cert = &w.bot });
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = token }), 403); /* P95 */
	assert_int_equal(w.called, before);
}

static void elsewhere_it_is_nothing(void **state)
{
	unsigned before = w.called;

	(void)state;
	str_t token = token_make(&(token_t){ .cert = &w.bot, .capability = true });
	str_t other = token_make(&(token_t){ .cert = &w.bot_renewed, .capability = true });
	str_t keyed = token_make(&(token_t){ .key = w.key, .capability = true });
	const try_t bad[] = {
		{ .plain = true, .scheme = "Bearer", .token = token },
		{ .plain = true, .scheme = "DPoP", .token = token, .proof = w.key },
		{ .plain = true, .scheme = "DPoP", .token = token },
		{ .scheme = "DPoP", .token = token, .proof = w.key },
		{ .scheme = "DPoP", .token = token },
		{ .scheme = "Bearer", .token = token, .proof = w.key }, /* two ways at once */
		{ .scheme = "Bearer", .token = other }, /* of another certificate of the same agent */
		{ .scheme = "Bearer", .token = keyed }, /* P25: bound to a key */
		{ .scheme = "Bearer", .token = keyed, .proof = w.key },
		{ .scheme = "Basic", .token = token },
		{ .scheme = "Bearer", .token = STR("x.y.z") },
		{ .scheme = NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int status = status_of(bad[i]);
		if (status != 401) {
			fail_msg("row %zu: %d", i, status);
		}
	}
	assert_int_equal(w.called, before);
}

static void key_bound_tokens_are_as_ever(void **state)
{
	unsigned before = w.called;

	(void)state;
	str_t token = token_make(&(token_t){ .key = w.key, .capability = true });
	assert_int_equal(status_of((try_t){ .scheme = "DPoP", .token = token, .proof = w.key }), 200);
	assert_int_equal(w.called, before + 1);
}

/* P27 */
static void after_rotation_it_is_refused(void **state)
{
	unsigned before = w.called;

	(void)state;
	str_t old = token_make(&(token_t){ .cert = &w.bot, .capability = true });
	str_t fresh = token_make(&(token_t){ .cert = &w.bot_renewed, .capability = true });
	assert_int_equal(mtls_svid_set(w.client, &w.bot_renewed.der, 1, w.bot_renewed.pkcs8, NULL), OK);
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = old }), 401);
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = fresh }), 200);
	assert_int_equal(mtls_svid_set(w.client, &w.bot.der, 1, w.bot.pkcs8, NULL), OK);
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = old }), 200);
	assert_int_equal(w.called, before + 2);
}

static void strangers_do_not_reach_the_gateway(void **state)
{
	unsigned before = w.called;
	str_t token = token_make(&(token_t){ .cert = &w.stranger, .capability = true });

	(void)state;
	assert_int_equal(mtls_svid_set(w.client, &w.stranger.der, 1, w.stranger.pkcs8, NULL), OK);
	assert_int_equal(status_of((try_t){ .scheme = "Bearer", .token = token }), 0);
	assert_int_equal(mtls_svid_set(w.client, &w.bot.der, 1, w.bot.pkcs8, NULL), OK);
	assert_int_equal(w.called, before);
}

static void the_document_says_so(void **state)
{
	net_response_t r = { 0 };

	(void)state;
	int status = attempt(&(try_t){ .method = STR("GET"), .path = STR("/.well-known/oauth-protected-resource/r/desk") }, &r);
	assert_int_equal(status, 200);
	assert_true(str_contains(r.body, STR("\"tls_client_certificate_bound_access_tokens\":true")));
}

static err_t quarantine_run(store_txn_t *txn, void *self)
{
	const store_change_t change = { .kind = STR("agent"), .id = STR(BOT), .body = STR(""), .snapshot = true };
	int64_t seq;

	(void)self;
	TRY(store_agent_state_set(txn, STR(BOT), STR("quarantined")));
	return store_change_add(txn, &change, &seq);
}

static bool written;

static void write_done(lane_job_t *job, err_t err)
{
	(void)job;
	written = err == OK;
}

static void done(op_t *op, err_t err)
{
	*(bool *)op->owner = err == OK;
}

static void a_quarantined_agent_is_out(void **state)
{
	str_t token = token_make(&(token_t){ .cert = &w.bot, .capability = true });
	bool refreshed = false;

	(void)state;
	static store_closure_t closure = { .run = quarantine_run };
	static lane_job_t job = { .arg = &closure, .done = write_done };
	assert_int_equal(lane_submit(w.write, &job), OK);
	assert_true(support_until(w.loop, &written));
	w.view_stands = false;
	op_start(feed_refresh(w.a, w.feed), w.loop, loop_in_ms(w.loop, 5000), done, &refreshed);
	assert_true(support_until(w.loop, &refreshed));
	assert_true(support_until(w.loop, &w.view_stands));
	unsigned before = w.called;
	assert_int_not_equal(status_of((try_t){ .scheme = "Bearer", .token = token }), 200);
	assert_int_equal(w.called, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bound_token_calls_on_its_connection),
		cmocka_unit_test(an_instance_is_its_certificates_name),
		cmocka_unit_test(a_delegated_one_calls_nothing_alone),
		cmocka_unit_test(elsewhere_it_is_nothing),
		cmocka_unit_test(key_bound_tokens_are_as_ever),
		cmocka_unit_test(after_rotation_it_is_refused),
		cmocka_unit_test(strangers_do_not_reach_the_gateway),
		cmocka_unit_test(the_document_says_so),
		cmocka_unit_test(a_quarantined_agent_is_out),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
