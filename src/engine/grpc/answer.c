/* answer.c: what goes back: messages, trailers, resets. */
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "engine/flow/flow.h"
#include "engine/grpc/grpc_int.h"

enum { PREFIX_BYTES = 5, FRAME_HEAD_BYTES = 9 };
enum { TEXT_CODED_BYTES_MAX = 3 * GRPC_TEXT_BYTES_MAX };

/* nghttp2 copies name and value. */
static nghttp2_nv field(str_t name, str_t value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n, value.n,
		NGHTTP2_NV_FLAG_NONE };
}

/* ---- messages ------------------------------------------------------------------------------------ */

static void message_drop(grpc_stream_t *s, message_t **at)
{
	message_t *m = *at;

	*at = m->next;
	s->out_n -= m->n;
	wipe(m->bytes, m->n);
	heap_free(m);
}

void stream_drop_out(grpc_stream_t *s, bool begun_too)
{
	message_t **at = &s->out;

	if (s->out && s->out->begun && !begun_too) {
		at = &s->out->next;
	}
	while (*at) {
		message_drop(s, at);
	}
	s->out_last = s->out;
}

static message_t *message_new(size_t n)
{
	message_t *m = heap_alloc(sizeof(*m) + PREFIX_BYTES + n);

	m->n = PREFIX_BYTES + n;
	m->bytes[1] = (char)(n >> 24);
	m->bytes[2] = (char)(n >> 16);
	m->bytes[3] = (char)(n >> 8);
	m->bytes[4] = (char)n;
	return m;
}

static void message_add(grpc_stream_t *s, message_t *m)
{
	if (s->method->kind == GRPC_SERVER_STREAM) {
		stream_drop_out(s, false); /* a slow reader gets the newest state */
	}
	if (s->out_last) {
		s->out_last->next = m;
	} else {
		s->out = m;
	}
	s->out_last = m;
	s->out_n += m->n;
	s->sent_any = true;
	s->conn->server->counts.messages++;
}

/* ---- how they leave ------------------------------------------------------------------------------- */

static size_t trailers_make(const grpc_stream_t *s, nghttp2_nv *nv, char number[12], buf_t *coded)
{
	size_t n = 0;
	int digits = snprintf(number, 12, "%d", (int)s->code);

	nv[n++] = field(STR("grpc-status"), str_bytes(number, (size_t)digits));
	if (s->text) {
		percent_encode(coded, str_of(s->text));
		nv[n++] = field(STR("grpc-message"), buf_str(coded));
	}
	return n;
}

static void trailers_submit(grpc_stream_t *s)
{
	AUTO(buf_done) buf_t coded;
	char number[12];
	nghttp2_nv nv[2];

	buf_init(&coded, TEXT_CODED_BYTES_MAX);
	size_t n = trailers_make(s, nv, number, &coded);
	if (nghttp2_submit_trailer(s->conn->h2, s->id, nv, n) != 0) {
		stream_reset(s, NGHTTP2_INTERNAL_ERROR);
	}
}

/* nghttp2 asks how much goes into the next DATA frame. */
static ssize_t data_next(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t max, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	grpc_stream_t *s = source->ptr;
	size_t n = 0;

	if (!s->out && !s->ended) {
		return NGHTTP2_ERR_DEFERRED;
	}
	if (s->out) {
		s->out->begun = true;
		n = s->out->n - s->out->sent;
		n = n < max ? n : max;
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	}
	bool last = !s->out || (n == s->out->n - s->out->sent && !s->out->next);
	if (s->ended && last) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		trailers_submit(s);
	}
	return (ssize_t)n;
}

/* The frame of data_next goes out, without a copy inside nghttp2: messages hold private keys. */
int answer_send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *framehd, size_t length,
	nghttp2_data_source *source, void *arg)
{
	grpc_conn_t *c = arg;
	grpc_stream_t *s = source->ptr;
	message_t *m = s->out;

	if (c->fill->n >= GRPC_OUT_HIGH_BYTES) {
		return NGHTTP2_ERR_WOULDBLOCK;
	}
	CHECK(m && m->begun && length <= m->n - m->sent && frame->data.padlen == 0);
	buf_add(c->fill, str_bytes(framehd, FRAME_HEAD_BYTES));
	buf_add(c->fill, str_bytes(m->bytes + m->sent, length));
	m->sent += length;
	if (m->sent == m->n) {
		message_drop(s, &s->out);
		s->out_last = s->out ? s->out_last : NULL;
	}
	return 0;
}

static void answer_begin(grpc_stream_t *s)
{
	nghttp2_data_provider provider = { .source.ptr = s, .read_callback = data_next };
	nghttp2_nv nv[] = { field(STR(":status"), STR("200")),
		field(STR("content-type"), STR("application/grpc")) };

	s->answered = true;
	if (nghttp2_submit_response(s->conn->h2, s->id, nv, ARRAY_LEN(nv), &provider) != 0) {
		stream_reset(s, NGHTTP2_INTERNAL_ERROR);
	}
}

