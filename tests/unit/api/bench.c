#include "signing.h"
#include "bench.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct bench {
	char dir[64], database[128], kek[128], socket[128];
	arena_t *a;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ready;
	bool is_ready;
	/* the loop's thread */
	loop_t *loop;
	store_t *store;
	vault_t *vault;
	ledger_t *ledger;
	lane_t *write, *read, *cpu;
	feed_t *feed;
	admit_t *admit;
	api_t *api;
	net_server_t *door, *admin;
	unsigned closing;
	uint16_t port;
	person_t operator;
	signing_t signing;
	vault_signing_t keys;
	lane_t *slow;
	ledger_sequencer_t *sequencer;
};

/* --- the authority's side ---------------------------------------------------------------------------- */

static void sequence_failed(void *owner, err_t e)
{
	(void)owner;
	fprintf(stderr, "sequencer: %s\n", err_info(e)->name);
	CHECK(false);
}

static void appended(void *owner)
{
	ledger_sequencer_wake(((bench_t *)owner)->sequencer);
}

static void handle_tcp(net_exchange_t *x, void *owner)
{
	api_handle(((bench_t *)owner)->api, x, false);
}

static void handle_unix(net_exchange_t *x, void *owner)
{
	api_handle(((bench_t *)owner)->api, x, true);
}

static err_t keys_make(store_txn_t *txn, void *self)
{
	bench_t *b = self;

	TRY(vault_keys_make(b->vault, txn, 1));
	return vault_signing_make(b->signing.client, txn, 1);
}

static err_t keys_open(store_txn_t *txn, void *vault)
{
	return vault_keys_open(vault, txn);
}

static void instance_gone(str_t instance, void *owner)
{
	(void)instance;
	(void)owner;
}

#define OKAY(e) CHECK((e) == OK)

static void state_open(bench_t *b)
{
	diag_t diag = { 0 };
	bool durable;
	str_t fs;

	OKAY(vault_open(b->kek, true, &b->vault, &diag));
	OKAY(store_open(str_of(b->database), NULL, &b->store, &diag));
	OKAY(store_disk(b->a, str_of(b->dir), &fs, &durable));
	CHECK(durable); /* a test on tmpfs would say nothing about durability */
	signing_open(&b->signing);
	OKAY(store_write(b->store, keys_make, b));
	OKAY(store_read(b->store, keys_open, b->vault));
	vault_signing_open_t signing = { .signer = b->signing.client };
	OKAY(store_write(b->store, vault_signing_open, &signing));
	b->keys = signing.out;
	ledger_options_t o = { .source = STR("spiffe://" TRUST_DOMAIN "/attorn/authority/1"), .origin = STR(TRUST_DOMAIN "/ledger"),
		.signer = b->signing.client, .kid = str_of(b->keys.ledger_kid), .pub = &b->keys.ledger_pub,
		.kek = vault_ledger_kek(b->vault), .now_us = (int64_t)loop_unix_us(b->loop) };
	OKAY(ledger_open(b->store, &o, &b->ledger, &diag));
	api_bootstrap_t boot = { b->vault, b->ledger, STR("operator"), *crypto_key_pub(b->operator.key),
		(int64_t)loop_unix_us(b->loop) };
	OKAY(store_write(b->store, api_bootstrap, &boot));
	CHECK(store_write(b->store, api_bootstrap, &boot) == ERR_EXISTS);
}

static void services_open(bench_t *b)
{
	str_t issuer = STR(ISSUER), td = STR(TRUST_DOMAIN), gateway = STR(GATEWAY);
	diag_t diag = { 0 };

	b->write = lane_new(b->loop, &(lane_spec_t){ .name = "store-write", .threads = 1, .queue_max = 256,
		.batch_run = store_lane_batch, .batch_arg = b->store, .batch_max = 64 });
	b->read = lane_new(b->loop, &(lane_spec_t){ .name = "store-read", .threads = 2, .queue_max = 256 });
	b->cpu = lane_new(b->loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = 256 });
	b->slow = lane_new(b->loop, &(lane_spec_t){ .name = "slow", .threads = 1, .queue_max = 16 });
	b->sequencer = ledger_sequencer_new(&(ledger_sequencer_deps_t){ b->loop, b->write, b->slow, b->ledger, sequence_failed, b });
	feed_deps_t feed = { b->loop, b->cpu, b->store, b->vault, issuer, td, gateway, instance_gone, b };
	if (feed_new(&feed, &b->feed, &diag) != OK) {
		fprintf(stderr, "feed: %s\n", diag.text);
		CHECK(false);
	}
	admit_deps_t admit = { b->loop, b->write, b->store, b->vault, b->ledger, b->feed, 1000, appended, b };
	OKAY(admit_new(&admit, &b->admit));
	api_deps_t api = { .loop = b->loop, .write = b->write, .read = b->read, .cpu = b->cpu, .store = b->store,
		.vault = b->vault, .ledger = b->ledger, .feed = b->feed, .admit = b->admit, .issuer = issuer,
		.trust_domain = td, .gateway_url = gateway, .data_dir = str_of(b->dir), .appended = appended,
		.owner = b };
	OKAY(api_new(&api, &b->api));
}

