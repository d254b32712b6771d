/* head.c: the header list of one request: what is kept, what makes it no request at all. */
#include "engine/grpc/head.h"

enum { FIELD_OVERHEAD = 32 }; /* RFC 9113 6.5.2 */
enum { PSEUDO_METHOD = 1, PSEUDO_SCHEME = 2, PSEUDO_PATH = 4, PSEUDO_AUTHORITY = 8 };

static const struct {
	str_t name;
	unsigned bit;
} pseudos[] = {
	{ STR_INIT(":method"), PSEUDO_METHOD },
	{ STR_INIT(":scheme"), PSEUDO_SCHEME },
	{ STR_INIT(":path"), PSEUDO_PATH },
	{ STR_INIT(":authority"), PSEUDO_AUTHORITY },
};

/* RFC 9113 8.2.2: concern a connection, so they have no meaning here. */
static const str_t of_connection[] = { STR_INIT("connection"), STR_INIT("keep-alive"),
	STR_INIT("proxy-connection"), STR_INIT("transfer-encoding"), STR_INIT("upgrade") };

void head_init(head_t *h)
{
	*h = (head_t){ 0 };
	buf_init(&h->bytes, GRPC_HEAD_BYTES_MAX);
}

void head_done(head_t *h)
{
	buf_wipe(&h->bytes);
}

static unsigned pseudo_bit(str_t name)
{
	for (size_t i = 0; i < ARRAY_LEN(pseudos); i++) {
		if (str_eq(pseudos[i].name, name)) {
			return pseudos[i].bit;
		}
	}
	return 0;
}

/* RFC 9110 5.6.2, without upper case (RFC 9113 8.2.1). */
static bool is_name_byte(unsigned char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
		return true;
	}
	return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool name_ok(str_t name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (!is_name_byte((unsigned char)name.p[i])) {
			return false;
		}
	}
	return name.n > 0;
}

static bool value_ok(str_t value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			return false;
		}
	}
	return true;
}

bool head_field_ok(str_t name, str_t value)
{
	if (!name_ok(name) || !value_ok(value)) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(of_connection); i++) {
		if (str_eq(of_connection[i], name)) {
			return false;
		}
	}
	return !str_eq(name, STR("te")) || str_eq(value, STR("trailers"));
}

static bool pseudo_ok(head_t *h, str_t name, str_t value)
{
	unsigned bit = pseudo_bit(name);
	bool ok = bit != 0 && !h->regular && !(h->pseudo & bit) && value_ok(value);

	h->pseudo |= bit;
	return ok;
}

static void field_keep(head_t *h, str_t name, str_t value)
{
	head_field_t f = { (uint16_t)h->bytes.n, (uint16_t)name.n, (uint16_t)(h->bytes.n + name.n),
		(uint16_t)value.n };

	buf_add(&h->bytes, name);
	buf_add(&h->bytes, value);
	h->fields[h->n++] = f;
}

void head_add(head_t *h, str_t name, str_t value)
{
	bool is_pseudo = name.n > 0 && name.p[0] == ':';

	h->counted += name.n + value.n + FIELD_OVERHEAD; /* nghttp2 bounds one field, its caller their sum */
	if (h->over || h->counted > GRPC_HEAD_BYTES_MAX || h->n == GRPC_HEADERS_MAX) {
		h->over = true;
		return;
	}
	if (is_pseudo ? !pseudo_ok(h, name, value) : !head_field_ok(name, value)) {
		h->malformed = true;
		return;
	}
	h->regular = h->regular || !is_pseudo;
	field_keep(h, name, value);
}

bool head_next(const head_t *h, str_t name, size_t *i, str_t *out_value)
{
	while (*i < h->n) {
		head_field_t f = h->fields[(*i)++];
		if (str_eq(str_sub(buf_str(&h->bytes), f.name, f.name_n), name)) {
			*out_value = str_sub(buf_str(&h->bytes), f.value, f.value_n);
			return true;
		}
	}
	return false;
}

str_t head_get(const head_t *h, str_t name)
{
	str_t value = STR_NULL;
	size_t i = 0;

	(void)head_next(h, name, &i, &value);
	return value;
}

static bool type_is_grpc(str_t type)
{
	const str_t grpc = STR("application/grpc");

	return str_starts(type, grpc) &&
		(type.n == grpc.n || strchr("+; ", type.p[grpc.n]) != NULL); /* value_ok: no NUL */
}

static bool timeout_ok(const head_t *h)
{
	str_t value, second;
	uint64_t us;
	size_t i = 0;

	if (!head_next(h, STR("grpc-timeout"), &i, &value)) {
		return true;
	}
	return !head_next(h, STR("grpc-timeout"), &i, &second) && head_timeout_read(value, &us) == OK;
}

head_verdict_t head_judge(const head_t *h)
{
	const unsigned needed = PSEUDO_METHOD | PSEUDO_SCHEME | PSEUDO_PATH;

	if (h->malformed) {
		return HEAD_MALFORMED;
	}
	if (h->over) {
		return HEAD_OVER;
	}
	if ((h->pseudo & needed) != needed || !str_starts(head_get(h, STR(":path")), STR("/")) ||
		head_get(h, STR(":scheme")).n == 0) {
		return HEAD_MALFORMED;
	}
	if (!str_eq(head_get(h, STR(":method")), STR("POST"))) {
		return HEAD_METHOD;
	}
	if (!type_is_grpc(head_get(h, STR("content-type")))) {
		return HEAD_TYPE;
	}
	return timeout_ok(h) ? HEAD_GOOD : HEAD_TIMEOUT;
}

static uint64_t unit_ns(int unit)
{
	switch (unit) {
	case 'H':
		return 3600ull * 1000000000;
	case 'M':
		return 60ull * 1000000000;
	case 'S':
		return 1000000000;
	case 'm':
		return 1000000;
	case 'u':
		return 1000;
	case 'n':
		return 1;
	}
	return 0;
}

err_t head_timeout_read(str_t text, uint64_t *out_us)
{
	const uint64_t max_us = (uint64_t)GRPC_TIMEOUT_S_MAX * 1000000;
	uint64_t n = 0, ns = 0;

	ENSURE(text.n >= 2 && text.n <= 9, ERR_SYNTAX);
	for (size_t i = 0; i + 1 < text.n; i++) { /* leading zeros are legal here */
		ENSURE(text.p[i] >= '0' && text.p[i] <= '9', ERR_SYNTAX);
		n = n * 10 + (uint64_t)(text.p[i] - '0');
	}
	ENSURE(unit_ns(text.p[text.n - 1]) != 0, ERR_SYNTAX);
	if (!mul_ok(n, unit_ns(text.p[text.n - 1]), &ns)) {
		ns = UINT64_MAX;
	}
	uint64_t us = ns / 1000 + (ns % 1000 != 0);
	*out_us = us < max_us ? us : max_us;
	return OK;
}
