/* narrow_model.h: small models of bounds and calls, their generators, and their way to JSON. */
#ifndef TEST_NARROW_MODEL_H
#define TEST_NARROW_MODEL_H

#include "domain/delegation/delegation.h"

/* Places for arguments: /a /b /c, the elements of /l, members of /o, /o as a whole, /l/0. */
typedef enum { SLOT_A, SLOT_B, SLOT_C, SLOT_L, SLOT_OX, SLOT_OY, SLOT_O, SLOT_L0, SLOTS } slot_t;

enum { MODEL_CONSTRAINTS = 5, MODEL_ITEMS = 4, MODEL_TEXT = 48 };

typedef struct {
	slot_t slot;
	delegation_kind_t kind;
	unsigned pick; /* set of pool members, or index */
	int min, max;
} constraint_model_t;

typedef struct {
	size_t server, tool;
	constraint_model_t c[MODEL_CONSTRAINTS];
	size_t n;
} item_model_t;

typedef struct {
	item_model_t items[MODEL_ITEMS];
	size_t n;
	unsigned scopes, classes, environments; /* sets; ANY for "*" */
	unsigned uses, depth;
	bool has_window;
	unsigned days, from_h, to_h;
} bounds_model_t;
enum { ANY = 1u << 8 };

typedef struct {
	size_t server, tool;
	bool has[SLOTS];
	char value[SLOTS][MODEL_TEXT]; /* JSON; SLOT_L: elements without brackets */
	unsigned scope, classes, environment;
	int64_t now;
} call_model_t;

typedef struct {
	uint64_t s;
} rng_t;
unsigned below(rng_t *r, unsigned n);

bounds_model_t gen_bounds(rng_t *r);
bounds_model_t gen_child(rng_t *r, const bounds_model_t *parent);
call_model_t gen_call(rng_t *r, const bounds_model_t *aim);

void model_drop_item(bounds_model_t *b, size_t i);
void model_drop_constraint(item_model_t *item, size_t i);
str_t model_bounds_text(arena_t *a, const bounds_model_t *m);
str_t model_args_text(arena_t *a, const call_model_t *m);
/* False: the model is not well-formed (rare). */
bool model_bounds(arena_t *a, const bounds_model_t *m, delegation_bounds_t *out);
bool model_call(arena_t *a, const call_model_t *m, delegation_call_t *out, delegation_place_t *place);

#endif
