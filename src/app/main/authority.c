/* authority.c: the process of identities, tokens, grants, policy and ledger: everything is made here, in
 * the order in which it depends, and wired by hand. */
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/api/api.h"
#include "app/main/main_int.h"
#include "app/main/metrics.h"
#include "service/admit/admit.h"
#include "service/broker/broker.h"
#include "service/identity/identity.h"
#include "service/mtls/mtls.h"

enum {
	WRITE_QUEUE_MAX = 8192,
	WRITE_BATCH_MAX = 256, /* closures behind one disk sync: 2 ms of work */
	READ_THREADS = 2,
	READERS = READ_THREADS + 2, /* and lane cpu (rebuilds) and the loop (a gateway connects): none waits */
	READ_QUEUE_MAX = 8192,
	CPU_QUEUE_MAX = 64,
	SLOW_QUEUE_MAX = 64, /* what waits for the signer and may */
	STOP_GRACE_MS = 3000,
};

typedef struct {
	const config_paths_t *paths;
	const config_t *config;
	loop_t *loop;
	lane_t *write, *read, *cpu, *slow;
	store_t *store;
	signer_client_t *signer;
	vault_t *vault;
	vault_signing_t signing;
	ledger_t *ledger;
	feed_t *feed;
	admit_t *admit;
	identity_t *identity;
	str_t local_node; /* SPIFFE ID of this machine's node */
	broker_t *broker;
	api_t *api;
	net_server_t *door, *admin, *internal;
	mtls_t *node_tls; /* NULL: no node door */
	net_server_t *node_door;
	ledger_sequencer_t *sequencer;
	loop_timer_t stop_timer;
	int failed; /* exit status when the loop ends */
} authority_t;

/* --- signer and sequencer ------------------------------------------------------------------------------ */

/* Both have one fate: without keys nothing can be issued, and a new signer needs a new socket. */
static void signer_lost(void *owner)
{
	authority_t *p = owner;

	log_kv(LVL_ERROR, "signer.lost", kv_c("fix", "attorn up starts both again"));
	p->failed = p->failed ? p->failed : 1;
	loop_stop(p->loop);
}

static void sequence_failed(void *owner, err_t e)
{
	authority_t *p = owner;

	log_kv(LVL_ERROR, "ledger.sequence", kv_err("result", e));
	p->failed = EXIT_CANNOT_START;
	loop_stop(p->loop);
}

static void records_appended(void *owner)
{
	ledger_sequencer_wake(((authority_t *)owner)->sequencer);
}

/* --- doors ---------------------------------------------------------------------------------------------- */

static void agents_changed(void *owner)
{
	authority_t *p = owner;

	if (p->identity) {
		identity_changed(p->identity);
	}
}

static void instance_gone(str_t instance, void *owner)
{
	admit_instance_gone(((authority_t *)owner)->admit, instance);
}

static void health_reply(net_exchange_t *x)
{
	if (!metrics_is_get(x)) {
		net_reply_error(x, ERR_METHOD);
		return;
	}
	net_reply_text(x, 200, STR("application/json"), STR("{\"status\":\"ok\"}"));
}

/* The network door: strangers and agents. */
static void door_handle(net_exchange_t *x, void *owner)
{
	authority_t *p = owner;
	str_t path = net_path(x);

	if (str_eq(path, STR("/health"))) {
		health_reply(x);
	} else if (str_eq(path, STR("/metrics"))) {
		metrics_reply(x, &(metrics_t){ p->loop, { p->write, p->read, p->cpu, p->slow }, 4, p->door,
			admit_tally(p->admit), "authority",
			{ { "store_full", "1: the disk is full and nothing new is admitted", store_is_full(p->store) } }, 1 });
	} else if (str_starts(path, STR("/api/v1/"))) {
		api_handle(p->api, x, false);
	} else if (!identity_public_handle(p->identity, x)) {
		broker_handle(p->broker, x);
	}
}

/* Unix sockets: the file mode keeps others out, and the peer's uid is looked at all the same. */
static bool peer_is_ours(const net_exchange_t *x)
{
	const net_peer_t *peer = net_peer(x);

	return peer->is_unix && (peer->uid == geteuid() || peer->uid == 0);
}

static void admin_handle(net_exchange_t *x, void *owner)
{
	authority_t *p = owner;

	if (!peer_is_ours(x)) {
		net_reply_error(x, ERR_VERB);
	} else if (str_eq(net_path(x), STR("/health"))) {
		health_reply(x);
	} else {
		api_handle(p->api, x, true);
	}
}

static void internal_handle(net_exchange_t *x, void *owner)
{
	authority_t *p = owner;

	if (!peer_is_ours(x)) {
		net_reply_error(x, ERR_VERB);
	} else if (str_eq(net_path(x), STR("/internal/v1/feed"))) {
		feed_handle(p->feed, x);
	} else if (!identity_handle(p->identity, x, p->local_node)) { /* who reaches this socket is this machine's node */
		admit_handle(p->admit, x);
	}
}

