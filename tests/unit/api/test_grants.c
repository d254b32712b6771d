/* Grants come in signed or not at all (oauth P99 to P102), and end when they are revoked (P84). */
#include "bench.h"

#include <time.h>
#include <unistd.h>

#define TOOL                                                                                       \
	"{\"type\":\"mcp_tool_call\",\"server\":\"" GATEWAY "/r/invoices\",\"tool\":\"read_file\",\"constraints\":[" \
	"{\"arg\":\"/path\",\"kind\":\"path_under\",\"value\":\"/srv/invoices\"}]}"

/* What a test changes about an ordinary grant. */
typedef struct {
	const person_t *user, *agent, *key; /* delegator, receiver, and whose key signs (default: the user's) */
	const char *sub; /* delegator.sub, default the user's id */
	const char *scope, *item, *iss;
	const char *id; /* of the grant */
	int64_t iat_s, exp_s; /* from now; exp 0: an hour */
	uint32_t uses, depth;
	str_t parent_id, parent_doc;
} lend_t;

typedef struct {
	str_t document, signature, id;
} lent_t;

static lent_t lend_make(bench_t *b, const lend_t *l)
{
	arena_t *a = bench_arena(b);
	const person_t *key = l->key ? l->key : l->user;
	const delegation_item_t *items;
	const str_t prod = STR("prod"), finance = STR("finance");
	uint8_t random[ULID_RANDOM_BYTES];
	int64_t now = (int64_t)time(NULL);
	diag_t diag = { 0 };
	lent_t out;
	size_t n;

	crypto_random(random, sizeof(random));
	if (delegation_items_parse(a, arena_cat(a, STR("["), str_of(l->item ? l->item : TOOL), STR("]")), &items, &n,
		    &diag) != OK) {
		fail_msg("items: %s", diag.text);
	}
	delegation_grant_t g = {
		.id = l->id ? str_of(l->id) : ulid_make(a, now * 1000, random),
		.iss = str_of(l->iss ? l->iss : ISSUER),
		.delegator_sub = l->sub ? str_of(l->sub) : l->user->id,
		.delegator_key = key->jkt,
		.agent = l->agent->id,
		.bounds = { .scope = str_of(l->scope ? l->scope : "invoices:read"), .items = items, .n_items = n,
			.data_classes = &finance, .n_data_classes = 1, .environments = &prod, .n_environments = 1,
			.uses = l->uses ? l->uses : 20, .depth = l->depth ? l->depth : 1 },
		.iat = now + l->iat_s,
		.exp = now + (l->exp_s ? l->exp_s : 3600),
		.has_parent = l->parent_id.p != NULL,
		.parent_id = l->parent_id,
	};
	if (g.has_parent) {
		delegation_grant_digest(l->parent_doc, g.parent_digest);
	}
	assert_int_equal(delegation_grant_build(a, &g, &out.document), OK);
	assert_int_equal(delegation_grant_sign(a, key->key, out.document, &out.signature), OK);
	out.id = g.id;
	return out;
}

static const char *lent_body(bench_t *b, str_t document, str_t signature)
{
	arena_t *a = bench_arena(b);
	char *text = arena_alloc(a, 40000);
	buf_t out;
	jw_t w;

	buf_init(&out, 39999);
	jw_init(&w, &out);
	jw_object(&w);
	jw_kstr(&w, "document", document);
	jw_kstr(&w, "signature", b64url_enc(a, signature));
	jw_end(&w);
	assert_int_equal(jw_finish(&w), OK);
	memcpy(text, out.p, out.n);
	buf_done(&out);
	return text;
}

static told_t hand_in(bench_t *b, const lent_t *l)
{
	return tell(b, &(ask_t){ .method = "POST", .path = "/grants", .body = lent_body(b, l->document, l->signature),
		.tcp = true });
}

static told_t lend(bench_t *b, const lend_t *l)
{
	lent_t made = lend_make(b, l);

	return hand_in(b, &made);
}

typedef struct {
	bench_t *b;
	person_t *alice, *bob, *scout, *helper;
} world_t;

static int world_open(void **state)
{
	world_t *w = heap_new(world_t);
	told_t t;

	w->b = bench_open();
	t = sign(w->b, bench_operator(w->b), "role.put", "PUT", "/roles/reader",
		"{\"permissions\":[\"invoices:read\",\"tickets:create\"]}");
	assert_told(&t, 200, NULL);
	w->alice = user_add(w->b, "alice", "[\"reader\"]");
	w->bob = user_add(w->b, "bob", "[\"reader\"]");
	w->scout = agent_add(w->b, "scout", "[\"invoices:read\",\"invoices:delete\"]");
	w->helper = agent_add(w->b, "helper", "[\"invoices:read\"]");
	route_add(w->b);
	*state = w;
	return 0;
}

