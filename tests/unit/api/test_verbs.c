/* Every verb: once right, and once each way a signature can be wrong (wire.md 7, oauth P102). */
#include "bench.h"

typedef struct {
	const char *verb, *method, *path, *body; /* %s in body: a fresh public key */
	int status;
	const char *type; /* of the record */
	bool widens, snapshot;
} verb_t;

static const verb_t verbs[] = {
	{ "role.put", "PUT", "/roles/reader", "{\"permissions\":[\"invoices:read\"]}", 200, "role", true, true },
	{ "user.add", "POST", "/users", "{\"name\":\"zoe\",\"roles\":[\"reader\"],\"keys\":[%s]}", 201, "user", true,
		true },
	{ "user.key.add", "POST", "/users/zoe/keys", "{\"keys\":[%s]}", 200, "user", true, false },
	{ "user.roles", "POST", "/users/zoe/roles", "{\"roles\":[]}", 200, "user", true, true },
	{ "user.state", "POST", "/users/zoe/state", "{\"state\":\"disabled\"}", 200, "user", false, true },
	{ "user.state", "POST", "/users/zoe/state", "{\"state\":\"active\"}", 200, "user", true, true },
	{ "agent.register", "POST", "/agents", "{\"name\":\"scout\",\"kind\":\"delegated\",\"owner\":\"operator\","
		"\"scopes\":[\"invoices:read\"],\"roles\":[],\"max_depth\":2,\"keys\":[%s]}", 201, "agent", true, true },
	{ "agent.update", "PUT", "/agents/scout", "{\"owner\":\"zoe\",\"scopes\":[],\"roles\":[\"reader\"],"
		"\"max_depth\":1,\"rev\":1}", 200, "agent", true, true },
	{ "agent.key.add", "POST", "/agents/scout/keys", "{\"keys\":[%s]}", 200, "agent", true, true },
	{ "agent.state", "POST", "/agents/scout/state", "{\"state\":\"quarantined\"}", 200, "agent", false, true },
	{ "agent.state", "POST", "/agents/scout/state", "{\"state\":\"active\"}", 200, "agent", true, true },
	{ "route.put", "PUT", "/routes/desk", "{\"kind\":\"http\",\"upstream\":\"http://127.0.0.1:9002\","
		"\"environment\":\"prod\",\"data_classes\":[],\"http\":[{\"method\":\"POST\",\"path\":\"/tickets\","
		"\"scope\":\"tickets:create\",\"effect\":\"mutating\"}]}", 200, "route", true, true },
	{ "route.remove", "DELETE", "/routes/desk", NULL, 200, "route", false, true },
	{ "secret.put", "PUT", "/secrets/desk-key", "{\"value\":\"hunter2-and-more\"}", 200, "secret", true, false },
	{ "secret.remove", "DELETE", "/secrets/desk-key", NULL, 200, "secret", false, false },
	{ "policy.push", "POST", "/policy", "{\"files\":[{\"name\":\"a.cedar\",\"text\":\"@id(\\\"all\\\") permit "
		"(principal is Attorn::User, action, resource) when { principal.active && "
		"principal.permissions.contains(\\\"attorn:administer\\\") };\"}]}", 200, "policy", true, true },
};

static const char *body_of(bench_t *b, const verb_t *v)
{
	char key[1024];
	person_t *p;

	if (!v->body || !strstr(v->body, "%s")) {
		return v->body;
	}
	p = person_new(b);
	snprintf(key, sizeof(key), "%.*s", STR_ARG(p->jwk));
	const char *at = strstr(v->body, "%s");
	return fmt(b, "%.*s%s%s", (int)(at - v->body), v->body, key, at + 2);
}

