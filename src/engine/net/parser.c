/* parser.c: the strict HTTP/1.1 request reader. What is not plainly one request is refused: two readers
 * that disagree about where a request ends are how requests are smuggled. */
#include "engine/net/parser.h"

#include <stddef.h>

typedef struct {
	uint32_t name_at, name_n, value_at, value_n; /* in `head` */
} span_t;

enum { HEAD_BYTES_FIRST = 1024, CHUNK_BYTES_FIRST = 4096 };

static net_parser_t *parser_of(llhttp_t *http)
{
	return (net_parser_t *)((char *)http - offsetof(net_parser_t, http));
}

static int refuse(net_parser_t *p, int status, const char *why)
{
	if (p->state != NET_PARSER_REFUSED) {
		p->state = NET_PARSER_REFUSED;
		p->status = status;
		p->why = why;
	}
	return -1;
}

static str_t part(const net_parser_t *p, uint32_t at, uint32_t n)
{
	return (str_t){ p->head.p + at, n };
}

static const span_t *spans_of(const net_parser_t *p, size_t *out_n)
{
	*out_n = p->spans.n / sizeof(span_t);
	return (const span_t *)(const void *)p->spans.p;
}

static int head_append(net_parser_t *p, const char *at, size_t n, uint32_t *part_n)
{
	buf_add(&p->head, str_bytes(at, n));
	if (p->head.overflow) {
		return refuse(p, 431, "head too large");
	}
	*part_n += (uint32_t)n;
	return 0;
}

/* Where in the message a callback's bytes stand; for the head only. */
static size_t place(const net_parser_t *p, const char *at)
{
	return p->head_fed + (size_t)(at - p->slice);
}

static int on_protocol(llhttp_t *http, const char *at, size_t n)
{
	net_parser_t *p = parser_of(http);

	if (p->protocol_n == 0 && place(p, at) != p->target_at + p->target_n + 1) {
		return refuse(p, 400, "not one blank after the target"); /* llhttp skips more */
	}
	for (size_t i = 0; i < n; i++, p->protocol_n++) {
		if (p->protocol_n >= 4 || at[i] != "HTTP"[p->protocol_n]) {
			return refuse(p, 400, "protocol is not HTTP");
		}
	}
	return 0;
}

static int on_url(llhttp_t *http, const char *at, size_t n)
{
	net_parser_t *p = parser_of(http);

	if (p->target_n == 0) {
		p->target_at = (uint32_t)place(p, at);
	}
	return head_append(p, at, n, &p->target_n);
}

/* Trailer fields come by the same callbacks; they are dropped (their bytes count as framing). */
static int on_header_field(llhttp_t *http, const char *at, size_t n)
{
	net_parser_t *p = parser_of(http);

	return p->state == NET_PARSER_BODY ? 0 : head_append(p, at, n, &p->name_n);
}

static int on_header_value(llhttp_t *http, const char *at, size_t n)
{
	net_parser_t *p = parser_of(http);

	return p->state == NET_PARSER_BODY ? 0 : head_append(p, at, n, &p->value_n);
}

static int on_header_value_complete(llhttp_t *http)
{
	net_parser_t *p = parser_of(http);
	uint32_t end = (uint32_t)p->head.n;
	span_t s = { end - p->value_n - p->name_n, p->name_n, end - p->value_n, p->value_n };

	if (p->state == NET_PARSER_BODY) {
		return 0;
	}
	buf_add(&p->spans, str_bytes(&s, sizeof(s)));
	if (p->spans.overflow) {
		return refuse(p, 431, "too many headers");
	}
	p->name_n = p->value_n = 0;
	return 0;
}

/* The one header `name`, its count in *out_count; the value is that of the last one. */
static str_t header_counted(const net_parser_t *p, str_t name, size_t *out_count)
{
	size_t n, count = 0;
	const span_t *s = spans_of(p, &n);
	str_t value = STR_NULL;

	for (size_t i = 0; i < n; i++) {
		if (str_eq_nocase(part(p, s[i].name_at, s[i].name_n), name)) {
			value = str_trim(part(p, s[i].value_at, s[i].value_n));
			count++;
		}
	}
	*out_count = count;
	return value;
}

