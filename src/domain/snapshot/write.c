/* write.c: the content to the snapshot's text, one member after the other. */
#include "domain/snapshot/int.h"

static void strings_emit(jw_t *w, const char *key, const str_t *list, size_t n)
{
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++) {
		jw_str(w, list[i]);
	}
	jw_end(w);
}

static void agent_emit(jw_t *w, const snapshot_agent_t *g)
{
	bool is_autonomous = g->kind == DELEGATION_AGENT_AUTONOMOUS;
	bool is_active = g->state == SNAPSHOT_ACTIVE, is_retired = g->state == SNAPSHOT_RETIRED;

	jw_object(w);
	jw_kstr(w, "id", g->id);
	jw_kstr(w, "name", g->name);
	jw_kstr(w, "kind", is_autonomous ? STR("autonomous") : STR("delegated"));
	jw_kstr(w, "owner", g->owner);
	strings_emit(w, "roles", g->roles, g->n_roles);
	jw_kstr(w, "scopes", g->scopes);
	jw_kstr(w, "state", is_active ? STR("active") : is_retired ? STR("retired") : STR("quarantined"));
	jw_ku64(w, "max_depth", g->max_depth);
	strings_emit(w, "jkts", g->jkts, g->n_jkts);
	jw_end(w);
}

static void user_emit(jw_t *w, const snapshot_user_t *u)
{
	jw_object(w);
	jw_kstr(w, "id", u->id);
	jw_kstr(w, "name", u->name);
	jw_kbool(w, "active", u->active);
	strings_emit(w, "roles", u->roles, u->n_roles);
	jw_kstr(w, "permissions", u->permissions);
	jw_end(w);
}

static void role_emit(jw_t *w, const snapshot_role_t *r)
{
	jw_object(w);
	jw_kstr(w, "name", r->name);
	jw_kstr(w, "permissions", r->permissions);
	jw_end(w);
}

static void named_route_emit(jw_t *w, const snapshot_route_t *r)
{
	jw_object(w);
	jw_kstr(w, "name", r->name);
	jw_ku64(w, "rev", r->rev);
	jw_kstr(w, "url", r->url);
	jw_key(w, "document");
	route_emit(w, r);
	jw_end(w);
}

static void policy_emit(jw_t *w, arena_t *a, const snapshot_content_t *c)
{
	jw_kobject(w, "policy");
	jw_kstr(w, "digest", delegation_digest_text(a, c->policy_digest));
	jw_ku64(w, "version", c->policy_version);
	jw_karray(w, "files");
	for (size_t i = 0; i < c->n_policy_files; i++) {
		jw_object(w);
		jw_kstr(w, "name", c->policy_files[i].name);
		jw_kstr(w, "text", c->policy_files[i].text);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void secret_emit(jw_t *w, const char *key, const secret_t *secret)
{
	AUTO(buf_wipe) buf_t text;

	buf_init(&text, DELEGATION_NAME_BYTES_MAX);
	b64url_add(&text, secret_peek(secret));
	jw_kstr(w, key, buf_str(&text));
}

static void lists_emit(jw_t *w, const snapshot_content_t *c)
{
	jw_karray(w, "routes");
	for (size_t i = 0; i < c->n_routes; i++) {
		named_route_emit(w, &c->routes[i]);
	}
	jw_end(w);
	jw_karray(w, "agents");
	for (size_t i = 0; i < c->n_agents; i++) {
		agent_emit(w, &c->agents[i]);
	}
	jw_end(w);
	jw_karray(w, "users");
	for (size_t i = 0; i < c->n_users; i++) {
		user_emit(w, &c->users[i]);
	}
	jw_end(w);
	jw_karray(w, "roles");
	for (size_t i = 0; i < c->n_roles; i++) {
		role_emit(w, &c->roles[i]);
	}
	jw_end(w);
}

err_t snapshot_write(const snapshot_content_t *c, buf_t *out)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t keys;
	jw_t w;

	TRY(jose_jwks_write(a, &c->token_keys, &keys));
	jw_init(&w, out);
	jw_object(&w);
	jw_ku64(&w, "version", c->version);
	jw_kstr(&w, "issuer", c->issuer);
	jw_kstr(&w, "trust_domain", c->trust_domain);
	jw_kraw(&w, "token_keys", keys);
	secret_emit(&w, "nonce_key", &c->nonce_key);
	secret_emit(&w, "session_key", &c->session_key);
	policy_emit(&w, a, c);
	lists_emit(&w, c);
	jw_end(&w);
	return jw_finish(&w);
}
