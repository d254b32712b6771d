/* pdp.h: the policy engine (Rust, cedar-policy) as C sees it. Written by hand; src/abi.rs is the
 * other half, and test_policy_ffi.c holds the two together.
 * Used by src/domain/policy alone; everybody else includes domain/policy/policy.h.
 *
 * Owns: handles are counted and immutable. A buffer filled here is freed by pdp_buf_free and by
 * nothing else; slices handed out live as long as their handle. Nothing passed in is kept.
 * Threads: any, on shared handles, without locks. A thread with less than 2 MiB of stack left
 * continues on a fresh piece, which costs 9 us: give threads 4 MiB or more. Compiling and the
 * last release run on a 64 MiB stack of their own while the caller waits: do it on a lane.
 * Panics end as PDP_E_PANIC and are counted. Zero is deny. */
#ifndef ATTORN_PDP_H
#define ATTORN_PDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	const uint8_t *p;
	size_t n;
} pdp_slice;

typedef struct {
	uint8_t *p;
	size_t n, cap;
} pdp_buf;

typedef struct pdp_cedar pdp_cedar; /* compiled policies with their schema */
typedef struct pdp_ents pdp_ents; /* entities that many requests share */

typedef enum {
	PDP_OK = 0,
	PDP_E_LIMIT, /* a bound of scan.rs, compile.rs or eval.rs */
	PDP_E_PARSE,
	PDP_E_VALIDATE, /* strict validation against the schema */
	PDP_E_REQUEST, /* the request is not one of the schema's */
	PDP_E_ENTITY, /* an entity is missing, twice or not one of the schema's */
	PDP_E_PANIC,
	PDP_E_INTERNAL,
} pdp_rc;

/* One file of policies; `name` is for diagnostics. */
typedef struct {
	pdp_slice name, text;
} pdp_source;

/* Kinds of node. i: number, 0 or 1, or Unix milliseconds; s: text or entity id; t: entity type. */
enum {
	PDP_BOOL = 1,
	PDP_LONG,
	PDP_STRING,
	PDP_SET, /* kids elements follow */
	PDP_RECORD, /* kids members follow, each with its key */
	PDP_ENTITY, /* a reference: t, s */
	PDP_DATETIME,
	PDP_DEFINITION, /* an entity t, s: RECORD of attributes, SET of parents, RECORD of tags */
};

/* One node of a tree in preorder. At most 4,096 nodes, 16 levels, 64 KiB per text. */
typedef struct {
	uint8_t kind;
	uint32_t kids;
	int64_t i;
	pdp_slice key, s, t;
} pdp_node;

/* context: one RECORD. entities: definitions for this request alone, added to the base; their
 * number and the base's together at most 256. */
typedef struct {
	pdp_slice ptype, pid; /* principal, "Attorn::Agent" and its id */
	pdp_slice aid; /* action id without its type */
	pdp_slice rtype, rid;
	const pdp_node *context;
	size_t n_context;
	const pdp_node *entities;
	size_t n_entities;
} pdp_req;

enum { PDP_IDS_MAX = 16 };

/* Policy numbers in file order; n_* are true counts and may exceed what is listed. */
typedef struct {
	uint32_t decision; /* 1 permit, anything else deny */
	uint32_t n_reason, n_error;
	uint32_t reason[PDP_IDS_MAX], error[PDP_IDS_MAX];
} pdp_result;

/* Silences panics; once per process, before anything else here. */
void pdp_init(void);
void pdp_buf_free(pdp_buf *b);
/* Panics caught since the start. */
uint64_t pdp_panics(void);
/* Panics inside and returns PDP_E_PANIC, if this binary catches panics as it must. */
pdp_rc pdp_panic_check(void);

/* Every environment gets all policies: slow, for tests that compare. */
enum { PDP_FLAG_NO_INDEX = 1 };

/* Reads, validates strictly and indexes. On failure `diag` holds "file:line:column: text\n" lines
 * that may quote the sources: for the operator, never for a peer. On success it holds warnings. */
pdp_rc pdp_cedar_compile(const pdp_source *sources, size_t n, pdp_slice schema, uint32_t flags,
			 pdp_cedar **out, pdp_buf *diag);
void pdp_cedar_retain(pdp_cedar *c);
void pdp_cedar_release(pdp_cedar *c);

/* Policies by number, in file order. An unknown number gives the empty answer. */
uint32_t pdp_cedar_count(const pdp_cedar *c);
pdp_slice pdp_cedar_id(const pdp_cedar *c, uint32_t number);
bool pdp_cedar_forbids(const pdp_cedar *c, uint32_t number);
/* p is NULL when there is no such annotation; an annotation without value is the empty text. */
pdp_slice pdp_cedar_annotation(const pdp_cedar *c, uint32_t number, pdp_slice key);

/* Checks definitions against the schema and adds its actions. */
pdp_rc pdp_ents_build(const pdp_cedar *c, const pdp_node *nodes, size_t n, pdp_ents **out,
		      pdp_buf *diag);
void pdp_ents_retain(pdp_ents *e);
void pdp_ents_release(pdp_ents *e);

/* Decides. `base` may be NULL; it must have been built for `c`. *out is written always and is a
 * deny without reasons unless PDP_OK. Any error of any policy is a deny. `diag` may be NULL and may
 * quote the request: never log it. */
pdp_rc pdp_cedar_eval(const pdp_cedar *c, const pdp_ents *base, const pdp_req *q, pdp_result *out,
		      pdp_buf *diag);

#endif
