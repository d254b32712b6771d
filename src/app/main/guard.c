/* guard.c: what keeps a process of ours, its files and its directory to itself. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

void descriptors_drop(void)
{
	(void)syscall(SYS_close_range, 3, ~0U, 0); /* before Linux 5.9: what the caller left open stays open */
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
