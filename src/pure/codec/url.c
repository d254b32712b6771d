/* url.c: absolute URLs after RFC 3986, with one reading each. What a browser, a proxy and a library could take
 * for different hosts is refused rather than guessed. */
#include <arpa/inet.h>

#include "pure/codec/codec_int.h"

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

static bool is_any_of(char c, str_t set)
{
	return str_find(set, c) != set.n;
}

bool codec_is_unreserved(char c)
{
	return is_alnum(c) || is_any_of(c, STR("-._~"));
}

/* pchar of RFC 3986 3.3 without the escapes, and what `more` adds. */
static bool is_path_char(char c, str_t more)
{
	return codec_is_unreserved(c) || is_any_of(c, STR("!$&'()*+,;=:@")) || is_any_of(c, more);
}

/* Every byte is allowed, or begins an escape of two hex digits that is not %00. */
static err_t chars_check(str_t s, str_t more)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			ENSURE(is_path_char(s.p[i], more), ERR_SYNTAX);
			continue;
		}
		ENSURE(s.n - i > 2, ERR_SYNTAX);
		int high = codec_hex_digit(s.p[i + 1]), low = codec_hex_digit(s.p[i + 2]);
		ENSURE(high >= 0 && low >= 0 && high + low > 0, ERR_SYNTAX);
		i += 2;
	}
	return OK;
}

static str_t lower_copy(arena_t *a, str_t s)
{
	char *p = arena_alloc(a, s.n);

	for (size_t i = 0; i < s.n; i++) {
		p[i] = lower(s.p[i]);
	}
	return (str_t){ p, s.n };
}

/* --- authority ------------------------------------------------------------------------------------------ */

static err_t scheme_take(arena_t *a, str_t *rest, str_t *out)
{
	size_t n = str_find(*rest, ':');
	str_t s = str_sub(*rest, 0, n);

	ENSURE(n > 0 && n < rest->n && !is_digit(s.p[0]) && is_alnum(s.p[0]), ERR_SYNTAX);
	for (size_t i = 1; i < n; i++) {
		ENSURE(is_alnum(s.p[i]) || is_any_of(s.p[i], STR("+-.")), ERR_SYNTAX);
	}
	*rest = str_sub(*rest, n + 1, rest->n);
	ENSURE(str_starts(*rest, STR("//")), ERR_SYNTAX);
	*rest = str_sub(*rest, 2, rest->n);
	*out = lower_copy(a, s);
	return OK;
}

static uint16_t default_port(str_t scheme)
{
	if (str_eq(scheme, STR("https")) || str_eq(scheme, STR("wss"))) {
		return 443;
	}
	return str_eq(scheme, STR("http")) || str_eq(scheme, STR("ws")) ? 80 : 0;
}

/* Four decimal numbers without leading zeros, and nothing else: 127.1, 0x7f.1, 017700000001 and 2130706433 are
 * 127.0.0.1 to some readers and a name to others. */
static err_t ipv4_check(str_t host)
{
	str_t piece;
	uint64_t number;
	int n = 0;

	while (str_split(&host, '.', &piece)) {
		ENSURE(str_to_u64(piece, 255, &number) == OK, ERR_SYNTAX);
		n++;
	}
	return n == 4 ? OK : ERR_SYNTAX;
}

static bool is_number_like(str_t label)
{
	bool digits = label.n > 0;

	for (size_t i = 0; i < label.n; i++) {
		digits = digits && is_digit(label.p[i]);
	}
	return digits || str_starts(label, STR("0x"));
}

/* A registered name as hosts use it: labels of letters, digits, '-' and '_' (RFC 1123 2.1, and practice).
 * Names with other letters come as xn-- and mean no more than their bytes. */
static err_t name_check(str_t host)
{
	str_t rest = host, label = STR_NULL;

	ENSURE(host.n >= 1 && host.n <= URL_HOST_BYTES_MAX, ERR_SYNTAX);
	while (str_split(&rest, '.', &label)) {
		ENSURE(label.n >= 1 && label.n <= 63, ERR_SYNTAX); /* no empty label: no trailing dot */
		for (size_t i = 0; i < label.n; i++) {
			ENSURE(is_alnum(label.p[i]) || label.p[i] == '-' || label.p[i] == '_', ERR_SYNTAX);
		}
		ENSURE(label.p[0] != '-' && label.p[label.n - 1] != '-', ERR_SYNTAX);
	}
	return is_number_like(label) ? ipv4_check(host) : OK;
}

