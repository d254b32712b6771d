/* proc.c: the facts of one process, read through its pinned directory. */
#include "service/node/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/node/cgroup.h"

err_t proc_read(int dir, const char *name, buf_t *b)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	err_t e = fd >= 0 ? OK : ERR_CLIENT;

	while (e == OK) {
		char *room;
		e = buf_room(b, 1024, &room);
		ssize_t n = e == OK ? read(fd, room, 1024) : 0;
		if (n <= 0) {
			e = n < 0 ? ERR_CLIENT : e;
			break;
		}
		buf_grew(b, (size_t)n);
	}
	if (fd >= 0) {
		close(fd);
	}
	return e;
}

err_t proc_status_line(str_t status, str_t name, str_t *out)
{
	str_t line;

	while (str_split(&status, '\n', &line)) {
		if (str_starts(line, name) && line.n > name.n && line.p[name.n] == ':') {
			*out = str_trim(str_sub(line, name.n + 1, line.n));
			return OK;
		}
	}
	return ERR_SYNTAX;
}

/* --- ids -------------------------------------------------------------------------------------------- */

/* "1000\t1000\t1000\t1000": real, effective, saved, file system. A process between identities has none. */
static err_t one_id(str_t status, str_t name, uint32_t *out)
{
	str_t line, word;
	uint64_t first = 0, id;
	size_t n = 0;

	TRY(proc_status_line(status, name, &line));
	for (; str_split(&line, '\t', &word); n++) {
		TRY(str_to_u64(word, UINT32_MAX, &id));
		first = n ? first : id;
		ENSURE(id == first, ERR_CLIENT);
	}
	ENSURE(n == 4, ERR_SYNTAX);
	*out = (uint32_t)first;
	return OK;
}

static int gid_order(const void *x, const void *y)
{
	gid_t a = *(const gid_t *)x, b = *(const gid_t *)y;

	return a < b ? -1 : a > b;
}

static err_t groups_read(str_t status, peer_facts_t *f)
{
	str_t line, word;
	uint64_t id;

	TRY(proc_status_line(status, STR("Groups"), &line));
	f->groups = heap_alloc(NODE_GROUPS_MAX * sizeof(*f->groups));
	while (str_split(&line, ' ', &word)) {
		if (word.n == 0) {
			continue;
		}
		ENSURE(f->n_groups < NODE_GROUPS_MAX, ERR_LIMIT);
		TRY(str_to_u64(word, UINT32_MAX, &id));
		f->groups[f->n_groups++] = (gid_t)id;
	}
	qsort(f->groups, f->n_groups, sizeof(*f->groups), gid_order);
	f->groups = heap_realloc(f->groups, (f->n_groups ? f->n_groups : 1) * sizeof(*f->groups));
	return OK;
}

static err_t status_read(int dir, peer_facts_t *f)
{
	AUTO(buf_done) buf_t b;
	str_t line;
	uint64_t ppid;

	buf_init(&b, NODE_PROC_FILE_BYTES_MAX);
	TRY(proc_read(dir, "status", &b));
	TRY(one_id(buf_str(&b), STR("Uid"), &f->uid));
	TRY(one_id(buf_str(&b), STR("Gid"), &f->gid));
	TRY(proc_status_line(buf_str(&b), STR("PPid"), &line));
	TRY(str_to_u64(line, INT32_MAX, &ppid));
	f->ppid = (pid_t)ppid;
	return groups_read(buf_str(&b), f);
}

/* Field 22 of /proc/PID/stat, counted behind the last ')': the name in front may hold anything. */
static err_t start_read(int dir, peer_facts_t *f)
{
	AUTO(buf_done) buf_t b;
	str_t rest, word = STR_NULL;

	buf_init(&b, NODE_PROC_FILE_BYTES_MAX);
	TRY(proc_read(dir, "stat", &b));
	size_t at = str_find_last(buf_str(&b), ')');
	ENSURE(at + 2 < b.n, ERR_SYNTAX);
	rest = str_sub(buf_str(&b), at + 2, b.n);
	for (size_t field = 3; field <= 22; field++) {
		ENSURE(str_split(&rest, ' ', &word), ERR_SYNTAX);
	}
	return str_to_u64(word, UINT64_MAX, &f->start_ticks);
}

/* --- namespaces ---------------------------------------------------------------------------------------- */

static void namespaces_read(int dir, peer_facts_t *f)
{
	struct stat pid, user, own_pid, own_user;

	f->ns_known = fstatat(dir, "ns/pid", &pid, 0) == 0 && fstatat(dir, "ns/user", &user, 0) == 0
		&& stat("/proc/self/ns/pid", &own_pid) == 0 && stat("/proc/self/ns/user", &own_user) == 0;
	if (!f->ns_known) {
		return;
	}
	f->pid_ns = pid.st_ino;
	f->user_ns = user.st_ino;
	f->ns_ours = pid.st_ino == own_pid.st_ino && pid.st_dev == own_pid.st_dev && user.st_ino == own_user.st_ino
		&& user.st_dev == own_user.st_dev;
}

