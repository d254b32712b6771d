/* help.c: attorn help, help VERB, and the man page: the tables in three shapes. */
#include <stdio.h>

#include "app/cli/verbs.h"

const cli_exit_t cli_exits[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_NO, "refused, or not found: the answer is no" },
	{ EXIT_USAGE, "the command line is wrong" },
	{ EXIT_AWAY, "the authority cannot be reached, or cannot answer now; nothing was done" },
	{ EXIT_HERE, "something on this machine: a file, a key, a passphrase" },
	{ EXIT_BAD_PROOF, "a proof does not verify" },
	{ 0 },
};

/* Longer texts: one line of output each, ending with NULL. */
static const char *const about[] = {
	"An agent calls a tool; a grant, signed by a person, says how far; rules decide every call;",
	"risky ones need an approval; and everything leaves proof.",
	NULL,
};

static const char *const rules_text[] = {
	"A RULE says what the grant allows, in one line:",
	"  ROUTE TOOL [ARG=KIND:VALUE]...          a tool of an MCP server",
	"  ROUTE METHOD /PATH [ARG=KIND:VALUE]...  a request to an HTTP API; ARG names members of its JSON body",
	"Every argument of a call must be named by a rule; what is not named refuses the call.",
	"  equals:V      this JSON value, else this text    one_of:A,B   one of these texts",
	"  range:1..5    an integer from 1 to 5             under:/DIR   a path at or below /DIR",
	"  url_in:URL    a URL at or below one of these     host_is:H    a host name among these",
	"  matches:RE    the whole text matches             ARG          a name, or a JSON pointer such as /a/0",
	"'...' and \"...\" keep blanks. For example:",
	"  attorn grant create --agent scout --uses 20 --for 1h \\",
	"    --allow 'invoices read_text_file path=under:/srv/invoices' \\",
	"    --allow 'tickets POST /tickets title=matches:\"[A-Za-z ]{1,80}\"'",
	NULL,
};

static const char *const shim_text[] = {
	"Start it as a stdio server from any MCP client. The agent's key answers for it: one delegated token opens",
	"the session, every tool call goes out under a capability of its own. Nothing is asked of anybody before the",
	"first message. Without --dir give --issuer and the route's URL, and the agent's full name:",
	"  attorn mcp http://127.0.0.1:7481/r/invoices --issuer http://127.0.0.1:7480 \\",
	"    --agent spiffe://example.test/agent/scout --key agent.key --grant ID",
	NULL,
};

static const struct {
	const char *verb;
	const char *const *text;
} notes[] = { { "grant", rules_text }, { "mcp", shim_text } };

static const char *const *note_of(const cli_verb_t *verb)
{
	for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
		if (strcmp(notes[i].verb, verb->name) == 0) {
			return notes[i].text;
		}
	}
	return NULL;
}

static void lines_print(const char *const *lines)
{
	for (; *lines; lines++) {
		puts(*lines);
	}
}

str_t cli_verb_args(arena_t *a, const cli_verb_t *verb)
{
	str_t s = STR("");

	if (verb->words[0].word[0] == '\0') {
		return str_of(verb->words[0].args);
	}
	for (const cli_word_t *w = verb->words; w->help; w++) {
		s = arena_cat(a, s, s.n ? STR("|") : STR(""), str_of(w->word));
	}
	return s;
}

/* Does any row of the verb take this option? */
static bool verb_takes(const cli_verb_t *verb, char letter)
{
	for (const cli_word_t *w = verb->words; w->help; w++) {
		if (strchr(w->options, letter)) {
			return true;
		}
	}
	return false;
}

/* --- help ------------------------------------------------------------------------------------------------- */

static void table_print(const cli_verb_t *table)
{
	AUTO(arena_free) arena_t *a = arena_open();

	for (const cli_verb_t *v = table; v->name; v++) {
		str_t args = cli_verb_args(a, v);
		printf("  %-10s %-34.*s %s\n", v->name, STR_ARG(args), v->help);
	}
}

