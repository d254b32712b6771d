/* narrow.c: parent against child. Pure, total, sound and not complete: unknown means no.
 *
 * Why it is sound, item by item: an item permits a call when all its constraints hold at the places they
 * name, each at one place at least, and no leaf is left unnamed. If parent and child name the same
 * pointers, and each parent constraint has a child constraint at its pointer that implies it, then
 * whatever the child lets pass, the parent does: the places are the same, so they are met and held, and
 * the leaves are named alike. (A constraint that names a container covers its leaves in both.) */
#include "domain/delegation/int.h"

enum { NARROW_SCRATCH_BYTES = 16 << 20 };

static err_t wider(diag_t *diag, const char *what)
{
	diag_set(diag, 0, 0, "wider than what it rests on: %s", what);
	return ERR_BOUNDS;
}

/* Every value of the child's list satisfies the parent. */
static bool values_imply(arena_t *scratch, const delegation_constraint_t *parent,
	const delegation_constraint_t *child)
{
	for (size_t i = 0; i < child->n_values; i++) {
		if (!constraint_holds_for(scratch, parent, child->values[i])) {
			return false;
		}
	}
	return child->n_values > 0;
}

/* Every place of the child's list lies in some place of the parent's. A URL base is itself a value of
 * url_in, and what holds for it (origin, host) holds for all below it. */
static bool places_imply(const delegation_constraint_t *parent, const delegation_constraint_t *child)
{
	for (size_t i = 0; i < child->n_values; i++) {
		bool found = false;
		for (size_t k = 0; k < parent->n_values && !found; k++) {
			found = parent->kind == DELEGATION_URL_IN
				? delegation_url_is_in(parent->values[k], child->values[i])
				: delegation_host_is(parent->values[k], child->values[i]);
		}
		if (!found) {
			return false;
		}
	}
	return child->n_values > 0;
}

static bool constraint_implies(arena_t *scratch, const delegation_constraint_t *parent,
	const delegation_constraint_t *child)
{
	switch (child->kind) {
	case DELEGATION_EQUALS:
	case DELEGATION_ONE_OF:
		return values_imply(scratch, parent, child);
	case DELEGATION_RANGE:
		return parent->kind == DELEGATION_RANGE && child->min >= parent->min
			&& child->max <= parent->max;
	case DELEGATION_PATH_UNDER:
		return parent->kind == DELEGATION_PATH_UNDER
			&& delegation_path_is_under(parent->text, child->text);
	case DELEGATION_MATCHES:
		return parent->kind == DELEGATION_MATCHES && str_eq(parent->text, child->text);
	case DELEGATION_URL_IN:
		return (parent->kind == DELEGATION_URL_IN || parent->kind == DELEGATION_HOST_IS)
			&& places_imply(parent, child);
	case DELEGATION_HOST_IS:
		return parent->kind == DELEGATION_HOST_IS && places_imply(parent, child);
	}
	return false;
}

static bool names_pointer(const delegation_item_t *item, str_t arg)
{
	for (size_t i = 0; i < item->n_constraints; i++) {
		if (str_eq(item->constraints[i].arg, arg)) {
			return true;
		}
	}
	return false;
}

static bool is_implied(arena_t *scratch, const delegation_constraint_t *parent,
	const delegation_item_t *child)
{
	for (size_t i = 0; i < child->n_constraints; i++) {
		if (str_eq(child->constraints[i].arg, parent->arg)
			&& constraint_implies(scratch, parent, &child->constraints[i])) {
			return true;
		}
	}
	return false;
}

static bool constraints_cover(arena_t *scratch, const delegation_item_t *parent,
	const delegation_item_t *child)
{
	for (size_t i = 0; i < parent->n_constraints; i++) {
		if (!is_implied(scratch, &parent->constraints[i], child)) {
			return false;
		}
	}
	for (size_t i = 0; i < child->n_constraints; i++) {
		if (!names_pointer(parent, child->constraints[i].arg)) {
			return false;
		}
	}
	return true;
}

static bool item_covers(arena_t *scratch, const delegation_item_t *parent, const delegation_item_t *child)
{
	if (parent->type != child->type || !str_eq(parent->server, child->server)
		|| !str_eq(parent->op, child->op) || !str_eq(parent->target, child->target)) {
		return false;
	}
	if (!parent->has_digest && !parent->has_constraints) {
		return false; /* such an item permits nothing */
	}
	if (parent->has_digest
		&& (!child->has_digest
			|| !ct_eq(parent->digest, child->digest, DELEGATION_DIGEST_BYTES))) {
		return false;
	}
	return !parent->has_constraints
		|| (child->has_constraints && constraints_cover(scratch, parent, child));
}

err_t delegation_items_narrow(const delegation_item_t *parent, size_t n_parent,
	const delegation_item_t *child, size_t n_child, diag_t *diag)
{
	AUTO(arena_free) arena_t *scratch = arena_new_capped(NARROW_SCRATCH_BYTES);

	for (size_t i = 0; i < n_child; i++) {
		bool is_covered = false;
		for (size_t k = 0; k < n_parent && !is_covered; k++) {
			is_covered = item_covers(scratch, &parent[k], &child[i]);
		}
		if (!is_covered) {
			diag_set(diag, 0, 0,
				"wider than what it rests on: authorization_details[%zu], %s", i,
				shown(child[i].target).text);
			return ERR_BOUNDS;
		}
	}
	return OK;
}

static err_t scope_narrow(str_t parent, str_t child, diag_t *diag)
{
	str_t rest = child, word;

	ENSURE(delegation_scope_check(parent) == OK && delegation_scope_check(child) == OK, ERR_BOUNDS);
	while (child.n > 0 && str_split(&rest, ' ', &word)) {
		if (!str_list_has(parent, word)) {
			return wider(diag, "scope");
		}
	}
	return OK;
}

static bool has_name(const str_t *names, size_t n, str_t name)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(names[i], name)) {
			return true;
		}
	}
	return false;
}

/* "*" of the parent covers all; "*" of the child only that. */
static bool names_cover(const str_t *parent, size_t n_parent, const str_t *child, size_t n_child)
{
	if (n_parent == 1 && str_eq(parent[0], STR("*"))) {
		return true;
	}
	for (size_t i = 0; i < n_child; i++) {
		if (!has_name(parent, n_parent, child[i])) {
			return false;
		}
	}
	return true;
}

static bool window_covers(const delegation_window_t *parent, const delegation_window_t *child)
{
	if (!parent->is_set) {
		return true;
	}
	return child->is_set && (child->days & ~parent->days) == 0 && child->from_min >= parent->from_min
		&& child->to_min <= parent->to_min;
}

err_t delegation_narrow(const delegation_bounds_t *parent, const delegation_bounds_t *child,
	diag_t *diag)
{
	TRY(scope_narrow(parent->scope, child->scope, diag));
	if (!names_cover(parent->data_classes, parent->n_data_classes, child->data_classes,
		    child->n_data_classes)) {
		return wider(diag, "data_classes");
	}
	if (!names_cover(parent->environments, parent->n_environments, child->environments,
		    child->n_environments)) {
		return wider(diag, "environments");
	}
	if (child->uses > parent->uses || child->uses == 0) {
		return wider(diag, "uses");
	}
	if (child->depth > parent->depth || child->depth == 0) {
		return wider(diag, "depth");
	}
	if (!window_covers(&parent->window, &child->window)) {
		return wider(diag, "window");
	}
	return delegation_items_narrow(parent->items, parent->n_items, child->items, child->n_items,
		diag);
}
