/* attest.c: asks each family that some entry needs. */
#include "service/node/attest.h"

#include <fcntl.h>
#include <unistd.h>

static const struct {
	str_t prefix;
	attest_family_t family;
} prefixes[] = {
	{ STR_INIT("unix:uid:"), ATTEST_ID },
	{ STR_INIT("unix:gid:"), ATTEST_ID },
	{ STR_INIT("unix:supplementary_gid:"), ATTEST_ID },
	{ STR_INIT("unix:user:"), ATTEST_NAME },
	{ STR_INIT("unix:group:"), ATTEST_NAME },
	{ STR_INIT("unix:supplementary_group:"), ATTEST_NAME },
	{ STR_INIT("unix:path:"), ATTEST_PATH },
	{ STR_INIT("unix:sha256:"), ATTEST_SHA256 },
	{ STR_INIT("systemd:"), ATTEST_SYSTEMD },
	{ STR_INIT("docker:"), ATTEST_DOCKER },
	{ STR_INIT("attorn:"), ATTEST_RUN },
};

/* The order in which they are told; cheap ones first. */
static const struct {
	attest_family_t family;
	err_t (*tell)(attest_list_t *l, const attest_subject_t *s);
} attestors[] = {
	{ ATTEST_ID, attest_unix_ids },
	{ ATTEST_PATH, attest_unix_path },
	{ ATTEST_NAME, attest_unix_names },
	{ ATTEST_SHA256, attest_unix_sha256 },
	{ ATTEST_SYSTEMD, attest_systemd },
	{ ATTEST_DOCKER, attest_docker },
};

attest_family_t attest_family_of(str_t selector)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (str_starts(selector, prefixes[i].prefix)) {
			return prefixes[i].family;
		}
	}
	return ATTEST_FOREIGN;
}

attest_families_t attest_families_of(const spiffe_selectors_t *s)
{
	attest_families_t all = 0;

	for (size_t i = 0; i < s->n; i++) {
		all |= attest_family_of(s->v[i]);
	}
	return all;
}

err_t attest_add(attest_list_t *l, str_t name, str_t value)
{
	str_t text;

	ENSURE(l->n < NODE_SELECTORS_MAX, ERR_LIMIT);
	if (name.n + value.n > SPIFFE_SELECTOR_BYTES_MAX) {
		return OK; /* longer than any entry can name */
	}
	text = arena_cat(l->a, name, value);
	if (spiffe_selector_check(text) == OK) {
		l->v[l->n++] = text;
	}
	return OK;
}

static void fd_close(void *p)
{
	close(*(int *)p);
}

static char *text_copy(arena_t *a, const char *s)
{
	return s ? (char *)arena_cat(a, str_of(s), str_bytes("", 1)).p : NULL;
}

err_t attest_subject_make(arena_t *a, const peer_t *p, attest_subject_t *out)
{
	attest_subject_t s = { .facts = p->facts, .exe = -1 };

	s.facts.groups = arena_array(a, gid_t, p->facts.n_groups + 1);
	if (p->facts.n_groups) {
		memcpy(s.facts.groups, p->facts.groups, p->facts.n_groups * sizeof(gid_t));
	}
	s.facts.cgroup = text_copy(a, p->facts.cgroup);
	s.facts.cgroup1 = text_copy(a, p->facts.cgroup1);
	s.facts.exe = text_copy(a, p->facts.exe);
	if (p->exe >= 0) {
		int *own = arena_new(a, int);
		*own = fcntl(p->exe, F_DUPFD_CLOEXEC, 3);
		ENSURE(*own >= 0, ERR_UNAVAILABLE);
		arena_defer(a, fd_close, own);
		s.exe = *own;
	}
	*out = s;
	return OK;
}

err_t attest_all(arena_t *a, const attest_subject_t *s, spiffe_selectors_t *out, attest_families_t *out_unknown)
{
	attest_list_t l = { .a = a, .v = arena_array(a, str_t, NODE_SELECTORS_MAX) };
	attest_families_t unknown = 0;

	for (size_t i = 0; i < ARRAY_LEN(attestors); i++) {
		size_t before = l.n;
		if ((s->wanted & attestors[i].family) && attestors[i].tell(&l, s) != OK) {
			l.n = before;
			unknown |= attestors[i].family;
		}
	}
	TRY(spiffe_selectors_make(a, l.v, l.n, NODE_SELECTORS_MAX, out));
	*out_unknown = unknown;
	return OK;
}