void cli_help(const cli_verb_t *own)
{
	puts("attorn: power of attorney for AI agents\n");
	lines_print(about);
	puts("\nusage: attorn VERB [WORD] [OPTIONS]      attorn help VERB tells more\n");
	table_print(own);
	table_print(cli_verbs);
	puts("\nexit status");
	for (const cli_exit_t *e = cli_exits; e->meaning; e++) {
		printf("  %d  %s\n", e->status, e->meaning);
	}
}

void cli_help_verb(const cli_verb_t *verb)
{
	printf("attorn %s: %s\n\n", verb->name, verb->help);
	for (const cli_word_t *w = verb->words; w->help; w++) {
		printf("  attorn %s %s%s%s\n        %s\n", verb->name, w->word, w->word[0] ? " " : "", w->args, w->help);
	}
	puts("\noptions");
	for (const cli_option_t *o = cli_options; o->name; o++) {
		if (verb_takes(verb, o->letter)) {
			printf("  --%s%s%-*s %s\n", o->name, o->arg ? " " : "",
				(int)(22 - strlen(o->name) - (o->arg ? 1 : 0)), o->arg ? o->arg : "", o->help);
		}
	}
	if (note_of(verb)) {
		putchar('\n');
		lines_print(note_of(verb));
	}
}

/* --- the man page (man(7)) ---------------------------------------------------------------------------------- */

static void roff(const char *text)
{
	if (*text == '.' || *text == '\'') {
		fputs("\\&", stdout);
	}
	for (; *text; text++) {
		if (*text == '\\') {
			fputs("\\e", stdout);
		} else if (*text == '-') {
			fputs("\\-", stdout);
		} else {
			putchar(*text);
		}
	}
}

static void roff_line(const char *before, const char *text)
{
	fputs(before, stdout);
	roff(text);
	putchar('\n');
}

static void man_rows(const cli_verb_t *v)
{
	roff_line(".SS ", v->name);
	roff_line("", v->help);
	for (const cli_word_t *w = v->words; w->help; w++) {
		printf(".TP\n.B attorn %s %s\n", v->name, w->word);
		if (w->args[0]) {
			roff_line(".br\n", w->args);
		}
		roff_line(".br\n", w->help);
	}
	if (note_of(v)) {
		puts(".PP\n.nf");
		for (const char *const *line = note_of(v); *line; line++) {
			roff_line("", *line);
		}
		puts(".fi");
	}
}

static void man_options(void)
{
	puts(".SH OPTIONS");
	for (const cli_option_t *o = cli_options; o->name; o++) {
		printf(".TP\n.BR \\-\\-");
		roff(o->name);
		if (o->arg) {
			printf(" \" \" \\fI%s\\fR", o->arg);
		}
		roff_line("\n", o->help);
	}
}

void cli_man(const cli_verb_t *own)
{
	printf(".TH ATTORN 1 \"\" \"attorn %s\" \"User Commands\"\n", ATTORN_VERSION);
	puts(".SH NAME\nattorn \\- power of attorney for AI agents\n.SH SYNOPSIS\n.B attorn\n.I VERB\n[\\fIWORD\\fR] [\\fIOPTIONS\\fR]");
	puts(".SH DESCRIPTION");
	for (const char *const *line = about; *line; line++) {
		roff_line("", *line);
	}
	puts(".SH VERBS");
	for (const cli_verb_t *v = own; v->name; v++) {
		man_rows(v);
	}
	for (const cli_verb_t *v = cli_verbs; v->name; v++) {
		man_rows(v);
	}
	man_options();
	puts(".SH EXIT STATUS");
	for (const cli_exit_t *e = cli_exits; e->meaning; e++) {
		printf(".TP\n.B %d\n", e->status);
		roff_line("", e->meaning);
	}
	puts(".SH ENVIRONMENT\nNames and places only; no secret is taken from the environment.");
	puts(".TP\n.B ATTORN_DIR, ATTORN_USER, ATTORN_PASSPHRASE_FILE\nfor people");
	puts(".TP\n.B ATTORN_ISSUER, ATTORN_AGENT, ATTORN_AGENT_KEY, ATTORN_GRANT\nfor agents");
}
