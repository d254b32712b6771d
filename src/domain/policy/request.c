/* request.c: checks the facts, then writes them down in the words of schema.cedarschema. */
#include "domain/policy/request.h"

#define TYPE_AGENT STR("Attorn::Agent")
#define TYPE_USER STR("Attorn::User")
#define TYPE_ROLE STR("Attorn::Role")
#define TYPE_ROUTE STR("Attorn::Route")
#define TYPE_TOOL STR("Attorn::Tool")
#define TYPE_AUTHORITY STR("Attorn::Authority")
/* The one authority, and the bags of the one request: their ids say nothing. */
#define ID_AUTHORITY STR("authority")
#define ID_ARGS STR("args")

enum {
	FIXED_NODES = 72, /* all records, flags and references of the largest request: 60 */
	DAY_MINUTES = 1440,
};

/* The bags, in the order of policy_arg_kind_t. */
static const struct {
	str_t member, type;
} bags[] = {
	{ STR_INIT("s"), STR_INIT("Attorn::ArgStr") },
	{ STR_INIT("n"), STR_INIT("Attorn::ArgNum") },
	{ STR_INIT("b"), STR_INIT("Attorn::ArgBool") },
	{ STR_INIT("l"), STR_INIT("Attorn::ArgList") },
};

static str_t effect_name(policy_effect_t effect)
{
	static const str_t names[] = { STR_INIT(""), STR_INIT("readonly"), STR_INIT("mutating"),
				       STR_INIT("irreversible") };

	return (unsigned)effect < ARRAY_LEN(names) ? names[effect] : STR_NULL;
}

static bool is_about_tool(policy_action_t action)
{
	return action == POLICY_CALL || action == POLICY_HTTP;
}

static bool is_about_route(policy_action_t action)
{
	return action == POLICY_LIST || action == POLICY_EXCHANGE;
}

/* --- checks ------------------------------------------------------------------------------------- */

static err_t id_check(str_t id)
{
	ENSURE(id.n > 0, ERR_MISSING_MEMBER);
	return id.n <= POLICY_ID_BYTES_MAX ? OK : ERR_LIMIT;
}

/* Adds to *nodes what a list will take. */
static err_t names_check(policy_names_t names, size_t max, size_t *nodes)
{
	ENSURE(names.n <= max, ERR_LIMIT);
	for (size_t i = 0; i < names.n; i++) {
		ENSURE(names.v[i].n > 0 && names.v[i].n <= POLICY_WORD_BYTES_MAX, ERR_VALUE);
	}
	*nodes += names.n;
	return OK;
}

static err_t words_check(str_t words, size_t *nodes)
{
	size_t n = 0;
	str_t word;

	while (str_split(&words, ' ', &word)) {
		ENSURE(word.n <= POLICY_WORD_BYTES_MAX, ERR_LIMIT);
		n += word.n > 0;
		ENSURE(n <= POLICY_SCOPES_MAX, ERR_LIMIT);
	}
	*nodes += n;
	return OK;
}

static err_t agent_check(const policy_agent_t *g, size_t *nodes)
{
	TRY(id_check(g->id));
	ENSURE(g->kind == DELEGATION_AGENT_DELEGATED || g->kind == DELEGATION_AGENT_AUTONOMOUS, ERR_VALUE);
	ENSURE(g->name.n <= POLICY_ID_BYTES_MAX && g->owner.n <= POLICY_ID_BYTES_MAX, ERR_LIMIT);
	TRY(words_check(g->scopes, nodes));
	return names_check(g->roles, POLICY_ROLES_MAX, nodes);
}

static err_t user_check(const policy_user_t *u, size_t *nodes)
{
	TRY(id_check(u->id));
	TRY(words_check(u->permissions, nodes));
	return names_check(u->roles, POLICY_ROLES_MAX, nodes);
}

static err_t args_check(policy_args_t args, size_t *nodes)
{
	size_t n = args.n;

	ENSURE(args.n <= POLICY_ARGS_MAX, ERR_LIMIT);
	for (size_t i = 0; i < args.n; i++) {
		const policy_arg_t *g = &args.v[i];

		ENSURE(g->kind >= POLICY_ARG_STR && g->kind <= POLICY_ARG_LIST, ERR_VALUE);
		ENSURE(g->key.n <= POLICY_ARG_KEY_BYTES_MAX && g->s.n <= POLICY_ARG_BYTES_MAX, ERR_LIMIT);
		n += g->kind == POLICY_ARG_LIST ? g->list.n : 0;
		ENSURE(n <= POLICY_ARGS_MAX, ERR_LIMIT);
	}
	*nodes += n;
	return OK;
}

