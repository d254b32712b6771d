/* file.c: small files of the signer's directory, read whole and replaced whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/signer/signer_int.h"

err_t file_error(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;
}

/* A credential's keeper is the service manager: its mode shows the mask of an access list. */
static err_t file_check(int fd, bool ours, size_t max, size_t *out_n)
{
	struct stat st;

	ENSURE(fstat(fd, &st) == 0, ERR_IO);
	ENSURE(S_ISREG(st.st_mode) && (!ours || (st.st_mode & 0077) == 0), ERR_CONFIG);
	ENSURE(st.st_size > 0 && (size_t)st.st_size <= max, ERR_CONFIG);
	*out_n = (size_t)st.st_size;
	return OK;
}

static err_t file_read_from(int fd, bool ours, size_t max, secret_t *out)
{
	AUTO(secret_done) secret_t bytes = { 0 };
	size_t n;

	TRY(file_check(fd, ours, max, &n));
	TRY(secret_new(n, &bytes));
	ENSURE(read(fd, bytes.p, n) == (ssize_t)n, ERR_IO);
	*out = bytes;
	bytes = (secret_t){ 0 };
	return OK;
}

err_t file_read(int dir, const char *name, size_t max, secret_t *out)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	ENSURE(fd >= 0, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO);
	err_t e = file_read_from(fd, dir != AT_FDCWD, max, out);
	close(fd);
	return e;
}

static err_t write_synced(int dir, const char *name, str_t bytes)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	ENSURE(fd >= 0, file_error());
	err_t e = write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n && fsync(fd) == 0 ? OK : file_error();
	close(fd);
	return e;
}

err_t file_replace(int dir, const char *name, str_t bytes)
{
	char temporary[96];

	CHECK((size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", name) < sizeof(temporary));
	TRY(write_synced(dir, temporary, bytes));
	SIGNER_POINT("signer.file.before_rename");
	ENSURE(renameat(dir, temporary, dir, name) == 0, file_error());
	return fsync(dir) == 0 ? OK : ERR_IO;
}
