/* sync.c: the CLI's one blocking request. */
#include "engine/net/client_int.h"
#include "engine/net/op_int.h"

typedef struct {
	net_response_head_t head;
	buf_t body;
	err_t err;
} sync_t;

static size_t on_header(char *p, size_t size, size_t n, void *owner)
{
	sync_t *s = owner;

	s->err = response_head_line(&s->head, str_bytes(p, size * n));
	return s->err == OK ? size * n : 0;
}

static size_t on_data(char *p, size_t size, size_t n, void *owner)
{
	sync_t *s = owner;

	buf_add(&s->body, str_bytes(p, size * n));
	s->err = buf_err(&s->body);
	return s->err == OK ? size * n : 0;
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
	CURLcode code = curl_easy_perform(easy);
	err_t e = s->err ? s->err : error_of(code);
	if (e != OK) {
		diag_set(diag, 0, 0, "%s", why[0] ? why : curl_easy_strerror(code));
	}
	return e;
}

err_t net_sync_fetch(arena_t *a, const net_request_t *r, net_response_t *out_response, diag_t *diag)
{
	AUTO(curl_easy_cleanup) CURL *easy = NULL;
	AUTO(arena_free) arena_t *mine = arena_new_capped(ARENA_CAP_DEFAULT + (r->copy_body ? r->body.n : 0));
	sync_t s = { .head = { .arena = a } };
	size_t max = r->response_bytes_max ? r->response_bytes_max : NET_RESPONSE_BYTES_DEFAULT;
	buf_t *body = NULL;

	ENSURE(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, ERR_INTERNAL);
	easy = curl_easy_init();
	CHECK(easy != NULL);
	err_t e = easy_prepare(easy, mine, r);
	if (e != OK) {
		diag_set(diag, 0, 0, "the request cannot be sent: URL, method or a header is not valid");
		return e;
	}
	buf_init(&s.body, max < NET_RESPONSE_BYTES_MAX ? max : NET_RESPONSE_BYTES_MAX);
	e = perform(easy, &s, diag);
	body = net_op_body(a, s.body.max);
	*body = s.body; /* the arena's from here on, whatever came of it */
	TRY(e);
	ENSURE(s.head.done, ERR_UPSTREAM);
	*out_response = (net_response_t){ s.head.status, response_headers(&s.head), buf_str(body) };
	return OK;
}
