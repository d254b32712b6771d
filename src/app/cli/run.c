/* run.c: attorn run --as NAME -- COMMAND: a process whose identity is born with it (spiffe.md 14,
 * docs/identity.md 6). The child is made first and held before exec; the node sees it, moves it into a cgroup of
 * its own and says yes; only then it becomes the command. It gets no secret: the Workload API knows it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/cli/run_int.h"
#include "app/cli/verbs.h"

enum { DATAGRAM_BYTES_MAX = 16 << 10, ANSWER_MS = 15000, CODE_FILES_MAX = 8, ROOT_BYTES = 4096 };

extern char **environ;

typedef struct {
	cli_t *c;
	const char *root; /* absolute working directory of attorn */
	char **argv;
	int node, pidfd, hold[2]; /* hold: the child waits at its reading end */
	pid_t pid;
	str_t nonce, workload, code, run, spiffe_id;
	bool cgroup;
	int rules, abi; /* Landlock */
	char *temporary; /* a folder of its own, where /tmp is on the way to what is closed; NULL: not needed */
} run_t;

/* --- the node ------------------------------------------------------------------------------------------------ */

static int node_dial(run_t *r)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct timeval limit = { .tv_sec = ANSWER_MS / 1000 };
	int n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/run/control.sock", r->root);

	if (n < 0 || (size_t)n >= sizeof(at.sun_path)) {
		return cli_fail(EXIT_USAGE, "%s: path too long for a socket", r->root);
	}
	r->node = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (r->node < 0 || connect(r->node, (struct sockaddr *)&at, sizeof(at)) != 0) {
		return cli_fail(EXIT_AWAY, "%s: %s; is it up? attorn up, or attorn node", at.sun_path, strerror(errno));
	}
	setsockopt(r->node, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return EXIT_DONE;
}

static bool node_send(const run_t *r, str_t text, int pidfd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec v = { .iov_base = (void *)text.p, .iov_len = text.n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (pidfd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &pidfd, sizeof(pidfd));
	}
	return sendmsg(r->node, &m, MSG_NOSIGNAL) == (ssize_t)text.n;
}

static int node_take(run_t *r, const json_t **out)
{
	char *text = arena_alloc(r->c->a, DATAGRAM_BYTES_MAX);
	ssize_t n = recv(r->node, text, DATAGRAM_BYTES_MAX, 0);

	if (n <= 0 || json_parse_object(r->c->a, str_bytes(text, (size_t)n), out, NULL) != OK) {
		return cli_fail(EXIT_AWAY, "the node gives no answer; its log says why");
	}
	if (json_get(*out, STR("error"))) {
		return cli_fail(EXIT_NO, "the node refuses: %.*s\n  fix: %.*s", STR_ARG(cli_member(r->c->a, *out, "message")),
			STR_ARG(cli_member(r->c->a, *out, "fix")));
	}
	return EXIT_DONE;
}

static int hello(run_t *r)
{
	const json_t *answer;

	if (!node_send(r, STR("{\"op\":\"hello\"}"), -1)) {
		return cli_fail(EXIT_AWAY, "the node does not listen");
	}
	int rc = node_take(r, &answer);
	if (rc == EXIT_DONE && (json_need_str(answer, STR("nonce"), 64, &r->nonce) != OK ||
				       json_need_str(answer, STR("workload"), 256, &r->workload) != OK)) {
		rc = cli_fail(EXIT_AWAY, "the node speaks another version");
	}
	return rc;
}

static int ask(run_t *r)
{
	AUTO(buf_done) buf_t b;
	const json_t *answer;
	jw_t w;

	buf_init(&b, DATAGRAM_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "op", STR("run"));
	jw_kstr(&w, "nonce", r->nonce);
	jw_kstr(&w, "as", str_of(r->c->as));
	jw_kstr_if(&w, "entry", str_of(r->c->entry));
	jw_kstr_if(&w, "grant", str_of(r->c->grant));
	jw_kstr_if(&w, "code", r->code);
	jw_end(&w);
	if (jw_finish(&w) != OK || !node_send(r, buf_str(&b), r->pidfd)) {
		return cli_fail(EXIT_AWAY, "the node does not listen");
	}
	int rc = node_take(r, &answer);
	if (rc == EXIT_DONE) {
		r->run = cli_member(r->c->a, answer, "run");
		r->spiffe_id = cli_member(r->c->a, answer, "spiffe_id");
		rc = json_need_bool(answer, STR("cgroup"), &r->cgroup) == OK ? rc : EXIT_AWAY;
	}
	return rc;
}

/* --- what is stated about the code ------------------------------------------------------------------------------ */

static bool file_hash(const char *path, uint8_t out[32])
{
	char piece[16 << 10];
	crypto_sha256_t h;
	struct stat s;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	crypto_sha256_start(&h);
	while (fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && (n = read(fd, piece, sizeof(piece))) > 0) {
		crypto_sha256_add(&h, str_bytes(piece, (size_t)n));
	}
	if (fd >= 0) {
		close(fd);
	}
	crypto_sha256_end(&h, out);
	return n == 0;
}

/* SHA-256 over the digests of every argument that names a file, in order: the script, not its interpreter, is
 * what differs. It is the runner's word and recorded as such. */
static void code_digest(run_t *r)
{
	uint8_t digest[32], all[CODE_FILES_MAX * 32];
	size_t n = 0;

	for (size_t i = 0; r->argv[i] && n < CODE_FILES_MAX; i++) {
		if (file_hash(r->argv[i], digest)) {
			memcpy(all + n++ * 32, digest, 32);
		}
	}
	if (n) {
		crypto_sha256(str_bytes(all, n * 32), digest);
		r->code = arena_cat(r->c->a, STR("sha-256:"), hex_enc(r->c->a, str_bytes(digest, 32)));
	}
}

