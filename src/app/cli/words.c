/* words.c: one table of options for all verbs (argp), and the choice of a verb's word. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/cli/cli_int.h"

/* Options every verb takes. */
static const char common[] = "djusFP";

static const struct argp_option all_options[] = {
	{ "dir", 'd', "DIR", 0, "working directory of attorn (default: $ATTORN_DIR, else the current one)", 0 },
	{ "url", 'u', "URL", 0, "talk to an authority by its URL; every request is then signed", 0 },
	{ "json", 'j', NULL, 0, "print the answer as JSON", 0 },
	{ "as", 's', "USER", 0, "sign as this user (default: $ATTORN_USER, else operator)", 0 },
	{ "user-key", 'F', "FILE", 0, "the user's key (default: keys/USER.key in the working directory)", 0 },
	{ "passphrase-file", 'P', "FILE", 0, "read the key's passphrase from FILE, - is stdin (default: ask)", 0 },
	{ "key", 'k', "FILE", 0, "a key file", 1 },
	{ "agent", 'a', "NAME", 0, "the agent", 1 },
	{ "owner", 'o', "USER", 0, "the user who answers for the agent", 1 },
	{ "kind", 'K', "KIND", 0, "delegated (acts for a user) or autonomous", 1 },
	{ "grant", 'g', "ID", 0, "the grant", 1 },
	{ "reason", 'r', "TEXT", 0, "why", 1 },
	{ "file", 'f', "FILE", 0, "read from FILE, - is stdin", 1 },
	{ "out", 'O', "FILE", 0, "write to FILE", 1 },
	{ "for", 't', "TIME", 0, "how long: 30m, 1h, 7d", 1 },
	{ "expect", 'x', "HASH", 0, "what it must be", 1 },
	{ "data", 'D', "TEXT", 0, "request body; @FILE reads a file", 1 },
	{ "type", 'T', "TYPE", 0, "content type of the body (default application/json)", 1 },
	{ "issuer", 'i', "URL", 0, "the authority's issuer URL (default: $ATTORN_ISSUER, else asked of --dir)", 1 },
	{ "vkey", 'v', "KEY", 0, "the ledger's verifier key", 1 },
	{ "state", 'S', "STATE", 0, "state to filter by", 1 },
	{ "name", 'n', "NAME", 0, "a name", 1 },
	{ "uses", 'U', "N", 0, "how many calls", 1 },
	{ "depth", 'e', "N", 0, "how many agents deep (1: the agent itself)", 1 },
	{ "from", 'b', "N", 0, "first index", 1 },
	{ "to", 'E', "N", 0, "index behind the last", 1 },
	{ "scope", 'c', "SCOPE", 0, "a permission, RESOURCE:ACTION; may be repeated", 1 },
	{ "role", 'R', "ROLE", 0, "a role; may be repeated", 1 },
	{ "allow", 'A', "RULE", 0, "what the grant allows; may be repeated (see: attorn grant --help)", 1 },
	{ 0 },
};

typedef struct {
	cli_t *c;
	const cli_word_t *words, *word;
	size_t n_words;
	const char *verb;
	bool used[128]; /* options given, by letter */
} parse_t;

static error_t list_add(struct argp_state *state, str_t *list, size_t *n, char *arg)
{
	if (*n == CLI_LIST_MAX) {
		argp_error(state, "more than %d of one option", CLI_LIST_MAX);
	}
	list[(*n)++] = str_of(arg);
	return 0;
}

static error_t number(struct argp_state *state, char *arg, uint64_t *out)
{
	if (str_to_u64(str_of(arg), JSON_SAFE_INT_MAX, out) != OK) {
		argp_error(state, "not a number: %s", arg);
	}
	return 0;
}

/* Options with a text value: letter -> place. */
static const char **text_option(cli_t *c, int key)
{
	switch (key) {
	case 'd': return &c->dir;
	case 'u': return &c->url;
	case 's': return &c->as;
	case 'F': return &c->user_key;
	case 'P': return &c->passphrase_file;
	case 'k': return &c->key;
	case 'a': return &c->agent;
	case 'o': return &c->owner;
	case 'K': return &c->kind;
	case 'g': return &c->grant;
	case 'r': return &c->reason;
	case 'f': return &c->file;
	case 'O': return &c->out;
	case 't': return &c->until;
	case 'x': return &c->expect;
	case 'D': return &c->data;
	case 'T': return &c->type;
	case 'i': return &c->issuer;
	case 'v': return &c->vkey;
	case 'S': return &c->state;
	case 'n': return &c->name;
	default: return NULL;
	}
}

