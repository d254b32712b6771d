/* main.c: attorn VERB: one table, whose rows are also the help. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cli/cli.h"
#include "app/main/main_int.h"
#include "domain/policy/policy.h"
#include "pure/crypto/crypto.h"

const char *argp_program_version = "attorn " ATTORN_VERSION;

void complain(const char *file, const diag_t *diag, err_t e)
{
	const err_info_t *info = err_info(e);

	fprintf(stderr, "attorn: %s", file);
	if (diag->line) {
		fprintf(stderr, ":%u", diag->line);
	}
	if (diag->line && diag->column) {
		fprintf(stderr, ":%u", diag->column);
	}
	fprintf(stderr, ": %s\n", diag->text[0] ? diag->text : info->text);
	if (info->fix[0] && !diag->text[0]) {
		fprintf(stderr, "  fix: %s\n", info->fix);
	}
}

/* --- up, init, authority, gateway ------------------------------------------------------------------------ */

typedef struct {
	const char *dir, *passphrase_file, *operator_name;
	uint16_t port;
} start_args_t;

static const struct argp_option start_options[] = {
	{ "dir", 'd', "DIR", 0, "working directory (default: $ATTORN_DIR, else the current one)", 0 },
	{ "passphrase-file", 'p', "FILE", 0, "first start: read the operator's passphrase from FILE (- is stdin)", 0 },
	{ "operator", 'o', "NAME", 0, "first start: name of the first user (default: operator)", 0 },
	{ "port", 'P', "N", 0, "first start: authority on port N, gateway on N+1 (default: 7480)", 0 },
	{ 0 },
};

static void port_set(start_args_t *args, const char *text, struct argp_state *state)
{
	uint64_t port;

	if (str_to_u64(str_of(text), UINT16_MAX - 1, &port) != OK || port == 0) {
		argp_error(state, "--port: not a port: %s", text);
	}
	args->port = (uint16_t)port;
}

static error_t start_option(int key, char *arg, struct argp_state *state)
{
	start_args_t *args = state->input;

	switch (key) {
	case 'd':
		args->dir = arg;
		return 0;
	case 'p':
		args->passphrase_file = arg;
		return 0;
	case 'o':
		args->operator_name = arg;
		return 0;
	case 'P':
		port_set(args, arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp start_argp = { start_options, start_option, NULL,
	"Starts attorn in a working directory; the first start makes it.", NULL, NULL, NULL };

typedef struct {
	start_args_t args;
	config_paths_t paths;
	config_t config;
} started_t;

/* Arguments, paths, libraries: what every process of ours does first. 0, or an exit status. */
static int start_common(int argc, char **argv, started_t *s)
{
	diag_t diag = { 0 };

	s->args = (start_args_t){ .dir = getenv("ATTORN_DIR"), .operator_name = "operator",
		.port = CONFIG_PORT_DEFAULT };
	argp_parse(&start_argp, argc, argv, 0, NULL, &s->args);
	if (!s->args.dir) {
		s->args.dir = ".";
	}
	signals_block();
	err_t e = config_paths(s->args.dir, &s->paths, &diag);
	if (e != OK) {
		complain(s->args.dir, &diag, e);
		return 4;
	}
	return 0;
}

static int config_read(started_t *s)
{
	diag_t diag = { 0 };
	err_t e = config_load(s->paths.config, &s->config, &diag);

	if (e != OK) {
		complain(s->paths.config, &diag, e);
		return 4;
	}
	log_setup((log_level_t)(LVL_ERROR - (log_level_t)s->config.log_level), 2);
	return 0;
}

static int first(started_t *s, bool *out_new)
{
	diag_t diag = { 0 };
	err_t e = policy_init();

	if (e == OK) {
		e = first_start(&s->paths, s->args.operator_name, s->args.passphrase_file, s->args.port,
			out_new, &diag);
	}
	if (e != OK) {
		complain(s->paths.root, &diag, e);
		return 4;
	}
	if (*out_new) {
		printf("made %s: configuration, keys, and the user \"%s\" whose key is keys/%s.key\n", s->paths.root,
			s->args.operator_name, s->args.operator_name);
		fflush(stdout);
	}
	return 0;
}

static int run_up(int argc, char **argv)
{
	started_t s = { 0 };
	bool is_new;
	int rc = start_common(argc, argv, &s);

	rc = rc ? rc : first(&s, &is_new);
	rc = rc ? rc : config_read(&s);
	if (rc) {
		return rc;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "attorn: developer mode: agents and authority run as the same user, and nothing stands "
				"between them; every record says shared-uid\n");
	}
	return up_supervise(&s.paths, &s.config);
}

static int run_init(int argc, char **argv)
{
	started_t s = { 0 };
	bool is_new = false;
	int rc = start_common(argc, argv, &s);

	rc = rc ? rc : first(&s, &is_new);
	if (rc == 0 && !is_new) {
		printf("%s is there already\n", s.paths.root);
	}
	return rc;
}

static int run_process(int argc, char **argv, int (*run)(const config_paths_t *, const config_t *))
{
	started_t s = { 0 };
	int rc = start_common(argc, argv, &s);

	rc = rc ? rc : config_read(&s);
	if (rc == 0 && policy_init() != OK) {
		fprintf(stderr, "attorn: the policy engine gives wrong answers\n");
		return 1;
	}
	return rc ? rc : run(&s.paths, &s.config);
}

static int run_authority(int argc, char **argv)
{
	return run_process(argc, argv, authority_run);
}

static int run_gateway(int argc, char **argv)
{
	return run_process(argc, argv, gateway_run);
}

static const cli_verb_t own_verbs[] = {
	{ "up", "[--dir DIR]", "start authority and gateway here; the first start makes everything", run_up },
	{ "init", "[--dir DIR]", "make the working directory without starting", run_init },
	{ "authority", "[--dir DIR]", "run the authority alone", run_authority },
	{ "gateway", "[--dir DIR]", "run a gateway alone", run_gateway },
	{ 0 },
};

static const cli_verb_t *verb_find(const cli_verb_t *table, const char *name)
{
	for (const cli_verb_t *v = table; v->name; v++) {
		if (strcmp(v->name, name) == 0) {
			return v;
		}
	}
	return NULL;
}

static void help_table(const cli_verb_t *table)
{
	for (const cli_verb_t *v = table; v->name; v++) {
		printf("  %-10s %-28s %s\n", v->name, v->args, v->help);
	}
}

static int help(void)
{
	printf("attorn: power of attorney for AI agents\n\n"
	       "An agent calls a tool; a grant, signed by a person, says how far; rules decide every call;\n"
	       "risky ones need an approval; and everything leaves proof.\n\n"
	       "usage: attorn VERB [OPTIONS]      attorn VERB --help tells more\n\n");
	help_table(own_verbs);
	help_table(cli_verbs);
	printf("\nexit codes: 0 done, 1 refused, 2 usage, 3 authority not reachable, 4 this machine, 5 does not verify\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		return help();
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts(argp_program_version);
		return 0;
	}
	const cli_verb_t *v = verb_find(own_verbs, argv[1]);
	v = v ? v : verb_find(cli_verbs, argv[1]);
	if (!v) {
		fprintf(stderr, "attorn: no verb \"%s\"; see: attorn help\n", argv[1]);
		return 2;
	}
	if (crypto_init() != OK) {
		fprintf(stderr, "attorn: the cryptographic libraries do not start\n");
		return 4;
	}
	return v->run(argc - 1, argv + 1);
}
