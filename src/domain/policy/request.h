/* request.h: facts made into a question for the engine; private to policy. */
#ifndef ATTORN_POLICY_REQUEST_H
#define ATTORN_POLICY_REQUEST_H

#include "domain/policy/nodes.h"
#include "domain/policy/policy.h"

/* Checks the facts and writes principal, action, resource, context and entities. ERR_MISSING_MEMBER
 * for a fact that must be there, anything else for one that cannot be. Lives in `a`. */
MUST err_t request_build(arena_t *a, const policy_request_t *q, pdp_req *out);

#endif
