/* The two readers, the percent coding, protobuf and the buckets: without HTTP/2, without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/grpc/grpc_int.h"
#include "workload.pb-c.h"

/* ---- head ------------------------------------------------------------------------------------------ */

typedef struct {
	str_t name, value;
} pair_t;

#define GOOD                                                                                       \
	{ STR(":method"), STR("POST") }, { STR(":scheme"), STR("http") }, { STR(":path"), STR("/a/b") },   \
	{                                                                                          \
		STR("content-type"), STR("application/grpc")                                       \
	}

static head_verdict_t judge(const pair_t *pairs, size_t n)
{
	head_t h;

	head_init(&h);
	for (size_t i = 0; i < n; i++) {
		head_add(&h, pairs[i].name, pairs[i].value);
	}
	head_verdict_t v = head_judge(&h);
	head_done(&h);
	return v;
}
#define JUDGE(...) judge((const pair_t[]){ __VA_ARGS__ }, sizeof((const pair_t[]){ __VA_ARGS__ }) / sizeof(pair_t))

static void heads_that_are_requests(void **state)
{
	assert_int_equal(JUDGE(GOOD), HEAD_GOOD);
	assert_int_equal(JUDGE(GOOD, { STR("te"), STR("trailers") }), HEAD_GOOD);
	assert_int_equal(JUDGE({ STR(":authority"), STR("a@b/c %") }, GOOD), HEAD_GOOD);
	assert_int_equal(JUDGE({ STR(":authority"), STR("") }, GOOD), HEAD_GOOD);
	assert_int_equal(JUDGE(GOOD, { STR("x-bin"), STR("\xff\x80") }), HEAD_GOOD);
	assert_int_equal(JUDGE(GOOD, { STR("grpc-timeout"), STR("5S") }), HEAD_GOOD);
}

static void heads_that_are_none(void **state)
{
	const str_t names[] = { STR("X"), STR(""), STR("a b"), STR("a:b"), STR("a\0b"), STR("\xc3"), STR("connection"),
		STR("keep-alive"), STR("proxy-connection"), STR("transfer-encoding"), STR("upgrade"), STR("te"),
		STR(":method"), STR(":x"), STR(":") };
	const str_t values[] = { STR("a\rb"), STR("a\nb"), STR("a\0b"), STR("\x7f"), STR("\x01") };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(JUDGE(GOOD, { names[i], STR("POST") }), HEAD_MALFORMED);
	}
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		assert_int_equal(JUDGE(GOOD, { STR("x"), values[i] }), HEAD_MALFORMED);
		assert_int_equal(JUDGE({ STR(":authority"), values[i] }, GOOD), HEAD_MALFORMED);
	}
	assert_int_equal(judge(NULL, 0), HEAD_MALFORMED);
	assert_int_equal(JUDGE({ STR(":path"), STR("/a") }, GOOD), HEAD_MALFORMED);
	assert_int_equal(JUDGE({ STR(":method"), STR("POST") }, { STR(":scheme"), STR("http") },
				 { STR("x"), STR("y") }, { STR(":path"), STR("/") }),
		HEAD_MALFORMED);
}

static void heads_with_an_answer_of_their_own(void **state)
{
	pair_t good[] = { GOOD };

	good[0].value = STR("GET");
	assert_int_equal(judge(good, 4), HEAD_METHOD);
	good[0].value = STR("post");
	assert_int_equal(judge(good, 4), HEAD_METHOD);
	good[0].value = STR("POST");
	assert_int_equal(judge(good, 3), HEAD_TYPE);
	good[3].value = STR("application/grpcx");
	assert_int_equal(judge(good, 4), HEAD_TYPE);
	good[3].value = STR("application/grpc;v=1");
	assert_int_equal(judge(good, 4), HEAD_GOOD);
	assert_int_equal(JUDGE(GOOD, { STR("grpc-timeout"), STR("") }), HEAD_TIMEOUT);
	assert_int_equal(JUDGE(GOOD, { STR("grpc-timeout"), STR("1S") }, { STR("grpc-timeout"), STR("1S") }),
		HEAD_TIMEOUT);
}

/* Exactly at the bound it fits; one byte more does not, and nothing more is kept. */
static void heads_are_bounded(void **state)
{
	static char big[GRPC_HEAD_BYTES_MAX];
	head_t h;

	memset(big, 'y', sizeof(big));
	for (int more = 0; more < 2; more++) {
		head_init(&h);
		for (size_t i = 0; i < 4; i++) {
			const pair_t good[] = { GOOD };
			head_add(&h, good[i].name, good[i].value);
		}
		head_add(&h, STR("x"), str_bytes(big, GRPC_HEAD_BYTES_MAX - h.counted - 33 + (size_t)more));
		assert_int_equal(head_judge(&h), more ? HEAD_OVER : HEAD_GOOD);
		head_add(&h, STR("workload.spiffe.io"), STR("true"));
		assert_int_equal(head_judge(&h), HEAD_OVER);
		assert_int_equal(head_get(&h, STR("workload.spiffe.io")).n, 0);
		head_done(&h);
	}
}

