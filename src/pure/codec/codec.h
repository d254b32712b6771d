/* codec.h: text in, structure out, and back; every reader is strict and refuses what it does not know.
 * json.h  strict JSON reader (spans, no duplicate keys), writer, RFC 8785 and JCS-S
 * text.h  base64url, base64, hex, PEM
 * ulid.h  ids that sort by time
 * url.h   URL, percent-encoding, path safety, forms
 * Owns: nothing; results live in the caller's arena or borrow from the input. No I/O, no clock. */
#ifndef ATTORN_CODEC_H
#define ATTORN_CODEC_H

#include "pure/codec/json.h"
#include "pure/codec/limits.h"
#include "pure/codec/text.h"
#include "pure/codec/ulid.h"
#include "pure/codec/url.h"

#endif
