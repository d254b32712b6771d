/* disk.c: the reserve, free space, and the name of the file system below us. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/store/store_int.h"

err_t disk_free(const char *path, uint64_t *out)
{
	struct statvfs v;

	ENSURE(statvfs(path, &v) == 0, ERR_IO);
	*out = (uint64_t)v.f_bavail * v.f_frsize;
	return OK;
}

err_t reserve_keep(store_t *s)
{
	int fd, rc;

	if (s->reserve_bytes == 0) {
		return OK;
	}
	fd = open(s->reserve_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ENSURE(fd >= 0, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO);
	rc = posix_fallocate(fd, 0, (off_t)s->reserve_bytes);
	(void)close(fd);
	if (rc != 0) {
		return rc == ENOSPC ? ERR_DISK_FULL : ERR_IO; /* what it holds is given away like the whole */
	}
	return OK;
}

bool reserve_give(store_t *s)
{
	struct stat st;

	if (s->reserve_bytes == 0 || stat(s->reserve_path, &st) != 0) {
		return false;
	}
	if (st.st_size <= STORE_RESERVE_SLICE_BYTES || truncate(s->reserve_path, st.st_size - STORE_RESERVE_SLICE_BYTES) != 0) {
		return unlink(s->reserve_path) == 0;
	}
	return true;
}

err_t store_disk(arena_t *a, str_t path, str_t *out_name, bool *out_durable)
{
	static const struct {
		uint32_t magic; /* statfs(2) */
		bool durable;
		const char *name;
	} known[] = {
		{ 0x0000ef53, true, "ext4" }, { 0x58465342, true, "xfs" },
		{ 0x9123683e, true, "btrfs" }, { 0x794c7630, true, "overlay" },
		{ 0x01021994, false, "tmpfs" }, { 0x858458f6, false, "ramfs" },
		{ 0x2fc12fc1, true, "zfs" }, { 0xf2f52010, true, "f2fs" },
		{ 0x6969, false, "nfs" }, { 0x65735546, false, "fuse" },
		{ 0x01021997, false, "9p" },
	};
	const char *cpath;
	struct statfs v;

	TRY(arena_cstr(a, path, &cpath));
	ENSURE(statfs(cpath, &v) == 0, ERR_IO);
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if ((uint32_t)v.f_type == known[i].magic) {
			*out_name = str_of(known[i].name);
			*out_durable = known[i].durable;
			return OK;
		}
	}
	*out_name = arena_printf(a, "0x%x", (unsigned)v.f_type);
	*out_durable = true;
	return OK;
}
