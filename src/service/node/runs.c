/* runs.c: processes whose identity was born with them (spiffe.md 14). A run is its leader's process: when that
 * ends, identity, keys and streams of the run end. In a cgroup that the node owns its descendants can be told
 * from others, where the entry says `tree`. The node keeps nothing on disk: its own end ends its runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/node/cgroup.h"
#include "service/node/node_int.h"

static void over_tell(void *arg);

/* --- cgroups ------------------------------------------------------------------------------------------------ */

static const char *tree_root(bool unified)
{
	const char *systemd = cgroup_v1_root("name=systemd");

	if (unified) {
		return cgroup_unified_root();
	}
	return systemd ? systemd : cgroup_v1_root("pids"); /* as proc.c reads cgroup1 */
}

static err_t number_write(const char *path, pid_t pid)
{
	char text[32];
	int fd = open(path, O_WRONLY | O_CLOEXEC), n = snprintf(text, sizeof(text), "%d", (int)pid);

	ENSURE(fd >= 0, ERR_IO);
	bool ok = write(fd, text, (size_t)n) == n;
	close(fd);
	return ok ? OK : ERR_IO;
}

static bool dir_make(const char *path)
{
	return mkdir(path, 0755) == 0 || errno == EEXIST;
}

void runs_prepare(void)
{
	char path[512];

	for (int unified = 0; unified < 2; unified++) {
		const char *root = tree_root(unified);
		snprintf(path, sizeof(path), "%s/attorn", root ? root : "");
		if (root && geteuid() == 0 && !dir_make(path)) {
			log_kv(LVL_WARN, "node.cgroup", kv_c("path", path), kv_i("errno", errno));
		}
	}
}

/* Ours, root's, and nobody else's to write: then no process of the agent's uid can join. */
static err_t cgroup_make(run_t *r, bool unified)
{
	const char *root = tree_root(unified);
	char path[512], name[64];

	ENSURE(root, ERR_NOT_FOUND);
	snprintf(name, sizeof(name), "/attorn/run-%s", r->id);
	snprintf(path, sizeof(path), "%s%s", root, name);
	ENSURE(mkdir(path, 0755) == 0, ERR_IO);
	r->cgroup = heap_cstr(str_of(name));
	r->unified = unified;
	snprintf(path, sizeof(path), "%s%s/cgroup.procs", root, name);
	TRY(number_write(path, r->child.pid));
	ENSURE(peer_pidfd_alive(r->child.pidfd), ERR_CLIENT); /* so the number was the child's */
	return OK;
}

static bool cgroup_remove(run_t *r)
{
	const char *root = r->cgroup ? tree_root(r->unified) : NULL;
	char path[512];

	if (!root) {
		return true;
	}
	snprintf(path, sizeof(path), "%s%s", root, r->cgroup);
	if (rmdir(path) != 0 && errno == EBUSY) {
		return false; /* what the leader left behind still runs in it, without an identity */
	}
	heap_free(r->cgroup);
	r->cgroup = NULL;
	return true;
}

static void cgroup_try(run_t *r)
{
	bool can = geteuid() == 0; /* a cgroup of the agent's own uid would keep nobody out */

	if (can && cgroup_make(r, true) == OK) {
		return;
	}
	(void)cgroup_remove(r);
	if (can && cgroup_make(r, false) == OK) {
		return;
	}
	(void)cgroup_remove(r);
}

/* --- whose run ------------------------------------------------------------------------------------------------- */

static bool path_inside(const char *path, const char *group)
{
	str_t p = str_of(path), g = str_of(group);

	return path && str_starts(p, g) && (p.n == g.n || p.p[g.n] == '/');
}

static bool belongs(const run_t *r, const peer_t *p)
{
	const char *path = r->unified ? p->facts.cgroup : p->facts.cgroup1;

	if (p->pid == r->child.pid && peer_pidfd_same(&r->node->kernel, p->pidfd, r->child.pidfd)) {
		return true;
	}
	return r->tree && r->cgroup && path_inside(path, r->cgroup) && peer_pidfd_alive(r->child.pidfd);
}

