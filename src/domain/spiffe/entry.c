/* entry.c: entry documents (docs/identity.md 3) and what they give to whom. */
#include "domain/spiffe/spiffe.h"

/* --- reading --------------------------------------------------------------------------------------- */

static err_t names_read(arena_t *a, const json_t *obj, str_t key, uint32_t max, bool dns, const str_t **out,
	size_t *out_n)
{
	const json_t *array = NULL;
	size_t n = 0;

	TRY(json_want_arr(obj, key, max, &array));
	str_t *v = arena_array(a, str_t, json_count(array) + 1);
	for (const json_t *e = json_first(array); e; e = json_next(e)) {
		TRY(json_str(e, &v[n]));
		ENSURE(dns ? x509_dns_name_is(v[n]) : spiffe_td_check(v[n]) == OK, ERR_VALUE);
		for (size_t i = 0; i < n; i++) {
			ENSURE(!str_eq(v[i], v[n]), ERR_DUPLICATE);
		}
		n++;
	}
	*out = v;
	*out_n = n;
	return OK;
}

static err_t ttl_read(const json_t *obj, str_t key, uint32_t *out_s)
{
	uint64_t s = 0;

	TRY(json_want_u64(obj, key, SPIFFE_TTL_S_MAX, 0, &s));
	ENSURE(s == 0 || s >= SPIFFE_TTL_S_MIN, ERR_VALUE);
	*out_s = (uint32_t)s;
	return OK;
}

static err_t scope_read(const json_t *obj, spiffe_scope_t *out)
{
	str_t text;

	TRY(json_want_str(obj, STR("scope"), 16, &text));
	if (!text.p || str_eq(text, STR("process"))) {
		*out = SPIFFE_SCOPE_PROCESS;
		return OK;
	}
	ENSURE(str_eq(text, STR("tree")), ERR_VALUE);
	*out = SPIFFE_SCOPE_TREE;
	return OK;
}

static err_t runner_read(arena_t *a, const json_t *obj, spiffe_entry_t *e, diag_t *diag)
{
	const json_t *runner = NULL;
	str_t grant;

	TRY(json_want_obj(obj, STR("runner"), &runner));
	if (!runner) {
		return OK;
	}
	TRY(JSON_ONLY(runner, diag, STR("selectors"), STR("grant")));
	TRY(spiffe_selectors_read(a, json_get(runner, STR("selectors")), SPIFFE_SELECTORS_MAX, &e->runner));
	ENSURE(e->runner.n > 0, ERR_SELECTOR);
	TRY(json_want_str(runner, STR("grant"), 16, &grant));
	if (grant.p) {
		bool required = str_eq(grant, STR("required"));
		ENSURE(required || str_eq(grant, STR("optional")), ERR_VALUE);
		e->runner_grant = required ? SPIFFE_GRANT_REQUIRED : SPIFFE_GRANT_OPTIONAL;
	}
	e->has_runner = true;
	return OK;
}

/* The trust domain of an ID or template, which ends before any placeholder. */
static bool lies_in(str_t id, str_t td)
{
	static const str_t scheme = STR_INIT("spiffe://");
	str_t rest = str_sub(id, scheme.n, id.n);

	return str_starts(id, scheme) && str_eq(str_sub(rest, 0, str_find(rest, '/')), td);
}

static err_t ids_read(const json_t *obj, str_t td, spiffe_entry_t *e, diag_t *diag)
{
	spiffe_id_t parent;

	diag_set(diag, 0, 0, "spiffe_id: an ID or template of this trust domain, not under /attorn or /spire");
	TRY(json_want_str(obj, STR("spiffe_id"), SPIFFE_ID_BYTES_MAX, &e->spiffe_id));
	if (e->spiffe_id.p) {
		TRY(spiffe_template_check(e->spiffe_id));
		ENSURE(lies_in(e->spiffe_id, td), ERR_SPIFFE_ID);
	}
	diag_set(diag, 0, 0, "parent: the ID of a node of this trust domain");
	TRY(json_want_str(obj, STR("parent"), SPIFFE_ID_BYTES_MAX, &e->parent));
	if (e->parent.p) {
		TRY(spiffe_id_parse_workload(e->parent, &parent));
		ENSURE(str_eq(parent.td, td), ERR_SPIFFE_ID);
	}
	return OK;
}

