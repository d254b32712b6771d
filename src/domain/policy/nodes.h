/* nodes.h: writes the engine's value trees in preorder; private to policy.
 * A writer counts the children of what is open, so call sites read like the tree they make. */
#ifndef ATTORN_POLICY_NODES_H
#define ATTORN_POLICY_NODES_H

#include "policy-ffi/pdp.h"
#include "pure/base/base.h"

/* Room is taken once, from an upper bound the caller computes; running out is our mistake. */
typedef struct {
	pdp_node *v;
	size_t n, cap;
	size_t parent; /* index of what is open, or NODES_TOP */
} nodes_t;
#define NODES_TOP SIZE_MAX

MUST err_t nodes_init(nodes_t *w, arena_t *a, size_t cap);

/* Each opens a node; nodes_close takes what it returned. */
size_t nodes_record(nodes_t *w, str_t key);
size_t nodes_set(nodes_t *w, str_t key);
/* Opens the definition of an entity and its attributes; then parents, tags, close. */
size_t nodes_entity(nodes_t *w, str_t type, str_t id);
void nodes_close(nodes_t *w, size_t before);

void nodes_str(nodes_t *w, str_t key, str_t v);
void nodes_long(nodes_t *w, str_t key, int64_t v);
void nodes_bool(nodes_t *w, str_t key, bool v);
void nodes_datetime(nodes_t *w, str_t key, int64_t unix_s);
void nodes_ref(nodes_t *w, str_t key, str_t type, str_t id);
void nodes_words(nodes_t *w, str_t key, str_t blank_separated); /* a set of texts */
void nodes_strs(nodes_t *w, str_t key, const str_t *v, size_t n);

static inline pdp_slice slice_of(str_t s)
{
	return (pdp_slice){ (const uint8_t *)s.p, s.n };
}
static inline str_t str_of_slice(pdp_slice s)
{
	return str_bytes(s.p, s.n);
}

#endif