run_t *runs_find(node_t *n, const peer_t *p)
{
	for (run_t *r = n->runs; r; r = r->next) {
		if (!r->over && belongs(r, p)) {
			return r;
		}
	}
	return NULL;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

void run_free(run_t *r)
{
	loop_watch_close(r->watch);
	loop_timer_stop(r->node->loop, &r->timer);
	peer_close(&r->child);
	entries_unref(r->entry);
	heap_free(r->cgroup);
	arena_free(r->a);
	heap_free(r);
}

static void unlink_and_free(run_t *r)
{
	for (run_t **p = &r->node->runs; *p; p = &(*p)->next) {
		if (*p == r) {
			*p = r->next;
			r->node->n_runs--;
			break;
		}
	}
	run_free(r);
}

static void over_told(void *owner, err_t e, const json_t *body)
{
	run_t *r = owner;

	(void)body;
	r->told = e == OK || e == ERR_NOT_FOUND;
	if (r->told && cgroup_remove(r)) {
		unlink_and_free(r);
		return;
	}
	loop_timer_start(r->node->loop, &r->timer, NODE_OVER_AGAIN_MS, over_tell, r);
}

static void over_tell(void *arg)
{
	run_t *r = arg;
	char body[96];

	if (r->told) {
		over_told(r, OK, NULL);
		return;
	}
	snprintf(body, sizeof(body), "{\"id\":\"%s\"}", r->id);
	if (upstream_post(r->node->upstream, "/internal/v1/run/over", str_of(body), over_told, r) != OK) {
		loop_timer_start(r->node->loop, &r->timer, NODE_OVER_AGAIN_MS, over_tell, r);
	}
}

static void run_end(run_t *r, const char *why)
{
	if (r->over) {
		return;
	}
	r->over = true;
	loop_watch_close(r->watch);
	r->watch = NULL;
	log_kv(LVL_INFO, "node.run_over", kv_c("run", r->id), kv_s("id", r->spiffe_id), kv_c("why", why));
	callers_of_run_end(r->node, r);
	svids_of_run_end(r->node, r->id);
	loop_timer_start(r->node->loop, &r->timer, 0, over_tell, r);
}

void runs_over(node_t *n, str_t id, const char *why)
{
	for (run_t *r = n->runs; r; r = r->next) {
		if (str_eq(str_of(r->id), id)) {
			run_end(r, why);
			return;
		}
	}
}

static void exited(void *owner, int events)
{
	(void)events;
	run_end(owner, "exited");
}

static void expired(void *arg)
{
	run_end(arg, "expired");
}

/* --- the beginning -------------------------------------------------------------------------------------------------- */

err_t runs_add(node_t *n, run_t *r)
{
	bool changed;

	cgroup_try(r);
	if (r->tree && !r->cgroup) {
		return ERR_CONFIG; /* `tree` needs a cgroup that the agent cannot write */
	}
	TRY(peer_recheck(&r->child, &changed)); /* its cgroup is another now */
	TRY(loop_watch_open(n->loop, r->child.pidfd, exited, r, &r->watch));
	int64_t left_s = r->exp_s - node_now_s(n);
	r->next = n->runs;
	n->runs = r;
	n->n_runs++;
	loop_watch_set(r->watch, LOOP_READABLE);
	loop_timer_start(n->loop, &r->timer, left_s > 0 ? (uint64_t)left_s * 1000 : 0, expired, r);
	log_kv(LVL_INFO, "node.run", kv_c("run", r->id), kv_s("id", r->spiffe_id), kv_i("pid", r->child.pid),
		kv_c("cgroup", r->cgroup ? r->cgroup : "none"));
	callers_changed(n);
	return OK;
}

void runs_done(node_t *n)
{
	while (n->runs) {
		run_t *r = n->runs;
		n->runs = r->next;
		(void)cgroup_remove(r);
		run_free(r);
	}
}
