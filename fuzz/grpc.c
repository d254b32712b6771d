/* grpc.c: the readers of gRPC without HTTP/2. First byte: which one, and the size of the slices.
 * Messages: whole and in slices the same ones come out. Heads: what is judged good has what a request
 * must have. Timeouts and percent coding: never more than their bounds, and coding comes back. */
#include "engine/grpc/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { MESSAGE_MAX = 300, LOG_MAX = 1 << 20 };

static void frames_log(str_t in, size_t step, buf_t *log)
{
	frame_t f;
	err_t e = OK;

	frame_init(&f, MESSAGE_MAX);
	for (size_t at = 0; at < in.n && e == OK; at += step) {
		rd_t r = rd_of(str_sub(in, at, step));
		while (!rd_empty(&r) && (e = frame_feed(&f, &r)) == OK) {
			CHECK(f.body.n <= MESSAGE_MAX && f.body.n <= in.n);
			if (f.whole) {
				buf_printf(log, "%d %zu ", f.compressed, f.body.n);
				buf_add(log, frame_message(&f));
				frame_next(&f);
			}
		}
	}
	buf_printf(log, "%s %d", e == OK ? "ok" : err_info(e)->name, frame_is_empty(&f));
	frame_done(&f);
}

static void frames(str_t in, size_t step)
{
	AUTO(buf_done) buf_t whole;
	AUTO(buf_done) buf_t sliced;

	buf_init(&whole, LOG_MAX);
	buf_init(&sliced, LOG_MAX);
	frames_log(in, in.n ? in.n : 1, &whole);
	frames_log(in, step, &sliced);
	CHECK(str_eq(buf_str(&whole), buf_str(&sliced)));
}

/* Lines of "name=value". */
static void head(str_t in)
{
	str_t rest = in, line, name;
	head_t h;
	size_t i = 0;
	str_t v;

	head_init(&h);
	while (str_split(&rest, '\n', &line)) {
		size_t eq = str_find(line, '=');
		name = str_sub(line, 0, eq);
		head_add(&h, name, str_sub(line, eq + 1, line.n));
	}
	CHECK(h.n <= GRPC_HEADERS_MAX && h.bytes.n <= GRPC_HEAD_BYTES_MAX);
	if (head_judge(&h) == HEAD_GOOD) {
		CHECK(str_eq(head_get(&h, STR(":method")), STR("POST")));
		CHECK(str_starts(head_get(&h, STR(":path")), STR("/")) && !str_has_nul(head_get(&h, STR(":path"))));
		CHECK(!head_next(&h, STR("connection"), &i, &v));
		CHECK(h.fields[0].name_n > 0 && h.bytes.p[0] == ':');
	}
	head_done(&h);
}

static void timeout(str_t in)
{
	uint64_t us;

	if (head_timeout_read(in, &us) == OK) {
		CHECK(us <= (uint64_t)GRPC_TIMEOUT_S_MAX * 1000000);
	}
}

static void percent(str_t in)
{
	AUTO(buf_done) buf_t coded;
	AUTO(buf_done) buf_t plain;

	buf_init(&coded, 3 * in.n);
	buf_init(&plain, in.n);
	percent_encode(&coded, in);
	CHECK(buf_err(&coded) == OK);
	percent_decode(&plain, buf_str(&coded));
	CHECK(str_eq(buf_str(&plain), in));
	buf_clear(&plain);
	percent_decode(&plain, in);
	CHECK(buf_err(&plain) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	if (n < 1) {
		return 0;
	}
	str_t in = str_bytes(bytes + 1, n - 1);
	switch (bytes[0] & 3) {
	case 0:
		frames(in, (bytes[0] >> 2) + 1u);
		break;
	case 1:
		head(in);
		break;
	case 2:
		timeout(in);
		break;
	default:
		percent(in);
	}
	return 0;
}
