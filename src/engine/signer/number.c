/* number.c: no number twice. Numbers come roughly in order: several lanes may draw and sign, so one may
 * overtake another; a window of bits remembers which of the last ones were used. What is older is used. */
#include "engine/signer/signer_int.h"

static uint64_t *word_of(skey_t *k, uint64_t n)
{
	return &k->seen[n % SIGNER_NUMBER_WINDOW / 64];
}

static uint64_t bit_of(uint64_t n)
{
	return (uint64_t)1 << (n % 64);
}

void number_begin(skey_t *k)
{
	memset(k->seen, 0, sizeof(k->seen));
	k->floor = k->top = k->list.highest;
}

/* Moves the window up: the numbers passed over are unused. */
static void top_move(skey_t *k, uint64_t top)
{
	if (top - k->top >= SIGNER_NUMBER_WINDOW) {
		memset(k->seen, 0, sizeof(k->seen));
	} else {
		for (uint64_t n = k->top + 1; n <= top; n++) {
			*word_of(k, n) &= ~bit_of(n);
		}
	}
	k->top = top;
}

void number_raise(skey_t *k, uint64_t floor)
{
	if (floor > k->top) {
		top_move(k, floor);
	}
	k->floor = floor > k->floor ? floor : k->floor;
}

err_t number_take(skey_t *k, uint64_t n)
{
	ENSURE(n > k->floor && n <= SIGNER_NUMBER_MAX, ERR_REPLAY);
	if (n > k->top) {
		top_move(k, n);
	}
	ENSURE(k->top - n < SIGNER_NUMBER_WINDOW, ERR_REPLAY);
	ENSURE(!(*word_of(k, n) & bit_of(n)), ERR_REPLAY);
	*word_of(k, n) |= bit_of(n);
	return OK;
}

void number_give_back(skey_t *k, uint64_t n)
{
	if (k->top - n < SIGNER_NUMBER_WINDOW) {
		*word_of(k, n) &= ~bit_of(n);
	}
}
