/* id.h: SPIFFE IDs and trust domain names (SPIFFE-ID 2). Part of spiffe.h. */
#ifndef ATTORN_SPIFFE_ID_H
#define ATTORN_SPIFFE_ID_H

#include "pure/base/base.h"
#include "domain/spiffe/limits.h"

/* Parsed once, compared by bytes; all three borrow from one text. */
typedef struct {
	str_t text;
	str_t td;
	str_t path; /* with its first '/'; empty for a trust domain's ID */
} spiffe_id_t;

/* Parses either kind. Nothing is normalised: upper case in scheme or trust domain, percent-encoding, empty or
 * dot segments, a trailing '/', query, fragment, port, userinfo are ERR_SPIFFE_ID. */
MUST err_t spiffe_id_parse(str_t text, spiffe_id_t *out);
/* A workload's: has a path. */
MUST err_t spiffe_id_parse_workload(str_t text, spiffe_id_t *out);
/* "spiffe://td": Workload API map keys, SANs of CA certificates. */
MUST err_t spiffe_id_parse_td(str_t text, spiffe_id_t *out);
/* ERR_SPIFFE_ID unless `td` is a trust domain's bare name. */
MUST err_t spiffe_td_check(str_t td);
/* ERR_SPIFFE_ID unless `path` is one or more '/' segment. */
MUST err_t spiffe_path_check(str_t path);
/* [A-Za-z0-9._-]+ and neither "." nor "..". */
bool spiffe_segment_is(str_t segment);
/* True under /attorn and /spire: kept for the parts of this system; no entry or template makes one. */
bool spiffe_path_reserved(str_t path);

static inline bool spiffe_id_eq(const spiffe_id_t *x, const spiffe_id_t *y)
{
	return str_eq(x->text, y->text);
}
/* "spiffe://td", and that with a path (checked, and the whole bounded). */
str_t spiffe_td_id(arena_t *a, str_t td);
MUST err_t spiffe_id_make(arena_t *a, str_t td, str_t path, spiffe_id_t *out);

/* The ID of one run: base "/i/" run; and back: false when `id` names no run. */
MUST err_t spiffe_instance_id(arena_t *a, const spiffe_id_t *base, str_t run, spiffe_id_t *out);
bool spiffe_instance_split(const spiffe_id_t *id, str_t *out_base_text, str_t *out_run);

#endif
