/* guard.c: what keeps a process of ours, its files and its directory to itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "app/main/main_int.h"

enum {
	LOCK_WAIT_MS = 3000, /* an authority that was killed a moment ago may still be dying */
	LOCK_TRY_MS = 20,
};

void process_guard(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

void descriptors_drop(int keep)
{
	unsigned from = keep > 2 ? (unsigned)keep + 1 : 3;

	if (from > 4) {
		(void)syscall(SYS_close_range, 3, from - 2, 0);
	}
	(void)syscall(SYS_close_range, from, ~0U, 0); /* before Linux 5.9: what the caller left open stays open */
}

err_t folder_private(const char *path, diag_t *diag)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0077) != 0) {
		diag_set(diag, 0, 0, "%s: must be a folder of uid %u that nobody else may enter (0700)", path,
			(unsigned)geteuid());
		return ERR_CONFIG;
	}
	return OK;
}

err_t lock_take(const char *path, int *out_fd, diag_t *diag)
{
	const struct timespec pause = { .tv_nsec = LOCK_TRY_MS * 1000000L };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_TRY_MS) {
		if (errno != EWOULDBLOCK || waited_ms >= LOCK_WAIT_MS) {
			diag_set(diag, 0, 0, "%s: %s", path,
				errno == EWOULDBLOCK ? "another authority runs here" : strerror(errno));
			close(fd);
			return ERR_EXISTS;
		}
		nanosleep(&pause, NULL);
	}
	*out_fd = fd;
	return OK;
}

/* A name in the network namespace, as a port is one: it goes with the descriptor. */
static int port_name_take(const char *where)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "attorn/gateway/%s", where);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0) {
		return fd;
	}
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* Binds it for a moment, unshared. SO_REUSEADDR passes over connections that are ending, not over a listener. */
static int port_probe(const char *host, uint16_t port)
{
	const int on = 1;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1) {
		close(fd);
		return 0; /* whoever listens says what is wrong with it */
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	int rc = is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof(v4)) : bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	int e = errno;
	close(fd);
	errno = e;
	return rc;
}

err_t port_take(const char *host, uint16_t port, int *out_fd, diag_t *diag)
{
	const struct timespec pause = { .tv_nsec = LOCK_TRY_MS * 1000000L };
	char where[64];
	int fd = -1;

	snprintf(where, sizeof(where), "%s:%u", host, port);
	for (int waited_ms = 0; waited_ms <= LOCK_WAIT_MS; waited_ms += LOCK_TRY_MS) {
		fd = fd >= 0 ? fd : port_name_take(where);
		if (fd >= 0 && port_probe(host, port) == 0) {
			*out_fd = fd;
			return OK;
		}
		if (errno != EADDRINUSE) {
			break;
		}
		nanosleep(&pause, NULL);
	}
	diag_set(diag, 0, 0, "cannot listen on %s: %s", where,
		errno == EADDRINUSE ? "another gateway or program does; stop it, or change gateway.listen" : strerror(errno));
	if (fd >= 0) {
		close(fd);
	}
	return ERR_EXISTS;
}
