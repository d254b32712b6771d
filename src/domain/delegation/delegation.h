/* delegation.h: what a person lends to an agent, and how it only ever gets narrower.
 *   bounds.h     bounds, constraints, narrowing, "does this permit that call"
 *   action.h     a call made canonical, its digests
 *   direction.h  what started the run, who chose the action; assurance; SPIFFE IDs; the act chain
 *   grant.h      the signed grant document, its text for people, signed verbs
 *   claims.h     the claims of our tokens
 * Everything includes this one header.
 *
 * Owns: nothing; results live in the caller's arena and borrow from nothing else (strings are copied).
 * Threads: any; there is no state. Limits: limits.h. Time is an argument, always Unix seconds.
 * Forbidden: I/O, clock, randomness; treating what is absent, unknown or empty as "all". */
#ifndef ATTORN_DELEGATION_H
#define ATTORN_DELEGATION_H

#include "domain/delegation/action.h"
#include "domain/delegation/bounds.h"
#include "domain/delegation/claims.h"
#include "domain/delegation/direction.h"
#include "domain/delegation/grant.h"
#include "domain/delegation/limits.h"

#endif
