/* signer.c: the process that holds the keys, started with one end of a socket; and how to start it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/cli/cli.h"
#include "app/main/main_int.h"
#include "engine/signer/signer.h"

enum { SIGNER_FD = 3 };

/* --- the process --------------------------------------------------------------------------------------- */

/* systemd.exec(5), LoadCredential=attorn-kek or LoadCredentialEncrypted=: a file only this service sees. */
static const char *credential_path(arena_t *a)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY"), *path = NULL;

	if (!dir || !dir[0]) {
		return NULL;
	}
	CHECK(arena_cstr(a, arena_cat(a, str_of(dir), STR("/attorn-kek")), &path) == OK);
	return access(path, F_OK) == 0 ? path : NULL;
}

static err_t signer_begin(const config_paths_t *paths, const char *kek_passphrase_file, signer_t **out, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(secret_done) secret_t passphrase = { 0 };
	signer_options_t o = { .dir = paths->signer_dir, .credential = credential_path(a), .passphrase = STR_NULL };

	if (kek_passphrase_file) {
		TRY(cli_passphrase(kek_passphrase_file, "", false, &passphrase, diag));
		o.passphrase = secret_peek(&passphrase);
	}
	TRY(signer_open(&o, out, diag));
	return signer_lock_down(*out, diag);
}

int signer_run(const config_paths_t *paths, const char *kek_passphrase_file, int fd)
{
	signer_t *s = NULL;
	diag_t diag = { 0 };

	err_t e = signer_begin(paths, kek_passphrase_file, &s, &diag);
	if (e != OK) {
		complain("signer", &diag, e);
		return e == ERR_DISK_FULL || e == ERR_EXISTS ? 1 : EXIT_CANNOT_START;
	}
	return signer_serve(s, fd) == OK ? 0 : 1; /* the rest goes with the process */
}

/* --- starting it ----------------------------------------------------------------------------------------- */

err_t signer_pair(int out[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out) == 0 ? OK : ERR_IO;
}

_Noreturn void role_exec(const config_paths_t *paths, const char *role, const char *kek_passphrase_file, int fd, pid_t parent)
{
	const char *argv[10] = { "attorn", role, "--dir", paths->root };
	size_t n = 4;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0); /* Ctrl-C at a terminal is for the supervisor, which knows the order */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) {
		_exit(1); /* the parent died between fork and prctl */
	}
	if (fd >= 0) {
		bool there = fd == SIGNER_FD ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, SIGNER_FD) == SIGNER_FD;
		if (!there) {
			_exit(1);
		}
		argv[n++] = "--signer-fd";
		argv[n++] = "3";
	}
	if (kek_passphrase_file) {
		argv[n++] = "--kek-passphrase-file";
		argv[n++] = kek_passphrase_file;
	}
	argv[n] = NULL;
	execv("/proc/self/exe", (char *const *)argv);
	_exit(127);
}

err_t signer_spawn(const config_paths_t *paths, const char *kek_passphrase_file, int *out_fd, pid_t *out_pid)
{
	int pair[2];
	pid_t parent = getpid();

	TRY(signer_pair(pair));
	pid_t pid = fork();
	if (pid == 0) {
		role_exec(paths, "signer", kek_passphrase_file, pair[1], parent);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return ERR_IO;
	}
	*out_fd = pair[0];
	*out_pid = pid;
	return OK;
}

void signer_reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
	}
}
