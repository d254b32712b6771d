/* docker.c: which container a process sits in, for Docker and Podman run by root. The id comes out of the
 * cgroup path the kernel gives, at the exact place the runtime's root-owned slice puts it; then the runtime is
 * asked by that id and the process it reports must sit in the same cgroup. Containers of rootless runtimes lie
 * in cgroups their user owns: anybody of that uid could make such a name, so they have no docker selectors. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "engine/net/net.h"
#include "service/node/attest.h"
#include "service/node/cgroup.h"
#include "service/node/proc.h"

enum { ID_BYTES = 64 };

static const struct {
	str_t before, behind;
} places[] = {
	{ STR_INIT("/system.slice/docker-"), STR_INIT(".scope") }, /* Docker, systemd driver */
	{ STR_INIT("/docker/"), STR_INIT("") }, /* Docker, cgroupfs driver */
	{ STR_INIT("/machine.slice/libpod-"), STR_INIT(".scope") }, /* Podman, systemd driver */
	{ STR_INIT("/libpod_parent/libpod-"), STR_INIT("") }, /* Podman, cgroupfs driver */
};

static bool is_id(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) {
			return false;
		}
	}
	return s.n == ID_BYTES;
}

str_t attest_container_of(str_t path, str_t *out_prefix)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		size_t n = places[i].before.n + ID_BYTES;
		str_t id = str_sub(path, places[i].before.n, ID_BYTES);
		str_t rest = str_sub(path, n, path.n);
		if (!str_starts(path, places[i].before) || !is_id(id) || !str_starts(rest, places[i].behind)) {
			continue;
		}
		n += places[i].behind.n;
		if (path.n == n || path.p[n] == '/') { /* below it are the container's own cgroups */
			*out_prefix = str_sub(path, 0, n);
			return id;
		}
	}
	return STR_NULL;
}

/* The slice and the container's cgroup are root's: nobody else can have put the name there. */
static bool owned_by_root(arena_t *a, const char *root, str_t prefix)
{
	str_t parent = str_sub(prefix, 0, str_find_last(prefix, '/'));
	const char *path, *above;
	struct stat s;

	return root && arena_cstr(a, arena_cat(a, str_of(root), prefix), &path) == OK
		&& arena_cstr(a, arena_cat(a, str_of(root), parent), &above) == OK && stat(path, &s) == 0 && s.st_uid == 0
		&& stat(above, &s) == 0 && s.st_uid == 0 && !(s.st_mode & S_IWOTH);
}

/* --- the runtime's answer ------------------------------------------------------------------------------- */

/* The container's first process, as the runtime says, sits in this very cgroup or below. */
static err_t init_matches(const json_t *doc, str_t prefix)
{
	AUTO(buf_done) buf_t b;
	const json_t *state;
	char name[64];
	uint64_t pid;
	bool running;

	buf_init(&b, NODE_PROC_FILE_BYTES_MAX);
	TRY(json_need_obj(doc, STR("State"), &state));
	TRY(json_need_bool(state, STR("Running"), &running));
	TRY(json_need_u64(state, STR("Pid"), INT32_MAX, &pid));
	ENSURE(running && pid > 0, ERR_UNAVAILABLE);
	snprintf(name, sizeof(name), "/proc/%u/cgroup", (unsigned)pid);
	TRY(proc_read(AT_FDCWD, name, &b));
	str_t lines = buf_str(&b), line;
	while (str_split(&lines, '\n', &line)) {
		size_t at = str_find(line, '/');
		str_t path = str_sub(line, at, line.n);
		if (str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/')) {
			return OK;
		}
	}
	return ERR_UNAVAILABLE;
}

static err_t config_tell(attest_list_t *l, const json_t *config)
{
	str_t text;

	for (const json_t *n = json_first(json_get(config, STR("Labels"))); n; n = json_next(n)) {
		TRY(json_str(n, &text));
		str_t value = arena_cat(l->a, json_key(n), STR(":"), text);
		TRY(attest_add(l, STR("docker:label:"), value));
	}
	for (const json_t *n = json_first(json_get(config, STR("Env"))); n; n = json_next(n)) {
		TRY(json_str(n, &text));
		TRY(attest_add(l, STR("docker:env:"), text));
	}
	TRY(json_want_str(config, STR("Image"), NODE_DOCKER_ANSWER_BYTES_MAX, &text));
	return text.n ? attest_add(l, STR("docker:image_id:"), text) : OK;
}

static err_t answer_tell(attest_list_t *l, str_t body, str_t id, str_t prefix)
{
	static const json_opts_t opts = { .bytes_max = NODE_DOCKER_ANSWER_BYTES_MAX, .nodes_max = 1 << 14,
		.object_only = true };
	const json_t *doc, *config;
	str_t text;

	TRY(json_parse(l->a, body, &opts, &doc, NULL));
	ENSURE(json_is_str(json_get(doc, STR("Id")), id), ERR_UNAVAILABLE);
	TRY(init_matches(doc, prefix));
	TRY(attest_add(l, STR("docker:container_id:"), id));
	TRY(json_want_str(doc, STR("Image"), NODE_DOCKER_ANSWER_BYTES_MAX, &text));
	if (str_starts(text, STR("sha256:"))) {
		TRY(attest_add(l, STR("docker:image_config_digest:"), text));
	}
	TRY(json_need_obj(doc, STR("Config"), &config));
	return config_tell(l, config);
}

static err_t ask(attest_list_t *l, const char *socket, str_t id, str_t prefix)
{
	net_request_t r = {
		.method = STR("GET"),
		.url = arena_cat(l->a, STR("http://localhost/containers/"), id, STR("/json")),
		.unix_path = socket,
		.connect_timeout_ms = NODE_ATTEST_TIMEOUT_MS,
		.total_timeout_ms = NODE_ATTEST_TIMEOUT_MS,
		.response_bytes_max = NODE_DOCKER_ANSWER_BYTES_MAX,
	};
	net_response_t answer;

	TRY(net_sync_fetch(l->a, &r, &answer, NULL));
	ENSURE(answer.status == 200, ERR_UNAVAILABLE);
	return answer_tell(l, answer.body, id, prefix);
}

err_t attest_docker(attest_list_t *l, const attest_subject_t *s)
{
	const char *const paths[] = { s->facts.cgroup, s->facts.cgroup1 };
	const char *const roots[] = { cgroup_unified_root(),
		cgroup_v1_root("name=systemd") ? cgroup_v1_root("name=systemd") : cgroup_v1_root("pids") };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		str_t prefix, id = attest_container_of(str_of(paths[i]), &prefix);
		if (!id.n || !owned_by_root(l->a, roots[i], prefix)) {
			continue;
		}
		for (const char *const *socket = s->means->docker_sockets; *socket; socket++) {
			size_t before = l->n;
			if (ask(l, *socket, id, prefix) == OK) {
				return OK;
			}
			l->n = before;
		}
		return ERR_UNAVAILABLE; /* in a container nobody tells about */
	}
	return OK; /* in no container: that is known */
}
