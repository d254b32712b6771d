/* pb.c: messages of the Workload API, health and reflection. First byte: which type. What is read is, packed
 * again, read again and packed to the same bytes; no string of its outer level was cut short by a NUL (unit tests look deeper). */
#include <protobuf-c/protobuf-c.h>

#include "engine/grpc/client.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "workload.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const ProtobufCMessageDescriptor *const types[] = { &jwtsvidrequest__descriptor,
	&validate_jwtsvidrequest__descriptor, &witsvidrequest__descriptor, &x509_svidrequest__descriptor,
	&grpc__health__v1__health_check_request__descriptor,
	&grpc__reflection__v1__server_reflection_request__descriptor, &x509_svidresponse__descriptor,
	&x509_bundles_response__descriptor };

static void string_check(const char *s)
{
	CHECK(str_is_utf8(str_of(s)));
}

static void strings_check(const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const char *at = (const char *)m + f->offset;
		if (f->type != PROTOBUF_C_TYPE_STRING || f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			continue;
		}
		if (f->label != PROTOBUF_C_LABEL_REPEATED) {
			string_check(*(char *const *)at);
			continue;
		}
		size_t count = *(const size_t *)((const char *)m + f->quantifier_offset);
		for (size_t j = 0; j < count; j++) {
			string_check((*(char **const *)at)[j]);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GRPC_PB_ARENA_BYTES);
	struct ProtobufCMessage *m = NULL, *again = NULL;
	str_t packed, twice;

	if (n < 1 || n > GRPC_MESSAGE_IN_BYTES_MAX) {
		return 0;
	}
	const ProtobufCMessageDescriptor *type = types[bytes[0] % ARRAY_LEN(types)];
	if (grpc_pb_read(type, a, str_bytes(bytes + 1, n - 1), &m) != OK) {
		return 0;
	}
	strings_check(m);
	if (grpc_pb_pack(a, m, &packed) != OK) {
		return 0; /* the arena is full */
	}
	arena_t *b = arena_new_capped(4 * GRPC_PB_ARENA_BYTES);
	CHECK(grpc_pb_read(type, b, packed, &again) == OK);
	CHECK(grpc_pb_pack(b, again, &twice) == OK && str_eq(packed, twice));
	arena_free(b);
	return 0;
}
