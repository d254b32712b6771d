/* rules.c: may this happen? The token's bounds, then the operator's rules, on one pinned view (F7). */
#include "service/gateway/visit.h"

/* --- the real request made an action ------------------------------------------------------------------- */

static err_t action_mcp(visit_t *v)
{
	const json_t *args = json_get(v->msg.params, STR("arguments"));
	str_t tool;

	TRY(json_need_str(v->msg.params, STR("name"), JSON_UNBOUNDED, &tool));
	return delegation_call_mcp(v->a, v->who.claims.client_id, v->route->url, tool, args, &v->action);
}

/* A parameter that leaves the text what it is. A reader that minds a charset sees another text than we do
 * ("+ACI-" is a quote in UTF-7): a body in any but UTF-8 is opaque. */
static bool param_is_harmless(str_t p, size_t *n_charsets)
{
	static const str_t charset = STR_INIT("charset");

	if (!str_eq_nocase(str_sub(p, 0, charset.n), charset)) {
		return str_find(p, '"') == p.n;
	}
	bool is_utf8 = str_eq_nocase(p, STR("charset=utf-8")) || str_eq_nocase(p, STR("charset=\"utf-8\""));
	return ++*n_charsets == 1 && is_utf8;
}

static bool is_utf8_type(str_t type)
{
	str_t rest = str_sub(type, str_find(type, ';'), type.n), p;
	size_t n_charsets = 0;

	while (rest.n && str_split(&rest, ';', &p)) {
		if (!param_is_harmless(str_trim(p), &n_charsets)) {
			return false;
		}
	}
	return true;
}

static bool is_json(const visit_t *v)
{
	str_t type, coding;

	if (net_headers_get(v->headers, STR("Content-Type"), &type) != OK
		|| net_headers_get(v->headers, STR("Content-Encoding"), &coding) != ERR_NOT_FOUND) {
		return false; /* a coded body is opaque to rules */
	}
	str_t bare = str_trim(str_sub(type, 0, str_find(type, ';')));
	if (!is_utf8_type(type)) {
		return false;
	}
	return str_eq_nocase(bare, STR("application/json"))
		|| (bare.n > 5 && str_eq_nocase(str_sub(bare, bare.n - 5, 5), STR("+json")));
}

/* Each of these is said at most once, or upstream might read another one than we did. */
static err_t http_headers_check(const visit_t *v)
{
	static const str_t once[] = { STR_INIT("Content-Type"), STR_INIT("Content-Encoding") };
	str_t value;

	for (size_t i = 0; i < ARRAY_LEN(once); i++) {
		err_t e = net_headers_get(v->headers, once[i], &value);
		ENSURE(e == OK || e == ERR_NOT_FOUND, e);
	}
	return OK;
}

static err_t action_http(visit_t *v)
{
	const json_opts_t opts = { .depth_max = GATEWAY_JSON_DEPTH_MAX, .nodes_max = GATEWAY_JSON_NODES_MAX,
		.bytes_max = GATEWAY_REQUEST_BYTES_CAP };
	const json_t *body = NULL;

	TRY(http_headers_check(v));
	if (v->body.n > 0 && is_json(v)) {
		TRY(json_parse(v->a, v->body, &opts, &body, &v->why));
	}
	return delegation_call_http(v->who.claims.client_id, v->route->url, v->method, v->target, v->body, body,
		&v->action);
}

/* What is not listed does not exist; neither does, on an MCP route, what the token does not name. */
static err_t tool_find(visit_t *v)
{
	snapshot_tool_t tool;

	if (visit_is_mcp(v)) {
		ENSURE(snapshot_tool(v->route, v->action.target, &tool), ERR_TOOL);
		v->effect = tool.effect;
		v->scope = tool.scope;
		v->tool_name = v->action.target;
		return OK;
	}
	str_t path = str_sub(v->target, 0, str_find(v->target, '?'));
	const snapshot_rule_t *rule = snapshot_rule(v->route, v->method, path);
	ENSURE(rule, ERR_TOOL);
	v->effect = rule->effect;
	v->scope = rule->scope;
	v->tool_name = arena_cat(v->a, rule->method, STR(" "), rule->path);
	return OK;
}

err_t rules_action(visit_t *v)
{
	TRY(visit_is_mcp(v) ? action_mcp(v) : action_http(v));
	v->has_action = true;
	return OK;
}

/* --- the token's bounds -------------------------------------------------------------------------------- */