static void doors_open(bench_t *b)
{
	diag_t diag = { 0 };
	net_server_options_t door = { .address = STR("127.0.0.1"), .handler = handle_tcp, .owner = b };
	net_server_options_t admin = { .unix_path = b->socket, .unix_mode = 0600, .handler = handle_unix, .owner = b };

	OKAY(net_server_open(b->loop, &door, &b->door, &diag));
	OKAY(net_server_open(b->loop, &admin, &b->admin, &diag));
	b->port = net_server_port(b->door);
}

static void server_closed(void *owner)
{
	bench_t *b = owner;

	if (--b->closing == 0) {
		loop_stop(b->loop);
	}
}

static void end(void *arg)
{
	bench_t *b = arg;

	b->closing = 3;
	ledger_sequencer_stop(b->sequencer, server_closed, b);
	net_server_close(b->door, server_closed, b);
	net_server_close(b->admin, server_closed, b);
}

static void state_close(bench_t *b)
{
	CHECK(flow_count(b->loop) == 0);
	ledger_sequencer_free(b->sequencer);
	lane_free(b->slow);
	lane_free(b->write);
	lane_free(b->read);
	lane_free(b->cpu);
	api_free(b->api);
	admit_free(b->admit);
	feed_free(b->feed);
	ledger_close(b->ledger);
	store_close(b->store);
	signing_close(&b->signing);
	vault_free(b->vault);
	loop_free(b->loop);
}

static void *loop_main(void *arg)
{
	bench_t *b = arg;

	b->loop = loop_new();
	state_open(b);
	services_open(b);
	doors_open(b);
	pthread_mutex_lock(&b->lock);
	b->is_ready = true;
	pthread_cond_signal(&b->ready);
	pthread_mutex_unlock(&b->lock);
	loop_run(b->loop);
	state_close(b);
	return NULL;
}

static void key_make(bench_t *b, person_t *p)
{
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_ED25519, &p->key), OK);
	arena_defer(b->a, (void (*)(void *))crypto_key_free, p->key);
	p->jkt = jose_jkt(b->a, crypto_key_pub(p->key));
	assert_int_equal(jose_jwk_write(b->a, crypto_key_pub(p->key), STR_NULL, STR_NULL, &p->jwk), OK);
}

int bench_dial(bench_t *b, const char *bytes)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && strlen(b->socket) < sizeof(to.sun_path));
	memcpy(to.sun_path, b->socket, strlen(b->socket));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
	return fd;
}

const char *bench_wide_role(void)
{
	static char text[16384];
	size_t n = 0;

	if (!text[0]) {
		n = (size_t)snprintf(text, sizeof(text), "{\"permissions\":[");
		for (int i = 0; i < API_SCOPES_MAX; i++) {
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"resource-number-%03d:action\"", i ? "," : "", i);
		}
		snprintf(text + n, sizeof(text) - n, "]}");
	}
	return text;
}

