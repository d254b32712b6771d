/* code.h: gRPC's status codes, shared by the two faces of this room. */
#ifndef ATTORN_GRPC_CODE_H
#define ATTORN_GRPC_CODE_H

#include "pure/base/base.h"

typedef enum {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
} grpc_code_t;

/* "PermissionDenied"; "Unknown" for a number that is no code. */
const char *grpc_code_name(grpc_code_t code);
/* What an error of ours is called on this wire, by its class; ERR_TIMEOUT and ERR_CANCELLED by name. */
grpc_code_t grpc_code_of(err_t e);

typedef struct {
	str_t name, value;
} grpc_pair_t; /* one piece of metadata */

#endif
