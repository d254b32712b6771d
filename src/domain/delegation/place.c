/* place.c: paths, URLs, hosts and request targets, each in one spelling (oauth P107). */
#include "domain/delegation/int.h"

/* Room for one parsed URL; opened per question, questions are rare (one per constraint). */
enum { PLACE_SCRATCH_BYTES = 64 * 1024 };

/* A segment that some reader might trim into "", "." or "..": only dots, blanks and bytes beyond ASCII
 * (U+00A0 is a blank to JavaScript's trim), a dot or no letter among them. A file may be named so; it
 * is refused all the same. */
static bool segment_is_doubtful(str_t seg)
{
	bool has_dot = false, has_wide = false;

	for (size_t i = 0; i < seg.n; i++) {
		unsigned char c = (unsigned char)seg.p[i];
		if (c != '.' && c != ' ' && c < 0x80) {
			return false;
		}
		has_dot = has_dot || c == '.';
		has_wide = has_wide || c >= 0x80;
	}
	return seg.n > 0 && (has_dot || !has_wide);
}

static bool has_doubtful_segment(str_t path)
{
	str_t rest = path, seg;

	while (str_split(&rest, '/', &seg)) {
		if (segment_is_doubtful(seg)) {
			return true;
		}
	}
	return false;
}

err_t path_base_check(str_t base)
{
	ENSURE(base.n > 0 && base.n <= DELEGATION_PATH_BYTES_MAX, ERR_VALUE);
	ENSURE(path_check(base) == OK, ERR_VALUE);
	ENSURE(base.p[0] != '~', ERR_VALUE); /* a shell's home: no place of its own */
	ENSURE(base.n == 1 || base.p[base.n - 1] != '/', ERR_VALUE);
	ENSURE(!has_doubtful_segment(base), ERR_VALUE);
	return OK;
}

/* Both checked: is value the base or below it, by whole segments? */
static bool is_below(str_t base, str_t value)
{
	if (str_eq(base, STR("/"))) {
		return value.n > 0 && value.p[0] == '/';
	}
	return path_is_under(value, base);
}

bool delegation_path_is_under(str_t base, str_t value)
{
	if (path_base_check(base) != OK) {
		return false;
	}
	if (value.n == 0 || value.n > DELEGATION_PATH_BYTES_MAX || path_check(value) != OK) {
		return false;
	}
	return !has_doubtful_segment(value) && is_below(base, value);
}

static str_t path_or_root(str_t path)
{
	return path.n ? path : STR("/");
}

/* A URL whose path has one spelling, without query. */
static err_t plain_url(arena_t *a, str_t text, url_t *out)
{
	url_t u;

	ENSURE(text.n <= DELEGATION_TARGET_BYTES_MAX, ERR_VALUE);
	ENSURE(url_parse(a, text, 0, &u) == OK, ERR_VALUE);
	ENSURE(u.query.p == NULL && u.port != 0, ERR_VALUE);
	u.path = path_or_root(u.path);
	ENSURE(path_check(u.path) == OK, ERR_VALUE); /* escapes included: '%' is refused */
	*out = u;
	return OK;
}

err_t url_base_check(str_t url)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(PLACE_SCRATCH_BYTES);
	url_t u;

	ENSURE(url.n <= DELEGATION_URL_BYTES_MAX, ERR_LIMIT);
	TRY(plain_url(a, url, &u));
	ENSURE(u.path.n == 1 || u.path.p[u.path.n - 1] != '/', ERR_VALUE);
	return OK;
}

err_t route_url_check(str_t url)
{
	ENSURE(str_is_visible(url), ERR_VALUE);
	return url_base_check(url);
}

bool delegation_url_is_in(str_t url, str_t value)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(PLACE_SCRATCH_BYTES);
	url_t base, v;

	if (url_base_check(url) != OK || plain_url(a, url, &base) != OK
		|| plain_url(a, value, &v) != OK) {
		return false;
	}
	return url_same_origin(&base, &v) && is_below(base.path, v.path);
}

