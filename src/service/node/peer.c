/* peer.c: one connection, one process (spiffe.md 13.4). */
#include "service/node/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "service/node/proc.h"

/* Newer than the headers we build with. */
enum { SO_PEERPIDFD_ = 77, PIDFS_MAGIC_ = 0x50494446 };
typedef struct {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, rest[9];
} pidfd_info_t; /* first 64 bytes of struct pidfd_info, Linux 6.13 */
#define PIDFD_GET_INFO_ _IOWR(0xFF, 11, pidfd_info_t)

static int pidfd_open_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* --- the kernel ------------------------------------------------------------------------------------------ */

static bool has_peerpidfd(void)
{
	int pair[2], fd = -1;
	socklen_t n = sizeof(fd);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		return false;
	}
	bool is = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD_, &fd, &n) == 0 && fd >= 0;
	if (is) {
		close(fd);
	}
	close(pair[0]);
	close(pair[1]);
	return is;
}

static bool is_pidfs(int pidfd)
{
	struct statfs s;

	return fstatfs(pidfd, &s) == 0 && s.f_type == PIDFS_MAGIC_;
}

peer_kernel_t peer_kernel_probe(bool oldest)
{
	peer_kernel_t k = { 0 };
	pidfd_info_t info = { .mask = 1 };
	int self = oldest ? -1 : pidfd_open_of(getpid());

	if (self < 0) {
		return k;
	}
	k.peerpidfd = has_peerpidfd();
	k.pidfs = is_pidfs(self);
	k.pidfd_info = ioctl(self, PIDFD_GET_INFO_, &info) == 0 && info.pid == (uint32_t)getpid();
	close(self);
	return k;
}

str_t peer_kernel_text(const peer_kernel_t *k)
{
	if (k->pidfd_info) {
		return STR("SO_PEERPIDFD, pidfs, PIDFD_GET_INFO");
	}
	if (k->pidfs) {
		return STR("SO_PEERPIDFD, pidfs");
	}
	return k->peerpidfd ? STR("SO_PEERPIDFD") : STR("6.1 path");
}

/* --- pidfds ------------------------------------------------------------------------------------------------ */

/* Readable means: the whole process has exited, reaped or not. */
bool peer_pidfd_alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

err_t peer_pidfd_pid(int pidfd, pid_t *out)
{
	AUTO(buf_done) buf_t b;
	char name[64];
	str_t line;
	uint64_t pid;

	buf_init(&b, NODE_PROC_FILE_BYTES_MAX);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", pidfd);
	ENSURE(proc_read(AT_FDCWD, name, &b) == OK, ERR_CLIENT);
	ENSURE(proc_status_line(buf_str(&b), STR("Pid"), &line) == OK, ERR_CLIENT); /* no pidfd at all */
	ENSURE(str_to_u64(line, INT32_MAX, &pid) == OK && pid > 0, ERR_CLIENT); /* -1: gone, 0: not in our namespace */
	*out = (pid_t)pid;
	return OK;
}

bool peer_pidfd_same(const peer_kernel_t *k, int one, int other)
{
	struct stat a, b;
	pid_t p, q;

	if (k->pidfs && is_pidfs(one) && is_pidfs(other)) {
		return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	}
	/* Before pidfs all pidfds share one inode, so it says nothing: two live ones of one number are one process. */
	return peer_pidfd_pid(one, &p) == OK && peer_pidfd_pid(other, &q) == OK && p == q && peer_pidfd_alive(one)
		&& peer_pidfd_alive(other);
}

/* --- opening ------------------------------------------------------------------------------------------------- */

void peer_close(peer_t *p)
{
	int *const fds[] = { &p->pidfd, &p->proc, &p->exe };

	for (size_t i = 0; p->pid && i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0) {
			close(*fds[i]);
		}
	}
	peer_facts_done(&p->facts);
	*p = (peer_t){ .pidfd = -1, .proc = -1, .exe = -1 };
}

/* Step 2: the directory first, then alive; so the number was that process's when the directory was opened. */
static err_t proc_pin(peer_t *p)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d", (int)p->pid);
	p->proc = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ENSURE(p->proc >= 0 && peer_pidfd_alive(p->pidfd), ERR_CLIENT);
	return OK;
}

