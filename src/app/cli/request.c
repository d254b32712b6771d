/* request.c: one call of the admin API, signed where it must be (wire.md 7). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app/cli/cli_int.h"
#include "engine/net/client.h"

typedef struct {
	str_t verb, signature; /* header values */
} signed_t;

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec;
}

static err_t sign(cli_t *c, const crypto_key_t *key, str_t issuer, const cli_request_t *r, str_t target, signed_t *out)
{
	uint8_t nonce[16];
	str_t document, sig;
	delegation_verb_t v = {
		.verb = str_of(r->verb ? r->verb : "read"),
		.by = jose_jkt(c->a, crypto_key_pub(key)),
		.iss = issuer,
		.iat = now_s(),
	};

	crypto_random(nonce, sizeof(nonce));
	v.nonce = b64url_enc(c->a, str_bytes(nonce, sizeof(nonce)));
	v.exp = v.iat + CLI_VERB_LIFE_S;
	str_t canonical;
	void *p;
	size_t n = strlen(r->method) + 1 + target.n + 1 + r->body.n;
	TRY(arena_try(c->a, n, &p));
	canonical = (str_t){ p, n };
	snprintf(p, n, "%s %.*s", r->method, STR_ARG(target));
	((char *)p)[n - r->body.n - 1] = '\n';
	if (r->body.n) {
		memcpy((char *)p + (n - r->body.n), r->body.p, r->body.n);
	}
	crypto_sha256(canonical, v.body_digest);
	TRY(delegation_verb_build(c->a, &v, &document));
	TRY(delegation_verb_sign(c->a, key, document, &sig));
	*out = (signed_t){ b64url_enc(c->a, document), b64url_enc(c->a, sig) };
	return OK;
}

/* A stream's bytes go to `take` if the answer is good, else they are the refusal. */
typedef struct {
	cli_take_fn take;
	void *owner;
	net_response_t response;
	buf_t refusal;
} stream_t;

static err_t stream_head(int status, net_headers_t headers, void *owner)
{
	((stream_t *)owner)->response = (net_response_t){ .status = status, .headers = headers };
	return OK;
}

static err_t stream_data(str_t bytes, void *owner)
{
	stream_t *s = owner;

	if (s->response.status == 200) {
		return s->take(bytes, s->owner);
	}
	buf_add(&s->refusal, bytes);
	return buf_err(&s->refusal);
}

static err_t streamed(cli_t *c, const net_request_t *q, const cli_request_t *r, net_response_t *out, diag_t *diag)
{
	stream_t s = { .take = r->take, .owner = r->take_owner };
	net_sync_fns_t fns = { .head = stream_head, .data = stream_data, .owner = &s };

	buf_init(&s.refusal, CLI_FILE_BYTES_MAX);
	err_t e = net_sync_stream(c->a, q, &fns, diag);
	e = e == OK ? arena_dup(c->a, buf_str(&s.refusal), &s.response.body) : e;
	buf_done(&s.refusal);
	*out = s.response;
	return e;
}

static int fetch(cli_t *c, const cli_request_t *r, str_t target, const signed_t *s, net_response_t *out)
{
	net_header_t headers[3];
	diag_t diag = { 0 };
	size_t n = 0;
	char socket[4096];
	net_request_t q = { .method = str_of(r->method), .body = r->body, .response_bytes_max = CLI_RESPONSE_BYTES_MAX };

	headers[n++] = (net_header_t){ STR("Content-Type"), STR("application/json") };
	if (s->verb.n) {
		headers[n++] = (net_header_t){ STR("Attorn-Verb"), s->verb };
		headers[n++] = (net_header_t){ STR("Attorn-Signature"), s->signature };
	}
	q.headers = (net_headers_t){ headers, n };
	q.total_timeout_ms = r->take ? CLI_EXPORT_MS : 0;
	if (c->url) {
		q.url = arena_cat(c->a, str_of(c->url), target);
	} else {
		snprintf(socket, sizeof(socket), "%s/data/run/admin.sock", c->dir);
		q.unix_path = socket;
		q.url = arena_cat(c->a, STR("http://authority"), target);
	}
	err_t e = r->take ? streamed(c, &q, r, out, &diag) : net_sync_fetch(c->a, &q, out, &diag);
	if (e != OK) {
		return cli_fail(EXIT_AWAY, "the authority does not answer at %s: %s\n  fix: attorn up --dir %s",
			c->url ? c->url : socket, diag.text, c->url ? "DIR" : c->dir);
	}
	return EXIT_DONE;
}

