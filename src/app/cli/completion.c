/* completion.c: attorn completion bash: words and options, from the same tables as the help. */
#include <stdio.h>

#include "app/cli/verbs.h"

static int completion(cli_t *c)
{
	if (!str_eq(str_of(c->args[0]), STR("bash"))) {
		return cli_fail(EXIT_USAGE, "only bash is known");
	}
	puts("_attorn() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then");
	printf("\t\tCOMPREPLY=($(compgen -W \"up init authority gateway help");
	for (const cli_verb_t *v = cli_verbs; v->name; v++) {
		printf(" %s", v->name);
	}
	puts("\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tif [ \"$COMP_CWORD\" -eq 2 ]; then\n\t\tcase ${COMP_WORDS[1]} in");
	for (const cli_verb_t *v = cli_verbs; v->name; v++) {
		if (strchr(v->args, '|')) {
			printf("\t\t%s) COMPREPLY=($(compgen -W \"$(echo '%s' | tr '|' ' ')\" -- \"$cur\")) ;;\n", v->name, v->args);
		}
	}
	puts("\t\tesac\n\tfi\n}\ncomplete -o default -F _attorn attorn");
	return EXIT_DONE;
}

static const cli_word_t words[] = {
	{ "", "bash", "print a completion script: attorn completion bash > /etc/bash_completion.d/attorn", "", 1, 1, completion },
};

int cli_completion(int argc, char **argv)
{
	return cli_words_run("completion", words, ARRAY_LEN(words), argc, argv);
}