static error_t other_option(struct argp_state *state, cli_t *c, int key, char *arg)
{
	switch (key) {
	case 'j':
		c->json = true;
		return 0;
	case 'U':
		return number(state, arg, &c->uses);
	case 'e':
		return number(state, arg, &c->depth);
	case 'b':
		return number(state, arg, &c->from);
	case 'E':
		c->has_to = true;
		return number(state, arg, &c->to);
	case 'c':
		return list_add(state, c->scopes, &c->n_scopes, arg);
	case 'R':
		return list_add(state, c->roles, &c->n_roles, arg);
	case 'A':
		return list_add(state, c->details, &c->n_details, arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The first bare word chooses the row of a verb that has several; the rest are its arguments. */
static error_t bare_word(struct argp_state *state, parse_t *p, char *arg)
{
	if (!p->word) {
		for (size_t i = 0; i < p->n_words; i++) {
			if (strcmp(p->words[i].word, arg) == 0) {
				p->word = &p->words[i];
				return 0;
			}
		}
		argp_error(state, "attorn %s has no word \"%s\"", p->verb, arg);
	}
	if (p->c->n_args == CLI_ARGS_MAX) {
		argp_error(state, "too many arguments");
	}
	p->c->args[p->c->n_args++] = arg;
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	parse_t *p = state->input;

	if (key == ARGP_KEY_ARG) {
		return bare_word(state, p, arg);
	}
	if (key > ' ' && key < 127) {
		p->used[key] = true;
	}
	const char **text = text_option(p->c, key);
	if (text) {
		*text = arg;
		return 0;
	}
	return other_option(state, p->c, key, arg);
}

/* What was given against what the chosen row takes. */
static int options_check(const parse_t *p)
{
	for (const struct argp_option *o = all_options; o->name; o++) {
		if (p->used[o->key] && !strchr(common, o->key) && !strchr(p->word->options, o->key)) {
			fprintf(stderr, "attorn: %s %s takes no --%s\n", p->verb, p->word->word, o->name);
			return EXIT_USAGE;
		}
	}
	return EXIT_DONE;
}

static char *usage_text(const parse_t *p)
{
	buf_t b;

	buf_init(&b, CLI_FILE_BYTES_MAX);
	for (size_t i = 0; i < p->n_words; i++) {
		const cli_word_t *w = &p->words[i];
		buf_printf(&b, "  attorn %s %-10s %-34s %s\n", p->verb, w->word, w->args, w->help);
	}
	buf_byte(&b, '\0');
	return b.p;
}

static int run_word(parse_t *p)
{
	cli_t *c = p->c;

	if (c->n_args < p->word->min_args || c->n_args > p->word->max_args) {
		fprintf(stderr, "attorn: usage: attorn %s %s %s\n", p->verb, p->word->word, p->word->args);
		return EXIT_USAGE;
	}
	c->dir = c->dir ? c->dir : getenv("ATTORN_DIR");
	c->dir = c->dir ? c->dir : ".";
	c->as = c->as ? c->as : getenv("ATTORN_USER");
	c->as = c->as ? c->as : "operator";
	c->issuer = c->issuer ? c->issuer : getenv("ATTORN_ISSUER");
	c->agent = c->agent ? c->agent : getenv("ATTORN_AGENT");
	c->grant = c->grant ? c->grant : getenv("ATTORN_GRANT");
	return p->word->run(c);
}

int cli_words_run(const char *verb, const cli_word_t *words, size_t n, int argc, char **argv)
{
	if (crypto_init() != OK) {
		return cli_fail(EXIT_HERE, "the cryptographic libraries do not start");
	}
	cli_t *c = heap_new(cli_t);
	parse_t p = { .c = c, .words = words, .n_words = n, .verb = verb };
	char name[64];

	c->a = arena_new_capped(CLI_ARENA_BYTES_MAX);
	if (n == 1 && words[0].word[0] == '\0') {
		p.word = &words[0];
	}
	char *usage = usage_text(&p);
	char *doc = heap_alloc(strlen(usage) + 2);
	snprintf(doc, strlen(usage) + 2, "\n%s", usage);
	struct argp argp = { all_options, parse_option, p.word ? p.word->args : "WORD ...", doc, NULL, NULL, NULL };
	snprintf(name, sizeof(name), "attorn %s", verb);
	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &p);
	if (!p.word) {
		fprintf(stderr, "usage:\n%s", usage);
		return EXIT_USAGE;
	}
	int status = options_check(&p);
	status = status ? status : run_word(&p);
	arena_free(c->a); /* wiped: it may have held tokens */
	heap_free(c);
	heap_free(usage);
	heap_free(doc);
	return status;
}