/* RFC 9112 3.2.1: origin-form alone; a proxy's absolute-form, CONNECT's authority and "*" are refused. */
static const char *target_fault(const net_parser_t *p)
{
	str_t target = part(p, 0, p->target_n);

	if (p->target_at != strlen(llhttp_method_name((llhttp_method_t)p->http.method)) + 1) {
		return "not one blank after the method";
	}
	if (target.n == 0 || target.p[0] != '/') {
		return "target is not origin-form";
	}
	if (!str_is_visible(target) || str_find(target, '#') != target.n) {
		return "target holds a byte that is not allowed";
	}
	return NULL;
}

static bool host_is_valid(str_t host)
{
	static const char punctuation[] = "-._~%!$&'()*+,;=:[]";

	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		if (!alnum && (!c || !strchr(punctuation, c))) {
			return false;
		}
	}
	return host.n > 0;
}

/* RFC 9112 6.1 and 6.3: one way to tell the length, or none at all. */
static const char *framing_fault(const net_parser_t *p)
{
	size_t n_length, n_coding;
	uint64_t length;
	str_t length_text = header_counted(p, STR("Content-Length"), &n_length);
	str_t coding = header_counted(p, STR("Transfer-Encoding"), &n_coding);

	if (n_length + n_coding > 1) {
		return "more than one length";
	}
	if (n_coding && !str_eq_nocase(coding, STR("chunked"))) {
		return "transfer coding is not chunked";
	}
	if (n_length && (str_to_u64(length_text, UINT64_MAX, &length) != OK || length != p->http.content_length)) {
		return "bad content length";
	}
	return NULL;
}

static const char *host_fault(const net_parser_t *p)
{
	size_t n_host;
	str_t host = header_counted(p, STR("Host"), &n_host);

	return n_host == 1 && host_is_valid(host) ? NULL : "not exactly one Host";
}

static const char *syntax_fault(const net_parser_t *p)
{
	size_t n;
	const span_t *s = spans_of(p, &n);

	for (size_t i = 0; i < n; i++) {
		net_header_t h = { part(p, s[i].name_at, s[i].name_n), part(p, s[i].value_at, s[i].value_n) };

		if (!net_header_is_valid(h)) {
			return "header syntax";
		}
	}
	return NULL;
}

static bool method_is_served(const llhttp_t *http)
{
	switch (llhttp_get_method((llhttp_t *)(uintptr_t)http)) {
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_POST:
	case HTTP_PUT:
	case HTTP_PATCH:
	case HTTP_DELETE:
	case HTTP_OPTIONS:
		return true;
	default: /* of thirty-odd that llhttp knows */
		return false;
	}
}

static const char *head_fault(const net_parser_t *p)
{
	const char *why;

	if (p->protocol_n != 4 || p->http.http_major != 1 || p->http.http_minor != 1) {
		return "version is not HTTP/1.1"; /* none at all is HTTP/0.9 to llhttp */
	}
	if (!method_is_served(&p->http)) {
		return "method is not served";
	}
	why = target_fault(p);
	why = why ? why : syntax_fault(p);
	why = why ? why : host_fault(p);
	return why ? why : framing_fault(p);
}

static int on_headers_complete(llhttp_t *http)
{
	net_parser_t *p = parser_of(http);
	const char *why = head_fault(p);
	size_t n_expect;
	str_t expect = header_counted(p, STR("Expect"), &n_expect);

	if (why) {
		return refuse(p, 400, why);
	}
	if (n_expect && (n_expect > 1 || !str_eq_nocase(expect, STR("100-continue")))) {
		return refuse(p, 417, "unknown expectation");
	}
	if (http->content_length > p->body_bytes_max) {
		return refuse(p, 413, "body too large");
	}
	http->upgrade = 0; /* RFC 9110 7.8: an Upgrade may be ignored, and here always is */
	p->keep_alive = llhttp_should_keep_alive(http);
	p->wants_continue = n_expect == 1;
	p->state = NET_PARSER_BODY;
	return 0;
}

static int on_body(llhttp_t *http, const char *at, size_t n)
{
	net_parser_t *p = parser_of(http);

	p->wants_continue = false;
	buf_add(&p->body, str_bytes(at, n));
	return p->body.overflow ? refuse(p, 413, "body too large") : 0;
}

