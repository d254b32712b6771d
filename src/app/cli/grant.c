/* grant.c: attorn grant: a person lends a part of their authority, and takes it back. */
#include <stdio.h>
#include <time.h>

#include "app/cli/json.h"
#include "app/cli/rule.h"
#include "app/cli/verbs.h"
#include "domain/snapshot/snapshot.h"

typedef struct {
	cli_t *c;
	const cli_place_t *place;
	delegation_grant_t grant;
	str_t scope, document;
} create_t;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void scope_add(create_t *g, str_t scope)
{
	if (scope.n && !str_list_has(g->scope, scope)) {
		g->scope = g->scope.n ? arena_cat(g->c->a, g->scope, STR(" "), scope) : scope;
	}
}

/* Without --scope the grant carries what its rules need: read from the routes, shown before signing. */
static int scope_of_rule(create_t *g, const cli_rule_t *rule)
{
	const json_t *root;
	snapshot_route_t route;
	snapshot_tool_t tool;
	diag_t diag = { 0 };
	cli_request_t r = { .method = "GET", .path = arena_cat(g->c->a, STR("/routes/"), pct_enc(g->c->a, rule->route)) };
	int status = cli_call_json(g->c, &r, &root);

	if (status) {
		return status;
	}
	err_t e = snapshot_route_parse(g->c->a, json_raw(json_get(root, STR("document"))), &route, &diag);
	if (e != OK) {
		return cli_fail_err(EXIT_AWAY, "the authority's route", e, &diag);
	}
	if (!rule->is_http && snapshot_tool(&route, rule->tool, &tool)) {
		scope_add(g, tool.scope);
	}
	if (rule->is_http) {
		const snapshot_rule_t *found = snapshot_rule(&route, rule->tool, str_sub(rule->path, 0, str_find(rule->path, '?')));
		scope_add(g, found ? found->scope : STR(""));
	}
	return EXIT_DONE;
}

static int bounds_text(create_t *g, str_t *out)
{
	cli_t *c = g->c;
	cli_body_t b;
	cli_rule_t rule;

	cli_body_begin(&b, c);
	jw_karray(&b.w, "authorization_details");
	for (size_t i = 0; i < c->n_details; i++) {
		if (cli_rule_write(&b.w, c->a, g->place->gateway_url, c->details[i], &rule) != OK) {
			return cli_fail(EXIT_USAGE, "--allow '%.*s': expected ROUTE TOOL [ARG=KIND:VALUE]...", STR_ARG(cli_safe(c->a, c->details[i])));
		}
		int status = c->n_scopes ? EXIT_DONE : scope_of_rule(g, &rule);
		if (status) {
			return status;
		}
	}
	jw_end(&b.w);
	for (size_t i = 0; i < c->n_scopes; i++) {
		scope_add(g, c->scopes[i]);
	}
	jw_knull(&b.w, "budget");
	jw_karray(&b.w, "data_classes");
	jw_str(&b.w, STR("*"));
	jw_end(&b.w);
	jw_ku64(&b.w, "depth", c->depth ? c->depth : 1);
	jw_knull(&b.w, "device");
	jw_karray(&b.w, "environments");
	jw_str(&b.w, STR("*"));
	jw_end(&b.w);
	jw_kstr(&b.w, "scope", g->scope);
	jw_ku64(&b.w, "uses", c->uses);
	jw_knull(&b.w, "window");
	return cli_body_end(&b, out);
}

static int delegator_id(create_t *g)
{
	const json_t *root;
	cli_request_t r = { .method = "GET", .path = str_of(cli_text(g->c, "/users/%s", g->c->as)) };
	int status = cli_call_json(g->c, &r, &root);

	if (status) {
		return status;
	}
	if (json_need_str(root, STR("id"), 128, &g->grant.delegator_sub) != OK) {
		return cli_fail(EXIT_AWAY, "the authority does not say who %s is", g->c->as);
	}
	return EXIT_DONE;
}

static int agent_id(create_t *g)
{
	const json_t *root;
	cli_request_t r = { .method = "GET", .path = str_of(cli_text(g->c, "/agents/%s", g->c->agent)) };
	int status = cli_call_json(g->c, &r, &root);

	if (status) {
		return status;
	}
	if (json_need_str(root, STR("id"), 512, &g->grant.agent) != OK) {
		return cli_fail(EXIT_AWAY, "the authority does not say who %s is", g->c->agent);
	}
	return EXIT_DONE;
}

