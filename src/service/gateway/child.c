/* child.c: a process and its three pipes on the loop. Its end is seen by a pidfd, so no signal handler
 * and no wait for children that are others'. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/gateway/child.h"
#include "service/gateway/limits.h"

typedef struct {
	int fd; /* -1: closed */
	loop_watch_t *watch;
} end_t;

struct child {
	child_spec_t spec;
	char *name;
	pid_t pid;
	end_t in, out, err, pidfd;
	buf_t to_write, reading, complaint;
	size_t scanned; /* of `reading`: no line end before it */
	uint64_t complaints_since_us, complaints;
	loop_timer_t timer;
	unsigned ending; /* 1: stdin closed, 2: SIGTERM sent, 3: SIGKILL sent */
	bool exited, freeing;
	posted_t posted;
};

/* --- the new process: between fork and exec only what is safe there ---------------------------------- */

typedef struct {
	int in, out, err;
	pid_t parent;
	const child_spec_t *spec;
} birth_t;

_Noreturn static void child_become(const birth_t *b)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != b->parent) {
		_exit(126); /* the gateway died between fork and prctl */
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(b->in, 0) < 0 || dup2(b->out, 1) < 0 || dup2(b->err, 2) < 0) {
		_exit(126);
	}
	syscall(SYS_close_range, 3, ~0U, 0);
	if (chdir(b->spec->cwd ? b->spec->cwd : "/") != 0) {
		_exit(126);
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	environ = b->spec->envp; /* also where execvp looks for PATH */
	execvp(b->spec->argv[0], b->spec->argv);
	_exit(127);
}

static void pipe_close(int p[2])
{
	for (size_t i = 0; i < 2; i++) {
		if (p[i] >= 0) {
			close(p[i]);
		}
	}
}

static err_t pipes_open(int p[3][2])
{
	for (size_t i = 0; i < 3; i++) {
		p[i][0] = p[i][1] = -1;
	}
	for (size_t i = 0; i < 3; i++) {
		ENSURE(pipe2(p[i], O_CLOEXEC) == 0, ERR_IO);
	}
	return OK;
}

static int nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

/* --- ends ------------------------------------------------------------------------------------------------- */

static void end_close(end_t *e)
{
	loop_watch_close(e->watch);
	e->watch = NULL;
	if (e->fd >= 0) {
		close(e->fd);
		e->fd = -1;
	}
}

static void child_free(child_t *c)
{
	buf_wipe(&c->to_write);
	buf_wipe(&c->reading);
	buf_done(&c->complaint);
	heap_free(c->name);
	heap_free(c);
}

static void child_leave(void *arg)
{
	child_t *c = arg;

	c->spec.gone(c->spec.owner);
	child_free(c);
}

/* Gone when the process is and nothing is left to read; said in a later turn, for its owner may be in the
 * middle of a line of it. */
static void child_gone_check(child_t *c)
{
	if (!c->exited || c->out.fd >= 0 || c->freeing) {
		return;
	}
	c->freeing = true;
	loop_timer_stop(c->spec.loop, &c->timer);
	end_close(&c->in);
	end_close(&c->err);
	kill(-c->pid, SIGKILL); /* grandchildren that stayed behind (W3) */
	loop_post_own(c->spec.loop, &c->posted, child_leave, c);
}

/* --- stdout: lines --------------------------------------------------------------------------------------- */

static void lines_report(child_t *c)
{
	size_t begun = 0;

	for (; c->scanned < c->reading.n && !c->freeing; c->scanned++) {
		if (c->reading.p[c->scanned] != '\n') {
			continue;
		}
		str_t line = str_sub(buf_str(&c->reading), begun, c->scanned - begun);
		if (line.n && line.p[line.n - 1] == '\r') {
			line.n--;
		}
		begun = c->scanned + 1;
		c->spec.line(c->spec.owner, line);
	}
	buf_drop(&c->reading, begun);
	c->scanned -= begun;
}

