/* spiffe.h: SPIFFE's rules as pure functions: IDs, entries, bundles, SVIDs, the life of CA keys.
 * Owns: nothing but spiffe_trust_t; results live in the caller's arena or borrow from its bytes.
 * Threads: any; a spiffe_trust_t never changes and may be used by many at once. Time and randomness are
 * arguments. Limits: limits.h. Forbidden: a second parser of SPIFFE IDs anywhere; merging the bundles of
 * two trust domains; a private key of a CA (what is to be signed goes out as bytes). */
#ifndef ATTORN_SPIFFE_H
#define ATTORN_SPIFFE_H

#include "domain/spiffe/bundle.h"
#include "domain/spiffe/ca.h"
#include "domain/spiffe/entry.h"
#include "domain/spiffe/id.h"
#include "domain/spiffe/svid.h"

#endif
