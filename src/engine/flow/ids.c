/* ids.c: live things by number, so that long-lived objects keep no pointers (STYLE 5). */
#include "engine/flow/flow_int.h"

/* An id is generation << 20 | index + 1: the same number comes back after 2^44 uses of one slot. */
enum { INDEX_BITS = 20, INDEX_MASK = (1 << INDEX_BITS) - 1 };
_Static_assert((int)FLOW_IDS_MAX < (int)INDEX_MASK, "an index fits its bits");

static bool grow(ids_t *ids)
{
	if (ids->cap == FLOW_IDS_MAX) {
		return false;
	}
	ids->cap = ids->cap ? ids->cap * 2 : 64;
	ids->slots = heap_realloc(ids->slots, ids->cap * sizeof(*ids->slots));
	return true;
}

err_t ids_take(ids_t *ids, const void *kind, void *thing, uint64_t *out_id)
{
	uint32_t i;

	CHECK(kind && thing);
	if (ids->first_free) {
		i = ids->first_free - 1;
		ids->first_free = ids->slots[i].next_free;
	} else {
		ENSURE(ids->n < ids->cap || grow(ids), ERR_LIMIT);
		i = ids->n++;
		ids->slots[i] = (id_slot_t){ 0 };
	}
	id_slot_t *s = &ids->slots[i];
	s->kind = kind;
	s->thing = thing;
	s->generation++;
	*out_id = s->generation << INDEX_BITS | (i + 1);
	return OK;
}

static id_slot_t *slot_of(const ids_t *ids, uint64_t id)
{
	uint32_t i = (uint32_t)id & INDEX_MASK;

	if (i == 0 || i > ids->n || ids->slots[i - 1].generation != id >> INDEX_BITS) {
		return NULL;
	}
	return &ids->slots[i - 1];
}

void *ids_peek(const ids_t *ids, const void *kind, uint64_t id)
{
	const id_slot_t *s = slot_of(ids, id);

	return s && s->kind == kind ? s->thing : NULL;
}

void ids_give_back(ids_t *ids, uint64_t id)
{
	id_slot_t *s = slot_of(ids, id);

	CHECK(s && s->kind);
	s->kind = NULL;
	s->thing = NULL;
	s->next_free = ids->first_free;
	ids->first_free = (uint32_t)id & INDEX_MASK;
}

void ids_done(ids_t *ids)
{
	heap_free(ids->slots);
	*ids = (ids_t){ 0 };
}