/* --- cgroups -------------------------------------------------------------------------------------------- */

/* One line is "N:NAMES:PATH"; N is 0 and NAMES empty for the unified tree. */
static bool cgroup_line(str_t line, str_t *names, str_t *path)
{
	str_t number;

	return str_split(&line, ':', &number) && str_split(&line, ':', names) && (*path = line, line.n > 0);
}

static char *cgroup_path(str_t lines, str_t names)
{
	str_t line, n, path;

	while (str_split(&lines, '\n', &line)) {
		if (cgroup_line(line, &n, &path) && str_eq(n, names) && !str_has_nul(path)
			&& path.n <= NODE_PATH_BYTES_MAX) {
			return heap_cstr(path);
		}
	}
	return NULL;
}

static err_t cgroups_read(int dir, peer_facts_t *f)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, NODE_PROC_FILE_BYTES_MAX);
	TRY(proc_read(dir, "cgroup", &b));
	f->cgroup1 = cgroup_path(buf_str(&b), STR("name=systemd"));
	if (!f->cgroup1) {
		f->cgroup1 = cgroup_path(buf_str(&b), STR("pids"));
	}
	f->cgroup = cgroup_path(buf_str(&b), STR_NULL);
	if (f->cgroup && cgroup_id_of(f->cgroup, &f->cgroup_id) != OK) {
		heap_free(f->cgroup); /* removed, or outside what the node sees: no path is better than a wrong one */
		f->cgroup = NULL;
	}
	return OK;
}

/* --- executable ------------------------------------------------------------------------------------------ */

/* The path of the pinned executable, if following it from the node's own root leads to the very same file.
 * Else NULL: deleted, in memory only, or seen through another mount namespace (a process may be started
 * through /proc/N/root of one, and the kernel then prints a path that means another file here). */
static char *exe_path(int exe, const struct stat *s)
{
	char link[64], path[NODE_PATH_BYTES_MAX + 1];
	struct stat there;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", exe);
	ssize_t n = readlink(link, path, sizeof(path));
	if (n <= 0 || (size_t)n >= sizeof(path) || path[0] != '/') {
		return NULL;
	}
	path[n] = '\0';
	bool same = stat(path, &there) == 0 && there.st_dev == s->st_dev && there.st_ino == s->st_ino;
	return same ? heap_cstr(str_bytes(path, (size_t)n)) : NULL;
}

/* A process without a file (a kernel thread, or one that is exiting) is refused; one whose file may not be
 * looked at has no executable fact. */
static err_t exe_read(int dir, peer_facts_t *f, int *out)
{
	struct stat s;
	int fd = openat(dir, "exe", O_PATH | O_CLOEXEC);

	*out = -1;
	if (fd < 0) {
		return errno == EACCES || errno == EPERM ? OK : ERR_CLIENT;
	}
	if (fstat(fd, &s) != 0) {
		close(fd);
		return ERR_CLIENT;
	}
	f->exe_known = true;
	f->exe_dev = s.st_dev;
	f->exe_ino = s.st_ino;
	f->exe = exe_path(fd, &s);
	*out = fd;
	return OK;
}

/* --- all ------------------------------------------------------------------------------------------------- */

void peer_facts_done(peer_facts_t *f)
{
	heap_free(f->groups);
	heap_free(f->cgroup);
	heap_free(f->cgroup1);
	heap_free(f->exe);
	*f = (peer_facts_t){ 0 };
}

static void facts_done_auto_(peer_facts_t *f)
{
	peer_facts_done(f);
}

static bool text_eq(const char *x, const char *y)
{
	return (!x && !y) || (x && y && strcmp(x, y) == 0);
}

/* The parent is left out: it may end at any time and is nobody's identity. */
bool peer_facts_eq(const peer_facts_t *x, const peer_facts_t *y)
{
	return x->uid == y->uid && x->gid == y->gid && x->n_groups == y->n_groups
		&& str_eq(str_bytes(x->groups, x->n_groups * sizeof(*x->groups)),
			str_bytes(y->groups, y->n_groups * sizeof(*y->groups)))
		&& x->start_ticks == y->start_ticks && x->pid_ns == y->pid_ns && x->user_ns == y->user_ns
		&& x->ns_known == y->ns_known && x->ns_ours == y->ns_ours && x->cgroup_id == y->cgroup_id
		&& text_eq(x->cgroup, y->cgroup) && text_eq(x->cgroup1, y->cgroup1) && x->exe_known == y->exe_known
		&& x->exe_dev == y->exe_dev && x->exe_ino == y->exe_ino && text_eq(x->exe, y->exe);
}

err_t proc_facts(int dir, peer_facts_t *out, int *out_exe)
{
	AUTO(facts_done) peer_facts_t f = { 0 };
	int exe;

	TRY(status_read(dir, &f));
	TRY(start_read(dir, &f));
	TRY(cgroups_read(dir, &f));
	namespaces_read(dir, &f);
	TRY(exe_read(dir, &f, &exe));
	*out_exe = exe;
	*out = f;
	f = (peer_facts_t){ 0 };
	return OK;
}
