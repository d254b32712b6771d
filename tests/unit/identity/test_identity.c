/* identity: from an empty store to keys, from an entry to SVIDs, over the real door: what nodes hear, what
 * they get, what they are refused, and that every signature has its record. */
#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "authority.h"
#include "engine/signer/signer.h"
#include "service/identity/identity.h"

#define NODE STR("spiffe://" TD "/attorn/node/local")
#define RUN_ID "00112233445566778899aabbccddeeff"
#define KEY_PLAIN AGENT_ID "#plain"
#define KEY_RUN AGENT_ID "#run"

typedef struct {
	authority_t *t;
	char signer_dir[96], socket[96];
	signer_t *signer_process;
	signer_client_t *signer;
	loop_t *loop;
	lane_t *write, *read, *cpu;
	identity_t *identity;
	net_server_t *door;
	arena_t *a; /* the client thread's */
	void (*story)(void *world);
	char failed[400]; /* of the client thread: asserts jump, and it may not */
	loop_timer_t begin;
	pthread_t thread;
} world_t;

/* --- the world --------------------------------------------------------------------------------------------- */

static err_t entries_run(store_txn_t *txn, void *self)
{
	world_t *w = self;
	const store_agent_entry_t rows[] = {
		{ .agent = STR(AGENT_ID), .id = STR("plain"),
			.doc = STR("{\"id\":\"plain\",\"selectors\":[\"unix:uid:1000\"],\"jwt_ttl\":60}"), .created_s = NOW_S },
		{ .agent = STR(AGENT_ID), .id = STR("run"),
			.doc = STR("{\"id\":\"run\",\"selectors\":[\"unix:uid:1000\"],\"runner\":{\"selectors\":[\"unix:uid:0\"]}}"),
			.created_s = NOW_S },
	};
	const store_change_t change = { .kind = STR("agent"), .id = STR(AGENT_ID), .body = STR("") };
	int64_t seq;

	TRY(store_agent_entries_set(txn, w->t->a, STR(AGENT_ID), rows, ARRAY_LEN(rows)));
	return store_change_add(txn, &change, &seq);
}

static void appended(void *owner)
{
	(void)owner;
}

static void door_handle(net_exchange_t *x, void *owner)
{
	world_t *w = owner;

	if (!identity_public_handle(w->identity, x) && !identity_handle(w->identity, x, NODE)) {
		net_reply_error(x, ERR_NOT_FOUND);
	}
}

static int world_open(void **state)
{
	world_t *w = heap_new(world_t);
	diag_t diag = { 0 };

	assert_int_equal(authority_open((void **)&w->t), 0);
	snprintf(w->signer_dir, sizeof(w->signer_dir), "%s/signer", w->t->dir);
	snprintf(w->socket, sizeof(w->socket), "%s/s.sock", w->t->dir);
	assert_int_equal(mkdir(w->signer_dir, 0700), 0);
	const signer_options_t o = { .dir = w->signer_dir };
	assert_int_equal(signer_open(&o, &w->signer_process, &diag), OK);
	w->signer = signer_client_local(signer_ask, w->signer_process);
	authority_write(w->t, entries_run, w);
	w->a = arena_new_capped(16 << 20);
	w->loop = loop_new();
	w->write = lane_new(w->loop, &(lane_spec_t){ .name = "write", .threads = 1, .queue_max = 64,
		.batch_run = store_lane_batch, .batch_arg = w->t->store, .batch_max = 16 });
	w->read = lane_new(w->loop, &(lane_spec_t){ .name = "read", .threads = 1, .queue_max = 64 });
	w->cpu = lane_new(w->loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = 64 });
	assert_int_equal(signer_client_attach(w->signer, w->loop, NULL, NULL), OK);
	const identity_deps_t deps = { .loop = w->loop, .write = w->write, .read = w->read, .cpu = w->cpu,
		.store = w->t->store, .ledger = w->t->ledger, .signer = w->signer, .trust_domain = STR(TD),
		.jwt_issuer = STR("http://127.0.0.1:7480/svid"), .appended = appended };
	assert_int_equal(identity_new(&deps, &w->identity, &diag), OK);
	const net_server_options_t door = { .unix_path = w->socket, .handler = door_handle, .owner = w };
	assert_int_equal(net_server_open(w->loop, &door, &w->door, &diag), OK);
	*state = w;
	return 0;
}

static void dir_remove(const char *path)
{
	DIR *d = opendir(path);
	char file[400];

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		(void)unlink(file);
	}
	if (d) {
		closedir(d);
	}
	(void)rmdir(path);
}

