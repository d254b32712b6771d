/* snapshot: written by one end, read by the other, and everything that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "domain/snapshot/snapshot.h"
#include "pure/codec/codec.h"
#include "../delegation/mutate.h"

#define UID1 "u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11"
#define UID2 "u:7c1d0a52-5f0e-4a7e-8d0e-0d3a7b1f2c33"
#define JKT "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"

#define STDIO                                                                                      \
	"{\"kind\":\"mcp-stdio\",\"command\":[\"node\",\"/opt/s.js\"],\"cwd\":\"/srv\",\"env\":{\"K\":\"V\"},"  \
	"\"environment\":\"prod\",\"data_classes\":[\"finance\"],\"tools\":{\"write\":{\"scope\":\"i:w\","  \
	"\"effect\":\"mutating\"},\"read\":{\"scope\":\"i:r\",\"effect\":\"readonly\"}}}"
#define MCP                                                                                        \
	"{\"kind\":\"mcp-http\",\"upstream\":\"http://127.0.0.1:9001/mcp\",\"credential\":{\"secret\":\"s\"," \
	"\"header\":\"Authorization\",\"prefix\":\"Bearer \"},\"environment\":\"prod\",\"data_classes\":[],"  \
	"\"tools\":{},\"default_scope\":\"x:any\",\"limits\":{\"timeout_ms\":5,\"concurrent\":7}}"
#define HTTP                                                                                       \
	"{\"kind\":\"http\",\"upstream\":\"https://t.example\",\"environment\":\"prod\",\"data_classes\":[]," \
	"\"http\":[{\"method\":\"GET\",\"path\":\"/tickets/{id}\",\"scope\":\"t:r\",\"effect\":\"readonly\"},"  \
	"{\"method\":\"POST\",\"path\":\"/tickets\",\"scope\":\"t:c\",\"effect\":\"irreversible\"}]}"

static snapshot_route_t route_of(arena_t *a, const char *doc, const char *name)
{
	snapshot_route_t r;
	diag_t d = { 0 };

	if (snapshot_route_parse(a, str_of(doc), &r, &d) != OK) {
		fail_msg("%s: %s", name, d.text);
	}
	r.name = str_of(name);
	r.rev = 3;
	r.url = arena_cat(a, STR("https://gw.example/r/"), r.name);
	return r;
}

static void fill(arena_t *a, snapshot_content_t *c)
{
	static uint8_t secret[32] = { 1, 2, 3 };
	static const str_t names[] = { STR_INIT("reader"), STR_INIT("writer") };
	static const str_t jkts[] = { STR_INIT(JKT) };
	snapshot_route_t *routes = arena_array(a, snapshot_route_t, 3);
	snapshot_agent_t *agents = arena_array(a, snapshot_agent_t, 2);
	snapshot_user_t *users = arena_array(a, snapshot_user_t, 2);
	snapshot_role_t *roles = arena_array(a, snapshot_role_t, 2);
	snapshot_policy_file_t *files = arena_array(a, snapshot_policy_file_t, 1);
	jose_jwk_t *keys = arena_array(a, jose_jwk_t, 2);
	AUTO(crypto_key_free) crypto_key_t *ed = NULL;
	AUTO(crypto_key_free) crypto_key_t *ec = NULL;

	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(secret, 32), &ed), OK);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_P256, str_bytes(secret, 32), &ec), OK);
	keys[0] = (jose_jwk_t){ .pub = *crypto_key_pub(ed), .kid = STR("k1") };
	keys[1] = (jose_jwk_t){ .pub = *crypto_key_pub(ec), .kid = STR("k2") };
	routes[0] = route_of(a, HTTP, "tickets");
	routes[1] = route_of(a, STDIO, "invoices");
	routes[2] = route_of(a, MCP, "warehouse");
	agents[0] = (snapshot_agent_t){ STR("spiffe://td/auto/nightly"), STR("nightly"),
		DELEGATION_AGENT_AUTONOMOUS, STR(UID1), names, 0, STR(""), SNAPSHOT_QUARANTINED, 4, jkts, 0 };
	agents[1] = (snapshot_agent_t){ STR("spiffe://td/agent/scout"), STR("scout"),
		DELEGATION_AGENT_DELEGATED, STR("alice"), names, 2, STR("i:r t:c"), SNAPSHOT_ACTIVE, 1, jkts, 1 };
	users[0] = (snapshot_user_t){ STR(UID2), STR("bob"), false, names, 0, STR("") };
	users[1] = (snapshot_user_t){ STR(UID1), STR("alice"), true, names, 1, STR("i:r i:w") };
	roles[0] = (snapshot_role_t){ STR("writer"), STR("i:r i:w") };
	roles[1] = (snapshot_role_t){ STR("reader"), STR("i:r") };
	files[0] = (snapshot_policy_file_t){ STR("a.cedar"), STR("permit(principal, action, resource);\n") };
	*c = (snapshot_content_t){ .version = 42, .issuer = STR("https://auth.example"),
		.trust_domain = STR("td"), .token_keys = { keys, 2 }, .policy_version = 7,
		.nonce_key = { secret, 32 }, .session_key = { secret, 32 }, .policy_files = files,
		.n_policy_files = 1, .routes = routes, .n_routes = 3, .agents = agents, .n_agents = 2,
		.users = users, .n_users = 2, .roles = roles, .n_roles = 2 };
	c->policy_digest[0] = 9;
}

static void written_text(arena_t *a, buf_t *b)
{
	snapshot_content_t c;

	buf_init(b, 1 << 20);
	fill(a, &c);
	assert_int_equal(snapshot_write(&c, b), OK);
}

static void what_is_written_is_read(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_wipe) buf_t b;
	AUTO(buf_wipe) buf_t again;
	AUTO(snapshot_unref) snapshot_t *s = NULL;
	snapshot_tool_t tool;
	uint8_t digest[32];

	(void)state;
	written_text(a, &b);
	assert_int_equal(snapshot_parse(buf_str(&b), &s, NULL), OK);
	crypto_sha256(buf_str(&b), digest);
	assert_memory_equal(digest, s->digest, 32);
	assert_int_equal(s->c.version, 42);
	assert_int_equal(s->c.policy_version, 7);
	assert_int_equal(s->c.policy_digest[0], 9);
	assert_int_equal(s->c.nonce_key.n, 32);
	assert_int_equal(s->c.session_key.p[1], 2);
	assert_int_equal(s->c.token_keys.n, 2);
	assert_non_null(jose_jwks_find(&s->c.token_keys, STR("k2"))->verifier);
	/* sorted, found */
	const snapshot_route_t *r = snapshot_route(s, STR("invoices"));
	assert_non_null(r);
	assert_ptr_equal(r, &s->c.routes[0]);
	assert_ptr_equal(snapshot_route_by_url(s, STR("https://gw.example/r/invoices")), r);
	assert_null(snapshot_route_by_url(s, STR("https://evil.example/r/invoices")));
	assert_null(snapshot_route_by_url(s, STR("")));
	assert_null(snapshot_route(s, STR("nothing")));
	assert_int_equal(r->rev, 3);
	assert_int_equal(r->n_command, 2);
	assert_true(str_eq(r->env[0].value, STR("V")));
	assert_int_equal(r->timeout_ms, SNAPSHOT_TIMEOUT_MS_DEFAULT);
	assert_true(snapshot_tool(r, STR("read"), &tool) && tool.effect == SNAPSHOT_READONLY);
	assert_false(snapshot_tool(r, STR("rm"), &tool));
	r = snapshot_route(s, STR("warehouse"));
	assert_true(r->has_credential && str_eq(r->credential_prefix, STR("Bearer ")));
	assert_true(snapshot_tool(r, STR("rm"), &tool) && tool.effect == SNAPSHOT_MUTATING);
	assert_true(str_eq(tool.scope, STR("x:any")) && str_eq(tool.name, STR("rm")));
	assert_int_equal(r->concurrent, 7);
	const snapshot_agent_t *g = snapshot_agent(s, STR("spiffe://td/agent/scout"));
	assert_true(g && str_eq(g->scopes, STR("i:r t:c")) && g->state == SNAPSHOT_ACTIVE);
	assert_true(snapshot_agent_has_key(g, STR(JKT)));
	assert_false(snapshot_agent_has_key(g, STR("x")));
	g = snapshot_agent(s, STR("spiffe://td/auto/nightly"));
	assert_true(g && g->kind == DELEGATION_AGENT_AUTONOMOUS && g->state == SNAPSHOT_QUARANTINED);
	assert_null(snapshot_agent(s, STR("spiffe://td/agent/none")));
	assert_true(snapshot_user(s, STR(UID1))->active);
	assert_false(snapshot_user(s, STR(UID2))->active);
	assert_true(str_eq(snapshot_role(s, STR("reader"))->permissions, STR("i:r")));
	assert_true(str_ends(s->c.policy_files[0].text, STR(";\n")));
	/* a second writing of what was read: the same but for order, so a fixed point after one turn */
	buf_init(&again, 1 << 20);
	assert_int_equal(snapshot_write(&s->c, &again), OK);
	AUTO(snapshot_unref) snapshot_t *t = NULL;
	AUTO(buf_wipe) buf_t third;
	assert_int_equal(snapshot_parse(buf_str(&again), &t, NULL), OK);
	buf_init(&third, 1 << 20);
	assert_int_equal(snapshot_write(&t->c, &third), OK);
	assert_true(str_eq(buf_str(&again), buf_str(&third)));
}