static err_t plain_read(arena_t *a, const json_t *obj, spiffe_entry_t *e, diag_t *diag)
{
	diag_set(diag, 0, 0, "a member has another form than docs/identity.md 3 says");
	TRY(ttl_read(obj, STR("x509_ttl"), &e->x509_ttl_s));
	TRY(ttl_read(obj, STR("jwt_ttl"), &e->jwt_ttl_s));
	TRY(json_want_str(obj, STR("hint"), SPIFFE_HINT_BYTES_MAX, &e->hint));
	TRY(json_want_i64(obj, STR("priority"), 0, &e->priority));
	TRY(json_want_date_s(obj, STR("expires_at"), 0, &e->expires_at_unix_s));
	TRY(json_want_bool(obj, STR("jwt_jti"), false, &e->jwt_jti));
	TRY(names_read(a, obj, STR("dns_names"), SPIFFE_DNS_NAMES_MAX, true, &e->dns_names, &e->n_dns_names));
	TRY(names_read(a, obj, STR("federates_with"), SPIFFE_FEDERATES_MAX, false, &e->federates_with,
		&e->n_federates_with));
	return scope_read(obj, &e->scope);
}

static bool is_entry_id(str_t id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		bool edge = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!edge && (i == 0 || (c != '.' && c != '_' && c != '-'))) {
			return false;
		}
	}
	return id.n > 0;
}

MUST err_t spiffe_entry_read(arena_t *a, const json_t *obj, str_t td, spiffe_entry_t *out, diag_t *diag)
{
	spiffe_entry_t e = { 0 };

	ENSURE(json_kind(obj) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(obj, diag, STR("id"), STR("selectors"), STR("spiffe_id"), STR("parent"), STR("x509_ttl"),
		STR("jwt_ttl"), STR("hint"), STR("priority"), STR("dns_names"), STR("expires_at"),
		STR("jwt_jti"), STR("federates_with"), STR("scope"), STR("runner")));
	diag_set(diag, 0, 0, "id: [a-z0-9][a-z0-9._-]*, at most %d", SPIFFE_ENTRY_ID_BYTES_MAX);
	TRY(json_need_str(obj, STR("id"), SPIFFE_ENTRY_ID_BYTES_MAX, &e.id));
	ENSURE(is_entry_id(e.id), ERR_VALUE);
	diag_set(diag, 0, 0, "selectors: at least one FAMILY:KEY:VALUE");
	TRY(spiffe_selectors_read(a, json_get(obj, STR("selectors")), SPIFFE_SELECTORS_MAX, &e.selectors));
	ENSURE(e.selectors.n > 0, ERR_SELECTOR);
	TRY(ids_read(obj, td, &e, diag));
	TRY(plain_read(a, obj, &e, diag));
	diag_set(diag, 0, 0, "runner: {selectors, grant: required or optional}");
	TRY(runner_read(a, obj, &e, diag));
	*out = e;
	return OK;
}

MUST err_t spiffe_entries_read(arena_t *a, const json_t *array, str_t td, spiffe_entry_t **out,
	size_t *out_n, diag_t *diag)
{
	size_t n = 0;

	ENSURE(json_kind(array) == JSON_ARRAY, ERR_VALUE);
	ENSURE(json_count(array) <= SPIFFE_ENTRIES_MAX, ERR_LIMIT);
	spiffe_entry_t *v = arena_array(a, spiffe_entry_t, json_count(array) + 1);
	for (const json_t *e = json_first(array); e; e = json_next(e)) {
		TRY(spiffe_entry_read(a, e, td, &v[n], diag));
		for (size_t i = 0; i < n; i++) {
			diag_set(diag, 0, 0, "two entries have the same id");
			ENSURE(!str_eq(v[i].id, v[n].id), ERR_DUPLICATE);
		}
		n++;
	}
	*out = v;
	*out_n = n;
	return OK;
}

