/* claims.c: token claims: one grammar, checked when written and when read. */
#include "domain/delegation/int.h"
#include "domain/spiffe/spiffe.h"

static bool is_token_id(str_t s)
{
	return s.n <= DELEGATION_TOKEN_ID_BYTES_MAX && str_is_visible(s);
}

static err_t broken(diag_t *diag, const char *what)
{
	diag_set(diag, 0, 0, "claims: %s", what);
	return ERR_VALUE;
}

/* --- what must hold, whoever says it ------------------------------------------------------------- */

/* Autonomous: the agent is the subject, nobody acts, no grant (oauth P82). */
static bool is_autonomous_well_formed(const delegation_claims_t *c, delegation_id_kind_t kind)
{
	return kind == DELEGATION_AGENT_AUTONOMOUS && c->act.n == 0 && c->grant.n == 0
		&& str_eq(c->sub_profile, STR("ai_agent"));
}

/* Delegated: a user is the subject, the client is the current actor, a grant says so. */
static bool is_delegated_well_formed(arena_t *a, const delegation_claims_t *c, delegation_id_kind_t kind,
	str_t td)
{
	const delegation_actor_t *current = &c->act.actors[0];

	return kind == DELEGATION_AGENT_DELEGATED && c->act.n > 0 && str_eq(current->sub, c->client_id)
		&& str_eq(current->iss, arena_cat(a, STR("spiffe://"), td)) && ulid_is(c->grant)
		&& str_eq(c->sub_profile, STR("user")) && delegation_user_id_check(c->sub) == OK;
}

static err_t parties_check(arena_t *a, const delegation_claims_t *c, diag_t *diag)
{
	delegation_id_kind_t kind;
	str_t td, name;
	bool is_good;

	if (delegation_id_parse(c->client_id, &kind, &td, &name) != OK) {
		return broken(diag, "client_id");
	}
	spiffe_id_t inst;
	if (c->inst.n > 0 && spiffe_id_parse_workload(c->inst, &inst) != OK) {
		return broken(diag, "inst");
	}
	is_good = str_eq(c->sub, c->client_id) ? is_autonomous_well_formed(c, kind)
					       : is_delegated_well_formed(a, c, kind, td);
	return is_good ? OK : broken(diag, "sub, client_id, act and grant do not fit together");
}

static err_t times_check(const delegation_claims_t *c, diag_t *diag)
{
	int64_t max = c->is_capability ? DELEGATION_CAPABILITY_S_MAX : DELEGATION_TOKEN_S_MAX;

	if (c->iat < 0 || c->exp <= c->iat || c->exp - c->iat > max) {
		return broken(diag, "iat and exp");
	}
	return OK;
}

static bool cnf_is_well_formed(const delegation_claims_t *c)
{
	str_t key = c->jkt.n > 0 ? c->jkt : c->x5t;

	if (key.n == 0) {
		return c->assurance <= DELEGATION_BEARER; /* without a key nobody is more than a bearer */
	}
	return (c->jkt.n == 0 || c->x5t.n == 0) && thumbprint_check(key) == OK;
}

static err_t ids_check(const delegation_claims_t *c, diag_t *diag)
{
	if (issuer_check(c->iss) != OK || route_url_check(c->aud) != OK) {
		return broken(diag, "iss or aud");
	}
	if (!is_token_id(c->jti) || !is_token_id(c->txn)) {
		return broken(diag, "jti or txn");
	}
	if (c->parent.n > 0 && thumbprint_check(c->parent) != OK) {
		return broken(diag, "parent");
	}
	if (!cnf_is_well_formed(c)) {
		return broken(diag, "cnf");
	}
	return OK;
}

/* Items speak of this audience; a capability's all bind the same arguments. */
static err_t details_check(const delegation_claims_t *c, diag_t *diag)
{
	if (delegation_scope_check(c->scope) != OK) {
		return broken(diag, "scope");
	}
	if (c->is_capability && c->n_items == 0) {
		return broken(diag, "a capability without authorization_details");
	}
	for (size_t i = 0; i < c->n_items; i++) {
		const delegation_item_t *item = &c->items[i];
		if (!str_eq(item->server, c->aud)) {
			return broken(diag, "authorization_details for another server");
		}
		if (c->is_capability
			&& (!item->has_digest
				|| !ct_eq(item->digest, c->items[0].digest, DELEGATION_DIGEST_BYTES))) {
			return broken(diag, "a capability not bound to one content");
		}
	}
	return OK;
}

