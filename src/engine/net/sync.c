/* sync.c: the CLI's blocking requests, whole or as they come. */
#include "engine/net/client.h"
#include "engine/net/client_int.h"
#include "engine/net/op_int.h"

typedef struct {
	net_response_head_t head;
	const net_sync_fns_t *fns;
	err_t err;
} sync_t;

static size_t on_header(char *p, size_t size, size_t n, void *owner)
{
	sync_t *s = owner;
	bool was_done = s->head.done;

	s->err = response_head_line(&s->head, str_bytes(p, size * n));
	if (s->err == OK && s->head.done && !was_done && s->fns->head) {
		s->err = s->fns->head(s->head.status, response_headers(&s->head), s->fns->owner);
	}
	return s->err == OK ? size * n : 0;
}

static size_t on_data(char *p, size_t size, size_t n, void *owner)
{
	sync_t *s = owner;

	s->err = s->fns->data(str_bytes(p, size * n), s->fns->owner);
	return s->err == OK ? size * n : 0;
}

/* libcurl asks at least once a second, also while nothing moves. */
static int on_progress(void *owner, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	sync_t *s = owner;

	if (s->fns->stop && s->fns->stop(s->fns->owner)) {
		s->err = ERR_CANCELLED;
	}
	return s->err != OK;
}

DEFINE_AUTO(CURL *, curl_easy_cleanup);

static err_t error_of(CURLcode code)
{
	if (code == CURLE_OK) {
		return OK;
	}
	return code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UPSTREAM;
}

static MUST err_t perform(CURL *easy, sync_t *s, diag_t *diag)
{
	char why[CURL_ERROR_SIZE] = "";

	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, s);
	CURLcode code = curl_easy_perform(easy);
	err_t e = s->err ? s->err : error_of(code);
	if (e != OK) {
		diag_set(diag, 0, 0, "%s", why[0] ? why : curl_easy_strerror(code));
	}
	return e;
}

err_t net_sync_stream(arena_t *a, const net_request_t *r, const net_sync_fns_t *fns, diag_t *diag)
{
	AUTO(curl_easy_cleanup) CURL *easy = NULL;
	AUTO(arena_free) arena_t *mine = arena_new_capped(ARENA_CAP_DEFAULT + (r->copy_body ? r->body.n : 0));
	sync_t s = { .head = { .arena = a }, .fns = fns };

	ENSURE(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, ERR_INTERNAL);
	easy = curl_easy_init();
	CHECK(easy != NULL);
	err_t e = easy_prepare(easy, mine, r);
	if (e != OK) {
		diag_set(diag, 0, 0, "the request cannot be sent: URL, method or a header is not valid");
		return e;
	}
	TRY(perform(easy, &s, diag));
	return s.head.done ? OK : ERR_UPSTREAM;
}

/* --- the whole response ------------------------------------------------------------------------------ */

typedef struct {
	net_response_t response;
	buf_t body;
} whole_t;

static err_t whole_head(int status, net_headers_t headers, void *owner)
{
	whole_t *w = owner;

	w->response.status = status;
	w->response.headers = headers;
	return OK;
}

static err_t whole_data(str_t bytes, void *owner)
{
	whole_t *w = owner;

	buf_add(&w->body, bytes);
	return buf_err(&w->body);
}

err_t net_sync_fetch(arena_t *a, const net_request_t *r, net_response_t *out_response, diag_t *diag)
{
	size_t max = r->response_bytes_max ? r->response_bytes_max : NET_RESPONSE_BYTES_DEFAULT;
	whole_t w = { 0 };
	net_sync_fns_t fns = { .head = whole_head, .data = whole_data, .owner = &w };

	buf_init(&w.body, max < NET_RESPONSE_BYTES_MAX ? max : NET_RESPONSE_BYTES_MAX);
	err_t e = net_sync_stream(a, r, &fns, diag);
	buf_t *body = net_op_body(a, w.body.max);
	*body = w.body; /* the arena's from here on, whatever came of it */
	TRY(e);
	w.response.body = buf_str(body);
	*out_response = w.response;
	return OK;
}