/* An autonomous agent's token carries no items: scope and rules bound it. A grant without items permits
 * nothing. */
static bool has_items(const visit_t *v)
{
	return v->who.claims.grant.n > 0 || v->who.claims.n_items > 0;
}

static err_t items_check(visit_t *v)
{
	const delegation_claims_t *c = &v->who.claims;

	if (!has_items(v)) {
		return OK;
	}
	err_t e = delegation_items_permit(c->items, c->n_items, &v->action, &v->why);
	return e == ERR_TARGET ? ERR_TOOL : e;
}

bool rules_shows(const visit_t *v, str_t tool)
{
	const delegation_claims_t *c = &v->who.claims;
	snapshot_tool_t t;

	if (!snapshot_tool(v->route, tool, &t) || delegation_scope_permits(c->scope, t.scope) != OK) {
		return false;
	}
	return !has_items(v)
		|| delegation_items_name(c->items, c->n_items, v->route->url, STR("tools/call"), tool);
}

/* Hidden and absent get one answer (mcp.md 7). */
static err_t bounds_check(visit_t *v)
{
	TRY(tool_find(v));
	err_t e = delegation_scope_permits(v->who.claims.scope, v->scope);
	if (e != OK) {
		diag_set(&v->why, 0, 0, "the token lacks the scope of this tool");
		return visit_is_mcp(v) ? ERR_TOOL : ERR_SCOPE;
	}
	return items_check(v);
}

/* --- the operator's rules ---------------------------------------------------------------------------- */

static policy_token_t token_facts(const visit_t *v)
{
	const delegation_claims_t *c = &v->who.claims;
	const snapshot_agent_t *agent = snapshot_agent(v->view->snapshot, c->client_id);

	return (policy_token_t){
		.scopes = c->scope,
		.sender_bound = true, /* visit_authenticate saw the proof or the certificate */
		.grant = c->grant,
		.depth = (uint32_t)c->act.n,
		.max_depth = agent ? agent->max_depth : 0, /* the grant's own was held at the exchange */
		.init = c->direction.init,
		.sel = c->direction.sel,
	};
}

static policy_request_t facts(const visit_t *v, policy_action_t action)
{
	const delegation_claims_t *c = &v->who.claims;

	return (policy_request_t){
		.action = action,
		.agent = feed_view_agent(v->view, c->client_id),
		.user = feed_view_user(v->view, c->grant.n ? c->sub : STR_NULL),
		.route = feed_view_route(v->route),
		.token = token_facts(v),
		.assurance = v->who.claims.assurance,
		.clock = policy_clock(visit_now_s(v), 0),
	};
}

static policy_effect_t effect_of(snapshot_effect_t e)
{
	static const policy_effect_t of[] = {
		[SNAPSHOT_READONLY] = POLICY_READONLY,
		[SNAPSHOT_MUTATING] = POLICY_MUTATING,
		[SNAPSHOT_IRREVERSIBLE] = POLICY_IRREVERSIBLE,
	};

	return of[e];
}

static err_t policy_ask(visit_t *v, const policy_request_t *q)
{
	policy_decide(v->a, v->view->policy, q, &v->decision);
	v->has_decision = true;
	ENSURE(v->decision.verdict == POLICY_PERMIT, ERR_DENIED);
	return OK;
}

static err_t policy_call(visit_t *v)
{
	policy_request_t q = facts(v, visit_is_mcp(v) ? POLICY_CALL : POLICY_HTTP);
	bool is_object = json_kind(v->action.args) == JSON_OBJECT;

	q.tool = (policy_tool_t){ v->tool_name, effect_of(v->effect), v->scope };
	TRY(policy_args_flatten(v->a, is_object ? v->action.args : NULL, &q.args, &v->why));
	if (!visit_is_mcp(v)) {
		url_t up;
		TRY(url_parse(v->a, v->route->upstream, 0, &up));
		q.http = (policy_http_t){ v->method, up.host, str_sub(v->target, 0, str_find(v->target, '?')),
			v->body.n > 0 && !is_object };
	}
	return policy_ask(v, &q);
}

err_t rules_call(visit_t *v)
{
	v->has_decision = false;
	TRY(bounds_check(v));
	return policy_call(v);
}

err_t rules_list(visit_t *v)
{
	policy_request_t q = facts(v, POLICY_LIST);

	v->has_decision = false;
	return policy_ask(v, &q);
}
