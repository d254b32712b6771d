/* bundle.h: what a trust domain publishes about its keys (Trust Domain and Bundle 4). Part of spiffe.h. */
#ifndef ATTORN_SPIFFE_BUNDLE_H
#define ATTORN_SPIFFE_BUNDLE_H

#include "pure/jose/jose.h"
#include "pure/x509/x509.h"
#include "domain/spiffe/id.h"

/* Plain values in an arena. The keys of one td, never merged with another's. */
typedef struct {
	str_t td;
	const str_t *x509; /* DER certificates, as published */
	size_t n_x509;
	jose_jwks_t jwt; /* every key has its kid */
	bool has_sequence;
	uint64_t sequence;
	uint32_t refresh_hint_s; /* as published; 0: none. spiffe_bundle_interval_s clamps it */
} spiffe_bundle_t;

/* Parses a bundle document. Keys of unknown use or kty are skipped, so are x509-svid keys without a usable
 * certificate in x5c and jwt-svid keys without kid. No key left is an empty bundle, which trusts nobody, not
 * an error. ERR_BUNDLE, ERR_SYNTAX, ERR_DUPLICATE, ERR_LIMIT. */
MUST err_t spiffe_bundle_parse(arena_t *a, str_t td, str_t text, spiffe_bundle_t *out, diag_t *diag);
/* The same from a parsed object. */
MUST err_t spiffe_bundle_read(arena_t *a, str_t td, const json_t *obj, spiffe_bundle_t *out, diag_t *diag);
/* Writes the document: x509-svid keys without kid, jwt-svid keys with it. Equal bundles, equal bytes. */
MUST err_t spiffe_bundle_write(arena_t *a, const spiffe_bundle_t *b, str_t *out_json);
/* {"trust_domains":{"td":{bundle}}}: all or nothing. */
MUST err_t spiffe_bundle_map_parse(arena_t *a, str_t text, spiffe_bundle_t **out, size_t *out_n,
	diag_t *diag);
MUST err_t spiffe_bundle_map_write(arena_t *a, const spiffe_bundle_t *v, size_t n, str_t *out_json);
/* For the Workload API: jwt-svid keys alone, kid kept, use dropped; certificates one behind the other. */
MUST err_t spiffe_bundle_jwt_write(arena_t *a, const spiffe_bundle_t *b, str_t *out_json);
MUST err_t spiffe_bundle_x509_ders(arena_t *a, const spiffe_bundle_t *b, str_t *out_ders);
/* True when the keys are the same, in whatever order; sequence and hint do not count. */
bool spiffe_bundle_same_keys(const spiffe_bundle_t *x, const spiffe_bundle_t *y);
/* ERR_CONFLICT when `next` has an older sequence than `now`, or none where `now` has one. */
MUST err_t spiffe_bundle_may_replace(const spiffe_bundle_t *now, const spiffe_bundle_t *next);
uint32_t spiffe_bundle_interval_s(const spiffe_bundle_t *b); /* when to look again: 1 min..24 h */
/* What we publish: smallest CA life / 10, at least 60 s. */
uint32_t spiffe_bundle_hint_s(int64_t smallest_ca_life_s);

/* A bundle prepared for verifying; immutable, for many threads. */
typedef struct spiffe_trust spiffe_trust_t;
MUST err_t spiffe_trust_new(const spiffe_bundle_t *b, spiffe_trust_t **out);
void spiffe_trust_free(spiffe_trust_t *t);
DEFINE_AUTO(spiffe_trust_t *, spiffe_trust_free);
str_t spiffe_trust_td(const spiffe_trust_t *t);
const x509_roots_t *spiffe_trust_roots(const spiffe_trust_t *t);
const jose_jwks_t *spiffe_trust_jwks(const spiffe_trust_t *t); /* with prepared verifiers */

/* The trust domains that count for one decision. The first is our own. */
typedef struct {
	const spiffe_trust_t *const *v;
	size_t n;
} spiffe_trusts_t;
const spiffe_trust_t *spiffe_trusts_find(const spiffe_trusts_t *t, str_t td); /* NULL: not trusted */

#endif
