/* up.c: `attorn up`, the supervisor. It starts signer, authority, gateway and node from this very binary, starts one
 * again that dies, and ends when told: the gateway first, which has yet to tell the authority what became
 * of its calls, then the node, then the authority, then the signer. Signer and authority share a socket and their fate: when
 * one is gone the other ends too, and both start again with a new one. A child that cannot start until a person changes something ends it
 * too. It holds nothing and decides nothing; killing it ends all children (parent-death signal). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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
	const config_paths_t *paths;
	const char *kek_passphrase_file;
	child_t children[4];
	bool stopping, announced;
	int status; /* of ours */
} up_t;

enum { SIGNER, AUTHORITY, NODE, GATEWAY }; /* places in children */

static int64_t mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void child_start(up_t *u, child_t *c, int fd)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		role_exec(u->paths, c->role, c == &u->children[SIGNER] ? u->kek_passphrase_file : NULL, fd, parent);
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

static void pair_start(up_t *u, int64_t now)
{
	child_t *signer = &u->children[SIGNER], *authority = &u->children[AUTHORITY];
	int pair[2];

	if (now < signer->start_at_ms || now < authority->start_at_ms || signer_pair(pair) != OK) {
		return;
	}
	child_start(u, signer, pair[1]);
	child_start(u, authority, pair[0]);
	close(pair[0]);
	close(pair[1]);
}

/* Together or not at all: the end of one closes the socket of the other, which then ends by itself; one that
 * does not is told. */
static void pair_tend(up_t *u, int64_t now)
{
	child_t *signer = &u->children[SIGNER], *authority = &u->children[AUTHORITY];

	if (signer->pid == 0 && authority->pid == 0) {
		pair_start(u, now);
	} else if (signer->pid == 0) {
		child_end(authority, now);
	} else if (authority->pid == 0) {
		child_end(signer, now);
	}
}

static void children_tend(up_t *u)
{
	int64_t now = mono_ms();

	if (!u->stopping) {
		pair_tend(u, now);
		for (int i = NODE; i <= GATEWAY; i++) {
			if (u->children[i].pid == 0 && now >= u->children[i].start_at_ms) {
				child_start(u, &u->children[i], -1);
			}
		}
		return;
	}
	for (int i = GATEWAY; i >= SIGNER; i--) {
		if (u->children[i].pid) {
			child_end(&u->children[i], now);
			return;
		}
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

int up_supervise(const config_paths_t *paths, const config_t *config, const char *kek_passphrase_file)
{
	up_t u = { .paths = paths, .kek_passphrase_file = kek_passphrase_file,
		.children = { [SIGNER] = { .role = "signer" }, [AUTHORITY] = { .role = "authority" },
			[NODE] = { .role = "node" }, [GATEWAY] = { .role = "gateway" } } };
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