static void trailers_only(grpc_stream_t *s)
{
	AUTO(buf_done) buf_t coded;
	char number[12];
	nghttp2_nv nv[5] = { field(STR(":status"), STR("200")),
		field(STR("content-type"), STR("application/grpc")) };
	size_t n = 2;

	buf_init(&coded, TEXT_CODED_BYTES_MAX);
	n += trailers_make(s, nv + n, number, &coded);
	if (s->no_encoding) {
		nv[n++] = field(STR("grpc-accept-encoding"), STR("identity"));
	}
	s->answered = true;
	if (nghttp2_submit_response(s->conn->h2, s->id, nv, n, NULL) != 0) {
		stream_reset(s, NGHTTP2_INTERNAL_ERROR);
	}
}

/* DATA may go on: a message or the end is there. */
static void wake(grpc_stream_t *s)
{
	if (!s->answered) {
		answer_begin(s);
	} else {
		/* refused when it is not resting: then it asks by itself */
		(void)nghttp2_session_resume_data(s->conn->h2, s->id);
	}
	conn_flush_soon(s->conn);
}

/* ---- ends ---------------------------------------------------------------------------------------- */

void stream_reset(grpc_stream_t *s, uint32_t h2_error)
{
	if (s->reset || s->conn->closing) {
		return;
	}
	s->reset = true;
	CHECK(nghttp2_submit_rst_stream(s->conn->h2, NGHTTP2_FLAG_NONE, s->id, h2_error) == 0);
	conn_flush_soon(s->conn);
}

static bool is_over(const grpc_stream_t *s)
{
	return s->reset || s->conn->closing;
}

void stream_http_status(grpc_stream_t *s, int status)
{
	nghttp2_nv nv[] = { field(STR(":status"), status == 405 ? STR("405") : STR("415")) };

	s->ended = true;
	s->answered = true;
	if (nghttp2_submit_response(s->conn->h2, s->id, nv, ARRAY_LEN(nv), NULL) != 0) {
		stream_reset(s, NGHTTP2_INTERNAL_ERROR);
	}
	conn_flush_soon(s->conn);
}

void stream_finish(grpc_stream_t *s, grpc_code_t code, const char *text)
{
	s->ended = true;
	s->code = code;
	if (text) {
		s->text = heap_cstr(str_sub(str_of(text), 0, GRPC_TEXT_BYTES_MAX));
	}
	if (is_over(s)) {
		return;
	}
	loop_timer_stop(s->conn->server->loop, &s->timer);
	if (code != GRPC_OK) {
		stream_drop_out(s, false); /* what was withdrawn does not leave any more */
	}
	if (!s->answered && !s->out) {
		trailers_only(s);
		conn_flush_soon(s->conn);
		return;
	}
	wake(s);
}

/* ---- face ---------------------------------------------------------------------------------------- */

/* ERR_CANCELLED when nobody will read it. */
static MUST err_t send_ok(const grpc_stream_t *s, size_t n)
{
	CHECK(s->called && !s->ended); /* the caller does not have this stream */
	ENSURE(n <= GRPC_MESSAGE_OUT_BYTES_MAX, ERR_LIMIT);
	ENSURE(s->method->kind != GRPC_UNARY || !s->sent_any, ERR_CLOSED);
	ENSURE(s->method->kind != GRPC_BIDI || s->out_n == 0 || s->out_n + n <= GRPC_QUEUE_BYTES_MAX, ERR_LIMIT);
	ENSURE(!is_over(s), ERR_CANCELLED);
	return OK;
}

err_t grpc_send(grpc_stream_t *s, str_t message)
{
	TRY(send_ok(s, message.n));
	message_t *m = message_new(message.n);
	if (message.n) {
		memcpy(m->bytes + PREFIX_BYTES, message.p, message.n);
	}
	message_add(s, m);
	if (s->method->kind != GRPC_UNARY) {
		wake(s); /* a unary answer leaves with its trailers */
	}
	return OK;
}

err_t grpc_send_pb(grpc_stream_t *s, const struct ProtobufCMessage *message)
{
	size_t n = protobuf_c_message_get_packed_size(message);

	TRY(send_ok(s, n));
	message_t *m = message_new(n);
	CHECK(protobuf_c_message_pack(message, (uint8_t *)m->bytes + PREFIX_BYTES) == n);
	message_add(s, m);
	if (s->method->kind != GRPC_UNARY) {
		wake(s);
	}
	return OK;
}

void grpc_end(grpc_stream_t *s, grpc_code_t code, const char *text)
{
	CHECK(s->called && !s->ended);
	CHECK(code != GRPC_OK || s->method->kind != GRPC_UNARY || s->sent_any || is_over(s));
	stream_finish(s, code, text);
}

void grpc_end_err(grpc_stream_t *s, err_t e)
{
	grpc_end(s, grpc_code_of(e), e == OK ? NULL : err_info(e)->text);
}
