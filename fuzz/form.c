/* form: what is read can be written and is read again as the same pairs; escapes, base64 and hex likewise. */
#include "pure/base/base.h"
#include "pure/codec/codec.h"

static void check_form(arena_t *a, str_t text)
{
	AUTO(buf_done) buf_t b;
	form_t f, again;
	str_t value;

	buf_init(&b, FORM_BYTES_MAX);
	if (form_parse(a, text, 64, &f) != OK) {
		return;
	}
	for (size_t i = 0; i < f.n; i++) {
		str_t name = f.pairs[i].name;
		err_t e = form_want(&f, name, 100, &value);
		CHECK(!str_has_nul(name) && !str_has_nul(f.pairs[i].value));
		CHECK((form_count(&f, name) > 1) == (e == ERR_DUPLICATE));
		form_add(&b, name, f.pairs[i].value);
	}
	CHECK(buf_err(&b) == OK);
	CHECK(form_parse(a, buf_str(&b), 64, &again) == OK && again.n == f.n);
	for (size_t i = 0; i < f.n; i++) {
		CHECK(str_eq(f.pairs[i].name, again.pairs[i].name));
		CHECK(str_eq(f.pairs[i].value, again.pairs[i].value));
	}
}

/* One value has one spelling: decoding and encoding gives the same text. */
static void check_text(arena_t *a, str_t text)
{
	str_t bytes;

	if (text.n > 4096) {
		return;
	}
	if (b64url_dec(a, text, 4096, &bytes) == OK) {
		CHECK(str_eq(b64url_enc(a, bytes), text));
	}
	if (b64_dec(a, text, 4096, &bytes) == OK) {
		CHECK(str_eq(b64_enc(a, bytes), text));
	}
	if (hex_dec(a, text, 4096, &bytes) == OK) {
		CHECK(str_eq(hex_enc(a, bytes), text));
	}
	if (pem_dec(a, text, STR("K"), 4096, &bytes) == OK) {
		AUTO(buf_done) buf_t b;
		str_t again;
		buf_init(&b, 1 << 16);
		pem_add(&b, STR("K"), bytes);
		CHECK(pem_dec(a, buf_str(&b), STR("K"), 4096, &again) == OK && str_eq(bytes, again));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(8 << 20);

	check_form(a, str_bytes(data, size));
	check_text(a, str_bytes(data, size));
	return 0;
}