static void handles_are_counted(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_wipe) buf_t b;
	snapshot_t *s;

	(void)state;
	written_text(a, &b);
	assert_int_equal(snapshot_parse(buf_str(&b), &s, NULL), OK);
	assert_ptr_equal(snapshot_ref(s), s);
	snapshot_unref(s);
	assert_int_equal(s->c.version, 42);
	snapshot_unref(s);
	snapshot_unref(NULL);
}

static void rules_fit_by_segment(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	snapshot_route_t r = route_of(a, HTTP, "tickets");

	(void)state;
	assert_int_equal(snapshot_rule(&r, STR("POST"), STR("/tickets"))->effect, SNAPSHOT_IRREVERSIBLE);
	assert_non_null(snapshot_rule(&r, STR("GET"), STR("/tickets/7")));
	assert_null(snapshot_rule(&r, STR("GET"), STR("/tickets/")));
	assert_null(snapshot_rule(&r, STR("GET"), STR("/tickets/7/x")));
	assert_null(snapshot_rule(&r, STR("GET"), STR("/tickets")));
	assert_null(snapshot_rule(&r, STR("POST"), STR("/tickets/")));
	assert_null(snapshot_rule(&r, STR("PUT"), STR("/tickets")));
	assert_null(snapshot_rule(&r, STR("POST"), STR("/ticketsx")));
}