/* Reads "[...]" and writes it as RFC 5952 does; zone identifiers are refused by inet_pton. */
static err_t ipv6_take(arena_t *a, str_t *rest, str_t *out)
{
	unsigned char address[16];
	char text[INET6_ADDRSTRLEN];
	const char *inner;
	size_t n = str_find(*rest, ']');

	ENSURE(n < rest->n && n < sizeof(text), ERR_SYNTAX);
	TRY(arena_cstr(a, str_sub(*rest, 1, n - 1), &inner));
	ENSURE(inet_pton(AF_INET6, inner, address) == 1, ERR_SYNTAX);
	CHECK(inet_ntop(AF_INET6, address, text, sizeof(text)));
	*rest = str_sub(*rest, n + 1, rest->n);
	*out = arena_str(a, str_of(text));
	return OK;
}

static err_t host_take(arena_t *a, str_t *rest, url_t *u)
{
	if (str_starts(*rest, STR("["))) {
		u->host_is_ipv6 = true;
		return ipv6_take(a, rest, &u->host);
	}
	str_t host = str_sub(*rest, 0, str_find(*rest, ':'));
	TRY(name_check(host));
	*rest = str_sub(*rest, host.n, rest->n);
	u->host = lower_copy(a, host);
	return name_check(u->host); /* again: "0X7F" is number-like only in lower case */
}

static err_t port_read(str_t rest, url_t *u)
{
	uint64_t port;

	u->port = default_port(u->scheme);
	if (rest.n == 0) {
		return OK;
	}
	ENSURE(rest.p[0] == ':', ERR_SYNTAX);
	ENSURE(str_to_u64(str_sub(rest, 1, rest.n), UINT16_MAX, &port) == OK && port > 0, ERR_SYNTAX);
	u->port = (uint16_t)port;
	return OK;
}

/* Userinfo dies here: '@' is no byte of a host or port. */
static err_t authority_take(arena_t *a, str_t *rest, url_t *u)
{
	size_t n = 0;

	while (n < rest->n && !is_any_of(rest->p[n], STR("/?#"))) {
		n++;
	}
	str_t authority = str_sub(*rest, 0, n);
	*rest = str_sub(*rest, n, rest->n);
	TRY(host_take(a, &authority, u));
	return port_read(authority, u);
}

/* Cuts `rest` at `mark`; the part behind it goes to *out, whose p is NULL when there is no mark. */
static void cut_behind(str_t *rest, char mark, str_t *out)
{
	size_t n = str_find(*rest, mark);

	*out = n < rest->n ? (str_t){ rest->p + n + 1, rest->n - n - 1 } : STR_NULL;
	*rest = str_sub(*rest, 0, n);
}

err_t url_parse(arena_t *a, str_t text, unsigned flags, url_t *out)
{
	url_t u = { 0 };
	str_t rest = text;

	ENSURE(text.n <= URL_BYTES_MAX, ERR_LIMIT);
	TRY(scheme_take(a, &rest, &u.scheme));
	TRY(authority_take(a, &rest, &u));
	cut_behind(&rest, '#', &u.fragment);
	cut_behind(&rest, '?', &u.query);
	u.path = rest;
	ENSURE(!u.fragment.p || (flags & URL_FRAGMENT), ERR_SYNTAX);
	TRY(chars_check(u.path, STR("/")));
	TRY(chars_check(u.query, STR("/?")));
	TRY(chars_check(u.fragment, STR("/?")));
	*out = u;
	return OK;
}

err_t url_target_split(str_t target, str_t *out_path, str_t *out_query)
{
	str_t path = target, query;

	ENSURE(target.n <= URL_BYTES_MAX, ERR_LIMIT);
	ENSURE(str_starts(target, STR("/")), ERR_SYNTAX);
	cut_behind(&path, '?', &query);
	TRY(chars_check(path, STR("/")));
	TRY(chars_check(query, STR("/?")));
	*out_path = path;
	*out_query = query;
	return OK;
}

/* --- comparing ------------------------------------------------------------------------------------------ */

bool url_is_loopback(const url_t *u)
{
	bool name = str_eq(u->host, STR("localhost")) || str_eq(u->host, STR("::1"));

	return name || (!u->host_is_ipv6 && str_starts(u->host, STR("127.")) && ipv4_check(u->host) == OK);
}