/* Nodes of other machines, by their X509-SVID; without one a stranger that may want to become a node. What they
 * come for is served by the room that issues SVIDs; until it stands, and has given this door one, nobody gets in. */
static void node_handle(net_exchange_t *x, void *owner)
{
	(void)owner;
	if (str_eq(net_path(x), STR("/health"))) {
		health_reply(x);
	} else {
		net_reply_error(x, ERR_NOT_FOUND);
	}
}

static err_t node_door_open(authority_t *p, diag_t *diag)
{
	if (!p->config->node_host) {
		return OK;
	}
	p->node_tls = mtls_new(&(mtls_options_t){ .loop = p->loop, .ask = NET_TLS_ASK_OPTIONAL });
	net_server_options_t o = { .address = str_of(p->config->node_host), .port = p->config->node_port,
		.tls = mtls_peek_tls(p->node_tls), .handler = node_handle, .owner = p };
	return net_server_open(p->loop, &o, &p->node_door, diag);
}

static err_t doors_open(authority_t *p, diag_t *diag)
{
	net_server_options_t door = { .address = str_of(p->config->authority_host), .port = p->config->authority_port,
		.body_bytes_max = p->config->body_bytes_max, .handler = door_handle, .owner = p };
	net_server_options_t admin = { .unix_path = p->paths->admin_socket, .unix_mode = 0600,
		.body_bytes_max = p->config->body_bytes_max, .handler = admin_handle, .owner = p };
	net_server_options_t internal = { .unix_path = p->paths->internal_socket, .unix_mode = 0600,
		.handler = internal_handle, .owner = p };

	TRY(net_server_open(p->loop, &internal, &p->internal, diag));
	TRY(net_server_open(p->loop, &admin, &p->admin, diag));
	TRY(node_door_open(p, diag));
	return net_server_open(p->loop, &door, &p->door, diag);
}

/* --- making it ------------------------------------------------------------------------------------------- */

static err_t keys_closure(store_txn_t *txn, void *self)
{
	return vault_keys_open(self, txn);
}

err_t ledger_make(const ledger_make_t *m, ledger_t **out, diag_t *diag)
{
	char name[300], source[400];

	snprintf(name, sizeof(name), "%s/ledger", m->config->trust_domain);
	snprintf(source, sizeof(source), "spiffe://%s/attorn/authority/1", m->config->trust_domain);
	ledger_options_t o = { .source = str_of(source), .origin = str_of(name), .signer = m->signer,
		.kid = str_of(m->signing->ledger_kid), .pub = &m->signing->ledger_pub, .kek = vault_ledger_kek(m->vault),
		.now_us = m->now_us };
	return ledger_open(m->store, &o, out, diag);
}

static void lanes_open(authority_t *p)
{
	p->write = lane_new(p->loop, &(lane_spec_t){ .name = "store-write", .threads = 1,
		.queue_max = WRITE_QUEUE_MAX, .batch_run = store_lane_batch, .batch_arg = p->store,
		.batch_max = WRITE_BATCH_MAX });
	p->read = lane_new(p->loop, &(lane_spec_t){ .name = "store-read", .threads = READ_THREADS,
		.queue_max = READ_QUEUE_MAX });
	p->cpu = lane_new(p->loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = CPU_QUEUE_MAX });
	p->slow = lane_new(p->loop, &(lane_spec_t){ .name = "slow", .threads = 1, .queue_max = SLOW_QUEUE_MAX });
}

static err_t signing_open(authority_t *p, diag_t *diag)
{
	vault_signing_open_t o = { .signer = p->signer };
	store_closure_t meet = { .run = vault_signing_open, .self = &o, .essential = true }; /* on a full disk too */
	store_closure_t *const one[] = { &meet };

	store_batch_run(p->store, one, 1);
	err_t e = meet.err;
	if (e == ERR_KEY) {
		diag_set(diag, 0, 0, "the signer in %s has not the keys of %s: are both of one backup?", p->paths->signer_dir,
			p->paths->database);
	}
	p->signing = o.out;
	return e;
}

static err_t state_open(authority_t *p, diag_t *diag)
{
	const store_options_t options = { .readers = READERS };
	int lock; /* held by the process until it ends */

	umask(077);
	TRY(folder_private(p->paths->data, diag));
	TRY(lock_take(p->paths->lock, &lock, diag));
	TRY(vault_open(p->paths->kek, false, &p->vault, diag));
	TRY(store_open(str_of(p->paths->database), &options, &p->store, diag));
	err_t e = store_read(p->store, keys_closure, p->vault);
	if (e == ERR_CRYPTO) {
		diag_set(diag, 0, 0, "%s does not open the keys in %s: are both of one backup?", p->paths->kek,
			p->paths->database);
	}
	TRY(e);
	TRY(signing_open(p, diag));
	ledger_make_t make = { p->config, p->vault, p->store, p->signer, &p->signing, (int64_t)loop_unix_us(p->loop) };
	return ledger_make(&make, &p->ledger, diag);
}