static str_t replaced(arena_t *a, str_t text, const char *from, const char *to)
{
	str_t f = str_of(from);

	for (size_t i = 0; i + f.n <= text.n; i++) {
		if (str_eq(str_sub(text, i, f.n), f)) {
			return arena_cat(a, str_sub(text, 0, i), str_of(to),
				str_sub(text, i + f.n, text.n));
		}
	}
	fail_msg("not found: %s", from);
	return text;
}

typedef struct {
	const char *doc, *from, *to;
} change_t;

static void route_documents_are_strict(void **state)
{
	static const change_t changes[] = {
		{ STDIO, "mcp-stdio", "stdio" }, { STDIO, "\"kind\":\"mcp-stdio\",", "" },
		{ STDIO, "[\"node\",\"/opt/s.js\"]", "[]" }, { STDIO, "[\"node\"", "[\"\"" },
		{ STDIO, "[\"node\"", "[1" }, { STDIO, "\"/srv\"", "\"srv\"" },
		{ STDIO, "{\"K\":\"V\"}", "{\"1K\":\"V\"}" }, { STDIO, "{\"K\":\"V\"}", "{\"K-K\":\"V\"}" },
		{ STDIO, "{\"K\":\"V\"}", "{\"\":\"V\"}" }, { STDIO, "{\"K\":\"V\"}", "{\"K\":1}" },
		{ STDIO, "{\"K\":\"V\"}", "[]" }, { STDIO, "\"environment\":\"prod\",", "" },
		{ STDIO, "\"prod\"", "\"*\"" }, { STDIO, "[\"finance\"]", "[\"*\"]" },
		{ STDIO, "\"data_classes\":[\"finance\"],", "" }, { STDIO, "\"i:w\"", "\"i:w i:x\"" },
		{ STDIO, "\"i:w\"", "\"\"" }, { STDIO, "\"mutating\"", "\"safe\"" },
		{ STDIO, "\"write\":{", "\"wr ite\":{" }, { STDIO, "\"write\":{", "\"write\":{\"x\":1," },
		{ STDIO, "\"write\":{", "\"read\":{" }, { STDIO, "\"write\":{", "\"write\":1,\"x\":{" },
		{ STDIO, "\"kind\":", "\"upstream\":\"http://127.0.0.1\",\"kind\":" },
		{ STDIO, "\"kind\":", "\"http\":[],\"kind\":" }, { STDIO, "\"kind\":", "\"credential\":null,\"kind\":" },
		{ STDIO, "\"kind\":", "\"default_scope\":1,\"kind\":" },
		{ MCP, "http://127.0.0.1:9001/mcp", "http://upstream.example/mcp" },
		{ MCP, "http://127.0.0.1:9001/mcp", "https://u.example/mcp?x" }, { MCP, "http://127.0.0.1:9001/mcp", "mcp" },
		{ MCP, "\"secret\":\"s\"", "\"secret\":\"S\"" }, { MCP, "\"secret\":\"s\",", "" },
		{ MCP, "Authorization", "Host" }, { MCP, "Authorization", "Transfer-Encoding" },
		{ MCP, "Authorization", "A:b" }, { MCP, "Authorization", "" }, { MCP, "Bearer ", "Bearer\\n" },
		{ MCP, "\"prefix\":", "\"prefixes\":" }, { MCP, "{\"secret\"", "1,\"x\":{\"secret\"" },
		{ MCP, "\"timeout_ms\":5", "\"timeout_ms\":0" }, { MCP, "\"timeout_ms\":5", "\"timeout_ms\":600001" },
		{ MCP, "\"concurrent\":7", "\"concurrent\":0" }, { MCP, "\"concurrent\":7", "\"concurrents\":7" },
		{ MCP, "{\"timeout_ms\":5,\"concurrent\":7}", "7" }, { MCP, "\"kind\":", "\"http\":[],\"kind\":" },
		{ MCP, "\"kind\":", "\"command\":[\"x\"],\"kind\":" },
		{ HTTP, "/tickets/{id}", "/tickets/{id}/" "{}" }, { HTTP, "/tickets/{id}", "/tickets/{ID}" },
		{ HTTP, "/tickets/{id}", "/tickets/x{id}" }, { HTTP, "/tickets/{id}", "/tickets?{id}" },
		{ HTTP, "/tickets/{id}", "tickets" }, { HTTP, "/tickets/{id}", "/a/../b" },
		{ HTTP, "/tickets/{id}", "" }, { HTTP, "\"GET\"", "\"get\"" }, { HTTP, "\"t:r\"", "\"t r\"" },
		{ HTTP, "\"GET\",\"path\":\"/tickets/{id}\"", "\"POST\",\"path\":\"/tickets\"" },
		{ HTTP, "[{\"method\"", "[1,{\"method\"" }, { HTTP, "\"method\"", "\"x\":1,\"method\"" },
		{ HTTP, "\"kind\":", "\"tools\":{},\"kind\":" }, { HTTP, "\"upstream\":\"https://t.example\",", "" },
	};
	AUTO(arena_free) arena_t *a = arena_open();
	snapshot_route_t r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		const change_t *c = &changes[i];
		diag_t d = { 0 };
		if (snapshot_route_parse(a, replaced(a, str_of(c->doc), c->from, c->to), &r, &d) == OK) {
			fail_msg("accepted: %s -> %s", c->from, c->to);
		}
	}
	assert_int_not_equal(snapshot_route_parse(a, STR("[]"), &r, NULL), OK);
	assert_int_equal(snapshot_route_parse(a,
				 replaced(a, STR(MCP), "{\"secret\":\"s\",\"header\":\"Authorization\",\"prefix\":\"Bearer \"}",
					 "null"),
				 &r, NULL),
		OK);
	assert_false(r.has_credential);
	assert_int_equal(snapshot_route_parse(a, replaced(a, STR(MCP), "\"x:any\"", "null"), &r, NULL), OK);
	assert_int_equal(r.default_scope.n, 0);
	assert_int_equal(
		snapshot_route_parse(a, replaced(a, STR(MCP), ",\"prefix\":\"Bearer \"", ""), &r, NULL), OK);
}

