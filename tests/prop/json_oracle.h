/* json_oracle.h: jansson behind a face of its own: its json_t and ours never meet in one file. */
#ifndef ATTORN_TESTS_JSON_ORACLE_H
#define ATTORN_TESTS_JSON_ORACLE_H

#include "pure/base/base.h"

typedef enum {
	ORACLE_REFUSED,
	ORACLE_ACCEPTED,
	ORACLE_NUMBER, /* a number that jansson cannot hold */
} oracle_t;

/* Parses with JSON_REJECT_DUPLICATES and JSON_DECODE_ANY; appends the tree in the form that prop_json.c makes of
 * ours. */
oracle_t oracle_read(str_t text, buf_t *out);

#endif