static err_t claims_check(arena_t *a, const delegation_claims_t *c, diag_t *diag)
{
	TRY(ids_check(c, diag));
	TRY(parties_check(a, c, diag));
	TRY(times_check(c, diag));
	TRY(details_check(c, diag));
	if (c->direction.by.n == 0) {
		return broken(diag, "direction without by");
	}
	return OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void action_digest_emit(jw_t *w, arena_t *a, const delegation_claims_t *c)
{
	if (c->is_capability) {
		jw_kstr(w, "action_digest",
			b64url_enc(a, str_bytes(c->action_digest, DELEGATION_DIGEST_BYTES)));
	}
}

static void cnf_emit(jw_t *w, const delegation_claims_t *c)
{
	if (c->jkt.n > 0 || c->x5t.n > 0) {
		jw_kobject(w, "cnf");
		jw_kstr_if(w, "jkt", c->jkt);
		jw_kstr_if(w, "x5t#S256", c->x5t);
		jw_end(w);
	}
}

static void claims_emit(jw_t *w, arena_t *a, const delegation_claims_t *c)
{
	jw_object(w);
	if (c->act.n > 0) {
		jw_key(w, "act");
		chain_emit(w, &c->act);
	}
	action_digest_emit(w, a, c);
	jw_kstr(w, "assurance", delegation_assurance_name(c->assurance));
	jw_kstr(w, "aud", c->aud);
	jw_key(w, "authorization_details");
	items_emit(w, c->items, c->n_items);
	jw_kstr(w, "client_id", c->client_id);
	cnf_emit(w, c);
	jw_key(w, "direction");
	direction_emit(w, &c->direction);
	jw_ki64(w, "exp", c->exp);
	jw_kstr_if(w, "grant", c->grant);
	jw_ki64(w, "iat", c->iat);
	jw_kstr_if(w, "inst", c->inst);
	jw_kstr(w, "iss", c->iss);
	jw_kstr(w, "jti", c->jti);
	jw_kstr_if(w, "parent", c->parent);
	jw_kstr(w, "scope", c->scope);
	jw_kstr(w, "sub", c->sub);
	jw_kstr(w, "sub_profile", c->sub_profile);
	jw_kstr(w, "txn", c->txn);
	jw_end(w);
}

err_t delegation_claims_write(arena_t *a, const delegation_claims_t *c, str_t *out_json)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, DELEGATION_CLAIMS_BYTES_MAX);
	TRY(claims_check(a, c, NULL));
	jw_init(&w, &b);
	claims_emit(&w, a, c);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out_json);
}

/* --- reading ---------------------------------------------------------------------------------- */

static err_t parties_parse(const json_t *o, delegation_claims_t *c, diag_t *diag)
{
	const json_t *act = json_get(o, STR("act"));

	TRY(json_need_str(o, STR("iss"), DELEGATION_URL_BYTES_MAX, &c->iss));
	TRY(json_need_str(o, STR("aud"), DELEGATION_URL_BYTES_MAX, &c->aud));
	TRY(json_need_str(o, STR("sub"), DELEGATION_SUBJECT_BYTES_MAX, &c->sub));
	TRY(json_need_str(o, STR("sub_profile"), DELEGATION_NAME_BYTES_MAX, &c->sub_profile));
	TRY(json_need_str(o, STR("client_id"), DELEGATION_ID_BYTES_MAX, &c->client_id));
	TRY(json_want_str(o, STR("grant"), DELEGATION_TOKEN_ID_BYTES_MAX, &c->grant));
	TRY(json_want_str(o, STR("inst"), SPIFFE_ID_BYTES_MAX, &c->inst));
	return act ? chain_from_node(act, &c->act, diag) : OK;
}

static err_t ids_parse(const json_t *o, delegation_claims_t *c)
{
	TRY(json_need_i64(o, STR("iat"), &c->iat));
	TRY(json_need_i64(o, STR("exp"), &c->exp));
	TRY(json_need_str(o, STR("jti"), DELEGATION_TOKEN_ID_BYTES_MAX, &c->jti));
	TRY(json_need_str(o, STR("txn"), DELEGATION_TOKEN_ID_BYTES_MAX, &c->txn));
	return json_want_str(o, STR("parent"), DELEGATION_TOKEN_ID_BYTES_MAX, &c->parent);
}

static err_t cnf_parse(const json_t *o, delegation_claims_t *c, diag_t *diag)
{
	const json_t *cnf;

	TRY(json_want_obj(o, STR("cnf"), &cnf));
	if (cnf == NULL) {
		return OK;
	}
	TRY(JSON_ONLY(cnf, diag, STR("jkt"), STR("x5t#S256")));
	TRY(json_want_str(cnf, STR("jkt"), DELEGATION_TOKEN_ID_BYTES_MAX, &c->jkt));
	TRY(json_want_str(cnf, STR("x5t#S256"), DELEGATION_TOKEN_ID_BYTES_MAX, &c->x5t));
	ENSURE(c->jkt.n + c->x5t.n > 0, ERR_MISSING_MEMBER); /* an empty cnf binds nothing */
	return OK;
}