/* Whatever would leave nobody who may administer is refused; the same with a second one there is not. */
static void the_last_administrator_stays(void **state)
{
	bench_t *b = *state;
	const person_t *op = bench_operator(b);
	const char *retire = fmt(b, "/users/operator/keys/%.*s/state", STR_ARG(op->jkt));
	const struct {
		const char *verb, *method, *path, *body;
	} ends[] = {
		{ "user.state", "POST", "/users/operator/state", "{\"state\":\"disabled\"}" },
		{ "user.key.state", "POST", retire, "{\"state\":\"retired\"}" },
		{ "user.roles", "POST", "/users/operator/roles", "{\"roles\":[]}" },
		{ "role.put", "PUT", "/roles/admin", "{\"permissions\":[\"a:b\"]}" },
	};
	person_t *second = user_add(b, "second", "[\"admin\"]");
	told_t t = sign(b, op, "user.state", "POST", "/users/second/state", "{\"state\":\"disabled\"}");

	assert_told(&t, 200, NULL); /* one who is disabled is none */
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		int64_t all = records(b, NULL), version = snapshot_version(b);
		t = sign(b, op, ends[i].verb, ends[i].method, ends[i].path, ends[i].body);
		assert_told(&t, 409, "last_administrator");
		assert_true(str_contains(text_at(&t, "/fix"), STR("attorn user add")));
		if (i < 2) { /* narrowing: from the socket without a signature too */
			t = post(b, ends[i].path, ends[i].body);
			assert_told(&t, 409, "last_administrator");
		}
		assert_int_equal(records(b, NULL), all);
		assert_int_equal(snapshot_version(b), version);
	}
	t = sign(b, op, "user.state", "POST", "/users/second/state", "{\"state\":\"active\"}");
	assert_told(&t, 200, NULL);
	t = post(b, retire, "{\"state\":\"retired\"}");
	assert_told(&t, 200, NULL);
	t = post(b, "/users/second/state", "{\"state\":\"disabled\"}"); /* operator has no key left: none too */
	assert_told(&t, 409, "last_administrator");
	t = sign(b, second, "role.put", "PUT", "/roles/still", "{\"permissions\":[\"a:b\"]}");
	assert_told(&t, 200, NULL);
}

/* The request is refused, leaves the state alone, and (a stranger's) no record. */
static void refused(bench_t *b, const ask_t *ask, int status, const char *error, int64_t decisions)
{
	int64_t all = records(b, NULL), version = snapshot_version(b);
	told_t t = tell(b, ask);

	assert_told(&t, status, error);
	assert_true(text_at(&t, "/message").n > 0 && json_get(t.json, STR("fix")) && json_get(t.json, STR("detail")));
	assert_int_equal(records(b, NULL), all + decisions);
	assert_int_equal(snapshot_version(b), version);
}

static void wrong_signatures(bench_t *b, const verb_t *v, const char *body, const person_t *plain)
{
	const person_t *op = bench_operator(b);
	const person_t *nobody = person_new(b);
	const char *other = v->body ? "{\"x\":1}" : "x";
	ask_t ask = { .method = v->method, .path = v->path, .body = body };

	if (v->widens) {
		refused(b, &ask, 401, "login", 0); /* P102: the socket's file mode widens nothing */
	}
	ask.tcp = true;
	refused(b, &ask, 401, "login", 0);
	ask.verb = v->verb;
	ask.by = nobody;
	refused(b, &ask, 401, "login", 0);
	ask.by = op;
	ask.age_s = 600;
	refused(b, &ask, 401, "login", 0);
	ask.age_s = -600;
	refused(b, &ask, 401, "login", 0);
	ask.age_s = 0;
	ask.signed_body = other;
	refused(b, &ask, 401, "login", 0);
	ask.signed_body = NULL;
	ask.signed_path = "/agents/other";
	refused(b, &ask, 401, "login", 0);
	ask.signed_path = NULL;
	ask.iss = "http://127.0.0.1:7000";
	refused(b, &ask, 401, "login", 0);
	ask.iss = NULL;
	ask.verb = "read";
	refused(b, &ask, 401, "login", 0);
	ask.verb = v->verb;
	ask.by = plain;
	refused(b, &ask, 403, "verb", 1); /* known, and not an administrator: one record */
	assert_true(str_contains(newest(b, "decision"), plain->id));
	assert_true(str_contains(newest(b, "decision"), str_of(v->verb)));
}