static err_t pidfd_take(const peer_kernel_t *k, int socket, peer_t *p)
{
	socklen_t n = sizeof(p->pidfd);
	pid_t pid;

	if (!k->peerpidfd) {
		p->pidfd = pidfd_open_of(p->pid); /* a guess until the proof */
		ENSURE(p->pidfd >= 0, ERR_CLIENT);
		return OK;
	}
	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD_, &p->pidfd, &n) != 0) {
		p->pidfd = -1;
		return ERR_CLIENT;
	}
	/* SO_PEERCRED's number may have gone to another by now: the pidfd decides. */
	ENSURE(peer_pidfd_pid(p->pidfd, &pid) == OK && pid == p->pid, ERR_CLIENT);
	return OK;
}

static err_t open_steps(const peer_kernel_t *k, int socket, peer_t *p)
{
	TRY(pidfd_take(k, socket, p));
	TRY(proc_pin(p));
	TRY(proc_facts(p->proc, &p->facts, &p->exe));
	ENSURE(p->facts.uid == p->uid && p->facts.gid == p->gid, ERR_CLIENT);
	return OK;
}

err_t peer_open(const peer_kernel_t *k, int socket, peer_t *out)
{
	struct ucred c;
	socklen_t n = sizeof(c);

	ENSURE(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &c, &n) == 0, ERR_CLIENT);
	ENSURE(c.pid > 0, ERR_CLIENT); /* outside our tree of PID namespaces */
	peer_t p = { .pid = c.pid, .uid = c.uid, .gid = c.gid, .pidfd = -1, .proc = -1, .exe = -1 };
	err_t e = open_steps(k, socket, &p);
	if (e != OK) {
		peer_close(&p);
		return e;
	}
	*out = p;
	return OK;
}

err_t peer_open_pidfd(int pidfd, peer_t *out)
{
	peer_t p = { .pidfd = -1, .proc = -1, .exe = -1 };

	TRY(peer_pidfd_pid(pidfd, &p.pid));
	p.pidfd = pidfd;
	err_t e = proc_pin(&p);
	if (e == OK) {
		e = proc_facts(p.proc, &p.facts, &p.exe);
	}
	if (e != OK) {
		p.pidfd = -1; /* still the caller's */
		peer_close(&p);
		return e;
	}
	p.uid = p.facts.uid;
	p.gid = p.facts.gid;
	*out = p;
	return OK;
}

/* --- while it lives -------------------------------------------------------------------------------------------- */

bool peer_sender_ok(const peer_t *p, const struct ucred *sender)
{
	return sender && sender->pid > 0 && sender->pid == p->pid && sender->uid == p->uid && sender->gid == p->gid;
}

err_t peer_recheck(peer_t *p, bool *out_changed)
{
	peer_facts_t now;
	int exe;

	TRY(proc_facts(p->proc, &now, &exe));
	bool same = peer_facts_eq(&p->facts, &now);
	if (!peer_pidfd_alive(p->pidfd) || now.uid != p->uid || now.gid != p->gid) {
		same = false;
		peer_facts_done(&now);
		if (exe >= 0) {
			close(exe);
		}
		return ERR_CLIENT;
	}
	if (p->exe >= 0) {
		close(p->exe);
	}
	peer_facts_done(&p->facts);
	p->exe = exe;
	p->facts = now;
	*out_changed = !same;
	return OK;
}

err_t peer_proved(peer_t *p)
{
	bool changed;

	ENSURE(peer_pidfd_alive(p->pidfd), ERR_CLIENT); /* so the number was its own when the echo was written */
	TRY(peer_recheck(p, &changed));
	ENSURE(!changed, ERR_CLIENT);
	p->proved = true;
	return OK;
}

/* --- sockets ----------------------------------------------------------------------------------------------------- */

err_t peer_listener_prepare(int socket)
{
	const int on = 1;

	return setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 ? OK : ERR_IO;
}

err_t peer_recv(int socket, void *bytes, size_t max, size_t *out_n, struct ucred *out_sender)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec v = { .iov_base = bytes, .iov_len = max };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0) {
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? ERR_UNAVAILABLE : ERR_CLIENT;
	}
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*out_n = (size_t)n;
	if (n == 0 && !c) {
		return OK; /* the end carries no stamp */
	}
	ENSURE(!(m.msg_flags & (MSG_CTRUNC | MSG_TRUNC)), ERR_CLIENT); /* descriptors came along; dropped */
	ENSURE(c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS, ERR_CLIENT);
	memcpy(out_sender, CMSG_DATA(c), sizeof(*out_sender));
	return OK;
}
