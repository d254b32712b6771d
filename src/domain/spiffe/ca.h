/* ca.h: the life of signing keys as a pure function of time (spiffe.md 16). Part of spiffe.h. */
#ifndef ATTORN_SPIFFE_CA_H
#define ATTORN_SPIFFE_CA_H

#include "pure/base/base.h"
#include "domain/spiffe/limits.h"

/* For x509 and jwt keys alike. At most one active of each kind. */
typedef enum {
	SPIFFE_CA_NONE = 0, /* does not exist yet */
	SPIFFE_CA_PREPARED, /* in the bundle, does not sign */
	SPIFFE_CA_ACTIVE, /* signs */
	SPIFFE_CA_OLD, /* verifies only */
	SPIFFE_CA_TAINTED, /* still verifies; every SVID under it is replaced now */
	SPIFFE_CA_REVOKED, /* out of the bundle; its id is kept */
} spiffe_ca_state_t;
str_t spiffe_ca_state_name(spiffe_ca_state_t s); /* "prepared", ... */
MUST err_t spiffe_ca_state_read(str_t name, spiffe_ca_state_t *out); /* ERR_VALUE */

typedef struct {
	str_t kid;
	spiffe_ca_state_t state;
	int64_t made_unix_s;
	int64_t expires_unix_s; /* notAfter of the CA certificate; of a JWT key likewise */
} spiffe_ca_key_t;

typedef enum {
	SPIFFE_CA_DO_NOTHING = 0,
	SPIFFE_CA_DO_PREPARE, /* make a new key: NONE -> PREPARED */
	SPIFFE_CA_DO_ACTIVATE, /* PREPARED -> ACTIVE, and the active one -> OLD in the same step */
	SPIFFE_CA_DO_TAINT, /* PREPARED or OLD -> TAINTED */
	SPIFFE_CA_DO_REVOKE, /* TAINTED -> REVOKED; OLD and PREPARED too, a day after they expired */
} spiffe_ca_step_t;

/* True while keys in this state stand in the bundle. */
bool spiffe_ca_in_bundle(spiffe_ca_state_t s);
/* The key that signs now: active and not expired; NULL: none. */
const spiffe_ca_key_t *spiffe_ca_signing(const spiffe_ca_key_t *keys, size_t n, int64_t now_unix_s);
/* ERR_CA_STATE unless a person or a timer may do `step` to keys[i] at this time (i is ignored for PREPARE). */
MUST err_t spiffe_ca_step_check(const spiffe_ca_key_t *keys, size_t n, size_t i, spiffe_ca_step_t step,
	int64_t now_unix_s);
/* Does a step that spiffe_ca_step_check allows; for PREPARE the caller appends the new key itself. */
MUST err_t spiffe_ca_step(spiffe_ca_key_t *keys, size_t n, size_t i, spiffe_ca_step_t step,
	int64_t now_unix_s);

typedef struct {
	spiffe_ca_step_t step; /* what is due now; DO_NOTHING: nothing until at */
	size_t i; /* to which key */
	int64_t at_unix_s; /* when something is due next */
} spiffe_ca_due_t;
/* Says what is due, by the lives the keys themselves have. Repeat until DO_NOTHING. Without any usable key the
 * answers are PREPARE, then ACTIVATE at once: an authority with an expired CA makes a new one by itself. A
 * full table (SPIFFE_CA_KEYS_MAX) makes step_check refuse PREPARE: revoke tainted keys first. */
spiffe_ca_due_t spiffe_ca_due(const spiffe_ca_key_t *keys, size_t n, int64_t now_unix_s);

#endif