static void every_verb(void **state)
{
	bench_t *b = *state;
	const person_t *op = bench_operator(b);
	const person_t *plain = user_add(b, "plain", "[]");

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		const verb_t *v = &verbs[i];
		const char *body = body_of(b, v);
		const char *nonce = fmt(b, "%020zuAA", i + 1);
		ask_t ask = { .method = v->method, .path = v->path, .body = body, .verb = v->verb, .by = op,
			.nonce = nonce, .tcp = i % 2 == 1 };

		wrong_signatures(b, v, body, plain);
		int64_t of_type = records(b, v->type), all = records(b, NULL), version = snapshot_version(b);
		told_t t = tell(b, &ask);
		assert_told(&t, v->status, NULL);
		assert_int_equal(records(b, v->type), of_type + 1);
		assert_int_equal(records(b, NULL), all + 1);
		assert_true(str_contains(newest(b, v->type), text_at(&t, "/rid")));
		assert_true(str_contains(newest(b, v->type), STR("\"doc\":\"hmac-256:")));
		assert_true(str_contains(newest(b, v->type), op->jkt));
		assert_int_equal(snapshot_version(b) > version, v->snapshot);
		assert_int_equal(view_version(b), snapshot_version(b)); /* visible before the answer */
		refused(b, &ask, 401, "replay", 1);
	}
}

/* Names of people stand in no record (ledger.md 12.1). */
static void records_name_nobody(void **state)
{
	bench_t *b = *state;
	told_t t;

	(void)user_add(b, "wilhelmina", "[]");
	t = sign(b, bench_operator(b), "user.state", "POST", "/users/wilhelmina/state", "{\"state\":\"disabled\"}");
	assert_told(&t, 200, NULL);
	assert_false(str_contains(newest(b, "user"), STR("wilhelmina")));
	t = get(b, "/ledger/export");
	assert_false(str_contains(t.text, STR("wilhelmina")));
}

static void keys_and_users_that_are_gone(void **state)
{
	bench_t *b = *state;
	const person_t *op = bench_operator(b);
	person_t *admin = user_add(b, "second", "[\"admin\"]");
	const char *role = "{\"permissions\":[]}";
	told_t t = sign(b, admin, "role.put", "PUT", "/roles/r1", role);

	assert_told(&t, 200, NULL);
	t = sign(b, op, "user.state", "POST", "/users/second/state", "{\"state\":\"disabled\"}");
	assert_told(&t, 200, NULL);
	t = sign(b, admin, "role.put", "PUT", "/roles/r1", role);
	assert_told(&t, 401, "login");
	t = sign(b, op, "user.state", "POST", "/users/second/state", "{\"state\":\"active\"}");
	assert_told(&t, 200, NULL);
	t = sign(b, op, "user.key.state", "POST", fmt(b, "/users/second/keys/%.*s/state", STR_ARG(admin->jkt)),
		"{\"state\":\"retired\"}");
	assert_told(&t, 200, NULL);
	t = sign(b, admin, "role.put", "PUT", "/roles/r1", role);
	assert_told(&t, 401, "login");
	t = sign(b, op, "user.key.state", "POST", fmt(b, "/users/plain/keys/%.*s/state", STR_ARG(admin->jkt)),
		"{\"state\":\"retired\"}");
	assert_told(&t, 404, "not_found");
}

/* One key, one owner: an agent whose key were a user's could sign what widens. */
static void a_key_has_one_owner(void **state)
{
	bench_t *b = *state;
	const person_t *op = bench_operator(b);
	const person_t *agent = agent_add(b, "twin", "[]");
	told_t t = sign(b, op, "user.add", "POST", "/users",
		fmt(b, "{\"name\":\"twin\",\"keys\":[%.*s]}", STR_ARG(agent->jwk)));

	assert_told(&t, 409, "exists");
	t = sign(b, op, "agent.register", "POST", "/agents",
		fmt(b, "{\"name\":\"twin2\",\"owner\":\"operator\",\"keys\":[%.*s]}", STR_ARG(op->jwk)));
	assert_told(&t, 409, "exists");
	t = sign(b, op, "agent.key.state", "POST", fmt(b, "/agents/twin/keys/%.*s/state", STR_ARG(agent->jkt)),
		"{\"state\":\"retired\"}");
	assert_told(&t, 200, NULL);
	assert_text(text_at(&t, "/agent/keys/0/state"), "retired");
}