static int world_close(void **state)
{
	world_t *w = *state;

	bench_close(w->b);
	heap_free(w);
	return 0;
}

/* Refused: nothing new but `decisions` records. */
static void refused(world_t *w, const told_t *t, int64_t all_before, int status, const char *error, int64_t decisions)
{
	assert_told(t, status, error);
	assert_int_equal(records(w->b, NULL), all_before + decisions);
}

static void a_grant_comes_in(void **state)
{
	world_t *w = *state;
	lent_t l = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	told_t t = hand_in(w->b, &l);
	str_t leaf;

	assert_told(&t, 201, NULL);
	assert_true(str_eq(text_at(&t, "/grant/id"), l.id) && str_eq(text_at(&t, "/rid"), l.id));
	assert_text(text_at(&t, "/grant/user_name"), "alice");
	leaf = newest(w->b, "grant");
	assert_true(str_contains(leaf, l.id) && str_contains(leaf, w->alice->id) && str_contains(leaf, w->alice->jkt));
	assert_true(str_contains(leaf, STR("\"by\":\"delegator\"")));
	assert_false(str_contains(leaf, STR("alice")));
	t = get(w->b, fmt(w->b, "/grants/%.*s", STR_ARG(l.id)));
	assert_told(&t, 200, NULL);
	assert_true(str_eq(text_at(&t, "/document"), l.document));
	assert_text(text_at(&t, "/state"), "active");
	assert_int_equal(number_at(&t, "/uses_left"), 20);
	assert_true(str_contains(text_at(&t, "/text"), STR("/srv/invoices")));
	int64_t all = records(w->b, NULL);
	t = hand_in(w->b, &l);
	refused(w, &t, all, 409, "exists", 0);
}

/* P99: another signature, a key not enrolled for the delegator, a retired one. */
static void p99_signatures(void **state)
{
	world_t *w = *state;
	person_t *stranger = person_new(w->b);
	int64_t all = records(w->b, NULL);
	lent_t l = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	lent_t broken = l;
	told_t t;

	((char *)(uintptr_t)broken.signature.p)[5] ^= 1;
	t = hand_in(w->b, &broken);
	refused(w, &t, all, 403, "grant_signature", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .key = stranger });
	refused(w, &t, all, 403, "grant_signature", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .key = w->scout }); /* agents sign for nobody */
	refused(w, &t, all, 403, "grant_signature", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .key = w->bob }); /* bob is no administrator */
	refused(w, &t, all, 403, "grant_signature", 1);
	assert_true(str_contains(newest(w->b, "decision"), w->bob->id));
	person_t *carol = user_add(w->b, "carol", "[\"reader\"]");
	t = sign(w->b, bench_operator(w->b), "user.state", "POST", "/users/carol/state", "{\"state\":\"disabled\"}");
	assert_told(&t, 200, NULL);
	all = records(w->b, NULL);
	t = lend(w->b, &(lend_t){ .user = carol, .agent = w->scout });
	refused(w, &t, all, 403, "grant_signature", 0);
}

/* P100: the document is what was signed: one made over other members, another label, another text. */
static void p100_other_members(void **state)
{
	world_t *w = *state;
	arena_t *a = bench_arena(w->b);
	int64_t all = records(w->b, NULL);
	lent_t one = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	lent_t wider = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .uses = 1000 });
	lent_t other = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->helper });
	lent_t later = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .exp_s = 7200 });
	const lent_t *all_of[] = { &wider, &other, &later };
	told_t t;
	str_t sig;

	for (size_t i = 0; i < ARRAY_LEN(all_of); i++) {
		lent_t mixed = { .document = all_of[i]->document, .signature = one.signature };
		t = hand_in(w->b, &mixed);
		refused(w, &t, all, 403, "grant_signature", 0);
	}
	assert_int_equal(delegation_verb_sign(a, w->alice->key, one.document, &sig), OK); /* "attorn-verb/1" */
	t = hand_in(w->b, &(lent_t){ .document = one.document, .signature = sig });
	refused(w, &t, all, 403, "grant_signature", 0);
	char *text = arena_alloc(a, one.document.n);
	memcpy(text, one.document.p, one.document.n);
	str_t changed = str_bytes(text, one.document.n);
	for (size_t i = 0; i + 14 < changed.n; i++) { /* the digest of the text that was shown */
		if (str_eq(str_sub(changed, i, 14), STR("render_digest\""))) {
			text[i + 30] = text[i + 30] == '0' ? '1' : '0';
		}
	}
	assert_int_equal(delegation_grant_sign(a, w->alice->key, changed, &sig), OK);
	t = hand_in(w->b, &(lent_t){ .document = changed, .signature = sig });
	refused(w, &t, all, 400, "value", 0);
	assert_true(str_contains(text_at(&t, "/detail"), STR("render_digest")));
	assert_int_equal(delegation_grant_sign(a, w->alice->key, STR("{}"), &sig), OK);
	t = hand_in(w->b, &(lent_t){ .document = STR("{}"), .signature = sig });
	refused(w, &t, all, 400, "value", 0);
}

