/* pb.c: protobuf messages in an arena, and what protobuf-c does not look at. */
#include <protobuf-c/protobuf-c.h>

#include "engine/grpc/client.h"

enum {
	DEPTH_MAX = 16, /* claims are the deepest we meet: two levels for each of theirs */
	FIELD_NUMBER_MAX = 0x1fffffff, /* of protobuf itself */
};

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

/* One message being walked. */
typedef struct {
	const ProtobufCMessageDescriptor *type;
	rd_t r;
} level_t;

/* protobuf-c hands strings out as C strings: "a\0b" would be read as "a", and no one checks UTF-8; it also
 * takes field number 0. *out_inner has a type when the field is a message. */
static MUST err_t field_check(level_t *at, level_t *out_inner)
{
	uint64_t key = 0;
	str_t value = STR_NULL;

	TRY(varint_read(&at->r, &key));
	TRY(value_read(&at->r, key & 7, &value));
	ENSURE(key >> 3 != 0 && key >> 3 <= FIELD_NUMBER_MAX, ERR_SYNTAX);
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field(at->type, (unsigned)(key >> 3));
	*out_inner = (level_t){ NULL, rd_of(value) };
	if (!f || (key & 7) != 2) {
		return OK;
	}
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		out_inner->type = f->descriptor;
	}
	ENSURE(f->type != PROTOBUF_C_TYPE_STRING || (!str_has_nul(value) && str_is_utf8(value)), ERR_SYNTAX);
	return OK;
}

static MUST err_t fields_check(const ProtobufCMessageDescriptor *type, str_t bytes)
{
	level_t levels[DEPTH_MAX] = { { type, rd_of(bytes) } };
	size_t n = 1;

	while (n > 0) {
		level_t inner;
		if (rd_empty(&levels[n - 1].r)) {
			n--;
			continue;
		}
		TRY(field_check(&levels[n - 1], &inner));
		if (inner.type) {
			ENSURE(n < DEPTH_MAX, ERR_SYNTAX); /* protobuf-c would follow by recursion */
			levels[n++] = inner;
		}
	}
	return OK;
}

err_t grpc_pb_read(const struct ProtobufCMessageDescriptor *type, arena_t *a, str_t bytes,
	struct ProtobufCMessage **out_message)
{
	ProtobufCAllocator allocator = { pb_alloc, pb_free, a };

	TRY(fields_check(type, bytes));
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
