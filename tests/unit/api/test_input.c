/* Bad input of every kind: a clear answer, and nothing half done. */
#include "bench.h"

typedef struct {
	const char *method, *path, *body, *verb;
	int status;
	const char *error, *detail; /* NULL: not looked at */
} row_t;

#define AGENT(rest) "{\"name\":\"a1\",\"owner\":\"operator\"," rest "}"
#define KEY "\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]"

static const row_t rows[] = {
	{ "GET", "/nothing", NULL, NULL, 404, "not_found", NULL },
	{ "GET", "/agents/", NULL, NULL, 404, "not_found", NULL },
	{ "GET", "/agents//state", NULL, NULL, 404, "not_found", NULL },
	{ "PATCH", "/agents", "{}", NULL, 405, "method", NULL },
	{ "DELETE", "/status", NULL, NULL, 405, "method", NULL },
	{ "GET", "/agents/..%2fx", NULL, NULL, 400, "value", "in the path" },
	{ "GET", "/agents/UPPER", NULL, NULL, 400, "value", "in the path" },
	{ "GET", "/agents/none", NULL, NULL, 404, "not_found", "no such agent" },
	{ "GET", "/agents?colour=red", NULL, NULL, 400, "unknown_member", "query" },
	{ "GET", "/agents?limit=0", NULL, NULL, 400, "value", "limit" },
	{ "GET", "/agents?limit=1001", NULL, NULL, 400, "value", "limit" },
	{ "GET", "/agents?limit=1&limit=1", NULL, NULL, 400, "duplicate", NULL },
	{ "GET", "/agents?limit=%00", NULL, NULL, 400, "syntax", NULL },
	{ "GET", "/grants?before=x", NULL, NULL, 400, "value", "before" },
	{ "GET", "/grants/xyz", NULL, NULL, 404, "not_found", NULL },
	{ "GET", "/explain/xyz", NULL, NULL, 404, "not_found", NULL },
	{ "GET", "/explain/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL, NULL, 404, "not_found", NULL },
	{ "GET", "/ledger/export?from=5&to=2", NULL, NULL, 400, "value", "from and to" },
	{ "GET", "/ledger/export?from=x", NULL, NULL, 400, "value", "from and to" },
	{ "GET", "/routes/none", NULL, NULL, 404, "not_found", NULL },
	{ "POST", "/agents", "", "agent.register", 400, NULL, NULL },
	{ "POST", "/agents", "[]", "agent.register", 400, "value", NULL },
	{ "POST", "/agents", "{", "agent.register", 400, "syntax", "line 1" },
	{ "POST", "/agents", "{}x", "agent.register", 400, "syntax", NULL },
	{ "POST", "/agents", "{}", "agent.register", 400, "missing_member", "name" },
	{ "POST", "/agents", AGENT("\"name\":\"b\"," KEY), "agent.register", 400, "duplicate", NULL },
	{ "POST", "/agents", AGENT("\"colour\":1," KEY), "agent.register", 400, "unknown_member", "colour" },
	{ "POST", "/agents", AGENT("\"scopes\":\"a:b\"," KEY), "agent.register", 400, "value", "scopes" },
	{ "POST", "/agents", AGENT("\"scopes\":[\"a:b\",\"a:b\"]," KEY), "agent.register", 400, "duplicate", "scopes" },
	{ "POST", "/agents", AGENT("\"scopes\":[\"ab\"]," KEY), "agent.register", 400, "value", "scopes" },
	{ "POST", "/agents", AGENT("\"scopes\":[\"A:b\"]," KEY), "agent.register", 400, "value", "scopes" },
	{ "POST", "/agents", AGENT("\"scopes\":[\"a:b c:d\"]," KEY), "agent.register", 400, "value", "scopes" },
	{ "POST", "/agents", AGENT("\"scopes\":[null]," KEY), "agent.register", 400, "value", "scopes" },
	{ "POST", "/agents", AGENT("\"roles\":[\"none\"]," KEY), "agent.register", 404, "not_found", "none" },
	{ "POST", "/agents", AGENT("\"kind\":\"robot\"," KEY), "agent.register", 400, "value", "kind" },
	{ "POST", "/agents", AGENT("\"max_depth\":0," KEY), "agent.register", 400, "value", "max_depth" },
	{ "POST", "/agents", AGENT("\"max_depth\":5," KEY), "agent.register", 400, NULL, "max_depth" },
	{ "POST", "/agents", AGENT("\"max_depth\":1.5," KEY), "agent.register", 400, "number", "max_depth" },
	{ "POST", "/agents", AGENT("\"keys\":[]"), "agent.register", 400, "value", "keys" },
	{ "POST", "/agents", AGENT("\"keys\":[{}]"), "agent.register", 400, "key", "keys" },
	{ "POST", "/agents", AGENT("\"keys\":[\"x\"]"), "agent.register", 400, "key", "keys" },
	{ "POST", "/agents", AGENT("\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
		"\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]"), "agent.register", 400, "key", "keys" },
	{ "POST", "/agents", AGENT("\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"x\","
		"\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]"), "agent.register", 400, "key", "keys" },
	{ "POST", "/agents", "{\"name\":\"a1\\u0000b\",\"owner\":\"operator\"," KEY "}", "agent.register", 400, "value", NULL },
	{ "POST", "/agents", "{\"name\":\"../x\",\"owner\":\"operator\"," KEY "}", "agent.register", 400, "value", "name" },
	{ "POST", "/agents", "{\"name\":\"\\ud800\",\"owner\":\"operator\"," KEY "}", "agent.register", 400, NULL, NULL },
	{ "POST", "/agents", "{\"name\":\"a1\",\"owner\":\"nobody\"," KEY "}", "agent.register", 404, "not_found", "user" },
	{ "POST", "/users", "{\"name\":\"a1\",\"roles\":[\"none\"]," KEY "}", "user.add", 404, "not_found", "none" },
	{ "POST", "/users", "{\"name\":\"operator\"," KEY "}", "user.add", 409, "exists", NULL },
	{ "POST", "/users/operator/state", "{\"state\":\"asleep\"}", "user.state", 400, "value", "state" },
	{ "POST", "/users/operator/roles", "{}", "user.roles", 400, "missing_member", NULL },
	{ "POST", "/users/operator/keys/short/state", "{\"state\":\"retired\"}", "user.key.state", 400, "value", "path" },
	{ "PUT", "/roles/r", "{}", "role.put", 400, "missing_member", NULL },
	{ "PUT", "/roles/r", "{\"permissions\":[\"x\"]}", "role.put", 400, "value", "permissions" },
	{ "PUT", "/routes/r", "{}", "route.put", 400, NULL, NULL },
	{ "PUT", "/routes/r", "{\"kind\":\"ftp\"}", "route.put", 400, NULL, NULL },
	{ "PUT", "/routes/r", "{\"kind\":\"mcp-stdio\",\"command\":[],\"environment\":\"prod\",\"data_classes\":[],\"tools\":{}}",
		"route.put", 400, NULL, NULL },
	{ "DELETE", "/routes/none", NULL, "route.remove", 404, "not_found", NULL },
	{ "DELETE", "/routes/none", "{}", "route.remove", 400, "value", "no body" },
	{ "PUT", "/secrets/s", "{\"value\":\"\"}", "secret.put", 400, "value", "value" },
	{ "PUT", "/secrets/s", "{\"value\":\"a\\r\\nX-Evil: 1\"}", "secret.put", 400, "value", "control" },
	{ "PUT", "/secrets/s", "{\"value\":7}", "secret.put", 400, "value", "value" },
	{ "DELETE", "/secrets/none", NULL, "secret.remove", 404, "not_found", NULL },
	{ "POST", "/policy", "{\"files\":[]}", "policy.push", 400, "value", "deny" },
	{ "POST", "/policy", "{\"files\":[{\"name\":\"../a\",\"text\":\"\"}]}", "policy.push", 400, "value", "name" },
	{ "POST", "/policy", "{\"files\":[{\"name\":\"a:1\",\"text\":\"\"}]}", "policy.push", 400, "value", "name" },
	{ "POST", "/policy", "{\"files\":[{\"name\":\"a\"}]}", "policy.push", 400, "missing_member", NULL },
	{ "POST", "/policy", "{\"files\":[{\"name\":\"a\",\"text\":\"\"},{\"name\":\"a\",\"text\":\"\"}]}", "policy.push", 400,
		"duplicate", "name" },
	{ "POST", "/grants", "{\"document\":\"x\",\"signature\":\"!\"}", NULL, 400, "value", "signature" },
	{ "POST", "/grants", "{\"document\":7,\"signature\":\"\"}", NULL, 400, NULL, NULL },
	{ "POST", "/grants", "{\"document\":\"[]\",\"signature\":\"AAAA\"}", NULL, 400, NULL, NULL },
};

static void every_row(void **state)
{
	bench_t *b = *state;
	int64_t all = records(b, NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const row_t *r = &rows[i];
		told_t t = tell(b, &(ask_t){ .method = r->method, .path = r->path, .body = r->body, .verb = r->verb,
			.by = bench_operator(b) });
		if (t.status != r->status || (r->error && !str_eq(text_at(&t, "/error"), str_of(r->error))) ||
			(r->detail && !str_contains(text_at(&t, "/detail"), str_of(r->detail)))) {
			fail_msg("row %zu: %s %s %s: got %d %.*s", i, r->method, r->path, r->body ? r->body : "", t.status,
				STR_ARG(t.text));
		}
	}
	assert_int_equal(records(b, NULL), all);
}

static void too_much(void **state)
{
	bench_t *b = *state;
	size_t n = (size_t)API_BODY_BYTES_MAX + 1;
	char *big = heap_alloc(n + 64);
	told_t t;

	memset(big, ' ', n);
	big[0] = '{';
	big[n - 1] = '}';
	t = sign(b, bench_operator(b), "role.put", "PUT", "/roles/r", big);
	assert_told(&t, 413, "limit");
	memset(big, '[', 2000);
	big[2000] = '\0';
	t = sign(b, bench_operator(b), "role.put", "PUT", "/roles/r", big);
	assert_told(&t, 413, "limit");
	heap_free(big);
}

/* 256 permissions are a role, 256 long ones are not: a record could not hold them. */
static void too_many_words(void **state)
{
	bench_t *b = *state;
	char body[40000];
	size_t n = (size_t)snprintf(body, sizeof(body), "{\"permissions\":[");
	told_t t;

	for (int i = 0; i < 120; i++) {
		n += (size_t)snprintf(body + n, sizeof(body) - n, "%s\"%090d%03d:a\"", i ? "," : "", 0, i);
	}
	snprintf(body + n, sizeof(body) - n, "]}");
	t = sign(b, bench_operator(b), "role.put", "PUT", "/roles/r", body);
	assert_told(&t, 413, "limit");
	assert_true(str_contains(text_at(&t, "/detail"), STR("permissions")));
	t = sign(b, bench_operator(b), "role.put", "PUT", "/roles/r", bench_wide_role());
	assert_told(&t, 200, NULL);
}

static void content_type(void **state)
{
	bench_t *b = *state;
	ask_t ask = { .method = "PUT", .path = "/roles/r", .body = "{\"permissions\":[]}", .verb = "role.put",
		.by = bench_operator(b), .content_type = "text/plain" };
	told_t t = tell(b, &ask);

	assert_told(&t, 415, "content_type");
	ask.content_type = "application/json; charset=utf-8";
	t = tell(b, &ask);
	assert_told(&t, 200, NULL);
}

/* A wrong header is never the same as none, also where none is needed. */
static void broken_headers(void **state)
{
	bench_t *b = *state;
	ask_t ask = { .method = "GET", .path = "/agents", .verb = "read", .by = person_new(b) };
	told_t t = tell(b, &ask);

	assert_told(&t, 401, "login");
	ask.by = bench_operator(b);
	ask.verb = "write";
	t = tell(b, &ask);
	assert_told(&t, 401, "login");
}

/* The old rules stay when new ones do not compile: file, line and column are told. */
static void broken_policy(void **state)
{
	bench_t *b = *state;
	const person_t *op = bench_operator(b);
	const char *broken = "{\"files\":[{\"name\":\"one.cedar\",\"text\":\"@id(\\\"a\\\")\\npermit (principal, action, "
		"resource) when { principal.colour };\"}]}";
	told_t before = get(b, "/policy"), t;
	int64_t all = records(b, NULL);

	assert_told(&before, 200, NULL);
	t = sign(b, op, "policy.push", "POST", "/policy", broken);
	assert_told(&t, 422, "policy_text");
	assert_true(str_contains(text_at(&t, "/report"), STR("one.cedar:")));
	assert_true(str_starts(text_at(&t, "/detail"), STR("one.cedar")));
	assert_true(number_at(&t, "/line") > 0 && number_at(&t, "/column") > 0);
	t = post(b, "/policy/check", broken);
	assert_told(&t, 422, "policy_text");
	t = get(b, "/policy");
	assert_true(str_eq(text_at(&before, "/digest"), text_at(&t, "/digest")));
	assert_int_equal(records(b, NULL), all);
	t = post(b, "/policy/check", "{\"files\":[{\"name\":\"ok.cedar\",\"text\":\"@id(\\\"a\\\") permit (principal, action, "
		"resource);\"}]}");
	assert_told(&t, 200, NULL);
	assert_int_equal(number_at(&t, "/rules"), 1);
	assert_int_equal(records(b, NULL), all);
}

static int open_bench(void **state)
{
	*state = bench_open();
	return 0;
}

static int close_bench(void **state)
{
	bench_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(too_much),
		cmocka_unit_test(too_many_words),
		cmocka_unit_test(content_type),
		cmocka_unit_test(broken_headers),
		cmocka_unit_test(broken_policy),
	};

	return cmocka_run_group_tests(tests, open_bench, close_bench);
}
