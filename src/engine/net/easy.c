/* easy.c: what libcurl is told about one request, and what is taken from a response's head. */
#include "engine/net/client_int.h"

bool method_is_repeatable(str_t method)
{
	return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")); /* RFC 9110 9.2.2, narrower */
}

static MUST err_t url_check(str_t url)
{
	bool plain = str_starts(url, STR("http://")), tls = str_starts(url, STR("https://"));

	ENSURE(url.n <= NET_URL_BYTES_MAX, ERR_LIMIT);
	ENSURE(plain || tls, ERR_VALUE);
	ENSURE(str_is_visible(url) && str_find(url, '#') == url.n, ERR_VALUE);
	str_t rest = str_sub(url, plain ? 7 : 8, url.n), authority = rest;
	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '/' || rest.p[i] == '?') {
			authority = str_sub(rest, 0, i);
			break;
		}
	}
	ENSURE(authority.n && str_find(authority, '@') == authority.n, ERR_VALUE);
	ENSURE(str_find(authority, '\\') == authority.n, ERR_VALUE);
	return OK;
}

static MUST err_t method_check(str_t method)
{
	ENSURE(method.n && method.n <= 16, ERR_VALUE);
	for (size_t i = 0; i < method.n; i++) {
		ENSURE(method.p[i] >= 'A' && method.p[i] <= 'Z', ERR_VALUE);
	}
	return OK;
}

static MUST err_t line_add(arena_t *a, struct curl_slist **list, str_t line)
{
	struct curl_slist *node = arena_new(a, struct curl_slist);
	const char *text;

	TRY(arena_cstr(a, line, &text));
	node->data = (char *)(uintptr_t)text; /* libcurl only reads it; the arena frees it */
	node->next = *list;
	*list = node;
	return OK;
}

/* The list is built back to front so that the order on the wire is the caller's. */
static MUST err_t headers_build(arena_t *a, const net_request_t *r, struct curl_slist **out)
{
	struct curl_slist *list = NULL;
	bool typed = false;

	ENSURE(r->headers.n <= NET_CALL_HEADERS_MAX, ERR_LIMIT);
	TRY(line_add(a, &list, STR("Expect:"))); /* "Name:" alone takes libcurl's own away */
	for (size_t i = r->headers.n; i-- > 0;) {
		net_header_t h = r->headers.v[i];
		str_t value = str_trim(h.value), line;

		ENSURE(net_header_is_valid(h), ERR_VALUE);
		if (net_header_is_hop(r->headers, h.name)) {
			continue;
		}
		typed = typed || str_eq_nocase(h.name, STR("Content-Type"));
		/* "Name;" is libcurl's spelling of a header with an empty value */
		line = value.n ? arena_cat(a, h.name, STR(": "), value) : arena_cat(a, h.name, STR(";"));
		TRY(line_add(a, &list, line));
	}
	if (!typed) {
		TRY(line_add(a, &list, STR("Content-Type:")));
	}
	*out = list;
	return OK;
}

static MUST err_t body_set(CURL *easy, arena_t *a, const net_request_t *r, const char *method)
{
	str_t body = r->body;
	bool has_body = body.p != NULL;

	if (has_body && r->copy_body) {
		TRY(arena_dup(a, body, &body));
	}
	if (str_eq(r->method, STR("HEAD"))) {
		ENSURE(!has_body, ERR_VALUE);
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return OK;
	}
	if (has_body || str_eq(r->method, STR("POST"))) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, has_body && body.n ? body.p : "");
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	return OK;
}

static void times_set(CURL *easy, const net_request_t *r)
{
	uint32_t connect = r->connect_timeout_ms ? r->connect_timeout_ms : NET_CONNECT_TIMEOUT_MS;
	uint32_t total = r->total_timeout_ms ? r->total_timeout_ms : NET_TOTAL_TIMEOUT_MS;

	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, total == UINT32_MAX ? 0L : (long)total);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)NET_CLIENT_POOL_AGE_S);
}

err_t request_check(const net_request_t *r)
{
	TRY(url_check(r->url));
	return method_check(r->method);
}

err_t easy_prepare(CURL *easy, arena_t *a, const net_request_t *r)
{
	const char *url, *method;
	struct curl_slist *lines = NULL;

	TRY(request_check(r));
	ENSURE(!r->tls, ERR_VALUE); /* never with somebody else's trust */
	TRY(headers_build(a, r, &lines));
	TRY(arena_cstr(a, r->url, &url));
	TRY(arena_cstr(a, r->method, &method));
	TRY(body_set(easy, a, r, method));
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* the bytes that were judged are the bytes sent */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nor from the environment */
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (r->unix_path) {
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, r->unix_path);
	}
	if (r->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, r->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* this file alone */
	}
	times_set(easy, r);
	return OK;
}

/* "HTTP/1.1 200 OK": libcurl has checked the form; HTTP/1.0 servers answer too. */
static MUST err_t status_line(net_response_head_t *head, str_t line)
{
	uint64_t status;

	ENSURE(str_starts(line, STR("HTTP/1.")) && line.n >= 12, ERR_UPSTREAM);
	ENSURE(str_to_u64(str_sub(line, 9, 3), 999, &status) == OK && status >= 100, ERR_UPSTREAM);
	head->status = (int)status;
	head->n = 0;
	return OK;
}

err_t response_framing_check(const net_response_head_t *head)
{
	size_t i = 0, j = 0, n = 0;
	str_t value;

	while (net_headers_next(response_headers(head), STR("Content-Length"), &i, &value)) {
		n++;
	}
	while (net_headers_next(response_headers(head), STR("Transfer-Encoding"), &j, &value)) {
		n++;
	}
	return n <= 1 ? OK : ERR_UPSTREAM;
}

err_t response_header(net_response_head_t *head, net_header_t h)
{
	ENSURE(net_header_is_valid(h), ERR_UPSTREAM);
	ENSURE(head->n < NET_HEADERS_MAX, ERR_UPSTREAM);
	TRY(arena_dup(head->arena, h.name, &h.name));
	TRY(arena_dup(head->arena, h.value, &h.value));
	if (!head->v) {
		head->v = arena_array(head->arena, net_header_t, NET_HEADERS_MAX);
	}
	head->v[head->n++] = h;
	return OK;
}

static MUST err_t header_line(net_response_head_t *head, str_t line)
{
	size_t colon = str_find(line, ':');

	ENSURE(colon < line.n, ERR_UPSTREAM); /* a folded line dies here, or by its name */
	return response_header(head, (net_header_t){ str_sub(line, 0, colon), str_trim(str_sub(line, colon + 1, line.n)) });
}

err_t response_head_line(net_response_head_t *head, str_t line)
{
	if (head->done) {
		return OK; /* a trailer */
	}
	head->bytes += line.n;
	ENSURE(head->bytes <= NET_RESPONSE_HEAD_BYTES_MAX, ERR_UPSTREAM);
	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r')) {
		line.n--;
	}
	if (line.n == 0) {
		TRY(response_framing_check(head));
		head->done = head->status >= 200;
		head->n = head->done ? head->n : 0;
		return OK;
	}
	if (head->n == 0 && str_starts(line, STR("HTTP/"))) {
		return status_line(head, line);
	}
	return header_line(head, line);
}
