/* people.c: attorn user, attorn role. */
#include <stdio.h>

#include "app/cli/json.h"
#include "app/cli/verbs.h"

static int key_json(cli_t *c, const char *path, str_t *out)
{
	crypto_pub_t pub;
	diag_t diag = { 0 };
	str_t text;
	int status = cli_file(c, path, CLI_KEY_FILE_BYTES_MAX, &text);

	if (status) {
		return status;
	}
	/* a user's key file holds its public half in the open */
	const json_t *root;
	if (json_parse_object(c->a, text, &root, NULL) == OK &&
		json_is_str(json_get(root, STR("v")), STR("attorn-user-key/1"))) {
		text = json_raw(json_get(root, STR("public")));
	}
	err_t e = jose_pub_read(c->a, text, &pub, &diag);
	if (e == OK) {
		e = jose_jwk_write(c->a, &pub, STR_NULL, STR_NULL, out);
	}
	return e == OK ? EXIT_DONE : cli_fail_err(EXIT_HERE, path, e, &diag);
}

int cli_public_key(cli_t *c, const char *path, str_t *out_jwk)
{
	return key_json(c, path, out_jwk);
}

/* attorn user key NAME: a key of one's own, made where it will be used. */
static int user_key(cli_t *c)
{
	AUTO(secret_done) secret_t passphrase = { 0 };
	diag_t diag = { 0 };
	char jwk[512];
	const char *path = c->out ? c->out : cli_text(c, "%s.key", c->args[0]);
	err_t e = cli_passphrase(c->passphrase_file, "Passphrase for the new user key", true, &passphrase, &diag);

	if (e == OK) {
		e = cli_user_key_make(path, &passphrase, jwk, &diag);
	}
	if (e != OK) {
		return cli_fail_err(EXIT_HERE, path, e, &diag);
	}
	if (c->json) {
		cli_print(str_of(jwk));
	} else {
		printf("made %s; enrol it with: attorn user add %s --key %s --role ROLE\n", path, c->args[0], path);
	}
	return EXIT_DONE;
}

static int user_add(cli_t *c)
{
	cli_body_t b;
	str_t body, jwk;
	net_response_t response;

	if (!c->key) {
		return cli_fail(EXIT_USAGE, "user add needs --key FILE (make one: attorn user key %s)", c->args[0]);
	}
	int status = key_json(c, c->key, &jwk);
	if (status) {
		return status;
	}
	cli_body_begin(&b, c);
	jw_kstr(&b.w, "name", str_of(c->args[0]));
	cli_body_list(&b, "roles", c->roles, c->n_roles);
	jw_karray(&b.w, "keys");
	jw_raw(&b.w, jwk);
	jw_end(&b.w);
	status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "POST", "/users", "user.add", body, &response);
	return status ? status : cli_done(c, &response, "user %s added", c->args[0]);
}

static int user_roles(cli_t *c)
{
	cli_body_t b;
	str_t body;
	net_response_t response;

	cli_body_begin(&b, c);
	cli_body_list(&b, "roles", c->roles, c->n_roles);
	int status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "POST", cli_text(c, "/users/%s/roles", c->args[0]), "user.roles", body, &response);
	return status ? status : cli_done(c, &response, "roles of %s set", c->args[0]);
}

static int state_set(cli_t *c, const char *path, const char *verb, const char *state, const char *said)
{
	cli_body_t b;
	str_t body;
	net_response_t response;
	bool widens = strcmp(state, "active") == 0;

	cli_body_begin(&b, c);
	jw_kstr(&b.w, "state", str_of(state));
	int status = cli_body_end(&b, &body);
	if (!status) {
		status = (widens ? cli_verb : cli_narrow)(c, "POST", path, verb, body, &response);
	}
	return status ? status : cli_done(c, &response, "%s is %s", said, state);
}

int cli_state_set(cli_t *c, const char *path, const char *verb, const char *state, const char *said)
{
	return state_set(c, path, verb, state, said);
}

static int user_state(cli_t *c)
{
	return state_set(c, cli_text(c, "/users/%s/state", c->args[0]), "user.state", c->args[1], c->args[0]);
}