static void out_ready(void *owner, int events)
{
	child_t *c = owner;
	char *room;

	(void)events;
	if (buf_room(&c->reading, GATEWAY_CHILD_READ_BYTES, &room) != OK) {
		c->spec.flooded(c->spec.owner);
		end_close(&c->out); /* unread on purpose: it would never end */
		child_kill(c);
		child_gone_check(c);
		return;
	}
	ssize_t n = read(c->out.fd, room, GATEWAY_CHILD_READ_BYTES);
	if (n > 0) {
		buf_grew(&c->reading, (size_t)n);
		lines_report(c);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	end_close(&c->out);
	child_end(c); /* who closed stdout says nothing more */
	child_gone_check(c);
}

/* --- stderr: to the log, so much a minute (W2) ------------------------------------------------------------ */

static void complain(child_t *c, str_t line)
{
	uint64_t now_us = loop_mono_us(c->spec.loop);

	if (now_us - c->complaints_since_us > 60000000) {
		c->complaints_since_us = now_us;
		c->complaints = 0;
	}
	if (c->complaints++ < GATEWAY_STDERR_LINES_PER_MIN) {
		log_kv(LVL_INFO, "gateway.stderr", kv_c("route", c->name),
			kv_s("line", str_sub(line, 0, GATEWAY_STDERR_LINE_BYTES_MAX)));
	}
}

static void complaints_take(child_t *c, str_t bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] != '\n') {
			buf_byte(&c->complaint, bytes.p[i]); /* what is too long is cut */
			continue;
		}
		if (c->complaint.n) {
			complain(c, buf_str(&c->complaint));
		}
		buf_clear(&c->complaint);
	}
}

static void err_ready(void *owner, int events)
{
	child_t *c = owner;
	char bytes[4096];

	(void)events;
	ssize_t n = read(c->err.fd, bytes, sizeof(bytes));
	if (n > 0) {
		complaints_take(c, str_bytes(bytes, (size_t)n));
		return;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		end_close(&c->err);
	}
}

/* --- stdin ------------------------------------------------------------------------------------------------- */

static void in_flush(child_t *c)
{
	while (c->to_write.n > 0) {
		ssize_t n = write(c->in.fd, c->to_write.p, c->to_write.n);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			break;
		}
		buf_drop(&c->to_write, (size_t)n);
	}
	if (c->to_write.n > 0 && errno != EAGAIN) {
		buf_clear(&c->to_write); /* EPIPE: its end will show */
		end_close(&c->in);
		return;
	}
	loop_watch_set(c->in.watch, c->to_write.n ? LOOP_WRITABLE : 0);
}

static void in_ready(void *owner, int events)
{
	(void)events;
	in_flush(owner);
}

err_t child_write(child_t *c, str_t line)
{
	CHECK(str_find(line, '\n') == line.n);
	ENSURE(c->in.fd >= 0 && !c->ending, ERR_UPSTREAM);
	ENSURE(line.n < GATEWAY_CHILD_BACKLOG_BYTES_MAX - c->to_write.n, ERR_UPSTREAM);
	buf_add(&c->to_write, line);
	buf_byte(&c->to_write, '\n');
	in_flush(c);
	return OK;
}

/* --- its end ------------------------------------------------------------------------------------------------ */

static void end_now(void *arg)
{
	child_kill(arg);
}

static void pid_ready(void *owner, int events)
{
	child_t *c = owner;
	siginfo_t info = { 0 };

	(void)events;
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid != c->pid) {
		return;
	}
	log_kv(LVL_INFO, "gateway.child_ended", kv_c("route", c->name), kv_i("pid", c->pid),
		kv_c("how", info.si_code == CLD_EXITED ? "exit" : "signal"), kv_i("status", info.si_status));
	c->exited = true;
	end_close(&c->pidfd);
	end_close(&c->in);
	if (!c->ending) {
		c->ending = 1; /* grandchildren may hold stdout open: give them the same time */
		loop_timer_start(c->spec.loop, &c->timer, GATEWAY_CHILD_CLOSE_MS, end_now, c);
	}
	child_gone_check(c);
}

