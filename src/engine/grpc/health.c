/* health.c: grpc.health.v1: Check and Watch over what grpc_health_set was told. */
#include "engine/grpc/grpc_int.h"
#include "grpc/health/v1/health.pb-c.h"

typedef Grpc__Health__V1__HealthCheckResponse answer_t;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus status_t;

enum {
	SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
	NOT_SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
	SERVICE_UNKNOWN = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN,
};

static health_row_t *row_find(grpc_server_t *s, str_t service)
{
	for (size_t i = 0; i < s->n_health; i++) {
		if (str_eq(str_of(s->health[i].name), service)) {
			return &s->health[i];
		}
	}
	return NULL;
}

static bool is_mounted(const grpc_server_t *s, str_t service)
{
	for (size_t i = 0; i < s->n_services; i++) {
		if (str_eq(str_of(s->services[i].name), service)) {
			return true;
		}
	}
	return service.n == 0; /* the whole server */
}

static int status_of(grpc_server_t *s, str_t service)
{
	const health_row_t *row = row_find(s, service);

	if (row) {
		return row->serving ? SERVING : NOT_SERVING;
	}
	return is_mounted(s, service) ? SERVING : SERVICE_UNKNOWN;
}

/* The name asked for, in the arena. */
static MUST err_t name_read(arena_t *a, str_t message, str_t *out_name)
{
	struct ProtobufCMessage *m = NULL;

	TRY(grpc_pb_read(&grpc__health__v1__health_check_request__descriptor, a, message, &m));
	*out_name = str_of(((Grpc__Health__V1__HealthCheckRequest *)m)->service);
	ENSURE(out_name->n <= GRPC_PATH_BYTES_MAX, ERR_LIMIT);
	return OK;
}

static MUST err_t status_send(grpc_stream_t *s, int status)
{
	answer_t answer = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	answer.status = (status_t)status;
	return grpc_send_pb(s, &answer.base);
}

static void check(grpc_stream_t *s, str_t message, void *owner)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GRPC_PB_ARENA_BYTES);
	str_t name;
	err_t e = name_read(a, message, &name);

	if (e == OK && status_of(owner, name) == SERVICE_UNKNOWN) {
		e = ERR_NOT_FOUND;
	}
	if (e == OK) {
		e = status_send(s, status_of(owner, name));
	}
	grpc_end_err(s, e);
}

/* The stream's owner is the name it watches. */
static void watch(grpc_stream_t *s, str_t message, void *owner)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GRPC_PB_ARENA_BYTES);
	str_t name;
	err_t e = name_read(a, message, &name);

	if (e == OK) {
		e = status_send(s, status_of(owner, name)); /* an unknown one may come to be: no error */
	}
	if (e != OK) {
		grpc_end_err(s, e);
		return;
	}
	grpc_stream_set_owner(s, heap_cstr(name));
}

static void watch_gone(grpc_stream_t *s, void *owner)
{
	heap_free(grpc_stream_owner(s));
}

static const grpc_method_t methods[] = {
	{ "Check", GRPC_UNARY, check, NULL },
	{ "Watch", GRPC_SERVER_STREAM, watch, watch_gone },
};

const grpc_service_t *health_service(void)
{
	static const grpc_service_t service = { "grpc.health.v1.Health", methods, ARRAY_LEN(methods), NULL, NULL };

	return &service;
}

static void watcher_tell(grpc_stream_t *s, void *arg)
{
	grpc_server_t *server = s->conn->server;
	const health_row_t *row = arg;

	if (s->method != &methods[1] || !str_eq(str_of(row->name), str_of(grpc_stream_owner(s)))) {
		return;
	}
	err_t e = status_send(s, status_of(server, str_of(row->name)));
	if (e != OK) {
		watch_gone(s, server);
		grpc_end_err(s, e);
	}
}

err_t grpc_health_set(grpc_server_t *s, const char *service, bool serving)
{
	health_row_t *row = row_find(s, str_of(service));
	bool was = row ? row->serving : true;

	if (!row) {
		ENSURE(s->n_health < GRPC_SERVICES_MAX, ERR_LIMIT);
		row = &s->health[s->n_health++];
		row->name = heap_cstr(str_of(service));
		was = is_mounted(s, str_of(service)) ? true : !serving;
	}
	row->serving = serving;
	for (grpc_conn_t *c = s->conns; c && was != serving; c = c->next) {
		grpc_conn_each(c, watcher_tell, row);
	}
	return OK;
}

void health_done(grpc_server_t *s)
{
	for (size_t i = 0; i < s->n_health; i++) {
		heap_free(s->health[i].name);
	}
}