static void snapshots_are_strict(void **state)
{
	static const char *const changes[][2] = {
		{ "\"version\":42,", "" }, { "\"version\":42", "\"version\":-1" }, { "\"version\":42", "\"version\":42,\"x\":1" },
		{ "\"issuer\":\"https", "\"issue\":\"https" }, { "\"kid\":\"k1\"", "\"kid\":\"k1\",\"d\":\"AA\"" },
		{ "\"crv\":\"Ed25519\"", "\"crv\":\"Ed448\"" }, /* a key of ours that nobody can use */
		{ "\"token_keys\":{", "\"token_keys\":1,\"x\":{" }, { "\"nonce_key\":\"AQID", "\"nonce_key\":\"AQI" },
		{ "\"session_key\":\"AQIDAAAA", "\"session_key\":\"AQID" }, { "\"session_key\":", "\"session\":" },
		{ "\"digest\":\"sha-256:", "\"digest\":\"sha-1:" }, { "\"files\":[", "\"file\":[" }, { "\"files\":[", "\"files\":[1," },
		{ "\"name\":\"a.cedar\",", "" }, { "\"text\":\"permit", "\"texts\":\"permit" }, { "\"version\":7,", "" },
		{ "\"name\":\"tickets\"", "\"name\":\"ticket\"" }, { "\"name\":\"tickets\"", "\"name\":\"Tickets\"" },
		{ "/r/tickets", "/r/other" }, { "\"rev\":3,", "" }, { "\"document\":{", "\"documents\":{" },
		{ "\"kind\":\"http\"", "\"kind\":\"ftp\"" }, { "\"routes\":[", "\"routes\":[1," },
		{ "spiffe://td/agent/scout", "spiffe://tx/agent/scout" }, { "spiffe://td/agent/scout", "spiffe://td/agent/scouts" },
		{ "spiffe://td/agent/scout", "spiffe://td/auto/scout" }, { "spiffe://td/agent/scout", "scout" },
		{ "\"kind\":\"autonomous\"", "\"kind\":\"delegated\"" }, { "\"owner\":\"alice\"", "\"owner\":\"Alice\"" },
		{ "\"owner\":\"alice\",", "" }, { "\"roles\":[\"reader\",\"writer\"]", "\"roles\":[\"Reader\"]" },
		{ "\"state\":\"active\"", "\"state\":\"on\"" }, { "\"max_depth\":1", "\"max_depth\":0" },
		{ "\"max_depth\":1", "\"max_depth\":5" }, { "[\"" JKT "\"]", "[\"x\"]" }, { "\"scopes\":\"i:r t:c\"", "\"scopes\":\"i:r  t:c\"" },
		{ "\"scopes\":\"i:r t:c\",", "" }, { "\"agents\":[", "\"agents\":[1," }, { UID2, UID1 }, { UID2, "bob" },
		{ "\"active\":false", "\"active\":\"no\"" }, { "\"active\":false,", "" }, { "\"name\":\"bob\"", "\"name\":\"Bob\"" },
		{ "\"users\":[", "\"users\":[1," }, { "\"permissions\":\"i:r i:w\"", "\"permissions\":1" },
		{ "\"name\":\"writer\"", "\"name\":\"reader\"" }, { "\"name\":\"writer\"", "\"name\":\"\"" },
		{ "\"roles\":[{", "\"roles\":[1,{" }, { "\"name\":\"writer\"", "\"name\":\"writer\",\"y\":1" },
	};
	AUTO(arena_free) arena_t *a = arena_new_capped(16 << 20);
	AUTO(buf_wipe) buf_t b;
	snapshot_t *s;

	(void)state;
	written_text(a, &b);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		if (snapshot_parse(replaced(a, buf_str(&b), changes[i][0], changes[i][1]), &s, NULL) == OK) {
			fail_msg("accepted: %s -> %s", changes[i][0], changes[i][1]);
		}
	}
	assert_int_not_equal(snapshot_parse(STR("[]"), &s, NULL), OK);
	assert_int_not_equal(snapshot_parse(STR(""), &s, NULL), OK);
	for (size_t n = 1; n < b.n; n += 97) { /* cut anywhere */
		assert_int_not_equal(snapshot_parse(str_sub(buf_str(&b), 0, n), &s, NULL), OK);
	}
}

