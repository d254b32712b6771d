/* agent.c: attorn agent. */
#include <stdio.h>

#include "app/cli/json.h"
#include "app/cli/verbs.h"

static int agent_key(cli_t *c)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	AUTO(secret_done) secret_t jwk = { 0 };
	str_t public_jwk;
	const char *path = c->out ? c->out : cli_text(c, "%s.key", c->args[0]);
	err_t e = crypto_key_generate(CRYPTO_KEY_ED25519, &key);

	if (e == OK) {
		e = jose_key_write(key, &jwk);
	}
	if (e == OK) {
		e = jose_jwk_write(c->a, crypto_key_pub(key), STR_NULL, STR_NULL, &public_jwk);
	}
	if (e != OK) {
		return cli_fail_err(EXIT_HERE, "key", e, NULL);
	}
	int status = cli_write_file(path, secret_peek(&jwk), 0600);
	status = status ? status : cli_write_file(cli_text(c, "%s.pub", path), arena_cat(c->a, public_jwk, STR("\n")), 0644);
	if (status == EXIT_DONE && c->json) {
		cli_print(public_jwk);
	} else if (status == EXIT_DONE) {
		printf("made %s and %s.pub; register it with: attorn agent register %s --key %s.pub --owner USER --scope S\n",
			path, path, c->args[0], path);
	}
	return status;
}

static int agent_register(cli_t *c)
{
	cli_body_t b;
	str_t body, jwk = STR_NULL, entries = STR_NULL;
	net_response_t response;

	if (!c->key && !c->file) {
		return cli_fail(EXIT_USAGE, "agent register needs --key FILE, the agent's public key, or --file FILE, entries: "
				"by which attested facts its processes are known");
	}
	int status = c->key ? cli_public_key(c, c->key, &jwk) : EXIT_DONE;
	status = status || !c->file ? status : cli_file(c, c->file, CLI_FILE_BYTES_MAX, &entries);
	if (status) {
		return status;
	}
	cli_body_begin(&b, c);
	jw_kstr(&b.w, "name", str_of(c->args[0]));
	jw_kstr(&b.w, "kind", str_of(c->kind ? c->kind : "delegated"));
	jw_kstr(&b.w, "owner", str_of(c->owner ? c->owner : c->as));
	cli_body_list(&b, "scopes", c->scopes, c->n_scopes);
	cli_body_list(&b, "roles", c->roles, c->n_roles);
	jw_ku64(&b.w, "max_depth", c->depth ? c->depth : 1);
	if (jwk.n) {
		jw_karray(&b.w, "keys");
		jw_raw(&b.w, jwk);
		jw_end(&b.w);
	}
	if (entries.n) {
		jw_kraw(&b.w, "entries", str_trim(entries)); /* checked by the authority */
	}
	status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "POST", "/agents", "agent.register", body, &response);
	return status ? status : cli_done(c, &response, "agent %s registered", c->args[0]);
}

/* What is given replaces what the record holds, what is not stays; --scope - or --role - leaves none. */
static void list_or_kept(cli_body_t *b, const char *key, const str_t *list, size_t n, const json_t *agent)
{
	if (n == 0) {
		jw_kraw(&b->w, key, json_raw(json_get(agent, str_of(key))));
	} else {
		cli_body_list(b, key, list, n == 1 && str_eq(list[0], STR("-")) ? 0 : n);
	}
}

static int update_body(cli_t *c, const json_t *agent, str_t *out)
{
	cli_body_t b;

	cli_body_begin(&b, c);
	if (c->owner) {
		jw_kstr(&b.w, "owner", str_of(c->owner));
	} else {
		jw_kraw(&b.w, "owner", json_raw(json_get(agent, STR("owner"))));
	}
	list_or_kept(&b, "scopes", c->scopes, c->n_scopes, agent);
	list_or_kept(&b, "roles", c->roles, c->n_roles, agent);
	if (c->depth) {
		jw_ku64(&b.w, "max_depth", c->depth);
	} else {
		jw_kraw(&b.w, "max_depth", json_raw(json_get(agent, STR("max_depth"))));
	}
	jw_kraw(&b.w, "rev", json_raw(json_get(agent, STR("rev")))); /* refused if somebody else was faster */
	return cli_body_end(&b, out);
}