/* --- writing --------------------------------------------------------------------------------------- */

static void names_write(jw_t *w, const char *key, const str_t *v, size_t n)
{
	if (n == 0) {
		return;
	}
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++) {
		jw_str(w, v[i]);
	}
	jw_end(w);
}

static void runner_write(jw_t *w, const spiffe_entry_t *e)
{
	if (!e->has_runner) {
		return;
	}
	jw_kobject(w, "runner");
	jw_key(w, "selectors");
	spiffe_selectors_write(w, &e->runner);
	if (e->runner_grant != SPIFFE_GRANT_NONE) {
		jw_kstr(w, "grant", e->runner_grant == SPIFFE_GRANT_REQUIRED ? STR("required") : STR("optional"));
	}
	jw_end(w);
}

static void number_write(jw_t *w, const char *key, int64_t v)
{
	if (v != 0) {
		jw_ki64(w, key, v);
	}
}

void spiffe_entry_write(jw_t *w, const spiffe_entry_t *e)
{
	jw_object(w);
	jw_kstr(w, "id", e->id);
	jw_key(w, "selectors");
	spiffe_selectors_write(w, &e->selectors);
	jw_kstr_if(w, "spiffe_id", e->spiffe_id);
	jw_kstr_if(w, "parent", e->parent);
	number_write(w, "x509_ttl", e->x509_ttl_s);
	number_write(w, "jwt_ttl", e->jwt_ttl_s);
	jw_kstr_if(w, "hint", e->hint);
	number_write(w, "priority", e->priority);
	names_write(w, "dns_names", e->dns_names, e->n_dns_names);
	number_write(w, "expires_at", e->expires_at_unix_s);
	if (e->jwt_jti) {
		jw_kbool(w, "jwt_jti", true);
	}
	names_write(w, "federates_with", e->federates_with, e->n_federates_with);
	if (e->scope == SPIFFE_SCOPE_TREE) {
		jw_kstr(w, "scope", STR("tree"));
	}
	runner_write(w, e);
	jw_end(w);
}

/* --- who gets what ------------------------------------------------------------------------------------ */

MUST err_t spiffe_entry_apply(arena_t *a, const spiffe_entry_t *e, str_t agent_id, str_t node_id,
	const spiffe_facts_t *facts, const spiffe_selectors_t *runner_facts, int64_t now_unix_s,
	spiffe_id_t *out)
{
	str_t wanted = e->spiffe_id.p ? e->spiffe_id : agent_id;
	spiffe_id_t id;

	ENSURE(e->expires_at_unix_s == 0 || now_unix_s < e->expires_at_unix_s, ERR_EXPIRED);
	ENSURE(!e->parent.p || str_eq(e->parent, node_id), ERR_ENTRY_MATCH);
	ENSURE(spiffe_selectors_match(&e->selectors, &facts->selectors), ERR_ENTRY_MATCH);
	if (e->has_runner) { /* an entry for runs serves nobody else */
		ENSURE(facts->run_id.p && runner_facts, ERR_ENTRY_MATCH);
		ENSURE(spiffe_selectors_match(&e->runner, runner_facts), ERR_ENTRY_MATCH);
	}
	TRY(spiffe_template_expand(a, wanted, facts, &id));
	if (e->has_runner) {
		ENSURE(spiffe_instance_id(a, &id, facts->run_id, &id) == OK, ERR_ENTRY_MATCH);
	}
	*out = id;
	return OK;
}

int spiffe_entry_order(int64_t priority_x, int64_t created_x, str_t key_x, int64_t priority_y,
	int64_t created_y, str_t key_y)
{
	if (priority_x != priority_y) {
		return priority_x > priority_y ? -1 : 1;
	}
	if (created_x != created_y) {
		return created_x < created_y ? -1 : 1;
	}
	return str_cmp(key_x, key_y);
}
