/* call.c: one outbound request from start to done. */
#include "engine/net/wire.h"

void call_ready(net_call_t *call)
{
	net_client_t *c = call->client;

	if (call->is_ready) {
		return;
	}
	call->is_ready = true;
	call->next_ready = c->ready;
	c->ready = call;
}

/* ---- what comes back: gather only ---- */

static void call_touch(net_call_t *call)
{
	if (call->idle_timeout_ms) {
		call->active_us = loop_mono_us(call->client->loop);
	}
}

void call_gather_head(net_call_t *call)
{
	call_touch(call);
	call_ready(call);
}

err_t call_gather(net_call_t *call, str_t bytes)
{
	call_touch(call);
	ENSURE(bytes.n <= call->received_max - call->received, ERR_LIMIT);
	call->received += bytes.n;
	buf_add(&call->held, bytes);
	call_ready(call);
	return buf_err(&call->held);
}

bool call_is_full(const net_call_t *call)
{
	return call->paused || call->held.n >= NET_HELD_BYTES_MAX;
}

void call_end(net_call_t *call, err_t e)
{
	call->finished = true;
	call->err = call->err ? call->err : e;
	if (call->err == OK && !call->head.done) {
		call->err = ERR_UPSTREAM;
	}
	call_ready(call);
}

static size_t on_header(char *p, size_t size, size_t n, void *owner)
{
	net_call_t *call = owner;
	err_t e = response_head_line(&call->head, str_bytes(p, size * n));

	call_touch(call);
	if (e != OK) {
		call->err = call->err ? call->err : e;
		return 0; /* ends the transfer and its connection */
	}
	if (call->head.done && !call->head_told) {
		call_ready(call);
	}
	return size * n;
}

static size_t on_data(char *p, size_t size, size_t n, void *owner)
{
	net_call_t *call = owner;

	if (call_is_full(call)) {
		call_touch(call);
		call->curl_paused = true;
		call_ready(call);
		return CURL_WRITEFUNC_PAUSE;
	}
	err_t e = call_gather(call, str_bytes(p, size * n));
	if (e != OK) {
		call->err = call->err ? call->err : e;
		return 0;
	}
	return size * n;
}

/* libcurl sends again when a kept connection dies before the answer. For anything but GET and HEAD the
 * peer may have acted already: nothing is executed twice. */
static int on_send(void *owner, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	net_call_t *call = owner;

	call->sends++;
	return call->repeatable || call->sends == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static err_t error_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_OK:
		return OK;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	default: /* of ninety-odd: refused, reset, malformed, TLS */
		return ERR_UPSTREAM;
	}
}

void call_finished(net_call_t *call, CURLcode code)
{
	curl_multi_remove_handle(call->client->multi, call->easy);
	call_end(call, error_of(code));
}

void call_sweep(net_call_t *call)
{
	uint64_t idle_us = loop_mono_us(call->client->loop) - call->active_us;

	if (!call->idle_timeout_ms || call->finished || call->cancelled) {
		return;
	}
	if (call->paused || call->curl_paused) {
		call_touch(call);
		return;
	}
	if (idle_us >= (uint64_t)call->idle_timeout_ms * 1000) {
		call->err = call->err ? call->err : ERR_TIMEOUT;
		call->cancelled = true;
		call_ready(call);
		client_wake(call->client);
	}
}

/* ---- what the caller is told ---- */

static void call_free(net_call_t *call)
{
	client_call_remove(call->client, call);
	if (call->easy) {
		client_easy_give(call->client, call->easy);
	}
	tls_peer_free(call->peer);
	net_tls_free(call->tls);
	buf_wipe(&call->held);
	arena_free(call->arena);
	heap_free(call);
}

static void cut(net_call_t *call)
{
	if (!call->finished && call->easy) {
		curl_multi_remove_handle(call->client->multi, call->easy);
	} else if (!call->finished) {
		wire_abandon(call);
	}
	call->finished = true;
	call->err = call->err ? call->err : ERR_CANCELLED;
	buf_clear(&call->held); /* what was not told is not told any more */
}

