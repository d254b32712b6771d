/* permit.c: a call against items and bounds: yes, or why not. */
#include "domain/delegation/int.h"

enum {
	/* canonical forms and URLs of one question; arguments are bounded by DELEGATION_ARGS_NODES_MAX */
	PERMIT_SCRATCH_BYTES = 16 << 20,
	DAY_S = 24 * 3600,
};

static bool is_about(const delegation_item_t *item, delegation_type_t type, str_t op, str_t target)
{
	return item->type == type && str_eq(item->op, op) && str_eq(item->target, target);
}

/* A digest form binds the exact arguments, constraints hold on top of it. */
static err_t item_permits(arena_t *scratch, const delegation_item_t *item,
	const delegation_call_t *call, diag_t *diag)
{
	ENSURE(item->has_digest || item->has_constraints, ERR_ACTION); /* oauth P32 */
	if (item->has_digest && !ct_eq(item->digest, call->args_digest, DELEGATION_DIGEST_BYTES)) {
		diag_set(diag, 0, 0, "the arguments are not those that were asked for");
		return ERR_ACTION;
	}
	if (item->has_constraints) {
		return arguments_permit(scratch, item->constraints, item->n_constraints, call, diag);
	}
	return OK;
}

/* How close an item came: the error worth telling is that of the closest. */
static int closeness(err_t e)
{
	return e == ERR_TARGET ? 0 : e == ERR_TOOL ? 1 : e == ERR_ACTION ? 2 : 3;
}

static err_t item_answer(arena_t *scratch, const delegation_item_t *item, const delegation_call_t *call,
	diag_t *diag)
{
	ENSURE(str_eq(item->server, call->aud), ERR_TARGET);
	ENSURE(is_about(item, call->type, call->op, call->target), ERR_TOOL);
	return item_permits(scratch, item, call, diag);
}

err_t delegation_items_permit(const delegation_item_t *items, size_t n, const delegation_call_t *call,
	diag_t *diag)
{
	AUTO(arena_free) arena_t *scratch = arena_new_capped(PERMIT_SCRATCH_BYTES);
	err_t best = ERR_TARGET;

	for (size_t i = 0; i < n; i++) {
		diag_t why = { 0 };
		err_t e = item_answer(scratch, &items[i], call, &why);
		if (e == OK) {
			return OK;
		}
		if (closeness(e) > closeness(best)) {
			best = e;
			diag_set(diag, 0, 0, "%s", why.text);
		}
	}
	return best;
}

bool delegation_items_name(const delegation_item_t *items, size_t n, str_t server, str_t op, str_t target)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(items[i].server, server) && str_eq(items[i].op, op)
			&& str_eq(items[i].target, target)) {
			return true;
		}
	}
	return false;
}

static bool names_have(const str_t *names, size_t n, str_t name)
{
	if (n == 1 && str_eq(names[0], STR("*"))) {
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		if (str_eq(names[i], name)) {
			return true;
		}
	}
	return false;
}

/* Unix day 0 was a Thursday, 4 of 1..7. */
static bool window_is_open(const delegation_window_t *w, int64_t now_unix_s)
{
	if (!w->is_set) {
		return true;
	}
	if (now_unix_s < 0) {
		return false;
	}
	unsigned day = (unsigned)((now_unix_s / DAY_S + 3) % 7) + 1;
	int64_t minute = now_unix_s % DAY_S / 60;
	return (w->days >> day & 1) != 0 && minute >= w->from_min && minute < w->to_min;
}

err_t delegation_place_permits(const delegation_bounds_t *b, const delegation_place_t *place,
	int64_t now_unix_s, diag_t *diag)
{
	if (!is_set_name(place->environment)
		|| !names_have(b->environments, b->n_environments, place->environment)) {
		diag_set(diag, 0, 0, "environment %s is not granted", shown(place->environment).text);
		return ERR_GRANT;
	}
	for (size_t i = 0; i < place->n_data_classes; i++) {
		if (!is_set_name(place->data_classes[i])
			|| !names_have(b->data_classes, b->n_data_classes, place->data_classes[i])) {
			diag_set(diag, 0, 0, "data class %s is not granted",
				shown(place->data_classes[i]).text);
			return ERR_GRANT;
		}
	}
	if (!window_is_open(&b->window, now_unix_s)) {
		diag_set(diag, 0, 0, "outside the hours of the grant");
		return ERR_GRANT_EXPIRED;
	}
	return OK;
}

err_t delegation_permits(const delegation_bounds_t *b, const delegation_call_t *call,
	const delegation_place_t *place, int64_t now_unix_s, diag_t *diag)
{
	TRY(delegation_items_permit(b->items, b->n_items, call, diag));
	TRY(delegation_scope_permits(b->scope, place->scope));
	return delegation_place_permits(b, place, now_unix_s, diag);
}

void delegation_items_for(arena_t *a, const delegation_item_t *items, size_t n, str_t server,
	const delegation_item_t **out, size_t *out_n)
{
	delegation_item_t *found = arena_array(a, delegation_item_t, n + 1);
	size_t n_found = 0;

	CHECK(n <= DELEGATION_ITEMS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (str_eq(items[i].server, server)) {
			found[n_found++] = items[i];
		}
	}
	*out = found;
	*out_n = n_found;
}

err_t delegation_items_bind(arena_t *a, const delegation_item_t *parent, size_t n_parent,
	const delegation_item_t *asked, const delegation_item_t **out, size_t *out_n)
{
	delegation_item_t *found = arena_array(a, delegation_item_t, n_parent + 1);
	size_t n = 0;

	ENSURE(asked->has_digest && !asked->has_constraints, ERR_DETAILS);
	for (size_t i = 0; i < n_parent; i++) {
		const delegation_item_t *p = &parent[i];
		if (!str_eq(p->server, asked->server)
			|| !is_about(p, asked->type, asked->op, asked->target)) {
			continue;
		}
		if (p->has_digest && !ct_eq(p->digest, asked->digest, DELEGATION_DIGEST_BYTES)) {
			continue;
		}
		found[n] = *p;
		found[n].has_digest = true;
		memcpy(found[n].digest, asked->digest, DELEGATION_DIGEST_BYTES);
		n++;
	}
	ENSURE(n > 0, ERR_DETAILS);
	*out = found;
	*out_n = n;
	return OK;
}