static void door_closed(void *owner)
{
	loop_stop(((world_t *)owner)->loop);
}

static int world_close(void **state)
{
	world_t *w = *state;

	net_server_close(w->door, door_closed, w);
	loop_run(w->loop);
	lane_free(w->cpu);
	lane_free(w->read);
	lane_free(w->write);
	signer_client_detach(w->signer);
	identity_free(w->identity);
	loop_free(w->loop);
	signer_client_free(w->signer);
	signer_free(w->signer_process);
	dir_remove(w->signer_dir);
	unlink(w->socket);
	arena_free(w->a);
	authority_close((void **)&w->t);
	heap_free(w);
	return 0;
}

/* --- the client thread ------------------------------------------------------------------------------------------ */

#define MUST_BE(w, what)                                                                            \
	do {                                                                                        \
		if (!(what) && !(w)->failed[0]) {                                                   \
			snprintf((w)->failed, sizeof((w)->failed), "line %d: %s", __LINE__, #what); \
		}                                                                                   \
	} while (0)

static net_response_t ask(world_t *w, const char *method, const char *path, str_t body)
{
	net_response_t out = { 0 };
	diag_t diag = { 0 };
	net_request_t r = { .method = str_of(method), .url = arena_cat(w->a, STR("http://x"), str_of(path)),
		.unix_path = w->socket, .body = body };

	err_t e = net_sync_fetch(w->a, &r, &out, &diag);
	if (e != OK && !w->failed[0]) {
		snprintf(w->failed, sizeof(w->failed), "%s: %s %s", path, err_info(e)->name, diag.text);
	}
	return out;
}

/* Until the first keys are there: they are made when the loop begins. */
static net_response_t ask_ready(world_t *w, const char *path, str_t body)
{
	net_response_t out = { 0 };

	for (int i = 0; i < 200; i++) {
		out = ask(w, "POST", path, body);
		if (out.status != 503) {
			break;
		}
		usleep(10000);
	}
	return out;
}

/* The feed, read until `synced`: a stream never ends, so the socket is closed then. */
static str_t node_arrives(world_t *w)
{
	static const char request[] = "GET /internal/v1/node/feed HTTP/1.1\r\nHost: x\r\n\r\n";
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 5 };
	char *told = arena_alloc(w->a, 65536);
	size_t n = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", w->socket);
	MUST_BE(w, connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	MUST_BE(w, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	MUST_BE(w, write(fd, request, sizeof(request) - 1) == (ssize_t)sizeof(request) - 1);
	while (n < 65535 && !str_contains((str_t){ told, n }, STR("\"kind\":\"synced\""))) {
		ssize_t got = read(fd, told + n, 65535 - n);
		if (got <= 0) {
			break;
		}
		n += (size_t)got;
	}
	close(fd);
	return (str_t){ told, n };
}

static str_t svid_body(world_t *w, const char *key, str_t csr, const char *facts)
{
	return arena_cat(w->a, STR("{\"items\":[{\"key\":\""), str_of(key), STR("\",\"csr\":\""), b64_enc(w->a, csr),
		STR("\",\"facts\":"), str_of(facts), STR("}]}"));
}

static const json_t *item_of(world_t *w, net_response_t r)
{
	const json_t *root = NULL;

	MUST_BE(w, r.status == 200);
	MUST_BE(w, json_parse_object(w->a, r.body, &root, NULL) == OK);
	return json_first(json_get(root, STR("items")));
}

static str_t text_of(const json_t *obj, const char *name)
{
	str_t s = STR_NULL;

	return json_str(json_get(obj, str_of(name)), &s) == OK ? s : STR("");
}

static void *thread_run(void *arg)
{
	world_t *w = arg;

	w->story(w);
	loop_stop(w->loop);
	return NULL;
}

static void begin(void *arg)
{
	world_t *w = arg;

	assert_int_equal(pthread_create(&w->thread, NULL, thread_run, w), 0);
}

static void play(void **state, void (*story)(void *))
{
	world_t *w = *state;

	w->story = story;
	loop_timer_start(w->loop, &w->begin, 1, begin, w);
	loop_run(w->loop);
	pthread_join(w->thread, NULL);
	if (w->failed[0]) {
		fail_msg("%s", w->failed);
	}
}

/* --- stories ------------------------------------------------------------------------------------------------------ */

static str_t csr_of(world_t *w)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	str_t csr = STR("");

	MUST_BE(w, crypto_key_generate(CRYPTO_KEY_P256, &key) == OK);
	MUST_BE(w, x509_csr_make(w->a, key, &csr) == OK);
	return csr;
}

static void svids_story(void *world)
{
	world_t *w = world;
	static const char facts[] = "{\"selectors\":[\"unix:gid:5\",\"unix:uid:1000\"],\"run\":null}";
	spiffe_bundle_t bundle;
	spiffe_trust_t *trust = NULL;
	x509_chain_t chain;
	spiffe_x509_svid_t svid;
	spiffe_jwt_svid_t jwt;
	str_t der;

	ask(w, "GET", "/internal/v1/svid", STR_NULL); /* not a POST: refused, and the loop turns */
	node_arrives(w);
	net_response_t r = ask_ready(w, "/internal/v1/svid", svid_body(w, KEY_PLAIN, csr_of(w), facts));
	const json_t *item = item_of(w, r);
	str_t text = STR("");
	MUST_BE(w, json_str(json_first(json_get(item, STR("chain"))), &text) == OK);
	MUST_BE(w, str_eq(text_of(item, "id"), STR(AGENT_ID)));
	MUST_BE(w, b64_dec(w->a, text, 16384, &der) == OK);

	r = ask(w, "GET", "/bundle", STR_NULL);
	MUST_BE(w, r.status == 200);
	MUST_BE(w, spiffe_bundle_parse(w->a, STR(TD), r.body, &bundle, NULL) == OK);
	MUST_BE(w, bundle.n_x509 == 1 && bundle.jwt.n == 1 && bundle.sequence >= 1);
	if (w->failed[0]) {
		return;
	}
	MUST_BE(w, spiffe_trust_new(&bundle, &trust) == OK);
	const spiffe_trust_t *one[] = { trust };
	const spiffe_trusts_t trusts = { one, 1 };
	int64_t now_s = (int64_t)loop_unix_s(w->loop);
	diag_t diag = { 0 };
	MUST_BE(w, x509_chain_of(w->a, &der, 1, &chain) == OK);
	MUST_BE(w, spiffe_x509_validate(&chain, &trusts, now_s, &svid, &diag) == OK);
	MUST_BE(w, str_eq(svid.id.text, STR(AGENT_ID)));
	MUST_BE(w, svid.exp_unix_s - now_s <= SPIFFE_X509_TTL_S_DEFAULT);

	r = ask(w, "POST", "/internal/v1/jwt", STR("{\"items\":[{\"key\":\"" KEY_PLAIN "\",\"aud\":[\"a\",\"b\"],\"facts\":"
		"{\"selectors\":[\"unix:uid:1000\"],\"run\":null}}]}"));
	const spiffe_jwt_expect_t expect = { .trusts = &trusts, .audience = STR("b"), .now_unix_s = now_s, .leeway_s = 5 };
	str_t token = text_of(item_of(w, r), "token");
	MUST_BE(w, spiffe_jwt_validate(w->a, token, &expect, &jwt, &diag) == OK);
	MUST_BE(w, str_eq(jwt.id.text, STR(AGENT_ID)) && jwt.own && jwt.n_aud == 2);
	MUST_BE(w, jwt.exp_unix_s - now_s <= 60);
	spiffe_trust_free(trust);
}

static void from_an_entry_to_svids_that_verify(void **state)
{
	world_t *w = *state;

	play(state, svids_story);
	assert_int_equal(authority_entries(w->t, "svid"), 2);
	assert_int_equal(authority_entries(w->t, "node"), 1);
	assert_int_equal(authority_entries(w->t, "trust"), 5); /* each prepared and active; one certified */
}

static void refusals_story(void *world)
{
	world_t *w = world;
	str_t csr = csr_of(w);

	node_arrives(w);
	static const struct {
		const char *key, *facts, *error;
	} rows[] = {
		{ KEY_PLAIN, "{\"selectors\":[\"unix:uid:1001\"],\"run\":null}", "entry_match" },
		{ AGENT_ID "#nobody", "{\"selectors\":[\"unix:uid:1000\"],\"run\":null}", "entry_match" },
		/* an identity of a run without a run, and with one that nobody began */
		{ KEY_RUN, "{\"selectors\":[\"unix:uid:1000\"],\"run\":null}", "entry_match" },
		{ KEY_RUN, "{\"selectors\":[\"unix:uid:1000\"],\"run\":{\"id\":\"" RUN_ID "\",\"runner\":[\"unix:uid:0\"]}}",
			"entry_match" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		net_response_t r = ask_ready(w, "/internal/v1/svid", svid_body(w, rows[i].key, csr, rows[i].facts));
		str_t error = text_of(item_of(w, r), "error");
		if (!str_eq(error, str_of(rows[i].error)) && !w->failed[0]) {
			snprintf(w->failed, sizeof(w->failed), "row %zu: %.*s", i, STR_ARG(error));
		}
	}
	((char *)(uintptr_t)csr.p)[csr.n - 1] ^= 1; /* the proof of possession */
	net_response_t r = ask(w, "POST", "/internal/v1/svid",
		svid_body(w, KEY_PLAIN, csr, "{\"selectors\":[\"unix:uid:1000\"],\"run\":null}"));
	MUST_BE(w, str_eq(text_of(item_of(w, r), "error"), STR("csr")));
	MUST_BE(w, ask(w, "POST", "/internal/v1/svid", STR("{\"items\":[]}")).status == 400);
	MUST_BE(w, ask(w, "POST", "/internal/v1/svid", STR("{\"items\":[{\"id\":\"spiffe://" TD "/root\"}]}")).status == 400);
}

static void what_was_not_attested_gets_nothing(void **state)
{
	world_t *w = *state;

	play(state, refusals_story);
	assert_int_equal(authority_entries(w->t, "svid"), 0);
}

static str_t run_begin(world_t *w)
{
	net_response_t r = ask_ready(w, "/internal/v1/run", STR("{\"key\":\"" KEY_RUN "\",\"code\":\"\",\"facts\":{\"selectors\":"
		"[\"unix:uid:1000\"],\"run\":{\"id\":\"" RUN_ID "\",\"runner\":[\"unix:uid:0\"]}}}"));
	const json_t *root = NULL;

	MUST_BE(w, r.status == 200 || r.status == 409);
	return json_parse_object(w->a, r.body, &root, NULL) == OK ? text_of(root, "spiffe_id") : STR("");
}

static void run_story(void *world)
{
	world_t *w = world;
	static const char facts[] = "{\"selectors\":[\"unix:uid:1000\"],\"run\":{\"id\":\"" RUN_ID
				    "\",\"runner\":[\"unix:uid:0\"]}}";

	node_arrives(w);
	MUST_BE(w, str_eq(run_begin(w), STR(AGENT_ID "/i/" RUN_ID)));
	MUST_BE(w, run_begin(w).n == 0); /* a run begins once */
	net_response_t r = ask_ready(w, "/internal/v1/svid", svid_body(w, KEY_RUN, csr_of(w), facts));
	MUST_BE(w, str_eq(text_of(item_of(w, r), "id"), STR(AGENT_ID "/i/" RUN_ID)));
	MUST_BE(w, ask(w, "POST", "/internal/v1/run/over", STR("{\"id\":\"" RUN_ID "\"}")).status == 200);
	MUST_BE(w, ask(w, "POST", "/internal/v1/run/over", STR("{\"id\":\"" RUN_ID "\"}")).status == 200);
	r = ask(w, "POST", "/internal/v1/svid", svid_body(w, KEY_RUN, csr_of(w), facts));
	MUST_BE(w, str_eq(text_of(item_of(w, r), "error"), STR("entry_match")));
}

static void a_run_has_its_identity_while_it_lives(void **state)
{
	world_t *w = *state;

	play(state, run_story);
	assert_int_equal(authority_entries(w->t, "run"), 2);
	assert_int_equal(authority_entries(w->t, "svid"), 1);
}

static void feed_story(void *world)
{
	world_t *w = world;

	ask_ready(w, "/internal/v1/svid", STR("{\"items\":[{\"key\":\"x\",\"csr\":\"\",\"facts\":{\"selectors\":[]}}]}"));
	usleep(100000); /* the keys are made */
	str_t told = node_arrives(w);
	const char *text = arena_cat(w->a, told, STR("\0")).p;
	const char *bundle = strstr(text, "\"kind\":\"bundle\""), *entry = strstr(text, "\"kind\":\"entry\""),
		   *synced = strstr(text, "\"kind\":\"synced\"");
	MUST_BE(w, bundle && entry && synced && bundle < entry && entry < synced);
	MUST_BE(w, str_contains(told, STR("\"key\":\"" KEY_RUN "\"")));
}

static void a_node_hears_the_bundle_before_the_entries(void **state)
{
	play(state, feed_story);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
	const struct CMUnitTest tests[] = {
		CASE(from_an_entry_to_svids_that_verify),
		CASE(what_was_not_attested_gets_nothing),
		CASE(a_run_has_its_identity_while_it_lives),
		CASE(a_node_hears_the_bundle_before_the_entries),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
