/* main.c: the verbs that start something; all others are cli's. */
#include <stdio.h>
#include <unistd.h>

#include "app/cli/cli.h"
#include "app/main/main_int.h"
#include "domain/policy/policy.h"
#include "pure/crypto/crypto.h"

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

/* --- up, init, authority, signer, gateway ------------------------------------------------------------------------ */

typedef struct {
	cli_start_t args;
	config_paths_t paths;
	config_t config;
	arena_t *arena; /* holds config's strings, as long as the process */
} started_t;

/* What every process of ours does first. 0, or an exit status. */
static int start_common(const cli_start_t *args, started_t *s)
{
	diag_t diag = { 0 };

	s->args = *args;
	s->arena = arena_open();
	s->args.port = args->port ? args->port : CONFIG_PORT_DEFAULT;
	process_guard();
	err_t e = config_paths(s->args.dir, &s->paths, &diag);
	if (e != OK) {
		complain(s->args.dir, &diag, e);
		return EXIT_CANNOT_START;
	}
	return 0;
}

static int config_read(started_t *s)
{
	diag_t diag = { 0 };
	err_t e = config_load(s->arena, s->paths.config, &s->config, &diag);

	if (e != OK) {
		complain(s->paths.config, &diag, e);
		return EXIT_CANNOT_START;
	}
	log_setup((log_level_t)(LVL_ERROR - (log_level_t)s->config.log_level), 2);
	return 0;
}

static int first(started_t *s, bool *out_new)
{
	diag_t diag = { 0 };
	err_t e = policy_init();

	if (e == OK) {
		first_start_t o = { s->args.operator_name, s->args.passphrase_file, s->args.kek_passphrase_file, s->args.port };
		e = first_start(&s->paths, &o, out_new, &diag);
	}
	if (e != OK) {
		complain(diag.line ? s->paths.config : s->paths.root, &diag, e); /* only that file has lines */
		return EXIT_CANNOT_START;
	}
	if (*out_new) {
		printf("made %s: configuration, keys, and the user \"%s\" whose key is keys/%s.key\n", s->paths.root,
			s->args.operator_name, s->args.operator_name);
		fflush(stdout);
	}
	return 0;
}

static int run_up(const cli_start_t *args)
{
	started_t s = { 0 };
	bool is_new;
	int rc = start_common(args, &s);

	rc = rc ? rc : first(&s, &is_new);
	rc = rc ? rc : config_read(&s);
	if (rc) {
		return rc;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "attorn: developer mode: agents and authority run as the same user, and nothing stands "
				"between them; every record says shared-uid\n");
	}
	return up_supervise(&s.paths, &s.config, s.args.kek_passphrase_file);
}

static int run_init(const cli_start_t *args)
{
	started_t s = { 0 };
	bool is_new = false;
	int rc = start_common(args, &s);

	rc = rc ? rc : first(&s, &is_new);
	if (rc == 0 && !is_new) {
		printf("%s is there already\n", s.paths.root);
	}
	return rc;
}

static int process_begin(const cli_start_t *args, started_t *s)
{
	signals_block();
	int rc = start_common(args, s);
	rc = rc ? rc : config_read(s);
	if (rc == 0 && policy_init() != OK) {
		fprintf(stderr, "attorn: the policy engine gives wrong answers\n");
		return EXIT_CANNOT_START;
	}
	return rc;
}

/* Started by hand it has a signer of its own, which ends with it. */
static int run_authority(const cli_start_t *args)
{
	started_t s = { 0 };
	int fd = args->signer_fd;
	pid_t signer = 0;

	descriptors_drop(fd);
	int rc = process_begin(args, &s);
	if (rc) {
		return rc;
	}
	if (fd == 0 && signer_spawn(&s.paths, args->kek_passphrase_file, &fd, &signer) != OK) {
		fprintf(stderr, "attorn: the signer does not start\n");
		return 1;
	}
	rc = authority_run(&s.paths, &s.config, fd);
	close(fd);
	if (signer) {
		signer_reap(signer);
	}
	return rc;
}

static int run_signer(const cli_start_t *args)
{
	started_t s = { 0 };

	if (args->signer_fd == 0) {
		fprintf(stderr, "attorn: the signer serves a socket that attorn up makes; start attorn up, or attorn authority\n");
		return 2;
	}
	descriptors_drop(args->signer_fd);
	int rc = start_common(args, &s);
	return rc ? rc : signer_run(&s.paths, args->kek_passphrase_file, args->signer_fd);
}

static int run_gateway(const cli_start_t *args)
{
	started_t s = { 0 };

	descriptors_drop(0);
	int rc = process_begin(args, &s);
	return rc ? rc : gateway_run(&s.paths, &s.config);
}

static int run_node(const cli_start_t *args)
{
	started_t s = { 0 };

	descriptors_drop(0);
	signals_block();
	int rc = start_common(args, &s); /* no rules here: the engine of policy is not loaded */
	rc = rc ? rc : config_read(&s);
	return rc ? rc : node_run(&s.paths, &s.config, args->oldest_kernel);
}

static const cli_word_t up_words[] = {
	{ "", "[--dir DIR]", "start signer, authority, gateway and node; the first start makes the directory, keys and a policy", CLI_START, 0, 0, NULL, run_up },
	{ 0 },
};
static const cli_word_t init_words[] = {
	{ "", "[--dir DIR]", "make the working directory without starting anything", CLI_START, 0, 0, NULL, run_init },
	{ 0 },
};
static const cli_word_t authority_words[] = {
	{ "", "[--dir DIR]", "run the authority in the foreground, with a signer of its own", "dqS", 0, 0, NULL, run_authority },
	{ 0 },
};
static const cli_word_t signer_words[] = {
	{ "", "[--dir DIR] --signer-fd N", "hold the private keys and sign for the authority at the other end of a socket", "dqS", 0, 0, NULL, run_signer },
	{ 0 },
};
static const cli_word_t gateway_words[] = {
	{ "", "[--dir DIR]", "run one gateway in the foreground", "d", 0, 0, NULL, run_gateway },
	{ 0 },
};

static const cli_word_t node_words[] = {
	{ "", "[--dir DIR]", "run this machine's node in the foreground: it says which process is which agent", "dZ", 0, 0, NULL, run_node },
	{ 0 },
};

static const cli_verb_t own_verbs[] = {
	{ "up", "start signer, authority, gateway and node here; the first start makes everything", up_words },
	{ "init", "make the working directory without starting", init_words },
	{ "authority", "run the authority alone", authority_words },
	{ "gateway", "run a gateway alone", gateway_words },
	{ "node", "run this machine's node alone", node_words },
	{ "signer", "hold the keys for an authority; attorn up starts it", signer_words },
	{ 0 },
};

int main(int argc, char **argv)
{
	if (crypto_init() != OK) {
		fprintf(stderr, "attorn: the cryptographic libraries do not start\n");
		return 4;
	}
	return cli_main(own_verbs, argc, argv);
}
