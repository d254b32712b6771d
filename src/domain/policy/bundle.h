/* bundle.h: what a bundle holds; private to policy. */
#ifndef ATTORN_POLICY_BUNDLE_H
#define ATTORN_POLICY_BUNDLE_H

#include <stdatomic.h>

#include "domain/policy/nodes.h"
#include "domain/policy/policy.h"

struct policy_bundle {
	atomic_uint refs;
	pdp_cedar *cedar;
	uint8_t digest[32];
};

#endif
