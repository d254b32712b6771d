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
#include "service/mtls/mtls.h"

enum {
	WRITE_QUEUE_MAX = 8192,
	WRITE_BATCH_MAX = 256, /* closures behind one disk sync: 2 ms of work */
	READ_THREADS = 2,
	READERS = READ_THREADS + 2, /* and lane cpu (rebuilds) and the loop (a gateway connects): none waits */
	READ_QUEUE_MAX = 8192,
	CPU_QUEUE_MAX = 64,
	SEQUENCE_MS = 100, /* an index and a signed head within this time of the commit (ledger.md 9.3) */
	STOP_GRACE_MS = 3000,
};

typedef struct {
	const config_paths_t *paths;
	const config_t *config;
	loop_t *loop;
	lane_t *write, *read, *cpu;
	store_t *store;
	vault_t *vault;
	ledger_t *ledger;
	feed_t *feed;
	admit_t *admit;
	broker_t *broker;
	api_t *api;
	net_server_t *door, *admin, *internal;
	mtls_t *node_tls; /* NULL: no node door */
	net_server_t *node_door;
	/* sequencer */
	loop_timer_t sequence_timer;
	lane_job_t sequence_job;
	store_closure_t sequence_closure;
	ledger_sequence_t sequence;
	bool sequence_wanted, sequencing;
	err_t sequence_result;
	loop_timer_t stop_timer;
	int failed; /* exit status when the loop ends */
} authority_t;

/* --- the sequencer ------------------------------------------------------------------------------------ */

static void sequence_begin(authority_t *p);

static void sequence_done(lane_job_t *job, err_t e)
{
	authority_t *p = (authority_t *)((char *)job - offsetof(authority_t, sequence_job));

	POINT("authority.sequence.after_commit");
	p->sequencing = false;
	if (e == ERR_LEDGER_DAMAGED || e == ERR_CONFLICT) {
		log_kv(LVL_ERROR, "ledger.sequence", kv_err("result", e));
		p->failed = EXIT_CANNOT_START; /* a rotten row or a second authority: sign nothing more */
		loop_stop(p->loop);
		return;
	}
	if (e != OK && e != p->sequence_result) {
		log_kv(LVL_WARN, "ledger.sequence", kv_err("result", e)); /* once, not ten times a second */
	}
	p->sequence_result = e;
	p->sequence_wanted = p->sequence_wanted || e != OK; /* what waits for its index is tried again */
	if (e == OK && p->sequence.more) {
		sequence_begin(p);
	}
}

static void sequence_begin(authority_t *p)
{
	p->sequence_wanted = false;
	p->sequence = (ledger_sequence_t){ .ledger = p->ledger };
	p->sequence_closure = (store_closure_t){ .run = ledger_sequence, .self = &p->sequence, .essential = true };
	p->sequence_job = (lane_job_t){ .arg = &p->sequence_closure, .done = sequence_done,
		.patient = true };
	p->sequencing = lane_submit(p->write, &p->sequence_job) == OK;
	p->sequence_wanted = !p->sequencing;
}

static void sequence_tick(void *arg)
{
	authority_t *p = arg;

	if (p->sequence_wanted && !p->sequencing) {
		sequence_begin(p);
	}
	loop_timer_start(p->loop, &p->sequence_timer, SEQUENCE_MS, sequence_tick, p);
}

static void records_appended(void *owner)
{
	((authority_t *)owner)->sequence_wanted = true;
}

