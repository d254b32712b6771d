/* wire.h: the bytes between the two halves; part of this room only. A datagram is a sequence of frames
 *     u32 n | u32 id | u8 op  | body      request        (n counts from id on; big-endian throughout)
 *     u32 n | u32 id | u8 err | body      answer */
#ifndef ATTORN_SIGNER_WIRE_H
#define ATTORN_SIGNER_WIRE_H

#include "engine/signer/types.h"

enum { WIRE_HEAD_BYTES = 9, WIRE_ENTRY_BYTES = 8 + CRYPTO_SHA256_BYTES };
_Static_assert(ERR_COUNT_ < 256, "an error is one byte");

typedef enum {
	WIRE_KEYS = 1,
	WIRE_MAKE, /* u8 kind | u64 created_s */
	WIRE_SIGN, /* kid | u64 number | message */
	WIRE_DROP, /* kid */
	WIRE_HEADS,
	WIRE_LIST, /* kid | u64 from */
	WIRE_RAISE, /* kid | u64 number */
	WIRE_STATUS,
	WIRE_OP_COUNT_,
} wire_op_t;

typedef struct {
	uint32_t id;
	uint8_t what; /* op or err */
	str_t body;
} wire_frame_t;

/* Reads the next frame; ERR_SYNTAX. */
MUST err_t wire_frame_read(rd_t *r, wire_frame_t *out);
void wire_frame_write(buf_t *b, uint32_t id, uint8_t what, str_t body);
MUST err_t wire_kid_read(rd_t *r, char out[SIGNER_KID_BYTES + 1]);
MUST err_t wire_entry_read(rd_t *r, signer_entry_t *out);
void wire_entry_write(buf_t *b, const signer_entry_t *e);
#endif