static void end_term(void *arg)
{
	child_t *c = arg;

	c->ending = 2;
	kill(-c->pid, SIGTERM);
	loop_timer_start(c->spec.loop, &c->timer, GATEWAY_CHILD_CLOSE_MS, end_now, c);
}

void child_end(child_t *c)
{
	if (c->ending || c->freeing) {
		return;
	}
	c->ending = 1;
	end_close(&c->in);
	loop_timer_start(c->spec.loop, &c->timer, GATEWAY_CHILD_CLOSE_MS, end_term, c);
}

void child_kill(child_t *c)
{
	if (c->freeing) {
		return;
	}
	c->ending = 3;
	end_close(&c->in);
	kill(-c->pid, SIGKILL);
	loop_timer_stop(c->spec.loop, &c->timer);
	if (c->exited) {
		end_close(&c->out); /* whoever holds it now left the group */
		child_gone_check(c);
	}
}

int64_t child_pid(const child_t *c)
{
	return c->pid;
}

/* --- its start ---------------------------------------------------------------------------------------------- */

static err_t end_watch(child_t *c, end_t *e, void (*ready)(void *owner, int events), int events)
{
	TRY(loop_watch_open(c->spec.loop, e->fd, ready, c, &e->watch));
	loop_watch_set(e->watch, events);
	return OK;
}

static err_t child_watch(child_t *c)
{
	TRY(end_watch(c, &c->pidfd, pid_ready, LOOP_READABLE));
	TRY(end_watch(c, &c->out, out_ready, LOOP_READABLE));
	TRY(end_watch(c, &c->err, err_ready, LOOP_READABLE));
	return end_watch(c, &c->in, in_ready, 0);
}

static err_t child_fork(child_t *c, int p[3][2])
{
	const birth_t birth = { p[0][0], p[1][1], p[2][1], getpid(), &c->spec };

	c->pid = fork();
	ENSURE(c->pid >= 0, ERR_IO);
	if (c->pid == 0) {
		child_become(&birth);
	}
	setpgid(c->pid, c->pid); /* both sides do: whoever comes first */
	c->pidfd.fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	CHECK(c->pidfd.fd >= 0);
	fcntl(c->pidfd.fd, F_SETFD, FD_CLOEXEC);
	c->in.fd = nonblocking(p[0][1]);
	c->out.fd = nonblocking(p[1][0]);
	c->err.fd = nonblocking(p[2][0]);
	p[0][1] = p[1][0] = p[2][0] = -1;
	return child_watch(c);
}

err_t child_start(const child_spec_t *spec, child_t **out)
{
	child_t *c = heap_new(child_t);
	int p[3][2];

	c->spec = *spec;
	c->name = heap_cstr(spec->name);
	c->in.fd = c->out.fd = c->err.fd = c->pidfd.fd = -1;
	buf_init(&c->to_write, GATEWAY_CHILD_BACKLOG_BYTES_MAX);
	buf_init(&c->reading, GATEWAY_LINE_BYTES_MAX + GATEWAY_CHILD_READ_BYTES);
	buf_init(&c->complaint, GATEWAY_STDERR_LINE_BYTES_MAX);
	err_t e = pipes_open(p);
	if (e == OK) {
		e = child_fork(c, p);
	}
	for (size_t i = 0; i < 3; i++) {
		pipe_close(p[i]);
	}
	if (e != OK && c->pid <= 0) {
		child_free(c);
		return e;
	}
	CHECK(e == OK); /* a process without watches: descriptors of ours that epoll does not take */
	log_kv(LVL_INFO, "gateway.child_started", kv_c("route", c->name), kv_i("pid", c->pid));
	*out = c;
	return OK;
}