bool url_is_secure(const url_t *u)
{
	return str_eq(u->scheme, STR("https")) || (str_eq(u->scheme, STR("http")) && url_is_loopback(u));
}

str_t url_origin(arena_t *a, const url_t *u)
{
	str_t open = u->host_is_ipv6 ? STR("[") : STR(""), close = u->host_is_ipv6 ? STR("]") : STR("");
	str_t port = u->port == default_port(u->scheme) ? STR("") : arena_printf(a, ":%u", u->port);

	return arena_cat(a, u->scheme, STR("://"), open, u->host, close, port);
}

bool url_same_origin(const url_t *x, const url_t *y)
{
	return str_eq(x->scheme, y->scheme) && str_eq(x->host, y->host) && x->port == y->port;
}

/* RFC 3986 6.2.2.1-2 on a path that has passed chars_check. */
static str_t normal_escapes(arena_t *a, str_t path)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = arena_alloc(a, path.n);
	size_t n = 0;

	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] != '%') {
			p[n++] = path.p[i];
			continue;
		}
		int v = codec_hex_digit(path.p[i + 1]) << 4 | codec_hex_digit(path.p[i + 2]);
		i += 2;
		if (codec_is_unreserved((char)v)) {
			p[n++] = (char)v;
			continue;
		}
		p[n++] = '%';
		p[n++] = hex[v >> 4];
		p[n++] = hex[v & 15];
	}
	return (str_t){ p, n };
}

static bool has_dot_segment(str_t path)
{
	str_t segment;

	while (str_split(&path, '/', &segment)) {
		if (str_eq(segment, STR(".")) || str_eq(segment, STR(".."))) {
			return true;
		}
	}
	return false;
}

err_t url_normalize_htu(arena_t *a, str_t text, str_t *out)
{
	url_t u;

	TRY(url_parse(a, text, URL_FRAGMENT, &u));
	str_t path = u.path.n ? normal_escapes(a, u.path) : STR("/");
	ENSURE(!has_dot_segment(path), ERR_VALUE);
	*out = arena_cat(a, url_origin(a, &u), path);
	return OK;
}

/* --- escapes -------------------------------------------------------------------------------------------- */

err_t codec_pct_decode(arena_t *a, str_t s, bool plus_is_blank, str_t *out)
{
	void *memory;
	size_t n = 0;

	TRY(arena_try(a, s.n, &memory));
	char *p = memory;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		ENSURE(c > 0x20 && c < 0x7f, ERR_SYNTAX);
		if (c == '+' && plus_is_blank) {
			c = ' ';
		} else if (c == '%') {
			ENSURE(s.n - i > 2, ERR_SYNTAX);
			int high = codec_hex_digit(s.p[i + 1]), low = codec_hex_digit(s.p[i + 2]);
			ENSURE(high >= 0 && low >= 0 && high + low > 0, ERR_SYNTAX);
			c = (char)(high << 4 | low);
			i += 2;
		}
		p[n++] = c;
	}
	ENSURE(str_is_utf8((str_t){ p, n }), ERR_UTF8);
	*out = (str_t){ p, n };
	return OK;
}

err_t url_path_decode(arena_t *a, str_t path, str_t *out)
{
	str_t decoded;
	size_t slashes = 0;

	TRY(codec_pct_decode(a, path, false, &decoded));
	for (size_t i = 0; i < path.n; i++) {
		slashes += path.p[i] == '/';
	}
	for (size_t i = 0; i < decoded.n; i++) {
		ENSURE(decoded.p[i] != '\\', ERR_VALUE);
		slashes -= decoded.p[i] == '/';
	}
	ENSURE(slashes == 0, ERR_VALUE); /* an escaped slash has become one */
	*out = decoded;
	return OK;
}

void pct_add(buf_t *b, str_t s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (codec_is_unreserved(s.p[i])) {
			buf_byte(b, s.p[i]);
		} else {
			buf_add(b, (str_t){ (char[]){ '%', hex[c >> 4], hex[c & 15] }, 3 });
		}
	}
}

str_t pct_enc(arena_t *a, str_t s)
{
	AUTO(buf_wipe) buf_t b;

	CHECK(s.n <= TEXT_ENC_BYTES_MAX / 2); /* each byte may become three */
	buf_init(&b, 3 * s.n + 1);
	pct_add(&b, s);
	return arena_str(a, buf_str(&b));
}