static void metadata_in_order(void **state)
{
	head_t h;
	size_t i = 0;
	str_t v;

	head_init(&h);
	head_add(&h, STR("a"), STR("1"));
	head_add(&h, STR("ab"), STR("2"));
	head_add(&h, STR("a"), STR(""));
	assert_true(head_next(&h, STR("a"), &i, &v) && str_eq(v, STR("1")));
	assert_true(head_next(&h, STR("a"), &i, &v) && v.n == 0);
	assert_false(head_next(&h, STR("a"), &i, &v));
	head_done(&h);
}

static void timeouts(void **state)
{
	const struct {
		str_t text;
		uint64_t us;
	} good[] = { { STR("1H"), 3600000000 }, { STR("2M"), 120000000 }, { STR("3S"), 3000000 }, { STR("4m"), 4000 },
		{ STR("5u"), 5 }, { STR("1n"), 1 }, { STR("1001n"), 2 }, { STR("0S"), 0 }, { STR("00000007S"), 7000000 },
		{ STR("99999999H"), (uint64_t)GRPC_TIMEOUT_S_MAX * 1000000 } };
	const str_t bad[] = { STR(""), STR("1"), STR("S"), STR("1s"), STR("1h"), STR("-1S"), STR("1.5S"), STR(" 1S"),
		STR("1S "), STR("123456789S"), STR("1SS"), STR("+1S"), STR("0x1S") };
	uint64_t us;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(head_timeout_read(good[i].text, &us), OK);
		assert_int_equal(us, good[i].us);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(head_timeout_read(bad[i], &us), ERR_SYNTAX);
	}
}

/* ---- frames ---------------------------------------------------------------------------------------- */

static void messages_in_every_slice(void **state)
{
	const str_t in = STR("\0\0\0\0\3abc" "\0\0\0\0\0" "\1\0\0\0\1x");

	for (size_t step = 1; step <= in.n; step++) {
		frame_t f;
		buf_t log;
		frame_init(&f, 3);
		buf_init(&log, 100);
		for (size_t at = 0; at < in.n; at += step) {
			rd_t r = rd_of(str_sub(in, at, step));
			while (!rd_empty(&r)) {
				assert_int_equal(frame_feed(&f, &r), OK);
				if (f.whole) {
					buf_printf(&log, "%d", f.compressed);
					buf_add(&log, frame_message(&f));
					assert_non_null(frame_message(&f).p);
					frame_next(&f);
				}
			}
		}
		assert_true(str_eq(buf_str(&log), STR("0abc01x")) && frame_is_empty(&f));
		buf_done(&log);
		frame_done(&f);
	}
}

static void messages_that_are_none(void **state)
{
	const struct {
		str_t in;
		err_t want;
	} bad[] = { { STR("\0\0\0\0\4"), ERR_LIMIT }, { STR("\0\xff\xff\xff\xff"), ERR_LIMIT },
		{ STR("\2\0\0\0\0"), ERR_SYNTAX }, { STR("\xff\0\0\0\1"), ERR_SYNTAX } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		frame_t f;
		rd_t r = rd_of(bad[i].in);
		frame_init(&f, 3);
		assert_int_equal(frame_feed(&f, &r), bad[i].want);
		assert_null(f.body.p); /* an announced length costs nothing */
		frame_done(&f);
	}
}

static void percent(void **state)
{
	AUTO(buf_done) buf_t b;
	AUTO(buf_done) buf_t back;

	buf_init(&b, 100);
	buf_init(&back, 100);
	percent_encode(&b, STR("a b%\n\xc3\xa9~\x7f"));
	assert_true(str_eq(buf_str(&b), STR("a b%25%0A%C3%A9~%7F")));
	percent_decode(&back, buf_str(&b));
	assert_true(str_eq(buf_str(&back), STR("a b%\n\xc3\xa9~\x7f")));
	buf_clear(&back);
	percent_decode(&back, STR("%4%zz%41%4"));
	assert_true(str_eq(buf_str(&back), STR("%4%zzA%4")));
}

/* ---- protobuf -------------------------------------------------------------------------------------- */

static err_t jwt_read(str_t bytes)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GRPC_PB_ARENA_BYTES);
	struct ProtobufCMessage *m;

	return grpc_pb_read(&jwtsvidrequest__descriptor, a, bytes, &m);
}

static void protobuf(void **state)
{
	assert_int_equal(jwt_read(STR("")), OK);
	assert_int_equal(jwt_read(STR("\x0a\x02" "ab" "\x12\x01" "x")), OK);
	assert_int_equal(jwt_read(STR("\x7a\x02" "\0\xff")), OK); /* a field we do not know is not ours to judge */
	const str_t bad[] = { STR("\x0a"), STR("\x0a\x05" "ab"), STR("\x0a\x03" "a\0b"), STR("\x0a\x01" "\xff"),
		STR("\x12\x02" "\xed\xa0"), STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), STR("\x0b"), STR("\x02\x00"),
		STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), STR("\x0d\x01\x02\x03") };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(jwt_read(bad[i]), ERR_SYNTAX);
	}
}

