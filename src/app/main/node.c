/* node.c: the process that attests: root where it can be, with the few capabilities it needs; nothing durable. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/main/main_int.h"
#include "service/node/node.h"

enum { STOP_GRACE_MS = 2000, CAPABILITIES = 64,
	DESCRIPTORS = 20000 /* four for each connection */ };

typedef struct {
	loop_t *loop;
	node_t *node;
	loop_timer_t stop_timer;
	bool stopping;
} daemon_t;

/* --- privileges ------------------------------------------------------------------------------------------------ */

/* The authority may run as another user; then its socket is not root's to open without this. */
static bool authority_is_another(const char *data)
{
	struct stat s;

	return stat(data, &s) == 0 && s.st_uid != geteuid();
}

static err_t capabilities_set(uint64_t keep)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	for (int c = 0; c < CAPABILITIES; c++) {
		if (!(keep >> c & 1)) {
			(void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0); /* one this kernel does not know */
		}
	}
	for (size_t i = 0; i < 2; i++) {
		d[i].permitted = d[i].effective = (uint32_t)(keep >> (32 * i));
	}
	ENSURE(syscall(SYS_capset, &h, d) == 0, ERR_CONFIG);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? OK : ERR_CONFIG;
}

/* Root keeps: looking at other users' processes and executables, locking the slab of keys. Cgroups it makes are
 * its own by uid. Others have nothing to drop. */
static err_t privileges_drop(const config_paths_t *paths, diag_t *diag)
{
	uint64_t keep = 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_IPC_LOCK;

	if (geteuid() != 0) {
		return OK;
	}
	keep |= authority_is_another(paths->data) ? 1ull << CAP_DAC_OVERRIDE : 0;
	err_t e = capabilities_set(keep);
	if (e != OK) {
		diag_set(diag, 0, 0, "capabilities cannot be dropped: %s", strerror(errno));
	}
	return e;
}

/* Root may have what it needs; others take what their limit allows. */
static void descriptors_allow(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= DESCRIPTORS) {
		return;
	}
	if (geteuid() == 0 && r.rlim_max < DESCRIPTORS) {
		r.rlim_max = DESCRIPTORS;
	}
	r.rlim_cur = r.rlim_max < DESCRIPTORS ? r.rlim_max : DESCRIPTORS;
	(void)setrlimit(RLIMIT_NOFILE, &r); /* node.c counts with what is there */
}

/* --- life -------------------------------------------------------------------------------------------------------- */

/* Everybody may enter, only we may write: a socket of ours cannot be replaced (spiffe.md 23). */
static err_t folder_open(const char *path, diag_t *diag)
{
	struct stat s;

	if ((mkdir(path, 0755) != 0 && errno != EEXIST) || lstat(path, &s) != 0) {
		diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (!S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 0022) != 0 || chmod(path, 0755) != 0) {
		diag_set(diag, 0, 0, "%s: must be a folder that only uid %u may write", path, (unsigned)geteuid());
		return ERR_CONFIG;
	}
	return OK;
}

static err_t daemon_open(daemon_t *p, const config_paths_t *paths, const config_t *config, bool oldest, diag_t *diag)
{
	const node_options_t o = { .loop = p->loop, .authority_socket = paths->internal_socket,
		.workload_socket = paths->workload_socket, .control_socket = paths->control_socket,
		.trust_domain = str_of(config->trust_domain), .oldest_kernel = oldest,
		.docker_sockets = { "/var/run/docker.sock", "/run/podman/podman.sock" } };

	umask(0022);
	descriptors_allow();
	TRY(folder_open(paths->node_dir, diag));
	TRY(node_open(&o, &p->node, diag));
	return privileges_drop(paths, diag);
}

static void stop_now(void *arg)
{
	loop_stop(((daemon_t *)arg)->loop);
}

static void stop_begin(void *arg)
{
	daemon_t *p = arg;

	if (!p->stopping) {
		p->stopping = true;
		node_close(p->node, stop_now, p);
		loop_timer_start(p->loop, &p->stop_timer, STOP_GRACE_MS, stop_now, p);
	}
}

int node_run(const config_paths_t *paths, const config_t *config, bool oldest_kernel)
{
	daemon_t *p = heap_new(daemon_t);
	diag_t diag = { 0 };
	secret_t first;

	p->loop = loop_new();
	err_t e = secret_new(1, &first); /* the slab is locked while we may */
	e = e == OK ? daemon_open(p, paths, config, oldest_kernel, &diag) : e;
	if (e != OK) {
		complain("node", &diag, e);
		return EXIT_CANNOT_START;
	}
	secret_done(&first);
	stop_on_signal(p->loop, stop_begin, p);
	log_kv(LVL_INFO, "node.up", kv_c("socket", paths->workload_socket), kv_s("kernel", node_kernel_text(p->node)),
		kv_c("boundary", geteuid() == 0 ? "uids" : "shared-uid"));
	loop_run(p->loop);
	return 0;
}
