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
	str_t body, jwk;
	net_response_t response;

	if (!c->key) {
		return cli_fail(EXIT_USAGE, "agent register needs --key FILE, the agent's public key");
	}
	int status = cli_public_key(c, c->key, &jwk);
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
	jw_karray(&b.w, "keys");
	jw_raw(&b.w, jwk);
	jw_end(&b.w);
	status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "POST", "/agents", "agent.register", body, &response);
	return status ? status : cli_done(c, &response, "agent %s registered", c->args[0]);
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

const cli_word_t cli_agent_words[] = {
	{ "key", "NAME [--out FILE]", "make an Ed25519 key pair for an agent", "j" "O", 1, 1, agent_key },
	{ "register", "NAME --key FILE --owner USER --scope S...", "register an agent (signed)", CLI_API "kKoceR", 1, 1, agent_register },
	{ "state", "NAME active|quarantined|retired", "stop an agent, or let it go on (signed)", CLI_API, 2, 2, agent_state },
	{ "list", "", "all agents", CLI_API, 0, 0, agent_list },
	{ "show", "NAME", "one agent", CLI_API, 1, 1, agent_show },
	{ 0 },
};
