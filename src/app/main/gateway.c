/* gateway.c: the process in front of the tools: no store, no key, everything it knows comes by the feed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/main/main_int.h"
#include "app/main/metrics.h"
#include "pure/codec/codec.h"
#include "service/gateway/gateway.h"
#include "service/mtls/mtls.h"

enum {
	CPU_QUEUE_MAX = 256,
	POOL_MAX = 256,
	STOP_DRAIN_MS = 1500, /* calls under way may end by themselves */
	STOP_TOLD_MS = 10, /* how often it is looked whether the last call ended, the last outcome was taken */
	STOP_GRACE_MS = 5000, /* stdio servers get 2 s to read their end of file, 2 s after SIGTERM */
};

typedef struct {
	const config_t *config;
	loop_t *loop;
	lane_t *cpu;
	net_client_t *upstreams, *inside;
	feed_client_t *feed;
	admit_client_t *admit;
	gateway_t *gateway;
	net_server_t *door;
	mtls_t *mtls; /* NULL: no session mTLS */
	net_server_t *mtls_door;
	loop_timer_t stop_timer, told_timer;
	bool stopping;
	uint64_t drain_until_us;
	int failed; /* exit status when the loop ends */
} gate_t;

static void handle(net_exchange_t *x, void *owner)
{
	gate_t *p = owner;
	str_t path = net_path(x);

	if (str_eq(path, STR("/health")) && !metrics_is_get(x)) {
		net_reply_error(x, ERR_METHOD);
	} else if (str_eq(path, STR("/health"))) {
		bool ready = feed_client_fresh(p->feed);
		net_reply_text(x, ready ? 200 : 503, STR("application/json"),
			ready ? STR("{\"status\":\"ok\"}") : STR("{\"status\":\"waiting for the authority\"}"));
	} else if (str_eq(path, STR("/metrics"))) {
		metrics_reply(x, &(metrics_t){ p->loop, { p->cpu }, 1, p->door, admit_client_tally(p->admit),
			"gateway",
			{ { "feed_silent_seconds", "since the feed was last heard", feed_client_silent_s(p->feed) },
				{ "outcomes_waiting", "ends of calls that the authority has yet to take",
					(double)admit_client_waiting(p->admit) } },
			2 });
	} else {
		gateway_handle(p->gateway, x);
	}
}

static void view_changed(void *owner)
{
	gate_t *p = owner;

	if (p->gateway) {
		gateway_view_changed(p->gateway);
	}
}

static void grant_revoked(str_t grant, void *owner)
{
	gate_t *p = owner;

	if (p->gateway) {
		gateway_grant_revoked(p->gateway, grant);
	}
}

static void instance_refused(void *owner);

static err_t inside_open(gate_t *p, const config_paths_t *paths, str_t instance)
{
	char via[400];
	feed_client_deps_t feed = { p->loop, p->inside, p->cpu, paths->internal_socket, instance, view_changed,
		grant_revoked, instance_refused, p };

	snprintf(via, sizeof(via), "spiffe://%s/attorn/gateway/1", p->config->trust_domain);
	admit_client_deps_t admit = { p->loop, p->inside, paths->internal_socket, instance,
		str_of(heap_cstr(str_of(via))) };
	TRY(feed_client_new(&feed, &p->feed));
	return admit_client_new(&admit, &p->admit);
}

/* Workloads with an X509-SVID, for tokens bound to it. Until this gateway has an SVID of its own and the bundle of
 * its trust domain, nobody gets in. */
static err_t mtls_open(gate_t *p, diag_t *diag)
{
	if (!p->config->mtls_host) {
		return OK;
	}
	p->mtls = mtls_new(&(mtls_options_t){ .loop = p->loop, .ask = NET_TLS_ASK_REQUIRED });
	net_server_options_t o = { .address = str_of(p->config->mtls_host), .port = p->config->mtls_port,
		.reuse_port = true, .body_bytes_max = p->config->body_bytes_max, .handler = handle, .owner = p,
		.tls = mtls_peek_tls(p->mtls) };
	return net_server_open(p->loop, &o, &p->mtls_door, diag);
}

static str_t mtls_host(const config_t *c)
{
	return c->mtls_url ? str_sub(str_of(c->mtls_url), strlen("https://"), SIZE_MAX) : STR_NULL;
}

