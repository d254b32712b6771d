/* options.c: every option of every verb, once. Rows of verbs name them by letter; a letter is a short option
 * only where people type it often. */
#include <stddef.h>

#include "app/cli/cli_int.h"

#define AT(member) offsetof(cli_t, member)

const cli_option_t cli_options[] = {
	{ 'd', "dir", "DIR", "working directory of attorn (default: $ATTORN_DIR, else the current one)", AT(dir) },
	{ 'u', "url", "URL", "talk to an authority by its URL; every request is then signed", AT(url) },
	{ 'j', "json", NULL, "print the answer as JSON", 0 },
	{ 's', "as", "USER", "sign as this user (default: $ATTORN_USER, else operator)", AT(as) },
	{ 'F', "user-key", "FILE", "the user's key (default: keys/USER.key in the working directory)", AT(user_key) },
	{ 'P', "passphrase-file", "FILE", "read the passphrase from FILE, - is stdin (default: $ATTORN_PASSPHRASE_FILE, else ask)", AT(passphrase_file) },
	{ 'k', "key", "FILE", "a key file; an agent's own: default $ATTORN_AGENT_KEY", AT(key) },
	{ 'a', "agent", "NAME", "the agent (default: $ATTORN_AGENT)", AT(agent) },
	{ 'g', "grant", "ID", "the grant it acts under (default: $ATTORN_GRANT)", AT(grant) },
	{ 'i', "issuer", "URL", "the authority's URL, for who has no --dir (default: $ATTORN_ISSUER)", AT(issuer) },
	{ 'o', "owner", "USER", "the user who answers for the agent", AT(owner) },
	{ 'K', "kind", "KIND", "delegated (acts for a user) or autonomous", AT(kind) },
	{ 'c', "scope", "SCOPE", "a permission, RESOURCE:ACTION; may be repeated", 0 },
	{ 'R', "role", "ROLE", "a role; may be repeated", 0 },
	{ 'A', "allow", "RULE", "what the grant allows; may be repeated (rules: attorn help grant)", 0 },
	{ 'U', "uses", "N", "how many calls", 0 },
	{ 't', "for", "TIME", "how long: 90s, 30m, 1h, 7d (default: 1h)", AT(until) },
	{ 'e', "depth", "N", "how many agents deep; 1, the default, is the agent itself", 0 },
	{ 'r', "reason", "TEXT", "why", AT(reason) },
	{ 'f', "file", "FILE", "read from FILE, - is stdin", AT(file) },
	{ 'O', "out", "FILE", "write to FILE, which must not exist", AT(out) },
	{ 'D', "data", "TEXT", "request body or arguments; @FILE reads a file", AT(data) },
	{ 'T', "type", "TYPE", "content type of the body (default: application/json)", AT(type) },
	{ 'v', "vkey", "KEY", "the ledger's verifier key", AT(vkey) },
	{ 'b', "from", "N", "first index", 0 },
	{ 'E', "to", "N", "index behind the last", 0 },
	{ 'w', "operator", "NAME", "first start: name of the first user (default: operator)", AT(operator_name) },
	{ 'p', "port", "N", "first start: authority on port N, gateway on N+1 (default: 7480)", 0 },
	{ 'q', "kek-passphrase-file", "FILE", "the passphrase that seals the signer's keys, read at each start", AT(kek_passphrase_file) },
	{ 'S', "signer-fd", "N", "the inherited socket between authority and signer", 0 },
	{ 'n', "entry", "ID", "which entry of the agent, where several have a runner", AT(entry) },
	{ 'Z', "oldest-kernel", NULL, "bind callers the way Linux 6.1 can, on any kernel", 0 },
	{ 0 },
};

const cli_option_t *cli_option(char letter)
{
	for (const cli_option_t *o = cli_options; o->name; o++) {
		if (o->letter == letter) {
			return o;
		}
	}
	return NULL;
}

static const char *list_add(str_t *list, size_t *n, const char *value)
{
	if (*n == CLI_LIST_MAX) {
		return "given too often";
	}
	list[(*n)++] = str_of(value);
	return NULL;
}

static const char *number(const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n;

	if (str_to_u64(str_of(value), max, &n) != OK || n < min) {
		return "not a number that can be here";
	}
	*out = n;
	return NULL;
}

const char *cli_option_set(cli_t *c, const cli_option_t *o, const char *value)
{
	switch (o->letter) {
	case 'j':
		c->json = true;
		return NULL;
	case 'Z':
		c->oldest_kernel = true;
		return NULL;
	case 'U':
		return number(value, 1, UINT32_MAX, &c->uses);
	case 'e':
		return number(value, 1, UINT32_MAX, &c->depth);
	case 'b':
		return number(value, 0, JSON_SAFE_INT_MAX, &c->from);
	case 'E':
		c->has_to = true;
		return number(value, 0, JSON_SAFE_INT_MAX, &c->to);
	case 'S':
		return number(value, 3, 1023, &c->signer_fd);
	case 'p':
		return number(value, 1, UINT16_MAX - 1, &c->port);
	case 'c':
		return list_add(c->scopes, &c->n_scopes, value);
	case 'R':
		return list_add(c->roles, &c->n_roles, value);
	case 'A':
		return list_add(c->details, &c->n_details, value);
	default:
		memcpy((char *)c + o->offset, &value, sizeof(value));
		return NULL;
	}
}
