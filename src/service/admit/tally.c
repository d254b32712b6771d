/* tally.c: counting by door and error name. */
#include "service/admit/tally.h"

void tally_add(tally_t *t, str_t door, err_t code, uint64_t n)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->rows[i].code == code && str_eq(str_of(t->rows[i].door), door)) {
			t->rows[i].n += n;
			return;
		}
	}
	if (t->n < ADMIT_CODES_MAX && door.n <= ADMIT_DOOR_BYTES_MAX) {
		tally_row_t *row = &t->rows[t->n++];
		*row = (tally_row_t){ .code = code, .n = n };
		memcpy(row->door, door.p, door.n);
	}
}

bool tally_same_door(const tally_t *t, size_t i, size_t k)
{
	return strcmp(t->rows[i].door, t->rows[k].door) == 0;
}

bool tally_door_seen(const tally_t *t, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (tally_same_door(t, i, k)) {
			return true;
		}
	}
	return false;
}
