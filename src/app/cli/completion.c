/* completion.c: attorn completion bash: verbs, words and options, from the same tables as the help. */
#include <stdio.h>

#include "app/cli/verbs.h"

/* Every option that some row takes, and the words, of one verb. */
static void verb_case(const cli_verb_t *v)
{
	printf("\t%s) words='", v->name);
	for (const cli_word_t *w = v->words; w->help; w++) {
		printf("%s%s", w == v->words ? "" : " ", w->word);
	}
	fputs("' options='--help", stdout);
	for (const cli_option_t *o = cli_options; o->name; o++) {
		bool takes = false;
		for (const cli_word_t *w = v->words; w->help; w++) {
			takes = takes || strchr(w->options, o->letter);
		}
		if (takes) {
			printf(" --%s", o->name);
		}
	}
	puts("' ;;");
}

static int completion(cli_t *c)
{
	if (!str_eq(str_of(c->args[0]), STR("bash"))) {
		return cli_fail(EXIT_USAGE, "only bash is known");
	}
	puts("_attorn() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words= options=\n\tCOMPREPLY=()");
	fputs("\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W 'up init authority gateway help", stdout);
	for (const cli_verb_t *v = cli_verbs; v->name; v++) {
		printf(" %s", v->name);
	}
	puts("' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in");
	for (const cli_verb_t *v = cli_verbs; v->name; v++) {
		verb_case(v);
	}
	puts("\tup|init|authority|gateway) options='--dir --passphrase-file --operator --port' ;;\n\tesac");
	puts("\tif [[ $cur == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))");
	puts("\telif [ \"$COMP_CWORD\" -eq 2 ]; then\n\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n\tfi\n}");
	puts("complete -o default -F _attorn attorn");
	return EXIT_DONE;
}

const cli_word_t cli_completion_words[] = {
	{ "", "bash", "print a completion script: attorn completion bash > /etc/bash_completion.d/attorn", "", 1, 1, completion },
	{ 0 },
};
