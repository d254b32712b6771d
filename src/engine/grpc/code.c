/* code.c: the numbers of gRPC, and what our errors are called there. */
#include "engine/grpc/grpc.h"

static const char *const names[] = { "OK", "Cancelled", "Unknown", "InvalidArgument", "DeadlineExceeded",
	"NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
	"Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated" };

const char *grpc_code_name(grpc_code_t code)
{
	return (size_t)code < ARRAY_LEN(names) ? names[code] : names[GRPC_UNKNOWN];
}

static grpc_code_t code_of_class(err_class_t cls)
{
	switch (cls) {
	case CLASS_OK:
		return GRPC_OK;
	case CLASS_MALFORMED:
		return GRPC_INVALID_ARGUMENT;
	case CLASS_UNAUTHENTICATED:
	case CLASS_DENIED:
		return GRPC_PERMISSION_DENIED; /* spiffe.md 8: no identity, or not this one */
	case CLASS_NOT_FOUND:
		return GRPC_NOT_FOUND;
	case CLASS_CONFLICT:
		return GRPC_ABORTED;
	case CLASS_LIMIT:
		return GRPC_RESOURCE_EXHAUSTED;
	case CLASS_UNAVAILABLE:
		return GRPC_UNAVAILABLE;
	case CLASS_INTERNAL:
		break;
	}
	return GRPC_INTERNAL;
}

grpc_code_t grpc_code_of(err_t e)
{
	if (e == ERR_TIMEOUT) {
		return GRPC_DEADLINE_EXCEEDED;
	}
	if (e == ERR_CANCELLED) {
		return GRPC_CANCELLED;
	}
	return e == OK ? GRPC_OK : code_of_class(err_info(e)->cls);
}