/* P101: an administrator may lend for somebody else; it shows. */
static void p101_admin_made(void **state)
{
	world_t *w = *state;
	told_t t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .key = bench_operator(w->b) });
	json_kind_t kind;
	bool admin_made = false;

	assert_told(&t, 201, NULL);
	assert_true(str_contains(newest(w->b, "grant"), STR("\"by\":\"admin\"")));
	t = get(w->b, fmt(w->b, "/grants/%.*s", STR_ARG(text_at(&t, "/grant/id"))));
	kind = json_kind(json_get(t.json, STR("admin_made")));
	assert_int_equal(kind, JSON_BOOL);
	assert_int_equal(json_bool(json_get(t.json, STR("admin_made")), &admin_made), OK);
	assert_true(admin_made);
	assert_text(text_at(&t, "/user_name"), "alice");
}

/* P102: neither the socket's file mode nor an administrator's verb signature makes a grant. */
static void p102_no_signature_no_grant(void **state)
{
	world_t *w = *state;
	int64_t all = records(w->b, NULL);
	lent_t l = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	const char *body = fmt(w->b, "{\"document\":%s,\"signature\":\"\"}", "\"{}\"");
	told_t t = post(w->b, "/grants", body);

	refused(w, &t, all, 400, NULL, 0);
	uint8_t zero[64] = { 0 };
	t = sign(w->b, bench_operator(w->b), "grant.create", "POST", "/grants",
		lent_body(w->b, l.document, str_bytes(zero, 64)));
	refused(w, &t, all, 403, "grant_signature", 1); /* known by the verb's signature */
}

/* Never more than user, agent and route have: the wider thing is named. */
static void no_more_than_there_is(void **state)
{
	world_t *w = *state;
	static const struct {
		const char *scope, *item;
		bool helper;
		const char *error, *detail;
		int status;
	} rows[] = {
		{ "invoices:read invoices:delete", NULL, false, "bounds", "invoices:delete", 403 },
		{ "invoices:read tickets:create", NULL, true, "bounds", "tickets:create", 403 },
		{ "", NULL, false, "scope", "invoices:read", 400 },
		{ NULL, "{\"type\":\"mcp_tool_call\",\"server\":\"" GATEWAY "/r/invoices\",\"tool\":\"nope\",\"constraints\":[]}",
			false, "tool", "nope", 403 },
		{ NULL, "{\"type\":\"mcp_tool_call\",\"server\":\"" GATEWAY "/r/none\",\"tool\":\"x\",\"constraints\":[]}",
			false, "target", "no such route", 400 },
		{ NULL, "{\"type\":\"mcp_tool_call\",\"server\":\"http://127.0.0.1:9/r/invoices\",\"tool\":\"read_file\","
			"\"constraints\":[]}", false, "target", "server", 400 },
		{ NULL, "{\"type\":\"http_request\",\"server\":\"" GATEWAY "/r/invoices\",\"method\":\"GET\",\"path\":\"/x\","
			"\"constraints\":[]}", false, "tool", "GET /x", 403 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t all = records(w->b, NULL);
		told_t t = lend(w->b, &(lend_t){ .user = w->alice, .agent = rows[i].helper ? w->helper : w->scout,
			.scope = rows[i].scope, .item = rows[i].item });
		refused(w, &t, all, rows[i].status, rows[i].error, 1);
		if (!str_contains(text_at(&t, "/detail"), str_of(rows[i].detail))) {
			fail_msg("row %zu: %.*s", i, STR_ARG(t.text));
		}
	}
}

static void times_issuer_and_agent(void **state)
{
	world_t *w = *state;
	person_t *gone = agent_add(w->b, "gone", "[\"invoices:read\"]");
	person_t ghost = { .id = STR("spiffe://" TRUST_DOMAIN "/agent/ghost") };
	int64_t all;
	told_t t = post(w->b, "/agents/gone/state", "{\"state\":\"quarantined\"}");

	assert_told(&t, 200, NULL);
	all = records(w->b, NULL);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .iat_s = -7200, .exp_s = -3600 });
	refused(w, &t, all, 400, "value", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .iat_s = 600 });
	refused(w, &t, all, 400, "value", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .iat_s = -90000 });
	refused(w, &t, all, 400, "value", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .iss = "http://127.0.0.1:1" });
	refused(w, &t, all, 400, "value", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = &ghost });
	refused(w, &t, all, 404, "not_found", 0);
	t = lend(w->b, &(lend_t){ .user = w->alice, .agent = gone });
	refused(w, &t, all, 401, "agent_state", 1);
}

