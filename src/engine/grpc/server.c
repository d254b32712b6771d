/* server.c: the server: its services, its socket, its end. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/grpc/grpc_int.h"
#include "engine/net/net.h"

static MUST err_t service_add(grpc_server_t *s, const grpc_service_t *service, void *owner)
{
	ENSURE(s->n_services < GRPC_SERVICES_MAX, ERR_LIMIT);
	for (size_t i = 0; i < service->n_methods; i++) {
		CHECK(service->methods[i].fn && (service->methods[i].kind != GRPC_BIDI || service->methods[i].gone));
	}
	s->services[s->n_services] = *service;
	s->services[s->n_services].owner = owner;
	s->n_services++;
	return OK;
}

static MUST err_t services_add(grpc_server_t *s, const grpc_server_options_t *o)
{
	for (size_t i = 0; i < o->n_services; i++) {
		TRY(service_add(s, &o->services[i], o->services[i].owner));
	}
	if (o->health) {
		TRY(service_add(s, health_service(), s));
	}
	if (o->reflection) {
		TRY(service_add(s, reflection_service(0), s));
		TRY(service_add(s, reflection_service(1), s));
		TRY(reflection_new(s));
	}
	return OK;
}

static void server_free(void *arg)
{
	grpc_server_t *s = arg;
	void (*closed)(void *) = s->closed;
	void *owner = s->closed_owner;

	CHECK(s->in_bytes == 0 && s->counts.streams_now == 0);
	loop_timer_stop(s->loop, &s->rest);
	health_done(s);
	reflection_done(s);
	session_setup_done(s);
	buf_wipe(&s->scratch);
	for (uid_count_t *u = s->uids, *next; u; u = next) {
		next = u->next;
		heap_free(u);
	}
	heap_free(s->path);
	heap_free(s);
	if (closed) {
		closed(owner);
	}
}

err_t server_new(loop_t *loop, const grpc_server_options_t *o, grpc_server_t **out_server)
{
	grpc_server_t *s = heap_new(grpc_server_t);

	s->loop = loop;
	s->fd = -1;
	s->o = *o;
	s->o.services = NULL; /* copied below */
	s->o.path = NULL;
	s->o.connections_max = o->connections_max ? o->connections_max : GRPC_CONNECTIONS_DEFAULT;
	s->o.connections_per_uid_max =
		o->connections_per_uid_max ? o->connections_per_uid_max : GRPC_CONNECTIONS_PER_UID_DEFAULT;
	buf_init(&s->scratch, GRPC_OUT_HIGH_BYTES * 2);
	session_setup(s);
	err_t e = services_add(s, o);
	if (e != OK) {
		server_free(s);
		return e;
	}
	*out_server = s;
	return OK;
}

void server_route(const grpc_server_t *s, str_t path, const grpc_service_t **out_service,
	const grpc_method_t **out_method)
{
	size_t slash = str_find_last(path, '/');
	str_t service = str_sub(path, 1, slash > 0 ? slash - 1 : 0);
	str_t method = str_sub(path, slash + 1, path.n);

	for (size_t i = 0; i < s->n_services; i++) {
		const grpc_service_t *at = &s->services[i];
		if (!str_eq(str_of(at->name), service)) {
			continue;
		}
		*out_service = at;
		for (size_t j = 0; j < at->n_methods; j++) {
			if (str_eq(str_of(at->methods[j].name), method)) {
				*out_method = &at->methods[j];
			}
		}
	}
}

static void on_ready(void *owner, int events)
{
	server_accept(owner);
}

static void path_remember(grpc_server_t *s, const char *path)
{
	struct stat st;

	s->path = heap_cstr(str_of(path));
	if (lstat(path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
}

/* Only what is still ours: another server may have taken the place. */
static void path_forget(grpc_server_t *s)
{
	struct stat st;

	if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino) {
		unlink(s->path);
	}
}

err_t grpc_server_open(loop_t *loop, const grpc_server_options_t *o, grpc_server_t **out_server, diag_t *diag)
{
	grpc_server_t *s = NULL;
	int fd = -1;

	TRY(net_unix_listen(o->path, o->mode, true, &fd, diag));
	err_t e = server_new(loop, o, &s);
	if (e == OK) {
		path_remember(s, o->path);
		s->fd = fd;
		e = loop_watch_open(loop, fd, on_ready, s, &s->watch);
	} else {
		close(fd);
	}
	if (e != OK) {
		diag_set(diag, 0, 0, "cannot serve %s", o->path);
		if (s) {
			grpc_server_close(s, NULL, NULL);
		}
		return e;
	}
	loop_watch_set(s->watch, LOOP_READABLE);
	*out_server = s;
	return OK;
}

void grpc_server_stop(grpc_server_t *s)
{
	if (s->stopped) {
		return;
	}
	s->stopped = true;
	path_forget(s);
	loop_timer_stop(s->loop, &s->rest);
	loop_watch_close(s->watch);
	s->watch = NULL;
	if (s->fd >= 0) {
		close(s->fd);
		s->fd = -1;
	}
	for (grpc_conn_t *c = s->conns; c; c = c->next) {
		conn_drain(c);
	}
}

void server_gone_check(grpc_server_t *s)
{
	if (s->closing && !s->conns && !s->handed_over) {
		s->handed_over = true;
		loop_post_own(s->loop, &s->posted, server_free, s);
	}
}

void grpc_server_close(grpc_server_t *s, void (*closed)(void *owner), void *owner)
{
	CHECK(!s->closing);
	grpc_server_stop(s);
	s->closing = true;
	s->closed = closed;
	s->closed_owner = owner;
	for (grpc_conn_t *c = s->conns; c; c = c->next) {
		c->may_speak = !c->closing && !c->broken;
		conn_close_soon(c, NULL);
	}
	server_gone_check(s);
}

grpc_counts_t grpc_server_counts(const grpc_server_t *s)
{
	grpc_counts_t n = s->counts;

	n.in_bytes_now = s->in_bytes;
	for (const grpc_conn_t *c = s->conns; c; c = c->next) {
		n.out_bytes_now += c->out.n;
		for (const grpc_stream_t *x = c->streams; x; x = x->next) {
			n.out_bytes_now += x->out_n;
		}
	}
	return n;
}
