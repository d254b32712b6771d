/* client.c: libcurl's multi handle on the loop: its sockets, its timer, its end. */
#include "engine/net/wire.h"

/* One socket libcurl watches; the handle lives here until its close callback. */
typedef struct {
	uv_poll_t poll; /* first */
	net_client_t *client;
	curl_socket_t fd;
	int events;
} sock_t;

static void free_client(void *arg)
{
	net_client_t *c = arg;
	void (*closed)(void *) = c->closed;
	void *owner = c->closed_owner;

	heap_free(c);
	if (closed) {
		closed(owner);
	}
}

static void free_when_empty(net_client_t *c)
{
	if (c->closing && !c->calls && c->n_sockets == 0 && !c->multi && !c->handed_over) {
		c->handed_over = true;
		if (!c->posted.waiting) {
			loop_post_own(c->loop, &c->posted, free_client, c);
		}
	}
}

void client_socket_gone(net_client_t *c)
{
	c->n_sockets--;
	free_when_empty(c);
}

static void on_sock_closed(uv_handle_t *handle)
{
	sock_t *s = (sock_t *)handle;
	net_client_t *c = s->client;

	heap_free(s);
	client_socket_gone(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	sock_t *s = (sock_t *)poll;
	net_client_t *c = s->client;
	int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	int running;

	if (status < 0) {
		/* what came before the error is still read; libuv has stopped watching, libcurl has not */
		flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
		uv_poll_start(poll, s->events, on_poll);
	}
	curl_multi_socket_action(c->multi, s->fd, flags, &running);
	client_deliver(c);
}

static sock_t *sock_new(net_client_t *c, curl_socket_t fd)
{
	sock_t *s = heap_new(sock_t);

	s->client = c;
	s->fd = fd;
	if (uv_poll_init_socket(loop_uv(c->loop), &s->poll, fd) != 0) {
		heap_free(s);
		return NULL;
	}
	c->n_sockets++;
	curl_multi_assign(c->multi, fd, s);
	return s;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *sock)
{
	net_client_t *c = owner;
	sock_t *s = sock;
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		if (s) {
			curl_multi_assign(c->multi, fd, NULL);
			uv_poll_stop(&s->poll);
			uv_close((uv_handle_t *)&s->poll, on_sock_closed);
		}
		return 0;
	}
	s = s ? s : sock_new(c, fd);
	if (!s || uv_poll_start(&s->poll, events, on_poll) != 0) {
		return -1;
	}
	s->events = events;
	return 0;
}

static void on_time(void *arg)
{
	net_client_t *c = arg;
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	client_deliver(c);
}

static int on_timer(CURLM *multi, long timeout_ms, void *owner)
{
	net_client_t *c = owner;

	if (timeout_ms < 0) {
		loop_timer_stop(c->loop, &c->timer);
	} else {
		loop_timer_start(c->loop, &c->timer, (uint64_t)timeout_ms, on_time, c);
	}
	return 0;
}

static void finished_collect(net_client_t *c)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left))) {
		net_call_t *call = NULL;
		CURLcode code = msg->data.result;

		if (msg->msg == CURLMSG_DONE &&
			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call) == CURLE_OK) {
			call_finished(call, code);
		}
	}
}

/* A callback may start, pause or cancel calls, this one too; what becomes ready meanwhile is told in the
 * next turn. */
void client_deliver(net_client_t *c)
{
	finished_collect(c);
	net_call_t *list = c->ready;
	c->ready = NULL;
	while (list) {
		net_call_t *call = list;

		list = call->next_ready;
		call->next_ready = NULL;
		call->is_ready = false;
		call_deliver(call);
	}
	if (c->ready) {
		client_wake(c);
	}
}

static void multi_end(net_client_t *c)
{
	if (!c->closing || c->calls || !c->multi) {
		return;
	}
	wire_idle_close(c);
	while (c->n_spare) {
		curl_easy_cleanup(c->spare[--c->n_spare]);
	}
	curl_multi_cleanup(c->multi);
	c->multi = NULL;
	loop_timer_stop(c->loop, &c->timer);
	loop_timer_stop(c->loop, &c->sweep);
	free_when_empty(c);
}

static void on_wake(void *arg)
{
	net_client_t *c = arg;

	if (c->handed_over) {
		free_client(c);
		return;
	}
	if (c->multi) {
		client_deliver(c);
	}
	multi_end(c);
}

void client_wake(net_client_t *c)
{
	if (!c->posted.waiting && !c->handed_over) {
		loop_post_own(c->loop, &c->posted, on_wake, c);
	}
}

CURL *client_easy_take(net_client_t *c)
{
	CURL *easy = c->n_spare ? c->spare[--c->n_spare] : curl_easy_init();

	CHECK(easy != NULL);
	return easy;
}

void client_easy_give(net_client_t *c, CURL *easy)
{
	if (c->n_spare < NET_EASY_SPARE_MAX) {
		curl_easy_reset(easy); /* nothing of one request stays for the next */
		c->spare[c->n_spare++] = easy;
	} else {
		curl_easy_cleanup(easy);
	}
}

static void sweep(void *arg)
{
	net_client_t *c = arg;

	for (net_call_t *call = c->calls; call; call = call->next) {
		call_sweep(call);
	}
	if (c->calls) {
		loop_timer_start(c->loop, &c->sweep, NET_SWEEP_MS, sweep, c);
	}
}

void client_call_add(net_client_t *c, net_call_t *call)
{
	call->next = c->calls;
	if (c->calls) {
		c->calls->prev = call;
	}
	c->calls = call;
	c->n_calls++;
	if (call->idle_timeout_ms && !loop_timer_armed(&c->sweep)) {
		loop_timer_start(c->loop, &c->sweep, NET_SWEEP_MS, sweep, c);
	}
}

void client_call_remove(net_client_t *c, net_call_t *call)
{
	if (call->prev) {
		call->prev->next = call->next;
	} else {
		c->calls = call->next;
	}
	if (call->next) {
		call->next->prev = call->prev;
	}
	c->n_calls--;
	if (c->closing && !c->calls) {
		client_wake(c);
	}
}

err_t net_client_open(loop_t *loop, uint32_t pool_connections_max, net_client_t **out_client)
{
	long pool = pool_connections_max ? (long)pool_connections_max : NET_CLIENT_POOL_DEFAULT;

	ENSURE(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, ERR_INTERNAL);
	net_client_t *c = heap_new(net_client_t);
	c->loop = loop;
	c->pool_max = (uint32_t)pool;
	c->multi = curl_multi_init();
	CHECK(c->multi != NULL);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, pool);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	*out_client = c;
	return OK;
}

void net_client_close(net_client_t *c, void (*closed)(void *owner), void *owner)
{
	CHECK(!c->closing);
	c->closing = true;
	c->closed = closed;
	c->closed_owner = owner;
	for (net_call_t *call = c->calls; call; call = call->next) {
		net_call_cancel(call);
	}
	client_wake(c);
}
