/* base: the negative space of strings, buffers, reader, arena and secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pure/base/base.h"

static void errors_have_stable_names(void **state)
{
	(void)state;
	assert_string_equal(err_info(ERR_AUDIENCE)->name, "audience");
	assert_int_equal(err_info(ERR_AUDIENCE)->http, 401);
	assert_int_equal(err_by_name("grant_uses"), ERR_GRANT_USES);
	assert_int_equal(err_by_name("no such"), ERR_INTERNAL);
	assert_string_equal(err_info((err_t)9999)->name, "internal");
	for (int e = 1; e < ERR_COUNT_; e++) {
		assert_int_equal(err_by_name(err_info((err_t)e)->name), e);
	}
}

static void utf8_is_strict(void **state)
{
	(void)state;
	assert_true(str_is_utf8(STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
	assert_false(str_is_utf8(STR("\xc0\x80"))); /* overlong NUL */
	assert_false(str_is_utf8(STR("\xed\xa0\x80"))); /* surrogate */
	assert_false(str_is_utf8(STR("\xf4\x90\x80\x80"))); /* beyond U+10FFFF */
	assert_false(str_is_utf8(STR("\xe2\x82"))); /* short */
	assert_false(str_is_utf8(STR("\xe0\x80\x80")));
	assert_false(str_is_utf8(STR("\xff")));
}

static void numbers_are_canonical(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(str_to_u64(STR("0"), 10, &v), OK);
	assert_int_equal(v, 0);
	assert_int_equal(str_to_u64(STR("01"), 10, &v), ERR_SYNTAX);
	assert_int_equal(str_to_u64(STR(""), 10, &v), ERR_SYNTAX);
	assert_int_equal(str_to_u64(STR("+1"), 10, &v), ERR_SYNTAX);
	assert_int_equal(str_to_u64(STR("11"), 10, &v), ERR_LIMIT);
	assert_int_equal(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &v), OK);
	assert_int_equal(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &v), ERR_LIMIT);
}

static void lists_and_splits(void **state)
{
	str_t rest = STR("a,,b"), piece;

	(void)state;
	assert_true(str_split(&rest, ',', &piece) && str_eq(piece, STR("a")));
	assert_true(str_split(&rest, ',', &piece) && piece.n == 0);
	assert_true(str_split(&rest, ',', &piece) && str_eq(piece, STR("b")));
	assert_false(str_split(&rest, ',', &piece));
	assert_true(str_list_has(STR("x y z"), STR("y")));
	assert_false(str_list_has(STR("xy z"), STR("y")));
	assert_false(str_list_has(STR("x  z"), STR("")));
}

static void buffers_keep_their_maximum(void **state)
{
	buf_t b;

	(void)state;
	buf_init(&b, 10);
	buf_add(&b, STR("12345"));
	buf_printf(&b, "%d", 678901);
	assert_int_equal(buf_err(&b), ERR_LIMIT);
	assert_true(str_eq(buf_str(&b), STR("12345")));
	buf_drop(&b, 3);
	assert_true(str_eq(buf_str(&b), STR("45")));
	buf_done(&b);
}

static void reader_consumes_nothing_on_failure(void **state)
{
	rd_t r = rd_of(STR("abc.\x01\x02"));
	str_t s;
	uint16_t v;
	uint32_t w;

	(void)state;
	assert_int_equal(rd_until(&r, '!', 10, &s), ERR_SYNTAX);
	assert_int_equal(rd_until(&r, '.', 2, &s), ERR_LIMIT);
	assert_int_equal(rd_until(&r, '.', 3, &s), OK);
	assert_int_equal(rd_u32be(&r, &w), ERR_SYNTAX);
	assert_int_equal(rd_u16be(&r, &v), OK);
	assert_int_equal(v, 0x0102);
	assert_int_equal(rd_end(&r), OK);
}

static void arena_has_a_cap(void **state)
{
	arena_t *a = arena_new_capped(100000);
	void *p;
	str_t s;
	const char *c;

	(void)state;
	assert_int_equal(arena_try(a, 100001, &p), ERR_LIMIT);
	assert_int_equal(arena_try(a, 90000, &p), OK);
	assert_int_equal(arena_try(a, 90000, &p), ERR_LIMIT);
	assert_int_equal(arena_try_n(a, SIZE_MAX, 2, &p), ERR_LIMIT);
	assert_int_equal(arena_dup(a, STR("x"), &s), OK);
	assert_int_equal(arena_cstr(a, STR("a\0b"), &c), ERR_SYNTAX);
	assert_true(str_eq(arena_cat(a, STR("ab"), STR(""), STR("c")), STR("abc")));
	arena_free(a);
}

static void secrets_come_back_zeroed(void **state)
{
	secret_t s = { 0 }, t = { 0 };

	(void)state;
	assert_int_equal(secret_from(STR("hunter2"), &s), OK);
	uint8_t *slot = s.p;
	secret_done(&s);
	assert_null(s.p);
	assert_int_equal(secret_new(7, &t), OK);
	assert_ptr_equal(t.p, slot);
	assert_int_equal(t.p[0], 0);
	secret_done(&t);
	assert_int_equal(secret_new(SECRET_BYTES_MAX + 1, &t), ERR_LIMIT);
	secret_t all[64];
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal(secret_new(SECRET_BYTES_MAX, &all[i]), OK);
	}
	assert_int_equal(secret_new(SECRET_BYTES_MAX, &t), ERR_LIMIT);
	for (size_t i = 0; i < 64; i++) {
		secret_done(&all[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_have_stable_names),
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(numbers_are_canonical),
		cmocka_unit_test(lists_and_splits),
		cmocka_unit_test(buffers_keep_their_maximum),
		cmocka_unit_test(reader_consumes_nothing_on_failure),
		cmocka_unit_test(arena_has_a_cap),
		cmocka_unit_test(secrets_come_back_zeroed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