static err_t services_make(authority_t *p, diag_t *diag)
{
	str_t issuer = str_of(p->config->issuer), td = str_of(p->config->trust_domain);
	bool shared_uid = geteuid() != 0; /* developer mode: nothing stands between agent and authority */
	AUTO(arena_free) arena_t *a = arena_open();
	feed_deps_t feed = { p->loop, p->cpu, p->store, p->vault, issuer, td, str_of(p->config->gateway_url),
		instance_gone, p, agents_changed };

	TRY(feed_new(&feed, &p->feed, diag));
	admit_deps_t admit = { p->loop, p->write, p->store, p->vault, p->ledger, p->feed,
		p->config->denials_per_minute, records_appended, p };
	TRY(admit_new(&admit, &p->admit));
	identity_deps_t identity = { .loop = p->loop, .write = p->write, .read = p->read, .cpu = p->cpu, .store = p->store,
		.ledger = p->ledger, .signer = p->signer, .trust_domain = td,
		.appended = records_appended, .owner = p };
	identity.jwt_issuer = str_of(heap_cstr(arena_cat(a, issuer, STR("/svid"))));
	p->local_node = str_of(heap_cstr(arena_cat(a, STR("spiffe://"), td, STR("/attorn/node/local"))));
	TRY(identity_new(&identity, &p->identity, diag));
	broker_deps_t broker = { .loop = p->loop, .write = p->write, .read = p->read, .store = p->store,
		.vault = p->vault, .signer = p->signer, .token_kid = str_of(p->signing.token_kid), .ledger = p->ledger,
		.feed = p->feed, .identity = p->identity, .admit = p->admit, .issuer = issuer, .trust_domain = td,
		.delegated_ttl_s = p->config->delegated_ttl_s,
		.capability_ttl_s = p->config->capability_ttl_s, .shared_uid = shared_uid,
		.appended = records_appended, .owner = p };
	TRY(broker_new(&broker, &p->broker));
	api_deps_t api = { .loop = p->loop, .write = p->write, .read = p->read, .cpu = p->cpu, .store = p->store,
		.vault = p->vault, .signer = p->signer, .signer_ahead = p->signing.ahead, .ledger = p->ledger, .feed = p->feed,
		.admit = p->admit, .issuer = issuer,
		.trust_domain = td, .gateway_url = str_of(p->config->gateway_url),
		.data_dir = str_of(p->paths->data), .shared_uid = shared_uid,
		.appended = records_appended, .owner = p };
	return api_new(&api, &p->api);
}

/* --- ending ------------------------------------------------------------------------------------------------ */

static void stop_now(void *arg)
{
	loop_stop(((authority_t *)arg)->loop);
}

/* On the loop, after SIGTERM: no new requests, those that run may end. */
static void stop_begin(void *arg)
{
	authority_t *p = arg;

	net_server_stop(p->door);
	net_server_stop(p->admin);
	net_server_stop(p->internal);
	if (p->node_door) {
		net_server_stop(p->node_door);
	}
	admit_flush(p->admit);
	flow_cancel_all(p->loop, ERR_CANCELLED);
	loop_timer_start(p->loop, &p->stop_timer, STOP_GRACE_MS / 10, stop_now, p);
}

int authority_run(const config_paths_t *paths, const config_t *config, int signer_fd)
{
	authority_t *p = heap_new(authority_t);
	diag_t diag = { 0 };

	p->paths = paths;
	p->config = config;
	p->loop = loop_new();
	p->signer = signer_client_new(signer_fd);
	err_t e = state_open(p, &diag);
	if (e == OK) {
		lanes_open(p);
		e = signer_client_attach(p->signer, p->loop, signer_lost, p);
	}
	if (e == OK) {
		e = services_make(p, &diag);
	}
	if (e == OK) {
		e = doors_open(p, &diag);
	}
	if (e != OK) {
		complain("authority", &diag, e);
		return e == ERR_UNAVAILABLE || e == ERR_DISK_FULL ? 1 : EXIT_CANNOT_START; /* room may come by itself */
	}
	p->sequencer = ledger_sequencer_new(&(ledger_sequencer_deps_t){ p->loop, p->write, p->slow, p->ledger, sequence_failed, p });
	stop_on_signal(p->loop, stop_begin, p);
	log_kv(LVL_INFO, "authority.up", kv_c("issuer", config->issuer));
	loop_run(p->loop);
	signer_client_detach(p->signer); /* whoever still waits for it is told that it will not come */
	lane_free(p->slow);
	lane_free(p->cpu);
	lane_free(p->read);
	lane_free(p->write); /* what was accepted is written */
	store_close(p->store); /* no lane reads it any more */
	return p->failed; /* the rest goes with the process */
}
