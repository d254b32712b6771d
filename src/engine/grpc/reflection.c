/* reflection.c: grpc.reflection.v1 and v1alpha over the descriptor set that the build embeds. Both
 * versions have the same bytes on the wire: one set of C types serves both. */
#include <stdio.h>

#include "engine/grpc/grpc_int.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

enum { FILES_MAX = 16, SYMBOLS_MAX = 128, DEPENDENCIES_MAX = 16, SYMBOL_BYTES_MAX = 128 };

extern const unsigned char grpc_protoset[];
extern const size_t grpc_protoset_n;

typedef struct {
	str_t name, package, bytes;
	str_t dependencies[DEPENDENCIES_MAX];
	size_t n_dependencies;
} file_t;

typedef struct {
	char name[SYMBOL_BYTES_MAX];
	size_t file;
} symbol_t;

struct reflection {
	file_t files[FILES_MAX];
	symbol_t symbols[SYMBOLS_MAX];
	size_t n_files, n_symbols;
};

/* ---- the set: descriptor.proto, read as far as names go ------------------------------------------- */

typedef struct {
	uint32_t number;
	str_t bytes;
} field_t;

static uint64_t varint_take(rd_t *r)
{
	uint64_t v = 0;
	uint8_t b = 0x80;

	for (unsigned shift = 0; b & 0x80; shift += 7) {
		CHECK(shift < 64 && rd_byte(r, &b) == OK); /* our own build wrote it */
		v |= (uint64_t)(b & 0x7f) << shift;
	}
	return v;
}

/* The next length-delimited field; others are skipped. False at the end. */
static bool field_next(rd_t *r, field_t *out)
{
	while (!rd_empty(r)) {
		uint64_t key = varint_take(r);
		if ((key & 7) == 0) {
			(void)varint_take(r);
			continue;
		}
		CHECK((key & 7) == 2);
		out->number = (uint32_t)(key >> 3);
		CHECK(rd_bytes(r, (size_t)varint_take(r), &out->bytes) == OK);
		return true;
	}
	return false;
}

/* Field 1 of messages, enums, services and methods alike. */
static str_t name_of(str_t bytes)
{
	rd_t r = rd_of(bytes);
	field_t f;

	while (field_next(&r, &f)) {
		if (f.number == 1) {
			return f.bytes;
		}
	}
	return STR_NULL;
}

static void symbol_add(struct reflection *x, str_t scope, str_t name)
{
	symbol_t *s = &x->symbols[x->n_symbols];

	CHECK(x->n_symbols < SYMBOLS_MAX && scope.n + name.n + 2 <= SYMBOL_BYTES_MAX);
	char *end = s->name;
	if (scope.n) {
		end = mempcpy(end, scope.p, scope.n); /* of another row: snprintf may not be told so */
		*end++ = '.';
	}
	end = name.n ? mempcpy(end, name.p, name.n) : end;
	*end = '\0';
	s->file = x->n_files;
	x->n_symbols++;
}

static void service_index(struct reflection *x, str_t package, str_t bytes)
{
	rd_t r = rd_of(bytes);
	field_t f;

	symbol_add(x, package, name_of(bytes));
	str_t service = str_of(x->symbols[x->n_symbols - 1].name);
	while (field_next(&r, &f)) {
		if (f.number == 2) { /* ServiceDescriptorProto.method */
			symbol_add(x, service, name_of(f.bytes));
		}
	}
}

/* Nested messages are found by their outermost name. */
static void file_index(struct reflection *x, str_t bytes)
{
	file_t *file = &x->files[x->n_files];
	rd_t r = rd_of(bytes);
	field_t f;

	CHECK(x->n_files < FILES_MAX);
	file->bytes = bytes;
	while (field_next(&r, &f)) {
		switch (f.number) { /* FileDescriptorProto */
		case 1:
			file->name = f.bytes;
			break;
		case 2:
			file->package = f.bytes;
			break;
		case 3:
			CHECK(file->n_dependencies < DEPENDENCIES_MAX);
			file->dependencies[file->n_dependencies++] = f.bytes;
			break;
		case 4:
		case 5:
			symbol_add(x, file->package, name_of(f.bytes));
			break;
		case 6:
			service_index(x, file->package, f.bytes);
			break;
		}
	}
	x->n_files++;
}

err_t reflection_new(grpc_server_t *s)
{
	rd_t r = rd_of(str_bytes(grpc_protoset, grpc_protoset_n));
	field_t f;

	s->reflection = heap_new(struct reflection);
	while (field_next(&r, &f)) {
		file_index(s->reflection, f.bytes);
	}
	return OK;
}

void reflection_done(grpc_server_t *s)
{
	heap_free(s->reflection);
}

/* ---- questions ------------------------------------------------------------------------------------ */

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_t;

static const file_t *file_by_name(const struct reflection *x, str_t name)
{
	for (size_t i = 0; i < x->n_files; i++) {
		if (str_eq(x->files[i].name, name)) {
			return &x->files[i];
		}
	}
	return NULL;
}

