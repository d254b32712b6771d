/* session.c: HTTP/2: what nghttp2 tells us, and which floods end a connection. nghttp2 is fed bytes and
 * asked for bytes; its own checks of HTTP are off (spiffe.md 9), head.c does them. */
#include "engine/flow/flow.h"
#include "engine/grpc/grpc_int.h"

bool bucket_take(bucket_t *b, uint64_t now_us, uint32_t burst, uint32_t per_s)
{
	const uint64_t one = 1000000 / per_s, full = one * burst;
	uint64_t gained = now_us - b->at_us;

	if (b->at_us == 0 || gained >= full || b->tokens_us + gained > full) {
		b->tokens_us = full;
	} else {
		b->tokens_us += gained;
	}
	b->at_us = now_us;
	if (b->tokens_us < one) {
		return false;
	}
	b->tokens_us -= one;
	return true;
}

static void linger_late(void *arg)
{
	conn_close_soon(arg, NULL);
}

static void break_note(grpc_conn_t *c, const char *why)
{
	c->broken = true;
	c->server->counts.bad_peers++;
	log_kv(LVL_WARN, "grpc.broken", kv_c("why", why), kv_i("pid", c->peer.pid), kv_u("uid", c->peer.uid));
	loop_timer_start(c->server->loop, &c->timer, GRPC_LINGER_MS, linger_late, c);
}

void session_break(grpc_conn_t *c, uint32_t h2_error, const char *why)
{
	if (!c->broken && !c->closing) {
		break_note(c, why);
		(void)nghttp2_session_terminate_session(c->h2, h2_error);
	}
}

static void bucket_or_calm(grpc_conn_t *c, bucket_t *b, uint32_t burst, uint32_t per_s, const char *what)
{
	if (!bucket_take(b, loop_mono_us(c->server->loop), burst, per_s)) {
		session_break(c, NGHTTP2_ENHANCE_YOUR_CALM, what);
	}
}

static grpc_stream_t *stream_find(nghttp2_session *h2, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h2, id);
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	grpc_conn_t *c = arg;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		return 0;
	}
	grpc_stream_t *s = stream_new(c, frame->hd.stream_id);
	if (nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, s) != 0) {
		stream_free(s);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t n_name,
	const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	grpc_stream_t *s = stream_find(h2, frame->hd.stream_id);
	str_t n = str_bytes(name, n_name), v = str_bytes(value, n_value);

	if (!s) {
		return 0;
	}
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		return head_field_ok(n, v) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	if (!s->head) {
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	head_add(s->head, n, v);
	if (s->head->counted > GRPC_HEAD_BYTES_ABUSE) {
		session_break(s->conn, NGHTTP2_ENHANCE_YOUR_CALM, "header list");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return 0;
}

static void headers_received(grpc_conn_t *c, const nghttp2_frame *frame)
{
	grpc_stream_t *s = stream_find(c->h2, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (!s) {
		return;
	}
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		stream_head(s);
	} else if (!end) {
		stream_reset(s, NGHTTP2_PROTOCOL_ERROR); /* RFC 9113 8.1: trailers end the stream */
		return;
	}
	if (end) {
		stream_peer_ended(s);
	}
}

static void data_received(grpc_conn_t *c, const nghttp2_frame *frame)
{
	grpc_stream_t *s = stream_find(c->h2, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (frame->hd.length == 0 && !end) {
		bucket_or_calm(c, &c->empties, GRPC_EMPTY_BURST, GRPC_EMPTY_PER_S, "empty data");
	}
	if (s && end) {
		stream_peer_ended(s);
	}
}

static void ping_received(grpc_conn_t *c, const nghttp2_frame *frame)
{
	if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
		proofs_acked(c, frame->ping.opaque_data);
		return;
	}
	bucket_or_calm(c, &c->pings, GRPC_PINGS_BURST, GRPC_PINGS_PER_S, "pings");
}

static void settings_received(grpc_conn_t *c, const nghttp2_frame *frame)
{
	if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
		return;
	}
	if (!c->hello) {
		c->hello = true;
		if (!c->draining && !c->broken) {
			loop_timer_stop(c->server->loop, &c->timer);
		}
	}
	bucket_or_calm(c, &c->settings, GRPC_SETTINGS_BURST, GRPC_SETTINGS_PER_S, "settings");
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	grpc_conn_t *c = arg;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		headers_received(c, frame);
		break;
	case NGHTTP2_DATA:
		data_received(c, frame);
		break;
	case NGHTTP2_PING:
		ping_received(c, frame);
		break;
	case NGHTTP2_SETTINGS:
		settings_received(c, frame);
		break;
	case NGHTTP2_RST_STREAM:
		bucket_or_calm(c, &c->resets, GRPC_RESETS_BURST, GRPC_RESETS_PER_S, "resets");
		break;
	case NGHTTP2_PRIORITY:
		bucket_or_calm(c, &c->empties, GRPC_EMPTY_BURST, GRPC_EMPTY_PER_S, "priority");
		break;
	}
	return 0;
}