bench_t *bench_open(void)
{
	bench_t *b = heap_new(bench_t);
	pthread_attr_t attr;

	signal(SIGPIPE, SIG_IGN);
	log_setup(LVL_ERROR, 2);
	assert_int_equal(crypto_init(), OK);
	assert_int_equal(policy_init(), OK);
	b->a = arena_new_capped(256u << 20);
	snprintf(b->dir, sizeof(b->dir), "api-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->database, sizeof(b->database), "%s/attorn.db", b->dir);
	snprintf(b->kek, sizeof(b->kek), "%s/kek", b->dir);
	snprintf(b->socket, sizeof(b->socket), "%s/admin.sock", b->dir);
	key_make(b, &b->operator);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->ready, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 8u << 20);
	assert_int_equal(pthread_create(&b->thread, &attr, loop_main, b), 0);
	pthread_attr_destroy(&attr);
	pthread_mutex_lock(&b->lock);
	while (!b->is_ready) {
		pthread_cond_wait(&b->ready, &b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return b;
}

void bench_close(bench_t *b)
{
	static const char *const names[] = { "attorn.db", "attorn.db-wal", "attorn.db-shm", "reserve", "kek",
		"admin.sock" };
	char path[160];

	loop_post(b->loop, end, b);
	pthread_join(b->thread, NULL);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(b->dir);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->ready);
	arena_free(b->a);
	heap_free(b);
}

arena_t *bench_arena(bench_t *b)
{
	return b->a;
}

store_t *bench_store(bench_t *b)
{
	return b->store;
}

const person_t *bench_operator(bench_t *b)
{
	return &b->operator;
}

person_t *person_new(bench_t *b)
{
	person_t *p = arena_new(b->a, person_t);

	key_make(b, p);
	return p;
}

typedef struct {
	bench_t *b;
	unsigned after, ms;
	loop_timer_t timer;
	store_closure_t closure;
	lane_job_t job;
} stall_t;

static err_t stall_run(store_txn_t *txn, void *self)
{
	(void)txn;
	usleep(((stall_t *)self)->ms * 1000);
	return OK;
}

static void stall_done(lane_job_t *job, err_t e)
{
	(void)job;
	CHECK(e == OK);
}

static void stall_submit(void *arg)
{
	stall_t *s = arg;

	s->closure = (store_closure_t){ .run = stall_run, .self = s };
	s->job = (lane_job_t){ .arg = &s->closure, .done = stall_done };
	CHECK(lane_submit(s->b->write, &s->job) == OK);
}

static void stall_begin(void *arg)
{
	stall_t *s = arg;

	loop_timer_start(s->b->loop, &s->timer, s->after, stall_submit, s);
}

void bench_stall(bench_t *b, unsigned after, unsigned ms)
{
	stall_t *s = arena_new(b->a, stall_t);

	*s = (stall_t){ .b = b, .after = after, .ms = ms };
	loop_post(b->loop, stall_begin, s);
}

/* --- the client's side ------------------------------------------------------------------------------- */

const char *fmt(bench_t *b, const char *format, ...)
{
	char *text = arena_alloc(b->a, 8192);
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, 8192, format, args);
	va_end(args);
	assert_true(n >= 0 && n < 8192);
	return text;
}

static arena_t *arena_of(bench_t *b, const ask_t *ask)
{
	return ask->a ? ask->a : b->a;
}

static void signature_make(bench_t *b, const ask_t *ask, str_t target, str_t body, net_header_t out[2])
{
	arena_t *a = arena_of(b, ask);
	uint8_t nonce[16];
	int64_t now = (int64_t)loop_unix_s(b->loop) - ask->age_s;
	str_t path = ask->signed_path ? arena_cat(a, STR("/api/v1"), str_of(ask->signed_path)) : target;
	const str_t text[] = { str_of(ask->method), STR(" "), path, STR("\n"),
		ask->signed_body ? str_of(ask->signed_body) : body };
	str_t document, sig;

	crypto_random(nonce, sizeof(nonce));
	delegation_verb_t v = {
		.verb = str_of(ask->verb),
		.by = ask->by->jkt,
		.iss = str_of(ask->iss ? ask->iss : ISSUER),
		.nonce = ask->nonce ? str_of(ask->nonce) : b64url_enc(a, str_bytes(nonce, sizeof(nonce))),
		.iat = now,
		.exp = now + 60,
	};
	crypto_sha256_parts(text, ARRAY_LEN(text), v.body_digest);
	assert_int_equal(delegation_verb_build(a, &v, &document), OK);
	assert_int_equal(delegation_verb_sign(a, ask->by->key, document, &sig), OK);
	out[0] = (net_header_t){ STR("Attorn-Verb"), b64url_enc(a, document) };
	out[1] = (net_header_t){ STR("Attorn-Signature"), b64url_enc(a, sig) };
}

told_t tell(bench_t *b, const ask_t *ask)
{
	arena_t *a = arena_of(b, ask);
	str_t target = arena_cat(a, STR("/api/v1"), str_of(ask->path)), body = str_of(ask->body);
	net_header_t headers[3] = { { STR("Content-Type"),
		str_of(ask->content_type ? ask->content_type : "application/json") } };
	net_request_t r = { .method = str_of(ask->method), .body = body, .headers = { headers, 1 },
		.response_bytes_max = 64u << 20 };
	net_response_t response;
	diag_t diag = { 0 };
	told_t t = { 0 };

	if (ask->verb) {
		signature_make(b, ask, target, body, &headers[1]);
		r.headers.n = 3;
	}
	r.url = ask->tcp ? arena_printf(a, "http://127.0.0.1:%u%.*s", b->port, STR_ARG(target))
			 : arena_cat(a, STR("http://localhost"), target);
	r.unix_path = ask->tcp ? NULL : b->socket;
	if (net_sync_fetch(a, &r, &response, &diag) != OK) {
		fail_msg("%s %s: %s", ask->method, ask->path, diag.text);
	}
	t.status = response.status;
	t.text = response.body;
	if (json_parse(a, t.text, NULL, &t.json, NULL) != OK) {
		t.json = NULL;
	}
	contract_check(str_of(ask->method), str_of(ask->path), t.status, t.json);
	return t;
}