err_t host_base_check(str_t host)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(PLACE_SCRATCH_BYTES);
	url_t u;

	ENSURE(host.n > 0 && host.n <= URL_HOST_BYTES_MAX, ERR_VALUE);
	ENSURE(url_parse(a, arena_cat(a, STR("https://"), host), 0, &u) == OK, ERR_VALUE);
	ENSURE(str_eq(u.host, host) && !u.host_is_ipv6, ERR_VALUE); /* so no port, path or upper case */
	return OK;
}

static bool is_default_port(const url_t *u)
{
	bool is_plain = str_eq(u->scheme, STR("http")) || str_eq(u->scheme, STR("ws"));
	bool is_tls = str_eq(u->scheme, STR("https")) || str_eq(u->scheme, STR("wss"));

	return (is_plain && u->port == 80) || (is_tls && u->port == 443);
}

bool delegation_host_is(str_t host, str_t value)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(PLACE_SCRATCH_BYTES);
	url_t u;

	if (host_base_check(host) != OK) {
		return false;
	}
	if (str_eq(host, value)) {
		return true; /* a bare host name: exactly these bytes */
	}
	if (value.n > DELEGATION_TARGET_BYTES_MAX || url_parse(a, value, 0, &u) != OK) {
		return false;
	}
	return is_default_port(&u) && !u.host_is_ipv6 && str_eq(u.host, host);
}

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
		|| c == '.' || c == '_' || c == '~';
}

/* Every escape is upper case and stands for something that needs one and is not structure. */
static err_t escapes_check(str_t s, bool is_path)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			continue;
		}
		ENSURE(s.n - i >= 3, ERR_VALUE);
		int hi = hex_value((unsigned char)s.p[i + 1]), lo = hex_value((unsigned char)s.p[i + 2]);
		ENSURE(hi >= 0 && lo >= 0, ERR_VALUE);
		int c = hi * 16 + lo;
		ENSURE(!is_unreserved(c), ERR_VALUE);
		ENSURE(!is_path || (c >= 0x20 && c != 0x7f), ERR_VALUE);
		ENSURE(!is_path || (c != '/' && c != '\\' && c != '%'), ERR_VALUE);
		ENSURE(c != 0, ERR_VALUE);
		i += 2;
	}
	return OK;
}

static err_t segments_check(str_t path)
{
	str_t rest = str_sub(path, 1, path.n), seg;

	while (str_split(&rest, '/', &seg)) {
		ENSURE(seg.n > 0 || rest.p == NULL, ERR_VALUE); /* one trailing '/' */
		ENSURE(!str_eq(seg, STR(".")) && !str_eq(seg, STR("..")), ERR_VALUE);
		/* ";" starts a parameter for some servers: "..;x" is ".." to them */
		ENSURE(!str_starts(seg, STR(".;")) && !str_starts(seg, STR("..;")), ERR_VALUE);
	}
	return OK;
}

err_t delegation_target_check(str_t target)
{
	str_t path, query;

	ENSURE(target.n <= DELEGATION_TARGET_BYTES_MAX, ERR_LIMIT);
	ENSURE(target.n > 0 && target.p[0] == '/' && str_is_visible(target), ERR_VALUE);
	for (size_t i = 0; i < target.n; i++) { /* RFC 3986 2: none of these stands unescaped */
		ENSURE(str_find(STR("#\\\"<>^`{|}"), target.p[i]) == 10, ERR_VALUE);
	}
	path = str_sub(target, 0, str_find(target, '?'));
	query = str_sub(target, path.n, target.n);
	TRY(escapes_check(path, true));
	TRY(escapes_check(query, false));
	return segments_check(path);
}

err_t delegation_method_check(str_t method)
{
	ENSURE(method.n >= 1 && method.n <= DELEGATION_METHOD_BYTES_MAX, ERR_VALUE);
	for (size_t i = 0; i < method.n; i++) {
		ENSURE(method.p[i] >= 'A' && method.p[i] <= 'Z', ERR_VALUE);
	}
	return OK;
}
