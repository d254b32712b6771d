/* attest.h: from one process's facts to its selectors (spiffe.md 13.3). One file per family: unix, systemd,
 * docker; attorn (runs) needs no asking and is run.h's.
 * A family that could not be told is *unknown*: entries that name it do not match, and where one of them might
 * have, the caller hears Unavailable and never gets a silently smaller set.
 * Owns: nothing. Threads: a lane's (attest_all asks services and may block for NODE_ATTEST_TIMEOUT_MS each).
 * Forbidden: argv, environment, file names a process chooses, paths of another mount namespace as selectors. */
#ifndef ATTORN_NODE_ATTEST_H
#define ATTORN_NODE_ATTEST_H

#include "domain/spiffe/spiffe.h"
#include "service/node/digest.h"
#include "service/node/peer.h"

/* What can be unknown on its own. */
typedef enum {
	ATTEST_ID = 1 << 0, /* unix: uid gid supplementary_gid */
	ATTEST_NAME = 1 << 1, /* unix: user group supplementary_group */
	ATTEST_PATH = 1 << 2, /* unix: path */
	ATTEST_SHA256 = 1 << 3, /* unix: sha256 */
	ATTEST_SYSTEMD = 1 << 4,
	ATTEST_DOCKER = 1 << 5,
	ATTEST_RUN = 1 << 6, /* attorn: */
	ATTEST_FOREIGN = 1 << 7, /* a family nobody here attests: never there, never unknown */
} attest_family_t;
typedef uint32_t attest_families_t;
/* Which family a selector of an entry needs. */
attest_family_t attest_family_of(str_t selector);
attest_families_t attest_families_of(const spiffe_selectors_t *s);

typedef struct {
	digest_t *digests;
	const char *docker_sockets[3]; /* asked in this order; ends with NULL */
} attest_means_t;

/* A copy of what the loop read, for the lane. */
typedef struct {
	const attest_means_t *means;
	peer_facts_t facts; /* strings in the arena */
	int exe; /* own descriptor, -1: none; closed with the arena */
	attest_families_t wanted; /* families some entry needs: no other is asked */
	uint64_t now_us;
} attest_subject_t;
MUST err_t attest_subject_make(arena_t *a, const peer_t *p, attest_subject_t *out);

/* Tells everything `wanted`. What could not be told is set in *out_unknown. */
MUST err_t attest_all(arena_t *a, const attest_subject_t *s, spiffe_selectors_t *out,
	attest_families_t *out_unknown);

/* A growing list, for the attestors. */
typedef struct {
	arena_t *a;
	str_t *v;
	size_t n;
} attest_list_t;
/* Adds "family:key:value" parts; ERR_LIMIT beyond NODE_SELECTORS_MAX, a value no selector can hold is left out. */
MUST err_t attest_add(attest_list_t *l, str_t name, str_t value);
/* Each adds its own; an error means its family is unknown (what it added is dropped). */
MUST err_t attest_unix_ids(attest_list_t *l, const attest_subject_t *s);
MUST err_t attest_unix_names(attest_list_t *l, const attest_subject_t *s);
MUST err_t attest_unix_path(attest_list_t *l, const attest_subject_t *s);
MUST err_t attest_unix_sha256(attest_list_t *l, const attest_subject_t *s);
MUST err_t attest_systemd(attest_list_t *l, const attest_subject_t *s);
MUST err_t attest_docker(attest_list_t *l, const attest_subject_t *s);
/* The container id a cgroup path names at the exact place of a root-owned slice, STR_NULL: none. */
str_t attest_container_of(str_t cgroup_path, str_t *out_prefix);

#endif
