/* node.c: the daemon put together, and its end. */
#include "service/node/node_int.h"

#include <sys/resource.h>

str_t node_kernel_text(const node_t *n)
{
	return peer_kernel_text(&n->kernel);
}

/* As many connections as there are descriptors for: one that is accepted must be looked at. */
static uint32_t connections_max(void)
{
	struct rlimit r;
	rlim_t have = getrlimit(RLIMIT_NOFILE, &r) == 0 ? r.rlim_cur : 1024;
	rlim_t room = have > NODE_OTHER_DESCRIPTORS ? (have - NODE_OTHER_DESCRIPTORS) / NODE_CONN_DESCRIPTORS : 0;

	return room < NODE_UID_SHARE ? NODE_UID_SHARE : room < NODE_CONNECTIONS_MAX ? (uint32_t)room : NODE_CONNECTIONS_MAX;
}

static err_t server_open(node_t *n, diag_t *diag)
{
	uint32_t max = connections_max();
	const grpc_service_t service = { .name = "SpiffeWorkloadAPI", .methods = workload_methods,
		.n_methods = workload_n_methods, .guard = workload_guard, .owner = n };
	const grpc_server_options_t o = { .path = n->o.workload_socket, .mode = 0666, .services = &service,
		.n_services = 1, .health = true, .reflection = true, .connections_max = max,
		.connections_per_uid_max = max / NODE_UID_SHARE, .on_connect = caller_connect,
		.on_close = caller_gone, .owner = n };

	return grpc_server_open(n->loop, &o, &n->server, diag);
}

err_t node_open(const node_options_t *o, node_t **out, diag_t *diag)
{
	node_t *n = heap_new(node_t);

	n->o = *o;
	n->loop = o->loop;
	n->kernel = peer_kernel_probe(o->oldest_kernel);
	runs_prepare();
	n->means.digests = digest_new();
	memcpy(n->means.docker_sockets, o->docker_sockets, sizeof(n->means.docker_sockets));
	TRY(upstream_open(n, &n->upstream));
	TRY(server_open(n, diag)); /* what is made so far goes with the process */
	TRY(control_open(n, &n->control, diag));
	n->lane = lane_new(n->loop, &(lane_spec_t){ .name = "attest", .threads = NODE_LANE_THREADS,
		.queue_max = NODE_LANE_QUEUE_MAX });
	*out = n;
	return OK;
}

/* After the answers that were still on their way through the loop's queue. */
static void all_done(void *owner)
{
	node_t *n = owner;
	void (*closed)(void *) = n->closed;
	void *closed_owner = n->closed_owner;

	control_close(n->control);
	runs_done(n);
	jwts_done(n);
	svids_done(n);
	entries_done(&n->entries);
	trust_done(&n->trust);
	digest_free(n->means.digests);
	heap_free(n);
	if (closed) {
		closed(closed_owner);
	}
}

static void upstream_closed(void *owner)
{
	node_t *n = owner;

	loop_post(n->loop, all_done, n);
}

static void server_closed(void *owner)
{
	node_t *n = owner;

	upstream_close(n->upstream, upstream_closed, n);
}

static void streams_end(grpc_stream_t *s, void *arg)
{
	call_t *c = grpc_stream_owner(s);

	(void)arg;
	if (c) {
		call_free(c);
		grpc_end(s, GRPC_UNAVAILABLE, "the node is ending"); /* stock clients come back */
	}
}

void node_close(node_t *n, void (*closed)(void *owner), void *owner)
{
	n->closing = true;
	n->closed = closed;
	n->closed_owner = owner;
	loop_timer_stop(n->loop, &n->changed);
	for (caller_t *k = n->callers; k; k = k->next) {
		grpc_conn_each(k->conn, streams_end, NULL);
	}
	lane_free(n->lane);
	grpc_server_close(n->server, server_closed, n);
}