static int agent_update(cli_t *c)
{
	const json_t *agent;
	str_t body;
	net_response_t response;
	const char *path = cli_text(c, "/agents/%s", c->args[0]);
	cli_request_t r = { .method = "GET", .path = str_of(path) };

	if (!c->owner && !c->n_scopes && !c->n_roles && !c->depth) {
		return cli_fail(EXIT_USAGE, "agent update needs what to change: --owner, --scope, --role or --depth");
	}
	int status = cli_call_json(c, &r, &agent);
	status = status ? status : update_body(c, agent, &body);
	status = status ? status : cli_verb(c, "PUT", path, "agent.update", body, &response);
	return status ? status : cli_done(c, &response, "agent %s updated", c->args[0]);
}

static int agent_key_add(cli_t *c)
{
	return cli_key_add(c, cli_text(c, "/agents/%s/keys", c->args[0]), "agent.key.add");
}

static int agent_key_retire(cli_t *c)
{
	return cli_key_retire(c, cli_text(c, "/agents/%s", c->args[0]), "agent.key.state");
}

static int agent_list(cli_t *c)
{
	static const cli_column_t columns[] = { { "name", 20 }, { "kind", 11 }, { "state", 12 }, { "owner", 14 }, { "scopes", 50 } };

	return cli_list(c, STR("/agents?after="), "agents", columns, ARRAY_LEN(columns));
}

static int agent_show(cli_t *c)
{
	return cli_show(c, str_of(cli_text(c, "/agents/%s", c->args[0])));
}

static int agent_state(cli_t *c)
{
	return cli_state_set(c, cli_text(c, "/agents/%s/state", c->args[0]), "agent.state", c->args[1], c->args[0]);
}

static int agent_entries(cli_t *c)
{
	net_response_t response;
	cli_body_t b;
	str_t entries, body;

	if (!c->file) {
		return cli_fail(EXIT_USAGE, "agent entries needs --file FILE, a JSON list (docs/identity.md 3)");
	}
	int status = cli_file(c, c->file, CLI_FILE_BYTES_MAX, &entries);
	if (status) {
		return status;
	}
	cli_body_begin(&b, c);
	jw_kraw(&b.w, "entries", str_trim(entries));
	status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "PUT", cli_text(c, "/agents/%s/entries", c->args[0]), "agent.entries", body, &response);
	return status ? status : cli_done(c, &response, "agent %s is known by these entries", c->args[0]);
}

const cli_word_t cli_agent_words[] = {
	{ "key", "NAME [--out FILE]", "make an Ed25519 key pair for an agent", "j" "O", 1, 1, agent_key },
	{ "register", "NAME --key FILE | --file ENTRIES --owner USER --scope S...", "register an agent (signed)", CLI_API "kKoceRf", 1, 1, agent_register },
	{ "update", "NAME [--owner USER] [--scope S...] [--role R...] [--depth N]", "replace what is given, - for none; the rest stays (signed)",
		CLI_API "oceR", 1, 1, agent_update },
	{ "key-add", "NAME --key FILE", "register one more key of an agent (signed)", CLI_API "k", 1, 1, agent_key_add },
	{ "key-retire", "NAME THUMBPRINT | NAME --key FILE", "an agent's key counts no more, for good; so do its tokens", CLI_API "k", 1, 2,
		agent_key_retire },
	{ "entries", "NAME --file FILE", "by which attested facts its processes are known (signed)", CLI_API "f", 1, 1, agent_entries },
	{ "state", "NAME active|quarantined|retired", "stop an agent, or let it go on (signed)", CLI_API, 2, 2, agent_state },
	{ "list", "", "all agents", CLI_API, 0, 0, agent_list },
	{ "show", "NAME", "one agent", CLI_API, 1, 1, agent_show },
	{ 0 },
};