static err_t gate_open(gate_t *p, const config_paths_t *paths, diag_t *diag)
{
	static char instance[33]; /* hex of 16 bytes, new at each start */
	AUTO(arena_free) arena_t *a = arena_open();
	uint8_t id[16];

	crypto_random(id, sizeof(id));
	memcpy(instance, hex_enc(a, str_bytes(id, sizeof(id))).p, 32);
	TRY(net_client_open(p->loop, POOL_MAX, &p->upstreams));
	TRY(net_client_open(p->loop, POOL_MAX, &p->inside));
	TRY(inside_open(p, paths, str_of(instance)));
	gateway_deps_t deps = { .loop = p->loop, .net = p->upstreams, .cpu = p->cpu, .feed = p->feed,
		.admit = p->admit, .url = str_of(p->config->gateway_url), .mtls_host = mtls_host(p->config),
		.issuer = str_of(p->config->issuer),
		.trust_domain = str_of(p->config->trust_domain), .instance = str_of(instance),
		.allow_origins = p->config->allow_origins, .n_allow_origins = p->config->allow_origins_count,
		.body_bytes_max = p->config->body_bytes_max, .child_path = str_of(getenv("PATH")),
		.child_home = str_of(getenv("HOME")), .child_lang = str_of(getenv("LANG")) };
	TRY(gateway_new(&deps, &p->gateway));
	net_server_options_t o = { .address = str_of(p->config->gateway_host), .port = p->config->gateway_port,
		.reuse_port = true, .body_bytes_max = p->config->body_bytes_max, .handler = handle, .owner = p };
	TRY(mtls_open(p, diag));
	return net_server_open(p->loop, &o, &p->door, diag);
}

static void stop_now(void *arg)
{
	loop_stop(((gate_t *)arg)->loop);
}

/* Calls and tool servers are gone; what became of the calls must still reach the authority. */
static void stop_when_told(void *arg)
{
	gate_t *p = arg;

	if (admit_client_idle(p->admit)) {
		loop_stop(p->loop);
		return;
	}
	loop_timer_start(p->loop, &p->told_timer, STOP_TOLD_MS, stop_when_told, p);
}

/* What strangers were refused is reported last: nobody is refused any more. */
static void stop_closed(void *arg)
{
	admit_client_flush(((gate_t *)arg)->admit);
	stop_when_told(arg);
}

/* Calls that are under way may end by themselves: cut short, one that went out would end as `unknown`. */
static void stop_drained(void *arg)
{
	gate_t *p = arg;

	if (flow_count(p->loop) && loop_mono_us(p->loop) < p->drain_until_us) {
		loop_timer_start(p->loop, &p->stop_timer, STOP_TOLD_MS, stop_drained, p);
		return;
	}
	flow_cancel_all(p->loop, ERR_CANCELLED);
	gateway_close(p->gateway, stop_closed, p);
	loop_timer_start(p->loop, &p->stop_timer, STOP_GRACE_MS, stop_now, p);
}

static void stop_begin(void *arg)
{
	gate_t *p = arg;

	if (p->stopping) {
		return;
	}
	p->stopping = true;
	p->drain_until_us = loop_in_ms(p->loop, STOP_DRAIN_MS);
	net_server_stop(p->door);
	if (p->mtls_door) {
		net_server_stop(p->mtls_door);
	}
	stop_drained(p);
}

/* The authority closed what this instance had open: a process with a new id takes its place. */
static void instance_refused(void *owner)
{
	gate_t *p = owner;

	log_kv(LVL_ERROR, "gateway.instance_closed");
	p->failed = 1;
	stop_begin(p);
}

int gateway_run(const config_paths_t *paths, const config_t *config)
{
	gate_t *p = heap_new(gate_t);
	diag_t diag = { 0 };

	p->config = config;
	p->loop = loop_new();
	p->cpu = lane_new(p->loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = CPU_QUEUE_MAX });
	err_t e = gate_open(p, paths, &diag);
	if (e != OK) {
		complain("gateway", &diag, e);
		return EXIT_CANNOT_START;
	}
	stop_on_signal(p->loop, stop_begin, p);
	log_kv(LVL_INFO, "gateway.up", kv_c("url", config->gateway_url));
	loop_run(p->loop);
	lane_free(p->cpu); /* no thread is at work while the process ends */
	return p->failed; /* the rest goes with the process: it owns nothing durable */
}