static void writing_meets_its_limit(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_wipe) buf_t b;
	snapshot_content_t c;

	(void)state;
	buf_init(&b, 100);
	fill(a, &c);
	assert_int_equal(snapshot_write(&c, &b), ERR_LIMIT);
}

static err_t route_with(arena_t *a, const char *doc, const char *from, const buf_t *to)
{
	const char *z;
	snapshot_route_t r;

	assert_int_equal(arena_cstr(a, buf_str(to), &z), OK);
	return snapshot_route_parse(a, replaced(a, str_of(doc), from, z), &r, NULL);
}

static void routes_meet_their_limits(void **state)
{
	AUTO(buf_done) buf_t b;

	(void)state;
	buf_init(&b, 1 << 18);
	for (size_t n = SNAPSHOT_TOOLS_MAX; n <= SNAPSHOT_TOOLS_MAX + 1; n++) {
		AUTO(arena_free) arena_t *a = arena_new_capped(8 << 20);
		buf_clear(&b);
		for (size_t i = 0; i < n; i++) {
			buf_printf(&b, "%s\"t%zu\":{\"scope\":\"s\",\"effect\":\"readonly\"}", i ? "," : "{", i);
		}
		buf_byte(&b, '}');
		assert_int_equal(route_with(a, MCP, "{}", &b), n <= SNAPSHOT_TOOLS_MAX ? OK : ERR_LIMIT);
	}
	for (size_t n = SNAPSHOT_ENV_MAX; n <= SNAPSHOT_ENV_MAX + 1; n++) {
		AUTO(arena_free) arena_t *a = arena_open();
		buf_clear(&b);
		for (size_t i = 0; i < n; i++) {
			buf_printf(&b, "%s\"E%zu\":\"\"", i ? "," : "{", i);
		}
		buf_byte(&b, '}');
		assert_int_equal(route_with(a, STDIO, "{\"K\":\"V\"}", &b),
			n <= SNAPSHOT_ENV_MAX ? OK : ERR_LIMIT);
	}
	for (size_t n = SNAPSHOT_STRING_BYTES_MAX; n <= SNAPSHOT_STRING_BYTES_MAX + 1; n++) {
		AUTO(arena_free) arena_t *a = arena_open();
		buf_clear(&b);
		for (size_t i = 0; i < n; i++) {
			buf_byte(&b, 'v');
		}
		assert_int_equal(route_with(a, STDIO, "V", &b), n <= SNAPSHOT_STRING_BYTES_MAX ? OK : ERR_LIMIT);
		assert_int_equal(route_with(a, STDIO, "/opt/s.js", &b),
			n <= SNAPSHOT_STRING_BYTES_MAX ? OK : ERR_LIMIT);
		assert_int_equal(route_with(a, STDIO, "read\"", &b) == OK, false);
		assert_int_equal(route_with(a, MCP, "Authorization", &b), ERR_LIMIT);
	}
}

