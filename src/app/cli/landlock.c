/* landlock.c: files of attorn closed to an agent. Landlock allows and cannot deny, so everything is allowed but
 * the way to the closed folders: at each folder on that way, all its entries but the next step. What is made
 * there later is closed too, which is why attorn's working directory wants a place of its own.
 * Only reading, writing and truncating files are ruled; a lock by file mode stands beside it (data is 0700). */
#include <dirent.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/cli/run_int.h"

enum { ACCESS_TRUNCATE = 1 << 14, SCOPE_ABSTRACT = 1 << 0, SCOPE_SIGNAL = 1 << 1, PATH_BYTES = 4200 };

/* The struct of ABI 6; older kernels take its first member. */
typedef struct {
	uint64_t fs, net, scoped;
} ruleset_t;

static void allow(int rules, const char *path, uint64_t access)
{
	struct stat s;
	struct landlock_path_beneath_attr at = { .allowed_access = access,
		.parent_fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW) };

	if (at.parent_fd < 0) {
		return; /* gone, or not ours to enter: then it needs no rule */
	}
	if (fstat(at.parent_fd, &s) == 0 && !S_ISLNK(s.st_mode)) {
		(void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &at, 0);
	}
	close(at.parent_fd);
}

static bool is_closed(const char *folder, const char *root, str_t name, str_t next)
{
	bool last = strcmp(folder, root) == 0;

	return last ? str_eq(name, STR("data")) || str_eq(name, STR("keys")) : str_eq(name, next);
}

/* `folder` lies on the way to root; `next` is the step after it. */
static void siblings_allow(int rules, uint64_t access, const char *folder, const char *root, str_t next)
{
	DIR *d = opendir(folder);
	char path[PATH_BYTES];

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		str_t name = str_of(e->d_name);
		if (str_eq(name, STR(".")) || str_eq(name, STR("..")) || is_closed(folder, root, name, next)) {
			continue;
		}
		int n = snprintf(path, sizeof(path), "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, e->d_name);
		if (n > 0 && (size_t)n < sizeof(path)) {
			allow(rules, path, access);
		}
	}
	if (d) {
		closedir(d);
	}
}

int landlock_rules(const char *root, int *out_abi)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	char folder[PATH_BYTES];
	size_t at = 0;

	*out_abi = abi > 0 ? (int)abi : 0;
	if (abi < 1) {
		return -1;
	}
	access |= abi >= 3 ? ACCESS_TRUNCATE : 0;
	/* from ABI 6 on it can neither signal attorn's processes nor reach their abstract sockets */
	ruleset_t set = { .fs = access, .scoped = SCOPE_SIGNAL | SCOPE_ABSTRACT };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &set, abi >= 6 ? sizeof(set) : sizeof(set.fs), 0);
	if (rules < 0) {
		return -1;
	}
	for (str_t rest = str_of(root + 1), step; str_split(&rest, '/', &step);) {
		snprintf(folder, sizeof(folder), "%.*s", at ? (int)at : 1, root);
		siblings_allow(rules, access, folder, root, step);
		at = (size_t)(step.p + step.n - root);
	}
	siblings_allow(rules, access, root, root, STR_NULL);
	return rules;
}

bool landlock_enter(int rules)
{
	return rules < 0 || syscall(SYS_landlock_restrict_self, rules, 0) == 0;
}
