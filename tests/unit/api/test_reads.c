/* Reads: what is told, to whom, and the ledger through the API. */
#include "bench.h"

#include <pthread.h>
#include <unistd.h>

static told_t read_as(bench_t *b, const person_t *by, const char *path)
{
	return tell(b, &(ask_t){ .method = "GET", .path = path, .verb = "read", .by = by, .tcp = true });
}

/* On TCP every request is signed, and a signature is good for one request. */
static void tcp_reads_are_signed(void **state)
{
	bench_t *b = *state;
	static const char *const paths[] = { "/agents", "/users", "/roles", "/routes", "/secrets", "/policy", "/grants",
		"/status", "/ledger/head", "/ledger/export" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		ask_t ask = { .method = "GET", .path = paths[i], .tcp = true };
		told_t t = tell(b, &ask);
		assert_told(&t, 401, "login");
		ask.verb = "read";
		ask.by = bench_operator(b);
		ask.nonce = fmt(b, "%020zuAA", 9000 + i);
		t = tell(b, &ask);
		assert_told(&t, 200, NULL);
		t = tell(b, &ask);
		assert_told(&t, 401, "replay");
	}
}

/* Who may not administer sees what delegating takes, and themselves. */
static void others_see_less(void **state)
{
	bench_t *b = *state;
	person_t *dora = user_add(b, "dora", "[]");
	told_t t;

	route_add(b);
	t = read_as(b, dora, "/routes/invoices");
	assert_told(&t, 200, NULL);
	assert_true(str_contains(t.text, STR("read_file")) && !str_contains(t.text, STR("/bin/cat")));
	t = read_as(b, bench_operator(b), "/routes/invoices");
	assert_true(str_contains(t.text, STR("/bin/cat")));
	t = read_as(b, dora, "/users");
	assert_told(&t, 200, NULL);
	assert_true(str_contains(t.text, STR("dora")) && !str_contains(t.text, STR("operator")));
	t = read_as(b, dora, "/users/operator");
	assert_told(&t, 404, "not_found");
	t = read_as(b, dora, "/secrets");
	assert_told(&t, 403, "verb");
	t = read_as(b, dora, "/roles");
	assert_told(&t, 403, "verb");
	t = read_as(b, dora, "/ledger/export");
	assert_told(&t, 403, "verb");
	t = read_as(b, dora, "/status");
	assert_told(&t, 200, NULL);
}

/* A secret goes in and no door gives it back. */
static void secrets_stay(void **state)
{
	bench_t *b = *state;
	told_t t = sign(b, bench_operator(b), "secret.put", "PUT", "/secrets/canary", "{\"value\":\"canary-47110815\"}");

	assert_told(&t, 200, NULL);
	assert_false(str_contains(t.text, STR("47110815")));
	t = get(b, "/secrets");
	assert_true(str_contains(t.text, STR("canary")) && !str_contains(t.text, STR("47110815")));
	t = get(b, "/ledger/export");
	assert_false(str_contains(t.text, STR("47110815")));
}

static void lists_go_on(void **state)
{
	bench_t *b = *state;
	told_t t;
	size_t seen = 0;
	const char *path = "/agents?limit=2";

	for (int i = 0; i < 5; i++) {
		(void)agent_add(b, fmt(b, "list-%d", i), "[]");
	}
	for (;;) {
		t = get(b, path);
		assert_told(&t, 200, NULL);
		seen += json_count(json_get(t.json, STR("agents")));
		if (json_is_null(json_get(t.json, STR("next")))) {
			break;
		}
		path = fmt(b, "/agents?limit=2&after=%.*s", STR_ARG(text_at(&t, "/next")));
	}
	t = get(b, "/status");
	assert_int_equal(seen, number_at(&t, "/counts/agents"));
}

static void head_wait(bench_t *b)
{
	for (int i = 0; i < 500; i++) {
		told_t t = get(b, "/status");
		if (number_at(&t, "/ledger/waiting") == 0) {
			return;
		}
		(void)usleep(10000);
	}
	fail_msg("the sequencer stands still");
}