static void snapshots_meet_their_limits(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_wipe) buf_t b;
	snapshot_content_t c;
	snapshot_t *s;
	jose_jwk_t keys[SNAPSHOT_TOKEN_KEYS_MAX + 1];
	snapshot_agent_t agents[2];

	(void)state;
	fill(a, &c);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		keys[i] = c.token_keys.keys[0];
		keys[i].kid = arena_printf(a, "k%zu", i);
	}
	for (size_t n = SNAPSHOT_TOKEN_KEYS_MAX; n <= ARRAY_LEN(keys); n++) {
		c.token_keys = (jose_jwks_t){ keys, n };
		buf_init(&b, 1 << 20);
		assert_int_equal(snapshot_write(&c, &b), OK);
		err_t e = snapshot_parse(buf_str(&b), &s, NULL);
		assert_int_equal(e == OK, n <= SNAPSHOT_TOKEN_KEYS_MAX);
		snapshot_unref(e == OK ? s : NULL);
		buf_wipe(&b);
	}
	fill(a, &c);
	agents[0] = c.agents[1];
	agents[0].state = SNAPSHOT_RETIRED;
	agents[1] = c.agents[1];
	c.agents = agents;
	for (c.n_agents = 1; c.n_agents <= 2; c.n_agents++) { /* the second is the first again */
		buf_init(&b, 1 << 20);
		assert_int_equal(snapshot_write(&c, &b), OK);
		err_t e = snapshot_parse(buf_str(&b), &s, NULL);
		assert_int_equal(e, c.n_agents == 1 ? OK : ERR_DUPLICATE);
		if (e == OK) {
			assert_int_equal(s->c.agents[0].state, SNAPSHOT_RETIRED);
			snapshot_unref(s);
		}
		buf_wipe(&b);
	}
	buf_init(&b, 1 << 10);
	assert_int_equal(snapshot_parse(str_bytes("", SNAPSHOT_BYTES_MAX + (size_t)1), &s, NULL), ERR_LIMIT);
}