static err_t read_as(const ProtobufCMessageDescriptor *type, str_t bytes)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(GRPC_PB_ARENA_BYTES);
	struct ProtobufCMessage *m;

	return grpc_pb_read(type, a, bytes, &m);
}

static void protobuf_of_several_levels(void **state)
{
	/* X509SVIDResponse { svids { spiffe_id } }, federated_bundles { key } */
	assert_int_equal(read_as(&x509_svidresponse__descriptor, STR("\x0a\x03\x0a\x01" "a")), OK);
	assert_int_equal(read_as(&x509_svidresponse__descriptor, STR("\x0a\x05\x0a\x03" "a\0b")), ERR_SYNTAX);
	assert_int_equal(read_as(&x509_svidresponse__descriptor, STR("\x1a\x03\x0a\x01\xff")), ERR_SYNTAX);
	assert_int_equal(read_as(&x509_svidresponse__descriptor, STR("\x0a\x02\x05\x00")), ERR_SYNTAX);
	assert_int_equal(read_as(&x509_svidresponse__descriptor, STR("\x0a\x07\x85\0\1\2\3\4\5")), ERR_SYNTAX); /* number 0 */
}

/* Value { list_value { values { ... } } } without end. */
static void protobuf_is_not_followed_for_ever(void **state)
{
	char bytes[120];
	size_t n = 0;

	for (int depth = 0; depth < 50; depth++) {
		memmove(bytes + 2, bytes, n);
		bytes[0] = depth % 2 ? 0x0a : 0x32; /* ListValue.values, Value.list_value */
		bytes[1] = (char)n;
		n += 2;
		err_t e = read_as(depth % 2 ? &google__protobuf__list_value__descriptor :
					      &google__protobuf__value__descriptor, str_bytes(bytes, n));
		assert_int_equal(e, depth < 15 ? OK : ERR_SYNTAX);
	}
}

/* 64 KiB of empty strings would unfold to megabytes: the arena's cap says no. */
static void protobuf_is_bounded(void **state)
{
	static char bytes[GRPC_MESSAGE_IN_BYTES_MAX];

	for (size_t i = 0; i < sizeof(bytes); i += 2) {
		bytes[i] = 0x0a;
	}
	assert_int_equal(jwt_read(str_bytes(bytes, sizeof(bytes))), ERR_SYNTAX);
}

static void codes(void **state)
{
	assert_int_equal(grpc_code_of(OK), GRPC_OK);
	assert_int_equal(grpc_code_of(ERR_SYNTAX), GRPC_INVALID_ARGUMENT);
	assert_int_equal(grpc_code_of(ERR_DENIED), GRPC_PERMISSION_DENIED);
	assert_int_equal(grpc_code_of(ERR_AUTHORITY_AWAY), GRPC_UNAVAILABLE);
	assert_int_equal(grpc_code_of(ERR_TIMEOUT), GRPC_DEADLINE_EXCEEDED);
	assert_int_equal(grpc_code_of(ERR_CANCELLED), GRPC_CANCELLED);
	for (int e = 1; e < ERR_COUNT_; e++) {
		assert_true(grpc_code_of((err_t)e) != GRPC_OK && grpc_code_of((err_t)e) <= GRPC_UNAUTHENTICATED);
	}
	assert_string_equal(grpc_code_name(GRPC_UNAUTHENTICATED), "Unauthenticated");
	assert_string_equal(grpc_code_name((grpc_code_t)17), "Unknown");
}

static void buckets(void **state)
{
	bucket_t b = { 0 };
	uint64_t now = 1000000000;

	for (int i = 0; i < 5; i++) {
		assert_true(bucket_take(&b, now, 5, 2));
	}
	assert_false(bucket_take(&b, now, 5, 2));
	assert_false(bucket_take(&b, now + 400000, 5, 2));
	assert_true(bucket_take(&b, now + 500000, 5, 2));
	assert_false(bucket_take(&b, now + 500000, 5, 2));
	now += 3600ull * 1000000;
	for (int i = 0; i < 5; i++) { /* an hour of rest gives the burst, not more */
		assert_true(bucket_take(&b, now, 5, 2));
	}
	assert_false(bucket_take(&b, now, 5, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_that_are_requests),
		cmocka_unit_test(heads_that_are_none),
		cmocka_unit_test(heads_with_an_answer_of_their_own),
		cmocka_unit_test(heads_are_bounded),
		cmocka_unit_test(metadata_in_order),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(messages_in_every_slice),
		cmocka_unit_test(messages_that_are_none),
		cmocka_unit_test(percent),
		cmocka_unit_test(protobuf),
		cmocka_unit_test(protobuf_of_several_levels),
		cmocka_unit_test(protobuf_is_not_followed_for_ever),
		cmocka_unit_test(protobuf_is_bounded),
		cmocka_unit_test(codes),
		cmocka_unit_test(buckets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