static err_t export_check(bench_t *b, str_t text, ledger_report_t *report)
{
	told_t t = get(b, "/ledger/head");
	merkle_vkey_t vkey;
	ledger_verifier_t *v;
	str_t line;

	assert_int_equal(merkle_vkey_parse(bench_arena(b), text_at(&t, "/vkey"), &vkey), OK);
	v = ledger_verifier_new(&vkey);
	text.n -= str_ends(text, STR("\n"));
	while (str_split(&text, '\n', &line)) {
		ledger_verifier_line(v, line);
	}
	err_t e = ledger_verifier_end(v, report);
	ledger_verifier_free(v);
	return e;
}

/* The record's commitment opens to the very document that the person signed. */
static void signed_by_operator(bench_t *b, const told_t *t)
{
	str_t doc = text_at(t, "/opened/doc"), sig;
	delegation_verb_t v;

	assert_int_equal(b64url_dec(bench_arena(b), text_at(t, "/record/sig"), 64, &sig), OK);
	assert_int_equal(delegation_verb_parse(bench_arena(b), doc, &v, NULL), OK);
	assert_int_equal(delegation_verb_verify(bench_arena(b), doc, &v, crypto_key_pub(bench_operator(b)->key), sig), OK);
	assert_text(v.verb, "role.put");
}

static void the_ledger(void **state)
{
	bench_t *b = *state;
	ledger_report_t report;
	told_t t;

	for (int i = 0; i < 40; i++) {
		t = sign(b, bench_operator(b), "role.put", "PUT", fmt(b, "/roles/many-%d", i), "{\"permissions\":[\"a:b\"]}");
		assert_told(&t, 200, NULL);
	}
	str_t rid = text_at(&t, "/rid");
	head_wait(b);
	t = get(b, "/ledger/export");
	assert_told(&t, 200, NULL);
	assert_int_equal(export_check(b, t.text, &report), OK);
	assert_true(report.whole && report.records >= 40);
	t = get(b, "/ledger/export?from=3&to=9");
	assert_int_equal(export_check(b, t.text, &report), OK);
	assert_int_equal(report.records, 6);
	t = get(b, "/ledger/export?from=100000");
	assert_told(&t, 400, "value");
	t = tell(b, &(ask_t){ .method = "POST", .path = "/ledger/verify" });
	assert_told(&t, 200, NULL);
	assert_true(str_contains(t.text, STR("\"ok\":true")));
	t = get(b, fmt(b, "/explain/%.*s", STR_ARG(rid)));
	assert_told(&t, 200, NULL);
	assert_text(text_at(&t, "/record/verb"), "role.put");
	signed_by_operator(b, &t);
}

/* --- clients that go away or read slowly in the middle of an export hold nobody up ------------------------ */

static void *many_roles(void *arg)
{
	bench_t *b = arg;

	for (int i = 0; i < 300; i++) {
		told_t t = sign(b, bench_operator(b), "role.put", "PUT", "/roles/wide", bench_wide_role());
		assert_told(&t, 200, NULL);
	}
	return NULL;
}