/* A child grant is the parent's agent's to sign; the starter rules let users delegate, agents not. */
static void children(void **state)
{
	world_t *w = *state;
	lent_t parent = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout, .depth = 3, .uses = 50 });
	lend_t child = { .user = w->scout, .agent = w->helper, .depth = 2, .uses = 10, .exp_s = 1800,
		.parent_id = parent.id, .parent_doc = parent.document };
	int64_t all;
	told_t t = hand_in(w->b, &parent);

	assert_told(&t, 201, NULL);
	all = records(w->b, NULL);
	t = lend(w->b, &child);
	refused(w, &t, all, 403, "denied", 1);
	assert_true(str_contains(newest(w->b, "decision"), w->scout->id));
	t = sign(w->b, bench_operator(w->b), "policy.push", "POST", "/policy",
		"{\"files\":[{\"name\":\"a.cedar\",\"text\":\"@id(\\\"all\\\") permit (principal, action, resource);\"}]}");
	assert_told(&t, 200, NULL);
	all = records(w->b, NULL);
	t = sign(w->b, w->scout, "role.put", "PUT", "/roles/reader", "{\"permissions\":[]}");
	refused(w, &t, all, 401, "login", 0); /* whatever the rules permit: agents sign no verb (P42, P102) */
	lend_t wrong = child;
	wrong.key = w->alice; /* a user is not the parent's agent */
	t = lend(w->b, &wrong);
	refused(w, &t, all, 403, "grant_signature", 0);
	wrong = child;
	wrong.uses = 51;
	t = lend(w->b, &wrong);
	refused(w, &t, all, 403, "bounds", 1);
	wrong = child;
	wrong.depth = 3;
	t = lend(w->b, &wrong);
	refused(w, &t, all, 400, "depth", 2);
	wrong = child;
	wrong.parent_doc = STR("another");
	t = lend(w->b, &wrong);
	refused(w, &t, all, 403, "bounds", 3);
	lent_t made = lend_make(w->b, &child);
	t = hand_in(w->b, &made);
	assert_told(&t, 201, NULL);
	assert_true(str_contains(newest(w->b, "grant"), parent.id));
	t = get(w->b, fmt(w->b, "/grants/%.*s", STR_ARG(made.id)));
	assert_int_equal(number_at(&t, "/depth"), 1);
	assert_text(text_at(&t, "/user_name"), "alice");

	t = tell(w->b, &(ask_t){ .method = "POST", .path = fmt(w->b, "/grants/%.*s/revoke", STR_ARG(parent.id)),
		.body = "{\"reason\":\"enough\"}", .verb = "grant.revoke", .by = w->alice, .tcp = true });
	assert_told(&t, 200, NULL);
	assert_true(str_contains(t.text, made.id) && str_contains(t.text, parent.id));
	t = get(w->b, fmt(w->b, "/grants/%.*s", STR_ARG(made.id)));
	assert_text(text_at(&t, "/state"), "revoked");
	all = records(w->b, NULL);
	t = lend(w->b, &child); /* P84 */
	refused(w, &t, all, 403, "grant_revoked", 1);
}