static void tell_head(net_call_t *call)
{
	call->head_told = true;
	if (call->fns.head) {
		call->fns.head(call, call->head.status, response_headers(&call->head), call->owner);
	}
}

static void tell_data(net_call_t *call)
{
	call->fns.data(call, buf_str(&call->held), call->owner);
	buf_clear(&call->held);
}

/* libcurl may hand over in here what it kept back; that is told in the next round. When that fails
 * (too large, say) nobody but this return value tells. */
static void go_on(net_call_t *call)
{
	if (!call->easy && !call->finished) {
		wire_resume(call);
		return;
	}
	if (!call->curl_paused || call->paused || call->finished) {
		return;
	}
	call->curl_paused = false;
	CURLcode code = curl_easy_pause(call->easy, CURLPAUSE_CONT);
	if (code != CURLE_OK) {
		call_finished(call, code);
	}
}

void call_deliver(net_call_t *call)
{
	bool broken = call->finished && call->err;

	if (!call->cancelled && call->head.done && !call->head_told && !broken) {
		tell_head(call);
	}
	if (broken && !call->head_told) {
		buf_clear(&call->held); /* a head that was never told has no body */
	}
	if (!call->cancelled && !call->paused && call->head_told && call->held.n) {
		tell_data(call);
	}
	if (call->cancelled) {
		cut(call);
	}
	go_on(call);
	if (!call->finished || call->held.n || call->is_ready) {
		return;
	}
	void (*done)(err_t, void *) = call->fns.done;
	void *owner = call->owner;
	err_t e = call->err;
	call_free(call);
	done(e, owner);
}

/* ---- what the caller does ---- */

static MUST err_t curl_start(net_call_t *call, const net_request_t *r)
{
	CURL *easy = call->easy = client_easy_take(call->client);

	TRY(easy_prepare(easy, call->arena, r));
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	ENSURE(curl_multi_add_handle(call->client->multi, easy) == CURLM_OK, ERR_INTERNAL);
	return OK;
}

err_t net_call_start(net_client_t *c, const net_request_t *r, const net_call_fns_t *fns, void *owner,
	net_call_t **out_call)
{
	CHECK(fns->data && fns->done);
	ENSURE(!c->closing, ERR_CANCELLED);
	ENSURE(c->n_calls < NET_CALLS_MAX, ERR_LANE_FULL);
	net_call_t *call = heap_new(net_call_t);
	call->client = c;
	call->arena = arena_new_capped(NET_RESPONSE_HEAD_BYTES_MAX + ARENA_CAP_DEFAULT +
				       (r->copy_body ? r->body.n : 0));
	call->fns = *fns;
	call->owner = owner;
	call->repeatable = method_is_repeatable(r->method);
	call->head.arena = call->arena;
	call->received_max = r->response_bytes_max ? r->response_bytes_max : NET_RESPONSE_BYTES_DEFAULT;
	call->idle_timeout_ms = r->idle_timeout_ms;
	buf_init(&call->held, NET_HELD_BYTES_MAX + CURL_MAX_READ_SIZE);
	call_touch(call);
	client_call_add(c, call);
	err_t e = request_check(r);
	if (e == OK && (r->tls || r->on_binding.n)) {
		e = r->tls && net_tls_is_client(r->tls) && wire_fits(r) ? OK : ERR_VALUE;
	}
	if (e == OK) {
		e = wire_fits(r) ? wire_start(call, r) : curl_start(call, r);
	}
	if (e != OK) {
		call_free(call);
		return e;
	}
	*out_call = call;
	return OK;
}

const net_tls_peer_t *net_call_tls(const net_call_t *call)
{
	return call->peer;
}

void net_call_pause(net_call_t *call)
{
	call->paused = true;
}

void net_call_resume(net_call_t *call)
{
	call->paused = false;
	call_touch(call);
	call_ready(call);
	client_wake(call->client);
}

void net_call_cancel(net_call_t *call)
{
	if (call->cancelled) {
		return;
	}
	call->cancelled = true;
	call_ready(call);
	client_wake(call->client);
}
