/* unix.c: selectors of the kernel's own words about a process, named as SPIRE names them. Only for a process in
 * the node's own PID and user namespaces: elsewhere stamps can be forged and ids mean something else, so that a
 * container's root is not the host's (spiffe.md 13.4 step 7). */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "pure/codec/codec.h"
#include "service/node/attest.h"

enum { NSS_BYTES_MAX = 64 << 10 }; /* a group with a few thousand members */

/* OK with *out: tell or leave out. */
static err_t is_ours(const attest_subject_t *s, bool *out)
{
	ENSURE(s->facts.ns_known, ERR_UNAVAILABLE);
	*out = s->facts.ns_ours;
	return OK;
}

static err_t number_add(attest_list_t *l, str_t name, uint32_t n)
{
	return attest_add(l, name, arena_printf(l->a, "%u", n));
}

err_t attest_unix_ids(attest_list_t *l, const attest_subject_t *s)
{
	bool ours;

	TRY(is_ours(s, &ours));
	if (!ours) {
		return OK;
	}
	TRY(number_add(l, STR("unix:uid:"), s->facts.uid));
	TRY(number_add(l, STR("unix:gid:"), s->facts.gid));
	for (size_t i = 0; i < s->facts.n_groups; i++) {
		TRY(number_add(l, STR("unix:supplementary_gid:"), s->facts.groups[i]));
	}
	return OK;
}

static err_t group_add(attest_list_t *l, str_t name, gid_t gid, char *room)
{
	struct group entry, *found;

	ENSURE(getgrgid_r(gid, &entry, room, NSS_BYTES_MAX, &found) == 0, ERR_UNAVAILABLE);
	return found ? attest_add(l, name, str_of(entry.gr_name)) : OK;
}

err_t attest_unix_names(attest_list_t *l, const attest_subject_t *s)
{
	AUTO(heap_free) char *room = heap_alloc(NSS_BYTES_MAX);
	struct passwd entry, *found;
	bool ours;

	TRY(is_ours(s, &ours));
	if (!ours) {
		return OK;
	}
	ENSURE(getpwuid_r(s->facts.uid, &entry, room, NSS_BYTES_MAX, &found) == 0, ERR_UNAVAILABLE);
	if (found) {
		TRY(attest_add(l, STR("unix:user:"), str_of(entry.pw_name)));
	}
	TRY(group_add(l, STR("unix:group:"), s->facts.gid, room));
	for (size_t i = 0; i < s->facts.n_groups; i++) {
		TRY(group_add(l, STR("unix:supplementary_group:"), s->facts.groups[i], room));
	}
	return OK;
}

err_t attest_unix_path(attest_list_t *l, const attest_subject_t *s)
{
	bool ours;

	TRY(is_ours(s, &ours));
	ENSURE(s->facts.exe_known, ERR_UNAVAILABLE);
	return ours && s->facts.exe ? attest_add(l, STR("unix:path:"), str_of(s->facts.exe)) : OK;
}

err_t attest_unix_sha256(attest_list_t *l, const attest_subject_t *s)
{
	uint8_t digest[32];
	bool ours;

	TRY(is_ours(s, &ours));
	ENSURE(s->facts.exe_known, ERR_UNAVAILABLE);
	if (!ours) {
		return OK;
	}
	TRY(digest_of(s->means->digests, s->exe, s->facts.uid, s->now_us, digest));
	return attest_add(l, STR("unix:sha256:"), hex_enc(l->a, str_bytes(digest, sizeof(digest))));
}