int cli_key_add(cli_t *c, const char *path, const char *verb)
{
	cli_body_t b;
	str_t body, jwk;
	net_response_t response;

	if (!c->key) {
		return cli_fail(EXIT_USAGE, "key-add needs --key FILE, the public key to add");
	}
	int status = key_json(c, c->key, &jwk);
	if (status) {
		return status;
	}
	cli_body_begin(&b, c);
	jw_karray(&b.w, "keys");
	jw_raw(&b.w, jwk);
	jw_end(&b.w);
	status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "POST", path, verb, body, &response);
	return status ? status : cli_done(c, &response, "a key of %s added", c->args[0]);
}

/* A key goes by its thumbprint, or by the file that holds it. */
static int thumbprint(cli_t *c, const char **out)
{
	crypto_pub_t pub;
	str_t jwk;

	if (c->n_args > 1) {
		*out = c->args[1];
		return jose_jkt_is(str_of(*out)) ? EXIT_DONE : cli_fail(EXIT_USAGE, "not a key's thumbprint (RFC 7638)");
	}
	if (!c->key) {
		return cli_fail(EXIT_USAGE, "key-retire needs the key's thumbprint, or --key FILE");
	}
	int status = key_json(c, c->key, &jwk);
	if (status) {
		return status;
	}
	err_t e = jose_pub_read(c->a, jwk, &pub, NULL);
	if (e != OK || arena_cstr(c->a, jose_jkt(c->a, &pub), out) != OK) {
		return cli_fail_err(EXIT_HERE, c->key, ERR_KEY, NULL);
	}
	return EXIT_DONE;
}

int cli_key_retire(cli_t *c, const char *path, const char *verb)
{
	const char *jkt;
	int status = thumbprint(c, &jkt);

	path = status ? path : cli_text(c, cli_text(c, "%s/keys/%%s/state", path), jkt);
	return status ? status : state_set(c, path, verb, "retired", "the key");
}

static int user_key_add(cli_t *c)
{
	return cli_key_add(c, cli_text(c, "/users/%s/keys", c->args[0]), "user.key.add");
}

static int user_key_retire(cli_t *c)
{
	return cli_key_retire(c, cli_text(c, "/users/%s", c->args[0]), "user.key.state");
}

static int user_list(cli_t *c)
{
	static const cli_column_t columns[] = { { "name", 20 }, { "state", 10 }, { "roles", 30 }, { "id", 40 } };

	return cli_list(c, STR("/users?after="), "users", columns, ARRAY_LEN(columns));
}

static int user_show(cli_t *c)
{
	return cli_show(c, str_of(cli_text(c, "/users/%s", c->args[0])));
}

const cli_word_t cli_user_words[] = {
	{ "key", "NAME [--out FILE]", "make a user key sealed by a passphrase", "jP" "O", 1, 1, user_key },
	{ "add", "NAME --key FILE --role R...", "enrol a user (signed)", CLI_API "kR", 1, 1, user_add },
	{ "key-add", "NAME --key FILE", "enrol one more key of a user (signed)", CLI_API "k", 1, 1, user_key_add },
	{ "key-retire", "NAME THUMBPRINT | NAME --key FILE", "a user's key counts no more, for good", CLI_API "k", 1, 2, user_key_retire },
	{ "roles", "NAME --role R...", "replace a user's roles (signed)", CLI_API "R", 1, 1, user_roles },
	{ "state", "NAME active|disabled", "enable (signed) or disable a user", CLI_API, 2, 2, user_state },
	{ "list", "", "all users", CLI_API, 0, 0, user_list },
	{ "show", "NAME", "one user", CLI_API, 1, 1, user_show },
	{ 0 },
};

/* --- role ------------------------------------------------------------------------------------------------ */

static int role_put(cli_t *c)
{
	cli_body_t b;
	str_t body;
	net_response_t response;

	cli_body_begin(&b, c);
	cli_body_list(&b, "permissions", c->scopes, c->n_scopes);
	int status = cli_body_end(&b, &body);
	status = status ? status : cli_verb(c, "PUT", cli_text(c, "/roles/%s", c->args[0]), "role.put", body, &response);
	return status ? status : cli_done(c, &response, "role %s set", c->args[0]);
}

static int role_list(cli_t *c)
{
	static const cli_column_t columns[] = { { "name", 20 }, { "permissions", 60 } };

	return cli_list(c, STR("/roles?after="), "roles", columns, ARRAY_LEN(columns));
}

const cli_word_t cli_role_words[] = {
	{ "put", "NAME --scope RESOURCE:ACTION...", "make or replace a role (signed)", CLI_API "c", 1, 1, role_put },
	{ "list", "", "all roles", CLI_API, 0, 0, role_list },
	{ 0 },
};