static int on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *arg)
{
	grpc_conn_t *c = arg;

	bucket_or_calm(c, &c->empties, GRPC_EMPTY_BURST, GRPC_EMPTY_PER_S, "invalid frames");
	return 0;
}

static int on_data_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	grpc_stream_t *s = stream_find(h2, id);

	if (s) {
		stream_bytes(s, str_bytes(p, n));
	}
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	grpc_stream_t *s = stream_find(h2, id);

	if (s) {
		stream_free(s);
	}
	return 0;
}

/* RFC 9113 8.1: whoever answered before the request was whole asks the peer to stop sending it. */
static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	grpc_conn_t *c = arg;
	grpc_stream_t *s = NULL;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR && !c->broken) {
		break_note(c, nghttp2_http2_strerror(frame->goaway.error_code)); /* the library's verdict */
	}
	if (frame->hd.type == NGHTTP2_HEADERS && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		s = stream_find(h2, frame->hd.stream_id);
	}
	if (s && !s->closed_by_peer) {
		stream_reset(s, NGHTTP2_NO_ERROR);
	}
	return 0;
}

/* Our bound, not the library's: an oversized frame of a type we do not know is dropped by it unseen. */
void session_setup(grpc_server_t *s)
{
	CHECK(nghttp2_option_new(&s->h2_option) == 0);
	nghttp2_option_set_no_http_messaging(s->h2_option, 1);
	nghttp2_option_set_no_closed_streams(s->h2_option, 1);
	nghttp2_option_set_peer_max_concurrent_streams(s->h2_option, GRPC_STREAMS_MAX);
	nghttp2_option_set_max_settings(s->h2_option, GRPC_SETTINGS_BURST);
#ifdef GRPC_HAVE_RESET_LIMIT
	nghttp2_option_set_stream_reset_rate_limit(s->h2_option, GRPC_RESETS_BURST, GRPC_RESETS_PER_S);
#endif
#ifdef GRPC_HAVE_CONTINUATION_LIMIT
	nghttp2_option_set_max_continuations(s->h2_option, GRPC_CONTINUATIONS_MAX);
#endif
	CHECK(nghttp2_session_callbacks_new(&s->h2_callbacks) == 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(s->h2_callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(s->h2_callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(s->h2_callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(s->h2_callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->h2_callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(s->h2_callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(s->h2_callbacks, on_frame_send);
	nghttp2_session_callbacks_set_send_data_callback(s->h2_callbacks, answer_send_data);
}

void session_setup_done(grpc_server_t *s)
{
	nghttp2_option_del(s->h2_option);
	nghttp2_session_callbacks_del(s->h2_callbacks);
}

void session_new(grpc_conn_t *c)
{
	const nghttp2_settings_entry ours[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEAD_BYTES_MAX },
	};

	CHECK(nghttp2_session_server_new2(&c->h2, c->server->h2_callbacks, c, c->server->h2_option) == 0);
	CHECK(nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, ours, ARRAY_LEN(ours)) == 0);
}