static err_t action_digest_parse(const json_t *o, delegation_claims_t *c)
{
	str_t text;

	if (json_get(o, STR("action_digest")) == NULL) {
		return OK;
	}
	TRY(json_need_str(o, STR("action_digest"), DELEGATION_TOKEN_ID_BYTES_MAX, &text));
	TRY(b64url_dec_exact(text, c->action_digest, DELEGATION_DIGEST_BYTES));
	c->is_capability = true;
	return OK;
}

static err_t bounds_parse(arena_t *a, const json_t *o, delegation_claims_t *c, diag_t *diag)
{
	str_t assurance;

	ENSURE(json_get(o, STR("scope")) != NULL, ERR_MISSING_MEMBER);
	TRY(json_want_str(o, STR("scope"), DELEGATION_SCOPE_BYTES_MAX, &c->scope));
	TRY(items_from_node(a, json_get(o, STR("authorization_details")), &c->items, &c->n_items, diag));
	TRY(direction_from_node(json_get(o, STR("direction")), &c->direction, diag));
	TRY(json_need_str(o, STR("assurance"), DELEGATION_NAME_BYTES_MAX, &assurance));
	return delegation_assurance_parse(assurance, &c->assurance);
}

static err_t claims_parse(arena_t *a, str_t json, delegation_claims_t *out, diag_t *diag)
{
	delegation_claims_t c = { 0 };
	const json_t *o;
	str_t copy;

	ENSURE(json.n <= DELEGATION_CLAIMS_BYTES_MAX, ERR_LIMIT);
	TRY(arena_dup(a, json, &copy));
	TRY(json_parse_object(a, copy, &o, diag));
	TRY(JSON_ONLY(o, diag, STR("act"), STR("action_digest"), STR("assurance"), STR("aud"),
		STR("authorization_details"), STR("client_id"), STR("cnf"), STR("direction"), STR("exp"),
		STR("grant"), STR("iat"), STR("inst"), STR("iss"), STR("jti"), STR("parent"), STR("scope"), STR("sub"),
		STR("sub_profile"), STR("txn")));
	TRY(parties_parse(o, &c, diag));
	TRY(ids_parse(o, &c));
	TRY(cnf_parse(o, &c, diag));
	TRY(action_digest_parse(o, &c));
	TRY(bounds_parse(a, o, &c, diag));
	TRY(claims_check(a, &c, diag));
	*out = c;
	return OK;
}

err_t delegation_claims_read(arena_t *a, str_t json, delegation_claims_t *out, diag_t *diag)
{
	ENSURE(claims_parse(a, json, out, diag) == OK, ERR_TOKEN);
	return OK;
}

/* --- narrowing -------------------------------------------------------------------------------- */

static bool is_same_delegation(const delegation_claims_t *x, const delegation_claims_t *y)
{
	return str_eq(x->iss, y->iss) && str_eq(x->aud, y->aud) && str_eq(x->sub, y->sub)
		&& str_eq(x->client_id, y->client_id) && str_eq(x->inst, y->inst) && str_eq(x->txn, y->txn)
		&& str_eq(x->grant, y->grant) && str_eq(x->jkt, y->jkt) && str_eq(x->x5t, y->x5t)
		&& str_eq(x->sub_profile, y->sub_profile) && chain_eq(&x->act, &y->act);
}

static bool is_scope_within(str_t parent, str_t child)
{
	str_t rest = child, word;

	while (child.n > 0 && str_split(&rest, ' ', &word)) {
		if (!str_list_has(parent, word)) {
			return false;
		}
	}
	return true;
}

err_t delegation_claims_narrow(const delegation_claims_t *parent, const delegation_claims_t *child,
	diag_t *diag)
{
	diag_set(diag, 0, 0, "wider than the token it rests on");
	ENSURE(!parent->is_capability, ERR_BOUNDS); /* used once, for its one call */
	ENSURE(is_same_delegation(parent, child), ERR_BOUNDS);
	ENSURE(child->exp <= parent->exp && child->iat >= parent->iat, ERR_BOUNDS);
	ENSURE(child->assurance <= parent->assurance, ERR_BOUNDS);
	ENSURE(is_scope_within(parent->scope, child->scope), ERR_BOUNDS);
	TRY(delegation_direction_check(&parent->direction, &child->direction));
	if (parent->grant.n == 0) {
		return OK;
	}
	return delegation_items_narrow(parent->items, parent->n_items, child->items, child->n_items,
		diag);
}
