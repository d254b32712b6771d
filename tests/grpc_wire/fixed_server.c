/* fixed_server.c: the Workload API with fixed answers, over engine/grpc: what the wire cases E1-E9 and the
 * attacks on HTTP/2 need, without a node behind. usage: grpc_fixed_server SOCKET
 *
 * Standard input: "push N" sends version N of the state to every open FetchX509SVID, "end" ends them with
 * PermissionDenied, "sick" and "well" set Health, "counts" prints one line, "drain" stops accepting; its
 * end ends the program. FetchJWTSVID answers late when the audience is "slow:MS", and with as many bytes as
 * "big:BYTES" says; FetchX509SVID waits for the PING proof first. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/flow/flow.h"
#include "engine/grpc/grpc.h"
#include "workload.pb-c.h"

enum { ARENA_BYTES = 8 << 20, BIG_MAX = 5 << 20, CONNS_MAX = 65536 };

typedef struct {
	loop_t *loop;
	grpc_server_t *server;
	grpc_conn_t *conns[CONNS_MAX];
	size_t n_conns;
	unsigned version;
	uint64_t proofs_good, proofs_bad;
	loop_watch_t *input;
	char line[256];
	size_t line_n;
} world_t;

static world_t world;

typedef struct {
	grpc_stream_t *stream; /* NULL when it is gone */
	loop_timer_t timer;
} late_t;

/* ---- answers ------------------------------------------------------------------------------------- */

static grpc_code_t guard(grpc_stream_t *s, void *owner, const char **out_text)
{
	str_t value, more;
	size_t i = 0;

	if (!grpc_metadata_next(s, STR("workload.spiffe.io"), &i, &value) || !str_eq(value, STR("true")) ||
		grpc_metadata_next(s, STR("workload.spiffe.io"), &i, &more)) {
		*out_text = "security header missing from request";
		return GRPC_INVALID_ARGUMENT;
	}
	return GRPC_OK;
}

static err_t svids_send(grpc_stream_t *s)
{
	X509SVIDResponse r = X509_SVIDRESPONSE__INIT;
	X509SVID svid = X509_SVID__INIT, *list[] = { &svid };
	char hint[32];

	snprintf(hint, sizeof(hint), "v%u", world.version);
	svid.spiffe_id = (char *)(uintptr_t) "spiffe://example.org/myservice";
	svid.hint = hint;
	svid.x509_svid = (ProtobufCBinaryData){ 4, (uint8_t *)(uintptr_t) "cert" };
	svid.x509_svid_key = (ProtobufCBinaryData){ 3, (uint8_t *)(uintptr_t) "key" };
	r.n_svids = 1;
	r.svids = list;
	return grpc_send_pb(s, &r.base);
}

static void proved(grpc_conn_t *c, err_t e, void *owner)
{
	late_t *l = owner;

	world.proofs_good += e == OK;
	world.proofs_bad += e != OK;
	if (l->stream && e == OK) {
		grpc_stream_set_owner(l->stream, NULL);
		CHECK(svids_send(l->stream) == OK);
	} else if (l->stream) {
		grpc_end(l->stream, GRPC_UNAVAILABLE, "attestation could not be completed");
	}
	heap_free(l);
}

static void x509(grpc_stream_t *s, str_t message, void *owner)
{
	late_t *l = heap_new(late_t);

	l->stream = s;
	if (grpc_conn_prove(grpc_stream_conn(s), proved, l) != OK) {
		heap_free(l);
		grpc_end(s, GRPC_UNAVAILABLE, "too many proofs");
		return;
	}
	grpc_stream_set_owner(s, l);
}

static void x509_gone(grpc_stream_t *s, void *owner)
{
	late_t *l = grpc_stream_owner(s);

	if (l) {
		l->stream = NULL;
	}
}

static void bundles(grpc_stream_t *s, str_t message, void *owner)
{
	X509BundlesResponse r = X509_BUNDLES_RESPONSE__INIT;
	X509BundlesResponse__BundlesEntry e = X509_BUNDLES_RESPONSE__BUNDLES_ENTRY__INIT, *list[] = { &e };

	e.key = (char *)(uintptr_t) "spiffe://example.org";
	e.value = (ProtobufCBinaryData){ 4, (uint8_t *)(uintptr_t) "root" };
	r.n_bundles = 1;
	r.bundles = list;
	CHECK(grpc_send_pb(s, &r.base) == OK);
}