/* Some 300 records of 8 KB: more than all buffers between reader and client hold. */
static void slow_and_lost_clients(void **state)
{
	bench_t *b = *state;
	ledger_report_t report;
	char byte[4096];
	told_t t;

	(void)many_roles(b);
	head_wait(b);
	for (int i = 0; i < 20; i++) { /* gone before, at, and after the first bytes */
		int fd = bench_dial(b, "GET /api/v1/ledger/export HTTP/1.1\r\nHost: x\r\n\r\n");
		if (i % 2) {
			assert_true(read(fd, byte, i % 4 == 1 ? 1 : sizeof(byte)) > 0);
		}
		close(fd);
	}
	int slow = bench_dial(b, "GET /api/v1/ledger/export HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(read(slow, byte, sizeof(byte)) > 0);
	t = get(b, "/ledger/export"); /* one at a time: a reader is not a queue */
	assert_told(&t, 503, "lane_full");
	t = sign(b, bench_operator(b), "role.put", "PUT", "/roles/meanwhile", "{\"permissions\":[]}");
	assert_told(&t, 200, NULL);
	t = get(b, "/agents");
	assert_told(&t, 200, NULL);
	close(slow);
	for (int i = 0; i < 500; i++) {
		t = get(b, "/ledger/export");
		if (t.status == 200) {
			break;
		}
		(void)usleep(10000);
	}
	assert_int_equal(t.status, 200);
	assert_true(t.text.n > 2u << 20);
	assert_int_equal(export_check(b, t.text, &report), OK);
	assert_true(report.whole);
}

/* Verbs that arrive while rules change are decided on the new ones, and none is lost. */
typedef struct {
	bench_t *b;
	int from, done;
} worker_t;

static void *put_roles(void *arg)
{
	worker_t *w = arg;

	for (int i = 0; i < 25; i++) {
		char path[64];
		snprintf(path, sizeof(path), "/roles/w%d-%d", w->from, i);
		ask_t ask = { .method = "PUT", .path = path, .body = "{\"permissions\":[\"a:b\"]}", .verb = "role.put",
			.by = bench_operator(w->b), .a = arena_new_capped(8u << 20) };
		told_t t = tell(w->b, &ask);
		w->done += t.status == 200;
		arena_free(ask.a);
	}
	return NULL;
}

static void verbs_and_pushes_at_once(void **state)
{
	bench_t *b = *state;
	worker_t w[4] = { 0 };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		w[i] = (worker_t){ b, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, put_roles, &w[i]), 0);
	}
	for (int i = 0; i < 10; i++) {
		told_t t = sign(b, bench_operator(b), "policy.push", "POST", "/policy",
			fmt(b, "{\"files\":[{\"name\":\"a.cedar\",\"text\":\"@id(\\\"r%d\\\") permit (principal, action, "
				"resource);\"}]}", i));
		assert_told(&t, 200, NULL);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(w[i].done, 25);
	}
	assert_int_equal(view_version(b), snapshot_version(b));
}

static void the_first_start(void **state)
{
	bench_t *b = *state;
	told_t t = get(b, "/users/operator");

	assert_text(text_at(&t, "/roles/0"), "admin");
	assert_true(str_eq(text_at(&t, "/keys/0/jkt"), bench_operator(b)->jkt));
	t = get(b, "/policy");
	assert_text(text_at(&t, "/files/0/name"), "starter.cedar");
	assert_text(text_at(&t, "/in_force/0/id"), "base.delegated");
	assert_text(text_at(&t, "/in_force/0/effect"), "permit");
	assert_text(text_at(&t, "/in_force/2/id"), "guard.assurance");
	assert_text(text_at(&t, "/in_force/2/effect"), "forbid");
	assert_int_equal(json_count(json_get(t.json, STR("in_force"))), number_at(&t, "/rules"));
	assert_true(records(b, "start") == 1 && records(b, "key") == 4);
	t = get(b, "/roles");
	assert_text(text_at(&t, "/roles/0/permissions/0"), "attorn:administer");
}

/* docs/openapi.json and the table of doors describe the same, row by row. */
static void the_description_is_complete(void **state)
{
	const api_door_t *doors;
	size_t n = api_doors(&doors);
	told_t t = get(*state, "/openapi.json");

	assert_told(&t, 200, NULL);
	assert_int_equal(contract_operations(), n);
	for (size_t i = 0; i < n; i++) {
		const json_t *op = contract_operation(&doors[i]);
		str_t verb;
		if (!op || json_need_str(op, STR("x-attorn-verb"), 64, &verb) != OK) {
			fail_msg("not described: %.*s %.*s", STR_ARG(doors[i].method), STR_ARG(doors[i].path));
		}
		assert_true(str_eq(verb, doors[i].verb));
		assert_int_equal(json_get(op, STR("requestBody")) != NULL, doors[i].body_max > 0);
		/* [] none, [{signature}] always, [{signature},{}] on TCP */
		size_t ways = doors[i].flags & (API_PUBLIC | API_SELF_SIGNED) ? 0 : doors[i].flags & API_WIDENS ? 1 : 2;
		assert_int_equal(json_count(json_get(op, STR("security"))), ways);
	}
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
		cmocka_unit_test(the_description_is_complete),
		cmocka_unit_test(the_first_start),
		cmocka_unit_test(tcp_reads_are_signed),
		cmocka_unit_test(others_see_less),
		cmocka_unit_test(secrets_stay),
		cmocka_unit_test(lists_go_on),
		cmocka_unit_test(the_ledger),
		cmocka_unit_test_setup_teardown(slow_and_lost_clients, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(verbs_and_pushes_at_once, open_bench, close_bench),
	};

	return cmocka_run_group_tests(tests, open_bench, close_bench);
}
