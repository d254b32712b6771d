/* json.c: the reader. One pass over the bytes, an explicit stack for the nesting, nodes in preorder. */
#include "pure/codec/codec_int.h"

enum { NODES_ON_STACK = 64 }; /* a document of about 1 KiB needs no heap */

typedef struct {
	uint32_t node; /* index of the container */
	uint32_t last_child;
	bool object;
} frame_t;

typedef struct {
	arena_t *a;
	const char *begin, *p, *end;
	json_t *nodes;
	uint32_t n, cap;
	uint32_t depth;
	json_opts_t opts;
	str_t key; /* name of the member whose value comes next */
	const char *why; /* of the first fault, for diag */
	json_t *grown; /* nodes, once they have left first[] */
	frame_t stack[JSON_DEPTH_CAP];
	json_t first[NODES_ON_STACK];
} reader_t;

static err_t fault(reader_t *r, err_t e, const char *why)
{
	r->why = why;
	return e;
}

static void skip_blanks(reader_t *r)
{
	while (r->p != r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t')) {
		r->p++;
	}
}

static bool at(const reader_t *r, char c)
{
	return r->p != r->end && *r->p == c;
}

/* --- strings ---------------------------------------------------------------------------------------- */

/* Reads what follows "\u" at r->p; a surrogate must be the first half of a pair (RFC 8259 8.2). */
static err_t read_code_point(reader_t *r, const char *end, uint32_t *out)
{
	int32_t c = json_hex4(r->p, end);

	if (c < 0) {
		return fault(r, ERR_SYNTAX, "\\u wants four hexadecimal digits");
	}
	r->p += 4;
	if (c == 0 && !r->opts.allow_nul) {
		return fault(r, ERR_VALUE, "NUL in a string");
	}
	if (c < 0xd800 || c > 0xdfff) {
		*out = (uint32_t)c;
		return OK;
	}
	bool pair = c < 0xdc00 && end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u';
	int32_t low = pair ? json_hex4(r->p + 2, end) : -1;
	if (low < 0xdc00 || low > 0xdfff) {
		return fault(r, ERR_UTF8, "lone surrogate");
	}
	r->p += 6;
	*out = 0x10000u + (((uint32_t)c - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
	return OK;
}

static char plain_escape(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return 0;
	}
}

/* Decodes `raw`, whose every backslash has a byte behind it. */
static err_t unescape(reader_t *r, str_t raw, str_t *out)
{
	const char *end = raw.p + raw.n;
	uint64_t high = 0;
	void *memory;

	TRY(arena_try(r->a, raw.n, &memory)); /* decoding never grows */
	char *o = memory;
	r->p = raw.p;
	while (r->p != end) {
		const char *run = json_plain_end(r->p, end, &high);
		memcpy(o, r->p, (size_t)(run - r->p));
		o += run - r->p;
		r->p = run;
		if (run == end) {
			break;
		}
		r->p += 2; /* the backslash and its letter */
		uint32_t c = (unsigned char)plain_escape(run[1]);
		if (run[1] == 'u') {
			TRY(read_code_point(r, end, &c));
		} else if (c == 0) {
			return fault(r, ERR_SYNTAX, "unknown escape");
		}
		o = json_utf8_put(o, c);
	}
	*out = (str_t){ memory, (size_t)(o - (char *)memory) };
	return OK;
}

/* Reads a string at its opening quote. */
static err_t read_string(reader_t *r, str_t *out)
{
	uint64_t high = 0;
	bool escaped = false;
	const char *from = ++r->p, *p = from;

	for (;;) {
		p = json_plain_end(p, r->end, &high);
		r->p = p;
		if (p == r->end || (*p == '\\' && r->end - p < 2)) {
			r->p = r->end;
			return fault(r, ERR_SYNTAX, "string without end");
		}
		if (*p == '"') {
			break;
		}
		if (*p != '\\') {
			return fault(r, ERR_SYNTAX, "control byte in a string");
		}
		escaped = true;
		p += 2;
	}
	str_t raw = { from, (size_t)(p - from) }, text = raw;
	if (high && !str_is_utf8(raw)) {
		r->p = from;
		return fault(r, ERR_UTF8, "string is not UTF-8");
	}
	if (escaped) {
		TRY(unescape(r, raw, &text));
	}
	r->p = p + 1;
	*out = text;
	return OK;
}

/* --- numbers and words -------------------------------------------------------------------------------- */

static bool skip_digits(reader_t *r)
{
	const char *from = r->p;

	while (r->p != r->end && *r->p >= '0' && *r->p <= '9') {
		r->p++;
	}
	return r->p != from;
}

static err_t read_number(reader_t *r)
{
	if (*r->p != '-' && (*r->p < '0' || *r->p > '9')) {
		return fault(r, ERR_SYNTAX, "not a JSON value");
	}
	r->p += *r->p == '-';
	if (at(r, '0')) {
		r->p++; /* a digit behind it is a fault of what follows the value */
	} else if (!skip_digits(r)) {
		return fault(r, ERR_SYNTAX, "number without digits");
	}
	if (at(r, '.')) {
		r->p++;
		if (!skip_digits(r)) {
			return fault(r, ERR_SYNTAX, "fraction without digits");
		}
	}
	if (at(r, 'e') || at(r, 'E')) {
		r->p++;
		r->p += at(r, '+') || at(r, '-');
		if (!skip_digits(r)) {
			return fault(r, ERR_SYNTAX, "exponent without digits");
		}
	}
	return OK;
}

static err_t read_word(reader_t *r, str_t word)
{
	if (!str_starts((str_t){ r->p, (size_t)(r->end - r->p) }, word)) {
		return fault(r, ERR_SYNTAX, "not a JSON value");
	}
	r->p += word.n;
	return OK;
}

static err_t refuse_repeated(reader_t *r, const json_t *obj)
{
	const json_t *twin = json_repeated(obj);

	if (twin) {
		r->p = twin->raw_p;
		return fault(r, ERR_DUPLICATE, "the key of this value is repeated in its object");
	}
	return OK;
}

/* --- the tree ----------------------------------------------------------------------------------------- */

static err_t node_add(reader_t *r, json_t **out)
{
	if (r->n == r->opts.nodes_max) {
		return fault(r, ERR_LIMIT, "too many values");
	}
	if (r->n == r->cap) {
		json_t *grown = heap_realloc(r->grown, 2 * (size_t)r->cap * sizeof(*grown));
		if (!r->grown) {
			memcpy(grown, r->first, sizeof(r->first));
		}
		r->grown = r->nodes = grown;
		r->cap *= 2;
	}
	json_t *node = &r->nodes[r->n];
	*node = (json_t){ .raw_p = r->p, .key_p = r->key.p, .key_n = (uint32_t)r->key.n, .skip = 1 };
	if (r->depth > 0) {
		frame_t *up = &r->stack[r->depth - 1];
		r->nodes[up->node].count++;
		up->last_child = r->n;
	} else {
		node->last = true;
	}
	r->n++;
	*out = node;
	return OK;
}

static err_t container_open(reader_t *r, json_t *node)
{
	if (r->depth == r->opts.depth_max) {
		return fault(r, ERR_LIMIT, "nested too deep");
	}
	bool object = *r->p == '{';
	node->kind = object ? JSON_OBJECT : JSON_ARRAY;
	r->stack[r->depth++] = (frame_t){ .node = (uint32_t)(node - r->nodes), .object = object };
	r->p++;
	return OK;
}

static err_t container_close(reader_t *r)
{
	frame_t *f = &r->stack[--r->depth];
	json_t *node = &r->nodes[f->node];

	r->p++;
	node->raw_n = (uint32_t)(r->p - node->raw_p);
	node->skip = r->n - f->node;
	if (node->count == 0) {
		return OK;
	}
	r->nodes[f->last_child].last = true;
	return f->object && node->count > 1 ? refuse_repeated(r, node) : OK;
}

static err_t read_key(reader_t *r)
{
	if (!at(r, '"')) {
		return fault(r, ERR_SYNTAX, "a member wants a name in quotes");
	}
	TRY(read_string(r, &r->key));
	skip_blanks(r);
	if (!at(r, ':')) {
		return fault(r, ERR_SYNTAX, "':' expected");
	}
	r->p++;
	skip_blanks(r);
	return OK;
}

static err_t read_scalar(reader_t *r, json_t *node)
{
	str_t text = STR_NULL;

	switch (*r->p) {
	case '"':
		node->kind = JSON_STRING;
		TRY(read_string(r, &text));
		break;
	case 't':
		node->kind = JSON_BOOL;
		TRY(read_word(r, STR("true")));
		break;
	case 'f':
		node->kind = JSON_BOOL;
		TRY(read_word(r, STR("false")));
		break;
	case 'n':
		node->kind = JSON_NULL;
		TRY(read_word(r, STR("null")));
		break;
	default:
		node->kind = JSON_NUMBER;
		TRY(read_number(r));
	}
	node->raw_n = (uint32_t)(r->p - node->raw_p);
	node->text_p = text.p;
	node->text_n = (uint32_t)text.n;
	return OK;
}

/* Reads the next value, with its name inside an object. A container that is not empty stays open: the
 * value to read next is its first child. */
static err_t read_value(reader_t *r, bool *out_opened)
{
	json_t *node;

	skip_blanks(r);
	r->key = STR_NULL;
	if (r->depth > 0 && r->stack[r->depth - 1].object) {
		TRY(read_key(r));
	}
	if (r->p == r->end) {
		return fault(r, ERR_SYNTAX, "a value is missing at the end");
	}
	TRY(node_add(r, &node));
	*out_opened = false;
	if (*r->p != '{' && *r->p != '[') {
		return read_scalar(r, node);
	}
	TRY(container_open(r, node));
	skip_blanks(r);
	if (at(r, node->kind == JSON_OBJECT ? '}' : ']')) {
		return container_close(r);
	}
	*out_opened = true;
	return OK;
}

/* Behind a complete value: closes what ends here, and takes the comma before the next value. */
static err_t read_between(reader_t *r)
{
	while (r->depth > 0) {
		bool object = r->stack[r->depth - 1].object;
		skip_blanks(r);
		if (at(r, ',')) {
			r->p++;
			return OK;
		}
		if (!at(r, object ? '}' : ']')) {
			return fault(r, ERR_SYNTAX, object ? "',' or '}' expected" : "',' or ']' expected");
		}
		TRY(container_close(r));
	}
	return OK;
}

static err_t read_document(reader_t *r)
{
	bool opened;

	do {
		TRY(read_value(r, &opened));
		if (!opened) {
			TRY(read_between(r));
		}
	} while (r->depth > 0);
	skip_blanks(r);
	if (r->p != r->end) {
		return fault(r, ERR_SYNTAX, "something follows the value");
	}
	if (r->opts.object_only && r->nodes[0].kind != JSON_OBJECT) {
		r->p = r->begin;
		return fault(r, ERR_VALUE, "an object is expected");
	}
	return OK;
}

static void tell(const reader_t *r, diag_t *diag)
{
	uint32_t line = 1;
	const char *start = r->begin;

	for (const char *p = r->begin; p < r->p; p++) {
		if (*p == '\n') {
			line++;
			start = p + 1;
		}
	}
	diag_set(diag, line, (uint32_t)(r->p - start) + 1, "JSON: %s", r->why ? r->why : "too large");
}

static json_opts_t with_defaults(const json_opts_t *given)
{
	json_opts_t o = given ? *given : (json_opts_t){ 0 };

	o.depth_max = o.depth_max ? o.depth_max : JSON_DEPTH_DEFAULT;
	o.nodes_max = o.nodes_max ? o.nodes_max : JSON_NODES_DEFAULT;
	o.bytes_max = o.bytes_max ? o.bytes_max : JSON_BYTES_DEFAULT;
	CHECK(o.depth_max <= JSON_DEPTH_CAP && o.nodes_max <= JSON_NODES_CAP && o.bytes_max <= JSON_BYTES_CAP);
	return o;
}

err_t json_parse(arena_t *a, str_t text, const json_opts_t *opts, const json_t **out, diag_t *diag)
{
	reader_t r; /* not zeroed: 7 KiB, of which a small document uses little */
	json_t *nodes;

	r.a = a;
	r.opts = with_defaults(opts);
	r.begin = r.p = text.n ? text.p : "";
	r.end = r.begin + text.n;
	r.nodes = r.first;
	r.n = r.depth = 0;
	r.cap = NODES_ON_STACK;
	r.why = NULL;
	r.grown = NULL;
	err_t e = text.n > r.opts.bytes_max ? ERR_LIMIT : read_document(&r);
	AUTO(heap_free) json_t *grown = r.grown;
	if (e != OK) {
		tell(&r, diag);
		return e;
	}
	TRY(arena_try_array(a, json_t, r.n, &nodes));
	memcpy(nodes, r.nodes, r.n * sizeof(*nodes));
	*out = nodes;
	return OK;
}

err_t json_parse_object(arena_t *a, str_t text, const json_t **out, diag_t *diag)
{
	return json_parse(a, text, &(json_opts_t){ .object_only = true }, out, diag);
}
