/* up.c: `attorn up`, the supervisor. It starts authority and gateway from this very binary, starts one
 * again that dies, and ends when told: the gateway first, which has yet to tell the authority what became
 * of its calls, then the authority. A child that cannot start until a person changes something ends it
 * too. It holds nothing and decides nothing; killing it ends both children (parent-death signal). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/main/main_int.h"

enum {
	RESTART_PAUSE_MIN_MS = 100, /* a child that dies at once is tried again with growing pauses */
	RESTART_PAUSE_MAX_MS = 5000,
	RESTART_CALM_MS = 10000, /* alive this long: the next pause starts small again */
	STOP_GRACE_MS = 7000, /* of each, then SIGKILL; the gateway takes 6.5 s at most */
	TICK_MS = 50,
};

typedef struct {
	const char *role;
	pid_t pid; /* 0: not running */
	int64_t started_ms, start_at_ms;
	int64_t kill_at_ms; /* 0: not told to end */
	int pause_ms;
} child_t;

typedef struct {
	const char *root;
	child_t children[2];
	bool stopping, announced;
	int status; /* of ours */
} up_t;

enum { AUTHORITY, GATEWAY }; /* places in children */

static int64_t mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

_Noreturn static void child_exec(const up_t *u, const child_t *c, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0); /* Ctrl-C at a terminal is for the supervisor, which knows the order */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) {
		_exit(1); /* the supervisor died between fork and prctl */
	}
	execl("/proc/self/exe", "attorn", c->role, "--dir", u->root, (char *)NULL);
	_exit(127);
}

static void child_start(up_t *u, child_t *c)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		child_exec(u, c, parent);
	}
	c->started_ms = mono_ms();
	c->pid = pid > 0 ? pid : 0;
	c->kill_at_ms = 0;
	if (pid < 0) {
		c->start_at_ms = c->started_ms + RESTART_PAUSE_MAX_MS;
	}
}

static void child_gone(up_t *u, child_t *c, int status)
{
	int64_t now = mono_ms();
	bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CANNOT_START;

	if (hopeless && !u->stopping) {
		fprintf(stderr, "attorn: %s cannot run, for the reason it gave above; ending\n", c->role);
		u->status = EXIT_CANNOT_START;
		u->stopping = true;
	} else if (!u->stopping) {
		fprintf(stderr, "attorn: %s ended (%s %d), starting it again\n", c->role,
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	bool calm = now - c->started_ms > RESTART_CALM_MS;
	int doubled = c->pause_ms * 2 < RESTART_PAUSE_MAX_MS ? c->pause_ms * 2 : RESTART_PAUSE_MAX_MS;
	c->pause_ms = calm || c->pause_ms == 0 ? RESTART_PAUSE_MIN_MS : doubled;
	c->pid = 0;
	c->start_at_ms = now + c->pause_ms;
}

static void children_reap(up_t *u)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < ARRAY_LEN(u->children); i++) {
			if (u->children[i].pid == pid) {
				child_gone(u, &u->children[i], status);
			}
		}
	}
}

static bool children_alive(const up_t *u)
{
	for (size_t i = 0; i < ARRAY_LEN(u->children); i++) {
		if (u->children[i].pid) {
			return true;
		}
	}
	return false;
}

/* SIGTERM once, SIGKILL when it takes too long. */
static void child_end(child_t *c, int64_t now)
{
	if (c->kill_at_ms == 0) {
		c->kill_at_ms = now + STOP_GRACE_MS;
		kill(c->pid, SIGTERM);
	} else if (now >= c->kill_at_ms) {
		kill(c->pid, SIGKILL);
	}
}

static void children_tend(up_t *u)
{
	int64_t now = mono_ms();

	for (size_t i = 0; i < ARRAY_LEN(u->children) && !u->stopping; i++) {
		child_t *c = &u->children[i];
		if (c->pid == 0 && now >= c->start_at_ms) {
			child_start(u, c);
		}
	}
	if (u->stopping && u->children[GATEWAY].pid) {
		child_end(&u->children[GATEWAY], now);
	} else if (u->stopping && u->children[AUTHORITY].pid) {
		child_end(&u->children[AUTHORITY], now);
	}
}

static void signals_take(up_t *u, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		u->stopping = u->stopping || info.ssi_signo != SIGCHLD;
	}
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int up_supervise(const config_paths_t *paths, const config_t *config)
{
	up_t u = { .root = paths->root,
		.children = { [AUTHORITY] = { .role = "authority" }, [GATEWAY] = { .role = "gateway" } } };
	int fd, port;
	diag_t diag = { 0 };
	err_t e = port_take(config->gateway_host, config->gateway_port, &port, &diag);

	if (e != OK) {
		complain("gateway", &diag, e);
		return EXIT_CANNOT_START;
	}
	fd = signals_open();
	while (!u.stopping || children_alive(&u)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		children_tend(&u);
		if (!u.announced && !u.stopping) {
			u.announced = up_announce(paths, config);
		}
		poll(&p, 1, TICK_MS);
		signals_take(&u, fd);
		children_reap(&u);
	}
	close(fd);
	close(port);
	return u.status;
}
