/* answer.c: the response reader over llhttp: strict framing, headers as response.c wants them. */
#include <stddef.h>

#include "engine/net/wire.h"

static answer_t *answer_of(llhttp_t *http)
{
	return (answer_t *)((char *)http - offsetof(answer_t, http));
}

static int refuse(answer_t *an, err_t e)
{
	an->err = an->err ? an->err : e;
	return -1;
}

static int on_begin(llhttp_t *http)
{
	answer_t *an = answer_of(http);

	an->call->head.n = 0; /* after an interim response */
	return 0;
}

static int on_header_field(llhttp_t *http, const char *at, size_t n)
{
	answer_t *an = answer_of(http);

	buf_add(&an->name, str_bytes(at, n));
	return 0;
}

static int on_header_value(llhttp_t *http, const char *at, size_t n)
{
	answer_t *an = answer_of(http);

	buf_add(&an->value, str_bytes(at, n));
	return 0;
}

static int on_header_value_complete(llhttp_t *http)
{
	answer_t *an = answer_of(http);
	net_response_head_t *head = &an->call->head;
	err_t e = buf_err(&an->name) == OK && buf_err(&an->value) == OK ? OK : ERR_UPSTREAM;

	head->bytes += an->name.n + an->value.n;
	if (e == OK && head->bytes > NET_RESPONSE_HEAD_BYTES_MAX) {
		e = ERR_UPSTREAM;
	}
	if (e == OK && !head->done) { /* else a trailer: dropped */
		e = response_header(head, (net_header_t){ buf_str(&an->name), str_trim(buf_str(&an->value)) });
	}
	buf_clear(&an->name);
	buf_clear(&an->value);
	return e == OK ? 0 : refuse(an, e);
}

/* Where the body ends must be beyond doubt: one length, or chunked alone (RFC 9112 6.3). */
static bool framing_is_plain(const net_response_head_t *head)
{
	size_t i = 0;
	str_t coding;

	bool is_coded = net_headers_next(response_headers(head), STR("Transfer-Encoding"), &i, &coding);
	return response_framing_check(head) == OK && (!is_coded || str_eq_nocase(coding, STR("chunked")));
}

static int on_headers_complete(llhttp_t *http)
{
	answer_t *an = answer_of(http);
	net_response_head_t *head = &an->call->head;
	bool http_1 = http->http_major == 1 && http->http_minor <= 1;

	if (!http_1 || !framing_is_plain(head) || http->status_code == 101) {
		return refuse(an, ERR_UPSTREAM); /* nobody asked for another protocol */
	}
	http->upgrade = 0;
	head->status = http->status_code;
	if (http->status_code < 200) {
		return 0;
	}
	head->done = true;
	an->keep_alive = llhttp_should_keep_alive(http);
	call_gather_head(an->call);
	return an->is_head_request ? 1 : 0; /* 1: no body, whatever the headers say */
}

static int on_body(llhttp_t *http, const char *at, size_t n)
{
	answer_t *an = answer_of(http);
	err_t e = call_gather(an->call, str_bytes(at, n));

	return e == OK ? 0 : refuse(an, e);
}

static int on_message_complete(llhttp_t *http)
{
	answer_t *an = answer_of(http);

	if (!an->call->head.done) {
		return 0; /* 1xx: the real one follows */
	}
	an->done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_begin,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void answer_init(answer_t *an, net_call_t *call, bool is_head_request)
{
	*an = (answer_t){ .call = call, .is_head_request = is_head_request };
	llhttp_init(&an->http, HTTP_RESPONSE, &settings);
	buf_init(&an->name, NET_RESPONSE_HEAD_BYTES_MAX);
	buf_init(&an->value, NET_RESPONSE_HEAD_BYTES_MAX);
}

void answer_done(answer_t *an)
{
	buf_done(&an->name);
	buf_wipe(&an->value);
}

bool answer_feed(answer_t *an, str_t bytes)
{
	an->started = true;
	llhttp_errno_t e = llhttp_execute(&an->http, bytes.p, bytes.n);

	if (an->done && !an->err) {
		/* bytes behind the end: nobody asked for them, so the connection is not kept */
		an->keep_alive = an->keep_alive && llhttp_get_error_pos(&an->http) == bytes.p + bytes.n;
		return true;
	}
	if (e != HPE_OK) {
		refuse(an, ERR_UPSTREAM);
	}
	return an->err != OK;
}

void answer_end(answer_t *an)
{
	(void)llhttp_finish(&an->http); /* the end of a body without a length completes the message */
	an->keep_alive = false;
	if (!an->done) {
		refuse(an, ERR_UPSTREAM);
	}
}
