/* pb.c: protobuf messages in an arena, and what protobuf-c does not look at. */
#include <protobuf-c/protobuf-c.h>

#include "engine/grpc/client.h"

static void *pb_alloc(void *arena, size_t n)
{
	void *p = NULL;

	return arena_try(arena, n ? n : 1, &p) == OK ? p : NULL;
}

static void pb_free(void *arena, void *p)
{
}

static MUST err_t varint_read(rd_t *r, uint64_t *out)
{
	uint64_t v = 0;
	uint8_t b = 0x80;

	for (unsigned shift = 0; b & 0x80; shift += 7) {
		ENSURE(shift < 64, ERR_SYNTAX);
		TRY(rd_byte(r, &b));
		v |= (uint64_t)(b & 0x7f) << shift;
	}
	*out = v;
	return OK;
}

/* The bytes of one field; only those of wire type 2 matter here. */
static MUST err_t value_read(rd_t *r, unsigned wire, str_t *out)
{
	uint64_t n = 0;

	switch (wire) {
	case 0:
		return varint_read(r, &n);
	case 1:
		return rd_bytes(r, 8, out);
	case 2:
		TRY(varint_read(r, &n));
		ENSURE(n <= rd_left(r), ERR_SYNTAX);
		return rd_bytes(r, (size_t)n, out);
	case 5:
		return rd_bytes(r, 4, out);
	}
	return ERR_SYNTAX; /* groups: not in proto3 */
}

/* protobuf-c hands strings out as C strings: "a\0b" would be read as "a", and no one checks UTF-8. */
static MUST err_t strings_check(const ProtobufCMessageDescriptor *type, str_t bytes)
{
	rd_t r = rd_of(bytes);

	while (!rd_empty(&r)) {
		uint64_t key = 0;
		str_t value = STR_NULL;
		TRY(varint_read(&r, &key));
		TRY(value_read(&r, key & 7, &value));
		ENSURE(key >> 3 != 0 && key >> 3 <= 0x1fffffff, ERR_SYNTAX);
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field(type, (unsigned)(key >> 3));
		bool is_string = f && f->type == PROTOBUF_C_TYPE_STRING && (key & 7) == 2;
		ENSURE(!is_string || (!str_has_nul(value) && str_is_utf8(value)), ERR_SYNTAX);
	}
	return OK;
}

err_t grpc_pb_read(const struct ProtobufCMessageDescriptor *type, arena_t *a, str_t bytes,
	struct ProtobufCMessage **out_message)
{
	ProtobufCAllocator allocator = { pb_alloc, pb_free, a };

	TRY(strings_check(type, bytes));
	ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, bytes.n, (const uint8_t *)bytes.p);
	ENSURE(m, ERR_SYNTAX);
	*out_message = m;
	return OK;
}

err_t grpc_pb_pack(arena_t *a, const struct ProtobufCMessage *message, str_t *out_bytes)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	void *p = NULL;

	TRY(arena_try(a, n ? n : 1, &p));
	CHECK(protobuf_c_message_pack(message, p) == n);
	*out_bytes = str_bytes(p, n);
	return OK;
}