/* --- doors ---------------------------------------------------------------------------------------------- */

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
		metrics_reply(x, &(metrics_t){ p->loop, { p->write, p->read, p->cpu }, 3, p->door,
			admit_tally(p->admit), "authority",
			{ { "store_full", "1: the disk is full and nothing new is admitted", store_is_full(p->store) } }, 1 });
	} else if (str_starts(path, STR("/api/v1/"))) {
		api_handle(p->api, x, false);
	} else {
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
	} else {
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

static err_t ledger_sign(void *self, str_t message, uint8_t out[MERKLE_SIGNATURE_BYTES])
{
	return crypto_key_sign(vault_ledger_key(self), message, out);
}

static err_t keys_closure(store_txn_t *txn, void *self)
{
	return vault_keys_open(self, txn);
}

err_t ledger_make(const config_t *config, vault_t *vault, store_t *store, ledger_t **out, diag_t *diag)
{
	char name[300], source[400];
	ledger_options_t o = { .kek = vault_ledger_kek(vault) };
	const crypto_pub_t *pub = crypto_key_pub(vault_ledger_key(vault));

	snprintf(name, sizeof(name), "%s/ledger", config->trust_domain);
	snprintf(source, sizeof(source), "spiffe://%s/attorn/authority/1", config->trust_domain);
	o.source = str_of(heap_cstr(str_of(source))); /* both live as long as the process */
	TRY(merkle_vkey_of(str_of(heap_cstr(str_of(name))), pub->raw, &o.signer.vkey));
	o.signer.sign = ledger_sign;
	o.signer.self = vault;
	return ledger_open(store, &o, out, diag);
}

static void lanes_open(authority_t *p)
{
	p->write = lane_new(p->loop, &(lane_spec_t){ .name = "store-write", .threads = 1,
		.queue_max = WRITE_QUEUE_MAX, .batch_run = store_lane_batch, .batch_arg = p->store,
		.batch_max = WRITE_BATCH_MAX });
	p->read = lane_new(p->loop, &(lane_spec_t){ .name = "store-read", .threads = READ_THREADS,
		.queue_max = READ_QUEUE_MAX });
	p->cpu = lane_new(p->loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = CPU_QUEUE_MAX });
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
	return ledger_make(p->config, p->vault, p->store, &p->ledger, diag);
}

static err_t services_make(authority_t *p, diag_t *diag)
{
	str_t issuer = str_of(p->config->issuer), td = str_of(p->config->trust_domain);
	bool shared_uid = geteuid() != 0; /* developer mode: nothing stands between agent and authority */
	feed_deps_t feed = { p->loop, p->cpu, p->store, p->vault, issuer, td, str_of(p->config->gateway_url),
		instance_gone, p };

	TRY(feed_new(&feed, &p->feed, diag));
	admit_deps_t admit = { p->loop, p->write, p->store, p->vault, p->ledger, p->feed,
		p->config->denials_per_minute, records_appended, p };
	TRY(admit_new(&admit, &p->admit));
	broker_deps_t broker = { .loop = p->loop, .write = p->write, .read = p->read, .store = p->store,
		.vault = p->vault, .ledger = p->ledger, .feed = p->feed, .admit = p->admit, .issuer = issuer,
		.trust_domain = td, .delegated_ttl_s = p->config->delegated_ttl_s,
		.capability_ttl_s = p->config->capability_ttl_s, .shared_uid = shared_uid,
		.appended = records_appended, .owner = p };
	TRY(broker_new(&broker, &p->broker));
	api_deps_t api = { .loop = p->loop, .write = p->write, .read = p->read, .cpu = p->cpu, .store = p->store,
		.vault = p->vault, .ledger = p->ledger, .feed = p->feed, .admit = p->admit, .issuer = issuer,
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

int authority_run(const config_paths_t *paths, const config_t *config)
{
	authority_t *p = heap_new(authority_t);
	diag_t diag = { 0 };

	p->paths = paths;
	p->config = config;
	p->loop = loop_new();
	err_t e = state_open(p, &diag);
	if (e == OK) {
		lanes_open(p);
		e = services_make(p, &diag);
	}
	if (e == OK) {
		e = doors_open(p, &diag);
	}
	if (e != OK) {
		complain("authority", &diag, e);
		return e == ERR_DISK_FULL ? 1 : EXIT_CANNOT_START; /* room may come by itself */
	}
	p->sequence_wanted = true;
	sequence_tick(p);
	stop_on_signal(p->loop, stop_begin, p);
	log_kv(LVL_INFO, "authority.up", kv_c("issuer", config->issuer));
	loop_run(p->loop);
	lane_free(p->cpu);
	lane_free(p->read);
	lane_free(p->write); /* what was accepted is written */
	store_close(p->store); /* no lane reads it any more */
	return p->failed; /* the rest goes with the process */
}
