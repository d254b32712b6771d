/* tally.h: refusals of strangers, counted by door and error name. Part of both faces of admit.
 * Owns nothing. Bounded by ADMIT_CODES_MAX: codes are a table of ours, doors are four. */
#ifndef ATTORN_ADMIT_TALLY_H
#define ATTORN_ADMIT_TALLY_H

#include "pure/base/base.h"
#include "service/admit/limits.h"

typedef struct {
	char door[ADMIT_DOOR_BYTES_MAX + 1];
	err_t code;
	uint64_t n;
} tally_row_t;

typedef struct {
	tally_row_t rows[ADMIT_CODES_MAX];
	size_t n;
} tally_t;

/* A door's name is ours; one that is too long is not counted. */
void tally_add(tally_t *t, str_t door, err_t code, uint64_t n);
/* A place further up has the same door: for one pass over doors. */
bool tally_door_seen(const tally_t *t, size_t i);
bool tally_same_door(const tally_t *t, size_t i, size_t k);

#endif