static err_t snapshot_mutant(str_t text)
{
	AUTO(snapshot_unref) snapshot_t *s = NULL;
	diag_t d = { 0 };

	TRY(snapshot_parse(text, &s, &d));
	AUTO(buf_wipe) buf_t b;
	buf_init(&b, 1 << 20);
	assert_int_equal(snapshot_write(&s->c, &b), OK);
	AUTO(snapshot_unref) snapshot_t *again = NULL;
	assert_int_equal(snapshot_parse(buf_str(&b), &again, NULL), OK);
	return OK;
}

static err_t route_mutant(str_t text)
{
	AUTO(arena_free) arena_t *a = arena_open();
	snapshot_route_t r;

	return snapshot_route_parse(a, text, &r, NULL);
}

static void run_mutants(str_t text, mutant_fn fn, const char *what)
{
	size_t n, refused;

	assert_int_equal(fn(text), OK);
	refused = mutate_all(text, fn, &n);
	print_message("# %s: %zu of %zu mutants refused\n", what, refused, n);
	assert_true(n > 100 && refused * 10 >= n * 7);
}

static void mutants_are_read_whole_or_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_wipe) buf_t b;

	(void)state;
	written_text(a, &b);
	run_mutants(buf_str(&b), snapshot_mutant, "snapshot");
	run_mutants(STR(STDIO), route_mutant, "mcp-stdio");
	run_mutants(STR(MCP), route_mutant, "mcp-http");
	run_mutants(STR(HTTP), route_mutant, "http");
}

static void full_arenas_are_refused(void **state)
{
	size_t refused = 0;

	(void)state;
	for (size_t cap = 0; cap < 40000; cap += 200) {
		AUTO(arena_free) arena_t *a = arena_new_capped(cap);
		snapshot_route_t r;
		refused += snapshot_route_parse(a, STR(STDIO), &r, NULL) != OK;
	}
	assert_true(refused > 3 && refused < 200);
}

/* A token of an autonomous agent, signed by the snapshot's first key. */
static str_t token_of(arena_t *a)
{
	static uint8_t secret[32] = { 1, 2, 3 };
	const jose_sign_t header = { .typ = STR("at+jwt"), .kid = STR("k1") };
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	delegation_claims_t c = { .iss = STR("https://auth.example"), .aud = STR("https://gw.example/r/tickets"),
		.sub = STR("spiffe://td/auto/nightly"), .sub_profile = STR("ai_agent"),
		.client_id = STR("spiffe://td/auto/nightly"), .iat = 1000, .exp = 1300,
		.jti = STR("AAAAAAAAAAAAAAAAAAAAAA"), .txn = STR("t1"), .scope = STR("t:c"), .jkt = STR(JKT),
		.assurance = DELEGATION_KEY };
	str_t payload, text;

	delegation_direction_autonomous(c.iss, DELEGATION_INIT_SCHEDULE, &c.direction);
	assert_int_equal(delegation_claims_write(a, &c, &payload), OK);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(secret, 32), &key), OK);
	assert_int_equal(jose_jws_sign(a, key, &header, payload, &text), OK);
	return text;
}