static void bundles_gone(grpc_stream_t *s, void *owner)
{
}

static void jwt_send(grpc_stream_t *s, const char *token)
{
	JWTSVIDResponse r = JWTSVIDRESPONSE__INIT;
	JWTSVID svid = JWTSVID__INIT, *list[] = { &svid };

	svid.spiffe_id = (char *)(uintptr_t) "spiffe://example.org/myservice";
	svid.svid = (char *)(uintptr_t)token;
	r.n_svids = 1;
	r.svids = list;
	err_t e = grpc_send_pb(s, &r.base);
	grpc_end_err(s, e);
}

static void jwt_big(grpc_stream_t *s, uint64_t n)
{
	char *text = heap_alloc((size_t)n + 1);

	memset(text, 'x', (size_t)n);
	jwt_send(s, text);
	heap_free(text);
}

static void jwt_late(void *arg)
{
	late_t *l = arg;

	jwt_send(l->stream, "late");
	heap_free(l);
}

static void jwt_gone(grpc_stream_t *s, void *owner)
{
	late_t *l = grpc_stream_owner(s);

	loop_timer_stop(world.loop, &l->timer);
	heap_free(l);
}

static void jwt_wait(grpc_stream_t *s, uint64_t ms)
{
	late_t *l = heap_new(late_t);

	l->stream = s;
	grpc_stream_set_owner(s, l);
	loop_timer_start(world.loop, &l->timer, ms, jwt_late, l);
}

static void jwt(grpc_stream_t *s, str_t message, void *owner)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GRPC_PB_ARENA_BYTES);
	struct ProtobufCMessage *m = NULL;
	uint64_t n = 0;

	if (grpc_pb_read(&jwtsvidrequest__descriptor, a, message, &m) != OK ||
		((JWTSVIDRequest *)m)->n_audience == 0) {
		grpc_end(s, GRPC_INVALID_ARGUMENT, "audience must be specified");
		return;
	}
	str_t audience = str_of(((JWTSVIDRequest *)m)->audience[0]);
	if (str_starts(audience, STR("slow:")) && str_to_u64(str_sub(audience, 5, 9), 60000, &n) == OK) {
		jwt_wait(s, n);
	} else if (str_starts(audience, STR("big:")) && str_to_u64(str_sub(audience, 4, 9), BIG_MAX, &n) == OK) {
		jwt_big(s, n);
	} else if (str_eq(audience, STR("forbidden"))) {
		grpc_end(s, GRPC_PERMISSION_DENIED, "no identity issued: 100 % \xc3\xa9");
	} else {
		jwt_send(s, "token");
	}
}

static const grpc_method_t methods[] = {
	{ "FetchX509SVID", GRPC_SERVER_STREAM, x509, x509_gone },
	{ "FetchX509Bundles", GRPC_SERVER_STREAM, bundles, bundles_gone },
	{ "FetchJWTSVID", GRPC_UNARY, jwt, jwt_gone },
};

/* ---- orders from the test ------------------------------------------------------------------------- */

static void push_one(grpc_stream_t *s, void *arg)
{
	if (str_ends(str_of(grpc_stream_method(s)), STR("/FetchX509SVID")) && !grpc_stream_owner(s)) {
		CHECK(svids_send(s) == OK);
	}
}

static void end_one(grpc_stream_t *s, void *arg)
{
	if (str_ends(str_of(grpc_stream_method(s)), STR("/FetchX509SVID")) && !grpc_stream_owner(s)) {
		grpc_end(s, GRPC_PERMISSION_DENIED, "no identity issued");
	}
}

static void all_streams(void (*fn)(grpc_stream_t *s, void *arg))
{
	for (size_t i = 0; i < world.n_conns; i++) {
		grpc_conn_each(world.conns[i], fn, NULL);
	}
}

