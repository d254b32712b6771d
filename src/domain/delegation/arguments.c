/* arguments.c: all constraints of one item against all arguments of one call, in one walk.
 *
 * The walk keeps, for each open container, which constraints still agree with the path so far (one bit
 * each). A place whose whole path a constraint names is held against it; a leaf that nobody named, and a
 * constraint that met no place, refuse. */
#include "domain/delegation/int.h"

typedef struct {
	const json_t *next; /* child to visit */
	uint32_t index; /* of that child, in an array */
	bool is_array, is_named; /* named: a constraint names the container as a whole */
	uint32_t agree; /* constraints whose first `depth` segments lead here */
} level_t;

typedef struct {
	arena_t *scratch;
	const delegation_constraint_t *c;
	size_t n;
	uint32_t met; /* constraints that named some place */
	uint32_t n_nodes;
	level_t levels[DELEGATION_ARGS_DEPTH_MAX];
	size_t depth;
	diag_t *diag;
} walk_t;

static bool segment_fits(str_t segment, const json_t *child, const level_t *in)
{
	uint64_t index;

	if (!in->is_array) {
		return str_eq(segment, json_key(child));
	}
	if (str_eq(segment, STR("*"))) {
		return true;
	}
	return str_to_u64(segment, UINT32_MAX, &index) == OK && index == in->index;
}

/* Constraints that lead from `in` to its child. */
static uint32_t agreeing(const walk_t *w, const level_t *in, const json_t *child)
{
	uint32_t agree = 0;

	for (size_t i = 0; i < w->n; i++) {
		if ((in->agree >> i & 1) != 0 && w->c[i].n_segments > w->depth - 1
			&& segment_fits(w->c[i].segments[w->depth - 1], child, in)) {
			agree |= (uint32_t)1 << i;
		}
	}
	return agree;
}

/* Holds the node against each constraint that names it exactly. */
static err_t node_hold(walk_t *w, const json_t *node, uint32_t agree, bool *out_is_named)
{
	bool is_named = false;

	for (size_t i = 0; i < w->n; i++) {
		if ((agree >> i & 1) == 0 || w->c[i].n_segments != w->depth) {
			continue;
		}
		if (!constraint_holds(w->scratch, &w->c[i], node)) {
			diag_set(w->diag, 0, 0, "argument %s is outside what is allowed",
				shown(w->c[i].arg).text);
			return ERR_ARGUMENT;
		}
		is_named = true;
		w->met |= (uint32_t)1 << i;
	}
	*out_is_named = is_named;
	return OK;
}

/* {} as the whole is a call without arguments, not an argument that is empty. */
static bool is_no_argument(const walk_t *w, const json_t *node)
{
	return w->depth == 0 && json_kind(node) == JSON_OBJECT;
}

/* One place: hold it, then open it if it is a container with something inside. */
static err_t visit(walk_t *w, const json_t *node, uint32_t agree, bool is_inside_named)
{
	bool is_named, is_array = json_kind(node) == JSON_ARRAY;

	ENSURE(++w->n_nodes <= DELEGATION_ARGS_NODES_MAX, ERR_LIMIT);
	TRY(node_hold(w, node, agree, &is_named));
	is_named = is_named || is_inside_named;
	if (json_count(node) > 0) {
		ENSURE(w->depth < DELEGATION_ARGS_DEPTH_MAX, ERR_LIMIT);
		w->levels[w->depth++] = (level_t){ json_first(node), 0, is_array, is_named, agree };
		return OK;
	}
	if (!is_named && !is_no_argument(w, node)) {
		diag_set(w->diag, 0, 0, "argument %s is not named by the grant",
			shown(json_key(node)).text);
		return ERR_ARGUMENT;
	}
	return OK;
}

static err_t walk(walk_t *w)
{
	while (w->depth > 0) {
		level_t *in = &w->levels[w->depth - 1];
		const json_t *child = in->next;
		if (child == NULL) {
			w->depth--;
			continue;
		}
		uint32_t agree = agreeing(w, in, child);
		bool is_named = in->is_named;
		in->next = json_next(child);
		in->index++;
		TRY(visit(w, child, agree, is_named));
	}
	return OK;
}

static err_t all_met(const walk_t *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if ((w->met >> i & 1) == 0) {
			diag_set(w->diag, 0, 0, "argument %s is required", shown(w->c[i].arg).text);
			return ERR_ARGUMENT;
		}
	}
	return OK;
}

err_t arguments_permit(arena_t *scratch, const delegation_constraint_t *c, size_t n,
	const delegation_call_t *call, diag_t *diag)
{
	walk_t w = { .scratch = scratch, .c = c, .n = n, .diag = diag };

	CHECK(n <= DELEGATION_CONSTRAINTS_MAX);
	if (call->is_opaque) {
		diag_set(diag, 0, 0, "the body is not JSON, so no constraint can be checked");
		return ERR_ARGUMENT;
	}
	if (call->args) {
		TRY(visit(&w, call->args, n == 32 ? UINT32_MAX : ((uint32_t)1 << n) - 1, false));
		TRY(walk(&w));
	}
	return all_met(&w);
}