told_t sign(bench_t *b, const person_t *by, const char *verb, const char *method, const char *path,
	const char *body)
{
	return tell(b, &(ask_t){ .method = method, .path = path, .body = body, .verb = verb, .by = by });
}

told_t get(bench_t *b, const char *path)
{
	return tell(b, &(ask_t){ .method = "GET", .path = path });
}

told_t post(bench_t *b, const char *path, const char *body)
{
	return tell(b, &(ask_t){ .method = "POST", .path = path, .body = body });
}

str_t text_at(const told_t *t, const char *pointer)
{
	str_t s = STR("");

	(void)(json_str(json_pointer(t->json, str_of(pointer)), &s) == OK);
	return s;
}

int64_t number_at(const told_t *t, const char *pointer)
{
	int64_t n = INT64_MIN;

	(void)(json_i64(json_pointer(t->json, str_of(pointer)), &n) == OK);
	return n;
}

void assert_text(str_t got, const char *want)
{
	if (!str_eq(got, str_of(want))) {
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
	}
}

void assert_told(const told_t *t, int status, const char *error)
{
	if (t->status != status || (error && !str_eq(text_at(t, "/error"), str_of(error)))) {
		fail_msg("got %d %.*s, want %d %s", t->status, STR_ARG(t->text), status, error ? error : "");
	}
}

/* --- what the store says ------------------------------------------------------------------------------ */

typedef struct {
	arena_t *a;
	str_t type;
	int64_t n, version;
	str_t leaf;
} look_t;

static err_t look_run(store_txn_t *txn, void *self)
{
	look_t *k = self;
	store_entry_t *rows;
	size_t n;

	TRY(store_entry_recent(txn, k->a, k->type, STORE_NONE, 1000, &rows, &n));
	k->n = 0;
	k->leaf = STR("");
	for (size_t i = n; i-- > 0;) { /* the sequencer's own come when they come */
		if (!str_eq(rows[i].kind, STR("signer.head"))) {
			k->n++;
			k->leaf = rows[i].leaf;
		}
	}
	return store_snapshot_version(txn, &k->version);
}

static look_t look(bench_t *b, const char *type)
{
	look_t k = { .a = b->a, .type = type ? str_of(type) : STR_NULL };

	assert_int_equal(store_read(b->store, look_run, &k), OK);
	return k;
}

int64_t records(bench_t *b, const char *type)
{
	return look(b, type).n;
}

str_t newest(bench_t *b, const char *type)
{
	return look(b, type).leaf;
}

int64_t snapshot_version(bench_t *b)
{
	return look(b, NULL).version;
}

uint64_t view_version(bench_t *b)
{
	told_t t = get(b, "/status");

	return (uint64_t)number_at(&t, "/snapshot");
}

/* --- people and things --------------------------------------------------------------------------------- */

person_t *user_add(bench_t *b, const char *name, const char *roles)
{
	person_t *p = person_new(b);
	told_t t = sign(b, &b->operator, "user.add", "POST", "/users",
		fmt(b, "{\"name\":\"%s\",\"roles\":%s,\"keys\":[%.*s]}", name, roles, STR_ARG(p->jwk)));

	assert_told(&t, 201, NULL);
	p->id = text_at(&t, "/user/id");
	return p;
}

person_t *agent_add(bench_t *b, const char *name, const char *scopes)
{
	person_t *p = person_new(b);
	told_t t = sign(b, &b->operator, "agent.register", "POST", "/agents",
		fmt(b, "{\"name\":\"%s\",\"owner\":\"operator\",\"scopes\":%s,\"max_depth\":2,\"keys\":[%.*s]}", name,
			scopes, STR_ARG(p->jwk)));

	assert_told(&t, 201, NULL);
	p->id = text_at(&t, "/agent/id");
	return p;
}

void route_add(bench_t *b)
{
	told_t t = sign(b, &b->operator, "route.put", "PUT", "/routes/invoices",
		"{\"kind\":\"mcp-stdio\",\"command\":[\"/bin/cat\"],\"environment\":\"prod\",\"data_classes\":[\"finance\"],"
		"\"tools\":{\"read_file\":{\"scope\":\"invoices:read\",\"effect\":\"readonly\"},"
		"\"drop\":{\"scope\":\"invoices:delete\",\"effect\":\"irreversible\"}}}");

	assert_told(&t, 200, NULL);
}