static err_t clock_check(const policy_clock_t *c)
{
	ENSURE(c->now_unix_s >= 0 && c->now_unix_s <= INT64_MAX / 1000, ERR_VALUE);
	ENSURE(c->weekday >= 1 && c->weekday <= 7, ERR_VALUE);
	return c->minute_of_day < DAY_MINUTES ? OK : ERR_VALUE;
}

/* An agent acts for a user, or for itself: both and neither are mistakes of the caller. */
static err_t agency_check(const policy_request_t *q, size_t *nodes)
{
	TRY(agent_check(&q->agent, nodes));
	TRY(id_check(q->route.name));
	TRY(words_check(q->token.scopes, nodes));
	TRY(names_check(q->route.data_classes, POLICY_DATA_CLASSES_MAX, nodes));
	if (q->agent.kind == DELEGATION_AGENT_AUTONOMOUS) {
		return q->user.id.n == 0 ? OK : ERR_VALUE;
	}
	return user_check(&q->user, nodes);
}

static err_t tool_check(const policy_request_t *q, size_t *nodes)
{
	TRY(agency_check(q, nodes));
	TRY(id_check(q->tool.name));
	ENSURE(effect_name(q->tool.effect).n > 0, ERR_VALUE);
	TRY(words_check(q->tool.scopes, nodes));
	return args_check(q->args, nodes);
}

static err_t admin_check(const policy_request_t *q, size_t *nodes)
{
	ENSURE(q->object.n <= POLICY_WORD_BYTES_MAX, ERR_LIMIT);
	if (q->on_agent.id.n) {
		TRY(agent_check(&q->on_agent, nodes));
	}
	return q->agent.id.n ? agent_check(&q->agent, nodes) : user_check(&q->user, nodes);
}

/* --- entities ----------------------------------------------------------------------------------- */

static void no_parents_no_tags(nodes_t *w)
{
	nodes_close(w, nodes_set(w, STR_NULL));
	nodes_close(w, nodes_record(w, STR_NULL));
}

static void roles_no_tags(nodes_t *w, policy_names_t roles)
{
	size_t parents = nodes_set(w, STR_NULL);

	for (size_t i = 0; i < roles.n; i++) {
		nodes_ref(w, STR_NULL, TYPE_ROLE, roles.v[i]);
	}
	nodes_close(w, parents);
	nodes_close(w, nodes_record(w, STR_NULL));
}

static void bare_entity(nodes_t *w, str_t type, str_t id)
{
	size_t entity = nodes_entity(w, type, id);

	nodes_close(w, nodes_record(w, STR_NULL));
	no_parents_no_tags(w);
	nodes_close(w, entity);
}

static void agent_entity(nodes_t *w, const policy_agent_t *g)
{
	size_t entity = nodes_entity(w, TYPE_AGENT, g->id);
	size_t attributes = nodes_record(w, STR_NULL);

	nodes_str(w, STR("name"), g->name);
	nodes_str(w, STR("kind"), g->kind == DELEGATION_AGENT_AUTONOMOUS ? STR("autonomous")
									  : STR("delegated"));
	nodes_bool(w, STR("active"), g->active);
	if (g->owner.n) {
		nodes_ref(w, STR("owner"), TYPE_USER, g->owner);
	}
	nodes_bool(w, STR("ownerActive"), g->owner.n > 0 && g->owner_active);
	nodes_words(w, STR("scopes"), g->scopes);
	nodes_long(w, STR("maxDepth"), g->max_depth);
	nodes_close(w, attributes);
	roles_no_tags(w, g->roles);
	nodes_close(w, entity);
}

static void user_entity(nodes_t *w, const policy_user_t *u)
{
	size_t entity = nodes_entity(w, TYPE_USER, u->id);
	size_t attributes = nodes_record(w, STR_NULL);

	nodes_bool(w, STR("active"), u->active);
	nodes_words(w, STR("permissions"), u->permissions);
	nodes_close(w, attributes);
	roles_no_tags(w, u->roles);
	nodes_close(w, entity);
}

