/* codec_int.h: what the files of codec share. */
#ifndef ATTORN_CODEC_INT_H
#define ATTORN_CODEC_INT_H

#include "pure/codec/codec.h"

/* Skips bytes that a JSON string carries as they are: all but '"', '\' and controls below 0x20. Returns
 * the first other byte or `end`; *high gets bit 7 of some byte set if one at or above 0x80 may lie in
 * between (it may also be set for a byte just behind: a hint to validate, not a finding). */
const char *json_plain_end(const char *p, const char *end, uint64_t *high);

/* Sorts n member nodes; `spare` has room for as many. Stable, n log n comparisons whatever the input, no
 * recursion. */
typedef int json_order_t(const json_t *x, const json_t *y);
void json_sort(const json_t **v, const json_t **spare, uint32_t n, json_order_t *order);

/* Value of a hexadecimal digit of either case, or -1. */
int codec_hex_digit(char c);

#endif
