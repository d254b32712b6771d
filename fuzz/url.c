/* url: an accepted URL has one origin and one htu form; an accepted path has no second reading. */
#include "pure/base/base.h"
#include "pure/codec/codec.h"

static void check_url(arena_t *a, str_t text)
{
	url_t u, again;
	str_t htu, twice;
	err_t e = url_normalize_htu(a, text, &htu);

	if (url_parse(a, text, URL_FRAGMENT, &u) != OK) {
		CHECK(e != OK);
		return;
	}
	CHECK(u.host.n > 0 && str_find(u.host, '@') == u.host.n && str_find(u.host, '%') == u.host.n);
	CHECK(url_parse(a, url_origin(a, &u), 0, &again) == OK && url_same_origin(&u, &again));
	if (e == OK) {
		CHECK(url_normalize_htu(a, htu, &twice) == OK && str_eq(htu, twice));
		CHECK(url_parse(a, htu, 0, &again) == OK && url_same_origin(&u, &again));
	}
}

static void check_path(arena_t *a, str_t text)
{
	str_t decoded, path, query;

	if (url_target_split(text, &path, &query) == OK && url_path_decode(a, path, &decoded) == OK) {
		CHECK(str_is_utf8(decoded) && !str_has_nul(decoded));
		text = decoded;
	}
	if (path_check(text) == OK) {
		CHECK(!str_contains(text, STR("//")) && !str_contains(text, STR("/../")) && !str_has_nul(text));
		CHECK(path_is_under(text, text) && path_is_under(text, STR("/")) == (text.p[0] == '/'));
	}
	if (str_is_utf8(text)) {
		(void)text_is_nfc(text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_open();

	check_url(a, str_bytes(data, size));
	check_path(a, str_bytes(data, size));
	return 0;
}