static int on_message_complete(llhttp_t *http)
{
	net_parser_t *p = parser_of(http);

	p->state = NET_PARSER_REQUEST;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_protocol = on_protocol,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void net_parser_init(net_parser_t *p, size_t head_bytes_max, size_t body_bytes_max)
{
	*p = (net_parser_t){ .head_bytes_max = head_bytes_max, .body_bytes_max = body_bytes_max };
	llhttp_init(&p->http, HTTP_REQUEST, &settings);
	buf_init(&p->head, head_bytes_max);
	buf_init(&p->spans, NET_HEADERS_MAX * sizeof(span_t));
	buf_init(&p->body, body_bytes_max);
}

void net_parser_done(net_parser_t *p)
{
	buf_wipe(&p->head);
	buf_done(&p->spans);
	buf_wipe(&p->body);
}

/* Gives llhttp one slice, no longer than the phase still allows; returns how much it read. */
static size_t feed_slice(net_parser_t *p, str_t in)
{
	bool in_head = p->state == NET_PARSER_HEAD;
	size_t left = in_head ? p->head_bytes_max - p->head_fed : in.n;
	size_t n = in.n < left ? in.n : left;
	p->slice = in.p;
	llhttp_errno_t e = llhttp_execute(&p->http, in.p, n);

	if (p->state == NET_PARSER_REFUSED) {
		return n;
	}
	if (e != HPE_OK && p->state != NET_PARSER_REQUEST) {
		refuse(p, 400, llhttp_errno_name(e));
		return n;
	}
	if (e != HPE_OK) {
		n = (size_t)(llhttp_get_error_pos(&p->http) - in.p);
	}
	*(in_head ? &p->head_fed : &p->body_fed) += n;
	if (p->state == NET_PARSER_HEAD && p->head_fed >= p->head_bytes_max) {
		refuse(p, 431, "head too large");
	}
	if (p->body_fed > p->body.n + NET_CHUNK_OVERHEAD_BYTES_MAX) {
		refuse(p, 413, "too much chunk framing");
	}
	return n;
}

net_parser_state_t net_parser_feed(net_parser_t *p, str_t in, size_t *out_used)
{
	size_t used = 0;

	CHECK(p->state != NET_PARSER_REQUEST);
	if (in.n && !p->started) {
		p->started = true;
		if (in.p[0] < 'A' || in.p[0] > 'Z') {
			/* llhttp skips empty lines here; no client of ours sends them */
			refuse(p, 400, "does not begin with a method");
		}
	}
	while (used < in.n && (p->state == NET_PARSER_HEAD || p->state == NET_PARSER_BODY)) {
		used += feed_slice(p, str_sub(in, used, in.n - used));
	}
	*out_used = used;
	return p->state;
}

bool net_parser_take_continue(net_parser_t *p)
{
	bool now = p->state == NET_PARSER_BODY && p->wants_continue;

	p->wants_continue = false;
	return now;
}

static void headers_view(const net_parser_t *p, net_message_t *m)
{
	size_t n;
	const span_t *s = spans_of(p, &n);

	m->headers = heap_alloc(n * sizeof(net_header_t));
	m->n_headers = n;
	for (size_t i = 0; i < n; i++) {
		m->headers[i].name = part(p, s[i].name_at, s[i].name_n);
		m->headers[i].value = str_trim(part(p, s[i].value_at, s[i].value_n));
	}
}

void net_parser_take(net_parser_t *p, net_message_t *out)
{
	CHECK(p->state == NET_PARSER_REQUEST);
	size_t n_host, mark;
	net_message_t m = { .keep_alive = p->keep_alive };

	m.method = str_of(llhttp_method_name((llhttp_method_t)llhttp_get_method(&p->http)));
	m.target = part(p, 0, p->target_n);
	mark = str_find(m.target, '?');
	m.path = str_sub(m.target, 0, mark);
	m.query = mark < m.target.n ? str_sub(m.target, mark + 1, m.target.n) : STR_NULL;
	m.host = header_counted(p, STR("Host"), &n_host);
	headers_view(p, &m);
	m.head = p->head;
	m.body_buf = p->body;
	m.body = buf_str(&m.body_buf);
	*out = m;
	buf_done(&p->spans);
	net_parser_init(p, p->head_bytes_max, p->body_bytes_max);
}

void net_message_done(net_message_t *m)
{
	buf_wipe(&m->head);
	buf_wipe(&m->body_buf);
	heap_free(m->headers);
	*m = (net_message_t){ 0 };
}