static int document_build(create_t *g, const crypto_key_t *key)
{
	uint8_t random[ULID_RANDOM_BYTES];
	diag_t diag = { 0 };
	str_t bounds, text;
	int64_t ms = now_ms(), life;

	if (cli_duration_s(str_of(g->c->until ? g->c->until : "1h"), &life) != OK) {
		return cli_fail(EXIT_USAGE, "--for: expected a time such as 30m, 1h or 7d");
	}
	int status = bounds_text(g, &bounds);
	if (status) {
		return status;
	}
	crypto_random(random, sizeof(random));
	g->grant.id = ulid_make(g->c->a, ms, random);
	g->grant.iss = g->place->issuer;
	g->grant.delegator_key = jose_jkt(g->c->a, crypto_key_pub(key));
	g->grant.iat = ms / 1000;
	g->grant.exp = g->grant.iat + life;
	err_t e = delegation_bounds_parse(g->c->a, bounds, &g->grant.bounds, &diag);
	if (e == OK) {
		e = delegation_grant_build(g->c->a, &g->grant, &g->document);
	}
	if (e == OK) {
		e = delegation_grant_render(g->c->a, &g->grant, &text);
	}
	if (e != OK) {
		return cli_fail_err(EXIT_USAGE, "grant", e, &diag);
	}
	if (!g->c->json) {
		cli_print(text); /* what is signed is what is shown */
	}
	return EXIT_DONE;
}

static int grant_send(create_t *g, const crypto_key_t *key)
{
	cli_body_t b;
	str_t sig, body;
	net_response_t response;
	err_t e = delegation_grant_sign(g->c->a, key, g->document, &sig);

	if (e != OK) {
		return cli_fail_err(EXIT_HERE, "signing", e, NULL);
	}
	cli_body_begin(&b, g->c);
	jw_kstr(&b.w, "document", g->document);
	jw_kstr(&b.w, "signature", b64url_enc(g->c->a, sig));
	int status = cli_body_end(&b, &body);
	status = status ? status : cli_narrow(g->c, "POST", "/grants", "grant.create", body, &response);
	return status ? status : cli_done(g->c, &response, "grant %.*s", STR_ARG(g->grant.id));
}

static int grant_create(cli_t *c)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	create_t g = { .c = c };

	if (!c->agent || c->n_details == 0 || c->uses == 0) {
		return cli_fail(EXIT_USAGE, "grant create needs --agent NAME, --uses N and at least one --allow RULE");
	}
	int status = cli_place(c, &g.place);
	status = status ? status : cli_user_key(c, &key);
	status = status ? status : delegator_id(&g);
	status = status ? status : agent_id(&g);
	status = status ? status : document_build(&g, key);
	return status ? status : grant_send(&g, key);
}

static int grant_revoke(cli_t *c)
{
	cli_body_t b;
	str_t body;
	net_response_t response;

	cli_body_begin(&b, c);
	jw_kstr(&b.w, "reason", str_of(c->reason ? c->reason : ""));
	int status = cli_body_end(&b, &body);
	int64_t before = now_ms();
	status = status ? status : cli_narrow(c, "POST", cli_text(c, "/grants/%s/revoke", c->args[0]), "grant.revoke", body, &response);
	return status ? status : cli_done(c, &response, "grant %s revoked in %lld ms; no call under it passes from here on",
		c->args[0], (long long)(now_ms() - before));
}

static int grant_list(cli_t *c)
{
	static const cli_column_t columns[] = { { "id", 28 }, { "user", 14 }, { "agent", 20 }, { "state", 10 }, { "uses_left", 10 }, { "exp", 12 } };

	return cli_list(c, STR("/grants?before="), "grants", columns, ARRAY_LEN(columns));
}

/* The text the person saw, then where it stands. */
static int grant_show(cli_t *c)
{
	const json_t *root;
	str_t text = STR_NULL;
	cli_request_t r = { .method = "GET", .path = str_of(cli_text(c, "/grants/%s", c->args[0])) };
	int status = cli_call_json(c, &r, &root);

	if (status) {
		return status;
	}
	if (c->json || json_str(json_get(root, STR("text")), &text) != OK) {
		cli_print(json_raw(root));
		return EXIT_DONE;
	}
	cli_print(text);
	str_t state = cli_member(c->a, root, "state"), left = cli_member(c->a, root, "uses_left");
	printf("state %.*s, %.*s uses left\n", STR_ARG(state), STR_ARG(left));
	return EXIT_DONE;
}

const cli_word_t cli_grant_words[] = {
	{ "create", "--agent A --allow RULE... --uses N --for 1h", "lend authority; you sign what you see", CLI_API "aAUtec", 0, 0, grant_create },
	{ "revoke", "ID [--reason TEXT]", "end a grant and all below it", CLI_API "r", 1, 1, grant_revoke },
	{ "list", "", "all grants", CLI_API, 0, 0, grant_list },
	{ "show", "ID", "one grant, as its user saw it", CLI_API, 1, 1, grant_show },
	{ 0 },
};