static void tool_entity(nodes_t *w, str_t id, const policy_request_t *q)
{
	size_t entity = nodes_entity(w, TYPE_TOOL, id);
	size_t attributes = nodes_record(w, STR_NULL);

	nodes_str(w, STR("name"), q->tool.name);
	nodes_str(w, STR("effect"), effect_name(q->tool.effect));
	nodes_words(w, STR("requiredScopes"), q->tool.scopes);
	nodes_close(w, attributes);

	size_t parents = nodes_set(w, STR_NULL);

	nodes_ref(w, STR_NULL, TYPE_ROUTE, q->route.name);
	nodes_close(w, parents);
	nodes_close(w, nodes_record(w, STR_NULL));
	nodes_close(w, entity);
}

static void arg_tag(nodes_t *w, const policy_arg_t *g)
{
	switch (g->kind) {
	case POLICY_ARG_STR: nodes_str(w, g->key, g->s); break;
	case POLICY_ARG_NUM: nodes_long(w, g->key, g->n); break;
	case POLICY_ARG_BOOL: nodes_bool(w, g->key, g->n != 0); break;
	case POLICY_ARG_LIST: nodes_strs(w, g->key, g->list.v, g->list.n); break;
	}
}

/* A bag without arguments is not defined at all: hasTag is false on an entity that is not there. */
static void bag_entity(nodes_t *w, policy_arg_kind_t kind, policy_args_t args)
{
	size_t n = 0;

	for (size_t i = 0; i < args.n; i++) {
		n += args.v[i].kind == kind;
	}
	if (!n) {
		return;
	}

	size_t entity = nodes_entity(w, bags[kind - 1].type, ID_ARGS);

	nodes_close(w, nodes_record(w, STR_NULL));
	nodes_close(w, nodes_set(w, STR_NULL));

	size_t tags = nodes_record(w, STR_NULL);

	for (size_t i = 0; i < args.n; i++) {
		if (args.v[i].kind == kind) {
			arg_tag(w, &args.v[i]);
		}
	}
	nodes_close(w, tags);
	nodes_close(w, entity);
}

/* --- context ------------------------------------------------------------------------------------ */

static void clock_record(nodes_t *w, const policy_clock_t *c)
{
	size_t record = nodes_record(w, STR("clock"));

	nodes_datetime(w, STR("now"), c->now_unix_s);
	nodes_long(w, STR("weekday"), c->weekday);
	nodes_long(w, STR("minuteOfDay"), c->minute_of_day);
	nodes_close(w, record);
}

static void delegation_record(nodes_t *w, const policy_request_t *q)
{
	size_t record = nodes_record(w, STR("delegation"));

	if (q->user.id.n) {
		nodes_ref(w, STR("user"), TYPE_USER, q->user.id);
	}
	if (q->token.grant.n) {
		nodes_str(w, STR("grant"), q->token.grant);
	}
	nodes_long(w, STR("depth"), q->token.depth);
	nodes_long(w, STR("maxDepth"), q->token.max_depth);
	nodes_close(w, record);
}

static void ctl_record(nodes_t *w, const policy_request_t *q)
{
	size_t ctl = nodes_record(w, STR("ctl"));

	delegation_record(w, q);

	size_t token = nodes_record(w, STR("token"));

	nodes_words(w, STR("scopes"), q->token.scopes);
	nodes_bool(w, STR("senderBound"), q->token.sender_bound);
	nodes_close(w, token);

	size_t direction = nodes_record(w, STR("direction"));

	nodes_str(w, STR("init"), delegation_init_name(q->token.init));
	nodes_str(w, STR("sel"), delegation_sel_name(q->token.sel));
	nodes_close(w, direction);
	nodes_str(w, STR("assurance"), delegation_assurance_name(q->assurance));
	nodes_str(w, STR("environment"), q->route.environment);
	nodes_strs(w, STR("dataClasses"), q->route.data_classes.v, q->route.data_classes.n);
	clock_record(w, &q->clock);
	nodes_close(w, ctl);
}

static void args_record(nodes_t *w)
{
	size_t record = nodes_record(w, STR("args"));

	for (size_t i = 0; i < ARRAY_LEN(bags); i++) {
		nodes_ref(w, bags[i].member, bags[i].type, ID_ARGS);
	}
	nodes_close(w, record);
}