/* One's own at once; others' when the rules say so; on the socket by the account. */
static void a_grant_ends(void **state)
{
	world_t *w = *state;
	lent_t l = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	const char *path = fmt(w->b, "/grants/%.*s/revoke", STR_ARG(l.id));
	told_t t = hand_in(w->b, &l);
	int64_t all;

	assert_told(&t, 201, NULL);
	all = records(w->b, NULL);
	t = tell(w->b, &(ask_t){ .method = "POST", .path = path, .body = "{}", .tcp = true });
	refused(w, &t, all, 401, "login", 0);
	t = sign(w->b, w->bob, "grant.revoke", "POST", path, "{}");
	refused(w, &t, all, 403, "verb", 1);
	t = sign(w->b, w->alice, "grant.revoke", "POST", path, "{\"reason\":\"she left at noon\"}");
	assert_told(&t, 200, NULL);
	assert_true(str_eq(text_at(&t, "/ended/0"), l.id));
	str_t leaf = newest(w->b, "revoke");
	assert_true(str_contains(leaf, STR("\"reason\":\"hmac-256:")) && str_contains(leaf, w->alice->id));
	assert_false(str_contains(leaf, STR("noon")));
	all = records(w->b, NULL);
	t = post(w->b, path, "{}"); /* again: it is so */
	assert_told(&t, 200, NULL);
	assert_int_equal(records(w->b, NULL), all);
	t = post(w->b, "/grants/01ARZ3NDEKTSV4RRFFQ69G5FAV/revoke", "{}");
	assert_told(&t, 404, "not_found");
	l = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	t = hand_in(w->b, &l);
	assert_told(&t, 201, NULL);
	t = post(w->b, fmt(w->b, "/grants/%.*s/revoke", STR_ARG(l.id)), "{}");
	assert_told(&t, 200, NULL);
	assert_true(str_contains(newest(w->b, "revoke"), STR("\"by\":\"unix:uid:")));
}

/* "ms" is the time until the revoke is durable: another change that shares its transaction, and comes after
 * it there, counts. */
static void revoke_says_how_long(void **state)
{
	world_t *w = *state;
	enum { BEFORE_MS = 400, WITH_MS = 500 };
	lent_t l = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	const char *path = fmt(w->b, "/grants/%.*s/revoke", STR_ARG(l.id));
	told_t t = hand_in(w->b, &l);
	const char *text;
	double ms = 0;

	assert_told(&t, 201, NULL);
	bench_stall(w->b, 0, BEFORE_MS);
	bench_stall(w->b, BEFORE_MS - 50, WITH_MS);
	usleep(50 * 1000); /* the first has begun */
	t = sign(w->b, w->alice, "grant.revoke", "POST", path, "{}");
	assert_told(&t, 200, NULL);
	assert_int_equal(arena_cstr(bench_arena(w->b), json_raw(json_get(t.json, STR("ms"))), &text), OK);
	assert_int_equal(sscanf(text, "%lf", &ms), 1);
	assert_true(ms >= WITH_MS);
}

/* A user sees their own, an administrator all. */
static void lists(void **state)
{
	world_t *w = *state;
	lent_t mine = lend_make(w->b, &(lend_t){ .user = w->alice, .agent = w->scout });
	lent_t his = lend_make(w->b, &(lend_t){ .user = w->bob, .agent = w->helper });
	ask_t ask = { .method = "GET", .path = "/grants?limit=1000", .verb = "read", .by = w->bob, .tcp = true };
	told_t t = hand_in(w->b, &mine);

	assert_told(&t, 201, NULL);
	t = hand_in(w->b, &his);
	assert_told(&t, 201, NULL);
	t = tell(w->b, &ask);
	assert_told(&t, 200, NULL);
	assert_true(str_contains(t.text, his.id) && !str_contains(t.text, mine.id));
	ask.path = fmt(w->b, "/grants/%.*s", STR_ARG(mine.id));
	t = tell(w->b, &ask);
	assert_told(&t, 404, "not_found");
	ask.path = "/grants?user=alice"; /* a filter gives nobody eyes */
	t = tell(w->b, &ask);
	assert_false(str_contains(t.text, mine.id));
	ask.by = bench_operator(w->b);
	t = tell(w->b, &ask);
	assert_true(str_contains(t.text, mine.id) && !str_contains(t.text, his.id));
	t = get(w->b, "/grants?limit=1");
	str_t next = text_at(&t, "/next");
	assert_int_equal(next.n, 26);
	t = get(w->b, fmt(w->b, "/grants?limit=1&before=%.*s", STR_ARG(next)));
	assert_told(&t, 200, NULL);
	assert_false(str_eq(text_at(&t, "/grants/0/id"), next));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grant_comes_in),
		cmocka_unit_test(p99_signatures),
		cmocka_unit_test(p100_other_members),
		cmocka_unit_test(p101_admin_made),
		cmocka_unit_test(p102_no_signature_no_grant),
		cmocka_unit_test(no_more_than_there_is),
		cmocka_unit_test(times_issuer_and_agent),
		cmocka_unit_test(a_grant_ends),
		cmocka_unit_test(revoke_says_how_long),
		cmocka_unit_test(lists),
		cmocka_unit_test(children),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
