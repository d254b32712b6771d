/* words.c: from a command line to a row of a verb (argp). */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/cli/cli_int.h"

enum {
	OPTIONS_MAX = 64,
	LONG_ONLY = 0x100, /* argp's key of an option without a short form */
	HELP_KEY = LONG_ONLY | '?',
};

typedef struct {
	cli_t *c;
	const cli_verb_t *verb;
	const cli_word_t *word;
	char used[OPTIONS_MAX]; /* letters given, in order */
	size_t n_used;
	bool help;
	int status; /* what went wrong, and was said */
} parse_t;

static int parse_fail(parse_t *p, const char *what, const char *why)
{
	AUTO(arena_free) arena_t *a = arena_open();

	p->status = cli_fail(EXIT_USAGE, "%.*s: %s; see: attorn help %s", STR_ARG(cli_safe(a, str_of(what))), why,
		p->verb->name);
	return EINVAL;
}

/* The first bare word chooses the row of a verb that has several; the rest are its arguments. */
static int bare_word(parse_t *p, const char *arg)
{
	for (const cli_word_t *w = p->verb->words; !p->word && w->help; w++) {
		if (strcmp(w->word, arg) == 0) {
			p->word = w;
			return 0;
		}
	}
	if (!p->word) {
		return parse_fail(p, arg, "no such word");
	}
	if (p->c->n_args == CLI_ARGS_MAX) {
		return parse_fail(p, arg, "too many arguments");
	}
	if (strlen(arg) > CLI_ARG_BYTES_MAX) {
		return parse_fail(p, "an argument", "too long");
	}
	p->c->args[p->c->n_args++] = arg;
	return 0;
}

static error_t on_key(int key, char *arg, struct argp_state *state)
{
	parse_t *p = state->input;
	const cli_option_t *o = key > 0 ? cli_option((char)(key & 0x7f)) : NULL;

	if (key == ARGP_KEY_ARG) {
		return bare_word(p, arg);
	}
	if (key == HELP_KEY) {
		p->help = true;
		return 0;
	}
	if (!o || (key & ~0x7f & ~LONG_ONLY)) {
		return ARGP_ERR_UNKNOWN;
	}
	if (p->n_used < OPTIONS_MAX) {
		p->used[p->n_used++] = o->letter;
	}
	if (arg && o->letter != 'D' && strlen(arg) > CLI_ARG_BYTES_MAX) {
		return parse_fail(p, o->name, "too long");
	}
	const char *why = cli_option_set(p->c, o, arg);
	return why ? parse_fail(p, arg, why) : 0;
}

static void options_fill(struct argp_option out[OPTIONS_MAX])
{
	size_t n = 0;

	for (const cli_option_t *o = cli_options; o->name; o++) {
		bool is_short = o->letter == 'd' || o->letter == 'j';
		out[n++] = (struct argp_option){ .name = o->name, .key = o->letter | (is_short ? 0 : LONG_ONLY), .arg = o->arg };
	}
	out[n++] = (struct argp_option){ .name = "help", .key = HELP_KEY };
	out[n++] = (struct argp_option){ .name = "usage", .key = HELP_KEY };
	out[n] = (struct argp_option){ 0 };
	CHECK(n < OPTIONS_MAX);
}

/* What was given against what the chosen row takes. */
static int options_check(const parse_t *p)
{
	for (size_t i = 0; i < p->n_used; i++) {
		if (!strchr(p->word->options, p->used[i])) {
			return cli_fail(EXIT_USAGE, "%s %s takes no --%s; see: attorn help %s", p->verb->name, p->word->word,
				cli_option(p->used[i])->name, p->verb->name);
		}
	}
	return EXIT_DONE;
}

static int word_check(const parse_t *p)
{
	const cli_word_t *w = p->word;

	if (!w) {
		return cli_fail(EXIT_USAGE, "attorn %s needs a word; see: attorn help %s", p->verb->name, p->verb->name);
	}
	if (p->c->n_args < w->min_args || p->c->n_args > w->max_args) {
		return cli_fail(EXIT_USAGE, "usage: attorn %s %s%s%s", p->verb->name, w->word, w->word[0] ? " " : "", w->args);
	}
	return options_check(p);
}

int cli_words_parse(cli_t *c, const cli_verb_t *verb, int argc, char **argv, const cli_word_t **out_word)
{
	struct argp_option options[OPTIONS_MAX];
	struct argp argp = { .options = options, .parser = on_key };
	parse_t p = { .c = c, .verb = verb };

	options_fill(options);
	if (verb->words[0].word[0] == '\0') {
		p.word = &verb->words[0];
	}
	error_t e = argp_parse(&argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &p);
	if (e || p.status) {
		return p.status ? p.status : cli_fail(EXIT_USAGE, "see: attorn help %s", verb->name); /* argp said why */
	}
	*out_word = p.word;
	if (p.help) {
		*out_word = NULL;
		return EXIT_DONE;
	}
	return word_check(&p);
}

static const char *or_env(const char *given, const char *name)
{
	const char *set = getenv(name);

	return given ? given : set && set[0] ? set : NULL;
}

/* Only names and places come from the environment, never a secret. */
static void defaults(cli_t *c)
{
	c->dir = or_env(c->dir, "ATTORN_DIR");
	c->dir = c->dir ? c->dir : ".";
	c->as = or_env(c->as, "ATTORN_USER");
	c->as = c->as ? c->as : "operator";
	c->issuer = or_env(c->issuer, "ATTORN_ISSUER");
	c->agent = or_env(c->agent, "ATTORN_AGENT");
	c->grant = or_env(c->grant, "ATTORN_GRANT");
	c->operator_name = c->operator_name ? c->operator_name : "operator";
}

static int row_run(cli_t *c, const cli_word_t *word)
{
	cli_start_t start = { .dir = c->dir, .passphrase_file = c->passphrase_file, .operator_name = c->operator_name,
		.kek_passphrase_file = c->kek_passphrase_file, .signer_fd = (int)c->signer_fd, .port = (uint16_t)c->port,
		.oldest_kernel = c->oldest_kernel };

	return word->start ? word->start(&start) : word->run(c);
}

int cli_words_run(const cli_verb_t *verb, int argc, char **argv)
{
	cli_t *c = heap_new(cli_t);
	const cli_word_t *word = NULL;
	char name[64];

	c->a = arena_new_capped(CLI_ARENA_BYTES_MAX);
	snprintf(name, sizeof(name), "attorn %s", verb->name);
	argv[0] = name; /* argp's messages begin with it */
	int status = cli_words_parse(c, verb, argc, argv, &word);
	if (status == EXIT_DONE && !word) {
		cli_help_verb(verb);
	} else if (status == EXIT_DONE) {
		defaults(c);
		status = row_run(c, word);
	}
	arena_free(c->a); /* wiped: it may have held tokens */
	heap_free(c);
	return status;
}