/* Whatever is remembered, the answer is the one that a first look gives. */
static void a_remembered_token_is_checked_as_a_new_one(void **state)
{
	static const struct {
		str_t issuer, audience;
		int64_t now_s;
		err_t err;
	} rows[] = {
		{ STR_INIT("https://auth.example"), STR_INIT("https://gw.example/r/tickets"), 1100, OK },
		{ STR_INIT("https://auth.example"), STR_INIT("https://gw.example/r/tickets"), 1304, OK }, /* leeway */
		{ { NULL, 0 }, { NULL, 0 }, 1000, OK },
		{ STR_INIT("https://auth.example"), STR_INIT("https://gw.example/r/tickets"), 1305, ERR_EXPIRED },
		{ STR_INIT("https://auth.example"), STR_INIT("https://gw.example/r/tickets"), 994, ERR_NOT_YET },
		{ STR_INIT("https://auth.example"), STR_INIT("https://gw.example/r/invoices"), 1100, ERR_AUDIENCE },
		{ STR_INIT("https://other.example"), STR_INIT("https://gw.example/r/tickets"), 1100, ERR_ISSUER },
	};
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_wipe) buf_t b;
	AUTO(snapshot_unref) snapshot_t *s = NULL;
	str_t text = token_of(a);
	snapshot_tokens_t *warm = snapshot_tokens_new();
	snapshot_token_expect_t x = { .now_unix_s = 1100, .leeway_s = 5 };
	delegation_claims_t c;
	uint8_t hash[32], expected[32];

	(void)state;
	written_text(a, &b);
	assert_int_equal(snapshot_parse(buf_str(&b), &s, NULL), OK);
	assert_int_equal(snapshot_token_verify(warm, a, s, text, &x, hash, &c, NULL), OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snapshot_tokens_t *cold = snapshot_tokens_new();

		x = (snapshot_token_expect_t){ rows[i].issuer, rows[i].audience, rows[i].now_s, 5 };
		assert_int_equal(snapshot_token_verify(cold, a, s, text, &x, hash, &c, NULL), rows[i].err);
		assert_int_equal(snapshot_token_verify(warm, a, s, text, &x, hash, &c, NULL), rows[i].err);
		snapshot_tokens_free(cold);
	}
	x = (snapshot_token_expect_t){ .now_unix_s = 1100, .leeway_s = 5 };
	assert_int_equal(snapshot_token_verify(warm, a, s, text, &x, hash, &c, NULL), OK);
	crypto_sha256(text, expected);
	assert_memory_equal(hash, expected, 32);
	snapshot_tokens_free(warm); /* what was handed out lives as long as the arena */
	assert_true(str_eq(c.client_id, STR("spiffe://td/auto/nightly")) && str_eq(c.scope, STR("t:c")));
}

static void another_byte_or_another_key_is_another_token(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_wipe) buf_t b;
	AUTO(snapshot_unref) snapshot_t *s = NULL;
	AUTO(snapshot_unref) snapshot_t *rotated = NULL;
	str_t text = token_of(a), changed;
	snapshot_tokens_t *tokens = snapshot_tokens_new();
	snapshot_token_expect_t x = { .now_unix_s = 1100, .leeway_s = 5 };
	snapshot_content_t content;
	delegation_claims_t c;
	uint8_t hash[32];

	(void)state;
	written_text(a, &b);
	assert_int_equal(snapshot_parse(buf_str(&b), &s, NULL), OK);
	assert_int_equal(snapshot_token_verify(tokens, a, s, text, &x, hash, &c, NULL), OK);
	for (size_t i = 0; i < text.n; i++) {
		AUTO(arena_free) arena_t *scratch = arena_open();

		changed = arena_str(scratch, text);
		((char *)(uintptr_t)changed.p)[i] ^= 1;
		assert_int_not_equal(snapshot_token_verify(tokens, scratch, s, changed, &x, hash, &c, NULL), OK);
	}
	fill(a, &content);
	content.token_keys.keys++; /* the key that signed is gone */
	content.token_keys.n--;
	buf_clear(&b);
	assert_int_equal(snapshot_write(&content, &b), OK);
	assert_int_equal(snapshot_parse(buf_str(&b), &rotated, NULL), OK);
	assert_int_equal(snapshot_token_verify(tokens, a, rotated, text, &x, hash, &c, NULL), ERR_SIGNATURE);
	assert_int_equal(snapshot_token_verify(tokens, a, s, text, &x, hash, &c, NULL), OK);
	snapshot_tokens_free(tokens);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_remembered_token_is_checked_as_a_new_one),
		cmocka_unit_test(another_byte_or_another_key_is_another_token),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(handles_are_counted),
		cmocka_unit_test(rules_fit_by_segment),
		cmocka_unit_test(route_documents_are_strict),
		cmocka_unit_test(snapshots_are_strict),
		cmocka_unit_test(writing_meets_its_limit),
		cmocka_unit_test(routes_meet_their_limits),
		cmocka_unit_test(snapshots_meet_their_limits),
		cmocka_unit_test(mutants_are_read_whole_or_refused),
		cmocka_unit_test(full_arenas_are_refused),
	};
	if (crypto_init() != OK) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