/* Nobody signs away the right to undo it. */
static void no_way_to_lock_oneself_out(void **state)
{
	bench_t *b = *state;
	const person_t *op = bench_operator(b);
	(void)user_add(b, "deputy", "[\"admin\"]"); /* with one who could undo it: still not by oneself */
	int64_t all = records(b, NULL);
	told_t t = sign(b, op, "user.roles", "POST", "/users/operator/roles", "{\"roles\":[]}");

	assert_told(&t, 409, "conflict");
	t = sign(b, op, "role.put", "PUT", "/roles/admin", "{\"permissions\":[]}");
	assert_told(&t, 409, "last_administrator");
	t = post(b, "/users/deputy/state", "{\"state\":\"disabled\"}");
	assert_told(&t, 200, NULL);
	all = records(b, NULL);
	t = sign(b, op, "role.put", "PUT", "/roles/admin", "{\"permissions\":[]}");
	assert_told(&t, 409, "last_administrator");
	t = sign(b, op, "policy.push", "POST", "/policy",
		"{\"files\":[{\"name\":\"none.cedar\",\"text\":\"@id(\\\"no\\\") forbid (principal, action, resource);\"}]}");
	assert_told(&t, 422, "policy_text");
	assert_int_equal(records(b, NULL), all);
	t = get(b, "/users/operator");
	assert_text(text_at(&t, "/roles/0"), "admin");
}

/* The operating-system account is evidence enough to narrow, and stands in the record. */
static void narrowing_on_the_socket_needs_no_signature(void **state)
{
	bench_t *b = *state;
	told_t t;

	(void)agent_add(b, "rogue", "[]");
	t = post(b, "/agents/rogue/state", "{\"state\":\"quarantined\"}");
	assert_told(&t, 200, NULL);
	assert_true(str_contains(newest(b, "agent"), STR("\"by\":\"unix:uid:")));
	t = post(b, "/agents/rogue/state", "{\"state\":\"active\"}");
	assert_told(&t, 401, "login");
	t = post(b, "/agents/rogue/state", "{\"state\":\"retired\"}");
	assert_told(&t, 200, NULL);
	t = sign(b, bench_operator(b), "agent.state", "POST", "/agents/rogue/state", "{\"state\":\"active\"}");
	assert_told(&t, 409, "conflict");
}

/* Rules and roles in force decide the next verb: many at once, each on the newest. */
static void a_push_is_exact_at_its_answer(void **state)
{
	bench_t *b = *state;
	const person_t *op = bench_operator(b);
	person_t *clerk = user_add(b, "clerk", "[]");
	const char *rules = "{\"files\":[{\"name\":\"a.cedar\",\"text\":\"@id(\\\"ops\\\") permit (principal is "
		"Attorn::User, action, resource) when { principal.active && "
		"principal.permissions.contains(\\\"attorn:administer\\\") };\\n@id(\\\"clerks\\\") permit (principal is "
		"Attorn::User, action == Attorn::Action::\\\"administer\\\", resource) when { context.object == "
		"\\\"secret\\\" };\"}]}";
	told_t t = sign(b, clerk, "secret.put", "PUT", "/secrets/s1", "{\"value\":\"v\"}");

	assert_told(&t, 403, "verb");
	t = sign(b, op, "policy.push", "POST", "/policy", rules);
	assert_told(&t, 200, NULL);
	t = sign(b, clerk, "secret.put", "PUT", "/secrets/s1", "{\"value\":\"v\"}");
	assert_told(&t, 200, NULL);
	t = sign(b, clerk, "role.put", "PUT", "/roles/r2", "{\"permissions\":[]}");
	assert_told(&t, 403, "verb");
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
		cmocka_unit_test(keys_and_users_that_are_gone),
		cmocka_unit_test(a_key_has_one_owner),
		cmocka_unit_test(no_way_to_lock_oneself_out),
		cmocka_unit_test(narrowing_on_the_socket_needs_no_signature),
		cmocka_unit_test(records_name_nobody),
		cmocka_unit_test_setup_teardown(a_push_is_exact_at_its_answer, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(the_last_administrator_stays, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(every_verb, open_bench, close_bench),
	};

	return cmocka_run_group_tests(tests, open_bench, close_bench);
}