static void counts_print(void)
{
	grpc_counts_t n = grpc_server_counts(world.server);

	printf("{\"connections_now\":%u,\"streams_now\":%u,\"in_bytes_now\":%zu,\"out_bytes_now\":%zu,"
	       "\"connections\":%llu,\"refused\":%llu,\"streams\":%llu,\"messages\":%llu,\"bad_stamps\":%llu,"
	       "\"bad_peers\":%llu,\"proofs_good\":%llu,\"proofs_bad\":%llu,\"conns\":%zu}\n",
		n.connections_now, n.streams_now, n.in_bytes_now, n.out_bytes_now,
		(unsigned long long)n.connections, (unsigned long long)n.refused, (unsigned long long)n.streams,
		(unsigned long long)n.messages, (unsigned long long)n.bad_stamps, (unsigned long long)n.bad_peers,
		(unsigned long long)world.proofs_good, (unsigned long long)world.proofs_bad, world.n_conns);
}

static void order(str_t line)
{
	uint64_t n = 0;

	if (str_starts(line, STR("push ")) && str_to_u64(str_sub(line, 5, 9), 1000000, &n) == OK) {
		world.version = (unsigned)n;
		all_streams(push_one);
	} else if (str_eq(line, STR("end"))) {
		all_streams(end_one);
	} else if (str_eq(line, STR("sick")) || str_eq(line, STR("well"))) {
		CHECK(grpc_health_set(world.server, "SpiffeWorkloadAPI", str_eq(line, STR("well"))) == OK);
	} else if (str_eq(line, STR("drain"))) {
		grpc_server_stop(world.server);
	} else if (!str_eq(line, STR("counts"))) {
		fprintf(stderr, "unknown order\n");
		exit(2);
	}
	counts_print();
	fflush(stdout);
}

static void server_closed(void *arg)
{
	loop_stop(world.loop);
}

static void input_read(void *owner, int events)
{
	ssize_t n = read(0, world.line + world.line_n, sizeof(world.line) - world.line_n);

	if (n <= 0) {
		loop_watch_close(world.input);
		grpc_server_close(world.server, server_closed, NULL);
		return;
	}
	world.line_n += (size_t)n;
	for (;;) {
		str_t all = { world.line, world.line_n };
		size_t end = str_find(all, '\n');
		if (end == all.n) {
			return;
		}
		order(str_sub(all, 0, end));
		memmove(world.line, world.line + end + 1, all.n - end - 1);
		world.line_n -= end + 1;
	}
}

/* ---- connections ----------------------------------------------------------------------------------- */

static err_t on_connect(grpc_conn_t *c, int fd, const struct ucred *peer, void *owner)
{
	ENSURE(world.n_conns < CONNS_MAX, ERR_LIMIT);
	world.conns[world.n_conns++] = c;
	grpc_conn_set_owner(c, &world);
	return OK;
}

static void on_close(grpc_conn_t *c, void *owner)
{
	CHECK(grpc_conn_owner(c) == &world);
	for (size_t i = 0; i < world.n_conns; i++) {
		if (world.conns[i] == c) {
			world.conns[i] = world.conns[--world.n_conns];
			return;
		}
	}
	CHECK(false);
}

int main(int argc, char **argv)
{
	const grpc_service_t service = { "SpiffeWorkloadAPI", methods, ARRAY_LEN(methods), guard, NULL };
	grpc_server_options_t o = { .services = &service, .n_services = 1, .health = true, .reflection = true,
		.on_connect = on_connect, .on_close = on_close };
	diag_t diag = { 0 };

	o.path = argc > 1 ? argv[1] : "";
	log_setup(getenv("GRPC_LOUD") ? LVL_DEBUG : LVL_ERROR, 2);
	world.loop = loop_new();
	if (grpc_server_open(world.loop, &o, &world.server, &diag) != OK) {
		fprintf(stderr, "%s\n", diag.text);
		return 1;
	}
	CHECK(loop_watch_open(world.loop, 0, input_read, NULL, &world.input) == OK);
	loop_watch_set(world.input, LOOP_READABLE);
	printf("ready\n");
	fflush(stdout);
	loop_run(world.loop);
	CHECK(world.n_conns == 0);
	loop_free(world.loop);
	return 0;
}
