/* cgroup.c: where the trees are mounted, by file system type and not by anybody's list of mounts. */
#include "service/node/cgroup.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "service/node/limits.h"

static bool is_type(const char *path, long type)
{
	struct statfs s;

	return statfs(path, &s) == 0 && s.f_type == type;
}

const char *cgroup_unified_root(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (is_type(places[i], CGROUP2_SUPER_MAGIC)) {
			return places[i];
		}
	}
	return NULL;
}

const char *cgroup_v1_root(const char *name)
{
	static const struct {
		const char *name, *place;
	} places[] = { { "name=systemd", "/sys/fs/cgroup/systemd" }, { "pids", "/sys/fs/cgroup/pids" } };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (strcmp(places[i].name, name) == 0 && is_type(places[i].place, CGROUP_SUPER_MAGIC)) {
			return places[i].place;
		}
	}
	return NULL;
}

err_t cgroup_id_of(const char *path, uint64_t *out)
{
	const char *root = cgroup_unified_root();
	char place[NODE_PATH_BYTES_MAX + 64];
	struct stat s;

	ENSURE(root && !str_contains(str_of(path), STR("/../")), ERR_NOT_FOUND); /* outside our namespace */
	int n = snprintf(place, sizeof(place), "%s%s", root, path);
	ENSURE(n > 0 && (size_t)n < sizeof(place), ERR_NOT_FOUND);
	ENSURE(stat(place, &s) == 0, ERR_NOT_FOUND);
	*out = s.st_ino; /* kernfs: the inode number is the id */
	return OK;
}