static void http_record(nodes_t *w, const policy_http_t *h)
{
	size_t record = nodes_record(w, STR("http"));

	nodes_str(w, STR("method"), h->method);
	nodes_str(w, STR("host"), h->host);
	nodes_str(w, STR("path"), h->path);
	nodes_bool(w, STR("opaque"), h->opaque);
	nodes_close(w, record);
}

/* --- the whole question ------------------------------------------------------------------------- */

static void set_principal(pdp_req *r, str_t type, str_t id)
{
	r->ptype = slice_of(type);
	r->pid = slice_of(id);
}

static void set_resource(pdp_req *r, str_t type, str_t id)
{
	r->rtype = slice_of(type);
	r->rid = slice_of(id);
}

static void agency_write(const policy_request_t *q, nodes_t *entities, nodes_t *context)
{
	agent_entity(entities, &q->agent);
	if (q->user.id.n) {
		user_entity(entities, &q->user);
	}
	ctl_record(context, q);
}

static void tool_write(arena_t *a, const policy_request_t *q, nodes_t *entities, nodes_t *context,
		       pdp_req *r)
{
	str_t id = arena_cat(a, q->route.name, STR("/"), q->tool.name);

	agency_write(q, entities, context);
	tool_entity(entities, id, q);
	for (policy_arg_kind_t k = POLICY_ARG_STR; k <= POLICY_ARG_LIST; k++) {
		bag_entity(entities, k, q->args);
	}
	args_record(context);
	if (q->action == POLICY_HTTP) {
		http_record(context, &q->http);
	}
	set_principal(r, TYPE_AGENT, q->agent.id);
	set_resource(r, TYPE_TOOL, id);
}

static void route_write(const policy_request_t *q, nodes_t *entities, nodes_t *context, pdp_req *r)
{
	agency_write(q, entities, context);
	bare_entity(entities, TYPE_ROUTE, q->route.name);
	set_principal(r, TYPE_AGENT, q->agent.id);
	set_resource(r, TYPE_ROUTE, q->route.name);
}

static void admin_write(const policy_request_t *q, nodes_t *entities, nodes_t *context, pdp_req *r)
{
	if (q->agent.id.n) {
		agent_entity(entities, &q->agent);
		set_principal(r, TYPE_AGENT, q->agent.id);
	} else {
		user_entity(entities, &q->user);
		set_principal(r, TYPE_USER, q->user.id);
	}
	if (q->on_agent.id.n) {
		if (!str_eq(q->on_agent.id, q->agent.id)) { /* one entity, defined once */
			agent_entity(entities, &q->on_agent);
		}
		set_resource(r, TYPE_AGENT, q->on_agent.id);
	} else if (q->route.name.n) {
		bare_entity(entities, TYPE_ROUTE, q->route.name);
		set_resource(r, TYPE_ROUTE, q->route.name);
	} else {
		bare_entity(entities, TYPE_AUTHORITY, ID_AUTHORITY);
		set_resource(r, TYPE_AUTHORITY, ID_AUTHORITY);
	}
	nodes_str(context, STR("assurance"), delegation_assurance_name(q->assurance));
	nodes_str(context, STR("object"), q->object);
	clock_record(context, &q->clock);
}

err_t request_build(arena_t *a, const policy_request_t *q, pdp_req *out)
{
	size_t cap = FIXED_NODES;
	nodes_t entities, context;
	pdp_req r = { .aid = slice_of(policy_action_name(q->action)) };

	ENSURE(r.aid.n > 0, ERR_VALUE);
	TRY(clock_check(&q->clock));
	if (is_about_tool(q->action)) {
		TRY(tool_check(q, &cap));
	} else if (is_about_route(q->action)) {
		TRY(agency_check(q, &cap));
	} else {
		TRY(admin_check(q, &cap));
	}
	TRY(nodes_init(&entities, a, cap));
	TRY(nodes_init(&context, a, cap));

	size_t root = nodes_record(&context, STR_NULL);

	if (is_about_tool(q->action)) {
		tool_write(a, q, &entities, &context, &r);
	} else if (is_about_route(q->action)) {
		route_write(q, &entities, &context, &r);
	} else {
		admin_write(q, &entities, &context, &r);
	}
	nodes_close(&context, root);
	r.entities = entities.v;
	r.n_entities = entities.n;
	r.context = context.v;
	r.n_context = context.n;
	*out = r;
	return OK;
}