static const file_t *file_by_symbol(const struct reflection *x, str_t name)
{
	for (size_t i = 0; i < x->n_symbols; i++) {
		str_t symbol = str_of(x->symbols[i].name);
		bool nested = name.n > symbol.n && str_starts(name, symbol) && name.p[symbol.n] == '.';
		if (str_eq(symbol, name) || nested) {
			return &x->files[x->symbols[i].file];
		}
	}
	return NULL;
}

/* The file and all it rests on, so that nobody has to ask twice. */
static size_t files_gather(const struct reflection *x, const file_t *first, const file_t *out[FILES_MAX])
{
	size_t n = 0;

	out[n++] = first;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < out[i]->n_dependencies; j++) {
			const file_t *need = file_by_name(x, out[i]->dependencies[j]);
			bool have = !need;
			for (size_t k = 0; k < n; k++) {
				have = have || out[k] == need;
			}
			if (!have) {
				out[n++] = need;
			}
		}
	}
	return n;
}

static void answer_files(const struct reflection *x, arena_t *a, const file_t *file, response_t *r)
{
	const file_t *files[FILES_MAX];
	size_t n = files_gather(x, file, files);
	Grpc__Reflection__V1__FileDescriptorResponse *body =
		arena_new(a, Grpc__Reflection__V1__FileDescriptorResponse);

	grpc__reflection__v1__file_descriptor_response__init(body);
	body->n_file_descriptor_proto = n;
	body->file_descriptor_proto = arena_array(a, ProtobufCBinaryData, n);
	for (size_t i = 0; i < n; i++) {
		body->file_descriptor_proto[i] = (ProtobufCBinaryData){ files[i]->bytes.n,
			(uint8_t *)(uintptr_t)files[i]->bytes.p };
	}
	r->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	r->file_descriptor_response = body;
}

static void answer_error(arena_t *a, grpc_code_t code, const char *text, response_t *r)
{
	Grpc__Reflection__V1__ErrorResponse *body = arena_new(a, Grpc__Reflection__V1__ErrorResponse);

	grpc__reflection__v1__error_response__init(body);
	body->error_code = (int32_t)code;
	body->error_message = (char *)(uintptr_t)text;
	r->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
	r->error_response = body;
}

static void answer_file(const struct reflection *x, arena_t *a, const file_t *file, response_t *r)
{
	if (file) {
		answer_files(x, a, file, r);
		return;
	}
	answer_error(a, GRPC_NOT_FOUND, "not found", r);
}

static void answer_list(const grpc_server_t *s, arena_t *a, response_t *r)
{
	Grpc__Reflection__V1__ListServiceResponse *body =
		arena_new(a, Grpc__Reflection__V1__ListServiceResponse);

	grpc__reflection__v1__list_service_response__init(body);
	body->n_service = s->n_services;
	body->service = arena_array(a, Grpc__Reflection__V1__ServiceResponse *, s->n_services);
	for (size_t i = 0; i < s->n_services; i++) {
		body->service[i] = arena_new(a, Grpc__Reflection__V1__ServiceResponse);
		grpc__reflection__v1__service_response__init(body->service[i]);
		body->service[i]->name = (char *)(uintptr_t)s->services[i].name;
	}
	r->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	r->list_services_response = body;
}

static void answer(const grpc_server_t *s, arena_t *a, const request_t *q, response_t *r)
{
	switch (q->message_request_case) {
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		answer_file(s->reflection, a, file_by_name(s->reflection, str_of(q->file_by_filename)), r);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		answer_file(s->reflection, a, file_by_symbol(s->reflection, str_of(q->file_containing_symbol)), r);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		answer_list(s, a, r);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
		answer_error(a, GRPC_NOT_FOUND, "no extensions here", r); /* proto3 has none */
		return;
	default:
		answer_error(a, GRPC_INVALID_ARGUMENT, "no question", r);
	}
}

static MUST err_t question(grpc_stream_t *s, const grpc_server_t *server, str_t message)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GRPC_PB_ARENA_BYTES);
	struct ProtobufCMessage *m = NULL;
	response_t r = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

	TRY(grpc_pb_read(&grpc__reflection__v1__server_reflection_request__descriptor, a, message, &m));
	request_t *q = (request_t *)m;
	r.valid_host = q->host;
	r.original_request = q;
	answer(server, a, q, &r);
	return grpc_send_pb(s, &r.base);
}

static void info(grpc_stream_t *s, str_t message, void *owner)
{
	if (!message.p) {
		grpc_end(s, GRPC_OK, NULL); /* the client has no more questions */
		return;
	}
	err_t e = question(s, owner, message);
	if (e != OK) {
		grpc_end_err(s, e);
	}
}

static void info_gone(grpc_stream_t *s, void *owner)
{
}

static const grpc_method_t methods[] = { { "ServerReflectionInfo", GRPC_BIDI, info, info_gone } };

const grpc_service_t *reflection_service(size_t i)
{
	static const grpc_service_t services[] = {
		{ "grpc.reflection.v1.ServerReflection", methods, ARRAY_LEN(methods), NULL, NULL },
		{ "grpc.reflection.v1alpha.ServerReflection", methods, ARRAY_LEN(methods), NULL, NULL },
	};

	return &services[i];
}
