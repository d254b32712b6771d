/* int.h: what the files of this room share. */
#ifndef ATTORN_DELEGATION_INT_H
#define ATTORN_DELEGATION_INT_H

#include "domain/delegation/delegation.h"
#include "pure/jose/jose.h"

/* Printable form of outside text for a diag: what is not visible ASCII becomes '?', long text ends. */
typedef struct {
	char text[64];
} shown_t;
shown_t shown(str_t s);

/* bounds.c */
MUST err_t bounds_from_node(arena_t *a, const json_t *node, delegation_bounds_t *out, diag_t *diag);
MUST err_t items_from_node(arena_t *a, const json_t *node, const delegation_item_t **out, size_t *out_n,
	diag_t *diag);
void bounds_emit(jw_t *w, const delegation_bounds_t *b);
void items_emit(jw_t *w, const delegation_item_t *items, size_t n);
bool is_set_name(str_t s); /* data class or environment */

/* constraint.c */
MUST err_t constraint_from_node(arena_t *a, const json_t *node, delegation_constraint_t *out,
	diag_t *diag);
void constraint_emit(jw_t *w, const delegation_constraint_t *c);
/* Does it hold at this one place? */
bool constraint_holds(arena_t *scratch, const delegation_constraint_t *c, const json_t *node);
/* The same for a value in canonical text. */
bool constraint_holds_for(arena_t *scratch, const delegation_constraint_t *c, str_t canonical);

/* arguments.c: all constraints of an item against all arguments of a call */
MUST err_t arguments_permit(arena_t *scratch, const delegation_constraint_t *c, size_t n,
	const delegation_call_t *call, diag_t *diag);

/* place.c */
MUST err_t path_base_check(str_t base);
MUST err_t url_base_check(str_t url);
MUST err_t host_base_check(str_t host);
MUST err_t route_url_check(str_t url);

/* id.c */
MUST err_t thumbprint_check(str_t jkt);

/* grant.c */
MUST err_t issuer_check(str_t iss);
MUST err_t label_message(arena_t *a, str_t of_label, str_t document, str_t *out);
MUST err_t label_sign(arena_t *a, str_t of_label, const crypto_key_t *key, str_t document, str_t *out_sig);
MUST err_t label_verify(arena_t *a, str_t of_label, str_t document, str_t jkt, const crypto_pub_t *key,
	str_t sig);

/* direction.c */
void direction_emit(jw_t *w, const delegation_direction_t *d);
MUST err_t direction_from_node(const json_t *node, delegation_direction_t *out, diag_t *diag);

/* chain.c */
MUST err_t chain_from_node(const json_t *node, delegation_chain_t *out, diag_t *diag);
bool chain_eq(const delegation_chain_t *x, const delegation_chain_t *y);
void chain_emit(jw_t *w, const delegation_chain_t *c);

_Static_assert(DELEGATION_CONSTRAINTS_MAX <= 32, "arguments.c keeps one bit for each");

#endif