/* A refusal as the API words it: message, detail, fix. */
static int refusal(cli_t *c, const net_response_t *response)
{
	const json_t *root;

	if (c->json) {
		fwrite(response->body.p, 1, response->body.n, stderr);
		fputc('\n', stderr);
	} else if (json_parse_object(c->a, response->body, &root, NULL) == OK) {
		str_t message = cli_member(c->a, root, "message"), detail = cli_member(c->a, root, "detail");
		str_t fix = cli_member(c->a, root, "fix");
		fprintf(stderr, "attorn: %.*s\n", STR_ARG(message));
		if (detail.n) {
			fprintf(stderr, "  %.*s\n", STR_ARG(detail));
		}
		if (fix.n) {
			fprintf(stderr, "  fix: %.*s\n", STR_ARG(fix));
		}
	} else {
		fprintf(stderr, "attorn: the authority answered %d\n", response->status);
	}
	return response->status >= 500 ? EXIT_AWAY : EXIT_NO;
}

int cli_call(cli_t *c, const cli_request_t *r, net_response_t *out)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	const cli_place_t *place;
	signed_t s = { 0 };
	str_t target = arena_cat(c->a, STR("/api/v1"), r->path);
	int status;

	if (c->url || (r->verb && (!r->narrows || c->user_key))) {
		status = cli_place(c, &place);
		status = status ? status : cli_user_key(c, &key);
		if (status) {
			return status;
		}
		err_t e = sign(c, key, place->issuer, r, target, &s);
		if (e != OK) {
			return cli_fail_err(EXIT_HERE, "signing", e, NULL);
		}
	}
	status = fetch(c, r, target, &s, out);
	if (status) {
		return status;
	}
	return out->status >= 200 && out->status < 300 ? EXIT_DONE : refusal(c, out);
}

int cli_call_json(cli_t *c, const cli_request_t *r, const json_t **out)
{
	static const json_opts_t opts = { .bytes_max = CLI_RESPONSE_BYTES_MAX, .nodes_max = 1 << 20 };
	net_response_t response;
	int status = cli_call(c, r, &response);

	if (status) {
		return status;
	}
	if (json_parse(c->a, response.body, &opts, out, NULL) != OK) {
		return cli_fail(EXIT_AWAY, "the authority's answer is not JSON");
	}
	return EXIT_DONE;
}

/* Over a URL the issuer is the URL itself: it is what we were told to trust. */
int cli_place(cli_t *c, const cli_place_t **out)
{
	static cli_place_t place;
	const json_t *root;
	cli_request_t r = { .method = "GET", .path = STR("/status") };

	if (c->url) {
		place = (cli_place_t){ .issuer = str_of(c->url) };
		*out = &place;
		return EXIT_DONE;
	}
	int status = cli_call_json(c, &r, &root);
	if (status) {
		return status;
	}
	if (json_need_str(root, STR("issuer"), 2048, &place.issuer) != OK ||
		json_need_str(root, STR("trust_domain"), 256, &place.trust_domain) != OK ||
		json_need_str(root, STR("gateway_url"), 2048, &place.gateway_url) != OK) {
		return cli_fail(EXIT_AWAY, "the authority's status lacks issuer, trust_domain or gateway_url");
	}
	*out = &place;
	return EXIT_DONE;
}
