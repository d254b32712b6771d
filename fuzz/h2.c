/* h2.c: one HTTP/2 connection of the gRPC server, without a socket. First byte: size of the slices; the
 * rest: what a client sends after its preface. Whatever comes, every stream a method was called on is
 * given back exactly once, and in the end nothing is held. */
#include "engine/flow/sim.h"
#include "engine/grpc/grpc_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { STREAMS_MAX = 4096, OUT_MAX = 1 << 20 };

static size_t held;

static void answer_now(grpc_stream_t *s, str_t message, void *owner)
{
	if (message.n > 0 && message.p[0] == 'd') {
		grpc_end(s, GRPC_PERMISSION_DENIED, "no");
		return;
	}
	CHECK(grpc_send(s, message) == OK);
	grpc_end(s, GRPC_OK, NULL);
}

static void keep(grpc_stream_t *s, str_t message, void *owner)
{
	held++;
	CHECK(message.p && message.n <= GRPC_MESSAGE_IN_BYTES_MAX);
	CHECK(grpc_send(s, STR("state 1")) == OK);
	CHECK(grpc_send(s, STR("state 2")) == OK);
}

static void gone(grpc_stream_t *s, void *owner)
{
	CHECK(held > 0);
	held--;
}

static void talk(grpc_stream_t *s, str_t message, void *owner)
{
	if (!message.p) {
		grpc_end(s, GRPC_OK, NULL);
		return;
	}
	if (grpc_send(s, message) != OK) {
		grpc_end(s, GRPC_RESOURCE_EXHAUSTED, NULL);
	}
}

static void talk_gone(grpc_stream_t *s, void *owner)
{
}

static grpc_code_t guard(grpc_stream_t *s, void *owner, const char **out_text)
{
	size_t i = 0;
	str_t v;

	*out_text = "header missing";
	return grpc_metadata_next(s, STR("h"), &i, &v) && str_eq(v, STR("1")) ? GRPC_OK : GRPC_INVALID_ARGUMENT;
}

static const grpc_method_t methods[] = {
	{ "U", GRPC_UNARY, answer_now, NULL },
	{ "S", GRPC_SERVER_STREAM, keep, gone },
	{ "B", GRPC_BIDI, talk, talk_gone },
};

static void drain(grpc_conn_t *c)
{
	AUTO(buf_done) buf_t out;

	buf_init(&out, OUT_MAX);
	conn_fill(c, &out);
}

/* Stands in for a push to whoever is there. */
static void push(grpc_stream_t *s, void *arg)
{
	if (s->method == &methods[1]) {
		CHECK(grpc_send(s, STR("state 3")) == OK);
	}
}

static void feed(grpc_conn_t *c, str_t in, size_t step)
{
	for (size_t at = 0; at < in.n && !c->closing; at += step) {
		conn_feed(c, str_sub(in, at, step));
		CHECK(c->n_streams <= GRPC_STREAMS_MAX && c->in_bytes <= GRPC_CONN_IN_BYTES_MAX + GRPC_READ_BYTES);
		drain(c);
		grpc_conn_each(c, push, NULL);
	}
	drain(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const grpc_service_t services[] = { { "p.T", methods, ARRAY_LEN(methods), NULL, NULL },
		{ "g.T", methods, ARRAY_LEN(methods), guard, NULL } };
	const grpc_server_options_t o = { .services = services, .n_services = 2, .health = true, .reflection = true };
	const struct ucred peer = { .pid = 1 };
	AUTO(sim_free) sim_t *sim = sim_new(&(sim_plan_t){ .seed = 1 });
	grpc_server_t *server = NULL;

	if (n < 1) {
		return 0;
	}
	log_setup(LVL_ERROR, 2);
	held = 0;
	CHECK(server_new(sim_loop(sim), &o, &server) == OK);
	grpc_conn_t *c = conn_new(server, -1, &peer);
	conn_feed(c, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
	feed(c, str_bytes(bytes + 1, n - 1), (size_t)bytes[0] * 16 + 1);
	if (bytes[0] & 1) { /* time passes: deadlines, patience */
		CHECK(sim_run_ms(sim, 60000));
	}
	grpc_server_close(server, NULL, NULL); /* checks that nothing is counted any more */
	CHECK(sim_run(sim));
	CHECK(held == 0);
	return 0;
}