/* --- the child ---------------------------------------------------------------------------------------------------- */

/* Nothing of ours goes on: neither what this shell knows of keys and grants, nor a descriptor. */
static void environment_set(const run_t *r)
{
	char *workload = (char *)arena_cat(r->c->a, r->workload, str_bytes("", 1)).p;
	size_t kept = 0;

	for (size_t i = 0; environ[i]; i++) {
		if (strncmp(environ[i], "ATTORN_", 7) != 0) {
			environ[kept++] = environ[i];
		}
	}
	environ[kept] = NULL;
	setenv("SPIFFE_ENDPOINT_SOCKET", workload, 1);
	if (r->temporary) {
		setenv("TMPDIR", r->temporary, 1);
	}
}

_Noreturn static void child_become(const run_t *r)
{
	char go;

	close(r->hold[1]);
	if (read(r->hold[0], &go, 1) != 1) {
		_exit(126); /* refused: it never was anything */
	}
	for (int s = 1; s < NSIG; s++) {
		signal(s, SIG_DFL);
	}
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !landlock_enter(r->rules)) {
		fprintf(stderr, "attorn run: %s\n", strerror(errno));
		_exit(126);
	}
	environment_set(r);
	syscall(SYS_close_range, 3, ~0U, 0);
	execvp(r->argv[0], r->argv);
	fprintf(stderr, "attorn run: %s: %s\n", r->argv[0], strerror(errno));
	_exit(127);
}

static int child_make(run_t *r)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = { .flags = 0x1000 /* CLONE_PIDFD */, .pidfd = (uint64_t)(uintptr_t)&r->pidfd, .exit_signal = SIGCHLD };

	if (pipe2(r->hold, O_CLOEXEC) != 0) {
		return cli_fail(EXIT_HERE, "pipe: %s", strerror(errno));
	}
	fflush(NULL);
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0) {
		return cli_fail(EXIT_HERE, "clone3: %s", strerror(errno));
	}
	if (pid == 0) {
		child_become(r);
	}
	r->pid = (pid_t)pid;
	close(r->hold[0]);
	return EXIT_DONE;
}

/* --- the runner while the child lives ----------------------------------------------------------------------------- */

static volatile sig_atomic_t child_pid;

static void pass_on(int sig)
{
	if (child_pid) {
		kill((pid_t)child_pid, sig);
	}
}

static int child_wait(const run_t *r)
{
	int status;

	child_pid = r->pid;
	signal(SIGTERM, pass_on);
	signal(SIGHUP, pass_on);
	signal(SIGINT, SIG_IGN); /* a terminal tells both */
	signal(SIGQUIT, SIG_IGN);
	while (waitpid(r->pid, &status, 0) < 0) {
		if (errno != EINTR) {
			return EXIT_HERE;
		}
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int refused(run_t *r, int rc)
{
	close(r->hold[1]); /* the child reads the end, and ends */
	waitpid(r->pid, NULL, 0);
	return rc;
}

/* Files that it makes in /tmp later would be closed to it with the rest (landlock.c). */
static void temporary_make(run_t *r)
{
	char name[] = "/tmp/attorn-run-XXXXXX";

	if (str_starts(str_of(r->root), STR("/tmp/")) && mkdtemp(name)) {
		r->temporary = heap_cstr(str_of(name));
	}
}

static int run(run_t *r)
{
	int rc = node_dial(r);

	rc = rc ? rc : hello(r);
	if (rc) {
		return rc;
	}
	code_digest(r);
	temporary_make(r);
	r->rules = landlock_rules(r->root, &r->abi);
	rc = child_make(r);
	if (rc) {
		return rc;
	}
	rc = ask(r);
	if (rc) {
		return refused(r, rc);
	}
	fprintf(stderr, "attorn run: %.*s; %s; %s\n", STR_ARG(r->spiffe_id),
		r->cgroup ? "in a cgroup of its own" : "without a cgroup of its own (the node may not make one)",
		r->rules >= 0 ? "attorn's files closed to it by Landlock" : "this kernel has no Landlock");
	if (write(r->hold[1], "g", 1) != 1) {
		return refused(r, cli_fail(EXIT_HERE, "the child has gone"));
	}
	close(r->hold[1]);
	close(r->node);
	rc = child_wait(r);
	if (r->temporary) {
		(void)rmdir(r->temporary); /* unless it left something there */
	}
	return rc;
}

int cli_run(cli_t *c)
{
	run_t r = { .c = c, .node = -1, .pidfd = -1, .rules = -1 };
	char root[ROOT_BYTES];
	const char *dir = c->dir ? c->dir : ".";

	if (!c->as) {
		return cli_fail(EXIT_USAGE, "attorn run needs --as NAME: which agent it is");
	}
	if (!realpath(dir, root)) {
		return cli_fail(EXIT_USAGE, "%s: %s", dir, strerror(errno));
	}
	r.root = root;
	r.argv = arena_array(c->a, char *, c->n_args + 1);
	for (size_t i = 0; i < c->n_args; i++) {
		r.argv[i] = (char *)c->args[i];
	}
	return run(&r);
}

const cli_word_t cli_run_words[] = {
	{ "", "--as NAME -- COMMAND [ARG...]", "start COMMAND as that agent: it gets its identity from the node and no key", "dsgn", 1,
		CLI_ARGS_MAX, cli_run },
	{ 0 },
};
